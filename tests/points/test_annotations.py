import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ragged_points import law, ragged, same

from skcount import ImageSet, PointAnnotations
from skcount.points import check_points, is_inside

# What is refused is in reliability/test_bad_input.py.

# a sequence of arrays


@law
@given(ragged)
def test_it_holds_what_it_was_given_and_says_so(arrays_):
    points = PointAnnotations(arrays_)
    assert same(points, arrays_)
    assert points.shape == (len(arrays_),)
    np.testing.assert_array_equal(points.counts, [len(a) for a in arrays_])
    np.testing.assert_array_equal(np.asarray(points), points.counts)
    assert np.asarray(points).dtype == np.float64
    assert points.lengths.sum() == len(points.coordinates)


@law
@given(ragged, st.data())
def test_indexing_agrees_with_that_of_an_array_of_objects(arrays_, data):
    points = PointAnnotations(arrays_)
    objects = np.empty(len(arrays_), dtype=object)
    objects[:] = arrays_
    n = len(arrays_)
    some = st.lists(st.integers(-n, n - 1), max_size=8) if n else st.just([])
    key = data.draw(
        st.one_of(
            st.slices(n),
            some.map(lambda i: np.array(i, dtype=np.intp)),
            st.lists(st.booleans(), min_size=n, max_size=n).map(lambda m: np.array(m, dtype=bool)),
        )
    )
    assert same(points[key], objects[key])
    assert same(points[key, ...], objects[key])


@law
@given(ragged.filter(len), st.data())
def test_an_integer_of_any_kind_gives_one_array(arrays_, data):
    index = data.draw(st.integers(-len(arrays_), len(arrays_) - 1))
    points = PointAnnotations(arrays_)
    for key in (index, np.int32(index), np.array(index), (index, ...)):
        assert isinstance(points[key], np.ndarray)
        np.testing.assert_array_equal(points[key], arrays_[index])


@pytest.mark.parametrize("key", [3, -4, [3], [True, False], (0, 1), (0, ..., 1), 1.0, "a", None, [[0, 1]]])
def test_a_key_that_is_none_of_the_images_raises_index_error(key):
    with pytest.raises(IndexError):
        PointAnnotations([[], [], []])[key]


@law
@given(ragged, ragged)
def test_adding_joins_and_equality_is_that_of_the_content(one, other):
    a, b = PointAnnotations(one), PointAnnotations(other)
    assert same(a + b, one + other)
    assert a == PointAnnotations(one)
    assert (a == b) is same(a, other)
    assert (a != b) is not same(a, other)


def test_the_same_points_split_differently_are_not_equal():
    assert PointAnnotations([[(1, 2)], []]) != PointAnnotations([[], [(1, 2)]])
    assert PointAnnotations([[(1, 2)]]) != [[(1, 2)]]


def test_it_cannot_be_hashed_because_arrays_cannot():
    with pytest.raises(TypeError, match="unhashable"):
        hash(PointAnnotations([]))


def test_nothing_in_it_can_be_written_to(points):
    source = np.ones((2, 2))
    mine = PointAnnotations([source])
    source[:] = 7
    np.testing.assert_array_equal(mine[0], 1)
    for array in (points.coordinates, points.lengths, points[3], points[2:5][1], next(iter(points))):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(TypeError):
        points[0] = np.zeros((1, 2))


def test_the_flat_arrays_given_are_copied():
    flat, lengths = np.ones((2, 2)), np.array([1, 1])
    points = PointAnnotations.from_flat(flat, lengths)
    flat[:], lengths[:] = 7, 0
    assert points == PointAnnotations([[(1, 1)], [(1, 1)]])


def test_counts_can_be_changed_without_changing_the_points(points):
    points.counts[:] = 9
    np.asarray(points)[:] = 9
    np.testing.assert_array_equal(points.counts, [0, 1, 2, 3] * 3)


def test_numpy_gets_the_counts_in_any_type_and_never_without_a_copy(points):
    assert np.asarray(points, dtype=int).tolist() == [0, 1, 2, 3] * 3
    assert np.sum(points) == 18
    with pytest.raises(ValueError, match="copy=None"):
        points.__array__(copy=False)


