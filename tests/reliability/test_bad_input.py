"""Bad and odd input at every public door: a clear error, a warning, or the right answer, and nothing left behind."""

import inspect
import re
from collections.abc import Callable
from copy import copy
from functools import cache, partial
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from PIL import Image
from sklearn.exceptions import DataConversionWarning, NotFittedError
from torch import nn

from skcount import (
    DensityMapRegressor,
    DensityMapTransformer,
    FCRNRegressor,
    ImageSet,
    PointAnnotations,
    UNetRegressor,
    density,
    metrics,
    networks,
)
from skcount.datasets import make_cells
from skcount.io import load_folder, load_hdf5, read_points, save_hdf5, save_points
from skcount.metrics import grid_average_mean_absolute_error as game
from skcount.plotting import DensityMapDisplay
from skcount.training._net import CountingNet

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

STRICT = DensityMapTransformer(outside="raise")

FIT_ARGUMENTS = {"sample_weight", "groups", "roi", "perspective"}
# Odd pixels are unlike those of the training, which has cases of its own.
COMMON = {"max_epochs": 1, "random_state": 0, "out_of_range": "ignore"}
TINY = {
    UNetRegressor: {"filters": 2, **COMMON},
    FCRNRegressor: COMMON,
    DensityMapRegressor: {"architecture_params": {"filters": 2}, **COMMON},
}


class Case(NamedTuple):
    """What is done, and what must come of it.

    An error or a warning, whose message must match `words`; or, where `outcome` is None, the answer `expected`. An error
    comes before any training starts. `act` may take an empty folder.
    """

    name: str
    act: Callable
    outcome: type | None
    words: str = ""
    expected: Any = None


def refused(name, act, words, error=ValueError):
    return Case(name, act, error, words)


def warned(name, act, words, category=UserWarning):
    return Case(name, act, category, words)


def right(name, act, expected):
    """The answer must be this, or what this function returns, exactly."""
    return Case(name, act, None, expected=expected)


# What the cases call. All of it sees that no argument is changed.


def frozen(value):
    """What an argument holds, to be compared."""
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
    """Names of what a fit leaves."""
    return {name for name in vars(regressor) if name.endswith("_") or name.startswith("_")}


@cache
def fitted_once(kind, colour):
    """A fitted regressor and its counts."""
    X = COLOURS if colour else IMAGES
    regressor = kind(**TINY[kind]).fit(X, POINTS)
    return regressor, regressor.predict(X)


def fitted(kind=UNetRegressor, colour=False):
    """A copy that shares what was learnt: whatever changes that is seen in all of them."""
    return copy(fitted_once(kind, colour)[0])


@cache
def of_table():
    return UNetRegressor(**TINY[UNetRegressor]).fit(TABLE, np.arange(6.0))


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


def unlike(X, action="warn", kind=UNetRegressor):
    """Count on images that may be unlike those of the training."""
    return fitted(kind).set_params(out_of_range=action).predict(X)


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


def continue_with(X=IMAGES, y=POINTS, method="fit", **params):
    """Go on with a regressor that was fitted with `TINY`."""
    regressor = fitted().set_params(warm_start=True)
    leaves_the_earlier_fit(regressor, params, partial(fit_again, method, X, y, {}), ValueError)
    getattr(regressor.set_params(**params), method)(X, y)


def score(y, X=IMAGES, **arguments):
    return watched(fitted().score, X, y, **arguments)


def counts_inside(points):
    return PointAnnotations(points).inside(SHAPE).counts


def transform(points=POINTS, image_shape=SHAPE, roi=None, perspective=None, **params):
    transformer = DensityMapTransformer(**params)
    return watched(transformer.transform, points, image_shape, roi=roi, perspective=perspective)


def invert(maps=MAPS, **arguments):
    return watched(DensityMapTransformer().inverse_transform, maps, **arguments)


