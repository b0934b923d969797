"""The regressor with a U-Net."""

from numbers import Integral

from sklearn.utils._param_validation import Interval, Options, StrOptions

from skcount.networks import UNet
from skcount.regressors._base import BaseDensityMapRegressor
from skcount.regressors._docs import document
from skcount.regressors._parameters import ParametersMixin


@document
class UNetRegressor(BaseDensityMapRegressor):
    """Count objects with a U-Net.

    Parameters
    ----------
    filters : int, default=24
        Number of filters of the first and last blocks, 1 to 10,000; each pooling doubles it.
    depth : int, default=2
        Number of poolings, 1 to 8. Each additional pooling about doubles the receptive field. Sides are padded to
        multiples of ``stem * 2**depth`` pixels.
    stem : {1, 2}, default=2
        Factor by which the network reduces the image before its first block: 2 computes at half the size, at about a
        third of the cost. The map has the size of the image.
    normalization : {"batch", None}, default="batch"
        Layer after each convolution.
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
        **ParametersMixin._parameter_constraints,
        "filters": [Interval(Integral, 1, 10_000, closed="both")],
        "normalization": [StrOptions({"batch"}), None],
        "depth": [Interval(Integral, 1, 8, closed="both")],
        "stem": [Options(Integral, {1, 2})],
    }
    _network_param_names = ("filters", "depth", "stem", "normalization")

    def __init__(
        self,
        filters=24,
        *,
        depth=2,
        stem=2,
        normalization="batch",
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
        self.filters = filters
        self.depth = depth
        self.stem = stem
        self.normalization = normalization
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
        return UNet(n_channels, **{name: getattr(self, name) for name in self._network_param_names})
