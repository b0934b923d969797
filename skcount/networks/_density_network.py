"""The one module around every network: pixels in, objects per pixel out."""

from contextlib import nullcontext
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, validate_params
from torch import nn

from skcount.networks._blocks import rectify
from skcount.networks._padding import pad_to_stride
from skcount.networks._tiles import reach

# The map of a network that does not say so is taken to move with its image in steps of this, in pixels.
UNKNOWN_STRIDE = 32


class DensityNetwork(nn.Module):
    """Standardise images, fit them to the network's stride, and make its map a density.

    Whatever network is inside sees standardised pixels and sides that are multiples of its stride; whatever
    leaves is the size of the image and never negative. The map is computed the same way in training and in
    prediction, with the channels of a pixel side by side in memory, where convolutions on CPUs are fastest.

    Parameters
    ----------
    network : torch.nn.Module
        Maps (n, n_channels, height, width) to (n, 1, height, width). An attribute `stride` says that it
        needs sides that are multiples of it; without one, any size is passed on as it is.
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

    _reach = None, None
    # Whether training, or prediction, computes the network in bfloat16, but weights, gradients and densities as they are.
    trains_mixed = predicts_mixed = False

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
        # A lone convolution has a stride too, a tuple, which says something else.
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
            Pixels as the user has them, integers scaled by their type's range.

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
        # Faster in the layout that they come in, where the pixels of a channel follow one another.
        images = (images - self.mean) / self.std
        padded = pad_to_stride(images.contiguous(memory_format=torch.channels_last), self.stride)
        with self._precision(images.device):
            density = self.network(padded)
        if density.shape != (len(images), 1, *padded.shape[-2:]):
            raise ValueError(
                f"The network maps {tuple(padded.shape)} to {tuple(density.shape)}; expected "
                f"{(len(images), 1, *padded.shape[-2:])}, one density for each pixel. A network that needs sides that "
                "are multiples of some number says so in an attribute `stride`."
            )
        return rectify(density[..., :height, :width].to(images.dtype)) * self.output_scale

    def _precision(self, device):
        """What the network is computed in."""
        if self.trains_mixed if self.training else self.predicts_mixed:
            return torch.autocast(device.type, torch.bfloat16)
        return nullcontext()

    @property
    def grid(self):
        """Steps in which the map moves with the image, in pixels: the stride, or a multiple of most networks'."""
        return self.stride if self.stride > 1 else UNKNOWN_STRIDE

    def reach(self):
        """How far away a pixel of an image may be that a pixel of its map depends on.

        Returns
        -------
        int
            The distance along an axis, in pixels. Measured once, for it depends on no weight.

        Raises
        ------
        ValueError
            If the network looks at all of an image, however large.
        """
        layers = repr(self.network)
        if self._reach[0] != layers:
            self._reach = layers, reach(self.network, self.mean.shape[1], self.grid)
        return self._reach[1]

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
        """Let batch normalisations follow the batches again when training.

        Returns
        -------
        DensityNetwork
            The module itself.
        """
        self.statistics_frozen = False
        return self

    def train(self, mode=True):
        """Switch between training and prediction; frozen statistics stay frozen.

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
