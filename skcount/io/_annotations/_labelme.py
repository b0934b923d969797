"""Format "labelme": the JSON of LabelMe, (x, y) of one image, measured from the corner of its first pixel.

It reads points, and circles and rectangles by their centre. Other shapes are rejected, because a polygon may be an object
or a region.
"""

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import as_fields, as_pair, as_size, has_lists, load_json, shown

_N_POINTS = {"point": 1, "circle": 2, "rectangle": 2}
_USED = {"label", "points", "shape_type", "group_id", "description", "flags", "mask", "score"}


def read_labelme(content):
    """Return the points of all shapes."""
    shapes = content["shapes"]
    if not all(isinstance(shape, dict) and isinstance(shape.get("label"), str) for shape in shapes):
        raise ValueError("each shape must have a label.")
    kinds = [shape.get("shape_type") for shape in shapes]
    others = [None if isinstance(kind, str) and kind in _N_POINTS else shown(kind) for kind in kinds]
    points = [
        _place(shape) if other is None else (np.nan, np.nan)
        for shape, other in zip(shapes, others, strict=True)
    ]
    name = content.get("imagePath")
    size = as_size(content.get("imageHeight"), content.get("imageWidth"))
    labels = [shape["label"] for shape in shapes]
    return Contents(
        np.array(points).reshape(-1, 2),
        [(name if isinstance(name, str) else None, size)],
        labels=labels,
        label_field="label",
        known_labels=labels,
        kinds=others,
        fields=as_fields([_fields(shape) for shape in shapes]),
    )


def _fields(shape):
    """Return what else a shape says about its object; flags are the checkboxes of LabelMe."""
    flags = shape.get("flags")
    own = {name: shape.get(name) for name in ("group_id", "score")}
    own |= {
        name: value
        for name, value in shape.items()
        if name not in _USED and isinstance(value, str | int | float)
    }
    return own | (flags if isinstance(flags, dict) else {})


def _place(shape):
    """Return the centre of a shape; a circle has a second point on its edge, and a rectangle has two corners."""
    kind, points = shape["shape_type"], shape.get("points")
    what = f"the {kind} {shape['label']!r}"
    if (
        kind == "rectangle" and isinstance(points, list) and len(points) == 4
    ):  # since LabelMe 5.6: all corners
        points = [points[0], points[2]]
    if not isinstance(points, list) or len(points) != _N_POINTS[kind]:
        raise ValueError(
            f"{what} must have {_N_POINTS[kind]} points, as LabelMe saves it; got {shown(points)}."
        )
    if kind == "rectangle":
        (left, top), (right, bottom) = (as_pair(point, what) for point in points)
        return [(left + right) / 2, (top + bottom) / 2]
    return as_pair(points[0], what)


LABELME = Format(
    "labelme",
    (".json",),
    load_json,
    read_labelme,
    order="xy",
    origin=0.5,
    options=("labels", "label_column", "where", "ignore"),
    matches=lambda content: has_lists(content, "shapes"),
    signs="the list 'shapes' of LabelMe",
)
