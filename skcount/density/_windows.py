"""Sums of products of windows along both axes, the fastest way for their number and size.

>>> import numpy as np
>>> rows, cols = (np.array([[0, 1]]), np.array([[0.5, 0.5]])), (np.array([[1, 2]]), np.array([[0.25, 0.75]]))
>>> add_products(rows, cols, (2, 3))
array([[0.   , 0.125, 0.375],
       [0.   , 0.125, 0.375]], dtype=float32)
"""

import numpy as np

# What each way takes, in nanoseconds: of a matrix product a multiplication and a pixel that windows are laid out over, of a
# scatter an entry, of stamping a window and an entry. Measured on one core with AVX-512; only their ratios matter.
PRODUCT, SPREAD, SCATTER, STAMP, STAMPED = 0.04, 1.0, 7.0, 3000.0, 2.5
# Pixels that are summed at once: what fits in a processor's cache.
BAND = 2**19
# Numbers that may be made on the way to the sum; windows to be stamped, a sixteenth, so that they stay in the cache.
CHUNK = 2**20


def add_products(rows, cols, shape, out=None):
    """Add up, over all points, the products of a window along the rows and one along the columns.

    Parameters
    ----------
    rows, cols : (pixels, weights), ndarrays of shape (n_points, k)
        Windows of consecutive pixels and what each weighs; what lies outside of the map adds nothing.
    shape : (height, width)
        The size of the map.
    out : ndarray of shape (height, width), float32, or None, default=None
        Where to write the sum; None makes a new array.

    Returns
    -------
    ndarray of shape (height, width), float32
        The sum, computed in double precision.
    """
    out = np.empty(shape, dtype=np.float32) if out is None else out
    height, width = shape
    n_bands = -(-height * width // BAND)
    n_rows = -(-height // min(n_bands, height))
    if n_rows < height:
        order = np.argsort(rows[0][:, 0], kind="stable")
        rows, cols = ((pixels[order], weights[order]) for pixels, weights in (rows, cols))
    first, length = rows[0][:, 0], rows[0].shape[1]
    buffer = np.empty((n_rows, width))
    for top in range(0, height, n_rows):
        part = out[top : top + n_rows]
        near = (
            slice(*np.searchsorted(first, [top - length + 1, top + len(part)]))
            if n_rows < height
            else slice(None)
        )
        part[:] = _add(rows[0][near] - top, rows[1][near], cols[0][near], cols[1][near], buffer[: len(part)])
    return out


def spread(pixels, weights, size):
    """Lay windows out over a whole axis.

    Parameters
    ----------
    pixels, weights : ndarray of shape (n_points, k)
        As for `add_products`.
    size : int
        The length of the axis, in pixels.

    Returns
    -------
    ndarray of shape (n_points, size)
        What each pixel weighs.
    """
    # As much room on both sides as a window could need.
    before = max(0, -int(pixels.min(initial=0)))
    after = max(size, int(pixels.max(initial=0)) + 1)
    axis = np.zeros((len(pixels), before + after))
    np.put_along_axis(axis, pixels + before, weights, axis=1)
    return axis[:, before : before + size]


def _add(rows, row_weights, cols, col_weights, buffer):
    """The sum in double precision, by the way that takes the least time; it is the buffer."""
    n_points, n_entries = len(rows), rows.shape[1] * cols.shape[1]
    n_laid_out = sum(buffer.shape)
    times = {
        _product: PRODUCT * n_points * buffer.size + SPREAD * n_points * n_laid_out,
        _scatter: SCATTER * n_points * n_entries,
        _stamp: n_points * (STAMP + STAMPED * n_entries),
    }
    way = min(times, key=times.get)
    n_numbers = {_product: n_laid_out, _scatter: n_entries, _stamp: 16 * n_entries}
    n_chunk = max(1, CHUNK // n_numbers[way])
    buffer[:] = 0
    for first in range(0, n_points, n_chunk):
        chunk = slice(first, first + n_chunk)
        way(rows[chunk], row_weights[chunk], cols[chunk], col_weights[chunk], buffer)
    return buffer


def _product(rows, row_weights, cols, col_weights, buffer):
    height, width = buffer.shape
    buffer += spread(rows, row_weights, height).T @ spread(cols, col_weights, width)


def _scatter(rows, row_weights, cols, col_weights, buffer):
    (rows, row_weights), (cols, col_weights) = (
        (np.where(inside, pixels, 0), np.where(inside, weights, 0))
        for pixels, weights, inside in (
            (rows, row_weights, (rows >= 0) & (rows < buffer.shape[0])),
            (cols, col_weights, (cols >= 0) & (cols < buffer.shape[1])),
        )
    )
    places = (rows * buffer.shape[1])[:, :, None] + cols[:, None, :]
    weights = row_weights[:, :, None] * col_weights[:, None, :]
    buffer += np.bincount(places.ravel(), weights.ravel(), minlength=buffer.size).reshape(buffer.shape)


def _stamp(rows, row_weights, cols, col_weights, buffer):
    windows = np.einsum("pi,pj->pij", row_weights, col_weights)
    (height, width), (n_rows, n_cols) = buffer.shape, windows.shape[1:]
    for window, top, left in zip(windows, rows[:, 0].tolist(), cols[:, 0].tolist(), strict=True):
        bottom, right = top + n_rows, left + n_cols
        if top < 0 or left < 0 or bottom > height or right > width:
            if bottom <= 0 or right <= 0 or top >= height or left >= width:
                continue
            window = window[max(-top, 0) : height - top, max(-left, 0) : width - left]
            top, left = max(top, 0), max(left, 0)
        on_map = buffer[top:bottom, left:right]
        on_map += window
