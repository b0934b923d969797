"""Predicted counts against true ones."""

import numpy as np
from sklearn.utils._param_validation import HasMethods, StrOptions, validate_params

from skcount._check import check_length
from skcount.metrics import count_bias, count_mean_absolute_error, count_root_mean_squared_error
from skcount.metrics._scorers import true_counts
from skcount.plotting._figure_mixin import FigureMixin
from skcount.plotting._style import BLUE, GREY, SMALL, new_axes

_LOOK = {
    "kind": [StrOptions({"actual_vs_predicted", "error_by_count", "bland_altman"})],
    "ax": [HasMethods(["plot", "scatter"]), None],
}


class CountErrorDisplay(FigureMixin):
    """Show how far predicted counts are from true ones, one point an image.

    The constructor stores arrays; `plot` draws. Make one with `from_estimator` or `from_predictions`. Above the axes stand
    the mean absolute error (MAE), the root of the mean squared error (RMSE) and the bias, positive where too many are
    counted.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_images,)
        True and predicted counts, in objects.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes that were drawn on.
    figure_ : matplotlib Figure
        Their figure.
    scatter_ : matplotlib PathCollection
        The images.
    lines_ : list of matplotlib Line2D
        The identity, the line of no error, or the limits of agreement from below.
    agreement_ : (float, float, float) or None
        Of kind "bland_altman" the lower limit, the mean difference and the upper limit, in objects; the limits are NaN of
        a single image.

    See Also
    --------
    skcount.metrics.count_mean_absolute_error : The MAE.

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
        prefer_skip_nested_validation=False,  # the estimator is to validate its own parameters
    )
    def from_estimator(cls, estimator, X, y, *, kind="actual_vs_predicted", roi=None, ax=None):
        """Count the objects of images and draw the counts against the true ones.

        Parameters
        ----------
        estimator : estimator
            A fitted one that predicts counts: a regressor, a Pipeline, a search.
        X : sequence of images
            Images.
        y : points, density maps or counts
            The truth.
        kind : {"actual_vs_predicted", "error_by_count", "bland_altman"}, default="actual_vs_predicted"
            What to draw, as for `plot`.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest: only what is inside is counted, of points and maps too. None takes those that `X` carries.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes new axes.

        Returns
        -------
        CountErrorDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the truth is neither points nor maps nor counts, or not one an image.
        """
        predicted = estimator.predict(X, **({} if roi is None else {"roi": roi}))
        return cls.from_predictions(true_counts(y, X, roi), predicted, kind=kind, ax=ax)

    @classmethod
    @validate_params(
        {"y_true": "no_validation", "y_pred": "no_validation", **_LOOK}, prefer_skip_nested_validation=True
    )
    def from_predictions(cls, y_true, y_pred, *, kind="actual_vs_predicted", ax=None):
        """Draw counts that were predicted before.

        Parameters
        ----------
        y_true, y_pred : points, density maps or counts of n_images images
            Points of each image, of which the number counts; maps, which are added up; or counts, array-like of shape
            (n_images,).
        kind : {"actual_vs_predicted", "error_by_count", "bland_altman"}, default="actual_vs_predicted"
            What to draw, as for `plot`.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes new axes.

        Returns
        -------
        CountErrorDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If an argument is neither points nor maps nor counts, is empty, or the lengths differ.
        """
        y_true, y_pred = true_counts(y_true, name="y_true"), true_counts(y_pred, name="y_pred")
        check_length(len(y_true), len(y_pred), "y_pred", of="y_true")
        return cls(y_true, y_pred).plot(ax=ax, kind=kind)

    @validate_params(_LOOK, prefer_skip_nested_validation=True)
    def plot(self, ax=None, *, kind="actual_vs_predicted"):
        """Draw one point an image.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes new axes.
        kind : {"actual_vs_predicted", "error_by_count", "bland_altman"}, default="actual_vs_predicted"
            "actual_vs_predicted": true counts against predicted ones, with the line where they are the same;
            "error_by_count": the difference, predicted minus true, against the true count;
            "bland_altman": the difference against the mean of both, with its mean and the limits of agreement, 1.96
            standard deviations from it.

        Returns
        -------
        CountErrorDisplay
            The display itself.
        """
        ax = new_axes(ax, figsize=(4, 4) if kind == "actual_vs_predicted" else (4.8, 3.6))
        self.agreement_ = None
        draw = {
            "actual_vs_predicted": self._draw_counts,
            "error_by_count": self._draw_errors,
            "bland_altman": self._draw_agreement,
        }[kind]
        draw(ax)
        ax.set_title(self._summary(), fontsize=SMALL)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_counts(self, ax):
        both = np.concatenate([self.y_true, self.y_pred])
        margin = 0.05 * np.ptp(both) or 1
        limits = both.min() - margin, both.max() + margin
        self.lines_ = ax.plot(limits, limits, linestyle="--", color=GREY, label="predicted = true")
        self._scatter(ax, self.y_pred, self.y_true)
        ax.set(xlabel="predicted count", ylabel="true count", xlim=limits, ylim=limits)
        ax.set_aspect("equal", adjustable="box")
        _whole_ticks(ax.xaxis, ax.yaxis)
        ax.legend(loc="upper left", fontsize=SMALL, frameon=False)

    def _draw_errors(self, ax):
        self.lines_ = [ax.axhline(0, linestyle="--", color=GREY, label="no error")]
        self._scatter(ax, self.y_true, self.y_pred - self.y_true)
        ax.set(xlabel="true count", ylabel="predicted - true")
        _whole_ticks(ax.xaxis)
        ax.legend(loc="best", fontsize=SMALL, frameon=False)

    def _draw_agreement(self, ax):
        difference = self.y_pred - self.y_true
        self.agreement_ = limits_of_agreement(difference)
        ax.margins(y=0.12)  # so that the name of the upper line stays clear of the title
        named = zip(self.agreement_, ("-1.96 SD", "mean", "+1.96 SD"), ":-:", strict=True)
        self.lines_ = [self._draw_level(ax, *each) for each in named]
        self._scatter(ax, (self.y_pred + self.y_true) / 2, difference)
        ax.set(xlabel="mean of predicted and true", ylabel="predicted - true")

    def _draw_level(self, ax, value, name, style):
        """Draw a line and name it at its end, beside the axes, where no image is hidden."""
        if (
            name == "mean" or abs(value - self.agreement_[1]) > 0
        ):  # not where there is no deviation, or one of 0
            ax.annotate(
                f"{name}\n{_signed(value)}",
                xy=(1, value),
                xycoords=("axes fraction", "data"),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=SMALL,
            )
        return ax.axhline(value, linestyle=style, color=GREY)

    def _scatter(self, ax, x, y):
        self.scatter_ = ax.scatter(
            x, y, s=24, color=BLUE, alpha=0.7, edgecolor=ax.get_facecolor(), linewidth=0.5, zorder=2.5
        )

    def _summary(self):
        both = self.y_true, self.y_pred
        mae, rmse = count_mean_absolute_error(*both), count_root_mean_squared_error(*both)
        return f"MAE {_short(mae)}  RMSE {_short(rmse)}  bias {_signed(count_bias(*both))}"


def limits_of_agreement(difference):
    """Return where 95 of 100 differences lie, if they are normally distributed.

    Parameters
    ----------
    difference : ndarray of shape (n_images,)
        Predicted minus true counts.

    Returns
    -------
    lower, mean, upper : float
        The mean, and 1.96 standard deviations below and above it; NaN of a single image, which has no deviation.

    Examples
    --------
    >>> limits_of_agreement(np.array([1.0, 2.0, 3.0]))
    (0.04..., 2.0, 3.96)
    """
    mean = float(difference.mean())
    spread = 1.96 * float(difference.std(ddof=1)) if len(difference) > 1 else np.nan
    return mean - spread, mean, mean + spread


def _short(value):
    return f"{value:.{_digits(value)}f}"


def _signed(value):
    digits = _digits(value)
    return f"{round(value, digits) + 0.0:+.{digits}f}"  # which makes +0.00 of -0.00


def _digits(value):
    return 2 if abs(value) < 10 else 1 if abs(value) < 1000 else 0


def _whole_ticks(*axes):
    """Put ticks at whole counts, at the same ones on each axis."""
    from matplotlib.ticker import MaxNLocator

    for axis in axes:
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
