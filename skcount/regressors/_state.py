"""The state of a fitted regressor as parameters and plain arrays, for pickle, joblib, copy and skops."""

from copy import copy

import numpy as np
import torch

from skcount.inference import check_device

# All attributes that a fit learns; `_keep` of the base class assigns it.
LEARNT = (
    "module_",
    "density_",
    "diameter_",
    "reduction_",
    "n_channels_in_",
    "n_features_in_",
    "feature_names_in_",
    "patch_size_",
    "n_iter_",
    "history_",
    "trained_on_",
    "held_out_",
    "_network_params",
    "_seed",
    "_seen",
    "_random_stream",
    "_training_state",
)


class PlainStateMixin:
    """Store the weights as arrays, and build the network again from them if it is one of this package.

    It is built with the parameters with which it was fitted, even if `set_params` has changed them since, on the device
    that the parameters name, or on the CPU if that device does not exist. A user's own network is stored as an object,
    because only its author knows what it holds besides weights.
    """

    def __getstate__(self):
        state = dict(super().__getstate__())
        for name in ("_is_clone", "_family"):  # a clone is pickled, and hashed by joblib, like its original
            state.pop(name, None)
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
        """Share the network, as a shallow copy shares all other attributes."""
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def _rebuild(self, weights):
        """Return the network as it was fitted.

        A network of this package is built without drawing random numbers, because another thread may be training on the
        same stream.
        """
        fitted = copy(self)
        vars(fitted).update(self._network_params)
        device = "cpu" if callable(self._network_params.get("architecture")) else "meta"
        with torch.device(device):
            channels = (np.array(weights[name]).ravel() for name in ("mean", "std"))
            module = fitted._make_module(
                *channels, float(weights["output_scale"]), device, self._network_params["dtype"]
            )
        _check_shapes(module, weights)  # before any memory is allocated
        try:
            device = check_device(self.device)
        except ValueError:  # it was fitted on another machine
            device = "cpu"
        module = module.to_empty(device=device) if module.mean.is_meta else module.to(device)
        module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
        return module.eval()


def _check_shapes(module, weights):
    """Check that weights have the shapes of a network."""
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: value.shape for name, value in weights.items()}
    if expected != found:
        name = min(name for name in expected | found if expected.get(name) != found.get(name))
        raise ValueError(
            f"The weights {name!r} must have the shape {expected.get(name)} of the network; got {found.get(name)}."
        )
