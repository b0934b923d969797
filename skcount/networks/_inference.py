"""A fitted network, put together anew so that it predicts the same faster."""

from copy import deepcopy
from itertools import chain
from weakref import WeakKeyDictionary

from sklearn.utils._param_validation import validate_params
from torch import nn

from skcount.networks._blocks import ConvBlock, UpConvBlock, UpDensityLayer

# What each block was put together to last, and its weights then.
_known = WeakKeyDictionary()


@validate_params({"module": [nn.Module]}, prefer_skip_nested_validation=True)
def inference_copy(module):
    """Copy a module for prediction, its batch normalisations folded into the convolutions before them.

    Only each :class:`ConvBlock`, :class:`UpConvBlock` and :class:`UpDensityLayer` without hooks is put together anew,
    wherever in the module: what other modules do with their layers is their own affair. The module stays as it is, and the
    copy shares all other parameters with it. A copy is cheap to make, and out of date when the module is trained on.

    Parameters
    ----------
    module : torch.nn.Module
        Any module; what it does in evaluation mode is copied.

    Returns
    -------
    torch.nn.Module
        The copy, in evaluation mode. It gives what the module gives, up to rounding.

    Examples
    --------
    >>> import torch
    >>> from skcount.networks import FCRNA
    >>> network, images = FCRNA(in_channels=1).eval(), torch.rand(1, 1, 32, 32)
    >>> torch.allclose(inference_copy(network)(images), network(images), atol=1e-5)
    True
    """
    return shared_copy(module, {id(block): block.folded() for block in _blocks(module)}).eval()


def cached_inference_copy(module):
    """Copy a module for prediction as `inference_copy` does, but each block only once while its weights stay as they are.

    Folding a small network takes as long as predicting a small image.

    Parameters
    ----------
    module : torch.nn.Module
        Any module.

    Returns
    -------
    torch.nn.Module
        The copy, which shares its blocks with other copies: it is to be called, and not to be changed.
    """
    return shared_copy(module, {id(block): _folded_once(block) for block in _blocks(module)}).eval()


def _folded_once(block):
    """What a block is put together to, made anew where its weights are no longer the same."""
    tensors = [tensor.detach() for tensor in chain(block.parameters(), block.buffers())]
    if any(tensor.is_inference() for tensor in tensors):  # of these torch counts no changes
        return block.folded()
    # The sum sees the changes that go past torch's counter.
    weights = [(tensor.data_ptr(), tensor.dtype, tensor._version, float(tensor.sum())) for tensor in tensors]
    known = _known.get(block)
    if known is None or known[0] != weights:
        known = _known[block] = weights, block.folded()
    return known[1]


def shared_copy(module, replaced=None):
    """Copy a module, but none of its parameters and buffers.

    Parameters
    ----------
    module : torch.nn.Module
        Any module.
    replaced : dict or None, default=None
        What stands in the copy in place of an object of the module, by its id.

    Returns
    -------
    torch.nn.Module
        The copy.
    """
    shared = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    return deepcopy(module, {**shared, **(replaced or {})})


def _blocks(module):
    """The blocks of a module that nobody else has."""
    if type(module) in (ConvBlock, UpConvBlock, UpDensityLayer) and not any(
        map(_has_hooks, module.modules())
    ):
        yield module
    else:
        for child in module.children():
            yield from _blocks(child)


def _has_hooks(module):
    """Whether somebody wants to see what goes in or out."""
    return bool(module._forward_hooks or module._forward_pre_hooks)
