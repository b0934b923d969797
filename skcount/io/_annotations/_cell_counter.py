"""Format "cell_counter": the XML of the Cell Counter plugin of ImageJ and Fiji: (x, y), whole pixels from 0."""

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import as_number, load_xml


def read_cell_counter(root):
    """Return the markers; labels are the names of their types: "Type 1" and so on, unless renamed."""
    numbers, labels, known = [], [], []
    for marker_type in root.iter("Marker_Type"):
        number = (marker_type.findtext("Type") or "").strip()
        known.append((marker_type.findtext("Name") or f"Type {number}").strip())
        for marker in marker_type.iter("Marker"):
            numbers.append([_number(marker, f"Marker{axis}") for axis in "XYZ"])
            labels.append(known[-1])
    numbers = np.array(numbers).reshape(-1, 3)
    title = (root.findtext("Image_Properties/Image_Filename") or "").strip()
    name = title.removeprefix("Counter Window - ")
    return Contents(
        numbers[:, :2],
        [(name, None)],
        slices=numbers[:, 2],
        slice_field="MarkerZ",
        first=1,
        labels=labels,
        label_field="Type",
        known_labels=known,
    )


def _number(marker, tag):
    return as_number(marker.findtext(tag), f"{tag} of each marker")


CELL_COUNTER = Format(
    "cell_counter",
    (".xml",),
    load_xml,
    read_cell_counter,
    order="xy",
    origin=0,
    options=("slices", "labels", "where", "first"),
    matches=lambda root: root.tag == "CellCounter_Marker_File",
    signs="XML with the root 'CellCounter_Marker_File'",
)
