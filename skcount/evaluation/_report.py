"""All evidence about a regressor of counts in one object: errors beside blind baselines, and checks that warn."""

import warnings
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import GroupKFold, KFold
from sklearn.utils._param_validation import HasMethods, validate_params
from sklearn.utils.validation import check_is_fitted

from skcount.evaluation._cells import count_cells
from skcount.evaluation._data import (
    ALIKE,
    groups_of,
    predict_counts,
    refuse_repeated,
    take,
    thumbnails,
    true_counts,
)
from skcount.evaluation._localization import localization_report
from skcount.evaluation._report_html import write_html
from skcount.evaluation._table import Table
from skcount.metrics import count_bias, count_mean_absolute_error, count_root_mean_squared_error
from skcount.points import check_target

LEVELS = (0, 1, 2, 3)
# Points match within half a diameter, or within this distance if the diameter is not known, in pixels.
RADIUS = 4.0
# Errors of the training are measured on at most so many images of each fold.
SEEN = 30
# A training error below this share of the test error is suspicious.
OVERFITTED = 0.5
# A bias grows with the count if its slope is larger than this and differs from 0.
SLOPE = 0.1
# With fewer images, neither is checked.
ENOUGH = 10
# So large a share of test images that look like a training image is a leak.
LEAK = 0.1


class CountReportWarning(UserWarning):
    """A check of `counting_report` found something that makes its errors look too good, or the regressor useless.

    Examples
    --------
    >>> import warnings
    >>> from skcount.evaluation import CountReportWarning
    >>> warnings.simplefilter("ignore", CountReportWarning)  # the report still has the texts
    """


@dataclass(frozen=True, repr=False)
class CountingReport:
    """The evidence about a regressor. `counting_report` makes it.

    Parameters
    ----------
    table : Table
        A row per score, with the value of the regressor and of each baseline that looks at no image.
    counts : Table
        A row per tested image: `image`, `fold`, `true`, `predicted`, and one column per baseline.
    by_count : Table
        Errors of thirds of the images by their predicted count.
    agreement : dict
        Bland-Altman: the mean difference of predicted and true count, the limits of agreement, the slope of the difference
        over the mean of both, and its 95 % interval.
    localization : Table or None
        Precision, recall and F1 of the points, as of `localization_report`.
    raters : Table or None
        Mean absolute difference of the counts of each pair of raters, and of each rater and the regressor.
    warnings : list of str
        What the checks found.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from skcount.evaluation import counting_report
    >>> brightness = np.arange(30.0)[:, None]
    >>> report = counting_report(LinearRegression(), brightness, 2 * brightness[:, 0], cv=3)
    >>> report.to_html().startswith("<!DOCTYPE html>")
    True
    """

    table: Table
    counts: Table
    by_count: Table
    agreement: dict
    localization: Table | None
    raters: Table | None
    warnings: list = field(default_factory=list)

    def to_frame(self):
        """Return the table of scores as a frame of pandas.

        Returns
        -------
        pandas.DataFrame
            A row per score.
        """
        return self.table.to_frame().set_index("score")

    def to_html(self, path=None):
        """Return the report as one HTML page with its pictures, which loads nothing from elsewhere.

        Parameters
        ----------
        path : str, path-like or None, default=None
            File to write it to, whole or not at all; it is replaced if it exists.

        Returns
        -------
        str
            The page.
        """
        return write_html(self, path)

    def __str__(self):
        lines = [f"Warning: {text}" for text in self.warnings]
        slope, (low, high) = self.agreement["slope"], self.agreement["slope_interval"]
        lines += [
            str(self.table),
            "",
            "By predicted count",
            str(self.by_count),
            "",
            f"Bland-Altman: mean difference {self.agreement['mean_difference']:+.2f}, limits of agreement "
            f"{self.agreement['limits'][0]:+.2f} to {self.agreement['limits'][1]:+.2f}, slope {slope:+.3f} "
            f"({low:+.3f} to {high:+.3f})",
        ]
        if self.localization is not None:
            lines += ["", "Points", str(self.localization)]
        if self.raters is not None:
            lines += ["", "Raters", str(self.raters)]
        return "\n".join(lines)

    def __repr__(self):
        return f"<CountingReport: {self.counts.n_rows} images, {len(self.warnings)} warnings>"

    def _repr_html_(self):
        return self.to_html()


