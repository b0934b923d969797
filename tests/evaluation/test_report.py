import re
import warnings
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from skcount import DensityMapRegressor, ImageSet, PointAnnotations
from skcount.datasets import make_cells
from skcount.evaluation import (
    CarriedGroups,
    CountReportWarning,
    SequenceKFold,
    counting_report,
    localization_report,
)
from skcount.metrics import grid_average_mean_absolute_error as game

law = settings(max_examples=30, deadline=None)
quiet = pytest.mark.filterwarnings("ignore::skcount.evaluation.CountReportWarning")


class FirstColumn(RegressorMixin, BaseEstimator):
    """Predicts the first column of a table."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.asarray(X, dtype=np.float64)[:, 0]


class Identity(RegressorMixin, BaseEstimator):
    """Predicts the images themselves as density maps."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def predict_density(self, X):
        return [np.asarray(image, dtype=np.float64) for image in X]

    def predict(self, X):
        return np.array([density.sum() for density in self.predict_density(X)])


class Finds(Identity):
    """Predicts a point at each bright pixel."""

    def predict_points(self, X):
        return PointAnnotations([np.argwhere(np.asarray(image) > 0.5) for image in X])


def table(counts):
    return np.asarray(counts, dtype=np.float64)[:, None]


def report_of(predicted, true, **params):
    """The report of a fitted regressor with these predictions."""
    return counting_report(FirstColumn().fit(None), table(predicted), true, **params)


def scores(report, name=None):
    columns = list(report.table)
    return dict(
        zip(report.table["score"], report.table[columns[1] if name is None else name].tolist(), strict=True)
    )


def linear(n=60, seed=0):
    """A feature, and counts that follow it."""
    rng = np.random.default_rng(seed)
    brightness = rng.uniform(10, 200, size=(n, 1))
    return brightness, rng.poisson(0.5 * brightness[:, 0])


def noise_images(n=20, shape=(20, 30), seed=0):
    return np.random.default_rng(seed).integers(0, 256, size=(n, *shape), dtype=np.uint8)


def counting_report_quietly(*arguments, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CountReportWarning)
        return counting_report(*arguments, **params)


def scattered(n_images, n_splits=2, seed=0):
    """Splits at random, as pairs of indices: a KFold warns if it is given groups."""
    return list(KFold(n_splits, shuffle=True, random_state=seed).split(np.zeros(n_images)))


# The scores.


@law
@given(
    st.lists(st.tuples(st.integers(0, 300), st.floats(0, 400)), min_size=2, max_size=30).filter(
        lambda pairs: len({true for true, _ in pairs}) > 1
    )
)
@quiet
def test_scores_agree_with_the_textbook(pairs):
    true, predicted = np.array(pairs).T
    found = scores(report_of(predicted, true))
    errors = np.abs(predicted - true)
    assert found["MAE"] == pytest.approx(mean_absolute_error(true, predicted))
    assert found["RMSE"] == pytest.approx(root_mean_squared_error(true, predicted))
    assert found["bias"] == pytest.approx(np.mean(predicted - true))
    assert found["R2"] == pytest.approx(r2_score(true, predicted), rel=1e-6)
    assert found["relative error"] == pytest.approx(errors.sum() / true.sum())
    filled = true > 0
    for percent in (5, 10):
        least = np.sum(errors[filled] <= percent / 100 * true[filled])
        assert (
            least / len(true) <= found[f"share within {percent} %"] <= (least + np.sum(~filled)) / len(true)
        )


@quiet
def test_shares_by_hand():
    found = scores(report_of([100, 95, 106, 111, 0.4, 0.6], [100, 100, 100, 100, 0, 0]))
    assert found["share within 5 %"] == pytest.approx(
        3 / 6
    )  # an empty image is right if the count rounds to 0
    assert found["share within 10 %"] == pytest.approx(4 / 6)


@quiet
def test_scores_that_are_not_known_are_not_a_number():
    found = scores(report_of([1, 2, 3], [0, 0, 0]))
    assert np.isnan(found["relative error"])
    assert np.isnan(found["R2"])


