from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from skcount.density import _gaussian, gaussian_density
from skcount.density._gaussian import neighbor_sigma

law = settings(max_examples=50, deadline=None)
shapes = st.tuples(st.integers(1, 80), st.integers(1, 80))
sigmas = st.floats(-6, 6).map(lambda exponent: 10.0**exponent)
truncates = st.floats(1, 8)


def anywhere(size):
    """Positions along one axis: inside, on the border, between pixels, outside."""
    return st.one_of(
        st.integers(0, size - 1).map(float),
        st.integers(-8, 16 * size - 9).map(lambda k: k / 16),
        st.sampled_from(
            [-0.5, float(np.nextafter(size - 0.5, -1)), size - 0.5, float(np.nextafter(-0.5, -1))]
        ),
        st.floats(-2.0 * size - 10, 3.0 * size + 10),
    )


def within(size):
    """Positions inside, none of them on the border, whose reflection is exact in floating point."""
    return st.integers(-7, 16 * size - 9).map(lambda k: k / 16)


def scenes(position):
    """A shape and points of it, some of them twice."""

    def points_of(shape):
        one = st.lists(st.tuples(position(shape[0]), position(shape[1])), max_size=10)
        twice = st.tuples(one, st.booleans()).map(lambda drawn: drawn[0] * (1 + drawn[1]))
        return st.tuples(st.just(shape), twice.map(lambda p: np.array(p, dtype=np.float64).reshape(-1, 2)))

    return shapes.flatmap(points_of)


def assert_same_map(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-30)


def all_ways():
    """Accumulate in each way that there is, of the whole map at once and a few rows at a time."""
    for way in ("PRODUCT", "SCATTER", "STAMP"):
        for band in (10**9, 1, 60):
            with patch.multiple(_gaussian, **{way: -1e12, "BAND": band, "CHUNK": 4 * band}):
                yield


@law
@given(scenes(anywhere), sigmas, truncates)
def test_all_ways_agree_the_sum_is_the_number_of_points_inside_and_no_pixel_is_negative(
    scene, sigma, truncate
):
    shape, points = scene
    expected = pixels_inside(points, np.ones(shape, dtype=bool)).sum()
    maps = [gaussian_density(points, shape, sigma, truncate) for _ in all_ways()]
    assert len(maps) == 9
    for density in maps:
        assert abs(density.sum(dtype=np.float64) - expected) <= 1e-5 * expected
        assert (density.dtype, density.shape) == (np.float32, shape)
        assert np.isfinite(density).all()
        assert (density >= 0).all()
        assert_same_map(density, maps[0])


@law
@given(scenes(anywhere), sigmas, st.data())
def test_maps_add_up_in_any_order_of_their_points(scene, sigma, data):
    shape, points = scene
    order = data.draw(st.permutations(range(len(points))))
    cut = data.draw(st.integers(0, len(points)))
    parts = [gaussian_density(points[part], shape, sigma) for part in (order[:cut], order[cut:])]
    assert_same_map(gaussian_density(points, shape, sigma), parts[0] + parts[1])


@law
@given(scenes(within), sigmas, truncates)
def test_maps_commute_with_flips_and_transposition(scene, sigma, truncate):
    shape, points = scene
    density = gaussian_density(points, shape, sigma, truncate)
    last = np.array(shape) - 1.0
    upside_down = np.column_stack([last[0] - points[:, 0], points[:, 1]])
    mirrored = np.column_stack([points[:, 0], last[1] - points[:, 1]])
    assert_same_map(gaussian_density(upside_down, shape, sigma, truncate), density[::-1])
    assert_same_map(gaussian_density(mirrored, shape, sigma, truncate), density[:, ::-1])
    assert_same_map(gaussian_density(points[:, ::-1], shape[::-1], sigma, truncate), density.T)


@law
@given(st.integers(1, 4), st.tuples(st.integers(20, 40), st.integers(20, 40)))
def test_inside_the_image_the_kernel_is_the_gaussian_filter(sigma, centre):
    dot = np.zeros((61, 61))
    dot[centre] = 1
    expected = ndimage.gaussian_filter(dot, sigma, truncate=4, mode="constant")
    density = gaussian_density(np.array([centre], dtype=float), dot.shape, sigma, truncate=4.0)
    np.testing.assert_allclose(density, expected, rtol=1e-5, atol=1e-12)


@law
@given(st.floats(1, 4), st.tuples(st.floats(25, 35), st.floats(25, 35)))
def test_the_centre_of_mass_is_the_point_sub_pixel(sigma, point):
    density = gaussian_density(np.array([point]), (61, 61), sigma)
    assert np.abs(ndimage.center_of_mass(density) - np.array(point)).max() < 2e-3 * sigma


@pytest.mark.parametrize("sigma", [1e-300, 1e-6, 1e-2])
def test_a_tiny_kernel_puts_everything_on_the_nearest_pixel(sigma):
    density = gaussian_density(np.array([[2.3, 3.6]]), (6, 6), sigma)
    assert density[2, 4] == 1
    assert density.sum() == 1


def test_a_point_between_two_pixels_is_shared_equally():
    density = gaussian_density(np.array([[2.0, 2.5]]), (5, 6), sigma=1e-6)
    np.testing.assert_array_equal(density[2], [0, 0, 0.5, 0.5, 0, 0])


