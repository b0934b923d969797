"""The regressor with FCRN-A or FCRN-B."""

from numbers import Integral

from sklearn.utils._param_validation import Interval, StrOptions

from skcount.networks import FCRNA, FCRNB
from skcount.regressors._base import BaseDensityMapRegressor
from skcount.regressors._docs import document


@document
class FCRNRegressor(BaseDensityMapRegressor):
    """Count objects with a fully convolutional regression network, FCRN-A or FCRN-B.

    Parameters
    ----------
    variant : {"a", "b"}, default="a"
        Which network of the paper: A with three poolings and 3 x 3 kernels, or B with two poolings and larger
        kernels, three times the parameters and eleven times the operations.
    convolutions : int, default=1
        Number of convolutions in each block, 1 to 100.
    normalization : {"batch", None}, default="batch"
        What follows each convolution.
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    DensityMapRegressor : The same with any architecture.
    UNetRegressor : The same with a U-Net.

    References
    ----------
    W. Xie, J. A. Noble and A. Zisserman, "Microscopy cell counting and detection with fully convolutional
    regression networks", Computer Methods in Biomechanics and Biomedical Engineering: Imaging &
    Visualization 6(3), 2018.

    Examples
    --------
    >>> from skcount import FCRNRegressor
    >>> from skcount.datasets import make_cells
    >>> X, points = make_cells(n_samples=4, image_shape=(64, 64), random_state=0, return_X_y=True)
    >>> FCRNRegressor(max_epochs=1, random_state=0).fit(X, points).predict(X).shape
    (4,)
    """

    _parameter_constraints = {
        **BaseDensityMapRegressor._parameter_constraints,
        "variant": [StrOptions({"a", "b"})],
        "convolutions": [Interval(Integral, 1, 100, closed="both")],
        "normalization": [StrOptions({"batch"}), None],
    }
    _network_param_names = ("variant", "convolutions", "normalization")

    def __init__(
        self,
        variant="a",
        *,
        convolutions=1,
        normalization="batch",
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
        self.variant = variant
        self.convolutions = convolutions
        self.normalization = normalization
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
        network = {"a": FCRNA, "b": FCRNB}[self.variant]
        return network(n_channels, self.convolutions, self.normalization)
