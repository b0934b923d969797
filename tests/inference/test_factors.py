"""The factor at which objects have the size that a network knows."""

import pytest

from skcount.inference import nearest_factor
from skcount.inference._factors import _follow


@pytest.mark.parametrize(
    ("ratio", "factor"),
    [
        (0.1, 0.25),
        (0.34, 0.25),
        (0.36, 0.5),
        (0.7, 0.5),
        (0.72, 1),
        (1.4, 1),
        (1.42, 2),
        (2.4, 2),
        (2.5, 3),
        (9.3, 9),
        (1e3, 1000),
    ],
)
def test_the_nearest_factor_by_ratio(ratio, factor):
    assert nearest_factor(ratio) == factor
    assert type(nearest_factor(ratio)) is (int if factor >= 1 else float)


@pytest.mark.parametrize("start", [1, 2, 4])
def test_following_ends_where_the_diameter_is_known(start):
    # Objects of three times the known diameter; what is found looks smaller than they are where they are too large.
    assert _follow(lambda factor: (1, 1, min(3 / factor, 2)), start) == 3


def test_following_ends_in_a_circle_with_the_better_of_its_factors():
    seen = {1: 1.6, 2: 0.6}
    assert _follow(lambda factor: (1, 1, seen[factor]), 1) == 1


def test_nothing_is_followed_from_nothing():
    assert _follow(lambda factor: (0, 0, None), 1) is None
