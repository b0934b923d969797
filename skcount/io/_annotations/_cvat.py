"""Format "cvat": the XML of CVAT, "for images" and "for video" 1.1, (x, y), measured from the corner of the image.

Each place of a "points" shape is one object; of boxes and ellipses it is the centre. In a video, a track has one shape for
each frame; frames in which the object is outside the picture have no point.
"""

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import as_fields, as_number, as_text_size, load_xml

_SHAPES = {"points", "box", "ellipse", "polygon", "polyline", "cuboid", "skeleton", "mask"}
_READ = {"points", "box", "ellipse"}


def read_cvat(root):
    """Return the points of all images or frames; labels are the labels of the shapes."""
    known = [name.text or "" for name in root.iterfind("meta//label/name")]
    images = root.findall("image")
    shapes = [(i, shape) for i, image in enumerate(images) for shape in image if shape.tag in _SHAPES]
    if not images:
        shapes = [
            (as_number(shape.get("frame"), "frame of each shape"), shape)
            for track in root.iter("track")
            for shape in _in_track(track)
        ]
    rows = [(owner, shape, place) for owner, shape in shapes for place in _places(shape)]
    owners = [owner for owner, _, _ in rows]
    labels = [shape.get("label") or "" for _, shape, _ in rows]
    video = {"slices": owners, "slice_field": "frame", "is_stack": True, "first": 0}
    named = [
        (image.get("name") or None, as_text_size(image.get("height"), image.get("width"))) for image in images
    ]
    still = {"owners": owners, "images": named}
    return Contents(
        np.array([place for _, _, place in rows], dtype=np.float64).reshape(-1, 2),
        **(still if images else video),
        labels=labels,
        label_field="label",
        known_labels=[*known, *labels],
        kinds=[None if shape.tag in _READ else shape.tag for _, shape, _ in rows],
        fields=as_fields([_attributes(shape) for _, shape, _ in rows]),
    )


def _in_track(track):
    """Yield the shapes of a track that are in the picture, with the label of the track."""
    for shape in track:
        if shape.tag in _SHAPES and shape.get("outside") != "1":
            shape.set("label", track.get("label") or "")
            yield shape


def _attributes(shape):
    """Return the attributes that the project gives to its labels."""
    return {child.get("name") or "": child.text or "" for child in shape.iterfind("attribute")}


def _places(shape):
    """Return the places (x, y) of a shape."""
    if shape.tag == "points":
        pairs = [pair.split(",") for pair in (shape.get("points") or "").split(";")]
        if any(len(pair) != 2 for pair in pairs):
            raise ValueError(f"points must be 'x,y;x,y'; got {shape.get('points')!r:.60}.")
        return [[as_number(number, "each coordinate of points") for number in pair] for pair in pairs]
    if shape.tag == "box":
        left, top, right, bottom = (
            as_number(shape.get(name), f"{name} of a box") for name in ("xtl", "ytl", "xbr", "ybr")
        )
        return [[(left + right) / 2, (top + bottom) / 2]]
    if shape.tag == "ellipse":
        return [[as_number(shape.get(name), f"{name} of an ellipse") for name in ("cx", "cy")]]
    return [[np.nan, np.nan]]


CVAT = Format(
    "cvat",
    (".xml",),
    load_xml,
    read_cvat,
    order="xy",
    origin=0.5,
    options=("slices", "labels", "label_column", "where", "ignore", "first"),
    matches=lambda root: root.tag == "annotations",
    signs="XML with the root 'annotations' of CVAT",
)
