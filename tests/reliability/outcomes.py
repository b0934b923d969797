"""What the tests of bad input share: data that are right, calls that see that nothing is changed, and outcomes.

A message names the parameter and the value that came. Its wording is free: a case has words that must all be in it.
"""

import inspect
import re
from collections.abc import Callable
from copy import copy
from functools import cache, partial
from typing import Any, NamedTuple
from warnings import catch_warnings, simplefilter

import h5py
import numpy as np
import pytest
import torch

from skcount import (
    DensityMapRegressor,
    DensityMapTransformer,
    FCRNRegressor,
    OutOfDistributionWarning,
    PointAnnotations,
    UNetRegressor,
    metrics,
)

SHAPE = (12, 16)
IMAGES = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), dtype=np.uint8)
FLOATS = IMAGES.astype(np.float64)
COLOURS = np.random.default_rng(1).integers(0, 256, (3, *SHAPE, 3), dtype=np.uint8)
POINTS = [[(1, 2), (3.5, 4)], [], [(5, 14)]]
COUNTS = np.array([2.0, 0.0, 1.0])
TABLE = np.random.default_rng(2).random((6, 5))
ROI = np.arange(16) < np.full((12, 1), 8)
SCALES = np.linspace(1, 2, 12)[:, None] * np.ones(16)
MAPS = DensityMapTransformer(image_shape=SHAPE).transform(POINTS)
WEIGHTS = np.array([1.0, 2.0, 1.0])
ONE = "X[None]"  # the remedy for a single image without its sample axis

FIT_ARGUMENTS = {"sample_weight", "groups", "roi", "perspective"}
COMMON = {"max_epochs": 1, "random_state": 0}
TINY = {
    UNetRegressor: {"filters": 2, **COMMON},
    FCRNRegressor: COMMON,
    DensityMapRegressor: {"architecture_params": {"filters": 2}, **COMMON},
}


class Case(NamedTuple):
    """What is done, and what must come of it.

    An error or a warning, whose message must match all of `words`; or, if `outcome` is None, the answer `expected`. An
    error comes before any training starts. `act` may take an empty folder.
    """

    name: str
    act: Callable
    outcome: type | None
    words: tuple = ()
    expected: Any = None


def refused(name, act, *words, error=ValueError):
    return Case(name, act, error, words)


def warned(name, act, *words, category=UserWarning):
    return Case(name, act, category, words)


def right(name, act, expected):
    """The answer must be this, or what this function returns, exactly."""
    return Case(name, act, None, expected=expected)


# --- What the cases call. All of it sees that no argument is changed ---------------------------------------------


def frozen(value):
    """Return what an argument holds, to be compared."""
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.dtype, value.detach().clone().view(torch.uint8).numpy().tobytes()
    if isinstance(value, list | tuple):
        return [frozen(each) for each in value]
    return {name: frozen(each) for name, each in value.items()} if isinstance(value, dict) else repr(value)


def watched(function, *args, **kwargs):
    before = frozen([args, kwargs])
    try:
        return function(*args, **kwargs)
    finally:
        assert frozen([args, kwargs]) == before, "an argument was changed"


def learnt(regressor):
    """Return the names of what a fit leaves."""
    return {name for name in vars(regressor) if name.endswith("_") or name.startswith("_")}


@cache
def fitted_once(kind, colour):
    """Return a fitted regressor and its counts."""
    X = COLOURS if colour else IMAGES
    regressor = kind(**TINY[kind]).fit(X, POINTS)
    return regressor, regressor.predict(X)


def fitted(kind=UNetRegressor, colour=False):
    """Return a copy that shares what was learnt: whatever changes that is seen in all of them."""
    return copy(fitted_once(kind, colour)[0])


@cache
def of_table():
    return UNetRegressor(**TINY[UNetRegressor]).fit(TABLE, np.arange(6.0))


def prepare():
    """Fit what cases start from, which is no training of theirs."""
    for kind in TINY:
        fitted_once(kind, False)
    fitted_once(UNetRegressor, True), of_table()


def fit(X=IMAGES, y=POINTS, kind=UNetRegressor, method="fit", **given):
    """Fit with these parameters and arguments; if that fails nothing is learnt, and an earlier fit is as it was."""
    arguments = {name: given.pop(name) for name in FIT_ARGUMENTS & given.keys()}
    regressor = kind(**{**TINY[kind], **given})
    try:
        return watched(getattr(regressor, method), X, y, **arguments)
    except Exception as error:
        assert not learnt(regressor)
        assert not hasattr(regressor, "n_features_in_")
        leaves_the_earlier_fit(fitted(kind), given, partial(fit_again, method, X, y, arguments), type(error))
        raise


