"""The training run: skorch's loop with the defaults that counting needs."""

from contextlib import closing, suppress
from copy import deepcopy

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import PassthroughScoring

from skcount.training._callbacks import (
    AfterEpoch,
    ForgetBatches,
    FreezeStatistics,
    KeepBest,
    KeepGood,
    KeepOnDisk,
    OneCycle,
    ShowProgress,
    StartStream,
    StopTraining,
)
from skcount.training._crops import keep_batch
from skcount.training._muon import Muon

# Part of the steps after which the statistics of batch normalisations are frozen.
FREEZE_AFTER = 0.9

# Parameters of skorch that a regressor's own decide.
_OURS = {"module", "criterion", "penalty", "max_epochs", "lr", "batch_size", "device", "verbose", "callbacks"}


class DivergedError(FloatingPointError):
    """A training diverged.

    Parameters
    ----------
    message : str
        What happened, where, and what to do.
    history : list of dict, default=()
        The rows of the epochs before, whose weights the network has; none where it has nothing to keep.
    """

    def __init__(self, message, history=()):
        super().__init__(message)
        self.history = history


class CountingNet(NeuralNet):
    """A skorch net whose targets are batches of densities, and that stops when it should.

    The loop is skorch's. A loss that is not finite ends it with an error, Ctrl-C ends it with a
    KeyboardInterrupt, and each batch records its count error.

    Parameters
    ----------
    penalty : callable or None, default=None
        Takes the module and returns what is added to each step's loss.
    **params
        skorch's own.
    """

    def __init__(self, *, penalty=None, **params):
        self.penalty = penalty
        self.n_steps_ = 0
        super().__init__(**params)

    def get_loss(self, y_pred, y_true, X=None, training=False):  # noqa: ARG002 - skorch's signature
        """Compare a batch with its targets, and refuse a loss that is not finite."""
        batch = {name: _to(value, y_pred.device) for name, value in y_true.items()}
        loss = self.criterion_(y_pred, batch)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"The loss is {loss.item()}")
        self.history.record_batch("count_mae", _count_mae(y_pred.detach(), batch))
        return loss + self.penalty(self.module_) if training and self.penalty is not None else loss

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        """Count the steps."""
        super().on_batch_end(net, batch=batch, training=training, **kwargs)
        self.n_steps_ += bool(training)

    def notify(self, method_name, **cb_kwargs):
        """Call the callbacks; those of skorch end a training by a KeyboardInterrupt of their own, which is no Ctrl-C."""
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as interrupt:
            if _raised_in(interrupt).startswith("skorch.callbacks"):
                raise StopTraining from interrupt
            raise

    def partial_fit(self, X, y=None, classes=None, **fit_params):  # noqa: ARG002 - skorch's signature
        """Train; unlike skorch's own, without swallowing a KeyboardInterrupt."""
        if not self.initialized_:
            self.initialize()
        self.notify("on_train_begin", X=X, y=y)
        with suppress(StopTraining):
            self.fit_loop(X, y, epochs=self.max_epochs - len(self.history), **fit_params)
        self.notify("on_train_end", X=X, y=y)
        return self


