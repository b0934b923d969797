"""The blocks that networks are made of. Blocks with `folded` have a faster form for prediction."""

from copy import copy, deepcopy
from itertools import chain
from numbers import Integral
from weakref import WeakKeyDictionary

import torch
from sklearn.utils._param_validation import Options, validate_params
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

# The `stem` of a network: 1 to compute at the size of the image, 2 at half of it.
STEM = [Options(Integral, {1, 2})]
# On most processors, a convolution computes 16 output channels at once. Up to this number of channels, four kernels per
# channel take as long as one.
FEW_CHANNELS = 4
# Folded form of each block, with the weights it was made from: for a small network, folding takes as long as predicting
# a small image.
_known = WeakKeyDictionary()


class ConvBlock(nn.Sequential):
    """Convolutions of one size, each followed by a normalisation and a ReLU."""

    def __init__(self, in_channels, out_channels, convolutions=1, kernel_size=3, normalization="batch"):
        super().__init__()
        for _ in range(convolutions):
            self.extend(_conv_layers(in_channels, out_channels, kernel_size, normalization))
            in_channels = out_channels

    def folded(self):
        """Return convolutions and ReLUs that compute the same in evaluation mode."""
        return nn.Sequential(*fold(self)).eval()


class UpConvBlock(nn.Module):
    """Nearest-neighbour upsampling by two, an optional skip connection, then a `ConvBlock`."""

    def __init__(
        self, in_channels, out_channels, skip_channels=0, convolutions=1, kernel_size=3, normalization="batch"
    ):
        super().__init__()
        self.in_channels = in_channels
        self.conv, *layers = _conv_layers(
            in_channels + skip_channels, out_channels, kernel_size, normalization
        )
        rest = ConvBlock(out_channels, out_channels, convolutions - 1, kernel_size, normalization)
        self.rest = nn.Sequential(*layers, rest)

    def forward(self, x, skip=None):
        """Map `x`, (n, in_channels, h, w), and `skip`, (n, skip_channels, 2h, 2w), to (n, out_channels, 2h, 2w)."""
        # The convolution of the joined maps is a sum of two, and neither needs the upsampled map.
        weight = self.conv.weight
        y = upsample_conv(x, weight[:, : self.in_channels], self.conv.bias)  # (n, out_channels, 2h, 2w)
        if skip is not None:
            y = y + functional.conv2d(skip, weight[:, self.in_channels :], padding=self.conv.padding)
        return self.rest(y)

    def folded(self):
        """Return a module that computes the same in evaluation mode."""
        *layers, convolutions = self.rest
        conv, *layers = fold([self.conv, *layers])
        return _FoldedUpConv(conv, self.in_channels, nn.Sequential(*layers, convolutions.folded()))


class _FoldedUpConv(nn.Module):
    """`UpConvBlock` in evaluation mode, with its kernels made beforehand."""

    def __init__(self, conv, in_channels, rest):
        super().__init__()
        self.padding = conv.padding
        weight, bias = conv.weight.detach(), None if conv.bias is None else conv.bias.detach()
        self.up = UpsampleConv(weight[:, :in_channels], bias)
        self.register_buffer("skip_kernel", weight[:, in_channels:])
        self.rest = rest
        self.to(memory_format=torch.channels_last).eval()

    def forward(self, x, skip=None):
        y = self.up(x)
        if skip is not None:
            y += functional.conv2d(skip, self.skip_kernel, padding=self.padding)
        return self.rest(y)


class UpDensityLayer(nn.Conv2d):
    """Nearest-neighbour upsampling by two and a network's last convolution, as one operation."""

    def forward(self, x):
        """Map (n, in_channels, h, w) to (n, out_channels, 2h, 2w)."""
        return upsample_conv(x, self.weight, self.bias)

    def folded(self):
        """Return a module that computes the same, with its kernels made beforehand."""
        up = UpsampleConv(self.weight.detach(), self.bias.detach())
        return up.to(memory_format=torch.channels_last).eval()


def unshuffle(x, stem):
    """Turn each block of `stem` x `stem` pixels into the channels of one pixel, (n, c, h, w) -> (n, c * stem**2, ...)."""
    if stem == 1:
        return x
    return functional.pixel_unshuffle(x, stem).contiguous(memory_format=torch.channels_last)


def shuffle(x, stem):
    """Undo `unshuffle`."""
    return x if stem == 1 else functional.pixel_shuffle(x, stem)


def density_layer(in_channels, kernel_size, upsampling=False, n_maps=1):
    """Make a network's last convolution; upsample by two before it if `upsampling`."""
    conv = _convolution(in_channels, n_maps, kernel_size, None, UpDensityLayer if upsampling else nn.Conv2d)
    with torch.no_grad():
        conv.weight.mul_(0.1)  # training starts near an empty map
    return conv


