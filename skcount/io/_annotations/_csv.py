"""Format "csv": a table with a row for each point, of one image or of many.

Columns of coordinates are guessed by their names, or named by `columns`. A column of image names makes it a
table of many images; a column of slice numbers, as ImageJ writes it, one of a stack.
"""

import numpy as np

from skcount.io._annotations._contents import Contents, ImagePoints, by_slice
from skcount.io._annotations._napari import is_napari, read_napari
from skcount.io._annotations._table import read_numbers, read_table

__all__ = ["read_csv"]

# (row, col) by the names that programs give them, in lower case.
_COORDINATES = [
    ("row", "col"),
    ("row", "column"),
    ("rows", "cols"),
    ("y", "x"),
    ("pos_y", "pos_x"),
    ("position_y", "position_x"),  # TrackMate
    ("centroid-0", "centroid-1"),  # scikit-image
    ("centroid_y", "centroid_x"),
    ("y_centroid", "x_centroid"),
    ("ycentroid", "xcentroid"),  # photutils
    ("center_y", "center_x"),
    ("location_center_y", "location_center_x"),  # CellProfiler
    ("ym", "xm"),  # ImageJ's centre of mass
]
_IMAGE_NAMES = (
    "image",
    "image_name",
    "imagename",
    "image name",
    "img",
    "file",
    "filename",
    "file_name",
    "file name",
)
_SLICE_NAMES = ("slice", "frame")


def read_csv(path, columns=None, image_column=None, slices=None):
    """Read a table of points.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    columns : (str or int, str or int) or None, default=None
        The columns of row and column, by name or by position from 0; None guesses by name.
    image_column : str, int or None, default=None
        The column of image names; None guesses by name.
    slices : {"split", "merge"} or None, default=None
        Whether the slices of a stack are images of their own, see :func:`by_slice`.

    Returns
    -------
    Contents
        Points as (row, col), in the order in which images first appear.

    Raises
    ------
    ValueError
        If the columns are not found or could be several, or a cell is not what its column needs.
    """
    table = read_table(path)
    if columns is None and image_column is None and is_napari(table):
        return read_napari(path, slices)
    columns = _guess_coordinates(table) if columns is None else [_find(table, name) for name in columns]
    image_column = _guess_image(table) if image_column is None else _find(table, image_column)
    points = read_numbers(table, columns)
    numbers = _slice_numbers(table, image_column)
    if image_column is None:
        return by_slice(path, points, numbers, slices)
    return _by_image(table, image_column, points, numbers, slices)


def _find(table, name):
    """Position of a column that the user names."""
    if isinstance(name, int):
        n_columns = len(table.header or table.rows[0])
        if not 0 <= name < n_columns:
            raise ValueError(
                f"{table.path} has {n_columns} columns; there is no column {name}, counted from 0."
            )
        return name
    found = [i for i, header in enumerate(table.header or ()) if header == name]
    if len(found) != 1:
        raise ValueError(
            f"{table.path} has {table.describe_columns()}; expected one column {name!r}, found {len(found)}."
        )
    return found[0]


def _guess_coordinates(table):
    lower = [name.lower() for name in table.header or ()]
    pairs = [
        (lower.index(row), lower.index(col)) for row, col in _COORDINATES if row in lower and col in lower
    ]
    if len(pairs) != 1 or any(lower.count(lower[column]) > 1 for column in pairs[0]):
        problem = "which of them are the coordinates cannot be told" if pairs else "none of them is known"
        raise ValueError(
            f"{table.path} has {table.describe_columns()}; {problem}. Name them: columns=(row column, column column), for "
            "example columns=('y', 'x'), or by position from 0: columns=(1, 0)."
        )
    return pairs[0]


def _guess_image(table):
    header = table.header or []
    found = [
        i for i, name in enumerate(header) if name.lower() in _IMAGE_NAMES or name == _imagej_label(header)
    ]
    if len(found) > 1:
        names = ", ".join(repr(header[i]) for i in found)
        raise ValueError(
            f"{table.path} has several columns that may name the image: {names}. Choose by image_column=..."
        )
    return found[0] if found else None


def _imagej_label(header):
    """The column in which ImageJ writes the title of the image; elsewhere a label is a class."""
    return "Label" if {"X", "Y"} <= set(header) else None


def _slice_numbers(table, image_column):
    """The slice of each row, from 1; 0 where there is no column that tells."""
    chosen = [
        i
        for i, name in enumerate(table.header or ())
        if name.lower() in _SLICE_NAMES and i != image_column and table.rows
    ]
    numbers = [read_numbers(table, [i])[:, 0] for i in chosen]
    numbers = [column for column in numbers if (column != column[0]).any()] or numbers[:1]
    if not numbers:
        return np.zeros(len(table.rows))
    if len(numbers) > 1 or (numbers[0] % 1 != 0).any():
        raise ValueError(
            f"{table.path} numbers slices by {table.header[chosen[0]]!r} and others; expected one column of whole numbers. "
            "Choose by image_column=..."
        )
    return numbers[0]


def _by_image(table, image_column, points, numbers, slices):
    cells = table.column(image_column)
    if "" in cells:
        raise ValueError(
            f"{table.path}, line {table.lines[cells.index('')]}: the column of image names is empty."
        )
    if table.header and table.header[image_column] == _imagej_label(table.header):
        cells = [cell.partition(":")[0] for cell in cells]  # image:selection, or stack:slice
    rows = {}
    for row, name in enumerate(cells):
        rows.setdefault(name, []).append(row)
    of_a_stack = slices != "merge" and any(
        (numbers[chosen] != numbers[chosen[0]]).any() for chosen in rows.values()
    )
    if len(rows) == 1 and (of_a_stack or slices == "split"):
        return by_slice(table.path, points, numbers, slices)
    if of_a_stack:
        raise ValueError(
            f"{table.path} names several images, and one of them has points on several slices; expected images or a stack. "
            "slices='merge' joins the slices of each image."
        )
    return Contents([ImagePoints(name, points[chosen]) for name, chosen in rows.items()])
