import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skcount import UNetRegressor
from skcount.datasets import make_cells
from skcount.images import check_images
from skcount.regressors._pixels import PixelStatistics, channel_statistics, measure, seen_range

stacks = hnp.arrays(
    "f4", hnp.array_shapes(min_dims=3, max_dims=3, max_side=7), elements=st.floats(-4, 4, width=16)
)


@given(stacks, st.integers(0, 6))
def test_parts_measure_as_the_whole(pixels, cut):
    whole, parts = PixelStatistics(len(pixels)), PixelStatistics(len(pixels))
    whole.add(pixels)
    for part in (pixels[:, :cut], pixels[:, cut:]):
        if part.size:
            parts.add(part)
    np.testing.assert_allclose(parts.mean, pixels.mean(axis=(1, 2), dtype=float), atol=1e-6)
    np.testing.assert_allclose(parts.mean, whole.mean, atol=1e-6)
    np.testing.assert_allclose(parts.squares, whole.squares, atol=1e-6)
    np.testing.assert_allclose(
        whole.squares, pixels.astype(float).var(axis=(1, 2)) * pixels[0].size, atol=1e-6
    )


def test_detail_halves_when_an_image_doubles():
    rows, cols = np.mgrid[:64, :64] / 64
    image = (np.sin(9 * rows) + np.cos(7 * cols)).astype("f4")
    rows, cols = np.mgrid[:128, :128] / 128
    doubled = (np.sin(9 * rows) + np.cos(7 * cols)).astype("f4")
    details = [measure(check_images(x[None]), 0).detail for x in (image, doubled)]
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
    channels = channel_statistics(check_images(X), weights, [0, 1, 3])
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
    earlier = seen_range(channel_statistics(check_images(X // 4), np.ones(6), range(6)))
    assert regressor._seen["contrast"][0] == pytest.approx(earlier["contrast"][0])


def test_one_image_is_warned_of_once_wherever_it_is_seen(noise, tmp_path):
    X, points = noise
    regressor = UNetRegressor(filters=2, max_epochs=1, random_state=0, tile_size=128).fit(X, points)
    odd = X.astype(float)
    for look in (
        regressor.predict,
        regressor.predict_density,
        regressor.predict_points,
        lambda X: list(regressor.iter_density(X)),
        lambda X: regressor.score(X, points),
    ):
        with pytest.warns(UserWarning, match="Image 0 of X is unlike the training images") as record:
            look(odd)
        assert len(record) == 1
    regressor.set_params(out_of_range="raise", test_time_augmentation=True)
    with pytest.raises(ValueError, match="Image 2 of X is unlike"):
        regressor.predict([X[0], X[1], odd[2]])
    regressor.set_params(out_of_range="ignore").predict(odd)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.2, 2.5), st.floats(-0.2, 0.2))
def test_images_that_differ_as_images_do_are_like_the_others(contrast, brightness):
    X, points = make_cells(n_samples=2, image_shape=(32, 32), random_state=0, return_X_y=True)
    regressor = UNetRegressor(filters=2, max_epochs=1, random_state=0, out_of_range="raise").fit(
        X / 255, points
    )
    regressor.predict(X / 255 * contrast + brightness)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_blank_and_noisy_images_hold_next_to_nothing_after_training_on_cells(n_channels):
    X, points = make_cells(n_samples=12, image_shape=(64, 64), random_state=0, return_X_y=True)
    X = X if n_channels == 3 else X.max(axis=3, keepdims=True)
    regressor = UNetRegressor(sigma=2, max_epochs=60, random_state=0, out_of_range="ignore").fit(X, points)
    assert -regressor.score(X, points) < 2
    rng, shape = np.random.default_rng(0), (2, *X.shape[1:])
    images = {
        "black": np.zeros(shape),
        "white": np.full(shape, 255.0),
        "faint noise": rng.normal(20, 4, shape),
        "strong noise": rng.normal(60, 25, shape),
        "uniform noise": rng.uniform(0, 256, shape),
    }
    counts = {
        name: regressor.predict(np.clip(x, 0, 255).astype(np.uint8)).max() for name, x in images.items()
    }
    greys = regressor.predict(
        np.arange(256, dtype=np.uint8).repeat(np.prod(shape[1:])).reshape(256, *shape[1:])
    )
    assert max(counts.values()) < 1, counts
    assert np.mean(greys) < 0.5, greys
