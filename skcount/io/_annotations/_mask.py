"""Format "mask": a label mask, in which each object is an area of its own value. One point inside each object.

Areas of one value that do not touch are several objects, and areas of different values that touch are too.
"""

import numpy as np

from skcount.io._annotations._contents import single_image
from skcount.io._pictures import read_picture

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

    objects, first_label = _connect(labels)
    n_objects = len(first_label)
    if not n_objects:
        return np.empty((0, 2))
    rows, cols = np.nonzero(objects)
    owners = objects[rows, cols] - 1
    sizes = np.bincount(owners, minlength=n_objects)
    points = np.column_stack(
        [np.bincount(owners, along, minlength=n_objects) / sizes for along in (rows, cols)]
    )
    nearest = np.floor(points + 0.5).astype(np.int64)
    hollow = np.flatnonzero(objects[nearest[:, 0], nearest[:, 1]] != np.arange(1, n_objects + 1))
    windows = ndimage.find_objects(objects) if len(hollow) else []
    for number in hollow.tolist():
        corner = [side.start for side in windows[number]]
        points[number] = _deepest(objects[windows[number]] == number + 1) + corner
    return points[np.argsort(first_label, kind="stable")]


def _connect(labels):
    """Number the objects from 1, in the order of their first pixels; return where they are, and the label of each."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    width = labels.shape[1]
    # A run is what hangs together in a row: there are far fewer of them than pixels.
    begins = np.ones(labels.shape, dtype=bool)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    runs = np.cumsum(begins, dtype=np.int32).reshape(labels.shape) - 1
    n_runs = int(runs[-1, -1]) + 1
    pairs = [np.empty((2, 0), dtype=np.int32)]
    for shift in (-1, 0, 1):
        above = np.s_[:-1, max(-shift, 0) : width - max(shift, 0)]
        below = np.s_[1:, max(shift, 0) : width + min(shift, 0)]
        # Where neither run begins, the column before has told of the same pair.
        touch = begins[above] | begins[below]
        touch[:, :1] = True
        touch &= labels[above] == labels[below]
        pairs.append(np.stack([runs[above][touch], runs[below][touch]]))
    first, second = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(n_runs, n_runs))
    _, parts = connected_components(graph, directed=False)
    values = labels[begins]
    kept, number_of = np.unique(parts[values != 0], return_inverse=True)
    objects = np.zeros(n_runs, dtype=np.int32)
    objects[values != 0] = number_of + 1
    first_label = np.empty(len(kept), dtype=labels.dtype)
    first_label[number_of] = values[values != 0]
    return objects[runs], first_label


def _deepest(area):
    """The pixel of a single object that is farthest from its edge; `area` is boolean, not larger than it need be."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(area, 1))[1:-1, 1:-1]
    return np.array(np.unravel_index(depth.argmax(), area.shape), dtype=np.float64)
