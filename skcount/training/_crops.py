"""Training data: batches of random crops of images, with their targets."""

from functools import partial
from itertools import product
from types import MappingProxyType

import numpy as np
import torch
from torch.utils.data import Dataset

from skcount.inference import Symmetry
from skcount.points import in_region, pixels_of
from skcount.training._windows import draw_window, valid_pixels
from skcount.training._zoom import Zoom

# Standard deviation of jitter: of the logarithm of the contrast, and of the brightness in standard deviations of the pixels.
JITTER = 0.2
# Share of the crops that are enlarged or reduced, and the largest absolute logarithm of the factor.
ZOOMED, ZOOM = 0.5, 0.35
NO_SIDE_DATA = MappingProxyType({"roi": None, "perspective": None})
AUGMENTATIONS = tuple(
    "+".join(filter(None, kinds))
    for kinds in product(("rotations", "mirror", ""), ("jitter", ""), ("scale", ""))
    if any(kinds)
)


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
        Random changes of crops: all flips and rotations, left-right flips only, changes of contrast and brightness,
        changes of size; or a function (image, points, rng) -> (image, points), with the image (height, width,
        n_channels).
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
        has_points = target.is_map and hasattr(target, "points")
        self.zooms = "scale" in self.kinds and has_points and not self.has_side_data
        n_crops = np.ones(len(images), dtype=int)
        if target.is_map:
            areas = np.array(images.sizes).prod(axis=1)
            n_crops = np.maximum(1, np.round(areas / (patch_shape[0] * patch_shape[1]))).astype(int)
        self.index = np.repeat(np.arange(len(images)), n_crops)
        # Most crops of pictures with few objects would be empty.
        self.around_points = has_points and np.sum(weights * target.counts) < np.sum(weights * n_crops)

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
        size = self.images.sizes[index]
        zoom = Zoom(size, np.exp(rng.uniform(-ZOOM, ZOOM))) if self.zooms and rng.random() < ZOOMED else None
        pixels = pixels_of(*self.target.placed(index, zoom)) if self.around_points else None
        size = size if zoom is None else zoom.size
        window, valid, weight = draw_window(rng, size, self.patch_shape, side_data["roi"], pixels)
        read = self.images.read if zoom is None else partial(zoom.read, self.images)
        image = read(index, window, self.dtype)
        points = None
        if self.function is not None:
            image, target, valid, points = self._apply_function(index, image, window, valid, rng)
        else:
            if "jitter" in self.kinds:
                image = self._jitter(image, rng)
            target = self.target.crop(index, window, side_data, zoom)
            if self.with_points:
                points = self.target.masses(index, window, side_data, valid, zoom)
        image = _pad(image, self.patch_shape, "edge")
        mask = _pad(valid[None], self.patch_shape, "constant")
        if self.target.is_map:
            target = _pad(target[None], self.patch_shape, "constant")
        if "rotations" in self.kinds or "mirror" in self.kinds:
            symmetry = _draw_symmetry(rng, self.patch_shape, "mirror" in self.kinds)
            image, mask, density = symmetry.of_arrays(image, mask, target if self.target.is_map else None)
            target = density if self.target.is_map else target
            points = symmetry.of_points(points, self.patch_shape) if self.with_points else None
        return image, target, mask, weight * self.weights[index], points

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
            valid = valid_pixels([(1, side) for side in size], [side + 2 for side in size], None)
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
