"""Laws of the public face, for whatever hypothesis thinks of: they hold, or an error has words."""

import re
import warnings
from functools import cache
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skcount import DensityMapTransformer, ImageSet, PointAnnotations, UNetRegressor, metrics

# What hypothesis thinks of is unlike what the regressors were trained on.
pytestmark = pytest.mark.filterwarnings("ignore::skcount.OutOfDistributionWarning")

# Signs that a message says what was expected, or what to do.
REMEDY = r"(?i)\b(expected?|expecting|must|pass|remove|fill|needs|read|required|requires|check|use)\b"

SIDES = st.integers(1, 12)
DTYPES = [np.uint8, np.int8, np.uint16, np.int64, np.float16, np.float32, np.float64, np.dtype(">f4"), bool]


def law(quick, slow, **strategies):
    """Make two tests of a function: one for every day, and a slow one that looks further."""

    def make(test):
        @pytest.mark.parametrize("n_examples", [quick, pytest.param(slow, marks=pytest.mark.slow)])
        def body(n_examples):
            checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
            # Every day the same examples: a new finding belongs to whoever looks further, not to whoever changes a line.
            options = {"suppress_health_check": checks, "derandomize": n_examples == quick}
            settings(max_examples=n_examples, deadline=None, **options)(given(**strategies)(test))()

        return body

    return make


@cache
def fitted(n_channels):
    X = np.random.default_rng(0).random((4, 12, 16, n_channels))
    points = [[(3, 4)], [], [(5, 6), (8, 9)], [(1, 1)]]
    return UNetRegressor(filters=2, max_epochs=2, random_state=0).fit(X, points)


def images(dtype, shape):
    """One image of any pixels that are finite."""
    dtype = np.dtype(dtype)
    elements = {"min_value": -2, "max_value": 2, "width": 8 * dtype.itemsize} if dtype.kind == "f" else None
    return hnp.arrays(dtype, shape, elements=elements and st.floats(**elements), fill=st.nothing())


@st.composite
def collections(draw, max_size=4):
    """Images of one type and number of channels, of many sizes."""
    dtype, n_channels = draw(st.sampled_from(DTYPES)), draw(st.integers(1, 3))
    sizes = draw(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=max_size))
    return [draw(images(dtype, (*size, n_channels))) for size in sizes], n_channels


@st.composite
def scenes(draw):
    """Sizes of images; points in, on the border of and beside them; a region and a scale for each."""
    shapes = draw(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=3))
    coordinate = st.floats(-3, 15) | st.sampled_from([-0.5, 0.5, 11.5]) | st.integers(-2, 12)
    points = [draw(st.lists(st.tuples(coordinate, coordinate), max_size=6)) for _ in shapes]
    roi = [draw(hnp.arrays(bool, shape).filter(np.any)) for shape in shapes]
    scales = [draw(hnp.arrays(np.float64, shape, elements=st.floats(0.25, 4))) for shape in shapes]
    return shapes, points, draw(st.none() | st.just(roi)), draw(st.none() | st.just(scales))


def junk():
    """What nobody should pass: numbers, texts and arrays of any kind, nested at random."""
    numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers()
    arrays = hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    leaves = numbers | st.just(10**400) | st.text(max_size=3) | st.binary(max_size=3) | arrays

    def nest(inner):
        tables = st.dictionaries(st.text(max_size=2), inner, max_size=2)
        return st.lists(inner, max_size=4) | st.tuples(inner, inner) | tables

    return st.recursive(leaves, nest, max_leaves=8)