def _conv_layers(in_channels, out_channels, kernel_size, normalization):
    """Make a convolution, its normalisation if there is one, and a ReLU."""
    conv = _convolution(in_channels, out_channels, kernel_size, normalization)
    norm = [BatchNorm(out_channels)] if normalization == "batch" else []
    return [conv, *norm, nn.ReLU(inplace=True)]


def _convolution(in_channels, out_channels, kernel_size, normalization, kind=nn.Conv2d):
    """Make a convolution that keeps the size, initialised for ReLU (He et al. 2015)."""
    # A normalisation subtracts the mean, so a bias before it would have no effect.
    conv = kind(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=normalization is None)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that also trains on a single value per channel."""

    def forward(self, x):
        """Normalise a map, (n, n_channels, h, w)."""
        # A variance needs two values, and torch refuses one: an image of 8 x 8 pixels is 1 x 1 after three poolings. The
        # running statistics normalise it, and stay unchanged.
        if self.training and x.numel() == x.shape[1]:
            return functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


def fold(layers):
    """Return copies of consecutive layers, each batch normalisation folded into the convolution before it."""
    folded = []
    for layer in layers:
        if isinstance(layer, BatchNorm) and folded and type(folded[-1]) is nn.Conv2d:
            conv = folded[-1]
            weight, bias = fuse_conv_bn_weights(
                conv.weight,
                conv.bias,
                layer.running_mean,
                layer.running_var,
                layer.eps,
                layer.weight,
                layer.bias,
            )
            conv._parameters = {"weight": weight, "bias": bias}
            conv.to(memory_format=torch.channels_last)
        else:
            folded.append(copy(layer))
    return folded


# Upsampling


def upsample_conv(x, weight, bias=None):
    """Upsample by two (nearest neighbour) and convolve, as one convolution of the small map.

    Each pixel of the upsampled map is one of four copies of a small pixel, so the weights that fall on copies of
    the same pixel can be added beforehand. A k x k kernel becomes a transposed convolution of size k + 1 and stride 2,
    whose kernel is the sum of four shifted copies of the flipped one. With few output channels, a plain convolution
    that computes the four pixels as four channels is faster. Both are exact, even at the border.

    Parameters
    ----------
    x : tensor of shape (n, in_channels, height, width)
        The small map.
    weight : tensor of shape (out_channels, in_channels, k, k)
        Weights of the convolution of the upsampled map, k odd, zero padding k // 2.
    bias : tensor of shape (out_channels,) or None, default=None
        Bias of that convolution.

    Returns
    -------
    tensor of shape (n, out_channels, 2 * height, 2 * width)
        The convolution of the upsampled map.

    Examples
    --------
    >>> import torch
    >>> x, weight = torch.rand(1, 2, 5, 4), torch.rand(3, 2, 3, 3)
    >>> up = torch.nn.functional.interpolate(x, scale_factor=2)
    >>> plain = torch.nn.functional.conv2d(up, weight, padding=1)
    >>> torch.allclose(upsample_conv(x, weight), plain, atol=1e-5)
    True
    """
    # In ONNX Runtime the transposed convolution is always faster.
    if len(weight) <= FEW_CHANNELS and not torch.compiler.is_compiling():
        return _by_four_channels(x, *_four_kernels(weight, bias))
    return functional.conv_transpose2d(
        x, _transposed_kernel(weight), bias, stride=2, padding=weight.shape[-1] // 2
    )


class UpsampleConv(nn.Module):
    """`upsample_conv` with its kernels made beforehand, for prediction."""

    def __init__(self, weight, bias):
        super().__init__()
        self.padding = weight.shape[-1] // 2
        self.register_buffer("kernel", _transposed_kernel(weight))
        self.register_buffer("bias", bias)
        four_kernels, four_biases = (
            _four_kernels(weight, bias) if len(weight) <= FEW_CHANNELS else (None, None)
        )
        self.register_buffer("four_kernels", four_kernels)
        self.register_buffer("four_biases", four_biases)

    def forward(self, x):
        """Map (n, in_channels, h, w) to (n, out_channels, 2h, 2w)."""
        if self.four_kernels is not None and not torch.compiler.is_compiling():
            return _by_four_channels(x, self.four_kernels, self.four_biases)
        return functional.conv_transpose2d(x, self.kernel, self.bias, stride=2, padding=self.padding)


def _transposed_kernel(weight):
    """Return the kernel of the transposed convolution, (in_channels, out_channels, k + 1, k + 1)."""
    side = weight.shape[-1]
    same = torch.eye(side + 1, side, dtype=weight.dtype, device=weight.device)
    # For each new weight, select the weights of the flipped kernel that it is the sum of, along an axis and in the
    # plane.
    axis = (same + same.roll(1, 0)).flip(1)
    plane = torch.kron(axis, axis)
    kernel = torch.einsum("oik,jk->ioj", weight.flatten(2), plane)
    return kernel.unflatten(2, (side + 1, side + 1))


def _four_kernels(weight, bias):
    """Return four kernels and biases per output channel: one for each large pixel inside a small one."""
    side = weight.shape[-1]
    reach = (side // 2 + 1) // 2
    # Select the weights that fall on each small pixel if the kernel is centred on an even or an odd large pixel.
    taps = weight.new_zeros(2, 2 * reach + 1, side)
    for odd in (0, 1):
        for tap in range(side):
            taps[odd, reach + (odd + tap - side // 2) // 2, tap] = 1
    kernel = torch.einsum("pmi,ocij,qnj->opqcmn", taps, weight, taps).flatten(0, 2)
    return kernel, None if bias is None else bias.repeat_interleave(4)


def _by_four_channels(x, kernel, bias):
    return functional.pixel_shuffle(functional.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2), 2)


# The output


class _Rectify(torch.autograd.Function):
    """ReLU with a gradient for negative inputs that should grow."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return torch.where((x > 0) | (grad < 0), grad, 0)


