"""Nearest-neighbour upsampling and the convolution that follows it, as one operation on the small map."""

import torch
from torch import nn
from torch.nn import functional

# Four times as many are the output channels that a convolution works on at once, on most processors.
FEW_CHANNELS = 4
# From so many input channels on, on a CPU, fewer multiplications make up for more additions.
MANY_CHANNELS = 256


def upsample_conv(x, weight, bias=None):
    """Nearest-neighbour upsampling by two followed by a convolution, as one convolution of the small map.

    Each pixel of the upsampled map is one of four copies of a small one, so the taps that fall on copies of
    the same pixel can be added beforehand: a k x k kernel becomes one of (k + 1) x (k + 1) with stride 2, the
    sum of four shifted copies of the flipped kernel, for a transposed convolution. Where there are few output
    channels, a plain convolution gives the four pixels that lie in a small one as four channels instead, and is
    faster. Exact, at the border too.

    Parameters
    ----------
    x : tensor of shape (n, in_channels, height, width)
        The small map.
    weight : tensor of shape (out_channels, in_channels, k, k)
        Weights of the convolution of the upsampled map, k odd, zero padding k // 2.
    bias : tensor of shape (out_channels,) or None, default=None
        Its bias.

    Returns
    -------
    tensor of shape (n, out_channels, 2 * height, 2 * width)
        What the convolution of the upsampled map gives.

    Examples
    --------
    >>> import torch
    >>> x, weight = torch.rand(1, 2, 5, 4), torch.rand(3, 2, 3, 3)
    >>> up = torch.nn.functional.interpolate(x, scale_factor=2)
    >>> plain = torch.nn.functional.conv2d(up, weight, padding=1)
    >>> torch.allclose(upsample_conv(x, weight), plain, atol=1e-5)
    True
    """
    # Exported, for ONNX Runtime, the transposed convolution is the faster one even so.
    if len(weight) <= FEW_CHANNELS and not torch.compiler.is_compiling():
        return _by_four_channels(x, *_four_kernels(weight, bias))
    return _transposed(x, upsampling_kernel(weight), bias, weight.shape[-1] // 2)


def _transposed(x, kernel, bias, padding):
    return functional.conv_transpose2d(x, kernel, bias, stride=2, padding=padding)


def _by_four_channels(x, kernel, bias):
    return functional.pixel_shuffle(functional.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2), 2)


