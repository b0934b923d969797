import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skcount import ImageSet, PointAnnotations
from skcount.images import (
    load_images,
    scale_density,
    scale_images,
    scale_points,
    unscale_density,
    unscale_points,
)
from skcount.io import load_hdf5, save_hdf5

FACTORS = st.sampled_from([0.5, 1, 2, 3, 5])
sizes = st.tuples(st.integers(1, 17), st.integers(1, 17))


def block_mean(image, factor, row, col):
    """Return the mean of one block of an image (height, width[, n_channels])."""
    return image[row * factor : (row + 1) * factor, col * factor : (col + 1) * factor].mean(axis=(0, 1))


@given(size=sizes, factor=FACTORS, seed=st.integers(0, 99), has_roi=st.booleans())
def test_maps_keep_their_sum_in_both_directions(size, factor, seed, has_roi):
    rng = np.random.default_rng(seed)
    density = rng.random(size)
    roi = rng.random(size) < 0.6 if has_roi else None
    inside = density if roi is None else density * roi
    small = scale_density(density, factor, roi)
    assert small.shape == scale_images(ImageSet(density[None]), factor).sizes[0]
    assert small.sum() == pytest.approx(inside.sum(), abs=1e-9)
    back = unscale_density(small, factor, size, roi)
    assert back.shape == size
    assert back.sum() == pytest.approx(inside.sum(), abs=1e-9)
    if roi is not None and factor >= 1:
        assert not back[~roi].any()


@given(size=sizes, factor=FACTORS, data=st.data())
def test_points_stay_on_their_image_and_come_back(size, factor, data):
    points = data.draw(hnp.arrays(float, (5, 2), elements=st.floats(0, 1, exclude_max=True))) * size - 0.5
    scaled = scale_points(points, factor)
    working = scale_images(ImageSet(np.zeros((1, *size))), factor).sizes[0]
    assert ((scaled >= -0.5) & (scaled <= np.array(working) - 0.5)).all()
    np.testing.assert_allclose(unscale_points(scaled, factor), points, atol=1e-9)


@given(size=sizes, factor=st.sampled_from([1, 2, 3, 5]), seed=st.integers(0, 99), is_grey=st.booleans())
def test_a_working_pixel_is_the_mean_of_its_block(size, factor, seed, is_grey):
    image = np.random.default_rng(seed).integers(0, 256, (*size, 2), dtype=np.uint8)
    image = image[..., 0] if is_grey else image
    scaled = scale_images(ImageSet([image]), factor)
    working = scaled.read(0)
    rows, cols = scaled.sizes[0]
    for row, col in [(0, 0), (rows - 1, cols - 1)]:
        np.testing.assert_allclose(working[:, row, col], block_mean(image / 255, factor, row, col), rtol=1e-5)
    assert scaled.n_channels == ImageSet([image]).n_channels
    assert scaled.ndim == ImageSet([image]).ndim


@given(size=sizes, factor=FACTORS, data=st.data())
def test_a_window_is_that_part_of_the_image(size, factor, data):
    rng = np.random.default_rng(0)
    roi = rng.random(size) < 0.7
    roi[0, 0] = True
    working = scale_images(ImageSet(rng.random((1, *size, 3)), roi=roi), factor, fill=[1, 2, 3])
    height, width = working.sizes[0]
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = (top, left, data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left)))
    whole = working.read(0)
    expected = whole[:, top : top + window[2], left : left + window[3]]
    np.testing.assert_array_equal(working.read(0, window), expected)
    np.testing.assert_array_equal(np.asarray(working[0]).transpose(2, 0, 1), whole)


@pytest.mark.parametrize("factor", [0.5, 1, 2])
def test_what_is_outside_the_region_has_no_effect_and_empty_blocks_are_filled(factor):
    rng = np.random.default_rng(0)
    roi = np.arange(9) < np.full((8, 1), 5)
    image = rng.random((8, 9))
    scaled = [
        scale_images(ImageSet(np.where(roi, image, value)[None], roi=roi), factor, fill=[7.0]).read(0)
        for value in (0.0, -9999.0, np.nan, np.inf)
    ]
    for other in scaled[1:]:
        np.testing.assert_array_equal(other, scaled[0])
    assert (scaled[0][:, :, -1] == 7).all()
    assert scaled[0][:, :, : int(5 / factor)].max() <= 1


