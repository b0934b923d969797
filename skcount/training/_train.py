"""Train a network according to a plan, with its own random numbers; all decisions are made before."""

import os
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from threading import RLock

import numpy as np
import torch
from sklearn.utils import check_random_state
from skorch.callbacks import PassthroughScoring
from torch import nn
from xxhash import xxh3_64_intdigest

from skcount.images import ImageSet
from skcount.inference import Predictor, refuse_out_of_memory
from skcount.points import weighted_mean
from skcount.training._blank import BlankPenalty
from skcount.training._checkpoint import (
    Checkpoint,
    optimizer_state,
    restore_optimizer,
    resume,
    state_of,
)
from skcount.training._crops import Crops
from skcount.training._muon import Muon
from skcount.training._net import CountingNet, EndEpoch, KeepBest, KeepGood, KeepOnDisk, Schedule, TaskTree
from skcount.training._session import Progress

# Fraction of the steps after which the statistics of batch normalisations are frozen.
FREEZE_AFTER = 0.9
# Largest number of training images on which the final scale is fitted.
SCALE_IMAGES = 256
# If predicted over true counts are outside this range, training has not converged and rescaling would not help.
CONVERGED = 0.8, 1.25
# skorch's parameters that the regressor sets.
_OURS = {
    "module",
    "criterion",
    "penalty",
    "n_steps",
    "prediction",
    "max_epochs",
    "lr",
    "batch_size",
    "device",
    "verbose",
    "callbacks",
}

# Held by the thread that draws, because torch has one state for all threads of a process.
_drawing = RLock()


@dataclass
class Validation:
    """Images to validate on, with their counts and weights."""

    images: object
    counts: np.ndarray
    weights: np.ndarray

    def error(self, module, prediction):
        """Return the mean absolute error of the counts that a module predicts with its current weights."""
        predicted = Predictor(module, **prediction).counts(self.images)
        return weighted_mean(np.abs(predicted - self.counts), self.weights)


@dataclass
class Plan:
    """Everything that a training needs.

    Parameters
    ----------
    module : DensityNetwork
        The network; it is trained in place.
    images : ImageSet
        The training images, in their own size.
    crops : Crops
        The training data, at the working size.
    loss : CountingLoss
        Compares densities with a batch of `crops`.
    n_epochs : int
        Number of epochs.
    n_steps : int
        Number of steps, which may end within the last epoch.
    lr : float
        Largest learning rate.
    batch_size : int
        Crops per step, at most as many as there are.
    device : str or torch.device
        Device to compute on.
    one_cycle : bool
        Whether the learning rate follows one cycle, the statistics of batch normalisations are frozen towards its end,
        and the maps are rescaled after it. If not, all three stay unchanged, and the optimizer's state is returned.
    prediction : dict
        Parameters of the Predictor that validates and rescales.
    penalty : BlankPenalty or None
        Penalty added to the loss of each step.
    validation : Validation or None
        Validation set. The network ends with the weights of the epoch that has the smallest error on it.
    patience : int or None
        Epochs without a smaller error after which training ends.
    optimizer_state : dict or None
        State of the optimizer of an earlier run, to continue from.
    checkpoint : Checkpoint or None
        File in which the state is stored.
    tasks : TaskTree or None
        The fit as scikit-learn's callbacks see it.
    freeze_after : float
        Fraction of the steps after which the statistics of batch normalisations are frozen.
    callbacks : list
        The user's skorch callbacks.
    net_params : dict
        The user's parameters for skorch's NeuralNet, which override ours.
    verbose : int
        1 shows the progress, 2 prints a line per epoch.
    """

    module: nn.Module
    images: ImageSet
    crops: Crops
    loss: nn.Module
    n_epochs: int
    n_steps: int
    lr: float
    batch_size: int
    device: object
    one_cycle: bool
    prediction: dict
    penalty: BlankPenalty | None = None
    validation: Validation | None = None
    patience: int | None = None
    optimizer_state: dict | None = None
    checkpoint: Checkpoint | None = None
    tasks: TaskTree | None = None
    freeze_after: float = FREEZE_AFTER
    callbacks: list = field(default_factory=list)
    net_params: dict = field(default_factory=dict)
    verbose: int = 0

    @property
    def memory_subject(self):
        """Subject and remedy of the message about steps that do not fit in memory."""
        height, width = self.crops.patch_shape
        remedy = (
            "patch_size or batch_size"
            if self.crops.target.is_map
            else "batch_size, or points instead of counts"
        )
        return f"Steps of {self.batch_size} crops of {height} x {width} pixels", f"Use a smaller {remedy}."


