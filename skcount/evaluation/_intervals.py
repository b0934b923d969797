"""Intervals for the count of a single image, by conformal prediction."""

import warnings
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, KFold, ShuffleSplit
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skcount._optional import import_optional
from skcount.evaluation._cells import count_cells, count_scale, within_correlation
from skcount.evaluation._data import (
    ALIKE,
    groups_of,
    one_per_group,
    predict_counts,
    refuse_repeated,
    take,
    thumbnails,
    true_counts,
)

__all__ = ["ConformalCounter", "ExpectedCoverage"]

# Errors are divided by a power of the predicted count plus 1.
SCALES = {"sqrt": 0.5, "count": 1}
# Ends of the band in which the coverage of one calibration lies in 90 of 100 cases.
BAND = 0.05, 0.95
# Relative rounding error of an end, which must not cut off a whole number.
ROUNDING = 1e-9
# The coverage for which a fit says whether its images are enough.
USUAL = 0.9


class ExpectedCoverage(NamedTuple):
    """The coverage to be expected of intervals. `ConformalCounter.expected_coverage` returns it.

    Parameters
    ----------
    guaranteed : float
        Lower bound of the mean coverage over calibrations, in [0, 1].
    low, high : float
        In 90 of 100 calibrations, the coverage of the images to come lies between them; NaN if that is not known.
    n : int
        Number of calibration images, or of their groups.

    Examples
    --------
    >>> from skcount.evaluation import ExpectedCoverage
    >>> guaranteed, low, high, n = ExpectedCoverage(guaranteed=0.9, low=0.82, high=0.96, n=49)
    """

    guaranteed: float
    low: float
    high: float
    n: int


