"""What the pixels of the training images are like, and whether those of another image are like them."""

import warnings
from typing import NamedTuple

import numpy as np

# An image is unlike the training images where it differs by more than these factors from all of them.
CONTRAST_ABOVE, CONTRAST_BELOW, DETAIL = 4.0, 10.0, 2.5


class PixelStatistics:
    """Mean, contrast and detail of one image, of which parts are added one after the other.

    Parameters
    ----------
    n_channels : int
        Number of channels.

    Examples
    --------
    >>> statistics = PixelStatistics(1)
    >>> statistics.add(np.array([[[0.0, 2.0], [2.0, 0.0]]]))
    >>> statistics.mean, statistics.contrast, statistics.detail
    (array([1.]), 1.0, 2.0)
    """

    def __init__(self, n_channels):
        self.n = 0
        self.mean = np.zeros(n_channels)
        self.squares = np.zeros(n_channels)
        self.low = np.full(n_channels, np.inf)
        self.high = np.full(n_channels, -np.inf)
        self.steps = self.n_steps = 0

    def add(self, pixels):
        """Add pixels of shape (n_channels, height, width)."""
        flat = pixels.reshape(len(pixels), -1)
        self.low = np.minimum(self.low, flat.min(axis=1))
        self.high = np.maximum(self.high, flat.max(axis=1))
        flat = flat.astype(np.float64)
        n, mean = flat.shape[1], flat.mean(axis=1)
        flat -= mean[:, None]
        shift = mean - self.mean
        self.squares += (flat**2).sum(axis=1) + shift**2 * self.n * n / (self.n + n)
        self.mean = self.mean + shift * n / (self.n + n)
        self.n += n
        for axis in (1, 2):
            steps = np.diff(pixels, axis=axis).ravel()
            with np.errstate(over="ignore"):  # squares of 1e20 are beyond float32
                self.steps += float(np.dot(steps, steps))
            self.n_steps += steps.size

    @property
    def contrast(self):
        """Standard deviation of the pixels about the mean of their channel; 0 where they vary by rounding only."""
        std = float(np.sqrt(self.squares.sum() / (self.n * len(self.mean))))
        return std if std > 1e-6 * np.abs(self.mean).max() else 0.0

    @property
    def detail(self):
        """How much neighbouring pixels differ, relative to the contrast: half as much in an image twice as large.

        It is the root mean square, and NaN where there is no contrast, no neighbour or no end to the pixels' values.
        """
        if not (self.n_steps and self.contrast and np.isfinite(self.steps)):
            return float("nan")
        return float(np.sqrt(self.steps / self.n_steps)) / self.contrast


class ChannelStatistics(NamedTuple):
    """What is known of the pixels of each channel, (n_channels,), and of all training images, (smallest, largest)."""

    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray
    contrast: tuple
    detail: tuple


def channel_statistics(images, weights, kept):
    """Read the images at `kept` once: check their pixels, and measure each channel.

    Parameters
    ----------
    images : Images
        The images.
    weights : ndarray of shape (n_images,)
        How much each image weighs in mean and standard deviation, > 0.
    kept : sequence of int
        Which images to read.

    Returns
    -------
    ChannelStatistics
        Mean, standard deviation, extremes, and how contrast and detail range.
    """
    total, mean, squares = 0.0, np.zeros(images.n_channels), np.zeros(images.n_channels)
    measured = []
    for index in kept:
        image, weight = measure(images, index), weights[index]
        new, shift = weight * image.n, image.mean - mean
        squares += weight * image.squares + shift**2 * total * new / (total + new)
        total += new
        mean += shift * new / total
        measured.append(image)
    std = np.sqrt(squares / total)
    # A channel that only varies by rounding carries nothing; dividing by its spread would make noise of it.
    std = np.where(std > 1e-6 * np.abs(mean), std, 1.0)
    return ChannelStatistics(
        mean,
        std,
        np.min([image.low for image in measured], axis=0),
        np.max([image.high for image in measured], axis=0),
        _range([image.contrast for image in measured]),
        _range([image.detail for image in measured]),
    )