@pytest.mark.parametrize("cv", [KFold(4, shuffle=True, random_state=1), 5, SequenceKFold(3, gap=2)])
def test_the_counts_are_those_of_cross_validation(cv):
    X, y = linear()
    report = counting_report(LinearRegression(), X, y, cv=cv)
    splits = KFold(5, shuffle=True, random_state=0) if cv == 5 else cv
    order = np.argsort(report.counts["image"])
    assert_array_equal(report.counts["image"][order], np.arange(60))
    assert_allclose(report.counts["predicted"][order], cross_val_predict(LinearRegression(), X, y, cv=splits))
    assert_array_equal(report.counts["true"], y[report.counts["image"]])
    for fold, (_, test) in enumerate(splits.split(X)):
        assert_array_equal(report.counts["image"][report.counts["fold"] == fold], test)
    assert scores(report)["MAE"] == pytest.approx(
        np.abs(report.counts["predicted"] - report.counts["true"]).mean()
    )


@pytest.mark.parametrize("shape", [(16, 24), (20, 30), (8, 8), (37, 11)])
@pytest.mark.parametrize("kind", ["points", "maps"])
@quiet
def test_game_is_that_of_the_metric(shape, kind):
    rng = np.random.default_rng(0)
    X = rng.gamma(0.1, 0.2, size=(5, *shape))
    points = PointAnnotations([rng.uniform(0, np.array(shape) - 1, size=(k, 2)) for k in (3, 0, 9, 20, 1)])
    y = points if kind == "points" else rng.gamma(0.1, 0.2, size=X.shape)
    found = scores(counting_report(Identity().fit(None), X, y))
    for level in range(4):
        assert found[f"GAME {level}"] == pytest.approx(game(y, X, level))
    assert found["GAME 0"] == pytest.approx(found["MAE"])
    levels = [found[f"GAME {level}"] for level in range(4)]
    assert all(one <= two + 1e-9 for one, two in pairwise(levels))


@quiet
def test_game_counts_points_outside_of_their_image_as_the_metric_does():
    X = np.zeros((2, 16, 16))
    y = PointAnnotations([[(3, 3), (-2, 5)], [(20, 20)]])
    found = scores(counting_report(Identity().fit(None), X, y))
    assert [found[f"GAME {level}"] for level in range(4)] == [game(y, X, level) for level in range(4)]
    assert found["GAME 0"] == pytest.approx(found["MAE"])


def test_counts_have_no_game():
    X, y = linear()
    assert not any(
        name.startswith("GAME") for name in counting_report(LinearRegression(), X, y, cv=3).table["score"]
    )


@quiet
def test_only_what_is_in_the_region_is_counted():
    roi = np.zeros((16, 16), dtype=bool)
    roi[:, :8] = True
    X = np.zeros((3, 16, 16))
    X[:, 2, 2] = 1
    y = PointAnnotations([[(2, 2), (2, 12)], [(9, 9)], [(2, 2)]])
    report = counting_report(Finds().fit(None), ImageSet(X.astype(np.uint8), roi=roi), y)
    assert report.counts["true"].tolist() == [1, 0, 1]
    assert scores(report)["GAME 1"] == pytest.approx(1 / 3)
    assert report.localization["n_true"] == 2  # a point that nobody was asked to find is not missed


# The baselines.


@quiet
def test_baselines_by_hand():
    y = np.array([1, 2, 4, 8, 16, 32, 64, 128])
    groups = ["a", "a", "b", "a", "b", "b", "a", "b"]
    train, test = [1, 2, 4, 6], [0, 3, 5, 7]
    report = counting_report(FirstColumn(), table(y), y, cv=[(train, test)], groups=groups)
    counts = report.counts
    assert_array_equal(counts["image"], test)
    assert_allclose(counts["training mean"], np.mean([2, 4, 16, 64]))
    assert_allclose(counts["training median"], np.median([2, 4, 16, 64]))
    # Image 0 has none before it in its group; the nearest after it stands in.
    assert_array_equal(counts["last image of the group"], [2, 2, 16, 16])
    assert_array_equal(counts["mean of the group"], [33, 33, 10, 10])
    for name in list(counts)[4:]:
        assert scores(report, name)["MAE"] == pytest.approx(np.abs(counts[name] - counts["true"]).mean())


