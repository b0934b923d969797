"""How a training went: loss and count error by epoch."""

import numpy as np
from sklearn.utils._param_validation import HasMethods, StrOptions, validate_params
from sklearn.utils.validation import check_is_fitted

from skcount.plotting._figure_mixin import FigureMixin
from skcount.plotting._style import GREY, SMALL, new_axes, series_style

_LOOK = {
    "ax": [HasMethods(["inset_axes", "set_axis_off"]), None],
    "yscale": [StrOptions({"linear", "log"})],
}


class TrainingHistoryDisplay(FigureMixin):
    """Show the loss and the error of the counts by epoch, in two panels.

    The constructor stores arrays; `plot` draws. Make one with `from_estimator` or `from_history`. Where images were held
    out, the epoch with the smallest error on them is marked: the one whose weights a fit keeps.

    Parameters
    ----------
    epoch : ndarray of shape (n_epochs,)
        Their numbers.
    train_loss : ndarray of shape (n_epochs,)
        Mean loss of each.
    count_mae : ndarray of shape (n_epochs,)
        Mean absolute error of the counts in training, in objects a crop.
    valid_count_mae : ndarray of shape (n_epochs,) or None, default=None
        Mean absolute error of the counts of held-out images, in objects an image; NaN where there were none.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes that the panels lie in.
    figure_ : matplotlib Figure
        Their figure.
    loss_ax_, count_ax_ : matplotlib Axes
        The panels.
    loss_line_, count_line_ : matplotlib Line2D
        What was measured in training.
    valid_line_ : matplotlib Line2D or None
        What was measured on held-out images.
    best_epoch_ : int or None
        The epoch with the smallest error on held-out images, the first of several; None where there were none.

    Notes
    -----
    Crops are smaller than images where `patch_size` is, so the two errors are to be compared in their course, not in their
    height.

    Examples
    --------
    >>> from skcount.plotting import TrainingHistoryDisplay
    >>> history = [
    ...     {"epoch": 1, "train_loss": 0.8, "count_mae": 4.0, "valid_count_mae": 5.0},
    ...     {"epoch": 2, "train_loss": 0.3, "count_mae": 1.5, "valid_count_mae": 2.0},
    ...     {"epoch": 3, "train_loss": 0.2, "count_mae": 1.0, "valid_count_mae": 2.5},
    ... ]
    >>> TrainingHistoryDisplay.from_history(history).best_epoch_
    2
    """

    @validate_params(
        {
            "epoch": [np.ndarray],
            "train_loss": [np.ndarray],
            "count_mae": [np.ndarray],
            "valid_count_mae": [np.ndarray, None],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(self, epoch, train_loss, count_mae, valid_count_mae=None):
        self.epoch = epoch
        self.train_loss = train_loss
        self.count_mae = count_mae
        self.valid_count_mae = valid_count_mae

    @classmethod
    @validate_params({"estimator": [HasMethods("fit")], **_LOOK}, prefer_skip_nested_validation=True)
    def from_estimator(cls, estimator, *, ax=None, yscale="linear"):
        """Draw how a regressor was trained.

        Parameters
        ----------
        estimator : estimator
            A fitted regressor with `history_`; of a Pipeline pass the last step, of a search `best_estimator_`.
        ax : matplotlib Axes or None, default=None
            Where to draw: the panels take its place; None makes new axes.
        yscale : {"linear", "log"}, default="linear"
            Scale of losses and errors; "log" shows the end of a long training.

        Returns
        -------
        TrainingHistoryDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator has no `history_`.
        """
        check_is_fitted(
            estimator,
            "history_",
            msg="This %(name)s has no history_; expected a fitted regressor of skcount: of a Pipeline pass its last step, "
            "of a search its best_estimator_.",
        )
        return cls.from_history(estimator.history_, ax=ax, yscale=yscale)

    @classmethod
    @validate_params({"history": [list, tuple], **_LOOK}, prefer_skip_nested_validation=True)
    def from_history(cls, history, *, ax=None, yscale="linear"):
        """Draw the history of a training.

        Parameters
        ----------
        history : list of dict
            One row an epoch, as in `history_` of a regressor: epoch, train_loss, count_mae and, of held-out images,
            valid_count_mae.
        ax : matplotlib Axes or None, default=None
            Where to draw: the panels take its place; None makes new axes.
        yscale : {"linear", "log"}, default="linear"
            Scale of losses and errors; "log" shows the end of a long training.

        Returns
        -------
        TrainingHistoryDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is no row, or a row lacks its epoch, its loss or its error.
        """
        _check_history(history)
        epoch, loss, error = (
            np.array([row[name] for row in history]) for name in ("epoch", "train_loss", "count_mae")
        )
        valid = np.array([row.get("valid_count_mae", np.nan) for row in history], dtype=np.float64)
        return cls(epoch, loss, error, valid if np.isfinite(valid).any() else None).plot(ax=ax, yscale=yscale)

    @validate_params(_LOOK, prefer_skip_nested_validation=True)
    def plot(self, ax=None, *, yscale="linear"):
        """Draw the loss above and the errors of the counts below.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw: the panels take its place; None makes new axes.
        yscale : {"linear", "log"}, default="linear"
            Scale of losses and errors; "log" shows the end of a long training.

        Returns
        -------
        TrainingHistoryDisplay
            The display itself.
        """
        ax = new_axes(ax, figsize=(4.8, 4.2))
        self._split(ax, yscale)
        self.loss_line_ = self._draw(self.loss_ax_, self.train_loss, 0, "training, a crop")
        self.count_line_ = self._draw(self.count_ax_, self.count_mae, 0, "training, a crop")
        self.valid_line_ = self.best_epoch_ = None
        lines = [self.loss_line_]
        if self.valid_count_mae is not None:
            self.valid_line_ = self._draw(self.count_ax_, self.valid_count_mae, 1, "held out, an image")
            self._mark_best(ax)
            lines.append(self.valid_line_)
        # A loss falls, so this corner is free; in the lower panel no place is for sure.
        self.loss_ax_.legend(handles=lines, loc="upper right", fontsize=SMALL, framealpha=0.6, handlelength=3)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _split(self, ax, yscale):
        from matplotlib.ticker import MaxNLocator

        ax.set_axis_off()
        self.loss_ax_ = ax.inset_axes([0, 0.53, 1, 0.47])
        self.count_ax_ = ax.inset_axes([0, 0, 1, 0.47], sharex=self.loss_ax_)
        self.loss_ax_.tick_params(labelbottom=False)
        self.loss_ax_.set(ylabel="loss", yscale=yscale)
        self.count_ax_.set(xlabel="epoch", ylabel="count MAE", yscale=yscale)
        self.count_ax_.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))

    def _draw(self, ax, values, index, label):
        every = max(1, len(self.epoch) // 12)
        return ax.plot(self.epoch, values, **series_style(index), markersize=4, markevery=every, label=label)[
            0
        ]

    def _mark_best(self, ax):
        best = int(np.nanargmin(self.valid_count_mae))
        self.best_epoch_, error = int(self.epoch[best]), self.valid_count_mae[best]
        for panel in (self.loss_ax_, self.count_ax_):
            panel.axvline(self.best_epoch_, linestyle=":", color=GREY, zorder=1)
        self.count_ax_.plot(
            self.best_epoch_,
            error,
            "*",
            color=self.valid_line_.get_color(),
            markeredgecolor=ax.xaxis.label.get_color(),
            markersize=12,
        )
        ax.set_title(f"best epoch {self.best_epoch_}: held-out MAE {error:.3g}", fontsize=SMALL)


def _check_history(history):
    if not len(history):
        raise ValueError(
            "The history is empty; expected one row an epoch, as in history_ of a fitted regressor."
        )
    needed = ["epoch", "train_loss", "count_mae"]
    for number, row in enumerate(history):
        missing = needed if not isinstance(row, dict) else [name for name in needed if name not in row]
        if missing:
            raise ValueError(
                f"Row {number} of the history, a {type(row).__name__}, has no {missing[0]}; expected a dict with epoch, "
                "train_loss and count_mae, as in history_ of a fitted regressor."
            )
