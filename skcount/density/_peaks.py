"""Density map -> points: as many as the rounded sum of the map."""

from numbers import Real

import numpy as np
from scipy import ndimage
from sklearn.utils._param_validation import Interval, validate_params

from skcount.density._gaussian import axis_reach, axis_windows, make_map

# Positions within a pixel at which a kernel is tried, before a parabola finds the maximum between them.
_OFFSETS = np.arange(-7, 8) / 16
# With more objects per pixel, on average, the array is probably not a density map, and placing them would take too
# long.
_MOST_PER_PIXEL = 1000
# The sigmas in one band of a perspective map differ by at most a factor of sqrt(2).
_BAND_WIDTH = np.log(2) / 2


@validate_params(
    {
        "density": [np.ndarray],
        "sigma": [Interval(Real, 0, None, closed="neither")],
        "truncate": [Interval(Real, 1, None, closed="left")],
        "roi": [np.ndarray, None],
        "perspective": [np.ndarray, None],
    },
    prefer_skip_nested_validation=True,
)
def find_points(density, sigma, truncate=4.0, *, roi=None, perspective=None):
    """Place as many points on a density map as its rounded sum.

    A matched filter (the map correlated with the kernel of an object at each position, divided by that kernel's norm)
    is highest at the objects, even at the border of the image, where kernels are one-sided. The highest peaks become
    points, their kernels are subtracted from the map, and the rest is searched again. So two objects on one pixel give
    two points.

    Parameters
    ----------
    density : ndarray of shape (height, width)
        Objects per pixel.
    sigma : float
        Standard deviation of the Gaussian kernels in the map, in pixels, > 0.
    truncate : float, default=4.0
        The kernel ends at this many standard deviations, >= 1.
    roi : ndarray of shape (height, width), bool, or None, default=None
        The region of interest. Only this part of the map is used, and all points are inside it.
    perspective : ndarray of shape (height, width) or None, default=None
        Relative scale of the objects at each pixel, > 0.

    Returns
    -------
    ndarray of shape (n_points, 2), float64
        (row, col) in fractions of pixels, inside the image and the region; ``n_points = round(density.sum())``.

    Raises
    ------
    ValueError
        If the map holds more than a thousand objects per pixel, on average.

    Examples
    --------
    >>> from skcount.density import find_points, gaussian_density
    >>> density = gaussian_density(np.array([[4.0, 5.0], [12.25, 9.0]]), (20, 20), sigma=1.5)
    >>> find_points(density, sigma=1.5).round(1) + 0.0
    array([[ 4. ,  5. ],
           [12.2,  9. ]])
    """
    return place_points(density, sigma, truncate, roi, perspective)


def place_points(density, sigma, truncate, roi, perspective):
    """Return the points of `find_points`, without checking the arguments."""
    residual = density.astype(np.float64) if roi is None else np.where(roi, density, 0).astype(np.float64)
    if residual.sum() > _MOST_PER_PIXEL * residual.size:
        raise ValueError(
            f"`density` must hold at most {_MOST_PER_PIXEL} objects per pixel, on average; got {residual.sum():g} on "
            f"{density.shape[0]} x {density.shape[1]} pixels. Is it an image instead of a density map?"
        )
    n_wanted = max(0, round(residual.sum()))
    scales = _Scales(density.shape, sigma, truncate, roi, perspective)
    found = np.empty((0, 2))
    while len(found) < n_wanted:
        new = scales.find(residual, n_wanted - len(found))
        found = np.concatenate([found, new])
        residual -= make_map(new, density.shape, sigma, truncate, roi=roi, perspective=perspective)
    return found[np.lexsort(found.T[::-1])]


