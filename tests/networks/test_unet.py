import pytest
import torch
from torch import nn
from torch.nn import functional

from skcount.inference import receptive_field
from skcount.networks import UNet


def up(block, x, skip):
    """Upsample, join, convolve: the plain form of an up block."""
    joined = torch.cat([functional.interpolate(x, scale_factor=2), skip], dim=1)
    return block.rest(block.conv(joined))


def plain(net, x):
    """Go through a U-Net of depth 3 as the figure draws it, at the size that its stem gives."""
    x = functional.pixel_unshuffle(x, net.stem)
    d1 = net.down1(x)
    d2 = net.down2(functional.max_pool2d(d1, 2))
    d3 = net.down3(functional.max_pool2d(d2, 2))
    bottom = net.bottom(functional.max_pool2d(d3, 2))
    density = net.density(up(net.up1, up(net.up2, up(net.up3, bottom, d3), d2), d1))
    return functional.pixel_shuffle(density, net.stem)


@pytest.mark.parametrize("stem", [1, 2])
@pytest.mark.parametrize("normalization", ["batch", None])
@pytest.mark.parametrize("convolutions", [1, 2])
def test_it_equals_the_plain_network_with_the_same_parameters(convolutions, normalization, stem):
    torch.manual_seed(0)
    shape = {"convolutions": convolutions, "normalization": normalization, "stem": stem}
    net = UNet(2, filters=3, depth=3, **shape).double()
    x = torch.randn(2, 2, 32, 48, dtype=torch.float64)
    torch.testing.assert_close(net(x), plain(net, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("stem", "depth", "far"),
    [(1, 1, 9), (1, 2, 23), (1, 3, 51), (1, 4, 107), (2, 1, 19), (2, 2, 47), (2, 3, 103)],
)
def test_depth_and_stem_double_how_far_the_network_looks(stem, depth, far):
    net = UNet(1, filters=2, depth=depth, stem=stem).eval()
    assert net.stride == stem * 2**depth
    assert net(torch.rand(1, 1, 3 * net.stride, net.stride)).shape == (1, 1, 3 * net.stride, net.stride)
    names = [f"down{level}" for level in range(1, depth + 1)]
    assert [name for name, _ in net.named_children() if name.startswith("down")] == names
    assert receptive_field(net, 1, net.stride) == far


@pytest.mark.parametrize(
    ("growth", "expected"), [(1, [7, 7, 7, 7]), (2, [7, 14, 28, 56]), (1.5, [7, 10, 16, 24])]
)
def test_blocks_further_down_have_more_filters_by_the_growth(growth, expected):
    convs = [
        m for m in UNet(1, filters=7, growth=growth, depth=3, stem=1).modules() if isinstance(m, nn.Conv2d)
    ]
    blocks = [*expected, *expected[-2::-1]]
    assert [m.out_channels for m in convs] == [n for n in blocks for _ in range(2)] + [1]
