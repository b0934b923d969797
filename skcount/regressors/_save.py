"""Save fitted regressors in files that contain no code, and load them."""

import os
import warnings
from contextlib import nullcontext

import numpy as np
import torch
from sklearn.utils._param_validation import validate_params

import skcount
from skcount._files import check_target
from skcount._plain_file import NotPlainError, encode, read, write
from skcount.density import DensityMapTransformer
from skcount.regressors._state import LEARNT
from skcount.training import own_randomness

KIND = "fitted regressor"
# Parameters that prediction does not need; they may hold the user's own objects and functions.
DISPENSABLE = {
    "weights": None,
    "net_params": None,
    "callbacks": None,
    "_training_state": None,
    "loss": "multiscale",
    "augment": "rotations+jitter+scale",
}
# Largest relative difference between the loaded and the saved network, because other machines round differently.
TOLERANCE = 1e-2


def save_regressor(regressor, path):
    """Write a fitted regressor to a file completely or not at all; raise TypeError if this would need code."""
    path = check_target(path)
    name = _class_name(regressor)
    regressor._validate_params()
    state = vars(regressor)
    fitted = {key: state[key] for key in LEARNT if key in state and key not in {"module_", "density_"}}
    params = _plain_params(regressor.get_params(deep=False))
    if callable(regressor._network_params.get("architecture")):
        _check_one_architecture(regressor)
    params = _keep_plain(params, name)
    if params["weights"] is None and regressor.weights is not None:  # they decided it
        params["normalize"] = regressor._network_params["normalize"]
    tree = {
        "class": name,
        "params": params,
        "fitted": _keep_plain({**fitted, "_network_params": _plain_params(fitted["_network_params"])}, name),
        "density": _plain_params({"density": regressor.density_})["density"],
        "requests": _requests(regressor),
        "weights": {key: value.numpy(force=True) for key, value in regressor.module_.state_dict().items()},
        "probe": _probe(regressor.module_),
    }
    try:
        write(path, tree, KIND)
    except NotPlainError as error:
        raise _is_code(name, error) from error


@validate_params(
    {"path": [str, os.PathLike], "architecture": [callable, None]}, prefer_skip_nested_validation=True
)
def load(path, *, architecture=None):
    """Load a regressor that was written by its method ``save``.

    Nothing in the file is executed: it holds numbers and text, from which only regressors and networks of this package are
    built. A digest of every byte shows whether the file has changed since it was written; it is not a signature, and
    does not show who wrote it. The network is on the device that the parameters name, or on the CPU if that device does
    not exist. A small test image is used to check that it gives the same result as when it was saved.

    Parameters
    ----------
    path : str or path-like
        The file.
    architecture : callable or None, default=None
        Your own network, if the regressor has one: the `architecture` with which it was fitted. The file holds only its
        name, its parameters and its weights.

    Returns
    -------
    DensityMapRegressor, UNetRegressor or FCRNRegressor
        The fitted regressor, with the parameters with which it was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, incomplete, of a later version, or not a saved regressor; if it needs an architecture that
        was not passed; or if the network gives another result than when it was saved.

    See Also
    --------
    DensityMapRegressor.save : Writes the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import skcount
    >>> from skcount.datasets import make_cells
    >>> X, points = make_cells(n_samples=4, image_shape=(32, 32), random_state=0, return_X_y=True)
    >>> regressor = skcount.UNetRegressor(filters=4, max_epochs=1, random_state=0).fit(X, points)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "cells.skcount"
    ...     regressor.save(path)
    ...     loaded = skcount.load(path)
    >>> loaded
    UNetRegressor(filters=4, max_epochs=1, random_state=0)
    >>> bool((loaded.predict(X) == regressor.predict(X)).all())
    True
    """
    tree = read(path, KIND)
    _check_handed_over(tree, architecture, path)
    try:
        regressor = _build(tree, architecture)
        _check_probe(regressor.module_, tree["probe"])
    except Exception as error:  # a crafted file or a user's network may raise anything
        raise ValueError(
            f"{path} holds no regressor that can be built ({type(error).__name__}: {error}); expected one written by "
            f"skcount {skcount.__version__} or older, and the architecture with which it was fitted."
        ) from error
    return regressor


def _build(tree, architecture):
    """Build a regressor from the content of a file."""
    from skcount import regressors

    make = {cls.__name__: cls for cls in _classes(regressors)}[tree["class"]]
    regressor = make(**_full_params(tree["params"], architecture))
    regressor._validate_params()
    fitted = {name: value for name, value in tree["fitted"].items() if name in LEARNT}
    fitted["_network_params"] = _full_params(fitted["_network_params"], architecture)
    vars(regressor).update(fitted)
    regressor.density_ = _density(tree["density"])
    # A user's network may draw its initial weights; ours does not, and need not wait while another thread trains.
    with nullcontext() if architecture is None else own_randomness(0):
        regressor.module_ = regressor._rebuild(tree["weights"])
    _set_requests(regressor, tree["requests"])
    return regressor


def _classes(regressors):
    return regressors.DensityMapRegressor, regressors.UNetRegressor, regressors.FCRNRegressor


