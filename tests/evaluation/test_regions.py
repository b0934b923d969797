import json
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError

from skcount import DensityMapRegressor
from skcount.datasets import make_cells
from skcount.evaluation import ConformalCounter, count_regions
from skcount.metrics import grid_average_mean_absolute_error as game

law = settings(max_examples=50, deadline=None)


class Identity(RegressorMixin, BaseEstimator):
    """Predicts the images themselves as density maps, times a factor that `fit` learns."""

    def __init__(self, learn=False):
        self.learn = learn

    def fit(self, X, y=None):
        found = np.sum([np.sum(image) for image in X])
        self.factor_ = np.sum(y) / found if self.learn else 1.0
        return self

    def predict_density(self, X):
        return [self.factor_ * np.asarray(image) for image in X]

    def predict(self, X):
        return np.array([density.sum() for density in self.predict_density(X)])


IDENTITY = Identity().fit([])
shapes = st.tuples(st.integers(1, 30), st.integers(1, 30))


def noise(n=3, shape=(20, 30), seed=0):
    return np.random.default_rng(seed).uniform(size=(n, *shape))


def counts_of(mask, image):
    return image[np.asarray(mask, dtype=bool)].sum()


def rectangle(top, left, bottom, right):
    return np.array([(top, left), (top, right), (bottom, right), (bottom, left)], dtype=float)


def mask_of(polygon, shape):
    """The pixels of one polygon, told from images that have one object in one pixel each."""
    each = np.eye(shape[0] * shape[1]).reshape(-1, *shape)
    return count_regions(IDENTITY, each, {"a": polygon})["count"].reshape(shape).astype(bool)


# A partition adds up.


@pytest.fixture(scope="module")
def trained():
    X, points = make_cells(n_samples=4, image_shape=(40, 48), random_state=0, return_X_y=True)
    return DensityMapRegressor(max_epochs=1, random_state=0).fit(X, points), X


@pytest.mark.parametrize(
    "regions",
    [
        (1, 1),
        (3, 5),
        (40, 48),
        1 + np.arange(40 * 48).reshape(40, 48) % 7,
        np.ones((40, 48), dtype=bool),
        {"left": rectangle(-9, -9, 99, 20.3), "right": rectangle(-9, 20.3, 99, 99)},
        {
            "ring": [rectangle(-1, -1, 40, 48), rectangle(10, 10, 20, 20)],
            "hole": rectangle(10, 10, 20, 20),
        },
    ],
    ids=["image", "grid", "pixels", "labels", "mask", "polygons", "hole"],
)
def test_the_counts_of_a_partition_add_up_to_the_count_of_the_image(trained, regions):
    regressor, X = trained
    table = count_regions(regressor, X, regions)
    assert_allclose(
        np.bincount(table["image"], weights=table["count"]), regressor.predict(X), rtol=1e-6, atol=1e-6
    )
    assert_array_equal(np.bincount(table["image"], weights=table["area"]), np.full(4, 40 * 48))


