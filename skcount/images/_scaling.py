"""Images at the size that a network works at: reduced by a whole factor, or doubled, without what is outside a region.

`factor` is a whole number, 0.5 for images twice as large, or 0.25. A working pixel is the mean of a block of pixels; blocks
at the bottom and at the right may be smaller.
"""

from math import ceil

import numpy as np

from skcount.images._image_set import ImageSet
from skcount.images._stores import ComputedStore, ImageStore, MemoryStore


def scaled_size(size, factor):
    """Return the working size (height, width) of an image."""
    return tuple(ceil(side / factor) for side in size)


def scale_points(points, factor):
    """Return points (row, col) in pixels of the working size."""
    return points if factor == 1 else (points + 0.5) / factor - 0.5


def unscale_points(points, factor):
    """Return points (row, col) of the working size in pixels of the image."""
    return points if factor == 1 else (points + 0.5) * factor - 0.5


def scale_density(density, factor, roi=None):
    """Return a map at the working size, with the same sum inside the region."""
    density = density if roi is None else np.where(roi, density, 0)
    if factor < 1:
        return _repeat(density, 1 / factor) * factor**2
    return _block_sums(density, factor)


def unscale_density(density, factor, size, roi=None):
    """Return a map at the image's own `size`, with the same sum; a block spreads its sum over its pixels in the region."""
    if factor == 1:
        return density
    if factor < 1:
        return _block_sums(density, round(1 / factor))
    inside = np.ones(size, dtype=density.dtype) if roi is None else roi.astype(density.dtype)
    height, width = size
    return _repeat(density / np.maximum(_block_sums(inside, factor), 1), factor)[:height, :width] * inside


def scale_images(images, factor, fill=None, dtype=np.float32):
    """Return the images at their working size, as floats that are read lazily; `factor` is one, or a list.

    A working pixel is the mean of the pixels of its block inside the region of interest. A block without any becomes
    `fill`, (n_channels,), or 0. Groups stay, regions and perspective are scaled. Images that need no change are returned
    as they are.
    """
    factors = factor if isinstance(factor, list) else [factor] * len(images)
    if images.roi is None and set(factors) <= {1}:
        return images
    scaled = ImageSet(ScaledStore(images, factors, fill, dtype))
    for name in ("roi", "perspective"):
        maps = getattr(images, name)
        if isinstance(maps, ImageSet):
            maps = ImageSet(ScaledMaps(maps, factors))
        elif maps is not None:
            maps = _scale_shared(maps, factors)
        setattr(scaled, name, maps)
    scaled.groups = images.groups
    return scaled


def _scale_shared(values, factors):
    """Return the map that all images share at the working size, or one map per image if their factors differ."""
    scaled = {factor: scale_map(values, factor) for factor in set(factors or [1])}
    for each in scaled.values():
        each.setflags(write=False)
    if len(scaled) == 1:
        return next(iter(scaled.values()))
    return ImageSet(MemoryStore([scaled[factor] for factor in factors], checked=True))


def load_images(images):
    """Return a copy of a set in memory, with its side data."""
    loaded, roi, perspective = (
        ImageSet(MemoryStore([np.array(image) for image in each], checked=True))
        if isinstance(each, ImageSet)
        else each
        for each in (images, images.roi, images.perspective)
    )
    loaded.roi, loaded.perspective, loaded.groups = roi, perspective, images.groups
    return loaded


class ScaledStore(ComputedStore):
    """Images of another set at their working size."""

    def __init__(self, images, factors, fill, dtype):
        self.images, self.factors, self.dtype = images, factors, np.dtype(dtype)
        self.fill = np.zeros(images.n_channels) if fill is None else np.asarray(fill)
        self.shapes = images.shapes.copy()
        self.shapes[:, :2] = np.ceil(self.shapes[:, :2] / np.array(factors)[:, None])

    def window(self, number, window):
        """Return a window (top, left, height, width) of an image, with the channels last if it has that axis."""
        size, factor = self.images.sizes[number], self.factors[number]
        own = _own_window(window, factor, size)
        pixels = self.images.read(number, own, self.dtype)
        roi = self.images.side_data(number)["roi"]
        inside = None if roi is None else roi[own[0] : own[0] + own[2], own[1] : own[1] + own[3]]
        scaled = _block_means(pixels, inside, factor, self.fill.astype(self.dtype))
        if factor < 1:  # a window may begin in the middle of a pixel
            top, left = (
                first - int(own_first / factor) for first, own_first in zip(window, own[:2], strict=False)
            )
            scaled = scaled[:, top : top + window[2], left : left + window[3]]
        return scaled[0] if self.shapes.shape[1] == 2 else scaled.transpose(1, 2, 0)

    def describe(self):
        """Say where the images are, and how they are scaled."""
        return f"{self.images.store.describe()}, reduced"


class ScaledMaps(ImageStore):
    """Regions of interest or perspective maps of another set at their working size."""

    def __init__(self, maps, factors):
        self.maps, self.factors, self.dtype = maps, factors, maps.dtype
        self.shapes = np.ceil(maps.shapes / np.array(factors)[:, None]).astype(np.int64)

    def read(self, number):
        """Return a whole map."""
        return scale_map(self.maps[number], self.factors[number])

    def describe(self):
        """Say where the maps are."""
        return self.maps.store.describe()


def scale_map(values, factor):
    """Return a region, inside where any pixel of a block is, or the block means of a perspective map."""
    if factor == 1:
        return values
    if factor < 1:
        return _repeat(values, 1 / factor)
    if values.dtype == bool:
        return _block_sums(values.astype(np.int64), factor) > 0
    return _block_means(values, None, factor, None).astype(values.dtype)


def _own_window(window, factor, size):
    """Return the window of an image under a window of its working size."""
    spans = []
    for first, length, side in zip(window[:2], window[2:], size, strict=True):
        start = int(first * factor)
        spans.append((start, min(side, ceil((first + length) * factor)) - start))
    return spans[0][0], spans[1][0], spans[0][1], spans[1][1]


def _block_means(pixels, inside, factor, fill):
    """Return the means over blocks of the pixels inside, and `fill` for blocks without any."""
    if factor < 1:
        pixels = _repeat(pixels, 1 / factor)
        inside = None if inside is None else _repeat(inside, 1 / factor)
        factor = 1
    if inside is None:
        return _block_sums(pixels, factor) / _block_sums(np.ones(pixels.shape[-2:], pixels.dtype), factor)
    n = _block_sums(inside.astype(pixels.dtype), factor)
    means = _block_sums(np.where(inside, pixels, 0), factor) / np.maximum(n, 1)
    return np.where(n > 0, means, fill[:, None, None])


def _block_sums(values, factor):
    """Return the sums over blocks of the last two axes."""
    if factor == 1:
        return values
    for axis in (-2, -1):
        values = np.add.reduceat(values, np.arange(0, values.shape[axis], factor), axis=axis)
    return values


def _repeat(values, times):
    times = round(times)
    return values.repeat(times, axis=-1).repeat(times, axis=-2)
