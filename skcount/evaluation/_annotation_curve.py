"""How much more to annotate: the error by the number of annotated objects, and where it leads."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, ShuffleSplit, learning_curve
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, validate_params

from skcount.evaluation._data import groups_of, true_counts
from skcount.evaluation._table import Table
from skcount.metrics import count_mae_scorer

# Splits if none are given, and their share of test images.
N_SPLITS, TEST_SIZE = 5, 0.3
# Draws of the splits with replacement for the band, and its ends.
N_DRAWS, BAND = 1000, (0.05, 0.95)
# The error falls at most with this power of the number of objects.
STEEPEST = 1.0


@dataclass(frozen=True, repr=False)
class AnnotationCurve:
    """The error of a regressor by the number of annotated objects. `annotation_curve` makes it.

    Parameters
    ----------
    table : Table
        A row per number of training images: `images`, `objects` (on average), `mae`, and `standard_deviation` of the MAE
        over the splits, in objects per image.
    errors : ndarray of shape (n_sizes, n_splits)
        The MAE of each split.
    powers : ndarray of shape (n_draws, 2)
        The curves of resampled splits: the logarithm of the MAE of one object, and the power with which it falls.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from skcount.evaluation import annotation_curve
    >>> features = np.random.default_rng(0).uniform(0, 1, size=(60, 3))
    >>> annotation_curve(Ridge(), features, 10 + 40 * features[:, 0], sizes=[10, 20, 40])
    <AnnotationCurve: 3 sizes, 5 splits>
    """

    table: Table
    errors: np.ndarray
    powers: np.ndarray

    def extrapolate(self, n_objects):
        """Return the error to be expected with so many annotated objects.

        Parameters
        ----------
        n_objects : array-like of float
            Numbers of objects, > 0. Further than four times the largest one that was tried is a guess.

        Returns
        -------
        Table
            `objects`, `mae`, and the band `low` to `high`, which has 90 % of the curves of resampled splits. It knows
            nothing of images unlike those that were annotated.
        """
        n_objects = np.atleast_1d(np.asarray(n_objects, dtype=np.float64))
        if not np.isfinite(n_objects).all() or n_objects.min() <= 0:
            raise ValueError("`n_objects` must be positive numbers.")
        curves = np.exp(self.powers[:, :1] - self.powers[:, 1:] * np.log(n_objects))
        low, high = np.quantile(curves, BAND, axis=0)
        return Table({"objects": n_objects, "mae": np.median(curves, axis=0), "low": low, "high": high})

    def __str__(self):
        return str(self.table)

    def __repr__(self):
        return f"<AnnotationCurve: {self.table.n_rows} sizes, {self.errors.shape[1]} splits>"


@validate_params(
    {
        "regressor": [HasMethods(["fit", "predict"])],
        "X": "no_validation",
        "y": "no_validation",
        "sizes": ["array-like"],
        "cv": [None, Interval(Integral, 2, None, closed="left"), HasMethods(["split"])],
        "groups": ["array-like", None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def annotation_curve(
    regressor, X, y, *, sizes=(0.25, 0.5, 1.0), cv=None, groups=None, n_jobs=None, random_state=0
):
    """Train on growing parts of the images, and tell how the error falls with the number of annotated objects.

    Parameters
    ----------
    regressor : estimator
        Any regressor of counts; it is cloned.
    X : sequence of images, or array of shape (n_images, n_features)
        Annotated images.
    y : points, counts or density maps
        The truth, one entry per image.
    sizes : array-like, default=(0.25, 0.5, 1.0)
        At least two sizes of the training: shares of the training images (float), or numbers of images (int).
    cv : int, splitter or None, default=None
        None draws five times 30 % of the images for the test, whole groups if there are groups.
    groups : array-like of shape (n_images,) or None, default=None
        A label per image. If None, use those that an `ImageSet` carries.
    n_jobs : int or None, default=None
        Number of processes.
    random_state : int, RandomState or None, default=0
        Seed of the splits.

    Returns
    -------
    AnnotationCurve
        Its `table` has the errors; `extrapolate` says what more dots would bring.

    Raises
    ------
    ValueError
        If there are fewer than two sizes.

    Notes
    -----
    The curve is a power of the number of objects, fitted to the logarithms of the errors, and never rises. The band is a
    bootstrap over the splits. All trainings should have about as many steps, as with ``max_epochs="auto"``: with a fixed
    number of epochs, small trainings are short, and the curve is too steep. `sklearn.model_selection.learning_curve` does
    the training.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from skcount.evaluation import annotation_curve
    >>> rng = np.random.default_rng(0)
    >>> features = rng.uniform(0, 1, size=(100, 20))
    >>> counts = rng.poisson(10 + 40 * features[:, 0])
    >>> curve = annotation_curve(Ridge(), features, counts, sizes=[10, 20, 40, 70])
    >>> print(curve.extrapolate([2000, 4000]))
    objects    mae    low   high
       2000  5.686  5.163  6.104
       4000  4.733  4.041  5.374
    """
    groups = groups_of(X, groups)
    sizes = np.asarray(sizes)
    if sizes.ndim != 1 or len(np.unique(sizes)) < 2:
        raise ValueError("`sizes` must be at least two different shares or numbers of images.")
    rng = check_random_state(random_state)
    seed = rng.randint(np.iinfo(np.int32).max)
    if cv is None:
        cv = (ShuffleSplit if groups is None else GroupShuffleSplit)(
            N_SPLITS, test_size=TEST_SIZE, random_state=seed
        )
    elif isinstance(cv, Integral) and groups is not None:
        cv = GroupKFold(cv)
    n_images, _, scores = learning_curve(
        regressor,
        X,
        y,
        groups=groups,
        train_sizes=sizes,
        cv=cv,
        scoring=count_mae_scorer,
        shuffle=True,
        random_state=seed,
        n_jobs=n_jobs,
        error_score="raise",
    )
    if len(n_images) < 2:
        raise ValueError("`sizes` must be at least two different numbers of images.")
    errors = -scores
    objects = n_images * true_counts(y, X).mean()
    table = Table(
        {
            "images": n_images,
            "objects": objects,
            "mae": errors.mean(axis=1),
            "standard_deviation": errors.std(axis=1, ddof=1),
        }
    )
    return AnnotationCurve(table, errors, _resample(objects, errors, rng))


def _resample(objects, errors, rng):
    """Return intercept and power of the curves of resampled splits, (N_DRAWS, 2)."""
    n_splits = errors.shape[1]
    means = errors[:, rng.randint(n_splits, size=(N_DRAWS, n_splits))].mean(axis=2)
    y = np.log(np.maximum(means, 1e-12))
    x = np.log(objects)[:, None]
    dx = x - x.mean()
    power = np.clip(-(dx * (y - y.mean(axis=0))).sum(axis=0) / (dx**2).sum(), 0, STEEPEST)
    return np.stack([y.mean(axis=0) + power * x.mean(), power], axis=1)
