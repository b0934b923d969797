import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline

from skcount import DensityMapTransformer, UNetRegressor
from skcount.metrics import GAMEScorer, count_mae_scorer
from skcount.plotting import SearchDisplay

SIGMAS, NETWORKS = (1, 2, 4), ("fcrn_a", "unet")
MEAN = np.array([[-3.1, -2.2, -2.8], [-2.9, -1.8, -1.9]])
STD = np.array([[0.4, 0.3, 0.4], [0.5, 0.2, 0.3]])


def results(params, mean, std=None, **more):
    std = np.zeros(len(mean)) if std is None else std
    return {"params": params, "mean_test_score": mean, "std_test_score": std, **more}


GRID = results([{"architecture": n, "sigma": s} for n in NETWORKS for s in SIGMAS], MEAN.ravel(), STD.ravel())


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 3)), rng.uniform(1, 9, 12)


def test_sigma_is_along_the_axis_and_each_architecture_has_a_line():
    display = SearchDisplay.from_results(GRID)
    assert (display.x, display.hue) == ("sigma", "architecture")
    np.testing.assert_array_equal(display.x_values, SIGMAS)
    assert display.hue_values == list(NETWORKS)
    np.testing.assert_array_equal(display.mean, -MEAN)
    np.testing.assert_array_equal(display.std, STD)


def test_what_is_drawn_is_the_mean_and_the_deviation():
    display = SearchDisplay.from_results(GRID)
    assert len(display.errorbars_) == 2
    for bars, mean, std in zip(display.errorbars_, -MEAN, STD, strict=True):
        line, _, (collection,) = bars
        np.testing.assert_array_equal(line.get_data(), [SIGMAS, mean])
        ends = np.array([segment[:, 1] for segment in collection.get_segments()])
        np.testing.assert_allclose(ends, np.column_stack([mean - std, mean + std]))


def test_everything_that_is_drawn_lies_within_the_axes():
    display = SearchDisplay.from_results(GRID)
    display.figure_.canvas.draw()
    low, high = display.ax_.get_ylim()
    assert low < (-MEAN - STD).min() < (-MEAN + STD).max() < high
    left, right = display.ax_.transAxes.transform([(0, 0), (1, 1)])[:, 0]
    for line, *_ in display.errorbars_:
        x = line.get_transform().transform(line.get_xydata())[:, 0]
        assert (left < x).all()
        assert (x < right).all()


@pytest.mark.parametrize(("sign", "best"), [(-1, 1.8), (1, 3.1)])
def test_the_ring_is_around_the_best(sign, best):
    display = SearchDisplay.from_results({**GRID, "mean_test_score": sign * np.abs(MEAN.ravel())})
    assert display.best_.get_ydata()[0] == best
    assert display.smaller_is_better == (sign < 0)
    assert display.ax_.get_title().endswith(f"best {best}")


def test_the_axes_are_those_that_are_asked_for():
    display = SearchDisplay.from_results(GRID, x="architecture", hue="sigma")
    assert display.x_values == list(NETWORKS)
    assert display.hue_values == ["1", "2", "4"]
    np.testing.assert_array_equal(display.mean, -MEAN.T)
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == list(NETWORKS)


def test_a_dict_is_named_by_what_is_in_it():
    depths = [{"depth": 2, "normalization": None}, {"depth": 3}]
    params = [{"sigma": s, "architecture_params": d} for d in depths for s in SIGMAS]
    display = SearchDisplay.from_results(results(params, MEAN.ravel()), hue="architecture_params")
    assert display.hue_values == ["depth=2, normalization=None", "depth=3"]


def test_a_single_parameter_has_one_line_and_no_legend():
    display = SearchDisplay.from_results(results([{"sigma": s} for s in SIGMAS], -MEAN[0] * -1))
    assert (display.hue, len(display.errorbars_), display.ax_.get_legend()) == (None, 1, None)


def test_of_what_else_was_searched_the_best_shows():
    params = [{"lr": lr, "sigma": s, "width": w} for lr in (0.1, 0.2) for s in SIGMAS for w in "ab"]
    mean = -np.arange(1.0, 13)
    display = SearchDisplay.from_results(results(params, mean), x="sigma", hue="width")
    np.testing.assert_array_equal(display.mean, [[1, 3, 5], [2, 4, 6]])


