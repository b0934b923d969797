"""Sides that a network takes."""

from torch.nn import functional


def pad_to_stride(images, stride):
    """Repeat the last row and column until both sides are multiples of `stride`.

    Parameters
    ----------
    images : tensor of shape (n, n_channels, height, width)
        Images of any size, from 1 x 1 pixel.
    stride : int
        What the sides must be multiples of.

    Returns
    -------
    tensor of shape (n, n_channels, height + p, width + q)
        The padded images, ``0 <= p, q < stride``. The crop ``[..., :height, :width]`` undoes it.

    Examples
    --------
    >>> import torch
    >>> pad_to_stride(torch.zeros(1, 3, 9, 16), 8).shape
    torch.Size([1, 3, 16, 16])
    """
    height, width = images.shape[-2:]
    bottom, right = -height % stride, -width % stride
    if not bottom and not right:
        return images
    return functional.pad(images, (0, right, 0, bottom), mode="replicate")
