"""Loss and count error by epoch."""

import numpy as np
from sklearn.utils._param_validation import HasMethods, StrOptions, validate_params
from sklearn.utils.validation import check_is_fitted

from skcount.plotting._figure_mixin import FigureMixin
from skcount.plotting._style import GREY, SMALL, new_axes, series_style

_LOOK = {
    "ax": [HasMethods(["inset_axes", "set_axis_off"]), None],
    "yscale": [StrOptions({"linear", "log"})],
}
_COLUMNS = ("epoch", "train_loss", "crop_count_mae")


class TrainingHistoryDisplay(FigureMixin):
    """Show the training loss and the count error by epoch, in two panels.

    If there were validation images, the epoch with the smallest error on them is marked: the fit keeps its weights. Create a
    display with `from_estimator` or `from_history`.

    Parameters
    ----------
    epoch : ndarray of shape (n_epochs,)
        Numbers of the epochs.
    train_loss : ndarray of shape (n_epochs,)
        Mean training loss of each epoch.
    crop_count_mae : ndarray of shape (n_epochs,)
        Mean absolute error of the counts in training, in objects per crop.
    valid_count_mae : ndarray of shape (n_epochs,) or None, default=None
        Mean absolute error of the counts of the validation images, in objects per image; NaN for epochs without validation.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that contain the panels.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    loss_ax_, count_ax_ : matplotlib Axes
        The panels.
    loss_line_, count_line_ : matplotlib Line2D
        Loss and count error in training.
    valid_line_ : matplotlib Line2D or None
        Count error on the validation images.
    best_epoch_ : int or None
        The (first) epoch with the smallest error on the validation images, or None if there were none.

    Notes
    -----
    If `patch_size` is smaller than the images, compare the shapes of the two error curves and not their heights.

    Examples
    --------
    >>> from skcount.plotting import TrainingHistoryDisplay
    >>> history = [
    ...     {"epoch": 1, "train_loss": 0.8, "crop_count_mae": 4.0, "valid_count_mae": 5.0},
    ...     {"epoch": 2, "train_loss": 0.3, "crop_count_mae": 1.5, "valid_count_mae": 2.0},
    ...     {"epoch": 3, "train_loss": 0.2, "crop_count_mae": 1.0, "valid_count_mae": 2.5},
    ... ]
    >>> TrainingHistoryDisplay.from_history(history).best_epoch_
    2
    """

    @validate_params(
        {**{name: [np.ndarray] for name in _COLUMNS}, "valid_count_mae": [np.ndarray, None]},
        prefer_skip_nested_validation=True,
    )
    def __init__(self, epoch, train_loss, crop_count_mae, valid_count_mae=None):
        self.epoch = epoch
        self.train_loss = train_loss
        self.crop_count_mae = crop_count_mae
        self.valid_count_mae = valid_count_mae

    @classmethod
    @validate_params({"estimator": [HasMethods("fit")], **_LOOK}, prefer_skip_nested_validation=True)
    def from_estimator(cls, estimator, *, ax=None, yscale="linear"):
        """Plot the training history of a regressor.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor with `history_`. For a pipeline, pass the last step; for a search, `best_estimator_`.
        ax : matplotlib Axes or None, default=None
            Axes to plot on; the panels replace them. If None, create a new figure.
        yscale : {"linear", "log"}, default="linear"
            Scale of losses and errors; "log" shows the end of a long training in more detail.

        Returns
        -------
        TrainingHistoryDisplay
            Display that has been plotted.
        """
        check_is_fitted(
            estimator,
            "history_",
            msg="`estimator` must be a fitted regressor with `history_`; got a %(name)s without it. For a pipeline, "
            "pass the last step; for a search, best_estimator_.",
        )
        return cls.from_history(estimator.history_, ax=ax, yscale=yscale)

    @classmethod
    @validate_params({"history": [list, tuple], **_LOOK}, prefer_skip_nested_validation=True)
    def from_history(cls, history, *, ax=None, yscale="linear"):
        """Plot a training history.

        Parameters
        ----------
        history : list of dict
            One row per epoch, such as `history_` of a fitted regressor, with the keys epoch, train_loss and crop_count_mae,
            and valid_count_mae if there were validation images.
        ax : matplotlib Axes or None, default=None
            Axes to plot on; the panels replace them. If None, create a new figure.
        yscale : {"linear", "log"}, default="linear"
            Scale of losses and errors; "log" shows the end of a long training in more detail.

        Returns
        -------
        TrainingHistoryDisplay
            Display that has been plotted.
        """
        _check_history(history)
        epoch, loss, error = (np.array([row[name] for row in history]) for name in _COLUMNS)
        valid = np.array([row.get("valid_count_mae", np.nan) for row in history], dtype=np.float64)
        return cls(epoch, loss, error, valid if np.isfinite(valid).any() else None).plot(ax=ax, yscale=yscale)

    @validate_params(_LOOK, prefer_skip_nested_validation=True)
    def plot(self, ax=None, *, yscale="linear"):
        """Plot the loss in the upper panel and the count errors in the lower one.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to plot on; the panels replace them. If None, create a new figure.
        yscale : {"linear", "log"}, default="linear"
            Scale of losses and errors; "log" shows the end of a long training in more detail.

        Returns
        -------
        TrainingHistoryDisplay
            The display itself.
        """
        ax = new_axes(ax, figsize=(4.8, 4.2))
        self._split(ax, yscale)
        self.loss_line_ = self._plot_line(self.loss_ax_, self.train_loss, 0, "training, per crop")
        self.count_line_ = self._plot_line(self.count_ax_, self.crop_count_mae, 0, "training, per crop")
        self.valid_line_ = self.best_epoch_ = None
        lines = [self.loss_line_]
        if self.valid_count_mae is not None:
            self.valid_line_ = self._plot_line(
                self.count_ax_, self.valid_count_mae, 1, "validation, per image"
            )
            self._mark_best(ax)
            lines.append(self.valid_line_)
        # The loss falls, so this corner of the upper panel is free; the lower panel has no corner that is always free.
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

    def _plot_line(self, ax, values, index, label):
        look = {"markersize": 4, "markevery": max(1, len(self.epoch) // 12), **series_style(index)}
        return ax.plot(self.epoch, values, label=label, **look)[0]

    def _mark_best(self, ax):
        best = int(np.nanargmin(self.valid_count_mae))
        self.best_epoch_, error = int(self.epoch[best]), self.valid_count_mae[best]
        for panel in (self.loss_ax_, self.count_ax_):
            panel.axvline(self.best_epoch_, linestyle=":", color=GREY, zorder=1)
        look = {"color": self.valid_line_.get_color(), "markeredgecolor": ax.xaxis.label.get_color()}
        self.count_ax_.plot(self.best_epoch_, error, "*", markersize=12, **look)
        ax.set_title(f"best epoch {self.best_epoch_}: validation MAE {error:.3g}", fontsize=SMALL)


def _check_history(history):
    if not history:
        raise ValueError("`history` must have one row per epoch; got none.")
    for number, row in enumerate(history):
        missing = [name for name in _COLUMNS if not isinstance(row, dict) or name not in row]
        if missing:
            raise ValueError(
                f"Row {number} of `history` must be a dict with epoch, train_loss and crop_count_mae, as in `history_` of a "
                f"fitted regressor; got a {type(row).__name__} without {missing[0]}."
            )
