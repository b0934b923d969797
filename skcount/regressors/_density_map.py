"""The regressor for any architecture."""

import inspect

from sklearn.utils._param_validation import StrOptions
from torch import nn

from skcount.networks import ARCHITECTURES
from skcount.regressors._base import BaseDensityMapRegressor
from skcount.regressors._docs import document
from skcount.regressors._parameters import ParametersMixin


@document
class DensityMapRegressor(BaseDensityMapRegressor):
    """Count objects: learn image -> density map from points, and sum the prediction.

    Parameters
    ----------
    architecture : {"unet", "fcrn_a", "fcrn_b"} or callable, default="unet"
        The network. A callable takes the number of channels, and `architecture_params` as keywords, and returns
        a `torch.nn.Module` that maps (n, n_channels, height, width) to (n, 1, height, width). If it needs
        sides that are multiples of some number, its attribute `stride` gives that number.
    architecture_params : dict or None, default=None
        Parameters for the architecture, for example ``{"filters": 16}``.
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    UNetRegressor : The same with a U-Net, whose parameters are those of the constructor.
    FCRNRegressor : The same with FCRN-A or FCRN-B.
    DensityMapTransformer : Makes the density maps.

    References
    ----------
    V. Lempitsky and A. Zisserman, "Learning to count objects in images", NeurIPS 2010.

    Examples
    --------
    >>> from skcount import DensityMapRegressor
    >>> from skcount.datasets import make_cells
    >>> X, points = make_cells(n_samples=4, image_shape=(64, 64), random_state=0, return_X_y=True)
    >>> regressor = DensityMapRegressor(sigma=2, max_epochs=2, random_state=0).fit(X, points)
    >>> regressor.predict(X).shape
    (4,)
    >>> regressor.predict_density(X).shape
    (4, 64, 64)
    """

    _parameter_constraints = {
        **ParametersMixin._parameter_constraints,
        "architecture": [StrOptions(set(ARCHITECTURES)), callable],
        "architecture_params": [dict, None],
    }
    _network_param_names = ("architecture", "architecture_params")

    def __init__(
        self,
        architecture="unet",
        *,
        architecture_params=None,
        weights=None,
        normalize=None,
        diameter="auto",
        sigma=None,
        density=None,
        loss="multiscale",
        max_epochs="auto",
        lr=0.02,
        batch_size=8,
        patch_size="auto",
        augment="rotations+jitter+scale",
        tile_size=None,
        validation_fraction=None,
        early_stopping=False,
        device="auto",
        precision="float32",
        warm_start=False,
        callbacks=None,
        net_params=None,
        random_state=None,
        verbose=0,
    ):
        self.architecture = architecture
        self.architecture_params = architecture_params
        self.weights = weights
        self.normalize = normalize
        self.diameter = diameter
        self.sigma = sigma
        self.density = density
        self.loss = loss
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.patch_size = patch_size
        self.augment = augment
        self.tile_size = tile_size
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.device = device
        self.precision = precision
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.random_state = random_state
        self.verbose = verbose

    def _make_network(self, n_channels):
        make = ARCHITECTURES[self.architecture] if isinstance(self.architecture, str) else self.architecture
        if isinstance(make, nn.Module):
            raise ValueError(
                f"architecture is a {type(make).__name__}, a network that is already built; expected its class, or a "
                "function that builds one from the number of channels, so that every fit starts with new weights."
            )
        params = self.architecture_params or {}
        _check_call(make, n_channels, params)
        network = make(n_channels, **params)
        if not isinstance(network, nn.Module):
            raise ValueError(f"architecture returned a {type(network).__name__}; expected a torch.nn.Module.")
        return network


def _check_call(make, n_channels, params):
    """Reject parameters that an architecture does not have, without hiding errors raised inside it."""
    name = getattr(make, "__name__", type(make).__name__)
    try:
        signature = inspect.signature(make)
    except ValueError:  # nothing is known about a callable written in C
        return
    try:
        signature.bind(n_channels, **params)
    except TypeError as error:
        raise ValueError(
            f"architecture={name} cannot be called with the number of channels and architecture_params={params!r} "
            f"({error}); expected parameters of {name}: {', '.join(signature.parameters) or 'it has none'}."
        ) from None
