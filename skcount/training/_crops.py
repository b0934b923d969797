"""Training data: targets made from points, maps or counts, and random crops of images and their targets."""

from functools import cached_property, partial
from types import MappingProxyType

import numpy as np
import torch
from sklearn.base import clone
from torch.utils.data import Dataset

from skcount._check import side_map
from skcount.inference import Symmetry
from skcount.points import in_region

# Distance from a cut edge of a crop, in pixels, within which padding instead of the image affects the map.
MARGIN = 16
# Standard deviation of jitter: of the logarithm of the contrast, and of the brightness in standard deviations of the pixels.
JITTER = 0.2
NO_SIDE_DATA = MappingProxyType({"roi": None, "perspective": None})
AUGMENTATIONS = ("rotations", "mirror", "rotations+jitter", "mirror+jitter", "jitter")


class PointTarget:
    """Density maps of points, computed for each crop when it is drawn.

    Parameters
    ----------
    points : PointAnnotations
        The points that count: inside their image and its region of interest.
    images : ImageSet
        The images, for their sizes and side data.
    density : DensityMapTransformer
        Makes the maps.
    """

    is_map = True

    def __init__(self, points, images, density):
        self.points = points
        self.counts = points.lengths.astype(np.float64)
        self.arrays_of_points = list(points)
        self.images = images
        self.density = density

    def take(self, indices):
        """Select the images at `indices`, in that order."""
        return PointTarget(self.points[indices], self.images.take(indices), self.density)

    def arrays(self):
        """Return all that the maps are computed from; its digest tells whether they changed."""
        return self.points.coordinates, np.asarray(self.points.lengths)

    def crop(self, index, window, side_data):
        """Compute a window (top, left, height, width) of the map of image `index`."""
        points, size = self.arrays_of_points[index], self.images.sizes[index]
        return self.density.make_map(points, size, window, **side_data)

    def masses(self, index, window, side_data, inside):
        """Return the points near a window, (row, col) in its pixels, and the mass of each on the pixels `inside`."""
        points, size = self.arrays_of_points[index], self.images.sizes[index]
        return self.density.point_masses(points, size, window, inside, **side_data)

    def unit(self, weights):  # noqa: ARG002 - the same for all weights
        """Return the height of one object of median size in the middle of the largest image, in objects per pixel."""
        height, width = max(self.images.sizes)
        row, col = height // 2, width // 2
        point, window = np.array([[row, col]]), (row, col, 1, 1)
        is_constant = self.density.kernel == "gaussian" and self.images.perspective is None
        sigma = self.density.sigma if is_constant else self._median_sigma()
        alone = clone(self.density).set_params(kernel="gaussian", sigma=sigma)
        return float(alone.make_map(point, (height, width), window).item())

    def _median_sigma(self, n_sample=100):
        """Return the median sigma of the kernels of some images, or that of a single object if there are no points."""
        sigmas = []
        for i in np.unique(np.linspace(0, len(self.points) - 1, n_sample).round().astype(int)):
            size, perspective = self.images.sizes[i], self.images.side_data(i)["perspective"]
            sigmas.extend(self.density.local_sigma(self.points[i], size, perspective))
        return float(np.median(sigmas or [self.density.sigma]))


class MapTarget:
    """Density maps that the user made: arrays (height, width), one per image of an ImageSet."""

    is_map = True

    def __init__(self, maps, images):
        self.maps = maps
        self.images = images

    @cached_property
    def counts(self):
        """Sum of each map inside its region of interest, (n_images,), float64."""
        inside = (
            True if self.images.roi is None else side_map(self.images.roi, i) for i in range(len(self.maps))
        )
        return np.array(
            [np.sum(m, dtype=np.float64, where=r) for m, r in zip(self.maps, inside, strict=True)]
        )

    def take(self, indices):
        """Select the images at `indices`, in that order."""
        return MapTarget([self.maps[i] for i in indices], self.images.take(indices))

    def arrays(self):
        """Return the maps, for a digest."""
        return self.maps

    def crop(self, index, window, side_data):  # noqa: ARG002 - a map has been made with it
        """Cut a window (top, left, height, width) from the map of image `index`."""
        top, left, height, width = window
        return np.asarray(self.maps[index][top : top + height, left : left + width], dtype=np.float32)

    def unit(self, weights):  # noqa: ARG002 - the maximum is the same for all weights
        """Return the largest density of all maps, or 1 if all are practically empty."""
        return _or_one(max(float(np.max(m)) for m in self.maps))


