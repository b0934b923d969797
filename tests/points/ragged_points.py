"""Points of several images, as hypothesis draws them, and what it means that annotations hold them."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skcount import PointAnnotations

law = settings(max_examples=50, deadline=None)
point_arrays = arrays(np.float64, st.tuples(st.integers(0, 5), st.just(2)), elements=st.floats(-1e6, 1e6))
ragged = st.lists(point_arrays, max_size=7)


def same(points, expected):
    """Return whether these are annotations with exactly these arrays."""
    return (
        isinstance(points, PointAnnotations)
        and len(points) == len(expected)
        and all(np.array_equal(a, b) for a, b in zip(points, expected, strict=True))
    )
