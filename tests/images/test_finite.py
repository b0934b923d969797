import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from skcount.images import PixelStatistics, bands, check_images, image_statistics

law = settings(max_examples=50, deadline=None)


@law
@given(
    arrays(np.float64, array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.floats(allow_nan=False)),
    st.sampled_from([np.float32, np.float64]),
)
def test_an_image_passes_exactly_if_every_pixel_is_finite_in_the_precision_it_is_read_in(image, dtype):
    images = check_images(image.transpose(1, 2, 0)[None])
    with np.errstate(over="ignore"):
        is_finite = np.isfinite(image.astype(dtype)).all()
    # Squares of what is near the largest number are infinite, which is no fault of the image.
    with np.errstate(over="ignore", invalid="ignore"):
        if is_finite:
            image_statistics(images, 0, dtype)
        else:
            with pytest.raises(ValueError, match="NaN or infinity"):
                image_statistics(images, 0, dtype)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_not_finite_is_named_with_its_place(bad):
    image = np.zeros((2, 4, 5))
    image[1, 2, 3] = image[1, 3, 0] = bad
    words = f"Image 7 of X has 2 pixels .* {bad} at row 12, column 3, channel 1.*nan_to_num"
    with pytest.raises(ValueError, match=words):
        PixelStatistics(2).add(image, 7, (10, 0))


def test_infinities_that_cancel_and_sums_that_overflow_neither_warn_nor_deceive():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="has 2 pixels"):
            PixelStatistics(1).add(np.array([[[np.inf, -np.inf]]]), 0)
        PixelStatistics(1).add(np.full((1, 2, 2), np.finfo(np.float32).max, np.float32), 0)


def test_bands_are_the_image_from_top_to_bottom(monkeypatch):
    images = check_images(np.random.default_rng(0).random((1, 7, 5, 3)))
    monkeypatch.setattr("skcount.images._pixels.BAND", 40)
    parts = list(bands(images, 0, np.float64))
    assert [top for top, _ in parts] == [0, 2, 4, 6]
    np.testing.assert_array_equal(
        np.concatenate([part for _, part in parts], axis=1), images.read(0, dtype=np.float64)
    )
