"""Which images are held out of the training, to see when it counts best."""

import numpy as np
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import check_random_state


def hold_out(indices, groups, fraction, random_state):
    """Split images into those to train on and those to hold out, at random; groups stay together.

    Parameters
    ----------
    indices : ndarray of shape (n_kept,), int
        The images to split.
    groups : ndarray of shape (n_images,) or None
        One label an image, of all images.
    fraction : float
        Part of the images, or of the groups, to hold out, in (0, 1); one at least.
    random_state : int, RandomState or None
        Decides which.

    Returns
    -------
    train, valid : ndarray of int
        Indices, ascending.

    Raises
    ------
    ValueError
        If there are not two images, or groups, at least.

    Examples
    --------
    >>> groups = np.array([0, 0, 1, 1, 2, 2])
    >>> hold_out(np.arange(6), groups, 0.3, random_state=0)
    (array([0, 1, 2, 3]), array([4, 5]))
    """
    labels = indices if groups is None else groups[indices]
    n_labels = len(np.unique(labels))
    if n_labels < 2:
        what = "images" if groups is None else "groups"
        raise ValueError(
            f"There is {n_labels} of the {what} to learn from, and a part of them is to be held out (validation_fraction, "
            "early_stopping); expected at least two."
        )
    n_valid = min(max(1, round(fraction * n_labels)), n_labels - 1)
    splitter = GroupShuffleSplit(1, test_size=n_valid, random_state=check_random_state(random_state))
    train, valid = next(splitter.split(indices, groups=labels))
    return np.sort(indices[train]), np.sort(indices[valid])
