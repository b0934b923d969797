"""U-Net, with as many filters at every depth, or more of them further down."""

from numbers import Integral, Real

import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from torch import nn

from skcount.networks._blocks import ConvBlock, UpConvBlock, density_layer


class UNet(nn.Module):
    """U-Net for density maps.

    A contracting path of three blocks and poolings, a bottom block, and an expanding path of three
    upsamplings, each joined with the block of the same size. Maps an image to a density, before it is made
    non-negative.

    Parameters
    ----------
    in_channels : int
        Number of channels of the images, >= 1.
    filters : int, default=16
        Number of filters of the blocks of the image's own size, 1 to 10,000.
    growth : float, default=2
        Each block has so many times the filters of the one that is twice its size, 1 to 10, rounded. The paper has 2; 1
        gives every block the same number.
    convolutions : int, default=2
        Number of 3 x 3 convolutions in each block, 1 to 100.
    normalization : {"batch", None}, default="batch"
        What follows each convolution.

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

    stride = 8

    @validate_params(
        {
            "in_channels": [Interval(Integral, 1, None, closed="left")],
            "filters": [Interval(Integral, 1, 10_000, closed="both")],
            "growth": [Interval(Real, 1, 10, closed="both")],
            "convolutions": [Interval(Integral, 1, 100, closed="both")],
            "normalization": [StrOptions({"batch"}), None],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(self, in_channels, filters=16, growth=2, convolutions=2, normalization="batch"):
        super().__init__()
        f1, f2, f3, f4 = (round(filters * growth**depth) for depth in range(4))
        shape = {"convolutions": convolutions, "normalization": normalization}
        self.down1 = ConvBlock(in_channels, f1, **shape)
        self.down2 = ConvBlock(f1, f2, **shape)
        self.down3 = ConvBlock(f2, f3, **shape)
        self.bottom = ConvBlock(f3, f4, **shape)
        self.up3 = UpConvBlock(f4, f3, f3, **shape)
        self.up2 = UpConvBlock(f3, f2, f2, **shape)
        self.up1 = UpConvBlock(f2, f1, f1, **shape)
        self.density = density_layer(f1, 1)

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
        d1 = self.down1(x)  # (n, f1, h, w)
        d2 = self.down2(F.max_pool2d(d1, 2))  # (n, f2, h / 2, w / 2)
        d3 = self.down3(F.max_pool2d(d2, 2))  # (n, f3, h / 4, w / 4)
        bottom = self.bottom(F.max_pool2d(d3, 2))  # (n, f4, h / 8, w / 8)
        u3 = self.up3(bottom, d3)  # (n, f3, h / 4, w / 4)
        u2 = self.up2(u3, d2)  # (n, f2, h / 2, w / 2)
        u1 = self.up1(u2, d1)  # (n, f1, h, w)
        return self.density(u1)  # (n, 1, h, w)
