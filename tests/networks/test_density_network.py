from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from skcount.networks import ARCHITECTURES, DensityNetwork, UNet, pad_to_stride

law = settings(max_examples=50, deadline=None)
MAKERS = {
    "unet": partial(UNet, filters=3, convolutions=1),
    "fcrn_a": ARCHITECTURES["fcrn_a"],
    "fcrn_b": ARCHITECTURES["fcrn_b"],
}
architectures = pytest.mark.parametrize("name", MAKERS)


def make(name, n_channels=1, normalization="batch", seed=0, **params):
    torch.manual_seed(seed)
    network = MAKERS[name](n_channels, normalization=normalization)
    return DensityNetwork(network, [0.5] * n_channels, [0.2] * n_channels, **params)


class Plain(nn.Module):
    """Convolve, without an attribute `stride`."""

    def __init__(self, n_channels=1, out_channels=1, padding=1):
        super().__init__()
        self.conv = nn.Conv2d(n_channels, out_channels, 3, padding=padding)

    def forward(self, x):
        return self.conv(x)


def test_every_architecture_is_tested_here():
    assert set(MAKERS) == set(ARCHITECTURES)


# shapes


@architectures
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (1, 13), (7, 2), (8, 8), (17, 11)])
def test_an_image_of_any_size_gives_a_density_of_its_size(name, shape, training):
    network = make(name, n_channels=2).train(training)
    density = network(torch.rand(1, 2, *shape))
    assert density.shape == (1, 1, *shape)
    assert (density >= 0).all()
    assert torch.isfinite(density).all()


@law
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 16))
def test_padding_repeats_the_border_up_to_the_next_multiple(height, width, stride):
    images = torch.rand(2, 1, height, width)
    by = (0, -width % stride, 0, -height % stride)
    assert torch.equal(pad_to_stride(images, stride), functional.pad(images, by, mode="replicate"))


# what is around the network


def test_pixels_are_standardised_channel_by_channel_and_the_output_is_scaled():
    network = nn.Conv2d(2, 1, 1, bias=True)
    images = torch.rand(3, 2, 4, 5)
    mean, std = [0.1, 0.4], [0.5, 2.0]
    density = DensityNetwork(network, mean, std, output_scale=7.0)(images)
    by_hand = network((images - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None])
    torch.testing.assert_close(density, 7 * by_hand.relu())


def test_what_it_was_told_travels_in_the_state_dict():
    one = make("unet", n_channels=2, output_scale=0.3)
    two = DensityNetwork(MAKERS["unet"](2), [0, 0], [1, 1])
    two.load_state_dict(one.state_dict())
    images = torch.rand(1, 2, 9, 9)
    torch.testing.assert_close(one.eval()(images), two.eval()(images), rtol=0, atol=0)


# alive


@architectures
@pytest.mark.parametrize("normalization", ["batch", None])
def test_the_gradient_is_not_zero_from_an_all_zero_start(name, normalization):
    network = make(name, normalization=normalization)
    with torch.no_grad():
        network.network.density.bias.fill_(-1000.0)
    density = network(torch.rand(2, 1, 16, 16))
    assert not density.any()
    functional.mse_loss(density, torch.full_like(density, 0.5)).backward()
    gradients = {key: p.grad.abs().max().item() for key, p in network.named_parameters() if p.ndim == 4}
    assert all(gradients.values()), gradients
    assert (network.network.density.bias.grad < 0).all()  # descent raises it


