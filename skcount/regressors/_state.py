"""A fitted regressor as parameters and plain arrays: what pickle, joblib, copy and skops see."""

from copy import copy

import numpy as np
import torch


class PlainStateMixin:
    """Keep the weights as arrays, and build the network anew around them, where it is one of skcount's.

    The network is built by the parameters that it was fitted with, whatever `set_params` has changed since. It is
    on the device that the parameters name, or on the CPU where there is none such. A user's own network is kept as it
    is: only its author knows what it holds besides weights.
    """

    def __getstate__(self):
        state = dict(super().__getstate__())
        state.pop("_is_clone", None)  # a clone is pickled, and hashed by joblib, as what it is a clone of
        if "module_" in state and not callable(self._network_params.get("architecture")):
            weights = state.pop("module_").state_dict()
            state["_weights"] = {name: value.numpy(force=True) for name, value in weights.items()}
        return state

    def __setstate__(self, state):
        state = dict(state)
        weights = state.pop("_weights", None)
        super().__setstate__(state)
        if weights is not None:
            self.module_ = self._rebuild(weights)

    def __copy__(self):
        """Share the network, as a shallow copy shares all else."""
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def _rebuild(self, weights):
        """The network as it was fitted.

        One of skcount's is built without a random number: whoever trains meanwhile draws from the same stream.
        """
        fitted = copy(self)
        vars(fitted).update(self._network_params)
        device = "cpu" if callable(self._network_params.get("architecture")) else "meta"
        with torch.device(device):
            channels = (np.array(weights[name]).ravel() for name in ("mean", "std"))
            module = fitted._make_module(*channels, float(weights["output_scale"]), device=device)
        _check_shapes(module, weights)  # before any memory is asked for
        device = self._torch_device_or_cpu()
        module = module.to_empty(device=device) if module.mean.is_meta else module.to(device)
        module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
        return module.eval()

    def _torch_device_or_cpu(self):
        try:
            return self._torch_device()
        except ValueError:  # it was fitted on another machine
            return "cpu"


def _check_shapes(module, weights):
    """Refuse weights that are not those of a network."""
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: value.shape for name, value in weights.items()}
    if expected != found:
        name = min(name for name in expected | found if expected.get(name) != found.get(name))
        raise ValueError(
            f"The weights {name!r} have the shape {found.get(name)} and the network's have {expected.get(name)}; expected "
            "the same."
        )
