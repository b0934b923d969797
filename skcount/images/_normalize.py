"""Images that are normalized one by one: grey, scaled by their own percentiles, with light objects on a dark background."""

from math import ceil

import numpy as np

from skcount.images._image_set import ImageSet
from skcount.images._pixels import bands
from skcount.images._stores import ComputedStore

# Percentiles that become 0 and 1; they are taken from at most about so many pixels of a grid.
LOW, HIGH = 1, 99
SAMPLE = 2**20
# A range that is this small relative to the values is rounding.
ROUNDING = 1e-6
# The channel of red, which the usual stains of nuclei (haematoxylin, Giemsa, methylene blue) absorb most.
RED = 0


def normalize_images(images, dtype=np.float32):
    """Return images as floats of one channel that are read lazily; regions, perspective and groups stay.

    Raises ValueError unless the images have 1, 3 or 4 channels; the fourth, transparency, is not used.
    """
    if images.n_channels not in {1, 3, 4}:
        raise ValueError(
            f"X must be images with 1, 3 or 4 channels, because each image is turned to grey; got {images.n_channels}. "
            "Select channels first, as in [image[..., :3] for image in X]."
        )
    normalized = ImageSet(NormalizedStore(images, dtype))
    normalized.roi, normalized.perspective, normalized.groups = images.roi, images.perspective, images.groups
    return normalized


class NormalizedStore(ComputedStore):
    """Images of another set, grey and normalized."""

    def __init__(self, images, dtype):
        self.images, self.dtype = images, np.dtype(dtype)
        self.shapes = images.shapes[:, :2]
        self.levels = {}

    def window(self, number, window):
        """Return a window (top, left, height, width) of an image."""
        if number not in self.levels:
            self.levels[number] = _levels(self.images, number, self.dtype)
        low, high, is_dark_on_light = self.levels[number]
        grey = _grey(self.images.read(number, window, self.dtype), is_dark_on_light)
        return _compress((grey - low) / (high - low)).astype(self.dtype)

    def describe(self):
        """Say where the images are, and that they are normalized."""
        return f"{self.images.store.describe()}, normalized"


def _levels(images, number, dtype):
    """Return the grey values that become 0 and 1, and whether objects are dark on a light background."""
    height, width = images.sizes[number]
    step = max(1, ceil((height * width / SAMPLE) ** 0.5))
    roi = images.side_data(number)["roi"]
    parts = []
    for top, pixels in bands(images, number, dtype):
        rows = slice(-top % step, None, step)
        part = pixels[:, rows, ::step]
        inside = np.isfinite(part).all(axis=0)
        if roi is not None:
            inside &= roi[top : top + pixels.shape[1]][rows, ::step]
        parts.append(part[:, inside])
    pixels = np.concatenate(parts, axis=1)
    if not pixels.shape[1]:
        return 0.0, 1.0, False
    is_dark_on_light = _skewness(_grey(pixels, False)) < 0
    grey = _grey(pixels, is_dark_on_light)
    low, high = np.percentile(grey, [LOW, HIGH])
    if (
        high - low <= ROUNDING * np.abs(grey).max()
    ):  # objects cover less than a hundredth of a flat background
        low, high = np.min(grey), np.max(grey)
    if high - low <= ROUNDING * np.abs(grey).max():
        return float(low), float(low) + 1.0, is_dark_on_light
    return float(low), float(high), is_dark_on_light


def _grey(pixels, is_dark_on_light):
    """Return the mean of the colors, or their red turned to its negative, given pixels (n_channels, ...)."""
    if is_dark_on_light:
        return -pixels[RED]
    return pixels[:3].mean(axis=0)


def _skewness(values):
    """Return a number with the sign of the skewness of values, between their percentiles."""
    values = np.clip(values, *np.percentile(values, [LOW, HIGH])).astype(np.float64)
    return float(((values - values.mean()) ** 3).mean())


def _compress(values):
    """Let values outside 0 to 1 grow with their logarithm: an object in an almost empty image may be 50 times as bright."""
    beyond = np.abs(values - 0.5) - 0.5
    return np.where(beyond > 0, np.sign(values) * np.log1p(np.maximum(beyond, 0)) + (values > 1), values)
