import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skcount.io import load_folder, read_points

Image = pytest.importorskip("PIL.Image", reason="pillow reads pictures")

NAME = "a.txt"


def test_fractions_become_pixels_of_the_image(write):
    path = write("0 0.30 0.40 0.40 0.40\n0 0.80 0.40 0.20 0.40\n")
    trees = read_points(path, image_shape=(100, 100))
    assert_allclose(trees.points[0], [[39.5, 29.5], [39.5, 79.5]])
    assert trees.labels == {"0": 2}
    with pytest.raises(
        ValueError, match=r"fractions of the image's size, but the size of a is not known.*`image_shape`"
    ):
        read_points(path)


def test_classes_have_to_be_chosen_and_a_confidence_is_told(write):
    path = write("0 0.3 0.4 0.4 0.4\n1 0.8 0.4 0.2 0.4\n")
    with pytest.raises(ValueError, match=r"2 labels \('0': 1, '1': 1\)"):
        read_points(path, image_shape=(10, 10))
    assert len(read_points(path, labels=[0, 1], image_shape=(10, 10)).points[0]) == 2
    path = write("0 0.3 0.4 0.4 0.4 0.91\n0 0.8 0.4 0.2 0.4 0.33\n")
    with pytest.raises(ValueError, match=r"'confidence' varies .*ignore=\['confidence'\]"):
        read_points(path, image_shape=(10, 10))
    assert len(read_points(path, ignore="confidence", image_shape=(10, 10)).points[0]) == 2


def test_an_empty_file_needs_its_format(write):
    with pytest.raises(ValueError, match=r"may be yolo .* or jhu .*Pass `format`"):
        read_points(write(""))
    assert read_points(write(""), "yolo").points.counts.tolist() == [0]
    assert read_points(write(""), "jhu").points.counts.tolist() == [0]


def test_a_folder_of_labels_with_the_names_of_classes(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for name, text in (("a", "0 0.5 0.25 0.1 0.1\n"), ("b", "")):
        Image.fromarray(np.zeros((40, 80), dtype=np.uint8)).save(tmp_path / "images" / f"{name}.png")
        (tmp_path / "labels" / f"{name}.txt").write_text(text)
    (tmp_path / "labels" / "classes.txt").write_text("tree\n")
    _, points = load_folder(tmp_path / "images", tmp_path / "labels", "yolo", return_X_y=True)
    assert points.counts.tolist() == [1, 0]
    assert_array_equal(points[0], [[9.5, 39.5]])


def test_heads_of_jhu_crowd_are_whole_pixels(write):
    heads = read_points(write("166 228 22 27 1 0\n414 218 15 23 2 1\n"))
    assert_array_equal(heads.points[0], [[228, 166], [218, 414]])
