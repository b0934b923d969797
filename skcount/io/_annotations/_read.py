"""The public door: `read_points`, and the reading of one file after another that `load_folder` does."""

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skcount._check import as_array
from skcount.io._annotations._cell_counter import read_cell_counter
from skcount.io._annotations._coco import read_coco
from skcount.io._annotations._csv import read_csv
from skcount.io._annotations._dots import read_dots
from skcount.io._annotations._imagej import read_imagej
from skcount.io._annotations._json import is_coco, is_labelme, read_json
from skcount.io._annotations._labelme import read_labelme
from skcount.io._annotations._mask import read_mask
from skcount.io._annotations._mat import read_mat
from skcount.io._annotations._names import pair_by_name
from skcount.io._annotations._napari import read_napari
from skcount.io._annotations._outside import check_inside
from skcount.io._pictures import SUFFIXES
from skcount.points import PointAnnotations

__all__ = ["PointReader", "candidates", "check_choice", "check_shapes", "read_points"]


class _Format(NamedTuple):
    """How a format is read: by which function, in which order and origin, and with which arguments."""

    read: Callable
    order: str | None  # None: pixels, which have no coordinates to misread
    origin: float
    options: frozenset


def _format(read, order, origin, *options):
    return _Format(read, order, origin, frozenset(options))


_FORMATS = {
    "csv": _format(read_csv, "rc", 0, "columns", "image_column", "slices"),
    "napari": _format(read_napari, "rc", 0, "slices"),
    "imagej": _format(read_imagej, "xy", 0, "slices", "labels"),
    "cell_counter": _format(read_cell_counter, "xy", 0, "slices", "labels"),
    "coco": _format(read_coco, "xy", 0.5, "labels"),
    "labelme": _format(read_labelme, "xy", 0.5, "labels"),
    "mat": _format(read_mat, "xy", 1, "variable"),
    "dots": _format(read_dots, None, 0, "threshold"),
    "mask": _format(read_mask, None, 0),
}

# The formats that a suffix stands for; of several, the contents tell which.
_SUFFIXES = {
    ".csv": ("csv", "napari"),
    ".tsv": ("csv", "napari"),
    ".txt": ("csv", "napari"),
    ".roi": ("imagej",),
    ".zip": ("imagej",),
    ".xml": ("cell_counter",),
    ".mat": ("mat",),
    ".json": ("coco", "labelme"),
    **dict.fromkeys(SUFFIXES, ("dots", "mask")),
}


