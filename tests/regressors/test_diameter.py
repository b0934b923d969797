"""The working size: objects of any diameter, regions and pixels without data."""

from functools import partial

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skcount import DensityMapRegressor, DensityMapTransformer, ImageSet, PointAnnotations, UNetRegressor

small = partial(UNetRegressor, filters=4, depth=1, max_epochs=2, random_state=0)


@pytest.mark.parametrize(
    ("diameter", "reduction", "sigma"),
    [(4, 0.5, 1.5), (6, 1, 3), (30, 1, 4.5), (47.9, 1, 7.185), (48, 2, 7.2), (110, 4, 16.5)],
)
def test_the_working_size_and_sigma_follow_from_the_diameter(diameter, reduction, sigma, noise):
    regressor = small(diameter=diameter, max_epochs=1).fit(*noise)
    assert (regressor.diameter_, regressor.reduction_) == (diameter, reduction)
    assert regressor.density_.sigma == pytest.approx(sigma)
    assert small(diameter=diameter, sigma=2, max_epochs=1).fit(*noise).density_.sigma == 2


@pytest.mark.parametrize("diameter", [5, 20, 50, 75])
@pytest.mark.parametrize("with_roi", [False, True])
def test_maps_have_the_size_of_the_images_and_add_up_to_the_counts(diameter, with_roi, noise):
    X, points = noise
    roi = np.hypot(*np.mgrid[-8:9, -11:11]) < 8 if with_roi else None
    regressor = small(diameter=diameter).fit(X, points)
    images = ImageSet(X, roi=roi)
    maps, counts = regressor.predict_density(images), regressor.predict(images)
    assert maps.shape == X.shape[:3]
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), counts, rtol=1e-6, atol=1e-6)
    if with_roi:
        assert not maps[:, ~roi].any()
    placed = regressor.predict_points(images)
    assert placed.lengths.tolist() == np.rint(counts).astype(int).tolist()
    assert placed.inside(images).lengths.tolist() == placed.lengths.tolist()


@pytest.mark.parametrize("diameter", [5, 50])
@pytest.mark.parametrize("augment", ["rotations", None])
def test_tiles_form_the_map_of_the_whole_image(diameter, augment):
    rng = np.random.default_rng(0)
    X, points = rng.random((2, 171, 130)), [rng.uniform(0, 129, (9, 2))] * 2
    regressor = small(diameter=diameter, augment=augment).fit(X, points)
    whole = regressor.predict_density(X, test_time_augmentation=augment is not None)
    tiled = regressor.set_params(tile_size=100)
    assert tiled.predict(X) == pytest.approx(regressor.predict(X), rel=1e-5)
    np.testing.assert_allclose(
        tiled.predict_density(X, test_time_augmentation=augment is not None), whole, atol=1e-6
    )


def test_images_that_are_reduced_by_hand_give_the_same_counts():
    rng = np.random.default_rng(0)
    X, points = rng.random((4, 40, 60)), PointAnnotations([rng.uniform(0, 39, (5, 2)) for _ in range(4)])
    halved = X.reshape(4, 20, 2, 30, 2).mean(axis=(2, 4))
    moved = PointAnnotations([(p - 0.5) / 2 for p in points])
    given = small(diameter=50, sigma=4).fit(X, points)
    by_hand = small(diameter=25, sigma=2).fit(halved, moved)
    np.testing.assert_allclose(given.predict(X), by_hand.predict(halved), rtol=1e-3)


@pytest.mark.parametrize("y", ["points", "maps", "counts"])
def test_every_kind_of_target_is_learnt_at_the_working_size(y, noise):
    X, points = noise
    target = {
        "points": points,
        "maps": DensityMapTransformer(sigma=2).transform(points, X.shape[1:3]),
        "counts": points.counts,
    }[y]
    assert np.isfinite(small(diameter=50).fit(X, target).predict(X)).all()


def test_the_diameter_is_learnt_from_dots_and_pixels(cells):
    X, points = cells
    learnt = small(max_epochs=1).fit(X, points)
    assert 6 < learnt.diameter_ < 25
    large = X.repeat(6, axis=1).repeat(6, axis=2)
    reduced = small(max_epochs=1).fit(large, [p * 6 + 2.5 for p in points])
    assert reduced.diameter_ == pytest.approx(6 * learnt.diameter_, rel=0.3)
    assert reduced.reduction_ > 1


def test_what_is_assumed_without_dots_is_said(noise, capsys):
    X, points = noise
    assert small(max_epochs=1, verbose=1).fit(X, points.counts).diameter_ == 12
    assert "Diameter of an object: 12 pixels (assumed" in capsys.readouterr().err


def test_a_fit_that_goes_on_keeps_the_diameter(cells):
    X, points = cells
    regressor = small(warm_start=True, max_epochs=1).fit(X, points)
    diameter = regressor.diameter_
    assert regressor.fit(X[:2], points[:2]).partial_fit(X[2:3], points[2:3]).diameter_ == diameter


def test_a_search_over_diameter_sigma_and_architecture_works(noise):
    X, points = noise
    grid = {"diameter": ["auto", 50], "sigma": [None, 2], "architecture": ["unet", "fcrn_a"]}
    regressor = DensityMapRegressor(max_epochs=1, random_state=0)
    search = GridSearchCV(regressor, grid, cv=2).fit(X, points)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("diameter", [12, 50])
@pytest.mark.parametrize("outside", [0.0, np.nan, np.inf])
def test_pixels_outside_the_region_have_no_effect(diameter, outside, noise):
    X, points = noise
    roi = np.arange(22) < np.full((17, 1), 15)
    clean = ImageSet((X / 255.0).astype(np.float32), roi=roi)
    points = points.inside(clean)
    filled = np.where(roi[..., None], X / 255.0, outside).astype(np.float32)
    expected = small(diameter=diameter).fit(clean, points).predict(clean)
    found = small(diameter=diameter).fit(ImageSet(filled, roi=roi), points).predict(ImageSet(filled, roi=roi))
    np.testing.assert_array_equal(found, expected)
    nodata = np.where(roi[..., None], X / 255.0, -9999).astype(np.float32)
    images = ImageSet(nodata, nodata=-9999)
    np.testing.assert_array_equal(small(diameter=diameter).fit(images, points).predict(images), expected)


def test_counts_that_hardly_vary_are_warned_of(cells):
    X, points = cells
    # Pictures that are all alike cannot explain counts that differ.
    alike = np.repeat(X[:1], 4, axis=0)
    subsets = [points[0][: len(points[0]) * k // 4] for k in (1, 2, 3, 4)]
    with pytest.warns(ConvergenceWarning, match="hardly vary"):
        small(filters=8, diameter=12, max_epochs=80, augment=None).fit(alike, subsets)
