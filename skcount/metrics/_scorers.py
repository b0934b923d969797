"""Scorers: for `scoring=` in cross_val_score, GridSearchCV and their kin. Larger is better.

Unlike scorers made of a metric alone they see the images, and so the region of interest that goes with them: what lies
outside is counted neither in the prediction nor in the truth.
"""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from sklearn.utils.metadata_routing import UNUSED

from skcount._check import as_array, entry_ndim, is_list_like, is_map, without_index
from skcount.images import check_images
from skcount.metrics._counts import (
    check_counts,
    count_mean_absolute_error,
    count_normalized_absolute_error,
    count_root_mean_squared_error,
)
from skcount.metrics._game import grid_average_mean_absolute_error
from skcount.points import PointAnnotations, check_points


class _RegionScorer(BaseEstimator):
    """A scorer by its method `score`, to which scikit-learn can route weights and regions."""

    __metadata_request__score = {"estimator": UNUSED, "y_true": UNUSED}

    def __call__(self, estimator, X, y_true, sample_weight=None, roi=None):
        return self.score(estimator, X, y_true, sample_weight, roi)

    def _accept_sample_weight(self):
        """Where several scorers get weights, scikit-learn asks each whether it takes them."""
        return True


class CountScorer(_RegionScorer):
    """Score an estimator by minus an error of its counts.

    Parameters
    ----------
    metric : callable
        Takes true counts, predicted counts and the keyword `sample_weight`, and returns an error, >= 0.

    See Also
    --------
    count_mean_absolute_error : The metric of `count_mae_scorer`.

    Notes
    -----
    Where the images carry a region of interest, or one is passed as `roi`, only points inside are counted. With
    metadata routing, ask for it by ``clone(count_mae_scorer).set_score_request(roi=True)``.

    Examples
    --------
    >>> from skcount.datasets import make_cells
    >>> from sklearn.dummy import DummyRegressor
    >>> X, points = make_cells(n_samples=4, image_shape=(64, 64), random_state=0, return_X_y=True)
    >>> dummy = DummyRegressor().fit(X, points)
    >>> CountScorer(count_mean_absolute_error)(dummy, X, points) == count_mae_scorer(dummy, X, points)
    True
    """

    _parameter_constraints = {"metric": [callable]}

    def __init__(self, metric):
        self.metric = metric

    def __repr__(self):
        return f"{type(self).__name__}({self.metric.__name__})"

    def score(self, estimator, X, y_true, sample_weight=None, roi=None):
        """Count and compare.

        Parameters
        ----------
        estimator : estimator
            A fitted one.
        X : sequence of images
            Images.
        y_true : points, density maps or counts
            The truth.
        sample_weight : array-like of shape (n_images,) or None, default=None
            Weight of each image.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest; None takes those that `X` carries.

        Returns
        -------
        float
            Minus the error; 0 is perfect.
        """
        self._validate_params()
        predicted = estimator.predict(X, **_given(roi))
        return -self.metric(_counts(_inside(y_true, X, roi)), predicted, sample_weight=sample_weight)


class GAMEScorer(_RegionScorer):
    """Score an estimator by minus its grid average mean absolute error.

    Parameters
    ----------
    level : int, default=2
        L: the image is cut 2 ** L times along each axis, >= 0.

    See Also
    --------
    grid_average_mean_absolute_error : The measure.

    Examples
    --------
    >>> from skcount import DensityMapRegressor
    >>> from skcount.datasets import make_cells
    >>> from sklearn.model_selection import cross_val_score
    >>> X, points = make_cells(n_samples=4, image_shape=(64, 64), random_state=0, return_X_y=True)
    >>> regressor = DensityMapRegressor(max_epochs=1, random_state=0)
    >>> cross_val_score(regressor, X, points, scoring=GAMEScorer(level=1), cv=2).shape
    (2,)
    """

    _parameter_constraints = {"level": [Interval(Integral, 0, None, closed="left")]}

    def __init__(self, level=2):
        self.level = level

    def score(self, estimator, X, y_true, sample_weight=None, roi=None):
        """Predict densities and compare them with points.

        Parameters
        ----------
        estimator : estimator
            A fitted one with `predict_density`.
        X : sequence of images
            Images.
        y_true : points or density maps
            True places.
        sample_weight : array-like of shape (n_images,) or None, default=None
            Weight of each image.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest; None takes those that `X` carries.

        Returns
        -------
        float
            Minus GAME(level), in objects an image.
        """
        self._validate_params()
        predicted = list(estimator.predict_density(X, **_given(roi)))
        true = _inside(y_true, X, roi)
        return -grid_average_mean_absolute_error(true, predicted, self.level, sample_weight=sample_weight)


def _given(roi):
    """Pass a region only where there is one: other estimators know no such thing."""
    return {} if roi is None else {"roi": roi}


def _inside(y_true, X, roi):
    """What of the truth lies inside the region of interest, if there is one."""
    if roi is None and getattr(X, "roi", None) is None:
        return y_true
    images = check_images(X, roi=roi)
    y = without_index(y_true)
    in_places = any(map(entry_ndim, y)) if is_list_like(y) else np.ndim(y) == 3
    if not in_places:
        return y
    if not isinstance(y, PointAnnotations) and all(map(is_map, y)):
        return [np.where(images.roi.read(index), density, 0) for index, density in enumerate(y)]
    return check_points(y, len(images)).inside(images.shapes, images.roi)


def true_counts(y, X=None, roi=None, name="y"):
    """Count the objects of any target, inside the region of interest if there is one.

    Parameters
    ----------
    y : points, density maps or counts
        The truth. Counts are taken as they are.
    X : sequence of images or None, default=None
        The images, which may carry a region of interest; None looks for none.
    roi : array of shape (height, width), sequence of such arrays, or None, default=None
        Regions of interest of the images; None takes those that `X` carries.
    name : str, default="y"
        What to call the target in messages.

    Returns
    -------
    ndarray of shape (n_images,), float64
        Objects in each image.

    Raises
    ------
    ValueError
        If `y` is none of the three, is empty, or is not finite.

    Examples
    --------
    >>> true_counts([[(1, 2)], []])
    array([1., 0.])
    >>> true_counts(np.ones((2, 4, 5)))
    array([20., 20.])
    """
    return check_counts(_counts(y if X is None else _inside(y, X, roi)), name)


def _counts(y):
    """Add up density maps; leave points and counts to the metric."""
    in_turn = is_list_like(y) or entry_ndim(y) == 3
    maps = in_turn and not isinstance(y, PointAnnotations) and len(y) > 0 and all(map(is_map, y))
    return np.array([_sum(density, index) for index, density in enumerate(y)]) if maps else y


def _sum(density, index):
    density = as_array(density, f"Density map {index}", "objects per pixel, (height, width)")
    if density.dtype.kind not in "buif":
        raise ValueError(
            f"Density map {index} has dtype {density.dtype}; expected real numbers, objects per pixel."
        )
    return density.sum(dtype=np.float64)


count_mae_scorer = CountScorer(count_mean_absolute_error)
count_rmse_scorer = CountScorer(count_root_mean_squared_error)
count_nae_scorer = CountScorer(count_normalized_absolute_error)
