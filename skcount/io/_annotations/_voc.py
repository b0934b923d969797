"""Format "voc": the XML of Pascal VOC, as LabelImg and Roboflow write it: the centres of boxes, (x, y), of one image.

Boxes are measured from the corner of the image. The original data sets of VOC count pixels from 1: pass ``origin=1``.
"""

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import as_fields, as_number, as_text_size, load_xml

_EDGES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(root):
    """Return the centres of the boxes; labels are the names of the objects."""
    objects = root.findall("object")
    boxes = [
        [as_number(item.findtext(f"bndbox/{edge}"), f"{edge} of each object") for edge in _EDGES]
        for item in objects
    ]
    boxes = np.array(boxes).reshape(-1, 4)
    labels = [(item.findtext("name") or "").strip() for item in objects]
    size = as_text_size(root.findtext("size/height"), root.findtext("size/width"))
    known = {"name", "bndbox", "pose", "truncated", "difficult", "occluded", "part", "polygon"}
    return Contents(
        (boxes[:, :2] + boxes[:, 2:]) / 2,
        [((root.findtext("filename") or "").strip() or None, size)],
        labels=labels,
        label_field="name",
        known_labels=labels,
        fields=as_fields(
            [{child.tag: child.text for child in item if child.tag not in known} for item in objects]
        ),
    )


VOC = Format(
    "voc",
    (".xml",),
    load_xml,
    read_voc,
    order="xy",
    origin=0.5,
    options=("labels", "label_column", "where", "ignore"),
    matches=lambda root: root.tag == "annotation",
    signs="XML with the root 'annotation' of Pascal VOC",
)
