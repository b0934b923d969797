import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from skcount.density import find_points, gaussian_density
from skcount.points import in_region

law = settings(max_examples=50, deadline=None)
small_shapes = st.tuples(st.integers(1, 12), st.integers(1, 12))


def largest_error(found, points):
    """Distance between the points and what was found, along the worse axis, of the best matching."""
    assert len(found) == len(points)
    distances = np.abs(found[:, None] - points[None]).max(axis=2)
    return distances[linear_sum_assignment(distances)].max(initial=0)


def assert_inside(points, shape):
    assert points.shape[1:] == (2,)
    assert (points >= -0.5).all()
    assert (points < np.array(shape) - 0.5).all()


@pytest.mark.parametrize("sigma", [0.1, 2.0, 1e6])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (7, 9)])
@pytest.mark.parametrize("value", [0.0, 0.01, 1.0, 3.0, -1.0])
def test_a_plateau_gives_as_many_points_as_its_rounded_sum(value, shape, sigma):
    found = find_points(np.full(shape, value), sigma)
    assert len(found) == max(0, round(value * shape[0] * shape[1]))
    assert_inside(found, shape)

    if shape == (1, 1):
        np.testing.assert_array_equal(found, np.zeros_like(found))  # its centre


@law
@given(st.floats(0.5, 6), st.tuples(st.floats(-0.5, 39.49), st.floats(-0.5, 46.49)))
def test_a_lone_point_comes_back_within_a_tenth_of_a_pixel_at_the_border_too(sigma, point):
    found = find_points(gaussian_density(np.array([point]), (40, 47), sigma), sigma)
    assert largest_error(found, np.array([point])) < 0.1


@law
@given(st.floats(1e-6, 0.5), st.tuples(st.floats(-0.5, 9.49), st.floats(-0.5, 9.49)))
def test_a_point_narrower_than_a_pixel_comes_back_within_half_a_pixel(sigma, point):
    found = find_points(gaussian_density(np.array([point]), (10, 10), sigma), sigma)
    assert largest_error(found, np.array([point])) <= 0.5


