"""Pixel values: check that they are finite, measure them, and compare new images with the training images."""

import warnings
from typing import NamedTuple

import numpy as np

# Number of values of an image that are processed at once.
BAND = 2**22
# An image is out of distribution if it differs by more than these factors from all training images.
CONTRAST_ABOVE, CONTRAST_BELOW, DETAIL = 4.0, 10.0, 2.5


class OutOfDistributionWarning(UserWarning):
    """Warning about an image that is very different from the training images.

    It is issued if the pixels have another range, a tenth or four times the contrast, or detail as if everything in the
    image were 2.5 times as large or small. Each prediction names only the first such image. A flat image is always
    accepted. Python's warnings filters can turn the warning into an error or silence it.

    Examples
    --------
    >>> import warnings
    >>> from skcount import OutOfDistributionWarning
    >>> warnings.simplefilter("error", OutOfDistributionWarning)  # doctest: +SKIP
    """


class PixelStatistics:
    """Mean, contrast and detail of one image, whose parts are added one after the other."""

    def __init__(self, n_channels):
        self.n = 0
        self.mean = np.zeros(n_channels)
        self.squares = np.zeros(n_channels)
        self.low = np.full(n_channels, np.inf)
        self.high = np.full(n_channels, -np.inf)
        self.steps = self.n_steps = 0

    def add(self, pixels, index, corner=(0, 0), inside=None):
        """Add pixels (n_channels, height, width) of image `index`, from `corner` on; reject NaN and infinity.

        Only pixels `inside`, (height, width), are added if it is given.
        """
        flat = pixels.reshape(len(pixels), -1) if inside is None else pixels[:, inside]
        if not flat.size:
            return
        low, high = flat.min(axis=1), flat.max(axis=1)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            _refuse_not_finite(pixels, index, corner, inside)
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        flat = flat.astype(np.float64)
        n, mean = flat.shape[1], flat.mean(axis=1)
        flat -= mean[:, None]
        shift = mean - self.mean
        self.squares += (flat**2).sum(axis=1) + shift**2 * self.n * n / (self.n + n)
        self.mean = self.mean + shift * n / (self.n + n)
        self.n += n
        pixels = pixels if inside is None else np.where(inside, pixels, 0)
        for axis in (1, 2):
            steps = np.diff(pixels, axis=axis)
            if inside is None:
                steps = steps.ravel()
            else:
                both = inside[1:] & inside[:-1] if axis == 1 else inside[:, 1:] & inside[:, :-1]
                steps = steps[:, both].ravel()
            with np.errstate(over="ignore"):  # squares of 1e20 are beyond float32
                self.steps += float(np.dot(steps, steps))
            self.n_steps += steps.size

    @property
    def contrast(self):
        """Standard deviation of the pixels about the mean of their channel; 0 if they vary by rounding only."""
        std = float(np.sqrt(self.squares.sum() / (self.n * len(self.mean))))
        return std if std > 1e-6 * np.abs(self.mean).max() else 0.0

    @property
    def detail(self):
        """Root mean square difference of neighbouring pixels, divided by the contrast.

        It is half as large at twice the magnification. It is NaN without contrast, without neighbours, or if the pixel
        values are too large to square.
        """
        contrast = self.contrast
        if not (self.n_steps and contrast and np.isfinite(self.steps)):
            return float("nan")
        return float(np.sqrt(self.steps / self.n_steps)) / contrast


class ChannelStatistics(NamedTuple):
    """Pixels of all training images: per channel, arrays of shape (n_channels,); contrast and detail as (least, most)."""

    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray
    contrast: tuple
    detail: tuple


def channel_statistics(images, weights, indices, dtype=np.float32):
    """Read the images at `indices` once, reject NaN and infinity, and return their ChannelStatistics, weighted."""
    total, mean, squares = 0.0, np.zeros(images.n_channels), np.zeros(images.n_channels)
    lows, highs, contrasts, details = [], [], [], []
    for index in indices:
        image, weight = image_statistics(images, index, dtype), weights[index]
        new, shift = weight * image.n, image.mean - mean
        squares += weight * image.squares + shift**2 * total * new / (total + new)
        total += new
        mean += shift * new / total
        lows.append(image.low)
        highs.append(image.high)
        contrasts.append(image.contrast)
        details.append(image.detail)
    std = np.sqrt(squares / total)
    # A channel that only varies by rounding carries no information; dividing by its spread would amplify noise.
    std = np.where(std > 1e-6 * np.abs(mean), std, 1.0)
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    return ChannelStatistics(mean, std, low, high, value_range(contrasts), value_range(details))


def image_statistics(images, index, dtype=np.float32):
    """Read one image and return its PixelStatistics."""
    statistics = PixelStatistics(images.n_channels)
    roi = images.side_data(index)["roi"]
    for top, pixels in bands(images, index, dtype):
        inside = None if roi is None else roi[top : top + pixels.shape[1]]
        statistics.add(pixels, index, (top, 0), inside)
    return statistics


