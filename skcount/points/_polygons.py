"""Polygons <-> pixels."""

import numpy as np

__all__ = ["polygon_mask", "rasterize"]


def polygon_mask(corners, size):
    """Return which pixels of an image have their centre in a polygon, an array (n_corners, 2) of (row, col)."""
    part, top, left = rasterize([np.asarray(corners, dtype=np.float64)], size)
    mask = np.zeros(size, dtype=bool)
    mask[top : top + part.shape[0], left : left + part.shape[1]] = part
    return mask


def rasterize(rings, shape):
    """Return the pixels whose centre lies inside, by the even-odd rule, and the row and column of the first one.

    A centre exactly on an edge that two polygons share belongs to one of them.
    """
    corners = np.concatenate(rings)
    top, left = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, shape)
    bottom, right = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 0, shape)
    rows, cols = np.arange(top, max(top, bottom)), np.arange(left, max(left, right))
    inside = np.zeros((len(rows), len(cols)), dtype=bool)
    for ring in rings:
        for (row, col), (next_row, next_col) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if row > next_row:  # the same edge of two polygons has the same crossings
                row, col, next_row, next_col = next_row, next_col, row, col
            crossed = (row > rows) != (next_row > rows)
            if crossed.any():
                at = (next_col - col) * (rows[crossed] - row) / (next_row - row) + col
                inside[crossed] ^= cols < at[:, None]
    return inside, top, left
