"""Scores of a search against the parameters that were searched."""

from numbers import Real
from textwrap import shorten

import numpy as np
from sklearn.utils._param_validation import HasMethods, validate_params
from sklearn.utils.validation import check_is_fitted

from skcount.plotting._figure_mixin import FigureMixin
from skcount.plotting._style import SMALL, new_axes, series_style

_AX = [HasMethods(["errorbar", "plot"]), None]
_NOT_SET = "not set"
_LOG_FROM = 4  # largest / smallest value: sigma=1, 2, 4 is equally spaced on a logarithmic axis
_MOST_TICKS = 8  # with more values, matplotlib chooses the ticks
_MOST_LETTERS = 24  # of tick labels that fit next to each other
_MOST_LINES = 4  # in a legend inside the axes


class SearchDisplay(FigureMixin):
    """Show the scores of a search against one parameter, with one line for each value of another.

    The bars are one standard deviation over the folds to each side, and a ring marks the best score. Create a display with
    `from_estimator`.

    Parameters
    ----------
    x_values : ndarray of shape (n_x,), float, or list of str
        Values of the parameter on the x axis: numbers, or names.
    hue_values : list of str
        Values of the parameter that has one line per value; a single entry if there is no such parameter.
    mean, std : ndarray of shape (n_hue, n_x)
        Mean and standard deviation of the score over the folds; NaN for pairs of values that were not tried.
    x : str
        Name of the parameter on the x axis.
    hue : str or None, default=None
        Name of the parameter that has one line per value.
    score_name : str, default="score"
        Name of the score.
    smaller_is_better : bool, default=False
        Whether the score is an error.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    errorbars_ : list of matplotlib ErrorbarContainer
        One line with bars per value of `hue`.
    best_ : matplotlib Line2D
        Ring around the best score.

    See Also
    --------
    sklearn.model_selection.ValidationCurveDisplay : Fit for each value of one parameter and plot the scores.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from skcount.plotting import SearchDisplay
    >>> X = np.random.default_rng(0).uniform(size=(60, 2))
    >>> grid = {"max_depth": [1, 2, 4], "criterion": ["squared_error", "absolute_error"]}
    >>> search = GridSearchCV(DecisionTreeRegressor(), grid, scoring="neg_mean_absolute_error").fit(X, X[:, 0])
    >>> display = SearchDisplay.from_estimator(
    ...     search, x="max_depth", hue="criterion", negate_score=True, score_name="MAE"
    ... )
    >>> display.mean.shape
    (2, 3)
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
        self, x_values, hue_values, mean, std, *, x, hue=None, score_name="score", smaller_is_better=False
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
    @validate_params(
        {
            "estimator": [HasMethods("fit")],
            "x": [str],
            **{name: [str, None] for name in ("hue", "metric", "score_name")},
            "negate_score": ["boolean"],
            "ax": _AX,
        },
        prefer_skip_nested_validation=True,
    )
    def from_estimator(
        cls, estimator, *, x, hue=None, metric=None, negate_score=False, score_name=None, ax=None
    ):
        """Plot the scores of a fitted search.

        If several candidates differ only in parameters that are not shown, the best one is plotted; after successive
        halving, the best of those with the most resources.

        Parameters
        ----------
        estimator : GridSearchCV, or another search with `cv_results_`
            Fitted search.
        x : str
            Name of the parameter on the x axis.
        hue : str or None, default=None
            Name of the parameter that has one line per value.
        metric : str or None, default=None
            Name of the scorer, if there are several. If None, use the one that `refit` names.
        negate_score : bool, default=False
            Whether to plot the negative score, so that the score of a regressor or a scorer ``neg_*`` is shown as an
            error.
        score_name : str or None, default=None
            Label of the y axis. If None, use `metric`.
        ax : matplotlib Axes or None, default=None
            Axes to plot on. If None, create a new figure.

        Returns
        -------
        SearchDisplay
            Display that has been plotted.
        """
        message = "`estimator` must be a fitted search with `cv_results_`; got a %(name)s without it."
        check_is_fitted(estimator, "cv_results_", msg=message)
        results = estimator.cv_results_
        metric = _choose_metric(results, metric, getattr(estimator, "refit", None))
        mean, std = (
            np.asarray(results[f"{what}_test_{metric}"], dtype=np.float64) for what in ("mean", "std")
        )
        if not np.isfinite(mean).any():
            raise ValueError(
                "All scores of `estimator` are NaN. Scorers of scikit-learn take points as PointAnnotations, not as lists; "
                "a search with error_score='raise' shows why its fits fail."
            )
        if x == hue:
            raise ValueError(f"`x` and `hue` must be different parameters; got {x!r} for both.")
        x_levels, hue_levels = _levels(results["params"], x, "x"), _levels(results["params"], hue, "hue")
        table = _best_candidates(results, mean, {hue: list(hue_levels), x: list(x_levels)})
        display = cls(
            _x_values(list(x_levels.values())),
            [_label(value) for value in hue_levels.values()],
            np.where(table < 0, np.nan, (-mean if negate_score else mean)[table]),
            np.where(table < 0, np.nan, std[table]),
            x=x,
            hue=hue,
            score_name=score_name or (f"minus {metric}" if negate_score else metric),
            smaller_is_better=bool(negate_score),
        )
        return display.plot(ax=ax)

    @validate_params({"ax": _AX}, prefer_skip_nested_validation=True)
    def plot(self, ax=None):
        """Plot one line for each value of `hue`.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to plot on. If None, create a new figure.

        Returns
        -------
        SearchDisplay
            The display itself.
        """
        ax = new_axes(ax, figsize=(4.8, 3.6))
        positions = self._prepare_x_axis(ax)
        self.errorbars_ = [self._plot_line(ax, positions, index) for index in range(len(self.hue_values))]
        self.best_ = self._plot_ring(ax, positions)
        ax.margins(x=0.1)
        ax.set(xlabel=self.x, ylabel=self.score_name)
        best = float(self.best_.get_ydata()[0])
        ax.set_title(f"mean ± SD of the folds, ring: best {best:.3g}", fontsize=SMALL)
        if self.hue is not None:
            look = {"fontsize": SMALL, "title_fontsize": SMALL, "handlelength": 2.5, "framealpha": 0.6}
            if len(self.hue_values) > _MOST_LINES:
                look |= {"loc": "upper left", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}
            ax.legend(title=self.hue, **look)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _prepare_x_axis(self, ax):
        """Set scale and ticks of the x axis, and return the positions of the parameter's values on it."""
        if isinstance(self.x_values, list):
            slanted = {"rotation": 30, "ha": "right", "rotation_mode": "anchor", "fontsize": SMALL}
            fit = sum(map(len, self.x_values)) <= _MOST_LETTERS
            ax.set_xticks(range(len(self.x_values)), self.x_values, **({} if fit else slanted))
            return np.arange(len(self.x_values))
        first, last = self.x_values[[0, -1]]
        if last >= _LOG_FROM * first > 0:
            ax.set_xscale("log")
        if len(self.x_values) <= _MOST_TICKS:
            ax.set_xticks(self.x_values, [f"{value:g}" for value in self.x_values])
            ax.minorticks_off()
        return self.x_values

    def _plot_line(self, ax, positions, index):
        tried = np.isfinite(self.mean[index])
        x, mean, std = positions[tried], self.mean[index, tried], np.nan_to_num(self.std[index, tried])
        # Without these two lines, artists with a transform of their own are left out of the limits of the axes.
        ends = np.concatenate([mean - std, mean + std])
        ax.update_datalim(np.column_stack([np.tile(x, 2), ends]))
        look = {"markersize": 5, "capsize": 3, **series_style(index)}
        label = None if self.hue is None else self.hue_values[index]
        return ax.errorbar(x, mean, std, transform=self._shifted(ax, index), label=label, **look)

    def _plot_ring(self, ax, positions):
        best = np.nanargmin if self.smaller_is_better else np.nanargmax
        row, column = np.unravel_index(best(self.mean), self.mean.shape)
        look = {"color": ax.xaxis.label.get_color(), "markerfacecolor": "none", "markersize": 12}
        place = positions[column], self.mean[row, column]
        return ax.plot(*place, "o", transform=self._shifted(ax, row), **look)[0]

    def _shifted(self, ax, index):
        """Return a transform that moves a line sideways by some points, so that bars at one value do not overlap."""
        from matplotlib.transforms import ScaledTranslation

        n = len(self.hue_values)
        points = (index - (n - 1) / 2) * min(5, 20 / n)
        return ax.transData + ScaledTranslation(points / 72, 0, ax.figure.dpi_scale_trans)