@law
@given(shapes, st.data())
def test_cells_of_a_grid_are_rectangles_of_about_the_same_size(shape, data):
    rows, cols = (data.draw(st.integers(1, side)) for side in shape)
    image = noise(1, shape)
    table = count_regions(IDENTITY, image, (rows, cols))
    assert table["region"].tolist() == list(range(1, rows * cols + 1))
    assert table["count"].sum() == pytest.approx(image.sum())
    sides = [(side // n, -(-side // n)) for side, n in zip(shape, (rows, cols), strict=True)]
    assert table["area"].min() >= sides[0][0] * sides[1][0]
    assert table["area"].max() <= sides[0][1] * sides[1][1]


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_cells_of_a_grid_are_those_of_the_grid_average_mean_absolute_error(level):
    true, predicted = noise(2, (21, 30), 0), noise(2, (21, 30), 1)
    one, two = (count_regions(IDENTITY, maps, (2**level, 2**level))["count"] for maps in (true, predicted))
    assert np.abs(one - two).sum() / 2 == pytest.approx(game(true, predicted, level))


def test_a_grid_is_numbered_row_by_row():
    image = np.zeros((1, 4, 6))
    image[0, 0, 5], image[0, 3, 0] = 2, 5
    assert count_regions(IDENTITY, image, (2, 3))["count"].tolist() == [0, 0, 2, 5, 0, 0]


@law
@given(shapes, st.integers(0, 2**31))
def test_regions_of_labels_are_the_pixels_with_their_number(shape, seed):
    image = noise(1, shape, seed)
    labels = np.random.default_rng(seed).integers(0, 5, size=shape)
    table = count_regions(IDENTITY, image, labels)
    assert table["region"].tolist() == sorted(set(labels.ravel()) - {0})
    for number, count, area in zip(table["region"], table["count"], table["area"], strict=True):
        assert count == pytest.approx(counts_of(labels == number, image[0]))
        assert area == np.count_nonzero(labels == number)
    mask = count_regions(IDENTITY, image, labels > 2)
    assert mask["count"].sum() == pytest.approx(counts_of(labels > 2, image[0]))


def test_each_image_can_have_its_own_regions_and_its_own_size():
    images = [noise(1, shape)[0] for shape in ((8, 8), (5, 12))]
    labels = [np.ones((8, 8), dtype=int), np.full((5, 12), 7)]
    table = count_regions(IDENTITY, images, labels)
    assert (table["image"].tolist(), table["region"].tolist()) == ([0, 1], [1, 7])
    assert_allclose(table["count"], [image.sum() for image in images])
    named = [{"a": rectangle(-1, -1, 9, 9)}, {"b": rectangle(0, 0, 2, 2), "c": rectangle(2, 2, 4, 4)}]
    table = count_regions(IDENTITY, images, named)
    assert (table["image"].tolist(), table["region"].tolist()) == ([0, 1, 1], ["a", "b", "c"])
    assert_allclose(table["count"], [images[0].sum(), images[1][:2, :2].sum(), images[1][2:4, 2:4].sum()])
    assert_array_equal(count_regions(IDENTITY, noise(2), np.ones((2, 20, 30), int))["image"], [0, 1])


# Polygons.


@law
@given(
    st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([0, 0.25, 0.5]),
)
def test_a_pixel_belongs_to_a_rectangle_if_its_centre_does(box, shift):
    top, left, height, width = box
    found = mask_of(rectangle(top, left, top + height, left + width) + shift, (10, 10))
    rows, cols = np.mgrid[:10, :10]
    top, left = ceil(top + shift), ceil(left + shift)
    expected = (rows >= top) & (rows < top + height) & (cols >= left) & (cols < left + width)
    assert_array_equal(found, expected)


def test_a_triangle_holds_the_centres_below_its_edges():
    found = mask_of([(-0.5, -0.5), (9.5, -0.5), (9.5, 9.5)], (10, 10))
    rows, cols = np.mgrid[:10, :10]
    assert_array_equal(found[rows != cols], (rows > cols)[rows != cols])


whole = st.tuples(st.integers(0, 12), st.integers(0, 12))
tenths = st.tuples(*[st.integers(0, 120).map(lambda value: value / 10)] * 2)


@pytest.mark.parametrize("corners", [whole, tenths], ids=["whole", "tenths"])
def test_a_pixel_on_a_shared_edge_belongs_to_one_of_the_two(corners):
    @settings(max_examples=200, deadline=None)
    @given(corners, st.sampled_from(["down", "across"]))
    def check(corner, way):
        # A rectangle around the image is cut along a line through two points, first and last of the shared edge.
        first, last = ((-0.5, corner[0]), (12.5, corner[1])) if way == "down" else ((0, 0.1), corner)
        one = np.array([first, last, (13, -20)])
        other = np.array([last, first, (-1, 33)])
        # By the even-odd rule, the two outlines together hold the pixels that one of them holds, and not both.
        table = count_regions(IDENTITY, image, {"one": one, "other": other, "either": [one, other]})
        assert table["area"][0] + table["area"][1] == table["area"][2]

    image = noise(1, (13, 13))
    check()


@law
@given(st.lists(tenths, min_size=1, max_size=1), st.permutations(range(4)), st.booleans())
def test_polygons_around_a_common_corner_are_a_partition(centres, order, backwards):
    frame = [(-1.3, -1.7), (-1.1, 13.3), (13.9, 13.1), (13.7, -1.9)]
    image = noise(1, (13, 13))
    parts = {}
    for number in order:
        ring = [centres[0], frame[number], frame[(number + 1) % 4]]
        parts[str(number)] = ring[::-1] if backwards and number % 2 else ring
    table = count_regions(IDENTITY, image, parts)
    assert table["area"].sum() == 13 * 13
    assert table["count"].sum() == pytest.approx(image.sum(), rel=1e-6)


@law
@given(st.lists(tenths, min_size=3, max_size=7), st.integers(0, 6))
def test_direction_first_corner_and_a_closed_outline_do_not_matter(ring, first):
    image = noise(1, (13, 13))
    first %= len(ring)
    turned = ring[first:] + ring[:first]
    forms = {"as is": ring, "turned": turned, "closed": [*ring, ring[0]], "backwards": ring[::-1]}
    found = count_regions(IDENTITY, image, forms)
    assert_allclose(found["count"], np.full(4, found["count"][0]))
    assert len(set(found["area"])) == 1


def test_holes_are_left_out_and_islands_are_added():
    image = noise(1, (20, 20))
    outer, hole, island = (
        rectangle(0, 0, 20, 20),
        rectangle(5, 5, 15, 15),
        rectangle(8, 8, 10, 10),
    )
    table = count_regions(IDENTITY, image, {"ring": [outer, hole], "target": [outer, hole, island]})
    assert table["area"].tolist() == [300, 304]
    ring = image.sum() - image[0, 5:15, 5:15].sum()
    assert_allclose(table["count"], [ring, ring + image[0, 8:10, 8:10].sum()])


def test_a_polygon_outside_of_the_image_holds_nothing():
    table = count_regions(
        IDENTITY, noise(1), {"far": rectangle(50, 50, 60, 60), "thin": rectangle(3.2, 3.2, 3.4, 9)}
    )
    assert (table["count"].tolist(), table["area"].tolist()) == ([0, 0], [0, 0])
    assert np.isnan(table["density"]).all()


def test_a_file_of_polygons(tmp_path):
    path = tmp_path / "regions.geojson"
    square = {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 2], [0, 2], [0, 0]]]}
    path.write_text(json.dumps({"type": "Feature", "geometry": square, "properties": {"name": "tumor"}}))
    image = noise(1)
    for given_path in (path, str(path)):
        table = count_regions(IDENTITY, image, given_path)
        assert (table["region"].tolist(), table["area"].tolist()) == (["tumor"], [8])
        assert_allclose(table["count"], [image[0, :2, :4].sum()])


