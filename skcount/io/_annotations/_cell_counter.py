"""Format "cell_counter": the XML of the Cell Counter plugin of ImageJ and Fiji: (x, y), whole pixels from 0."""

import math

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import load_xml


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
        numbers[:, :2], [(name, None)], slices=numbers[:, 2], first=1, labels=labels, known_labels=known
    )


def _number(marker, tag):
    text = marker.findtext(tag) or ""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{tag} of each marker must be a finite number; got {text!r}.")
    return number


CELL_COUNTER = Format(
    "cell_counter",
    (".xml",),
    load_xml,
    read_cell_counter,
    order="xy",
    origin=0,
    options=("slices", "labels"),
    matches=lambda root: root.tag == "CellCounter_Marker_File",
    signs="XML with the root 'CellCounter_Marker_File'",
)
