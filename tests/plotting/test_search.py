from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from skcount import DensityMapTransformer, UNetRegressor
from skcount.plotting import SearchDisplay
from skcount.plotting._style import series_style

SIGMAS, NETWORKS = (1, 2, 4), ("fcrn_a", "unet")
MEAN = np.array([[-3.1, -2.2, -2.8], [-2.9, -1.8, -1.9]])
STD = np.array([[0.4, 0.3, 0.4], [0.5, 0.2, 0.3]])


class Fitted(BaseEstimator):
    def fit(self, X, y): ...


def searched(params, mean, std=None, **more):
    """A fitted search with these results."""
    search = Fitted()
    std = np.zeros(len(mean)) if std is None else std
    search.cv_results_ = {"params": params, "mean_test_score": mean, "std_test_score": std, **more}
    return search


GRID = searched(
    [{"architecture": n, "sigma": s} for n in NETWORKS for s in SIGMAS], MEAN.ravel(), STD.ravel()
)


def draw(search, x="sigma", hue=None, *, negate_score=True, **options):
    return SearchDisplay.from_estimator(search, x=x, hue=hue, negate_score=negate_score, **options)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 3)), rng.uniform(1, 9, 12)


def test_x_is_along_the_axis_and_each_value_of_hue_has_a_line_and_an_error_bar():
    display = draw(GRID, hue="architecture")
    assert (display.x, display.hue, display.hue_values) == ("sigma", "architecture", list(NETWORKS))
    np.testing.assert_array_equal(display.x_values, SIGMAS)
    np.testing.assert_array_equal(display.mean, -MEAN)
    np.testing.assert_array_equal(display.std, STD)
    assert len(display.errorbars_) == 2
    display.figure_.canvas.draw()
    left, right = display.ax_.transAxes.transform([(0, 0), (1, 1)])[:, 0]
    for bars, mean, std in zip(display.errorbars_, -MEAN, STD, strict=True):
        line, _, (collection,) = bars
        np.testing.assert_array_equal(line.get_data(), [SIGMAS, mean])
        ends = np.array([segment[:, 1] for segment in collection.get_segments()])
        np.testing.assert_allclose(ends, np.column_stack([mean - std, mean + std]))
        x = line.get_transform().transform(line.get_xydata())[:, 0]
        assert ((left < x) & (x < right)).all()
    low, high = display.ax_.get_ylim()
    assert low < (-MEAN - STD).min() < (-MEAN + STD).max() < high


def test_names_are_along_the_axis_as_they_came():
    display = draw(GRID, "architecture", "sigma")
    assert display.x_values == list(NETWORKS)
    assert display.hue_values == ["1", "2", "4"]
    np.testing.assert_array_equal(display.mean, -MEAN.T)
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == list(NETWORKS)


@pytest.mark.parametrize(("negate_score", "best"), [(True, 1.8), (False, -1.8)])
def test_the_ring_is_around_the_best(negate_score, best):
    display = draw(GRID, hue="architecture", negate_score=negate_score)
    assert display.best_.get_ydata()[0] == best
    assert display.smaller_is_better == negate_score
    assert display.ax_.get_title().endswith(f"best {best}")


def test_without_hue_there_is_one_line_of_the_best_and_no_legend():
    display = draw(GRID)
    assert (display.hue, len(display.errorbars_), display.ax_.get_legend()) == (None, 1, None)
    np.testing.assert_array_equal(display.mean, [-MEAN.max(axis=0)])
    np.testing.assert_array_equal(display.std, [STD[1]])


def test_after_successive_halving_the_last_round_shows():
    halving = searched([{"sigma": 1}, {"sigma": 2}, {"sigma": 1}], [-1, -3, -2], n_resources=[10, 10, 20])
    np.testing.assert_array_equal(draw(halving).mean, [[2, 3]])


def test_pairs_that_were_not_tried_and_fits_that_failed_are_left_out():
    params = [{"a": a, "b": b} for a, b in [(1, "x"), (2, "x"), (2, "y"), (3, "y")]]
    display = draw(searched(params, [-1, -2, -3, np.nan]), "a", "b")
    np.testing.assert_array_equal(display.mean, [[1, 2, np.nan], [np.nan, 3, np.nan]])
    assert [len(line.get_xdata()) for line, *_ in display.errorbars_] == [2, 1]


@pytest.mark.parametrize(
    ("values", "scale"),
    [((1, 2, 4), "log"), ((1, 2, 3), "linear"), ((0, 1, 9), "linear"), ((-1, 9), "linear")],
)
def test_numbers_that_grow_by_factors_have_a_logarithmic_axis(values, scale):
    search = searched([{"sigma": value} for value in values], -np.ones(len(values)))
    assert draw(search).ax_.get_xscale() == scale


@pytest.mark.parametrize("n", [3, 30])
def test_few_values_each_have_a_tick(n):
    display = draw(searched([{"sigma": 1 + i} for i in range(n)], -np.ones(n)))
    assert (len(display.ax_.get_xticks()) == n) == (n == 3)


