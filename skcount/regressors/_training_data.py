"""Check and prepare the data of a fit: images and targets at the working size, weights, validation images."""

import sys
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import check_random_state

from skcount._check import check_weights
from skcount._memory import free_memory
from skcount._progress import track
from skcount.density import DensityMapTransformer, estimate_diameter
from skcount.images import ImageSet, channel_statistics, image_statistics, load_images, scale_images
from skcount.inference import nearest_factor
from skcount.points import check_inside, check_target
from skcount.regressors._pretrained import knows
from skcount.training import CountTarget, MapTarget, PointTarget, Validation

# Objects are seen at this diameter or larger, in pixels of the working size; smaller ones than TINY at twice their size.
SEEN, TINY = 24, 6
# The diameter that is assumed if the dots do not tell it, in pixels.
ASSUMED = 12.0
# The default sigma: a share of the diameter, but at least this many pixels of the working size.
SHARE, LEAST = 0.15, 3.0


class TrainingData(NamedTuple):
    """Checked training data.

    `images` have their own size; `working` and `target` have the working size, smaller by the factor `reduction`.
    `weights` are 1 on average, and `columns` are the attributes of a table's columns, or None.
    """

    images: ImageSet
    working: ImageSet
    target: object
    weights: np.ndarray
    channels: tuple
    diameter: float | None
    reduction: float
    density: DensityMapTransformer
    validation: Validation | None
    seed: int
    dtype: type
    columns: dict | None
    start: object = None


def prepare(
    images,
    target,
    weights,
    density,
    diameter,
    seed,
    dtype,
    columns,
    *,
    groups=None,
    validation=None,
    verbose=0,
    start=None,
    reduction=None,
):
    """Return checked images and targets as TrainingData.

    `diameter` is "auto", or a number of pixels; if the sigma of `density` is None, it follows from the diameter. With a
    `start`, images are reduced so that objects have the size that its weights know, if they know them; a fit that goes on
    has its `reduction`.
    `validation` is a part of the images to hold out, a Validation, or None.
    """
    kept = np.flatnonzero(weights)
    if isinstance(validation, float):
        kept, held_out = hold_out(kept, groups, validation, seed)
        validation = Validation(images.take(held_out), target.take(held_out).counts, weights[held_out])
    if validation is not None:
        for index in range(len(validation.images)):
            image_statistics(validation.images, index, dtype)  # rejects NaN and infinity
    if columns is not None:
        diameter, reduction = None, 1
    elif isinstance(diameter, str):
        diameter = _learn_diameter(images.take(kept), target.take(kept), weights[kept], verbose)
    if start is not None:
        start, reduction = _meet(start, images.take(kept), target.take(kept), density, diameter, dtype)
    reduction = reduction_for(diameter) if reduction is None else reduction
    if density.sigma is None:
        density.set_params(sigma=_default_sigma(diameter, reduction, start))
    shown = track(kept, "read", len(kept)) if verbose == 1 else kept
    channels = channel_statistics(scale_images(images, reduction, dtype=dtype), weights, shown, dtype)
    if len(kept) < len(images):
        images, target, weights = images.take(kept), target.take(kept), weights[kept]
    working = scale_images(images, reduction, channels.mean, dtype)
    if reduction > 1 and 4 * working.shapes.prod(axis=1).sum() < free_memory() / 4:
        working = load_images(working)  # a photo is not read again for each of its crops
    return TrainingData(
        images,
        working,
        target.scaled(working, reduction, density),
        weights / weights.mean(),
        channels,
        diameter,
        reduction,
        density,
        validation,
        seed,
        dtype,
        columns,
        start,
    )


