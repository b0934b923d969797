import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from skcount.networks import _upsampling, upsample_conv
from skcount.networks._upsampling import FEW_CHANNELS, MANY_CHANNELS, UpsampleConv

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
def test_upsampling_and_convolution_are_one_convolution_of_the_small_map_gradients_too(
    k, channels, shape, has_bias, seed
):
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


@law
@given(
    st.sampled_from([1, 3, 5]),
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 2 * FEW_CHANNELS)),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.booleans(),
    st.integers(0, 999),
)
def test_kernels_made_beforehand_give_the_same_by_differences_too(k, channels, shape, has_bias, seed):
    n, c_in, c_out = channels
    x, weight = (randn(*s, seed=seed, requires_grad=False) for s in [(n, c_in, *shape), (c_out, c_in, k, k)])
    bias = randn(c_out, seed=seed + 2, requires_grad=False) if has_bias else None
    plain = plain_upsample_conv(x, weight, bias)
    with pytest.MonkeyPatch.context() as patch:
        for many in (1, 100):
            patch.setattr(_upsampling, "MANY_CHANNELS", many)
            up = UpsampleConv(weight, bias)
            assert (up.differences is not None) == (k == 3 and many == 1)
            torch.testing.assert_close(up(x), plain, rtol=1e-12, atol=1e-12)
            with torch.inference_mode():
                torch.testing.assert_close(up(x), plain, rtol=1e-12, atol=1e-12)


def test_differences_keep_the_precision_of_single():
    x, weight = randn(1, MANY_CHANNELS, 8, 8, requires_grad=False), randn(16, MANY_CHANNELS, 3, 3, seed=1)
    weight = weight.detach() / (9 * MANY_CHANNELS) ** 0.5
    up = UpsampleConv(weight.float(), None)
    plain = plain_upsample_conv(x, weight)
    with torch.inference_mode():
        by_differences = up.differences(x.float())
        assert torch.equal(up(x.float()), by_differences)
    # What single precision may lose in a sum of so many products, of values around 1.
    torch.testing.assert_close(by_differences.double(), plain, rtol=0, atol=1e-5)
