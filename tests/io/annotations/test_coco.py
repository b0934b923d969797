import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skcount.io import read_points

NAME = "instances.json"


def coco(**changes):
    """Three images of 20 x 30 pixels, the second without annotations."""
    images = [{"id": i, "file_name": f"{a}.jpg", "height": 20, "width": 30} for i, a in enumerate("abc", 1)]
    annotations = [
        {"id": 1, "image_id": 3, "category_id": 1, "bbox": [10, 4, 2, 6], "area": 12, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1], "iscrowd": 0},
        {"id": 3, "image_id": 3, "category_id": 2, "bbox": [0, 0, 9, 9], "keypoints": [7, 5, 2]},
    ]
    categories = [{"id": i, "name": name} for i, name in enumerate(["cell", "debris", "dust"], 1)]
    return {"images": images, "annotations": annotations, "categories": categories} | changes


def annotation(**changes):
    return coco(annotations=[{"id": 1, "image_id": 1, "category_id": 1, **changes}])


def test_all_images_come_with_their_sizes_and_a_box_or_a_keypoint_is_a_point(write):
    cells = read_points(write(coco()), labels=["cell", "debris"])
    assert cells.names == ["a.jpg", "b.jpg", "c.jpg"]
    assert cells.image_shapes == [(20, 30)] * 3
    assert cells.points.counts.tolist() == [1, 0, 2]
    # The box of exactly the first pixel has its centre at (0, 0), the centre of that pixel.
    assert_array_equal(cells.points[0], [[0, 0]])
    assert_array_equal(cells.points[2], [[6.5, 10.5], [5, 7]])


@given(x=st.integers(0, 29), y=st.integers(0, 19))
def test_the_box_of_a_pixel_is_the_keypoint_of_that_pixel(write, x, y):
    boxes = [{"bbox": [x, y, 1, 1]}, {"keypoints": [x, y, 1]}]
    path = write(coco(annotations=[{"id": i, "image_id": 2, **box} for i, box in enumerate(boxes)]))
    assert_array_equal(read_points(path, duplicates="keep").points[1], [[y, x], [y, x]])


def test_of_several_keypoints_the_labelled_one_counts_and_else_the_box(write):
    path = write(annotation(bbox=[2, 2, 2, 2], keypoints=[0, 0, 0, 9, 8, 1]))
    assert_array_equal(read_points(path).points[0], [[8, 9]])
    path = write(annotation(bbox=[2, 2, 2, 2], keypoints=[1, 1, 2, 9, 8, 1]))
    with pytest.raises(
        ValueError, match=r"annotation 1 has 2 keypoints.* keypoints='objects' .* keypoints='parts'"
    ):
        read_points(path)
    assert_array_equal(read_points(path, keypoints="parts").points[0], [[2.5, 2.5]])
    assert_array_equal(read_points(path, keypoints="parts", origin=0).points[0], [[3, 3]])
    assert_array_equal(read_points(path, keypoints="objects").points[0], [[1, 1], [8, 9]])


def test_categories_are_labels(write):
    path = write(coco())
    assert read_points(path, labels="cell").points.counts.tolist() == [0, 0, 1]
    assert read_points(path, labels="debris").points.counts.tolist() == [1, 0, 1]
    assert_array_equal(read_points(path, labels="debris").points[2], [[5, 7]])
    assert read_points(path, labels="dust").points.counts.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match=r"`labels` .* 'cell', 'debris', 'dust'.* got 'cells'"):
        read_points(path, labels=["cell", "cells"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("3", "JSON int; expected an object or an array"),
        ({"images": []}, "format='coco'; expected the lists 'images' and 'annotations'"),
        (coco(images=[{"id": 1, "file_name": "a"}] * 2, annotations=[]), "an id of its own"),
        (coco(images=[{"id": 1}], annotations=[]), "image 1 has no 'file_name'"),
        (coco(images=[{}]), "no 'id'"),
        (annotation(image_id=9), "image 9"),
        (annotation(), "annotation 1 .* bounding box .* got the box None and 0 keypoints"),
        (annotation(bbox=[1, 2]), "annotation 1 .* got the box \\[1, 2\\]"),
        (annotation(bbox=[1, 2, 3, "4"]), "bounding box of annotation 1 .* got \\[3, '4'\\]"),
        (annotation(keypoints=[1, None, 2]), "keypoint of annotation 1 .* got \\[1, None\\]"),
        (annotation(bbox=[1, 2, float("nan"), 1]), r"annotation 1 .* got \[nan, 1\]"),
        (annotation(bbox=[1, 2, 3, 4], iscrowd=1), "annotation 1 describes a crowd"),
    ],
)
def test_what_is_no_coco_is_refused(write, content, message):
    with pytest.raises(ValueError, match=f"instances.json.*{message}"):
        read_points(write(content), "coco")


def test_sizes_that_are_no_sizes_are_not_known(write):
    images = [{"id": 1, "file_name": "a", "height": None, "width": 30}, {"id": 2, "file_name": "b"}]
    cells = read_points(write(coco(images=images, annotations=[])))
    assert cells.image_shapes == [None, None]
    assert cells.points.coordinates.dtype == np.float64


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.floats() | st.sampled_from(["a", "point", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


def entry(**right):
    """An entry with some of its keys right, some wrong, and some not there."""
    optional = {key: st.just(value) | JSON for key, value in right.items()}
    return st.fixed_dictionaries({}, optional=optional) | JSON


IMAGE = st.just({"id": 1, "file_name": "a"}) | entry(id=2, file_name="b", height=4)
BOX = entry(image_id=1, category_id=1, bbox=[1, 2, 3, 4], keypoints=[1, 2, 2], iscrowd=0, id=1)
COCO = st.fixed_dictionaries(
    {"images": st.lists(IMAGE, max_size=2), "annotations": st.lists(BOX, max_size=2)},
    optional={"categories": JSON | st.lists(entry(id=1, name="cell"))},
)
SHAPE = entry(label="a", points=[[1, 2]], shape_type="point")
LABELME = st.fixed_dictionaries(
    {"shapes": st.lists(SHAPE, max_size=2)}, optional={"imagePath": JSON, "imageHeight": JSON}
)


@settings(max_examples=200)
@given(content=COCO | LABELME)
def test_whatever_json_says_is_read_or_refused(write, content):
    try:
        points = read_points(write(content, "a.json"), outside="ignore", duplicates="keep").points
    except ValueError as error:
        assert "a.json" in str(error)  # noqa: PT017 - another error fails the test
    else:
        assert np.isfinite(points.coordinates).all()
