"""What the checks train on."""

import os
import re
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
    names = (
        name for name in estimator.get_params() if name == "random_state" or name.endswith("__random_state")
    )
    return estimator.set_params(**dict.fromkeys(names, random_state))


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
    """Expect an error, whose message matches one of some regular expressions, where any are given."""
    try:
        yield
    except error as raised:
        if words and not any(re.search(word, str(raised), re.IGNORECASE) for word in words):
            raise AssertionError(
                f"The error about {what} says {str(raised)!r}, which mentions none of {words}."
            ) from raised
    else:
        raise AssertionError(f"{what} raised nothing; expected a {getattr(error, '__name__', 'ValueError')}.")


def badly_typed(name, estimator):
    """For each parameter with a constraint: a value of a wrong type, by its name, and the error that is expected of it."""
    bad = type("BadType", (), {"__repr__": lambda _: "a bad type"})()
    for parameter, constraint in getattr(estimator, "_parameter_constraints", {}).items():
        if not isinstance(constraint, str):  # "no_validation"
            yield {parameter: bad}, refused(f"{name}({parameter}={bad})", f"'{parameter}' parameter")


def assert_same_counts(one, other, what):
    """Compare counts: to seven digits, or to the four that batches of single precision keep."""
    tolerance = 1e-7 if np.asarray(one).dtype == np.float64 else 1e-4
    np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance, err_msg=what)


# What a message about a value that is not finite says.
NOT_FINITE = r"\bnan\b", r"\binf", "finite"


class NotAnArray:
    """Has `__array__` and is nothing else."""

    def __init__(self, data):
        self.data = np.asarray(data)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.data, dtype=dtype)

    def __array_function__(self, func, types, args, kwargs):
        raise TypeError(f"Don't want to call array_function {func.__name__}!")
