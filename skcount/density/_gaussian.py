"""Points -> density map: one normalised Gaussian per point.

Every point inside the image adds exactly 1 to the sum, at any sigma and even in a corner: the kernel is the product of
two one-dimensional windows, each cut at the border of the image and divided by the sum of its remaining weights. With a
region of interest, the product is cut at the border of the region and divided by its remaining sum.
"""

from numbers import Real

import numpy as np
from scipy.spatial import KDTree
from sklearn.utils._param_validation import Interval, validate_params

from skcount.points import in_region, pixels_of

# Costs of the three ways to add up windows, in nanoseconds: of a matrix product per multiplication and per pixel over
# which windows are spread, of a scatter per entry, of stamping per window and per entry. Measured on one core with
# AVX-512; only their ratios matter.
PRODUCT, SPREAD, SCATTER, STAMP, STAMPED = 0.04, 1.0, 7.0, 3000.0, 2.5
# Pixels that are summed at once: as many as fit in a processor's cache.
BAND = 2**19
# Size of one temporary array, in elements. Stamped windows use a sixteenth of it, so that they stay in the cache.
CHUNK = 2**20


@validate_params(
    {
        "points": [np.ndarray],
        "image_shape": ["array-like"],
        "sigma": [Interval(Real, 0, None, closed="neither"), np.ndarray],
        "truncate": [Interval(Real, 1, None, closed="left")],
        "window": [tuple, list, None],
        "roi": [np.ndarray, None],
        "perspective": [np.ndarray, None],
        "out": [np.ndarray, None],
    },
    prefer_skip_nested_validation=True,
)
def gaussian_density(
    points, image_shape, sigma, truncate=4.0, window=None, *, roi=None, perspective=None, out=None
):
    """Return the density map of points, with Gaussian kernels that lose no mass at the border.

    Parameters
    ----------
    points : ndarray of shape (n_points, 2)
        (row, col) in pixels; positions may be fractions of a pixel. Points outside the image or the region of
        interest add nothing.
    image_shape : (height, width)
        Size of the image, in pixels.
    sigma : float or ndarray of shape (n_points,)
        Standard deviation of the Gaussian, in pixels, > 0: one for all points or one per point.
    truncate : float, default=4.0
        The kernel ends at this many standard deviations from its point, >= 1.
    window : (top, left, height, width) or None, default=None
        Compute only this part of the image's map. It equals that crop of the full map: points outside the
        window contribute to it, and kernels are normalised at the border of the image, not of the window.
    roi : ndarray of shape (height, width), bool, or None, default=None
        The region of interest of the whole image. A point is inside if its pixel is. It then adds exactly 1, all of
        it inside the region; the density outside the region is 0.
    perspective : ndarray of shape (height, width) or None, default=None
        Relative scale of the objects at each pixel of the whole image, > 0. A point's standard deviation is `sigma`
        times the scale at its pixel.
    out : ndarray of shape (height, width), float32, or None, default=None
        Array to write the map to. If None, make a new array.

    Returns
    -------
    ndarray of shape (height, width), float32
        Objects per pixel; sums to the number of points inside the image and the region.

    References
    ----------
    V. Lempitsky and A. Zisserman, "Learning to count objects in images", NeurIPS 2010.

    Examples
    --------
    >>> density = gaussian_density(np.array([[0.0, 0.0], [3.2, 4.9]]), (8, 8), sigma=2.0)
    >>> round(float(density.sum()), 5)
    2.0
    >>> roi = np.arange(64).reshape(8, 8) < 32
    >>> density = gaussian_density(np.array([[3.2, 4.9], [6.0, 4.0]]), (8, 8), sigma=2.0, roi=roi)
    >>> round(float(density[:4].sum()), 5), float(density[4:].sum())
    (1.0, 0.0)
    """
    inside = in_region(points, image_shape, roi)
    sigma = np.asarray(sigma)[inside] if np.ndim(sigma) else sigma
    return make_map(points[inside], image_shape, sigma, truncate, window, roi, perspective, out)


