"""The same seed gives the same weights, bit for bit, wherever and however they come about."""

from contextlib import contextmanager

import joblib
import numpy as np
import pytest
import torch
from processes import run_script
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import skcount
from skcount import DensityMapRegressor, FCRNRegressor, UNetRegressor
from skcount.io import load_hdf5, save_hdf5

REGRESSORS = {
    "unet": UNetRegressor(filters=2, max_epochs=3, random_state=0),
    "unet, held out": UNetRegressor(
        filters=2, max_epochs=3, validation_fraction=0.4, augment="rotations+jitter", random_state=0
    ),
    "fcrn": FCRNRegressor(max_epochs=1, patch_size=9, random_state=0),
    "double precision": DensityMapRegressor(
        architecture_params={"filters": 2}, precision="float64", max_epochs=2, random_state=0
    ),
}

SCRIPT = """
import joblib, sys
regressor, X, points = joblib.load(sys.argv[1])
joblib.dump(regressor.fit(X, points), sys.argv[2])
"""


def weights_of(regressor):
    return {name: value.numpy() for name, value in regressor.module_.state_dict().items()}


def in_a_process(regressor, X, points, folder):
    joblib.dump((regressor, X, points), folder / "in")
    run_script(SCRIPT, folder / "in", folder / "out", OMP_NUM_THREADS=str(torch.get_num_threads()))
    return weights_of(joblib.load(folder / "out"))


@contextmanager
def workers():
    """Processes of joblib, each with as many threads as this one."""
    with joblib.parallel_config("loky", inner_max_num_threads=torch.get_num_threads()):
        yield
    joblib.externals.loky.get_reusable_executor().shutdown()


def through_threads(regressor, X, points, folder, backend="threading"):
    fits = (joblib.delayed(clone(regressor).fit)(X, points) for _ in range(2))
    return weights_of(joblib.Parallel(n_jobs=2, backend=backend)(fits)[1])


def through_loky(*given):
    with workers():
        return through_threads(*given, backend=None)


def through_a_file_of_images(regressor, X, points, folder):
    save_hdf5(folder / "cells.h5", X, points)
    with load_hdf5(folder / "cells.h5").images as images:
        return weights_of(regressor.fit(images, points))


def through_a_saved_model(regressor, X, points, folder):
    regressor.fit(X, points).save(folder / "model")
    return weights_of(skcount.load(folder / "model"))


def fitted_from_a_loaded_model(regressor, X, points, folder):
    regressor.fit(X[:3], points[:3]).save(folder / "model")
    return weights_of(skcount.load(folder / "model").fit(X, points))


def through_a_checkpoint(regressor, X, points, folder):
    regressor.fit(X, points, checkpoint=folder / "it")
    return weights_of(clone(regressor).fit(X, points, checkpoint=folder / "it"))


def after_other_work(regressor, X, points, folder):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the state that must not matter
    clone(regressor).set_params(random_state=7).fit(X[::-1], points[::-1]).predict(X)
    return weights_of(regressor.fit(X, points))


WAYS = [
    in_a_process,
    through_loky,
    through_threads,
    through_a_file_of_images,
    through_a_saved_model,
    fitted_from_a_loaded_model,
    through_a_checkpoint,
    after_other_work,
]


# On every run most ways of one regressor, and two ways of the others.
CASES = [
    pytest.param(
        name,
        way,
        id=f"{name}-{way.__name__}",
        marks=[pytest.mark.slow] * (way in (WAYS[:-2] if number else [through_loky])),
    )
    for number, name in enumerate(REGRESSORS)
    for way in WAYS
]


@pytest.mark.parametrize(("name", "way"), CASES)
def test_the_same_seed_gives_the_same_weights(name, way, noise, tmp_path):
    X, points = noise
    expected = weights_of(clone(REGRESSORS[name]).fit(X, points))
    found = way(clone(REGRESSORS[name]), X, points, tmp_path)
    assert expected.keys() == found.keys()
    assert all(np.array_equal(expected[key], found[key]) for key in expected)


def test_another_seed_gives_other_weights(noise):
    X, points = noise
    a, b = (
        weights_of(clone(REGRESSORS["unet"]).set_params(random_state=seed).fit(X, points)) for seed in (0, 1)
    )
    assert not all(np.array_equal(a[key], b[key]) for key in a)


def test_scores_do_not_depend_on_the_number_of_processes(noise):
    X, points = noise
    with workers():
        scores = [cross_val_score(REGRESSORS["unet"], X, points, cv=2, n_jobs=n) for n in (1, 2)]
    np.testing.assert_array_equal(*scores)
