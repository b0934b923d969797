"""Format "csv": a table with a row for each point, of one image or of many.

The columns of coordinates are found by their names, or named by `columns`. A column of image names makes it a table of
many images; a column of slice or frame numbers makes it a table of a stack. Columns `xmin, ymin, xmax, ymax` are boxes,
whose centres are the points. All other columns are kept as fields.
"""

import re
from dataclasses import replace

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import load_table
from skcount.io._annotations._napari import is_napari, read_napari

# (row, col) by the names that programs give them, as `_plain` writes names.
_COORDINATES = [
    *(("row", "col"), ("row", "column"), ("rows", "cols"), ("y", "x")),
    *(("pos_y", "pos_x"), ("y_pos", "x_pos"), ("coord_y", "coord_x"), ("y_coord", "x_coord")),
    ("position_y", "position_x"),  # TrackMate
    *(
        ("centroid_0", "centroid_1"),
        ("centroid_1", "centroid_2"),
    ),  # scikit-image, of an image and of a volume
    *(("centroid_y", "centroid_x"), ("centroid_row", "centroid_col")),
    *(("y_centroid", "x_centroid"), ("ycentroid", "xcentroid")),  # photutils
    *(("center_y", "center_x"), ("y_center", "x_center"), ("cy", "cx")),
    ("location_center_y", "location_center_x"),  # CellProfiler
    ("ym", "xm"),  # ImageJ's centre of mass
]
# (top, left, bottom, right) of boxes.
_BOXES = [
    *(("ymin", "xmin", "ymax", "xmax"), ("y_min", "x_min", "y_max", "x_max"), ("y1", "x1", "y2", "x2")),
    *(("top", "left", "bottom", "right"), ("min_row", "min_col", "max_row", "max_col")),
    ("bbox_0", "bbox_1", "bbox_2", "bbox_3"),  # scikit-image
]
_IMAGE_NAMES = (
    *(
        "image",
        "image_name",
        "imagename",
        "img",
        "image_path",
        "imagepath",
        "image_file",
        "image_filename",
        "img_name",
    ),
    *("file", "filename", "file_name", "path", "picture", "photo", "image_id", "imageid"),
)
_SLICE_NAMES = ("slice", "frame", "imagenumber", "image_number")
_LABEL_NAMES = (
    *(
        "class",
        "label",
        "category",
        "species",
        "counter",
        "type",
        "classification",
        "class_name",
        "category_name",
    ),
    *("label_name", "tool_label"),
)
_NUMBERING = {
    "POSITION_X",
    "centroid-0",
}  # of TrackMate and scikit-image, whose label is the number of an object
# A unit at the end of the name of a column, as in "Centroid X µm" or "x [px]".
_UNIT = re.compile(r"(.+?)[\s_\[(]+(px|pixels?|[µμu]m|microns?|mm|cm|nm|inch|in|percent|%|deg|degrees)[\])]?")
_PIXELS = {"px", "pixel", "pixels"}


def read_csv(table, columns=None, image_column=None):
    """Return the points of a table, images in the order in which they first appear."""
    if columns is None and image_column is None and is_napari(table):
        return read_napari(table)
    table, unit = _without_trackmate_units(table)
    if columns is None:
        columns, unit = _find_coordinates(table, unit)
    else:
        columns = [_find(table, name) for name in columns]
        _check_corners(table, columns)
    image_column = _find_image(table) if image_column is None else _find(table, image_column)
    numbers = table.numbers(columns)
    is_box = len(columns) == 4
    points = (numbers[:, :2] + numbers[:, 2:]) / 2 if is_box else numbers
    used = {*columns, image_column}
    slices, slice_column, first = _read_slices(table, used)
    labels, label_column = _read_labels(table, used | {slice_column})
    used |= {slice_column, label_column}
    rest = [column for column in range(table.n_columns) if column not in used]
    contents = Contents(
        points,
        slices=slices,
        slice_field=table.name(slice_column),
        first=first,
        labels=labels,
        known_labels=labels or (),
        label_field=table.name(label_column),
        origins=[0.5] * len(points) if is_box else None,
        unit=unit,
        fields={table.name(column): [row[column] for row in table.rows] for column in rest},
        meanings=_find_meanings(table, columns),
    )
    if image_column is None:
        return contents
    names = _read_names(table, image_column)
    positions = {name: i for i, name in enumerate(dict.fromkeys(names))}
    images = [(name, None) for name in positions]
    return replace(contents, images=images, owners=[positions[name] for name in names])


def _plain(name):
    """Return the name of a column in lower case, with words joined by "_", and its unit or None."""
    match = _UNIT.fullmatch(name.lower())
    name, unit = match.groups() if match and match[1] else (name.lower(), None)
    return re.sub(r"[\s.\-]+", "_", name.strip()), unit


def _plain_names(table):
    """Return the plain names of all columns, without their units."""
    return [_plain(name)[0] for name in table.header or ()]


def _find(table, name):
    """Return the position of a column that the user names."""
    if isinstance(name, int):
        n_columns = table.n_columns
        if not 0 <= name < n_columns:
            raise ValueError(f"columns count from 0 to {n_columns - 1}; got {name}.")
        return name
    found = [i for i, header in enumerate(table.header or ()) if header == name]
    if len(found) != 1:
        raise ValueError(f"one column must be called {name!r}; got {table.describe()}.")
    return found[0]