@dataclass
class Result:
    """The results of a training besides the network.

    `history` has one row of plain numbers per epoch; `share` is the ratio of predicted to true counts of training
    images before rescaling, and `spread` that of their standard deviations; `diverged` is the error of a training that
    diverged after some good epochs, or None.
    """

    history: list
    share: float = 1.0
    spread: float = 1.0
    optimizer_state: dict | None = None
    random_stream: np.ndarray | None = None
    n_steps: int = 0
    diverged: Exception | None = None


def train(plan):
    """Train the network of a plan in place, and return the Result.

    Raises FloatingPointError if training diverges before the first good epoch, and ValueError if `net_params` contains
    parameters that are set elsewhere, or workers whose state cannot be stored.
    """
    best = plan.validation and KeepBest(
        lambda module: plan.validation.error(module, plan.prediction), plan.patience
    )
    good = KeepGood()
    progress = Progress(len(plan.images), round(float(np.sum(plan.crops.target.counts))))
    net = _make_net(plan, good, best, progress)
    if plan.optimizer_state is not None:
        restore_optimizer(net.optimizer_, plan.optimizer_state)
    if plan.checkpoint and plan.checkpoint.state is not None:
        start = resume(net, plan.checkpoint.state)
        if best and start:
            best.best_ = start
    diverged = None
    try:
        with nullcontext() if torch.device(plan.device).type != "cuda" else _reproducible():
            net.partial_fit(plan.crops, None)
        _check_finite(plan)
    except FloatingPointError as error:
        diverged = _restore(error, net, best, good, plan.lr)
    except RuntimeError as error:
        refuse_out_of_memory(error, *plan.memory_subject)
        raise
    finally:
        progress.close()
    result = Result(net.plain_history(), diverged=diverged)
    if plan.checkpoint and diverged is None:
        plan.checkpoint.write({**state_of(net, best and best.best_), "is_over": True})
    if not plan.one_cycle and diverged is None:
        result.optimizer_state = optimizer_state(net.optimizer_)
    if plan.one_cycle and plan.crops.target.is_map:
        result.share, result.spread = _rescale(plan)
    result.random_stream = random_stream()
    result.n_steps = getattr(plan.penalty, "step", 0)
    return result


def _make_net(plan, good, best, progress):
    """Return the skorch net of a plan, initialised."""
    callbacks = [("crop_count_mae", PassthroughScoring("crop_count_mae", on_train=True))]
    if plan.one_cycle:
        callbacks.append(("schedule", Schedule(plan.freeze_after)))
    callbacks.append(("keep_good", good))
    if best:
        callbacks.append(("keep_best", best))
    callbacks += plan.callbacks
    if plan.verbose == 1:
        callbacks.append(("progress", progress))
    callbacks.append(("end_epoch", EndEpoch(plan.tasks)))
    if plan.checkpoint:
        callbacks.append(("keep_on_disk", KeepOnDisk(plan.checkpoint, best)))
    params = {
        "module": plan.module,
        "criterion": plan.loss,
        "penalty": plan.penalty,
        "n_steps": plan.n_steps,
        "prediction": plan.prediction,
        "optimizer": Muon,
        "lr": plan.lr,
        "max_epochs": plan.n_epochs,
        "batch_size": plan.batch_size,
        "iterator_train__shuffle": True,
        "iterator_train__collate_fn": tuple,  # `Crops` itself collates a batch
        "iterator_valid__collate_fn": tuple,
        "train_split": None,
        "predict_nonlinearity": None,
        "device": plan.device,
        "verbose": int(plan.verbose > 1),
        "callbacks": callbacks,
        "callbacks__valid_loss": None,
    }
    net = CountingNet(**_override(params, plan.net_params, plan.checkpoint))
    net.initialize()
    return net