@validate_params(
    {
        "path": [str, os.PathLike],
        "format": [str, None],
        "order": [str, None],
        "origin": [Real, None],
        "scale": [Real],
        "labels": [str, int, Iterable, None],
        "slices": [str, None],
        "columns": [tuple, list, None],
        "image_column": [str, int, None],
        "variable": [str, None],
        "threshold": [Real, None],
        "names": [Iterable, None],
        "missing": [str],
        "extra": [str],
        "image_shape": "no_validation",
        "outside": [str],
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
    r"""Read points from a file of the tool that they were annotated with.

    Coordinates become (row, col) in pixels, with (0, 0) for the centre of the top-left pixel, by the rules of each
    format; `order`, `origin` and `scale` overrule them. No point is ever dropped in silence.

    Parameters
    ----------
    path : str or path-like
        The file, with the points of one image or of many.
    format : str or None, default=None
        None tells the format by suffix and content, but for pictures.

        - "csv": a table between commas, semicolons or tabs, with a row for each point.
        - "napari": CSV of a points layer, of one image or of a stack.
        - "imagej": point and multi-point selections, ``.roi`` or ``.zip``.
        - "cell_counter": XML of the Cell Counter plugin.
        - "coco": JSON; the keypoint, where an annotation has one, and else the centre of its box.
        - "labelme": JSON; points, and circles by their centre.
        - "mat": matrices of MATLAB, of shape (n_points, 2).
        - "dots": a picture in which each pixel that is not black is one object.
        - "mask": a picture in which each object is an area of its own value.
    order : {"xy", "rc"} or None, default=None
        Whether the first coordinate counts columns ("xy") or rows ("rc"). None is "rc" for CSV, whose columns are
        found by name or given by `columns`, and for napari, and "xy" elsewhere.
    origin : float or None, default=None
        Coordinate that the file gives to the centre of the top-left pixel: 0 or 1 where pixels are numbered, 0.5
        where the corner of the image is 0. None is 1 for MATLAB, 0.5 for LabelMe and the boxes of COCO, and 0 elsewhere.
    scale : float, default=1.0
        Size of a pixel in the unit of the file, such as 0.325 for coordinates in microns: coordinates are divided by it.
    labels : str, int, sequence of them, or None, default=None
        Keep the points with these labels: categories of COCO, labels of LabelMe, type names of Cell Counter
        ("Type 1"), counter numbers of ImageJ. None keeps all.
    slices : {"split", "merge"} or None, default=None
        What slices of a stack are, in ImageJ, Cell Counter, napari and CSV: images ("split") or parts of one image
        ("merge"), such as its channels. None splits if a slice after the first has points.
    columns : (str or int, str or int) or None, default=None
        Of CSV the columns of row and column, by name or by position from 0. None guesses by the usual names.
    image_column : str, int or None, default=None
        Of CSV the column of image names. None guesses by the usual names; without one, all points are of one image.
    variable : str or None, default=None
        Of MATLAB the variable, with its field: "frame.loc". None takes the only one that can be points.
    threshold : float or None, default=None
        Of dot images the value above which a pixel is a dot, in its brightest channel. None is 0. JPEG needs one.
    names : sequence of str or None, default=None
        The images wanted, in this order: the rows of `X`. The file may call them by path or without suffix; those of
        a stack are called by number. None takes the images that the file tells of, in its order.
    missing : {"raise", "empty"}, default="raise"
        Whether an image of `names` of which the file does not tell is an error, or holds no object.
    extra : {"raise", "ignore"}, default="raise"
        Whether an image of the file that is not among `names` is an error, or left out.
    image_shape : (height, width), sequence of (height, width), or None, default=None
        Size of the images in pixels, one for all or one for each, to check the points and what the file says of it.
    outside : {"raise", "warn", "ignore"}, default="raise"
        What to do about points outside their image; they are kept in any case. The message says if they would be
        inside when swapped, or with another origin.

    Returns
    -------
    data : Bunch
        A dictionary with attributes:

        points : PointAnnotations
            For each image its points as (row, col) in pixels.
        names : list of str
            What the file calls the images, or `names`; a file that does not say gives its own name.
        image_shapes : list of (height, width) or None
            Size of each image as far as it is known.

    Raises
    ------
    ValueError
        If an argument is not as described or not of this format, the format cannot be told, the file is damaged or
        of another kind, images and `names` do not match, or a point is outside its image.
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
    load_folder : Reads a folder of pictures with their points.
    save_points : Writes points that napari or ImageJ open.

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
    check_choice("missing", missing, ("raise", "empty"))
    check_choice("extra", extra, ("raise", "ignore"))
    check_choice("outside", outside, ("raise", "warn", "ignore"))
    reader = PointReader(
        format,
        order=order,
        origin=origin,
        scale=scale,
        labels=labels,
        slices=slices,
        columns=columns,
        image_column=image_column,
        variable=variable,
        threshold=threshold,
    )
    if isinstance(names, str):
        raise ValueError(f"names={names!r}; expected a list of names: [{names!r}].")
    path = Path(os.path.expanduser(path))
    images, known, _, order, origin = reader.read(path)
    reader.check_labels(known, str(path))
    if names is not None:
        images = pair_by_name(images, [str(name) for name in names], missing, extra, str(path))
    elif not images:
        raise ValueError(f"{path} has no rows, so that no image is known; pass names=..., missing='empty'.")
    shapes = check_shapes(images, image_shape, str(path))
    check_inside(images, shapes, outside, str(path), order, origin)
    return Bunch(
        points=PointAnnotations([image.points for image in images]),
        names=[image.name for image in images],
        image_shapes=shapes,
    )


class Reading(NamedTuple):
    """Points of a file as (row, col) in pixels, and how they were read."""

    images: list
    labels: set
    first: int | None
    order: str | None
    origin: float


class PointReader:
    """Reads files in one way, which is checked once. The parameters are those of :func:`read_points`.

    Parameters
    ----------
    format : str or None, default=None
        The format; None tells it of each file.
    order : {"xy", "rc"} or None, default=None
        Order of the coordinates.
    origin : float or None, default=None
        Coordinate of the centre of the first pixel.
    scale : float, default=1.0
        Size of a pixel.
    **options
        Arguments of single formats; None is as if not given.
    """

    def __init__(self, format=None, *, order=None, origin=None, scale=1.0, **options):  # noqa: A002
        check_choice("format", format, (None, *_FORMATS))
        check_choice("order", order, (None, "xy", "rc"))
        if not _is_number(scale) or scale <= 0:
            raise ValueError(
                f"scale={scale!r}; expected the size of a pixel in the unit of the file, above 0."
            )
        if origin is not None and not _is_number(origin):
            raise ValueError(
                f"origin={origin!r}; expected the coordinate of the centre of the first pixel: 0, 1 or 0.5."
            )
        self.format, self.order, self.origin, self.scale = format, order, origin, scale
        unknown = options.keys() - frozenset().union(*(form.options for form in _FORMATS.values()))
        if unknown:
            raise TypeError(
                f"There is no argument {', '.join(sorted(unknown))}; see read_points for those there are."
            )
        self.options = _check_options({name: value for name, value in options.items() if value is not None})
        if format is not None:
            self._check_use(format, f"format={format!r}")

    def read(self, path):
        """Read a file.

        Parameters
        ----------
        path : pathlib.Path
            The file.

        Returns
        -------
        Reading
            Its images.
        """
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}; expected a file of points.")
        name = self.format or _guess_format(path)
        form = self._check_use(name, f"{path}, which is read as format={name!r}")
        options = dict(self.options)
        labels = options.pop("labels", None)
        if name == "labelme":
            options["labels"] = labels
        contents = form.read(path, **options)
        images = [self._convert(_keep_labels(image, labels), form, path) for image in contents.images]
        origin = form.origin if self.origin is None else self.origin
        return Reading(images, set(contents.labels), contents.first, self.order or form.order, origin)

    def check_labels(self, known, what):
        """Refuse labels that are wanted and nowhere to be found.

        Parameters
        ----------
        known : set of str
            The labels in all files.
        what : str
            Where the points are from, for the message.

        Raises
        ------
        ValueError
            If there are such.
        """
        unknown = self.options.get("labels", set()) - known
        if unknown:
            raise ValueError(
                f"No point of {what} is labelled {', '.join(map(repr, sorted(unknown)))}; the labels there are "
                f"{', '.join(map(repr, sorted(known))) or 'none'}."
            )

    def _check_use(self, name, what):
        """Refuse arguments that a format does not have."""
        form = _FORMATS[name]
        unused = self.options.keys() - form.options
        if form.order is None:
            unused |= {key for key in ("order", "origin") if getattr(self, key) is not None}
            unused |= {"scale"} if self.scale != 1 else set()
        if unused:
            raise ValueError(
                f"{', '.join(sorted(unused))} cannot be used with {what}; leave it out, or choose the format."
            )
        return form

    def _convert(self, image, form, path):
        """Turn the points of an image into (row, col) in pixels."""
        if not np.isfinite(image.points).all():
            first = int(np.flatnonzero(~np.isfinite(image.points).all(axis=1))[0])
            raise ValueError(
                f"{path}: point {first} of {image.name} is {image.points[first].tolist()}: NaN or infinity. Correct it; no "
                "point is dropped silently."
            )
        origin = self.origin
        if origin is None:
            origin = form.origin if image.origin is None else image.origin
        points = image.points / self.scale - origin
        return replace(image, points=points[:, ::-1] if (self.order or form.order) == "xy" else points)


def candidates(folder, format=None):  # noqa: A002
    """List the files of a folder that can hold points.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.
    format : str or None, default=None
        The format in which they are to be read; None is any but pictures.

    Returns
    -------
    list of pathlib.Path
        The files, by their suffix; hidden ones are left out.
    """
    suffixes = {
        suffix
        for suffix, formats in _SUFFIXES.items()
        if (format in formats if format else suffix not in SUFFIXES)
    }
    return [
        p
        for p in folder.iterdir()
        if p.is_file() and p.suffix.lower() in suffixes and not p.name.startswith(".")
    ]


def check_choice(name, value, choices):
    """Refuse a value that is not among the choices.

    Parameters
    ----------
    name : str
        Of the argument.
    value : object
        What came.
    choices : tuple
        What may come.

    Raises
    ------
    ValueError
        If it is another.
    """
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        raise ValueError(f"{name}={value!r}; expected one of {', '.join(map(repr, choices))}.")


def check_shapes(images, image_shape, what):
    """Put together what is known of the sizes of images.

    Parameters
    ----------
    images : list of ImagePoints
        The images, with the sizes that their file tells.
    image_shape : (height, width), sequence of (height, width), or None
        Their sizes, in pixels.
    what : str
        Where the points are from, for messages.

    Returns
    -------
    list of (height, width) or None
        The size of each, None where it is not known.

    Raises
    ------
    ValueError
        If a size is not the one that the file tells, or there is not one for each image.
    """
    told = [image.shape for image in images]
    if image_shape is None:
        return told
    shapes = as_array(image_shape, "image_shape", "(height, width) in pixels, or one for each image")
    if shapes.shape == (2,):
        shapes = np.broadcast_to(shapes, (len(images), 2))
    if shapes.shape != (len(images), 2) or shapes.dtype.kind not in "iu" or (shapes < 1).any():
        raise ValueError(
            f"image_shape is {image_shape!r:.80}; expected (height, width) in pixels, or one for each of the {len(images)} "
            f"images of {what}."
        )
    shapes = [tuple(shape) for shape in shapes.tolist()]
    for image, shape in zip(images, shapes, strict=True):
        if image.shape not in {None, shape}:
            raise ValueError(
                f"The points of {image.name} in {what} were set in {image.shape[0]} x {image.shape[1]} pixels, and the "
                f"image has {shape[0]} x {shape[1]}; expected the image that was annotated. Resize it back, or its points."
            )
    return shapes


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _check_options(options):
    check_choice("slices", options.get("slices"), (None, "split", "merge"))
    columns = options.get("columns", (0, 0))
    if not isinstance(columns, tuple | list) or len(columns) != 2 or not all(map(_is_column, columns)):
        raise ValueError(
            f"columns={columns!r}; expected (row column, column column), by name or by position from 0."
        )
    if not _is_column(options.get("image_column", 0)):
        raise ValueError(f"image_column={options['image_column']!r}; expected a name, or a position from 0.")
    if not isinstance(options.get("variable", ""), str):
        raise ValueError(f"variable={options['variable']!r}; expected a name, such as 'frame.loc'.")
    if not _is_number(options.get("threshold", 0)):
        raise ValueError(f"threshold={options['threshold']!r}; expected a number.")
    if "labels" in options:
        options["labels"] = _check_labels(options["labels"])
    return options


def _is_column(value):
    return isinstance(value, str | int) and not isinstance(value, bool)


def _check_labels(labels):
    labels = [labels] if isinstance(labels, str | int) else list(labels)
    if not labels:
        raise ValueError("labels is empty; expected the labels to keep, or None for all.")
    return {str(label) for label in labels}


def _guess_format(path):
    """Tell the format of a file by its suffix and contents."""
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        reason = f"the suffix {suffix!r} is of none"
    elif suffix in SUFFIXES:
        reason = "a picture can be dots, one pixel an object, or a label mask, one area an object"
    elif suffix != ".json":
        return _SUFFIXES[suffix][0]  # a table of napari's is told by the reader of tables
    else:
        content = read_json(path)
        if is_labelme(content) != is_coco(content):
            return "labelme" if is_labelme(content) else "coco"
        reason = "expected either the lists 'images' and 'annotations' of COCO, or 'shapes' of LabelMe"
    raise ValueError(
        f"The format of {path} cannot be told: {reason}. Pass format=..., one of {', '.join(_FORMATS)}."
    )


def _keep_labels(image, wanted):
    """Keep the points with the labels that are wanted."""
    if wanted is None:
        return image
    kept = [i for i, label in enumerate(image.labels) if label in wanted]
    origin = image.origin[kept] if isinstance(image.origin, np.ndarray) else image.origin
    return replace(image, points=image.points[kept], labels=[image.labels[i] for i in kept], origin=origin)
