"""The regressor for any architecture."""

import inspect

from sklearn.utils._param_validation import StrOptions
from torch import nn

from skcount.networks import ARCHITECTURES
from skcount.regressors._base import BaseDensityMapRegressor
from skcount.regressors._docs import document


@document
class DensityMapRegressor(BaseDensityMapRegressor):
    """Count objects: learn image -> density map from points, and sum the prediction.

    Parameters
    ----------
    architecture : {"unet", "fcrn_a", "fcrn_b"} or callable, default="unet"
        The network. A callable takes the number of channels, and `architecture_params` as keywords, and returns
        a `torch.nn.Module` that maps (n, n_channels, height, width) to (n, 1, height, width); an attribute
        `stride` says that it needs sides that are multiples of it.
    architecture_params : dict or None, default=None
        Parameters for the architecture, for example ``{"filters": 16}``.
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    UNetRegressor : The same with a U-Net, whose parameters are flat.
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
        **BaseDensityMapRegressor._parameter_constraints,
        "architecture": [StrOptions(set(ARCHITECTURES)), callable],
        "architecture_params": [dict, None],
    }
    _network_param_names = ("architecture", "architecture_params")

    def __init__(
        self,
        architecture="unet",
        *,
        architecture_params=None,
        sigma=None,
        density=None,
        loss="multiscale",
        max_epochs="auto",
        lr=0.02,
        batch_size=8,
        patch_size="auto",
        augment=True,
        jitter=0.0,
        test_time_augmentation=False,
        tile_size=None,
        validation_fraction=None,
        early_stopping=False,
        n_iter_no_change=20,
        device="auto",
        dtype="float32",
        mixed_precision="auto",
        warm_start=False,
        out_of_range="warn",
        on_divergence="raise",
        net_params=None,
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        self.architecture = architecture
        self.architecture_params = architecture_params
        self.sigma = sigma
        self.density = density
        self.loss = loss
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.patch_size = patch_size
        self.augment = augment
        self.jitter = jitter
        self.test_time_augmentation = test_time_augmentation
        self.tile_size = tile_size
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.device = device
        self.dtype = dtype
        self.mixed_precision = mixed_precision
        self.warm_start = warm_start
        self.out_of_range = out_of_range
        self.on_divergence = on_divergence
        self.net_params = net_params
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def _make_network(self, n_channels):
        make = ARCHITECTURES[self.architecture] if isinstance(self.architecture, str) else self.architecture
        if isinstance(make, nn.Module):
            raise ValueError(
                f"architecture is a {type(make).__name__}, a network that is built already; expected its class, or a "
                "function that builds one from the number of channels, so that every fit starts afresh."
            )
        params = self.architecture_params or {}
        _check_call(make, n_channels, params)
        network = make(n_channels, **params)
        if not isinstance(network, nn.Module):
            raise ValueError(f"architecture returned a {type(network).__name__}; expected a torch.nn.Module.")
        return network


def _check_call(make, n_channels, params):
    """Refuse parameters that an architecture does not have; errors inside it are its own."""
    name = getattr(make, "__name__", type(make).__name__)
    try:
        signature = inspect.signature(make)
    except ValueError:  # of what is written in C nothing is known
        return
    try:
        signature.bind(n_channels, **params)
    except TypeError as error:
        raise ValueError(
            f"architecture={name} cannot be called with the number of channels and architecture_params={params!r} "
            f"({error}); expected parameters of {name}: {', '.join(signature.parameters) or 'it has none'}."
        ) from None
