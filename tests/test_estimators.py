"""Every estimator keeps scikit-learn's conventions: by scikit-learn's checks on tables, and by our laws on images.

A table with counts is n images of 1 x n_features, so that scikit-learn's checks all mean something.
"""

import inspect
import json
import os
import pickle
import subprocess
import sys
from functools import cache

import joblib
import numpy as np
import pytest
import sklearn
from joblib import hash as digest
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_regressor
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import _check_name, estimator_checks_generator, parametrize_with_checks
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import check_is_fitted

import skcount
from skcount import DensityMapRegressor, DensityMapTransformer, FCRNRegressor, PointAnnotations, UNetRegressor
from skcount.datasets import make_cells
from skcount.images import check_images

# The suite compares to 1e-7 what is trained twice: in double precision, all samples in one step, nothing random.
STRICT = {"max_epochs": 2, "precision": "float64", "batch_size": -1, "augment": None, "random_state": 0}
# The defaults, but for their size: single precision, crops in batches, flips and turns.
BRIEF = {"max_epochs": 2, "random_state": 0}
UNET = {"filters": 2}

# Older versions of scikit-learn have fewer checks.
RECENT = parse_version(sklearn.__version__) >= parse_version("1.9")

# Each estimator, as it is checked: with everything that is random, and with nothing.
INSTANCES = {
    "DensityMapRegressor": [
        DensityMapRegressor(architecture_params=UNET, **BRIEF),
        DensityMapRegressor(architecture_params={**UNET, "normalization": None}, **STRICT),
    ],
    "UNetRegressor": [UNetRegressor(**UNET, **BRIEF), UNetRegressor(**UNET, normalization=None, **STRICT)],
    "FCRNRegressor": [FCRNRegressor(**BRIEF), FCRNRegressor(normalization=None, **STRICT)],
    "DensityMapTransformer": [DensityMapTransformer(image_shape=(24, 24))],
}
# Trained some hundred times: one has four million parameters, one differs from the first by its constructor alone.
SLOW = ["FCRNRegressor", "UNetRegressor"]
BATCHES_DIFFER = (
    "an image of weight 2 is in one batch, and the same image twice may be in two: equal only with batch_size=-1, "
    "without augmentation and batch normalisation, and in double precision"
)


def is_strict(regressor):
    return regressor.batch_size == -1


def expected_failures(regressor):
    """What cannot hold for batches drawn at random: one check, named."""
    return {} if is_strict(regressor) else {"check_sample_weight_equivalence_on_dense_data": BATCHES_DIFFER}


def brief_regressors(*, slow):
    return [
        cases[0] for name, cases in INSTANCES.items() if is_regressor(cases[0]) and (name in SLOW) == slow
    ]


def test_every_estimator_of_the_package_is_checked():
    found = {name: getattr(skcount, name) for name in skcount.__all__}
    estimators = {n: v for n, v in found.items() if inspect.isclass(v) and issubclass(v, BaseEstimator)}
    assert estimators == {name: type(cases[0]) for name, cases in INSTANCES.items()}


# --- scikit-learn's checks ---------------------------------------------------------------------------------------


