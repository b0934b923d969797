"""A fitted regressor as parameters and plain arrays: what pickle, joblib, copy and skops see."""

import numpy as np
import torch

from skcount.regressors._randomness import own_randomness


class PlainStateMixin:
    """Keep the weights as arrays, and build the network anew around them.

    The network is built by the parameters that it was fitted with, whatever `set_params` has changed since. It is
    on the device that the parameters name, or on the CPU where there is none such.
    """

    def __getstate__(self):
        state = dict(super().__getstate__())
        state.pop("_is_clone", None)  # a clone is pickled, and hashed by joblib, as what it is a clone of
        module = state.pop("module_", None)
        if module is not None:
            state["_weights"] = {name: value.numpy(force=True) for name, value in module.state_dict().items()}
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
        """The network as it was fitted."""
        fitted = type(self)(**{**self.get_params(deep=False), **self._network_params})
        try:
            fitted._torch_device()
        except ValueError:  # it was fitted on another machine
            fitted.device = "cpu"
        with own_randomness(0):
            channels = (weights[name].ravel() for name in ("mean", "std"))
            module = fitted._make_module(*channels, float(weights["output_scale"]))
        module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
        return module.eval()
