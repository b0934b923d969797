from contextlib import nullcontext

import numpy as np
import pytest
import torch

from skcount import DensityMapRegressor, FCRNRegressor, ImageSet, UNetRegressor
from skcount.inference import (
    Predictor,
    _memory,
    _predictor,
    bytes_per_pixel,
    check_memory,
    refuse_out_of_memory,
)
from skcount.networks import FCRNA, DensityNetwork, UNet


def module(network):
    return DensityNetwork(network, [0.5], [0.2])


def test_a_network_of_known_maps_needs_what_they_take():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 10, 3, padding=1), torch.nn.Conv2d(10, 1, 1))
    assert bytes_per_pixel(module(network)) == 4 * 11
    assert bytes_per_pixel(module(network), training=True) == 4 * (1 + 10)
    mixed = module(network)
    mixed.bf16_training = True
    assert bytes_per_pixel(mixed) == 4 * 11
    assert bytes_per_pixel(mixed, training=True) == 2 * (1 + 10)
    mixed.bf16_evaluation = True
    assert bytes_per_pixel(mixed) == 2 * 11
    assert mixed.bf16_training
    assert mixed.bf16_evaluation
    assert bytes_per_pixel(module(network).double()) == 8 * 11


@pytest.mark.parametrize("network", [UNet(1, filters=4), FCRNA(1)], ids=["unet", "fcrn"])
def test_a_network_is_measured_without_numbers_and_stays_as_it_is(network):
    measured = module(network).train()
    before = {name: value.clone() for name, value in measured.state_dict().items()}
    assert 0 < bytes_per_pixel(measured) < bytes_per_pixel(measured, training=True) * 4
    assert measured.training
    assert all(torch.equal(value, before[name]) for name, value in measured.state_dict().items())


def test_a_network_that_cannot_be_measured_passes():
    class Branching(torch.nn.Module):
        def forward(self, x):
            return x[:, :1] * (2 if x.sum().item() > 0 else 1)

    assert bytes_per_pixel(module(Branching())) == 0
    check_memory(module(Branching()), (1, 10**6, 10**6), "These", "Use less.")


@pytest.mark.filterwarnings("ignore::skcount.OutOfDistributionWarning")
def test_an_image_that_cannot_fit_is_refused_with_a_remedy(noise, monkeypatch):
    X, points = noise
    regressor = UNetRegressor(filters=2, max_epochs=1, random_state=0).fit(X, points)
    huge = np.broadcast_to(X[0, :1, :1], (1500, 1200, 3))
    monkeypatch.setattr(_memory, "available_memory", lambda device: 1e7)
    message = r"The 1500 x 1200 pixels of image 1 of X need at least 0\.\d GB.* 0\.0 GB are free.*tile_size"
    with pytest.raises(MemoryError, match=message):
        regressor.predict([X[0], huge])
    regressor.set_params(tile_size=256).predict([X[0], huge])
    with pytest.raises(MemoryError, match=r"in tiles of .*1400.* need .*smaller tile_size"):
        regressor.set_params(tile_size=1400).predict([huge])


def test_steps_that_cannot_fit_are_refused_before_training(noise, monkeypatch):
    X, _ = noise
    huge = [np.broadcast_to(X[0, :1, :1], (1500, 1200, 3))] * 2
    monkeypatch.setattr(_memory, "available_memory", lambda device: 1e7)
    monkeypatch.setattr("skcount.regressors._fitting.train", None)
    message = r"Steps of 2 crops of 1500 x 1200 pixels need .*smaller batch_size, or points instead"
    with pytest.raises(MemoryError, match=message):
        UNetRegressor(filters=2, max_epochs=1).fit(huge, [1, 2])
    message = r"Steps of 2 crops of 1400 x 1200 pixels .*smaller patch_size or batch_size"
    with pytest.raises(MemoryError, match=message):
        FCRNRegressor(max_epochs=1, patch_size=1400).fit(huge, [[(1, 1)], []])


@pytest.mark.parametrize(
    "error",
    [RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), torch.OutOfMemoryError("CUDA")],
)
def test_torchs_errors_about_memory_get_a_remedy(error):
    with pytest.raises(MemoryError, match=r"This do not fit in memory \(.*\)\. Set tile_size\."):
        refuse_out_of_memory(error, "This", "Set tile_size.")
    refuse_out_of_memory(RuntimeError("something else"), "This", "Set tile_size.")


@pytest.mark.filterwarnings("ignore::skcount.OutOfDistributionWarning")
def test_a_map_that_torch_cannot_allocate_gets_a_remedy(noise):
    class Greedy(torch.nn.Conv2d):
        def __init__(self, n_channels):
            super().__init__(n_channels, 1, 3, padding=1)

        def forward(self, x):
            if x.shape[-1] > 100:
                torch.empty(2**55)
            return super().forward(x)

    X, points = noise
    regressor = DensityMapRegressor(Greedy, max_epochs=1, random_state=0).fit(X, points)
    message = r"The 8 x 200 pixels of image 0 of X do not fit in memory .*tile_size"
    with pytest.raises(MemoryError, match=message):
        regressor.predict(np.zeros((1, 8, 200, 3)))


def test_other_devices_than_gpus_and_processors_are_not_asked():
    assert _memory.available_memory("meta") == float("inf")
    assert _memory.available_memory() > 1e7


def test_memory_is_kept_if_there_is_plenty(monkeypatch):
    kept = []
    monkeypatch.setattr(_predictor, "keep_freed_memory", lambda n_bytes: nullcontext(kept.append(n_bytes)))
    one = module(torch.nn.Conv2d(1, 1, 1))
    assert bytes_per_pixel(one) == 4 * 2

    def predict(side, module=one, **params):
        images = ImageSet(np.broadcast_to(np.uint8(0), (1, side, side)))
        with Predictor(module, **params)._running(images, [0]):
            pass

    for free in (8e12, 8e7):
        monkeypatch.setattr(_predictor, "available_memory", lambda free=free: free)
        for side in (100, 300, 1000, 10_000):
            predict(side)
    # If 8 bytes per pixel, eight times, are more than is free, memory goes back as ever; little is not worth it.
    plenty = [512 * 300**2, 4 * 8 * 1000**2, 4 * 8 * 10_000**2]
    assert kept == plenty + plenty[:2]
    predict(300, tile_size=256)
    predict(300, module(torch.nn.Conv2d(1, 1, 1)).to("meta"))
    assert len(kept) == 5
