"""Format "imagej": points of ImageJ and Fiji: selections, .roi or a .zip of them, and the overlay inside a TIFF.

Since ImageJ 1.52u, whole-number coordinates of a point are the centre of a pixel, as in skcount. Older versions put the
centre at +0.5 for clicks at high zoom: pass ``origin=0.5`` for these.
"""

import re

import numpy as np

from skcount._optional import import_optional
from skcount.io._annotations._contents import Contents, Format
from skcount.io._archives import ArchiveError, open_archive
from skcount.io._pictures import DAMAGE, TIFF_MAGIC, open_tiff

_MAX_BYTES = 2**28  # of all selections in a zip: more than a million points


def load_selections(path):
    """Return the selections in a file as (name, bytes); the name of the only one in a .roi file is None."""
    with open(path, "rb") as file:
        start = file.read(4)
    if start in TIFF_MAGIC:
        return _load_overlay(path)
    if start[:2] != b"PK":
        return [(None, path.read_bytes())]
    try:
        with open_archive(path, _MAX_BYTES, _MAX_BYTES) as archive:
            return [(name, archive.read(name)) for name in archive.names if not _is_of_mac(name)]
    except ArchiveError as error:
        raise ValueError(
            f"{path} cannot be read as a zip of selections: {error} Or save it again in ImageJ, with points only."
        ) from error


def _load_overlay(path):
    """Return the selections that ImageJ keeps in a TIFF: the overlay, and the selection that was active."""
    try:
        with open_tiff(path) as tiff:
            metadata = tiff.imagej_metadata or {}
    except DAMAGE as error:
        raise ValueError(f"{path} cannot be read as a TIFF: {error}. Save it again in ImageJ.") from error
    active, overlay = metadata.get("ROI"), metadata.get("Overlays") or []
    overlay = [overlay] if isinstance(overlay, bytes) else list(overlay)
    # The active selection is often one of the overlay.
    found = [*overlay, *([active] if active is not None and active not in overlay else [])]
    if not found:
        raise ValueError(
            f"{path} has no overlay and no selection of ImageJ. Save the picture in ImageJ with its overlay."
        )
    return [(f"{number} of the overlay", content) for number, content in enumerate(found, start=1)]


def _is_of_mac(name):
    """Return whether a file is one that macOS adds when it zips a folder."""
    return name.startswith("__MACOSX/") or name.rpartition("/")[2] == ".DS_Store"


def read_imagej(selections):
    """Return the points of all selections; labels are the numbers of the counters, from "0"."""
    points, labels, slices, fields = [np.empty((0, 2))], [], [], []
    for name, content in selections:
        roi, found = _decode(content, f"the selection {name}" if name else "it")
        points.append(found)
        counters = [0] * len(found) if roi.counters is None else roi.counters.tolist()
        labels += map(str, counters)
        on_slice = roi.counter_positions
        is_told = on_slice is not None and on_slice.any()
        slices += on_slice.tolist() if is_told else [roi.position] * len(found)
        # ImageJ names selections by their coordinates unless the user does.
        own_name = "" if re.fullmatch(r"\d+(-\d+)*", roi.name or "") else roi.name
        fields += [(roi.c_position, roi.z_position, roi.t_position, roi.group, own_name)] * len(found)
    columns = {
        name: [str(row[i]) for row in fields] for i, name in enumerate(("c", "z", "t", "group", "name"))
    }
    slices, slice_field = _choose_slices(slices, columns)
    return Contents(
        np.concatenate(points),
        slices=slices,
        slice_field=slice_field,
        first=1,
        labels=labels,
        label_field="counter",
        known_labels=labels,
        fields=columns,
        meanings={"group": "class"},
    )


def _choose_slices(slices, columns):
    """Return the numbers of the slices: positions in the stack, or along the only axis of a hyperstack that varies."""
    varying = [axis for axis in "czt" if len(set(columns[axis])) > 1]
    if any(slices) or len(varying) != 1:
        return slices, "position"
    return [int(number) for number in columns.pop(varying[0])], varying[0]


def _decode(content, what):
    """Return a selection and its points."""
    roifile = import_optional("roifile", "Reading selections of ImageJ")
    try:
        roi = roifile.ImagejRoi.frombytes(content)
    except Exception as error:  # roifile's errors on damaged files are of any kind
        raise ValueError(
            f"{what} cannot be read as a selection of ImageJ: {error}. Save it again."
        ) from error
    if roi.roitype != roifile.ROI_TYPE.POINT:
        kind = "COMPOSITE" if roi.composite else roi.roitype.name
        raise ValueError(
            f"{what} is a selection of the kind {kind}; expected points. Delete it from the ROI Manager, or turn outlines "
            "into points in ImageJ."
        )
    try:
        with np.errstate(invalid="raise"):  # corners that are NaN, or too large for integers
            return roi, np.asarray(roi.coordinates(), dtype=np.float64).reshape(-1, 2)
    except (FloatingPointError, ValueError) as error:
        raise ValueError(f"{what} has no coordinates: {error}. Save it again.") from error


IMAGEJ = Format(
    "imagej",
    (".roi", ".zip"),
    load_selections,
    read_imagej,
    "xy",
    0,
    ("slices", "slice_column", "labels", "label_column", "where", "ignore", "first"),
    signs="an overlay of ImageJ",
    pictures=(".tif", ".tiff"),
)
