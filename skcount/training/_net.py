"""The training loop: that of skorch, with the losses, schedules and stopping rules that counting needs."""

import math
from contextlib import suppress
from copy import deepcopy
from dis import opmap

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.utils import to_device

from skcount.training._checkpoint import state_of

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Stand in for scikit-learn's class in versions without callbacks."""

    def with_callbacks(method):
        """Return the method unchanged."""
        return method


# A loss that is this many times that of the first epoch has diverged.
GROWTH = 1000.0
# The learning rate at the end of a training, relative to the largest.
FLOOR = 1e-3


class StopTraining(Exception):  # noqa: N818 - not an error: a callback requested it
    """Raised to end a training run early and keep its results."""


class CountingNet(NeuralNet):
    """A skorch net whose targets are batches of densities, and that handles divergence and interrupts.

    A loss that is not finite ends the loop with an error, Ctrl-C ends it with a KeyboardInterrupt, and each batch
    records the count error of its crops. `penalty` takes the module and returns a value that is added to the loss of
    each step. Training ends after `n_steps`, even within an epoch; callbacks may change that number. `prediction` are
    parameters of the Predictor that measures the module.
    """

    def __init__(self, *, penalty=None, n_steps=None, prediction=None, **params):
        self.penalty = penalty
        self.n_steps = n_steps
        self.prediction = prediction
        self.n_steps_ = 0
        self.cool_down_from_ = None
        self.held_out_error_ = None  # of images that are only looked at, to be shown
        super().__init__(**params)

    def plain_history(self):
        """Return the rows of the history, one per epoch, with the numbers that are shown to users."""
        rows = []
        for row in self.history:
            rows.append({"epoch": row["epoch"]})
            for name in ("train_loss", "crop_count_mae", "valid_count_mae", "dur"):
                if name in row:
                    rows[-1][name] = float(row[name])
        return rows

    def get_loss(self, y_pred, y_true, X=None, training=False):  # noqa: ARG002 - skorch's signature
        """Compare a batch with its targets, and raise an error if the loss is not finite."""
        batch = to_device(y_true, y_pred.device)
        loss = self.criterion_(y_pred, batch)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"The loss is {loss.item()}")
        self.history.record_batch("crop_count_mae", _count_mae(y_pred.detach(), batch))
        return loss + self.penalty(self.module_) if training and self.penalty is not None else loss

    def run_single_epoch(self, iterator, training, **kwargs):
        """Take the steps of one epoch, or those that are left."""
        if training and self.n_steps is not None:
            iterator = self._until_over(iterator)
        super().run_single_epoch(iterator, training=training, **kwargs)

    def _until_over(self, iterator):
        """Yield batches until all steps are taken, and draw none in vain."""
        for batch in iterator:
            yield batch
            if self.n_steps_ >= self.n_steps:
                return

    def cool_down(self, n_steps):
        """End the training after so many further steps, in which the learning rate falls to its end."""
        self.cool_down_from_ = self.n_steps_, (self.n_steps_ + 0.5) / self.n_steps
        self.n_steps = min(self.n_steps_ + n_steps, self.n_steps)

    def on_epoch_begin(self, net, **kwargs):
        """Begin an epoch if steps are left."""
        if self.n_steps is not None and self.n_steps_ >= self.n_steps:
            raise StopTraining
        super().on_epoch_begin(net, **kwargs)

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        """Count the steps."""
        super().on_batch_end(net, batch=batch, training=training, **kwargs)
        self.n_steps_ += bool(training)

    def notify(self, method_name, **cb_kwargs):
        """Call the callbacks; those of skorch end a training with a KeyboardInterrupt, which is not Ctrl-C here."""
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as interrupt:
            if _was_raised_by_skorch(interrupt):
                raise StopTraining from interrupt
            raise

    def partial_fit(self, X, y=None, classes=None, **fit_params):  # noqa: ARG002 - skorch's signature
        """Train; unlike skorch's own method, do not swallow a KeyboardInterrupt."""
        self.notify("on_train_begin", X=X, y=y)
        with suppress(StopTraining):
            self.fit_loop(X, y, epochs=self.max_epochs - len(self.history), **fit_params)
        self.notify("on_train_end", X=X, y=y)
        return self


class Schedule(Callback):
    """Let the learning rates follow one cycle, and freeze batch statistics after a fraction `freeze_after` of the steps.

    Running statistics describe earlier weights, not the current ones. If they are frozen while the weights converge,
    the weights are fitted to them, and training and prediction compute the same map.
    """

    def __init__(self, freeze_after):
        self.freeze_after = freeze_after

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Set the rates of this step, and freeze the statistics if it is time, even in a resumed training."""
        if not training:
            return
        relative, freeze_at = (
            one_cycle((net.n_steps_ + 0.5) / net.n_steps),
            int(self.freeze_after * net.n_steps),
        )
        if net.cool_down_from_ is not None:
            start, progress = net.cool_down_from_
            part = (net.n_steps_ + 0.5 - start) / (net.n_steps - start)
            relative, freeze_at = _fall(one_cycle(progress), FLOOR, part), (start + net.n_steps) // 2
        for group in net.optimizer_.param_groups:
            group["lr"] = group.setdefault("largest_lr", group["lr"]) * relative
        if net.n_steps_ >= freeze_at and not net.module_.statistics_frozen:
            net.module_.freeze_statistics()


class KeepBest(Callback):
    """Measure the error on validation images after each epoch, and end with the weights that have the smallest error.

    `measure` takes the module and returns its count error; training ends after `patience` epochs without a smaller one,
    or never if that is None.
    """

    best_ = float("inf"), 0, None  # error, epoch and weights

    def __init__(self, measure, patience):
        self.measure = measure
        self.patience = patience

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        """Measure, and keep the weights if they are the best so far."""
        error, epoch = self.measure(net.module_), len(net.history)
        net.history.record("valid_count_mae", error)
        if error < self.best_[0]:
            self.best_ = error, epoch, deepcopy(net.module_.state_dict())
        elif self.patience is not None and epoch - self.best_[1] >= self.patience:
            raise StopTraining

    def on_train_end(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Restore the best weights."""
        self.restore(net)

    def restore(self, net):
        """Give the network the best weights if there are any; return their epoch, or 0."""
        _, epoch, weights = self.best_
        if epoch:
            net.module_.load_state_dict(weights)
        return epoch