@validate_params(
    {
        "estimator": [HasMethods(["predict"]), "array-like"],
        "X": "no_validation",
        "y": "no_validation",
        "cv": "no_validation",
        "groups": ["array-like", None],
        "raters": [dict, None],
    },
    prefer_skip_nested_validation=True,
)
def counting_report(estimator, X, y, cv=None, groups=None, raters=None):
    """Measure a regressor of counts, beside baselines that look at no image, and check what makes errors look too good.

    Parameters
    ----------
    estimator : estimator, or array-like of shape (n_images,)
        Any regressor of counts: one of skcount, a Pipeline, a search. Fitted, if `cv` is None. Or predicted counts.
    X : sequence of images, or array of shape (n_images, n_features)
        Images. If `cv` is None, images that the estimator was not trained on.
    y : points, counts or density maps
        The truth, one entry per image.
    cv : None, int, splitter or iterable of (train, test), default=None
        None tests a fitted estimator. Otherwise a clone is fitted for each split and tested on its test images: an int
        keeps groups together.
    groups : array-like of shape (n_images,) or None, default=None
        A label per image. If None, use those that an `ImageSet` carries.
    raters : dict of str to points or counts, or None, default=None
        What other people counted in the same images.

    Returns
    -------
    CountingReport
        Print it, or see its `table`, `to_frame` and `to_html`.

    Raises
    ------
    ValueError
        If lengths differ, or an image is tested twice.

    Warns
    -----
    CountReportWarning
        If a baseline that looks at no image is at least as good; if a group, or nearly the same image, is on both sides of a
        split; if the bias grows with the count; if the training error is far below the test error.

    Notes
    -----
    Scores, in objects per image unless stated: mean absolute error (MAE), root mean squared error (RMSE), bias (predicted
    minus true), the sum of absolute errors over the sum of counts (relative error), the shares of images whose count is
    within 5 and 10 % of the truth, R2, and GAME 0 to 3 [1]_. Baselines: the mean and the median of the training counts; with
    groups of which images are on both sides, the count of the nearest training image before in the same group, and the mean
    of the group. A regressor that is no better than these has not shown that it looks at the images. Bland-Altman analysis
    is that of [2]_.

    References
    ----------
    .. [1] R. Guerrero-Gomez-Olmedo et al. Extremely overlapping vehicle counting. IbPRIA, 2015.
    .. [2] J. M. Bland and D. G. Altman. Statistical methods for assessing agreement between two methods of clinical
       measurement. The Lancet 327 (8476), 1986.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from skcount.evaluation import counting_report
    >>> rng = np.random.default_rng(0)
    >>> brightness = rng.uniform(10, 200, size=(60, 1))
    >>> counts = rng.poisson(0.5 * brightness[:, 0])
    >>> report = counting_report(LinearRegression(), brightness, counts, cv=5)
    >>> report
    <CountingReport: 60 images, 0 warnings>
    >>> print(report.table)
                score  LinearRegression  training mean  training median
                  MAE             6.298          25.36            26.08
                 RMSE             8.395          29.53            30.31
                 bias          -0.08796              0          0.01667
       relative error            0.1171         0.4716            0.485
     share within 5 %            0.2667              0             0.05
    share within 10 %            0.3833           0.05          0.08333
                   R2            0.9174       -0.02159         -0.07599
    """
    true, groups = true_counts(y, X), groups_of(X, groups)
    if not hasattr(estimator, "predict"):
        if cv is not None:
            raise ValueError("`cv` must be None for predicted counts; pass a regressor to fit it on splits.")
        estimator = _Known(estimator)
    folds = _folds(estimator, X, cv, groups)
    refuse_repeated(folds)
    found = [_test_fold(estimator, X, y, true, groups, train, test) for train, test in folds]
    tested = np.concatenate([test for _, test in folds])
    predicted = np.concatenate([fold["predicted"] for fold in found])
    baselines = {
        name: np.concatenate([fold["baselines"][name] for fold in found])
        for name in found[0]["baselines"]
        if all(name in fold["baselines"] for fold in found)
    }
    truth, name = true[tested], _name_of(estimator)
    table = _score_table({name: predicted, **baselines}, truth, [fold["cells"] for fold in found])
    columns = {"image": tested, "fold": np.repeat(np.arange(len(folds)), [len(test) for _, test in folds])}
    counts = Table(columns | {"true": truth, "predicted": predicted} | baselines)
    agreement = _agree(predicted, truth)
    texts = _check(folds, found, X, groups, predicted, truth, baselines, agreement)
    for text in texts:
        warnings.warn(text, CountReportWarning, stacklevel=3)
    raters = None if not raters else _compare_raters(raters, X, tested, truth, predicted, name)
    localization = _localize(found, [each for fold in found for each in fold["places"]])
    return CountingReport(table, counts, _by_count(predicted, truth), agreement, localization, raters, texts)


class _Known(RegressorMixin, BaseEstimator):
    """Predicted counts in place of a regressor."""

    def __init__(self, counts):
        self.counts = counts

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):  # noqa: ARG002 - what check_is_fitted asks for
        """Do nothing."""
        return self

    def predict(self, X):  # noqa: ARG002 - they are known
        """Return the counts."""
        return np.asarray(self.counts, dtype=np.float64)


