"""`save_points`, the inverse of `read_points`: CSV that napari or ImageJ can open, and GeoJSON for maps."""

import csv
import json
import os
from collections.abc import Iterable
from io import StringIO

from sklearn.utils._param_validation import StrOptions, validate_params

from skcount._files import check_target, replacing
from skcount.io._geo import GeoTransform, to_geojson
from skcount.points import check_points


@validate_params(
    {
        "path": [str, os.PathLike],
        "points": "no_validation",
        "names": [Iterable, None],
        "format": [StrOptions({"napari", "imagej", "geojson"})],
        "geo": [list, tuple, None],
    },
    prefer_skip_nested_validation=True,
)
def save_points(path, points, names=None, *, format="napari", geo=None):  # noqa: A002 - the word that users look for
    """Write points to a CSV file that napari or ImageJ can open and :func:`read_points` reads back, or as GeoJSON.

    The file appears under its name only when it is complete and on the disk. An existing file is replaced.

    Parameters
    ----------
    path : str or path-like
        Name of the file.
    points : PointAnnotations, or sequence of array-like of shape (n_points, 2)
        The points of each image as (row, col) in pixels. The points of a single image need their sample axis:
        ``[points]``.
    names : sequence of str or None, default=None
        Names of the images, for ImageJ. If None, images are numbered as slices of a stack.
    format : {"napari", "imagej", "geojson"}, default="napari"
        - "napari": the columns ``index``, ``axis-0`` and ``axis-1`` of a points layer; with several images ``axis-0``
          is the number of the image from 0, as for a stack.
        - "imagej": a results table with the columns ``X`` and ``Y``; with names also ``Label``, and with several images
          without names ``Slice``, from 1.
        - "geojson": points in the coordinates of a map, for QGIS and others, with the name of the image; needs `geo`.
    geo : sequence of GeoTransform, or None, default=None
        The place of each image, from :func:`load_folder`, for "geojson". All must have one coordinate system.

    Raises
    ------
    ValueError
        If there are no images, the points are not as described, or `names` are not one different name per
        image, valid as a label of ImageJ: not empty, without a colon, line breaks, or leading or trailing blanks.
    FileNotFoundError
        If the folder does not exist.

    See Also
    --------
    read_points : Read the file again. Images without points are not in it, so pass their names there.

    Notes
    -----
    napari opens the file as a points layer by drag and drop. ImageJ opens it as a table. This macro puts its points on
    the image: ``makeSelection("points", Table.getColumn("X"), Table.getColumn("Y"))``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skcount.io import read_points, save_points
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "cells.csv"
    >>> save_points(path, [[(2, 10), (4.5, 4)]])
    >>> print(path.read_text())
    index,axis-0,axis-1
    0,2.0,10.0
    1,4.5,4.0
    >>> read_points(path).points[0]
    array([[ 2. , 10. ],
           [ 4.5,  4. ]])
    >>> folder.cleanup()
    """
    points = check_points(points)
    if not len(points):
        raise ValueError("`points` must have at least one image; got none.")
    names = check_names(names, len(points), format)
    text = StringIO(newline="")
    if format == "geojson":
        json.dump(to_geojson(points, names, _check_geo(geo, len(points))), text)
    else:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows(_napari_rows(points) if format == "napari" else _imagej_rows(points, names))
    with replacing(check_target(path)) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def check_names(names, n_images, format):  # noqa: A002
    """Return names as text; reject those that a file of the format cannot hold."""
    if names is None:
        return None
    if format == "napari":
        raise ValueError(
            "`names` cannot be written for napari, which only has the number of an image; use format='imagej'."
        )
    names = [str(name) for name in names]
    if len(names) != n_images or len(set(names)) != n_images:
        raise ValueError(f"`names` must be {n_images} different names, one per image; got {names!r:.80}.")
    for name in names:
        if not _is_text(name):
            raise ValueError(f"`names` must be text that UTF-8 can hold; got {name!a}. Rename the file.")
    for name in names if format == "imagej" else ():
        if not name or name != name.strip() or ":" in name or "\0" in name or len(name.splitlines()) > 1:
            raise ValueError(
                f"`names` must not be empty or have colons, line breaks, or blanks at the start or end; got {name!r}. "
                "ImageJ ends a label at a colon."
            )
    return names


def _is_text(name):
    """Return whether a name has no bytes that are not UTF-8, which Python keeps as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_geo(geo, n_images):
    """Return the place of each image; reject images without one, and several coordinate systems."""
    if geo is None or len(geo) != n_images or not all(isinstance(each, GeoTransform) for each in geo):
        n_known = sum(isinstance(each, GeoTransform) for each in geo or ())
        raise ValueError(
            f"`geo` must be the GeoTransform of each of the {n_images} images; got {n_known}. Read GeoTIFF pictures with "
            "load_folder, and pass its `geo`."
        )
    systems = {each.epsg for each in geo}
    if len(systems) > 1:
        raise ValueError(f"`geo` must have one coordinate system; got EPSG {', '.join(map(str, systems))}.")
    return geo


def _napari_rows(points):
    several = len(points) > 1
    yield ["index", "axis-0", "axis-1", *["axis-2"] * several]
    rows = ((number, row, col) for number, array in enumerate(points) for row, col in array.tolist())
    yield from ([index, *(cells if several else cells[1:])] for index, cells in enumerate(rows))


def _imagej_rows(points, names):
    several = names is not None or len(points) > 1
    yield [" ", *["Label" if names else "Slice"] * several, "X", "Y"]
    names = names or range(1, len(points) + 1)
    rows = (
        (name, col, row) for name, array in zip(names, points, strict=True) for row, col in array.tolist()
    )
    yield from ([index, *(cells if several else cells[1:])] for index, cells in enumerate(rows, start=1))