@pytest.mark.parametrize("slanted", [False, True])
def test_names_do_not_overlap(slanted):
    values = [DensityMapTransformer(sigma=sigma) for sigma in (1, 2, 4)] if slanted else "abc"
    display = draw(searched([{"density": v} for v in values], -np.ones(3)), "density")
    display.figure_.canvas.draw()
    assert {label.get_rotation() for label in display.ax_.get_xticklabels()} == {30 * slanted}


@pytest.mark.parametrize("n", [2, 8])
def test_the_legend_of_many_lines_is_next_to_the_axes(n):
    params = [{"a": a, "b": f"b{b}"} for a in (1, 2) for b in range(n)]
    display = draw(searched(params, -np.ones(2 * n)), "a", "b")
    display.figure_.canvas.draw()
    legend = display.ax_.get_legend().get_window_extent()
    assert (legend.x0 > display.ax_.bbox.x1) == (n == 8)


def test_values_of_every_type_have_a_name_also_those_that_were_not_set():
    named = {
        "None": None,
        "0.5": np.float64(0.5),
        "True": True,
        "text": "text",
        "len": len,
        "DensityMapTransformer(sigma=3)": DensityMapTransformer(sigma=3),
        "depth=2, b=None": {"depth": 2, "b": None},
    }
    values = [*named.values(), {"filters": [1] * 50}]
    params = [{"a": v, "b": i} for v in values for i in (1, 2)]
    display = draw(searched([*params, {"b": 1}], -np.ones(17)), "b", "a")
    assert set(display.hue_values) >= {*named, "not set"}
    assert max(map(len, display.hue_values)) <= 30
    display.figure_.canvas.draw()


def test_equal_estimators_of_several_candidates_are_one_value():
    kernels = ("gaussian", "adaptive")
    params = [{"density": DensityMapTransformer(kernel=k), "a": a} for a in (1, 2) for k in kernels]
    assert len(draw(searched(params, -np.ones(4)), "a", "density").hue_values) == 2


def test_scores_of_a_search_for_a_regressor_are_drawn(noise):
    X, points = noise
    regressor = UNetRegressor(2, max_epochs=1, random_state=0)
    search = GridSearchCV(regressor, {"sigma": [1, 2]}, cv=2, refit=False).fit(X, points)
    scores = search.cv_results_["mean_test_score"]
    for negate, sign, name in ((True, -1, "minus score"), (False, 1, "score")):
        display = draw(search, negate_score=negate)
        np.testing.assert_array_equal(display.mean[0], sign * scores)
        assert display.ax_.get_ylabel() == name
    assert draw(search, score_name="MAE").ax_.get_ylabel() == "MAE"


def test_one_of_several_scorers_is_drawn(table):
    scoring = ["neg_mean_absolute_error", "r2"]
    search = GridSearchCV(Ridge(), {"alpha": [1, 10]}, scoring=scoring, refit="r2", cv=2).fit(*table)
    for options, metric in (({}, "r2"), ({"metric": scoring[0]}, scoring[0])):
        display = draw(search, "alpha", negate_score=False, **options)
        assert display.score_name == metric
        np.testing.assert_array_equal(display.mean[0], search.cv_results_[f"mean_test_{metric}"])
    with pytest.raises(ValueError, match=r"metric.*'r2'.*None"):
        draw(search.set_params(refit=False), "alpha")


def test_a_random_search_is_drawn_in_order(table):
    grid = {"alpha": [0.3, 7.0, 0.01, 100.0]}
    search = RandomizedSearchCV(Ridge(), grid, n_iter=4, cv=2, random_state=0).fit(*table)
    np.testing.assert_array_equal(draw(search, "alpha").x_values, sorted(grid["alpha"]))


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"x": "sigmas"}, "`x`.*'architecture', 'sigma'.*'sigmas'"),
        ({"hue": "net"}, "`hue`.*'net'"),
        ({"hue": "sigma"}, "`x` and `hue`.*'sigma'"),
        ({"metric": "r2"}, r"`metric`.*\['score'\].*'r2'"),
    ],
)
def test_a_name_that_was_not_searched_is_refused(given, match):
    with pytest.raises(ValueError, match=match):
        draw(GRID, **given)


def test_scores_that_are_all_nan_are_refused():
    with pytest.raises(ValueError, match=r"NaN.*PointAnnotations.*error_score='raise'"):
        draw(searched([{"sigma": 1}, {"sigma": 2}], [np.nan, np.nan]))


@pytest.mark.parametrize(
    "estimator", [GridSearchCV(Ridge(), {"alpha": [1]}), DummyRegressor().fit([[0]], [1])]
)
def test_a_search_that_is_not_fitted_is_refused(estimator):
    with pytest.raises(NotFittedError, match=rf"cv_results_.*{type(estimator).__name__}"):
        draw(estimator)


def test_no_two_lines_look_alike_and_neighbours_differ_without_colour_too():
    styles = [series_style(index) for index in range(28)]
    assert len({tuple(style.items()) for style in styles}) == 28
    for here, there in pairwise(styles):
        assert here["marker"] != there["marker"]
        assert here["linestyle"] != there["linestyle"]
