import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from skcount.networks import rectify, upsample_conv
from skcount.networks._blocks import FEW_CHANNELS, BatchNorm, ConvBlock, UpConvBlock, UpsampleConv

law = settings(max_examples=50, deadline=None)


def plain_upsample_conv(x, weight, bias=None):
    up = functional.interpolate(x, scale_factor=2, mode="nearest")
    return functional.conv2d(up, weight, bias, padding=weight.shape[-1] // 2)


def randn(*shape, seed=0, requires_grad=True):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_(requires_grad)


@law
@given(
    st.sampled_from([1, 3, 5, 7]),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2 * FEW_CHANNELS)),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.booleans(),
    st.integers(0, 999),
)
def test_upsampling_and_convolution_are_one_convolution(k, channels, shape, has_bias, seed):
    n, c_in, c_out = channels
    inputs = [randn(n, c_in, *shape, seed=seed), randn(c_out, c_in, k, k, seed=seed + 1)]
    inputs += [randn(c_out, seed=seed + 2)] if has_bias else []
    fused, plain = upsample_conv(*inputs), plain_upsample_conv(*inputs)
    torch.testing.assert_close(fused, plain, rtol=1e-12, atol=1e-12)
    slope = randn(*fused.shape, seed=seed + 3, requires_grad=False)
    for one, two in zip(
        torch.autograd.grad(fused, inputs, slope), torch.autograd.grad(plain, inputs, slope), strict=True
    ):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)
    x, weight, *bias = [value.detach() for value in inputs]
    with torch.inference_mode():  # by kernels that are made beforehand
        made = UpsampleConv(weight, *(bias or [None]))(x)
    torch.testing.assert_close(made, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("skip_channels", [0, 4])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("convolutions", [1, 2])
@pytest.mark.parametrize("normalization", ["batch", None])
def test_an_up_block_equals_its_plain_form(skip_channels, kernel_size, convolutions, normalization):
    block = UpConvBlock(3, 5, skip_channels, convolutions, kernel_size, normalization).double()
    x = randn(2, 3, 4, 6)
    skip = randn(2, skip_channels, 8, 12, seed=1) if skip_channels else None
    up = functional.interpolate(x, scale_factor=2, mode="nearest")
    joined = up if skip is None else torch.cat([up, skip], dim=1)
    inputs = [x, *([skip] if skip_channels else []), *block.parameters()]
    fused, plain = block(x, skip), block.rest(block.conv(joined))
    torch.testing.assert_close(fused, plain, rtol=1e-10, atol=1e-10)
    for one, two in zip(
        torch.autograd.grad(fused.square().sum(), inputs),
        torch.autograd.grad(plain.square().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, two, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("normalization", ["batch", None])
@pytest.mark.parametrize("convolutions", [1, 3])
def test_a_block_has_as_many_convolutions_as_it_says_and_keeps_the_size(convolutions, normalization):
    block = ConvBlock(2, 6, convolutions, kernel_size=5, normalization=normalization)
    convs = [m for m in block if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size) for m in convs] == [
        (2 if i == 0 else 6, 6, (5, 5)) for i in range(convolutions)
    ]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in block) == (convolutions if normalization else 0)
    assert block(torch.randn(2, 2, 7, 3)).shape == (2, 6, 7, 3)
    assert (block(torch.randn(2, 2, 7, 3)) >= 0).all()
    assert all((m.bias is None) == (normalization == "batch") for m in convs)
    assert all(m.bias is None or not m.bias.any() for m in convs)


# BatchNorm


def test_batch_normalisation_is_torchs_wherever_there_are_two_values():
    ours, theirs = BatchNorm(3), nn.BatchNorm2d(3)
    for x in (torch.randn(1, 3, 2, 1), torch.randn(2, 3, 1, 1), torch.randn(2, 3, 4, 5)):
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


def test_batch_normalisation_of_one_value_trains_and_leaves_the_statistics():
    norm = BatchNorm(3)
    norm(torch.randn(4, 3, 2, 2))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    x = torch.randn(1, 3, 1, 1, requires_grad=True)
    y = norm(x)
    y.sum().backward()
    assert (x.grad != 0).all()
    torch.testing.assert_close(y, norm.eval()(x))
    torch.testing.assert_close(dict(norm.state_dict()), before)


# rectify


@law
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=20))
def test_the_output_is_relus_and_the_gradient_also_raises_what_is_negative(pairs):
    values, slopes = torch.tensor(pairs, dtype=torch.float64).T
    x = values.clone().requires_grad_()
    y = rectify(x)
    torch.testing.assert_close(y, values.relu())
    torch.testing.assert_close(rectify(values), values.relu())
    y.backward(slopes)
    # A step goes against the gradient: a negative slope raises the output.
    expected = [slope if value > 0 or slope < 0 else 0.0 for value, slope in pairs]
    assert x.grad.tolist() == expected


def test_descent_brings_a_dead_output_back_to_life_where_relu_stays_dead():
    alive, dead = (torch.full((3,), -2.0, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.SGD([alive, dead], lr=0.3)
    for _ in range(50):
        optimizer.zero_grad()
        ((rectify(alive) - 1).square() + (dead.relu() - 1).square()).sum().backward()
        optimizer.step()
    torch.testing.assert_close(alive, torch.ones(3), rtol=0, atol=1e-3)
    assert (dead == -2).all()