@architectures
@pytest.mark.parametrize("normalization", ["batch", None])
def test_all_parameters_are_used_and_without_normalisation_there_is_none(name, normalization):
    network = make(name, normalization=normalization)
    network(torch.rand(2, 1, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert bool(norms) == (normalization is not None)


# the same map in training and prediction


@architectures
def test_without_normalisation_training_and_prediction_give_the_same_map(name):
    network = make(name, normalization=None)
    images = torch.rand(2, 1, 13, 9)
    torch.testing.assert_close(network.train()(images), network.eval()(images), rtol=0, atol=0)


@architectures
def test_with_frozen_statistics_training_and_prediction_give_the_same_map(name):
    network = make(name)
    images = torch.rand(2, 1, 16, 16)
    for _ in range(3):
        network.train()(images)
    assert not torch.equal(network.train()(images), network.eval()(images))
    network.train().freeze_statistics()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    for _ in range(2):
        trained = network(images)
        assert network.training
        torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)
        torch.testing.assert_close(trained, network.eval()(images), rtol=0, atol=0)
        network.train()
    assert not torch.equal(network.unfreeze_statistics().train()(images), trained)
    assert not torch.equal(network.eval()(images), trained)  # which follow the batches again


@pytest.mark.parametrize(("name", "margin"), [("unet", 56), ("fcrn_a", 48), ("fcrn_b", 32)])
def test_shifting_the_image_by_the_stride_shifts_the_interior_of_the_map(name, margin):
    network = make(name).eval()
    with torch.no_grad():
        network.network.density.bias.fill_(1.0)  # so that most of the map is not cut to 0
    stride, side = network.stride, 2 * margin + 24
    large = torch.rand(1, 1, side + stride, side + stride, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        one, two = network(large[..., :side, :side]), network(large[..., stride:, stride:])
    inner = slice(margin, side - margin)
    shifted = two[..., margin - stride : side - margin - stride, margin - stride : side - margin - stride]
    assert one[..., inner, inner].std() > 0
    torch.testing.assert_close(shifted, one[..., inner, inner], rtol=1e-4, atol=1e-5)


# a user's own network


@pytest.mark.parametrize("shape", [(1, 1), (7, 11)])
def test_a_network_without_a_stride_gets_the_image_as_it_is(shape):
    seen = []

    class Spy(Plain):
        def forward(self, x):
            seen.append(tuple(x.shape[-2:]))
            return super().forward(x)

    assert DensityNetwork(Spy(), [0.0], [1.0])(torch.rand(1, 1, *shape)).shape == (1, 1, *shape)
    assert seen == [shape]


def test_a_network_with_a_stride_gets_multiples_of_it():
    class Halves(nn.Module):
        stride = 6

        def forward(self, x):
            assert not x.shape[-2] % 6
            assert not x.shape[-1] % 6
            return functional.interpolate(functional.avg_pool2d(x, 6), scale_factor=6)

    assert DensityNetwork(Halves(), [0.0], [1.0])(torch.rand(1, 1, 13, 6)).shape == (1, 1, 13, 6)


@pytest.mark.parametrize(
    ("network", "came"),
    [
        (Plain(padding=0), r"\(2, 1, 6, 5\)"),
        (Plain(out_channels=3), r"\(2, 3, 8, 7\)"),
        (nn.Flatten(), r"\(2, 56\)"),
        (nn.Sequential(nn.MaxPool2d(2)), r"\(2, 1, 4, 3\)"),
    ],
    ids=["smaller", "channels", "flat", "pooled"],
)
def test_a_map_of_another_shape_is_refused_with_what_was_expected(network, came):
    words = rf"must map \(2, 1, 8, 7\) to \(2, 1, 8, 7\).*got {came}.*attribute `stride`"
    with pytest.raises(ValueError, match=words):
        DensityNetwork(network, [0.0], [1.0])(torch.rand(2, 1, 8, 7))


def test_the_stride_of_a_lone_convolution_is_its_own_business():
    convolution = nn.Conv2d(1, 1, 3, padding=1)
    assert DensityNetwork(convolution, [0.0], [1.0])(torch.rand(1, 1, 5, 7)).shape == (1, 1, 5, 7)


def test_frozen_statistics_reach_a_users_network_too():
    network = DensityNetwork(nn.Sequential(nn.BatchNorm2d(1), Plain()), [0.0], [1.0])
    network.freeze_statistics()
    images = torch.rand(2, 1, 5, 5)
    torch.testing.assert_close(network.train()(images), network.eval()(images))


# bfloat16


def seen_by_convolutions(network, images):
    """Return the types of the maps that convolutions return, and the density."""
    seen = set()
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    hooks = [m.register_forward_hook(lambda *args: seen.add(args[-1].dtype)) for m in convolutions]
    density = network(images)
    for hook in hooks:
        hook.remove()
    return seen, density


@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_has_a_switch_for_training_and_one_for_prediction(training):
    network, images = make("unet"), torch.rand(2, 1, 16, 16)
    setattr(network, "bf16_training" if training else "bf16_evaluation", True)
    seen, density = seen_by_convolutions(network.train(training), images)
    assert seen == {torch.bfloat16}
    assert density.dtype == torch.float32
    if training:
        density.sum().backward()
        assert {p.grad.dtype for p in network.parameters()} == {torch.float32}
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert all(b.dtype in (torch.float32, torch.int64) for b in network.buffers())
    seen, _ = seen_by_convolutions(network.train(not training), images)
    assert seen == {torch.float32}


@pytest.mark.parametrize("name", ["unet", "fcrn_a"])
def test_bfloat16_gives_about_the_same_map_and_gradient(name):
    images = torch.rand(2, 1, 32, 32)
    maps, gradients = [], []
    for mixed in (False, True):
        network = make(name).train()
        network.bf16_training = mixed
        density = network(images)
        (density * torch.linspace(0, 1, 32)).sum().backward()
        maps.append(density.detach())
        gradients.append(torch.cat([p.grad.flatten() for p in network.network.parameters()]))
    for single, mixed in (maps, gradients):
        assert not torch.equal(single, mixed)
        assert (single - mixed).norm() < 0.1 * single.norm()
