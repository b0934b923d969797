import pytest
from numpy.testing import assert_array_equal

from skcount.io import read_points

NAME = "a.png.json"


def shape(*exterior, kind="point", title="cell", tags=()):
    return {
        "id": 7,
        "classTitle": title,
        "geometryType": kind,
        "labelerLogin": "anna",
        "tags": [{"name": name, "value": value} for name, value in tags],
        "points": {"exterior": exterior, "interior": []},
    }


def supervisely(*objects):
    return {"description": "", "tags": [], "size": {"height": 80, "width": 100}, "objects": objects}


def test_points_and_centres_of_rectangles(write):
    cells = read_points(write(supervisely(shape([10, 20]), shape([4, 6], [8, 10], kind="rectangle"))))
    assert (cells.image_shapes, cells.labels) == ([(80, 100)], {"cell": 2})
    assert_array_equal(cells.points[0], [[20, 10], [8, 6]])


def test_classes_and_tags_and_annotators_are_told(write):
    path = write(supervisely(shape([1, 2]), shape([3, 4], title="dust")))
    with pytest.raises(ValueError, match="2 labels"):
        read_points(path)
    tagged = [shape([i, 4], tags=[("state", state)]) for i, state in enumerate(["dead", "dead", "alive"])]
    with pytest.raises(ValueError, match=r"'state' varies .*label_column='state'"):
        read_points(write(supervisely(*tagged)))
    twice = [shape([i, 4]) | {"labelerLogin": who} for i, who in enumerate(["anna", "anna", "ben"])]
    with pytest.raises(ValueError, match=r"'labelerLogin' .*annotator"):
        read_points(write(supervisely(*twice)))
    path = write(supervisely(*twice))
    assert read_points(path, where={"labelerLogin": "ben"}).points.counts.tolist() == [1]


def test_other_shapes_are_refused(write):
    with pytest.raises(ValueError, match="shapes must be points; got bitmap"):
        read_points(write(supervisely(shape([1, 2], kind="bitmap"))))
    with pytest.raises(ValueError, match="the point of object 7 must have 1 points; got \\[\\]"):
        read_points(write(supervisely(shape())))