def _folds(estimator, X, cv, groups):
    """Return the training and test images of each fold; training images are None for a fitted estimator."""
    everything = np.arange(len(X))
    if cv is None:
        check_is_fitted(estimator)
        return [(None, everything)]
    if isinstance(cv, int | np.integer):
        cv = KFold(cv, shuffle=True, random_state=0) if groups is None else GroupKFold(cv)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "The groups parameter is ignored"
        )  # the report says what follows from it
        splits = list(cv.split(X, groups=groups) if hasattr(cv, "split") else cv)
    return [(everything[train], everything[test]) for train, test in splits]


def _test_fold(estimator, X, y, true, groups, train, test):
    """Return what one fold predicts, and what its baselines do."""
    images, truth = take(X, test), take(y, test)
    fitted = estimator if train is None else clone(estimator).fit(take(X, train), take(y, train))
    cells = count_cells(fitted, images, truth)
    predicted = predict_counts(fitted, images) if cells is None else cells[0].sum(axis=(1, 2))
    found = {"predicted": predicted, "cells": cells, "train_error": None, "points": None, "places": ()}
    found["baselines"] = _baselines(fitted, true, groups, train, test)
    if train is not None:
        seen = train[np.unique(np.linspace(0, len(train) - 1, SEEN).astype(int))]
        found["train_error"] = float(np.abs(predict_counts(fitted, take(X, seen)) - true[seen]).mean())
    if hasattr(fitted, "predict_points") and check_target(truth).kind == "points":
        found["points"] = fitted.predict_points(images)
        places = check_target(truth)
        found["places"] = (places if getattr(images, "roi", None) is None else places.inside(images)).values
        found["diameter"] = getattr(fitted, "diameter_", None)
    return found


def _baselines(fitted, true, groups, train, test):
    """Return the counts of baselines that look at no image of a fold."""
    if train is None:
        mean = (getattr(fitted, "trained_on_", None) or {}).get("mean_count")
        return {} if mean is None else {"training mean": np.full(len(test), mean)}
    known = true[train]
    found = {
        "training mean": np.full(len(test), known.mean()),
        "training median": np.full(len(test), np.median(known)),
    }
    if groups is None or not np.isin(groups[test], groups[train]).all():
        return found
    last, mean = np.empty((2, len(test)))
    for position, image in enumerate(test):
        mine = train[groups[train] == groups[image]]
        before = mine[mine < image]
        last[position] = true[before.max() if len(before) else mine.min()]
        mean[position] = true[mine].mean()
    return found | {"last image of the group": last, "mean of the group": mean}


def _score_table(counts, truth, cells):
    """Return the scores of each column of counts; GAME is that of the first."""
    rows = {}
    for name, predicted in counts.items():
        errors = np.abs(predicted - truth)
        spread = np.sum((truth - truth.mean()) ** 2)
        scores = {
            "MAE": count_mean_absolute_error(truth, predicted),
            "RMSE": count_root_mean_squared_error(truth, predicted),
            "bias": count_bias(truth, predicted),
            "relative error": errors.sum() / truth.sum() if truth.sum() else np.nan,
            "share within 5 %": np.mean(errors <= np.maximum(0.05 * truth, 0.5 * (truth == 0))),
            "share within 10 %": np.mean(errors <= np.maximum(0.1 * truth, 0.5 * (truth == 0))),
            "R2": 1 - np.sum(errors**2) / spread if spread else np.nan,
        }
        if not rows and all(each is not None for each in cells):
            ours, theirs = (np.concatenate(parts) for parts in zip(*cells, strict=True))
            for level in LEVELS:
                scores[f"GAME {level}"] = _game(ours, theirs, level)
        for score, value in scores.items():
            rows.setdefault(score, {})[name] = float(value)
    columns = {name: [row.get(name, np.nan) for row in rows.values()] for name in counts}
    return Table({"score": list(rows), **columns})


def _game(predicted, true, level):
    """Return GAME from counts in cells."""
    n = 2**level
    side = predicted.shape[1] // n
    errors = (predicted - true).reshape(-1, n, side, n, side).sum(axis=(2, 4))
    return np.abs(errors).sum(axis=(1, 2)).mean()


def _by_count(predicted, truth):
    """Return the errors of thirds of the images by predicted count."""
    parts = [part for part in np.array_split(np.argsort(predicted, kind="stable"), 3) if len(part)]
    errors = [predicted[part] - truth[part] for part in parts]
    return Table(
        {
            "predicted from": [predicted[part].min() for part in parts],
            "to": [predicted[part].max() for part in parts],
            "images": [len(part) for part in parts],
            "MAE": [np.abs(each).mean() for each in errors],
            "bias": [each.mean() for each in errors],
        }
    )


