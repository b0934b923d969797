"""Fits that go on where they were killed."""

import os
from contextlib import contextmanager
from numbers import Integral

import numpy as np
import torch
from filelock import FileLock, Timeout
from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from xxhash import xxh3_128

import skcount
from skcount._files import check_target
from skcount.regressors._file import NotPlainError, encode, read, write

KIND = "checkpoint"
# Parameters that do not decide what is learnt.
FREE = ("verbose", "random_state", "out_of_range")
CONSTRAINTS = {
    "checkpoint": [str, os.PathLike, None],
    "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
}


class Checkpoint:
    """The file that a fit keeps its state in, every few epochs.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    every : int
        How many epochs there are between two writes.

    Raises
    ------
    ValueError
        If there is a file that is no checkpoint of this version of skcount's, or a damaged one.
    """

    def __init__(self, path, every):
        self.path = path
        self.every = every
        self.about = None
        self.tree = read(path, KIND) if os.path.lexists(path) else None
        if self.tree is not None:
            self._check_parts()

    def _check_parts(self):
        """Refuse a file of another version, or one whose digest is right and whose parts are not there."""
        about = self.tree.get("about") if isinstance(self.tree, dict) else None
        parts = {"skcount": str, "class": str, "params": dict, "data": dict, "seed": int}
        if not (
            isinstance(about, dict)
            and all(isinstance(about.get(name), kind) for name, kind in parts.items())
            and "start" in about
            and isinstance(self.tree.get("state"), dict)
        ):
            raise ValueError(f"{self.path} holds no state of a training. {self._remedy()}")
        if about["skcount"] != skcount.__version__:
            raise ValueError(
                f"The checkpoint {self.path} was written by skcount {about['skcount']}, and this is {skcount.__version__}, "
                f"which may train otherwise; expected the same. {self._remedy()}"
            )

    @property
    def state(self):
        """Where the training is to go on, or None where it begins."""
        return self.tree and self.tree["state"]

    @property
    def seed(self):
        """The seed of the fit that was begun, or None."""
        return self.tree and self.tree["about"]["seed"]

    def compare(self, about):
        """Refuse to go on with other data or parameters than those that the fit was begun with.

        Parameters
        ----------
        about : dict
            What `describe` returned of the fit that is to go on.

        Raises
        ------
        ValueError
            If anything is not as it was.
        """
        self.about = {"skcount": skcount.__version__, **about}
        begun = self.about if self.tree is None else self.tree["about"]
        for part in ("data", "params"):
            for name, value in self.about[part].items():
                if begun[part].get(name) != value:
                    what = f"other {name}" if part == "data" else f"{name}={begun[part].get(name)}"
                    now = "" if part == "data" else f" and this one has {name}={value}"
                    raise ValueError(
                        f"The checkpoint {self.path} belongs to a fit with {what}{now}; expected the same. {self._remedy()}"
                    )
        for name, what in (("class", "class"), ("start", "state before the fit"), ("seed", "random_state")):
            if begun[name] != self.about[name]:
                raise ValueError(
                    f"The checkpoint {self.path} belongs to a fit with another {what}; expected the same. {self._remedy()}"
                )

    def write(self, state):
        """Replace the file by one of a later state.

        Parameters
        ----------
        state : dict
            Plain arrays and numbers.

        Raises
        ------
        ValueError
            If there is more in it than that.
        """
        try:
            write(self.path, {"about": self.about, "state": state}, KIND)
        except NotPlainError as error:
            raise ValueError(
                f"The state of this training cannot be kept in a checkpoint ({error}); expected an optimiser that keeps "
                "numbers and arrays. Fit without checkpoint."
            ) from error

    def _remedy(self):
        return "Name another file (every fit of a search needs its own), or remove this one to begin anew."


@contextmanager
def checkpointing(path, every):
    """Hold the checkpoint of a fit, alone.

    Parameters
    ----------
    path : str, path-like or None
        The file; None for none.
    every : int
        How many epochs there are between two writes.

    Yields
    ------
    Checkpoint or None
        None where there is no path.

    Raises
    ------
    ValueError
        If the file cannot be gone on with.
    RuntimeError
        If another fit holds it.
    """
    validate_parameter_constraints(CONSTRAINTS, {"checkpoint": path, "checkpoint_every": every}, "fit")
    if path is None:
        yield None
        return
    path = check_target(path)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RuntimeError(
            f"Another fit is writing the checkpoint {path}; expected a file for each. Wait for it, or name another file."
        ) from error
    with lock:
        lock.release()  # `with` holds it a second time
        yield Checkpoint(path, every)


def describe(regressor, seed, images, target, weights, held_out, fresh):
    """Say in a few words and digests what a fit depends on.

    Parameters
    ----------
    regressor : regressor
        What is being fitted.
    seed : int
        Its seed.
    images, target, weights : Images, target of the training, ndarray of shape (n_images,)
        What it learns from.
    held_out : tuple or None
        Images, counts and weights that are held out.
    fresh : bool
        Whether it begins anew, or goes on with a network.

    Returns
    -------
    dict
        Plain values.
    """
    held_images, held_counts, held_weights = held_out or ((), (), ())
    start = None if fresh else [*regressor.module_.state_dict().values(), regressor._random_stream]
    return {
        "class": type(regressor).__name__,
        "params": {name: _shown(value) for name, value in regressor.get_params().items() if name not in FREE},
        "seed": seed,
        "start": start
        and _digest(value.numpy(force=True) if torch.is_tensor(value) else value for value in start),
        "data": {
            "images": [_digest(_pixels(part)) for part in (images, held_images)],
            "regions of interest or perspective maps": [
                _digest(_belongings(part)) for part in (images, held_images)
            ],
            "points, maps or counts": [_digest(target.arrays()), _digest([held_counts])],
            "sample weights": [_digest([weights]), _digest([held_weights])],
        },
    }


def _shown(value):
    """A parameter as text that is the same in another process: objects and functions by the names of their classes."""
    if isinstance(value, list | tuple):
        return [_shown(part) for part in value]
    if isinstance(value, dict):
        return {str(name): _shown(part) for name, part in value.items()}
    try:
        arrays = {}
        plain = encode(value, arrays)
        return repr(plain) + (_digest(arrays.values()) if arrays else "")
    except NotPlainError:
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}.{named.__qualname__}"


def _digest(arrays):
    """A digest of some arrays, with their shapes and types."""
    digest = xxh3_128()
    for array in map(np.asarray, arrays):
        digest.update(f"{array.shape} {array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _pixels(images):
    for index in range(len(images)):
        yield np.array(images.shapes[index])
        yield from images.bands(index)


def _belongings(images):
    for index in range(len(images)):
        yield from (np.zeros(0) if value is None else value for value in images.belongings(index).values())