def bands(images, index, dtype=np.float32):
    """Yield (first row, pixels) of one image from top to bottom, a few million values at a time."""
    height, width = images.sizes[index]
    n_rows = max(1, BAND // (width * images.n_channels))
    for top in range(0, height, n_rows):
        yield top, images.read(index, (top, 0, n_rows, width), dtype)


class Familiarity:
    """Check new images against a summary of the training images, stored as plain values in `seen`."""

    def __init__(self, seen, is_normalized=False):
        self.seen, self.is_normalized = seen, is_normalized
        self.has_warned = False
        self.statistics = {}  # of the images that are being checked

    @staticmethod
    def describe(channels, dtype, earlier=None):
        """Return ChannelStatistics and the type of the pixels as plain values, merged with an `earlier` description."""
        seen = {
            "dtype": np.dtype(dtype).name,
            "low": channels.low.tolist(),
            "high": channels.high.tolist(),
            "contrast": list(channels.contrast),
            "detail": list(channels.detail),
        }
        if earlier is not None:
            seen["low"] = np.minimum(seen["low"], earlier["low"]).tolist()
            seen["high"] = np.maximum(seen["high"], earlier["high"]).tolist()
            for name in ("contrast", "detail"):
                seen[name] = list(value_range([*seen[name], *earlier[name]]))
        return seen

    def add(self, pixels, index, corner, inside=None):
        """Add a part of image `index`, as `PixelStatistics.add` does."""
        if index not in self.statistics:
            self.statistics[index] = PixelStatistics(len(pixels))
        self.statistics[index].add(pixels, index, corner, inside)

    def check(self, indices):
        """Warn about the first image unlike the training images; all parts of the images `indices` have been added."""
        for index in indices:
            image = self.statistics.pop(index)
            if image.n and not self.has_warned:
                self._check(index, image)

    def _check(self, index, image):
        difference = self._difference(image)
        if difference is None:
            return
        self.has_warned = True
        how = "each image is scaled by its own percentiles"
        if not self.is_normalized:
            how = "integers are scaled by their type's range and floats are used unchanged"
        warnings.warn(
            f"Image {index} of X is unlike the training images: {difference}. Its count may be wrong. Objects should be "
            f"about as large as in training, and {how}.",
            OutOfDistributionWarning,
            stacklevel=2,
        )

    def _difference(self, image):
        """Describe how an image is very different from the training images; return None if it is not."""
        low, high = np.array(self.seen["low"]), np.array(self.seen["high"])
        width = (high - low).max()  # over all channels, because one of them may be almost empty
        beyond = (image.mean < low - width) | (image.mean > high + width)
        if beyond.any():
            channel = int(np.flatnonzero(beyond)[0])
            return (
                f"the mean of its pixels is {image.mean[channel]:.3g} in channel {channel}, but in the training images "
                f"from {low[channel]:.3g} to {high[channel]:.3g}"
            )
        least, most = self.seen["contrast"]
        contrast, detail = image.contrast, image.detail
        # A flat image contains no objects, regardless of its colour.
        is_flat = not contrast > 1e-6 * most > 0
        if not is_flat and not least / CONTRAST_BELOW <= contrast <= most * CONTRAST_ABOVE:
            return (
                f"the standard deviation of its pixels is {contrast:.3g}, but {least:.3g} to {most:.3g} in the "
                "training images"
            )
        coarse, fine = self.seen["detail"]
        # An image of low contrast is mostly noise, which has the finest possible detail.
        is_similar = contrast > least / 2 and not np.isnan(detail + fine)
        if is_similar and not coarse / DETAIL <= detail <= fine * DETAIL:
            scale = "larger" if detail < coarse else "smaller"
            return (
                f"neighbouring pixels differ by {detail:.2g} of the standard deviation, but by {coarse:.2g} to "
                f"{fine:.2g} in the training images, as if everything in it were {scale}"
            )
        return None


def value_range(values):
    """Return the smallest and the largest value that is not NaN; NaN if there is none."""
    values = np.array(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    return (float(values.min()), float(values.max())) if len(values) else (float("nan"), float("nan"))


def _refuse_not_finite(pixels, index, corner, inside):
    bad = ~np.isfinite(pixels)
    if inside is not None:
        bad &= inside
    channel, row, col = np.argwhere(bad)[0]
    value = pixels[channel, row, col]
    row, col = row + corner[0], col + corner[1]
    raise ValueError(
        f"Image {index} of X has {int(bad.sum())} pixels that are NaN or infinity, or too large for {pixels.dtype} (the "
        f"first: {value} at row {row}, column {col}, channel {channel}). Fill them first, as in numpy.nan_to_num(X)."
    )
