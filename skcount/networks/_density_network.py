"""The module that wraps every network: pixels in, objects per pixel out."""

from contextlib import nullcontext
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, validate_params
from torch import nn
from torch.nn import functional

from skcount.networks._blocks import rectify

# A network without an attribute `stride` is assumed to move its map with the image in steps of this many pixels.
UNKNOWN_STRIDE = 32


class DensityNetwork(nn.Module):
    """Standardise images, pad them to the network's stride, and convert its output to a density.

    The wrapped network gets standardised images whose sides are multiples of its stride; the map has the size of the
    image and is never negative. Training and prediction compute it in the same way, with the channels of a pixel next
    to each other in memory, which is the fastest layout for convolutions on CPUs.

    Parameters
    ----------
    network : torch.nn.Module
        Maps (n, n_channels, height, width) to (n, 1, height, width). If it needs sides that are multiples of some
        number, its attribute `stride` gives that number; without one, images are passed on in any size.
    mean, std : array-like of shape (n_channels,)
        Mean and standard deviation of each channel of the training images.
    output_scale : float, default=1.0
        One unit of the network's output in objects per pixel, > 0.

    Examples
    --------
    >>> import torch
    >>> from skcount.networks import DensityNetwork, UNet
    >>> network = DensityNetwork(UNet(in_channels=1, filters=4), mean=[0.5], std=[0.2]).eval()
    >>> network(torch.rand(2, 1, 13, 1)).shape
    torch.Size([2, 1, 13, 1])
    """

    # Whether the convolutions are computed in bfloat16 in training and in evaluation mode; weights never are.
    bf16_training = bf16_evaluation = False

    @validate_params(
        {
            "network": [nn.Module],
            "mean": ["array-like"],
            "std": ["array-like"],
            "output_scale": [Interval(Real, 0, None, closed="neither")],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(self, network, mean, std, output_scale=1.0):
        super().__init__()
        self.network = network
        # A single convolution also has a `stride`, a tuple, which means something else.
        stride = getattr(network, "stride", 1)
        self.stride = int(stride) if isinstance(stride, Integral) else 1
        self.statistics_frozen = False
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32).reshape(1, -1, 1, 1))
        self.register_buffer("output_scale", torch.tensor(float(output_scale)))
        self.to(memory_format=torch.channels_last)

    def forward(self, images):
        """Map images to densities.

        Parameters
        ----------
        images : tensor of shape (n, n_channels, height, width)
            Pixels before standardisation, integers scaled by their type's range.

        Returns
        -------
        tensor of shape (n, 1, height, width)
            Objects per pixel, never negative.

        Raises
        ------
        ValueError
            If the network's map does not have the size of its input.
        """
        height, width = images.shape[-2:]
        # Standardising is faster in the layout that images come in, in which the pixels of a channel are contiguous.
        images = (images - self.mean) / self.std
        padded = pad_to_stride(images.contiguous(memory_format=torch.channels_last), self.stride)
        bf16 = self.bf16_training if self.training else self.bf16_evaluation
        with torch.autocast(images.device.type, torch.bfloat16) if bf16 else nullcontext():
            density = self.network(padded)  # (n, 1, padded height, padded width)
        if density.shape != (len(images), 1, *padded.shape[-2:]):
            raise ValueError(
                f"The network must map {tuple(padded.shape)} to {(len(images), 1, *padded.shape[-2:])}, one density per "
                f"pixel; got {tuple(density.shape)}. If it needs sides that are multiples of some number, give it an "
                "attribute `stride`."
            )
        return rectify(density[..., :height, :width].to(images.dtype)) * self.output_scale

    @property
    def grid(self):
        """Steps in which the map moves with the image, in pixels: the stride, or a multiple of most networks' strides."""
        return self.stride if self.stride > 1 else UNKNOWN_STRIDE

    def freeze_statistics(self):
        """Use the running statistics of batch normalisations from now on, in training too.

        Returns
        -------
        DensityNetwork
            The module itself.
        """
        self.statistics_frozen = True
        return self.train(self.training)

    def unfreeze_statistics(self):
        """Use the statistics of each batch again in training.

        Returns
        -------
        DensityNetwork
            The module itself.
        """
        self.statistics_frozen = False
        return self

    def train(self, mode=True):
        """Switch between training and evaluation mode; frozen statistics stay frozen.

        Parameters
        ----------
        mode : bool, default=True
            Whether to train.

        Returns
        -------
        DensityNetwork
            The module itself.
        """
        super().train(mode)
        if self.statistics_frozen:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


def pad_to_stride(images, stride):
    """Repeat the last row and column until both sides are multiples of `stride`; cropping undoes it."""
    height, width = images.shape[-2:]
    bottom, right = -height % stride, -width % stride
    if not bottom and not right:
        return images
    return functional.pad(images, (0, right, 0, bottom), mode="replicate")
