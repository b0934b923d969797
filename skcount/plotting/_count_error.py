"""Predicted counts against true counts."""

import numpy as np
from sklearn.utils._param_validation import HasMethods, StrOptions, validate_params

from skcount._check import check_length
from skcount.images import check_images
from skcount.metrics import count_bias, count_mean_absolute_error, count_root_mean_squared_error
from skcount.plotting._figure_mixin import FigureMixin
from skcount.plotting._style import BLUE, GREY, SMALL, new_axes
from skcount.points import check_target

_LOOK = {
    "kind": [StrOptions({"actual_vs_predicted", "bland_altman"})],
    "ax": [HasMethods(["plot", "scatter"]), None],
}


class CountErrorDisplay(FigureMixin):
    """Show predicted counts against true counts, one dot per image.

    The title gives the mean absolute error (MAE), the root mean squared error (RMSE) and the bias, which is positive if the
    counts are too high. Create a display with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_images,)
        True and predicted counts, in objects.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    scatter_ : matplotlib PathCollection
        One dot per image.
    lines_ : list of matplotlib Line2D
        The line of equality, or the lower limit of agreement, the mean difference and the upper limit.
    agreement_ : (float, float, float) or None
        Lower limit of agreement, mean difference and upper limit, in objects, if `kind` is "bland_altman"; the limits are
        NaN if there is only one image.

    See Also
    --------
    skcount.metrics.count_mean_absolute_error : Compute the MAE.
    sklearn.metrics.PredictionErrorDisplay : Plot residuals against predictions.

    References
    ----------
    J. M. Bland and D. G. Altman, "Statistical methods for assessing agreement between two methods of clinical
    measurement", The Lancet 327 (8476), 307-310, 1986.

    Examples
    --------
    >>> from skcount.plotting import CountErrorDisplay
    >>> points = [[(1, 2), (3, 4)], [(5, 6)], []]
    >>> CountErrorDisplay.from_predictions(points, [2.5, 1.0, 0.1]).ax_.get_title()
    'MAE 0.20  RMSE 0.29  bias +0.20'
    """

    @validate_params({"y_true": [np.ndarray], "y_pred": [np.ndarray]}, prefer_skip_nested_validation=True)
    def __init__(self, y_true, y_pred):
        self.y_true = y_true
        self.y_pred = y_pred

    @classmethod
    @validate_params(
        {
            "estimator": [HasMethods("predict")],
            **dict.fromkeys(["X", "y", "roi"], "no_validation"),
            **_LOOK,
        },
        prefer_skip_nested_validation=False,  # the estimator must validate its own parameters
    )
    def from_estimator(cls, estimator, X, y, *, kind="actual_vs_predicted", roi=None, ax=None):
        """Predict the counts of images and plot them against the true counts.

        Parameters
        ----------
        estimator : estimator
            Fitted estimator that predicts counts: a regressor, a pipeline or a search.
        X : sequence of images
            Images.
        y : points, density maps or counts
            Ground truth.
        kind : {"actual_vs_predicted", "bland_altman"}, default="actual_vs_predicted"
            Type of plot, see `plot`.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest; only objects inside them are counted, even in `y` if it holds points or maps. If None,
            use the regions stored in `X` if it is an `ImageSet`.
        ax : matplotlib Axes or None, default=None
            Axes to plot on. If None, create a new figure.

        Returns
        -------
        CountErrorDisplay
            Display that has been plotted.
        """
        predicted = estimator.predict(X, **({} if roi is None else {"roi": roi}))
        return cls.from_predictions(_true_counts(y, X, roi), predicted, kind=kind, ax=ax)

    @classmethod
    @validate_params(
        {"y_true": "no_validation", "y_pred": "no_validation", **_LOOK}, prefer_skip_nested_validation=True
    )
    def from_predictions(cls, y_true, y_pred, *, kind="actual_vs_predicted", ax=None):
        """Plot counts that have already been predicted.

        Parameters
        ----------
        y_true, y_pred : points, density maps or counts of n_images images
            Counts, array-like of shape (n_images,), or points or density maps, whose objects are counted.
        kind : {"actual_vs_predicted", "bland_altman"}, default="actual_vs_predicted"
            Type of plot, see `plot`.
        ax : matplotlib Axes or None, default=None
            Axes to plot on. If None, create a new figure.

        Returns
        -------
        CountErrorDisplay
            Display that has been plotted.
        """
        y_true, y_pred = (
            check_target(y_true, "y_true").counts,
            check_target(y_pred, "y_pred", predicted=True).counts,
        )
        check_length(len(y_true), len(y_pred), "y_pred", of="y_true")
        return cls(y_true, y_pred).plot(ax=ax, kind=kind)

    @validate_params(_LOOK, prefer_skip_nested_validation=True)
    def plot(self, ax=None, *, kind="actual_vs_predicted"):
        """Plot one dot per image.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to plot on. If None, create a new figure.
        kind : {"actual_vs_predicted", "bland_altman"}, default="actual_vs_predicted"
            - "actual_vs_predicted" plots the true counts against the predicted counts, with the line of equality.
            - "bland_altman" plots predicted minus true counts against the mean of both, with the mean difference and the
              limits of agreement, 1.96 standard deviations below and above it.

        Returns
        -------
        CountErrorDisplay
            The display itself.
        """
        ax = new_axes(ax, figsize=(4, 4) if kind == "actual_vs_predicted" else (4.8, 3.6))
        self.agreement_ = None
        if kind == "actual_vs_predicted":
            self._plot_counts(ax)
        else:
            self._plot_agreement(ax)
        both = self.y_true, self.y_pred
        mae, rmse = count_mean_absolute_error(*both), count_root_mean_squared_error(*both)
        title = f"MAE {_short(mae)}  RMSE {_short(rmse)}  bias {_signed(count_bias(*both))}"
        ax.set_title(title, fontsize=SMALL)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _plot_counts(self, ax):
        from matplotlib.ticker import MaxNLocator

        both = np.concatenate([self.y_true, self.y_pred])
        margin = 0.05 * np.ptp(both) or 1
        limits = both.min() - margin, both.max() + margin
        self.lines_ = ax.plot(limits, limits, linestyle="--", color=GREY, label="predicted = true")
        self._scatter(ax, self.y_pred, self.y_true)
        ax.set(
            xlabel="predicted count, objects per image",
            ylabel="true count, objects per image",
            xlim=limits,
            ylim=limits,
        )
        ax.set_aspect("equal", adjustable="box")
        for axis in (ax.xaxis, ax.yaxis):  # the same whole numbers on both
            axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
        ax.legend(loc="best", fontsize=SMALL, frameon=False)

    def _plot_agreement(self, ax):
        difference = self.y_pred - self.y_true
        self.agreement_ = limits_of_agreement(difference)
        ax.margins(y=0.12)  # keeps the upper line's label clear of the title
        self.lines_ = [
            ax.axhline(y, linestyle=s, color=GREY) for y, s in zip(self.agreement_, ":-:", strict=True)
        ]
        lower, mean, upper = self.agreement_
        self._label_line(ax, mean, "mean")
        if upper > mean:  # otherwise all labels would be in one place; also False if the limits are NaN
            self._label_line(ax, lower, "-1.96 SD")
            self._label_line(ax, upper, "+1.96 SD")
        self._scatter(ax, (self.y_pred + self.y_true) / 2, difference)
        ax.set(xlabel="mean of predicted and true, objects per image", ylabel="predicted - true")

    def _label_line(self, ax, y, name):
        """Write the name and the value of a horizontal line next to the axes, where it hides no dot."""
        ax.annotate(
            f"{name}\n{_signed(y)}",
            xy=(1, y),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
        )

    def _scatter(self, ax, x, y):
        look = {"s": 24, "color": BLUE, "alpha": 0.7, "edgecolor": ax.get_facecolor(), "linewidth": 0.5}
        self.scatter_ = ax.scatter(x, y, zorder=2.5, label="one image", **look)


def limits_of_agreement(difference):
    """Return mean - 1.96 SD, mean and mean + 1.96 SD; the SD of a single image is NaN."""
    mean = float(difference.mean())
    spread = 1.96 * float(difference.std(ddof=1)) if len(difference) > 1 else np.nan
    return mean - spread, mean, mean + spread


def _short(value):
    return f"{value:.{_digits(value)}f}"


def _signed(value):
    digits = _digits(value)
    return f"{round(value, digits) + 0.0:+.{digits}f}"  # adding 0.0 turns -0.00 into +0.00


def _digits(value):
    return 2 if abs(value) < 10 else 1 if abs(value) < 1000 else 0


def _true_counts(y, X, roi):
    """Return the counts of a target, inside the region of interest if there is one."""
    target = check_target(y)
    has_region = roi is not None or getattr(X, "roi", None) is not None
    return (target.inside(check_images(X, roi=roi)) if has_region else target).counts
