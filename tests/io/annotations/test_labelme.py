import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skcount.io import read_points

NAME = "a.json"


def shape(label, *points, kind="point"):
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}}


def labelme(*shapes, **changes):
    content = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": "..\\a.png", "imageData": None}
    return content | {"imageHeight": 20, "imageWidth": 30} | changes


def test_points_are_measured_from_the_corner_of_the_image(write):
    cells = read_points(write(labelme(shape("cell", [0.5, 0.5]), shape("cell", [10.5, 2.0]))))
    assert cells.names == ["..\\a.png"]
    assert cells.image_shapes == [(20, 30)]
    assert_array_equal(cells.points[0], [[0, 0], [1.5, 10]])


@given(x=st.floats(0, 29), y=st.floats(0, 19))
def test_every_point_is_read(write, x, y):
    path = write(labelme(shape("cell", [x, y]), shape("cell", [x, y], [9, 3.5], kind="circle")))
    assert_array_equal(read_points(path, origin=0, duplicates="keep").points[0], [[y, x]] * 2)
    assert_array_equal(read_points(path, duplicates="keep").points[0], [[y - 0.5, x - 0.5]] * 2)


def test_labels_choose_the_points(write):
    path = write(labelme(shape("cell", [5.5, 3.5]), shape("region", [0, 0], [9, 0], [9, 9], kind="polygon")))
    with pytest.raises(ValueError, match=r"shapes must be points; got 'polygon'. .*`labels`"):
        read_points(path)
    assert_array_equal(read_points(path, labels="cell").points[0], [[3, 5]])
    with pytest.raises(ValueError, match=r"`labels` .* 'cell', 'region'.* got 'cells'"):
        read_points(path, labels="cells")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"shapes": {}}, "format='labelme'; expected the list 'shapes'"),
        (labelme({"points": [[1, 1]]}), "must have a label"),
        (labelme(shape("cell")), r"the point 'cell' must have 1 points.* got \[\]"),
        (labelme(shape("cell", [1, 1], [2, 2])), r"the point 'cell' must have 1 points"),
        (labelme(shape("cell", [1, 1], kind="circle")), r"the circle 'cell' must have 2 points"),
        (labelme(shape("cell", [1, True])), "the point 'cell' must be two numbers"),
    ],
)
def test_what_is_no_labelme_is_refused(write, content, message):
    with pytest.raises(ValueError, match=message):
        read_points(write(content), "labelme")


def test_a_file_without_shapes_and_image_is_an_image_of_its_own_name_without_points(write):
    cells = read_points(write(labelme(imagePath=None, imageHeight=None)))
    assert (cells.names, cells.points.counts.tolist()) == (["a"], [0])
