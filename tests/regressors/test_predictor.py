from copy import copy

import h5py
import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from skcount import DensityMapRegressor, FCRNRegressor, ImageSet, PointAnnotations, UNetRegressor


def small(**params):
    """A regressor that fits in a blink, and looks 29 pixels far."""
    defaults = {"filters": 4, "convolutions": 1, "max_epochs": 2, "random_state": 0}
    return UNetRegressor(**{**defaults, **params})


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


@pytest.mark.parametrize(
    "params", [{}, {"test_time_augmentation": True}, {"test_time_augmentation": True, "augment": "mirror"}]
)
@pytest.mark.parametrize("tile_size", [100, 160])
def test_tiles_make_up_the_map_of_the_whole_image(fitted, large, tile_size, params):
    whole = copy(fitted).set_params(**params)
    expected, counts = whole.predict_density(large), whole.predict(large)
    tiled = whole.set_params(tile_size=tile_size)
    assert_same_maps(tiled.predict_density(large), expected)
    np.testing.assert_allclose(tiled.predict(large), counts, rtol=1e-5)
    np.testing.assert_array_equal(tiled.predict_points(large).counts, np.round(counts))


@pytest.mark.parametrize(
    ("regressor", "tile_size"),
    [
        (UNetRegressor(filters=3, normalization=None), 150),
        (FCRNRegressor("a"), 100),
        (FCRNRegressor("b"), 100),
        (DensityMapRegressor(lambda n: nn.Conv2d(n, 1, 5, padding=2)), 100),
        (small(dtype="float64"), 100),
    ],
    ids=["unet", "fcrn_a", "fcrn_b", "own", "float64"],
)
def test_every_network_can_be_tiled(regressor, tile_size, large):
    X, points = [image[:40, :40] for image in large], PointAnnotations([[(8, 8), (20, 31)], [], [(30, 2)]])
    regressor = clone(regressor).set_params(max_epochs=1, random_state=0).fit(X, points)
    expected = regressor.predict_density(large)
    assert_same_maps(regressor.set_params(tile_size=tile_size).predict_density(large), expected)


def test_a_region_of_interest_is_cut_along(fitted, large):
    roi = [np.random.default_rng(2).random(image.shape[:2]) < 0.5 for image in large]
    expected, counts = fitted.predict_density(large, roi=roi), fitted.predict(large, roi=roi)
    tiled = copy(fitted).set_params(tile_size=100)
    assert_same_maps(tiled.predict_density(large, roi=roi), expected)
    np.testing.assert_allclose(tiled.predict(ImageSet(large, roi=roi)), counts, rtol=1e-5)


def test_training_sees_no_tiles_but_the_last_scale_does(large):
    X, points = large[2:], [[(8, 8), (20, 31), (40, 9)]]
    one, other = small().fit(X, points), small(tile_size=100).fit(X, points)
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-4)


# --- no more is read or held than a tile --------------------------------------------------------------------------


def test_an_image_is_read_window_by_window(fitted, large):
    expected = fitted.predict(large)
    lazy = [Lazy(image) for image in large]
    np.testing.assert_allclose(copy(fitted).set_params(tile_size=100).predict(lazy), expected, rtol=1e-5)
    assert all(max(shape) <= 100 for image in lazy for shape in image.read)
    assert [len(image.read) for image in lazy] == [7 * 5, 10, 1]


def test_training_reads_crops_and_bands(monkeypatch):
    monkeypatch.setattr("skcount.images._checked.BAND", 5_000)
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400), dtype=np.uint8)
    points = [[(3, 5), (150, 390), (299, 0)]]
    lazy = Lazy(pixels)
    params = {"patch_size": 64, "batch_size": 4, "max_epochs": 1, "tile_size": 100}
    regressor = small(**params).fit([lazy], points)
    assert max(height * width for height, width in lazy.read) <= 100 * 100
    np.testing.assert_array_equal(
        regressor.predict([pixels]), small(**params).fit([pixels], points).predict([pixels])
    )


def test_a_bad_pixel_of_a_tile_is_named_where_it_is_on_the_image(fitted, large):
    image = large[0] / np.float32(255)
    image[180, 120, 1] = np.nan
    for tile_size in (None, 100):
        with pytest.raises(ValueError, match=r"Image 0 of X.* nan at row 180, column 120, channel 1"):
            copy(fitted).set_params(tile_size=tile_size).predict([image])
    with pytest.raises(ValueError, match=r"Image 0 of X.* nan at row 180, column 120, channel 1"):
        small().fit([image], [[]])


