"""The regressor with FCRN-A or FCRN-B."""

from numbers import Integral

from sklearn.utils._param_validation import Options, StrOptions

from skcount.networks import FCRNA, FCRNB
from skcount.regressors._base import BaseDensityMapRegressor
from skcount.regressors._docs import document
from skcount.regressors._parameters import ParametersMixin


@document
class FCRNRegressor(BaseDensityMapRegressor):
    """Count objects with a fully convolutional regression network, FCRN-A or FCRN-B.

    Parameters
    ----------
    variant : {"a", "b"}, default="a"
        Network of the paper: A with three poolings and 3 x 3 kernels, or B with two poolings, larger kernels, three
        times the parameters and eleven times the operations.
    normalization : {"batch", None}, default="batch"
        Layer after each convolution.
    stem : {1, 2}, default=1
        Factor by which the network reduces the image before its first block; the paper does not. The map has the size
        of the image.
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
        **ParametersMixin._parameter_constraints,
        "variant": [StrOptions({"a", "b"})],
        "normalization": [StrOptions({"batch"}), None],
        "stem": [Options(Integral, {1, 2})],
    }
    _network_param_names = ("variant", "normalization", "stem")

    def __init__(
        self,
        variant="a",
        *,
        normalization="batch",
        stem=1,
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
        self.variant = variant
        self.normalization = normalization
        self.stem = stem
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
        network = {"a": FCRNA, "b": FCRNB}[self.variant]
        return network(n_channels, normalization=self.normalization, stem=self.stem)
