"""A data set as small as can be: three pages of a book."""

from functools import partial

import numpy as np
from numpy.testing import assert_array_equal

from skcount import PointAnnotations
from skcount.datasets._fetch import Content, DataSet, fetch
from skcount.datasets._protocols import Split

PAGES = [np.full((4, 5), number, dtype=np.uint8) for number in (1, 2, 3)]


def read_book(files, data_set):
    names = [f"{number}.png" for number in range(1, data_set.n_images + 1)]
    files.require("page", names)
    points = PointAnnotations([[(number, 1)] for number in range(data_set.n_images)])
    pages = (files.read_image(name, "L") for name in names)
    return Content(pages, points, np.arange(1, data_set.n_images + 1), notes="Bound in linen.")


BOOK = DataSet(
    name="book",
    title="the book",
    descr="A book\n======\n",
    n_images=3,
    image_shape=(4, 5),
    n_points=3,
    splits={"first": Split(train=[1], test=[2, 3])},
    archives=(("book.zip",), ("reprint.zip",)),
    urls={},
    page="the library",
    kinds={"page": r"\d\.png"},
    read=read_book,
    max_bytes=10_000,
)
fetch_book = partial(fetch, BOOK, download_if_missing=False)


def files_in(folder):
    """Names of all files but the empty ones that locks leave."""
    return sorted(file.name for file in folder.iterdir() if file.suffix != ".lock")


def assert_is_book(data, shift=0):
    with data.images as images:
        assert_array_equal(images, np.stack(PAGES) + np.uint8(shift))
    assert data.points.counts.tolist() == [1, 1, 1]