def make_map(points, image_shape, sigma, truncate, window=None, roi=None, perspective=None, out=None):
    """Return the map of `gaussian_density` for points that are all inside the image and the region."""
    top, left, height, width = window or (0, 0, *image_shape)
    _, rows, cols = _kernels(
        points, image_shape, sigma, truncate, (top, left, height, width), roi, perspective
    )
    density = add_products(rows, cols, (height, width), out)
    if roi is not None:
        density *= roi[top : top + height, left : left + width]
    return density


def point_masses(points, image_shape, sigma, truncate, window, inside, roi=None, perspective=None):
    """Return (row, col, mass on the pixels `inside`), (n_near, 3), of the points near a window, all in the region."""
    points, rows, cols = _kernels(points, image_shape, sigma, truncate, window, roi, perspective)
    across = spread(*rows, window[2]) @ inside
    masses = (across * spread(*cols, window[3])).sum(axis=1)
    return np.column_stack([points - window[:2], masses])


def neighbor_sigma(points, n_neighbors, beta, alone):
    """Return the sigmas of geometry-adaptive kernels, (n_points,): `beta` times the mean distance to the neighbours."""
    # In a crowd, the distance between heads grows with their size, so it can replace a perspective map.
    k = min(n_neighbors, len(points) - 1)
    if k < 1:
        return np.full(len(points), float(alone))
    distances, _ = KDTree(points).query(points, k=k + 1)
    return beta * distances[:, 1:].mean(axis=1)


def _kernels(points, image_shape, sigma, truncate, window, roi, perspective):
    """Return the points whose kernels may overlap a window, and their (pixels, weights) there on both axes."""
    top, left, height, width = window
    sigmas = np.broadcast_to(np.float64(sigma), len(points))
    if perspective is not None:
        sigmas = sigmas * perspective[tuple(pixels_of(points, image_shape).T)]
    if (height, width) != tuple(image_shape):  # else all points are near
        reach = axis_reach(sigmas, truncate, max(image_shape))[:, None] + 0.5
        first, last = np.array([top, left]) - reach, np.array([top + height, left + width]) + reach
        near = ((points >= first) & (points <= last)).all(axis=1)
        points, sigmas = points[near], sigmas[near]
    # Both axes in one call: with few points, calls of numpy take most of the time.
    n_points = len(points)
    pixels, weights = axis_windows(
        points.T.ravel(), np.repeat(image_shape, n_points), np.tile(sigmas, 2), truncate
    )
    rows, cols = (pixels[:n_points], weights[:n_points]), (pixels[n_points:], weights[n_points:])
    if roi is not None:
        rows = rows[0], rows[1] / _masses(rows, cols, roi)[:, None]
    return points, (rows[0] - top, rows[1]), (cols[0] - left, cols[1])


def axis_reach(sigma, truncate, size):
    """Return half the width of a window, in pixels, at least 1: a point between two pixels is shared by both."""
    return np.maximum(1, np.ceil(np.minimum(truncate * np.asarray(sigma), size - 1))).astype(np.intp)


def axis_windows(positions, size, sigma, truncate):
    """Return pixels and weights along one axis, (n_points, k) each; `size` and `sigma` are one number or one per point."""
    reach = int(axis_reach(sigma, truncate, size).max(initial=1))
    size, sigma = np.asarray(size)[..., None], np.asarray(sigma)[..., None]
    limit = np.maximum(truncate * sigma, 1.0)
    # Below a thousandth of a pixel all mass is on the nearest pixel anyway, and the quotient would overflow.
    sigma = np.maximum(sigma, 1e-3)
    pixels = np.floor(positions + 0.5).astype(np.intp)[:, None] + np.arange(-reach, reach + 1)
    distances = np.abs(pixels - positions[:, None])
    exponents = -0.5 * (distances / sigma) ** 2
    # Divide by the weight of the nearest pixel, so that a tiny sigma does not underflow to 0 / 0.
    weights = np.exp(exponents - exponents.max(axis=1, keepdims=True, initial=-np.inf))
    # Cut by distance, not by pixel, so that the kernel of a point between two pixels extends equally far to both sides.
    weights[(pixels < 0) | (pixels >= size) | (distances > limit)] = 0
    return pixels, weights / weights.sum(axis=1, keepdims=True)


