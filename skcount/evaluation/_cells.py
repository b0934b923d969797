"""Predicted and true counts in the cells of a grid over each image, from which errors of regions are learnt."""

import numpy as np

from skcount.images import check_images
from skcount.metrics import cell_counts
from skcount.points import Target, check_target

# Cells along each side of an image.
SIDE = 8
# Errors in the quarters of an image are taken for independent if their correlation is at most this far from 0. On VGG it is
# -0.12, because objects on a border are counted on either side, and intervals from whole images cover 83 % of sixteenths.
INDEPENDENT = 0.05


def count_cells(regressor, X, y):
    """Return predicted and true counts (n_images, SIDE, SIDE), or None without maps or without places in the truth."""
    if not hasattr(regressor, "iter_density") and not hasattr(regressor, "predict_density"):
        return None
    target = check_target(y)
    if target.kind == "counts":
        return None
    images = check_images(X)
    if images.roi is not None:
        target = target.inside(images)
    predicted, true = np.zeros((2, len(images), SIDE, SIDE))
    for index, (density, size) in enumerate(zip(iter_maps(regressor, X), images.sizes, strict=True)):
        predicted[index] = cell_counts(Target("maps", [density]), 0, size, (SIDE, SIDE))
        true[index] = cell_counts(target, index, size, (SIDE, SIDE))
    return predicted, true


def iter_maps(regressor, X):
    """Return the density maps, one at a time if the regressor can."""
    return regressor.iter_density(X) if hasattr(regressor, "iter_density") else regressor.predict_density(X)


def count_scale(predicted, power=0.5):
    """Return what errors of counts are divided by: a power of the predicted count plus 1."""
    return (np.maximum(predicted, 0) + 1) ** power


def within_correlation(predicted, true):
    """Return the intraclass correlation of the scaled errors in the quarters of an image."""
    half = SIDE // 2
    quarters = [
        each.reshape(-1, 2, half, 2, half).sum(axis=(2, 4)).reshape(len(each), 4)
        for each in (predicted, true)
    ]
    errors = (quarters[1] - quarters[0]) / count_scale(quarters[0])
    if len(errors) < 3:
        return np.nan
    within = errors.var(axis=1, ddof=1).mean()
    between = 4 * errors.mean(axis=1).var(ddof=1)
    total = between + 3 * within
    return float((between - within) / total) if total > 0 else 0.0


def block_scores(predicted, true, share, random_state):
    """Return scaled errors of a block of cells of about a share of the area, one block of each image, drawn at random."""
    rng = np.random.default_rng(random_state)
    side = int(np.clip(round(SIDE * np.sqrt(share)), 1, SIDE))
    scores = np.empty(len(predicted))
    for index, (ours, theirs) in enumerate(zip(predicted, true, strict=True)):
        top, left = rng.integers(SIDE - side + 1, size=2)
        block = np.s_[top : top + side, left : left + side]
        predicted_here = ours[block].sum()
        scores[index] = (theirs[block].sum() - predicted_here) / count_scale(predicted_here)
    return scores
