"""Format "coco": the JSON of COCO, (x, y), with the points of many images.

An annotation is one object. Its point is its keypoint if exactly one is labelled, and otherwise the centre of its
bounding box. Whole-number keypoints are the centres of pixels, from 0; boxes are measured from the corner of the image,
half a pixel before the centre of the first pixel.
"""

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import as_pair, as_size, load_json, shown


def read_coco(content):
    """Return the points of all images of the file, including images without annotations; labels are category names."""
    images = {_key(image, "id"): image for image in content["images"]}
    if len(images) != len(content["images"]):
        raise ValueError("each image must have an id of its own.")
    positions = {key: i for i, key in enumerate(images)}
    categories = _read_categories(content)
    points, origins, owners, labels = [], [], [], []
    for annotation in content["annotations"]:
        key = _key(annotation, "image_id")
        if key not in positions:
            raise ValueError(f"an annotation belongs to image {key}, which is not among the images.")
        point, origin = _place(annotation)
        points.append(point)
        origins.append(origin)
        owners.append(positions[key])
        number = annotation.get("category_id")
        labels.append(categories.get(number if isinstance(number, int | str) else None, _text(number)))
    return Contents(
        np.array(points, dtype=np.float64).reshape(-1, 2),
        [(_name(image), as_size(image.get("height"), image.get("width"))) for image in images.values()],
        owners,
        labels=labels,
        known_labels=[*categories.values(), *labels],
        origins=origins,
    )


def _read_categories(content):
    categories = content.get("categories") or []
    if not isinstance(categories, list):
        raise ValueError(f"the categories must be a list; got {shown(categories)}.")
    return {_key(category, "id"): _text(category.get("name", category["id"])) for category in categories}


def _text(value):
    return str(value) if isinstance(value, str | int | float | None) else shown(value)


def _key(entry, name):
    if not isinstance(entry, dict) or type(entry.get(name)) not in {int, str}:
        raise ValueError(f"an entry has no {name!r}: {shown(entry)}.")
    return entry[name]


def _name(image):
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        raise ValueError(f"image {image['id']} has no 'file_name'.")
    return name


def _place(annotation):
    """Return the point of an annotation, and the file's coordinate of the centre of the first pixel."""
    what = f"annotation {shown(annotation.get('id'))}"
    if annotation.get("iscrowd"):
        raise ValueError(
            f"{what} describes a crowd (iscrowd=1), a region in which objects were not counted; expected one object "
            "per annotation. Remove it from the file, and remove its image if the count must be right."
        )
    keypoints = annotation.get("keypoints") or []
    if not isinstance(keypoints, list):
        raise ValueError(f"the keypoints of {what} must be [x, y, visibility, ...]; got {shown(keypoints)}.")
    labelled = [keypoints[i : i + 2] for i in range(0, len(keypoints), 3) if keypoints[i + 2 : i + 3] != [0]]
    if len(labelled) == 1:
        return as_pair(labelled[0], f"the keypoint of {what}"), 0.0
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(
            f"{what} must have a bounding box [x, y, width, height] or exactly one labelled keypoint; got the box "
            f"{shown(box)} and {len(labelled)} keypoints."
        )
    (x, y), (width, height) = (as_pair(pair, f"the bounding box of {what}") for pair in (box[:2], box[2:]))
    return (x + width / 2, y + height / 2), 0.5


COCO = Format(
    "coco",
    (".json",),
    load_json,
    read_coco,
    order="xy",
    origin=0.5,
    options=("labels",),
    matches=lambda content: all(isinstance(content.get(key), list) for key in ("images", "annotations")),
    signs="the lists 'images' and 'annotations' of COCO",
)