class _Scales:
    """The matched filters of one image: one filter, or one per band of its perspective map."""

    def __init__(self, shape, sigma, truncate, roi, perspective):
        self.truncate = truncate
        self.places = np.ones(shape, dtype=bool) if roi is None else roi
        if perspective is None:
            self.bands = [(sigma, self.places)]
        else:
            self.bands = list(_bands(sigma * perspective.astype(np.float64), self.places))
        self.filters = [_Filter(band_sigma, truncate, shape, roi) for band_sigma, _ in self.bands]

    def find(self, residual, n_wanted):
        """Return the points at the highest peaks, (k, 2), at least one and at most `n_wanted`."""
        lines = [(f.correlate(residual, 1), f.correlate(residual, 0)) for f in self.filters]
        heights = [f.heights(along_cols) for f, (along_cols, _) in zip(self.filters, lines, strict=True)]
        peaks, bands = self._highest_peaks(heights, n_wanted)
        new = np.empty((len(peaks), 2))
        for band, (matched, (along_cols, along_rows)) in enumerate(zip(self.filters, lines, strict=True)):
            rows, cols = peaks[bands == band].T
            new[bands == band, 0] = _refine(along_cols, rows, cols, matched.sigma, self.truncate)
            new[bands == band, 1] = _refine(along_rows.T, cols, rows, matched.sigma, self.truncate)
        return new

    def _highest_peaks(self, heights, n_wanted):
        """Return the pixels of the highest local maxima, (k, 2), and the band of each."""
        candidates = [
            np.argwhere(_is_peak(height, sigma) & places)
            for height, (sigma, places) in zip(heights, self.bands, strict=True)
        ]
        peaks = np.concatenate(candidates)
        bands = np.repeat(np.arange(len(candidates)), [len(c) for c in candidates])
        if not len(peaks):  # the only maximum can be just outside the region, or between two bands
            places = [np.where(p, h, -np.inf) for h, (_, p) in zip(heights, self.bands, strict=True)]
            band, row, col = np.unravel_index(np.argmax(places), (len(places), *self.places.shape))
            return np.array([[row, col]]), np.array([band])
        values = np.array([heights[band][row, col] for band, (row, col) in zip(bands, peaks, strict=True)])
        order = np.argsort(-values, kind="stable")
        # Noise has small peaks too: a peak far below the highest one is skipped until the high ones are subtracted.
        high = order[values[order] >= 0.5 * values[order[0]]] if values[order[0]] > 0 else order[:1]
        sizes = np.array([_peak_size(sigma, self.places.shape) for sigma, _ in self.bands])
        kept = high[_apart(peaks[high], sizes[bands[high]] // 2)][:n_wanted]
        return peaks[kept], bands[kept]


def _bands(sigmas, places):
    """Divide the places into bands of similar sigma: pairs of a sigma and a mask."""
    logarithms = np.log(sigmas)
    low, high = logarithms[places].min(), logarithms[places].max()
    n_bands = 1 + int((high - low) / _BAND_WIDTH)
    width = (high - low) / n_bands or 1.0
    band = np.clip(((logarithms - low) / width).astype(np.intp), 0, n_bands - 1)
    for number in range(n_bands):
        mask = places & (band == number)
        if mask.any():
            middle = low + (number + 0.5) * width if high > low else low
            yield float(np.exp(middle)), mask


class _Filter:
    """The matched filter of one sigma on an image."""

    # By the Cauchy-Schwarz inequality, the correlation with the kernel of an object, divided by that kernel's norm, is
    # highest at the object, also if the border cuts the kernel.

    def __init__(self, sigma, truncate, shape, roi):
        self.sigma = sigma
        self.kernels, self.norms = [], []
        for size in shape:
            reach = int(axis_reach(sigma, truncate, size))
            kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-3)) ** 2)
            self.kernels.append(kernel)
            self.norms.append(np.sqrt(ndimage.correlate1d(np.ones(size), kernel**2, mode="constant")))
        # The fraction of a kernel's norm inside the region, in addition to the cut at the border.
        self.cut = None if roi is None else self._inside(roi)

    def correlate(self, array, axis):
        """Correlate an array with the kernel along one axis, divided by the kernel's norm there."""
        lines = ndimage.correlate1d(array, self.kernels[axis], axis, mode="constant")
        return lines / np.expand_dims(self.norms[axis], 1 - axis)

    def heights(self, along_cols):
        """Return the amount of an object at each place, (height, width): 1 for a large as for a small object."""
        response = self.correlate(along_cols, 0)
        # The kernel of an object sums to 1, so its norm is 1 / sum of the kernel of norm 1.
        response = response * np.prod([k.sum() / np.sqrt((k**2).sum()) for k in self.kernels])
        return response if self.cut is None else response / self.cut

    def _inside(self, roi):
        squares = roi.astype(np.float64)
        for axis, kernel in enumerate(self.kernels):
            squares = ndimage.correlate1d(squares, kernel**2, axis, mode="constant")
        cut = np.sqrt(np.maximum(squares, 0)) / np.multiply.outer(*self.norms)
        return np.where(roi, cut, np.inf)


