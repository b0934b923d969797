"""Scorers: for `scoring=` in cross_val_score, GridSearchCV and their kin. Larger is better."""

from sklearn.metrics import make_scorer

from skcount.metrics._counts import (
    count_mean_absolute_error,
    count_normalized_absolute_error,
    count_root_mean_squared_error,
)
from skcount.metrics._game import grid_average_mean_absolute_error

count_mae_scorer = make_scorer(count_mean_absolute_error, greater_is_better=False)
count_rmse_scorer = make_scorer(count_root_mean_squared_error, greater_is_better=False)
count_nae_scorer = make_scorer(count_normalized_absolute_error, greater_is_better=False)


class GAMEScorer:
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

    def __init__(self, level=2):
        self.level = level

    def __call__(self, estimator, X, y_true, sample_weight=None):
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

        Returns
        -------
        float
            Minus GAME(level), in objects an image.
        """
        predicted = estimator.predict_density(X)
        game = grid_average_mean_absolute_error(
            y_true, list(predicted), self.level, sample_weight=sample_weight
        )
        return -game

    def __repr__(self):
        return f"{type(self).__name__}(level={self.level})"