def _override(params, net_params, keeps_state):
    """Replace parameters with the user's."""
    for name in net_params:
        if not isinstance(name, str):
            raise ValueError(f"`net_params` must have names of skorch's parameters as keys; got {name!r}.")
    taken = sorted(_OURS & set(net_params))
    if taken:
        raise ValueError(f"`net_params` must not contain {taken}. Use the regressor's own parameters.")
    if keeps_state and net_params.get("iterator_train__persistent_workers"):
        raise ValueError(
            "`net_params` must not contain iterator_train__persistent_workers=True with a checkpoint: the random numbers of "
            "such workers cannot be kept."
        )
    return {**params, **net_params}


def _restore(error, net, best, good, lr):
    """Restore the last good weights and return the error with their epoch; raise the error if there are none."""
    epoch, n_good = len(net.history), (best and best.restore(net)) or good.restore(net)
    kept = f" The weights are those of epoch {n_good}." if n_good else ""
    diverged = FloatingPointError(
        f"{error} in epoch {epoch}: the training diverged.{kept} Try a smaller lr (it is {lr:g}), and look for extreme "
        "pixel values."
    )
    del net.history[n_good:]
    if not n_good:
        raise diverged from error
    diverged.__cause__ = error
    return diverged


def _reproducible():
    """Return a block in which a GPU computes the same gradients each time, at some cost of speed."""
    now = torch.backends.cudnn
    return now.flags(now.enabled, False, now.benchmark_limit, True, now.allow_tf32)


def _check_finite(plan):
    """Check that the last step has not made the densities infinite or NaN, because no loss was computed after it."""
    # The crop is drawn outside the stream of random numbers, from which another run may continue.
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        density = plan.module.eval()(plan.crops.__getitems__([0])[0].to(plan.device))
    if not torch.isfinite(density).all():
        raise FloatingPointError("The densities are not finite after the last step")


def _rescale(plan):
    """Scale the maps so that whole training images sum to their counts; return what was predicted before.

    Crops that cut through an image contain padding instead of the rest, and a whole image contains less padding, so its
    count has an error of a few percent, always in the same direction. One factor, fitted on whole images, removes it.

    Returns predicted over true counts, and the ratio of their standard deviations; each is 1 if it is not known.
    """
    target, weights = plan.crops.target, plan.crops.weights
    sample = np.unique(np.linspace(0, len(plan.images) - 1, SCALE_IMAGES).round().astype(int))
    true, weights = target.counts[sample], weights[sample]
    if not np.sum(weights * true) > 0:  # without objects, the error of the counts is not known
        return 1.0, 1.0
    predicted = Predictor(plan.module, **plan.prediction).counts(plan.images, sample)
    share = np.sum(weights * predicted) / np.sum(weights * true)
    if CONVERGED[0] < share < CONVERGED[1]:
        plan.module.output_scale /= share
    return share, np.std(predicted) / np.std(true) if np.std(true) > 0 else 1.0


def _renew():
    """Replace the lock in a forked process, because a thread of the parent may hold it."""
    global _drawing  # noqa: PLW0603 - a lock that no thread here holds cannot be released, only replaced
    _drawing = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@contextmanager
def own_randomness(start, device="cpu"):
    """Let torch draw from `start` inside the block, and restore its own random state afterwards.

    `start` is a seed, a RandomState or None, or what `random_stream` returned, to continue from there. All threads of a
    process share torch's state, so one of them trains at a time.
    """
    gpu = torch.device(device)
    gpus = [torch.cuda.current_device() if gpu.index is None else gpu.index] if gpu.type == "cuda" else []
    with _drawing, torch.random.fork_rng(devices=gpus):
        if isinstance(start, np.ndarray):
            torch.set_rng_state(torch.from_numpy(np.array(start)))
        else:
            torch.default_generator.manual_seed(check_random_state(start).randint(np.iinfo(np.int32).max))
        for index in gpus:
            with torch.cuda.device(index):
                torch.cuda.manual_seed(xxh3_64_intdigest(random_stream().tobytes()) >> 1)
        yield


def random_stream():
    """Return the state of torch's generator, ndarray of uint8."""
    return torch.get_rng_state().numpy()
