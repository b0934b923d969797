from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skcount import PointAnnotations
from skcount.density import gaussian_density
from skcount.metrics import count_mean_absolute_error
from skcount.metrics import grid_average_mean_absolute_error as game

law = settings(max_examples=50, deadline=None)
# An array of maps two pixels wide is points.
shapes = st.tuples(st.integers(1, 30), st.integers(1, 30).filter(lambda width: width != 2))


def points_of(shape, n_images, outside=0):
    """Points of n images, some of them up to `outside` pixels beside their image."""
    one = st.tuples(*(st.floats(-0.5 - outside, size - 0.5 + outside, exclude_max=True) for size in shape))
    image = st.lists(one, max_size=6)
    return st.lists(image, min_size=n_images, max_size=n_images).map(PointAnnotations)


@st.composite
def pairs(draw, outside=0):
    """A shape, and true and predicted points of a few images."""
    shape, n_images = draw(shapes), draw(st.integers(1, 3))
    return shape, draw(points_of(shape, n_images, outside)), draw(points_of(shape, n_images, outside))


def maps_of(points, shape, sigma=1e-6):
    """Maps whose every point is on its nearest pixel."""
    return np.stack([gaussian_density(np.round(p), shape, sigma) for p in points])


@law
@given(pairs(outside=5))
def test_level_0_is_the_mean_absolute_error(drawn):
    shape, true, predicted = drawn
    expected = count_mean_absolute_error(true, predicted)
    assert game(true, predicted) == pytest.approx(expected)
    assert game(true, predicted, 0, image_shape=shape) == pytest.approx(expected)
    assert game(true.counts, predicted, 0) == pytest.approx(expected)
    assert game(true, predicted.counts.tolist(), 0) == pytest.approx(expected)


@law
@given(pairs(outside=5), st.sampled_from([None, "maps"]))
def test_it_never_falls_with_the_level(drawn, form):
    shape, true, predicted = drawn
    predicted = predicted if form is None else maps_of(predicted.inside(shape), shape, sigma=1.5)
    values = [game(true, predicted, level, image_shape=shape) for level in range(5)]
    assert all(low <= high + 1e-5 for low, high in pairwise(values))


@law
@given(pairs(), st.integers(0, 4))
def test_maps_and_points_agree(drawn, level):
    shape, true, predicted = drawn
    true, predicted = (
        PointAnnotations([np.clip(np.floor(p + 0.5), 0, np.array(shape) - 1) for p in y])
        for y in (true, predicted)
    )
    expected = game(true, predicted, level, image_shape=shape)
    maps = maps_of(predicted, shape)
    assert game(true, maps, level) == pytest.approx(expected, abs=1e-5)
    if shape[1] >= 5:  # narrower entries of a list are tables of points
        assert game(true, list(maps), level) == pytest.approx(expected, abs=1e-5)
    assert game(maps_of(true, shape), predicted, level) == pytest.approx(expected, abs=1e-5)
    assert game(maps_of(true, shape), maps, level, image_shape=shape) == pytest.approx(expected, abs=1e-5)


@law
@given(pairs(outside=3), st.integers(0, 4))
def test_it_is_symmetric_and_zero_for_the_same_points(drawn, level):
    shape, true, predicted = drawn
    assert game(true, true, level, image_shape=shape) == 0
    assert game(true, predicted, level, image_shape=shape) == game(predicted, true, level, image_shape=shape)


@law
@given(pairs(), st.integers(0, 4))
def test_it_commutes_with_transposition(drawn, level):
    shape, true, predicted = drawn
    assume(shape[0] != 2)
    swapped = [PointAnnotations.from_xy(y) for y in (true, predicted)]
    assert game(*swapped, level, image_shape=shape[::-1]) == game(true, predicted, level, image_shape=shape)