def _agree(predicted, truth):
    """Return the Bland-Altman analysis."""
    difference, middle = predicted - truth, (predicted + truth) / 2
    mean, n = float(difference.mean()), len(difference)
    half = 1.96 * float(difference.std(ddof=1)) if n > 1 else np.nan
    slope, interval = np.nan, (np.nan, np.nan)
    if n > 2 and np.ptp(middle) > 0:
        fit = stats.linregress(middle, difference)
        reach = stats.t.ppf(0.975, n - 2) * fit.stderr
        slope, interval = float(fit.slope), (float(fit.slope - reach), float(fit.slope + reach))
    return {
        "mean_difference": mean,
        "limits": (mean - half, mean + half),
        "slope": slope,
        "slope_interval": interval,
    }


def _check(folds, found, X, groups, predicted, truth, baselines, agreement):
    """Return what the checks find, as sentences."""
    texts, error = [], np.abs(predicted - truth).mean()
    for name, counts in baselines.items():
        blind = np.abs(counts - truth).mean()
        if blind <= error:
            texts.append(
                f'A baseline that looks at no image is better: "{name}" has an MAE of {blind:.2f}, the regressor of '
                f"{error:.2f}."
            )
    splits = [(train, test) for train, test in folds if train is not None]
    if groups is not None:
        both = set().union(
            *(set(np.intersect1d(groups[train], groups[test]).tolist()) for train, test in splits)
        )
        if both:
            texts.append(f"{_number(both, 'group')} on both sides of a split, so errors look too small.")
    if splits:
        alike, n_tested = _near_identical(X, splits)
        if alike > LEAK * n_tested:
            texts.append(
                f"{alike} of {n_tested} test images are nearly the same as a training image, so errors look too small. "
                "Split by groups, or by blocks with a gap (SequenceKFold)."
            )
    low, high = agreement["slope_interval"]
    if len(truth) >= ENOUGH and abs(agreement["slope"]) > SLOPE and not low <= 0 <= high:
        direction = "too high" if agreement["slope"] > 0 else "too low"
        texts.append(
            f"The bias grows with the count: large counts are {direction} (slope {agreement['slope']:+.2f})."
        )
    seen = [fold["train_error"] for fold in found if fold["train_error"] is not None]
    if seen and len(truth) >= ENOUGH and np.mean(seen) < OVERFITTED * error:
        texts.append(
            f"The training error is far below the test error (MAE {np.mean(seen):.2f} against {error:.2f}): annotate more "
            "images."
        )
    return texts


def _number(values, noun):
    """Return a number of things with their names and the verb."""
    names = ", ".join(map(str, sorted(values, key=str)[:5])) + (", ..." if len(values) > 5 else "")
    return f"{len(values)} {noun}{'s' * (len(values) > 1)} ({names}) {'are' if len(values) > 1 else 'is'}"


def _near_identical(X, splits):
    """Return how many test images are nearly the same as a training image of their split, and of how many."""
    small = thumbnails(X)
    n_tested = sum(len(test) for _, test in splits)
    if small is None:
        return 0, n_tested
    return sum(
        int(((small[test] @ small[train].T).max(axis=1) > ALIKE).sum()) for train, test in splits
    ), n_tested


def _compare_raters(raters, X, tested, truth, predicted, name):
    """Return the mean absolute difference of each pair of people, and of each and the regressor."""
    used = {"y", name} & set(raters)
    if used:
        raise ValueError(f"`raters` must have names other than 'y' and {name!r}.")
    everyone = {"y": truth} | {rater: true_counts(counts, X)[tested] for rater, counts in raters.items()}
    pairs = [*combinations(everyone, 2), *((rater, name) for rater in everyone)]
    everyone[name] = predicted
    return Table(
        {
            "rater": [one for one, _ in pairs],
            "other": [other for _, other in pairs],
            "mean absolute difference": [
                np.abs(everyone[one] - everyone[other]).mean() for one, other in pairs
            ],
            "mean difference": [(everyone[other] - everyone[one]).mean() for one, other in pairs],
        }
    )


def _localize(found, truth):
    """Return precision, recall and F1 of the predicted points, or None if there are none."""
    if any(fold["points"] is None for fold in found):
        return None
    points = [each for fold in found for each in fold["points"]]
    diameters = [fold["diameter"] for fold in found if fold["diameter"] is not None]
    return localization_report(truth, points, np.median(diameters) / 2 if diameters else RADIUS)


def _name_of(estimator):
    """Return the name of an estimator in the table."""
    if isinstance(estimator, _Known):
        return "predicted"
    steps = getattr(estimator, "steps", None)
    return _name_of(steps[-1][1]) if steps else type(estimator).__name__