def contents(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def write(function, path, *args, **kwargs):
    """Write a file; if that fails, nothing is left behind, and an older file of that name is as it was."""
    folder = path if path.is_dir() else path.parent
    if folder.is_dir() and not path.is_dir():
        path.write_bytes(b"older")
    before = contents(folder)
    try:
        watched(function, path, *args, **kwargs)
    finally:
        assert contents(folder) == before


def save(folder, images=IMAGES, points=POINTS, name="cells.h5", **arguments):
    write(save_hdf5, folder / name, images, points, **arguments)


def write_points(folder, points=POINTS, names=None, name="cells.csv", **arguments):
    write(save_points, folder / name, points, names, **arguments)


def load(folder, content, name="cells.h5"):
    """Load a file that holds these bytes."""
    (folder / name).write_bytes(content)
    return load_hdf5(folder / name)


def whole_file(folder):
    save_hdf5(folder / "whole.h5", IMAGES, POINTS)
    return (folder / "whole.h5").read_bytes()


def foreign_file(folder):
    with h5py.File(folder / "foreign.h5", "w") as file:
        file["images"] = IMAGES
    return (folder / "foreign.h5").read_bytes()


def read(folder, content, name="cells.csv", **arguments):
    """Read points from a file that holds this text, or these bytes."""
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return read_points(folder / name, **arguments).points


def pictures(folder, *arrays):
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(folder / f"{number}.png")
    return folder


def with_file(folder, name, content=b""):
    (folder / name).write_bytes(content)
    return folder


def annotated(folder, content, *arrays):
    """Pictures, and annotations for the first."""
    return with_file(pictures(folder, *arrays), "0.csv", content)


ROW, FAR = b"row,col\n1,2\n", b"row,col\n99,2\n"


def dataset(folder, images):
    """Images that are still in an HDF5 file, which is left open."""
    return h5py.File(folder / "raw.h5", "w").create_dataset("images", data=images)


def show(image=FLOATS[0], map_=MAPS[0], points=None, roi=None, **look):
    return DensityMapDisplay.from_predictions(image, map_, points, roi=roi, **look)


def put(array, where, value):
    """A copy of an array with a value at one place."""
    array = array.copy()
    array[where] = value
    return array


def locked(array):
    array = array.copy()
    array.setflags(write=False)
    return array


def objects(entries):
    """An array of objects."""
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


def parameter(kind=UNetRegressor, **given):
    """A parameter out of range or of a wrong type, which scikit-learn names with the value that came."""
    ((name, value),) = given.items()
    shown = type(value).__name__ if len(repr(value)) > 20 else repr(value)
    words = rf"The '{name}' parameter of {kind.__name__} must be .* Got {re.escape(repr(value)[:20])}"
    return refused(f"{kind.__name__}: {name}={shown}", lambda: fit(kind=kind, **given), words)


def fit_own(architecture, **params):
    return fit(kind=DensityMapRegressor, architecture=architecture, architecture_params=params)


# The table: one line a case where it fits, which the formatter is not to break.
# fmt: off

PIXELS = [
    refused("pixels: NaN in image 1", lambda: fit(put(FLOATS, (1, 3, 4), np.nan)),
            "Image 1 of X holds .*the first: nan at row 3, column 4, channel 0.*Fill them first"),
    refused("pixels: infinity in image 2", lambda: fit(put(FLOATS, (2, 3, 4), -np.inf)),
            "Image 2 of X holds .*the first: -inf at row 3, column 4, channel 0.*Fill them first"),
    refused("pixels: too large for float32", lambda: fit(put(FLOATS, (1, 0, 0), 1e300)),
            "Image 1 of X holds .*the first: inf at row 0, column 0, channel 0.*Fill them first"),
    refused("pixels: too large for float32 in a prediction", lambda: predict(FLOATS * 1e300),
            "Image 0 of X holds .*the first: inf at row 0, column 0, channel 0.*Fill them first"),
    refused("pixels: NaN in one channel", lambda: fit(put(COLOURS.astype(float), (1, 3, 4, 2), np.nan)),
            "Image 1 of X holds .*the first: nan at row 3, column 4, channel 2.*Fill them first"),
    refused("pixels: NaN in an image that is held out", lambda: fit(FLOATS * np.nan, validation_fraction=0.5),
            "Image 1 of X holds .*the first: nan at row 0, column 0, channel 0.*Fill them first"),
    refused("pixels: NaN in partial_fit", lambda: partial_fit(put(FLOATS, (1, 3, 4), np.nan)),
            "Image 1 of X holds .*the first: nan at row 3, column 4, channel 0.*Fill them first"),
    refused("pixels: NaN in predict", lambda: predict(put(FLOATS, (1, 3, 4), np.nan)),
            "Image 1 of X holds .*the first: nan at row 3, column 4, channel 0.*Fill them first"),
    refused("pixels: NaN in predict_density", lambda: predict(put(FLOATS, (1, 3, 4), np.nan), "predict_density"),
            "Image 1 of X holds .*the first: nan at row 3, column 4, channel 0.*Fill them first"),
    refused("pixels: NaN in predict_points", lambda: predict(put(FLOATS, (2, 3, 4), np.nan), "predict_points"),
            "Image 2 of X holds .*the first: nan at row 3, column 4, channel 0.*Fill them first"),
    refused("pixels: NaN in iter_density", lambda: list(predict(put(FLOATS, (2, 3, 4), np.nan), "iter_density")),
            "Image 2 of X holds .*the first: nan at row 3, column 4, channel 0.*Fill them first"),
    refused("pixels: NaN in score", lambda: score(POINTS, put(FLOATS, (1, 3, 4), np.nan)),
            "Image 1 of X holds .*the first: nan at row 3, column 4, channel 0.*Fill them first"),
    refused("pixels: half precision infinity", lambda: fit(put(FLOATS, (0, 1, 2), np.inf).astype(np.float16)),
            "Image 0 of X holds .*the first: inf at row 1, column 2, channel 0.*Fill them first"),
    refused("pixels: complex", lambda: fit(IMAGES * 1j), "X has dtype complex128.*expected unsigned or signed integers"),
    refused("pixels: text", lambda: fit(IMAGES.astype(str)), "X has dtype <U3.*expected unsigned or signed integers"),
    refused("pixels: dates", lambda: fit(IMAGES.astype("datetime64[s]")),
            r"X has dtype datetime64\[s\].*expected unsigned or signed integers"),
    refused("pixels: records", lambda: fit(np.zeros((3, *SHAPE), dtype=[("r", "u1"), ("g", "u1")])),
            r"X has dtype \[\('r', 'u1'\), \('g', 'u1'\)\].*expected unsigned or signed integers"),
    refused("pixels: objects", lambda: fit(IMAGES.astype(object)),
            "Image 0 of X has dtype object.*expected unsigned or signed integers"),
    refused("pixels: masked", lambda: fit(masked(FLOATS, (1, 3, 4))),
            r"X is a masked array, and 1 of its values are masked.*expected \(n_images, height, width\) or"),
    refused("pixels: masked in one image of a list", lambda: fit([FLOATS[0], masked(FLOATS[1], (3, 4)), FLOATS[2]]),
            r"Image 1 of X is a masked array, and 1 of its values are masked.*expected \(height, width\) or \(height"),
    refused("pixels: masked in a prediction", lambda: predict(masked(FLOATS, (1, 3, 4))),
            r"X is a masked array, and 1 of its values are masked.*expected \(n_images, height, width\) or"),
    right("pixels: a mask of nothing", lambda: predict(np.ma.array(IMAGES)), same()),
    refused("images: one without its sample axis", lambda: fit(IMAGES[0], POINTS[:1]),
            r"X has shape \(12, 16\), a single image without its sample axis.*Expected \(n_images, height, width\["),
    refused("images: one of colour without its sample axis", lambda: fit(COLOURS[0], POINTS[:1]),
            r"X has shape \(12, 16, 3\), which looks like a single image with.*: pass X\[None\]\. If these are 12 grey"),
    refused("images: one predicted without its sample axis", lambda: predict(IMAGES[0]),
            r"X has shape \(12, 16\), a single image without its sample axis.*Expected \(n_images, height, width\["),
    refused("images: a single number", lambda: fit(5), r"X is a int.*expected images: an array \(n_images"),
    refused("images: None", lambda: fit(None), r"X is a NoneType.*expected images: an array \(n_images"),
    refused("images: None predicted", lambda: predict(None), r"X is a NoneType.*expected images: an array \(n_images"),
    refused("images: one dimension", lambda: fit(IMAGES[0, 0]),
            r"X has shape \(16,\).*expected \(n_images, height, width\) or"),
    refused("images: one dimension predicted", lambda: predict(IMAGES[0, 0]),
            r"X has shape \(16,\).*expected \(n_images, height, width\) or"),
    refused("images: five dimensions", lambda: fit(IMAGES[None, None]),
            r"X has shape \(1, 1, 3, 12, 16\).*expected \(n_images, height, width\) or"),
    refused("images: one of four dimensions in a list", lambda: fit([IMAGES[0], COLOURS, IMAGES[2]]),
            r"Image 1 of X has shape \(3, 12, 16, 3\).*expected \(height, width\) or \(height"),
    refused("images: None in a list", lambda: fit([IMAGES[0], None, IMAGES[2]]),
            r"Image 1 of X is a NoneType and has shape \(\).*expected an array \(height, width\) or"),
    refused("images: names of files", lambda: fit(["a.png", "b.png", "c.png"]),
            r"Image 0 of X is the name 'a\.png'.*expected pixels, an array \(height, width\)"),
    refused("images: names of files predicted", lambda: predict(["a.png", "b.png", "c.png"]),
            r"Image 0 of X is the name 'a\.png'.*expected pixels, an array \(height, width\)"),
    refused("images: the name of one file", lambda: fit("cells.png"),
            r"X is a str.*expected images: an array \(n_images"),
    refused("images: a dictionary", lambda: fit({"a": IMAGES[0]}), r"X is a dict.*expected images: an array \(n_images"),
    refused("images: a set", lambda: fit({1, 2, 3}), r"X is a set.*expected images: an array \(n_images"),
    refused("images: a generator", lambda: fit(image for image in IMAGES),
            r"X is a generator.*expected images: an array \(n_images"),
    refused("images: none", lambda: fit([], []), r"X holds no images \(0 samples\).*expected at least one\."),
    refused("images: none in an array", lambda: fit(IMAGES[:0], []),
            r"X has shape \(0, 12, 16\): it holds no images \(0 samples\).*expected at least one\."),
    refused("images: none of a set", lambda: fit(ImageSet(IMAGES)[:0], []),
            r"X holds no images \(0 samples\).*expected at least one\."),
    refused("images: none predicted", lambda: predict(IMAGES[:0]),
            r"X has shape \(0, 12, 16\): it holds no images \(0 samples\).*expected at least one\."),
    refused("images: no rows", lambda: fit(IMAGES[:, :0]),
            r"X has shape \(3, 0, 16\): it holds no rows.*expected at least one\."),
    refused("images: no columns", lambda: fit(IMAGES[:, :, :0]),
            r"X has shape \(3, 12, 0\): it holds no columns.*expected at least one\."),
    refused("images: no channels", lambda: fit(COLOURS[..., :0]),
            r"X has shape \(3, 12, 16, 0\): it holds no channels.*expected at least one\."),
    refused("images: no pixels in one of a list", lambda: fit([IMAGES[0], IMAGES[1][:0], IMAGES[2]]),
            r"Image 1 of X has shape \(0, 16\): it holds no pixels.*expected at least one\."),
    refused("images: rows of two lengths", lambda: fit([IMAGES[0], [[1, 2], [3]], IMAGES[2]]),
            r"Image 1 of X is no array \(.*expected \(height, width\) or \(height,"),
    refused("images: grey and colour", lambda: fit([IMAGES[0], COLOURS[1], IMAGES[2]]),
            r"Image 0 of X has 1 channels and image 1 has 3.*expected the same number in all images\."),
    refused("images: channels first", lambda: fit(np.zeros((3, 3, 20, 24), dtype=np.uint8)),
            r"X has shape \(3, 3, 20, 24\), which looks like channels first\. .*Expected \(n_images, height, width"),
    refused("images: tensors with channels first", lambda: fit(torch.zeros(3, 3, 20, 24)),
            r"X has shape \(3, 3, 20, 24\), which looks like channels first\. .*Expected \(n_images, height, width"),
    refused("images: a tensor without its sample axis", lambda: predict(torch.zeros(12, 16)),
            r"X has shape \(12, 16\), a single image without its sample axis.*Expected \(n_images, height, width\["),
    refused("images: a tensor with a gradient", lambda: predict(torch.zeros(3, 12, 16, requires_grad=True)),
            r"Image 0 of X is no array \(Can't call numpy\(\) on Tensor that.*expected \(height, width\) or \(height"),
    refused("images: a tensor of bfloat16", lambda: predict(torch.zeros(3, 12, 16, dtype=torch.bfloat16)),
            r"Image 0 of X is no array \(Got unsupported ScalarType BFloat16\).*expected \(height, width\) or \(height"),
    refused("images: a sparse matrix", lambda: fit(scipy.sparse.csr_matrix(IMAGES[0])),
            r"X is a csr_matrix.*expected images: an array \(n_images"),
    refused("images: a sparse matrix predicted", lambda: predict(scipy.sparse.csr_matrix(IMAGES[0])),
            r"X is a csr_matrix.*expected images: an array \(n_images"),
    refused("images: sparse matrices", lambda: fit([scipy.sparse.csr_matrix(image) for image in IMAGES]),
            r"Image 0 of X is a csr_matrix and has shape \(\).*expected an array \(height, width\) or"),
    refused("images: a data frame", lambda: fit(pd.DataFrame(IMAGES[0])),
            r"X is a DataFrame.*expected images: an array \(n_images"),
    refused("images: a data frame predicted", lambda: predict(pd.DataFrame(IMAGES[0])),
            r"X is a DataFrame.*expected images: an array \(n_images"),
    refused("images: points in their place", lambda: fit(PointAnnotations(POINTS), IMAGES),
            r"Image 1 of X has shape \(0, 2\): it holds no pixels.*expected at least one\."),
    right("images: big-endian", lambda: predict(FLOATS.astype(">f8")), same(FLOATS)),
    right("images: big-endian integers", lambda: predict(IMAGES.astype(">u2")), same(IMAGES.astype(np.uint16))),
    right("images: half precision", lambda: predict(FLOATS.astype(np.float16)), same(FLOATS)),
    right("images: long double", lambda: predict(FLOATS.astype(np.longdouble)), same(FLOATS)),
    right("images: read-only", lambda: predict(locked(IMAGES)), same()),
    right("images: negative strides", lambda: predict(IMAGES[::-1, ::-1, ::-1]), same(IMAGES[::-1, ::-1, ::-1].copy())),
    right("images: Fortran order", lambda: predict(np.asfortranarray(IMAGES)), same()),
    right("images: broadcast", lambda: predict(np.broadcast_to(IMAGES[0], (3, *SHAPE))), same(IMAGES[[0, 0, 0]])),
    right("images: booleans", lambda: predict(IMAGES > 99), same((IMAGES > 99).astype(float))),
    right("images: negative integers", lambda: predict(IMAGES.view(np.int8)),
            same(IMAGES.view(np.int8) / np.float32(127))),
    right("images: 64-bit integers", lambda: predict(IMAGES.astype(np.int64)), same(IMAGES / np.float32(2**63 - 1))),
    right("images: subnormal", lambda: np.isfinite(predict(FLOATS * 1e-310)).all(), True),
    right("images: subnormal and trained on", lambda: np.isfinite(fit(FLOATS * 1e-310).predict(FLOATS)).all(), True),
    right("images: all alike", lambda: np.isfinite(fit(FLOATS * 0 + 7).predict(FLOATS)).all(), True),
    right("images: nested lists", lambda: predict(FLOATS.tolist()), same(FLOATS)),
    right("images: a tuple", lambda: predict(tuple(IMAGES)), same()),
    right("images: an array of objects", lambda: predict(objects(list(IMAGES))), same()),
    right("images: a series", lambda: predict(pd.Series(list(IMAGES), index=[7, 8, 9])), same()),
    right("images: tensors", lambda: predict([torch.from_numpy(image) for image in IMAGES]), same()),
    right("images: one tensor", lambda: predict(torch.from_numpy(IMAGES)), same()),
    right("images: pictures", lambda: predict([Image.fromarray(image) for image in IMAGES]), same()),
    right("images: a dataset of a file", lambda folder: predict(dataset(folder, IMAGES)), same()),
    refused("images: channels first in a file", lambda folder: predict(dataset(folder, np.zeros((3, 3, 20, 24)))),
            r"X has shape \(3, 3, 20, 24\), which looks like channels first\. .*Expected \(n_images, height, width"),
    right("images: 1 x 1 pixel", lambda: predict(np.ones((2, 1, 1))).shape, (2,)),
]

POINT_CASES = [
    refused("points: NaN", lambda: fit(y=[[(1, 2)], [(3, 4), (np.nan, 1)], []]),
            r"Point 1 of image 1 is \[nan, 1\.0\]: NaN or infinity\. .*Remove it, or find out where it came"),
    refused("points: infinity", lambda: fit(y=[[(1, 2)], [], [(np.inf, 1)]]),
            r"Point 0 of image 2 is \[inf, 1\.0\]: NaN or infinity\. .*Remove it, or find out where it came"),
    refused("points: None as a coordinate", lambda: fit(y=[[(1, 2)], [(None, 1)], []]),
            r"Point 0 of image 1 is \[nan, 1\.0\]: NaN or infinity\. .*Remove it, or find out where it came"),
    refused("points: None for an image", lambda: fit(y=[[(1, 2)], None, []]),
            "y is a sequence whose entry 1 is a NoneType, which is neither .*Expected a list of"),
    refused("points: (row, col, label)", lambda: fit(y=[[(1, 2, 0)], [(3, 4, 1)], [(5, 6, 1)]]),
            r"The points of image 0 have shape \(1, 3\).*expected \(n_points, 2\), \(row, col\) in"),
    refused("points: (k, 3) of one image", lambda: fit(y=[[(1, 2)], np.zeros((4, 3)), []]),
            r"The points of image 1 have shape \(4, 3\).*expected \(n_points, 2\), \(row, col\) in"),
    refused("points: lengths of two kinds", lambda: fit(y=[[(1, 2)], [(3,), (4, 5)], []]),
            r"The points of image 1 are no numbers \(setting an array.*expected an array-like of shape"),
    refused("points: of a single image without the sample axis", lambda: fit(y=[(1, 2), (3, 4), (5, 6)]),
            r"The points of image 0 have shape \(2,\).*expected \(n_points, 2\), \(row, col\) in"),
    refused("points: text", lambda: fit(y=[[("1", "2")], [], []]),
            r"The points of image 0 are no numbers \(their dtype is <U1\).*expected an array-like of shape"),
    refused("points: text in an array", lambda: fit(y=[np.array([["1", "2"]]), [], []]),
            r"The points of image 0 are no numbers \(their dtype is <U1\).*expected an array-like of shape"),
    refused("points: text as the whole", lambda: fit(y="points.csv"),
            "y is a str, which is neither .*Expected a list of"),
    refused("points: names of files", lambda: fit(y=["a.csv", "b.csv", "c.csv"]),
            "y is a sequence whose entry 0 is a str, which is neither .*Expected a list of"),
    refused("points: complex", lambda: fit(y=[[(1j, 2)], [], []]),
            r"The points of image 0 are no numbers \(their dtype is.*expected an array-like of shape"),
    refused("points: dates", lambda: PointAnnotations([np.zeros((1, 2), "datetime64[s]")]),
            r"The points of image 0 are no numbers \(their dtype is.*expected an array-like of shape"),
    refused("points: an integer too large for a float", lambda: PointAnnotations([[(10**400, 1)]]),
            r"The points of image 0 are no numbers \(int too large to.*expected an array-like of shape"),
    refused("points: masked", lambda: PointAnnotations([masked(np.ones((2, 2)), (1, 1))]),
            r"The points of image 0 are no numbers \(some of them are masked\).*expected an array-like of shape"),
    refused("points: a dictionary", lambda: fit(y={0: [(1, 2)]}), "y is a dict, which is neither .*Expected a list of"),
    refused("points: dictionaries", lambda: fit(y=[{"row": 1, "col": 2}] * 3),
            "y is a sequence whose entry 0 is a dict, which is neither .*Expected a list of"),
    refused("points: a dictionary in PointAnnotations", lambda: PointAnnotations({0: [(1, 2)]}),
            "points is a dict.*expected one array-like of shape"),
    refused("points: dictionaries in PointAnnotations", lambda: PointAnnotations([[{"row": 1, "col": 2}]]),
            r"The points of image 0 are no numbers \(float\(\) argument must.*expected an array-like of shape"),
    refused("points: a set", lambda: fit(y={(1, 2), (3, 4)}), "y is a set, which is neither .*Expected a list of"),
    refused("points: a generator", lambda: fit(y=(points for points in POINTS)),
            "y is a generator, which is neither .*Expected a list of"),
    refused("points: None", lambda: fit(y=None),
            r"This regressor requires y to be passed, but the target y is.*expected points, counts or density maps\."),
    refused("points: a data frame", lambda: fit(y=pd.DataFrame({"row": [1, 2, 3], "col": [1, 2, 3]})),
            r"y is an array of shape \(3, 2\) for 3 images.*which is neither .*Expected a list of"),
    refused("points: a data frame in PointAnnotations", lambda: PointAnnotations(pd.DataFrame({"row": [1], "col": [2]})),
            "points is a DataFrame.*expected one array-like of shape"),
    refused("points: nested too deep", lambda: fit(y=[[[(1, 2)]], [], []]),
            r"The points of image 0 have shape \(1, 1, 2\).*expected \(n_points, 2\), \(row, col\) in"),
    refused("points: an array too deep", lambda: fit(y=np.zeros((3, 1, 1, 2))),
            r"y is an array of shape \(3, 1, 1, 2\) for 3 images.*which is neither .*Expected a list of"),
    refused("points: a number in PointAnnotations", lambda: PointAnnotations(5),
            "points is a int.*expected one array-like of shape"),
    refused("points: a number for an image", lambda: PointAnnotations([[(1, 2)], 5]),
            r"The points of image 1 have shape \(\).*expected \(n_points, 2\), \(row, col\) in"),
    refused("points: (x, y)", lambda: fit(y=[[(15, 2), (14, 4)], [], [(13, 5)]]),
            r"3 of 3 points are outside their image \(the first: \[15\.0, 2\.0\].*read \(x, y\) points with"),
    refused("points: (x, y) in score", lambda: score([[(15, 2), (14, 4)], [], [(13, 5)]]),
            r"3 of 3 points are outside their image \(the first: \[15\.0, 2\.0\].*read \(x, y\) points with"),
    warned("points: outside", lambda: fit(y=[[(1, 2)], [(99, 99)], []]),
            "1 of 2 points are outside their image and add nothing: image 1 of 12 x 16 pixels: row 99, col 99.*drops them"),
    warned("points: negative", lambda: fit(y=[[(1, 2)], [(-3, 4)], []]),
            "1 of 2 points are outside their image and add nothing: image 1 of 12 x 16 pixels: row -3, col 4.*drops them"),
    warned("points: enormous", lambda: fit(y=[[(1, 2)], [(1e300, -1e300)], []]),
            r"1 of 2 points are outside their image and add nothing: image 1 of 12 x 16 pixels: row 1e\+300, col -1e\+300"),
    refused("points: outside where that is refused", lambda: fit(y=[[], [(9, 16)], []], density=STRICT),
            "1 of 1 points are outside their image and add nothing: image 1 of 12 x 16 pixels: row 9, col 16.*drops them"),
    warned("points: outside in a transformer", lambda: transform([[(1, 2)], [(99, 99)]]),
            "1 of 2 points are outside their image and add nothing: image 1 of 12 x 16 pixels: row 99, col 99.*drops them"),
    right("points: all outside", lambda: transform([[(99, 99)]], outside="ignore").sum(), 0),
    right("points: nowhere any", lambda: np.isfinite(fit(y=[[], [], []]).predict(IMAGES)).all(), True),
    right("points: two on one place", lambda: transform([[(3, 4), (3, 4)]]).sum().round(4), 2),
    right("points: integers", lambda: transform([np.array([[3, 4]], dtype=np.int8)]), lambda: transform([[(3.0, 4.0)]])),
    refused("points: complex in an object array", lambda: PointAnnotations([[(None, np.array(0j))]]),
            r"The points of image 0 are no numbers \(some of them are complex\); expected an array-like"),
    right("points: unsigned and beside the image", lambda: counts_inside([np.array([[255, 4]], np.uint8)]),
            [0]),
    right("points: an array of objects", lambda: PointAnnotations(objects([[(1, 2)], []])).counts, [1, 0]),
    right("points: objects that are numbers", lambda: PointAnnotations([np.array([[1, 2.5]], dtype=object)]).coordinates,
          [[1, 2.5]]),
    right("points: data frames", lambda: PointAnnotations([pd.DataFrame({"row": [1], "col": [2]})]).coordinates,
          [[1, 2]]),
    right("points: tensors", lambda: PointAnnotations([torch.ones(2, 2)]).counts, [2]),
    right("points: a generator in PointAnnotations", lambda: PointAnnotations(p for p in POINTS).counts, COUNTS),
    right("points: one array of as many in each image", lambda: PointAnnotations(np.ones((3, 4, 2))).counts, [4, 4, 4]),
    right("points: empty arrays of any shape", lambda: counts_inside([[], np.empty((0, 2)), np.empty((0, 3)), np.empty(0)]),
          [0, 0, 0, 0]),
    right("points: on the border", lambda: counts_inside([[(-0.5, 0), (11.5, 0), (0, 15.49), (0, 15.5)]]),
            [2]),
    refused("points: lengths that do not add up", lambda: PointAnnotations.from_flat([(1, 2)], [2]),
            r"lengths add up to 2 \(smallest 0\) and there are 1 coordinates.*expected the same number, and no negative"),
    refused("points: a negative length", lambda: PointAnnotations.from_flat([(1, 2)], [2, -1]),
            r"lengths add up to 1 \(smallest -1\) and there are 1 coordinates.*expected the same number, and no negative"),
    refused("points: lengths of floats", lambda: PointAnnotations.from_flat([(1, 2)], [1.0]),
            r"lengths has shape \(1,\) and dtype float64.*expected the number of points of each"),
    refused("points: lengths of two dimensions", lambda: PointAnnotations.from_flat([(1, 2)], [[1]]),
            r"lengths has shape \(1, 1\) and dtype int64.*expected the number of points of each"),
    refused("points: lengths of two kinds of lists", lambda: PointAnnotations.from_flat([(1, 2)], [[1], []]),
            r"lengths is no array \(.*expected the number of points of each"),
    refused("points: flat ones that are not", lambda: PointAnnotations.from_flat([[(1, 2)]], [1]),
            r"The points have shape \(1, 1, 2\).*expected \(n_points, 2\), \(row, col\) in"),
    refused("points: (x, y) of three", lambda: PointAnnotations.from_xy([[(1, 2, 3)]]),
            r"The points of image 0 have shape \(1, 3\).*expected \(n_points, 2\), \(row, col\) in"),
    refused("points: a mask without its sample axis", lambda: PointAnnotations.from_mask(ROI),
            r"Mask 0 has shape \(16,\).*expected \(height, width\)\. A single mask"),
    refused("points: a mask of colour", lambda: PointAnnotations.from_mask(COLOURS),
            r"Mask 0 has shape \(12, 16, 3\).*expected \(height, width\)\. A single mask"),
    refused("points: a mask with NaN", lambda: PointAnnotations.from_mask([FLOATS[0] * np.nan]),
            r"Mask 0 of dtype float64 holds NaN or no numbers.*expected zeros and what is not zero\."),
    refused("points: a mask of text", lambda: PointAnnotations.from_mask([[["a"]]]),
            r"Mask 0 of dtype <U1 holds NaN or no numbers.*expected zeros and what is not zero\."),
    refused("points: a mask that is a number", lambda: PointAnnotations.from_mask(5),
            r"masks is a int.*expected one dot image \(height, width\) an"),
    refused("points: masks of rows of two lengths", lambda: PointAnnotations.from_mask([[[1], [1, 2]]]),
            r"Mask 0 is no array \(.*expected \(height, width\)\."),
    refused("points: inside of no size", lambda: PointAnnotations(POINTS).inside(None),
            r"The image shapes are an array of shape \(\), for points of 3.*expected one \(height, width\) for all, or"),
    refused("points: inside of a negative size", lambda: PointAnnotations(POINTS).inside((-12, 16)),
            r"The image shapes are \(-12, 16\).*expected \(height, width\) in pixels, above"),
    refused("points: inside of a size that is text", lambda: PointAnnotations(POINTS).inside("12x16"),
            r"The image shapes are an array of shape \(\), for points of 3.*expected one \(height, width\) for all, or"),
    refused("points: inside of two sizes for three images", lambda: PointAnnotations(POINTS).inside([SHAPE, SHAPE]),
            r"The image shapes are an array of shape \(2, 2\), for points of.*expected one \(height, width\) for all, or"),
    refused("points: inside of sizes of two kinds", lambda: PointAnnotations(POINTS).inside([SHAPE, SHAPE, (3,)]),
            r"image_shapes is no array \(.*expected one \(height, width\) for all,"),
    refused("points: inside of the images themselves", lambda: PointAnnotations(POINTS).inside(IMAGES),
            r"The image shapes are an array of shape \(3, 12, 16\), for.*expected one \(height, width\) for all, or"),
    refused("points: inside of a mask of another size", lambda: PointAnnotations(POINTS).inside(SHAPE, ROI.T),
            r"The roi has shape \(16, 12\) and image 0 is of 12 x 16 pixels.*expected the same \(height, width\), of one"),
    refused("points: indexed by two", lambda: PointAnnotations(POINTS)[0, 1],
            r"too many indices: \(0, 1\); points are indexed by image\.", IndexError),
    refused("points: indexed by a name", lambda: PointAnnotations(POINTS)["first"],
            r"only integers, slices \(`:`\), ellipsis \(`\.\.\.`\), numpy\.newaxis", IndexError),
    refused("points: indexed beyond the last", lambda: PointAnnotations(POINTS)[3],
            r"There is no image 3: the points are of 3 images, from 0\.", IndexError),
]

TARGETS = [
    refused("counts: negative", lambda: fit(y=[2.0, -1.0, 0.0]),
            r"Input y contains negative values.*Expected counts, finite and at least 0; image 1 has -1\.0"),
    refused("counts: NaN", lambda: fit(y=[2.0, np.nan, 0.0]),
            "Input y contains NaN.*Expected counts, finite and at least 0; image 1 has nan"),
    refused("counts: infinity", lambda: fit(y=[2.0, np.inf, 0.0]),
            "Input y contains infinity.*Expected counts, finite and at least 0; image 1 has inf"),
    refused("counts: text", lambda: fit(y=np.array(["2", "0", "1"])),
            "y is an array of dtype <U1, which is neither .*Expected a list of"),
    refused("counts: text as objects", lambda: fit(y=np.array(["2", "0", "1"], dtype=object)),
            "y is a sequence whose entry 0 is a str, which is neither .*Expected a list of"),
    refused("counts: complex", lambda: fit(y=COUNTS * 1j),
            "y is an array of dtype complex128, which is neither .*Expected a list of"),
    refused("counts: dates", lambda: fit(y=COUNTS.astype("datetime64[s]")),
            r"y is an array of dtype datetime64\[s\], which is neither .*Expected a list of"),
    refused("counts: None among them", lambda: fit(y=[2, None, 1]),
            "y is a sequence whose entry 1 is a NoneType, which is neither .*Expected a list of"),
    refused("counts: masked", lambda: fit(y=masked(COUNTS, 1)),
            "y is a masked array, and 1 of its values are masked.*expected points, counts or density maps"),
    refused("counts: a single number", lambda: fit(y=3.0), "y is a float, which is neither .*Expected a list of"),
    refused("counts: two columns", lambda: fit(y=np.ones((3, 2))),
            r"y is an array of shape \(3, 2\) for 3 images.*which is neither .*Expected a list of"),
    refused("counts: too few", lambda: fit(y=COUNTS[:2]),
            r"X holds 3 images and y holds 2 entries, inconsistent numbers.*expected one entry of y an image\. A"),
    refused("counts: too many", lambda: fit(y=[1, 2, 3, 4]),
            r"X holds 3 images and y holds 4 entries, inconsistent numbers.*expected one entry of y an image\. A"),
    refused("counts: none", lambda: fit(y=[]),
            r"X holds 3 images and y holds 0 entries, inconsistent numbers.*expected one entry of y an image\. A"),
    warned("counts: one column", lambda: fit(y=COUNTS[:, None]),
            r"A column-vector y was passed when a 1d array was expected\..*using ravel\(\)\.", DataConversionWarning),
    right("counts: booleans", lambda: score(np.array([True, False, True])), lambda: score([1, 0, 1])),
    right("counts: a series", lambda: score(pd.Series(COUNTS, index=[7, 8, 9])), lambda: score(COUNTS)),
    right("counts: a tensor", lambda: score(torch.from_numpy(COUNTS)), lambda: score(COUNTS)),
    right("counts: halves", lambda: score(COUNTS / 2), lambda: score(list(COUNTS / 2))),
    right("counts: next to nothing", lambda: np.isfinite(fit(y=COUNTS * 1e-60).predict(IMAGES)).all(), True),
    right("maps: next to nothing", lambda: np.isfinite(fit(y=MAPS * 1e-30).predict(IMAGES)).all(), True),
    refused("counts: NaN in score", lambda: score([2.0, np.nan, 0.0]),
            "Input y contains NaN.*Expected counts, finite and at least 0; image 1 has nan"),
    refused("counts: too few in score", lambda: score(COUNTS[:2]),
            r"X holds 3 images and y holds 2 entries, inconsistent numbers.*expected one entry of y an image\. A"),
    refused("maps: negative", lambda: fit(y=put(MAPS, (1, 2, 3), -0.5)),
            r"Density map 1 holds negative values \(the smallest: -0\.5\).*expected objects per pixel, at least 0\."),
    refused("maps: NaN", lambda: fit(y=put(MAPS, (1, 2, 3), np.nan)),
            r"Density map 1 holds NaN or infinity.*expected finite objects per pixel\."),
    refused("maps: infinity", lambda: fit(y=put(MAPS, (1, 2, 3), np.inf)),
            r"Density map 1 holds NaN or infinity.*expected finite objects per pixel\."),
    refused("maps: masked", lambda: fit(y=masked(MAPS, (1, 2, 3))),
            "y is a masked array, and 1 of its values are masked.*expected points, counts or density maps"),
    refused("maps: complex", lambda: fit(y=MAPS * 1j),
            "y is an array of dtype complex64, which is neither .*Expected a list of"),
    refused("maps: of another size", lambda: fit(y=MAPS[:, :-1]),
            r"y is an array of shape \(3, 11, 16\) for 3 images.*which is neither .*Expected a list of"),
    refused("maps: one of another size", lambda: fit(y=[MAPS[0], MAPS[1][:-1], MAPS[2]]),
            r"Density map 1 has shape \(11, 16\) and its image \(12, 16\).*expected the same size\."),
    refused("maps: transposed", lambda: fit(y=list(MAPS.transpose(0, 2, 1))),
            r"Density map 0 has shape \(16, 12\) and its image \(12, 16\).*expected the same size\."),
    refused("maps: too few", lambda: fit(y=MAPS[:2]),
            r"y is an array of shape \(2, 12, 16\) for 3 images.*which is neither .*Expected a list of"),
    refused("maps: with a channel axis", lambda: fit(y=MAPS[..., None]),
            r"y is an array of shape \(3, 12, 16, 1\) for 3 images.*which is neither .*Expected a list of"),
    refused("maps: without their sample axis", lambda: fit(IMAGES[:1], MAPS[0]),
            r"y is an array of shape \(12, 16\) for 1 images.*which is neither .*Expected a list of"),
    refused("maps: for a loss that looks at points", lambda: fit(y=MAPS, loss="bayesian"),
            r"loss='bayesian' looks at points and y is density maps.*expected points, or another loss\."),
    right("maps: empty everywhere", lambda: np.isfinite(fit(y=MAPS * 0).predict(IMAGES)).all(), True),
    refused("y: points and counts", lambda: fit(y=[[(1, 2)], 3, []]),
            "y is a sequence of arrays, but entry 1 is a int, which is neither .*Expected a list of"),
    refused("y: points and maps", lambda: fit(y=[[(1, 2)], MAPS[1], []]),
            r"The points of image 1 have shape \(12, 16\).*expected \(n_points, 2\), \(row, col\) in"),
    refused("y: maps and counts", lambda: fit(y=[MAPS[0], 3, MAPS[2]]),
            "y is a sequence of arrays, but entry 1 is a int, which is neither .*Expected a list of"),
    refused("y: points for a table", lambda: fit(TABLE, [[(0, 1)]] * 6),
            r"X has shape \(6, 5\), a single image without its sample axis.*Expected \(n_images, height, width\["),
    right("y: the images", lambda: np.isfinite(fit(y=FLOATS / 1e4).predict(IMAGES)).all(), True),
    refused("y: None in score", lambda: score(None),
            r"This regressor requires y to be passed, but the target y is.*expected points, counts or density maps\."),
    refused("y: None for a table", lambda: fit(TABLE, None),
            r"This regressor requires y to be passed, but the target y is.*expected points, counts or density maps\."),
    refused("table: NaN", lambda: fit(put(TABLE, (1, 2), np.nan), np.arange(6.0)), r"Input X contains NaN\."),
    refused("table: no columns", lambda: fit(TABLE[:, :0], np.arange(6.0)),
            r"Found array with 0 feature\(s\) \(shape=\(6, 0\)\) while a minimum"),
    refused("table: too few counts", lambda: fit(TABLE, np.arange(5.0)),
            r"X holds 6 images and y holds 5 entries, inconsistent numbers.*expected one entry of y an image\. A"),
]

LENGTHS = [
    refused("lengths: too few points", lambda: fit(y=POINTS[:2]),
            r"X holds 3 images and y holds 2 entries, inconsistent numbers.*expected one entry of y an image\. A"),
    refused("lengths: too many points", lambda: fit(y=PointAnnotations([*POINTS, []])),
            r"X holds 3 images and y holds 4 entries, inconsistent numbers.*expected one entry of y an image\. A"),
    refused("lengths: too few points in score", lambda: score(POINTS[:2]),
            r"X holds 3 images and y holds 2 entries, inconsistent numbers.*expected one entry of y an image\. A"),
    refused("lengths: too few points in partial_fit", lambda: partial_fit(y=POINTS[:2]),
            r"X holds 3 images and y holds 2 entries, inconsistent numbers.*expected one entry of y an image\. A"),
    refused("lengths: too few weights", lambda: fit(sample_weight=[1, 1]),
            r"sample_weight has shape \(2,\).*expected one finite number of at least 0"),
    refused("lengths: too many weights", lambda: fit(sample_weight=[1, 1, 1, 1]),
            r"sample_weight has shape \(4,\).*expected one finite number of at least 0"),
    refused("lengths: too few weights in score", lambda: score(POINTS, sample_weight=[1, 1]),
            r"sample_weight has shape \(2,\).*expected one finite number of at least 0"),
    refused("lengths: too few groups", lambda: fit(groups=[1, 2], validation_fraction=0.5),
            r"groups has shape \(2,\) and there are 3 images.*expected one label an image\."),
    refused("lengths: too few regions", lambda: fit(roi=[ROI, ROI]),
            r"X holds 3 images and roi holds 2 entries, inconsistent.*expected one entry of roi an image\. A"),
    refused("lengths: too few regions in predict", lambda: predict(roi=[ROI, ROI]),
            r"X holds 3 images and roi holds 2 entries, inconsistent.*expected one entry of roi an image\. A"),
    refused("lengths: too many regions in predict_points", lambda: predict(method="predict_points", roi=[ROI] * 4),
            r"X holds 3 images and roi holds 4 entries, inconsistent.*expected one entry of roi an image\. A"),
    refused("lengths: too few perspectives", lambda: fit(perspective=np.stack([SCALES] * 2)),
            "X holds 3 images and perspective holds 2 entries,.*expected one entry of perspective an"),
    refused("lengths: too few shapes in a transformer", lambda: transform(image_shape=[SHAPE] * 2),
            r"image_shape is \[\(12, 16\), \(12, 16\)\].*expected \(height, width\) in whole pixels"),
    refused("lengths: too few regions in a transformer", lambda: transform(roi=[ROI, ROI]),
            r"X holds 3 images and roi holds 2 entries, inconsistent.*expected one entry of roi an image\. A"),
    refused("lengths: too few maps to write to", lambda: predict(method="predict_density", out=np.zeros((2, *SHAPE))),
            r"out holds 2 maps of 12 x 16 pixels and X 3 images of 12 x 16.*expected one map an image, of its size\."),
]

BESIDE = [
    refused("roi: floats", lambda: fit(roi=SCALES), "The roi has dtype float64.*expected booleans, True inside: compare"),
    refused("roi: NaN", lambda: fit(roi=SCALES * np.nan),
            "The roi has dtype float64.*expected booleans, True inside: compare"),
    refused("roi: text", lambda: fit(roi="top"), r"roi is a str.*expected an array of shape \(height"),
    refused("roi: an array of text", lambda: fit(roi=ROI.astype(str)),
            "The roi has dtype <U5.*expected booleans, True inside: compare"),
    refused("roi: a number", lambda: fit(roi=1), r"roi is a int.*expected an array of shape \(height"),
    refused("roi: a dictionary", lambda: fit(roi={0: ROI}), r"roi is a dict.*expected an array of shape \(height"),
    refused("roi: values of 255", lambda: fit(roi=ROI * np.uint8(255)),
            "The roi holds integers from 0 to 255.*expected booleans, or 0 and 1, with True"),
    refused("roi: negative", lambda: fit(roi=-ROI.astype(int)),
            "The roi holds integers from -1 to 0.*expected booleans, or 0 and 1, with True"),
    refused("roi: nothing inside", lambda: fit(roi=ROI & False),
            r"The roi has no pixel inside.*expected at least one that is True\. Leave"),
    refused("roi: nothing inside of image 1", lambda: fit(roi=[ROI, ROI & False, ROI]),
            r"The roi of image 1 has no pixel inside.*expected at least one that is True\. Leave"),
    refused("roi: transposed", lambda: fit(roi=ROI.T),
            r"The roi has shape \(16, 12\) and image 0 is of 12 x 16 pixels.*expected the same \(height, width\), of one"),
    refused("roi: of one image transposed", lambda: fit(roi=[ROI, ROI.T, ROI]),
            r"The roi of image 1 has shape \(16, 12\) and image 1 is of 12 x.*expected the same \(height, width\), of one"),
    refused("roi: three channels", lambda: fit(roi=[np.ones((*SHAPE, 3), bool)] * 3),
            r"The roi of image 0 has shape \(12, 16, 3\) and image 0 is of 12.*expected the same \(height, width\), of one"),
    refused("roi: rows of two lengths", lambda: fit(roi=[[True, False], [True]]),
            r"The roi is no array \(.*expected \(height, width\)\."),
    refused("roi: None for one image", lambda: fit(roi=[ROI, None, ROI]),
            r"The roi of image 1 has shape \(\) and image 1 is of 12 x 16.*expected the same \(height, width\), of one"),
    refused("roi: a sparse matrix", lambda: predict(roi=scipy.sparse.csr_matrix(ROI)),
            r"roi is a csr_matrix.*expected an array of shape \(height"),
    refused("roi: floats in predict", lambda: predict(roi=SCALES),
            "The roi has dtype float64.*expected booleans, True inside: compare"),
    refused("roi: nothing inside in score", lambda: score(POINTS, roi=ROI & False),
            r"The roi has no pixel inside.*expected at least one that is True\. Leave"),
    refused("roi: for a table", lambda: fit(TABLE, np.arange(6.0), roi=np.ones((1, 5), bool)),
            r"X is a table and roi was passed.*expected images, for a table has no roi\."),
    right("roi: zeros and ones", lambda: predict(roi=ROI.astype(np.uint8)), lambda: predict(roi=ROI)),
    right("roi: a data frame", lambda: predict(roi=pd.DataFrame(ROI)), lambda: predict(roi=ROI)),
    right("roi: a tensor", lambda: predict(roi=torch.from_numpy(ROI)), lambda: predict(roi=ROI)),
    right("roi: a dataset of a file", lambda folder: predict(roi=dataset(folder, ROI)), lambda: predict(roi=ROI)),
    right("roi: a tensor of one each", lambda: predict(roi=torch.from_numpy(np.stack([ROI] * 3))),
            lambda: predict(roi=ROI)),
    refused("roi: masked", lambda: fit(roi=masked(ROI, (1, 1))),
            r"The roi is a masked array, and 1 of its values are masked.*expected \(height, width\), all of it"),
    right("roi: all of it", lambda: predict(roi=ROI | True), same()),
    refused("perspective: zero", lambda: fit(perspective=put(SCALES, (2, 3), 0)),
            r"The perspective is 0\.0 at row 2, column 3.*expected finite scales above 0, the"),
    refused("perspective: negative", lambda: fit(perspective=-SCALES),
            r"The perspective is -1\.0 at row 0, column 0.*expected finite scales above 0, the"),
    refused("perspective: NaN", lambda: fit(perspective=put(SCALES, (2, 3), np.nan)),
            "The perspective is nan at row 2, column 3.*expected finite scales above 0, the"),
    refused("perspective: infinity in image 2", lambda: fit(perspective=[SCALES, SCALES, put(SCALES, (2, 3), np.inf)]),
            "The perspective of image 2 is inf at row 2, column 3.*expected finite scales above 0, the"),
    refused("perspective: booleans", lambda: fit(perspective=ROI),
            "The perspective has dtype bool.*expected real floats, the scale of"),
    refused("perspective: text", lambda: fit(perspective=SCALES.astype(str)),
            "The perspective has dtype <U32.*expected real floats, the scale of"),
    refused("perspective: complex", lambda: fit(perspective=SCALES * 1j),
            "The perspective has dtype complex128.*expected real floats, the scale of"),
    refused("perspective: transposed", lambda: fit(perspective=SCALES.T),
            r"The perspective has shape \(16, 12\) and image 0 is of 12 x 16.*expected the same \(height, width\), of one"),
    refused("perspective: a number", lambda: fit(perspective=2.0),
            r"perspective is a float.*expected an array of shape \(height"),
    refused("perspective: one dimension", lambda: fit(perspective=SCALES[:, 0]),
            "X holds 3 images and perspective holds 12 entries,.*expected one entry of perspective an"),
    refused("perspective: in predict_points", lambda: predict(method="predict_points", perspective=-SCALES),
            r"The perspective is -1\.0 at row 0, column 0.*expected finite scales above 0, the"),
    refused("perspective: in a transformer", lambda: transform(perspective=SCALES * 0),
            r"The perspective is 0\.0 at row 0, column 0.*expected finite scales above 0, the"),
    right("perspective: integers", lambda: transform(perspective=np.full(SHAPE, 2)),
            lambda: transform(perspective=np.full(SHAPE, 2.0))),
    refused("sample_weight: negative", lambda: fit(sample_weight=[1, -1, 1]),
            r"sample_weight of image 1 is -1\.0.*expected one finite number of at least 0"),
    refused("sample_weight: NaN", lambda: fit(sample_weight=[1, np.nan, 1]),
            "sample_weight of image 1 is nan.*expected one finite number of at least 0"),
    refused("sample_weight: infinity", lambda: fit(sample_weight=[1, np.inf, 1]),
            "sample_weight of image 1 is inf.*expected one finite number of at least 0"),
    refused("sample_weight: all zero", lambda: fit(sample_weight=[0, 0, 0]),
            r"Sample weights are all zero: no image is left to learn from.*expected one above 0 at least\."),
    refused("sample_weight: two dimensions", lambda: fit(sample_weight=np.ones((3, 1))),
            r"sample_weight has shape \(3, 1\).*expected one finite number of at least 0"),
    refused("sample_weight: text", lambda: fit(sample_weight=["a", "b", "c"]),
            r"sample_weight holds no numbers \(its dtype is <U1\).*expected one finite number of at least 0"),
    refused("sample_weight: the name of a kind", lambda: fit(sample_weight="balanced"),
            r"sample_weight holds no numbers \(its dtype is <U8\).*expected one finite number of at least 0"),
    refused("sample_weight: complex", lambda: fit(sample_weight=np.ones(3) * 1j),
            r"sample_weight holds no numbers \(its dtype is complex128\).*expected one finite number of at least 0"),
    refused("sample_weight: a dictionary", lambda: fit(sample_weight={0: 1, 1: 2, 2: 1}),
            r"sample_weight holds no numbers \(float\(\) argument must be a.*expected one finite number of at least 0"),
    refused("sample_weight: of two lengths", lambda: score(POINTS, sample_weight=[[1], [1, 2], 1]),
            r"sample_weight is no array \(.*expected one finite number of at least"),
    refused("sample_weight: zero in score", lambda: score(POINTS, sample_weight=[0, 0, 0]),
            r"The sample weights of these images are all 0.*expected at least one larger\."),
    right("sample_weight: booleans in score", lambda: score(POINTS, sample_weight=[True, False, True]),
            lambda: score(POINTS, sample_weight=[1, 0, 1])),
    refused("groups: floats", lambda: fit(groups=[0.5, 1, 2], validation_fraction=0.5),
            "groups has dtype float64.*expected integers or strings, one an"),
    refused("groups: two dimensions", lambda: fit(groups=np.ones((3, 2), int), validation_fraction=0.5),
            r"groups has shape \(3, 2\) and there are 3 images.*expected one label an image\."),
    refused("groups: None among them", lambda: fit(groups=["a", None, "b"], validation_fraction=0.5),
            "groups has dtype object.*expected integers or strings, one an"),
    refused("groups: of two lengths", lambda: fit(groups=[[1], [1, 2], [3]], validation_fraction=0.5),
            r"groups is no array \(.*expected one label an image\."),
    refused("groups: only one", lambda: fit(groups=[1, 1, 1], validation_fraction=0.5),
            r"There is 1 of the groups to learn from, and a part of them is.*expected at least two\."),
    refused("groups: a single image to hold out of", lambda: fit(IMAGES[:1], POINTS[:1], early_stopping=True),
            "There is 1 of the images to learn from, and a part of them is to be held out.*expected at least two"),
]

PARAMETERS = [
    parameter(filters=0),
    parameter(filters=2.5),
    parameter(growth=0.5),
    parameter(growth=np.inf),
    parameter(growth=np.nan),
    parameter(convolutions=0),
    parameter(depth=0),
    parameter(depth=9),
    parameter(normalization="layer"),
    parameter(sigma=0),
    parameter(sigma=-1.0),
    parameter(sigma=np.nan),
    parameter(sigma="2"),
    parameter(density=2.0),
    parameter(density=DensityMapTransformer),
    parameter(loss="mea"),
    parameter(loss=nn.MSELoss()),
    parameter(max_epochs=0),
    parameter(max_epochs=1.5),
    parameter(max_epochs="many"),
    parameter(lr=0),
    parameter(lr=-0.1),
    parameter(lr=np.nan),
    parameter(lr="auto"),
    parameter(batch_size=0),
    parameter(batch_size=-2),
    parameter(batch_size=2.0),
    parameter(patch_size=0),
    parameter(patch_size=(8, 8)),
    parameter(augment="flip"),
    parameter(augment=2),
    parameter(jitter=-0.1),
    parameter(jitter=np.nan),
    parameter(test_time_augmentation="mirror"),
    parameter(tile_size=0),
    parameter(validation_fraction=0),
    parameter(validation_fraction=1),
    parameter(validation_fraction=1.5),
    parameter(early_stopping="yes"),
    parameter(n_iter_no_change=0),
    parameter(device=0),
    parameter(dtype="float16"),
    parameter(dtype=np.float32),
    parameter(mixed_precision="yes"),
    parameter(mixed_precision=None),
    refused("mixed_precision: of doubles", lambda: fit(mixed_precision=True, dtype="float64"),
            "mixed_precision=True and dtype='float64'; expected dtype='float32' with it"),
    parameter(warm_start="yes"),
    parameter(net_params=[("lr", 1)]),
    parameter(callbacks="EarlyStopping"),
    refused("tile_size: too small", lambda: fit(tile_size=8),
            "tile_size=8 and the network looks 51 pixels far .*expected at least 120"),
    *(
        refused(f"device: {device!r}", partial(fit, device=device),
                rf"device='{device}' cannot be computed on \(.*expected 'auto', 'cpu', 'cuda'")
        for device in ("tpu9", "cuda:99", "meta", "")
    ),
    refused("density: sigma=-1", lambda: fit(density=DensityMapTransformer(sigma=-1)),
            "The 'sigma' parameter of DensityMapTransformer must be .*Got -1 instead"),
    refused("density: kernel='box'", lambda: fit(density=DensityMapTransformer(kernel="box")),
            "The 'kernel' parameter of DensityMapTransformer must be .*Got 'box' instead"),
    refused("net_params: the learning rate", lambda: fit(net_params={"lr": 1}),
            r"net_params holds \['lr'\], which the regressor sets; pass what has a parameter of its own"),
    refused("net_params: the module", lambda: fit(net_params={"module": nn.Identity}),
            r"net_params holds \['module'\], which the regressor sets; pass what has a parameter of its own"),
    refused("net_params: a typo", lambda: fit(net_params={"lrr": 1}), r"unexpected argument\(s\) lrr.*typo"),
    refused("net_params: a typo of the optimiser", lambda: fit(net_params={"optimizer__nesterow": True}),
            "unexpected keyword argument 'nesterow'", TypeError),
    parameter(random_state=-1),
    parameter(random_state="zero"),
    parameter(random_state=np.random.default_rng(0)),
    parameter(verbose=-1),
    parameter(FCRNRegressor, variant="c"),
    parameter(FCRNRegressor, convolutions=0),
    parameter(FCRNRegressor, normalization="group"),
    parameter(DensityMapRegressor, architecture="unett"),
    parameter(DensityMapRegressor, architecture_params=[1]),
    refused("architecture: an instance", lambda: fit_own(networks.UNet(1, filters=2)),
            "architecture is a UNet, a network that is built already; expected its class"),
    refused("architecture: a typo in its parameters", lambda: fit_own("unet", filterz=2),
            r"architecture=UNet cannot be called .*\{'filterz': 2\}.*expected parameters of UNet: in_channels, filters"),
    refused("architecture: the channels given twice", lambda: fit_own("unet", in_channels=3),
            r"architecture=UNet cannot be called .*\{'in_channels': 3\} \(multiple values.*expected parameters of UNet"),
    refused("architecture: a parameter out of range", lambda: fit_own("unet", filters=0),
            r"The 'filters' parameter of UNet\S* must be .*Got 0 instead"),
    refused("architecture: returns no module", lambda: fit_own(lambda n: 5),
            r"architecture returned a int.*expected a torch\.nn\.Module\."),
    refused("architecture: returns a class", lambda: fit_own(lambda n: nn.Identity),
            r"architecture returned a type.*expected a torch\.nn\.Module\."),
    refused("architecture: takes no channels", lambda: fit_own(lambda: nn.Conv2d(1, 1, 1)),
            "architecture=<lambda> cannot be called with the number of.*expected parameters of <lambda>: it has"),
    refused("architecture: two maps", lambda: fit_own(lambda n: nn.Conv2d(n, 2, 3, padding=1)),
            r"The network maps \(1, 1, 12, 16\) to \(1, 2, 12, 16\).*expected \(1, 1, 12, 16\), one density for"),
    refused("architecture: a smaller map", lambda: fit_own(lambda n: nn.Conv2d(n, 1, 3)),
            r"The network maps \(1, 1, 12, 16\) to \(1, 1, 10, 14\).*expected \(1, 1, 12, 16\), one density for"),
    refused("architecture: other channels", lambda: fit_own(lambda n: nn.Conv2d(n + 1, 1, 1)),
            r"architecture=.* cannot compute a map of an image of 1 channels and 12 x 16 pixels \(Given groups=1.*;"),
    refused("callbacks: a number", lambda: fit(callbacks=[1]),
            r"callbacks\[0\] is a int; expected a callback of skorch's, or \(name, callback\)\."),
    refused("callbacks: a name of none", lambda: fit(callbacks=[("stop", "EarlyStopping")]),
            r"callbacks\[0\] is a str; expected a callback of skorch's"),
    refused("net_params: no names", lambda: fit(net_params={1: 2}),
            r"net_params holds the keys \[1\]; expected names of skorch's parameters\."),
    refused("lengths: too few groups, none held out", lambda: fit(groups=[1, 2]),
            r"groups has shape \(2,\) and there are 3 images.*expected one label an image\."),
    refused("sample_weight: of two lengths, in fit", lambda: fit(sample_weight=[[1], [1, 2], [3]]),
            r"sample_weight .*expected one finite number of at least 0"),
    refused("set_params: a typo", lambda: UNetRegressor().set_params(filtres=2),
            r"Invalid parameter 'filtres' for estimator UNetRegressor\(\)\. .*Valid parameters are: \['augment'"),
    refused("set_params: a typo of the density", lambda: UNetRegressor().set_params(density__sigmaa=2),
            r"Invalid parameter 'sigmaa' for estimator.*Valid parameters are: \['beta'"),
    refused("constructor: a typo", lambda: UNetRegressor(filtres=2),
            r"UNetRegressor\.__init__\(\) got an unexpected keyword argument", TypeError),
    refused("DensityMapTransformer: sigma=0", lambda: transform(sigma=0),
            "The 'sigma' parameter of DensityMapTransformer must be .*Got 0 instead"),
    refused("DensityMapTransformer: truncate=0.5", lambda: transform(truncate=0.5),
            r"The 'truncate' parameter of DensityMapTransformer must be .*Got 0\.5 instead"),
    refused("DensityMapTransformer: n_neighbors=0", lambda: transform(n_neighbors=0, kernel="adaptive"),
            "The 'n_neighbors' parameter of DensityMapTransformer must be .*Got 0 instead"),
    refused("DensityMapTransformer: beta=0", lambda: transform(beta=0, kernel="adaptive"),
            "The 'beta' parameter of DensityMapTransformer must be .*Got 0 instead"),
    refused("DensityMapTransformer: outside='drop'", lambda: transform(outside="drop"),
            "The 'outside' parameter of DensityMapTransformer must be .*Got 'drop' instead"),
    refused("DensityMapTransformer: image_shape=12", lambda: DensityMapTransformer(image_shape=12).fit(POINTS),
            "The 'image_shape' parameter of DensityMapTransformer must be .*Got 12 instead"),
    right("DensityMapTransformer: an enormous sigma", lambda: transform(sigma=1e300).sum(axis=(1, 2)).round(3), COUNTS),
    right("DensityMapTransformer: a tiny sigma", lambda: transform(sigma=1e-300).sum(axis=(1, 2)).round(3), COUNTS),
]

STATE = [
    *(
        refused(f"not fitted: {method}", lambda method=method: getattr(UNetRegressor(), method)(IMAGES),
                "This UNetRegressor instance is not fitted yet.*Call 'fit'", NotFittedError)
        for method in ("predict", "predict_density", "predict_points", "iter_density", "export_onnx")
    ),
    refused("not fitted: score", lambda: UNetRegressor().score(IMAGES, POINTS),
            r"This UNetRegressor instance is not fitted yet\. .*Call 'fit' with appropriate arguments", NotFittedError),
    refused("not fitted: drawn", lambda: DensityMapDisplay.from_estimator(UNetRegressor(), IMAGES[0]),
            r"This UNetRegressor instance is not fitted yet\. .*Call 'fit' with appropriate arguments", NotFittedError),
    refused("fitted: on grey, colour came", lambda: predict(COLOURS),
            r"X has images of 3 channels and this UNetRegressor was fitted.*expected the same number\. Channels come"),
    refused("fitted: on colour, grey came", lambda: predict(IMAGES, colour=True),
            r"X has images of 1 channels and this UNetRegressor was fitted.*expected the same number\. Channels come"),
    refused("fitted: on colour, four channels came", lambda: predict(np.zeros((2, *SHAPE, 4)), colour=True),
            r"X has images of 4 channels and this UNetRegressor was fitted.*expected the same number\. Channels come"),
    refused("fitted: on images, a table came", lambda: predict(TABLE),
            r"X has shape \(6, 5\), a single image without its sample axis.*Expected \(n_images, height, width\["),
    refused("fitted: on a table, images came", lambda: of_table().predict(IMAGES),
            r"X holds images and this UNetRegressor was fitted on a table.*expected a table of shape \(n_samples"),
    refused("fitted: on a table, other columns came", lambda: of_table().predict(TABLE[:, :4]),
            r"X has 4 features, but UNetRegressor .*is expecting 5 features as input\."),
    refused("fitted: on a table, NaN came", lambda: of_table().predict(TABLE * np.nan), r"Input X contains NaN\."),
    refused("fitted: on a table, with a region", lambda: of_table().predict(TABLE, roi=np.ones((1, 5), bool)),
            r"X is a table and roi was passed.*expected images, for a table has no roi\."),
    refused("fitted: a tile that is too small", lambda: fitted().set_params(tile_size=4).predict(IMAGES),
            "tile_size=4 and the network looks 51 pixels far to each side,.*expected at least 120, better several"),
    refused("fitted: out of integers", lambda: predict(method="predict_density", out=np.zeros((3, *SHAPE), int)),
            "out has dtype int64.*expected floats, for there are less than"),
    refused("fitted: out of another size", lambda: predict(method="predict_density", out=np.zeros((3, 16, 12))),
            r"out holds 3 maps of 16 x 12 pixels and X 3 images of 12 x 16.*expected one map an image, of its size\."),
    refused("fitted: out read-only", lambda: predict(method="predict_density", out=locked(MAPS)),
            r"out is read-only.*expected arrays that can be written to\."),
    refused("fitted: out is text", lambda: predict(method="predict_density", out="maps.h5"),
            r"out is a str of NoneType.*expected an array \(n_images, height"),
    refused("fitted: export to no folder", lambda folder: write(fitted().export_onnx, folder / "no" / "a.onnx"),
            r"There is no folder .*no to write a\.onnx in; .*make it first\.", FileNotFoundError),
    refused("fitted: export to a folder", lambda folder: write(fitted().export_onnx, folder),
            r"data is a folder; expected the name of a file in it\."),
    refused("warm_start: other filters", lambda: continue_with(filters=3),
            r"The network was fitted with \{'filters': 2, 'growth': 2,.*expected the same\. Fit afresh: clone it"),
    refused("warm_start: another dtype", lambda: continue_with(dtype="float64"),
            r"The network was fitted with \{'filters': 2, 'growth': 2,.*expected the same\. Fit afresh: clone it"),
    refused("warm_start: other channels", lambda: continue_with(COLOURS),
            r"X has images of 3 channels and this UNetRegressor was fitted.*expected the same number\. Channels come"),
    refused("warm_start: a table", lambda: continue_with(TABLE, np.arange(6.0)),
            r"X has shape \(6, 5\), a single image without its sample axis.*Expected \(n_images, height, width\["),
    refused("partial_fit: other channels", lambda: continue_with(COLOURS, method="partial_fit"),
            r"X has images of 3 channels and this UNetRegressor was fitted.*expected the same number\. Channels come"),
    refused("partial_fit: other filters", lambda: continue_with(method="partial_fit", filters=3),
            r"The network was fitted with \{'filters': 2, 'growth': 2,.*expected the same\. Fit afresh: clone it"),
]

METRICS = [
    refused("metrics: lengths", lambda: metrics.count_mean_absolute_error([1, 2, 3], [1, 2]),
            r"y_true holds 3 entries and y_pred holds 2 entries,.*expected one entry of y_pred an image\."),
    refused("metrics: NaN in the truth", lambda: metrics.count_mean_absolute_error([1, np.nan], [1, 2]),
            r"y_true is not finite: image 1 has nan.*expected points \(a list of \(n_points, 2\)"),
    refused("metrics: NaN in the prediction", lambda: metrics.count_root_mean_squared_error([1, 2], [1, np.nan]),
            r"y_pred is not finite: image 1 has nan.*expected points \(a list of \(n_points, 2\)"),
    refused("metrics: infinity", lambda: metrics.count_bias([1, 2], [np.inf, 2]),
            r"y_pred is not finite: image 0 has inf.*expected points \(a list of \(n_points, 2\)"),
    refused("metrics: nothing", lambda: metrics.count_mean_absolute_error([], []),
            r"y_true is empty.*expected points \(a list of \(n_points, 2\)"),
    refused("metrics: text", lambda: metrics.count_mean_absolute_error(["a"], [1]),
            r"y_true is a list that holds no numbers.*expected points \(a list of \(n_points, 2\)"),
    refused("metrics: None", lambda: metrics.count_mean_absolute_error(None, [1]),
            r"y_true is a NoneType.*expected points \(a list of \(n_points, 2\)"),
    refused("metrics: a dictionary", lambda: metrics.count_mean_absolute_error({0: 1}, [1]),
            r"y_true is a dict that holds no numbers.*expected points \(a list of \(n_points, 2\)"),
    refused("metrics: complex", lambda: metrics.count_mean_absolute_error([1j], [1]),
            r"y_true is a list that holds no numbers.*expected points \(a list of \(n_points, 2\)"),
    refused("metrics: two columns", lambda: metrics.count_mean_absolute_error(np.ones((2, 2)), [1, 1]),
            r"y_true is an array of shape \(2, 2\).*expected points \(a list of \(n_points, 2\)"),
    refused("metrics: an integer too large for a float", lambda: metrics.count_mean_absolute_error([10**400], [1]),
            r"y_true is a list that holds no numbers.*expected points \(a list of \(n_points, 2\)"),
    refused("metrics: masked", lambda: metrics.count_mean_absolute_error(masked(COUNTS, 1), COUNTS),
            r"y_true is a masked array, and 1 of its values are masked.*expected points \(a list of \(n_points, 2\)"),
    refused("metrics: points with NaN", lambda: metrics.count_mean_absolute_error([[(np.nan, 1)]], [1]),
            r"Point 0 of image 0 is \[nan, 1\.0\]: NaN or infinity\. .*Remove it, or find out where it came"),
    refused("metrics: weights of another length", lambda: metrics.count_bias([1, 2], [1, 2], sample_weight=[1]),
            r"sample_weight has shape \(1,\).*expected one finite number of at least 0"),
    refused("metrics: weights that are negative", lambda: metrics.count_bias([1, 2], [1, 2], sample_weight=[1, -1]),
            r"sample_weight of image 1 is -1\.0.*expected one finite number of at least 0"),
    refused("metrics: weights that are zero", lambda: metrics.count_bias([1, 2], [1, 2], sample_weight=[0, 0]),
            r"The sample weights of these images are all 0.*expected at least one larger\."),
    refused("metrics: weights that are text", lambda: metrics.count_bias([1, 2], [1, 2], sample_weight=["a", "b"]),
            r"sample_weight holds no numbers \(its dtype is <U1\).*expected one finite number of at least 0"),
    refused("metrics: no object for a relative error", lambda: metrics.count_normalized_absolute_error([0, 0], [1, 2]),
            r"No image of y_true has an object, so no relative error is.*expected at least one\."),
    right("metrics: one column of counts", lambda: metrics.count_bias(np.array([[1], [2]]), [2, 3]), 1),
    refused("GAME: a negative level", lambda: game(POINTS, POINTS, -1, image_shape=SHAPE),
            r"level is -1.*expected a whole number of at least 0\."),
    refused("GAME: a level of 1.5", lambda: game(POINTS, POINTS, 1.5, image_shape=SHAPE),
            r"The 'level' parameter of grid_average_mean_absolute_error must be .*Got 1\.5 instead"),
    refused("GAME: a level that is True", lambda: game(POINTS, POINTS, True, image_shape=SHAPE),
            r"level is True.*expected a whole number of at least 0\."),
    refused("GAME: a level that is text", lambda: game(POINTS, POINTS, "1", image_shape=SHAPE),
            "The 'level' parameter of grid_average_mean_absolute_error must be .*Got '1' instead"),
    right("GAME: a level far beyond the pixels", lambda: game(POINTS, POINTS[::-1], 40, image_shape=SHAPE),
            lambda: game(POINTS, POINTS[::-1], 4, image_shape=SHAPE)),
    refused("GAME: no size", lambda: game(POINTS, POINTS, 1),
            r"The size of the images is not known from points alone.*pass image_shape=\(height, width\)\."),
    refused("GAME: a size of zero", lambda: game(POINTS, POINTS, 1, image_shape=(0, 16)),
            r"image_shape is \(0, 16\).*expected \(height, width\) in whole pixels"),
    refused("GAME: a size of floats", lambda: game(POINTS, POINTS, 1, image_shape=(12.0, 16.0)),
            r"image_shape is \(12\.0, 16\.0\).*expected \(height, width\) in whole pixels"),
    refused("GAME: sizes of two kinds", lambda: game(POINTS, POINTS, 1, image_shape=[SHAPE, (3,), SHAPE]),
            r"image_shape is no array \(.*expected \(height, width\), or one such"),
    refused("GAME: a size that is not the map's", lambda: game(POINTS, MAPS, 1, image_shape=(16, 12)),
            r"The density map of image 0 has shape \(12, 16\), the image \(16,.*expected the same size\."),
    refused("GAME: counts", lambda: game(COUNTS, COUNTS, 1, image_shape=SHAPE),
            "Counts have no place: GAME of level 1 and more needs points"),
    refused("GAME: lengths", lambda: game(POINTS, MAPS[:2], 1),
            r"y_true holds 3 entries and y_pred holds 2 entries,.*expected one entry of y_pred an image\."),
    refused("GAME: nothing", lambda: game([], []), "y_true is empty.*expected points or density maps of at"),
    refused("GAME: text", lambda: game("points", POINTS), "y_true is a str.*expected points or density maps, one"),
    refused("GAME: None", lambda: game(POINTS, None), "y_pred is a NoneType.*expected points or density maps, one"),
    refused("GAME: a map with NaN", lambda: game(POINTS, put(MAPS, (1, 2, 3), np.nan), 1),
            r"Density map 1 of y_pred holds NaN or infinity.*expected finite objects per pixel\."),
    refused("GAME: a map of text", lambda: game(POINTS, [np.full(SHAPE, "a")] * 3, 1),
            r"Density map 0 of y_pred has dtype <U1.*expected real numbers, objects per pixel\."),
    refused("GAME: maps of two sizes", lambda: game(MAPS, [m.T for m in MAPS], 1),
            r"The density map of image 0 has shape \(16, 12\), the image \(12,.*expected the same size\."),
    refused("scorers: lengths", lambda: metrics.count_mae_scorer(fitted(), IMAGES, POINTS[:2]),
            r"y_true holds 2 entries and y_pred holds 3 entries,.*expected one entry of y_pred an image\."),
    refused("scorers: NaN in the truth", lambda: metrics.count_mae_scorer(fitted(), IMAGES, [1, np.nan, 2]),
            r"y_true is not finite: image 1 has nan.*expected points \(a list of \(n_points, 2\)"),
    refused("scorers: a metric that is text", lambda: metrics.CountScorer("mae")(fitted(), IMAGES, POINTS),
            "The 'metric' parameter of CountScorer must be .*Got 'mae' instead"),
    refused("scorers: a negative level", lambda: metrics.GAMEScorer(-1)(fitted(), IMAGES, POINTS),
            "The 'level' parameter of GAMEScorer must be .*Got -1 instead"),
    refused("scorers: a region of another size", lambda: metrics.count_mae_scorer(fitted(), IMAGES, POINTS, roi=ROI.T),
            r"The roi has shape \(16, 12\) and image 0 is of 12 x 16 pixels.*expected the same \(height, width\), of one"),
    refused("scorers: not fitted", lambda: metrics.count_mae_scorer(UNetRegressor(), IMAGES, POINTS),
            r"This UNetRegressor instance is not fitted yet\. .*Call 'fit' with appropriate arguments", NotFittedError),
]

TRANSFORMER = [
    refused("transform: no size", lambda: transform(image_shape=None),
            r"image_shape is None: the size of the images is not known\. .*Pass \(height, width\), or one an image, to"),
    refused("transform: a size of zero", lambda: transform(image_shape=(0, 16)),
            r"image_shape is \(0, 16\).*expected \(height, width\) in whole pixels"),
    refused("transform: a negative size", lambda: transform(image_shape=(-12, 16)),
            r"image_shape is \(-12, 16\).*expected \(height, width\) in whole pixels"),
    refused("transform: a size of floats", lambda: transform(image_shape=(12.0, 16.0)),
            r"image_shape is \(12\.0, 16\.0\).*expected \(height, width\) in whole pixels"),
    refused("transform: a size of three", lambda: transform(image_shape=(12, 16, 3)),
            r"image_shape is \(12, 16, 3\).*expected \(height, width\) in whole pixels"),
    refused("transform: a size that is text", lambda: transform(image_shape="12x16"),
            r"image_shape is '12x16'.*expected \(height, width\) in whole pixels"),
    refused("transform: one number", lambda: transform(image_shape=12),
            r"image_shape is 12.*expected \(height, width\) in whole pixels"),
    refused("transform: sizes of two kinds", lambda: transform(image_shape=[SHAPE, (12,), SHAPE]),
            r"image_shape is \[\(12, 16\), \(12,\), \(12, 16\)\].*expected \(height, width\) in whole pixels"),
    refused("transform: points without the sample axis", lambda: transform([(1, 2), (3, 4)]),
            r"The points of image 0 have shape \(2,\).*expected \(n_points, 2\), \(row, col\) in"),
    refused("transform: None", lambda: transform(None), "points is a NoneType.*expected one array-like of shape"),
    right("transform: no images", lambda: len(transform([])), 0),
    right("transform: a region without a point", lambda: transform(roi=~ROI).sum(axis=(1, 2)).round(4), [0, 0, 1]),
    refused("fit: points with NaN", lambda: DensityMapTransformer().fit([[(np.nan, 1)]]),
            r"Point 0 of image 0 is \[nan, 1\.0\]: NaN or infinity\. .*Remove it, or find out where it came"),
    refused("inverse_transform: NaN", lambda: invert(put(MAPS, (1, 2, 3), np.nan)),
            r"Density map 1 holds NaN or infinity.*expected finite objects per pixel\."),
    refused("inverse_transform: text", lambda: invert("maps"),
            r"The density maps are a str.*expected an array of shape \(n_images"),
    refused("inverse_transform: None", lambda: invert(None),
            r"The density maps are a NoneType.*expected an array of shape \(n_images"),
    refused("inverse_transform: one map", lambda: invert(MAPS[0]),
            r"Density map 0 has shape \(16,\) and dtype float32.*expected numbers of shape \(height"),
    refused("inverse_transform: four dimensions", lambda: invert(MAPS[None]),
            r"Density map 0 has shape \(3, 12, 16\) and dtype float32.*expected numbers of shape \(height"),
    refused("inverse_transform: rows of two lengths", lambda: invert([[[1], [1, 2]]]),
            r"Density map 0 is no array \(.*expected \(height, width\)\."),
    refused("inverse_transform: text in a map", lambda: invert([np.full(SHAPE, "a")]),
            r"Density map 0 has shape \(12, 16\) and dtype <U1.*expected numbers of shape \(height"),
    refused("inverse_transform: too many objects", lambda: invert(np.full((1, 4, 4), 1e30)),
            r"The density adds up to 1\.6e\+31 objects on 4 x 4 pixels.*expected objects per pixel, at most 1000"),
    refused("inverse_transform: masked", lambda: invert(masked(MAPS, (1, 2, 3))),
            r"Density map 1 is a masked array, and 1 of its values are.*expected \(height, width\), all of it"),
    refused("inverse_transform: a region of another size", lambda: invert(roi=ROI.T),
            r"The roi has shape \(16, 12\) and image 0 is of 12 x 16 pixels.*expected the same \(height, width\), of one"),
    right("inverse_transform: negative", lambda: invert(-MAPS).counts, [0, 0, 0]),
    right("inverse_transform: integers", lambda: invert(put(np.zeros((1, 5, 5), int), (0, 2, 2), 2)).counts, [2]),
    refused("gaussian_density: sigma=-1", lambda: density.gaussian_density(np.ones((1, 2)), SHAPE, -1.0),
            r"The 'sigma' parameter of gaussian_density must be .*Got -1\.0 instead"),
    refused("gaussian_density: a list", lambda: density.gaussian_density([(1, 2)], SHAPE, 1.0),
            r"The 'points' parameter of gaussian_density must be .*Got \[\(1, 2\)\] instead"),
    refused("find_points: a list", lambda: density.find_points([[1.0]], 1.0),
            r"The 'density' parameter of find_points must be .*Got \[\[1\.0\]\] instead"),
]

DATASETS = [
    refused("make_cells: n_samples=-1", lambda: make_cells(-1),
            "The 'n_samples' parameter of make_cells must be .*Got -1 instead"),
    refused("make_cells: n_samples=2.5", lambda: make_cells(2.5),
            r"The 'n_samples' parameter of make_cells must be .*Got 2\.5 instead"),
    refused("make_cells: no rows", lambda: make_cells(1, image_shape=(0, 16)),
            r"image_shape is \(0, 16\).*expected two integers of at least 1\. Pass"),
    refused("make_cells: a shape of three", lambda: make_cells(1, image_shape=(12, 16, 3)),
            r"image_shape is \(12, 16, 3\).*expected two integers of at least 1\. Pass"),
    refused("make_cells: a shape of floats", lambda: make_cells(1, image_shape=(12.0, 16.0)),
            r"image_shape is \(12\.0, 16\.0\).*expected two integers of at least 1\. Pass"),
    refused("make_cells: a side", lambda: make_cells(1, image_shape=12),
            "The 'image_shape' parameter of make_cells must be .*Got 12 instead"),
    refused("make_cells: more before fewer", lambda: make_cells(1, n_cells=(5, 2)),
            r"n_cells is \(5, 2\).*expected 0 <= low <= high\. Pass the"),
    refused("make_cells: cells in three parts", lambda: make_cells(1, n_cells=(1, 2, 3)),
            r"n_cells is \(1, 2, 3\).*expected an integer, two integers or"),
    refused("make_cells: a negative number of cells", lambda: make_cells(1, n_cells=-1),
            "The 'n_cells' parameter of make_cells must be .*Got -1 instead"),
    refused("make_cells: no radius", lambda: make_cells(1, image_shape=SHAPE, radius=0),
            "The 'radius' parameter of make_cells must be .*Got 0 instead"),
    refused("make_cells: an infinite radius", lambda: make_cells(1, image_shape=SHAPE, radius=np.inf),
            "The 'radius' parameter of make_cells must be .*Got inf instead"),
    refused("make_cells: NaN as a radius", lambda: make_cells(1, image_shape=SHAPE, radius=np.nan),
            "The 'radius' parameter of make_cells must be .*Got nan instead"),
    refused("make_cells: infinite clusters", lambda: make_cells(1, image_shape=SHAPE, cluster_std=np.inf),
            "The 'cluster_std' parameter of make_cells must be .*Got inf instead"),
    refused("make_cells: brightness of one number", lambda: make_cells(1, image_shape=SHAPE, brightness=100),
            "The 'brightness' parameter of make_cells must be .*Got 100 instead"),
    refused("make_cells: brightness beyond white", lambda: make_cells(1, image_shape=SHAPE, brightness=(100, 300)),
            r"brightness is \(100, 300\).*expected 0 <= low <= high <= 255, finite\."),
    refused("make_cells: NaN as blur", lambda: make_cells(1, image_shape=SHAPE, blur=(1, np.nan)),
            r"blur is \(1, nan\).*expected 0 <= low <= high, finite\. Pass"),
    refused("make_cells: too many cells", lambda: make_cells(1, image_shape=SHAPE, n_cells=99, overlap=0, random_state=0),
            r"only \d of 99 cells fit in an image of 12 x 16 pixels with.*expected room for all of them\. Raise"),
    refused("make_cells: overlap=2", lambda: make_cells(1, overlap=2),
            "The 'overlap' parameter of make_cells must be .*Got 2 instead"),
    refused("make_cells: random_state='a'", lambda: make_cells(1, random_state="a"),
            "The 'random_state' parameter of make_cells must be .*Got 'a' instead"),
    right("make_cells: none", lambda: make_cells(0, image_shape=SHAPE).images.shape, (0, 12, 16, 3)),
    refused("ImageSet: no images", lambda: ImageSet([]), r"There are no images.*expected at least one\."),
    refused("ImageSet: one without its sample axis", lambda: ImageSet(IMAGES[0]),
            r"X has shape \(12, 16\), a single image without its sample axis.*Expected \(n_images, height, width\["),
    refused("ImageSet: the name of a file", lambda: ImageSet("cells.h5"),
            r"images is a str.*expected an array \(n_images, height"),
    refused("ImageSet: names of files", lambda: ImageSet(["a.png", "b.png"]),
            r"Image 0 is the name 'a\.png'.*expected pixels, an array \(height, width\)"),
    refused("ImageSet: None", lambda: ImageSet(None), r"images is a NoneType.*expected an array \(n_images, height"),
    refused("ImageSet: two types", lambda: ImageSet([IMAGES[0], FLOATS[1]]),
            "Image 1 has dtype float64 and no channel axis, and image 0.*expected one type and one number of"),
    refused("ImageSet: grey and colour", lambda: ImageSet([IMAGES[0], COLOURS[1]]),
            "Image 1 has dtype uint8 and 3 channels, and image 0 has dtype.*expected one type and one number of"),
    refused("ImageSet: masked", lambda: ImageSet(masked(FLOATS, (1, 3, 4))),
            r"X is a masked array, and 1 of its values are masked.*expected \(n_images, height, width\) or"),
    refused("ImageSet: rows of two lengths", lambda: ImageSet([IMAGES[0], [[1], [1, 2]]]),
            r"Image 1 is no array \(.*expected \(height, width\) or \(height,"),
    refused("ImageSet: a region of another size", lambda: ImageSet(IMAGES, roi=ROI.T),
            r"The roi has shape \(16, 12\).*expected \(12, 16\), the \(height, width\) of"),
    refused("ImageSet: two regions for three images", lambda: ImageSet(IMAGES, roi=[ROI, ROI]),
            "The roi has 2 maps and there are 3 images.*expected one map for each image, or one"),
    refused("ImageSet: a region of floats", lambda: ImageSet(IMAGES, roi=SCALES),
            "The roi has dtype float64.*expected booleans, True inside: compare"),
    refused("ImageSet: a region that is text", lambda: ImageSet(IMAGES, roi="top"),
            r"The roi is a str.*expected one array \(height, width\) for"),
    refused("ImageSet: a perspective of zero", lambda: ImageSet(IMAGES, perspective=SCALES * 0),
            r"The perspective is 0\.0 at row 0, column 0.*expected finite scales above 0, the"),
    refused("ImageSet: two groups for three images", lambda: ImageSet(IMAGES, groups=[1, 2]),
            r"groups has shape \(2,\) and there are 3 images.*expected one label an image\."),
    refused("ImageSet: groups of floats", lambda: ImageSet(IMAGES, groups=[1.5, 2, 3]),
            "groups has dtype float64.*expected integers or strings, one an"),
    refused("ImageSet: groups of two lengths", lambda: ImageSet(IMAGES, groups=[[1], [1, 2], [3]]),
            r"groups is no array \(.*expected one label an image\."),
    refused("ImageSet: indexed by two", lambda: ImageSet(IMAGES)[0, 1],
            "2 indices came.*expected one, for a set is indexed by", IndexError),
    refused("ImageSet: indexed beyond the last", lambda: ImageSet(IMAGES)[3],
            "index 3 is out of bounds for axis 0 with size 3", IndexError),
    refused("ImageSet: indexed by floats", lambda: ImageSet(IMAGES)[[0.5]],
            "The index has 1 dimensions and dtype float64.*expected an integer, a slice, or a 1-D", IndexError),
    refused("ImageSet: many sizes as an array", lambda: np.asarray(ImageSet([IMAGES[0], IMAGES[1].T])),
            "The 2 images are of 2 sizes and fit in no single array;"),
    refused("save_hdf5: to a folder", lambda folder: write(save_hdf5, folder, IMAGES, POINTS),
            r"data is a folder; expected the name of a file in it\."),
    refused("save_hdf5: to no folder", lambda folder: save(folder, name="no/cells.h5"),
            r"There is no folder .*no to write cells\.h5 in; .*make it first\.", FileNotFoundError),
    refused("save_hdf5: a number as the name", lambda: save_hdf5(5, IMAGES, POINTS),
            "The 'path' parameter of save_hdf5 must be .*Got 5 instead"),
    refused("save_hdf5: too few points", lambda folder: save(folder, points=POINTS[:2]),
            "There are 3 images and points of 2 images.*expected one array of points an image, an"),
    refused("save_hdf5: a generator that ends early", lambda folder: save(folder, (image for image in IMAGES[:2])),
            "There are 2 images and points of 3 images.*expected one array of points an image, an"),
    refused("save_hdf5: a generator that fails", lambda folder: save(folder, (1 / (2 - i) * IMAGES[i] for i in range(3))),
            "division by zero", ZeroDivisionError),
    refused("save_hdf5: a list of two types", lambda folder: save(folder, [IMAGES[0], FLOATS[1], IMAGES[2]]),
            "Image 1 has dtype float64 and no channel axis, and image 0.*expected one type and one number of"),
    refused("save_hdf5: two types as they come", lambda folder: save(folder, iter([IMAGES[0], FLOATS[1], IMAGES[2]])),
            "Image 1 has dtype float64 and no channel axis, and image 0.*expected one type and one number of"),
    refused("save_hdf5: points with NaN", lambda folder: save(folder, points=[[(np.nan, 1)], [], []]),
            r"Point 0 of image 0 is \[nan, 1\.0\]: NaN or infinity\. .*Remove it, or find out where it came"),
    refused("save_hdf5: no images", lambda folder: save(folder, [], []), r"There are no images.*expected at least one\."),
    refused("save_hdf5: None", lambda folder: save(folder, None),
            r"images is a NoneType.*expected an array \(n_images, height"),
    refused("save_hdf5: masked images", lambda folder: save(folder, iter([masked(FLOATS[0], (1, 2))] * 3)),
            r"Image 0 is a masked array, and 1 of its values are masked.*expected \(height, width\) or \(height"),
    refused("save_hdf5: an unknown compression", lambda folder: save(folder, compression="lzma"),
            r"compression='lzma'.*expected 'zstd', 'gzip' or None\."),
    refused("save_hdf5: a region of another size", lambda folder: save(folder, roi=ROI.T),
            r"The roi has shape \(16, 12\).*expected \(12, 16\), the \(height, width\) of"),
    refused("save_hdf5: too few regions", lambda folder: save(folder, roi=iter([ROI, ROI])),
            "There are 2 maps of roi and points of 3 images.*expected one map an image, or one array"),
    refused("save_hdf5: a perspective below 0", lambda folder: save(folder, perspective=iter([SCALES, -SCALES, SCALES])),
            r"The perspective of image 1 is -1\.0 at row 0, column 0.*expected finite scales above 0, the"),
    refused("save_hdf5: too few groups", lambda folder: save(folder, groups=[1, 2]),
            r"groups has shape \(2,\) and there are 3 images.*expected one label an image\."),
    refused("save_hdf5: a description with NUL", lambda folder: save(folder, description="a\0b"),
            r"description is 'a\\x00b'.*expected a str without NUL characters\."),
    refused("load_hdf5: no file", lambda folder: load_hdf5(folder / "no.h5"),
            r"\[Errno 2\] .*No such file or directory: .*no\.h5'", FileNotFoundError),
    refused("load_hdf5: a folder", lambda folder: load_hdf5(str(folder)),
            "data is a folder; expected a file written by", IsADirectoryError),
    refused("load_hdf5: an empty file", lambda folder: load(folder, b""),
            r"cells\.h5 cannot be loaded: Unable to synchronously open file.*Expected a whole file written by"),
    refused("load_hdf5: a text", lambda folder: load(folder, b"image,x,y\n"),
            r"cells\.h5 cannot be loaded: Unable to synchronously open file.*Expected a whole file written by"),
    refused("load_hdf5: half a file", lambda folder: load(folder, whole_file(folder)[:900]),
            r"cells\.h5 cannot be loaded: Unable to synchronously open file.*Expected a whole file written by"),
    refused("load_hdf5: all but the last byte", lambda folder: load(folder, whole_file(folder)[:-1]),
            r"cells\.h5 cannot be loaded: Unable to synchronously open file.*Expected a whole file written by"),
    refused("load_hdf5: of another program", lambda folder: load(folder, foreign_file(folder)),
            r"cells\.h5 cannot be loaded: it is an HDF5 file of another.*Expected a whole file written by"),
    refused("load_hdf5: None", lambda: load_hdf5(None), "The 'path' parameter of load_hdf5 must be .*Got None instead"),
    refused("load_folder: no folder", lambda folder: load_folder(folder / "no"),
            r"There is no folder .*no, and no file of that pattern\.", FileNotFoundError),
    refused("load_folder: an empty folder", lambda folder: load_folder(str(folder)),
            r"There are no pictures in .*data; expected files with the suffix \.png", FileNotFoundError),
    refused("load_folder: no pictures", lambda folder: load_folder(with_file(folder, "a.txt")),
            r"There are no pictures in .*data; expected files with the suffix \.png", FileNotFoundError),
    refused("load_folder: an empty list", lambda: load_folder([]),
            r"There are no pictures in a list of files.*expected files with the suffix \.png", FileNotFoundError),
    refused("load_folder: None", lambda: load_folder(None),
            "The 'images' parameter of load_folder must be .*Got None instead"),
    refused("load_folder: grey and colour", lambda folder: load_folder(pictures(folder, IMAGES[0], COLOURS[0])),
            r"0\.png has 1 channels of uint8, and .*1\.png has 3 channels of.*expected pictures of one type\. Convert"),
    refused("load_folder: an empty picture", lambda folder: load_folder(with_file(pictures(folder, IMAGES[0]), "1.png")),
            r"1\.png cannot be read as a picture: cannot identify image file.*restore it, or convert it\.", OSError),
    refused("load_folder: a text called a picture", lambda folder: load_folder(with_file(folder, "1.png", b"no picture")),
            r"1\.png cannot be read as a picture: cannot identify image file.*restore it, or convert it\.", OSError),
    refused("load_folder: no annotations of one", lambda folder: load_folder(annotated(folder, ROW, *IMAGES[:2]), folder),
            r"The images do not match the annotation files: no points for 1.*missing='empty': they hold no object\)\."),
    refused("load_folder: no annotations at all", lambda folder: load_folder(pictures(folder, IMAGES[0]), folder),
            "There are no annotations in .*data; expected files of a format of", FileNotFoundError),
    refused("load_folder: no folder of annotations", lambda folder: load_folder(pictures(folder, IMAGES[0]), folder / "no"),
            r"There is no folder .*no, and no file of that pattern\.", FileNotFoundError),
    refused("load_folder: points outside", lambda folder: load_folder(annotated(folder, FAR, IMAGES[0]), folder),
            r"1 of 1 points of the annotation files are outside their.*outside='warn' keeps them as they are\."),
    refused("load_folder: missing='skip'", lambda folder: load_folder(pictures(folder, IMAGES[0]), missing="skip"),
            r"missing='skip'.*expected one of 'raise', 'empty'\."),
    refused("load_folder: an unknown argument", lambda folder: load_folder(pictures(folder, IMAGES[0]), colour="grey"),
            "There is no argument colour; see read_points for those there", TypeError),
    refused("read_points: no file", lambda folder: read_points(folder / "no.csv"),
            r"There is no file .*no\.csv.*expected a file of points\.", FileNotFoundError),
    refused("read_points: a folder", lambda folder: read_points(str(folder)),
            r"There is no file .*data; expected a file of points\.", FileNotFoundError),
    refused("read_points: an empty table", lambda folder: read(folder, ""),
            r"cells\.csv is empty.*expected a table with a row of column"),
    right("read_points: a table without rows", lambda folder: read(folder, "row,col\n").counts, [0]),
    refused("read_points: an empty JSON", lambda folder: read(folder, "", "a.json"),
            r"a\.json is no valid JSON: Expecting value: line 1 column 1.*Export it anew\."),
    refused("read_points: a JSON of another kind", lambda folder: read(folder, '{"a": 1}', "a.json"),
            r"The format of .*a\.json cannot be told: expected either the.*Pass format=\.\.\., one of csv, napari"),
    refused("read_points: a JSON that ends early", lambda folder: read(folder, '{"images": [', "a.json"),
            r"a\.json is no valid JSON: Expecting value: line 1 column 13.*Export it anew\."),
    refused("read_points: a foreign XML", lambda folder: read(folder, "<html></html>", "a.xml"),
            r"a\.xml is XML with the root 'html'.*expected 'CellCounter_Marker_File'\."),
    refused("read_points: a foreign MATLAB file", lambda folder: read(folder, "no matlab", "a.mat"),
            r"a\.mat cannot be read as a file of MATLAB: .*anew"),
    refused("read_points: a foreign selection", lambda folder: read(folder, "no roi", "a.roi"),
            r"a\.roi cannot be read as a selection of ImageJ: .*Save it anew\."),
    refused("read_points: a foreign archive", lambda folder: read(folder, "no zip", "a.zip"),
            r"a\.zip cannot be read as a selection of ImageJ: .*Save it anew\."),
    refused("read_points: an unknown suffix", lambda folder: read(folder, "1,2", "a.docx"),
            r"The format of .*a\.docx cannot be told: the suffix '\.docx' is of.*Pass format=\.\.\., one of csv, napari"),
    refused("read_points: unknown columns", lambda folder: read(folder, "a,b\n1,2\n"),
            r"cells\.csv has columns 'a', 'b'; none of them is known\. Name"),
    refused("read_points: columns that are not there", lambda folder: read(folder, "a,b\n1,2\n", columns=("r", "c")),
            r"cells\.csv has columns 'a', 'b'.*expected one column 'r', found 0\."),
    refused("read_points: text for a number", lambda folder: read(folder, "row,col\n1,two\n"),
            r"cells\.csv, line 2: 'two' in column 'col' is no finite number.*expected a coordinate in every row\."),
    refused("read_points: NaN", lambda folder: read(folder, "row,col\n1,nan\n"),
            r"cells\.csv, line 2: 'nan' in column 'col' is no finite number.*expected a coordinate in every row\."),
    refused("read_points: bytes that are no text", lambda folder: read(folder, b"\xff\xfe\x00\x80\xff"),
            r"cells\.csv is no text.*expected a table of cells between commas"),
    refused("read_points: scale=0", lambda folder: read(folder, "row,col\n1,2\n", scale=0),
            "scale=0.*expected the size of a pixel in the unit"),
    refused("read_points: scale=NaN", lambda folder: read(folder, "row,col\n1,2\n", scale=np.nan),
            "scale=nan.*expected the size of a pixel in the unit"),
    refused("read_points: an unknown order", lambda folder: read(folder, "row,col\n1,2\n", order="yx"),
            r"order='yx'.*expected one of None, 'xy', 'rc'\."),
    refused("read_points: an unknown format", lambda folder: read(folder, "row,col\n1,2\n", format="xls"),
            "format='xls'.*expected one of None, 'csv', 'napari'"),
    refused("read_points: outside the image", lambda folder: read(folder, "row,col\n99,2\n", image_shape=SHAPE),
            r"1 of 1 points of .*cells\.csv are outside their image: cells of.*outside='warn' keeps them as they are\."),
    refused("read_points: sizes of two kinds", lambda folder: read(folder, "row,col\n1,2\n", image_shape=[SHAPE, (3,)]),
            r"image_shape is no array \(.*expected \(height, width\) in pixels, or"),
    refused("read_points: names of another image", lambda folder: read(folder, "image,row,col\na,1,2\n", names=["b"]),
            r"The images do not match .*cells\.csv: no points for 1 image: b \(.*missing='empty': they hold no object\);"),
    refused("read_points: one name", lambda folder: read(folder, "image,row,col\na,1,2\n", names="a"),
            r"names='a'.*expected a list of names: \['a'\]\."),
    refused("save_points: to a folder", lambda folder: write(save_points, folder, POINTS),
            r"data is a folder; expected the name of a file in it\."),
    refused("save_points: to no folder", lambda folder: write_points(folder, name="no/cells.csv"),
            r"There is no folder .*no to write cells\.csv in; .*make it first\.", FileNotFoundError),
    refused("save_points: points with NaN", lambda folder: write_points(folder, [[(np.nan, 1)]]),
            r"Point 0 of image 0 is \[nan, 1\.0\]: NaN or infinity\. .*Remove it, or find out where it came"),
    refused("save_points: of a single image without the sample axis", lambda folder: write_points(folder, [(1, 2), (3, 4)]),
            r"The points of image 0 have shape \(2,\).*expected \(n_points, 2\), \(row, col\) in"),
    refused("save_points: none", lambda folder: write_points(folder, []),
            r"There are no images \(points is empty\).*expected at least one\."),
    refused("save_points: too few names", lambda folder: write_points(folder, names=["a", "b"], format="imagej"),
            r"2 different names came for 3 images.*expected one an image\."),
    refused("save_points: a name twice", lambda folder: write_points(folder, names=["a", "b", "a"], format="imagej"),
            r"2 different names came for 3 images.*expected one an image\."),
    refused("save_points: a colon in a name", lambda folder: write_points(folder, names=["a", "b:1", "c"], format="imagej"),
            "An image is called 'b:1'.*expected a name without colons, line"),
    refused("save_points: names for napari", lambda folder: write_points(folder, names=["a", "b", "c"]),
            r"napari has no place for names, only for an image's number.*pass format='imagej', or names=None\."),
    refused("save_points: an unknown format", lambda folder: write_points(folder, format="xls"),
            r"format='xls'.*expected one of 'napari', 'imagej'\."),
]

PLOTTING = [
    refused("display: a map of another size", lambda: show(map_=MAPS[0].T),
            r"Density map 0 has shape \(16, 12\) and its image \(12, 16\).*expected the same size\."),
    refused("display: a map with NaN", lambda: show(map_=MAPS[0] * np.nan),
            r"Density map 0 holds NaN or infinity.*expected finite objects per pixel\."),
    refused("display: a negative map", lambda: show(map_=-MAPS[0] - 1),
            r"Density map 0 holds negative values \(the smallest:.*expected objects per pixel, at least 0\."),
    refused("display: a map of text", lambda: show(map_="density"),
            r"Density map 0 has shape \(\) and dtype <U7.*expected numbers of shape \(height"),
    refused("display: points of three", lambda: show(points=[(1, 2, 3)]),
            r"The points of image 0 have shape \(1, 3\).*expected \(n_points, 2\), \(row, col\) in"),
    refused("display: points with NaN", lambda: show(points=[(1, np.nan)]),
            r"Point 0 of image 0 is \[1\.0, nan\]: NaN or infinity\. .*Remove it, or find out where it came"),
    refused("display: a region of another size", lambda: show(roi=ROI.T),
            r"The roi of image 0 has shape \(16, 12\) and image 0 is of 12 x.*expected the same \(height, width\), of one"),
    refused("display: a region of floats", lambda: show(roi=SCALES),
            "The roi of image 0 has dtype float64.*expected booleans, True inside: compare"),
    refused("display: an image of one dimension", lambda: show(FLOATS[0, 0]),
            r"image has shape \(16,\) and dtype float64.*expected numbers of shape \(height, width\)"),
    refused("display: an image of four dimensions", lambda: show(COLOURS[0][..., None]),
            r"image has shape \(12, 16, 3, 1\) and dtype uint8.*expected numbers of shape \(height, width\)"),
    refused("display: an image of text", lambda: show(np.full(SHAPE, "a")),
            r"image has shape \(12, 16\) and dtype <U1.*expected numbers of shape \(height, width\)"),
    refused("display: several images", lambda: show(IMAGES),
            r"Density map 0 has shape \(12, 16\) and its image \(3, 12\).*expected the same size\."),
    refused("display: no image", lambda: show(None),
            r"image is a NoneType and has shape \(\).*expected an array \(height, width\) or"),
    refused("display: alpha=2", lambda: show(alpha=2),
            r"The 'alpha' parameter of DensityMapDisplay\.from_predictions must be .*Got 2 instead"),
    refused("display: axes that are none", lambda: show(ax=5),
            r"The 'ax' parameter of DensityMapDisplay\.from_predictions must be .*Got 5 instead"),
    refused("display: an estimator that is none", lambda: DensityMapDisplay.from_estimator(5, IMAGES[0]),
            r"The 'estimator' parameter of DensityMapDisplay\.from_estimator must be .*Got 5 instead"),
    refused("display: an image with other channels", lambda: DensityMapDisplay.from_estimator(fitted(), COLOURS[0]),
            r"X has images of 3 channels and this UNetRegressor was fitted.*expected the same number\. Channels come"),
]

BRIGHT = IMAGES / 255
SMOOTH = np.linspace(0, 1, 12)[:, None] * np.ones((1, 12, 16))
FLAT = np.ones((3, 12, 16)) * [[[0]], [[1]], [[0.5]]]

UNLIKE = [
    warned("unlike: floats up to 255", lambda: unlike(FLOATS),
           "Image 0 of X is unlike the training images: the mean of its pixels is .* in channel 0, where theirs range from"),
    warned("unlike: one of three", lambda: unlike([BRIGHT[0], BRIGHT[1], BRIGHT[2] - 9]), "Image 2 of X is unlike"),
    warned("unlike: 8 bits in 16", lambda: unlike(IMAGES.astype(np.uint16)),
           "the standard deviation of its pixels is .*, and that of theirs was between"),
    warned("unlike: more than four times the contrast", lambda: unlike(0.5 + 5 * (BRIGHT - BRIGHT.mean())),
           "the standard deviation of its pixels is .*, and that of theirs was between"),
    warned("unlike: much larger", lambda: unlike(SMOOTH),
           "neighbouring pixels differ by .* of the standard deviation, and theirs by .*, as if everything .* larger"),
    refused("unlike: to be refused", lambda: unlike(FLOATS, "raise"),
            "Image 0 of X is unlike the training images.*floats are taken as they are.*out_of_range='ignore' lets it pass"),
    right("unlike: not looked at", lambda: unlike(FLOATS, "ignore").shape, (3,)),
    right("unlike: black, white and grey", lambda: unlike(FLAT, "raise").shape, (3,)),
    right("unlike: half as bright", lambda: unlike(BRIGHT / 2, "raise").shape, (3,)),
    right("unlike: one pixel", lambda: unlike(np.full((1, 1, 1), 0.5), "raise").shape, (1,)),
]

CASES = [
    *UNLIKE, *PIXELS, *POINT_CASES, *TARGETS, *LENGTHS, *BESIDE, *PARAMETERS, *STATE, *METRICS, *TRANSFORMER, *DATASETS,
    *PLOTTING,
]

# fmt: on


@pytest.fixture
def training(monkeypatch):
    """Whether training has begun its loop."""
    for kind in TINY:  # what cases start from is no training of theirs
        fitted_once(kind, False)
    fitted_once(UNetRegressor, True), of_table()
    done = []

    loop = CountingNet.fit_loop

    def begin(*args, **kwargs):
        done.append("loop")
        return loop(*args, **kwargs)

    monkeypatch.setattr(CountingNet, "fit_loop", begin)
    return done


def run(case, folder):
    takes_folder = "folder" in inspect.signature(case.act).parameters
    return case.act(folder) if takes_folder else case.act()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_input_is_refused_by_words_and_odd_input_is_taken_as_documented(case, training, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    if case.outcome is None:
        expected = case.expected
        np.testing.assert_array_equal(
            run(case, folder), expected() if isinstance(expected, Callable) else expected
        )
    elif issubclass(case.outcome, Warning):
        with pytest.warns(case.outcome, match=case.words):
            run(case, folder)
    else:
        with pytest.raises(case.outcome, match=f"(?s){case.words}"):
            run(case, folder)
        assert not training


def test_the_guard_against_training_sees_one(training):
    fit()
    assert training == ["loop"]


def test_the_table_is_large_and_each_case_is_its_own():
    assert len({case.name for case in CASES}) == len({case.act for case in CASES}) == len(CASES) >= 180
    assert all(case.words for case in CASES if case.outcome is not None)