class CountTarget:
    """Only counts, (n_images,), inside the region of interest if there is one; training uses whole images."""

    is_map = False

    def __init__(self, counts, images):
        self.counts = counts
        self.images = images

    def take(self, indices):
        """Select the images at `indices`, in that order."""
        return CountTarget(self.counts[indices], self.images.take(indices))

    def arrays(self):
        """Return the counts, for a digest."""
        return (self.counts,)

    def crop(self, index, window, side_data):  # noqa: ARG002 - a count belongs to the whole image
        """Return the count of image `index`."""
        return self.counts[index]

    def unit(self, weights):
        """Return the weighted mean density over all images, or 1 if all are practically empty."""
        roi = self.images.roi
        n_pixels = np.array(
            [h * w if roi is None else side_map(roi, i).sum() for i, (h, w) in enumerate(self.images.sizes)]
        )
        return _or_one(float(np.sum(weights * self.counts) / np.sum(weights * n_pixels)))


def _or_one(unit, smallest=1e-12):
    """Return the unit, or 1 if it is almost 0, because a loss in such small units would overflow."""
    return unit if unit > smallest else 1.0


class Crops(Dataset):
    """Batches of random crops, for skorch to iterate over.

    An epoch has one crop of each image, or as many as cover its pixels once on average. The target of a crop is that
    crop of the full image's map. If a crop cuts through an image, the network sees padding instead of the rest. A
    margin along such an edge is left out of the loss, so the network learns about borders only from true borders.
    Pixels outside the region of interest are left out of the loss, too.

    Parameters
    ----------
    images : ImageSet
        Checked images.
    target : PointTarget, MapTarget or CountTarget
        The training target.
    patch_shape : (height, width)
        Size of the crops, in pixels. Smaller images are padded by repeating their border, outside the loss.
    weights : ndarray of shape (n_images,)
        Weight of each image in the loss, 1 on average.
    augment : str in AUGMENTATIONS, callable or None
        Random changes of crops: all flips and rotations, left-right flips only, changes of contrast and brightness;
        or a function (image, points, rng) -> (image, points), with the image (height, width, n_channels).
    with_points : bool, default=False
        Whether batches also have the points near each crop; only with a PointTarget.
    channels : (mean, std)
        Arrays of shape (n_channels,) of the training pixels, for jitter.
    dtype : dtype, default=float32
        Type of all tensors.
    """

    def __init__(
        self,
        images,
        target,
        patch_shape,
        weights,
        augment,
        with_points=False,
        channels=None,
        dtype=np.float32,
    ):
        self.images = images
        self.target = target
        self.patch_shape = patch_shape
        self.weights = weights
        self.function = augment if callable(augment) else None
        self.kinds = augment.split("+") if isinstance(augment, str) else []
        self.with_points = with_points
        self.channels = channels
        self.dtype = dtype
        self.has_side_data = images.roi is not None or images.perspective is not None
        n_crops = 1
        if target.is_map:
            areas = np.array(images.sizes).prod(axis=1)
            n_crops = np.maximum(1, np.round(areas / (patch_shape[0] * patch_shape[1]))).astype(int)
        self.index = np.repeat(np.arange(len(images)), n_crops)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, item):
        return self.__getitems__([item])

    def __getitems__(self, items):
        # torch's generator: seeded for the fit, and a different one in each worker of a data loader.
        rng = np.random.default_rng(int(torch.empty((), dtype=torch.int64).random_()))
        crops = map(partial(self._draw, rng=rng), self.index[items])
        images, targets, masks, weights, points = zip(*crops, strict=True)
        batch = {
            "target": torch.from_numpy(np.stack(targets).astype(self.dtype)),
            "mask": torch.from_numpy(np.stack(masks).astype(self.dtype)),
            "weight": torch.from_numpy(np.stack(weights).astype(self.dtype)),
        }
        if self.with_points:
            batch["points"] = [torch.from_numpy(p.astype(self.dtype)) for p in points]
        return torch.from_numpy(np.stack(images)), batch

    def _draw(self, index, rng):
        """Draw one crop: image (c, h, w), target (1, h, w) or scalar, mask (1, h, w), weight, points (k, 3) or None."""
        side_data = self.images.side_data(index) if self.has_side_data else NO_SIDE_DATA
        window, valid = self._draw_window(self.images.sizes[index], side_data["roi"], rng)
        image = self.images.read(index, window, self.dtype)
        points = None
        if self.function is not None:
            image, target, valid, points = self._apply_function(index, image, window, valid, rng)
        else:
            if "jitter" in self.kinds:
                image = self._jitter(image, rng)
            target = self.target.crop(index, window, side_data)
            if self.with_points:
                points = self.target.masses(index, window, side_data, valid)
        image = _pad(image, self.patch_shape, "edge")
        mask = _pad(valid[None], self.patch_shape, "constant")
        if self.target.is_map:
            target = _pad(target[None], self.patch_shape, "constant")
        if "rotations" in self.kinds or "mirror" in self.kinds:
            symmetry = _draw_symmetry(rng, self.patch_shape, "mirror" in self.kinds)
            image, mask, density = symmetry.of_arrays(image, mask, target if self.target.is_map else None)
            target = density if self.target.is_map else target
            points = symmetry.of_points(points, self.patch_shape) if self.with_points else None
        return image, target, mask, self.weights[index], points

    def _apply_function(self, index, image, window, valid, rng):
        """Augment a crop and its points with the user's function, and make the target from the returned points."""
        points = self.target.points[index] - window[:2]
        points = points[in_region(points, window[2:])]
        try:
            changed, moved = self.function(image.transpose(1, 2, 0).copy(), points.copy(), rng)
            changed, moved = np.asarray(changed, dtype=self.dtype), np.asarray(moved, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`augment` must be a function (image, points, rng) -> (image, points); it raised {type(error).__name__}: "
                f"{error}."
            ) from error
        size, n_channels = image.shape[1:], len(image)
        if changed.shape != (*size, n_channels) and not (changed.shape == size and n_channels == 1):
            raise ValueError(
                f"`augment` must return an image of the same shape, {(*size, n_channels)}; got {changed.shape}."
            )
        if moved.size and (moved.ndim != 2 or moved.shape[1] != 2):
            raise ValueError(f"`augment` must return points of shape (n_points, 2); got {moved.shape}.")
        if not valid.all():
            # The function may have flipped the crop, and with it the edges that cut through the image.
            valid = _valid([(1, side) for side in size], [side + 2 for side in size], None)
        image = np.ascontiguousarray(changed.reshape(*size, n_channels).transpose(2, 0, 1))
        moved = moved.reshape(-1, 2)
        moved, density = moved[in_region(moved, size)], self.target.density
        target = density.make_map(moved, size)
        masses = density.point_masses(moved, size, (0, 0, *size), valid) if self.with_points else None
        return image, target, valid, masses

    def _jitter(self, image, rng):
        """Change contrast and brightness as another light or exposure would; the order of brightness stays the same."""
        mean, std = (values[:, None, None] for values in self.channels)
        contrast = np.exp(JITTER * rng.normal())
        brightness = JITTER * (rng.normal() + rng.normal(size=mean.shape))
        return (mean + contrast * (image - mean) + brightness * std).astype(image.dtype)

    def _draw_window(self, size, roi, rng):
        """Draw (top, left, height, width) and the pixels in it, at least one, that the loss uses."""
        (height, width), (patch_height, patch_width) = size, self.patch_shape
        spans = _draw_span(rng, height, patch_height), _draw_span(rng, width, patch_width)
        valid = _valid(spans, size, roi)
        if not valid.any():
            row, col = np.argwhere(roi)[rng.integers(np.count_nonzero(roi))]
            spans = (
                _draw_span_around(rng, row, height, patch_height),
                _draw_span_around(rng, col, width, patch_width),
            )
            valid = _valid(spans, size, roi)
        return (spans[0][0], spans[1][0], spans[0][1], spans[1][1]), valid


