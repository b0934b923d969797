"""Format "dots": a picture in which each pixel that is not black is one object.

Whether touching pixels are one dot, drawn with a brush, or several is asked if most of them touch.
"""

import numpy as np

from skcount.io._annotations._areas import find_areas
from skcount.io._annotations._contents import Contents, Format
from skcount.io._pictures import SUFFIXES, is_jpeg, read_picture


def load_dots(path):
    """Return the pixels of a picture, and whether it is a JPEG, regardless of its name."""
    return read_picture(path), is_jpeg(path)


def read_dots(content, threshold=None, touching=None):
    """Return the centres of all pixels whose brightest channel is above a threshold; None means 0 and rejects JPEG."""
    pixels, is_smeared = content
    if threshold is None and is_smeared:
        raise ValueError(
            "JPEG smears dots; expected a PNG, or a `threshold`, the value that a pixel must exceed to be a dot."
        )
    if pixels.ndim == 3:
        pixels = pixels.max(axis=2)
    dots = pixels > (threshold or 0)
    if dots.mean() > 0.5:
        raise ValueError(
            f"dots must be on black, one pixel per object; got {dots.sum()} dots in {dots.size} pixels. Invert the picture "
            "or set a threshold. For areas use format='mask'."
        )
    if touching == "separate" or not dots.any():
        return Contents(np.argwhere(dots), [(None, dots.shape)])
    areas, sizes, _ = find_areas(dots.astype(np.int8))
    if touching is None and 2 * sizes[sizes > 2].sum() > sizes.sum():
        raise ValueError(
            f"most of the {dots.sum()} pixels lie in spots of three or more; there are {len(areas)} spots. Pass "
            "touching='join' if each spot is an object, drawn with a brush or smoothed, or touching='separate' if each "
            "pixel is one."
        )
    return Contents(areas if touching == "join" else np.argwhere(dots), [(None, dots.shape)])


DOTS = Format(
    "dots",
    SUFFIXES,
    load_dots,
    read_dots,
    None,
    None,
    ("threshold", "touching"),
    signs="one pixel per object",
)