@parametrize_with_checks(brief_regressors(slow=False), expected_failed_checks=expected_failures)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(brief_regressors(slow=True), expected_failed_checks=expected_failures)
def test_scikit_learns_checks_of_the_other_regressors(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", [name for name in INSTANCES if name.endswith("Regressor")])
def test_of_scikit_learns_checks_at_least_57_run_on_each_regressor(name):
    names = [_check_name(check) for _, check in estimator_checks_generator(INSTANCES[name][0])]
    left_out = {"check_sample_weight_equivalence_on_dense_data", "check_array_api_input"}
    assert len([name for name in names if name not in left_out]) >= (57 if RECENT else 52)


@pytest.mark.parametrize("check", ["check_dataframe_column_names_consistency", "check_param_validation"])
@pytest.mark.parametrize("regressor", brief_regressors(slow=False), ids=lambda case: type(case).__name__)
def test_checks_that_scikit_learn_keeps_for_its_own_estimators(regressor, check):
    getattr(estimator_checks, check)(type(regressor).__name__, regressor)


STRICTLY = """
import json, sys, pickle
from sklearn.utils.estimator_checks import check_estimator
results = check_estimator(pickle.load(sys.stdin.buffer))
print(json.dumps([result["status"] for result in results]))
"""


@pytest.mark.parametrize(
    "name",
    [
        "UNetRegressor",
        *(pytest.param(f"{n}Regressor", marks=pytest.mark.slow) for n in ("DensityMap", "FCRN")),
    ],
)
def test_all_of_scikit_learns_checks_pass_in_double_precision_under_the_array_api(name):
    # scipy reads the variable when it is imported: in a process of its own.
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-W", "ignore", "-c", STRICTLY],
        input=pickle.dumps(INSTANCES[name][1]),
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        check=True,
    )
    statuses = json.loads(done.stdout.splitlines()[-1])
    assert set(statuses) == {"passed"}
    assert len(statuses) >= (59 if RECENT else 54)


# --- Our laws of regressors, on images ---------------------------------------------------------------------------
# Each takes a regressor, which it does not change.


class NotAnArray:
    """Has `__array__` and is nothing else."""

    def __init__(self, data):
        self.data = np.asarray(data)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.data, dtype=dtype)


@cache
def made():
    X, points = make_cells(6, image_shape=(24, 24), n_cells=(1, 6), radius=3, random_state=0, return_X_y=True)
    X[0] = make_cells(1, image_shape=(24, 24), n_cells=0, random_state=1).images[0]
    return X, PointAnnotations([[], *points[1:]])


def images_and_points():
    """Return six small colour images of cells, one of which has none."""
    X, points = made()
    return X.copy(), points


@cache
def fitted(regressor):
    """Return a fit that all laws of a regressor share: none of them changes it."""
    return clone(regressor).fit(*images_and_points())


def counts(regressor, X=None, y=None, seen=None, **params):
    """Fit on these images and points, and count the images, or those in `seen`."""
    images, points = images_and_points()
    X = images if X is None else X
    return clone(regressor).fit(X, points if y is None else y, **params).predict(X if seen is None else seen)


def assert_same(one, other):
    """Compare counts: to seven digits, or to the four that batches of single precision keep."""
    tolerance = 1e-7 if np.asarray(one).dtype == np.float64 else 1e-4
    np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def assert_not_changed(function, *given):
    before = digest(given)
    function(*given)
    assert digest(given) == before


def fit_leaves_the_parameters_as_they_were(regressor):
    regressor = clone(regressor)
    before = {name: digest(value) for name, value in regressor.get_params().items()}
    known = set(vars(regressor))
    regressor.fit(*images_and_points())
    assert {name: digest(value) for name, value in regressor.get_params().items()} == before
    assert all(name[0] == "_" or name[-1] == "_" for name in set(vars(regressor)) - known)


def predict_leaves_the_regressor_as_it_was(regressor):
    X, _ = images_and_points()
    trained = fitted(regressor)
    assert_not_changed(lambda trained: trained.predict(X), trained)


def fitting_again_starts_again(regressor):
    X, points = images_and_points()
    again = clone(regressor).fit(X[:3], points[:3]).fit(X, points)
    assert_same(again.predict(X), fitted(regressor).predict(X))


def a_pipeline_counts_as_the_regressor_alone(regressor):
    X, points = images_and_points()
    within, alone = make_pipeline(clone(regressor)).fit(X, points), fitted(regressor)
    assert_same(within.predict(X), alone.predict(X))
    assert_same(within.score(X, points), alone.score(X, points))


def a_pickle_counts_as_before(regressor):
    X, _ = images_and_points()
    assert_same(pickle.loads(pickle.dumps(fitted(regressor))).predict(X), fitted(regressor).predict(X))


