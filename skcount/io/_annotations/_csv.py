"""Format "csv": a table with a row for each point, of one image or of many.

The columns of coordinates are found by their names, or named by `columns`. A column of image names makes it a table of
many images; a column of slice numbers, as ImageJ writes it, makes it a table of a stack.
"""

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import load_table
from skcount.io._annotations._napari import is_napari, read_napari

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
    *("image", "image_name", "imagename", "image name", "img"),
    *("file", "filename", "file_name", "file name"),
)
_SLICE_NAMES = ("slice", "frame")


def read_csv(table, columns=None, image_column=None):
    """Return the points of a table, images in the order in which they first appear."""
    if columns is None and image_column is None and is_napari(table):
        return read_napari(table)
    columns = _find_coordinates(table) if columns is None else [_find(table, name) for name in columns]
    image_column = _find_image(table) if image_column is None else _find(table, image_column)
    points = table.numbers(columns)
    slices = _read_slices(table, image_column)
    if image_column is None:
        return Contents(points, slices=slices, first=1)
    names = _read_names(table, image_column)
    positions = {name: i for i, name in enumerate(dict.fromkeys(names))}
    images = [(name, None) for name in positions]
    return Contents(points, images, [positions[name] for name in names], slices, first=1)


def _find(table, name):
    """Return the position of a column that the user names."""
    if isinstance(name, int):
        n_columns = len(table.header or table.rows[0])
        if not 0 <= name < n_columns:
            raise ValueError(f"columns count from 0 to {n_columns - 1}; got {name}.")
        return name
    found = [i for i, header in enumerate(table.header or ()) if header == name]
    if len(found) != 1:
        raise ValueError(f"one column must be called {name!r}; got {table.describe()}.")
    return found[0]


def _find_coordinates(table):
    lower = [name.lower() for name in table.header or ()]
    pairs = [
        (lower.index(row), lower.index(col)) for row, col in _COORDINATES if row in lower and col in lower
    ]
    if len(pairs) != 1 or any(lower.count(lower[column]) > 1 for column in pairs[0]):
        problem = "several of them may be coordinates" if pairs else "none of them is known as a coordinate"
        raise ValueError(
            f"the table has {table.describe()}; {problem}. Name them as (row column, column column): columns=('y', 'x'), or "
            "by position from 0: columns=(1, 0)."
        )
    return pairs[0]


def _find_image(table):
    header = table.header or []
    found = [
        i for i, name in enumerate(header) if name.lower() in _IMAGE_NAMES or _is_imagej_label(header, i)
    ]
    if len(found) > 1:
        names = ", ".join(repr(header[i]) for i in found)
        raise ValueError(f"several columns may name the image: {names}. Choose one with `image_column`.")
    return found[0] if found else None


def _is_imagej_label(header, column):
    """Return whether a column holds the title of the image, as ImageJ writes it; in other files a label is a class."""
    return header is not None and header[column] == "Label" and {"X", "Y"} <= set(header)


def _read_names(table, column):
    names = [row[column] for row in table.rows]
    if "" in names:
        raise ValueError(f"line {table.lines[names.index('')]}: the column of image names is empty.")
    if _is_imagej_label(table.header, column):  # image:selection, or stack:slice
        return [name.partition(":")[0] for name in names]
    return names


def _read_slices(table, image_column):
    """Return the slice of each point; 0 if there is no such column."""
    chosen = [
        i
        for i, name in enumerate(table.header or ())
        if name.lower() in _SLICE_NAMES and i != image_column and table.rows
    ]
    columns = [table.numbers([i])[:, 0] for i in chosen]
    columns = [column for column in columns if (column != column[0]).any()] or columns[:1]
    if not columns:
        return np.zeros(len(table.rows))
    if len(columns) > 1 or (columns[0] % 1 != 0).any():
        names = ", ".join(repr(table.header[i]) for i in chosen)
        raise ValueError(
            f"slices must be numbered by one column of whole numbers; got {names}. Choose one with `image_column`."
        )
    return columns[0]


CSV = Format(
    "csv", (".csv", ".tsv", ".txt"), load_table, read_csv, "rc", 0, ("columns", "image_column", "slices")
)
