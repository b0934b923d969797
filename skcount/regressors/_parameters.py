"""The parameters that all regressors share: their constraints, setting of nested ones, and checks of some of them."""

import os
from numbers import Integral, Real
from uuid import uuid4

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, Options, StrOptions

from skcount.density import DensityMapTransformer
from skcount.losses import LOSSES
from skcount.training import AUGMENTATIONS


class ParametersMixin:
    """Constraints of the shared parameters, and `set_params` for nested parameters."""

    _parameter_constraints = {
        "weights": [str, os.PathLike, BaseEstimator, None],
        "normalize": [StrOptions({"image"}), None],
        "diameter": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "sigma": [Interval(Real, 0, None, closed="neither"), None],
        "density": [DensityMapTransformer, None],
        "loss": [StrOptions(set(LOSSES)), callable],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1})],
        "patch_size": [Interval(Integral, 1, None, closed="left"), tuple, list, StrOptions({"auto"})],
        "augment": [StrOptions(set(AUGMENTATIONS)), callable, None],
        "tile_size": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "early_stopping": ["boolean", Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device],
        "precision": [StrOptions({"float32", "bf16-mixed", "float64"})],
        "warm_start": ["boolean"],
        "callbacks": [list, None],
        "net_params": [dict, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def set_params(self, **params):
        """Set parameters, including nested ones such as ``density__sigma=3`` or ``architecture_params__filters=8``.

        Parameters
        ----------
        **params : dict
            Parameters of this regressor; with ``density__`` in front, of its transformer; with
            ``architecture_params__`` or ``net_params__`` in front, entries of that dict. The outer parameter may be
            None before.

        Returns
        -------
        self : object
            This regressor.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        own = {name: value for name, value in params.items() if "__" not in name}
        for name in params.keys() - own.keys():
            outer, _, inner = name.partition("__")
            current = own.get(outer, getattr(self, outer, None))
            if outer in {"architecture_params", "net_params"} and hasattr(self, outer):
                own[outer] = {**(current or {}), inner: params[name]}
            elif outer == "density" and current is None:
                own[outer] = DensityMapTransformer().set_params(**{inner: params[name]})
            elif outer == "density" and outer in own:
                own[outer].set_params(**{inner: params[name]})
            else:
                own[name] = params[name]
        return super().set_params(**own)

    def __sklearn_clone__(self):
        cloned = super().__sklearn_clone__()
        cloned.weights = self.weights  # a clone of a fitted regressor would have learnt nothing
        cloned._is_clone = True
        cloned._family = vars(self).setdefault("_family", uuid4().hex)
        return cloned


def check_callbacks(callbacks):
    """Reject callbacks that skorch cannot call, because it would fail only in the middle of training."""
    for index, given in enumerate(callbacks):
        callback = given[1] if isinstance(given, tuple) and len(given) == 2 else given
        if not isinstance(callback, type) and not hasattr(callback, "set_params"):
            raise ValueError(
                f"`callbacks` must be skorch callbacks, or (name, callback); entry {index} is a {type(callback).__name__}."
            )
