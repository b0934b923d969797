"""Geometry-adaptive kernels: as wide as an object's neighbours are far."""

import numpy as np
from scipy.spatial import KDTree


def neighbor_sigma(points, n_neighbors, beta, alone):
    """Standard deviation of each point's kernel, from the distances to its nearest neighbours.

    In a crowd the distance between heads goes with their size, so it stands in for a perspective map.

    Parameters
    ----------
    points : ndarray of shape (n_points, 2)
        One image's points as (row, col) in pixels.
    n_neighbors : int
        How many neighbours are looked at, >= 1; all there are, where they are fewer.
    beta : float
        The standard deviation is so many times the mean distance, > 0.
    alone : float
        Standard deviation of a point without any neighbour, in pixels.

    Returns
    -------
    ndarray of shape (n_points,), float64
        In pixels; 0 where all neighbours are at the same place.

    References
    ----------
    Y. Zhang, D. Zhou, S. Chen, S. Gao and Y. Ma, "Single-image crowd counting via multi-column convolutional neural
    network", CVPR 2016.

    Examples
    --------
    >>> points = np.array([[0.0, 0.0], [0.0, 10.0], [0.0, 30.0]])
    >>> neighbor_sigma(points, n_neighbors=2, beta=0.3, alone=2.0)
    array([6. , 4.5, 7.5])
    """
    k = min(n_neighbors, len(points) - 1)
    if k < 1:
        return np.full(len(points), float(alone))
    distances, _ = KDTree(points).query(points, k=k + 1)
    return beta * distances[:, 1:].mean(axis=1)
