import numpy as np
import pytest

from skcount import DensityMapTransformer, PointAnnotations
from skcount.training import CountTarget, MapTarget, PointTarget

SHAPES = [(12, 9), (20, 30), (7, 7)]
POINTS = PointAnnotations([[(1, 2), (3, 4)], [(10, 15)], []])
DENSITY = DensityMapTransformer(sigma=1.5)
MAPS = DENSITY.transform(POINTS, SHAPES)
TARGETS = {
    "points": PointTarget(POINTS, SHAPES, DENSITY),
    "maps": MapTarget(MAPS),
    "counts": CountTarget(POINTS.counts, SHAPES),
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_counts_are_those_of_the_points(target):
    np.testing.assert_allclose(target.counts, POINTS.counts, atol=1e-5)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_taking_keeps_images_in_the_given_order(target):
    np.testing.assert_allclose(target.take(np.array([2, 0])).counts, POINTS.counts[[2, 0]], atol=1e-5)


@pytest.mark.parametrize("target", [TARGETS["points"], TARGETS["maps"]], ids=["points", "maps"])
def test_a_crop_is_that_window_of_the_map(target):
    np.testing.assert_allclose(target.crop(1, (4, 6, 9, 11)), MAPS[1][4:13, 6:17], atol=1e-7)


def test_the_peak_of_points_is_the_height_of_one_object():
    assert TARGETS["points"].peak(np.ones(3)) == pytest.approx(MAPS[1].max())


def test_the_peak_of_counts_is_their_weighted_mean_density():
    assert TARGETS["counts"].peak(np.array([1, 0, 0])) == pytest.approx(2 / (12 * 9))
