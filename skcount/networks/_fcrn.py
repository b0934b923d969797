"""Fully convolutional regression networks A and B."""

from numbers import Integral

import torch.nn.functional as F  # noqa: N812 - the usual name
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from torch import nn

from skcount.networks._blocks import STEM, ConvBlock, UpConvBlock, density_layer, shuffle, unshuffle

_CONSTRAINTS = {
    "in_channels": [Interval(Integral, 1, None, closed="left")],
    "convolutions": [Interval(Integral, 1, 100, closed="both")],
    "normalization": [StrOptions({"batch"}), None],
    "stem": STEM,
}


class FCRNA(nn.Module):
    """FCRN-A: small kernels, three poolings, and the widest block at the bottom.

    32 - 64 - 128 - 512 filters on the way down, 128 - 64 - 1 on the way up, 3 x 3 kernels throughout. It maps
    images to densities, which may still be negative.

    Parameters
    ----------
    in_channels : int
        Number of channels of the images, >= 1.
    convolutions : int, default=1
        Number of convolutions in each block, 1 to 100; the paper uses one.
    normalization : {"batch", None}, default="batch"
        Layer after each convolution: batch normalisation, or none.
    stem : {1, 2}, default=1
        Factor by which the network reduces the image before its first block, as in `UNet`; the paper does not.

    References
    ----------
    W. Xie, J. A. Noble and A. Zisserman, "Microscopy cell counting and detection with fully convolutional
    regression networks", Computer Methods in Biomechanics and Biomedical Engineering: Imaging &
    Visualization 6(3), 2018.

    Examples
    --------
    >>> import torch
    >>> FCRNA(in_channels=1)(torch.zeros(1, 1, 16, 24)).shape
    torch.Size([1, 1, 16, 24])
    """

    @validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
    def __init__(self, in_channels, convolutions=1, normalization="batch", stem=1):
        super().__init__()
        self.stem, self.stride = stem, 8 * stem
        shape = {"convolutions": convolutions, "normalization": normalization}
        self.down1 = ConvBlock(in_channels * stem**2, 32, **shape)
        self.down2 = ConvBlock(32, 64, **shape)
        self.down3 = ConvBlock(64, 128, **shape)
        self.bottom = ConvBlock(128, 512, **shape)
        self.up3 = UpConvBlock(512, 128, **shape)
        self.up2 = UpConvBlock(128, 64, **shape)
        self.density = density_layer(64, 3, upsampling=True, n_maps=stem**2)

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
        x = unshuffle(x, self.stem)  # (n, in_channels * stem**2, h, w)
        x = F.max_pool2d(self.down1(x), 2)  # (n, 32, h / 2, w / 2)
        x = F.max_pool2d(self.down2(x), 2)  # (n, 64, h / 4, w / 4)
        x = F.max_pool2d(self.down3(x), 2)  # (n, 128, h / 8, w / 8)
        x = self.bottom(x)  # (n, 512, h / 8, w / 8)
        x = self.up3(x)  # (n, 128, h / 4, w / 4)
        x = self.up2(x)  # (n, 64, h / 2, w / 2)
        return shuffle(self.density(x), self.stem)  # (n, 1, height, width)


class FCRNB(nn.Module):
    """FCRN-B: fewer poolings and larger kernels than FCRN-A.

    32 - 64 - pool - 128 - 256 - pool - 256 - up 256 - up 1, with 3 x 3 kernels in the first three blocks and
    5 x 5 kernels in the others. It maps images to densities, which may still be negative.

    Parameters
    ----------
    in_channels : int
        Number of channels of the images, >= 1.
    convolutions : int, default=1
        Number of convolutions in each block, 1 to 100; the paper uses one.
    normalization : {"batch", None}, default="batch"
        Layer after each convolution: batch normalisation, or none.
    stem : {1, 2}, default=1
        Factor by which the network reduces the image before its first block, as in `UNet`; the paper does not.

    References
    ----------
    W. Xie, J. A. Noble and A. Zisserman, "Microscopy cell counting and detection with fully convolutional
    regression networks", Computer Methods in Biomechanics and Biomedical Engineering: Imaging &
    Visualization 6(3), 2018.

    Examples
    --------
    >>> import torch
    >>> FCRNB(in_channels=1)(torch.zeros(1, 1, 8, 12)).shape
    torch.Size([1, 1, 8, 12])
    """

    @validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
    def __init__(self, in_channels, convolutions=1, normalization="batch", stem=1):
        super().__init__()
        self.stem, self.stride = stem, 4 * stem
        small = {"convolutions": convolutions, "normalization": normalization}
        large = {**small, "kernel_size": 5}
        self.down1 = nn.Sequential(ConvBlock(in_channels * stem**2, 32, **small), ConvBlock(32, 64, **small))
        self.down2 = nn.Sequential(ConvBlock(64, 128, **small), ConvBlock(128, 256, **large))
        self.bottom = ConvBlock(256, 256, **large)
        self.up2 = UpConvBlock(256, 256, **large)
        self.density = density_layer(256, 5, upsampling=True, n_maps=stem**2)

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
        x = unshuffle(x, self.stem)  # (n, in_channels * stem**2, h, w)
        x = F.max_pool2d(self.down1(x), 2)  # (n, 64, h / 2, w / 2)
        x = F.max_pool2d(self.down2(x), 2)  # (n, 256, h / 4, w / 4)
        x = self.bottom(x)  # (n, 256, h / 4, w / 4)
        x = self.up2(x)  # (n, 256, h / 2, w / 2)
        return shuffle(self.density(x), self.stem)  # (n, 1, height, width)
