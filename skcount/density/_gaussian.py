"""Points -> density map: one normalised Gaussian for each point.

Every point inside the image adds exactly 1 to the sum, at any sigma and in the corner too: the kernel is
a product of two one-dimensional windows, and each window is cut at the image's border and divided by what
is left of it.
"""

import numpy as np

# Above this number of multiplications one matrix product over the whole window loses to stamping.
_PRODUCT_LIMIT = 30_000_000


def gaussian_density(points, image_shape, sigma, truncate=4.0, window=None):
    """Density map of points, by a Gaussian kernel that loses nothing at the border.

    Parameters
    ----------
    points : ndarray of shape (n_points, 2)
        (row, col) in pixels, sub-pixel positions included. Points outside the image add nothing.
    image_shape : (height, width)
        Size of the image, in pixels.
    sigma : float
        Standard deviation of the Gaussian, in pixels, > 0.
    truncate : float, default=4.0
        The kernel ends at this many standard deviations from its point.
    window : (top, left, height, width) or None, default=None
        Compute only this part of the image's map. It equals that crop of the full map: points outside the
        window reach into it, and kernels are renormalised at the border of the image, not of the window.

    Returns
    -------
    ndarray of shape (height, width), float32
        Objects per pixel; sums to the number of points inside the image.

    References
    ----------
    V. Lempitsky and A. Zisserman, "Learning to count objects in images", NeurIPS 2010.

    Examples
    --------
    >>> density = gaussian_density(np.array([[0.0, 0.0], [3.2, 4.9]]), (8, 8), sigma=2.0)
    >>> round(float(density.sum()), 5)
    2.0
    """
    top, left, height, width = window or (0, 0, *image_shape)
    limits = np.asarray(image_shape) - 0.5
    points = points[((points >= -0.5) & (points < limits)).all(axis=1)]
    reach = axis_reach(sigma, truncate, max(image_shape)) + 0.5
    near = (points >= (top - reach, left - reach)) & (points <= (top + height + reach, left + width + reach))
    points = points[near.all(axis=1)]
    rows, row_weights = axis_windows(points[:, 0], image_shape[0], sigma, truncate)
    cols, col_weights = axis_windows(points[:, 1], image_shape[1], sigma, truncate)
    rows, cols = rows - top, cols - left
    if len(points) * height * width <= _PRODUCT_LIMIT:
        density = _spread(rows, row_weights, height).T @ _spread(cols, col_weights, width)
    else:
        density = _stamp(rows, row_weights, cols, col_weights, (height, width))
    return density.astype(np.float32)


def axis_reach(sigma, truncate, size):
    """Half the width of a window, in pixels: at least the pixel beside, so that sub-pixel points are shared."""
    return max(1, int(np.ceil(min(truncate * sigma, size - 1))))


def axis_windows(positions, size, sigma, truncate):
    """Pixels and weights of each point along one axis: (n_points, k) each; the weights inside sum to 1."""
    reach, limit = axis_reach(sigma, truncate, size), max(truncate * sigma, 1.0)
    # Below a thousandth of a pixel all mass is on the nearest pixel anyway, and the quotient would overflow.
    sigma = max(sigma, 1e-3)
    pixels = np.floor(positions + 0.5).astype(np.intp)[:, None] + np.arange(-reach, reach + 1)
    distances = np.abs(pixels - positions[:, None])
    exponents = -0.5 * (distances / sigma) ** 2
    # Relative to the nearest pixel's, so that a tiny sigma does not underflow to 0 / 0.
    weights = np.exp(exponents - exponents.max(axis=1, keepdims=True, initial=-np.inf))
    # Cut by distance, not by pixel: a point between two pixels reaches as far to the one side as to the other.
    weights[(pixels < 0) | (pixels >= size) | (distances > limit)] = 0
    return pixels, weights / weights.sum(axis=1, keepdims=True)


def _spread(pixels, weights, size):
    """Lay windows out over a whole axis: (n_points, size)."""
    spread = np.zeros((len(pixels), size))
    point, entry = np.nonzero((pixels >= 0) & (pixels < size))
    spread[point, pixels[point, entry]] = weights[point, entry]
    return spread


def _stamp(rows, row_weights, cols, col_weights, shape):
    """Add the product of two windows at each point's place."""
    density = np.zeros(shape)
    for row, row_weight, col, col_weight in zip(rows, row_weights, cols, col_weights, strict=True):
        r = slice(*np.clip((row[0], row[-1] + 1), 0, shape[0]))
        c = slice(*np.clip((col[0], col[-1] + 1), 0, shape[1]))
        density[r, c] += (
            row_weight[r.start - row[0] : r.stop - row[0], None]
            * col_weight[c.start - col[0] : c.stop - col[0]]
        )
    return density
