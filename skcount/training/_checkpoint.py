"""Checkpoints: the whole state of a training in a file, so that a killed fit continues where it stopped."""

import os
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from numbers import Integral

import numpy as np
import torch
from filelock import FileLock, Timeout
from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from xxhash import xxh3_128

import skcount
from skcount._files import check_target
from skcount._plain_file import NotPlainError, encode, read, write
from skcount.images import bands

KIND = "checkpoint"
# Parameters that do not change what is learnt.
IRRELEVANT = ("verbose", "random_state")
CONSTRAINTS = {
    "checkpoint": [str, os.PathLike],
    "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
}


class Checkpoint:
    """The file in which a fit stores its state every few epochs."""

    def __init__(self, path, every):
        self.path = path
        self.every = every
        self.about = self.begun = self.state = self.seed = None
        if os.path.lexists(path):
            tree = read(path, KIND)
            self._check_tree(tree)
            self.begun, self.state = tree["about"], tree["state"]
            self.seed = self.begun["seed"]

    def _check_tree(self, tree):
        """Reject a file of another version, or one whose digest is correct but whose parts are missing."""
        about = tree.get("about") if isinstance(tree, dict) else None
        parts = {"skcount": str, "class": str, "params": dict, "data": dict, "seed": int}
        if not (
            isinstance(about, dict)
            and all(isinstance(about.get(name), kind) for name, kind in parts.items())
            and "start" in about
            and isinstance(tree.get("state"), dict)
        ):
            raise ValueError(f"{self.path} does not hold the state of a training. {self._remedy()}")
        if about["skcount"] != skcount.__version__:
            raise ValueError(
                f"The checkpoint {self.path} was written by skcount {about['skcount']}, but this is "
                f"{skcount.__version__}, which may train differently. {self._remedy()}"
            )

    def compare(self, about):
        """Check that the data and parameters are those with which the fit began."""
        self.about = {"skcount": skcount.__version__, **about}
        begun = self.begun or self.about
        for name, value in self.about["params"].items():
            if begun["params"].get(name) != value:
                self._refuse(f"{name}={begun['params'].get(name)}; this one has {name}={value}")
        for name, value in self.about["data"].items():
            if begun["data"].get(name) != value:
                self._refuse(f"other {name}")
        for name, what in (("class", "class"), ("start", "state before the fit"), ("seed", "random_state")):
            if begun[name] != self.about[name]:
                self._refuse(f"another {what}")

    def _refuse(self, difference):
        raise ValueError(f"The checkpoint {self.path} belongs to a fit with {difference}. {self._remedy()}")

    def write(self, state):
        """Replace the file with one that holds a later state, of plain arrays and numbers."""
        try:
            write(self.path, {"about": self.about, "state": state}, KIND)
        except NotPlainError as error:
            raise ValueError(
                f"The state of this training cannot be kept in a checkpoint ({error}): the optimizer must keep only "
                "numbers and arrays. Fit without `checkpoint`."
            ) from error

    def _remedy(self):
        return "Name another file (every fit of a search needs its own), or remove this one to begin again."


@contextmanager
def open_checkpoint(path, every):
    """Yield the checkpoint of a fit, locked against other fits inside the block."""
    validate_parameter_constraints(CONSTRAINTS, {"checkpoint": path, "checkpoint_every": every}, "fit")
    path = check_target(path)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RuntimeError(
            f"Another fit is writing the checkpoint {path}. Wait for it, or name another file: every fit needs its own."
        ) from error
    with lock:
        lock.release()  # `with` acquires it a second time
        yield Checkpoint(path, every)


def describe(name, params, data, start):
    """Return the class, parameters and data of a fit, and the arrays that it starts from, as plain values and digests.

    `data` has images, target, weights, validation and seed.
    """
    validation = data.validation
    sets = [(data.images, data.dtype)] + ([(validation.images, data.dtype)] if validation else [])
    counts, weights = (validation.counts, validation.weights) if validation else ((), ())
    return {
        "class": name,
        "params": {key: _text(value) for key, value in params.items() if key not in IRRELEVANT},
        "seed": data.seed,
        "start": start and _digest(v.numpy(force=True) if torch.is_tensor(v) else v for v in start),
        "data": {
            "images": [_digest(_pixels(*each)) for each in sets],
            "regions of interest or perspective maps": [_digest(_side_maps(images)) for images, _ in sets],
            "points, maps or counts": [_digest(data.target.arrays()), _digest([counts])],
            "sample weights": [_digest([data.weights]), _digest([weights])],
        },
    }


