"""`read_points`, and the reader of one file after another that `load_folder` uses."""

import os
from collections.abc import Iterable
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skcount.io._annotations._contents import assign, split
from skcount.io._annotations._formats import FORMATS, OPTIONS, load_content
from skcount.io._annotations._match import check_inside, check_shapes, pair_by_name
from skcount.points import PointAnnotations

_NUMBER = Interval(Real, None, None, closed="neither")

# Parameters for reading a file, which `load_folder` passes on.
READ_PARAMETERS = {
    "format": [StrOptions(set(FORMATS)), None],
    "order": [StrOptions({"xy", "rc"}), None],
    "origin": [_NUMBER, None],
    "scale": [Interval(Real, 0, None, closed="neither")],
    "labels": [str, int, Iterable, None],
    "slices": [StrOptions({"split", "merge"}), None],
    "columns": [tuple, list, None],
    "image_column": [str, int, None],
    "variable": [str, None],
    "threshold": [_NUMBER, None],
}
# Parameters for images and points that do not match.
MATCH_PARAMETERS = {
    "missing": [StrOptions({"raise", "empty"})],
    "extra": [StrOptions({"raise", "ignore"})],
    "outside": [StrOptions({"raise", "warn", "ignore"})],
}


@validate_params(
    {
        "path": [str, os.PathLike],
        "names": [Iterable, None],
        "image_shape": "no_validation",
        **READ_PARAMETERS,
        **MATCH_PARAMETERS,
    },
    prefer_skip_nested_validation=True,
)
def read_points(
    path,
    format=None,  # noqa: A002 - the word that users look for
    *,
    order=None,
    origin=None,
    scale=1.0,
    labels=None,
    slices=None,
    columns=None,
    image_column=None,
    variable=None,
    threshold=None,
    names=None,
    missing="raise",
    extra="raise",
    image_shape=None,
    outside="raise",
):
    r"""Read points from a file of the tool with which they were annotated.

    Coordinates become (row, col) in pixels, with (0, 0) for the centre of the top-left pixel, by the rules of each
    format; `order`, `origin` and `scale` override them. No point is dropped silently.

    Parameters
    ----------
    path : str or path-like
        The file, with the points of one image or of many.
    format : str or None, default=None
        If None, find the format by suffix and content. Pictures need it.

        - "csv": a table separated by commas, semicolons or tabs, with a row for each point.
        - "napari": CSV of a points layer, of one image or of a stack.
        - "imagej": point and multi-point selections, ``.roi`` or ``.zip``.
        - "cell_counter": XML of the Cell Counter plugin.
        - "coco": JSON; the keypoint of an annotation if it has one, otherwise the centre of its box.
        - "labelme": JSON; points, and circles by their centre.
        - "mat": MATLAB matrices of shape (n_points, 2).
        - "dots": a picture in which each pixel that is not black is one object.
        - "mask": a picture in which each object is an area of its own value.
    order : {"xy", "rc"} or None, default=None
        "xy" if the first coordinate counts columns, "rc" if it counts rows. If None, "rc" for napari and for CSV, whose
        columns are found by name or given by `columns`, and "xy" for all others.
    origin : float or None, default=None
        Coordinate of the centre of the top-left pixel in the file: 0 or 1 if pixels are numbered, 0.5 if the corner of
        the image is 0. If None, 1 for MATLAB, 0.5 for LabelMe and the boxes of COCO, and 0 for all others.
    scale : float, default=1.0
        Size of a pixel in the unit of the file, such as 0.325 for coordinates in microns. Coordinates are divided by it.
    labels : str, int, sequence of them, or None, default=None
        Keep only the points with these labels: categories of COCO, labels of LabelMe, type names of Cell Counter
        ("Type 1"), counter numbers of ImageJ. If None, keep all.
    slices : {"split", "merge"} or None, default=None
        "split" if the slices of a stack are images, "merge" if they are parts of one image, such as its channels. For
        ImageJ, Cell Counter, napari and CSV. If None, split if a slice after the first has points.
    columns : (str or int, str or int) or None, default=None
        The columns of row and column in a CSV file, by name or by position from 0. If None, find them by their usual
        names.
    image_column : str, int or None, default=None
        The column of image names in a CSV file. If None, find it by its usual names; without one, all points belong to
        one image.
    variable : str or None, default=None
        The variable of a MATLAB file, with its field: "frame.loc". If None, use the only one that can be points.
    threshold : float or None, default=None
        In dot images, a pixel is a dot if its brightest channel is above this value. If None, 0. JPEG needs it.
    names : sequence of str or None, default=None
        The images to return, in the order of `X`. The file may name them by path or without suffix; slices of a stack
        are named by number. If None, return all images of the file, in its order.
    missing : {"raise", "empty"}, default="raise"
        If an image of `names` is not in the file, raise an error, or return no points for it.
    extra : {"raise", "ignore"}, default="raise"
        If an image of the file is not in `names`, raise an error, or leave it out.
    image_shape : (height, width), sequence of (height, width), or None, default=None
        Size of the images in pixels, one for all or one per image. Points and the sizes in the file are checked
        against it.
    outside : {"raise", "warn", "ignore"}, default="raise"
        What to do if points are outside their image. They are never dropped. The message says if all points would
        be inside with rows and columns swapped or with another origin.

    Returns
    -------
    data : Bunch
        A dictionary with attributes:

        points : PointAnnotations
            The points of each image as (row, col) in pixels.
        names : list of str
            The names of the images in the file, or `names`. An image without a name gets that of the file.
        image_shapes : list of (height, width) or None
            Size of each image, if it is known.

    Raises
    ------
    ValueError
        If an argument is not as described or does not apply to this format, the format is not found, the file is
        damaged or of another kind, images and `names` do not match, or a point is outside its image.
    FileNotFoundError
        If there is no such file.
    ImportError
        If a package of ``skcount[data]`` is missing.

    Warns
    -----
    UserWarning
        If a point is outside its image and ``outside="warn"``.

    See Also
    --------
    load_folder : Read a folder of pictures with their points.
    save_points : Write points that napari or ImageJ can open.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skcount.io import read_points
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "cells.csv"
    >>> _ = path.write_text("image,x,y\nfirst.png,10,2\nsecond.png,7.5,3\nfirst.png,4,4\n")
    >>> cells = read_points(path)
    >>> cells.names
    ['first.png', 'second.png']
    >>> cells.points[0]
    array([[ 2., 10.],
           [ 4.,  4.]])
    >>> folder.cleanup()
    """
    options = {"labels": labels, "slices": slices, "columns": columns, "image_column": image_column}
    options |= {"variable": variable, "threshold": threshold}
    reader = PointReader(format, order=order, origin=origin, scale=scale, **options)
    if isinstance(names, str):
        raise ValueError(f"`names` must be a list of names; got {names!r}. Pass [{names!r}].")
    path = Path(os.path.expanduser(path))
    reading = reader.read(path)
    reader.check_labels(reading.labels, path)
    images = reading.images
    if names is not None:
        images = pair_by_name(images, [str(name) for name in names], missing, extra, path)
    elif not images:
        raise ValueError(f"{path} has no points and names no image. Pass `names` and missing='empty'.")
    shapes = check_shapes(images, image_shape, path)
    check_inside(images, shapes, outside, path, reading.order, reading.origin)
    return Bunch(
        points=PointAnnotations([image.points for image in images]),
        names=[image.name for image in images],
        image_shapes=shapes,
    )


