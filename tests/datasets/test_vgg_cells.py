import zipfile
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skcount.datasets import _vgg_cells
from skcount.datasets._vgg_cells import VGG_CELLS, fetch_vgg_cells

Image = pytest.importorskip("PIL.Image", reason="pillow reads the archive")


# --- The data as published -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory, published):
    """A cache folder with the data in it, filled once."""
    published("vgg_cells.zip")
    home = tmp_path_factory.mktemp("home")
    fetch_vgg_cells(data_home=home, download_if_missing=False)
    return home


def test_the_data_are_as_published(home):
    cells = fetch_vgg_cells(data_home=home)
    with cells.images as images:
        assert images.shape == (200, 256, 256, 3)
        assert images.dtype == np.uint8
    counts = cells.points.counts
    assert counts.sum() == 35_192
    assert (counts.min(), counts.max()) == (74, 317)
    assert (round(counts.mean(), 2), round(counts.std(), 1)) == (175.96, 61.2)
    assert cells.points.inside((256, 256)) == cells.points
    assert (cells.groups, cells.roi, cells.perspective) == (None, None, None)


@pytest.mark.parametrize("number", [1, 96, 200])
def test_images_and_points_are_those_of_the_archive_in_its_order(home, number, published):
    with zipfile.ZipFile(published("vgg_cells.zip")) as archive:
        pixels, dots = (
            np.asarray(Image.open(BytesIO(archive.read(f"{number:03d}{kind}.png"))))
            for kind in ("cell", "dots")
        )
    cells = fetch_vgg_cells(data_home=home)
    with cells.images as images:
        assert_array_equal(images[number - 1], pixels)
    rows, cols = cells.points[number - 1].astype(int).T
    mask = np.zeros((256, 256), dtype=bool)
    mask[rows, cols] = True
    assert_array_equal(mask, dots[:, :, 0] > 0)


def test_the_description_tells_origin_rule_protocols_and_copy(home):
    text = fetch_vgg_cells(data_home=home).DESCR
    words = [
        "Lempitsky",
        "Lehmussola",
        "35,192",
        "176 +- 61",
        "red is above 0",
        '"lz"',
        '"random"',
        '"article"',
    ]
    assert [word for word in words if word not in text] == []
    assert "(200) are byte for byte those that skcount was tested with" in text


# --- Archives of a few small pictures ------------------------------------------------------------


DOTS = np.zeros((6, 5, 3), dtype=np.uint8)
DOTS[3, 2:4, 0] = 255, 1  # two touching cells
DOTS[0, 0, 1:] = 255  # no red, no cell


@pytest.fixture
def few(monkeypatch):
    few = replace(VGG_CELLS, n_images=2, image_shape=(6, 5, 3), n_points=3)
    monkeypatch.setattr(_vgg_cells, "VGG_CELLS", few)
    return few


@pytest.fixture
def members(encode):
    one = np.where(np.arange(30).reshape(6, 5, 1) == 7, [255, 0, 0], 0).astype(np.uint8)
    return {
        "cells/001cell.png": encode(np.full((6, 5, 3), 1, dtype=np.uint8)),
        "cells/001dots.png": encode(DOTS),
        "cells/002cell.png": encode(np.full((6, 5, 3), 2, dtype=np.uint8)),
        "cells/002dots.png": encode(one),
    }


def test_every_red_pixel_is_a_cell(few, nowhere, write_zip, members):
    write_zip(nowhere / "cells.zip", members)
    cells = fetch_vgg_cells(download_if_missing=False)
    with cells.images as images:
        assert_array_equal([image[0, 0, 0] for image in images], [1, 2])
    assert [points.tolist() for points in cells.points] == [[[3, 2], [3, 3]], [[1, 2]]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells/002dots.png": None}, r"lacks 1 of 2 files \(the first: 002dots\.png\)"),
        ({"cells/003cell.png": b""}, r"holds 1 surplus files \(the first: 003cell\.png\)"),
        ({"cells/002dots.png": "cells/001dots.png"}, "holds 4 dots"),
    ],
)
def test_an_archive_with_another_content_is_refused(few, nowhere, write_zip, members, changes, message):
    changes = {name: members.get(content, content) for name, content in changes.items()}
    archive = write_zip(nowhere / "cells.zip", members | changes)
    with pytest.raises(ValueError, match=rf"{message}; expected the VGG cells as published: 2 images"):
        fetch_vgg_cells(archive=archive)
