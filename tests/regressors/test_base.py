import copy
import re
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from skcount import DensityMapRegressor, DensityMapTransformer, FCRNRegressor, ImageSet, UNetRegressor
from skcount._doc_link import DOCUMENTATION
from skcount.metrics import count_mae_scorer
from skcount.regressors import _searches

small = partial(UNetRegressor, filters=4, depth=2, max_epochs=2, random_state=0)
REGRESSORS = [
    DensityMapRegressor(architecture_params={"filters": 4}, max_epochs=2, random_state=0),
    DensityMapRegressor("fcrn_b", max_epochs=1, random_state=0),
    small(normalization=None, precision="float64"),
    FCRNRegressor(max_epochs=1, random_state=0),
]


# --- counts, maps and points --------------------------------------------------------------------------------------


@pytest.mark.parametrize("regressor", REGRESSORS, ids=str)
def test_a_count_is_the_sum_of_its_density_map(regressor, noise):
    X, points = noise
    regressor = clone(regressor).fit(X, points)
    density, counts = regressor.predict_density(X), regressor.predict(X)
    assert density.shape == X.shape[:3]
    assert density.dtype == (np.float64 if regressor.precision == "float64" else np.float32)
    assert counts.shape == (len(X),)
    assert counts.dtype == np.float64
    assert (density >= 0).all()
    np.testing.assert_allclose(counts, density.sum(axis=(1, 2), dtype=np.float64), rtol=1e-12)
    for one, other in zip(regressor.iter_density(X), density, strict=True):
        np.testing.assert_array_equal(one, other)


def test_images_of_many_sizes_and_their_maps(noise):
    X, points = noise
    images = [X[0], X[1][:9, :1], X[2][:1, :1], X[3][::2], X[4][:, :21], X[5]]
    points = points.inside([image.shape[:2] for image in images])
    maps = DensityMapTransformer().transform(points, [image.shape[:2] for image in images])
    wide = [0, 3, 4, 5]  # a list with maps of less than five columns is one of points
    small().fit([images[i] for i in wide], [maps[i] for i in wide])
    for y in (points, points.counts):
        regressor = small().fit(images, y)
        densities = regressor.predict_density(images)
        assert [d.shape for d in densities] == [image.shape[:2] for image in images]
        assert regressor.predict(images[1:2]) == densities[1].sum(dtype=np.float64)


# --- regions of interest --------------------------------------------------------------------------------------------

TOP = np.arange(17)[:, None] + np.zeros(22) < 9


def test_predictions_look_only_inside_the_region(noise):
    X, points = noise
    regressor = small().fit(X, points)
    inside = regressor.predict_density(X, roi=TOP)
    assert inside.any()
    assert not inside[:, ~TOP].any()
    counts = inside.sum(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(regressor.predict(X, roi=TOP), counts, rtol=1e-12)
    np.testing.assert_allclose(regressor.predict(X, roi=[TOP] * 6), counts, rtol=1e-12)
    np.testing.assert_allclose(regressor.predict(ImageSet(X, roi=TOP)), counts, rtol=1e-12)
    places = regressor.predict_points(X, roi=TOP, perspective=np.full(TOP.shape, 0.7))
    assert places == places.inside(X.shape[1:3], TOP)
    assert places.counts.tolist() == np.round(counts).tolist()


def test_a_score_counts_only_what_is_inside_the_region(noise):
    X, points = noise
    regressor = small().fit(X, points)
    inside = points.inside((17, 22), TOP)
    expected = -np.abs(inside.counts - regressor.predict(X, roi=TOP)).mean()
    assert regressor.score(X, points, roi=TOP) == pytest.approx(expected)
    assert regressor.score(X, inside.counts, roi=TOP) == pytest.approx(expected)
    stored = ImageSet(X, roi=TOP)
    assert regressor.score(stored, points) == pytest.approx(expected)
    assert count_mae_scorer(regressor, stored, points) == pytest.approx(expected)
    maps = DensityMapTransformer().transform(points, (17, 22), roi=TOP)
    assert regressor.score(X, maps, roi=TOP) == pytest.approx(expected, rel=1e-5)


# --- test-time augmentation -----------------------------------------------------------------------------------------


def test_the_mean_over_the_symmetries_is_predicted_if_asked_for(cells):
    X, points = cells
    regressor = small().fit(X, points)
    symmetries = [(k, flip) for k in range(4) for flip in (1, -1)]
    counts = [regressor.predict(np.rot90(X[:, :, ::flip], k, (1, 2))) for k, flip in symmetries]
    plain, averaged = regressor.predict(X), regressor.predict(X, test_time_augmentation=True)
    np.testing.assert_allclose(averaged, np.mean(counts, axis=0), rtol=1e-5)
    assert np.abs(averaged - plain).max() > 1e-3
    maps = regressor.predict_density(X, test_time_augmentation=True)
    rotated = regressor.predict_density(np.rot90(X, axes=(1, 2)), test_time_augmentation=True)
    np.testing.assert_allclose(np.rot90(maps, axes=(1, 2)), rotated, atol=1e-6)
    one_by_one = list(regressor.iter_density(X, test_time_augmentation=True))
    np.testing.assert_array_equal(one_by_one, maps)
    places = regressor.predict_points(X, test_time_augmentation=True)
    np.testing.assert_array_equal(places.counts, np.round(averaged))


@pytest.mark.parametrize("augment", ["mirror", "mirror+jitter"])
def test_only_the_symmetries_of_the_training_are_averaged_over(augment, cells):
    X, points = cells
    regressor = small(augment=augment).fit(X, points)
    counts = [regressor.predict(X), regressor.predict(X[:, :, ::-1])]
    averaged = regressor.predict(X, test_time_augmentation=True)
    np.testing.assert_allclose(averaged, np.mean(counts, axis=0), rtol=1e-5)


@pytest.mark.parametrize("augment", [None, "jitter", lambda image, points, rng: (image, points)])
def test_without_symmetries_there_is_nothing_to_average_over(augment, noise):
    X, points = noise
    regressor = small(augment=augment).fit(X, points)
    with pytest.raises(ValueError, match=f"`test_time_augmentation`.*`augment`.*{re.escape(repr(augment))}"):
        regressor.predict(X, test_time_augmentation=True)


def test_the_columns_of_a_table_are_not_rotated():
    rng = np.random.default_rng(0)
    X = rng.random((20, 6)).astype(np.float32)
    regressor = small().fit(X, rng.integers(0, 5, 20))
    np.testing.assert_array_equal(regressor.predict(X), regressor.predict(X, test_time_augmentation=True))


# --- scores and scikit-learn ----------------------------------------------------------------------------------------


def test_score_is_minus_the_count_mae_against_any_target(noise):
    X, points = noise
    regressor = small().fit(X, points)
    mae = np.abs(regressor.predict(X) - points.counts).mean()
    for y in (points, list(points), points.counts, points.counts[:, None]):
        assert regressor.score(X, y) == pytest.approx(-mae)
    maps = DensityMapTransformer().transform(points, X.shape[1:3])
    for y in (maps, list(maps)):
        assert regressor.score(X, y) == pytest.approx(-mae, abs=1e-5)
    weights = np.arange(6)
    weighted = np.average(np.abs(regressor.predict(X) - points.counts), weights=weights)
    assert regressor.score(X, points, sample_weight=weights) == pytest.approx(-weighted)


def test_all_ways_to_score_agree(noise):
    X, points = noise
    regressor = small()
    own = cross_val_score(regressor, X, points, cv=3)
    assert np.isfinite(own).all()
    np.testing.assert_array_equal(
        own, cross_val_score(regressor, X, points, cv=3, scoring="neg_mean_absolute_error")
    )
    for scoring in (count_mae_scorer, None):
        scores = cross_val_score(regressor, X, list(points), cv=3, scoring=scoring)
        np.testing.assert_array_equal(own, scores)


def test_a_plain_list_of_points_is_warned_of_if_stock_scorers_might_fail_silently(noise):
    X, points = noise
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)  # a UserWarning about something else
        small().fit(X, list(points))  # nothing is scored, nothing to warn of
        cross_val_score(small(), X, points, scoring="r2", cv=3, error_score="raise")
    _searches.warn_of_list.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            clone(small()).fit(X, list(points))  # as in a search of another package
    messages = [str(w.message) for w in caught if "PointAnnotations(points)" in str(w.message)]
    assert len(messages) == 1


