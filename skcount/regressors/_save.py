"""Fitted regressors in files that hold no code."""

import os
import warnings
from contextlib import nullcontext

import numpy as np
import torch
from sklearn.utils._param_validation import validate_params

import skcount
from skcount._files import check_target
from skcount.density import DensityMapTransformer
from skcount.regressors._file import NotPlainError, encode, read, write
from skcount.regressors._randomness import own_randomness

KIND = "fitted regressor"
# What makes a regressor a fitted one, beside its network and its transformer.
FITTED = (
    "n_channels_in_",
    "n_features_in_",
    "feature_names_in_",
    "patch_size_",
    "n_iter_",
    "history_",
    "_network_params",
    "_seed",
    "_seen",
    "_random_stream",
    "_training_state",
)
# Without these a regressor predicts all the same; they may hold objects and functions of the user's.
DISPENSABLE = ("net_params", "callbacks", "_training_state")
# How far the loaded network may be from the saved one, relative to its output: other machines round otherwise.
TOLERANCE = 1e-2


def save_regressor(regressor, path):
    """Write a fitted regressor to a file, whole or not at all.

    Parameters
    ----------
    regressor : regressor of skcount's
        The fitted regressor.
    path : str or path-like
        The file.

    Raises
    ------
    TypeError
        If it can only be kept as code: a class of the user's, or parameters of a network that are no plain values.
    ValueError
        If a parameter is not valid: the file could not be loaded.
    """
    path = check_target(path)
    name = _class_name(regressor)
    regressor._validate_params()
    state = vars(regressor)
    fitted = {key: state[key] for key in FITTED if key in state}
    params = _plain_params(regressor.get_params(deep=False))
    if callable(regressor._network_params.get("architecture")):
        _check_one_architecture(regressor)
    tree = {
        "class": name,
        "params": _keep_plain(params, name),
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
    """Load a regressor that its method ``save`` wrote.

    Nothing in the file is run: it holds numbers and text, and only the regressors and networks of skcount's are built from
    it. A digest over every byte says whether it is as it was written; it is no signature, and does not say who wrote it.
    The network is on the device that the parameters name, or on the CPU where there is none such; that it computes what it
    computed when it was saved is checked on one small image.

    Parameters
    ----------
    path : str or path-like
        The file.
    architecture : callable or None, default=None
        The user's own network, where the regressor has one: what it was fitted with as `architecture`. The file knows
        no more of it than its name, its parameters and its weights.

    Returns
    -------
    DensityMapRegressor, UNetRegressor or FCRNRegressor
        The fitted regressor, with the parameters that it was saved with.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, incomplete, of a later version, or no file of a regressor at all; if it needs an architecture
        that was not passed; or if the network does not compute what it did.

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
    except Exception as error:  # whatever a crafted file or a user's network comes to
        raise ValueError(
            f"{path} holds no regressor that can be built ({type(error).__name__}: {error}); expected one that this skcount "
            f"{skcount.__version__} or an older one wrote, and the architecture that it was fitted with."
        ) from error
    return regressor


def _build(tree, architecture):
    """Build a regressor from what a file holds."""
    from skcount import regressors

    make = {cls.__name__: cls for cls in _classes(regressors)}[tree["class"]]
    regressor = make(**_full_params(tree["params"], architecture))
    regressor._validate_params()
    fitted = {name: value for name, value in tree["fitted"].items() if name in FITTED}
    # What an older skcount did not know of was as it is by default.
    of_fit = {**make()._get_network_params(), **fitted["_network_params"]}
    fitted["_network_params"] = _full_params(of_fit, architecture)
    vars(regressor).update(fitted)
    regressor.density_ = _density(tree["density"])
    # A user's network may draw its first weights; one of skcount's does not, and need not wait while a thread trains.
    with nullcontext() if architecture is None else own_randomness(0):
        regressor.module_ = regressor._rebuild(tree["weights"])
    _set_requests(regressor, tree["requests"])
    return regressor


def _classes(regressors):
    return regressors.DensityMapRegressor, regressors.UNetRegressor, regressors.FCRNRegressor


def _class_name(regressor):
    """The class's name; a subclass of the user's is code."""
    from skcount import regressors

    if type(regressor) not in _classes(regressors):
        raise TypeError(
            f"{type(regressor).__name__} is a class of its own, which a file cannot hold; expected "
            f"{', '.join(cls.__name__ for cls in _classes(regressors))}. Pickle it instead."
        )
    return type(regressor).__name__


def _plain_params(params):
    """Parameters with names in the place of functions, and parameters in the place of a transformer."""
    params = dict(params)
    if callable(params.get("architecture")):
        params["architecture"] = {"import": import_name(params["architecture"])}
    if type(params.get("density")) is DensityMapTransformer:
        params["density"] = params["density"].get_params()
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
    """Where a user's network comes from: the name that it would be imported by.

    >>> import_name(torch.nn.Conv2d)
    'torch.nn.modules.conv.Conv2d'
    """
    named = architecture if hasattr(architecture, "__qualname__") else type(architecture)
    return f"{named.__module__}.{named.__qualname__}"


def _check_one_architecture(regressor):
    """A file gets one architecture handed over; refuse a regressor that was fitted with one and is set to another."""
    fitted, now = regressor._network_params["architecture"], regressor.architecture
    if callable(now) and now is not fitted and import_name(now) != import_name(fitted):
        raise TypeError(
            f"The regressor was fitted with the architecture {import_name(fitted)} and is set to {import_name(now)} now; "
            "expected the same for a file. Set it back, or fit again."
        )


def _check_handed_over(tree, architecture, path):
    """See that a user's network is handed over where it is needed, and only there."""
    try:
        of_fit, of_now = tree["fitted"]["_network_params"], tree["params"]
        names = [part["architecture"]["import"] for part in (of_fit, of_now) if _is_named(part)]
    except (KeyError, TypeError, AttributeError):
        names = []  # building says what is wrong
    if names and architecture is None:
        raise ValueError(
            f"{path} holds a network of {names[0]}, which load does not import by itself; expected that class or function: "
            f"load(path, architecture={str(names[0]).rpartition('.')[2]})."
        )
    if architecture is not None and not names:
        raise ValueError(
            f"{path} holds a network of skcount's, and an architecture was passed; expected none: load(path)."
        )


def _is_named(params):
    return isinstance(params.get("architecture"), dict)


def _keep_plain(values, name):
    """Leave out what a file cannot hold and prediction does not need, and say so."""
    kept = {}
    for key, value in values.items():
        try:
            encode(value, {}, key)
        except NotPlainError as error:
            if key not in DISPENSABLE:
                raise _is_code(name, error) from error
            warnings.warn(
                f"{key} of this {name} is not saved, for a file cannot hold it ({error}); it is None when loaded. "
                "Predictions do not need it; set it again before training on.",
                UserWarning,
                stacklevel=4,
            )
            value = None
        kept[key] = value
    return kept


def _requests(regressor):
    """Which metadata a user has asked to be routed here, by method."""
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
    """What a network makes of one small image, in two numbers; None where that is not always the same, or nothing."""
    side, n_channels = 4 * module.grid, module.mean.shape[1]
    waves = np.sin(0.7 * np.arange(n_channels * side * (side + module.grid)) ** 1.1)
    waves = torch.from_numpy(waves.reshape(1, n_channels, side, -1)).to(module.mean)
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            first, second = (_two_numbers(module, waves) for _ in range(2))
    except Exception:  # a user's network may want images of one size, or raise what it likes
        return None
    return first if np.allclose(first, second, equal_nan=True) else None


def _two_numbers(module, waves):
    output, density = module.network(waves).double(), module((1 + waves) / 2).double()
    return [output.abs().mean().item(), density.sum().item()]


def _check_probe(module, expected):
    """Refuse a network that does not compute what it did: its code has changed, or it is another one."""
    found = expected and _probe(module)
    if expected and not (found and np.allclose(found, expected, rtol=TOLERANCE, atol=1e-6, equal_nan=True)):
        raise ValueError(f"a test image gave {expected} when it was saved, and gives {found} now")


def _is_code(name, error):
    return TypeError(
        f"This {name} cannot be saved without code: {error}; expected numbers, text, lists, dicts and arrays. Pickle it, or "
        "build its network from such parameters."
    )
