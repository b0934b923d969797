"""The regressor with a U-Net."""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from skcount.networks import UNet
from skcount.regressors._base import BaseDensityMapRegressor
from skcount.regressors._docs import document


@document
class UNetRegressor(BaseDensityMapRegressor):
    """Count objects with a U-Net.

    Parameters
    ----------
    filters : int, default=16
        Number of filters of the blocks of the image's own size, 1 to 10,000.
    growth : float, default=2
        Each block has so many times the filters of the one that is twice its size, 1 to 10. With 1 every block has the same
        number.
    convolutions : int, default=2
        Number of convolutions in each block, 1 to 100.
    normalization : {"batch", None}, default="batch"
        What follows each convolution.
    depth : int, default=3
        Number of poolings, 1 to 8: each more lets the network look about twice as far around, and sides are padded to
        multiples of ``2**depth`` pixels.
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    DensityMapRegressor : The same with any architecture.
    FCRNRegressor : The same with FCRN-A or FCRN-B.

    References
    ----------
    O. Ronneberger, P. Fischer and T. Brox, "U-Net: convolutional networks for biomedical image
    segmentation", MICCAI 2015.

    Examples
    --------
    >>> from skcount import UNetRegressor
    >>> from skcount.datasets import make_cells
    >>> X, points = make_cells(n_samples=4, image_shape=(64, 64), random_state=0, return_X_y=True)
    >>> UNetRegressor(filters=8, max_epochs=2, random_state=0).fit(X, points).predict(X).shape
    (4,)
    """

    _parameter_constraints = {
        **BaseDensityMapRegressor._parameter_constraints,
        "filters": [Interval(Integral, 1, 10_000, closed="both")],
        "growth": [Interval(Real, 1, 10, closed="both")],
        "convolutions": [Interval(Integral, 1, 100, closed="both")],
        "normalization": [StrOptions({"batch"}), None],
        "depth": [Interval(Integral, 1, 8, closed="both")],
    }
    _network_param_names = ("filters", "growth", "convolutions", "normalization", "depth")

    def __init__(
        self,
        filters=16,
        *,
        growth=2,
        convolutions=2,
        normalization="batch",
        depth=3,
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
        self.filters = filters
        self.growth = growth
        self.convolutions = convolutions
        self.normalization = normalization
        self.depth = depth
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
        return UNet(n_channels, **{name: getattr(self, name) for name in self._network_param_names})