def test_regions_and_perspective_go_through_cross_validation_by_routing(noise):
    X, points = noise
    masks = np.stack([np.roll(TOP, i, axis=0) for i in range(6)])
    scales = np.stack([np.full((17, 22), 1 + i / 4) for i in range(6)])
    cv = KFold(3)
    with config_context(enable_metadata_routing=True):
        regressor = small().set_fit_request(roi=True, perspective=True)
        regressor.set_score_request(roi=True).set_predict_request(roi=True)
        params = {"roi": masks, "perspective": scales}
        by_routing = cross_validate(regressor, X, points, params=params, cv=cv, error_score="raise")
        pipeline = Pipeline([("same", FunctionTransformer()), ("count", regressor)]).fit(X, points, roi=masks)
        np.testing.assert_array_equal(
            pipeline.predict(X, roi=masks), small().fit(X, points, roi=masks).predict(X, roi=masks)
        )
    by_hand = [
        small().fit(X[a], points[a], roi=masks[a], perspective=scales[a]).score(X[b], points[b], roi=masks[b])
        for a, b in cv.split(X)
    ]
    stored = cross_val_score(small(), ImageSet(X, roi=masks, perspective=scales), points, cv=cv)
    np.testing.assert_array_equal(by_routing["test_score"], by_hand)
    np.testing.assert_array_equal(by_hand, stored)


def test_a_grid_search_in_workers_uses_the_side_data_of_an_image_set(noise):
    X, points = noise
    images = ImageSet(X, roi=TOP, perspective=np.full(TOP.shape, 1.5), groups=[0, 0, 1, 1, 2, 2])
    scores = [
        GridSearchCV(small(max_epochs=1), {"sigma": [2]}, cv=GroupKFold(3), n_jobs=n, refit=False)
        .fit(images, points, groups=images.groups)
        .cv_results_["mean_test_score"]
        for n in (1, 2)
    ]
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(*scores)


def test_the_picture_in_a_notebook_links_to_the_page_of_the_reference(noise):
    listed = (Path(__file__).parents[2] / "docs" / "api.rst").read_text().split()
    for estimator in (*REGRESSORS[:1], small(), FCRNRegressor(), DensityMapTransformer()):
        name = type(estimator).__name__
        assert name in listed  # so that the page is made
        assert f'href="{DOCUMENTATION}/api/skcount.{name}.html"' in estimator._repr_html_()
    assert "Not fitted" in small()._repr_html_()
    assert "Not fitted" not in copy.copy(small().fit(*noise))._repr_html_()
