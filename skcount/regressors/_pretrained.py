"""Weights to start from: those that come with the package, a saved file, or another fitted regressor."""

import os
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skcount.inference import Predictor, nearest_factor
from skcount.regressors._save import load

# Weights that come with the package, and whether they count without training.
PRETRAINED = {"nuclei": True, "objects": False}
READY = [name for name, is_ready in PRETRAINED.items() if is_ready]
# Weights know objects if their maps of so many training images have a larger correlation with the true maps; tiles bound the
# memory. Measured: nuclei and cells 0.74 to 0.95, people 0.15 to 0.17.
SAMPLE, KNOWN, TILE = 8, 0.5, 1024


class Start(NamedTuple):
    """The weights that a fit starts from, with the diameter of an object and its sigma in pixels of their working size.

    `is_familiar` tells whether they know objects like those of the training images.
    """

    module: object
    network_params: dict
    diameter: float
    sigma: float
    is_familiar: bool = True

    @property
    def normalize(self):
        """How images are normalized."""
        return self.network_params.get("normalize")


@validate_params(
    {
        "name": [StrOptions(set(PRETRAINED))],
        "diameter": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    },
    prefer_skip_nested_validation=True,
)
def load_pretrained(name, *, diameter="auto"):
    """Return a fitted regressor that comes with the package and counts without training.

    Parameters
    ----------
    name : {"nuclei"}
        What to count. "nuclei": nuclei of cells, in pictures of any stain and magnification. Its card, printed by
        ``skcount info nuclei``, says what it was trained on, where it works and where it fails.
    diameter : float or "auto", default="auto"
        Typical width of an object in pixels of the images. "auto" estimates it for each image, which takes several
        times as long as predicting; a number is faster, and safer if you know it.

    Returns
    -------
    DensityMapRegressor
        A fitted regressor for images with 1, 3 or 4 channels of any type. Each image is turned to grey and scaled by
        its own percentiles.

    Raises
    ------
    ValueError
        If the name is not known, or its weights are only meant to start a fit from.

    See Also
    --------
    DensityMapRegressor : Its parameter `weights` starts a fit from these weights.
    load : Loads a regressor that you have saved.

    Examples
    --------
    >>> import skcount
    >>> from skcount.datasets import make_cells
    >>> X, points = make_cells(n_samples=2, radius=8, n_cells=20, random_state=0, return_X_y=True)
    >>> regressor = skcount.load_pretrained("nuclei")
    >>> regressor.predict(X).round().shape
    (2,)
    """
    if not PRETRAINED[name]:
        raise ValueError(
            f"The weights {name!r} cannot count without training; fit from them, as in "
            f"DensityMapRegressor(weights={name!r}).fit(X, points). Those that can: {', '.join(map(repr, READY))}."
        )
    regressor = load(pretrained_file(name))
    if diameter == "auto":
        return regressor
    working, sigma = working_size(regressor)
    regressor.set_params(diameter=float(diameter))
    regressor.diameter_, regressor.reduction_ = float(diameter), nearest_factor(diameter / working)
    regressor.density_.set_params(sigma=sigma * regressor.reduction_)
    return regressor


def pretrained_file(name):
    """Return the path of the weights of a name, beside whose file is their card."""
    return Path(__file__).parents[1] / "weights" / f"{name}.skcount"


def working_size(regressor):
    """Return the diameter of an object and the sigma of its kernel at the working size of a fitted regressor, in pixels."""
    reduction = regressor.reduction_ or 1  # None: chosen for each image; both are of the working size then
    return regressor.diameter_ / reduction, regressor.density_.sigma / reduction


def find_start(weights):
    """Return the Start that the parameter `weights` names; raise ValueError if it cannot be used."""
    if isinstance(weights, str) and weights in PRETRAINED:
        regressor = load(pretrained_file(weights))
    elif isinstance(weights, str | os.PathLike):
        try:
            regressor = load(weights)
        except FileNotFoundError as error:
            raise ValueError(
                f"`weights` must be {', '.join(map(repr, PRETRAINED))}, a file written by `save`, or a fitted regressor; "
                f"there is no file {str(weights)!r}."
            ) from error
    else:
        regressor = weights.estimator if isinstance(weights, FrozenEstimator) else weights
    if not hasattr(regressor, "module_"):
        raise ValueError(
            f"`weights` must be a fitted regressor; this {type(regressor).__name__} is not fitted. A search clones its "
            "candidates without what they have learnt: pass the path of a saved file, or "
            "sklearn.frozen.FrozenEstimator(regressor)."
        )
    if getattr(regressor, "diameter_", None) is None:
        raise ValueError(
            "`weights` must be of a regressor that was fitted on images; this one was fitted on a table."
        )
    return Start(regressor.module_, regressor._network_params, *working_size(regressor))


def check_start(start, images, columns):
    """Check that a fit of images can start from weights."""
    if columns is not None:
        raise ValueError("`weights` must be None for a table; pass images to use them.")
    n_channels = start.module.mean.shape[1]
    if images.n_channels != n_channels:
        raise ValueError(
            f"`weights` are of a network for images with {n_channels} channels; X has {images.n_channels}."
        )


def knows(start, target):
    """Return whether weights predict maps of some training images, at their working size, that are like the true ones."""
    images = target.images
    sample = np.unique(np.linspace(0, len(images) - 1, SAMPLE).round().astype(int))
    moments = np.zeros((3, 3))
    maps = Predictor(start.module, tile_size=TILE).maps(images.take(sample))
    for index, predicted in zip(sample.tolist(), maps, strict=True):
        true = target.crop(index, (0, 0, *images.sizes[index]), images.side_data(index))
        columns = np.stack([np.ones(true.size), true.ravel(), predicted.ravel()])
        moments += columns @ columns.T
    (n, *sums), products = moments[0], moments[1:, 1:]
    covariance = products / n - np.outer(sums, sums) / n**2
    scale = np.sqrt(covariance[0, 0] * covariance[1, 1])
    return bool(scale > 0 and covariance[0, 1] > KNOWN * scale)


def copy_weights(start, module, params):
    """Give a new network of `params` the weights, or raise ValueError if its layers are others."""
    ours, theirs = (
        {name: v.shape for name, v in each.state_dict().items()} for each in (module, start.module)
    )
    if ours != theirs:
        raise ValueError(
            f"`weights` are of a network with {start.network_params}, whose layers differ from those of {params}. Leave "
            "the parameters of the network at their defaults, or set them as they were when the weights were learnt."
        )
    module.load_state_dict(start.module.state_dict())