def test_baselines_of_each_fold_are_those_of_its_training_images():
    X, y = linear(30)
    report = counting_report(LinearRegression(), X, y, cv=3)
    counts = report.counts
    for fold in range(3):
        mine = counts["fold"] == fold
        known = np.delete(y, counts["image"][mine])
        assert_allclose(counts["training mean"][mine], known.mean())
        assert_allclose(counts["training median"][mine], np.median(known))


def test_groups_that_are_apart_have_no_baseline_of_the_group():
    X, y = linear(30)
    report = counting_report(LinearRegression(), X, y, cv=5, groups=np.repeat(np.arange(10), 3))
    assert list(report.counts)[4:] == ["training mean", "training median"]


@quiet
def test_a_baseline_that_only_some_folds_have_is_left_out():
    y = np.arange(12)
    groups = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    splits = [([0, 2, 4, 6, 9], [1, 3, 5]), ([0, 1, 2, 3, 4, 5], [6, 7])]
    report = counting_report(FirstColumn(), table(y), y, cv=splits, groups=groups)
    assert list(report.counts)[4:] == ["training mean", "training median"]


# What the checks say, and when they say nothing.


def said(match, estimator, X, y, **params):
    with pytest.warns(CountReportWarning) as caught:
        report = counting_report(estimator, X, y, **params)
    assert report.warnings == [str(each.message) for each in caught]
    assert all(each.filename == __file__ for each in caught)
    return [text for text in report.warnings if re.search(match, text)]


def test_a_good_regressor_is_not_warned_about():
    X, y = linear()
    report = counting_report(LinearRegression(), X, y, cv=5)
    assert report.warnings == []
    assert counting_report(LinearRegression().fit(X, y), X, y).warnings == []


@pytest.mark.parametrize("strategy", ["mean", "median"])
def test_a_regressor_that_looks_at_no_image_is_no_better_than_a_baseline(strategy):
    X, y = linear()
    (text,) = said(rf'"training {strategy}" has an MAE of', DummyRegressor(strategy=strategy), X, y, cv=5)
    mae = scores(counting_report_quietly(DummyRegressor(strategy=strategy), X, y, cv=5))["MAE"]
    assert f"{mae:.2f}" in text


def test_a_regressor_that_is_worse_than_the_last_frame_is_told():
    rng = np.random.default_rng(0)
    y = np.repeat(rng.integers(10, 200, size=20), 3)  # frames of a film, where the count hardly changes
    X = table(y + rng.normal(0, 60, size=60))
    groups = np.repeat(np.arange(20), 3)
    splits = [(np.flatnonzero(np.arange(60) % 3 != k), np.arange(k, 60, 3)) for k in range(3)]
    assert said('"last image of the group"', LinearRegression(), X, y, cv=splits, groups=groups)


def test_a_group_on_both_sides_is_named():
    X, y = linear(30)
    groups = [*"ab" * 3, *"cdefghijkl" * 2, *"mnop"]
    splits = [(np.arange(3, 30), np.arange(3))]
    (text,) = said("both sides", LinearRegression(), X, y, cv=splits, groups=groups)
    assert text.startswith("2 groups (a, b) are on both sides")
    (text,) = said("both sides", LinearRegression(), X, y, cv=[(np.arange(1, 30), [0])], groups=groups)
    assert text.startswith("1 group (a) is on both sides")


def test_many_groups_on_both_sides_are_shortened():
    X, y = linear(60)
    (text,) = said("both sides", LinearRegression(), X, y, cv=scattered(60), groups=np.arange(60) % 20)
    assert re.match(r"\d+ groups \((\d+, ){5}\.\.\.\) are", text)


@pytest.mark.parametrize("cv", [5, GroupKFold(3), CarriedGroups(GroupKFold(3))])
def test_groups_that_are_apart_are_not_warned_about(cv):
    X, y = linear(30)
    groups = np.arange(30) % 10
    images = ImageSet(noise_images(30), groups=groups)
    if isinstance(cv, CarriedGroups):
        report = counting_report_quietly(DummyRegressor(), images, y, cv=cv)
    else:
        report = counting_report(LinearRegression(), X, y, cv=cv, groups=groups)
    assert not any("both sides" in text for text in report.warnings)
    pairs = zip(groups[report.counts["image"]], report.counts["fold"], strict=True)
    assert len(set(pairs)) == 10


