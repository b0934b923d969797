"""`read_points`, and the reader of one file after another that `load_folder` uses."""

import os
from collections import Counter
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, Options, StrOptions, validate_params

from skcount.io._annotations._contents import assign, split
from skcount.io._annotations._fields import check_fields, keep_where
from skcount.io._annotations._formats import FORMATS, OPTIONS, load_content
from skcount.io._annotations._match import check_duplicates, check_inside, check_shapes, pair_by_name
from skcount.io._annotations._units import RELATIVE, check_unit, to_pixels
from skcount.points import PointAnnotations

_NUMBER = Interval(Real, None, None, closed="neither")

# Parameters for reading a file, which `load_folder` passes on.
READ_PARAMETERS = {
    "format": [StrOptions(set(FORMATS)), None],
    "order": [StrOptions({"xy", "rc"}), None],
    "origin": [_NUMBER, None],
    "scale": [Interval(Real, 0, None, closed="neither"), None],
    "unit": [StrOptions({"pixel", *RELATIVE}), None],
    "labels": [str, int, Iterable, None],
    "label_column": [str, int, None],
    "where": [dict, None],
    "ignore": [str, list, tuple, set, None],
    "slices": [StrOptions({"split", "merge"}), None],
    "slice_column": [str, int, None],
    "first": [Options(Integral, {0, 1}), None],
    "columns": [tuple, list, None],
    "image_column": [str, int, None],
    "keypoints": [StrOptions({"objects", "parts"}), None],
    "variable": [str, None],
    "threshold": [_NUMBER, None],
    "touching": [StrOptions({"join", "separate"}), None],
    "channel": [Interval(Integral, 0, None, closed="left"), None],
}
# Parameters that no reader gets, because they apply to all formats alike.
_SHARED = {"labels", "label_column", "where", "ignore", "slices", "slice_column", "first", "unit"}
_MOST_CLASSES = 10  # more labels, none of them twice in an image, number the objects
# Parameters for images and points that do not match.
MATCH_PARAMETERS = {
    "missing": [StrOptions({"raise", "empty"})],
    "extra": [StrOptions({"raise", "ignore"})],
    "outside": [StrOptions({"raise", "warn", "ignore"})],
    "duplicates": [StrOptions({"keep", "drop"}), None],
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
    scale=None,
    unit=None,
    labels=None,
    label_column=None,
    where=None,
    ignore=None,
    slices=None,
    slice_column=None,
    first=None,
    columns=None,
    image_column=None,
    keypoints=None,
    variable=None,
    threshold=None,
    touching=None,
    channel=None,
    names=None,
    missing="raise",
    extra="raise",
    image_shape=None,
    outside="raise",
    duplicates=None,
):
    r"""Read points from a file of the tool with which they were annotated.

    Coordinates become (row, col) in pixels, with (0, 0) for the centre of the top-left pixel, by the rules of each
    format; `order`, `origin`, `scale` and `unit` override them. No point is dropped silently, and nothing that could tell
    images, slices, classes, annotators or units apart is ignored silently: the error names the argument that settles it.

    Parameters
    ----------
    path : str or path-like
        The file, with the points of one image or of many.
    format : str or None, default=None
        If None, find the format by suffix and content. Pictures need it.

        - "csv": a table separated by commas, semicolons or tabs, with a row for each point or box.
        - "napari": CSV of a points layer, of one image or of a stack.
        - "imagej": point and multi-point selections, ``.roi`` or ``.zip``, and the overlay inside a ``.tif``.
        - "cell_counter": XML of the Cell Counter plugin.
        - "cvat": XML of CVAT, for images or for video; points, and boxes and ellipses by their centre.
        - "voc": XML of Pascal VOC, as LabelImg writes it; the centres of boxes.
        - "coco": JSON; the keypoint of an annotation if it has one, otherwise the centre of its box.
        - "labelme": JSON; points, and circles and rectangles by their centre.
        - "label_studio": JSON or JSON-MIN; keypoints, and rectangles and ellipses by their centre.
        - "via": JSON of the VGG Image Annotator; points, and other shapes but polygons by their centre.
        - "via_csv": CSV of the VGG Image Annotator.
        - "geojson": QuPath; points, and detections by the centre of mass of their outline.
        - "supervisely": JSON; points, and rectangles by their centre.
        - "zooniverse": the classification export, as CSV.
        - "yolo": text with the centres of boxes in fractions of the image's size.
        - "jhu": text of JHU-Crowd++.
        - "nwpu": JSON of NWPU-Crowd.
        - "mat": MATLAB matrices of shape (n_points, 2).
        - "dots": a picture in which each pixel that is not black is one object.
        - "mask": a picture in which each object is an area of its own value.
    order : {"xy", "rc"} or None, default=None
        "xy" if the first coordinate counts columns, "rc" if it counts rows. If None, "rc" for napari and for CSV, whose
        columns are found by name or given by `columns`, and "xy" for all others.
    origin : float or None, default=None
        Coordinate of the centre of the top-left pixel in the file: 0 or 1 if pixels are numbered, 0.5 if the corner of
        the image is 0. If None, the rule of the format: 1 for MATLAB, 0.5 for boxes, fractions, and tools that measure
        from the corner (LabelMe, CVAT, Label Studio, QuPath, Zooniverse), and 0 for all others.
    scale : float or None, default=None
        Size of a pixel in the unit of the file, such as 0.325 for coordinates in microns. Coordinates are divided by it.
        If None, 1.
    unit : {"pixel", "fraction", "percent"} or None, default=None
        Unit of the coordinates of a table: pixels, fractions (0 to 1) or percentages of the image's size. If None,
        pixels, and coordinates are rejected if all of them lie where other units would be.
    labels : str, int, sequence of them, or None, default=None
        Keep only the points with these labels; "*" means all of them. If None, points must have one label.
    label_column : str, int or None, default=None
        The column or field that holds the labels. If None, use the labels of the format, and in tables the column
        that is called class, label, category, species or similar.
    where : dict or None, default=None
        Keep only the points whose fields have these values: ``{"annotator": "anna"}``, or a list of values.
    ignore : str, sequence of str, or None, default=None
        Columns or fields that vary and that all points are counted regardless of.
    slices : {"split", "merge"} or None, default=None
        "split": each slice of a stack is one image; "merge": all slices are one image, in which they are channels or
        focal planes. If None, split if the points are on several slices.
    slice_column : str, int or None, default=None
        The column or field that numbers slices or frames. If None, find it by its usual names.
    first : {0, 1} or None, default=None
        The number of the first image or slice in the file. If None, the rule of the format; tables may use either.
    columns : (row, col), (top, left, bottom, right), or None, default=None
        The columns of a CSV file that hold the coordinates, by name or by position from 0. If None, find them by their usual
        names.
    image_column : str, int or None, default=None
        The column of image names in a CSV file. If None, find it by its usual names; without one, all points belong to
        one image.
    keypoints : {"objects", "parts"} or None, default=None
        Whether several keypoints of one annotation of COCO are objects or the parts of one object. If None, there must
        not be several.
    variable : str or None, default=None
        The variable of a MATLAB file, with its field: "frame.loc". If None, use the only one that can be points.
    threshold : float or None, default=None
        In dot images, a pixel is a dot if its brightest channel is above this value. If None, 0. JPEG needs it.
    touching : {"join", "separate"} or None, default=None
        Whether touching pixels of a dot image are one dot or several. If None, several, and rejected if most pixels touch.
    channel : int or None, default=None
        The channel of a label mask that holds the labels, from 0. If None, the only one that is not constant.
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
    duplicates : {"keep", "drop"} or None, default=None
        What to do with points that lie exactly on another point of their image. If None, a few cause a warning, and
        one in ten an error.

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
        labels : dict of str to int
            The number of points with each label in the file, those that were left out too.

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
        If a point is outside its image and ``outside="warn"``, if a few points lie on others, or if all of many points
        lie in one part of their images.

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
    reader = PointReader(
        format,
        order=order,
        origin=origin,
        scale=scale,
        unit=unit,
        labels=labels,
        label_column=label_column,
        where=where,
        ignore=ignore,
        slices=slices,
        slice_column=slice_column,
        first=first,
        columns=columns,
        image_column=image_column,
        keypoints=keypoints,
        variable=variable,
        threshold=threshold,
        touching=touching,
        channel=channel,
    )
    if isinstance(names, str):
        raise ValueError(f"`names` must be a list of names; got {names!r}. Pass [{names!r}].")
    path = Path(os.path.expanduser(path))
    reading = reader.read(path)
    labels = reader.check_all([reading], path)
    images = reading.images
    if names is not None:
        images = pair_by_name(images, [str(name) for name in names], missing, extra, path)
    elif not images:
        raise ValueError(f"{path} has no points and names no image. Pass `names` and missing='empty'.")
    shapes = check_shapes(images, image_shape, path)
    images = reader.finish(images, shapes, path, reading, outside, duplicates)
    return Bunch(
        points=PointAnnotations([image.points for image in images]),
        names=[image.name for image in images],
        image_shapes=shapes,
        labels=labels,
    )


class Reading(NamedTuple):
    """The images read from a file, and how they were read."""

    images: list  # of ImagePoints
    labels: dict  # label -> number of points, with labels that have no points
    has_identifiers: bool  # whether labels number the objects
    fields: set  # the names of all fields
    is_numbered: bool  # whether images have numbers for names
    first: int | None  # the number of the first image, None if 0 and 1 are both possible
    order: str | None
    origin: float | None


class PointReader:
    """Reader of files of points; the parameters are those of `read_points`, already checked with `READ_PARAMETERS`."""

    def __init__(self, format=None, *, order=None, origin=None, scale=None, **options):  # noqa: A002
        unknown = sorted(options.keys() - OPTIONS)
        if unknown:
            raise TypeError(f"There is no parameter {', '.join(map(repr, unknown))}; see read_points.")
        self.format, self.order, self.origin, self.scale = format, order, origin, scale
        self.options = {name: value for name, value in options.items() if value is not None}
        _check_columns(**self.options)
        self.labels = _check_labels(self.options["labels"]) if "labels" in self.options else None
        ignore = self.options.get("ignore", ())
        self.ignore = {ignore} if isinstance(ignore, str) else {str(name) for name in ignore}
        if format is not None:
            self._check_use(FORMATS[format], f"format={format!r}")

    def read(self, path):
        """Read a file."""
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}.")
        form, content = load_content(path, self.format, self.options.keys())
        self._check_use(form, f"{path}, which is of format={form.name!r}")
        own = {name: value for name, value in self.options.items() if name not in _SHARED}
        with _naming(path):
            contents = self._interpret(form.read(content, **own))
            images, owners, is_numbered = assign(contents, path.stem, self.options.get("slices"))
            check_fields(contents, owners, self.ignore, self.options.get("slices"), form.options)
            kept = self._find_kept(contents)
            points, relative = self._to_pixels(contents, form, kept)
        labels = Counter(contents.labels or ())
        return Reading(
            split(points, owners[kept], images, relative),
            dict.fromkeys(contents.known_labels, 0) | labels,
            _has_identifiers(contents, owners),
            {*contents.fields, contents.label_field, contents.slice_field},
            is_numbered,
            self.options.get("first", contents.first),
            self.order or form.order,
            form.origin if self.origin is None else self.origin,
        )

    def check_all(self, readings, what):
        """Check options against all files together, and return the number of points with each label."""
        labels = Counter()
        for reading in readings:
            labels.update(reading.labels)
        unknown = (self.labels or set()) - labels.keys() - {"*"}
        if unknown:
            raise ValueError(
                f"`labels` must be among {', '.join(map(repr, sorted(labels))) or 'none'}, the labels in {what}; got "
                f"{', '.join(map(repr, sorted(unknown)))}."
            )
        present = {label: count for label, count in labels.items() if count}
        if all(reading.has_identifiers for reading in readings):
            labels = {}
        elif self.labels is None and len(present) > 1:
            found = ", ".join(f"{label!r}: {count}" for label, count in list(present.items())[:_MOST_CLASSES])
            some = next(iter(present))
            raise ValueError(
                f"The points of {what} have {len(present)} labels ({found}). Pass labels={some!r} or a list of labels to "
                "count only these, or labels='*' to count all points."
            )
        absent = self.ignore - set().union(*(reading.fields for reading in readings))
        if absent:
            raise ValueError(
                f"`ignore` must name columns or fields of {what}; got {', '.join(map(repr, sorted(absent)))}."
            )
        return dict(labels)

    def finish(self, images, shapes, what, reading, outside, duplicates):
        """Return the `ImagePoints` in pixels, checked against the sizes of the images and against each other."""
        images = to_pixels(images, shapes, what)
        check_inside(images, shapes, outside, what, reading.order, reading.origin)
        if reading.order is not None and self.scale is None and "unit" not in self.options:
            check_unit(images, shapes, what)
        return check_duplicates(images, duplicates, what)

    def _check_use(self, form, what):
        """Reject arguments that a format does not have."""
        unused = self.options.keys() - form.options
        if form.order is None:
            unused |= {name for name in ("order", "origin", "scale") if getattr(self, name) is not None}
        if form.order is not None and self.options.get("unit") == "pixel":
            unused.discard("unit")  # says that all is well
        if unused:
            raise ValueError(
                f"{', '.join(sorted(unused))} cannot be used with {what}. Leave it out, or choose another format."
            )

    def _interpret(self, contents):
        """Return the contents with the fields that the user chose as labels and slices, and only the points `where`."""
        if "label_column" in self.options:
            contents = contents.with_labels(str(self.options["label_column"]))
        if "slice_column" in self.options:
            contents = contents.with_slices(str(self.options["slice_column"]))
        if "first" in self.options:
            contents = replace(contents, first=self.options["first"])
        return keep_where(contents, self.options["where"]) if "where" in self.options else contents

    def _find_kept(self, contents):
        """Return a boolean array of the rows with a requested label; all of them must be points."""
        kept = np.ones(len(contents.points), dtype=bool)
        if self.labels is not None and "*" not in self.labels:
            kept = np.array([label in self.labels for label in contents.labels or ()], dtype=bool)
        kinds = {kind for kind, is_kept in zip(contents.kinds, kept, strict=False) if is_kept and kind}
        if kinds:
            raise ValueError(
                f"shapes must be points; got {', '.join(sorted(kinds))}. Choose the labels of the points with "
                "`labels`, or export outlines as COCO, whose boxes are read by their centre."
            )
        return kept

    def _to_pixels(self, contents, form, kept):
        """Return the points that are kept as (row, col), and the origin of fractions; None if they are in pixels."""
        points = np.asarray(contents.points, dtype=np.float64).reshape(-1, 2)[kept]
        if not np.isfinite(points).all():
            first = points[~np.isfinite(points).all(axis=1)][0]
            raise ValueError(f"coordinates must be finite; got {first.tolist()}. Correct the file.")
        if form.order is None:
            return points, None
        unit = self.options.get("unit", contents.unit)
        is_swapped = (self.order or form.order) == "xy"
        if unit in RELATIVE:
            points = points / RELATIVE[unit] / (self.scale or 1)
            return points[:, ::-1] if is_swapped else points, 0.5 if self.origin is None else self.origin
        if unit != "pixel" and self.scale is None:
            raise ValueError(
                f"coordinates must be in pixels; got the unit {unit}. Pass `scale`, the size of a pixel in {unit}."
            )
        origin = self.origin
        if origin is None:
            origin = form.origin if contents.origins is None else np.reshape(contents.origins, (-1, 1))[kept]
        points = points / (self.scale or 1) - origin
        return points[:, ::-1] if is_swapped else points, None


@contextmanager
def _naming(path):
    """Put the name of a file in front of the message of an error."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _has_identifiers(contents, owners):
    """Return whether labels number the objects: many of them, and none twice in an image."""
    if contents.has_identifiers is not None:
        return contents.has_identifiers
    labels = contents.labels or ()
    return len(set(labels)) > _MOST_CLASSES and len(set(zip(owners.tolist(), labels, strict=True))) == len(
        owners
    )


def _check_columns(columns=(0, 0), image_column=0, **_):
    if len(columns) not in {2, 4} or not all(_is_column(column) for column in columns):
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