def _find_coordinates(table, unit):
    """Return the positions of (row, col) or (top, left, bottom, right), and their unit."""
    plain = [_plain(name) for name in table.header or ()]
    names = [name for name, _ in plain]
    found = [group for group in (*_COORDINATES, *_BOXES) if set(group) <= set(names)]
    if ("centroid_1", "centroid_2") in found:
        found.remove(("centroid_0", "centroid_1"))
    if len(found) > 1 and len(found[1]) == 4 and set(found[0]) != {"x", "y"}:
        found = found[:1]  # centres, with the boxes that they are the centres of
    if len(found) != 1 or any(names.count(name) > 1 for name in found[0]):
        problem = "several of them may be coordinates" if found else "none of them is known as a coordinate"
        raise ValueError(
            f"the table has {table.describe()}; {problem}. Name them as (row column, column column): columns=('y', 'x'), or "
            "columns=(1, 0) by position; boxes as columns=(top, left, bottom, right)."
        )
    columns = [names.index(name) for name in found[0]]
    units = {plain[column][1] for column in columns} - {None}
    if len(units) > 1:
        raise ValueError(
            f"the coordinates must have one unit; got {', '.join(sorted(units))}. Convert the table."
        )
    own = next(iter(units), None)
    return columns, unit if own is None else "pixel" if own in _PIXELS else "percent" if own == "%" else own


def _check_corners(table, columns):
    """Reject two columns that are the corner of a box whose other corner is in the table."""
    names = _plain_names(table)
    for box in _BOXES:
        if set(box) <= set(names) and len(columns) == 2:
            corners = [names.index(name) for name in box]
            if set(columns) in ({corners[0], corners[1]}, {corners[2], corners[3]}):
                whole = tuple(table.header[corner] for corner in corners)
                raise ValueError(
                    f"{whole[0]!r} and {whole[1]!r} are a corner of a box. Pass columns={whole!r} for centres."
                )


def _find_meanings(table, columns):
    """Return what columns mean whose names alone do not tell it."""
    names = _plain_names(table)
    meanings = {}
    if "centroid_2" in names:
        meanings[table.header[names.index("centroid_0")]] = "slice"
    is_corner = (
        len(columns) == 2
        and {names[column] for column in columns if names} == {"x", "y"}
        and "bx" not in names
    )
    for pair in (("w", "h"), ("width", "height")) if is_corner else ():
        if set(pair) <= set(names):
            meanings |= {table.header[names.index(name)]: "box" for name in pair}
    return meanings


def _find_image(table):
    header = table.header or []
    found = [
        i for i, name in enumerate(_plain_names(table)) if name in _IMAGE_NAMES or _is_imagej_label(header, i)
    ]
    kept = [i for i in found if len({row[i] for row in table.rows}) > 1] or found
    if len(kept) > 1:
        names = ", ".join(repr(header[i]) for i in kept)
        raise ValueError(f"several columns may name the image: {names}. Choose one with `image_column`.")
    return kept[0] if kept else None


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


def _read_slices(table, used):
    """Return the slice of each point, its column and the number of the first slice; None if it is not known."""
    chosen = [i for i, name in enumerate(_plain_names(table)) if name in _SLICE_NAMES and i not in used]
    if chosen and not table.rows:
        return np.empty(0), chosen[0], None
    columns = [(i, table.numbers([i])[:, 0]) for i in chosen]
    columns = [(i, numbers) for i, numbers in columns if (numbers != numbers[0]).any()] or columns[:1]
    if not columns:
        return None, None, None
    if len(columns) > 1 or (columns[0][1] % 1 != 0).any():
        names = ", ".join(repr(table.header[i]) for i in chosen)
        raise ValueError(
            f"slices must be numbered by one column of whole numbers; got {names}. Choose one with `image_column`."
        )
    column, numbers = columns[0]
    is_imagej = table.header[column] in {"Slice", "Frame"} and {"X", "Y"} <= set(table.header)
    if is_imagej and (numbers > 0).all():
        return numbers, column, 1
    if table.header[column] == "FRAME" and "POSITION_X" in table.header:  # TrackMate
        return numbers, column, 0
    return numbers, column, None if numbers.min() else 0


def _read_labels(table, used):
    """Return the label of each point and its column; None if no column is called like a label, or several are."""
    header = table.header or ()
    if not _NUMBERING.isdisjoint(header):
        return None, None
    chosen = [i for i, name in enumerate(_plain_names(table)) if name in _LABEL_NAMES and i not in used]
    varying = [i for i in chosen if len({row[i] for row in table.rows}) > 1] or chosen[:1]
    if len(varying) != 1:
        return None, None
    return [row[varying[0]] for row in table.rows], varying[0]


def _without_trackmate_units(table):
    """Drop the three further lines of names and units of TrackMate 7, and return the unit of the coordinates."""
    if "POSITION_X" not in (table.header or ()):
        return table, "pixel"
    column = table.header.index("POSITION_X")
    head = [row[column] for row in table.rows[:3]]
    n_extra = next((i for i, cell in enumerate(head) if re.match(r"[-+.\d]", cell)), len(head))
    unit = head[n_extra - 1].strip("()").lower() if n_extra else "pixel"
    rest = table._replace(rows=table.rows[n_extra:], lines=table.lines[n_extra:])
    return rest, "pixel" if unit in _PIXELS or not unit else unit


CSV = Format(
    "csv",
    (".csv", ".tsv", ".txt"),
    load_table,
    read_csv,
    "rc",
    0,
    (
        "columns",
        "image_column",
        "slices",
        "slice_column",
        "labels",
        "label_column",
        "where",
        "ignore",
        "first",
        "unit",
    ),
)
