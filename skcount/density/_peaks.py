"""Density map -> points: as many as the rounded sum of the map."""

import numpy as np
from scipy import ndimage

from skcount.density._gaussian import gaussian_density


def find_points(density, sigma, truncate=4.0):
    """Place as many points on a density map as its sum says.

    A matched filter (the map smoothed by its own kernel) has a peak at every object. The peaks are taken,
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
        response = _matched_filter(residual, sigma, truncate)
        peaks = _highest_peaks(response, sigma, n_wanted - len(found))
        new = _refine(response, peaks)
        found = np.concatenate([found, new])
        residual -= gaussian_density(new, shape, sigma, truncate)
    return found[np.lexsort(found.T[::-1])]


def _matched_filter(residual, sigma, truncate):
    return ndimage.gaussian_filter(residual, sigma, mode="constant", truncate=truncate)


def _highest_peaks(response, sigma, n_wanted):
    """Pixels (k, 2) of the highest local maxima, at least one and at most `n_wanted` of them."""
    size = 2 * max(1, round(sigma)) + 1
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


def _refine(response, peaks):
    """Move peaks to the top of a parabola through the logarithms: exact for a lone Gaussian."""
    padded = np.pad(response, 1, mode="edge")
    refined = peaks.astype(np.float64)
    for axis in (0, 1):
        step = np.eye(2, dtype=int)[axis]
        below, here, above = (
            np.log(np.maximum(padded[tuple((peaks + 1 + k * step).T)], np.finfo(float).tiny))
            for k in (-1, 0, 1)
        )
        curvature = below - 2 * here + above
        shift = np.divide(
            0.5 * (below - above), curvature, out=np.zeros(len(peaks)), where=curvature < -1e-12
        )
        refined[:, axis] += np.clip(shift, -0.5, 0.499)
    return refined
