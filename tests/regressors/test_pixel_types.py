"""The same pixels in another type give the same counts, are refused, or cause a warning: never another count silently."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcount import ImageSet, OutOfDistributionWarning, UNetRegressor, load
from skcount.datasets import make_cells

X, POINTS = make_cells(4, image_shape=(48, 56), random_state=0, return_X_y=True)
WIDE = [np.int32, np.int64, np.uint32, np.uint64]


def new(**params):
    return UNetRegressor(filters=4, max_epochs=2, random_state=0, **params)


@pytest.fixture(scope="module")
def fitted():
    return new().fit(X, POINTS)


@pytest.mark.parametrize("dtype", WIDE)
def test_wide_integers_count_like_those_of_the_training(fitted, dtype):
    expected = fitted.predict(X)
    for images in (
        X.astype(dtype),
        list(X.astype(dtype)),
        ImageSet(X.astype(dtype)),
        X.astype(dtype)[:, ::1],
    ):
        np.testing.assert_array_equal(fitted.predict(images), expected)
    np.testing.assert_array_equal(fitted.predict_density(X.astype(dtype)), fitted.predict_density(X))
    np.testing.assert_array_equal(
        fitted.set_params(tile_size=112).predict(X.astype(dtype)), fitted.predict(X)
    )
    fitted.set_params(tile_size=None)


def test_nested_lists_count_like_arrays(fitted):
    np.testing.assert_array_equal(fitted.predict(X.tolist()), fitted.predict(X))


@pytest.mark.parametrize("value", [-1, 256, 2**40])
def test_wide_integers_that_do_not_fit_are_refused(fitted, value):
    images = X.astype(np.int64)
    images[2, 3, 4] = value
    with pytest.raises(
        ValueError, match=r"Image 2 of X must hold uint8 pixels, from 0 to 255, .* got int64 pixels from"
    ):
        fitted.predict(images)


@pytest.mark.parametrize("dtype", WIDE)
def test_a_fit_on_wide_integers_counts_narrow_ones(dtype):
    regressor = new().fit(X.astype(dtype), POINTS)
    np.testing.assert_array_equal(regressor.predict(X), regressor.predict(X.astype(dtype)))


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int8, bool, np.float32, np.float64])
def test_another_narrow_type_is_never_silent(fitted, dtype):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted.predict((X // 2).astype(dtype))
    assert caught[0].category is OutOfDistributionWarning
    assert f"pixels of type {np.dtype(dtype)}, and the training images had uint8" in str(caught[0].message)


def test_floats_of_any_precision_and_byte_orders_are_one_type(fitted):
    floats = new().fit((X / 255).astype(np.float32), POINTS)
    np.testing.assert_allclose(
        floats.predict(X / 255), floats.predict((X / 255).astype(np.float32)), rtol=1e-4
    )
    deep = new().fit(X.astype(np.uint16), POINTS)
    np.testing.assert_array_equal(deep.predict(X.astype(">u2")), deep.predict(X.astype(np.uint16)))


def test_a_saved_model_knows_its_type(fitted, tmp_path):
    fitted.save(tmp_path / "cells.skcount")
    loaded = load(tmp_path / "cells.skcount")
    np.testing.assert_array_equal(loaded.predict(X.astype(np.int64)), fitted.predict(X))
    with pytest.warns(OutOfDistributionWarning, match="training images had uint8"):
        loaded.predict(X / 255)


@settings(max_examples=30)
@given(
    dtype=st.sampled_from(WIDE),
    holder=st.sampled_from([np.asarray, list, tuple, ImageSet, np.asfortranarray]),
    order=st.sampled_from("<>"),
    roi=st.booleans(),
)
def test_no_holder_of_wide_integers_changes_a_count(fitted, dtype, holder, order, roi):
    region = np.ones((48, 56), bool) if roi else None
    images = holder(X.astype(np.dtype(dtype).newbyteorder(order)))
    np.testing.assert_array_equal(fitted.predict(images, roi=region), fitted.predict(X, roi=region))


def test_maps_are_not_written_over_the_images_that_are_read(fitted):
    floats = new(tile_size=112).fit(X[..., 0] / 255, POINTS)
    images = X[..., 0] / 255
    for out in (images, list(images), images[::1]):
        with pytest.raises(ValueError, match="`out` must not share memory with `X`"):
            floats.predict_density(images, out=out)


def test_one_grey_image_needs_its_sample_axis(fitted):
    for action in (fitted.predict, lambda image: new().fit(image, POINTS)):
        with pytest.raises(ValueError, match=r"looks like a single image with 1 channels; .* Pass X\[None\]"):
            action(X[0, :, :, :1])
