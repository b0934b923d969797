"""Random crops of images and their targets, flipped and turned together."""

import numpy as np
import torch
from torch.utils.data import Dataset

# How far a crop's cut edge is felt, in pixels: the network sees padding there where the image went on.
MARGIN = 16


class Crops(Dataset):
    """Batches of random crops, for skorch to iterate over.

    An epoch holds one crop of each image, or as many as cover its pixels once on average. A crop's target is
    that crop of the full image's map. Where a crop cuts through an image, the network sees padding instead of
    the image's continuation; a margin along such an edge does not enter the loss, so that what the network
    learns about borders it learns from true ones. Neither does what is outside the region of interest.

    Parameters
    ----------
    images : Images
        Checked images.
    target : PointTarget, MapTarget or CountTarget
        What to learn.
    patch_shape : (height, width)
        Size of the crops, in pixels. Smaller images are padded by repeating their border, outside the loss.
    weights : ndarray of shape (n_images,)
        Weight of each image in the loss, 1 on average.
    augment : bool or "mirror"
        Whether to flip the crops, and turn square ones by 90 degrees, at random; "mirror" flips left and right only.
    with_points : bool, default=False
        Whether the batches hold the points near each crop, too: only of a PointTarget.
    jitter : callable or None, default=None
        Takes a crop's pixels and a random generator, and returns other pixels.
    """

    def __init__(self, images, target, patch_shape, weights, augment, with_points=False, jitter=None):
        self.images = images
        self.target = target
        self.patch_shape = patch_shape
        self.weights = weights
        self.augment = augment
        self.with_points = with_points
        self.jitter = jitter
        self.index = np.repeat(np.arange(len(images)), self._crops_per_image())

    def _crops_per_image(self):
        if not self.target.is_map:
            return np.ones(len(self.images), dtype=int)
        patch_area = self.patch_shape[0] * self.patch_shape[1]
        areas = np.array([height * width for height, width in self.images.shapes])
        return np.maximum(1, np.round(areas / patch_area)).astype(int)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, item):
        return self.__getitems__([item])

    def __getitems__(self, items):
        # torch's generator: seeded for the fit, and a different one in each of a data loader's workers.
        rng = np.random.default_rng(int(torch.empty((), dtype=torch.int64).random_()))
        crops = [self._draw(self.index[item], rng) for item in items]
        *parts, points = zip(*crops, strict=True)
        images, targets, masks, weights = map(np.stack, parts)
        dtype = images.dtype
        target = {
            "target": torch.from_numpy(targets.astype(dtype)),
            "mask": torch.from_numpy(masks.astype(dtype)),
            "weight": torch.from_numpy(weights.astype(dtype)),
        }
        if self.with_points:
            target["points"] = [torch.from_numpy(p.astype(dtype)) for p in points]
        return torch.from_numpy(images), target

    def _draw(self, index, rng):
        """Draw one crop: image (c, h, w), target (1, h, w) or scalar, mask (1, h, w), weight, points (k, 3) or None."""
        window, valid = self._draw_window(index, rng)
        image = self.images.read(index, window)
        image = _pad(image if self.jitter is None else self.jitter(image, rng), self.patch_shape, "edge")
        target = self.target.crop(index, window)
        mask = _pad(valid[None], self.patch_shape, "constant")
        points = self.target.masses(index, window, valid) if self.with_points else None
        if self.target.is_map:
            target = _pad(target[None], self.patch_shape, "constant")
        if self.augment:
            symmetry = _draw_symmetry(rng, self.patch_shape, self.augment == "mirror")
            image, mask = symmetry(image), symmetry(mask)
            target = symmetry(target) if self.target.is_map else target
            points = symmetry.of_points(points) if self.with_points else None
        return image, target, mask, self.weights[index], points

    def _draw_window(self, index, rng):
        """Draw (top, left, height, width), and the pixels in it that the loss looks at: there is one at least."""
        shape, roi = self.images.shapes[index], self.images.roi and self.images.roi.read(index)
        axes = list(zip(shape, self.patch_shape, strict=True))
        spans = [_draw_span(rng, *sizes) for sizes in axes]
        valid = _valid(spans, shape, roi)
        if not valid.any():
            pixel = np.argwhere(roi)[rng.integers(np.count_nonzero(roi))]
            spans = [_draw_span_around(rng, p, *sizes) for p, sizes in zip(pixel, axes, strict=True)]
            valid = _valid(spans, shape, roi)
        return (spans[0][0], spans[1][0], spans[0][1], spans[1][1]), valid


def keep_batch(batch):
    """Hand a batch over as it is: it was put together where it was drawn.

    Parameters
    ----------
    batch : tuple
        What `Crops.__getitems__` returns.

    Returns
    -------
    tuple
        The same.
    """
    return batch


def _draw_span(rng, size, patch):
    """Draw (start, length) along one axis.

    The first and last pixels are seen only by the crops that end there. These come as often as all the crops that see
    some pixel in the middle together, so that borders are learnt as well as the rest.
    """
    if size <= patch:
        return 0, size
    beyond = patch - 2 * _margin(patch)
    start = rng.integers(-beyond, size - patch + beyond + 1)
    return int(np.clip(start, 0, size - patch)), patch


def _draw_span_around(rng, pixel, size, patch):
    """Draw (start, length) along one axis such that a pixel is in it, and not in a margin."""
    if size <= patch:
        return 0, size
    margin = _margin(patch)
    start = pixel - rng.integers(margin, patch - margin)
    return int(np.clip(start, 0, size - patch)), patch


def _margin(patch):
    return min(MARGIN, patch // 4)


def _valid(spans, shape, roi):
    """Mark the pixels of a crop inside the region and not within a margin of an edge that cuts through the image."""
    axes = []
    for (start, length), size in zip(spans, shape, strict=True):
        valid = np.ones(length)
        if start > 0:
            valid[: _margin(length)] = 0
        if start + length < size:
            valid[length - _margin(length) :] = 0
        axes.append(valid)
    valid = axes[0][:, None] * axes[1]
    if roi is not None:
        valid *= roi[tuple(slice(start, start + length) for start, length in spans)]
    return valid


def _pad(array, patch_shape, mode):
    """Pad an array (k, h, w) at the bottom and right to the size of the crops."""
    bottom, right = patch_shape[0] - array.shape[1], patch_shape[1] - array.shape[2]
    return np.pad(array, ((0, 0), (0, bottom), (0, right)), mode=mode) if bottom or right else array


class _Symmetry:
    """One of the symmetries of a crop."""

    def __init__(self, flip_rows, flip_cols, transpose, patch_shape):
        self.flips = flip_rows, flip_cols
        self.transpose = transpose
        self.patch_shape = patch_shape

    def __call__(self, array):
        """Turn an array (k, h, w)."""
        array = array[:, :: -1 if self.flips[0] else 1, :: -1 if self.flips[1] else 1]
        return array.transpose(0, 2, 1) if self.transpose else array

    def of_points(self, points):
        """Turn points, whose first two columns are (row, col)."""
        points = points.copy()
        for axis, (flip, size) in enumerate(zip(self.flips, self.patch_shape, strict=True)):
            if flip:
                points[:, axis] = size - 1 - points[:, axis]
        if self.transpose:
            points[:, :2] = points[:, 1::-1]
        return points


def _draw_symmetry(rng, patch_shape, mirror_only):
    flip_rows, flip_cols, transpose = rng.random(3) < 0.5
    if mirror_only:
        flip_rows = transpose = False
    return _Symmetry(flip_rows, flip_cols, transpose and patch_shape[0] == patch_shape[1], patch_shape)
