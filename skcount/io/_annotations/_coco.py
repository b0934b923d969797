"""Format "coco": the JSON of COCO, (x, y), with the points of many images.

An annotation is one object. Its point is its keypoint if exactly one is labelled, and otherwise the centre of its
bounding box. Whole-number keypoints are the centres of pixels, from 0; boxes are measured from the corner of the image,
half a pixel before the centre of the first pixel. Several keypoints of one annotation are either the parts of one object
or several objects; the file does not say which.
"""

import re

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._label_studio import UPLOAD_PREFIX
from skcount.io._annotations._load import as_dict, as_fields, as_pair, as_size, has_lists, load_json, shown

_USED = {
    "id",
    "image_id",
    "category_id",
    "bbox",
    "area",
    "segmentation",
    "iscrowd",
    "keypoints",
    "num_keypoints",
}
_HARMLESS = {"occluded", "rotation", "track_id", "keyframe"}  # attributes that CVAT writes
_FROM_LABEL_STUDIO = re.compile(rf"(images[/\\])?{UPLOAD_PREFIX.pattern}")


def read_coco(content, keypoints=None):
    """Return the points of all images of the file, including images without annotations; labels are category names."""
    images = {_key(image, "id"): image for image in content["images"]}
    if len(images) != len(content["images"]):
        raise ValueError("each image must have an id of its own.")
    positions = {key: i for i, key in enumerate(images)}
    categories = _read_categories(content)
    if keypoints is None:
        _refuse_lost_keypoints(content, images)
    points, origins, owners, labels, fields = [], [], [], [], []
    for annotation in content["annotations"]:
        key = _key(annotation, "image_id")
        if key not in positions:
            raise ValueError(f"an annotation belongs to image {key}, which is not among the images.")
        for point, origin in _places(annotation, keypoints):
            points.append(point)
            origins.append(origin)
            owners.append(positions[key])
            number = annotation.get("category_id")
            labels.append(categories.get(number if isinstance(number, int | str) else None, _text(number)))
            fields.append(_fields(annotation))
    return Contents(
        np.array(points, dtype=np.float64).reshape(-1, 2),
        [(_name(image), as_size(image.get("height"), image.get("width"))) for image in images.values()],
        owners,
        labels=labels,
        label_field="category",
        known_labels=[*categories.values(), *labels],
        origins=origins,
        fields=as_fields(fields),
    )


def _fields(annotation):
    """Return what else an annotation says about its object."""
    attributes = annotation.get("attributes")
    own = {name: value for name, value in annotation.items() if name not in _USED | {"attributes"}}
    own |= attributes if isinstance(attributes, dict) else {}
    return {
        name: value
        for name, value in own.items()
        if name not in _HARMLESS and not isinstance(value, list | dict)
    }


def _refuse_lost_keypoints(content, images):
    """Reject the COCO export of Label Studio, which keeps only the last keypoint of each label and image."""
    annotations = [as_dict(annotation, "an annotation") for annotation in content["annotations"]]
    owners = [annotation.get("image_id") for annotation in annotations]
    names = [image.get("file_name") for image in images.values()]
    is_renamed = all(isinstance(name, str) and _FROM_LABEL_STUDIO.match(name) for name in names)
    has_points = any(annotation.get("keypoints") for annotation in annotations)
    if has_points and is_renamed and len({shown(owner) for owner in owners}) == len(owners):
        raise ValueError(
            "it was exported by Label Studio, whose COCO files keep only the last keypoint of each label and image. Export "
            "the project as JSON, which is read with format='label_studio'. If each image has one object, pass "
            "keypoints='objects'."
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


def _places(annotation, keypoints):
    """Return the points of an annotation, each with the file's coordinate of the centre of the first pixel."""
    what = f"annotation {shown(annotation.get('id'))}"
    if annotation.get("iscrowd"):
        raise ValueError(
            f"{what} describes a crowd (iscrowd=1), a region in which objects were not counted; expected one object "
            "per annotation. Remove it from the file, and remove its image if the count must be right."
        )
    found = annotation.get("keypoints") or []
    if not isinstance(found, list):
        raise ValueError(f"the keypoints of {what} must be [x, y, visibility, ...]; got {shown(found)}.")
    labelled = [found[i : i + 2] for i in range(0, len(found), 3) if found[i + 2 : i + 3] != [0]]
    if len(labelled) > 1 and keypoints is None:
        raise ValueError(
            f"{what} has {len(labelled)} keypoints, which may be objects or parts of one object. Pass keypoints='objects' "
            "to count each of them, or keypoints='parts' to count the annotation as one object, at the centre of its box."
        )
    if len(labelled) == 1 or (labelled and keypoints == "objects"):
        return [(as_pair(pair, f"the keypoint of {what}"), 0.0) for pair in labelled]
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(
            f"{what} must have a bounding box [x, y, width, height] or exactly one labelled keypoint; got the box "
            f"{shown(box)} and {len(labelled)} keypoints."
        )
    (x, y), (width, height) = (as_pair(pair, f"the bounding box of {what}") for pair in (box[:2], box[2:]))
    return [((x + width / 2, y + height / 2), 0.5)]


COCO = Format(
    "coco",
    (".json",),
    load_json,
    read_coco,
    order="xy",
    origin=0.5,
    options=("labels", "label_column", "where", "ignore", "keypoints"),
    matches=lambda content: has_lists(content, "images", "annotations"),
    signs="the lists 'images' and 'annotations' of COCO",
)