def measure(images, index):
    """Read one image and measure it.

    Parameters
    ----------
    images : Images
        The images.
    index : int
        Which one.

    Returns
    -------
    PixelStatistics
        Its statistics.
    """
    statistics = PixelStatistics(images.n_channels)
    for band in images.bands(index):
        statistics.add(band)
    return statistics


def _range(values):
    """Smallest and largest of some numbers, NaN left out; NaN where there is none."""
    values = [value for value in values if not np.isnan(value)]
    return (min(values), max(values)) if values else (float("nan"), float("nan"))


def seen_range(channels, earlier=None):
    """What images a regressor has seen, as plain values; together with those that it had seen before.

    Parameters
    ----------
    channels : ChannelStatistics
        Of the training images.
    earlier : dict or None, default=None
        What this function returned of the fit that this one goes on from.

    Returns
    -------
    dict
        Extremes of each channel, and the ranges of contrast and detail.
    """
    seen = {
        "low": channels.low.tolist(),
        "high": channels.high.tolist(),
        "contrast": list(channels.contrast),
        "detail": list(channels.detail),
    }
    if earlier is not None:
        seen["low"] = np.minimum(seen["low"], earlier["low"]).tolist()
        seen["high"] = np.maximum(seen["high"], earlier["high"]).tolist()
        for name in ("contrast", "detail"):
            seen[name] = list(_range([*seen[name], *earlier[name]]))
    return seen


class RangeWatch:
    """Notice an image that is grossly unlike the training images.

    Parameters
    ----------
    seen : dict
        What `seen_range` returned.
    action : {"warn", "raise"}
        What to do about it; of several images the first is warned of.
    """

    def __init__(self, seen, action):
        self.seen = seen
        self.action = action

    def check(self, index, image):
        """Look at one image.

        Parameters
        ----------
        index : int
            Which image it is, for the message.
        image : PixelStatistics
            Its statistics.

        Raises
        ------
        ValueError
            If it is unlike them and is to be refused.
        """
        difference = self._difference(image)
        if difference is None or self.action is None:
            return
        message = (
            f"Image {index} of X is unlike the training images: {difference}. Its count may mean nothing. Integers are "
            "scaled by their type's range, floats are taken as they are; objects should be about as large, in pixels, as "
            "in training. out_of_range='ignore' lets it pass."
        )
        if self.action == "raise":
            raise ValueError(message)
        self.action = None  # once is enough
        warnings.warn(message, UserWarning, stacklevel=2)

    def _difference(self, image):
        """What is grossly different, in words; None where nothing is."""
        low, high = (np.array(self.seen[name]) for name in ("low", "high"))
        width = (high - low).max()  # of all channels: one of them may be all but empty
        beyond = (image.mean < low - width) | (image.mean > high + width)
        if beyond.any():
            channel = int(np.flatnonzero(beyond)[0])
            return (
                f"the mean of its pixels is {image.mean[channel]:.3g} in channel {channel}, where theirs range from "
                f"{low[channel]:.3g} to {high[channel]:.3g}"
            )
        least, most = self.seen["contrast"]
        # A flat image holds nothing, whatever it is like.
        if (
            image.contrast > 1e-6 * most > 0
            and not least / CONTRAST_BELOW <= image.contrast <= most * CONTRAST_ABOVE
        ):
            return (
                f"the standard deviation of its pixels is {image.contrast:.3g}, and that of theirs was between {least:.3g} "
                f"and {most:.3g}"
            )
        fine, coarse = self.seen["detail"][::-1]
        similar = image.contrast > least / 2 and not np.isnan(image.detail + fine)
        # An image of little contrast is mostly noise, which is as fine as can be.
        if similar and not coarse / DETAIL <= image.detail <= fine * DETAIL:
            scale = "larger" if image.detail < coarse else "smaller"
            return (
                f"neighbouring pixels differ by {image.detail:.2g} of the standard deviation, and theirs by {coarse:.2g} to "
                f"{fine:.2g}, as if everything on it were {scale}"
            )
        return None
