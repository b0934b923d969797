"""Formats of .txt files without a header, one per image, with numbers separated by blanks.

"yolo": ``class x y width height [confidence]``, the centres of boxes in fractions of the image's size.
"jhu": ``x y width height occlusion blur``, the heads of JHU-Crowd++ in pixels.
"""

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import load_table


def _is_yolo(table):
    """Return whether a table holds whole numbers and then fractions; it may be empty."""
    numbers = _numbers(table, {5, 6})
    return numbers is not None and bool(
        (numbers[:, :1] % 1 == 0).all() and (numbers[:, 1:] >= 0).all() and (numbers[:, 1:] <= 1).all()
    )


def _is_jhu(table):
    """Return whether a table holds six whole numbers in each row; it may be empty."""
    numbers = _numbers(table, {6})
    return numbers is not None and bool((numbers % 1 == 0).all()) and not (len(numbers) and _is_yolo(table))


def _numbers(table, n_columns):
    """Return the numbers of a table without names, separated by blanks; None if it is another table."""
    if not table.n_columns:
        return np.empty((0, 6))
    if table.header is not None or table.delimiter != " " or table.n_columns not in n_columns:
        return None
    try:
        return table.numbers(range(table.n_columns))
    except ValueError:
        return None


def read_yolo(table):
    """Return the centres of boxes as fractions; labels are the numbers of the classes."""
    if not table.rows:
        return Contents(np.empty((0, 2)), unit="fraction")
    labels = [row[0] for row in table.rows]
    fields = {"confidence": [row[5] for row in table.rows]} if table.n_columns == 6 else {}
    return Contents(
        table.numbers((1, 2)),
        labels=labels,
        label_field="class",
        known_labels=labels,
        unit="fraction",
        fields=fields,
    )


def read_jhu(table):
    """Return the centres of heads; sizes, occlusion and blur describe heads and tell no kinds of them apart."""
    return Contents(table.numbers((0, 1)) if table.rows else np.empty((0, 2)))


YOLO = Format(
    "yolo",
    (".txt",),
    load_table,
    read_yolo,
    order="xy",
    origin=0.5,
    options=("labels", "label_column", "where", "ignore", "unit"),
    matches=_is_yolo,
    signs="rows 'class x y width height' in fractions of the image, as YOLO has them",
)
JHU = Format(
    "jhu",
    (".txt",),
    load_table,
    read_jhu,
    order="xy",
    origin=0,
    matches=_is_jhu,
    signs="rows of six whole numbers, as JHU-Crowd++ has them",
)
