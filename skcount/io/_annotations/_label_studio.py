"""Format "label_studio": the JSON and JSON-MIN exports of Label Studio, with the points of many images.

Places are percentages of the image's size, which the file gives. Keypoints are objects; rectangles and ellipses are counted
at their centre. A task that nobody has annotated, or that was skipped, is not an image of the file.
"""

import re
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import (
    as_dict,
    as_field,
    as_list,
    as_pair,
    as_size,
    load_json,
    shown,
)

_KINDS = {"keypoint", "rectangle", "ellipse"}
_OTHERS = {"polygon", "brush", "vector", "video"}
UPLOAD_PREFIX = re.compile(r"[0-9a-f]{8}-")  # which Label Studio puts before the name of an uploaded file
_SUFFIX = re.compile(r"\.(png|tiff?|jpe?g|bmp|gif|webp)$", re.IGNORECASE)


def read_label_studio(tasks):
    """Return the points of all annotated tasks; labels are the labels of the regions."""
    images, rows = [], []
    for task in tasks:
        annotations = _annotations(task)
        if not annotations:
            continue
        results = [(annotator, result) for annotator, results in annotations for result in results]
        images.append((_name(task), _size(results)))
        rows += [
            (len(images) - 1, *found, annotator) for annotator, result in results for found in _places(result)
        ]
    labels = [label for _, _, label, _, _ in rows]
    images = _without_prefixes(images)
    return Contents(
        np.array([place for _, place, _, _, _ in rows], dtype=np.float64).reshape(-1, 2),
        images,
        [owner for owner, _, _, _, _ in rows],
        labels=labels,
        label_field="label",
        known_labels=labels,
        kinds=[kind for _, _, _, kind, _ in rows],
        fields={"annotator": [annotator for *_, annotator in rows]},
    )


def without_upload_prefix(name):
    """Return a name without the random prefix that Label Studio gives to files that are uploaded."""
    match = UPLOAD_PREFIX.match(name)
    return name[match.end() :] if match else name


def _annotations(task):
    """Return the finished annotations of a task as (annotator, results)."""
    if "annotations" not in task and "completions" not in task:  # JSON-MIN: one list per control
        lists = [value for value in task.values() if isinstance(value, list)]
        results = [as_dict(result, "each region") for values in lists for result in values]
        return [(as_field(task.get("annotator")), results)]
    found = as_list(task.get("annotations", task.get("completions")), "the annotations of a task")
    found = [as_dict(annotation, "each annotation") for annotation in found]
    return [
        (
            as_field(_annotator(annotation)),
            [as_dict(result, "each region") for result in as_list(annotation.get("result"), "the result")],
        )
        for annotation in found
        if not annotation.get("was_cancelled")
    ]


def _annotator(annotation):
    """Return who made an annotation; without a name, the annotation's number tells annotations apart."""
    who = annotation.get("completed_by", annotation.get("id"))
    return who.get("email", who.get("id")) if isinstance(who, dict) else who


def _name(task):
    """Return the name of the file of a task; after an upload, it begins with a random prefix."""
    data = task.get("data") if isinstance(task.get("data"), dict) else task
    texts = [value for value in data.values() if isinstance(value, str)]
    texts = [
        text for text in texts if _SUFFIX.search(urlsplit(text).path) or _SUFFIX.search(urlsplit(text).query)
    ]
    if len(texts) != 1:
        raise ValueError(f"task {shown(task.get('id'))} must name one picture; got {shown(texts)}.")
    parts = urlsplit(texts[0])
    path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    return PurePosixPath(path).name if "upload" in path else path


def _without_prefixes(images):
    """Return images under the names that files had before their upload, unless two of them had the same name."""
    short = [without_upload_prefix(name) for name, _ in images]
    if len(set(short)) < len(short):
        return images
    return [(name, size) for name, (_, size) in zip(short, images, strict=True)]


def _size(results):
    """Return the (height, width) that the regions of an image give; None if they give none."""
    sizes = {
        as_size(result.get("original_height"), result.get("original_width")) for _, result in results
    } - {None}
    if len(sizes) > 1:
        raise ValueError(f"the regions of an image must give one size; got {sorted(sizes)}.")
    return next(iter(sizes), None)


def _places(result):
    """Return (place, label, kind) of a region in pixels, or nothing if it is no region, such as a rating."""
    value = result.get("value", result)  # JSON-MIN has no nested value
    kind = as_field(result.get("type", "")).removesuffix("labels")
    if not isinstance(value, dict):
        return []
    if not kind:
        kind = next((name.removesuffix("labels") for name in value if name.endswith("labels")), "")
    if kind not in _KINDS | _OTHERS:
        return []
    labels = as_list(value.get(f"{kind}labels"), "the labels of a region")
    label = "; ".join(map(as_field, labels))
    if kind in _OTHERS:
        return [((np.nan, np.nan), label, kind)]
    size = as_size(result.get("original_height"), result.get("original_width"))
    if size is None:
        raise ValueError(f"region {shown(result.get('id'))} must have original_width and original_height.")
    height, width = size
    x, y = as_pair([value.get("x"), value.get("y")], "x and y of a region")
    place = np.array([x * width, y * height]) / 100
    if kind == "rectangle":  # x, y is the corner around which it is rotated
        sides = as_pair([value.get("width"), value.get("height")], "width and height of a rectangle")
        half = np.array([sides[0] * width, sides[1] * height]) / 200
        angle = np.deg2rad(as_pair([value.get("rotation") or 0, 0], "the rotation of a rectangle")[0])
        place += [
            half[0] * np.cos(angle) - half[1] * np.sin(angle),
            half[0] * np.sin(angle) + half[1] * np.cos(angle),
        ]
    return [(place, label, None)]


def _matches(content):
    if not isinstance(content, list) or not content:
        return False
    return all(isinstance(task, dict) and (_is_full(task) or _is_short(task)) for task in content)


def _is_full(task):
    return isinstance(task.get("data"), dict) and ("annotations" in task or "completions" in task)


def _is_short(task):
    return "annotation_id" in task and "annotator" in task


LABEL_STUDIO = Format(
    "label_studio",
    (".json",),
    load_json,
    read_label_studio,
    order="xy",
    origin=0.5,
    options=("labels", "label_column", "where", "ignore"),
    matches=_matches,
    signs="the list of tasks of Label Studio",
)
