from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcount.density import _windows
from skcount.density._windows import add_products, spread

law = settings(max_examples=100, deadline=None)


def windows(seed, n_points, length, size):
    """Windows anywhere on an axis and beyond both of its ends."""
    rng = np.random.default_rng(seed)
    first = rng.integers(-2 * length, size + 2 * length, n_points)
    return first[:, None] + np.arange(length), rng.random((n_points, length))


def plain(pixels, weights, size):
    out = np.zeros((len(pixels), size))
    for row, (places, values) in enumerate(zip(pixels, weights, strict=True)):
        for place, value in zip(places, values, strict=True):
            if 0 <= place < size:
                out[row, place] = value
    return out


@law
@given(st.integers(0, 99), st.integers(0, 5), st.integers(1, 9), st.integers(1, 12))
def test_spreading_lays_each_window_where_it_belongs(seed, n_points, length, size):
    pixels, weights = windows(seed, n_points, length, size)
    np.testing.assert_array_equal(spread(pixels, weights, size), plain(pixels, weights, size))


@pytest.mark.parametrize("way", ["PRODUCT", "SCATTER", "STAMP"])
@law
@given(
    st.integers(0, 99),
    st.integers(0, 9),
    st.tuples(*[st.integers(1, 9)] * 2),
    st.tuples(*[st.integers(1, 30)] * 2),
    st.integers(1, 200),
)
def test_every_way_adds_up_the_products(way, seed, n_points, lengths, shape, band):
    rows, cols = (windows(seed + i, n_points, lengths[i], shape[i]) for i in (0, 1))
    expected = plain(*rows, shape[0]).T @ plain(*cols, shape[1])
    out = np.full(shape, np.nan, np.float32)
    with patch.multiple(_windows, **{way: -1e12, "BAND": band, "CHUNK": 4 * band}):
        assert add_products(rows, cols, shape, out) is out
        density = add_products(rows, cols, shape)
    assert density.dtype == np.float32
    np.testing.assert_allclose(density, expected, rtol=1e-6)
    np.testing.assert_array_equal(out, density)