def train(
    network,
    crops,
    loss,
    *,
    max_epochs,
    lr,
    batch_size,
    device,
    one_cycle_schedule=True,
    penalty=None,
    verbose=0,
    callbacks=(),
    net_params=None,
    after_epoch=None,
    validate=None,
    patience=None,
    optimizer_state=None,
    remember=False,
    resume=None,
    keep=None,
    keep_every=1,
):
    """Train a network on crops, in place.

    Parameters
    ----------
    network : DensityNetwork
        Maps images to densities.
    crops : Crops
        The training data.
    loss : torch.nn.Module
        Compares densities with a batch of `crops`.
    max_epochs : int
        Number of epochs.
    lr : float
        Largest learning rate.
    batch_size : int
        Crops a step, no more than there are.
    device : str
        Where to compute.
    one_cycle_schedule : bool, default=True
        Whether the learning rate follows one cycle and the statistics of batch normalisations are frozen
        towards its end; else both stay as they are.
    penalty : callable or None, default=None
        Takes the network and returns what is added to each step's loss.
    verbose : int, default=0
        1 shows a progress bar where somebody sees it, 2 prints a line an epoch.
    callbacks : sequence of skorch callbacks, default=()
        More of them.
    net_params : dict or None, default=None
        Parameters for skorch's NeuralNet, which override ours.
    after_epoch : callable or None, default=None
        Called with the number of each epoch that is over; a true value ends the training.
    validate : callable or None, default=None
        Returns the count error on held-out images; the network ends with the weights of the epoch with the smallest.
    patience : int or None, default=None
        The training ends after so many epochs without a smaller error on held-out images.
    optimizer_state : dict or None, default=None
        What an earlier run of the same optimiser returned, to go on with.
    remember : bool, default=False
        Whether to return what the optimiser knows.
    resume : dict or None, default=None
        The state of the same training, killed after some of its epochs, that `keep` was given: go on there.
    keep : callable or None, default=None
        Takes the state of the training as plain arrays and numbers: all that the rest of it depends on.
    keep_every : int, default=1
        How many epochs there are between two states; the end has one anyway.

    Returns
    -------
    history : list of dict
        One row of plain numbers an epoch: epoch, train_loss, count_mae (objects a crop), dur (seconds), and, of held-out
        images, valid_count_mae (objects an image).
    optimizer_state : dict or None
        The optimiser's class and options, and what it knows, as plain arrays; None unless it is to be remembered.

    Raises
    ------
    DivergedError
        If the training diverged; the network ends with the weights of the last epoch before, or with the best of them on
        held-out images.
    ValueError
        If `net_params` holds what is set otherwise, or workers that no state can be kept of.
    """
    n_steps = max_epochs * -(-len(crops) // batch_size)
    best_so_far = resume and _map_leaves(_to_tensor, resume["best"])
    best = validate and KeepBest(validate, patience, best_so_far)
    good = KeepGood()
    own_callbacks = {
        "count_mae": PassthroughScoring("count_mae", on_train=True),
        "lr_schedule": OneCycle(n_steps) if one_cycle_schedule else None,
        "freeze_statistics": FreezeStatistics(int(FREEZE_AFTER * n_steps)) if one_cycle_schedule else None,
        "keep_good": good,
        "keep_best": best,
        "after_epoch": after_epoch and AfterEpoch(after_epoch),
    }
    progress = ShowProgress(verbose == 1)
    last_callbacks = {
        "show_progress": progress,
        "forget_batches": ForgetBatches(),
        "keep_on_disk": keep and KeepOnDisk(keep, keep_every, lambda net: _state_of(net, best)),
        "start_stream": resume and StartStream(resume["random_stream"]),
    }
    params = {
        "module": network,
        "criterion": loss,
        "penalty": penalty,
        "optimizer": Muon,
        "lr": lr,
        "max_epochs": max_epochs,
        "batch_size": batch_size,
        "iterator_train__shuffle": True,
        "iterator_train__collate_fn": keep_batch,
        "iterator_valid__collate_fn": keep_batch,
        "train_split": None,
        "predict_nonlinearity": None,
        "device": device,
        "verbose": int(verbose > 1),
        "callbacks": [*_present(own_callbacks), *callbacks, *_present(last_callbacks)],
        "callbacks__valid_loss": None,
    }
    params = _override(params, net_params)
    if keep and params.get("iterator_train__persistent_workers"):
        raise ValueError(
            "net_params holds iterator_train__persistent_workers=True, and such workers go on with random numbers that no "
            "state holds; expected False, or no checkpoint."
        )
    net = CountingNet(**params)
    net.initialize()
    _go_on(net.optimizer_, optimizer_state)
    if resume is not None:
        _resume(net, resume)
    try:
        with closing(progress):
            net.partial_fit(crops, None)
        _check_alive(network, crops, device)
    except FloatingPointError as error:
        raise _diverged(error, net, best, good, lr) from error
    if keep is not None:
        keep({**_state_of(net, best), "is_over": True})
    return [_plain(row) for row in net.history], _remember(net.optimizer_) if remember else None


def _present(callbacks):
    """The callbacks that there are, with their names."""
    return [(name, callback) for name, callback in callbacks.items() if callback is not None]


def _diverged(error, net, best, good, lr):
    """Give the network the last weights that were good, and say so."""
    epoch, n_good = len(net.history), (best and best.restore(net)) or good.restore(net)
    kept = f" The weights are those of epoch {n_good}." if n_good else ""
    message = (
        f"{error} in epoch {epoch}: the training diverged.{kept} Try a smaller lr (it is {lr:g}), and look for extreme "
        "pixel values."
    )
    return DivergedError(message, [_plain(row) for row in net.history[:n_good]])


def _state_of(net, best):
    """All that the rest of a training depends on, as plain arrays and numbers: a copy."""
    error, epoch, weights = best.best_ if best else (None, 0, None)
    state = {
        "weights": _map_leaves(_to_array, dict(net.module_.state_dict())),
        "optimizer": _remember(net.optimizer_),
        "random_stream": torch.get_rng_state().numpy(),
        "n_steps": net.n_steps_,
        "history": [_plain(row) for row in net.history],
        "best": best and (error, epoch, weights and _map_leaves(_to_array, dict(weights))),
        "is_over": False,
    }
    return deepcopy(state)  # an array of a tensor on the CPU changes with it


def _resume(net, state):
    """Put a net where another one was when its state was kept."""
    try:
        _put_back(net, state)
    except Exception as error:  # the state is from a file, and may hold anything
        raise ValueError(
            f"The state to go on from is none of this training ({type(error).__name__}: {error}); expected what the same "
            "training kept. Begin anew."
        ) from error


def _put_back(net, state):
    net.module_.load_state_dict(_map_leaves(_to_tensor, state["weights"]))
    _go_on(net.optimizer_, state["optimizer"])
    net.n_steps_ = state["n_steps"]
    for row in state["history"]:
        net.history.new_epoch()
        for name, value in row.items():
            net.history.record(name, value)
    if state["is_over"]:  # early, perhaps
        net.max_epochs = len(net.history)


def _remember(optimizer):
    """What an optimiser knows of each parameter and of itself, as plain arrays and numbers."""
    known = optimizer.state_dict()
    groups = [
        {name: value for name, value in group.items() if name not in optimizer.defaults and _is_number(value)}
        for group in known["param_groups"]
    ]
    return {"kind": _kind(optimizer), "state": _map_leaves(_to_array, known["state"]), "groups": groups}


def _go_on(optimizer, saved):
    """Give an optimiser what another of its kind remembered; the learning rate and its kin are those of today."""
    if saved is None or saved["kind"] != _kind(optimizer):
        return
    known = optimizer.state_dict()
    groups = [{**group, **old} for group, old in zip(known["param_groups"], saved["groups"], strict=True)]
    optimizer.load_state_dict({"state": _map_leaves(_to_tensor, saved["state"]), "param_groups": groups})


def _kind(optimizer):
    """Class and switches of an optimiser, which decide what it remembers."""
    switches = sorted(name for name, value in optimizer.defaults.items() if value is True)
    return [f"{type(optimizer).__module__}.{type(optimizer).__qualname__}", *switches]


def _is_number(value):
    return isinstance(value, bool | int | float)


def _map_leaves(function, value):
    """Apply a function to whatever is no container."""
    if isinstance(value, dict):
        return {name: _map_leaves(function, part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_map_leaves(function, part) for part in value]
    return function(value)


def _to_array(value):
    if not isinstance(value, torch.Tensor):
        return value
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy(force=True)


def _to_tensor(value):
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value


def _raised_in(exception):
    """Name of the module that raised an exception."""
    traceback = exception.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_globals.get("__name__", "")


def _check_alive(network, crops, device):
    """Refuse a network that the last step has ruined: no loss was computed after it."""
    # The crop is drawn beside the stream of random numbers, which another run may go on with.
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        density = network.eval()(crops[0][0].to(device))
    if not torch.isfinite(density).all():
        raise FloatingPointError("The densities are not finite after the last step")


def _override(params, net_params):
    """Replace parameters by the user's."""
    net_params = net_params or {}
    unnamed = [name for name in net_params if not isinstance(name, str)]
    if unnamed:
        raise ValueError(f"net_params holds the keys {unnamed}; expected names of skorch's parameters.")
    taken = sorted(_OURS & set(net_params))
    if taken:
        raise ValueError(
            f"net_params holds {taken}, which the regressor sets; pass what has a parameter of its own as that parameter."
        )
    return {**params, **net_params}


def _to(value, device):
    """Move a tensor, or each of a list, to a device."""
    return [part.to(device) for part in value] if isinstance(value, list) else value.to(device)


def _count_mae(density, batch):
    """Mean absolute error of the counts of a batch of crops, where its loss looks."""
    mask, target = batch["mask"], batch["target"]
    counts = (density * mask).sum(dim=(1, 2, 3))
    true = target if target.ndim == 1 else (target * mask).sum(dim=(1, 2, 3))
    return (counts - true).abs().mean().item()


def _plain(row):
    """Keep the plain numbers of a row of skorch's history."""
    names = ("train_loss", "count_mae", "valid_count_mae", "dur")
    return {"epoch": row["epoch"], **{name: float(row[name]) for name in names if name in row}}