def neither_order_nor_neighbours_matter_to_a_prediction(regressor):
    X, _ = images_and_points()
    order, expected = np.random.default_rng(0).permutation(len(X)), fitted(regressor).predict(X)
    assert_same(fitted(regressor).predict(X[order]), expected[order])
    assert_same([fitted(regressor).predict(image[None]).item() for image in X], expected)


def images_and_points_are_not_changed(regressor):
    X, points = images_and_points()
    for images in (X, X.astype(np.float32) / 255, X / 255, list(X)):
        assert_not_changed(lambda X, y: counts(regressor, X, y), images, [np.array(p) for p in points])


def every_type_of_pixel_is_taken(regressor):
    X, _ = images_and_points()
    for dtype in (np.uint8, np.uint16, np.int32, np.float32, np.float64):
        found = counts(regressor, X.astype(dtype))
        assert found.shape == (len(X),)
        assert found.dtype.kind == "f"
        assert np.isfinite(found).all()
        assert (found >= 0).all()


def the_layout_in_memory_does_not_matter(regressor):
    X, _ = images_and_points()
    for images in (np.asfortranarray(X), np.repeat(X, 2, axis=2)[:, :, ::2]):
        assert_same(counts(regressor, images), fitted(regressor).predict(X))


def a_container_does_not_matter(regressor):
    X, points = images_and_points()
    objects = np.empty(len(X), dtype=object)
    objects[:] = list(X)
    as_lists = [p.tolist() for p in points]
    for images, y in ((NotAnArray(X), as_lists), (tuple(X), list(points)), (objects, points)):
        assert_same(counts(regressor, images, y), fitted(regressor).predict(X))


def images_of_many_sizes_count_as_each_alone(regressor):
    X, points = images_and_points()
    images = [image[: 24 - 3 * i, : 24 - i] for i, image in enumerate(X)]
    trained = clone(regressor).fit(images, points.inside([image.shape[:2] for image in images]))
    assert_same(trained.predict(images), [trained.predict([image]).item() for image in images])


def one_image_trains(regressor):
    X, points = images_and_points()
    assert counts(regressor, X[1:2], points[1:2], seen=X[:1]).shape == (1,)


def weights_may_have_any_container_and_are_not_changed(regressor):
    weights = np.array([1.0, 2.0, 1.0, 0.0, 0.5, 1.0])
    expected = counts(regressor, sample_weight=weights.copy())
    for given in (weights, weights.tolist(), NotAnArray(weights)):
        assert_same(counts(regressor, sample_weight=given), expected)
    assert weights.tolist() == [1, 2, 1, 0, 0.5, 1]


def an_image_of_weight_two_is_that_image_twice(regressor):
    X, points = images_and_points()
    weights = np.array([2, 1, 0, 1, 3, 1])
    repeated = np.repeat(np.arange(len(X)), weights)
    weighted = counts(regressor, sample_weight=weights.astype(float))
    assert_same(weighted, counts(regressor, X[repeated], points[repeated], seen=X))


LAWS = [
    fit_leaves_the_parameters_as_they_were,
    predict_leaves_the_regressor_as_it_was,
    fitting_again_starts_again,
    a_pipeline_counts_as_the_regressor_alone,
    a_pickle_counts_as_before,
    neither_order_nor_neighbours_matter_to_a_prediction,
    images_and_points_are_not_changed,
    every_type_of_pixel_is_taken,
    the_layout_in_memory_does_not_matter,
    a_container_does_not_matter,
    images_of_many_sizes_count_as_each_alone,
    one_image_trains,
    weights_may_have_any_container_and_are_not_changed,
    an_image_of_weight_two_is_that_image_twice,
]
CASES = [
    pytest.param(case, law, id=f"{name}-{kind}-{law.__name__}", marks=[pytest.mark.slow] * (name in SLOW))
    for name, cases in INSTANCES.items()
    for kind, case in zip(("brief", "strict"), cases, strict=False)
    for law in LAWS
    if is_regressor(case)
    if is_strict(case) or law is not an_image_of_weight_two_is_that_image_twice  # for BATCHES_DIFFER
]


