import pytest
import torch
from torch import nn
from torch.nn import functional

from skcount.networks import FCRNA, FCRNB

both = pytest.mark.parametrize("network", [FCRNA, FCRNB])


def up(x):
    return functional.interpolate(x, scale_factor=2)


def plain_up(block, x):
    return block.rest(block.conv(up(x)))


def plain_density(net, x):
    return functional.conv2d(up(x), net.density.weight, net.density.bias, padding=net.density.padding)


def plain_a(net, x):
    x = functional.pixel_unshuffle(x, net.stem)
    for block in (net.down1, net.down2, net.down3):
        x = functional.max_pool2d(block(x), 2)
    x = net.bottom(x)
    return functional.pixel_shuffle(plain_density(net, plain_up(net.up2, plain_up(net.up3, x))), net.stem)


def plain_b(net, x):
    x = functional.pixel_unshuffle(x, net.stem)
    for block in (net.down1, net.down2):
        x = functional.max_pool2d(block(x), 2)
    return functional.pixel_shuffle(plain_density(net, plain_up(net.up2, net.bottom(x))), net.stem)


@pytest.mark.parametrize(("network", "plain"), [(FCRNA, plain_a), (FCRNB, plain_b)])
@pytest.mark.parametrize(("normalization", "stem"), [("batch", 1), (None, 1), ("batch", 2)])
def test_it_equals_the_plain_network_with_the_same_parameters(network, plain, normalization, stem):
    torch.manual_seed(0)
    net = network(2, normalization=normalization, stem=stem).double()
    x = torch.randn(2, 2, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(net(x), plain(net, x), rtol=1e-9, atol=1e-9)


def convolutions(net):
    return [(m.out_channels, m.kernel_size[0]) for m in net.modules() if isinstance(m, nn.Conv2d)]


def test_the_filters_and_kernels_are_the_papers():
    a = [(filters, 3) for filters in (32, 64, 128, 512, 128, 64, 1)]
    assert convolutions(FCRNA(1)) == a
    assert convolutions(FCRNB(1)) == [(32, 3), (64, 3), (128, 3), (256, 5), (256, 5), (256, 5), (1, 5)]


@both
def test_more_convolutions_repeat_every_block_and_not_the_last_layer(network):
    one, three = convolutions(network(1)), convolutions(network(1, convolutions=3))
    assert three == [layer for layer in one[:-1] for _ in range(3)] + one[-1:]