def test_the_repr_counts():
    assert repr(PointAnnotations([])) == "PointAnnotations(0 images, 0 points)"
    assert repr(PointAnnotations([[]])) == "PointAnnotations(1 image, 0 points)"
    assert repr(PointAnnotations([[(1, 2)], []])) == "PointAnnotations(2 images, 1 point)"


def test_a_notebook_shows_how_many_points_there_are_and_where():
    html = PointAnnotations([[(1, 2), (30, 4)], [], [(0.5, 7.25)]])._repr_html_()
    for name, value in {
        "images": "3",
        "points": "3",
        "points per image": "0 to 2, median 1",
        "images without points": "1",
        "rows": "0.5 to 30.0",
        "columns": "2.0 to 7.2",
    }.items():
        assert f"<tr><th>{name}</th><td>{value}</td></tr>" in html
    assert "<td>0</td>" in PointAnnotations([])._repr_html_()
    assert "rows" not in PointAnnotations([[]])._repr_html_()


# other ways to make it


@law
@given(ragged)
def test_flat_and_back_is_the_same(arrays_):
    points = PointAnnotations(arrays_)
    assert PointAnnotations.from_flat(points.coordinates, points.lengths) == points
    assert PointAnnotations(points) == points


@law
@given(ragged)
def test_from_xy_swaps_and_twice_is_the_same(arrays_):
    points = PointAnnotations.from_xy(arrays_)
    assert same(points, [a[:, ::-1] for a in arrays_])
    assert PointAnnotations.from_xy(points) == PointAnnotations(arrays_)


@law
@given(
    arrays(
        np.int8,
        st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)),
        elements=st.integers(-1, 1),
    )
)
def test_from_mask_makes_one_point_of_each_pixel_even_where_they_touch(masks):
    points = PointAnnotations.from_mask(masks)
    np.testing.assert_array_equal(points.counts, (masks != 0).sum(axis=(1, 2)))
    for mask, p in zip(masks, points, strict=True):
        back = np.zeros(mask.shape, dtype=bool)
        back[tuple(p.astype(int).T)] = True
        np.testing.assert_array_equal(back, mask != 0)


def test_from_mask_takes_masks_of_many_sizes():
    points = PointAnnotations.from_mask([np.eye(2), np.zeros((1, 4), dtype=bool)])
    np.testing.assert_array_equal(points.counts, [2, 0])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, ">f8", object])
def test_points_of_any_numeric_type_become_float64(dtype):
    points = PointAnnotations([np.array([(1, 0)]).astype(dtype)])
    assert points[0].dtype == np.float64
    np.testing.assert_array_equal(points[0], [[1, 0]])


@pytest.mark.parametrize("empty", [[], (), np.empty((0, 2)), np.empty(0), [[]]])
def test_an_image_without_points_may_be_written_in_many_ways(empty):
    points = PointAnnotations([empty, [(1, 2)]])
    assert points[0].shape == (0, 2)
    np.testing.assert_array_equal(points.counts, [0, 1])


@pytest.mark.parametrize("nothing", [[], (), np.empty((0, 3, 2)), PointAnnotations([])])
def test_no_images_are_fine(nothing):
    points = PointAnnotations(nothing)
    assert points.shape == (0,)
    assert points.coordinates.shape == (0, 2)
    assert points[:] == points
    assert points + points == points
    assert np.asarray(points).shape == (0,)
    assert points.inside((4, 5)) == points
    assert points.inside([]) == points


def test_check_points_counts_the_images(points):
    assert check_points(points, 12) is points
    assert check_points([[(1, 2)]]) == PointAnnotations([[(1, 2)]])
    with pytest.raises(ValueError, match=r"points must be .* for 5 images; got 12.*\[points\]"):
        check_points(points, 5)


# inside


