"""Points -> density map: one normalised Gaussian for each point.

Every point inside the image adds exactly 1 to the sum, at any sigma and in the corner too: the kernel is
a product of two one-dimensional windows, and each window is cut at the image's border and divided by what
is left of it. With a region of interest the product is cut at its border, and divided by what is left.
"""

from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval, validate_params

from skcount.density._windows import add_products, spread
from skcount.points import in_region, pixels_of


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
    """Density map of points, by a Gaussian kernel that loses nothing at the border.

    Parameters
    ----------
    points : ndarray of shape (n_points, 2)
        (row, col) in pixels, sub-pixel positions included. Points outside the image or the region of interest add
        nothing.
    image_shape : (height, width)
        Size of the image, in pixels.
    sigma : float or ndarray of shape (n_points,)
        Standard deviation of the Gaussian, in pixels, > 0; one for all points or one for each.
    truncate : float, default=4.0
        The kernel ends at this many standard deviations from its point, >= 1.
    window : (top, left, height, width) or None, default=None
        Compute only this part of the image's map. It equals that crop of the full map: points outside the
        window reach into it, and kernels are renormalised at the border of the image, not of the window.
    roi : ndarray of shape (height, width), bool, or None, default=None
        The region of interest of the whole image. A point is inside when its pixel is; it adds exactly 1, all of it
        inside. The density outside is 0.
    perspective : ndarray of shape (height, width) or None, default=None
        Relative scale of the objects at each pixel of the whole image, > 0: a point's standard deviation is `sigma`
        times the scale at its pixel.
    out : ndarray of shape (height, width), float32, or None, default=None
        Where to write the map; None makes a new array.

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
    top, left, height, width = window or (0, 0, *image_shape)
    _, rows, cols = _kernels(
        points, image_shape, sigma, truncate, (top, left, height, width), roi, perspective
    )
    density = add_products(rows, cols, (height, width), out)
    if roi is not None:
        density *= roi[top : top + height, left : left + width]
    return density


def point_masses(points, image_shape, sigma, truncate, window, inside, *, roi=None, perspective=None):
    """How much of each point's kernel lies on some pixels of a window: what `gaussian_density` adds there, by point.

    Parameters
    ----------
    points, image_shape, sigma, truncate, roi, perspective
        As for `gaussian_density`.
    window : (top, left, height, width)
        A part of the image.
    inside : ndarray of shape (height, width)
        The pixels of the window to look at: 1 there, 0 elsewhere; none of them outside the region of interest.

    Returns
    -------
    ndarray of shape (n_near, 3), float64
        (row, col) in pixels of the window and the mass, in [0, 1], of each point whose kernel may reach the window.

    Examples
    --------
    >>> points = np.array([[4.0, 4.0], [1.0, 1.0]])
    >>> point_masses(points, (9, 9), 1.0, 4.0, (4, 0, 5, 9), np.ones((5, 9))).round(2)
    array([[ 0. ,  4. ,  0.7],
           [-3. ,  1. ,  0. ]])
    """
    points, rows, cols = _kernels(points, image_shape, sigma, truncate, window, roi, perspective)
    across = spread(*rows, window[2]) @ inside
    masses = (across * spread(*cols, window[3])).sum(axis=1)
    return np.column_stack([points - window[:2], masses])


def _kernels(points, image_shape, sigma, truncate, window, roi, perspective):
    """The points whose kernels reach a window, and their pixels and weights there along each axis."""
    top, left, height, width = window
    inside = in_region(points, image_shape, roi)
    points, sigmas = points[inside], np.broadcast_to(np.float64(sigma), len(points))[inside]
    if perspective is not None:
        sigmas = sigmas * perspective[tuple(pixels_of(points, image_shape).T)]
    if (height, width) != tuple(image_shape):  # else all are near
        reach = axis_reach(sigmas, truncate, max(image_shape))[:, None] + 0.5
        near = (points >= np.array([top, left]) - reach) & (
            points <= np.array([top + height, left + width]) + reach
        )
        near = near.all(axis=1)
        points, sigmas = points[near], sigmas[near]
    # Both axes at once: for a few points, the calls are the work.
    sizes, both_sigmas = np.repeat(image_shape, len(points)), np.tile(sigmas, 2)
    (rows, cols), (row_weights, col_weights) = (
        values.reshape(2, len(points), values.shape[1])
        for values in axis_windows(points.T.ravel(), sizes, both_sigmas, truncate)
    )
    if roi is not None:
        row_weights = row_weights / _masses(rows, row_weights, cols, col_weights, roi)[:, None]
    return points, (rows - top, row_weights), (cols - left, col_weights)


def axis_reach(sigma, truncate, size):
    """Half the width of a window, in pixels: at least the pixel beside, so that sub-pixel points are shared."""
    return np.maximum(1, np.ceil(np.minimum(truncate * np.asarray(sigma), size - 1))).astype(np.intp)


def axis_windows(positions, size, sigma, truncate):
    """Pixels and weights of each point along one axis: (n_points, k) each; the weights inside sum to 1.

    `size` and `sigma` are numbers, or one a point.
    """
    size, sigma = (np.broadcast_to(values, positions.shape)[:, None] for values in (size, sigma))
    reach, limit = int(axis_reach(sigma, truncate, size).max(initial=1)), np.maximum(truncate * sigma, 1.0)
    # Below a thousandth of a pixel all mass is on the nearest pixel anyway, and the quotient would overflow.
    sigma = np.maximum(sigma, 1e-3)
    pixels = np.floor(positions + 0.5).astype(np.intp)[:, None] + np.arange(-reach, reach + 1)
    distances = np.abs(pixels - positions[:, None])
    exponents = -0.5 * (distances / sigma) ** 2
    # Relative to the nearest pixel's, so that a tiny sigma does not underflow to 0 / 0.
    weights = np.exp(exponents - exponents.max(axis=1, keepdims=True, initial=-np.inf))
    # Cut by distance, not by pixel: a point between two pixels reaches as far to the one side as to the other.
    weights[(pixels < 0) | (pixels >= size) | (distances > limit)] = 0
    return pixels, weights / weights.sum(axis=1, keepdims=True)


def _masses(rows, row_weights, cols, col_weights, roi):
    """How much of each point's kernel is inside the region: (n_points,)."""
    masses = np.empty(len(rows))
    for index, (r, c) in enumerate(_windows(rows, cols, roi.shape)):
        inside = roi[r[1], c[1]]
        masses[index] = row_weights[index, r[0]] @ inside @ col_weights[index, c[0]]
    return masses


def _windows(rows, cols, shape):
    """For each point, and each axis, the part of its window that is on the image, and where it is there."""
    for point in zip(rows, cols, strict=True):
        spans = []
        for pixels, size in zip(point, shape, strict=True):
            start, stop = np.clip((pixels[0], pixels[-1] + 1), 0, size)
            spans.append((slice(start - pixels[0], stop - pixels[0]), slice(start, stop)))
        yield spans