@law
@given(st.floats(0.7, 2.5), st.integers(0, 2**32 - 1))
def test_well_separated_points_come_back_within_half_a_pixel(sigma, seed):
    rng = np.random.default_rng(seed)
    step = 7 * sigma
    shape = (60, 71)
    grid = np.stack(np.meshgrid(*(np.arange(-0.5, size - 0.5 - sigma, step) for size in shape)), axis=-1)
    points = grid.reshape(-1, 2) + rng.uniform(0, sigma, (grid.size // 2, 2))
    found = find_points(gaussian_density(points, shape, sigma), sigma)
    assert largest_error(found, points) < 0.5


@law
@given(st.integers(1, 5), st.floats(0.7, 3), st.tuples(st.floats(-0.5, 29.49), st.floats(-0.5, 24.49)))
def test_objects_on_one_place_all_come_back(copies, sigma, point):
    points = np.array([point] * copies)
    found = find_points(gaussian_density(points, (30, 25), sigma), sigma)
    assert largest_error(found, points) < 0.5


@law
@given(st.integers(0, 2**32 - 1))
def test_points_commute_with_transposition(seed):
    rng = np.random.default_rng(seed)
    points = np.array([[6, 8], [6, 30], [25, 9], [24, 31]]) + rng.uniform(-4, 4, (4, 2))
    density = gaussian_density(points, (33, 41), 2.0)
    found = find_points(density, 2.0)
    transposed = find_points(density.T, 2.0)[:, ::-1]
    np.testing.assert_allclose(transposed, found[np.lexsort(found.T)], atol=1e-3)


def test_points_come_sorted_by_row():
    points = np.array([[30.0, 5.0], [2.0, 20.0], [15.0, 35.0]])
    found = find_points(gaussian_density(points, (40, 40), 2.0), 2.0)
    np.testing.assert_allclose(found, points[[1, 2, 0]], atol=0.05)


def test_the_map_is_left_as_it_is():
    density = gaussian_density(np.array([[3.0, 4.0], [9.0, 9.0]]), (12, 12), 1.0).astype(np.float64)
    before = density.copy()
    find_points(density, 1.0)
    np.testing.assert_array_equal(density, before)


@law
@given(st.floats(0.3, 0.9), st.integers(0, 2**32 - 1))
def test_faint_objects_are_placed_where_they_are(height, seed):
    """A map that finds too little everywhere, as an under-trained network does, keeps its highest places."""
    rng = np.random.default_rng(seed)
    points = np.array([[8, 8], [8, 30], [25, 8], [25, 30]]) + rng.uniform(-3, 3, (4, 2))
    density = height * gaussian_density(points, (34, 39), 2.0).astype(np.float64)
    found = find_points(density, 2.0)
    assert len(found) == round(density.sum())
    assert (np.abs(found[:, None] - points[None]).max(axis=2).min(axis=1) < 0.5).all()


# --- regions of interest and perspective --------------------------------------------------------------------------


@law
@given(
    arrays(np.float32, small_shapes, elements=st.floats(-1, 1.5, width=32)),
    st.floats(-3, 4).map(lambda exponent: 10.0**exponent),
    st.floats(1, 6),
    st.integers(0, 2**32 - 1),
    st.sampled_from([(), ("roi",), ("perspective",), ("roi", "perspective")]),
)
def test_any_map_gives_its_rounded_sum_of_points_and_all_inside(density, sigma, truncate, seed, given_maps):
    rng = np.random.default_rng(seed)
    roi = (rng.random(density.shape) < 0.6) | ("roi" not in given_maps)
    roi[tuple(rng.integers(0, density.shape))] = True
    maps = {"roi": roi, "perspective": np.exp(rng.uniform(-2, 2, density.shape))}
    found = find_points(density, sigma, truncate, **{name: maps[name] for name in given_maps})
    assert len(found) == max(0, round(density[roi].sum(dtype=np.float64)))
    assert_inside(found, density.shape)
    assert in_region(found, density.shape, roi).all()


@law
@given(st.integers(0, 2**32 - 1))
def test_points_beside_the_border_of_a_region_come_back(seed):
    rng = np.random.default_rng(seed)
    roi = np.arange(50)[:, None] + np.arange(60) < 55
    points = rng.uniform(0, (49, 59), (40, 2))
    points = points[in_region(points, roi.shape, roi)]
    apart = [p for i, p in enumerate(points) if (np.abs(points[:i] - p).max(axis=1) > 12).all()]
    points = np.array(apart)
    found = find_points(gaussian_density(points, roi.shape, 1.5, roi=roi), 1.5, roi=roi)
    assert largest_error(found, points) < 1.5


@law
@given(st.integers(0, 2**32 - 1))
def test_small_objects_far_away_and_large_ones_near_come_back(seed):
    rng = np.random.default_rng(seed)
    perspective = np.repeat(np.linspace(0.3, 1.2, 160)[:, None], 120, axis=1)
    centres = np.array(
        [(5, 10), (7, 30), (8, 60), (30, 20), (32, 90), (75, 30), (80, 90), (140, 40), (137, 100)]
    )
    points = centres + rng.uniform(-3, 3, centres.shape)
    density = gaussian_density(points, perspective.shape, 6.0, perspective=perspective)
    found = find_points(density, 6.0, perspective=perspective)
    assert largest_error(found, points) < 0.75


def test_a_scale_of_one_changes_nothing():
    density = gaussian_density(np.array([[3.0, 4.0], [9.3, 9.1], [9.3, 9.1]]), (12, 14), 1.3)
    everything = {"roi": np.ones((12, 14), dtype=bool), "perspective": np.ones((12, 14))}
    np.testing.assert_allclose(find_points(density, 1.3, **everything), find_points(density, 1.3), atol=1e-6)