def test_a_huge_kernel_is_flat():
    density = gaussian_density(np.array([[0.0, 0.0]]), (7, 11), sigma=1e6)
    np.testing.assert_allclose(density, 1 / 77, rtol=1e-6)


def test_the_kernel_ends_where_truncate_says():
    density = gaussian_density(np.array([[20.0, 20.0]]), (41, 41), sigma=2.0, truncate=3.0)
    rows, cols = np.nonzero(density)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (14, 26, 14, 26)


# --- regions of interest and perspective --------------------------------------------------------------------------


@st.composite
def regions(draw):
    """A scene, a mask of its size with a pixel inside, and a perspective map."""
    shape, points = draw(scenes(anywhere).filter(lambda scene: max(scene[0]) <= 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    roi = rng.random(shape) < draw(st.sampled_from([0.02, 0.5, 0.95]))
    roi[tuple(rng.integers(0, shape))] = True
    perspective = np.exp(rng.uniform(-2, 2, shape)) if draw(st.booleans()) else None
    return shape, points, roi, perspective


def pixels_inside(points, roi):
    """Whether the pixel of each point is inside, in plain words."""
    height, width = roi.shape
    return np.array(
        [
            -0.5 <= row < height - 0.5
            and -0.5 <= col < width - 0.5
            and roi[min(int(np.floor(row + 0.5)), height - 1), min(int(np.floor(col + 0.5)), width - 1)]
            for row, col in points
        ],
        dtype=bool,
    )


@law
@given(regions(), sigmas, truncates)
def test_each_point_inside_the_region_adds_exactly_one_inside_it(scene, sigma, truncate):
    shape, points, roi, perspective = scene
    inside = pixels_inside(points, roi)
    for _ in all_ways():
        density = gaussian_density(points, shape, sigma, truncate, roi=roi, perspective=perspective)
        assert not density[~roi].any()
        assert (density >= 0).all()
        np.testing.assert_allclose(density.sum(dtype=np.float64), inside.sum(), rtol=1e-5)
        alone = gaussian_density(points[inside], shape, sigma, truncate, roi=roi, perspective=perspective)
        np.testing.assert_array_equal(density, alone)


@law
@given(regions(), sigmas, truncates, st.data())
def test_a_window_is_that_crop_of_the_full_map(scene, sigma, truncate, data):
    shape, points, roi, perspective = scene
    maps = {"roi": data.draw(st.sampled_from([None, roi])), "perspective": perspective}
    (top, bottom), (left, right) = (
        sorted(data.draw(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)))) for size in shape
    )
    window = (top, left, bottom - top + 1, right - left + 1)
    full = gaussian_density(points, shape, sigma, truncate, **maps)
    for _ in all_ways():
        part = gaussian_density(points, shape, sigma, truncate, window, **maps)
        assert_same_map(part, full[top : bottom + 1, left : right + 1])


@law
@given(scenes(anywhere), sigmas)
def test_a_region_of_everything_and_a_scale_of_one_change_nothing(scene, sigma):
    shape, points = scene
    everything = {"roi": np.ones(shape, dtype=bool), "perspective": np.ones(shape)}
    assert_same_map(
        gaussian_density(points, shape, sigma, **everything), gaussian_density(points, shape, sigma)
    )


@law
@given(st.floats(0.5, 3), st.floats(0.25, 4), st.tuples(st.floats(-0.5, 39.49), st.floats(-0.5, 46.49)))
def test_the_kernel_grows_with_the_scale_at_its_point(sigma, scale, point):
    perspective = np.full((40, 47), 77.0)
    perspective[tuple(np.floor(np.array(point) + 0.5).astype(int))] = scale
    density = gaussian_density(np.array([point]), (40, 47), sigma, perspective=perspective)
    assert_same_map(density, gaussian_density(np.array([point]), (40, 47), sigma * scale))


def test_beside_the_border_of_a_region_the_kernel_is_cut_and_not_moved():
    roi = np.zeros((41, 41), dtype=bool)
    roi[:, :21] = True
    whole = gaussian_density(np.array([[20.0, 20.0]]), (41, 41), 3.0).astype(np.float64)
    cut = gaussian_density(np.array([[20.0, 20.0]]), (41, 41), 3.0, roi=roi)
    np.testing.assert_allclose(cut, np.where(roi, whole, 0) / whole[roi].sum(), rtol=1e-5)


# --- adaptive kernels ---


@law
@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(1, 5))
def test_it_is_the_mean_of_the_smallest_distances(seed, n_points, n_neighbors):
    points = np.random.default_rng(seed).uniform(0, 50, (n_points, 2))
    distances = np.sort(np.hypot(*(points[:, None] - points).transpose(2, 0, 1)), axis=1)[
        :, 1 : n_neighbors + 1
    ]
    expected = 0.3 * distances.mean(axis=1) if n_points > 1 else np.full(n_points, 7.0)
    np.testing.assert_allclose(neighbor_sigma(points, n_neighbors, 0.3, 7.0), expected)

    np.testing.assert_array_equal(neighbor_sigma(np.ones((3, 2)), 2, 0.3, 7.0), [0, 0, 0])
