"""U-Net."""

from itertools import pairwise
from numbers import Integral, Real

import numpy as np
import torch.nn.functional as F  # noqa: N812 - the usual name
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from torch import nn

from skcount.networks._blocks import STEM, ConvBlock, UpConvBlock, density_layer, shuffle, unshuffle


class UNet(nn.Module):
    """U-Net for density maps.

    A contracting path of `depth` blocks and poolings, a bottom block, and an expanding path of the same number of
    upsamplings and blocks, each with a skip connection from the contracting block of the same size. With a stem of 2,
    all of them compute at half the size of the image: each 2 x 2 pixels of the image enter as the channels of one pixel,
    and four channels of the result become the 2 x 2 pixels of the map. It maps images to densities, which may still be
    negative.

    Parameters
    ----------
    in_channels : int
        Number of channels of the images, >= 1.
    filters : int, default=24
        Number of filters of the first and last blocks, 1 to 10,000.
    growth : float, default=2
        Factor between the numbers of filters of one level and the next one down, 1 to 10; the numbers are rounded. The
        paper uses 2. With 1, all blocks have the same number.
    convolutions : int, default=2
        Number of 3 x 3 convolutions in each block, 1 to 100.
    normalization : {"batch", None}, default="batch"
        Layer after each convolution: batch normalisation, or none.
    depth : int, default=2
        Number of poolings, 1 to 8; the paper uses 4. Each additional pooling doubles the receptive field (with a stem of
        2, 47 pixels to each side with 2, 103 with 3), which helps if objects need context, and multiplies the number of
        weights by about four if `growth` is 2.
    stem : {1, 2}, default=2
        Factor by which the network reduces the image before its first block. With 1, as in the paper, a network of the
        same cost has fewer filters or one pooling less.

    References
    ----------
    O. Ronneberger, P. Fischer and T. Brox, "U-Net: convolutional networks for biomedical image
    segmentation", MICCAI 2015.

    Examples
    --------
    >>> import torch
    >>> UNet(in_channels=3, filters=4)(torch.zeros(1, 3, 16, 24)).shape
    torch.Size([1, 1, 16, 24])
    """

    @validate_params(
        {
            "in_channels": [Interval(Integral, 1, None, closed="left")],
            "filters": [Interval(Integral, 1, 10_000, closed="both")],
            "growth": [Interval(Real, 1, 10, closed="both")],
            "convolutions": [Interval(Integral, 1, 100, closed="both")],
            "normalization": [StrOptions({"batch"}), None],
            "depth": [Interval(Integral, 1, 8, closed="both")],
            "stem": STEM,
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(
        self, in_channels, filters=24, growth=2, convolutions=2, normalization="batch", depth=2, stem=2
    ):
        super().__init__()
        self.depth, self.stem, self.stride = depth, stem, stem * 2**depth
        widths = np.rint(filters * np.power(float(growth), range(depth + 1))).astype(int).tolist()
        shape = {"convolutions": convolutions, "normalization": normalization}
        for level, (before, after) in enumerate(pairwise([in_channels * stem**2, *widths[:-1]]), start=1):
            self.add_module(f"down{level}", ConvBlock(before, after, **shape))
        self.bottom = ConvBlock(*widths[-2:], **shape)
        for level in range(depth, 0, -1):
            below, width = widths[level], widths[level - 1]
            self.add_module(f"up{level}", UpConvBlock(below, width, width, **shape))
        self.density = density_layer(widths[0], 1, n_maps=stem**2)

    def forward(self, x):
        """Map standardised images to densities.

        Parameters
        ----------
        x : tensor of shape (n, in_channels, height, width)
            Height and width are multiples of `stride`.

        Returns
        -------
        tensor of shape (n, 1, height, width)
            The densities; may be negative.
        """
        x, skips = unshuffle(x, self.stem), []  # (n, in_channels * stem**2, height / stem, width / stem)
        for level in range(1, self.depth + 1):
            x = getattr(self, f"down{level}")(
                x
            )  # (n, widths[level - 1], h, w), both h and w halved at each level
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)  # (n, widths[depth], h / stride, w / stride)
        for level in range(self.depth, 0, -1):
            x = getattr(self, f"up{level}")(
                x, skips.pop()
            )  # (n, widths[level - 1], h, w), both doubled at each level
        return shuffle(self.density(x), self.stem)  # (n, 1, height, width)
