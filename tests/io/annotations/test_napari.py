import pytest
from numpy.testing import assert_array_equal

from skcount.io import read_points

NAME = "points.csv"


@pytest.mark.parametrize("layout", [None, "csv", "napari"])
def test_a_points_layer_is_rows_and_columns(write, layout):
    cells = read_points(write("index,axis-0,axis-1\n0.0,2.0,10.0\n1.0,4.5,4.0\n"), layout)
    assert cells.names == ["points"]
    assert_array_equal(cells.points[0], [[2, 10], [4.5, 4]])


def test_features_beside_the_points_are_left_alone(write):
    path = write("index,axis-0,axis-1,X,label\n0,2,10,99,dead\n")
    assert_array_equal(read_points(path).points[0], [[2, 10]])


def test_a_layer_over_a_stack_is_an_image_for_each_number(write):
    path = write("index,axis-0,axis-1,axis-2\n0,3.0,2,10\n1,0.0,1,1\n2,3.0,4.5,4\n")
    cells = read_points(path)
    assert cells.names == ["0", "3"]
    assert_array_equal(cells.points[1], [[2, 10], [4.5, 4]])
    assert read_points(path, slices="merge").points.counts.tolist() == [3]
    assert read_points(path, names=range(5), missing="empty").points.counts.tolist() == [1, 0, 0, 2, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,2\n", "format='napari'; expected the columns 'axis-0' and 'axis-1'"),
        ("index,shape-type,vertex-index,axis-0,axis-1\n0,path,0,1,2\n", "shapes layer"),
        ("index,axis-0,axis-1,axis-2,axis-3\n0,1,1,1,1\n", "axes .* got axis-0, axis-1, axis-2, axis-3"),
        ("index,axis-0,axis-1,axis-2\n0,1.5,1,1\n", "slices .* whole numbers from 0; got 1.5"),
        ("index,axis-0,axis-1,axis-2\n0,-1,1,1\n", "slices .* from 0; got -1"),
    ],
)
def test_other_layers_are_refused(write, text, message):
    with pytest.raises(ValueError, match=message):
        read_points(write(text), "napari")