class ConformalCounter(RegressorMixin, MetaEstimatorMixin, BaseEstimator):
    """Give the counts of any regressor intervals that hold as often as they say.

    The errors on images that the regressor was not trained on (calibration images) tell how large errors are.

    Parameters
    ----------
    regressor : estimator
        Any regressor of counts: one of skcount, a Pipeline, a search.
    cv : None, int, splitter or "prefit", default=None
        Where the calibration images come from. None: `fit` trains on one half of the images and calibrates on the other.
        An int or a splitter: CV+ [2]_, which trains on each of the folds, calibrates on all images, and predicts the
        mean of its regressors; whole groups are kept together. "prefit": the regressor is fitted, and all images of
        `fit` are for calibration; it must not have seen them.
    scale : {"sqrt", "count", None}, default="sqrt"
        What errors are divided by, as errors of large counts are larger. "sqrt": the square root of the predicted count plus
        1, which suits objects that are missed one by one. "count": the predicted count plus 1, which suits errors in
        percent. None: all intervals are equally wide.
    random_state : int, RandomState or None, default=0
        Seed of the split, and of the image that stands for a group.

    Attributes
    ----------
    regressors_ : list of estimators
        The fitted regressors: one, or one for each fold.
    errors_ : ndarray of shape (n_calibration,)
        True minus predicted count of each calibration image.
    scales_ : ndarray of shape (n_calibration,)
        What errors are divided by.
    n_calibration_ : int
        Number of calibration images, or of groups: of each group, one image is drawn.
    categories_ : ndarray of shape (n_calibration,) or None
        The category of each calibration image, if `fit` was given categories.
    expected_coverage_ : ExpectedCoverage or None
        The coverage to be expected of intervals with a coverage of 0.9, from `expected_coverage`; None if there are too few
        calibration images for them.
    within_correlation_ : float
        Correlation of the errors in the quarters of an image: if it is within 0.05 of 0, intervals of regions follow from
        those of images (`count_regions`). NaN without points or maps.

    Raises
    ------
    ValueError
        In `fit`, if consecutive images are frames of a film and there are no groups. In `predict_interval`, if there are
        fewer calibration images than the coverage takes: 9 for 0.9.

    See Also
    --------
    count_regions : Counts of regions, with intervals.
    estimate_total : The total of many images.

    Notes
    -----
    **Guarantee.** If the images of `fit` and the new image are exchangeable, like draws from one population in any order,
    the interval holds the true count of a new image with a probability of at least `coverage`, whatever the regressor
    [1]_. The probability is over the draws of the calibration images, too: `expected_coverage` gives the band for one
    calibration. With CV+, at least ``2 * coverage - 1`` is guaranteed, and about `coverage` is usual. Nothing is
    guaranteed for images of another instrument, for a subset such as images with many objects, or for frames of a film that
    are taken for independent images; with `groups`, it holds for an image of a new group.

    Ends are whole numbers: the smallest and the largest whole number inside. That costs no coverage, as true counts are
    whole numbers, too.

    References
    ----------
    .. [1] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani and L. Wasserman. Distribution-free predictive inference for
       regression. Journal of the American Statistical Association 113(523), 2018.
    .. [2] R. F. Barber, E. J. Candes, A. Ramdas and R. J. Tibshirani. Predictive inference with the jackknife+. Annals of
       Statistics 49(1), 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from skcount.evaluation import ConformalCounter
    >>> rng = np.random.default_rng(0)
    >>> brightness = rng.uniform(10, 200, size=(100, 1))
    >>> counts = rng.poisson(0.5 * brightness[:, 0])
    >>> counter = ConformalCounter(LinearRegression(), cv=5).fit(brightness[:60], counts[:60])
    >>> intervals = counter.predict_interval(brightness[60:], coverage=0.9)
    >>> float(np.mean((intervals[:, 0] <= counts[60:]) & (counts[60:] <= intervals[:, 1])))
    0.875
    """

    _parameter_constraints = {
        "regressor": [HasMethods(["fit", "predict"])],
        "cv": [
            None,
            Interval(Integral, 2, None, closed="left"),
            StrOptions({"prefit"}),
            HasMethods(["split", "get_n_splits"]),
        ],
        "scale": [StrOptions(set(SCALES)), None],
        "random_state": ["random_state"],
    }

    def __init__(self, regressor, cv=None, *, scale="sqrt", random_state=0):
        self.regressor = regressor
        self.cv = cv
        self.scale = scale
        self.random_state = random_state

    def fit(self, X, y, groups=None, categories=None):
        """Train the regressor, unless it is prefit, and measure its errors on images that it was not trained on.

        Parameters
        ----------
        X : sequence of images, or array of shape (n_images, n_features)
            What the regressor takes.
        y : points, counts or density maps
            The truth, one entry per image.
        groups : array-like of shape (n_images,) or None, default=None
            A label per image, such as its clip, plate or patient. If None, use those that an `ImageSet` carries. Images of
            a group are never on both sides of a split, and a group counts as one draw.
        categories : array-like of shape (n_images,) or None, default=None
            A label per image, such as its stain: intervals then hold within each category (Mondrian). Each needs as
            many calibration images as a fit without categories. Do not make categories of the counts themselves.

        Returns
        -------
        self : object
            The fitted counter.

        Warns
        -----
        UserWarning
            If the images are too few for a coverage of 0.9.
        """
        self._validate_params()
        counts = true_counts(y, X)
        groups = groups_of(X, groups)
        categories = None if categories is None else _check_categories(categories, len(X))
        if groups is None:
            _ask_for_groups(X)
        rng = check_random_state(self.random_state)
        splits = self._split(X, groups, rng)
        self.regressors_, folds = [], []
        for fold, (train, calibration) in enumerate(splits):
            fitted = (
                self.regressor if train is None else clone(self.regressor).fit(take(X, train), take(y, train))
            )
            self.regressors_.append(fitted)
            folds.append((calibration, np.full(len(calibration), fold)))
        indices, numbers = (np.concatenate(parts) for parts in zip(*folds, strict=True))
        predicted, cells = self._predict_calibration(X, y, indices, numbers)
        kept = np.arange(len(indices)) if groups is None else one_per_group(groups[indices], rng)
        self._fold = numbers[kept]
        self._cells = None if cells is None else tuple(part[kept] for part in cells)
        self.within_correlation_ = np.nan if cells is None else within_correlation(*cells)
        predicted = predicted[kept]
        self.errors_ = counts[indices[kept]] - predicted
        self.scales_ = self._scale_of(predicted)
        self.categories_ = None if categories is None else categories[indices[kept]]
        self.n_calibration_ = len(kept)
        needed = _needed(USUAL)
        self.expected_coverage_ = None
        smallest = min(self._numbers().values())
        if smallest < needed:
            warnings.warn(
                f"{smallest} calibration {'images' if groups is None else 'groups'} are too few for intervals with a "
                f"coverage of {USUAL}, which take {needed}. They reach {smallest / (smallest + 1):.2f}.",
                UserWarning,
                stacklevel=2,
            )
        else:
            self.expected_coverage_ = self.expected_coverage(USUAL)
        return self

    def predict(self, X):
        """Count the objects in each image.

        Parameters
        ----------
        X : sequence of images, or array of shape (n_images, n_features)
            What the regressor takes.

        Returns
        -------
        ndarray of shape (n_images,), float64
            Predicted counts: those of the regressor, or the mean of the regressors of all folds.
        """
        check_is_fitted(self)
        return np.mean([predict_counts(regressor, X) for regressor in self.regressors_], axis=0)

    def predict_interval(self, X, coverage=0.9, categories=None):
        """Return an interval for the true count of each image.

        Parameters
        ----------
        X : sequence of images, or array of shape (n_images, n_features)
            What the regressor takes.
        coverage : float, default=0.9
            How often the intervals hold, in (0, 1).
        categories : array-like of shape (n_images,) or None, default=None
            The category of each image, if `fit` was given categories.

        Returns
        -------
        intervals : ndarray of shape (n_images, 2), int
            The smallest and the largest count, >= 0.

        Raises
        ------
        ValueError
            If there are too few calibration images; the error says how many it takes.
        """
        check_is_fitted(self)
        self._check_enough(coverage)
        predicted = np.stack([predict_counts(regressor, X) for regressor in self.regressors_])
        categories = self._check_new_categories(categories, len(X))
        bounds = self._bounds(predicted, coverage, categories)
        return whole_numbers(*bounds, predicted.mean(axis=0))

    def expected_coverage(self, coverage=0.9):
        """Return the coverage that intervals have, with this number of calibration images.

        Parameters
        ----------
        coverage : float, default=0.9
            The wanted coverage, in (0, 1).

        Returns
        -------
        ExpectedCoverage
            What is guaranteed on average, and the band for one calibration: with few images, one calibration may have a
            coverage well below the mean. With categories, it is that of the smallest one.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.dummy import DummyRegressor
        >>> from skcount.evaluation import ConformalCounter
        >>> counts = np.random.default_rng(0).poisson(20, size=60)
        >>> dummy = DummyRegressor().fit(np.zeros((1, 1)), [20])
        >>> ConformalCounter(dummy, cv="prefit").fit(np.zeros((49, 1)), counts[:49]).expected_coverage(0.9)
        ExpectedCoverage(guaranteed=0.9, low=0.8228..., high=0.9589..., n=49)
        """
        check_is_fitted(self)
        self._check_enough(coverage)
        n = min(self._numbers().values())
        if self._is_cv_plus:
            return ExpectedCoverage(max(0.0, 2 * coverage - 1), np.nan, np.nan, n)
        rank = _rank(coverage, n)
        low, high = stats.beta.ppf(BAND, rank, n + 1 - rank)
        return ExpectedCoverage(coverage, float(low), float(high), n)

    @property
    def _is_cv_plus(self):
        return len(self.regressors_) > 1

    def _split(self, X, groups, rng):
        """Return pairs of indices: of the images to train on, or None for a fitted regressor, and to calibrate on."""
        everything = np.arange(len(X))
        if isinstance(self.cv, str):
            check_is_fitted(self.regressor)
            return [(None, everything)]
        seed = rng.randint(np.iinfo(np.int32).max)
        if self.cv is None:
            cv = (ShuffleSplit if groups is None else GroupShuffleSplit)(1, test_size=0.5, random_state=seed)
        elif isinstance(self.cv, Integral):
            cv = KFold(self.cv, shuffle=True, random_state=seed) if groups is None else GroupKFold(self.cv)
        else:
            cv = self.cv
        splits = list(cv.split(everything, groups=groups))
        refuse_repeated(splits)
        if groups is not None and any(np.isin(groups[test], groups[train]).any() for train, test in splits):
            raise ValueError("`cv` must keep the images of a group together, as GroupKFold does.")
        return splits

    def _predict_calibration(self, X, y, indices, numbers):
        """Return predicted counts of the calibration images, each by a regressor that has not seen it, and their cells."""
        counts, cells = np.zeros(len(indices)), []
        for fold, regressor in enumerate(self.regressors_):
            mine = numbers == fold
            images, truth = take(X, indices[mine]), take(y, indices[mine])
            found = count_cells(regressor, images, truth)
            if found is None:
                counts[mine] = predict_counts(regressor, images)
            else:
                cells.append(found)
                counts[mine] = found[0].sum(axis=(1, 2))
        if not cells:
            return counts, None
        return counts, tuple(np.concatenate(parts) for parts in zip(*cells, strict=True))

    def _scale_of(self, predicted):
        """Return what errors of predicted counts are divided by."""
        return count_scale(predicted, SCALES.get(self.scale, 0))

    def _bounds(self, predicted, coverage, categories):
        """Return low and high ends for the counts (n_regressors, n_images) that each regressor predicts."""
        if not self._is_cv_plus:
            half = conformal_factor(self.errors_ / self.scales_, coverage, self.categories_, categories)
            half = half * self._scale_of(predicted[0])
            return predicted[0] - half, predicted[0] + half
        low, high = np.empty((2, predicted.shape[1]))
        scores = np.abs(self.errors_) / self.scales_
        for index in range(predicted.shape[1]):
            mine = slice(None) if categories is None else self.categories_ == categories[index]
            centre, half = (
                predicted[self._fold[mine], index],
                scores[mine] * self._scale_of(predicted.mean(axis=0)[index]),
            )
            n = len(half)
            rank = _rank(coverage, n)
            low[index] = np.sort(centre - half)[n - rank]
            high[index] = np.sort(centre + half)[rank - 1]
        return low, high

    def _numbers(self):
        """Return the number of calibration images of each category."""
        if self.categories_ is None:
            return {"all images": self.n_calibration_}
        return dict(zip(*np.unique(self.categories_, return_counts=True), strict=True))

    def _check_enough(self, coverage):
        """Reject a coverage that the calibration images are too few for."""
        if not isinstance(coverage, Real) or not 0 < coverage < 1:
            raise ValueError(f"`coverage` must be a number between 0 and 1; got {coverage!r}.")
        needed = _needed(coverage)
        for name, n in self._numbers().items():
            if n < needed:
                what = "" if self.categories_ is None else f" of category {name}"
                raise ValueError(
                    f"A coverage of {coverage} takes at least {needed} calibration images{what} (or groups, which count "
                    f"as one each); there are {n}. Their largest coverage is {n / (n + 1):.2f}."
                )

    def _check_new_categories(self, categories, n_images):
        """Return the category of each new image, or None."""
        if (categories is None) != (self.categories_ is None):
            raise ValueError(
                "`categories` must be passed to both `fit` and `predict_interval`, or to neither."
            )
        if categories is None:
            return None
        categories = _check_categories(categories, n_images)
        unknown = np.setdiff1d(categories, self.categories_)
        if len(unknown):
            raise ValueError(f"`categories` has {unknown[0]!r}, which no calibration image has.")
        return categories


