import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupShuffleSplit, KFold, ShuffleSplit, learning_curve

from skcount import ImageSet, PointAnnotations
from skcount.evaluation import CarriedGroups, Table, annotation_curve

law = settings(max_examples=25, deadline=None)


class PowerLaw(RegressorMixin, BaseEstimator):
    """Predicts the first column, with an error that is a power of the number of objects in the training."""

    def __init__(self, factor=30.0, power=0.5):
        self.factor = factor
        self.power = power

    def fit(self, X, y):
        self.error_ = self.factor * float(np.sum(y)) ** -self.power
        return self

    def predict(self, X):
        return np.asarray(X)[:, 0] + self.error_


class KnowsGroups(RegressorMixin, BaseEstimator):
    """Is wrong for images of a group that it was trained on; the group is the first column."""

    def fit(self, X, y):
        self.groups_ = set(np.asarray(X)[:, 0].tolist())
        return self

    def predict(self, X):
        return 1.0 + np.isin(np.asarray(X)[:, 0], list(self.groups_))


def equal_counts(n=60, count=5.0):
    return np.full((n, 1), count), np.full(n, count)


def noisy(n=80, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.uniform(0, 1, size=(n, 10))
    return features, rng.poisson(10 + 40 * features[:, 0])


# The table.


def test_the_table_is_that_of_the_learning_curve():
    X, y = noisy()
    cv = KFold(4, shuffle=True, random_state=3)
    curve = annotation_curve(Ridge(), X, y, sizes=[10, 30, 60], cv=cv)
    assert curve.table["images"].tolist() == [10, 30, 60]
    assert_allclose(curve.table["objects"], np.array([10, 30, 60]) * y.mean())
    assert curve.errors.shape == (3, 4)
    assert_allclose(curve.table["mae"], curve.errors.mean(axis=1))
    assert_allclose(curve.table["standard_deviation"], curve.errors.std(axis=1, ddof=1))
    *_, scores = learning_curve(Ridge(), X, y, train_sizes=[60], cv=cv, scoring="neg_mean_absolute_error")
    assert_allclose(curve.errors[2], -scores[0])  # with all images, the order of the training does not matter


def test_the_errors_of_a_constant_follow_by_hand():
    X, y = noisy(20)
    cv = [(np.arange(10), np.arange(10, 20)), (np.arange(10, 20), np.arange(10))]

    class Fixed:
        def split(self, X, y=None, groups=None):
            return iter(cv)

        def get_n_splits(self, *_):
            return 2

    curve = annotation_curve(DummyRegressor(strategy="constant", constant=3), X, y, sizes=[2, 10], cv=Fixed())
    assert_allclose(curve.errors, [[np.abs(y[test] - 3).mean() for _, test in cv]] * 2)


def test_shares_are_those_of_the_training_images():
    curve = annotation_curve(PowerLaw(), *equal_counts(100), sizes=(0.1, 0.5, 1.0))
    assert curve.table["images"].tolist() == [7, 35, 70]
    assert curve.errors.shape == (3, 5)


def test_it_says_what_it_found():
    curve = annotation_curve(PowerLaw(), *equal_counts())
    assert repr(curve) == "<AnnotationCurve: 3 sizes, 5 splits>"
    assert str(curve) == str(curve.table)


# The extrapolation.


@law
@given(st.floats(1, 1000), st.floats(0, 1))
def test_a_power_law_is_recovered(factor, power):
    curve = annotation_curve(PowerLaw(factor, power), *equal_counts(30), sizes=[5, 10, 20])
    more = [10, 1000, 12_345]
    found = curve.extrapolate(more)
    expected = factor * np.array(more) ** -power
    for name in ("mae", "low", "high"):
        assert_allclose(found[name], expected, rtol=1e-6)
    assert_array_equal(found["objects"], more)


@pytest.mark.parametrize("power", [-0.7, 0.0])
def test_errors_that_rise_are_expected_to_stay(power):
    curve = annotation_curve(PowerLaw(2.0, power), *equal_counts(30), sizes=[5, 10, 20])
    found = curve.extrapolate([10, 100, 1e6])
    assert_allclose(found["mae"], np.exp(np.log(curve.errors).mean()))


def test_errors_do_not_fall_faster_than_the_number_of_objects_grows():
    curve = annotation_curve(PowerLaw(2e6, 3.0), *equal_counts(30), sizes=[5, 10, 20])
    found = curve.extrapolate([1000, 10_000])
    assert found["mae"][0] / found["mae"][1] == pytest.approx(10)


@law
@given(st.integers(0, 1000))
def test_the_band_holds_the_curve_which_never_rises(seed):
    curve = annotation_curve(Ridge(), *noisy(40, seed), sizes=[5, 10, 25], random_state=seed)
    found = curve.extrapolate(np.geomspace(10, 1e6, 20))
    assert isinstance(found, Table)
    assert list(found) == ["objects", "mae", "low", "high"]
    assert (found["low"] <= found["mae"]).all()
    assert (found["mae"] <= found["high"]).all()
    assert (found["low"] > 0).all()
    for name in ("mae", "low", "high"):
        assert (np.diff(found[name]) <= 1e-9).all()


def test_the_curve_goes_through_the_errors():
    curve = annotation_curve(Ridge(), *noisy(), sizes=[10, 20, 40, 56])
    found = curve.extrapolate(curve.table["objects"])
    assert_allclose(found["mae"], curve.table["mae"], rtol=0.15)


def test_a_perfect_regressor_has_no_error_to_extrapolate():
    curve = annotation_curve(PowerLaw(0.0), *equal_counts())
    assert curve.extrapolate(1000)["mae"] == pytest.approx(0, abs=1e-9)


def test_the_same_seed_draws_the_same_splits_and_band():
    X, y = noisy()
    one, two = (annotation_curve(Ridge(), X, y, random_state=5) for _ in range(2))
    assert_array_equal(one.errors, two.errors)
    np.testing.assert_equal(dict(one.extrapolate([9, 99])), dict(two.extrapolate([9, 99])))
    assert (annotation_curve(Ridge(), X, y, random_state=6).errors != one.errors).any()


def test_a_number_alone_is_taken():
    curve = annotation_curve(PowerLaw(), *equal_counts())
    assert curve.extrapolate(100).n_rows == 1


@pytest.mark.parametrize("n_objects", [0, [10, -1], np.nan, [np.inf]])
def test_numbers_of_objects_are_positive(n_objects):
    curve = annotation_curve(PowerLaw(), *equal_counts())
    with pytest.raises(ValueError, match="`n_objects` must be positive"):
        curve.extrapolate(n_objects)


# Groups.


@pytest.mark.parametrize("cv", [None, 3, GroupShuffleSplit(2, random_state=0)])
def test_groups_are_kept_together(cv):
    groups = np.repeat(np.arange(12), 4)
    curve = annotation_curve(KnowsGroups(), groups[:, None], np.ones(48), cv=cv, groups=groups)
    assert_array_equal(curve.errors, 0)


@pytest.mark.parametrize("cv", [None, CarriedGroups(GroupShuffleSplit(3, random_state=0))])
def test_groups_that_images_carry_are_kept_together(cv):
    class FirstPixel(KnowsGroups):
        def fit(self, X, y):
            return super().fit([[image[0, 0]] for image in X], y)

        def predict(self, X):
            return super().predict([[image[0, 0]] for image in X])

    groups = np.repeat(np.arange(8), 3)
    X = ImageSet(np.broadcast_to(groups[:, None, None], (24, 4, 4)).astype(np.uint8), groups=groups)
    assert_array_equal(annotation_curve(FirstPixel(), X, np.ones(24), cv=cv).errors, 0)


# The kinds of truth.


class TimesTwo(RegressorMixin, BaseEstimator):
    """Predicts twice the sum of an image, and learns nothing."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return 2 * np.array([float(np.sum(image)) for image in X])


@pytest.fixture
def dots():
    """Images with a 1 at each object, and the points."""
    rng = np.random.default_rng(0)
    points = PointAnnotations([rng.permutation(30)[:k, None] * [0, 1] for k in rng.integers(1, 9, size=20)])
    X = np.zeros((20, 4, 30), dtype=np.uint8)
    for image, places in zip(X, points, strict=True):
        image[0, places[:, 1].astype(int)] = 1
    return X, points


@pytest.mark.parametrize("kind", ["counts", "points", "lists", "maps"])
def test_all_kinds_of_truth_have_the_same_errors(dots, kind):
    X, points = dots
    y = {"counts": points.counts, "points": points, "lists": list(points), "maps": X.astype(float)}[kind]
    curve = annotation_curve(TimesTwo(), X, y, sizes=[4, 8], cv=ShuffleSplit(3, random_state=0))
    expected = [points.counts[test].mean() for _, test in ShuffleSplit(3, random_state=0).split(X)]
    assert_allclose(curve.errors, [expected] * 2)
    assert_allclose(curve.table["objects"], np.array([4, 8]) * points.counts.mean())


def test_errors_are_those_in_the_region(dots):
    X, points = dots
    roi = np.zeros(X.shape[1:], dtype=bool)
    roi[:, :10] = True
    inside = (X * roi).sum(axis=(1, 2)).astype(float)

    class Inside(TimesTwo):
        def predict(self, X):
            return 2 * np.array([float(np.sum(image[:, :10])) for image in X])

    curve = annotation_curve(
        Inside(), ImageSet(X, roi=roi), points, sizes=[4, 8], cv=ShuffleSplit(3, random_state=0)
    )
    expected = [inside[test].mean() for _, test in ShuffleSplit(3, random_state=0).split(X)]
    assert_allclose(curve.errors, [expected] * 2)


# What is refused.


@pytest.mark.parametrize("sizes", [[], [0.5], [0.5, 0.5], [[10, 20]], 0.5])
def test_there_are_at_least_two_sizes(sizes):
    with pytest.raises(ValueError, match="sizes"):
        annotation_curve(PowerLaw(), *equal_counts(), sizes=sizes)


def test_sizes_that_are_the_same_number_of_images_are_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scikit-learn says that it leaves one out
        with pytest.raises(ValueError, match="sizes"):
            annotation_curve(PowerLaw(), *equal_counts(10), sizes=[0.5, 0.51])


@pytest.mark.parametrize("sizes", [[0.5, 2.0], [0, 10], [10, 1000]])
def test_sizes_are_at_most_the_training_images(sizes):
    with pytest.raises(ValueError, match="train_sizes"):
        annotation_curve(PowerLaw(), *equal_counts(), sizes=sizes)


@pytest.mark.parametrize("params", [{"cv": 1}, {"cv": 2.5}, {"groups": 3}, {"random_state": "now"}])
def test_wrong_parameters_are_refused(params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter"):
        annotation_curve(PowerLaw(), *equal_counts(), **params)


def test_a_regressor_that_fails_is_not_passed_over():
    class Fails(PowerLaw):
        def fit(self, X, y):
            raise ZeroDivisionError("no fit")

    with pytest.raises(ZeroDivisionError, match="no fit"):
        annotation_curve(Fails(), *equal_counts())
