"""A format, the contents that its reader returns, and the assignment of points to images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np


class Format(NamedTuple):
    """A format of annotations: `load` turns a path into a content, `read` turns the content into `Contents`."""

    name: str
    suffixes: tuple
    load: Callable  # formats with `matches` share it with all other formats of their suffix
    read: Callable  # gets its own options, not those that `PointReader` applies; its errors need not name the file
    order: str | None  # "xy", "rc", or None for pictures, which have no coordinates
    origin: float | None  # the file's coordinate of the centre of the first pixel
    options: tuple = ()  # parameters of `read_points` that the format has, beyond order, origin and scale
    matches: Callable | None = (
        None  # recognises the content; None accepts everything that no other format matches
    )
    signs: str = ""  # how the format is recognised, for messages
    pictures: tuple = ()  # suffixes of pictures that may hold points of this format, if it is named


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
    slice_field: str | None = None  # the name of the field that holds `slices`
    is_stack: bool = False  # whether slices are images even if only the first has points
    is_numbered: bool = False  # whether images have numbers for names
    first: int | None = None  # the number of the first image or slice; None if 0 and 1 are both possible
    labels: Sequence | None = None  # for each point its label, a str
    label_field: str | None = None  # the name of the field that holds `labels`
    has_identifiers: bool | None = (
        None  # whether labels number objects and are no classes; None if it is not known
    )
    known_labels: Sequence = ()  # all labels in the file, including labels without points
    origins: Sequence | None = None  # for each point the file's coordinate of the centre of the first pixel
    kinds: Sequence = ()  # for each point None, or the kind of a shape that is not a point
    unit: str = (
        "pixel"  # "pixel", "fraction" or "percent" of the image's size, or the unit that `scale` converts
    )
    fields: Mapping = field(
        default_factory=dict
    )  # name -> for each point its value, a str: all that was not used
    meanings: Mapping = field(default_factory=dict)  # name -> meaning of a field whose name does not tell it

    def select(self, kept):
        """Return the contents with only some of the points; `kept` is a boolean array."""
        rows = np.flatnonzero(kept)
        chosen = {
            name: None if values is None else [values[row] for row in rows]
            for name, values in (
                (name, getattr(self, name)) for name in ("owners", "slices", "labels", "origins")
            )
        }
        fields = {name: [values[row] for row in rows] for name, values in self.fields.items()}
        kinds = [self.kinds[row] for row in rows] if len(self.kinds) else ()
        return replace(self, points=np.asarray(self.points)[rows], kinds=kinds, fields=fields, **chosen)

    def with_labels(self, name):
        """Return the contents with a field as the labels; the former labels become a field."""
        if name == self.label_field:
            return self
        fields = dict(self.fields)
        labels = _take(fields, name, "label_column")
        if self.label_field is not None:
            fields[self.label_field] = self.labels
        return replace(self, labels=labels, known_labels=labels, label_field=name, fields=fields)

    def with_slices(self, name):
        """Return the contents with a field as the numbers of the slices; the former slices become a field."""
        if name == self.slice_field:
            return replace(self, is_stack=True)
        fields = dict(self.fields)
        values = _take(fields, name, "slice_column")
        try:
            slices = np.array([float(value) for value in values])
            if not np.isfinite(slices).all():
                raise ValueError
        except ValueError:
            raise ValueError(
                f"{name!r} must number the slices; got {values[0]!r:.60}. If it names images, use `image_column`."
            ) from None
        if self.slice_field is not None:
            fields[self.slice_field] = [f"{number:g}" for number in self.slices]
        first = 0 if len(slices) and slices.min() == 0 else None
        return replace(self, slices=slices, slice_field=name, is_stack=True, first=first, fields=fields)


def _take(fields, name, parameter):
    """Remove a field and return its values."""
    if name not in fields:
        known = ", ".join(map(repr, fields)) or "none"
        raise ValueError(
            f"`{parameter}` must be one of the fields that are not used yet, {known}; got {name!r}."
        )
    return fields.pop(name)


class ImagePoints(NamedTuple):
    """The points of one image, (row, col) in pixels, or in fractions of the image's size if `origin` is not None."""

    name: str
    points: np.ndarray
    shape: tuple | None = None  # (height, width) in pixels, if the file gives it
    origin: float | None = None  # of fractions: the coordinate in pixels of the centre of the first pixel


def assign(contents, name, slices):
    """Return the images of a file as (name, shape), the image of each point, and whether names are numbers.

    `name` is for an image that the file does not name. `slices` is the argument of `read_points`.
    """
    if contents.slices is not None and slices != "merge" and _is_split(contents, slices):
        found, owners = np.unique(_whole_slices(contents), return_inverse=True)
        return [(str(number), None) for number in found], owners, True
    owners = np.zeros(len(contents.points)) if contents.owners is None else contents.owners
    images = [(named or name, shape) for named, shape in contents.images]
    return images, np.asarray(owners, dtype=np.int64), contents.is_numbered


def split(points, owners, images, origin=None):
    """Return the `ImagePoints` of each image, with its points in the order of the file."""
    stops = np.cumsum(np.bincount(owners, minlength=len(images)))
    pieces = np.split(points[np.argsort(owners, kind="stable")], stops[:-1]) if images else []
    return [
        ImagePoints(name, piece, shape, origin) for (name, shape), piece in zip(images, pieces, strict=True)
    ]


def _is_split(contents, slices):
    """Return whether the slices of a file are images."""
    numbers = np.asarray(contents.slices, dtype=np.float64)
    if contents.owners is None:
        differ = len(numbers) and (numbers != numbers[0]).any()
        later = (numbers > (1 if contents.first is None else contents.first)).any()
        return slices == "split" or contents.is_stack or differ or later
    owners = np.asarray(contents.owners, dtype=np.int64)
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
    first = contents.first or 0
    odd = (numbers < first) | (numbers % 1 != 0) | (numbers > 2**31)
    if odd.any():
        raise ValueError(
            f"{odd.sum()} points are on no slice; slices must have whole numbers from {first}; got "
            f"{numbers[odd][0]:g}. Use slices='merge' to treat all points as points of one image."
        )
    return numbers.astype(np.int64)
