import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skcount.density._adaptive import neighbor_sigma


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(1, 5))
def test_it_is_the_mean_of_the_smallest_distances(seed, n_points, n_neighbors):
    points = np.random.default_rng(seed).uniform(0, 50, (n_points, 2))
    distances = np.sort(np.hypot(*(points[:, None] - points).transpose(2, 0, 1)), axis=1)[
        :, 1 : n_neighbors + 1
    ]
    expected = 0.3 * distances.mean(axis=1) if n_points > 1 else np.full(n_points, 7.0)
    np.testing.assert_allclose(neighbor_sigma(points, n_neighbors, 0.3, 7.0), expected)


def test_points_on_one_place_have_no_distance():
    np.testing.assert_array_equal(neighbor_sigma(np.ones((3, 2)), 2, 0.3, 7.0), [0, 0, 0])