@pytest.mark.parametrize(("regressor", "law"), CASES)
@pytest.mark.filterwarnings(
    "ignore:y is a plain list of points:UserWarning"
)  # as a clone, which all are, says
def test_a_regressor_keeps_a_law_on_images(regressor, law):
    law(regressor)


def test_arrays_may_be_read_only_and_in_files(tmp_path):
    X, points = images_and_points()
    regressor = INSTANCES["UNetRegressor"][-1]
    joblib.dump((X, [np.array(p) for p in points], fitted(regressor)), tmp_path / "all")
    mapped_X, mapped_points, mapped_fit = joblib.load(tmp_path / "all", mmap_mode="r")
    expected = fitted(regressor).predict(X)
    assert_same(counts(regressor, mapped_X, PointAnnotations(mapped_points)), expected)
    assert_same(mapped_fit.predict(mapped_X), expected)


# --- Our laws of transformers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "transformer", [c for cases in INSTANCES.values() for c in cases if not is_regressor(c)]
)
def test_a_transformer_of_points_learns_nothing_and_changes_nothing(transformer, tmp_path):
    _, points = images_and_points()
    assert transformer.fit(points) is transformer
    maps = transformer.transform(points)
    assert maps.shape == (6, 24, 24)
    assert np.isfinite(maps).all()
    order = np.random.default_rng(0).permutation(6)
    np.testing.assert_array_equal(transformer.transform(points[order]), maps[order])
    np.testing.assert_array_equal([transformer.transform(points[[i]])[0] for i in range(6)], maps)
    joblib.dump(points, tmp_path / "points")
    for same in (joblib.load(tmp_path / "points", mmap_mode="r"), [p.tolist() for p in points]):
        np.testing.assert_array_equal(clone(transformer).fit_transform(same), maps)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(transformer)).transform(points), maps)
    assert_not_changed(lambda transformer, points: transformer.transform(points), transformer, list(points))


# --- What breaks a law is noticed --------------------------------------------------------------------------------


class BrightPixels(RegressorMixin, BaseEstimator):
    """Counts by a straight line through the number of bright pixels, and breaks the law of this name."""

    def __init__(self, broken=None):
        self.broken = broken

    def fit(self, X, y, sample_weight=None):
        if self.broken == "images_and_points_are_not_changed" and getattr(X, "dtype", None) == np.float32:
            X *= 2
        if self.broken == "an_image_of_weight_two_is_that_image_twice":
            sample_weight = None
        bright, true = self._bright(X), PointAnnotations(y).counts
        weights = np.ones(len(bright)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        before = getattr(self, "per_pixel_", 0) if self.broken == "fitting_again_starts_again" else 0
        self.per_pixel_ = before + (weights * true) @ bright / max((weights * bright) @ bright, 1)
        return self

    def predict(self, X):
        check_is_fitted(self)
        found = self.per_pixel_ * self._bright(X)
        if self.broken == "predict_leaves_the_regressor_as_it_was":
            self.n_predictions_ = getattr(self, "n_predictions_", 0) + 1
        if self.broken == "neither_order_nor_neighbours_matter_to_a_prediction":
            found /= max(found.max(), 1)
        return found

    def __getstate__(self):
        lost = {"per_pixel_": 0.0} if self.broken == "a_pickle_counts_as_before" else {}
        return {**super().__getstate__(), **lost}

    def _bright(self, X):
        images = check_images(X)
        return np.array([np.sum(images.read(i) > 0.5) for i in range(len(images))], dtype=float)


@pytest.mark.parametrize(
    "law",
    [
        predict_leaves_the_regressor_as_it_was,
        fitting_again_starts_again,
        neither_order_nor_neighbours_matter_to_a_prediction,
        images_and_points_are_not_changed,
        a_pickle_counts_as_before,
        an_image_of_weight_two_is_that_image_twice,
    ],
    ids=lambda law: law.__name__,
)
def test_a_regressor_that_breaks_a_law_is_noticed(law):
    law(BrightPixels())
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        law(BrightPixels(law.__name__))
