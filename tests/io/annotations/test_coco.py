import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skcount.io import read_points


def coco(**changes):
    """Three images of 20 x 30 pixels, the second without annotations."""
    content = {
        "images": [
            {"id": i, "file_name": f"{name}.jpg", "height": 20, "width": 30}
            for i, name in enumerate("abc", 1)
        ],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 1, "bbox": [10, 4, 2, 6], "area": 12, "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1], "iscrowd": 0},
            {
                "id": 3,
                "image_id": 3,
                "category_id": 2,
                "bbox": [0, 0, 9, 9],
                "keypoints": [7, 5, 2],
                "num_keypoints": 1,
            },
        ],
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "debris"}, {"id": 3, "name": "dust"}],
    }
    return content | changes


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "instances.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def annotation(**changes):
    return coco(annotations=[{"id": 1, "image_id": 1, "category_id": 1, **changes}])


def test_all_images_come_with_their_sizes_those_without_annotations_too(write):
    cells = read_points(write(coco()))
    assert cells.names == ["a.jpg", "b.jpg", "c.jpg"]
    assert cells.image_shapes == [(20, 30)] * 3
    assert cells.points.counts.tolist() == [1, 0, 2]


def test_a_box_is_read_by_its_centre_from_the_corner_of_the_image(write):
    # The box of exactly the first pixel has its centre at (0, 0), the centre of that pixel.
    cells = read_points(write(coco()))
    assert_array_equal(cells.points[0], [[0, 0]])
    assert_array_equal(cells.points[2][0], [6.5, 10.5])


def test_a_single_keypoint_is_the_centre_of_its_pixel(write):
    assert_array_equal(read_points(write(coco())).points[2][1], [5, 7])


@given(x=st.integers(0, 29), y=st.integers(0, 19))
def test_the_box_of_a_pixel_is_the_keypoint_of_that_pixel(tmp_path_factory, x, y):
    path = tmp_path_factory.mktemp("coco") / "instances.json"
    boxes = [{"bbox": [x, y, 1, 1]}, {"keypoints": [x, y, 1]}]
    path.write_text(
        json.dumps(coco(annotations=[{"id": i, "image_id": 2, **box} for i, box in enumerate(boxes)]))
    )
    assert_array_equal(read_points(path).points[1], [[y, x], [y, x]])


def test_of_several_keypoints_the_labelled_one_counts_and_else_the_box(write):
    path = write(annotation(bbox=[2, 2, 2, 2], keypoints=[0, 0, 0, 9, 8, 1]))
    assert_array_equal(read_points(path).points[0], [[8, 9]])
    path = write(annotation(bbox=[2, 2, 2, 2], keypoints=[1, 1, 2, 9, 8, 1]))
    assert_array_equal(read_points(path).points[0], [[2.5, 2.5]])


def test_another_origin_can_be_given(write):
    assert_array_equal(read_points(write(annotation(bbox=[2, 2, 2, 2])), origin=0).points[0], [[3, 3]])


def test_categories_are_labels(write):
    path = write(coco())
    assert read_points(path, labels="cell").points.counts.tolist() == [0, 0, 1]
    assert read_points(path, labels="debris").points.counts.tolist() == [1, 0, 1]
    assert_array_equal(read_points(path, labels="debris").points[2], [[5, 7]])
    assert read_points(path, labels="dust").points.counts.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="labelled 'cells'; the labels there are 'cell', 'debris', 'dust'"):
        read_points(path, labels=["cell", "cells"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no valid JSON"),
        ("[" * 100_000, "is no valid JSON"),
        ("[]", "holds a JSON list; expected the object of COCO or LabelMe"),
        ({"images": []}, "no lists 'images' and 'annotations'"),
        (coco(images=[{"id": 1, "file_name": "a"}] * 2, annotations=[]), "several images of one id"),
        (coco(images=[{"id": 1}], annotations=[]), "image 1 has no 'file_name'"),
        (coco(images=[{}]), "an entry without 'id'"),
        (annotation(image_id=9), "an annotation of image 9, which is not among its images"),
        (annotation(), "0 labelled keypoints and the bounding box None; expected a box"),
        (annotation(bbox=[1, 2]), "the bounding box \\[1, 2\\]; expected a box"),
        (annotation(bbox=[1, 2, 3, "4"]), "bounding box of annotation 1 is .*expected two numbers"),
        (annotation(keypoints=[1, None, 2]), "the keypoint of annotation 1 is .*expected two numbers"),
        (annotation(bbox=[1, 2, float("nan"), 1]), r"annotation 1 is \[nan, 1\]; expected two numbers"),
        (annotation(bbox=[1, 10**400, 1, 1]), "annotation 1 is .*; expected two numbers"),
        (annotation(bbox=[1, 2, 3, 4], iscrowd=1), "annotation 1 is of a crowd"),
    ],
)
def test_what_is_no_coco_is_refused(write, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_points(write(content), "coco")
    assert "instances.json" in str(caught.value)


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
    return (
        st.fixed_dictionaries({}, optional={key: st.just(value) | JSON for key, value in right.items()})
        | JSON
    )


COCO = st.fixed_dictionaries(
    {
        "images": st.lists(
            st.just({"id": 1, "file_name": "a"}) | entry(id=2, file_name="b", height=4), max_size=2
        ),
        "annotations": st.lists(
            entry(image_id=1, category_id=1, bbox=[1, 2, 3, 4], keypoints=[1, 2, 2], iscrowd=0, id=1),
            max_size=2,
        ),
    },
    optional={"categories": JSON | st.lists(entry(id=1, name="cell"))},
)
LABELME = st.fixed_dictionaries(
    {"shapes": st.lists(entry(label="a", points=[[1, 2]], shape_type="point"), max_size=2)},
    optional={"imagePath": JSON, "imageHeight": JSON},
)


def points_or_refusal(path):
    try:
        return read_points(path, outside="ignore").points
    except ValueError as error:
        return error


@settings(max_examples=500)
@given(content=COCO | LABELME)
def test_whatever_json_says_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(json.dumps(content))
    outcome = points_or_refusal(path)
    assert (
        "a.json" in str(outcome)
        if isinstance(outcome, ValueError)
        else np.isfinite(outcome.coordinates).all()
    )
