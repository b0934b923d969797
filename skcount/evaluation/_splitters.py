"""Splitters for images that belong together: in groups, or as neighbours in a sequence."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import BaseCrossValidator, GroupKFold
from sklearn.utils._param_validation import HasMethods, Interval, validate_params

from skcount._check import check_groups


class CarriedGroups(BaseCrossValidator):
    """Split images by the groups that their `ImageSet` carries.

    Splitters of scikit-learn see only the `groups` that are passed to them. ``train_test_split``, ``KFold`` and the
    default of ``cross_val_score`` and of searches see none, and put images of one group on both sides, which makes errors
    look too small. This one gives the groups in an :class:`~skcount.ImageSet` to a splitter that keeps them together.

    Parameters
    ----------
    cv : splitter or None, default=None
        Splitter that takes groups: ``GroupKFold``, ``StratifiedGroupKFold``, ``GroupShuffleSplit``, ``LeaveOneGroupOut``
        or another one. None is ``GroupKFold()``, five folds.

    See Also
    --------
    skcount.ImageSet : Images with a group each.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn.model_selection import GroupShuffleSplit, cross_val_score
    >>> from skcount import ImageSet
    >>> from skcount.evaluation import CarriedGroups
    >>> from skcount.datasets import make_cells
    >>> X, points = make_cells(6, image_shape=(32, 32), random_state=0, return_X_y=True)
    >>> X = ImageSet(X, groups=["a", "a", "b", "b", "c", "c"])
    >>> splitter = CarriedGroups(GroupShuffleSplit(n_splits=1, test_size=1, random_state=0))
    >>> train, test = next(splitter.split(X))  # instead of train_test_split
    >>> X[train].groups.tolist(), X[test].groups.tolist()
    (['a', 'a', 'b', 'b'], ['c', 'c'])
    >>> cross_val_score(DummyRegressor(), X, points, cv=CarriedGroups()).shape
    Traceback (most recent call last):
        ...
    ValueError: Cannot have number of splits n_splits=5 greater than the number of groups: 3.
    """

    __metadata_request__split = {"groups": True}  # as splitters of scikit-learn that take groups

    @validate_params(
        {"cv": [HasMethods(["split", "get_n_splits"]), None]}, prefer_skip_nested_validation=True
    )
    def __init__(self, cv=None):
        self.cv = cv

    def split(self, X, y=None, groups=None):
        """Yield the indices of the training and of the test images of each split.

        Parameters
        ----------
        X : ImageSet or sequence of n_images images
            Images; an `ImageSet` with groups, unless `groups` is passed.
        y : points, counts or None, default=None
            Ground truth; few splitters use it.
        groups : array-like of shape (n_images,) or None, default=None
            One label per image, instead of those that `X` carries.

        Yields
        ------
        train, test : ndarray of int
            Indices of images. No group is on both sides.

        Raises
        ------
        ValueError
            If there are no groups, or too few.
        """
        groups = _carried(X, groups)
        if groups is None:
            raise ValueError(
                "`X` must be an ImageSet with groups, such as ImageSet(X, groups=labels), or pass `groups`; there are none."
            )
        yield from self._splitter.split(X, y, groups)

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : as for `split`
            Needed if the number depends on the groups, as that of ``LeaveOneGroupOut`` does.

        Returns
        -------
        n_splits : int
            Number of pairs that `split` yields.
        """
        return self._splitter.get_n_splits(X, y, _carried(X, groups))

    @property
    def _splitter(self):
        return GroupKFold() if self.cv is None else self.cv


def _carried(X, groups):
    """Return the groups that were passed, or that the images carry, or None."""
    return getattr(X, "groups", None) if groups is None else groups


class SequenceKFold(BaseCrossValidator):
    """K-fold cross-validation of a sequence: contiguous blocks with a gap around them.

    Neighbouring frames of a film, sections of a stack or plots of a field look alike. Folds of scattered images put
    neighbours on both sides, which makes errors look too small. Here each test set is one block of consecutive images, and
    training images near it are left out.

    Parameters
    ----------
    n_splits : int, default=5
        Number of blocks, >= 2.
    gap : int, default=0
        Images on each side of a block that are used neither for training nor for testing, >= 0: as many as look alike, such
        as the frames in which one pedestrian is seen.

    See Also
    --------
    CarriedGroups : Keeps the images of a group together.
    sklearn.model_selection.TimeSeriesSplit : Trains only on what was before.

    Examples
    --------
    >>> import numpy as np
    >>> from skcount.evaluation import SequenceKFold
    >>> for train, test in SequenceKFold(n_splits=3, gap=1).split(np.zeros(9)):
    ...     print(train, test)
    [4 5 6 7 8] [0 1 2]
    [0 1 7 8] [3 4 5]
    [0 1 2 3 4] [6 7 8]
    """

    __metadata_request__split = {"groups": True}

    @validate_params(
        {
            "n_splits": [Interval(Integral, 2, None, closed="left")],
            "gap": [Interval(Integral, 0, None, closed="left")],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(self, n_splits=5, gap=0):
        self.n_splits = n_splits
        self.gap = gap

    def split(self, X, y=None, groups=None):  # noqa: ARG002 - scikit-learn's signature
        """Yield the indices of the training and of the test images of each split.

        Parameters
        ----------
        X : sequence of n_images images
            Images in their order.
        y : points, counts or None, default=None
            Not used.
        groups : array-like of shape (n_images,) or None, default=None
            The sequence of each image, such as its clip. If None, use those that an `ImageSet` carries, if any. The gap does
            not reach into another sequence. To keep whole sequences together, use `CarriedGroups`.

        Yields
        ------
        train, test : ndarray of int
            Indices of images.

        Raises
        ------
        ValueError
            If there are fewer images than blocks, or nothing is left to train on.
        """
        n_images = len(X)
        if self.n_splits > n_images:
            raise ValueError(
                f"`n_splits` must be at most the number of images, {n_images}; got {self.n_splits}."
            )
        groups = _carried(X, groups)
        labels = np.zeros(n_images) if groups is None else check_groups(groups, n_images)
        indices = np.arange(n_images)
        for test in np.array_split(indices, self.n_splits):
            left_out = np.zeros(n_images, dtype=bool)
            left_out[test] = True
            for label in np.unique(labels[test]):
                mine = test[labels[test] == label]
                near = (indices >= mine[0] - self.gap) & (indices <= mine[-1] + self.gap)
                left_out |= near & (labels == label)
            train = np.flatnonzero(~left_out)
            if not len(train):
                raise ValueError(
                    f"`gap`={self.gap} leaves nothing to train on. Use a smaller gap, or fewer splits."
                )
            yield train, test

    def get_n_splits(self, X=None, y=None, groups=None):  # noqa: ARG002 - scikit-learn's signature
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : object
            Not used.

        Returns
        -------
        n_splits : int
            Number of pairs that `split` yields.
        """
        return self.n_splits