def _class_name(regressor):
    """Return the name of the class; reject a user's own subclass, which is code."""
    from skcount import regressors

    if type(regressor) not in _classes(regressors):
        raise TypeError(
            f"The regressor must be a {' or '.join(cls.__name__ for cls in _classes(regressors))}; got a "
            f"{type(regressor).__name__}, a class of your own, which a file cannot hold. Pickle it instead."
        )
    return type(regressor).__name__


def _plain_params(params):
    """Return parameters with names instead of functions and devices, and parameters instead of a transformer."""
    params = dict(params)
    if callable(params.get("architecture")):
        params["architecture"] = {"import": import_name(params["architecture"])}
    if type(params.get("density")) is DensityMapTransformer:
        params["density"] = params["density"].get_params()
    if isinstance(params.get("weights"), os.PathLike):
        params["weights"] = os.fspath(params["weights"])
    if isinstance(params.get("device"), torch.device):
        params["device"] = str(params["device"])
    return params


def _full_params(params, architecture):
    """Undo `_plain_params`."""
    params = dict(params)
    if _is_named(params):
        params["architecture"] = architecture
    if params.get("density") is not None:
        params["density"] = _density(params["density"])
    return params


def _density(params):
    density = DensityMapTransformer(**params)
    density._validate_params()
    return density


def import_name(architecture):
    """Return the name under which a user's network would be imported."""
    named = architecture if hasattr(architecture, "__qualname__") else type(architecture)
    return f"{named.__module__}.{named.__qualname__}"


def _check_one_architecture(regressor):
    """Reject a regressor that was fitted with one architecture and is set to another: `load` takes only one."""
    fitted, now = regressor._network_params["architecture"], regressor.architecture
    if callable(now) and now is not fitted and import_name(now) != import_name(fitted):
        raise TypeError(
            f"`architecture` must be the one that the regressor was fitted with, {import_name(fitted)}, to be saved; got "
            f"{import_name(now)}. Set it back, or fit again."
        )


def _check_handed_over(tree, architecture, path):
    """Check that a user's network is passed if it is needed, and only then."""
    try:
        of_fit, of_now = tree["fitted"]["_network_params"], tree["params"]
        names = [part["architecture"]["import"] for part in (of_fit, of_now) if _is_named(part)]
    except (KeyError, TypeError, AttributeError):
        names = []  # building the network shows the problem
    if names and architecture is None:
        raise ValueError(
            f"{path} holds a network of {names[0]}, which load does not import by itself. Pass that class or function: "
            f"load(path, architecture={str(names[0]).rpartition('.')[2]})."
        )
    if architecture is not None and not names:
        raise ValueError(
            f"`architecture` must be None, because {path} holds a network of this package: load(path)."
        )


def _is_named(params):
    return isinstance(params.get("architecture"), dict)


def _keep_plain(values, name):
    """Replace values that a file cannot hold and prediction does not need with their defaults, and warn about them."""
    kept = {}
    for key, value in values.items():
        try:
            encode(value, {}, key)
        except NotPlainError as error:
            if key not in DISPENSABLE:
                raise _is_code(name, error) from error
            warnings.warn(
                f"`{key}` of this {name} is not saved because a file cannot hold it ({error}); the loaded regressor has "
                f"{DISPENSABLE[key]!r}. Predictions do not need it. Set it again before training on.",
                UserWarning,
                stacklevel=4,
            )
            value = DISPENSABLE[key]
        kept[key] = value
    return kept


def _requests(regressor):
    """Return the metadata requests that the user has set, by method."""
    request = vars(regressor).get("_metadata_request")
    if request is None:
        return None
    methods = ("fit", "partial_fit", "predict", "score")
    return {method: dict(getattr(request, method).requests) for method in methods}


def _set_requests(regressor, requests):
    """Undo `_requests`."""
    if requests is not None:
        routing = regressor.get_metadata_routing()
        for method, asked in requests.items():
            for param, alias in asked.items():
                getattr(routing, method).add_request(param=param, alias=alias)
        regressor._metadata_request = routing


def _probe(module):
    """Return two numbers that a network computes from a small image; None if it is random or rejects the image."""
    side, n_channels = 4 * module.grid, module.mean.shape[1]
    waves = np.sin(0.7 * np.arange(n_channels * side * (side + module.grid)) ** 1.1)
    waves = torch.from_numpy(waves.reshape(1, n_channels, side, -1)).to(module.mean)
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            first, second = (_two_numbers(module, waves) for _ in range(2))
    except Exception:  # a user's network may accept only images of one size, or raise anything
        return None
    return first if np.allclose(first, second, equal_nan=True) else None


def _two_numbers(module, waves):
    output, density = module.network(waves).double(), module((1 + waves) / 2).double()
    return [output.abs().mean().item(), density.sum().item()]


def _check_probe(module, expected):
    """Reject a network that gives another result than when it was saved: its code has changed, or it is another one."""
    found = expected and _probe(module)
    if expected and not (found and np.allclose(found, expected, rtol=TOLERANCE, atol=1e-6, equal_nan=True)):
        raise ValueError(f"a test image gave {expected} when it was saved, but it gives {found} now")


def _is_code(name, error):
    return TypeError(
        f"This {name} cannot be saved without code ({error}): a file holds numbers, text, lists, dicts and arrays. Pickle "
        "it, or build its network from such parameters."
    )
