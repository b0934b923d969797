"""Scorers for `scoring=` in cross_val_score, GridSearchCV and the like. Larger is better.

Unlike scorers made from a metric alone, they see the images and therefore the region of interest. Objects outside it
are counted neither in the prediction nor in the truth.
"""

from numbers import Integral

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from sklearn.utils.metadata_routing import UNUSED

from skcount.images import check_images
from skcount.metrics._counts import (
    count_mean_absolute_error,
    count_normalized_absolute_error,
    count_root_mean_squared_error,
)
from skcount.metrics._game import grid_average_mean_absolute_error
from skcount.points import Target, check_maps, check_target


class _RegionScorer(BaseEstimator):
    """Base class of scorers with a method `score`, to which scikit-learn can route weights and regions."""

    __metadata_request__score = {"estimator": UNUSED, "y_true": UNUSED}

    def __call__(self, estimator, X, y_true, sample_weight=None, roi=None):
        return self.score(estimator, X, y_true, sample_weight, roi)

    def _accept_sample_weight(self):
        """Return True: scikit-learn asks each of several scorers whether it accepts weights."""
        return True


class CountScorer(_RegionScorer):
    """Score an estimator by the negative error of its counts.

    Parameters
    ----------
    metric : callable
        Takes true counts, predicted counts and the keyword `sample_weight`, and returns an error, >= 0.

    See Also
    --------
    count_mean_absolute_error : The metric of `count_mae_scorer`.

    Notes
    -----
    If the images have a region of interest, or one is passed as `roi`, only objects inside are counted. With metadata
    routing, request it with ``clone(count_mae_scorer).set_score_request(roi=True)``.

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
        """Predict the counts and compare them with the true counts.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator.
        X : sequence of images
            Images.
        y_true : points, density maps or counts
            The truth.
        sample_weight : array-like of shape (n_images,) or None, default=None
            Weight of each image.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest. If None, use those of `X` if it is an `ImageSet`.

        Returns
        -------
        float
            Minus the error; 0 is perfect.
        """
        self._validate_params()
        predicted = estimator.predict(X, **_given(roi))
        return -self.metric(_inside(y_true, X, roi).counts, predicted, sample_weight=sample_weight)


class GAMEScorer(_RegionScorer):
    """Score an estimator by its negative grid average mean absolute error.

    Parameters
    ----------
    level : int, default=2
        L: the image is cut 2 ** L times along each axis, >= 0.

    See Also
    --------
    grid_average_mean_absolute_error : The metric.

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
            A fitted estimator with `predict_density`.
        X : sequence of images
            Images.
        y_true : points or density maps
            The truth.
        sample_weight : array-like of shape (n_images,) or None, default=None
            Weight of each image.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest. If None, use those of `X` if it is an `ImageSet`.

        Returns
        -------
        float
            Minus GAME(level), in objects per image.
        """
        self._validate_params()
        maps = list(estimator.predict_density(X, **_given(roi)))
        predicted = Target("maps", check_maps(maps, name="y_pred", signed=True))  # even those two pixels wide
        true = _inside(y_true, X, roi)
        return -grid_average_mean_absolute_error(true, predicted, self.level, sample_weight=sample_weight)


def _given(roi):
    """Return the region as a keyword only if there is one, because other estimators do not accept it."""
    return {} if roi is None else {"roi": roi}


def _inside(y_true, X, roi):
    """Return the truth as a Target, restricted to the region of interest if there is one."""
    target = check_target(y_true, "y_true")
    if roi is None and getattr(X, "roi", None) is None:
        return target
    return target.inside(check_images(X, roi=roi))


count_mae_scorer = CountScorer(count_mean_absolute_error)
count_rmse_scorer = CountScorer(count_root_mean_squared_error)
count_nae_scorer = CountScorer(count_normalized_absolute_error)
