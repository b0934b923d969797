"""What happens beside the steps of a training run, as skorch callbacks."""

import math
from copy import deepcopy

import numpy as np
import torch
from skorch.callbacks import Callback

from skcount._progress import bar


class OneCycle(Callback):
    """Let the learning rates follow one cycle, step by step.

    Parameters
    ----------
    n_steps : int
        Steps of the whole training.
    """

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Take the rates as they are for the largest."""
        self.largest_ = [group["lr"] for group in net.optimizer_.param_groups]

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Set the rates of this step."""
        if training:
            relative = one_cycle((net.n_steps_ + 0.5) / self.n_steps)
            for group, largest in zip(net.optimizer_.param_groups, self.largest_, strict=True):
                group["lr"] = largest * relative


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

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Freeze when the step has come, or is over in a training that goes on."""
        if training and net.n_steps_ >= self.first_step and not net.module_.statistics_frozen:
            net.module_.freeze_statistics()


class ShowProgress(Callback):
    """Show a progress bar that moves by one when an epoch is over, with its loss and count error beside it.

    Parameters
    ----------
    shown : bool
        Whether to show it, where somebody sees it.
    """

    def __init__(self, shown):
        self.shown = shown
        self.bar = None

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Begin it, behind the epochs that a training goes on from."""
        self.bar = bar("fit", net.max_epochs, self.shown, initial=len(net.history), unit="epoch")

    def close(self):
        """End it, however the training ended."""
        if self.bar is not None:
            self.bar.close()

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        """Move it."""
        errors = {
            "loss": "train_loss",
            "count MAE of crops": "count_mae",
            "held-out count MAE": "valid_count_mae",
        }
        row = net.history[-1]
        self.bar.set_postfix({name: row[key] for name, key in errors.items() if key in row}, refresh=False)
        self.bar.update()


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
    start : (error, epoch, weights) or None, default=None
        The best so far of a training that goes on.
    """

    def __init__(self, measure, patience, start=None):
        self.measure = measure
        self.patience = patience
        self.start = start

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Start with no best, or with the one that is known."""
        self.best_ = self.start or (float("inf"), 0, None)

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        """Measure, and keep the weights where they are the best so far."""
        error, epoch = self.measure(), len(net.history)
        net.history.record("valid_count_mae", error)
        if error < self.best_[0]:
            self.best_ = error, epoch, deepcopy(net.module_.state_dict())
        elif self.patience is not None and epoch - self.best_[1] >= self.patience:
            raise StopTraining

    def on_train_end(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Restore the best weights."""
        self.restore(net)

    def restore(self, net):
        """Give the network the best weights, where there are any; return their epoch or 0."""
        _, epoch, weights = self.best_
        if epoch:
            net.module_.load_state_dict(weights)
        return epoch


class KeepGood(Callback):
    """Keep the weights of the last epoch that went well, and end a training that goes astray.

    Whether weights are good is seen in the first loss after them.

    Parameters
    ----------
    growth : float, default=1000
        A loss that is so many times that of the first epoch has diverged, finite or not. Losses are relative to the height
        of an object: one below 1 counts as 1, for a training may well begin with next to nothing.
    """

    def __init__(self, growth=1000.0):
        self.growth = growth

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Start with none, or with those that a training goes on from."""
        self.good_ = self.latest_ = len(net.history), deepcopy(net.module_.state_dict())

    def on_batch_end(self, net, batch=None, training=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """See whether the latest weights were good."""
        if not training or len(net.history) < 2:
            return
        loss, first = net.history[-1]["batches"][-1]["train_loss"], net.history[0].get("train_loss", np.inf)
        if not loss <= self.growth * max(first, 1.0):
            raise FloatingPointError(f"The loss has grown from {first:.3g} to {loss:.3g}")
        self.good_ = self.latest_

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        """Keep the weights."""
        self.latest_ = len(net.history), deepcopy(net.module_.state_dict())

    def restore(self, net):
        """Give the network the good weights, and return the number of their epoch; 0 where none was good."""
        epoch, weights = self.good_
        net.module_.load_state_dict(weights)
        return epoch


class KeepOnDisk(Callback):
    """Hand over the whole state of the training after every few epochs, once the first loss after it was good.

    A state that the training goes astray from would be of no use: to go on from it is to go astray again.

    Parameters
    ----------
    write : callable
        Takes the state.
    every : int
        How many epochs there are between two states.
    state_of : callable
        Takes the net and returns a copy of its state.
    """

    def __init__(self, write, every, state_of):
        self.write = write
        self.every = every
        self.state_of = state_of

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Start with nothing to hand over."""
        self.state_ = None

    def on_batch_end(self, net, batch=None, training=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Hand over what the loss of this batch has shown to be good."""
        if training and self.state_ is not None:
            self.write(self.state_)
            self.state_ = None

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        """Copy the state when it is time."""
        if len(net.history) % self.every == 0:
            self.state_ = self.state_of(net)


class StartStream(Callback):
    """Let the random numbers of a training go on where they were.

    Parameters
    ----------
    stream : ndarray of uint8
        The state of torch's generator.
    """

    def __init__(self, stream):
        self.stream = stream

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Set them: the last thing before the first epoch."""
        torch.set_rng_state(torch.from_numpy(np.array(self.stream)))


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
