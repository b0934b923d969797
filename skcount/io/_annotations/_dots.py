"""Format "dots": a picture in which each pixel that is not black is one object. Touching pixels are never joined."""

import numpy as np

from skcount.io._annotations._contents import single_image
from skcount.io._pictures import is_jpeg, read_picture

__all__ = ["read_dots"]


def read_dots(path, threshold=None):
    """Read the dots of a dot image.

    Parameters
    ----------
    path : pathlib.Path
        The picture, of any size and type.
    threshold : float or None, default=None
        A pixel is a dot when its brightest channel is above this. None is 0, and refuses JPEG, which smears dots.

    Returns
    -------
    Contents
        The centres of the dots, as (row, col), and the picture's size.

    Raises
    ------
    ValueError
        If it is a JPEG and there is no threshold, or more than half of the pixels are dots.
    """
    if threshold is None and is_jpeg(path):
        raise ValueError(
            f"{path} is a JPEG, in which dots are smeared; expected a PNG, or threshold=..., the value that a pixel must "
            "exceed to be a dot."
        )
    pixels = read_picture(path)
    if pixels.ndim == 3:
        pixels = pixels.max(axis=2)
    dots = pixels > (threshold or 0)
    if dots.mean() > 0.5:
        raise ValueError(
            f"{path} has {dots.sum()} dots in {dots.size} pixels; expected dots on black, one pixel an object. Invert it, "
            "or set a threshold; a mask of areas is format='mask'."
        )
    return single_image(path, np.argwhere(dots), shape=dots.shape)
