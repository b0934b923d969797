"""Points against image sizes: what lies outside is reported with what may be wrong, and never dropped."""

import warnings
from itertools import product

import numpy as np

from skcount.points import PointAnnotations, is_inside

__all__ = ["check_inside"]


def check_inside(images, shapes, outside, what, order, origin):
    """Warn of or refuse points outside their image.

    Parameters
    ----------
    images : list of ImagePoints
        Points as (row, col) in pixels.
    shapes : list of (height, width) or None
        Size of each image, None where it is not known: there only what is above or left of the image is outside.
    outside : {"raise", "warn", "ignore"}
        What to do.
    what : str
        Where the points are from, for the message.
    order : {"xy", "rc"} or None
        How they were read; None for formats without coordinates.
    origin : float
        How they were read.

    Raises
    ------
    ValueError
        If a point is outside and ``outside="raise"``.

    Warns
    -----
    UserWarning
        If a point is outside and ``outside="warn"``.
    """
    points = PointAnnotations([image.points for image in images])
    limits = np.array([shape or (np.inf, np.inf) for shape in shapes], dtype=np.float64).reshape(-1, 2)
    indices = np.flatnonzero(~is_inside(points, limits))
    if outside == "ignore" or not len(indices):
        return
    message = _describe(points, images, shapes, indices, what)
    if order is not None:
        message += _hint(points, limits, order, origin)
    message += " outside='warn' keeps them as they are."
    if outside == "raise":
        raise ValueError(message)
    warnings.warn(message, UserWarning, stacklevel=4)  # past scikit-learn's validation of the public function


def _describe(points, images, shapes, indices, what):
    owners = np.repeat(np.arange(len(points)), points.lengths)[indices]
    shown = "; ".join(
        f"{images[i].name}{f' of {shapes[i][0]} x {shapes[i][1]} pixels' if shapes[i] else ''}: row {row:g}, col {col:g}"
        for i, (row, col) in zip(owners[:3], points.coordinates[indices[:3]], strict=True)
    )
    more = f" and {len(indices) - 3} more" if len(indices) > 3 else ""
    return f"{len(indices)} of {len(points.coordinates)} points of {what} are outside their image: {shown}{more}."


def _hint(points, limits, order, origin):
    """The simplest other way of reading the file that puts all points inside, if there is one."""
    for swap, other in product([False, True], dict.fromkeys([origin, 1, 0, 0.5])):
        coordinates = points.coordinates[:, :: -1 if swap else 1] + (origin - other)
        if is_inside(PointAnnotations.from_flat(coordinates, points.lengths), limits).all():
            arguments = [f"order={'rc' if order == 'xy' else 'xy'!r}"] if swap else []
            arguments += [f"origin={other}"] if other != origin else []
            swapped = "with rows and columns swapped, " if swap else ""
            return f" All would be inside {swapped}if read with {', '.join(arguments)}."
    return " Are they of another size of the image, or in another unit than pixels? That is what scale=... is for."
