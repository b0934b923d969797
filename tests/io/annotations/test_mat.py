import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from scipy.io import savemat

from skcount.io import read_points

DATA = os.environ.get("SKCOUNT_DATA")
needs_mall = pytest.mark.skipif(
    not DATA or not (Path(DATA) / "mall_dataset.zip").is_file(),
    reason="SKCOUNT_DATA is not set to a folder that holds mall_dataset.zip",
)


def cell_array(values):
    cells = np.empty((1, len(values)), dtype=object)
    for i, value in enumerate(values):
        cells[0, i] = value
    return cells


XY = [np.array([[11.0, 3.0], [5.0, 5.5]]), np.empty((0, 2)), np.array([[1, 1]], dtype=np.uint8)]
POINTS = [[[2, 10], [4.5, 4]], np.empty((0, 2)), [[0, 0]]]


@pytest.fixture
def write(tmp_path):
    def write(**variables):
        path = tmp_path / "points.mat"
        savemat(path, variables)
        return path

    return write


def test_a_matrix_is_one_image_counted_from_one(write):
    cells = read_points(write(annPoints=XY[0]))
    assert cells.names == ["points"]
    assert_array_equal(cells.points[0], POINTS[0])


@given(xy=arrays(np.float64, st.tuples(st.integers(1, 9), st.just(2)), elements=st.floats(1, 1e4)))
def test_every_number_is_read_exactly(tmp_path_factory, xy):
    path = tmp_path_factory.mktemp("mat") / "points.mat"
    savemat(path, {"points": xy})
    assert_array_equal(read_points(path).points[0], xy[:, ::-1] - 1)
    assert_array_equal(read_points(path, order="rc", origin=0).points[0], xy)


@pytest.mark.parametrize(
    ("variables", "variable"),
    [
        ({"points": cell_array(XY)}, "points"),
        ({"frame": cell_array([{"loc": xy} for xy in XY]), "count": [[2], [0], [1]]}, "frame.loc"),
        (
            {
                "frame": np.array(
                    [(xy, i) for i, xy in enumerate(XY)], dtype=[("loc", object), ("id", object)]
                )
            },
            "frame.loc",
        ),
    ],
)
def test_cells_and_structs_are_many_images(write, variables, variable):
    path = write(**variables)
    for cells in (read_points(path), read_points(path, variable=variable)):
        assert cells.names == ["1", "2", "3"]
        for points, expected in zip(cells.points, POINTS, strict=True):
            assert_array_equal(points, expected)


def test_a_cell_of_one_image_is_that_image(write):
    # The layout of ShanghaiTech: image_info{1,1}.location.
    path = write(image_info=cell_array([{"location": XY[0], "number": 2}]))
    assert_array_equal(read_points(path).points[0], POINTS[0])


def test_a_variable_that_cannot_be_guessed_is_asked_for(write):
    path = write(points=XY[0], more=XY[2], name="a")
    with pytest.raises(
        ValueError, match=r"has 2 variables that may be points: points, more; .* Choose by variable"
    ):
        read_points(path)
    assert_array_equal(read_points(path, variable="more").points[0], POINTS[2])
    with pytest.raises(ValueError, match="no variable 'other'; it has points, more, name"):
        read_points(path, variable="other")
    with pytest.raises(
        ValueError, match=r"'name' has matrices of shape .*; expected numbers of shape \(n_points, 2\)"
    ):
        read_points(path, variable="name")


def test_a_file_without_points_is_refused(write):
    with pytest.raises(ValueError, match="has 0 variables that may be points; expected one"):
        read_points(write(image=np.zeros((4, 5))))


def test_a_field_of_only_some_cells_is_no_candidate(write):
    path = write(frame=cell_array([{"loc": XY[0]}, {"other": XY[0]}]))
    with pytest.raises(ValueError, match="0 variables"):
        read_points(path)


def test_nan_is_refused(write):
    with pytest.raises(ValueError, match=r"point 1 of points is \[2.0, nan\]: NaN or infinity"):
        read_points(write(points=[[1.0, 2.0], [2.0, np.nan]]))


@pytest.mark.parametrize("content", [b"", b"no MATLAB file", b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_what_is_no_file_of_matlab_is_refused(tmp_path, content):
    path = tmp_path / "points.mat"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"points.mat"):
        read_points(path)


def test_files_of_version_7_3_say_what_to_do(tmp_path):
    path = tmp_path / "points.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))
    with pytest.raises(ValueError, match=r"MATLAB's version 7.3; .* save\(..., '-v7'\)"):
        read_points(path)


@needs_mall
def test_the_annotations_of_mall_are_read_in_one_line(tmp_path):
    with zipfile.ZipFile(Path(DATA) / "mall_dataset.zip") as archive:
        path = tmp_path / "mall_gt.mat"
        path.write_bytes(archive.read("mall_dataset/mall_gt.mat"))
    people = read_points(path, variable="frame.loc", image_shape=(480, 640))
    assert (len(people.points), len(people.points.coordinates)) == (2000, 62_315)
    assert read_points(path).points == people.points