@law
@given(pairs(), st.integers(0, 3))
def test_on_cells_of_whole_pixels_it_is_the_mean_absolute_error_of_the_cells(drawn, level):
    (height, width), true, predicted = drawn
    n = 2**level
    shape = (height * n, width * n)
    true, predicted = (PointAnnotations([p * n for p in y]).inside(shape) for y in (true, predicted))

    def cells(y):
        # Half a pixel below the border, less the last digit, rounds up to one pixel too far.
        pixels = np.minimum(np.floor(y.coordinates + 0.5), np.array(shape) - 1).astype(int)
        rows, cols = pixels.T // np.array([[height], [width]])
        counts = np.zeros((len(y), n, n))
        np.add.at(counts, (np.repeat(np.arange(len(y)), y.lengths), rows, cols), 1)
        return counts

    expected = np.abs(cells(true) - cells(predicted)).sum(axis=(1, 2)).mean()
    assert game(true, predicted, level, image_shape=shape) == pytest.approx(expected)


@law
@given(pairs(outside=3), st.integers(0, 3), st.data())
def test_a_weight_of_k_is_the_image_k_times(drawn, level, data):
    shape, true, predicted = drawn
    weight = data.draw(st.lists(st.integers(1, 3), min_size=len(true), max_size=len(true)))
    order = np.repeat(np.arange(len(true)), weight)
    assert game(true, predicted, level, image_shape=shape, sample_weight=weight) == pytest.approx(
        game(true[order], predicted[order], level, image_shape=shape)
    )


def test_images_of_many_sizes_are_each_cut_by_their_own_size():
    true, predicted, shapes = [[(0, 0)]] * 2, [[(0, 5)]] * 2, [(8, 8), (8, 40)]
    assert game(true, predicted, 1, image_shape=shapes) == 1
    maps = [gaussian_density(np.array([(0.0, 5.0)]), shape, 0.1) for shape in shapes]
    assert game(true, maps, 1) == pytest.approx(1)


@pytest.mark.parametrize(("one", "other", "expected"), [(2, 3, 0), (0, 1, 2), (1, 2, 2), (3, 4, 2)])
def test_a_pixel_that_several_cells_share_belongs_to_the_cell_of_its_centre(one, other, expected):
    # The centres are at 0.4, 1.2, 2, 2.8 and 3.6.
    assert game([[(0, one)]], [[(0, other)]], 2, image_shape=(5, 5)) == expected


def test_a_point_on_a_cells_edge_is_in_one_cell_at_the_far_border_too():
    last = float(np.nextafter(0.5, 0))
    for level in range(4):
        assert game([[(last, last)]], [[(0, 0)]], level, image_shape=(1, 1)) == 0


def test_blank_images_and_blank_predictions_agree():
    assert game([[], []], np.zeros((2, 5, 6)), 2) == 0
    assert game([[], []], [[], []], 2, image_shape=(5, 6)) == 0


# What is refused; more of it is in tests/points/test_agreement.py.


@pytest.mark.parametrize("level", [1.0, None, np.nan, np.inf])
def test_a_level_of_a_wrong_type_is_refused(level):
    with pytest.raises(ValueError, match=r"The 'level' parameter of .* must be an instance of 'int'"):
        game([[]], [[]], level, image_shape=(4, 4))


@pytest.mark.parametrize(
    ("true", "predicted", "level", "match"),
    [
        ([[(1, 1)], []], [1, 2], 1, "`y_pred` must be points or density maps"),
        ([1, 2], np.ones((2, 4, 4)), 1, "`y_true` must be points or density maps"),
        ([[]], [], 0, "`y_pred` is empty"),
        ([[]], np.full((1, 4, 4), np.nan), 1, "map 0 of `y_pred` must be finite"),
        ([np.ones((4, 6))], [np.ones((4, 5))], 1, r"map of image 0 must have .*\(4, 6\); got \(4, 5\)"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(true, predicted, level, match):
    with pytest.raises(ValueError, match=match):
        game(true, predicted, level)


@pytest.mark.parametrize("image_shape", [4, (4,), (0, 4), [(4, 4)] * 3, "ab"])
def test_a_wrong_size_is_refused_by_name(image_shape):
    with pytest.raises(ValueError, match=r"`image_shape` .*\(height, width\)"):
        game([[], []], [[], []], 1, image_shape=image_shape)


def test_wrong_weights_are_refused_by_name():
    with pytest.raises(ValueError, match=r"`sample_weight` .*nan"):
        game([[], []], [[], []], sample_weight=[1, np.nan])


def test_the_result_is_a_plain_float():
    assert type(game([[(1, 1)]], np.ones((1, 3, 3), dtype=np.float32), 1)) is float