def _masses(rows, cols, roi):
    """Return the mass of each point's kernel inside the region, (n_points,)."""
    height, width = roi.shape
    masses = np.empty(len(rows[0]))
    corners = zip(rows[0][:, 0].tolist(), cols[0][:, 0].tolist(), strict=True)
    for index, (top, left) in enumerate(corners):
        by_row = rows[1][index, max(-top, 0) : height - top]
        by_col = cols[1][index, max(-left, 0) : width - left]
        top, left = max(top, 0), max(left, 0)
        masses[index] = by_row @ roi[top : top + len(by_row), left : left + len(by_col)] @ by_col
    return masses


def add_products(rows, cols, shape, out=None):
    """Add up, over all points, the products of a window (pixels, weights) along the rows and one along the columns."""
    out = np.empty(shape, dtype=np.float32) if out is None else out
    (rows, row_weights), (cols, col_weights) = rows, cols
    height, width = shape
    n_bands = -(-height * width // BAND)
    n_rows = -(-height // min(n_bands, height))
    buffer = np.empty((n_rows, width))
    if n_rows == height:
        out[:] = _add(rows, row_weights, cols, col_weights, buffer)
        return out
    order = np.argsort(rows[:, 0], kind="stable")
    rows, row_weights, cols, col_weights = rows[order], row_weights[order], cols[order], col_weights[order]
    for top in range(0, height, n_rows):
        part = out[top : top + n_rows]
        near = slice(*np.searchsorted(rows[:, 0], [top - rows.shape[1] + 1, top + len(part)]))
        part[:] = _add(
            rows[near] - top, row_weights[near], cols[near], col_weights[near], buffer[: len(part)]
        )
    return out


def spread(pixels, weights, size):
    """Spread windows over a whole axis, (n_points, size)."""
    # Leave as much room on both sides as a window can need.
    before = max(0, -int(pixels.min(initial=0)))
    after = max(size, int(pixels.max(initial=0)) + 1)
    axis = np.zeros((len(pixels), before + after))
    np.put_along_axis(axis, pixels + before, weights, axis=1)
    return axis[:, before : before + size]


def _add(rows, row_weights, cols, col_weights, buffer):
    """Write the sum into the buffer, in double precision and with the fastest method; return the buffer."""
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
    height, width = buffer.shape
    row_inside, col_inside = (rows >= 0) & (rows < height), (cols >= 0) & (cols < width)
    places = np.where(row_inside, rows * width, 0)[:, :, None] + np.where(col_inside, cols, 0)[:, None, :]
    weights = (row_weights * row_inside)[:, :, None] * (col_weights * col_inside)[:, None, :]
    buffer += np.bincount(places.ravel(), weights.ravel(), minlength=buffer.size).reshape(buffer.shape)


def _stamp(rows, row_weights, cols, col_weights, buffer):
    windows = np.einsum("pi,pj->pij", row_weights, col_weights)
    (height, width), (n_rows, n_cols) = buffer.shape, windows.shape[1:]
    for window, top, left in zip(windows, rows[:, 0].tolist(), cols[:, 0].tolist(), strict=True):
        if top <= -n_rows or left <= -n_cols or top >= height or left >= width:
            continue
        on_map = buffer[max(top, 0) : top + n_rows, max(left, 0) : left + n_cols]
        on_map += window[max(-top, 0) : height - top, max(-left, 0) : width - left]