def test_of_a_search_by_halving_the_last_round_shows():
    params = [{"sigma": 1}, {"sigma": 2}, {"sigma": 1}]
    halving = results(params, [-1, -3, -2], n_resources=[10, 10, 20])
    np.testing.assert_array_equal(SearchDisplay.from_results(halving).mean, [[2, 3]])


def test_pairs_that_were_not_tried_are_left_out():
    display = SearchDisplay.from_results(
        results([{"a": 1, "b": "x"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}], [-1, -2, -3])
    )
    np.testing.assert_array_equal(display.mean, [[1, 2], [np.nan, 3]])
    assert [len(line.get_xdata()) for line, *_ in display.errorbars_] == [2, 1]


def test_fits_that_failed_are_left_out():
    display = SearchDisplay.from_results(results([{"a": 1}, {"a": 2}, {"a": 3}], [-1, np.nan, -3]))
    np.testing.assert_array_equal(display.mean, [[1, np.nan, 3]])


def test_numbers_that_grow_by_factors_are_equally_far_from_each_other():
    for values, scale in (
        ((1, 2, 4), "log"),
        ((1, 2, 3), "linear"),
        ((0, 1, 9), "linear"),
        ((-1, 9), "linear"),
    ):
        params = [{"sigma": value} for value in values]
        assert SearchDisplay.from_results(results(params, -np.ones(len(values)))).ax_.get_xscale() == scale


@pytest.mark.parametrize("n", [3, 30])
def test_few_values_each_have_a_tick(n):
    display = SearchDisplay.from_results(results([{"a": 1 + i} for i in range(n)], -np.ones(n)))
    assert (len(display.ax_.get_xticks()) == n) == (n == 3)


def test_names_do_not_overlap():
    densities = [DensityMapTransformer(sigma=sigma) for sigma in (1, 2, 4)]
    for values in ("abc", densities):
        display = SearchDisplay.from_results(results([{"density": v} for v in values], -np.ones(3)))
        display.figure_.canvas.draw()
        slanted = {label.get_rotation() for label in display.ax_.get_xticklabels()}
        assert slanted == ({0} if values == "abc" else {30})


def test_the_names_of_many_lines_stand_beside_the_axes():
    for n in (2, 8):
        params = [{"a": a, "b": f"b{b}"} for a in (1, 2) for b in range(n)]
        display = SearchDisplay.from_results(results(params, -np.ones(2 * n)))
        display.figure_.canvas.draw()
        legend = display.ax_.get_legend().get_window_extent()
        assert (legend.x0 > display.ax_.bbox.x1) == (n == 8)


def test_values_of_every_type_have_a_name():
    values = [None, np.float64(0.5), True, "text", len, DensityMapTransformer(sigma=3), {"filters": [1] * 50}]
    display = SearchDisplay.from_results(
        results([{"a": v, "b": i} for v in values for i in (1, 2)], -np.ones(14))
    )
    assert (display.x, display.hue) == ("b", "a")
    names = ["0.5", "None", "True", "text", "len", "DensityMapTransformer(sigma=3)"]
    assert display.hue_values[:-1] == names
    assert len(display.hue_values[-1]) <= 30
    display.figure_.canvas.draw()


def test_estimators_that_are_made_anew_for_each_candidate_are_one_value():
    params = [
        {"density": DensityMapTransformer(kernel=k), "a": a} for a in (1, 2) for k in ("gaussian", "adaptive")
    ]
    assert len(SearchDisplay.from_results(results(params, -np.ones(4))).hue_values) == 2


def test_candidates_without_the_parameter_are_named_so():
    display = SearchDisplay.from_results(results([{"a": 1}, {"a": 2}, {"a": 1, "b": "x"}], [-1, -2, -3]))
    assert display.hue_values == ["not set", "x"]


@pytest.mark.parametrize(
    ("scoring", "name", "error"),
    [
        ("neg_mean_absolute_error", "MAE", True),
        ("neg_root_mean_squared_error", "RMSE", True),
        (count_mae_scorer, "MAE", True),
        ("r2", "r2 score", False),
    ],
)
def test_errors_show_as_errors_and_scores_as_scores(scoring, name, error, table):
    search = GridSearchCV(Ridge(), {"alpha": [1, 10]}, scoring=scoring, cv=2).fit(*table)
    display = SearchDisplay.from_estimator(search)
    assert (display.score_name, display.smaller_is_better) == (name, error)
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(display.mean[0], -scores if error else scores)


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_a_regressors_own_score_shows_as_its_mae(in_pipeline, noise):
    X, points = noise
    regressor = UNetRegressor(2, max_epochs=1, random_state=0)
    estimator, name = (
        (make_pipeline("passthrough", regressor), "unetregressor__") if in_pipeline else (regressor, "")
    )
    search = GridSearchCV(estimator, {f"{name}sigma": [1, 2]}, cv=2, refit=False).fit(X, points)
    display = SearchDisplay.from_estimator(search)
    assert (display.x, display.score_name) == (f"{name}sigma", "MAE of the counts")
    np.testing.assert_array_equal(display.mean[0], -search.cv_results_["mean_test_score"])


