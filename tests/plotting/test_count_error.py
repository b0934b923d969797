import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor

from skcount import ImageSet
from skcount.density import gaussian_density
from skcount.metrics import count_mae_scorer
from skcount.plotting import CountErrorDisplay
from skcount.plotting._count_error import limits_of_agreement

KINDS = ["actual_vs_predicted", "bland_altman"]
TRUE, PREDICTED = np.array([3.0, 0, 8, 5]), np.array([2.5, 1, 9, 7])


class SumOfPixels(RegressorMixin, BaseEstimator):
    """Counts the pixels' sum, inside the region if there is one."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X, roi=None):
        return np.array([np.sum(x, where=True if roi is None else roi) for x in X])


def drawn(display):
    return np.asarray(display.scatter_.get_offsets()).T


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_draws_one_dot_per_image_and_the_title_says_mae_rmse_and_bias(kind):
    display = CountErrorDisplay.from_predictions(TRUE, PREDICTED, kind=kind)
    places = {KINDS[0]: [PREDICTED, TRUE], KINDS[1]: [(TRUE + PREDICTED) / 2, PREDICTED - TRUE]}
    np.testing.assert_array_equal(drawn(display), places[kind])
    assert display.ax_.get_title() == "MAE 1.12  RMSE 1.25  bias +0.88"


@pytest.mark.parametrize(("scale", "words"), [(10, "MAE 11.2"), (10_000, "MAE 11250")])
def test_large_errors_are_written_with_fewer_decimals_and_no_bias_without_minus(scale, words):
    display = CountErrorDisplay.from_predictions(TRUE * scale, PREDICTED * scale)
    assert display.ax_.get_title().split("  ")[0] == words
    display = CountErrorDisplay.from_predictions([1, 2], [0.9999, 1.9999])
    assert display.ax_.get_title().endswith("bias +0.00")


def test_true_against_predicted_has_equal_axes_and_the_identity_from_corner_to_corner():
    display = CountErrorDisplay.from_predictions(TRUE, PREDICTED)
    assert display.ax_.get_xlim() == display.ax_.get_ylim()
    assert display.ax_.get_aspect() == 1
    x, y = display.lines_[0].get_data()
    np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(x, display.ax_.get_xlim())
    display.figure_.canvas.draw()
    np.testing.assert_array_equal(display.ax_.get_xticks(), display.ax_.get_yticks())


def test_the_limits_of_agreement_are_drawn_and_named():
    display = CountErrorDisplay.from_predictions(TRUE, PREDICTED, kind="bland_altman")
    difference = PREDICTED - TRUE
    spread = 1.96 * np.std(difference, ddof=1)
    expected = difference.mean() - spread, difference.mean(), difference.mean() + spread
    np.testing.assert_allclose(display.agreement_, expected)
    assert [line.get_ydata()[0] for line in display.lines_] == list(display.agreement_)
    names = {text.get_text() for text in display.ax_.texts}
    assert names == {"-1.96 SD\n-1.15", "mean\n+0.88", "+1.96 SD\n+2.90"}
    low, high = display.ax_.get_ylim()
    assert low < expected[0] < expected[2] < high


finite = st.floats(-1e6, 1e6)


@given(hnp.arrays(np.float64, st.integers(2, 20), elements=finite), finite)
def test_the_limits_move_with_the_bias_keep_their_distance_and_turn_about_with_the_methods(difference, shift):
    limits, moved = limits_of_agreement(difference), limits_of_agreement(difference + shift)
    np.testing.assert_allclose(np.subtract(moved, limits), shift, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(limits[2] - limits[1], limits[1] - limits[0], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(limits_of_agreement(-difference), np.negative(limits)[::-1], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("counts", [([4], [5]), ([4], [4]), ([0, 0], [0, 0]), ([1, 2], [2, 3])])
def test_a_single_image_and_equal_errors_are_drawn(kind, counts):
    display = CountErrorDisplay.from_predictions(*counts, kind=kind)
    display.figure_.canvas.draw()
    if kind == "bland_altman":
        assert [text.get_text().split("\n")[0] for text in display.ax_.texts] == ["mean"]


@pytest.mark.parametrize("form", ["points", "list", "counts", "maps"])
def test_targets_of_every_kind_become_the_same_counts(form, noise):
    X, points = noise
    maps = np.stack([gaussian_density(p, X.shape[1:3], 1.0) for p in points])
    y = {"points": points, "list": list(points), "counts": points.counts, "maps": maps}[form]
    dummy = DummyRegressor().fit(X[:, :, 0, 0], points)
    for display in (
        CountErrorDisplay.from_predictions(y, dummy.predict(X[:, :, 0, 0])),
        CountErrorDisplay.from_estimator(dummy, X, y),
    ):
        np.testing.assert_allclose(display.y_true, points.counts, rtol=1e-5)
        np.testing.assert_allclose(display.y_pred, points.counts.mean())


def test_from_estimator_shows_what_the_scorer_says(regressor, noise):
    X, points = noise
    display = CountErrorDisplay.from_estimator(regressor, X, points, kind="bland_altman")
    np.testing.assert_array_equal(display.y_pred, regressor.predict(X))
    assert np.abs(drawn(display)[1]).mean() == pytest.approx(-count_mae_scorer(regressor, X, points))


def test_only_what_is_inside_the_region_is_counted(noise):
    _, points = noise
    X = np.ones((6, 17, 22))
    roi = np.arange(22) + np.zeros((17, 1)) < 11
    inside = points.inside((17, 22), roi).counts
    assert (inside < points.counts).any()
    model = SumOfPixels().fit(X, points)
    passed = CountErrorDisplay.from_estimator(model, X, points, roi=roi)
    with_roi = CountErrorDisplay.from_estimator(model, ImageSet(X, roi=roi), points)
    np.testing.assert_array_equal([passed.y_true, with_roi.y_true], [inside] * 2)
    assert set(passed.y_pred) == {17 * 11}
