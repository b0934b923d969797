"""What happens beside the steps of a training run, as skorch callbacks."""

import math
from copy import deepcopy

from skorch.callbacks import Callback


class FreezeStatistics(Callback):
    """Freeze the statistics of batch normalisations for the last part of the training.

    Running statistics describe the network that was, not the one that is; frozen while the weights settle,
    they are what the weights are fitted to, and training and prediction compute the same map.

    Parameters
    ----------
    first_step : int
        From this step on the statistics are frozen.
    """

    def __init__(self, first_step):
        self.first_step = first_step

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Start counting steps."""
        self.step_ = 0

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Freeze when the step has come."""
        if self.step_ == self.first_step:
            net.module_.freeze_statistics()
        self.step_ += 1


class ForgetBatches(Callback):
    """Drop the rows of single batches from the history once their epoch is over."""

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        """Drop them."""
        net.history[-1]["batches"] = []


class KeepBest(Callback):
    """Measure the error on held-out images after each epoch, and end with the weights that had the smallest.

    Parameters
    ----------
    measure : callable
        Returns the count error of the module as it is.
    patience : int or None
        The training ends after so many epochs without a smaller error; None: never.
    """

    def __init__(self, measure, patience):
        self.measure = measure
        self.patience = patience

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Start with no best."""
        self.best_, self.best_epoch_, self.state_ = float("inf"), 0, None

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        """Measure, and keep the weights where they are the best so far."""
        error, epoch = self.measure(), len(net.history)
        net.history.record("valid_count_mae", error)
        if error < self.best_:
            self.best_, self.best_epoch_ = error, epoch
            self.state_ = deepcopy(net.module_.state_dict())
        elif self.patience is not None and epoch - self.best_epoch_ >= self.patience:
            raise StopTraining

    def on_train_end(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Restore the best weights."""
        if self.state_ is not None:
            net.module_.load_state_dict(self.state_)


class AfterEpoch(Callback):
    """Call a function after each epoch; what it returns true for ends the training.

    Parameters
    ----------
    function : callable
        Takes the epoch's number, from 1 on.
    """

    def __init__(self, function):
        self.function = function

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        """Call the function."""
        if self.function(len(net.history)):
            raise StopTraining


class StopTraining(Exception):  # noqa: N818 - no error: someone asked for it
    """Ends a training run early, keeping what it has learnt."""


def one_cycle(progress, warmup=0.2, floor=1e-3):
    """Learning rate of a one-cycle schedule, relative to its largest.

    Parameters
    ----------
    progress : float
        Part of the training that is over, in [0, 1].
    warmup : float, default=0.2
        Part of the training in which the rate rises.
    floor : float, default=1e-3
        Rate at the very end; a 25th of the largest at the start.

    Returns
    -------
    float
        In (0, 1].

    References
    ----------
    L. N. Smith and N. Topin, "Super-convergence: very fast training of neural networks using large learning
    rates", 2019.

    Examples
    --------
    >>> [round(one_cycle(p), 3) for p in (0.0, 0.2, 1.0)]
    [0.04, 1.0, 0.001]
    """
    if progress < warmup:
        start, stop, part = 0.04, 1.0, progress / warmup
    else:
        start, stop, part = 1.0, floor, (progress - warmup) / (1 - warmup)
    return stop + (start - stop) * (1 + math.cos(math.pi * min(part, 1.0))) / 2
