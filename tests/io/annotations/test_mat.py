import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from skcount.io import read_points

NAME = "points.mat"


def cell_array(values):
    return np.array(values, dtype=object)


XY = [np.array([[11.0, 3.0], [5.0, 5.5]]), np.empty((0, 2)), np.array([[1, 1]], dtype=np.uint8)]
POINTS = [[[2, 10], [4.5, 4]], np.empty((0, 2)), [[0, 0]]]


def test_a_matrix_is_one_image_counted_from_one(write, write_mat):
    cells = read_points(write(write_mat(annPoints=XY[0])))
    assert cells.names == ["points"]
    assert_array_equal(cells.points[0], POINTS[0])


@given(xy=arrays(np.float64, st.tuples(st.integers(1, 9), st.just(2)), elements=st.floats(1, 1e4)))
def test_every_number_is_read_exactly(write, write_mat, xy):
    path = write(write_mat(points=xy))
    free = {"unit": "pixel", "duplicates": "keep"}
    assert_array_equal(read_points(path, **free).points[0], xy[:, ::-1] - 1)
    assert_array_equal(read_points(path, order="rc", origin=0, **free).points[0], xy)


STRUCTS = np.array([(xy, i) for i, xy in enumerate(XY)], dtype=[("loc", object), ("id", object)])


@pytest.mark.parametrize(
    ("variables", "variable"),
    [
        ({"points": cell_array(XY)}, "points"),
        ({"frame": cell_array([{"loc": xy} for xy in XY]), "count": [[2], [0], [1]]}, "frame.loc"),
        ({"frame": STRUCTS}, "frame.loc"),
    ],
)
def test_cells_and_structs_are_many_images(write, write_mat, variables, variable):
    path = write(write_mat(**variables))
    for cells in (read_points(path), read_points(path, variable=variable)):
        assert cells.names == ["1", "2", "3"]
        for points, expected in zip(cells.points, POINTS, strict=True):
            assert_array_equal(points, expected)


def test_a_cell_of_one_image_is_that_image(write, write_mat):
    # The layout of ShanghaiTech: image_info{1,1}.location.
    path = write(write_mat(image_info=cell_array([{"location": XY[0], "number": 2}])))
    assert_array_equal(read_points(path).points[0], POINTS[0])


def test_a_variable_that_cannot_be_guessed_is_asked_for(write, write_mat):
    path = write(write_mat(points=XY[0], more=XY[2], name="a"))
    with pytest.raises(ValueError, match=r"exactly one variable .* got points, more, .* `variable`"):
        read_points(path)
    assert_array_equal(read_points(path, variable="more").points[0], POINTS[2])
    with pytest.raises(ValueError, match=r"`variable` .* points, more, name; got 'other'"):
        read_points(path, variable="other")
    with pytest.raises(ValueError, match=r"'name' must hold numbers of shape \(n_points, 2\); got"):
        read_points(path, variable="name")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"image": np.zeros((4, 5))}, "exactly one variable .* got none, of the variables image"),
        ({"frame": cell_array([{"loc": XY[0]}, {"other": XY[0]}])}, "exactly one variable .* got none"),
        ({"points": [[1.0, 2.0], [2.0, np.nan]]}, r"finite; got \[2.0, nan\]"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + bytes(400), r"version 7.3; .* save\(..., '-v7'\)"),
        (b"no MATLAB file", "points.mat"),
        (b"MATLAB 5.0 MAT-file" + bytes(200), "points.mat"),
    ],
)
def test_what_holds_no_points_or_is_no_file_of_matlab_is_refused(write, write_mat, content, message):
    with pytest.raises(ValueError, match=message):
        read_points(write(content if isinstance(content, bytes) else write_mat(**content)))


def test_the_annotations_of_mall_are_read_in_one_line(write, published):
    with zipfile.ZipFile(published("mall_dataset.zip")) as archive:
        path = write(archive.read("mall_dataset/mall_gt.mat"))
    people = read_points(path, variable="frame.loc", image_shape=(480, 640))
    assert (len(people.points), len(people.points.coordinates)) == (2000, 62_315)
    assert read_points(path).points == people.points