# --- where maps are written to ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params", [{}, {"tile_size": 100}, {"tile_size": 100, "test_time_augmentation": True}]
)
def test_maps_are_written_where_they_are_to_go(fitted, large, tmp_path, params):
    fitted = copy(fitted).set_params(**params)
    X = [large[0], large[0][::-1]]
    expected = fitted.predict_density(X)
    shape = expected.shape
    with h5py.File(tmp_path / "maps.h5", "w") as file:
        for out in (
            np.full(shape, np.nan, np.float32),
            np.full(shape, np.nan),
            [np.full(shape[1:], np.nan, np.float32) for _ in X],
            np.memmap(tmp_path / "maps", np.float32, "w+", shape=shape),
            file.create_dataset("stack", shape, np.float32, chunks=(1, 64, 64)),
            [file.create_dataset(f"map {i}", shape[1:], np.float32) for i in range(2)],
        ):
            assert fitted.predict_density(X, out=out) is out
            np.testing.assert_allclose(np.asarray(out[:], dtype=np.float32), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.zeros((2, 203, 149)), r"out holds 2 maps of 203 x 149 pixels and X 1 images of 203 x 149"),
        (np.zeros((1, 203, 148)), r"out holds 1 maps of 203 x 148 pixels and X 1 images of 203 x 149"),
        ([np.zeros((149, 203))], r"out holds 1 maps of 149 x 203"),
        (np.zeros((1, 203, 149), dtype=np.uint8), r"out has dtype uint8; expected floats"),
    ],
    ids=["number", "size", "list", "dtype"],
)
def test_what_cannot_hold_the_maps_is_refused(fitted, large, out, message):
    with pytest.raises(ValueError, match=message):
        fitted.predict_density(large[:1], out=out)
    assert not np.any(out)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ([[[0.0]]], r"out is a list of list; expected an array"),
        (3, r"out is a int of NoneType; expected an array"),
        (torch.zeros(1, 203, 149), r"out is a Tensor of Tensor; expected an array"),
        (np.broadcast_to(np.float32(0), (1, 203, 149)), r"out is read-only"),
    ],
    ids=["nested lists", "number", "tensor", "read-only"],
)
def test_what_is_no_array_to_write_to_is_refused(fitted, large, out, message):
    with pytest.raises(ValueError, match=message):
        fitted.predict_density(large[:1], out=out)


# --- what cannot be tiled is refused before the training ----------------------------------------------------------


class Normalised(nn.Module):
    def __init__(self, n_channels):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(n_channels, 1, 3, padding=1), nn.InstanceNorm2d(1)

    def forward(self, x):
        return self.norm(self.conv(x))


@pytest.mark.parametrize(
    ("regressor", "message"),
    [
        (small(tile_size=64), r"tile_size=64 and the network looks 29 pixels far.*at least 72"),
        (DensityMapRegressor(Normalised, tile_size=200), r"at statistics over the image.*tile_size=None"),
        (small(tile_size=0), r"'tile_size' parameter"),
    ],
    ids=["too small", "no tile would do", "zero"],
)
def test_tiles_that_would_be_wrong_are_refused_before_the_training(regressor, message, large):
    seen = []
    regressor.set_params(callbacks=[("seen", Seen(seen))])
    with pytest.raises(ValueError, match=message):
        regressor.fit(large, [[], [], []])
    assert not seen


class Seen(Callback):
    """Notes that the training has begun."""

    def __init__(self, seen):
        self.seen = seen

    def on_train_begin(self, net, **kwargs):
        self.seen.append(net)


# --- predictions use the network as it is now, and leave it alone -------------------------------------------------


def test_a_change_of_the_weights_shows_in_the_next_prediction(fitted, large):
    counts = fitted.predict(large)
    with torch.no_grad():
        fitted.module_.output_scale.data.mul_(2)
    np.testing.assert_allclose(fitted.predict(large), 2 * counts, rtol=1e-6)
    with torch.no_grad():
        fitted.module_.output_scale.data.div_(2)


def test_the_folded_network_counts_as_the_module_does(fitted, large):
    with torch.inference_mode():
        for image, count in zip(large, fitted.predict(large), strict=True):
            pixels = torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32) / 255)
            assert abs(fitted.module_(pixels).sum(dtype=torch.float64).item() - count) < 1e-3


# --- progress -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verbose", "terminal"), [(0, True), (1, False), (1, True)])
def test_a_bar_shows_the_pixels_on_a_terminal_when_asked_to(
    fitted, large, capsys, monkeypatch, verbose, terminal
):
    import sys

    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    copy(fitted).set_params(verbose=verbose, tile_size=100).predict(large)
    shown = capsys.readouterr().err
    assert ("60.3k/60.3k" in shown) == bool(verbose and terminal)
    assert bool(shown) == bool(verbose and terminal)
