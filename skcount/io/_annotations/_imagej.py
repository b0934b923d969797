"""Format "imagej": selections of the point and multi-point tools of ImageJ and Fiji, .roi or a .zip of them.

Since ImageJ 1.52u whole coordinates of a point are the centre of a pixel, as they are here. Older versions
put it at +0.5 where one clicked at high zoom: pass ``origin=0.5`` for those.
"""

import numpy as np

from skcount._optional import import_optional
from skcount.io._annotations._contents import by_slice
from skcount.io._archives import ArchiveError, open_archive

__all__ = ["read_imagej"]

_MAX_BYTES = 2**28  # of all selections in a zip: more than a million points


def read_imagej(path, slices=None):
    """Read points of ImageJ.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    slices : {"split", "merge"} or None, default=None
        Whether the slices of a stack are images of their own, see :func:`by_slice`.

    Returns
    -------
    Contents
        Points as (x, y); labels are the numbers of the counters, "0" and on.

    Raises
    ------
    ValueError
        If the file is damaged, or holds a selection that is not made of points.
    """
    roifile = import_optional("roifile", "Reading selections of ImageJ")
    points, labels, numbers = [np.empty((0, 2))], [], []
    for name, content in _members(path):
        roi = _decode(roifile, content, path, name)
        found = _coordinates(roi, path)
        points.append(found)
        counters = roi.counters if roi.counters is not None else np.zeros(len(found), dtype=np.int64)
        labels += [str(counter) for counter in counters.tolist()]
        on_slice = roi.counter_positions
        numbers += (
            [roi.position] * len(found) if on_slice is None or not on_slice.any() else on_slice.tolist()
        )
    return by_slice(path, np.concatenate(points), numbers, slices, labels)


def _members(path):
    """Names and contents of the selections in a file."""
    with open(path, "rb") as file:
        is_zip = file.read(2) == b"PK"
    if not is_zip:
        return [(path.name, path.read_bytes())]
    try:
        with open_archive(path, _MAX_BYTES, _MAX_BYTES) as archive:
            # What a Mac adds when it packs a folder anew is no selection.
            return [(name, archive.read(name)) for name in archive.names if not _is_of_mac(name)]
    except ArchiveError as error:
        raise ValueError(
            f"{path} cannot be read as a zip of selections: {error} Or save it anew in ImageJ, with points only."
        ) from error


def _is_of_mac(name):
    return name.startswith("__MACOSX/") or name.rpartition("/")[2] == ".DS_Store"


def _coordinates(roi, path):
    try:
        with np.errstate(invalid="raise"):  # corners that are NaN, or beyond integers
            return np.asarray(roi.coordinates(), dtype=np.float64).reshape(-1, 2)
    except (FloatingPointError, ValueError) as error:
        raise ValueError(f"{path} has a selection without coordinates: {error}. Save it anew.") from error


def _decode(roifile, content, path, name):
    where = f"{path}, {name}," if name != path.name else f"{path}"
    try:
        roi = roifile.ImagejRoi.frombytes(content)
    except Exception as error:  # roifile's errors on damaged files are of any kind
        raise ValueError(
            f"{where} cannot be read as a selection of ImageJ: {error}. Save it anew."
        ) from error
    if roi.roitype != roifile.ROI_TYPE.POINT:
        kind = "COMPOSITE" if roi.composite else roi.roitype.name
        raise ValueError(
            f"{where} is a selection of the kind {kind}; expected points. Delete it from the ROI Manager, or turn outlines "
            "into points in ImageJ first."
        )
    return roi
