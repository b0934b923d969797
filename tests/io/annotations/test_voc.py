import pytest
from numpy.testing import assert_array_equal

from skcount.io import read_points

pytest.importorskip("defusedxml", reason="defusedxml reads Pascal VOC files")

NAME = "a.xml"


def voc(*boxes, filename="a.png", more=""):
    """What LabelImg writes: boxes (name, left, top, right, bottom)."""
    objects = "".join(
        f"<object><name>{name}</name><pose>Unspecified</pose><truncated>{i % 2}</truncated><difficult>0</difficult>"
        f"<bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox>{more}</object>"
        for i, (name, left, top, right, bottom) in enumerate(boxes)
    )
    size = "<size><width>100</width><height>80</height><depth>3</depth></size>"
    return f"<annotation><folder>img</folder><filename>{filename}</filename>{size}{objects}</annotation>"


def test_centres_of_boxes_are_points(write):
    trees = read_points(write(voc(("Tree", 10, 20, 50, 60), ("Tree", 70, 20, 90, 60))))
    assert (trees.names, trees.image_shapes, trees.labels) == (["a.png"], [(80, 100)], {"Tree": 2})
    assert_array_equal(trees.points[0], [[39.5, 29.5], [39.5, 79.5]])


def test_several_names_have_to_be_chosen(write):
    path = write(voc(("Tree", 10, 20, 50, 60), ("Bush", 70, 20, 90, 60)))
    with pytest.raises(ValueError, match=r"labels \('Tree': 1, 'Bush': 1\)"):
        read_points(path)
    assert_array_equal(read_points(path, labels="Bush").points[0], [[39.5, 79.5]])


def test_a_file_without_objects_has_no_points_and_others_are_refused(write):
    assert read_points(write(voc())).points.counts.tolist() == [0]
    with pytest.raises(ValueError, match="xmin of each object must be a finite number; got ''"):
        read_points(write("<annotation><object><name>a</name></object></annotation>"))
    with pytest.raises(ValueError, match=r"'CellCounter_Marker_File' .* of CVAT .* of Pascal VOC"):
        read_points(write("<kml/>"))
