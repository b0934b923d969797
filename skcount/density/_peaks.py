"""Density map -> points: as many as the rounded sum of the map."""

import numpy as np
from scipy import ndimage

from skcount.density._gaussian import axis_reach, axis_windows, gaussian_density

# Places within a pixel at which a kernel is tried before a parabola finds the top between them.
_OFFSETS = np.arange(-7, 8) / 16


def find_points(density, sigma, truncate=4.0):
    """Place as many points on a density map as its sum says.

    A matched filter (the map correlated with the kernel of an object at each place, over that kernel's norm)
    is highest where an object is, at the image's border too, where kernels are one-sided. The peaks are taken,
    highest first, their kernels are subtracted from the map, and what remains is searched again: so two
    objects on one pixel give two points.

    Parameters
    ----------
    density : ndarray of shape (height, width)
        Objects per pixel.
    sigma : float
        Standard deviation of the Gaussian that the map was made with, in pixels.
    truncate : float, default=4.0
        The kernel ends at this many standard deviations.

    Returns
    -------
    ndarray of shape (n_points, 2), float64
        (row, col) in pixels, sub-pixel, inside the image; ``n_points = round(density.sum())``.

    Examples
    --------
    >>> density = gaussian_density(np.array([[4.0, 5.0], [12.25, 9.0]]), (20, 20), sigma=1.5)
    >>> find_points(density, sigma=1.5).round(1) + 0.0
    array([[ 4. ,  5. ],
           [12.2,  9. ]])
    """
    shape = density.shape
    residual = density.astype(np.float64)
    n_wanted = max(0, round(residual.sum()))
    found = np.empty((0, 2))
    while len(found) < n_wanted:
        along_cols = _correlate(residual, 1, sigma, truncate)
        response = _correlate(along_cols, 0, sigma, truncate)
        peaks = _highest_peaks(response, sigma, n_wanted - len(found))
        along_rows = _correlate(residual, 0, sigma, truncate)
        new = np.column_stack(
            [
                _refine(along_cols, peaks[:, 0], peaks[:, 1], sigma, truncate),
                _refine(along_rows.T, peaks[:, 1], peaks[:, 0], sigma, truncate),
            ]
        )
        found = np.concatenate([found, new])
        residual -= gaussian_density(new, shape, sigma, truncate)
    return found[np.lexsort(found.T[::-1])]


def _correlate(array, axis, sigma, truncate):
    """Correlate along one axis with the kernel of an object at each pixel, over that kernel's norm.

    By the Cauchy-Schwarz inequality this is highest where the object is, also where the border cuts kernels.
    """
    size = array.shape[axis]
    reach = axis_reach(sigma, truncate, size)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-3)) ** 2)
    norms = np.sqrt(ndimage.correlate1d(np.ones(size), kernel**2, mode="constant"))
    return ndimage.correlate1d(array, kernel, axis, mode="constant") / np.expand_dims(norms, 1 - axis)


def _highest_peaks(response, sigma, n_wanted):
    """Pixels (k, 2) of the highest local maxima, at least one and at most `n_wanted` of them."""
    size = 2 * max(1, round(min(sigma, max(response.shape)))) + 1
    is_peak = response == ndimage.maximum_filter(response, size=size, mode="nearest")
    peaks = np.argwhere(is_peak)
    heights = response[is_peak]
    order = np.argsort(-heights, kind="stable")
    # Noise has small peaks too: what is far below the highest one waits until the high ones are subtracted.
    high = order[heights[order] >= 0.5 * heights[order[0]]] if heights[order[0]] > 0 else order[:1]
    return _apart(peaks[high], size // 2)[:n_wanted]


def _apart(peaks, distance):
    """Drop plateau pixels: of peaks closer than `distance` along both axes keep the first."""
    if len(peaks) < 2:
        return peaks
    kept = np.ones(len(peaks), dtype=bool)
    cells = {}
    for index, (row, col) in enumerate(peaks.tolist()):
        cell = (row // (distance + 1), col // (distance + 1))
        neighbours = (cells.get((cell[0] + i, cell[1] + j), ()) for i in (-1, 0, 1) for j in (-1, 0, 1))
        if any(max(abs(row - r), abs(col - c)) <= distance for near in neighbours for r, c in near):
            kept[index] = False
        else:
            cells.setdefault(cell, []).append((row, col))
    return peaks[kept]


def _refine(lines, along, across, sigma, truncate):
    """Move peaks within their pixel, along the first axis of `lines`, to where the kernel fits best."""
    size = len(lines)
    pixels = axis_windows(along.astype(np.float64), size, sigma, truncate)[0]
    profiles = lines[np.clip(pixels, 0, size - 1), across[:, None]]
    scores = np.empty((len(along), len(_OFFSETS)))
    for k, offset in enumerate(_OFFSETS):
        weights = axis_windows(along + offset, size, sigma, truncate)[1]
        scores[:, k] = (profiles * weights).sum(axis=1) / np.sqrt((weights**2).sum(axis=1))
    best = scores.max(axis=1, keepdims=True)
    # Where nothing tells the places apart the pixel's centre is the one to take.
    is_top = scores >= best - 1e-9 * np.abs(best)
    top = np.where(is_top, np.abs(_OFFSETS), np.inf).argmin(axis=1)
    return along + np.clip(_OFFSETS[top] + _parabola_shift(scores, top) / 16, -0.5, 0.499)


def _parabola_shift(scores, top):
    """Where the parabola through the logarithms around `top` is highest, in steps from there."""
    inner = np.clip(top, 1, scores.shape[1] - 2)
    below, here, above = (
        np.log(np.maximum(scores[np.arange(len(top)), inner + k], np.finfo(float).tiny)) for k in (-1, 0, 1)
    )
    curvature = below - 2 * here + above
    shift = np.divide(0.5 * (below - above), curvature, out=np.zeros(len(top)), where=curvature < -1e-12)
    return np.clip(inner - top + shift, -1, 1)
