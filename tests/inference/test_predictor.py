import sys
from copy import copy
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skcount import DensityMapRegressor, FCRNRegressor, ImageSet, PointAnnotations, UNetRegressor
from skcount.inference import Predictor, _predictor, computes_bf16

# Its receptive field is 23 pixels.
small = partial(UNetRegressor, filters=4, depth=2, stem=1, max_epochs=2, random_state=0)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    return small().fit(X, [rng.random((5, 2)) * 31 for _ in X])


@pytest.fixture(scope="module")
def large():
    """Images larger than a tile, of sizes that are no multiples of anything."""
    rng = np.random.default_rng(1)
    return [rng.integers(0, 255, (*shape, 3), dtype=np.uint8) for shape in [(203, 149), (90, 301), (60, 50)]]


class Lazy:
    """An image that keeps a record of what is read of it."""

    def __init__(self, pixels):
        self.pixels, self.read = pixels, []
        self.shape, self.ndim, self.dtype = pixels.shape, pixels.ndim, pixels.dtype

    def __getitem__(self, key):
        part = self.pixels[key]
        self.read.append(part.shape[:2])
        return part

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("all of the image is read")


# --- tiles give the map of the whole image ------------------------------------------------------------------------


def assert_same_maps(tiled, whole):
    assert len(tiled) == len(whole)
    for one, other in zip(tiled, whole, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * other.max())


@pytest.mark.parametrize("augment", [None, "rotations", "mirror"])
@pytest.mark.parametrize("tile_size", [100, (160, 90)])
def test_tiles_make_up_the_map_of_the_whole_image(fitted, large, tile_size, augment):
    whole, average = copy(fitted).set_params(augment=augment), {"test_time_augmentation": augment is not None}
    expected, counts = whole.predict_density(large, **average), whole.predict(large, **average)
    tiled = whole.set_params(tile_size=tile_size)
    assert_same_maps(tiled.predict_density(large, **average), expected)
    np.testing.assert_allclose(tiled.predict(large, **average), counts, rtol=1e-5)
    np.testing.assert_array_equal(tiled.predict_points(large, **average).counts, np.round(counts))


@pytest.mark.parametrize(
    ("regressor", "tile_size"),
    [
        (UNetRegressor(filters=3, normalization=None), 150),
        (FCRNRegressor("a"), 100),
        pytest.param(FCRNRegressor("b"), 100, marks=pytest.mark.slow),
        (DensityMapRegressor(lambda n: nn.Conv2d(n, 1, 5, padding=2)), 100),
        (small(precision="float64"), 100),
    ],
    ids=["unet", "fcrn_a", "fcrn_b", "own", "float64"],
)
def test_every_network_can_be_tiled(regressor, tile_size, large):
    X, points = [image[:40, :40] for image in large], PointAnnotations([[(8, 8), (20, 31)], [], [(30, 2)]])
    regressor = clone(regressor).set_params(max_epochs=1, random_state=0).fit(X, points)
    expected = regressor.predict_density(large[1:2])
    assert_same_maps(regressor.set_params(tile_size=tile_size).predict_density(large[1:2]), expected)


def test_a_region_of_interest_is_cut_along(fitted, large):
    roi = [np.random.default_rng(2).random(image.shape[:2]) < 0.5 for image in large]
    expected, counts = fitted.predict_density(large, roi=roi), fitted.predict(large, roi=roi)
    tiled = copy(fitted).set_params(tile_size=100)
    assert_same_maps(tiled.predict_density(large, roi=roi), expected)
    np.testing.assert_allclose(tiled.predict(ImageSet(large, roi=roi)), counts, rtol=1e-5)


def test_training_uses_no_tiles_but_the_last_scale_does(large):
    X, points = large[2:], [[(8, 8), (20, 31), (40, 9)]]
    one, other = small().fit(X, points), small(tile_size=100).fit(X, points)
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-4)


# --- no more is read or held than a tile --------------------------------------------------------------------------


def test_an_image_is_read_window_by_window(fitted, large):
    expected = fitted.predict(large)
    lazy = [Lazy(image) for image in large]
    np.testing.assert_allclose(copy(fitted).set_params(tile_size=100).predict(lazy), expected, rtol=1e-5)
    assert all(max(shape) <= 100 for image in lazy for shape in image.read)
    assert [len(image.read) for image in lazy] == [4 * 3, 6, 1]


def test_training_reads_crops_and_bands(monkeypatch):
    monkeypatch.setattr("skcount.images._pixels.BAND", 5_000)
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400), dtype=np.uint8)
    points = [[(3, 5), (150, 390), (299, 0)]]
    lazy = Lazy(pixels)
    params = {"patch_size": 64, "batch_size": 4, "max_epochs": 1, "tile_size": 100, "diameter": 12}
    regressor = small(**params).fit([lazy], points)
    assert max(height * width for height, width in lazy.read) <= 100 * 100
    np.testing.assert_array_equal(
        regressor.predict([pixels]), small(**params).fit([pixels], points).predict([pixels])
    )


@pytest.mark.filterwarnings("ignore:X has pixels of type float32")
def test_a_bad_pixel_of_a_tile_is_named_where_it_is_on_the_image(fitted, large):
    image = large[0] / np.float32(255)
    image[180, 120, 1] = np.nan
    for tile_size in (None, 100):
        with pytest.raises(ValueError, match=r"Image 0 of X.* nan at row 180, column 120, channel 1"):
            copy(fitted).set_params(tile_size=tile_size).predict([image])
    with pytest.raises(ValueError, match=r"Image 0 of X.* nan at row 180, column 120, channel 1"):
        small().fit([image], [[]])