def taken_or_refused(function, *args, **kwargs):
    """Return what comes, or None where an error says what was expected."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of points outside
            return function(*args, **kwargs)
    except (ValueError, TypeError, MemoryError) as error:
        if not re.search(REMEDY, str(error)):
            raise AssertionError(f"It does not say what to do: {error}") from error
        return None


@law(20, 300, drawn=collections())
def test_a_count_is_finite_never_negative_and_the_sum_of_its_map(drawn):
    X, n_channels = drawn
    counts, maps = fitted(n_channels).predict(X), fitted(n_channels).predict_density(X)
    assert np.isfinite(counts).all()
    assert (counts >= 0).all()
    assert [density.shape for density in maps] == [x.shape[:2] for x in X]
    assert all((density >= 0).all() for density in maps)
    np.testing.assert_allclose(counts, [np.sum(density, dtype=np.float64) for density in maps], rtol=1e-5)


@law(12, 200, drawn=collections(), data=st.data())
def test_no_image_depends_on_the_others_nor_on_what_holds_them(drawn, data):
    X, n_channels = drawn
    regressor = fitted(n_channels)
    counts = regressor.predict(X)
    order = data.draw(st.permutations(range(len(X))))
    np.testing.assert_array_equal(regressor.predict([X[i] for i in order]), counts[list(order)])
    np.testing.assert_array_equal(regressor.predict(ImageSet(X))[::-1], regressor.predict(ImageSet(X)[::-1]))
    np.testing.assert_array_equal([regressor.predict([x]).item() for x in X], counts)
    held = [np.asfortranarray(x) for x in X]
    np.testing.assert_array_equal(regressor.predict(tuple(held)), counts)


@law(12, 200, drawn=collections(), data=st.data())
def test_with_a_region_only_what_is_inside_is_counted_and_pointed_at(drawn, data):
    X, n_channels = drawn
    regressor = fitted(n_channels)
    roi = [data.draw(hnp.arrays(bool, x.shape[:2]).filter(np.any)) for x in X]
    maps = regressor.predict_density(X, roi=roi)
    assert not any(density[~mask].any() for density, mask in zip(maps, roi, strict=True))
    counts = [np.sum(density, dtype=np.float64) for density in maps]
    np.testing.assert_allclose(regressor.predict(X, roi=roi), counts, rtol=1e-5, atol=1e-9)
    points = regressor.predict_points(X, roi=roi)
    assert (points.counts == points.inside([x.shape[:2] for x in X], roi).counts).all()
    assert (np.abs(points.counts - counts) <= 0.5 + 1e-4).all()


KERNELS = {"kernel": st.sampled_from(["gaussian", "adaptive"]), "sigma": st.floats(0.01, 50)}
KERNELS |= {"n_neighbors": st.integers(1, 4), "beta": st.floats(0.01, 3)}


@law(40, 1000, scene=scenes(), params=st.fixed_dictionaries(KERNELS))
def test_maps_of_many_sizes_hold_the_points_inside_their_image_and_region(scene, params):
    shapes, points, roi, scales = scene
    transformer = DensityMapTransformer(**params, outside="ignore")
    inside = PointAnnotations(points).inside(shapes, roi)
    maps = transformer.transform(points, image_shape=shapes, roi=roi, perspective=scales)
    np.testing.assert_allclose([m.sum(dtype=np.float64) for m in maps], inside.counts, atol=1e-4)
    back = transformer.inverse_transform(maps, roi=roi, perspective=scales)
    np.testing.assert_array_equal(back.counts, inside.counts)
    np.testing.assert_array_equal(back.inside(shapes, roi).counts, inside.counts)


@law(40, 600, scene=scenes(), level=st.integers(4, 10**6), data=st.data())
def test_game_of_cells_that_are_no_larger_than_pixels_compares_the_maps_pixel_by_pixel(scene, level, data):
    shapes = scene[0]
    true, predicted = (
        [data.draw(hnp.arrays(np.float64, s, elements=st.floats(0, 2))) for s in shapes] for _ in range(2)
    )
    if any(min(shape) < 5 for shape in shapes):
        return  # so narrow a map may be taken for points
    errors = [np.abs(p - t).sum() for t, p in zip(true, predicted, strict=True)]
    found = metrics.grid_average_mean_absolute_error(true, predicted, level)
    np.testing.assert_allclose(found, np.mean(errors), atol=1e-9)


CHOICES = {
    "sigma": [0.1, 2, 40.0, 0, -1],
    "loss": ["multiscale", "mse", "bayesian", "dm_count", "mea"],
    "batch_size": [-1, 1, 3, 0],
    "patch_size": ["auto", 1, 5, 64, 0],
    "augment": ["rotations", "mirror+jitter", None, "flip"],
    "normalization": ["batch", None],
    "precision": ["float32", "bf16-mixed", "float64", "float16"],
    "validation_fraction": [None, 0.5, 1],
    "tile_size": [None, 256, 8],
}
PARAMS = st.fixed_dictionaries({}, optional={name: st.sampled_from(some) for name, some in CHOICES.items()})


@law(15, 200, drawn=collections(max_size=3), data=st.data(), params=PARAMS)
def test_any_fit_counts_or_is_refused_by_words_and_leaves_nothing(drawn, data, params):
    X = drawn[0]
    coordinate = st.floats(-2, 14)
    kinds = {
        "points": st.lists(st.tuples(coordinate, coordinate), max_size=4),
        "counts": st.floats(0, 9) | st.just(-1.0) | st.just(np.nan),
    }
    entry = kinds[data.draw(st.sampled_from(sorted(kinds)))]
    y = data.draw(st.lists(entry, min_size=len(X), max_size=len(X)))
    regressor = UNetRegressor(**{"filters": 2, "max_epochs": 1, "random_state": 0, **params})
    if taken_or_refused(regressor.fit, X, y) is None:
        assert not [name for name in vars(regressor) if name.startswith("_") or name.endswith("_")]
        return
    counts = regressor.predict(X)
    assert np.isfinite(counts).all()
    assert (counts >= 0).all()
    true = [len(PointAnnotations([e])[0]) if isinstance(e, list) else e for e in y]
    expected = -np.mean(np.abs(counts - true))
    np.testing.assert_allclose(regressor.score(X, true), expected, rtol=1e-6)


@law(100, 1000, value=junk())
def test_whatever_stands_for_points_is_taken_or_refused_by_words(value):
    points = taken_or_refused(PointAnnotations, value)
    if points is not None:
        assert np.isfinite(points.coordinates).all()
        assert PointAnnotations.from_flat(points.coordinates, points.lengths) == points
        assert PointAnnotations(list(points)) == points


@law(50, 1000, value=junk())
def test_whatever_stands_for_images_is_taken_or_refused_by_words(value):
    counts = taken_or_refused(fitted(1).predict, value)
    assert counts is None or len(counts) == len(value)
    taken_or_refused(ImageSet, value)


@law(50, 1000, value=junk())
def test_whatever_stands_for_a_target_is_taken_or_refused_by_words(value):
    X = np.ones((2, 4, 5))
    for estimator_score in (fitted(1).score, lambda X, y: metrics.count_mae_scorer(fitted(1), X, y)):
        found = taken_or_refused(estimator_score, X, value)
        assert found is None or found <= 0


@law(50, 1000, value=junk())
def test_whatever_belongs_to_images_is_taken_or_refused_by_words(value):
    X = np.ones((2, 4, 5))
    if value is not None:
        for name in ("roi", "perspective"):
            taken_or_refused(ImageSet, X, **{name: value})
            taken_or_refused(fitted(1).predict_points, X, **{name: value})
        taken_or_refused(ImageSet, X, groups=value)
        taken_or_refused(metrics.count_bias, [1, 2], [3, 4], sample_weight=value)


@law(50, 1000, value=junk())
def test_whatever_stands_for_sizes_maps_and_truths_is_taken_or_refused_by_words(value):
    points = [[(1, 2)], []]
    with patch("skcount._memory.free_memory", return_value=1e8):  # of any machine
        taken_or_refused(DensityMapTransformer().transform, points, image_shape=value)
    taken_or_refused(PointAnnotations(points).inside, value)
    taken_or_refused(DensityMapTransformer().inverse_transform, value)
    taken_or_refused(PointAnnotations.from_mask, value)
    taken_or_refused(PointAnnotations.from_flat, [(1, 2)], value)
    taken_or_refused(metrics.count_mean_absolute_error, value, [1, 2])
    taken_or_refused(metrics.grid_average_mean_absolute_error, value, points, 1, image_shape=(4, 5))
    taken_or_refused(metrics.grid_average_mean_absolute_error, points, points, 1, image_shape=value)
