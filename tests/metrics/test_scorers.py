import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate

from skcount import ImageSet, PointAnnotations
from skcount.density import gaussian_density
from skcount.metrics import (
    GAMEScorer,
    count_mae_scorer,
    count_mean_absolute_error,
    count_nae_scorer,
    count_normalized_absolute_error,
    count_rmse_scorer,
    count_root_mean_squared_error,
    grid_average_mean_absolute_error,
)

SHAPE = (16, 20)
LEFT = np.repeat([[True] * 9 + [False] * 11], 16, axis=0)
SCORERS = {
    count_mae_scorer: count_mean_absolute_error,
    count_rmse_scorer: count_root_mean_squared_error,
    count_nae_scorer: count_normalized_absolute_error,
}
every_scorer = pytest.mark.parametrize(("scorer", "measure"), SCORERS.items(), ids=["mae", "rmse", "nae"])


class Shifted(RegressorMixin, BaseEstimator):
    """Know all points from X, whose pixels are their density, and see them `shift` columns to the right."""

    def __init__(self, shift=0):
        self.shift = shift

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict_density(self, X):
        return np.roll(np.asarray(X), self.shift, axis=2)

    def predict(self, X):
        return self.predict_density(X).sum(axis=(1, 2)) * (1 + self.shift)


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    return PointAnnotations([rng.integers(0, [16, 4], (n, 2)) for n in (1, 3, 2, 4, 1, 5)])


@pytest.fixture
def images(points):
    return np.stack([gaussian_density(p, SHAPE, 0.1) for p in points])


@every_scorer
def test_a_score_is_minus_the_error(scorer, measure, images, points):
    for model in (DummyRegressor().fit(images, points), Shifted(1).fit(images, points)):
        error = measure(points, model.predict(images))
        assert error > 0
        assert scorer(model, images, points) == -error
        assert scorer(model, images, list(points)) == -error
        assert scorer(model, images, points.counts) == -error


@every_scorer
def test_one_array_of_maps_scores_like_a_list_of_them(scorer, measure, images, points):
    model = Shifted(1).fit(images, points)
    assert scorer(model, images, images) == scorer(model, images, list(images)) < 0


@every_scorer
def test_a_score_knows_sample_weights(scorer, measure, images, points):
    model = DummyRegressor().fit(images, points)
    weight = np.arange(1.0, 7)
    expected = -measure(points, model.predict(images), sample_weight=weight)
    assert scorer(model, images, points, sample_weight=weight) == expected
    assert expected != scorer(model, images, points)


@every_scorer
@pytest.mark.parametrize("kind", [PointAnnotations, list])
def test_cross_validation_scores_points_of_either_kind(scorer, measure, kind, images, points):
    scores = cross_val_score(Shifted(1), images, kind(points), scoring=scorer, cv=3, error_score="raise")
    expected = [-measure(points[i : i + 2], Shifted(1).predict(images[i : i + 2])) for i in (0, 2, 4)]
    np.testing.assert_allclose(scores, expected)


@pytest.mark.parametrize("scorer", [*SCORERS, GAMEScorer(1)], ids=["mae", "rmse", "nae", "game"])
def test_a_search_prefers_the_smaller_error(scorer, images, points):
    search = GridSearchCV(Shifted(), {"shift": [10, 0, 12]}, scoring=scorer, cv=2, error_score="raise")
    assert search.fit(images, points).best_params_ == {"shift": 0}
    assert search.best_score_ == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("level", [0, 1, 3])
def test_the_game_scorer_is_minus_game(level, images, points):
    model, weight = Shifted(10), np.arange(1.0, 7)
    maps = model.predict_density(images)
    expected = grid_average_mean_absolute_error(points, maps, level)
    assert GAMEScorer(level)(model, images, points) == -expected
    assert GAMEScorer(level)(model, images, list(points)) == -expected
    weighted = grid_average_mean_absolute_error(points, maps, level, sample_weight=weight)
    assert GAMEScorer(level)(model, images, points, sample_weight=weight) == -weighted


def test_the_game_scorer_sees_what_the_count_does_not(images, points):
    assert GAMEScorer(0)(Shifted(10), images, points) == pytest.approx(0, abs=1e-5)
    assert GAMEScorer(1)(Shifted(10), images, points) == pytest.approx(-2 * points.counts.mean(), rel=1e-4)


def test_the_game_scorer_takes_maps_of_many_sizes_one_after_the_other(points):
    class Lists(Shifted):
        def predict_density(self, X):
            return iter(X)

    images = [gaussian_density(p, (16, 20 + i), 0.1) for i, p in enumerate(points)]
    assert GAMEScorer(2)(Lists(), images, points) == pytest.approx(0, abs=1e-5)


def test_scorers_go_through_pickle_and_several_at_once(images, points):
    scoring = {"mae": count_mae_scorer, "game": GAMEScorer(2)}
    scoring = pickle.loads(pickle.dumps(scoring))
    results = cross_validate(Shifted(2), images, points, scoring=scoring, cv=2, error_score="raise")
    assert (results["test_game"] <= 0).all()
    assert (results["test_mae"] < 0).all()
    assert repr(GAMEScorer(3)) == "GAMEScorer(level=3)"
    assert repr(count_mae_scorer) == "CountScorer(count_mean_absolute_error)"


# regions of interest


class Masked(Shifted):
    """Count inside a region that is passed or that X has, as our regressors do."""

    def predict_density(self, X, roi=None):
        roi = getattr(X, "roi", None) if roi is None else roi
        density = super().predict_density(X)
        return density if roi is None else density * roi

    def predict(self, X, roi=None):
        return self.predict_density(X, roi).sum(axis=(1, 2))


@pytest.mark.parametrize("kind", [PointAnnotations, list, "maps"])
@pytest.mark.parametrize("scorer", [count_mae_scorer, count_rmse_scorer, GAMEScorer(2)], ids=str)
def test_what_lies_outside_the_region_counts_on_neither_side(scorer, kind, images, points):
    beside = PointAnnotations([np.concatenate([p, [(5, 15), (6, 16)]]) for p in points])
    crowded = np.stack([gaussian_density(p, SHAPE, 0.1) for p in beside])
    y = crowded if kind == "maps" else kind(beside)
    with_roi = ImageSet(crowded, roi=LEFT)
    assert scorer(Masked(), with_roi, y) == pytest.approx(0, abs=1e-5)
    assert scorer(Masked(), crowded, y, roi=LEFT) == pytest.approx(0, abs=1e-5)
    assert scorer(Shifted(), with_roi, y) < -1.4
    assert cross_val_score(Masked(), with_roi, y, scoring=scorer, cv=3) == pytest.approx([0] * 3, abs=1e-5)


def test_counts_are_taken_as_those_of_the_region(images, points):
    assert count_mae_scorer(Masked(), ImageSet(images, roi=LEFT), points.counts) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("scorer", [count_mae_scorer, GAMEScorer(1)], ids=["mae", "game"])
def test_a_region_can_be_routed_to_a_scorer(scorer, images, points):
    beside = PointAnnotations([np.concatenate([p, [(5, 15)]]) for p in points])
    with config_context(enable_metadata_routing=True):
        scoring, params = clone(scorer).set_score_request(roi=True), {"roi": np.stack([LEFT] * len(images))}
        scores = cross_val_score(Masked(), images, beside, scoring=scoring, params=params, cv=2)
    assert scores == pytest.approx([0, 0], abs=1e-5)
