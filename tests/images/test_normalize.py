"""`normalize_images`: grey, each image by its own percentiles, light objects on a dark background."""

import numpy as np
import pytest

from skcount import ImageSet
from skcount.images import normalize_images, scale_images


def draw(rng, light_on_dark=True):
    """A few discs on a flat background with faint noise, float from 0 to 1."""
    image = np.full((40, 50), 0.2) + 0.01 * rng.standard_normal((40, 50))
    rows, cols = np.mgrid[:40, :50]
    for row, col in ((10, 10), (25, 30), (30, 8)):
        image[np.hypot(rows - row, cols - col) < 4] = 0.8
    return image if light_on_dark else 1 - image


def normalized(*images, **side_data):
    return [np.asarray(image) for image in normalize_images(ImageSet(list(images), **side_data))]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float32, np.float64])
@pytest.mark.parametrize("share", [0.03, 1.0])
def test_the_type_and_the_share_of_its_range_do_not_matter(dtype, share):
    image = draw(np.random.default_rng(0))
    scale = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1000.0
    steps = share * scale
    given = (image * steps).astype(dtype)
    expected, found = normalized(image)[0], normalized(given)[0]
    # Rounding to integers moves a pixel by at most one step of about 0.6 of the range.
    tolerance = 1e-4 + (2 / (0.6 * steps) if np.issubdtype(dtype, np.integer) else 0)
    np.testing.assert_allclose(found, expected, atol=tolerance)


def test_the_first_and_the_99th_percentile_become_0_and_1_and_the_rest_is_compressed():
    image = np.random.default_rng(0).gamma(1.0, size=(60, 60))
    low, high = np.percentile(image, [1, 99])
    (found,) = normalized(image)
    linear = (image - low) / (high - low)
    inside = (linear >= 0) & (linear <= 1)
    np.testing.assert_allclose(found[inside], linear[inside], atol=1e-5)
    np.testing.assert_allclose(found[linear > 1], 1 + np.log(linear[linear > 1]), atol=1e-5)
    np.testing.assert_allclose(found[linear < 0], -np.log1p(-linear[linear < 0]), atol=1e-5)


def test_dark_objects_on_a_light_background_are_turned_to_light_ones():
    light, dark = normalized(
        draw(np.random.default_rng(0)), draw(np.random.default_rng(0), light_on_dark=False)
    )
    np.testing.assert_allclose(light, dark, atol=1e-5)


def test_the_red_of_dark_objects_counts_and_the_mean_of_light_ones():
    light, dark = draw(np.random.default_rng(0)), draw(np.random.default_rng(0), light_on_dark=False)
    other = np.random.default_rng(1).uniform(0.4, 0.6, light.shape)
    of_light = np.stack([light, light, 3 * light], axis=-1)
    of_dark = np.stack([dark, other, dark], axis=-1)
    np.testing.assert_allclose(normalized(of_light)[0], normalized(light)[0], atol=1e-5)
    np.testing.assert_allclose(normalized(of_dark)[0], normalized(light)[0], atol=1e-5)


def test_transparency_is_not_used():
    image = np.stack([draw(np.random.default_rng(0))] * 3, axis=-1)
    with_alpha = np.concatenate([image, np.random.default_rng(1).random((40, 50, 1))], axis=-1)
    np.testing.assert_allclose(normalized(with_alpha)[0], normalized(image)[0], atol=1e-6)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_an_image_without_contrast_is_flat(value):
    (found,) = normalized(np.full((20, 20), value, dtype=np.uint8))
    assert not found.any()


def test_one_small_object_on_a_flat_background_is_not_lost():
    image = np.zeros((100, 100), dtype=np.uint8)
    image[50:55, 50:55] = 40  # a quarter of a percent of the pixels
    (found,) = normalized(image)
    assert found[52, 52] == 1
    assert found[0, 0] == 0


def test_only_pixels_in_the_region_decide():
    image = draw(np.random.default_rng(0))
    roi = np.ones(image.shape, dtype=bool)
    roi[:, 45:] = False
    spoilt = image.copy()
    spoilt[:, 45:] = 1e6
    found = normalized(spoilt, roi=roi)[0][:, :45]
    np.testing.assert_allclose(found, normalized(image, roi=roi)[0][:, :45])


def test_windows_are_parts_of_the_whole_image_also_at_the_working_size():
    images = normalize_images(ImageSet([draw(np.random.default_rng(0)), draw(np.random.default_rng(1))[:31]]))
    for each in (images, scale_images(images, [2, 0.5])):
        for index in range(2):
            whole = each.read(index)
            np.testing.assert_allclose(each.read(index, (4, 6, 9, 8)), whole[:, 4:13, 6:14], atol=1e-6)


def test_selecting_images_selects_their_levels():
    images = [draw(np.random.default_rng(seed)) * (1 + seed) for seed in range(3)]
    normalized_set = normalize_images(ImageSet(images))
    np.testing.assert_array_equal(normalized_set[[2, 0]][0], np.asarray(normalized_set[2]))


def test_pixels_that_are_not_finite_stay_so_and_do_not_decide():
    image = draw(np.random.default_rng(0))
    spoilt = image.copy()
    spoilt[0, 0] = np.nan
    (found,) = normalized(spoilt)
    assert np.isnan(found[0, 0])
    np.testing.assert_allclose(found[1:], normalized(image)[0][1:], atol=1e-2)


@pytest.mark.parametrize("n_channels", [2, 5])
def test_other_numbers_of_channels_are_refused(n_channels):
    with pytest.raises(ValueError, match=f"1, 3 or 4 channels.*got {n_channels}"):
        normalize_images(ImageSet(np.zeros((1, 8, 8, n_channels))))