def _choose_metric(results, metric, refit):
    """Return the name of the scorer, as in the keys of `cv_results_`."""
    prefix = "mean_test_"
    known = [key.removeprefix(prefix) for key in results if key.startswith(prefix)]
    if metric is None:
        metric = refit if refit in known else known[0] if len(known) == 1 else None
    if metric not in known:
        raise ValueError(f"`metric` must be one of the scorers of the search, {known}; got {metric!r}.")
    return metric


def _levels(params, name, argument):
    """Return the values of a parameter by their keys: numbers in ascending order, then the others as found."""
    names = list(dict.fromkeys(searched for candidate in params for searched in candidate))
    if name is not None and name not in names:
        raise ValueError(f"`{argument}` must be one of the parameters of the search, {names}; got {name!r}.")
    found = {_key(candidate, name): candidate.get(name, _NOT_SET) for candidate in params}
    numbers = sorted(key for key in found if isinstance(key, float))
    return {key: found[key] for key in [*numbers, *(key for key in found if not isinstance(key, float))]}


def _key(candidate, name):
    """Return a key of a value, because lists cannot be hashed and each candidate has its own copy of an estimator."""
    value = candidate.get(name, _NOT_SET)
    return float(value) if _is_number(value) else value if isinstance(value, str) else repr(value)


def _best_candidates(results, mean, levels):
    """Return the best candidate with the most resources for each pair of values, or -1 if none was tried."""
    resources = results.get("n_resources", np.zeros(len(mean)))
    table = np.full([len(keys) for keys in levels.values()], -1)
    for candidate in np.flatnonzero(np.isfinite(mean)):
        params = results["params"][candidate]
        place = tuple(keys.index(_key(params, name)) for name, keys in levels.items())
        other = table[place]
        if other < 0 or (resources[candidate], mean[candidate]) > (resources[other], mean[other]):
            table[place] = candidate
    return table


def _x_values(values):
    return np.array(values, dtype=np.float64) if all(map(_is_number, values)) else [_label(v) for v in values]


def _label(value):
    if _is_number(value):
        return f"{float(value):g}"
    if isinstance(value, dict):
        text = ", ".join(f"{name}={_label(part)}" for name, part in value.items())
    else:
        text = value if isinstance(value, str) else getattr(value, "__name__", None) or repr(value)
    return shorten(text, 30, placeholder="...")


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)
