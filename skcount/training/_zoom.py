"""Enlarged and reduced views of an image, so that a network learns from objects of more sizes."""

import numpy as np


class Zoom:
    """An image of `size` (height, width), enlarged by `factor`; `steps` are pixels of the image per pixel of the view."""

    def __init__(self, size, factor):
        self.image_size = size
        self.size = tuple(max(1, round(side * factor)) for side in size)
        self.steps = np.array(size) / self.size

    def points(self, points):
        """Return points (row, col) of the image in pixels of the view."""
        return (points + 0.5) / self.steps - 0.5

    def read(self, images, index, window, dtype):
        """Return a window (top, left, height, width) of the view, (n_channels, height, width)."""
        (top, rows), (left, cols) = (
            _resampling(*span, step, side)
            for *span, step, side in zip(window[:2], window[2:], self.steps, self.image_size, strict=True)
        )
        pixels = images.read(index, (top, left, rows.shape[1], cols.shape[1]), dtype)
        return rows.astype(dtype) @ pixels @ cols.T.astype(dtype)


def _resampling(start, length, step, side):
    """Return the first pixel that a span of the view sees along one axis, and the weight of each pixel from it on.

    Pixels between two centres are interpolated; if the view is smaller than the image, they are averaged as well.
    """
    centres = (start + np.arange(length) + 0.5) * step - 0.5
    reach = max(1.0, step)
    first = max(0, int(np.ceil(centres[0] - reach)))
    last = min(side - 1, int(np.floor(centres[-1] + reach)))
    weights = np.maximum(0, 1 - np.abs(np.arange(first, last + 1) - centres[:, None]) / reach)
    return first, weights / weights.sum(axis=1, keepdims=True)
