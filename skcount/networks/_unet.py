"""U-Net with a constant number of filters."""

import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from torch import nn

from skcount.networks._blocks import ConvBlock, UpConvBlock, density_layer


class UNet(nn.Module):
    """U-Net for density maps: every block has the same number of filters.

    A contracting path of three blocks and poolings, a bottom block, and an expanding path of three
    upsamplings, each joined with the block of the same size. Maps an image to a density, before it is made
    non-negative.

    Parameters
    ----------
    in_channels : int
        Number of channels of the images.
    filters : int, default=32
        Number of filters of every block, >= 1.
    convolutions : int, default=2
        Number of 3 x 3 convolutions in each block, >= 1.
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

    def __init__(self, in_channels, filters=32, convolutions=2, normalization="batch"):
        super().__init__()

        def down(channels):
            return ConvBlock(channels, filters, convolutions, normalization=normalization)

        def up():
            return UpConvBlock(filters, filters, filters, convolutions, normalization=normalization)

        self.down1, self.down2, self.down3 = down(in_channels), down(filters), down(filters)
        self.bottom = down(filters)
        self.up3, self.up2, self.up1 = up(), up(), up()
        self.density = density_layer(filters, 1)

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
        d1 = self.down1(x)  # (n, filters, h, w)
        d2 = self.down2(F.max_pool2d(d1, 2))  # h / 2
        d3 = self.down3(F.max_pool2d(d2, 2))  # h / 4
        bottom = self.bottom(F.max_pool2d(d3, 2))  # h / 8
        u3 = self.up3(bottom, d3)  # h / 4
        u2 = self.up2(u3, d2)  # h / 2
        u1 = self.up1(u2, d1)  # h
        return self.density(u1)  # (n, 1, h, w)
