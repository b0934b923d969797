"""Refuse what cannot fit in memory, before the system ends the process."""

import math
from contextlib import contextmanager, nullcontext
from functools import cached_property

import torch

from skcount._allocator import keep_freed_memory
from skcount._check import free_memory
from skcount.networks import bytes_per_pixel

# Fewer pixels than these fit wherever torch does.
SMALL = 1_000_000
# What each of these takes, about.
BYTES_PER_SMALL_PIXEL = 512
# A network takes up to four times what its largest operation does; as much again is to stay free.
SPARE = 8


def available(device="cpu"):
    """Memory that is free, in bytes.

    Parameters
    ----------
    device : str or torch.device, default="cpu"
        Where.

    Returns
    -------
    float
        Infinity where the system does not say.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return float("inf")
    return free_memory()


class NetworkMemory:
    """What a network takes of the memory, measured when it is first asked for.

    Parameters
    ----------
    module : DensityNetwork
        The network, where it is to compute.
    training : bool, default=False
        Whether it is to be trained.
    """

    def __init__(self, module, training=False):
        self.module = module
        self.training = training

    @cached_property
    def per_pixel(self):
        """Bytes a pixel, at least."""
        return bytes_per_pixel(self.module, training=self.training)

    def check(self, shape, what, remedy):
        """Refuse images that the network cannot see at once for want of memory.

        Parameters
        ----------
        shape : (n_images, height, width)
            What it is to see at once, in pixels.
        what, remedy : str
            For the message.

        Raises
        ------
        MemoryError
            If there is less memory than that takes at least.
        """
        n_pixels = math.prod(shape)
        if n_pixels < SMALL:
            return
        needed, free = n_pixels * self.per_pixel, available(self.module.mean.device)
        if needed > free:
            raise MemoryError(
                f"{what} need {needed / 1e9:.1f} GB at least, and {free / 1e9:.1f} GB are free; {remedy}"
            )

    def keep(self, shape):
        """Keep the memory of the network's maps for its next maps, where there is plenty of it.

        Parameters
        ----------
        shape : (n_images, height, width)
            The most that it is to see at once, in pixels.

        Returns
        -------
        context manager
            While it lasts, freed memory stays with the process.
        """
        device = self.module.mean.device
        if device.type != "cpu":
            return nullcontext()
        n_pixels = math.prod(shape)
        if n_pixels < SMALL:
            return keep_freed_memory(BYTES_PER_SMALL_PIXEL * n_pixels)
        n_bytes = int(SPARE * n_pixels * self.per_pixel)
        return keep_freed_memory(n_bytes // 2) if n_bytes < available(device) else nullcontext()


@contextmanager
def out_of_memory(what, remedy):
    """Turn torch's errors about memory into one that says what to do.

    Parameters
    ----------
    what, remedy : str
        For the message.

    Raises
    ------
    MemoryError
        If torch could not get the memory that it asked for.
    """
    try:
        yield
    except RuntimeError as error:
        if (
            isinstance(error, torch.OutOfMemoryError)
            or "not enough memory" in str(error)
            or "allocate memory" in str(error)
        ):
            raise MemoryError(
                f"{what} do not fit in memory ({str(error).splitlines()[0]}); {remedy}"
            ) from error
        raise
