"""Helpers of all evaluations: true and predicted counts, groups, splits, and images that look alike."""

import numpy as np
from sklearn.utils import _safe_indexing, check_random_state, column_or_1d

from skcount._check import check_groups
from skcount.images import ImageSet, check_images
from skcount.points import check_target

# Images are compared by thumbnails of this side, with what all have in common taken away. Of two images with a larger
# correlation than ALIKE, one is nearly the other: consecutive frames of a film, or a copy. Measured: independent images
# of one kind at most 0.46, consecutive frames of a crowd 0.45 to 0.84.
THUMBNAIL, ALIKE = 32, 0.5
# With fewer images, what they have in common cannot be told from what they show.
COMMON = 5


def true_counts(y, X):
    """Return the true counts, inside the regions that images carry, as float64."""
    target = check_target(y)
    if len(target) != len(X):
        raise ValueError(f"`y` must have one entry per image, {len(X)}; got {len(target)}.")
    if getattr(X, "roi", None) is not None:
        target = target.inside(check_images(X))
    return np.asarray(target.counts, dtype=np.float64)


def predict_counts(estimator, X):
    """Return the predicted counts of any regressor, checked, as float64."""
    counts = column_or_1d(np.asarray(estimator.predict(X), dtype=np.float64))
    if len(counts) != len(X) or not np.isfinite(counts).all():
        raise ValueError(
            f"{type(estimator).__name__}.predict must return one finite count per image, {len(X)}; got {len(counts)}."
        )
    return counts


def take(values, indices):
    """Return the images or the truth at indices."""
    return _safe_indexing(values, indices)


def refuse_repeated(splits):
    """Refuse splits (train, test) that test an image twice, before anything is trained."""
    tested = np.concatenate([test for _, test in splits])
    if len(np.unique(tested)) < len(tested):
        raise ValueError("`cv` must put each image into at most one of the test sets.")


def groups_of(X, groups):
    """Return the groups that were passed, or that the images carry, as an array, or None."""
    groups = getattr(X, "groups", None) if groups is None else groups
    return None if groups is None else check_groups(groups, len(X))


def one_per_group(groups, random_state):
    """Return the index of one image of each group, drawn at random."""
    mixed = check_random_state(random_state).permutation(len(groups))
    return np.sort(mixed[np.unique(np.asarray(groups)[mixed], return_index=True)[1]])


def thumbnails(X):
    """Return small grey images (n_images, pixels), without what all have in common, of length 1; None for a table.

    Images that show nothing else than the others are 0.
    """
    if not isinstance(X, ImageSet):
        if getattr(X, "ndim", 3) < 3 or np.ndim(X[0]) < 2:
            return None
        X = check_images(X)
    small = np.stack([_shrink(X.read(index).mean(axis=0)) for index in range(len(X))])
    small -= small.mean(axis=1, keepdims=True)
    full = np.linalg.norm(small, axis=1, keepdims=True)
    if len(small) >= COMMON:
        small -= np.median(small, axis=0)
    length = np.linalg.norm(small, axis=1, keepdims=True)
    return np.divide(small, length, out=np.zeros_like(small), where=length > 0.01 * full)


def _shrink(image):
    """Return means of THUMBNAIL x THUMBNAIL parts of an image."""
    for axis in (0, 1):
        edges = np.linspace(0, image.shape[axis], THUMBNAIL + 1).astype(int)[:-1]
        sizes = np.maximum(np.diff(np.append(edges, image.shape[axis])), 1)
        image = np.add.reduceat(image, edges, axis=axis) / np.expand_dims(sizes, 1 - axis)
    return image.ravel().astype(np.float64)
