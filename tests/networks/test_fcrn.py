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
    for block in (net.down1, net.down2, net.down3):
        x = functional.max_pool2d(block(x), 2)
    x = net.bottom(x)
    return plain_density(net, plain_up(net.up2, plain_up(net.up3, x)))


def plain_b(net, x):
    for block in (net.down1, net.down2):
        x = functional.max_pool2d(block(x), 2)
    return plain_density(net, plain_up(net.up2, net.bottom(x)))


@pytest.mark.parametrize(("network", "plain"), [(FCRNA, plain_a), (FCRNB, plain_b)])
@pytest.mark.parametrize("normalization", ["batch", None])
def test_it_equals_the_plain_network_with_the_same_parameters(network, plain, normalization):
    torch.manual_seed(0)
    net = network(2, normalization=normalization).double()
    x = torch.randn(2, 2, 16, 8, dtype=torch.float64)
    torch.testing.assert_close(net(x), plain(net, x), rtol=1e-9, atol=1e-9)


@both
@pytest.mark.parametrize("in_channels", [1, 3])
def test_the_map_has_the_size_of_the_image(network, in_channels):
    assert network(in_channels)(torch.rand(2, in_channels, 8, 24)).shape == (2, 1, 8, 24)


def convolutions(net):
    return [(m.out_channels, m.kernel_size[0]) for m in net.modules() if isinstance(m, nn.Conv2d)]


def test_fcrn_a_has_the_papers_filters_and_small_kernels():
    filters, kernels = zip(*convolutions(FCRNA(1)), strict=True)
    assert filters == (32, 64, 128, 512, 128, 64, 1)
    assert set(kernels) == {3}


def test_fcrn_b_has_the_papers_filters_and_large_kernels_after_the_third():
    assert convolutions(FCRNB(1)) == [(32, 3), (64, 3), (128, 3), (256, 5), (256, 5), (256, 5), (1, 5)]


@both
def test_more_convolutions_repeat_every_block_and_not_the_last_layer(network):
    one, three = convolutions(network(1)), convolutions(network(1, convolutions=3))
    assert three == [layer for layer in one[:-1] for _ in range(3)] + one[-1:]


@both
@pytest.mark.parametrize("normalization", ["batch", None])
def test_the_number_of_parameters_is_that_of_its_convolutions(network, normalization):
    layers = convolutions(network(2))
    channels = [2, *(filters for filters, _ in layers)]
    expected = sum(
        k * k * c_in * c_out + (2 if normalization == "batch" else 1) * c_out
        for (c_out, k), c_in in zip(layers, channels[:-1], strict=True)
    )
    expected -= int(normalization == "batch")  # the last layer has a bias and no normalisation
    assert sum(p.numel() for p in network(2, normalization=normalization).parameters()) == expected


@both
def test_all_parameters_are_used(network):
    net = network(1)
    net(torch.rand(2, 1, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


@both
def test_without_normalisation_there_is_none(network):
    net = network(1, normalization=None)
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules())
