"""What the checks train on."""

import os
import tempfile
from contextlib import contextmanager
from functools import cache

import joblib
import numpy as np
from sklearn.base import clone

from skcount.datasets import make_cells

IMAGE_SHAPE = (24, 24)
N_IMAGES = 6


def images_and_points():
    """Six small colour images of cells, of which one has none; copies, for a check may write to them."""
    X, points = _made()
    return X.copy(), points


@cache
def _made():
    X, points = make_cells(
        N_IMAGES, image_shape=IMAGE_SHAPE, n_cells=(1, 6), radius=3, random_state=0, return_X_y=True
    )
    empty, none = make_cells(1, image_shape=IMAGE_SHAPE, n_cells=0, random_state=1, return_X_y=True)
    X[0] = empty[0]
    return X, none + points[1:]


def ready(estimator, random_state=0):
    """A clone that trains the same way each time."""
    estimator = clone(estimator)
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=random_state)
    return estimator


@contextmanager
def memory_mapped(value):
    """The same value with its arrays read-only in a file, as joblib hands large arrays to its workers."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "value.joblib")
        joblib.dump(value, path)
        mapped = joblib.load(path, mmap_mode="r")
        try:
            yield mapped
        finally:
            del mapped


@contextmanager
def refused(what, *words, error=ValueError):
    """Expect an error, whose message holds one of the words where any are given."""
    try:
        yield
    except error as raised:
        message = str(raised).lower()
        if words and not any(word in message for word in words):
            raise AssertionError(
                f"The error about {what} says {str(raised)!r}, which mentions none of {words}."
            ) from raised
    else:
        raise AssertionError(f"{what} raised nothing; expected a {error.__name__}.")


def assert_same_counts(one, other, what, atol=1e-7):
    """Compare counts."""
    np.testing.assert_allclose(one, other, rtol=1e-7, atol=atol, err_msg=what)


class NotAnArray:
    """Has `__array__` and is nothing else."""

    def __init__(self, data):
        self.data = np.asarray(data)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.data, dtype=dtype)

    def __array_function__(self, func, types, args, kwargs):
        raise TypeError(f"Don't want to call array_function {func.__name__}!")
