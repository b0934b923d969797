"""How much memory the maps inside a network take, without computing them."""

from copy import deepcopy

import torch
from sklearn.utils._param_validation import validate_params
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from skcount.networks._inference import inference_copy

# Tells maps, which have so many images, from kernels.
N_IMAGES = 7


@validate_params({"module": [nn.Module], "training": ["boolean"]}, prefer_skip_nested_validation=True)
def bytes_per_pixel(module, training=False):
    """Memory that a network needs for each pixel of an image, at least.

    When predicting, one operation's input and output are in memory at once; when training, what each convolution reads
    stays there until its gradient is computed. Everything else comes on top.

    Parameters
    ----------
    module : DensityNetwork
        The network.
    training : bool, default=False
        Whether it is to be trained.

    Returns
    -------
    float
        Bytes a pixel; 0 where the network cannot be run without data.

    Examples
    --------
    >>> from skcount.networks import DensityNetwork, UNet
    >>> module = DensityNetwork(UNet(1, filters=16), mean=[0.5], std=[0.2])
    >>> bytes_per_pixel(module), bytes_per_pixel(module, training=True)
    (128.0, 496.0)
    """
    sizes = _Sizes()
    try:
        with torch.no_grad():
            shadow = _without_numbers(module)
            shadow = shadow.train() if training else inference_copy(shadow)
            shadow.trains_mixed = shadow.predicts_mixed = False  # which there is none of without numbers
            side = 4 * module.grid
            shape = N_IMAGES, module.mean.shape[1], side, side
            image = torch.empty(shape, dtype=module.mean.dtype, device="meta")
            with sizes:
                shadow(image)
    except Exception:  # a user's network may do what needs real numbers
        return 0.0
    n_bytes, mixed = (
        (sizes.of_convolutions, module.trains_mixed) if training else (sizes.largest, module.predicts_mixed)
    )
    # In bfloat16 a number takes 2 bytes of 4.
    return n_bytes / (N_IMAGES * side**2) / (2 if mixed else 1)


def _without_numbers(module):
    """A copy of a module that only knows shapes."""
    parameters = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=False)
        for p in module.parameters()
    }
    buffers = {id(b): torch.empty_like(b, device="meta") for b in module.buffers()}
    return deepcopy(module, {**parameters, **buffers})


class _Sizes(TorchDispatchMode):
    """Notes how large the tensors are that operations read and write."""

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