def test_side_data_are_scaled_and_groups_stay():
    roi = np.zeros((6, 7), dtype=bool)
    roi[2, 3] = True
    images = ImageSet(
        np.zeros((2, 6, 7)), roi=[roi, ~roi], perspective=np.ones((6, 7)) * 3, groups=["a", "b"]
    )
    working = scale_images(images, 2)
    assert working.sizes == [(3, 4)] * 2
    np.testing.assert_array_equal(np.argwhere(working.side_data(0)["roi"]), [[1, 1]])
    assert working.side_data(1)["roi"].all()
    np.testing.assert_array_equal(working.side_data(0)["perspective"], np.full((3, 4), 3))
    assert working.groups.tolist() == ["a", "b"]
    assert working.take([1]).side_data(0)["roi"].all()


def test_images_that_need_no_change_are_returned_as_they_are():
    images = ImageSet(np.zeros((2, 6, 7), dtype=np.uint8))
    assert scale_images(images, 1) is images


def test_images_in_files_are_scaled_when_they_are_read(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (3, 8, 9, 3), dtype=np.uint8)
    save_hdf5(tmp_path / "a.h5", X, PointAnnotations([[(1, 1)]] * 3))
    images, _ = load_hdf5(tmp_path / "a.h5", return_X_y=True)
    working, expected = scale_images(images, 3), scale_images(ImageSet(X), 3)
    np.testing.assert_array_equal(working.read(1), expected.read(1))
    assert len(pickle.dumps(working)) < X.nbytes + 2000
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(working))[2], expected[2])
    loaded = load_images(working[[2, 0]])
    images.close()
    (tmp_path / "a.h5").unlink()
    np.testing.assert_array_equal(loaded.read(1), expected.read(0))


# --- pixels without data ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nodata", [-9999, np.nan])
@pytest.mark.parametrize("n_channels", [None, 2])
def test_pixels_without_data_are_outside_the_region(nodata, n_channels):
    rng = np.random.default_rng(0)
    has_data, roi = rng.random((3, 6, 7)) < 0.7, rng.random((6, 7)) < 0.8
    X = rng.random((3, 6, 7) if n_channels is None else (3, 6, 7, n_channels))
    X[~has_data] = nodata
    images = ImageSet(X, roi=roi, nodata=nodata)
    np.testing.assert_array_equal(np.asarray(images.roi), has_data & roi)
    np.testing.assert_array_equal(images[[2]].side_data(0)["roi"], has_data[2] & roi)
    assert "roi" in repr(images)


def test_a_channel_with_data_is_enough():
    X = np.array([[[[-1.0, 2.0], [-1.0, -1.0]]]])
    assert ImageSet(X, nodata=-1).roi[0].tolist() == [[True, False]]


def test_masks_of_images_in_files_are_computed_when_they_are_read(tmp_path):
    X = np.random.default_rng(0).random((3, 8, 9))
    X[:, :, 5:] = -9999
    save_hdf5(tmp_path / "a.h5", X, PointAnnotations([[(1, 1)]] * 3))
    images, _ = load_hdf5(tmp_path / "a.h5", return_X_y=True)
    images = pickle.loads(pickle.dumps(ImageSet(images, nodata=-9999)))
    np.testing.assert_array_equal(images.side_data(1)["roi"], X[1] != -9999)
    empty = ImageSet(images, nodata=float(X[1, 0, 0]))
    assert empty.side_data(0)["roi"].any()


@pytest.mark.parametrize("nodata", ["-9999", True, [0]])
def test_a_value_that_is_no_number_is_refused(nodata):
    with pytest.raises(ValueError, match="`nodata` must be a number"):
        ImageSet(np.zeros((1, 4, 4)), nodata=nodata)


def test_an_image_without_any_data_is_refused():
    with pytest.raises(ValueError, match="no pixel inside"):
        ImageSet(np.zeros((1, 4, 4)), nodata=0)
