"""Memory that a network needs: reject images that cannot fit before the system kills the process."""

import math
from copy import deepcopy

import torch
from sklearn.utils._param_validation import validate_params
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from skcount._memory import free_memory
from skcount.networks import inference_copy

# Fewer pixels than this fit in memory wherever torch does.
SMALL = 1_000_000
# With a batch of this size, the first dimension distinguishes feature maps from kernels.
N_IMAGES = 7


def check_memory(module, shape, subject, remedy, training=False):
    """Reject images of `shape` (n_images, height, width) that need more memory than is free on the module's device."""
    n_pixels = math.prod(shape)
    if n_pixels < SMALL:
        return
    needed = n_pixels * bytes_per_pixel(module, training=training)
    free = available_memory(module.mean.device)
    if needed > free:
        raise MemoryError(
            f"{subject} need at least {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free. {remedy}"
        )


def available_memory(device="cpu"):
    """Return the free bytes on a device; infinity if the system does not report them."""
    device = torch.device(device)
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return free_memory() if device.type == "cpu" else float("inf")


def refuse_out_of_memory(error, subject, remedy):
    """Raise a MemoryError with a remedy if torch's error is about memory."""
    is_about_memory = isinstance(error, torch.OutOfMemoryError) or any(
        words in str(error) for words in ("not enough memory", "allocate memory")
    )
    if is_about_memory:
        raise MemoryError(
            f"{subject} do not fit in memory ({str(error).splitlines()[0]}). {remedy}"
        ) from error


@validate_params({"module": [nn.Module], "training": ["boolean"]}, prefer_skip_nested_validation=True)
def bytes_per_pixel(module, training=False):
    """Return the least memory that a network needs per pixel of an image, without running it.

    In prediction, the input and output of one operation are in memory at once. In training, the input of each
    convolution stays in memory until its gradient is computed. Everything else needs additional memory.

    Parameters
    ----------
    module : DensityNetwork
        The network.
    training : bool, default=False
        Whether the network is trained.

    Returns
    -------
    float
        Bytes per pixel; 0 if the network cannot be run without data.

    Examples
    --------
    >>> from skcount.inference import bytes_per_pixel
    >>> from skcount.networks import DensityNetwork, UNet
    >>> module = DensityNetwork(UNet(1, filters=16), mean=[0.5], std=[0.2])
    >>> bytes_per_pixel(module), bytes_per_pixel(module, training=True)
    (32.0, 114.0)
    """
    sizes = _TensorSizes()
    try:
        with torch.no_grad():
            shadow = _without_data(module)
            shadow = shadow.train() if training else inference_copy(shadow)
            shadow.bf16_training = shadow.bf16_evaluation = False  # autocast needs data
            side = 4 * module.grid
            shape = N_IMAGES, module.mean.shape[1], side, side
            image = torch.empty(shape, dtype=module.mean.dtype, device="meta")
            with sizes:
                shadow(image)
    except Exception:  # a user's network may need real data
        return 0.0
    n_bytes = sizes.of_convolutions if training else sizes.largest
    bf16 = module.bf16_training if training else module.bf16_evaluation
    return n_bytes / (N_IMAGES * side**2) / (2 if bf16 else 1)  # bfloat16 takes 2 of 4 bytes


def _without_data(module):
    """Return a copy of a module on the meta device, which stores only shapes."""
    parameters = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=False)
        for p in module.parameters()
    }
    buffers = {id(b): torch.empty_like(b, device="meta") for b in module.buffers()}
    return deepcopy(module, {**parameters, **buffers})


class _TensorSizes(TorchDispatchMode):
    """Record the sizes of the maps that operations read and write."""

    def __init__(self):
        super().__init__()
        self.largest = self.of_convolutions = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        maps = [
            value
            for value in (*args, result)
            if isinstance(value, torch.Tensor) and value.shape[:1] == (N_IMAGES,)
        ]
        together = {tensor.untyped_storage()._cdata: tensor.nbytes for tensor in maps}
        self.largest = max(self.largest, sum(together.values()))
        if "convolution" in str(function):
            self.of_convolutions += maps[0].nbytes
        return result