class KeepGood(Callback):
    """Keep the weights of the last good epoch, and end a training that diverges.

    The first loss after an epoch shows whether its weights are good. A loss that is `GROWTH` times that of the first
    epoch has diverged. Losses are relative to the height of an object; a loss below 1 counts as 1, because training may
    begin with a loss near 0.
    """

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Start with the current weights."""
        self.good_ = self.latest_ = len(net.history), deepcopy(net.module_.state_dict())

    def on_batch_end(self, net, batch=None, training=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Check whether the latest weights are good."""
        if not training or len(net.history) < 2:
            return
        loss, first = net.history[-1]["batches"][-1]["train_loss"], net.history[0].get("train_loss", np.inf)
        if not loss <= GROWTH * max(first, 1.0):
            raise FloatingPointError(f"The loss has grown from {first:.3g} to {loss:.3g}")
        self.good_ = self.latest_

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        """Keep the weights."""
        self.latest_ = len(net.history), deepcopy(net.module_.state_dict())

    def restore(self, net):
        """Give the network the good weights, and return their epoch; 0 if there is none."""
        epoch, weights = self.good_
        net.module_.load_state_dict(weights)
        return epoch


class EndEpoch(Callback):
    """Drop the batches, and notify scikit-learn's callbacks."""

    def __init__(self, tasks):
        self.tasks = tasks

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        """End the training if one of scikit-learn's callbacks asks for it."""
        net.history[-1]["batches"] = []
        if self.tasks is not None and self.tasks.end_epoch():
            raise StopTraining


class KeepOnDisk(Callback):
    """Write the state of the training to its checkpoint every few epochs, once the first loss after it is good.

    A state from which training diverges would be useless, because a resumed training would diverge again.
    """

    def __init__(self, checkpoint, best):
        self.checkpoint = checkpoint
        self.best = best

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Start with nothing to write, and restore the random numbers of a resumed training, last of all."""
        self.state_ = None
        if self.checkpoint.state is not None:
            torch.set_rng_state(torch.from_numpy(np.array(self.checkpoint.state["random_stream"])))

    def on_batch_end(self, net, batch=None, training=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Write the waiting state, which the loss of this batch has shown to be good."""
        if training and self.state_ is not None:
            self.checkpoint.write(self.state_)
            self.state_ = None

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        """Copy the state if it is time."""
        if len(net.history) % self.checkpoint.every == 0:
            self.state_ = state_of(net, self.best and self.best.best_)


class TaskTree:
    """One fit as scikit-learn's callbacks see it: a task with one subtask per epoch.

    `attributes` returns the attributes that make a copy of the estimator ready to predict; `data` are X, y and other
    arguments that hooks may use.
    """

    def __init__(self, estimator, n_epochs, attributes, **data):
        self.n_epochs = n_epochs
        self.n_done = 0
        self.arguments = {"estimator": estimator, "reconstruction_attributes": attributes, **data}
        self.root = estimator._init_callback_context(max_subtasks=n_epochs)
        self.root.call_on_fit_task_begin(**self.arguments)
        self._begin_epoch()

    def _begin_epoch(self):
        self.epoch = self.root.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.arguments)

    def end_epoch(self):
        """End the task of an epoch and begin the next one; return whether a callback asks to stop."""
        self.n_done += 1
        stop = self.epoch.call_on_fit_task_end(**self.arguments)
        if not stop and self.n_done < self.n_epochs:
            self._begin_epoch()
        return stop

    def end(self):
        """End the task of the fit."""
        self.root.call_on_fit_task_end(**self.arguments)


def one_cycle(progress, warmup=0.2):
    """Return the learning rate of a one-cycle schedule, relative to the largest, when a fraction `progress` is over.

    It rises from a 25th during the first fraction `warmup`, and ends at `FLOOR` (L. N. Smith and N. Topin,
    "Super-convergence: very fast training of neural networks using large learning rates", 2019).
    """
    if progress < warmup:
        return _fall(0.04, 1.0, progress / warmup)
    return _fall(1.0, FLOOR, (progress - warmup) / (1 - warmup))


def _fall(start, stop, part):
    """Return the value between start and stop on half a cosine, when a fraction `part` is over."""
    return stop + (start - stop) * (1 + math.cos(math.pi * min(part, 1.0))) / 2


def _was_raised_by_skorch(interrupt):
    """Return whether a KeyboardInterrupt comes from a `raise` of skorch's callbacks, not from a signal that reached them."""
    traceback = interrupt.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    name, code = traceback.tb_frame.f_globals.get("__name__", ""), traceback.tb_frame.f_code.co_code
    return name.startswith("skorch.callbacks") and code[traceback.tb_lasti] == opmap["RAISE_VARARGS"]


def _count_mae(density, batch):
    """Return the mean absolute error of the counts of a batch of crops, inside the mask."""
    mask, target = batch["mask"], batch["target"]
    counts = (density * mask).sum(dim=(1, 2, 3))
    true = target if target.ndim == 1 else (target * mask).sum(dim=(1, 2, 3))
    return (counts - true).abs().mean().item()
