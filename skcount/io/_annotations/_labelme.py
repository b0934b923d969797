"""Format "labelme": the JSON of LabelMe, (x, y) of one image, measured from the corner of its first pixel.

Points, and circles by their centre. Other shapes are refused: a polygon may be an object or a region.
"""

import numpy as np

from skcount.io._annotations._contents import Contents, ImagePoints
from skcount.io._annotations._json import is_labelme, read_json, read_pair, read_size, shown

__all__ = ["read_labelme"]

_N_POINTS = {"point": 1, "circle": 2}


def read_labelme(path, labels=None):
    """Read the points of LabelMe.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    labels : set of str or None, default=None
        Only shapes with these labels need be points.

    Returns
    -------
    Contents
        Points as (x, y), with their labels.

    Raises
    ------
    ValueError
        If it is no file of LabelMe, or a shape that is wanted is no point.
    """
    content = read_json(path)
    if not is_labelme(content):
        raise ValueError(f"{path} has no list 'shapes'; expected the annotations of LabelMe.")
    shapes = content["shapes"]
    if not all(isinstance(shape, dict) and isinstance(shape.get("label"), str) for shape in shapes):
        raise ValueError(f"{path} has a shape without a label; expected the annotations of LabelMe.")
    wanted = [shape for shape in shapes if labels is None or shape["label"] in labels]
    refused = sorted({_kind(shape) for shape in wanted} - _N_POINTS.keys())
    if refused:
        raise ValueError(
            f"{path} has shapes of the kind {', '.join(refused)}; expected points. Choose the labels of the points by "
            "labels=[...], or export outlines as COCO, whose boxes are read by their centre."
        )
    name = content.get("imagePath")
    image = ImagePoints(
        name if isinstance(name, str) and name else path.stem,
        np.array([_place(shape, path) for shape in wanted]).reshape(-1, 2),
        [shape["label"] for shape in wanted],
        shape=read_size(content.get("imageHeight"), content.get("imageWidth")),
    )
    return Contents([image], sorted({shape["label"] for shape in shapes}))


def _kind(shape):
    kind = shape.get("shape_type")
    return kind if isinstance(kind, str) else shown(kind)


def _place(shape, path):
    """The point of a shape: its first, after which a circle has one on its edge."""
    kind, points = shape["shape_type"], shape.get("points")
    if not isinstance(points, list) or len(points) != _N_POINTS[kind]:
        raise ValueError(
            f"{path}: the {kind} {shape['label']!r} has the points {shown(points)}; expected {_N_POINTS[kind]}, as "
            "LabelMe saves it."
        )
    return read_pair(points[0], path, f"the {kind} {shape['label']!r}")
