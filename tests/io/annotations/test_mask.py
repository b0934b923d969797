import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_array_equal
from scipy import ndimage

from skcount.io import read_points
from skcount.io._annotations._areas import find_areas

Image = pytest.importorskip("PIL.Image", reason="pillow reads pictures")


def read(folder, labels, **options):
    path = folder / "mask.png"
    Image.fromarray(labels, **options).save(path)
    return read_points(path, "mask")


SIDES = array_shapes(min_dims=2, max_dims=2, max_side=12)


@given(labels=arrays(np.uint16, SIDES, elements=st.sampled_from([0, 1, 2, 65535])))
def test_each_area_that_hangs_together_has_exactly_one_point_inside(labels):
    points, sizes, values = find_areas(labels)
    assert (sizes.sum(), len(values)) == ((labels > 0).sum(), len(points))
    rows, cols = np.floor(points + 0.5).astype(int).T
    n_objects = 0
    for label in np.unique(labels[labels > 0]):
        parts, n_parts = ndimage.label(labels == label, structure=np.ones((3, 3)))
        found = parts[rows, cols]
        assert sorted(found[found > 0]) == list(range(1, n_parts + 1))
        n_objects += n_parts
    assert len(points) == n_objects


def test_touching_areas_of_different_labels_stay_apart(tmp_path):
    labels = np.zeros((6, 8), dtype=np.uint16)
    labels[1:5, 1:4], labels[1:5, 4:7] = 300, 301
    cells = read(tmp_path, labels)
    assert_array_equal(cells.points[0], [[2.5, 2], [2.5, 5]])
    assert cells.image_shapes == [(6, 8)]


def test_the_point_of_a_crescent_lies_in_it():
    labels = np.zeros((9, 11), dtype=np.int32)
    labels[1:8, 1:10] = 1
    labels[1:6, 3:8] = 0  # a U, whose centre of mass is in its opening
    depth = ndimage.distance_transform_edt(labels)
    ((row, col),) = find_areas(labels)[0].astype(int)
    assert depth[row, col] == depth.max()


def test_of_a_palette_the_indices_are_labels(tmp_path):
    image = Image.fromarray(np.array([[1, 2, 2], [0, 0, 0]], dtype=np.uint8))
    image.putpalette([0, 0, 0, 255, 0, 0, 255, 0, 0])
    image.save(tmp_path / "mask.png")
    assert_array_equal(read_points(tmp_path / "mask.png", "mask").points[0], [[0, 0], [0, 1.5]])


def test_an_empty_mask_has_no_points(tmp_path):
    assert read(tmp_path, np.zeros((4, 4), dtype=np.uint8)).points.counts.tolist() == [0]


def test_of_several_channels_the_one_that_varies_is_read_or_chosen(tmp_path):
    pixels = np.zeros((4, 6, 4), dtype=np.uint8)
    pixels[:, :, 3] = 255
    pixels[1, 1, 0], pixels[1, 4, 0] = 1, 2
    assert read(tmp_path, pixels).points[0].tolist() == [[1, 1], [1, 4]]
    assert read(tmp_path, np.dstack([pixels[:, :, 0]] * 3)).points.counts.tolist() == [2]
    pixels[2:, 2:, 3] = 0
    with pytest.raises(
        ValueError, match=r"of which 0, 3 differ\. Pass the one with the labels, such as channel=0"
    ):
        read(tmp_path, pixels)
    assert read_points(tmp_path / "mask.png", "mask", channel=0).points.counts.tolist() == [2]
    with pytest.raises(ValueError, match="`channel` must be from 0 to 3; got 4"):
        read_points(tmp_path / "mask.png", "mask", channel=4)


def test_few_values_with_many_areas_are_classes(tmp_path):
    classes = np.zeros((20, 40), dtype=np.uint8)
    classes[2::6, 2::6] = 1
    classes[5::6, 5::6] = 2
    n_first, n_second = (classes == 1).sum(), (classes == 2).sum()
    with pytest.raises(ValueError, match=rf"2 labels \('1': {n_first}, '2': {n_second}\). Pass labels='1'"):
        read(tmp_path, classes)
    assert len(read_points(tmp_path / "mask.png", "mask", labels=2).points[0]) == n_second
    assert len(read_points(tmp_path / "mask.png", "mask", labels="*").points[0]) == n_first + n_second


@pytest.mark.parametrize("value", [-1, 0.5, np.nan, np.inf])
def test_labels_are_whole_numbers_from_zero(tmp_path, value):
    tifffile = pytest.importorskip("tifffile", reason="tifffile reads TIFF")
    tifffile.imwrite(tmp_path / "mask.tif", np.full((3, 3), value, dtype=np.float32))
    with pytest.raises(ValueError, match="whole numbers from 0"):
        read_points(tmp_path / "mask.tif", "mask")


def test_many_objects_of_one_value_and_many_values_everywhere_take_one_look():
    dots = np.zeros((500, 500), dtype=np.uint8)
    dots[::2, ::2] = 1
    assert len(find_areas(dots)[0]) == 62_500
    noise = np.random.default_rng(0).integers(1, 2**16, (250, 250))
    assert len(find_areas(noise)[0]) > 60_000
