"""The parts that the networks are drawn with."""

from copy import copy

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from skcount.networks._upsampling import UpsampleConv, upsample_conv


class ConvBlock(nn.Sequential):
    """Convolutions of one size, each followed by a normalisation and a ReLU.

    Parameters
    ----------
    in_channels, out_channels : int
        Number of channels before and after.
    convolutions : int, default=1
        How many convolutions, one after the other.
    kernel_size : int, default=3
        Side of the kernels, in pixels; odd. The size of the map does not change.
    normalization : {"batch", None}, default="batch"
        What follows each convolution: batch normalisation, or nothing.

    Examples
    --------
    >>> import torch
    >>> ConvBlock(3, 8, convolutions=2)(torch.zeros(1, 3, 6, 4)).shape
    torch.Size([1, 8, 6, 4])
    """

    def __init__(self, in_channels, out_channels, convolutions=1, kernel_size=3, normalization="batch"):
        layers = []
        for i in range(convolutions):
            layers += [
                convolution(
                    in_channels if i == 0 else out_channels, out_channels, kernel_size, normalization
                ),
                *normalize(out_channels, normalization),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)

    def folded(self):
        """Fold the normalisations into the convolutions, for prediction.

        Returns
        -------
        torch.nn.Sequential
            Convolutions and ReLUs that give what the block gives in evaluation mode.
        """
        return nn.Sequential(*fold(self)).eval()


class UpConvBlock(nn.Module):
    """Nearest-neighbour upsampling by two, an optional skip connection, then a `ConvBlock`.

    The first convolution never sees the upsampled map: upsampling followed by a convolution equals one
    transposed convolution of the small map (:func:`upsample_conv`), with the same parameters and fewer
    operations.

    Parameters
    ----------
    in_channels : int
        Number of channels of the map that is upsampled.
    out_channels : int
        Number of channels after the block.
    skip_channels : int, default=0
        Number of channels of the map that is concatenated after upsampling.
    convolutions : int, default=1
        How many convolutions, one after the other.
    kernel_size : int, default=3
        Side of the kernels, in pixels; odd.
    normalization : {"batch", None}, default="batch"
        What follows each convolution: batch normalisation, or nothing.

    Examples
    --------
    >>> import torch
    >>> block = UpConvBlock(8, 4, skip_channels=2)
    >>> block(torch.zeros(1, 8, 3, 2), skip=torch.zeros(1, 2, 6, 4)).shape
    torch.Size([1, 4, 6, 4])
    """

    def __init__(
        self, in_channels, out_channels, skip_channels=0, convolutions=1, kernel_size=3, normalization="batch"
    ):
        super().__init__()
        self.in_channels = in_channels
        self.conv = convolution(in_channels + skip_channels, out_channels, kernel_size, normalization)
        self.rest = nn.Sequential(
            *normalize(out_channels, normalization),
            nn.ReLU(inplace=True),
            ConvBlock(out_channels, out_channels, convolutions - 1, kernel_size, normalization),
        )

    def forward(self, x, skip=None):
        """Upsample `x` by two and convolve it together with `skip`.

        Parameters
        ----------
        x : tensor of shape (n, in_channels, height, width)
            The small map.
        skip : tensor of shape (n, skip_channels, 2 * height, 2 * width), or None, default=None
            The map from the contracting path.

        Returns
        -------
        tensor of shape (n, out_channels, 2 * height, 2 * width)
            The large map.
        """
        weight = self.conv.weight
        y = upsample_conv(x, weight[:, : self.in_channels], self.conv.bias)
        if skip is not None:
            y = y + functional.conv2d(skip, weight[:, self.in_channels :], padding=self.conv.padding)
        return self.rest(y)

    def folded(self):
        """Fold the normalisations into the convolutions, for prediction.

        Returns
        -------
        torch.nn.Module
            A module that gives what the block gives in evaluation mode.
        """
        *layers, convolutions = self.rest
        conv, *layers = fold([self.conv, *layers])
        return _FoldedUpConv(conv, self.in_channels, nn.Sequential(*layers, convolutions.folded()))


class _FoldedUpConv(nn.Module):
    """What `UpConvBlock` computes in evaluation mode, with its kernels at hand."""

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