def _draw_span(rng, size, patch):
    """Draw (start, length) along one axis.

    The first and last pixels are only in the crops that end there. These crops are drawn as often as all crops together
    that contain a given pixel in the middle, so that borders are learnt as well as the rest.
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


def _valid(spans, size, roi):
    """Mark the pixels of a crop inside the region and not within a margin of an edge that cuts through the image."""
    axes = []
    for (start, length), side in zip(spans, size, strict=True):
        valid = np.ones(length)
        if start > 0:
            valid[: _margin(length)] = 0
        if start + length < side:
            valid[length - _margin(length) :] = 0
        axes.append(valid)
    valid = axes[0][:, None] * axes[1]
    if roi is not None:
        valid *= roi[spans[0][0] : sum(spans[0]), spans[1][0] : sum(spans[1])]
    return valid


def _pad(array, patch_shape, mode):
    """Pad an array (k, h, w) at the bottom and right to the size of the crops."""
    bottom, right = patch_shape[0] - array.shape[1], patch_shape[1] - array.shape[2]
    return np.pad(array, ((0, 0), (0, bottom), (0, right)), mode=mode) if bottom or right else array


def _draw_symmetry(rng, patch_shape, mirror_only):
    flip_rows, flip_cols, transpose = (rng.random(3) < 0.5).tolist()
    if mirror_only:
        flip_rows = transpose = False
    transpose = transpose and patch_shape[0] == patch_shape[1]
    # Two flips and a swap of the axes, expressed as one flip and some rotations.
    return Symmetry(mirrored=flip_rows ^ flip_cols ^ transpose, turns=2 * flip_rows + transpose)
