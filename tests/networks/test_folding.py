import gc
from functools import partial
from weakref import ref

import pytest
import torch
from torch import nn

from skcount.networks import FCRNA, FCRNB, DensityNetwork, UNet, inference_copy
from skcount.networks._blocks import ConvBlock, UpConvBlock

NETWORKS = {
    "unet": partial(UNet, 2, filters=3),
    "unet of one convolution per block": partial(UNet, 2, filters=3, convolutions=1),
    "unet at full size": partial(UNet, 2, filters=3, stem=1),
    "fcrn_a": partial(FCRNA, 2),
    "fcrn_a at half size": partial(FCRNA, 2, stem=2),
    "fcrn_b": partial(FCRNB, 2, convolutions=2),
}


def trained(network, seed=0):
    """Return a network whose normalisations have seen some images, and have scales and shifts of their own."""
    torch.manual_seed(seed)
    network = network.double().train()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for _ in range(3):
            network(torch.randn(2, 2, 16, 24, dtype=torch.float64))
    return network


def images(seed=1):
    return torch.randn(2, 2, 24, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def n_norms(module):
    return sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())


@pytest.mark.parametrize("normalization", ["batch", None])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_copy_gives_what_the_network_gives_and_has_no_normalisation_left(name, normalization):
    network = trained(NETWORKS[name](normalization=normalization))
    fast = inference_copy(network)
    assert n_norms(fast) == 0
    assert not any(m.training for m in fast.modules())
    with torch.inference_mode():
        expected = network.eval()(images())
        atol = 1e-9 * float(expected.abs().max())
        torch.testing.assert_close(fast(images()), expected, rtol=1e-9, atol=atol)


def test_the_network_stays_as_it_is():
    network = DensityNetwork(trained(UNet(2, filters=3)), [0.1, 0.2], [1, 2]).double()
    network.freeze_statistics().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [m.training for m in network.modules()]
    with torch.no_grad():
        expected = network(images())
        inference_copy(network)(images())
        torch.testing.assert_close(network(images()), expected, rtol=0, atol=0)
    assert [m.training for m in network.modules()] == modes
    assert n_norms(network) == 10
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


def test_a_copy_is_of_the_network_as_it_was():
    network = trained(ConvBlock(2, 3))
    fast, expected = inference_copy(network), network.eval()(images())
    with torch.no_grad():
        network[0].weight.mul_(2)
    torch.testing.assert_close(fast(images()), expected)


def test_a_copy_has_the_blocks_of_the_last_one():
    network = trained(UNet(2, filters=3))
    first, second = inference_copy(network), inference_copy(network)
    assert first is not second
    assert first.down1 is second.down1
    assert first.up2 is second.up2


def in_place(change):
    """Return a change of a weight."""

    def changed(network):
        with torch.no_grad():
            change(network.up1.conv.weight)

    return changed


def descend(network):
    network(images()).sum().backward()
    torch.optim.SGD(network.parameters(), 0.1).step()


def trained_block(in_channels, out_channels):
    torch.manual_seed(9)
    block = ConvBlock(in_channels, out_channels, convolutions=2).double()
    block(torch.randn(2, in_channels, 16, 24, dtype=torch.float64))
    return block


CHANGES = [
    in_place(lambda weight: weight.mul_(2)),
    in_place(lambda weight: weight.data.mul_(2)),  # past the counter
    in_place(lambda weight: weight.copy_(weight.flip(-1))),  # the sum stays
    lambda network: network.train()(images(2)),
    lambda network: network.load_state_dict(trained(UNet(2, filters=3), seed=9).state_dict()),
    lambda network: setattr(network, "down1", trained_block(8, 3)),
    lambda network: network.down1.register_forward_hook(lambda *args: args[-1] + 1),
]


@pytest.mark.parametrize(
    ("change", "built_for_inference"),
    [(descend, False), *((change, inference) for change in CHANGES for inference in (False, True))],
)
def test_a_copy_is_never_out_of_date(change, built_for_inference):
    with torch.inference_mode(built_for_inference):
        network = trained(UNet(2, filters=3))
        inference_copy(network)
        before = network.eval()(images()).detach()
        change(network)
    with torch.no_grad():
        expected = network.eval()(images())
        assert not torch.allclose(expected, before)
        torch.testing.assert_close(inference_copy(network)(images()), expected)


def test_folded_blocks_go_with_their_network():
    network = trained(UNet(2, filters=3))
    folded = ref(inference_copy(network).down1)
    gc.collect()
    assert folded() is not None
    del network
    gc.collect()
    assert folded() is None


class Scaled(ConvBlock):
    """Do something else with the layers of a block."""

    def forward(self, x):
        return 2 * super().forward(x)


class Backwards(nn.Sequential):
    """Go through two layers in another order."""

    def forward(self, x):
        conv, norm = self
        return conv(norm(x))


@pytest.mark.parametrize(
    "network",
    [
        Scaled(2, 2, convolutions=2),
        Backwards(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)),
        nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2), nn.InstanceNorm2d(2), nn.Dropout(0.5)),
        nn.Sequential(ConvBlock(2, 4), nn.ModuleDict({"a": nn.Identity()})["a"], nn.BatchNorm2d(4)),
    ],
)
def test_what_others_do_with_their_layers_is_left_to_them(network):
    network = trained(network)
    fast = inference_copy(network)
    torch.testing.assert_close(fast(images()), network.eval()(images()))


def test_a_module_that_is_there_twice_and_one_that_is_none():
    block = ConvBlock(2, 2)
    network = trained(nn.Sequential(block, nn.ReLU(), block))
    network.register_module("later", None)
    fast = inference_copy(network)
    assert fast.later is None
    del network._modules["later"], fast._modules["later"]
    torch.testing.assert_close(fast(images()), network.eval()(images()))


def test_a_hook_sees_what_it_saw():
    seen = []
    network = trained(UpConvBlock(2, 3))
    network.rest[0].register_forward_hook(lambda *args: seen.append(args[-1]))
    network(images()), inference_copy(network)(images())
    assert len(seen) == 2


def test_parameters_outside_of_the_blocks_are_shared():
    network = trained(UNet(2, filters=3))
    assert inference_copy(network).density.weight is network.density.weight


class Aliased(nn.Module):
    """Refer to the layers in more ways than by the modules that torch knows of."""

    def __init__(self):
        super().__init__()
        self.block, self.norm = ConvBlock(2, 3), nn.BatchNorm2d(3)
        self.steps = [self.block, self.norm, nn.Dropout(0.5)]
        self.forward = self._through

    def _through(self, x):
        for step in self.steps[:2]:
            x = step(x)
        return x


def test_a_network_that_is_being_trained_is_neither_seen_nor_changed_through_its_own_references():
    network = trained(Aliased())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = inference_copy(network)(images())
    assert network.training
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)
    torch.testing.assert_close(found, network.eval()(images()))


@pytest.mark.parametrize(
    "norm", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm]
)
def test_parametrised_layers_are_copied(norm):
    network = trained(nn.Sequential(norm(nn.Conv2d(2, 4, 3, padding=1)), ConvBlock(4, 1)))
    fast = inference_copy(network)
    torch.testing.assert_close(fast(images()), network.eval()(images()))