def _rank(coverage, n):
    """Return the rank of the score that covers, among n; 0.9 * 20 is 18, in spite of floating point."""
    return int(np.ceil(round(coverage * (n + 1), 9)))


def _needed(coverage):
    """Return the least number of calibration images for a coverage."""
    return int(np.ceil(round(coverage / (1 - coverage), 9)))


def conformal_factor(scores, coverage, known=None, new=None):
    """Return the conformal quantile of the absolute scores, for each new category if there are any."""
    crepes = import_optional("crepes", "An interval", "evaluation")
    one = np.zeros(1 if new is None else len(new))
    regressor = crepes.ConformalRegressor().fit(residuals=np.abs(scores), bins=known)
    # 0.9 * 20 is a little more than 18 in floating point, and would be rounded up to 19.
    return regressor.predict_int(one, bins=new, confidence=coverage - ROUNDING)[:, 1]


def whole_numbers(low, high, predicted):
    """Return the whole numbers inside of intervals, or the one nearest to the prediction if there is none."""
    ends = np.stack(
        [
            np.maximum(0, np.ceil(low - ROUNDING * (1 + np.abs(low)))),
            np.floor(high + ROUNDING * (1 + np.abs(high))),
        ],
        axis=1,
    )
    empty = ends[:, 0] > ends[:, 1]
    ends[empty] = np.maximum(0, np.round(predicted[empty]))[:, None]
    return ends.astype(np.int64)


def _check_categories(categories, n_images):
    """Return categories as an array with one entry per image."""
    categories = np.asarray(categories)
    if categories.shape != (n_images,):
        raise ValueError(
            f"`categories` must have one label per image, {n_images}; got shape {categories.shape}."
        )
    return categories


def _ask_for_groups(X):
    """Refuse frames of a film that are taken for independent images."""
    small = thumbnails(X)
    if small is None or len(small) < 3:
        return
    following = np.sum(small[1:] * small[:-1], axis=1)
    if np.median(following) > ALIKE:
        raise ValueError(
            "Consecutive images are nearly the same, like frames of a film, so they are not independent, and intervals "
            "would be too narrow. Pass `groups`, one label per scene, such as the clip. If the images are independent, give "
            "each a group of its own: groups=range(len(X))."
        )
