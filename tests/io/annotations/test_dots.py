import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from skcount.io import read_points

Image = pytest.importorskip("PIL.Image", reason="pillow reads pictures")


def write(folder, pixels, name="dots.png", **options):
    Image.fromarray(pixels).save(folder / name, **options)
    return folder / name


@given(
    dots=arrays(bool, (6, 9)).filter(lambda dots: dots.mean() <= 0.5),
    mode=st.sampled_from(["1", "L", "RGB", "P", "I;16"]),
)
def test_every_pixel_that_is_not_black_is_one_object(tmp_path_factory, dots, mode):
    deep, shallow = Image.fromarray(dots.astype(np.uint16)), Image.fromarray(dots).convert("L")
    path = tmp_path_factory.mktemp("dots") / "a.png"
    (deep if mode == "I;16" else shallow.convert(mode)).save(path)
    cells = read_points(path, "dots", touching="separate")
    assert_array_equal(cells.points[0], np.argwhere(dots))
    assert cells.image_shapes == [(6, 9)]


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_dots_may_be_of_any_colour(tmp_path, channel):
    pixels = np.zeros((4, 5, 3), dtype=np.uint8)
    pixels[1, 2, channel] = 1
    assert_array_equal(read_points(write(tmp_path, pixels), "dots").points[0], [[1, 2]])


def test_a_jpeg_needs_a_threshold(tmp_path):
    pixels = np.zeros((32, 32), dtype=np.uint8)
    expected = np.array([[3, 4], [10, 20], [10, 22], [31, 0]])
    pixels[tuple(expected.T)] = 255
    path = write(tmp_path, pixels, "dots.jpg", quality=75)
    with pytest.raises(ValueError, match=r"JPEG .* `threshold`"):
        read_points(path, "dots")
    assert_array_equal(read_points(path, "dots", threshold=128).points[0], expected)
    assert len(read_points(path, "dots", threshold=0, touching="separate").points[0]) > len(expected)
    with pytest.raises(ValueError, match="JPEG"):  # told by its contents
        read_points(path.rename(tmp_path / "dots.png"), "dots")


def test_dots_on_white_are_refused(tmp_path):
    pixels = np.full((8, 8), 255, dtype=np.uint8)
    pixels[2, 2] = 0
    with pytest.raises(ValueError, match=r"dots must be on black.* got 63 dots in 64 pixels"):
        read_points(write(tmp_path, pixels), "dots")


@pytest.mark.parametrize(
    "arguments", [{"order": "xy"}, {"origin": 1}, {"scale": 2}, {"labels": "a"}, {"columns": (0, 1)}]
)
def test_a_picture_has_no_coordinates_to_be_read_otherwise(tmp_path, arguments):
    path = write(tmp_path, np.zeros((8, 8), dtype=np.uint8))
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} cannot be used with format='dots'"):
        read_points(path, "dots", **arguments)