class Normalised(nn.Module):
    def __init__(self, n_channels):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(n_channels, 1, 3, padding=1), nn.InstanceNorm2d(1)

    def forward(self, x):
        return self.norm(self.conv(x))


@pytest.mark.parametrize(
    ("regressor", "message"),
    [
        (small(tile_size=48), "`tile_size` must be at least 52.* 23 pixels.*got 48"),
        (small(tile_size=(200, 48)), "`tile_size` must be at least 52.*got 48"),
        (small(tile_size=(48, 200)), "`tile_size` must be at least 52.*got 48"),
        (DensityMapRegressor(Normalised, tile_size=200), "statistics of the whole image.*tile_size=None"),
        (small(tile_size=(0, 100)), r"`tile_size` must be .*\(0, 100\)"),
        (small(tile_size=(100.5, 100)), r"`tile_size` must be .*\(100.5, 100\)"),
        (small(tile_size=(100, 100, 100)), r"`tile_size` must be .*\(100, 100, 100\)"),
    ],
    ids=str,
)
def test_tiles_that_would_be_wrong_are_refused_before_training(regressor, message, large, monkeypatch):
    monkeypatch.setattr("skcount.regressors._fitting.train", None)
    with pytest.raises(ValueError, match=message):
        regressor.fit(large, [[], [], []])


# --- images of one size together ----------------------------------------------------------------------------------


def check_batches(predictor, X, roi, rtol):
    """Images in batches have the maps and counts that each has by itself."""
    images = ImageSet(X, roi=roi)
    batches = predictor._batches(images, range(len(X)))
    assert max(map(len, batches)) > 1
    assert [index for batch in batches for index in batch] == list(range(len(X)))
    alone = [next(iter(predictor.maps(images.take([i])))) for i in range(len(X))]
    for density, expected in zip(predictor.maps(images), alone, strict=True):
        np.testing.assert_allclose(density, expected, rtol=0, atol=rtol * expected.max())
    expected = [density.sum(dtype=np.float64) for density in alone]
    np.testing.assert_allclose(predictor.counts(images), expected, rtol=rtol)
    np.testing.assert_allclose(predictor.counts(images, [5, 0, 1]), np.array(expected)[[5, 0, 1]], rtol=rtol)


@pytest.mark.parametrize("augment", [None, "mirror"])
def test_a_batch_is_predicted_as_each_image_by_itself(fitted, large, augment, monkeypatch):
    monkeypatch.setattr(_predictor, "BATCH_PIXELS", 3 * 60 * 50)
    X = [large[0], *[np.roll(large[2], i, axis=1) for i in range(4)], large[1]]
    predictor = Predictor(fitted.module_, augment=augment)
    assert [len(batch) for batch in predictor._batches(ImageSet(X), range(6))] == [1] * 6
    predictor.on_cpu = False
    assert [len(batch) for batch in predictor._batches(ImageSet(X), range(6))] == [1, 3, 1, 1]
    check_batches(predictor, X, [np.arange(x.shape[1]) + np.zeros((len(x), 1)) < 40 for x in X], rtol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_on_a_gpu_count_as_one_image_at_a_time():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 255, (8, 64, 80, 3), dtype=np.uint8)
    points = [rng.uniform(0, 63, (k, 2)) for k in range(8)]
    regressor = small(max_epochs=20, device="cuda").fit(X, points)
    alone = [regressor.predict(X[i : i + 1])[0] for i in range(8)]
    np.testing.assert_allclose(regressor.predict(X), alone, rtol=1e-5)
    check_batches(Predictor(regressor.module_), X, np.arange(80) + np.zeros((64, 1)) < 40, rtol=1e-5)


def test_a_change_of_the_weights_shows_in_the_next_prediction(fitted, large):
    counts = fitted.predict(large)
    with torch.no_grad():
        fitted.module_.output_scale.data.mul_(2)
    np.testing.assert_allclose(fitted.predict(large), 2 * counts, rtol=1e-6)
    with torch.no_grad():
        fitted.module_.output_scale.data.div_(2)


@pytest.mark.parametrize(("verbose", "terminal"), [(0, True), (1, False), (1, True)])
def test_a_bar_shows_the_pixels_on_a_terminal_when_asked_to(
    fitted, large, capsys, monkeypatch, verbose, terminal
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    copy(fitted).set_params(verbose=verbose, tile_size=100).predict(large)
    shown = capsys.readouterr().err
    assert ("60.3k/60.3k" in shown) == bool(verbose and terminal)
    assert bool(shown) == bool(verbose and terminal)


# --- bfloat16 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_bf16": False, "amx_bf16": False, "avx512_f": True}, False),
        ({"neon": True}, False),
    ],
)
def test_a_cpu_says_whether_it_has_bfloat16(capabilities, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert computes_bf16("cpu") is expected


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_cuda_devices_have_bfloat16_from_ampere_on(capability, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert computes_bf16("cuda:1") is expected


def test_other_devices_and_older_torch_have_none(monkeypatch):
    assert computes_bf16(torch.device("mps")) is False
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert computes_bf16("cpu") is False
