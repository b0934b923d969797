"""Published splits by name, so that users need not type frame numbers.

Published numbers start at 1; indices are positions in the loaded data and start at 0.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_random_state

__all__ = ["Split", "TrainTestIndices", "format_numbers", "parse_numbers"]


@dataclass(frozen=True)
class Split:
    """A published split, by the numbers of its images."""

    train: Sequence[int]  # or the images from which the training images are drawn
    test: Sequence[int] | None = None  # None: the images that were not drawn
    n_train: tuple[
        int, ...
    ] = ()  # allowed numbers of drawn images, the usual one first; empty: nothing is drawn


class TrainTestIndices:
    """The published splits of a data set, called with the name of a split."""

    def __init__(self, splits, numbers):
        self.splits = splits
        self.numbers = np.asarray(numbers)

    def __call__(self, protocol, *, n_train=None, random_state=None, allow_missing=False):
        """Return the indices of the training images and of the test images of a published split, ascending.

        `n_train` and `random_state` are for protocols that draw the training images. By default, the usual number of
        images is drawn, differently in each call. `allow_missing` leaves out images that the protocol needs but that
        were not loaded; the results are then not those of the protocol.
        """
        if protocol not in self.splits:
            raise ValueError(f"`protocol` must be one of {_listed(self.splits)}; got {protocol!r}.")
        split = self.splits[protocol]
        if split.n_train:
            train, test = _draw(protocol, split, n_train, random_state)
        elif n_train is not None or random_state is not None:
            raise ValueError(
                f"The protocol {protocol!r} draws nothing: its images are fixed. Leave out `n_train` and `random_state`."
            )
        else:
            train, test = np.array(split.train), np.array(split.test)
        if not allow_missing:
            self._check_missing(protocol, train, test)
        found = [np.flatnonzero(np.isin(self.numbers, side)) for side in (train, test)]
        if not all(map(len, found)):
            raise ValueError(
                f"The protocol {protocol!r} needs at least one training image and one test image; got {len(found[0])} "
                f"and {len(found[1])}. {self._loaded()}"
            )
        return tuple(found)

    def __repr__(self):
        return f"{type(self).__name__}({_listed(self.splits)})"

    def _check_missing(self, protocol, train, test):
        missing = [np.setdiff1d(side, self.numbers) for side in (train, test)]
        if any(map(len, missing)):
            raise ValueError(
                f"The protocol {protocol!r} needs images that were not loaded: for training "
                f"{format_numbers(missing[0]) or 'none'}, for testing {format_numbers(missing[1]) or 'none'}. "
                f"{self._loaded()} Load an archive that holds them all, or leave them out with `allow_missing=True`; the "
                "results are then not comparable with published ones."
            )

    def _loaded(self):
        return f"Loaded images: {format_numbers(self.numbers)}."


def _draw(protocol, split, n_train, random_state):
    n_train = split.n_train[0] if n_train is None else n_train
    if n_train not in split.n_train:
        raise ValueError(
            f"`n_train` must be one of {_listed(split.n_train)} for the protocol {protocol!r}; got {n_train!r}."
        )
    train = check_random_state(random_state).permutation(split.train)[:n_train]
    return train, np.setdiff1d(split.train, train) if split.test is None else np.array(split.test)


def _listed(names):
    return ", ".join(map(repr, sorted(names)))


def format_numbers(numbers):
    """Return whole numbers as ascending ranges, such as "1-3, 7"."""
    numbers = np.unique(np.asarray(numbers, dtype=np.int64))
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(f"{r[0]}-{r[-1]}" if len(r) > 1 else f"{r[0]}" for r in runs if len(r))


def parse_numbers(text):
    """Return the numbers that `format_numbers` wrote, ndarray of int64."""
    runs = [(int(first), int(last or first)) for first, last in re.findall(r"(\d+)(?:-(\d+))?", text)]
    return np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(a, b + 1) for a, b in runs)])
