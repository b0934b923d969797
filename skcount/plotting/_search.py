"""Scores of a search against the parameters that were searched."""

from numbers import Real
from textwrap import shorten

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import HasMethods, StrOptions, validate_params
from sklearn.utils.validation import check_is_fitted

from skcount.metrics import CountScorer, GAMEScorer
from skcount.plotting._figure_mixin import FigureMixin
from skcount.plotting._style import SMALL, new_axes, series_style

_AX = [HasMethods(["errorbar", "plot"]), None]
_WHAT = {
    "x": [str, None],
    "hue": [str, None],
    "metric": [str, None],
    "score_name": [str, None],
    "negate_score": ["boolean", StrOptions({"auto"})],
    "ax": _AX,
}
_SHORT = {
    "mean absolute error": "MAE",
    "root mean squared error": "RMSE",
    "normalized absolute error": "NAE",
}
_NOT_SET = "not set"
_LOG_FROM = (
    4  # a largest value so many times the smallest: sigma=1, 2, 4 is equally spaced on a logarithmic axis
)
_MOST_TICKS = 8  # of more values than these not each gets its tick
_MOST_LETTERS = 24  # of names that stand side by side
_MOST_LINES = 4  # that are named inside the axes


class SearchDisplay(FigureMixin):
    """Show the scores of a search against one parameter, with a line for each value of another.

    The constructor stores arrays; `plot` draws. Make one with `from_estimator` or `from_results`. The bars are one standard
    deviation over the folds to each side, and a ring is around the best of the scores that are drawn.

    Parameters
    ----------
    x_values : ndarray of shape (n_x,), float, or list of str
        Values of the parameter along the axis: numbers, or names.
    hue_values : list of str
        Values of the parameter that has a line each; one entry where there is no such parameter.
    mean, std : ndarray of shape (n_hue, n_x)
        Mean and standard deviation over the folds; NaN where a pair of values was not tried.
    x : str, default="parameter"
        Name of the parameter along the axis.
    hue : str or None, default=None
        Name of the other one; None where there is none.
    score_name : str, default="score"
        What was measured.
    smaller_is_better : bool, default=False
        Whether it is an error.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes that were drawn on.
    figure_ : matplotlib Figure
        Their figure.
    errorbars_ : list of matplotlib ErrorbarContainer
        The lines with their bars.
    best_ : matplotlib Line2D
        The ring around the best.

    Examples
    --------
    >>> from skcount.plotting import SearchDisplay
    >>> results = {
    ...     "params": [{"architecture": a, "sigma": s} for a in ("fcrn_a", "unet") for s in (1, 2, 4)],
    ...     "mean_test_score": [-3.1, -2.2, -2.8, -2.9, -1.8, -1.9],
    ...     "std_test_score": [0.4, 0.3, 0.4, 0.5, 0.2, 0.3],
    ... }
    >>> display = SearchDisplay.from_results(results, score_name="MAE of the counts")
    >>> display.x, display.hue, display.hue_values
    ('sigma', 'architecture', ['fcrn_a', 'unet'])
    >>> display.mean[1]
    array([2.9, 1.8, 1.9])
    """

    @validate_params(
        {
            "x_values": [np.ndarray, list],
            "hue_values": [list],
            "mean": [np.ndarray],
            "std": [np.ndarray],
            "x": [str],
            "hue": [str, None],
            "score_name": [str],
            "smaller_is_better": ["boolean"],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(
        self,
        x_values,
        hue_values,
        mean,
        std,
        *,
        x="parameter",
        hue=None,
        score_name="score",
        smaller_is_better=False,
    ):
        self.x_values = x_values
        self.hue_values = hue_values
        self.mean = mean
        self.std = std
        self.x = x
        self.hue = hue
        self.score_name = score_name
        self.smaller_is_better = smaller_is_better

    @classmethod
    @validate_params({"estimator": [HasMethods("fit")], **_WHAT}, prefer_skip_nested_validation=True)
    def from_estimator(
        cls, estimator, *, x=None, hue=None, metric=None, score_name=None, negate_score="auto", ax=None
    ):
        """Draw the scores of a fitted search.

        Parameters
        ----------
        estimator : GridSearchCV, or another search with `cv_results_`
            A fitted one.
        x, hue : str or None, default=None
            Names of the parameter along the axis and of the one that has a line for each of its values. None chooses from
            those with more than one value: for `x` one of numbers, if there is one, with the most values; for `hue` the
            first of the others. Of what else was searched, the best shows.
        metric : str or None, default=None
            Which of several scorers; None takes the only one, or the one that `refit` names.
        score_name : str or None, default=None
            What to call the score; None names it after the scorer.
        negate_score : bool or "auto", default="auto"
            Whether to show minus the score. "auto" does so where the scorer is minus an error, so that the error shows, and
            where a scorer of which nothing is known gives no score above 0.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes new axes.

        Returns
        -------
        SearchDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the search is not fitted.
        ValueError
            If a parameter or scorer is not among those searched, or no score is a number.
        """
        check_is_fitted(
            estimator, "cv_results_", msg="This %(name)s has no cv_results_; expected a fitted search."
        )
        metric = _choose_metric(estimator.cv_results_, metric, getattr(estimator, "refit", None))
        known_name, is_error = _describe(estimator, metric)
        if is_error is not None and negate_score == "auto":
            negate_score = is_error
        if known_name is not None and score_name is None and negate_score == is_error:
            score_name = known_name
        return cls.from_results(
            estimator.cv_results_,
            x=x,
            hue=hue,
            metric=metric,
            score_name=score_name,
            negate_score=negate_score,
            ax=ax,
        )

    @classmethod
    @validate_params({"cv_results": "no_validation", **_WHAT}, prefer_skip_nested_validation=True)
    def from_results(
        cls, cv_results, *, x=None, hue=None, metric=None, score_name=None, negate_score="auto", ax=None
    ):
        """Draw the results of a search.

        Parameters
        ----------
        cv_results : dict of array-like
            `cv_results_` of a search: params, mean_test_score, std_test_score.
        x, hue : str or None, default=None
            Names of the parameter along the axis and of the one that has a line for each of its values. None chooses from
            those with more than one value: for `x` one of numbers, if there is one, with the most values; for `hue` the
            first of the others. Of what else was searched, the best shows.
        metric : str or None, default=None
            Which of several scorers; None takes the only one.
        score_name : str or None, default=None
            What to call the score; None takes its name in the results.
        negate_score : bool or "auto", default="auto"
            Whether to show minus the score. "auto" does so where the name begins with ``neg_`` or no score is above 0.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes new axes.

        Returns
        -------
        SearchDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the results lack what is drawn, a parameter or scorer is not among those searched, or no score is a
            number.
        """
        metric = _choose_metric(cv_results, metric)
        mean, std = _scores(cv_results, metric)
        if negate_score == "auto":
            negate_score = metric.startswith("neg_") or bool(np.nanmax(mean) <= 0)
        if score_name is None:
            score_name = (
                _words(metric) if metric.startswith("neg_") == negate_score else f"minus {_words(metric)}"
            )
        params = [dict(candidate) for candidate in cv_results["params"]]
        x, hue = _choose_parameters(params, x, hue)
        x_levels, hue_levels = _levels(params, x), _levels(params, hue)
        resources = cv_results.get("n_resources", np.zeros(len(mean)))
        table = _best_rows(params, x, hue, mean, resources, x_levels, hue_levels)
        display = cls(
            _x_values(x_levels),
            list(map(_label, hue_levels.values())),
            _pick(-mean if negate_score else mean, table),
            _pick(std, table),
            x=x,
            hue=hue,
            score_name=score_name,
            smaller_is_better=bool(negate_score),
        )
        return display.plot(ax=ax)

    @validate_params({"ax": _AX}, prefer_skip_nested_validation=True)
    def plot(self, ax=None):
        """Draw a line for each value of the second parameter.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes new axes.

        Returns
        -------
        SearchDisplay
            The display itself.
        """
        ax = new_axes(ax, figsize=(4.8, 3.6))
        positions = self._draw_x(ax)
        self.errorbars_ = [self._draw_line(ax, positions, index) for index in range(len(self.hue_values))]
        self.best_ = self._ring(ax, positions)
        ax.margins(x=0.1)
        ax.set(xlabel=self.x, ylabel=self.score_name)
        best = float(self.best_.get_ydata()[0])
        ax.set_title(f"mean ± SD of the folds, ring: best {best:.3g}", fontsize=SMALL)
        if self.hue is not None:
            self._name_lines(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _name_lines(self, ax):
        look = {"fontsize": SMALL, "title_fontsize": SMALL, "handlelength": 2.5, "framealpha": 0.6}
        if len(self.hue_values) > _MOST_LINES:
            look |= {"loc": "upper left", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}
        ax.legend(title=self.hue, **look)

    def _draw_x(self, ax):
        """Prepare the axis, and return where the values of the parameter are on it."""
        if isinstance(self.x_values, list):
            long = sum(map(len, self.x_values)) > _MOST_LETTERS
            slanted = (
                {"rotation": 30, "ha": "right", "rotation_mode": "anchor", "fontsize": SMALL} if long else {}
            )
            ax.set_xticks(range(len(self.x_values)), self.x_values, **slanted)
            return np.arange(len(self.x_values))
        first, last = self.x_values[[0, -1]]
        if last >= _LOG_FROM * first > 0:
            ax.set_xscale("log")
        if len(self.x_values) <= _MOST_TICKS:
            ax.set_xticks(self.x_values, [f"{value:g}" for value in self.x_values])
            ax.minorticks_off()
        return self.x_values

    def _draw_line(self, ax, positions, index):
        tried = np.isfinite(self.mean[index])
        x, mean, std = positions[tried], self.mean[index, tried], np.nan_to_num(self.std[index, tried])
        # What is drawn aside of its data does not count for the limits by itself.
        ax.update_datalim(
            np.concatenate([np.column_stack([x, mean - std]), np.column_stack([x, mean + std])])
        )
        return ax.errorbar(
            x,
            mean,
            std,
            transform=self._aside(ax, index),
            label=self.hue_values[index] if self.hue is not None else None,
            **series_style(index),
            markersize=5,
            capsize=3,
        )

    def _aside(self, ax, index):
        """Move each line by some points, so that bars at one value do not hide each other."""
        from matplotlib.transforms import ScaledTranslation

        n = len(self.hue_values)
        points = (index - (n - 1) / 2) * min(5, 20 / n)
        return ax.transData + ScaledTranslation(points / 72, 0, ax.figure.dpi_scale_trans)

    def _ring(self, ax, positions):
        best = np.nanargmin if self.smaller_is_better else np.nanargmax
        row, column = np.unravel_index(best(self.mean), self.mean.shape)
        return ax.plot(
            positions[column],
            self.mean[row, column],
            "o",
            transform=self._aside(ax, row),
            color=ax.xaxis.label.get_color(),
            markerfacecolor="none",
            markersize=12,
        )[0]


def _choose_metric(results, metric, refit=None):
    """Return the name of the scorer, as in the keys of the results."""
    if not isinstance(results, dict) or "params" not in results:
        raise ValueError(
            f"cv_results is a {type(results).__name__} without params; expected cv_results_ of a fitted search."
        )
    start = "mean_test_"
    there = [key.removeprefix(start) for key in results if key.startswith(start)]
    if metric is None:
        metric = refit if refit in there else there[0] if len(there) == 1 else None
    if metric not in there:
        raise ValueError(
            f"metric is {metric!r}; expected one of those that the search has scores of: {there}."
        )
    return metric


def _choose_parameters(params, x, hue):
    """Return the names of the two parameters, the second None where there is none to show."""
    names = list(dict.fromkeys(name for candidate in params for name in candidate))
    for which, name in (("x", x), ("hue", hue)):
        if name is not None and name not in names:
            raise ValueError(
                f"{which} is {name!r}; expected one of the parameters that were searched: {names}."
            )
    if x is not None and x == hue:
        raise ValueError(f"x and hue are both {x!r}; expected two parameters.")
    varied = [name for name in names if len(_levels(params, name)) > 1 and name not in {x, hue}]
    if x is None:
        free = varied or [name for name in names if name != hue]
        if not free:
            raise ValueError(f"The search has the parameters {names}; expected one to draw against.")
        x = max(free, key=lambda name: _number_of_numbers(params, name))
    if hue is None:
        hue = next((name for name in varied if name != x), None)
    return x, hue


def _levels(params, name):
    """Return the values of a parameter by their keys: numbers in order, then others as they came."""
    found = {_key(candidate, name): candidate.get(name, _NOT_SET) for candidate in params}
    numbers = sorted(key for key in found if isinstance(key, float))
    return {key: found[key] for key in [*numbers, *(key for key in found if not isinstance(key, float))]}


def _key(candidate, name):
    """What tells a value from others: estimators and lists cannot be hashed, or are new in each candidate."""
    value = candidate.get(name, _NOT_SET)
    return float(value) if _is_number(value) else value if isinstance(value, str) else repr(value)


def _label(value):
    if _is_number(value):
        return f"{float(value):g}"
    if isinstance(value, dict):
        words = ", ".join(f"{name}={_label(part)}" for name, part in value.items())
    else:
        words = value if isinstance(value, str) else getattr(value, "__name__", None) or repr(value)
    return shorten(words, 30, placeholder="...")


def _number_of_numbers(params, name):
    values = list(_levels(params, name).values())
    return len(values) if all(map(_is_number, values)) else 0


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def _scores(results, metric):
    """Return the means and deviations over the folds."""
    mean, std = (np.asarray(results[f"{what}_test_{metric}"], dtype=np.float64) for what in ("mean", "std"))
    if not np.isfinite(mean).any():
        raise ValueError(
            "No score of the search is a number. Stock scorers do not take plain lists of points: hold the target as "
            "PointAnnotations, or pass error_score='raise' to the search to see what failed."
        )
    return mean, std


def _x_values(levels):
    values = list(levels.values())
    return np.array(values, dtype=np.float64) if all(map(_is_number, values)) else list(map(_label, values))


def _best_rows(params, x, hue, mean, resources, x_levels, hue_levels):
    """Return the candidate that stands for each pair of values: of those with the most resources the best; -1 for none."""
    table = np.full((len(hue_levels), len(x_levels)), -1)
    rows, columns = list(hue_levels), list(x_levels)
    for candidate in np.flatnonzero(np.isfinite(mean)):
        at = rows.index(_key(params[candidate], hue)), columns.index(_key(params[candidate], x))
        other = table[at]
        if other < 0 or (resources[candidate], mean[candidate]) > (resources[other], mean[other]):
            table[at] = candidate
    return table


def _pick(values, table):
    return np.where(table < 0, np.nan, values[table])


def _describe(search, metric):
    """Return the name of what a search measures, as an error if it is one, and whether it is; None where not known."""
    scorer = getattr(search, "scorer_", None)
    scorer = scorer.get(metric) if isinstance(scorer, dict) else scorer
    if isinstance(scorer, GAMEScorer):
        return f"GAME({scorer.level})", True
    if isinstance(scorer, CountScorer):
        return _words(scorer.metric.__name__), True
    if hasattr(scorer, "_score_func"):
        return _words(scorer._score_func.__name__), scorer._sign < 0
    if getattr(search, "scoring", None) is None and _scores_by_mae(search):
        return "MAE of the counts", True
    return None, None


def _scores_by_mae(search):
    """Whether the estimator's own score is the one of skcount's regressors, which no picture may load for this."""
    estimator = getattr(search, "estimator", None)
    estimator = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    score = getattr(type(estimator), "score", None)
    return getattr(score, "__module__", "").startswith("skcount.regressors.")


def _words(name):
    words = name.removeprefix("neg_").removeprefix("count_").replace("_", " ")
    return _SHORT.get(words, words)
