"""Points in the hands of scikit-learn, pickle and joblib."""

import copy
import io
import os
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from hypothesis import given
from ragged_points import law, ragged, same
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyRegressor
from sklearn.metrics import PredictionErrorDisplay, mean_absolute_error, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    train_test_split,
)
from sklearn.utils import _safe_indexing, resample, shuffle

from skcount import PointAnnotations


@pytest.fixture
def images():
    """Return twelve images whose one pixel is their index."""
    return np.arange(12.0).reshape(-1, 1, 1)


def together(images, points):
    """Return whether each image still has its own points."""
    return isinstance(points, PointAnnotations) and all(
        len(p) == int(i) % 4 and (p[:, 0] == i).all() for i, p in zip(images.ravel(), points, strict=True)
    )


@pytest.mark.parametrize(
    "splitter",
    [
        KFold(3),
        KFold(3, shuffle=True, random_state=0),
        ShuffleSplit(3, random_state=0),
        StratifiedKFold(3),
        GroupKFold(3),
        LeaveOneOut(),
    ],
    ids=repr,
)
def test_splitters_keep_images_and_points_together(splitter, images, points):
    n_tested = 0
    groups = np.arange(12) // 4 if isinstance(splitter, GroupKFold) else None
    for train, test in splitter.split(images, points, groups):
        for part in (train, test):
            assert together(images[part], _safe_indexing(points, part))
        n_tested += len(test)
    assert n_tested >= 3


def test_stratified_folds_have_the_same_counts(images, points):
    for _, test in StratifiedKFold(3).split(images, points):
        assert sorted(points[test].counts) == [0, 1, 2, 3]


@pytest.mark.parametrize("kept", [[3, 1], np.array([0, 11]), slice(2, 5), np.arange(12) % 3 == 0])
def test_safe_indexing_keeps_the_class(kept, images, points):
    assert together(_safe_indexing(images, kept), _safe_indexing(points, kept))


def test_train_test_split_resample_and_shuffle_keep_images_and_points_together(images, points):
    train_images, test_images, train_points, test_points = train_test_split(images, points, random_state=0)
    assert together(train_images, train_points)
    assert together(test_images, test_points)
    train, test = train_test_split(points, stratify=points.counts, test_size=4, random_state=0)
    assert isinstance(train, PointAnnotations)
    assert sorted(test.counts) == [0, 1, 2, 3]
    for draw in (resample, shuffle):
        assert together(*draw(images, points, random_state=0))
    assert together(*resample(images, points, stratify=points, random_state=0))


class Recorder(DummyRegressor):
    """Fail if `fit` does not get whole annotations."""

    def fit(self, X, y, sample_weight=None):
        assert together(X, y)
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error", "r2", "neg_root_mean_squared_error"])
def test_stock_scorers_see_the_counts(scoring, images, points):
    scores = cross_val_score(Recorder(), images, points, scoring=scoring, cv=3, error_score="raise")
    expected = cross_val_score(DummyRegressor(), images, points.counts, scoring=scoring, cv=3)
    np.testing.assert_array_equal(scores, expected)
    assert np.isfinite(scores).all()


def test_several_scorers_and_out_of_fold_predictions_work(images, points):
    scoring = ["neg_mean_absolute_error", "neg_median_absolute_error", "explained_variance"]
    results = cross_validate(Recorder(), images, points, scoring=scoring, cv=4, error_score="raise")
    assert np.isfinite([results[f"test_{name}"] for name in scoring]).all()
    predicted = cross_val_predict(Recorder(), images, points, cv=KFold(4))
    assert mean_absolute_error(points, predicted) == mean_absolute_error(points.counts, predicted)
    assert r2_score(points, points) == 1


def test_a_grid_search_chooses_by_the_counts(images, points):
    grid = {"strategy": ["constant"], "constant": [9.0, 1.5, 30.0]}
    search = GridSearchCV(Recorder(), grid, scoring="neg_mean_absolute_error", cv=3, error_score="raise")
    search.fit(images, points)
    assert search.best_params_["constant"] == 1.5
    assert search.best_score_ == pytest.approx(-1)


def test_the_prediction_error_display_draws_the_counts(points):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    display = PredictionErrorDisplay.from_predictions(points, points.counts + 1)
    np.testing.assert_array_equal(display.y_true, points.counts)
    matplotlib.pyplot.close("all")


class Holder(BaseEstimator):
    def __init__(self, points=None):
        self.points = points


def test_it_can_be_a_parameter_that_clone_copies(points):
    cloned = clone(Holder(points))
    assert cloned.points == points
    assert repr(cloned)


# storage


@law
@given(ragged)
def test_pickle_copies_and_joblib_give_the_same_back(arrays_):
    points = PointAnnotations(arrays_)
    file = io.BytesIO()
    joblib.dump(points, file)
    copies = [copy.copy(points), copy.deepcopy(points), joblib.load(io.BytesIO(file.getvalue()))]
    copies += [
        pickle.loads(pickle.dumps(points, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ]
    for again in copies:
        assert same(again, arrays_)
        with pytest.raises(ValueError, match="read-only"):
            again.coordinates[...] = 0


@law
@given(ragged)
def test_joblib_hashes_equal_content_equally_however_it_was_made(arrays_):
    points = PointAnnotations(arrays_)
    made = [
        PointAnnotations([np.asfortranarray(a) for a in arrays_]),
        PointAnnotations.from_flat(np.asfortranarray(points.coordinates), points.lengths.astype(np.uint8)),
        PointAnnotations.from_xy([a[:, ::-1] for a in arrays_]),
        PointAnnotations([a.astype(">f8") for a in arrays_]),
        (points + points)[: len(points)],
        points[::-1][::-1],
        points.inside((2**31, 2**31)) + PointAnnotations([])
        if (points.coordinates >= -0.5).all()
        else points,
        pickle.loads(pickle.dumps(points)),
    ]
    assert {joblib.hash(p) for p in made} == {joblib.hash(points)}


def test_joblib_hashes_other_points_and_other_lengths_differently():
    made = [[[(1, 2)], []], [[], [(1, 2)]], [[(2, 1)], []], [[(1, 2)]]]
    assert len({joblib.hash(PointAnnotations(points)) for points in made}) == len(made)


def test_joblib_hashes_the_same_in_another_process():
    points = [[(1, 2.5)], [], [(3, 4), (5, 6)]]
    code = (
        f"import joblib; from skcount import PointAnnotations; print(joblib.hash(PointAnnotations({points})))"
    )
    another_seed = {**os.environ, "PYTHONHASHSEED": "1" if os.environ.get("PYTHONHASHSEED") == "2" else "2"}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, env=another_seed, capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert run.stdout.strip() == joblib.hash(PointAnnotations(points))


def test_joblib_memory_computes_equal_points_once(tmp_path, points):
    calls = []

    def count(points):
        calls.append(len(points))
        return points.counts.sum()

    cached = joblib.Memory(tmp_path, verbose=0).cache(count)
    assert cached(points) == cached(PointAnnotations(list(points))) == 18
    assert cached(points[1:]) == 18
    assert calls == [12, 11]