def test_game_is_named_with_its_level(noise):
    X, points = noise
    regressor = UNetRegressor(2, max_epochs=1, random_state=0)
    search = GridSearchCV(regressor, {"sigma": [1, 2]}, cv=2, scoring=GAMEScorer(1), refit=False).fit(
        X, points
    )
    display = SearchDisplay.from_estimator(search)
    assert (display.score_name, display.smaller_is_better) == ("GAME(1)", True)


def test_a_score_of_which_nothing_is_known_is_never_called_an_error(table):
    X, y = table
    search = GridSearchCV(DummyRegressor(), {"strategy": ["mean", "median"]}, cv=3).fit(X, y)
    display = SearchDisplay.from_estimator(search)
    assert (search.cv_results_["mean_test_score"] < 0).all()
    assert display.score_name == "minus score"
    kept = SearchDisplay.from_estimator(search, negate_score=False)
    assert (kept.score_name, kept.smaller_is_better) == ("score", False)
    np.testing.assert_array_equal(kept.mean, -display.mean)


def test_an_error_may_be_shown_as_the_score_that_it_was(table):
    search = GridSearchCV(Ridge(), {"alpha": [1, 10]}, scoring="neg_mean_absolute_error", cv=2).fit(*table)
    display = SearchDisplay.from_estimator(search, negate_score=False)
    assert (display.mean < 0).all()
    assert display.score_name == "score"
    assert SearchDisplay.from_estimator(search, score_name="my words").ax_.get_ylabel() == "my words"


def test_one_of_several_scorers_is_drawn(table):
    scoring = ["neg_mean_absolute_error", "r2"]
    search = GridSearchCV(Ridge(), {"alpha": [1, 10]}, scoring=scoring, refit="r2", cv=2).fit(*table)
    assert SearchDisplay.from_estimator(search).score_name == "r2 score"
    assert SearchDisplay.from_estimator(search, metric=scoring[0]).score_name == "MAE"
    assert SearchDisplay.from_results(search.cv_results_, metric=scoring[0]).score_name == "MAE"
    with pytest.raises(ValueError, match=r"metric is None; expected one of those.*'r2'"):
        SearchDisplay.from_results(search.cv_results_)


def test_a_random_search_is_drawn_in_order(table):
    grid = {"alpha": [0.3, 7.0, 0.01, 100.0]}
    search = RandomizedSearchCV(Ridge(), grid, n_iter=4, cv=2, random_state=0).fit(*table)
    display = SearchDisplay.from_estimator(search)
    np.testing.assert_array_equal(display.x_values, sorted(grid["alpha"]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"x": "sigmas"}, "x is 'sigmas'; expected one of the parameters.*'architecture', 'sigma'"),
        ({"hue": "net"}, "hue is 'net'"),
        ({"x": "sigma", "hue": "sigma"}, "x and hue are both 'sigma'"),
        ({"metric": "r2"}, r"metric is 'r2'; expected one of.*\['score'\]"),
    ],
)
def test_a_name_that_was_not_searched_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        SearchDisplay.from_results(GRID, **given)


@pytest.mark.parametrize(
    ("cv_results", "words"),
    [
        (None, "cv_results is a NoneType without params"),
        ({"mean_test_score": [1]}, "cv_results is a dict without params"),
        (
            results([{"a": 1}, {"a": 2}], [np.nan, np.nan]),
            "No score of the search is a number.*PointAnnotations",
        ),
        (results([{}], [-1]), r"The search has the parameters \[\]"),
    ],
)
def test_what_is_no_result_of_a_search_is_refused(cv_results, words):
    with pytest.raises(ValueError, match=words):
        SearchDisplay.from_results(cv_results)


def test_a_search_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError, match="GridSearchCV has no cv_results_; expected a fitted search"):
        SearchDisplay.from_estimator(GridSearchCV(Ridge(), {"alpha": [1]}))
