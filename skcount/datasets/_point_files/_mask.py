"""Format "mask": a label mask, in which each object is an area of its own value. One point inside each object.

Areas of one value that do not touch are several objects, and areas of different values that touch are too.
"""

import numpy as np

from skcount.datasets._pictures import read_picture
from skcount.datasets._point_files._contents import single_image

__all__ = ["points_in_labels", "read_mask"]


def read_mask(path):
    """Read a point for each object of a label mask.

    Parameters
    ----------
    path : pathlib.Path
        The picture, of one channel; of a palette its indices are the labels. 0 is the background.

    Returns
    -------
    Contents
        The points, as (row, col), and the picture's size.

    Raises
    ------
    ValueError
        If it has several channels, or values that are no labels.
    """
    labels = read_picture(path, indices=True)
    if labels.ndim != 2:
        raise ValueError(
            f"{path} is of shape {labels.shape}; expected a mask of one channel, with a number for each object."
        )
    if not np.isfinite(labels).all() or (labels < 0).any() or (labels % 1 != 0).any():
        raise ValueError(
            f"{path} has values below 0 or between whole numbers; expected labels, with 0 for the background."
        )
    return single_image(path, points_in_labels(labels), shape=labels.shape)


def points_in_labels(labels):
    """Find a point inside each object of a label mask.

    Parameters
    ----------
    labels : ndarray of shape (height, width)
        Whole numbers; 0 is the background.

    Returns
    -------
    ndarray of shape (n_objects, 2), float64
        (row, col): the centre of mass of the pixels of one value that hang together, also by corners; where that
        lies on other pixels, as in a crescent, the pixel farthest from the object's edge.

    Examples
    --------
    >>> points_in_labels(np.array([[1, 1, 2], [0, 0, 2], [1, 0, 0]]))
    array([[0. , 0.5],
           [2. , 0. ],
           [0.5, 2. ]])
    """
    from scipy import ndimage

    dense = np.unique(labels, return_inverse=True)[1].reshape(labels.shape) + 1
    dense[labels == 0] = (
        0  # consecutive numbers, whatever the labels: find_objects makes a list of all below the largest
    )
    points = [np.empty((0, 2))]
    for number, window in enumerate(ndimage.find_objects(dense), start=1):
        if window is None:
            continue
        corner = [side.start for side in window]
        parts, n_parts = ndimage.label(dense[window] == number, structure=np.ones((3, 3)))
        points += [_point_in(parts == part) + corner for part in range(1, n_parts + 1)]
    return np.vstack(points)


def _point_in(area):
    """A point of a single object; `area` is boolean, and not larger than it need be."""
    from scipy import ndimage

    centre = np.argwhere(area).mean(axis=0)
    if area[tuple(np.floor(centre + 0.5).astype(int))]:
        return centre
    depth = ndimage.distance_transform_edt(np.pad(area, 1))[1:-1, 1:-1]
    return np.array(np.unravel_index(depth.argmax(), area.shape), dtype=np.float64)
