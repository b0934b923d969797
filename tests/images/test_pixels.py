import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.exceptions import ConvergenceWarning

from skcount import ImageSet, OutOfDistributionWarning, UNetRegressor
from skcount.datasets import make_cells
from skcount.images import Familiarity, channel_statistics, image_statistics
from skcount.images._pixels import PixelStatistics

stacks = hnp.arrays(
    "f4", hnp.array_shapes(min_dims=3, max_dims=3, max_side=7), elements=st.floats(-4, 4, width=16)
)


@given(stacks, st.integers(0, 6))
def test_parts_measure_as_the_whole(pixels, cut):
    whole, parts = PixelStatistics(len(pixels)), PixelStatistics(len(pixels))
    whole.add(pixels, 0)
    for part in (pixels[:, :cut], pixels[:, cut:]):
        if part.size:
            parts.add(part, 0)
    np.testing.assert_allclose(parts.mean, pixels.mean(axis=(1, 2), dtype=float), atol=1e-6)
    np.testing.assert_allclose(parts.mean, whole.mean, atol=1e-6)
    np.testing.assert_allclose(parts.squares, whole.squares, atol=1e-6)
    np.testing.assert_allclose(
        whole.squares, pixels.astype(float).var(axis=(1, 2)) * pixels[0].size, atol=1e-6
    )


def test_detail_halves_when_an_image_doubles():
    details = []
    for size in (64, 128):
        rows, cols = np.mgrid[:size, :size] / size
        image = (np.sin(9 * rows) + np.cos(7 * cols)).astype("f4")
        details.append(image_statistics(ImageSet(image[None]), 0).detail)
    assert details[0] / details[1] == pytest.approx(2, rel=0.02)


def test_pixels_of_any_size_are_measured(noise):
    X, points = noise
    huge = (X * np.float32(1e28)).astype(np.float32)
    regressor = UNetRegressor(filters=2, max_epochs=1, random_state=0).fit(huge, points)
    assert np.isfinite(regressor.predict(huge)).all()
    assert np.isnan(regressor._seen["detail"]).all()


def test_all_images_count_by_their_weight_and_the_others_not():
    X = np.random.default_rng(0).random((4, 5, 6, 2))
    weights = np.array([1.0, 3.0, 9.0, 0.5])
    channels = channel_statistics(ImageSet(X), weights, [0, 1, 3])
    kept, w = X[[0, 1, 3]], weights[[0, 1, 3], None, None, None]
    mean = (w * kept).sum(axis=(0, 1, 2)) / (w.sum() * 30)
    np.testing.assert_allclose(channels.mean, mean, atol=1e-6)
    np.testing.assert_allclose(
        channels.std**2, (w * (kept - mean) ** 2).sum(axis=(0, 1, 2)) / (w.sum() * 30), atol=1e-6
    )
    np.testing.assert_allclose(channels.low, kept.min(axis=(0, 1, 2)), atol=1e-6)
    assert channels.contrast[0] < channels.contrast[1]


def test_what_was_seen_grows_with_every_fit(noise):
    X, points = noise
    regressor = UNetRegressor(filters=2, max_epochs=1, random_state=0).partial_fit(X // 4, points)
    with pytest.warns(
        UserWarning, match=r"Image 0 of X is unlike the training images: the mean of its pixels is 0\.99"
    ):
        regressor.predict(255 - X // 64)
    regressor.partial_fit(X, points).predict(X)
    assert regressor._seen["high"] == [1.0] * 3
    earlier = Familiarity.describe(channel_statistics(ImageSet(X // 4), np.ones(6), range(6)), X.dtype)
    assert regressor._seen["contrast"][0] == pytest.approx(earlier["contrast"][0])


def test_an_image_unlike_the_others_is_warned_of_once_by_every_method(noise):
    X, points = noise
    regressor = UNetRegressor(filters=2, max_epochs=1, random_state=0, tile_size=128).fit(X / 255, points)
    odd = X.astype(float)
    for look in (
        regressor.predict,
        regressor.predict_density,
        regressor.predict_points,
        lambda X: list(regressor.iter_density(X)),
        lambda X: regressor.score(X, points),
        lambda X: regressor.predict(X, test_time_augmentation=True),
    ):
        with pytest.warns(OutOfDistributionWarning, match="Image 0 of X is unlike the training") as record:
            look(odd)
        assert [w.category for w in record].count(OutOfDistributionWarning) == 1


def test_pythons_filters_make_the_warning_an_error_or_silence_it(noise):
    X, points = noise
    regressor = UNetRegressor(filters=2, max_epochs=1, random_state=0).fit(X, points)
    odd = [X[0] / 255, X[1] / 255, X[2].astype(float)]
    with warnings.catch_warnings():
        warnings.simplefilter("error", OutOfDistributionWarning)
        regressor.fit(X / 255, points)
        regressor.predict(X / 255)
        with pytest.raises(OutOfDistributionWarning, match="Image 2 of X"):
            regressor.predict(odd)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", OutOfDistributionWarning)
        counts = regressor.predict(odd)
    assert not [w for w in caught if w.category is not ConvergenceWarning]
    assert np.isfinite(counts).all()


CELLS = make_cells(n_samples=2, image_shape=(32, 32), random_state=0, return_X_y=True)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.2, 2.5), st.floats(-0.2, 0.2))
def test_images_that_differ_as_images_do_are_like_the_others(contrast, brightness):
    X = CELLS[0] / 255
    seen = Familiarity.describe(channel_statistics(ImageSet(X), np.ones(2), range(2)), X.dtype)
    familiarity, images = Familiarity(seen), ImageSet(X * contrast + brightness)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for index in range(2):
            familiarity.add(images.read(index), index, (0, 0))
        familiarity.check(range(2))