def _is_peak(heights, sigma):
    return heights == ndimage.maximum_filter(heights, size=_peak_size(sigma, heights.shape), mode="nearest")


def _peak_size(sigma, shape):
    """Return the side of the square in which a peak is the maximum, in pixels."""
    return 2 * max(1, round(min(sigma, max(shape)))) + 1


def _apart(peaks, distances):
    """Return the indices of the peaks to keep: of two peaks closer than the smaller of their distances, the first."""
    # The pixels of a plateau are all maxima.
    if len(peaks) < 2:
        return np.arange(len(peaks))
    kept = []
    cells = {}
    side = int(distances.max()) + 1
    for index, ((row, col), distance) in enumerate(zip(peaks.tolist(), distances.tolist(), strict=True)):
        cell = (row // side, col // side)
        neighbours = (cells.get((cell[0] + i, cell[1] + j), ()) for i in (-1, 0, 1) for j in (-1, 0, 1))
        if any(
            max(abs(row - r), abs(col - c)) <= min(distance, d) for near in neighbours for r, c, d in near
        ):
            continue
        kept.append(index)
        cells.setdefault(cell, []).append((row, col, distance))
    return np.array(kept)


def _refine(lines, along, across, sigma, truncate):
    """Move peaks within their pixel, along the first axis of `lines`, to the position that the kernel fits best."""
    size = len(lines)
    pixels = axis_windows(along.astype(np.float64), size, sigma, truncate)[0]
    profiles = lines[np.clip(pixels, 0, size - 1), across[:, None]]
    scores = np.empty((len(along), len(_OFFSETS)))
    for k, offset in enumerate(_OFFSETS):
        weights = axis_windows(along + offset, size, sigma, truncate)[1]
        scores[:, k] = (profiles * weights).sum(axis=1) / np.sqrt((weights**2).sum(axis=1))
    best = scores.max(axis=1, keepdims=True)
    # If several positions fit equally well, take the one nearest the pixel's centre.
    is_top = scores >= best - 1e-9 * np.abs(best)
    top = np.where(is_top, np.abs(_OFFSETS), np.inf).argmin(axis=1)
    return along + np.clip(_OFFSETS[top] + _parabola_shift(scores, top) / 16, -0.5, 0.499)


def _parabola_shift(scores, top):
    """Return the maximum of the parabola through the logarithms around `top`, in steps from `top`."""
    inner = np.clip(top, 1, scores.shape[1] - 2)
    below, here, above = (
        np.log(np.maximum(scores[np.arange(len(top)), inner + k], np.finfo(float).tiny)) for k in (-1, 0, 1)
    )
    curvature = below - 2 * here + above
    shift = np.divide(0.5 * (below - above), curvature, out=np.zeros(len(top)), where=curvature < -1e-12)
    return np.clip(inner - top + shift, -1, 1)