def _text(value):
    """Return a parameter as text that is the same in another process; objects and functions by the name of their class."""
    if isinstance(value, list | tuple):
        return [_text(part) for part in value]
    if isinstance(value, dict):
        return {str(name): _text(part) for name, part in value.items()}
    if isinstance(value, partial):
        return [_text(value.func), _text(value.args), _text(value.keywords)]
    try:
        arrays = {}
        plain = encode(value, arrays)
        return repr(plain) + (_digest(arrays.values()) if arrays else "")
    except NotPlainError:
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}.{named.__qualname__}"


def _digest(arrays):
    """Return a digest of arrays with their shapes and dtypes."""
    digest = xxh3_128()
    for array in map(np.asarray, arrays):
        digest.update(f"{array.shape} {array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _pixels(images, dtype):
    for index in range(len(images)):
        yield np.array(images.sizes[index])
        for _, pixels in bands(images, index, dtype):
            yield pixels


def _side_maps(images):
    for index in range(len(images)):
        yield from (np.zeros(0) if value is None else value for value in images.side_data(index).values())


def state_of(net, best):
    """Return a copy of everything on which the rest of a training depends, as plain arrays and numbers.

    `best` is the (error, epoch, weights) of the best epoch on validation images, or None.
    """
    state = {
        "weights": _map_leaves(_to_array, dict(net.module_.state_dict())),
        "optimizer": optimizer_state(net.optimizer_),
        "random_stream": torch.get_rng_state().numpy(),
        "n_steps": net.n_steps_,
        "history": net.plain_history(),
        "best": best and (best[0], best[1], best[2] and _map_leaves(_to_array, dict(best[2]))),
        "is_over": False,
    }
    return deepcopy(state)  # an array of a tensor on the CPU shares its memory


def resume(net, state):
    """Restore a stored state in a net; return the best epoch of that state."""
    try:
        net.module_.load_state_dict(_map_leaves(_to_tensor, state["weights"]))
        restore_optimizer(net.optimizer_, state["optimizer"])
        net.n_steps_ = state["n_steps"]
        for row in state["history"]:
            net.history.new_epoch()
            for name, value in row.items():
                net.history.record(name, value)
        if state["is_over"]:  # perhaps by early stopping
            net.max_epochs = len(net.history)
        return _map_leaves(_to_tensor, state["best"])
    except Exception as error:  # the state comes from a file, and may hold anything
        raise ValueError(
            f"The checkpoint does not hold a state of this training ({type(error).__name__}: {error}). Begin again."
        ) from error


def optimizer_state(optimizer):
    """Return the state of an optimizer, for each parameter and overall, as plain arrays and numbers."""
    known = optimizer.state_dict()
    groups = [
        {
            name: value
            for name, value in group.items()
            if name not in optimizer.defaults and isinstance(value, bool | int | float)
        }
        for group in known["param_groups"]
    ]
    return {"kind": _kind(optimizer), "state": _map_leaves(_to_array, known["state"]), "groups": groups}


def restore_optimizer(optimizer, saved):
    """Restore the state of another optimizer of the same kind; keep the current learning rate and similar settings."""
    if saved is None or saved["kind"] != _kind(optimizer):
        return
    known = optimizer.state_dict()
    groups = [{**group, **old} for group, old in zip(known["param_groups"], saved["groups"], strict=True)]
    optimizer.load_state_dict({"state": _map_leaves(_to_tensor, saved["state"]), "param_groups": groups})


def _kind(optimizer):
    """Return the class and the switches of an optimizer, which determine what its state contains."""
    switches = sorted(name for name, value in optimizer.defaults.items() if value is True)
    return [f"{type(optimizer).__module__}.{type(optimizer).__qualname__}", *switches]


def _map_leaves(function, value):
    """Apply a function to every value that is not a container."""
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
