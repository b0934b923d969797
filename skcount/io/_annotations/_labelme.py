"""Format "labelme": the JSON of LabelMe, (x, y) of one image, measured from the corner of its first pixel.

It reads points, and circles by their centre. Other shapes are rejected, because a polygon may be an object or a region.
"""

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import as_pair, as_size, load_json, shown

_N_POINTS = {"point": 1, "circle": 2}


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
        known_labels=labels,
        kinds=others,
    )


def _place(shape):
    """Return the first point of a shape; a circle has a second one on its edge."""
    kind, points = shape["shape_type"], shape.get("points")
    if not isinstance(points, list) or len(points) != _N_POINTS[kind]:
        raise ValueError(
            f"the {kind} {shape['label']!r} must have {_N_POINTS[kind]} points, as LabelMe saves it; got {shown(points)}."
        )
    return as_pair(points[0], f"the {kind} {shape['label']!r}")


LABELME = Format(
    "labelme",
    (".json",),
    load_json,
    read_labelme,
    order="xy",
    origin=0.5,
    options=("labels",),
    matches=lambda content: isinstance(content.get("shapes"), list),
    signs="the list 'shapes' of LabelMe",
)
