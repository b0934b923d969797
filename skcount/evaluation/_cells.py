"""Predicted and true counts in the cells of a grid over each image, from which errors of regions are learnt."""

import numpy as np

from skcount.images import check_images
from skcount.points import check_target

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
    maps = iter_maps(regressor, X)
    predicted, true = np.zeros((2, len(images), SIDE, SIDE))
    for index, density in enumerate(maps):
        predicted[index] = sum_cells(density)
        if target.kind == "maps":
            true[index] = sum_cells(target.values[index])
        else:
            points, (height, width) = target.values[index], images.sizes[index]
            rows, cols = np.clip(np.floor(points + 0.5), 0, (height - 1, width - 1)).astype(np.intp).T
            np.add.at(true[index], (cells_along(height, SIDE)[rows], cells_along(width, SIDE)[cols]), 1)
    return predicted, true


def iter_maps(regressor, X):
    """Return the density maps, one at a time if the regressor can."""
    return regressor.iter_density(X) if hasattr(regressor, "iter_density") else regressor.predict_density(X)


def cells_along(side, n_cells):
    """Return the cell of each pixel along one axis, as for GAME: a pixel belongs to the cell of its centre."""
    return np.floor((np.arange(side) + 0.5) * n_cells / side).astype(np.intp)


def sum_cells(values):
    """Return the sums of an array over SIDE x SIDE cells; a pixel belongs to one cell."""
    values = np.asarray(values, dtype=np.float64)
    for axis in (0, 1):
        cells = cells_along(values.shape[axis], SIDE)
        sums = np.zeros((SIDE, *np.moveaxis(values, axis, 0).shape[1:]))
        np.add.at(sums, cells, np.moveaxis(values, axis, 0))
        values = np.moveaxis(sums, 0, axis)
    return values


def within_correlation(predicted, true):
    """Return the intraclass correlation of the scaled errors in the quarters of an image."""
    half = SIDE // 2
    quarters = [
        each.reshape(-1, 2, half, 2, half).sum(axis=(2, 4)).reshape(len(each), 4)
        for each in (predicted, true)
    ]
    errors = (quarters[1] - quarters[0]) / np.sqrt(np.maximum(quarters[0], 0) + 1)
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
        scores[index] = (theirs[block].sum() - predicted_here) / np.sqrt(max(predicted_here, 0) + 1)
    return scores