# Areas.


@pytest.mark.parametrize(("pixel_size", "area"), [(None, 1), (0.5, 0.25), ((2, 3), 6)])
def test_areas_are_in_units_of_length(pixel_size, area):
    image = noise(1)
    table = count_regions(IDENTITY, image, (2, 3), pixel_size=pixel_size)
    assert_allclose(table["area"], np.full(6, 100 * area))
    assert_allclose(table["density"], table["count"] / table["area"])
    assert list(table) == ["image", "region", "count", "area", "density"]


@pytest.mark.parametrize("pixel_size", [0, -1, (1, 0), np.nan, np.inf, (1, 2, 3)])
def test_a_wrong_pixel_size_is_refused(pixel_size):
    with pytest.raises(ValueError, match="`pixel_size` must be positive"):
        count_regions(IDENTITY, noise(1), (2, 2), pixel_size=pixel_size)


# Intervals.


def calibrated(n=60, common=0.0, seed=0, shape=(32, 32), **params):
    """A counter of images with independent errors, and errors that all pixels of an image have in common."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(0, 0.2, size=(n, *shape))
    factor = np.exp(common * rng.normal(size=(n, 1, 1)))
    truth = rng.poisson(images * factor)
    counter = ConformalCounter(Identity().fit(images), cv="prefit", **params).fit(images, truth.astype(float))
    return counter, images, truth


def whole_interval(count, factor):
    half = factor * np.sqrt(count + 1)
    return max(0, ceil(count - half)), floor(count + half)


def test_the_interval_of_the_whole_image_is_the_one_of_the_counter():
    for common in (0, 1):
        counter, images, _ = calibrated(common=common)
        table = count_regions(counter, images, (1, 1), coverage=0.8)
        expected = counter.predict_interval(images, coverage=0.8)
        assert_array_equal(np.column_stack([table["low"], table["high"]]), expected)


def test_intervals_follow_from_those_of_images_if_errors_are_independent():
    counter, images, truth = calibrated(400)
    assert abs(counter.within_correlation_) <= 0.05
    scores = np.abs(truth.sum(axis=(1, 2)) - images.sum(axis=(1, 2))) / np.sqrt(images.sum(axis=(1, 2)) + 1)
    factor = np.sort(scores)[ceil(0.9 * 401) - 1]
    table = count_regions(counter, images[:3], (2, 4), coverage=0.9)
    expected = [whole_interval(count, factor) for count in table["count"]]
    assert_array_equal(np.column_stack([table["low"], table["high"]]), expected)


def test_intervals_follow_from_regions_if_errors_are_common():
    counter, images, _ = calibrated(common=1)
    assert counter.within_correlation_ > 0.3
    by_image, by_region = (
        count_regions(counter, images[:3], grid, coverage=0.9) for grid in ((1, 1), (4, 4))
    )

    def factor(table):
        """Half the width, in square roots of the count."""
        half = (table["high"] - table["low"]) / 2
        return np.median(half / np.sqrt(table["count"] + 1))

    # A factor that all pixels share makes errors that grow like the count, not like its square root.
    assert factor(by_region) < 0.6 * factor(by_image)


@pytest.mark.parametrize("common", [0.0, 0.7])
@pytest.mark.parametrize("grid", [(1, 1), (2, 2), (4, 4)])
def test_intervals_of_regions_hold_about_as_often_as_they_say(common, grid):
    held = []
    for seed in range(8):
        counter, _, _ = calibrated(100, common, seed)
        _, images, truth = calibrated(60, common, seed + 1000)
        table = count_regions(counter, images, grid, coverage=0.9)
        true = count_regions(IDENTITY, truth, grid)["count"]
        held.append(np.mean((table["low"] <= true) & (true <= table["high"])))
    assert 0.86 < np.mean(held) < 0.97


def test_intervals_of_polygons_and_of_a_grid_of_the_same_regions_agree():
    for common in (0, 1):
        counter, images, _ = calibrated(common=common)
        halves = {"top": rectangle(-0.5, -0.5, 15.5, 31.5), "bottom": rectangle(15.5, -0.5, 31.5, 31.5)}
        one, two = (count_regions(counter, images[:5], each, coverage=0.9) for each in (halves, (2, 1)))
        for name in ("count", "low", "high", "area"):
            assert_allclose(one[name], two[name])


def test_ends_are_whole_numbers_and_not_negative_even_if_maps_are():
    counter, images, _ = calibrated()
    table = count_regions(counter, images[:3] - 0.1, (4, 4), coverage=0.9)
    assert table["low"].dtype.kind == table["high"].dtype.kind == "i"
    assert table["low"].min() >= 0
    assert (table["low"] <= table["high"]).all()
    assert list(table) == ["image", "region", "count", "low", "high", "area", "density"]


@pytest.mark.parametrize("common", [0.0, 1.0])
def test_calibration_maps_may_be_negative(common):
    rng = np.random.default_rng(0)
    images = rng.uniform(-0.2, 0.2, size=(40, 32, 32)) - 0.01
    truth = rng.poisson(0.01 * np.exp(common * rng.normal(size=(40, 1, 1))), size=images.shape)
    counter = ConformalCounter(Identity().fit(images), cv="prefit").fit(images, truth.astype(float))
    assert np.isfinite(counter.within_correlation_)
    table = count_regions(counter, images, (2, 2), coverage=0.9)
    true = count_regions(IDENTITY, truth, (2, 2))["count"]
    assert np.mean((table["low"] <= true) & (true <= table["high"])) > 0.8


def test_points_outside_the_image_do_not_disturb():
    images = noise(12, (16, 16))
    points = [np.array([[1.0, 1.0], [40.0, 3.0], [-5.0, 2.0], [15.4, 15.4]])] * 12
    counter = ConformalCounter(Identity().fit(images), cv="prefit").fit(images, points)
    assert count_regions(counter, images, (2, 2), coverage=0.9).n_rows == 48


def test_without_a_coverage_a_counter_counts_like_its_regressor():
    counter, images, _ = calibrated()
    one, two = (count_regions(each, images, (2, 2)) for each in (counter, counter.regressors_[0]))
    assert list(one) == list(two)
    assert_array_equal(one["count"], two["count"])


def test_the_counts_of_a_counter_with_folds_add_up_to_its_prediction():
    images = noise(30, (16, 16))
    y = np.random.default_rng(0).poisson(images.sum(axis=(1, 2)))
    counter = ConformalCounter(Identity(learn=True), cv=3).fit(images, y)
    table = count_regions(counter, images, (2, 2))
    assert_allclose(np.bincount(table["image"], weights=table["count"]), counter.predict(images))


# What is refused.


def test_intervals_without_calibration_are_refused():
    with pytest.raises(ValueError, match="Intervals need calibration images"):
        count_regions(IDENTITY, noise(1), (2, 2), coverage=0.9)


def test_counters_that_cannot_give_intervals_of_regions_are_refused():
    images = noise(40)
    y = images.sum(axis=(1, 2))
    crossed = ConformalCounter(Identity(), cv=3).fit(images, images)
    named = ConformalCounter(IDENTITY, cv="prefit").fit(images, images, categories=["a"] * 40)
    for counter in (crossed, named):
        with pytest.raises(ValueError, match='cv=None or "prefit" and without categories'):
            count_regions(counter, images, (2, 2), coverage=0.9)
    counts = ConformalCounter(IDENTITY, cv="prefit").fit(images, y)
    with pytest.raises(ValueError, match="need points or density maps as `y`"):
        count_regions(counts, images, (2, 2), coverage=0.9)
    with pytest.raises(ValueError, match="takes at least 99 calibration images"):
        count_regions(calibrated()[0], noise(1, (32, 32)), (2, 2), coverage=0.99)
    with pytest.raises(ValueError, match="`coverage` must be a number between 0 and 1"):
        count_regions(calibrated()[0], noise(1, (32, 32)), (2, 2), coverage=90)


@pytest.mark.parametrize("coverage", [None, 0.9])
def test_a_counter_that_is_not_fitted_is_refused(coverage):
    with pytest.raises(NotFittedError):
        count_regions(ConformalCounter(IDENTITY), noise(1), (2, 2), coverage=coverage)


def test_a_regressor_without_maps_is_refused():
    with pytest.raises(ValueError, match="must predict density maps; DummyRegressor has no predict_density"):
        count_regions(DummyRegressor(), noise(1), (2, 2))
    with pytest.raises(ValueError, match="'estimator' parameter"):
        count_regions("regressor", noise(1), (2, 2))


@pytest.mark.parametrize(
    ("regions", "match"),
    [
        (
            np.ones((20, 29), int),
            r"image 0 must be whole numbers or bool, of shape \(20, 30\); got int64 .*29",
        ),
        (np.ones((20, 30)), r"image 0 must be whole numbers or bool, .*; got float64"),
        (np.full((20, 30), -1), "image 0 must not be negative; 0 is outside"),
        (np.ones((2, 20, 30), int), "one array per image, 3; got 2"),
        ([np.ones((20, 30), int)] * 2 + [np.ones((30, 20), int)], r"image 2 must .*\(30, 20\)"),
        ([{"a": rectangle(0, 0, 5, 5)}] * 2, "one dict per image, 3; got 2"),
        ([], "one array per image, 3; got 0"),
        ((0, 2), "`regions` must be a whole number of pixels, >= 1"),
    ],
)
def test_regions_that_do_not_fit_the_images_are_refused(regions, match):
    with pytest.raises(ValueError, match=match):
        count_regions(IDENTITY, noise(3), regions)


@pytest.mark.parametrize(
    "polygon",
    [
        np.ones((2, 2)),
        np.ones((4, 3)),
        np.array([(0, 0), (0, 5), (np.nan, 5)]),
        [rectangle(0, 0, 5, 5), np.ones((2, 2))],
        [1, 2, 3],
        np.empty((0, 2)),
        [],
    ],
)
def test_wrong_polygons_are_refused_by_name(polygon):
    with pytest.raises(ValueError, match="The polygon 'tumor' must have at least three finite corners"):
        count_regions(IDENTITY, noise(1), {"tumor": polygon})
