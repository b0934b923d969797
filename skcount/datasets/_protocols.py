"""Published splits by name, so that nobody types frame numbers: `TrainTestIndices` over a table of `Split`.

Numbers are those of the publications and count from 1; indices are positions in the loaded data and count from 0.

>>> splits = {"halves": Split(train=range(1, 4), test=range(4, 7)), "draw": Split(train=range(1, 7), n_train=(2,))}
>>> train_test_indices = TrainTestIndices(splits, numbers=[1, 2, 3, 4, 5, 6])
>>> train_test_indices("halves")
(array([0, 1, 2]), array([3, 4, 5]))
>>> train_test_indices("draw", random_state=0)
(array([2, 5]), array([0, 1, 3, 4]))
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Split", "TrainTestIndices", "format_numbers", "parse_numbers"]


@dataclass(frozen=True)
class Split:
    """A published split.

    Parameters
    ----------
    train : sequence of int
        Numbers of the images for training, or of the pool from which they are drawn.
    test : sequence of int or None, default=None
        Numbers of the test images; None: what the draw leaves of the pool.
    n_train : tuple of int, default=()
        How many may be drawn for training, the usual number first; empty where nothing is drawn.
    """

    train: Sequence[int]
    test: Sequence[int] | None = None
    n_train: tuple[int, ...] = ()


class TrainTestIndices:
    """The published splits of a data set: call it with the name of one.

    Parameters
    ----------
    splits : dict of str to Split
        The splits by name.
    numbers : array-like of shape (n_images,)
        The published number of each image that was loaded.
    """

    def __init__(self, splits, numbers):
        self.splits = splits
        self.numbers = np.asarray(numbers)

    def __call__(self, protocol, *, n_train=None, random_state=None, allow_missing=False):
        """Return the indices of the images for training and of those for testing.

        Parameters
        ----------
        protocol : str
            Name of a split; the data set's DESCR says which there are.
        n_train : int or None, default=None
            How many images are drawn for training, where the protocol draws. None: its usual number.
        random_state : int, RandomState instance or None, default=None
            What decides the draw. Pass an int for a draw that can be repeated.
        allow_missing : bool, default=False
            Whether to leave out images that the protocol needs and the loaded data lack. Results on what is left
            are not those of the protocol.

        Returns
        -------
        train, test : ndarray of shape (n_train,) and (n_test,), int64
            Ascending indices into the images and points.

        Raises
        ------
        ValueError
            If there is no such protocol, if `n_train` or `random_state` is given and nothing is drawn, or if images
            are missing and that is not allowed, or one side would be empty.
        """
        if protocol not in self.splits:
            raise ValueError(f"protocol={protocol!r}; expected one of {_listed(self.splits)}.")
        split = self.splits[protocol]
        if split.n_train:
            train, test = _draw(protocol, split, n_train, random_state)
        elif n_train is not None or random_state is not None:
            raise ValueError(
                f"The protocol {protocol!r} draws nothing: its images are fixed. Leave out n_train and random_state."
            )
        else:
            train, test = np.array(split.train), np.array(split.test)
        if not allow_missing:
            self._check_missing(protocol, train, test)
        found = [np.flatnonzero(np.isin(self.numbers, side)) for side in (train, test)]
        if not all(map(len, found)):
            raise ValueError(
                f"Of the images of the protocol {protocol!r}, {len(found[0])} for training and {len(found[1])} for "
                f"testing are here; expected at least one of each. {self._here()}"
            )
        return tuple(found)

    def __repr__(self):
        return f"{type(self).__name__}({_listed(self.splits)})"

    def _check_missing(self, protocol, train, test):
        missing = [np.setdiff1d(side, self.numbers) for side in (train, test)]
        if any(map(len, missing)):
            raise ValueError(
                f"The protocol {protocol!r} needs images that the loaded data lack: for training "
                f"{format_numbers(missing[0]) or 'none'}, for testing {format_numbers(missing[1]) or 'none'}. "
                f"{self._here()} Load an archive that holds them all; allow_missing=True leaves them out, and what is "
                "measured then is not comparable with published results."
            )

    def _here(self):
        return f"Loaded are {format_numbers(self.numbers)}."


def _draw(protocol, split, n_train, random_state):
    from sklearn.utils import check_random_state

    n_train = split.n_train[0] if n_train is None else n_train
    if n_train not in split.n_train:
        raise ValueError(f"n_train={n_train!r}; the protocol {protocol!r} draws {_listed(split.n_train)}.")
    train = check_random_state(random_state).permutation(split.train)[:n_train]
    return train, np.setdiff1d(split.train, train) if split.test is None else np.array(split.test)


def _listed(names):
    return ", ".join(map(repr, sorted(names)))


def format_numbers(numbers):
    """Write numbers as ranges.

    Parameters
    ----------
    numbers : array-like of int
        Whole numbers, not negative.

    Returns
    -------
    str
        Ascending ranges.

    Examples
    --------
    >>> format_numbers([1, 2, 3, 7, 9, 10])
    '1-3, 7, 9-10'
    """
    numbers = np.unique(np.asarray(numbers, dtype=np.int64))
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(f"{r[0]}-{r[-1]}" if len(r) > 1 else f"{r[0]}" for r in runs if len(r))


def parse_numbers(text):
    """Read what `format_numbers` wrote.

    Parameters
    ----------
    text : str
        Ranges.

    Returns
    -------
    ndarray of int64
        The numbers, ascending.

    Examples
    --------
    >>> parse_numbers("1-3, 7")
    array([1, 2, 3, 7])
    """
    runs = [(int(first), int(last or first)) for first, last in re.findall(r"(\d+)(?:-(\d+))?", text)]
    return np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(a, b + 1) for a, b in runs)])