def _four_kernels(weight, bias):
    """For each output channel four kernels on the small map: one for each pixel of the large map in one of its pixels."""
    side = weight.shape[-1]
    reach = (side // 2 + 1) // 2
    # Which taps fall on each pixel of the small map, where the kernel stands on an even pixel, and on an odd one.
    taps = weight.new_zeros(2, 2 * reach + 1, side)
    for odd in (0, 1):
        for tap in range(side):
            taps[odd, reach + (odd + tap - side // 2) // 2, tap] = 1
    kernel = torch.einsum("pmi,ocij,qnj->opqcmn", taps, weight, taps).flatten(0, 2)
    return kernel, None if bias is None else bias.repeat_interleave(4)


def upsampling_kernel(weight):
    """The kernel of that transposed convolution.

    Parameters
    ----------
    weight : tensor of shape (out_channels, in_channels, k, k)
        As for `upsample_conv`.

    Returns
    -------
    tensor of shape (in_channels, out_channels, k + 1, k + 1)
        The kernel.
    """
    side = weight.shape[-1]
    same = torch.eye(side + 1, side, dtype=weight.dtype, device=weight.device)
    # Which taps of the flipped kernel add up to each of the new one's, along an axis and on the plane.
    axis = (same + same.roll(1, 0)).flip(1)
    plane = torch.kron(axis, axis)
    kernel = torch.einsum("oik,jk->ioj", weight.flatten(2), plane)
    return kernel.unflatten(2, (side + 1, side + 1))


class UpsampleConv(nn.Module):
    """What `upsample_conv` computes, with its kernels made beforehand, for prediction.

    Parameters
    ----------
    weight : tensor of shape (out_channels, in_channels, k, k)
        As for `upsample_conv`.
    bias : tensor of shape (out_channels,) or None
        Its bias.

    Examples
    --------
    >>> x, weight = torch.rand(1, 2, 5, 4), torch.rand(8, 2, 3, 3)
    >>> torch.allclose(UpsampleConv(weight, None)(x), upsample_conv(x, weight), atol=1e-5)
    True
    """

    def __init__(self, weight, bias):
        super().__init__()
        out_channels, in_channels, side, _ = weight.shape
        self.padding = side // 2
        many = side == 3 and in_channels >= MANY_CHANNELS and weight.device.type == "cpu"
        self.differences = _Differences(weight, bias) if many else None
        four_kernels = not many and out_channels <= FEW_CHANNELS
        kernel, bias_of_four = _four_kernels(weight, bias) if four_kernels else (None, None)
        self.register_buffer("four_kernels", kernel)
        self.register_buffer("bias_of_four", bias_of_four)
        self.register_buffer("kernel", None if many or four_kernels else upsampling_kernel(weight))
        self.register_buffer("weight", weight if self.kernel is None else None)
        self.register_buffer("bias", bias)

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
        if self.kernel is not None:
            return _transposed(x, self.kernel, self.bias, self.padding)
        if torch.compiler.is_compiling():
            return upsample_conv(x, self.weight, self.bias)
        if self.four_kernels is not None:
            return _by_four_channels(x, self.four_kernels, self.bias_of_four)
        # Differences are written into parts of an array, which no gradient goes through.
        return upsample_conv(x, self.weight, self.bias) if torch.is_grad_enabled() else self.differences(x)


class _Differences(nn.Module):
    """Upsampling and a 3 x 3 convolution by 9 multiplications a pixel of the small map, where the kernels have 16.

    Along one axis, a pixel x of the small map, its neighbours l and r, and the taps a, b, c give the two pixels

        a l + (b + c) x = (a + b + c) x - a (x - l)     and     (a + b) x + c r = (a + b + c) x + c (r - x):

    three products, for r - x is the next pixel's x - l. Along both axes they are three by three: of the map, of what its
    neighbours differ by along each axis, and of what these differ by along the other.
    """

    def __init__(self, weight, bias):
        super().__init__()
        taps = weight.permute(2, 3, 0, 1)
        rows, cols = taps.sum(1), taps.sum(0)  # what a row, or a column, of the kernel adds up to
        kernels = {
            "of_map": [rows.sum(0)],
            "of_rows": [-rows[0], rows[2]],
            "of_cols": [-cols[0], cols[2]],
            "of_both": [taps[0, 0], -taps[0, 2], -taps[2, 0], taps[2, 2]],
        }
        for name, parts in kernels.items():
            self.register_buffer(name, torch.cat(parts)[:, :, None, None])
        self.register_buffer("bias", bias)

    def forward(self, x):
        n, _, height, width = x.shape
        out_channels = len(self.of_map)
        padded = functional.pad(x, (1, 1, 1, 1))
        # Differences before and after each pixel; their first and last columns, or rows, are not looked at.
        by_row, by_col = padded[:, :, 1:] - padded[:, :, :-1], padded[..., 1:] - padded[..., :-1]
        by_both = by_row[..., 1:] - by_row[..., :-1]
        products = [
            functional.conv2d(x, self.of_map, self.bias)[:, None],
            functional.conv2d(by_row, self.of_rows)[..., 1:-1].unflatten(1, (2, -1)),
            functional.conv2d(by_col, self.of_cols)[:, :, 1:-1].unflatten(1, (2, -1)),
            functional.conv2d(by_both, self.of_both).unflatten(1, (4, -1)),
        ]
        # Channels last: (n, kernel, height, width, channel).
        of_map, of_rows, of_cols, of_both = (product.permute(0, 1, 3, 4, 2) for product in products)
        y = x.new_empty(n, height, 2, width, 2, out_channels)
        for i in (0, 1):
            rows = slice(i, i + height)
            row = of_map[:, 0] + of_rows[:, i, rows]
            for j in (0, 1):
                cols = slice(j, j + width)
                torch.add(
                    row, of_cols[:, j, :, cols] + of_both[:, 2 * i + j, rows, cols], out=y[:, :, i, :, j]
                )
        return y.view(n, 2 * height, 2 * width, out_channels).permute(0, 3, 1, 2)
