"""Format "zooniverse": the classification export of the Zooniverse, marks (x, y) in pixels from the corner, of many images.

Each row is the classification of one volunteer. Volunteers mark the same objects, so the marks of one of them have to be
chosen, by `where`.
"""

import json

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import as_dict, as_field, as_fields, as_list, as_pair, load_table

_COLUMNS = {"annotations", "subject_data", "subject_ids"}
_NAMES = ("filename", "file", "image", "image_name", "name")


def read_zooniverse(table):
    """Return all marks; labels are the names of the tools."""
    columns = {name: table.header.index(name) for name in table.header}
    names, rows = {}, []
    for line, row in zip(table.lines, table.rows, strict=True):
        subject = row[columns["subject_ids"]]
        data = as_dict(_parse(row[columns["subject_data"]], line), "subject_data")
        owner = names.setdefault(_name(as_dict(data.get(subject) or {}, "the subject"), subject), len(names))
        who = {"user_name": row[columns["user_name"]] if "user_name" in columns else row[0]}
        for task in as_list(_parse(row[columns["annotations"]], line), "annotations"):
            marks = as_dict(task, "each task").get("value")
            own = who | {"task": task.get("task")}
            rows += [
                (owner, mark, own | {"frame": mark.get("frame")})
                for mark in (marks if isinstance(marks, list) else [])
                if isinstance(mark, dict) and "tool" in mark
            ]
    labels = [as_field(mark.get("tool_label", mark.get("tool"))) for _, mark, _ in rows]
    places = [_place(mark) for _, mark, _ in rows]
    return Contents(
        np.array([place for place, _ in places], dtype=np.float64).reshape(-1, 2),
        [(name, None) for name in names],
        [owner for owner, _, _ in rows],
        labels=labels,
        label_field="tool_label",
        known_labels=labels,
        kinds=[kind for _, kind in places],
        fields=as_fields([fields for _, _, fields in rows]),
    )


def _parse(text, line):
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {line}: a cell is not valid JSON: {error}.") from None


def _name(data, subject):
    """Return the file name of a subject, which its manifest gives under a name of the project's own choice."""
    plain = {name.lower().lstrip("#/!").replace(" ", "_"): value for name, value in data.items()}
    return next((value for name in _NAMES if isinstance(value := plain.get(name), str) and value), subject)


def _place(mark):
    """Return the place (x, y) of a mark, and None or the kind of a mark that is not read."""
    if "points" in mark or "x1" in mark or not {"x", "y"} <= mark.keys():
        return (np.nan, np.nan), f"marks with {', '.join(sorted(mark))}"
    x, y = as_pair([mark["x"], mark["y"]], "x and y of a mark")
    if {"width", "height"} <= mark.keys():
        width, height = as_pair([mark["width"], mark["height"]], "width and height of a mark")
        return (x + width / 2, y + height / 2), None
    return (x, y), None


ZOONIVERSE = Format(
    "zooniverse",
    (".csv", ".tsv", ".txt"),
    load_table,
    read_zooniverse,
    order="xy",
    origin=0.5,
    options=("labels", "label_column", "where", "ignore"),
    matches=lambda table: set(table.header or ()) >= _COLUMNS,
    signs="the columns 'subject_data' and 'annotations' of the Zooniverse",
)