def _meet(start, images, target, density, diameter, dtype):
    """Return a start that knows whether its objects are like those of the images, and the factor that reduces them.

    Weights that do not know the objects are not told their size: they need what is around an object, which enlarged
    images have less of.
    """
    reduction = nearest_factor(diameter / start.diameter)
    if not target.is_map or not np.any(target.counts):
        return start, reduction
    sigma = density.sigma or start.sigma * reduction
    working = scale_images(images, reduction, start.module.mean.flatten().numpy(force=True), dtype)
    scaled = target.scaled(working, reduction, clone(density).set_params(sigma=sigma))
    is_familiar = knows(start, scaled)
    return start._replace(is_familiar=is_familiar), reduction if is_familiar else max(1, reduction)


def _default_sigma(diameter, reduction, start):
    """Return the sigma of the kernel, in pixels of the images."""
    if diameter is None:
        return 2.0
    return max(SHARE * diameter, LEAST * reduction) if start is None else start.sigma * reduction


def _learn_diameter(images, target, weights, verbose):
    """Return the diameter that the dots and the pixels around them tell, or an assumed one; say which if verbose."""
    known = estimate_diameter(images, target.points, weights) if hasattr(target, "points") else None
    diameter = ASSUMED if known is None else known
    if verbose:
        source = "learnt from the dots" if known else "assumed, because y does not tell it"
        print(f"Diameter of an object: {diameter:.3g} pixels ({source}).", file=sys.stderr)
    return diameter


def reduction_for(diameter):
    """Return the factor by which images are reduced so that objects of a diameter have the size that networks see best."""
    return 0.5 if diameter < TINY else max(1, int(diameter / SEEN))


def training_target(target, images, density, action=None):
    """Return the training target of a checked Target: points inside, maps or counts; `action` is for points outside."""
    target.check_images(images.sizes)
    if target.kind == "counts":
        return CountTarget(target.values, images)
    if target.kind == "maps":
        return MapTarget(target.values, images)
    action = density.outside if action is None else action
    inside = check_inside(target.values, images.sizes, images.roi, action, refuse_wrong=True)
    points = target.values if inside.all() else target.values.select(inside)
    return PointTarget(points, images, density)


def validation_set(validation_data, as_images, density):
    """Return the user's (X, y) as a Validation; `as_images` turns X into images like those of the training."""
    if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
        raise ValueError(f"`validation_data` must be a pair (X, y); got {type(validation_data).__name__}.")
    X, y = validation_data
    target = check_target(y)
    images = as_images(X)
    counts = training_target(target, images, density).counts
    return Validation(images, counts, np.ones(len(images)))


def refuse_side_data(roi, perspective):
    """Reject side data of a table."""
    for name, given in (("roi", roi), ("perspective", perspective)):
        if given is not None:
            raise ValueError(f"`{name}` must be None for a table; pass images to use it.")


def training_weights(sample_weight, n_images):
    """Return one weight per image, given an array, one number or None; reject weights that are all zero."""
    if sample_weight is None:
        return np.ones(n_images)
    if not isinstance(sample_weight, list | tuple) and np.asarray(sample_weight).ndim == 0:
        sample_weight = np.full(n_images, sample_weight)
    weights = check_weights(sample_weight, n_images)
    if not weights.any():
        raise ValueError("All sample weights are zero; at least one must be positive.")
    return weights


def hold_out(indices, groups, fraction, random_state):
    """Split indices at random into those to train on and those to validate on, ascending; groups stay together."""
    labels = indices if groups is None else groups[indices]
    n_labels = len(np.unique(labels))
    if n_labels < 2:
        what = "image" if groups is None else "group"
        raise ValueError(
            f"Cannot hold out validation images: `X` has only {n_labels} {what} with a positive weight, and "
            "validation_fraction or early_stopping needs at least 2."
        )
    n_valid = min(max(1, round(fraction * n_labels)), n_labels - 1)
    splitter = GroupShuffleSplit(1, test_size=n_valid, random_state=check_random_state(random_state))
    train, valid = next(splitter.split(indices, groups=labels))
    return np.sort(indices[train]), np.sort(indices[valid])
