"""Images in a file, in the hands of scikit-learn and of other processes."""

import os
import weakref

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score

from skcount import DensityMapRegressor
from skcount.datasets import make_cells
from skcount.io import load_hdf5, save_hdf5
from skcount.io._hdf5._store import HDF5Store

N_IMAGES = 12
GROUPS = np.arange(N_IMAGES) // 3


@pytest.fixture(scope="module")
def cells():
    return make_cells(N_IMAGES, image_shape=(32, 40), n_cells=(2, 6), random_state=0)


@pytest.fixture(scope="module")
def path(cells, tmp_path_factory):
    path = tmp_path_factory.mktemp("workers") / "cells.h5"
    masks = [np.arange(32 * 40).reshape(32, 40) > 40 * number for number in range(N_IMAGES)]
    save_hdf5(path, cells.images, cells.points, groups=GROUPS, roi=masks)
    return path


def small_regressor(**params):
    params = {"max_epochs": 1, "patch_size": 16, "random_state": 0} | params
    return DensityMapRegressor(architecture_params={"filters": 2}, **params)


def test_a_regressor_learns_the_same_from_the_file_as_from_memory(path, cells):
    X, y = load_hdf5(path, return_X_y=True)
    with X:
        from_file = small_regressor().fit(X, y).predict(X)
        masks = [X.roi[i] for i in range(N_IMAGES)]
        from_memory = small_regressor().fit(cells.images, y, roi=masks)
        assert_array_equal(from_file, from_memory.predict(cells.images, roi=masks))


def test_fit_and_predict_never_hold_all_images(path, monkeypatch):
    alive, most, read = weakref.WeakValueDictionary(), 0, HDF5Store.read

    def count(source, number):
        nonlocal most
        image = read(source, number)
        if image.ndim == 3:
            alive[id(image)] = image
            most = max(most, len(alive))
        return image

    monkeypatch.setattr(HDF5Store, "read", count)
    X, y = load_hdf5(path, return_X_y=True)
    with X:
        small_regressor(batch_size=2).fit(X, y).predict(X)
    assert 1 <= most <= 4


def test_a_grid_search_runs_on_the_file_in_workers(path):
    X, y = load_hdf5(path, return_X_y=True)
    search = GridSearchCV(
        small_regressor(), {"sigma": [1, 2]}, cv=GroupKFold(2), n_jobs=2, error_score="raise"
    )
    with X:
        X[0]  # a file that is open must not be in the way
        search.fit(X, y, groups=X.groups)
        assert search.predict(X).shape == (N_IMAGES,)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_clone_and_a_memory_work_on_the_file(path, tmp_path):
    X, y = load_hdf5(path, return_X_y=True)
    memory = joblib.Memory(tmp_path, verbose=0)
    score = memory.cache(cross_val_score)
    with X:
        first = score(clone(small_regressor()), X, y, cv=KFold(2))
        assert score.check_call_in_cache(small_regressor(), load_hdf5(path).images, y, cv=KFold(2))
        assert_array_equal(score(small_regressor(), X, y, cv=KFold(2)), first)
        assert not score.check_call_in_cache(small_regressor(), X[::-1], y, cv=KFold(2))


def total_of(images, number):
    return os.getpid(), int(images[number].sum()), int(images.roi[number].sum())


def test_processes_read_for_themselves(path, cells):
    with load_hdf5(path).images as images:
        expected = [[int(cells.images[i].sum()), int(images.roi[i].sum())] for i in range(N_IMAGES)]
        found = joblib.Parallel(n_jobs=2)(joblib.delayed(total_of)(images[::-1], i) for i in range(N_IMAGES))
    assert [totals for _, *totals in found] == expected[::-1]
    assert os.getpid() not in {pid for pid, *_ in found}
