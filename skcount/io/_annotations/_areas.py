"""Connected areas of equal pixels, and a point inside each of them."""

import numpy as np


def find_areas(labels):
    """Return a point (row, col) inside each area, the number of its pixels and its label, in the order of the labels.

    The point is the centre of mass of connected pixels of one value, which may touch only at corners. If that lies on other
    pixels, as in a crescent, it is the pixel farthest from the object's edge.
    """
    from scipy import ndimage

    objects, first_label = _connect(labels)
    n_objects = len(first_label)
    if not n_objects:
        return np.empty((0, 2)), np.empty(0, dtype=np.int64), first_label
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
    order = np.argsort(first_label, kind="stable")
    return points[order], sizes[order], first_label[order]


def _connect(labels):
    """Return each pixel's object number, from 1 in the order of first pixels, and the label of each object."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    width = labels.shape[1]
    # Runs of equal pixels in a row: there are far fewer of them than pixels.
    begins = np.ones(labels.shape, dtype=bool)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    runs = np.cumsum(begins, dtype=np.int32).reshape(labels.shape) - 1
    n_runs = int(runs[-1, -1]) + 1
    pairs = [np.empty((2, 0), dtype=np.int32)]
    for shift in (-1, 0, 1):
        above = np.s_[:-1, max(-shift, 0) : width - max(shift, 0)]
        below = np.s_[1:, max(shift, 0) : width + min(shift, 0)]
        # If neither run begins here, the column before has given the same pair.
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
    """Return the pixel of a single object that is farthest from its edge; `area` is its bounding box, bool."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(area, 1))[1:-1, 1:-1]
    return np.array(np.unravel_index(depth.argmax(), area.shape), dtype=np.float64)
