import numpy as np
import pytest

from skcount import DensityMapTransformer, PointAnnotations
from skcount.images import check_images
from skcount.training import CountTarget, MapTarget, PointTarget

SHAPES = [(12, 9), (20, 30), (7, 7)]
POINTS = PointAnnotations([[(1, 2), (3, 4)], [(10, 15)], []])
DENSITY = DensityMapTransformer(sigma=1.5)
MAPS = DENSITY.transform(POINTS, SHAPES)
IMAGES = check_images([np.zeros(shape) for shape in SHAPES])
TARGETS = {
    "points": PointTarget(POINTS, IMAGES, DENSITY),
    "maps": MapTarget(MAPS, IMAGES),
    "counts": CountTarget(POINTS.counts, IMAGES),
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


# Upper halves: of the points only (1, 2), (3, 4) and not (10, 15) are inside.
ROI = [np.arange(height)[:, None] < np.full(width, height // 2) for height, width in SHAPES]


def in_halves(make):
    return make(check_images([np.zeros(shape) for shape in SHAPES], roi=ROI))


def test_points_outside_the_region_do_not_count():
    target = in_halves(lambda images: PointTarget(POINTS, images, DENSITY))
    assert target.counts.tolist() == target.inside().points.counts.tolist() == [2, 0, 0]


def test_maps_count_what_is_inside_the_region():
    target = in_halves(lambda images: MapTarget(MAPS, images))
    expected = [density[mask].sum() for density, mask in zip(MAPS, ROI, strict=True)]
    np.testing.assert_allclose(target.counts, expected, rtol=1e-6)
    np.testing.assert_allclose(target.take([1]).counts, expected[1:2], rtol=1e-6)


def test_a_crop_of_points_is_that_window_of_the_regions_map():
    target = in_halves(lambda images: PointTarget(POINTS, images, DENSITY)).take([0])
    whole = DENSITY.make_map(POINTS[0], SHAPES[0], roi=ROI[0])
    assert whole.sum() == pytest.approx(2)
    np.testing.assert_allclose(target.crop(0, (2, 1, 7, 5)), whole[2:9, 1:6], atol=1e-7)


def test_the_peak_of_counts_is_their_mean_density_in_the_region():
    target = in_halves(lambda images: CountTarget(np.array([2.0, 0.0, 0.0]), images))
    assert target.peak(np.array([1, 0, 0])) == pytest.approx(2 / (6 * 9))


def test_the_peak_of_points_is_that_of_an_object_of_middling_size():
    scales = [np.full(shape, scale) for shape, scale in zip(SHAPES, [2.0, 4.0, 8.0], strict=True)]
    images = check_images([np.zeros(shape) for shape in SHAPES], perspective=scales)
    alone = DensityMapTransformer(sigma=3.0).make_map(np.array([[10, 15]]), (20, 30)).max()
    # Two points of scale 2 and one of scale 4: the median is 2, of sigma 1.5.
    assert PointTarget(POINTS, images, DENSITY).peak(np.ones(3)) == pytest.approx(alone)
