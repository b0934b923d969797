from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skcount import ImageSet
from skcount.evaluation import CarriedGroups, ConformalCounter

pytest.importorskip("crepes", reason="crepes computes the quantile of the errors")

law = settings(max_examples=40, deadline=None)
few = pytest.mark.filterwarnings("ignore:.* calibration .* are too few for intervals:UserWarning")


class FirstColumn(RegressorMixin, BaseEstimator):
    """Predicts the first column of a table, and remembers the table that it was trained on."""

    def fit(self, X, y=None):
        self.seen_ = np.asarray(X)
        return self

    def predict(self, X):
        return np.asarray(X, dtype=np.float64)[:, 0]


class Identity(RegressorMixin, BaseEstimator):
    """Predicts the images themselves as density maps."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def predict_density(self, X):
        return [np.asarray(image) for image in X]

    def predict(self, X):
        return np.array([np.sum(image) for image in X])


def table(counts):
    return np.asarray(counts, dtype=np.float64)[:, None]


def prefit(predicted, y, scale="sqrt", **params):
    """A counter that is calibrated on these predictions."""
    X = table(predicted)
    return ConformalCounter(FirstColumn().fit(X), cv="prefit", scale=scale).fit(X, y, **params)


def draw(rng, n):
    """Predictions, and true counts whose errors grow like the square root of the count."""
    predicted = rng.gamma(2, 15, size=n)
    return predicted, rng.poisson(1.1 * predicted + 2)


def hold(intervals, counts):
    return (intervals[:, 0] <= counts) & (counts <= intervals[:, 1])


# The quantile.


@pytest.mark.parametrize("coverage", ["0.5", "0.6", "0.7", "0.8", "0.9", "0.95"])
@pytest.mark.parametrize("n", [1, 4, 9, 10, 18, 19, 20, 29, 39, 59, 99])
@few
def test_half_the_width_is_the_error_of_the_textbook_rank(n, coverage):
    rank = ceil(Fraction(coverage) * (n + 1))  # exact: 0.9 * 20 is a little more than 18 in floating point
    errors = 10 * np.random.default_rng(n).permutation(np.arange(1, n + 1))
    counter = prefit(np.full(n, 5000), 5000 + errors, scale=None)
    if rank > n:
        with pytest.raises(ValueError, match=f"A coverage of {coverage} takes at least"):
            counter.predict_interval(table([5000]), float(coverage))
    else:
        expected = [[5000 - 10 * rank, 5000 + 10 * rank]]
        assert_array_equal(counter.predict_interval(table([5000]), float(coverage)), expected)


@law
@given(st.integers(0, 2**31), st.integers(9, 60))
def test_errors_are_scaled_by_the_square_root_of_the_predicted_count(seed, n):
    rng = np.random.default_rng(seed)
    predicted, true = draw(rng, n)
    new = rng.gamma(2, 15, size=7)
    scores = np.sort(np.abs(true - predicted) / np.sqrt(predicted + 1))
    half = scores[ceil(Fraction(9, 10) * (n + 1)) - 1] * np.sqrt(new + 1)
    counter = prefit(predicted, true)
    expected = [(max(0, ceil(x - h)), floor(x + h)) for x, h in zip(new, half, strict=True)]
    assert_array_equal(counter.predict_interval(table(new)), expected)
    assert_allclose(counter.errors_, true - predicted)
    assert_allclose(counter.scales_, np.sqrt(predicted + 1))


@law
@given(st.integers(0, 2**31), st.floats(0.1, 0.95), st.sampled_from(["sqrt", None]))
def test_ends_are_whole_numbers_and_not_negative(seed, coverage, scale):
    rng = np.random.default_rng(seed)
    predicted = rng.normal(2, 4, size=30)  # a linear model may predict less than nothing
    intervals = prefit(predicted, rng.poisson(3, size=30), scale).predict_interval(table(predicted), coverage)
    assert intervals.dtype.kind == "i"
    assert intervals.min() >= 0
    assert (intervals[:, 0] <= intervals[:, 1]).all()


def test_an_interval_without_a_whole_number_becomes_the_nearest_one():
    counter = prefit(np.arange(20) + 0.01, np.arange(20), scale=None)
    found = counter.predict_interval(table([6.3, 6.7, 7.005, 0.4, -3.0]))
    assert_array_equal(found, [[6, 6], [7, 7], [7, 7], [0, 0], [0, 0]])


@pytest.mark.parametrize("cv", ["prefit", 2])
def test_rounding_does_not_cut_a_whole_number_off(cv):
    # If all predictions are equal, the ends are true counts of calibration images.
    for error in range(1, 60):
        X = table(np.full(20, 59))
        counter = ConformalCounter(FirstColumn().fit(X), cv=cv).fit(X, 59 + error * (-1) ** np.arange(20))
        assert_array_equal(counter.predict_interval(X[:1]), [[59 - error, 59 + error]])


def test_a_larger_coverage_has_intervals_that_hold_the_smaller_ones():
    predicted, true = draw(np.random.default_rng(0), 60)
    counter = prefit(predicted, true)
    nested = [counter.predict_interval(table(predicted), coverage) for coverage in (0.3, 0.6, 0.9, 0.95)]
    for inner, outer in pairwise(nested):
        assert (outer[:, 0] <= inner[:, 0]).all()
        assert (outer[:, 1] >= inner[:, 1]).all()


# Coverage.


@pytest.mark.parametrize("scale", ["sqrt", None])
def test_intervals_hold_as_often_as_they_say(scale):
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        counter = prefit(*draw(rng, 39), scale)
        predicted, true = draw(rng, 50)
        held.append(hold(counter.predict_interval(table(predicted)), true).mean())
    assert 0.88 < np.mean(held) < 0.925


def test_the_band_of_the_coverage_holds_for_nine_of_ten_calibrations():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        counter = prefit(*draw(rng, 39))
        predicted, true = draw(rng, 1000)
        held.append(hold(counter.predict_interval(table(predicted)), true).mean())
    _, low, high, _ = counter.expected_coverage()
    assert 0.83 < np.mean((low < np.array(held)) & (np.array(held) < high)) < 0.97


def test_with_cross_validation_intervals_hold_often_enough():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(40):
        X, y = draw(rng, 40)
        counter = ConformalCounter(LinearRegression(), cv=4).fit(table(X), y)
        X, y = draw(rng, 100)
        held.append(hold(counter.predict_interval(table(X)), y).mean())
    assert 0.86 < np.mean(held) < 0.96


def test_for_a_new_group_intervals_hold_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        groups = np.repeat(np.arange(40), 5)
        shift = rng.normal(0, 6, size=40)[groups]  # all images of a group are off by about the same
        true = rng.integers(40, 200, size=200)
        predicted = true + shift + rng.normal(0, 1, size=200)
        counter = prefit(predicted[:195], true[:195], scale=None, groups=groups[:195])
        held.append(hold(counter.predict_interval(table(predicted[195:])), true[195:])[0])
    assert 0.84 < np.mean(held) < 0.96


def test_expected_coverage_is_a_beta_distribution():
    counter = prefit(*draw(np.random.default_rng(0), 19))
    found = counter.expected_coverage(0.9)
    assert (found.guaranteed, found.n) == (0.9, 19)
    assert_allclose([found.low, found.high], stats.beta(18, 2).ppf([0.05, 0.95]))
    X, y = draw(np.random.default_rng(0), 40)
    crossed = ConformalCounter(LinearRegression(), cv=4).fit(table(X), y).expected_coverage(0.9)
    assert crossed.guaranteed == pytest.approx(0.8)
    assert crossed.n == 40
    assert np.isnan([crossed.low, crossed.high]).all()


# Where the calibration images come from.


def test_half_of_the_images_train_and_the_others_calibrate():
    X = np.column_stack([np.zeros(40), np.arange(40)])
    counter = ConformalCounter(FirstColumn()).fit(X, np.arange(40))  # each error is the number of its image
    seen = set(counter.regressors_[0].seen_[:, 1])
    assert counter.n_calibration_ == len(seen) == 20
    assert seen | set(counter.errors_) == set(range(40))


@pytest.mark.parametrize("cv", [None, 4, GroupKFold(5), CarriedGroups(GroupKFold(3))])
def test_no_group_is_on_both_sides_and_each_is_one_draw(cv):
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(24), 3))
    X = np.column_stack([np.zeros(72), groups])
    counter = ConformalCounter(FirstColumn(), cv=cv).fit(X, np.arange(72), groups=groups)
    calibration = groups[counter.errors_.astype(int)]
    assert len(set(calibration)) == len(calibration) == counter.n_calibration_ == (12 if cv is None else 24)
    for fold, regressor in enumerate(counter.regressors_):
        assert not set(regressor.seen_[:, 1]) & set(calibration[counter._fold == fold])


def test_groups_that_images_carry_are_used():
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(60, 8, 8))
    groups = np.repeat(np.arange(20), 3)
    dummy = DummyRegressor(strategy="constant", constant=30).fit(images, np.zeros(60))
    y = rng.poisson(30, size=60)
    carried = ConformalCounter(dummy, cv="prefit").fit(ImageSet(images, groups=groups), y)
    passed = ConformalCounter(dummy, cv="prefit").fit(images, y, groups=groups)
    assert carried.n_calibration_ == 20
    assert_array_equal(carried.errors_, passed.errors_)


def test_objects_outside_the_region_of_interest_do_not_count():
    images = np.random.default_rng(0).uniform(size=(12, 8, 8))
    roi = np.zeros((8, 8), dtype=bool)
    roi[:4] = True
    points = [np.array([[1.0, 1.0], [2.0, 5.0], [6.0, 6.0]])] * 12
    dummy = DummyRegressor(strategy="constant", constant=0).fit(images, np.zeros(12))
    counter = ConformalCounter(dummy, cv="prefit").fit(ImageSet(images, roi=roi), points)
    assert_array_equal(counter.errors_, np.full(12, 2))


def test_points_maps_and_counts_give_the_same_errors():
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 0.2, size=(12, 16, 16))
    truth = rng.poisson(0.1, size=images.shape)
    points = [np.argwhere(image > 0).repeat(image[image > 0], axis=0) for image in truth]
    found = [
        ConformalCounter(Identity().fit(images), cv="prefit").fit(images, y)
        for y in (points, truth.astype(float), truth.sum(axis=(1, 2)))
    ]
    for counter in found:
        assert_allclose(counter.errors_, truth.sum(axis=(1, 2)) - images.sum(axis=(1, 2)))
    assert found[0].within_correlation_ == pytest.approx(found[1].within_correlation_)
    assert np.isnan(found[2].within_correlation_)  # counts do not tell where objects are


def test_independent_errors_in_an_image_do_not_correlate_and_common_ones_do():
    rng = np.random.default_rng(0)
    images = rng.uniform(0.5, 1.5, size=(200, 16, 16))
    factor = rng.uniform(0.5, 1.5, size=(200, 1, 1))
    independent, common = (
        ConformalCounter(Identity().fit(images), cv="prefit").fit(images, rng.poisson(y).astype(float))
        for y in (images, 4 * images * factor)
    )
    assert abs(independent.within_correlation_) < 0.1
    assert common.within_correlation_ > 0.5


# CV+.


@pytest.mark.parametrize("scale", ["sqrt", None])
def test_it_is_cv_plus(scale):
    rng = np.random.default_rng(1)
    X, y = draw(rng, 30)
    new = draw(rng, 8)[0]
    counter = ConformalCounter(LinearRegression(), cv=KFold(5), scale=scale).fit(table(X), y)
    scores, centres = [], []
    for train, test in KFold(5).split(X):
        fitted = LinearRegression().fit(table(X[train]), y[train])
        error = np.abs(y[test] - fitted.predict(table(X[test])))
        scores += list(error / (np.sqrt(fitted.predict(table(X[test])) + 1) if scale else 1))
        centres += [fitted.predict(table(new))] * len(test)
    centres, scores = np.array(centres), np.array(scores)
    mean = centres.mean(axis=0)
    assert_allclose(counter.predict(table(new)), mean)
    half = scores[:, None] * (np.sqrt(mean + 1) if scale else np.ones(8))
    rank = ceil(Fraction(9, 10) * 31)
    low = np.sort(centres - half, axis=0)[30 - rank]
    high = np.sort(centres + half, axis=0)[rank - 1]
    expected = np.column_stack([np.maximum(0, np.ceil(low)), np.floor(high)])
    assert_array_equal(counter.predict_interval(table(new)), expected)


def test_a_prediction_is_the_mean_of_the_folds():
    X, y = draw(np.random.default_rng(0), 30)
    counter = ConformalCounter(LinearRegression(), cv=3).fit(table(X), y)
    folds = [regressor.predict(table(X)) for regressor in counter.regressors_]
    assert len(folds) == 3
    assert_allclose(counter.predict(table(X)), np.mean(folds, axis=0))


# Categories.


@pytest.mark.parametrize("cv", ["prefit", 3])
def test_intervals_of_a_category_hold_within_it(cv):
    rng = np.random.default_rng(0)
    names = rng.permutation(np.repeat(["HE", "IHC"], 60))
    noise = np.where(names == "HE", 1, 30)
    X = rng.uniform(50, 200, size=120)
    y = np.round(np.maximum(0, X + noise * rng.normal(size=120)))
    regressor = FirstColumn().fit(table(X))
    counter = ConformalCounter(regressor, cv=cv).fit(table(X), y, categories=names)
    intervals = counter.predict_interval(table(X), categories=names)
    for name in ("HE", "IHC"):
        mine = names == name
        alone = ConformalCounter(regressor, cv="prefit").fit(table(X[mine]), y[mine])
        assert_array_equal(intervals[mine], alone.predict_interval(table(X[mine])))
        assert hold(intervals[mine], y[mine]).mean() > 0.9
    assert_array_equal(np.unique(counter.categories_, return_counts=True)[1], [60, 60])


def test_the_smallest_category_limits_the_coverage():
    predicted, true = draw(np.random.default_rng(0), 30)
    names = np.repeat(["a", "b"], [25, 5])
    with pytest.warns(UserWarning, match="5 calibration images are too few"):
        counter = prefit(predicted, true, categories=names)
    with pytest.raises(ValueError, match=r"takes at least 9 calibration images of category b.*there are 5"):
        counter.predict_interval(table(predicted), categories=names)
    assert counter.expected_coverage(0.8).n == 5


def test_wrong_categories_are_refused():
    predicted, true = draw(np.random.default_rng(0), 30)
    X, names = table(predicted), np.repeat(["a", "b"], 15)
    counter = prefit(predicted, true, categories=names)
    with pytest.raises(ValueError, match="`categories` must be passed to both"):
        counter.predict_interval(X)
    with pytest.raises(ValueError, match="`categories` must be passed to both"):
        prefit(predicted, true).predict_interval(X, categories=names)
    with pytest.raises(ValueError, match=r"`categories` has .*'c'.*, which no calibration image has"):
        counter.predict_interval(X[:1], categories=["c"])
    with pytest.raises(ValueError, match=r"`categories` must have one label per image, 30; got shape \(2,\)"):
        prefit(predicted, true, categories=["a", "b"])


# Too few images.


def test_too_few_calibration_images_are_an_error_that_says_how_many():
    predicted, true = draw(np.random.default_rng(0), 8)
    with pytest.warns(
        UserWarning, match=r"8 calibration images are too few .* which take 9\. They reach 0\.89"
    ):
        counter = prefit(predicted, true)
    for ask in (lambda c: counter.predict_interval(table(predicted), c), counter.expected_coverage):
        with pytest.raises(ValueError, match=r"0\.9 takes at least 9 calibration images .*; there are 8"):
            ask(0.9)
        ask(0.85)
    nine = prefit(*draw(np.random.default_rng(0), 9))
    assert nine.predict_interval(table(predicted), 0.9).shape == (8, 2)
    with pytest.raises(ValueError, match="takes at least 99 calibration images"):
        nine.predict_interval(table(predicted), 0.99)


def test_images_of_few_groups_are_few_draws():
    predicted, true = draw(np.random.default_rng(0), 40)
    with pytest.warns(UserWarning, match="4 calibration groups are too few"):
        counter = prefit(predicted, true, groups=np.arange(40) // 10)
    with pytest.raises(ValueError, match="there are 4"):
        counter.predict_interval(table(predicted))


@pytest.mark.parametrize("coverage", [0, 1, -0.1, 90, "high", None])
def test_a_wrong_coverage_is_refused(coverage):
    counter = prefit(*draw(np.random.default_rng(0), 20))
    with pytest.raises(ValueError, match="`coverage` must be a number between 0 and 1"):
        counter.predict_interval(table([1]), coverage)
    with pytest.raises(ValueError, match="`coverage` must be a number between 0 and 1"):
        counter.expected_coverage(coverage)


# Frames of a film.


def film(n_scenes=8, n_frames=5, noise=0.02):
    rng = np.random.default_rng(0)
    scenes = np.repeat(rng.uniform(size=(n_scenes, 32, 32)), n_frames, axis=0)
    return scenes + rng.normal(0, noise, size=scenes.shape), np.repeat(np.arange(n_scenes), n_frames)


def calibrate(images, **params):
    dummy = DummyRegressor(strategy="constant", constant=10).fit(images, np.zeros(len(images)))
    y = np.random.default_rng(0).poisson(10, size=len(images))
    return ConformalCounter(dummy, cv="prefit").fit(images, y, **params)


@few
def test_frames_of_a_film_need_groups():
    images, scenes = film()
    for X in (images, list(images), ImageSet(images)):
        with pytest.raises(ValueError, match=r"Consecutive images are nearly the same, .*Pass `groups`"):
            calibrate(X)
        assert calibrate(X, groups=scenes).n_calibration_ == 8
        assert calibrate(X, groups=range(40)).n_calibration_ == 40


def test_independent_images_of_one_place_do_not():
    rng = np.random.default_rng(0)
    place = 5 * rng.uniform(size=(32, 32))
    assert calibrate(place + rng.uniform(size=(40, 32, 32))).n_calibration_ == 40
    assert calibrate(np.zeros((12, 32, 32))).n_calibration_ == 12
    frames, _ = film()
    assert calibrate(frames[np.random.default_rng(0).permutation(40)][:20]).n_calibration_ == 20


# Regressors of all kinds.


def test_a_pipeline_of_images():
    rng = np.random.default_rng(0)
    images, y = rng.uniform(size=(60, 16, 16, 3)), rng.poisson(20, size=60)
    pipeline = make_pipeline(FunctionTransformer(brightness), StandardScaler(), LinearRegression())
    counter = ConformalCounter(pipeline, cv=3).fit(images, y)
    assert counter.predict(images).shape == (60,)
    assert hold(counter.predict_interval(images), y).mean() > 0.85
    assert not hasattr(pipeline[-1], "coef_")  # the regressor that was passed is not trained


def brightness(images):
    return np.array([np.mean(image, axis=(0, 1)) for image in images])


@few
def test_a_dummy_regressor():
    y = np.random.default_rng(0).poisson(20, size=60)
    counter = ConformalCounter(DummyRegressor(), cv=5).fit(np.zeros((60, 1)), y)
    assert hold(counter.predict_interval(np.zeros((60, 1))), y).mean() > 0.85


def test_a_data_frame():
    pandas = pytest.importorskip("pandas")
    X, y = draw(np.random.default_rng(0), 60)
    frame = pandas.DataFrame({"brightness": X})
    counter = ConformalCounter(LinearRegression(), cv=3).fit(frame, y)
    plain = ConformalCounter(LinearRegression(), cv=3).fit(table(X), y)
    assert_array_equal(counter.predict_interval(frame), plain.predict_interval(table(X)))


def test_it_is_a_scikit_learn_estimator():
    counter = ConformalCounter(LinearRegression(), cv=3, scale=None, random_state=7)
    assert counter.get_params()["regressor__fit_intercept"] is True
    copy = clone(counter).set_params(regressor__fit_intercept=False)
    assert copy.regressor.fit_intercept is False
    assert (copy.cv, copy.scale, copy.random_state) == (3, None, 7)
    X, y = draw(np.random.default_rng(0), 60)
    assert counter.fit(table(X), y) is counter
    assert counter.score(table(X), y) > 0.5


def test_the_same_seed_gives_the_same_intervals():
    X, y = draw(np.random.default_rng(0), 60)
    one, two, other = (
        ConformalCounter(LinearRegression(), random_state=s).fit(table(X), y) for s in (1, 1, 2)
    )
    assert_array_equal(one.errors_, two.errors_)
    assert not np.array_equal(one.errors_, other.errors_)


# What is refused.


def test_an_unfitted_counter_or_regressor_is_refused():
    X, y = table(np.arange(20)), np.arange(20)
    with pytest.raises(NotFittedError):
        ConformalCounter(LinearRegression()).predict_interval(X)
    with pytest.raises(NotFittedError):
        ConformalCounter(LinearRegression()).predict(X)
    with pytest.raises(NotFittedError):
        ConformalCounter(LinearRegression(), cv="prefit").fit(X, y)


def test_a_split_that_tests_an_image_twice_is_refused():
    X, y = table(np.arange(20)), np.arange(20)
    with pytest.raises(ValueError, match="`cv` must put each image into at most one of the test sets"):
        ConformalCounter(LinearRegression(), cv=ShuffleSplit(5, random_state=0)).fit(X, y)


@pytest.mark.parametrize(
    "params", [{"cv": 1}, {"cv": "half"}, {"scale": "log"}, {"regressor": StandardScaler()}]
)
def test_wrong_parameters_are_refused(params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of ConformalCounter"):
        ConformalCounter(**{"regressor": LinearRegression()} | params).fit(table(range(20)), np.arange(20))


def test_truth_of_other_images_is_refused():
    with pytest.raises(ValueError, match="`y` must have one entry per image, 20; got 19"):
        prefit(np.arange(20), np.arange(19))


def test_predictions_that_are_not_one_number_per_image_are_refused():
    counter = prefit(*draw(np.random.default_rng(0), 20))
    with pytest.raises(ValueError, match=r"FirstColumn.predict must return one finite count per image"):
        counter.predict(table([1, np.nan]))
