import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skcount.io import read_points

pytest.importorskip("defusedxml", reason="defusedxml reads CVAT files")

NAME = "annotations.xml"
HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
META = (
    "<meta><job><labels><label><name>seal</name></label><label><name>pup</name></label></labels></job></meta>"
)


def for_images(*images):
    """What *CVAT for images 1.1* exports: the shapes of each image."""
    body = "".join(
        f'<image id="{i}" name="{name}" width="64" height="48">{"".join(shapes)}</image>'
        for i, (name, shapes) in enumerate(images)
    )
    return f"{HEAD}{META}{body}</annotations>"


def points(*places, label="seal", attributes=""):
    text = ";".join(f"{x:.2f},{y:.2f}" for x, y in places)
    return f'<points label="{label}" source="manual" occluded="0" points="{text}" z_order="0">{attributes}</points>'


def box(left, top, right, bottom, label="seal"):
    return f'<box label="{label}" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}" occluded="1"></box>'


def test_images_have_points_boxes_sizes_and_labels(write):
    path = write(for_images(("sub/a.png", [points((10.5, 12.5), (30, 40)), box(4, 2, 8, 6)]), ("b.png", [])))
    seals = read_points(path)
    assert seals.names == ["sub/a.png", "b.png"]
    assert seals.image_shapes == [(48, 64)] * 2
    assert seals.labels == {"seal": 3, "pup": 0}
    assert_array_equal(seals.points[0], [[12, 10], [39.5, 29.5], [3.5, 5.5]])
    assert seals.points.counts.tolist() == [3, 0]


@given(x=st.integers(0, 6300), y=st.integers(0, 4700))
def test_every_place_is_read_to_the_hundredth_that_cvat_writes(write, x, y):
    path = write(for_images(("a.png", [points((x / 100, y / 100))])))
    assert_allclose(read_points(path, unit="pixel").points[0], [[y / 100 - 0.5, x / 100 - 0.5]], atol=1e-9)


def test_several_labels_have_to_be_chosen_or_joined(write):
    path = write(for_images(("a.png", [points((10, 12)), points((3, 4), (5, 6), label="pup")])))
    with pytest.raises(ValueError, match=r"2 labels \('seal': 1, 'pup': 2\). Pass labels='seal'"):
        read_points(path)
    assert read_points(path, labels="pup").points.counts.tolist() == [2]
    assert read_points(path, labels="*").points.counts.tolist() == [3]


def test_attributes_may_be_classes(write):
    kinds = [f'<attribute name="sex">{sex}</attribute>' for sex in "fmf"]
    shapes = [points((i + 1, 2), attributes=text) for i, text in enumerate(kinds)]
    path = write(for_images(("a.png", shapes)))
    with pytest.raises(ValueError, match=r"'sex' varies .*label_column='sex'.*ignore=\['sex'\]"):
        read_points(path)
    assert read_points(path, label_column="sex", labels="f").points.counts.tolist() == [2]
    assert read_points(path, ignore="sex").points.counts.tolist() == [3]
    assert read_points(path, where={"sex": "m"}).points.counts.tolist() == [1]


def test_outlines_are_refused_and_labels_exclude_them(write):
    polygon = '<polygon label="region" points="0,0;9,0;9,9"></polygon>'
    path = write(for_images(("a.png", [points((10, 12)), polygon])))
    with pytest.raises(ValueError, match="shapes must be points; got polygon"):
        read_points(path, labels="*")
    assert read_points(path, labels="seal").points.counts.tolist() == [1]


def test_a_video_has_the_objects_of_each_frame(write):
    """*CVAT for video 1.1*: a track ends with a shape that is outside."""
    shape = '<points frame="{}" outside="{}" occluded="0" keyframe="1" points="{},2.50"></points>'
    tracks = [[(0, 0, 10.5), (1, 0, 11.5), (2, 1, 12.5)], [(1, 0, 3.5), (2, 0, 4.5)]]
    body = "".join(
        f'<track id="{i}" label="seal">{"".join(shape.format(*row) for row in rows)}</track>'
        for i, rows in enumerate(tracks)
    )
    path = write(f"{HEAD}{META}{body}</annotations>")
    frames = read_points(path)
    assert (frames.names, frames.points.counts.tolist()) == (["0", "1", "2"], [1, 2, 1])
    assert_array_equal(frames.points[1], [[2, 11], [2, 3]])
    assert read_points(path, names=range(4), missing="empty").points.counts.tolist() == [1, 2, 1, 0]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ('<points label="seal" points="1,2;3"/>', "points must be 'x,y;x,y'; got '1,2;3'"),
        (
            '<points label="seal" points="1,nan"/>',
            "each coordinate of points must be a finite number; got 'nan'",
        ),
        ('<box label="seal" xtl="1"/>', "ytl of a box must be a finite number; got ''"),
    ],
)
def test_damaged_shapes_are_refused(write, shape, message):
    with pytest.raises(ValueError, match=f"annotations.xml: {message}"):
        read_points(write(for_images(("a.png", [shape]))))


def test_coordinates_have_two_columns_even_without_shapes(write):
    cells = read_points(write(for_images(("a.png", []))))
    assert cells.points.coordinates.dtype == np.float64