def test_groups_that_images_carry_are_seen():
    y = np.arange(20)
    images = ImageSet(noise_images(), groups=np.arange(20) // 2)
    assert said("both sides", DummyRegressor(), images, y, cv=scattered(20))
    report = counting_report_quietly(DummyRegressor(), images, y, cv=5)
    assert not any("both sides" in text for text in report.warnings)


def test_images_that_are_nearly_the_same_on_both_sides_are_found():
    rng = np.random.default_rng(1)
    X = np.repeat(noise_images(12), 2, axis=0)
    X = np.clip(X + rng.normal(0, 5, size=X.shape), 0, 255).astype(np.uint8)
    y = np.repeat(np.arange(12), 2)
    splits = scattered(24)
    (text,) = said("nearly the same", DummyRegressor(), X, y, cv=splits)
    tests = [set(test.tolist()) for _, test in splits]
    n_alike = sum((index ^ 1) not in test for test in tests for index in test)
    assert text.startswith(f"{n_alike} of 24 test images")
    blocks = counting_report_quietly(DummyRegressor(), X, y, cv=KFold(4))
    assert not any("nearly the same" in text for text in blocks.warnings)


@pytest.mark.parametrize("lazily", [False, True])
def test_independent_images_are_not_taken_for_copies(lazily):
    X = make_cells(30, image_shape=(48, 64), random_state=0, return_X_y=True)[0]
    report = counting_report_quietly(DummyRegressor(), ImageSet(X) if lazily else X, np.arange(30), cv=3)
    assert not any("nearly the same" in text for text in report.warnings)


@pytest.mark.parametrize(("slope", "word"), [(0.6, "too low"), (1.4, "too high")])
def test_a_bias_that_grows_with_the_count_is_found(slope, word):
    rng = np.random.default_rng(0)
    y = rng.integers(10, 200, size=40)
    predicted = np.maximum(0, y.mean() + slope * (y - y.mean()) + rng.normal(0, 4, size=40))
    (text,) = said("The bias grows", FirstColumn().fit(None), table(predicted), y)
    assert word in text


@pytest.mark.parametrize("bias", [-20, 0, 35])
def test_a_constant_bias_does_not_grow(bias):
    rng = np.random.default_rng(2)
    y = rng.integers(50, 200, size=60)
    assert report_of(y + bias + rng.normal(0, 3, size=60), y).warnings == []


def test_few_images_do_not_tell_whether_the_bias_grows():
    y = np.array([10, 50, 100, 150])
    assert report_of(0.5 * y + 40, y).warnings == []


def test_an_overfitted_regressor_has_a_small_training_error():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.poisson(30, size=60)
    (text,) = said("training error", DecisionTreeRegressor(random_state=0), X, y, cv=5)
    mae = scores(counting_report_quietly(DecisionTreeRegressor(random_state=0), X, y, cv=5))["MAE"]
    assert f"MAE 0.00 against {mae:.2f}" in text


def test_a_regressor_that_has_learnt_as_much_as_it_can_is_not_overfitted():
    X, y = linear()
    tree = DecisionTreeRegressor(max_depth=2, min_samples_leaf=8, random_state=0)
    report = counting_report_quietly(tree, X, y, cv=5)
    assert not any("training error" in text for text in report.warnings)


# A fitted estimator.


def test_a_fitted_estimator_is_not_trained_again():
    X, y = linear()
    fitted = LinearRegression().fit(X[:30], y[:30])
    coefficients = fitted.coef_.copy()
    report = counting_report(fitted, X[30:], y[30:])
    assert_allclose(report.counts["predicted"], fitted.predict(X[30:]))
    assert_array_equal(fitted.coef_, coefficients)
    assert list(report.table) == ["score", "LinearRegression"]
    assert set(report.counts["fold"]) == {0}


def test_cross_validation_leaves_the_estimator_alone():
    X, y = linear()
    fitted = LinearRegression().fit(X[:5], y[:5])
    coefficients = fitted.coef_.copy()
    counting_report(fitted, X, y, cv=3)
    assert_array_equal(fitted.coef_, coefficients)


def test_an_estimator_that_is_not_fitted_is_refused_without_splits():
    X, y = linear()
    with pytest.raises(NotFittedError):
        counting_report(LinearRegression(), X, y)


def test_a_model_remembers_the_mean_of_its_training():
    fitted = FirstColumn().fit(None)
    fitted.trained_on_ = {"mean_count": 31.5}
    report = counting_report(fitted, table([10, 20, 60]), [11, 19, 61])
    assert report.counts["training mean"].tolist() == [31.5] * 3
    assert scores(report, "training mean")["bias"] == pytest.approx(31.5 - 91 / 3)
    with pytest.warns(CountReportWarning, match='"training mean" has an MAE of 0.00'):
        counting_report(fitted, table([10, 20, 60]), [31.5] * 3)


@pytest.fixture(scope="module")
def trained():
    X, points = make_cells(n_samples=10, image_shape=(40, 48), random_state=0, return_X_y=True)
    return DensityMapRegressor(max_epochs=1, random_state=0).fit(X[:6], points[:6]), X[6:], points[6:]


@quiet
def test_a_regressor_of_maps_has_all_evidence(trained):
    regressor, X, points = trained
    report = counting_report(regressor, X, points)
    found = scores(report)
    for level in range(4):
        assert found[f"GAME {level}"] == pytest.approx(
            game(points, regressor.predict_density(X), level), rel=1e-4
        )
    assert_allclose(report.counts["training mean"], regressor.trained_on_["mean_count"])
    expected = localization_report(points, regressor.predict_points(X), regressor.diameter_ / 2)
    np.testing.assert_equal(dict(report.localization), dict(expected))
    assert "GAME 3" in str(report)
    assert "Points" in str(report)


def test_points_match_within_half_the_diameter_that_each_fold_has_found():
    class Measures(Finds):
        def fit(self, X, y=None):
            self.diameter_ = 20.0
            return self

    X = np.zeros((4, 30, 30))
    X[:, 4, 4] = 1
    y = PointAnnotations([[(4, 12)]] * 4)  # 8 pixels off: within half a diameter
    report = counting_report_quietly(Measures(), X, y, cv=2)
    assert report.localization["radius"] == 10
    assert report.localization["n_matched"] == 4


# What else is in a report.


@quiet
def test_errors_are_told_for_thirds_by_predicted_count():
    rng = np.random.default_rng(0)
    predicted, y = rng.uniform(0, 100, size=20), rng.integers(0, 100, size=20)
    parts = report_of(predicted, y).by_count
    assert parts["images"].sum() == 20
    assert np.ptp(parts["images"]) <= 1
    assert (parts["predicted from"][1:] >= parts["to"][:-1]).all()
    assert (parts["predicted from"][0], parts["to"][-1]) == (predicted.min(), predicted.max())
    assert np.average(parts["MAE"], weights=parts["images"]) == pytest.approx(np.abs(predicted - y).mean())
    assert np.average(parts["bias"], weights=parts["images"]) == pytest.approx((predicted - y).mean())


@quiet
def test_limits_of_agreement_by_hand():
    predicted, y = np.array([3.0, 9.0, 14.0, 30.0]), np.array([4, 8, 10, 25])
    agreement = report_of(predicted, y).agreement
    difference = predicted - y
    mean, half = difference.mean(), 1.96 * difference.std(ddof=1)
    assert agreement["mean_difference"] == pytest.approx(mean)
    assert agreement["limits"] == pytest.approx((mean - half, mean + half))
    assert agreement["slope"] == pytest.approx(np.polyfit((predicted + y) / 2, difference, 1)[0])
    low, high = agreement["slope_interval"]
    assert low < agreement["slope"] < high


@quiet
@pytest.mark.parametrize("n", [1, 2, 3])
def test_very_few_images_have_a_report(n):
    report = report_of(np.arange(n) + 1.5, np.arange(n))
    assert report.counts.n_rows == n
    assert str(report)
    assert report.to_html()


def test_raters_are_compared_with_each_other_and_the_regressor():
    y = np.array([10, 20, 30, 40])
    anna, ben = y + 2, [9, 21, 29, 41]
    report = report_of(y + 0.5, y, raters={"anna": anna, "ben": ben})
    pairs = {(one, other): (size, sign) for one, other, size, sign in report.raters.rows()}
    assert len(pairs) == 6
    assert pairs["y", "anna"] == (2, 2)
    assert pairs["y", "ben"] == (1, 0)
    assert pairs["anna", "ben"] == pytest.approx((2, -2))
    assert pairs["anna", "FirstColumn"] == (1.5, -1.5)
    assert "Raters" in str(report)


def test_raters_are_compared_on_the_tested_images():
    X, y = linear(30)
    test = np.arange(20, 30)
    report = counting_report(
        LinearRegression(), X, y, cv=[(np.arange(20), test)], raters={"anna": y + (np.arange(30) >= 20)}
    )
    assert report.raters["mean absolute difference"][0] == 1


@quiet
def test_raters_may_give_points():
    X = np.zeros((2, 8, 8))
    points = PointAnnotations([[(1, 1)], [(2, 2), (3, 3)]])
    report = counting_report(
        Identity().fit(None), X, points, raters={"anna": PointAnnotations([[], [(2, 2)]])}
    )
    assert report.raters["mean difference"][0] == -1


@pytest.mark.parametrize("name", ["FirstColumn", "y"])
def test_a_rater_may_have_any_name_but_those_in_use(name):
    y = np.array([10, 20, 30, 40])
    try:
        raters = report_of(y + 0.5, y, raters={name: y + 3}).raters
    except ValueError as error:
        assert name in str(error)  # noqa: PT017 - refusing it is as good as telling both apart
    else:
        assert sorted(raters["mean absolute difference"].tolist()) == [0.5, 2.5, 3]


@pytest.mark.parametrize("raters", [None, {}])
def test_without_raters_there_is_no_table_of_them(raters):
    X, y = linear()
    assert counting_report(LinearRegression(), X, y, cv=3, raters=raters).raters is None


@pytest.mark.parametrize("name", ["pipeline", "search"])
def test_pipelines_and_searches_are_tested(name):
    X, y = linear()
    estimators = {
        "pipeline": make_pipeline(StandardScaler(), LinearRegression()),
        "search": GridSearchCV(LinearRegression(), {"fit_intercept": [True, False]}, cv=2),
    }
    report = counting_report(estimators[name], X, y, cv=3)
    assert list(report.table)[1] == {"pipeline": "LinearRegression", "search": "GridSearchCV"}[name]
    assert scores(report)["R2"] > 0.8


def test_splits_may_be_masks():
    X, y = linear(20)
    test = np.arange(20) % 4 == 0
    masks = counting_report_quietly(LinearRegression(), X, y, cv=[(~test, test)])
    indices = counting_report_quietly(
        LinearRegression(), X, y, cv=[(np.flatnonzero(~test), np.flatnonzero(test))]
    )
    assert str(masks) == str(indices)


def test_it_becomes_a_frame():
    pytest.importorskip("pandas")
    X, y = linear()
    report = counting_report(LinearRegression(), X, y, cv=3)
    frame = report.to_frame()
    assert frame.index.name == "score"
    assert frame.loc["MAE", "LinearRegression"] == scores(report)["MAE"]
    assert list(frame.columns) == ["LinearRegression", "training mean", "training median"]


def test_it_says_what_it_found():
    X, y = linear()
    report = counting_report_quietly(DummyRegressor(), X, y, cv=5)
    assert repr(report) == f"<CountingReport: 60 images, {len(report.warnings)} warnings>"
    lines = str(report).splitlines()
    assert lines[: len(report.warnings)] == [f"Warning: {text}" for text in report.warnings]
    assert "limits of agreement" in str(report)


# The page.


class Page(HTMLParser):
    """Collects what a page loads, its text and whether its tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.tags, self.open, self.texts = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loaded += [value for name, value in attrs if name in {"src", "href", "srcset", "data", "action"}]
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def report():
    X, y = linear(30)
    return counting_report_quietly(DummyRegressor(), X, y, cv=3, raters={'<b>anna</b> & "co"': y + 1})


def test_a_page_loads_nothing_from_elsewhere(report, tmp_path):
    page = report.to_html(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert "http://" not in page
    assert "https://" not in page
    assert "@import" not in page
    parsed = Page(page)
    assert not parsed.open
    assert not {"script", "link", "iframe", "object"} & set(parsed.tags)
    assert len(parsed.loaded) == 2
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in parsed.loaded)


def test_names_are_text_and_not_tags(report):
    page = report.to_html()
    assert "<b>" not in page
    assert '<b>anna</b> & "co"' in Page(page).texts


def test_the_name_of_a_class_in_a_warning_is_escaped():
    X, y = linear(30)
    groups = np.array([f"<i>{k}</i>" for k in range(15)] * 2)
    page = counting_report_quietly(LinearRegression(), X, y, cv=scattered(30), groups=groups).to_html()
    assert "<i>" not in page
    assert "&lt;i&gt;" in page


def test_a_page_has_the_numbers_and_the_warnings(report):
    text = " ".join(Page(report.to_html()).texts)
    assert report.warnings
    assert all(warning in text for warning in report.warnings)
    assert all(name in text for name in report.table["score"])
    assert f"{scores(report)['MAE']:.4g}" in text
    assert "30 images in 3 folds" in text


def test_the_same_report_is_the_same_page(report):
    assert report.to_html() == report.to_html() == report._repr_html_()


@pytest.mark.parametrize("exists", [False, True])
def test_a_page_is_written_whole_or_not_at_all(report, tmp_path, monkeypatch, exists):
    path = tmp_path / "report.html"
    if exists:
        path.write_text("before")

    def fail(*_):
        raise OSError("the disk is gone")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        report.to_html(path)
    assert [each.read_text() for each in tmp_path.iterdir()] == ["before"] * exists


def test_an_old_page_is_replaced(report, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("before")
    report.to_html(str(path))
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_folder_that_does_not_exist_is_named(report, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        report.to_html(tmp_path / "nowhere" / "report.html")
    with pytest.raises(ValueError, match="is a folder"):
        report.to_html(tmp_path)


# What is refused.


@pytest.mark.parametrize(
    "cv", [ShuffleSplit(3, test_size=0.5, random_state=0), [([0, 1], [2, 3]), ([0, 1], [3, 4])]]
)
def test_an_image_is_tested_once(cv):
    X, y = linear(20)
    with pytest.raises(ValueError, match="`cv` must put each image into at most one of the test sets"):
        counting_report(LinearRegression(), X, y, cv=cv)


def test_lengths_must_agree():
    X, y = linear(20)
    with pytest.raises(ValueError, match="one entry per image, 20; got 19"):
        counting_report(LinearRegression(), X, y[:19], cv=3)
    with pytest.raises(ValueError, match="one label per image"):
        counting_report(LinearRegression(), X, y, cv=3, groups=[1, 2])
    with pytest.raises(ValueError, match="one entry per image, 20; got 3"):
        counting_report(LinearRegression(), X, y, cv=3, raters={"anna": [1, 2, 3]})


@pytest.mark.parametrize(("name", "value"), [("raters", [1, 2]), ("groups", 3)])
def test_wrong_parameters_are_refused(name, value):
    X, y = linear(20)
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        counting_report(LinearRegression(), X, y, cv=3, **{name: value})


def test_what_predicts_nothing_is_refused():
    X, y = linear(20)
    with pytest.raises(ValueError, match="'estimator' parameter"):
        counting_report(StandardScaler(), X, y, cv=3)


def test_counts_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="one finite count per image"):
        report_of([1, np.nan], [1, 2])


def test_predicted_counts_are_enough():
    counts, predicted = np.arange(12.0), np.arange(12.0) + 1
    report = counting_report(predicted, np.zeros((12, 1)), counts)
    assert list(report.table)[1] == "predicted"
    assert report.table["predicted"][0] == 1
    with pytest.raises(ValueError, match="`cv` must be None for predicted counts"):
        counting_report(predicted, np.zeros((12, 1)), counts, cv=3)