def fit_again(method, X, y, arguments, regressor):
    getattr(regressor, method)(X, y, **arguments)


def leaves_the_earlier_fit(regressor, given, act, error):
    """Check that an error leaves a fitted regressor as it was."""
    params, known = regressor.get_params(deep=False), learnt(regressor)
    with pytest.raises(error):
        act(regressor.set_params(**given))
    regressor.set_params(**params)
    assert learnt(regressor) == known
    np.testing.assert_array_equal(regressor.predict(IMAGES), fitted_once(type(regressor), False)[1])


partial_fit = partial(fit, method="partial_fit")


def predict(X=IMAGES, method="predict", colour=False, **arguments):
    return watched(getattr(fitted(colour=colour), method), X, **arguments)


def unlike(X, action="always"):
    """Count on images that may be unlike those of the training."""
    with catch_warnings():
        simplefilter(action, OutOfDistributionWarning)
        return fitted().predict(X)


def continue_with(X=IMAGES, y=POINTS, method="fit", **params):
    """Go on with a regressor that was fitted with `TINY`."""
    regressor = fitted().set_params(warm_start=True)
    leaves_the_earlier_fit(regressor, params, partial(fit_again, method, X, y, {}), ValueError)
    getattr(regressor.set_params(**params), method)(X, y)


def score(y=POINTS, X=IMAGES, **arguments):
    return watched(fitted().score, X, y, **arguments)


def counts_inside(points):
    return PointAnnotations(points).inside(SHAPE).counts


def transform(points=POINTS, image_shape=SHAPE, roi=None, perspective=None, **params):
    transformer = DensityMapTransformer(**params)
    return watched(transformer.transform, points, image_shape, roi=roi, perspective=perspective)


def invert(maps=MAPS, **arguments):
    return watched(DensityMapTransformer().inverse_transform, maps, **arguments)


def mae(y_true=COUNTS, y_pred=COUNTS, **arguments):
    return watched(metrics.count_mean_absolute_error, y_true, y_pred, **arguments)


def dataset(folder, images):
    """Return images that are still in an HDF5 file, which is left open."""
    return h5py.File(folder / "raw.h5", "w").create_dataset("images", data=images)


def put(array, where, value):
    """Return a copy of an array with a value at one place."""
    array = array.copy()
    array[where] = value
    return array


def locked(array):
    array = array.copy()
    array.setflags(write=False)
    return array


def objects(entries):
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    return array


def masked(array, where):
    array = np.ma.array(array)
    array[where] = np.ma.masked
    return array


def same(*args, **kwargs):
    """The answer must be that of `predict` with these arguments."""
    return partial(predict, *args, **kwargs)


def fit_own(architecture, **params):
    return fit(kind=DensityMapRegressor, architecture=architecture, architecture_params=params)


# --- What must come of a case ------------------------------------------------------------------------------------


def says(message, words):
    """Tell whether one of some words, which stand between bars, is in a message; a short one must stand alone."""
    for word in words.split("|"):
        pattern = rf"\b{word}\b" if len(word) <= 3 and word.isalnum() else re.escape(word)
        if re.search(pattern, message) or re.search(pattern, message.lower()):
            return True
    return False


def assert_says(message, all_words):
    assert [words for words in all_words if not says(message, words)] == [], message


def check(case, training, folder):
    """Do what a case does, and see that the right thing comes of it."""
    folder.mkdir()
    act = partial(case.act, folder) if "folder" in inspect.signature(case.act).parameters else case.act
    if case.outcome is None:
        expected = case.expected
        np.testing.assert_array_equal(act(), expected() if isinstance(expected, Callable) else expected)
    elif issubclass(case.outcome, Warning):
        with pytest.warns(case.outcome) as warnings:
            act()
        assert_says("\n".join(str(warning.message) for warning in warnings), case.words)
    else:
        with pytest.raises(case.outcome) as info:
            act()
        assert_says(str(info.value), case.words)
        assert not training


def each(*cases):
    """Parametrize a test by cases, each of which must be its own and have words."""
    assert len({case.name for case in cases}) == len({case.act for case in cases}) == len(cases)
    assert all(case.words for case in cases if case.outcome is not None)
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])
