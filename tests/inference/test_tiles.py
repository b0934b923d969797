from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from skcount.inference import receptive_field, tile_grid, tiles
from skcount.networks import FCRNA, FCRNB, DensityNetwork, UNet

law = settings(max_examples=200, deadline=None)


# tiles


@law
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.integers(1, 60),
    st.sampled_from([1, 2, 8]),
    st.integers(0, 20),
)
def test_the_cores_cover_the_image_once_and_windows_see_as_far_as_the_network(shape, tile_size, grid, far):
    overlap = -(-far // grid) * grid
    if tile_size < 2 * overlap + grid and max(shape) > tile_size:
        with pytest.raises(
            ValueError, match=rf"`tile_size` must be at least {2 * overlap + grid}\b.*got {tile_size}\b"
        ):
            list(tiles(shape, tile_size, grid, far))
        return
    covered = np.zeros(shape, dtype=int)
    for window, core in tiles(shape, tile_size, grid, far):
        covered[core[0] : core[0] + core[2], core[1] : core[1] + core[3]] += 1
        for axis in (0, 1):
            start, size = window[axis], window[axis + 2]
            assert start % grid == 0
            assert size <= tile_size
            assert start == 0 or start <= core[axis] - far
            end, core_end = start + size, core[axis] + core[axis + 2]
            assert end <= shape[axis]
            # A window that ends inside of the image needs no padding.
            assert end == shape[axis] or (end >= core_end + far and size % grid == 0)
    assert (covered == 1).all()


def test_without_a_size_there_is_one_tile():
    assert list(tiles((30, 50), None, None, None)) == [((0, 0, 30, 50), (0, 0, 30, 50))]


# receptive field


def conv(n_filters, side):
    return nn.Conv2d(2, n_filters, side, padding=side // 2)


class Pooled(nn.Module):
    """Pool and upsample: the last of four pixels sees the first of them, and a kernel of three sees four more."""

    def __init__(self, factor=4):
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        small = self.conv(functional.max_pool2d(x, self.factor))
        return functional.interpolate(small, scale_factor=self.factor)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_poolings_are_counted_in(factor):
    assert receptive_field(Pooled(factor), n_channels=1, stride=factor) == 2 * factor - 1


def test_with_a_large_stride_it_is_never_too_small():
    assert 2 * 4 - 1 <= receptive_field(Pooled(4), n_channels=1, stride=32) <= 2 * 4 - 1 + 3
    assert 2 * 32 - 1 <= receptive_field(Pooled(32), n_channels=1, stride=32) <= 2 * 32 - 1 + 3


class SqueezeAndExcite(nn.Module):
    """Multiply each channel by a number that depends on its mean."""

    def __init__(self):
        super().__init__()
        self.conv, self.gate = nn.Conv2d(2, 3, 3, padding=1), nn.Linear(3, 3)

    def forward(self, x):
        x = self.conv(x)
        gate = torch.sigmoid(self.gate(x.mean(dim=(2, 3))))
        return (x * gate[:, :, None, None]).sum(dim=1, keepdim=True)


class Difference(nn.Module):
    """Subtract two kernels, which would cancel if they were equal."""

    def __init__(self):
        super().__init__()
        self.one, self.other = (nn.Conv2d(2, 1, 9, padding=4) for _ in range(2))

    def forward(self, x):
        return self.one(x) - self.other(x)


class ChannelNorm(nn.LayerNorm):
    """Normalise over the channels of each pixel, as ConvNeXt does."""

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class InPlace(nn.Conv2d):
    """Change its argument."""

    def forward(self, x):
        x -= 0.5
        return super().forward(x)


@pytest.mark.parametrize(
    ("network", "stride", "expected"),
    [
        (nn.Conv2d(2, 1, 1), 1, 0),
        (nn.Conv2d(2, 1, 7, padding=3), 1, 3),
        (nn.Conv2d(2, 1, (3, 7), padding=(1, 3)), 1, 3),
        (nn.Conv2d(2, 1, 3, dilation=5, padding=5), 1, 5),
        (nn.Sequential(conv(4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Conv2d(4, 1, 5, padding=2)), 1, 3),
        (Difference(), 1, 4),
        (nn.Sequential(conv(8, 7), ChannelNorm(8), nn.GELU(), nn.Conv2d(8, 1, 7, padding=3)), 1, 6),
        (InPlace(2, 1, 3, padding=1), 1, 1),
        (nn.Sequential(nn.Conv2d(2, 1, 5, padding=2, padding_mode="reflect")), 8, 2),
    ],
    ids=str,
)
def test_the_receptive_field_is_that_of_the_kernels_in_unusual_networks_too(network, stride, expected):
    assert receptive_field(network, n_channels=2, stride=stride) == expected


class Upsampled(nn.Module):
    """Halve the image, and double it again in a way that may depend on its size."""

    def __init__(self, **params):
        super().__init__()
        self.params, self.conv = params, nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x):
        small = functional.max_pool2d(self.conv(x), 2)
        params = self.params or {"size": x.shape[2:]}
        return functional.interpolate(small, **params)


class Coordinates(nn.Module):
    """Add the column of each pixel."""

    def forward(self, x):
        return x.sum(dim=1, keepdim=True) + torch.linspace(0, 1, x.shape[3], dtype=x.dtype)


@pytest.mark.parametrize(
    ("network", "stride", "reason"),
    [
        (nn.Sequential(conv(4, 3), nn.InstanceNorm2d(4), nn.Conv2d(4, 1, 1)), 8, "larger than 1024 pixels.*"),
        (nn.Sequential(conv(4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 1, 1)), 8, "larger than 1024 pixels.*"),
        (SqueezeAndExcite(), 8, "larger than 1024 pixels.*"),
        (Upsampled(scale_factor=2, mode="bilinear", align_corners=True), 2, "Set "),
        (Upsampled(), 1, "Set "),
        (Upsampled(scale_factor=2), 1, "Set "),
        (Coordinates(), 8, "Set "),
        (nn.Conv2d(3, 1, 3), 1, r"cannot be measured \(.*channels.*"),
    ],
    ids=str,
)
def test_a_network_that_looks_at_all_of_the_image_or_not_the_same_everywhere_is_refused(
    network, stride, reason
):
    with pytest.raises(ValueError, match=rf"{reason}tile_size=None"):
        receptive_field(network, n_channels=2, stride=stride)


def test_bilinear_upsampling_that_does_not_align_corners_is_fine():
    assert receptive_field(Upsampled(scale_factor=2, mode="bilinear"), n_channels=2, stride=2) in range(3, 6)


def test_threads_that_measure_at_once_leave_the_weights_as_they_are():
    network = DensityNetwork(UNet(1, filters=2), [0.5], [0.2])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with ThreadPoolExecutor(4) as pool:
        assert {pool.submit(tile_grid, network, 512).result() for _ in range(8)} == {(8, 47)}
        copies = [DensityNetwork(network.network, [0.5], [0.2]) for _ in range(4)]
        futures = [pool.submit(tile_grid, copy, 512) for copy in copies]
        assert [future.result() for future in futures] == [(8, 47)] * 4
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_the_network_as_it_is(training):
    network = UNet(1, filters=2).train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    receptive_field(network, n_channels=1, stride=8)
    assert all(m.training == training for m in network.modules())
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    "make",
    [lambda: UNet(1, filters=2), lambda: UNet(1, filters=2, stem=1), lambda: FCRNA(1), lambda: FCRNB(1)],
)
def test_a_change_beyond_the_receptive_field_changes_nothing_and_one_within_it_does(make):
    torch.manual_seed(0)
    network = DensityNetwork(make(), [0.5], [0.2]).double().eval()
    grid, far = tile_grid(network, 4096)
    start = -(-far // grid) * grid
    image = torch.rand(1, 1, 2 * start + grid, 3 * grid, dtype=torch.float64)
    with torch.inference_mode():
        density = network.network(image)
        for phase in range(grid):
            middle = start + phase
            changed = image.clone()
            changed[:, :, middle:] += torch.rand_like(changed[:, :, middle:])
            same = density[:, :, : middle - far] == network.network(changed)[:, :, : middle - far]
            assert same.all()
        changed = image.clone()
        changed[:, :, start:] += 1
        assert (density[:, :, :start] != network.network(changed)[:, :, :start]).any()


def test_a_network_is_measured_once_and_again_if_its_layers_are_others(monkeypatch):
    measured = []

    def count(*args):
        measured.append(args)
        return receptive_field(*args)

    monkeypatch.setattr("skcount.inference._tiles.receptive_field", count)
    network = DensityNetwork(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1)), [0], [1])
    assert tile_grid(network, 512) == tile_grid(network, (256, 512)) == (32, 1 + 3)
    assert len(measured) == 1
    network.network.append(nn.Conv2d(1, 1, 5, padding=2))
    assert tile_grid(network, 512) == (32, 3 + 3)
    assert len(measured) == 2
    assert tile_grid(network, None) == (None, None)


def test_tiles_need_not_be_square():
    for window, core in tiles((100, 200), (40, 300), 8, 5):
        assert window[2] <= 40
        assert (window[1], window[3]) == (core[1], core[3]) == (0, 200)
