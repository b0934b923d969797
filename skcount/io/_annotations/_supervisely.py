"""Format "supervisely": the JSON of Supervisely, (x, y) of one image, in whole pixels from 0.

It reads points, and rectangles by their centre.
"""

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import (
    as_dict,
    as_field,
    as_fields,
    as_list,
    as_pair,
    as_size,
    has_lists,
    load_json,
    shown,
)

_N_POINTS = {"point": 1, "rectangle": 2}


def read_supervisely(content):
    """Return the points of all objects; labels are the titles of their classes, and tags are fields."""
    size = as_dict(content["size"], "the size")
    objects = [as_dict(item, "each object") for item in content["objects"]]
    kinds = [as_field(item.get("geometryType")) for item in objects]
    others = [None if kind in _N_POINTS else kind or "unknown" for kind in kinds]
    points = [
        (np.nan, np.nan) if other else _place(item, kind)
        for item, kind, other in zip(objects, kinds, others, strict=True)
    ]
    labels = [as_field(item.get("classTitle")) for item in objects]
    return Contents(
        np.array(points, dtype=np.float64).reshape(-1, 2),
        [(None, as_size(size.get("height"), size.get("width")))],
        labels=labels,
        label_field="classTitle",
        known_labels=labels,
        kinds=others,
        fields=as_fields([_fields(item) for item in objects]),
    )


def _fields(item):
    tags = [as_dict(tag, "each tag") for tag in as_list(item.get("tags"), "the tags")]
    return {"labelerLogin": item.get("labelerLogin")} | {
        as_field(tag.get("name")): tag.get("value", "yes") for tag in tags
    }


def _place(item, kind):
    what = f"the {kind} of object {shown(item.get('id'))}"
    points = as_list(as_dict(item.get("points"), f"the points of {what}").get("exterior"), what)
    if len(points) != _N_POINTS[kind]:
        raise ValueError(f"{what} must have {_N_POINTS[kind]} points; got {shown(points)}.")
    return np.mean([as_pair(point, what) for point in points], axis=0)


SUPERVISELY = Format(
    "supervisely",
    (".json",),
    load_json,
    read_supervisely,
    order="xy",
    origin=0,
    options=("labels", "label_column", "where", "ignore"),
    matches=lambda content: has_lists(content, "objects") and isinstance(content.get("size"), dict),
    signs="'size' and the list 'objects' of Supervisely",
)
