import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skcount.io import read_points

NAME = "project.json"


def keypoint(x, y, label="seal", kind="keypointlabels", **value):
    """A region of Label Studio: percentages of an image of 64 x 48 pixels."""
    value = {"x": x, "y": y, "width": 0.5, **value, kind: [label]}
    return {"id": "k", "type": kind, "original_width": 64, "original_height": 48, "value": value}


def task(name, *annotations, **more):
    """A task with annotations, each a list of regions or (annotator, list of regions)."""
    made = [
        {"id": i, "completed_by": 1, "was_cancelled": False, "result": regions}
        for i, regions in enumerate(annotations)
    ]
    return {"id": 3, "data": {"image": name}, "annotations": made, **more}


def test_percentages_become_pixels_and_the_prefix_of_an_upload_goes(write):
    path = write([
        task("/data/upload/1/3f2a9c1e-a.png", [keypoint(50, 25), keypoint(75, 50)]),
        task("/data/local-files/?d=seals/b%20c.png", []),
        task("s3://bucket/x/d.jpg", [keypoint(10, 12, kind="rectanglelabels", width=20, height=10)]),
    ])  # fmt: skip
    seals = read_points(path)
    assert seals.names == ["a.png", "seals/b c.png", "/x/d.jpg"]
    assert seals.image_shapes == [(48, 64), None, (48, 64)]
    assert_allclose(seals.points[0], [[11.5, 31.5], [23.5, 47.5]])
    assert_allclose(seals.points[2], [[0.17 * 48 - 0.5, 0.2 * 64 - 0.5]])
    assert read_points(path, names=["3f2a9c1e-a.png", "b c.png", "d.jpg"]).points.counts.tolist() == [2, 0, 1]


@given(x=st.floats(0, 100), y=st.floats(0, 100))
def test_every_percentage_is_read(write, x, y):
    found = read_points(write([task("a.png", [keypoint(x, y)])]), unit="pixel", outside="ignore").points[0]
    assert_allclose(found, [[y * 0.48 - 0.5, x * 0.64 - 0.5]], atol=1e-9)


@pytest.mark.parametrize("angle", [0, 30, 90, 200])
def test_a_rotated_rectangle_is_counted_at_its_centre(write, angle):
    turn = np.deg2rad(angle)
    corner, half = np.array([32.0, 24.0]), np.array([[6.4], [4.8]])  # 20 % x 20 % of 64 x 48
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    region = keypoint(50, 50, kind="rectanglelabels", width=20, height=20, rotation=angle)
    found = read_points(write([task("a.png", [region])]), outside="ignore").points[0]
    assert_allclose(found[0, ::-1] + 0.5, corner + (rotation @ half).ravel())


def test_several_annotators_are_told_and_skipped_tasks_are_no_images(write):
    one, other = [keypoint(10, 10), keypoint(20, 20)], [keypoint(11, 10), keypoint(20, 21)]
    tasks = [task("a.png", one, other), task("b.png"), task("c.png", one)]
    for number, annotation in enumerate(tasks[0]["annotations"]):
        annotation["completed_by"] = {"id": number, "email": f"user{number}@example.org"}
    tasks[2]["annotations"][0]["was_cancelled"] = True
    with pytest.raises(ValueError, match=r"'annotator' varies .*where=\{'annotator': 'user0@example.org'\}"):
        read_points(write(tasks))
    cells = read_points(write(tasks), where={"annotator": "user1@example.org"})
    assert (cells.names, cells.points.counts.tolist()) == (["a.png"], [2])


def test_labels_have_to_be_chosen_and_ratings_are_no_points(write):
    rating = {"type": "rating", "value": {"rating": 3}}
    path = write([task("a.png", [keypoint(1, 1), keypoint(2, 2, "pup"), rating])])
    with pytest.raises(ValueError, match=r"labels \('seal': 1, 'pup': 1\)"):
        read_points(path)
    assert read_points(path, labels="pup", unit="pixel").points.counts.tolist() == [1]
    brush = keypoint(0, 0, kind="brushlabels")
    with pytest.raises(ValueError, match="shapes must be points; got brush"):
        read_points(write([task("a.png", [brush])]))


def test_the_short_export_is_read_as_the_long_one(write):
    regions = [{**keypoint(x, 50)["value"], "original_width": 64, "original_height": 48} for x in (10, 20)]
    short = [
        {"image": "/data/upload/1/3f2a9c1e-a.png", "id": 1, "kp": regions, "annotator": 1, "annotation_id": 2}
    ]
    long = [task("/data/upload/1/3f2a9c1e-a.png", [keypoint(10, 50), keypoint(20, 50)])]
    cells, same = read_points(write(short)), read_points(write(long))
    assert (cells.names, cells.points) == (same.names, same.points)


def test_files_of_one_name_keep_their_prefixes(write):
    tasks = [task(f"/data/upload/1/{prefix}-a.png", [keypoint(1, 1)]) for prefix in ("3f2a9c1e", "00000000")]
    assert read_points(write(tasks), unit="pixel").names == ["3f2a9c1e-a.png", "00000000-a.png"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([task("a", [])], "task 3 must name one picture; got \\[\\]"),
        ([task("a.png", [{**keypoint(1, 1), "original_width": 0}])], "region 'k' must have original_width"),
        ([task("a.png", [keypoint("1", 1)])], "x and y of a region must be two numbers"),
        ([task("a.png", [keypoint(1, 1), {**keypoint(1, 1), "original_width": 3}])], ".* must give one size"),
    ],
)
def test_damaged_files_are_refused(write, content, message):
    with pytest.raises(ValueError, match=f"project.json: {message}"):
        read_points(write(content))