def fold(layers):
    """Fold each batch normalisation into the convolution before it.

    Parameters
    ----------
    layers : iterable of torch.nn.Module
        Layers that follow one another.

    Returns
    -------
    list of torch.nn.Module
        Fewer layers that give the same in evaluation mode, new ones where they differ.
    """
    folded = []
    for layer in layers:
        if isinstance(layer, BatchNorm) and folded and type(folded[-1]) is nn.Conv2d:
            folded.append(_fuse(folded.pop(), layer))
        else:
            folded.append(copy(layer))
    return folded


def _fuse(conv, norm):
    """The convolution that gives what two layers give; both stay as they are."""
    fused = copy(conv)
    fused._parameters = {}
    statistics = norm.running_mean, norm.running_var, norm.eps
    fused.weight, fused.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, *statistics, norm.weight, norm.bias
    )
    return fused.to(memory_format=torch.channels_last)


class UpDensityLayer(nn.Conv2d):
    """Nearest-neighbour upsampling by two, then a network's last convolution, as one (:func:`upsample_conv`).

    The parameters are those of `torch.nn.Conv2d`.

    Examples
    --------
    >>> density_layer(8, 3, upsampling=True)(torch.zeros(1, 8, 3, 2)).shape
    torch.Size([1, 1, 6, 4])
    """

    def forward(self, x):
        """Upsample and convolve.

        Parameters
        ----------
        x : tensor of shape (n, in_channels, height, width)
            The small map.

        Returns
        -------
        tensor of shape (n, out_channels, 2 * height, 2 * width)
            The large map.
        """
        return upsample_conv(x, self.weight, self.bias)

    def folded(self):
        """Make the kernels beforehand, for prediction.

        Returns
        -------
        torch.nn.Module
            A module that gives the same.
        """
        up = UpsampleConv(self.weight.detach(), self.bias.detach())
        return up.to(memory_format=torch.channels_last).eval()


def convolution(in_channels, out_channels, kernel_size, normalization, kind=nn.Conv2d):
    """Make a convolution that keeps the size, initialised for ReLU (He et al. 2015).

    Parameters
    ----------
    in_channels, out_channels, kernel_size : int
        As for `torch.nn.Conv2d`.
    normalization : {"batch", None}
        What follows; a normalisation makes a bias pointless.
    kind : type, default=torch.nn.Conv2d
        Its class.

    Returns
    -------
    torch.nn.Conv2d
        The convolution.
    """
    conv = kind(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=normalization is None)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def density_layer(in_channels, kernel_size, upsampling=False):
    """Make a network's last convolution: one channel, and small weights, so that training starts near an empty map.

    Parameters
    ----------
    in_channels, kernel_size : int
        As for `torch.nn.Conv2d`.
    upsampling : bool, default=False
        Whether the map is upsampled by two before it.

    Returns
    -------
    torch.nn.Conv2d
        The convolution.
    """
    conv = convolution(in_channels, 1, kernel_size, None, UpDensityLayer if upsampling else nn.Conv2d)
    with torch.no_grad():
        conv.weight.mul_(0.1)
    return conv


def normalize(channels, normalization):
    """Make the layers that normalise a map: one, or none.

    Parameters
    ----------
    channels : int
        Number of channels.
    normalization : {"batch", None}
        Which normalisation.

    Returns
    -------
    list of torch.nn.Module
        The layers.
    """
    return [BatchNorm(channels)] if normalization == "batch" else []


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that also trains on a single value a channel.

    A variance needs two values, and torch refuses one: a lone image of 8 x 8 pixels is 1 x 1 after three
    poolings. Here such a batch is normalised by the running statistics, and leaves them as they are.
    """

    def forward(self, x):
        """Normalise a map.

        Parameters
        ----------
        x : tensor of shape (n, n_channels, height, width)
            The map.

        Returns
        -------
        tensor of shape (n, n_channels, height, width)
            The normalised map.
        """
        if self.training and x.numel() == x.shape[1]:
            return functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


class _Rectify(torch.autograd.Function):
    """ReLU whose gradient also reaches a negative input that ought to be larger."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return torch.where((x > 0) | (grad < 0), grad, 0)


def rectify(x):
    """Non-negative and alive: ``max(x, 0)``, with a gradient for negative values that should grow.

    A plain ReLU at the end of a network can die: where it gives 0 everywhere, no gradient flows. Here the
    gradient passes at a negative input as well, whenever it would raise the output; the output itself is the
    plain ReLU's, in training and in prediction.

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