@law
@given(ragged, st.data())
def test_inside_keeps_exactly_the_points_inside_their_own_image(arrays_, data):
    size = st.integers(1, 10**6)
    shapes = data.draw(st.lists(st.tuples(size, size), min_size=len(arrays_), max_size=len(arrays_)))
    points = PointAnnotations(arrays_)
    expected = [
        np.array([p for p in a if -0.5 <= p[0] < h - 0.5 and -0.5 <= p[1] < w - 0.5]).reshape(-1, 2)
        for a, (h, w) in zip(arrays_, shapes, strict=True)
    ]
    kept = points.inside(shapes)
    assert same(kept, expected)
    assert kept.inside(shapes) == kept
    assert is_inside(points, shapes).sum() == kept.counts.sum()


# regions of interest


def test_a_point_is_inside_a_region_when_its_pixel_is():
    roi = np.zeros((3, 4), dtype=bool)
    roi[1, 2] = True
    corners = [(0.5, 1.5), (1.49, 2.49), (0.49, 2), (1, 1.49), (1.5, 2), (1, 2.5), (-0.6, 2), (1, 99)]
    inside = PointAnnotations([corners, [(1, 2)], []]).inside((3, 4), roi)
    assert inside == PointAnnotations([corners[:2], [(1, 2)], []])


def test_an_image_set_tells_its_sizes_and_its_region():
    images = ImageSet(np.zeros((2, 4, 6, 3), dtype=np.uint8), roi=np.arange(24).reshape(4, 6) < 12)
    points = PointAnnotations([[(1, 5), (2, 5)], [(1.4, 0), (1.6, 0), (0, 9)]])
    assert points.inside(images).counts.tolist() == [1, 1]
    assert points[[1]].inside(images[[1]]).counts.tolist() == [1]
    assert points.inside(ImageSet(np.zeros((2, 4, 6)))).counts.tolist() == [2, 2]
    assert points[:0].inside(images[:0]) == points[:0]


def test_each_image_may_have_its_own_region_and_a_set_of_masks_is_checked_as_a_list_is():
    points = PointAnnotations([[(1, 1), (1, 2)], [(1, 2), (0, 4.4)]])
    masks = ImageSet([np.eye(3, dtype=bool), np.ones((2, 5), dtype=bool)])
    for regions in (masks, list(masks)):
        assert points.inside([(3, 3), (2, 5)], regions).counts.tolist() == [1, 2]
    for shapes, roi in (
        ([(3, 3), (2, 4)], masks),
        ([(3, 3), (2, 5)], masks[:1]),
        ((3, 3), ImageSet(np.ones((2, 3, 3)))),
    ):
        with pytest.raises(ValueError, match="`roi`"):
            points.inside(shapes, roi)


def test_the_last_number_below_the_border_is_inside_the_last_pixel():
    edge = np.nextafter(0.5, 0)
    assert PointAnnotations([[(edge, edge)]]).inside((1, 1), [[True]]).counts.tolist() == [1]


@pytest.mark.parametrize(
    "columns", [["row", "col"], ["y", "x"], ["x", "y"], ["X", "Y"], ["col", "row"], ["column", "row"]]
)
def test_columns_of_a_data_frame_are_found_by_their_names(columns):
    pandas = pytest.importorskip("pandas")
    values = {"row": [1.0, 2], "y": [1.0, 2], "col": [3.0, 4], "column": [3.0, 4], "x": [3.0, 4]}
    frame = pandas.DataFrame({name: values[name.lower()] for name in columns})
    assert PointAnnotations([frame])[0].tolist() == [[1, 3], [2, 4]]
    assert PointAnnotations([pandas.DataFrame([[1, 3], [2, 4]])])[0].tolist() == [[1, 3], [2, 4]]


def test_a_data_frame_with_other_columns_is_refused():
    pandas = pytest.importorskip("pandas")
    for columns in (["lat", "lon"], ["y", "x", "class"], ["x", "x2"]):
        frame = pandas.DataFrame([[1] * len(columns)], columns=columns)
        with pytest.raises(
            ValueError, match=r"The points of image 0 are a data frame with the columns '.*to_numpy"
        ):
            PointAnnotations([frame])