def rectify(x):
    """Return ``max(x, 0)``, with a gradient also for negative values that should grow.

    A plain ReLU at the end of a network can die: if its output is 0 everywhere, no gradient flows. Here, the gradient
    also passes at a negative input if it would raise the output. The output itself is that of a plain ReLU, in training
    and in prediction.

    Parameters
    ----------
    x : tensor
        Any shape.

    Returns
    -------
    tensor
        ``max(x, 0)``.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([-1.0, 2.0], requires_grad=True)
    >>> rectify(x).sub(3).square().sum().backward()
    >>> x.grad
    tensor([-6., -2.])
    """
    return _Rectify.apply(x) if x.requires_grad else x.clamp(min=0)


@validate_params({"module": [nn.Module]}, prefer_skip_nested_validation=True)
def inference_copy(module):
    """Copy a module for prediction, with batch normalisations folded into the convolutions before them.

    Each :class:`ConvBlock`, :class:`UpConvBlock` and :class:`UpDensityLayer` without hooks is replaced, at any depth in
    the module; nothing else is. The module itself does not change. The copy shares all other parameters with it, and
    shares its blocks with other copies, so it must not be modified. Make a new copy after the module has been trained
    further.

    Parameters
    ----------
    module : torch.nn.Module
        Any module; its behaviour in evaluation mode is copied.

    Returns
    -------
    torch.nn.Module
        The copy, in evaluation mode. Its output equals the module's, up to rounding.

    Examples
    --------
    >>> import torch
    >>> from skcount.networks import FCRNA, inference_copy
    >>> network, images = FCRNA(in_channels=1).eval(), torch.rand(1, 1, 32, 32)
    >>> torch.allclose(inference_copy(network)(images), network(images), atol=1e-5)
    True
    """
    folded = {}
    for block in _foldable_blocks(module):
        folded[id(block)] = _fold(block)
    return shared_copy(module, folded).eval()


def shared_copy(module, replaced=None):
    """Return a copy of a module that shares its parameters and buffers; `replaced` maps ids to replacements."""
    shared = dict(replaced or {})
    for tensor in chain(module.parameters(), module.buffers()):
        shared[id(tensor)] = tensor
    return deepcopy(module, shared)


def _foldable_blocks(module):
    """Return the blocks of a module that may be replaced: those without hooks, which need their inputs and outputs."""
    hooked = [part for part in module.modules() if part._forward_hooks or part._forward_pre_hooks]
    blocks, rest = [], [module]
    while rest:
        part = rest.pop()
        foldable = type(part) in (ConvBlock, UpConvBlock, UpDensityLayer)
        if foldable and set(part.modules()).isdisjoint(hooked):
            blocks.append(part)
        else:
            rest.extend(part.children())
    return blocks


def _fold(block):
    """Return a block for prediction, folded again only if its weights have changed."""
    weights = []
    for tensor in chain(block.parameters(), block.buffers()):
        if tensor.is_inference() or tensor.is_meta:  # torch does not count their changes
            return block.folded()
        # The sum detects changes that torch's counter misses.
        weights.append((tensor.data_ptr(), tensor.dtype, tensor._version, float(tensor.detach().sum())))
    if block not in _known or _known[block][0] != weights:
        _known[block] = weights, block.folded()
    return _known[block][1]
