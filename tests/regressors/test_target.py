import numpy as np
import pytest

from skcount import DensityMapTransformer, PointAnnotations
from skcount.images import check_images
from skcount.regressors._target import check_not_swapped, check_target, is_ragged
from skcount.training import CountTarget, MapTarget, PointTarget

POINTS = [[(1, 2)], [], [(3, 4), (0, 0)]]
SHAPES = [(6, 8)] * 3
IMAGES = check_images(np.zeros((3, 6, 8)))


def ragged_array(entries):
    array = np.empty(len(entries), dtype=object)
    array[:] = [np.asarray(e, dtype=float).reshape(-1, 2) for e in entries]
    return array


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (POINTS, PointTarget),
        (tuple(POINTS), PointTarget),
        (PointAnnotations(POINTS), PointTarget),
        (ragged_array(POINTS), PointTarget),
        (np.zeros((3, 5, 2)), PointTarget),
        ([[], [], []], PointTarget),
        ([1, 2, 3], CountTarget),
        (np.array([1, 2, 3], dtype=np.uint8), CountTarget),
        ([1.5, 0.0, 2.0], CountTarget),
        (np.zeros((3, 6, 8)), MapTarget),
        ([np.zeros((6, 8))] * 3, MapTarget),
    ],
)
def test_what_y_is_told_from_its_shape(y, kind):
    target = check_target(y, IMAGES, DensityMapTransformer())
    assert type(target) is kind
    assert target.counts.shape == (3,)


def test_an_array_of_the_images_shape_is_density_even_where_it_could_be_points():
    images = check_images(np.zeros((3, 6, 2)))
    assert isinstance(check_target(np.zeros((3, 6, 2)), images, DensityMapTransformer()), MapTarget)


def test_a_column_of_counts_is_taken_with_a_warning():
    with pytest.warns(UserWarning, match="column-vector"):
        target = check_target(np.ones((3, 1)), IMAGES, DensityMapTransformer())
    np.testing.assert_array_equal(target.counts, [1, 1, 1])


def test_only_numbers_in_one_or_two_dimensions_may_go_with_a_table():
    assert not any(is_ragged(y) for y in ([1, 2], np.zeros(3), np.zeros((3, 1)), None))
    assert all(
        is_ragged(y) for y in (POINTS, PointAnnotations(POINTS), np.zeros((3, 6, 8)), ragged_array(POINTS))
    )


def test_points_that_fit_only_swapped_are_refused_and_a_stray_one_is_not():
    swapped = PointAnnotations([[(3, 4), (7, 1)], [(2, 2)], []])
    with pytest.raises(
        ValueError, match=r"1 of 3 points .*\[7.0, 1.0\] in image 0 .*rows and columns swapped"
    ):
        check_not_swapped(swapped, SHAPES)
    check_not_swapped(PointAnnotations([[(7, 1)] + [(1, 1)] * 20, [], []]), SHAPES)
    check_not_swapped(PointAnnotations([[(7, 7.9), (7, 1)], [], []]), SHAPES)
    check_not_swapped(PointAnnotations([[], [], []]), SHAPES)


def test_a_list_of_unequal_things_beside_a_map_is_refused_by_words():
    ragged = (None, np.array([], dtype=bool))
    with pytest.raises(ValueError, match=r"expected"):
        check_target((ragged, np.array([[False]])), check_images(np.ones((2, 1, 1))), DensityMapTransformer())
