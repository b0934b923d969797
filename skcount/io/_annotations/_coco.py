"""Format "coco": the JSON of COCO, (x, y), with the points of many images.

An annotation is one object. Its point is its keypoint, if it has exactly one that is labelled, and else the
centre of its bounding box. Whole keypoints are the centres of pixels, from 0; boxes are measured from the
corner of the image, which is the centre of the first pixel minus one half.
"""

import numpy as np

from skcount.io._annotations._contents import Contents, ImagePoints
from skcount.io._annotations._json import is_coco, read_json, read_pair, read_size, shown

__all__ = ["read_coco"]


def read_coco(path):
    """Read annotations of COCO.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    Contents
        Points as (x, y) of all images of the file, those without annotations too, with the names of their
        categories for labels.

    Raises
    ------
    ValueError
        If it is no file of COCO, or an annotation has no place, no image, or is of a crowd.
    """
    content = read_json(path)
    if not is_coco(content):
        raise ValueError(f"{path} has no lists 'images' and 'annotations'; expected the annotations of COCO.")
    images = {_key(image, "id", path): image for image in content["images"]}
    if len(images) != len(content["images"]):
        raise ValueError(f"{path} has several images of one id; expected an id for each.")
    categories = _categories(content, path)
    found = {key: ([], [], []) for key in images}
    for annotation in content["annotations"]:
        key = _key(annotation, "image_id", path)
        if key not in found:
            raise ValueError(f"{path} has an annotation of image {key}, which is not among its images.")
        points, origins, labels = found[key]
        point, origin = _place(annotation, path)
        points.append(point)
        origins.append(origin)
        number = annotation.get("category_id")
        labels.append(categories.get(number if isinstance(number, int | str) else None, _text(number)))
    return Contents(
        [_image(image, *found[key], path) for key, image in images.items()],
        sorted({*categories.values(), *(label for _, _, labels in found.values() for label in labels)}),
    )


def _categories(content, path):
    categories = content.get("categories") or []
    if not isinstance(categories, list):
        raise ValueError(f"{path} has the categories {shown(categories)}; expected a list.")
    return {
        _key(category, "id", path): _text(category.get("name", category["id"])) for category in categories
    }


def _text(value):
    """A name, or what stands in its place."""
    return str(value) if isinstance(value, str | int | float | None) else shown(value)


def _key(entry, name, path):
    if not isinstance(entry, dict) or type(entry.get(name)) not in {int, str}:
        raise ValueError(f"{path} has an entry without {name!r}: {shown(entry)}.")
    return entry[name]


def _place(annotation, path):
    """The point of an annotation, and what the centre of the first pixel is called."""
    what = f"annotation {shown(annotation.get('id'))}"
    if annotation.get("iscrowd"):
        raise ValueError(
            f"{path}: {what} is of a crowd (iscrowd=1), a region of objects that nobody counted; expected one object an "
            "annotation. Remove it from the file, and its image if the count is to be right."
        )
    keypoints = annotation.get("keypoints") or []
    if not isinstance(keypoints, list):
        raise ValueError(
            f"{path}: {what} has the keypoints {shown(keypoints)}; expected [x, y, visibility, ...]."
        )
    labelled = [keypoints[i : i + 2] for i in range(0, len(keypoints), 3) if keypoints[i + 2 : i + 3] != [0]]
    if len(labelled) == 1:
        return read_pair(labelled[0], path, f"the keypoint of {what}"), 0.0
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(
            f"{path}: {what} has {len(labelled)} labelled keypoints and the bounding box {shown(box)}; expected a box "
            "[x, y, width, height], or exactly one keypoint."
        )
    what = f"the bounding box of {what}"
    return read_pair(box[:2], path, what) + read_pair(box[2:], path, what) / 2, 0.5


def _image(image, points, origins, labels, path):
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{path}: image {image['id']} has no 'file_name'.")
    return ImagePoints(
        name,
        np.array(points, dtype=np.float64).reshape(-1, 2),
        labels,
        np.array(origins).reshape(-1, 1),
        read_size(image.get("height"), image.get("width")),
    )
