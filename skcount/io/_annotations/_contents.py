"""A format, the contents that its reader returns, and the assignment of points to images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Format(NamedTuple):
    """A format of annotations: `load` turns a path into a content, `read` turns the content into `Contents`."""

    name: str
    suffixes: tuple
    load: Callable  # formats with `matches` share it with all other formats of their suffix
    read: Callable  # gets the options except "labels" and "slices"; its errors need not name the file
    order: str | None  # "xy", "rc", or None for pictures, which have no coordinates
    origin: float | None  # the file's coordinate of the centre of the first pixel
    options: tuple = ()  # parameters of `read_points` that the format has, beyond order, origin and scale
    matches: Callable | None = (
        None  # recognises the content; None accepts everything that no other format matches
    )
    signs: str = ""  # how the format is recognised, for messages


@dataclass(frozen=True)
class Contents:
    """The points of a file as they are written there, one row per object, with everything that distinguishes objects.

    A reader only fills in the content of its file. Images, slices, labels and kinds are interpreted later, in one
    place.
    """

    points: np.ndarray  # (n_points, 2), in the file's order, origin and unit
    images: Sequence = (
        (None, None),
    )  # (name, (height, width)) of all images, None if the file does not give them
    owners: Sequence | None = None  # for each point the position of its image; None if there is only one
    slices: Sequence | None = None  # for each point the number of its slice; below `first` if it is on none
    is_stack: bool = False  # whether slices are images even if only the first has points
    first: int | None = None  # the number of the first image or slice, if the file numbers them
    labels: Sequence | None = None  # for each point its label, a str
    known_labels: Sequence = ()  # all labels in the file, including labels without points
    origins: Sequence | None = None  # for each point the file's coordinate of the centre of the first pixel
    kinds: Sequence = ()  # for each point None, or the kind of a shape that is not a point


class ImagePoints(NamedTuple):
    """The points of one image, (row, col) in pixels."""

    name: str
    points: np.ndarray
    shape: tuple | None = None  # (height, width) in pixels, if the file gives it


def assign(contents, name, slices):
    """Return the images of a file as (name, shape), the image of each point, and the first image's number or None.

    `name` is for an image that the file does not name. `slices` is the argument of `read_points`.
    """
    if contents.slices is not None and slices != "merge" and _is_split(contents, slices):
        found, owners = np.unique(_whole_slices(contents), return_inverse=True)
        return [(str(number), None) for number in found], owners, contents.first
    owners = np.zeros(len(contents.points)) if contents.owners is None else contents.owners
    images = [(named or name, shape) for named, shape in contents.images]
    return images, np.asarray(owners, dtype=np.int64), contents.first if contents.slices is None else None


def split(points, owners, images):
    """Return the `ImagePoints` of each image, with its points in the order of the file."""
    stops = np.cumsum(np.bincount(owners, minlength=len(images)))
    pieces = np.split(points[np.argsort(owners, kind="stable")], stops[:-1]) if images else []
    return [ImagePoints(name, piece, shape) for (name, shape), piece in zip(images, pieces, strict=True)]


def _is_split(contents, slices):
    """Return whether the slices of a file are images."""
    if contents.owners is None:
        return slices == "split" or contents.is_stack or (np.asarray(contents.slices) > contents.first).any()
    owners, numbers = np.asarray(contents.owners, dtype=np.int64), np.asarray(contents.slices)
    any_slice = np.zeros(len(contents.images))
    any_slice[owners] = numbers
    differ = (any_slice[owners] != numbers).any()
    if differ and len(contents.images) > 1:
        raise ValueError(
            "the file names several images and has points on several slices of one of them; expected several images or "
            "one stack. Use slices='merge' to join the slices of each image."
        )
    return len(contents.images) == 1 and (differ or slices == "split")


def _whole_slices(contents):
    numbers = np.asarray(contents.slices, dtype=np.float64)
    odd = (numbers < contents.first) | (numbers % 1 != 0) | (numbers > 2**31)
    if odd.any():
        raise ValueError(
            f"{odd.sum()} points are on no slice; slices must have whole numbers from {contents.first}; got "
            f"{numbers[odd][0]:g}. Use slices='merge' to treat all points as points of one image."
        )
    return numbers.astype(np.int64)