class Reading(NamedTuple):
    """The images read from a file, and how they were read."""

    images: list  # of ImagePoints
    labels: set  # all labels in the file
    first: int | None  # the number of the first image, if images have numbers for names
    order: str | None
    origin: float | None


class PointReader:
    """Reader of files of points; the parameters are those of `read_points`, already checked with `READ_PARAMETERS`."""

    def __init__(self, format=None, *, order=None, origin=None, scale=1.0, **options):  # noqa: A002
        unknown = sorted(options.keys() - OPTIONS)
        if unknown:
            raise TypeError(f"There is no parameter {', '.join(map(repr, unknown))}; see read_points.")
        self.format, self.order, self.origin, self.scale = format, order, origin, scale
        self.options = {name: value for name, value in options.items() if value is not None}
        _check_columns(**self.options)
        self.labels = _check_labels(self.options["labels"]) if "labels" in self.options else None
        if format is not None:
            self._check_use(FORMATS[format], f"format={format!r}")

    def read(self, path):
        """Read a file."""
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}.")
        form, content = load_content(path, self.format, self.options.keys())
        self._check_use(form, f"{path}, which is of format={form.name!r}")
        options = {name: value for name, value in self.options.items() if name not in {"labels", "slices"}}
        with _naming(path):
            contents = form.read(content, **options)
            images, owners, first = assign(contents, path.stem, self.options.get("slices"))
            kept = self._find_kept(contents)
            points = self._to_pixels(contents, form, kept)
        found = split(points, owners[kept], images)
        origin = form.origin if self.origin is None else self.origin
        return Reading(found, set(contents.known_labels), first, self.order or form.order, origin)

    def check_labels(self, known, what):
        """Reject requested labels that are not in any of the files."""
        unknown = (self.labels or set()) - known
        if unknown:
            raise ValueError(
                f"`labels` must be among {', '.join(map(repr, sorted(known))) or 'none'}, the labels in {what}; got "
                f"{', '.join(map(repr, sorted(unknown)))}."
            )

    def _check_use(self, form, what):
        """Reject arguments that a format does not have."""
        unused = self.options.keys() - form.options
        if form.order is None:
            unused |= {name for name in ("order", "origin") if getattr(self, name) is not None}
            unused |= {"scale"} if self.scale != 1 else set()
        if unused:
            raise ValueError(
                f"{', '.join(sorted(unused))} cannot be used with {what}. Leave it out, or choose another format."
            )

    def _find_kept(self, contents):
        """Return a boolean array of the rows with a requested label; all of them must be points."""
        kept = np.ones(len(contents.points), dtype=bool)
        if self.labels is not None:
            kept = np.array([label in self.labels for label in contents.labels], dtype=bool)
        kinds = {kind for kind, is_kept in zip(contents.kinds, kept, strict=False) if is_kept and kind}
        if kinds:
            raise ValueError(
                f"shapes must be points; got {', '.join(sorted(kinds))}. Choose the labels of the points with "
                "`labels`, or export outlines as COCO, whose boxes are read by their centre."
            )
        return kept

    def _to_pixels(self, contents, form, kept):
        """Return the points that are kept as (row, col) in pixels."""
        points = np.asarray(contents.points, dtype=np.float64).reshape(-1, 2)[kept]
        if not np.isfinite(points).all():
            first = points[~np.isfinite(points).all(axis=1)][0]
            raise ValueError(f"coordinates must be finite; got {first.tolist()}. Correct the file.")
        if form.order is None:
            return points
        origin = self.origin
        if origin is None:
            origin = form.origin if contents.origins is None else np.reshape(contents.origins, (-1, 1))[kept]
        points = points / self.scale - origin
        return points[:, ::-1] if (self.order or form.order) == "xy" else points


@contextmanager
def _naming(path):
    """Put the name of a file in front of the message of an error."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _check_columns(columns=(0, 0), image_column=0, **_):
    if len(columns) != 2 or not all(_is_column(column) for column in columns):
        raise ValueError(
            f"`columns` must be (row column, column column), by name or by position from 0; got {columns!r}."
        )
    if not _is_column(image_column):
        raise ValueError(f"`image_column` must be a name or a position from 0; got {image_column!r}.")


def _is_column(value):
    return isinstance(value, str | int) and not isinstance(value, bool)


def _check_labels(labels):
    labels = [labels] if isinstance(labels, str | int) else list(labels)
    if not labels:
        raise ValueError("`labels` must be the labels to keep, or None for all; got an empty list.")
    return {str(label) for label in labels}
