"""Format "cell_counter": the XML of the Cell Counter plugin of ImageJ and Fiji: (x, y), whole pixels from 0."""

import math

import numpy as np

from skcount._optional import import_optional
from skcount.io._annotations._contents import by_slice

__all__ = ["read_cell_counter"]


def read_cell_counter(path, slices=None):
    """Read the markers of Cell Counter.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    slices : {"split", "merge"} or None, default=None
        Whether the slices of a stack are images of their own, see :func:`by_slice`.

    Returns
    -------
    Contents
        Points as (x, y), with the names of their types ("Type 1" and on, unless renamed) for labels.

    Raises
    ------
    ValueError
        If it is no file of Cell Counter, or a marker lacks a coordinate.
    """
    root = _parse(path)
    if root.tag != "CellCounter_Marker_File":
        raise ValueError(f"{path} is XML with the root {root.tag!r}; expected 'CellCounter_Marker_File'.")
    numbers, labels, known = [], [], []
    for marker_type in root.iter("Marker_Type"):
        label = (
            marker_type.findtext("Name") or f"Type {(marker_type.findtext('Type') or '').strip()}"
        ).strip()
        known.append(label)
        for marker in marker_type.iter("Marker"):
            numbers.append([_number(marker, tag, path) for tag in ("MarkerX", "MarkerY", "MarkerZ")])
            labels.append(label)
    numbers = np.array(numbers).reshape(-1, 3)
    contents = by_slice(path, numbers[:, :2], numbers[:, 2], slices, labels, name=_image_name(root))
    return type(contents)(contents.images, known, contents.first)


def _parse(path):
    # Files come from strangers: no document type, so no entities that grow or read other files.
    element_tree = import_optional("defusedxml.ElementTree", "Reading Cell Counter files")
    defusedxml = import_optional("defusedxml", "Reading Cell Counter files")
    try:
        return element_tree.parse(path, forbid_dtd=True).getroot()
    except defusedxml.DefusedXmlException as error:
        raise ValueError(
            f"{path} declares a document type, which Cell Counter never writes: it is not read."
        ) from error
    except (element_tree.ParseError, LookupError, ValueError) as error:  # the latter of unknown encodings
        raise ValueError(f"{path} is no valid XML: {error}. Save it anew in Cell Counter.") from error


def _number(marker, tag, path):
    text = marker.findtext(tag) or ""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{path} has a marker whose {tag} is {text!r}; expected a number.")
    return number


def _image_name(root):
    title = (root.findtext("Image_Properties/Image_Filename") or "").strip()
    return title.removeprefix("Counter Window - ")
