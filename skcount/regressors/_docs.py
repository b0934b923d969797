"""The parameters that all regressors share, described once."""

import inspect

COMMON_PARAMETERS = """\
sigma : float or None, default=None
    Standard deviation of the Gaussian that stands for one object, in pixels, > 0. None leaves it to `density`.
density : DensityMapTransformer or None, default=None
    Makes density maps of points; cloned at fit. None is a default one (sigma 2); pass ``DensityMapTransformer()`` to
    search its parameters, as ``density__truncate``.
loss : {"multiscale", "mse", "l1", "huber", "mse_count", "bayesian", "dm_count"}, default="multiscale"
    What the training minimises: the mean squared error of the map and of its means over blocks of 4, 16 and 64 pixels;
    the mean squared, absolute or Huber error of the map alone; the squared one plus that of the count; or, from points
    without a map, the Bayesian loss (Ma et al. 2019) or DM-Count's optimal transport (Wang et al. 2020). Where `y` is
    counts, all compare totals by their squared error.
max_epochs : int or "auto", default="auto"
    Number of epochs, >= 1. An epoch is one crop of each image, or as many as cover its pixels once on average.
    "auto" makes 1200 steps of it, and at least 10 epochs.
lr : float, default=0.02
    Largest learning rate of the one-cycle schedule, > 0. The optimizer is Muon: each step changes a kernel by about so much
    in every direction. Another one (``net_params={"optimizer": torch.optim.AdamW}``) wants another rate, such as 0.003.
batch_size : int, default=8
    Crops a step; -1 takes all in one.
patch_size : int or "auto", default="auto"
    Side of the square crops to train on, in pixels, at most the largest image's; "auto" is 128. Counts as `y`
    are learnt from whole images.
augment : bool or "mirror", default=True
    Whether to flip the crops, and turn square ones by 90 degrees, at random: right for what is seen from above. "mirror"
    flips left and right only: right where there is an up and a down, as in pictures of people.
jitter : float, default=0.0
    How much the contrast and brightness of crops change at random, >= 0: standard deviation of the logarithm of the
    contrast, and of the brightness in standard deviations of the training pixels. 0.2 where the light will not stay as it
    is.
test_time_augmentation : bool, default=False
    Whether to predict the mean over the flips and turns that `augment` trains with: a little more accurate, at eight times
    (with "mirror" twice) the time of a prediction.
tile_size : int or None, default=None
    Predict images in square tiles of at most this side, in pixels: tiles overlap by as much as the network looks around (51
    pixels to each side for the default U-Net), so that the map is that of the whole image. What the network needs of memory
    is then the same for every image. None predicts each image as a whole.
validation_fraction : float or None, default=None
    Part of the images, in (0, 1), to hold out of the training, whole groups of them where there are groups. After each
    epoch their count error is measured, and the weights with the smallest are kept. None holds out nothing, or a
    tenth with `early_stopping`.
early_stopping : bool, default=False
    Whether to end the training when the error on held-out images has not become smaller for a while.
n_iter_no_change : int, default=20
    How many epochs that is, >= 1.
device : str, default="auto"
    Where to compute, as torch calls it; "auto" is a CUDA device if there is one, else the CPU.
dtype : {"float32", "float64"}, default="float32"
    Precision of the network.
mixed_precision : bool or "auto", default="auto"
    Whether to compute the convolutions in bfloat16, and all else (weights, their gradients and updates, densities, the loss)
    in float32: about twice as fast where the hardware has it, and many times as slow where it has not. "auto" trains so
    on CPUs with AVX512_BF16 or AMX and CUDA devices from compute capability 8.0 on, for a `dtype` of "float32" and
    networks that have a name here, and predicts in `dtype`. True trains so everywhere, and predicts so on such devices:
    counts are then about 0.1 % off. False trains and predicts alike on every machine, up to rounding.
warm_start : bool, default=False
    Whether `fit` goes on from the weights of the last fit, by another cycle of the learning rate, with crops drawn anew.
out_of_range : {"warn", "raise", "ignore"}, default="warn"
    What a prediction does about an image that is grossly unlike the training images: pixels of another range, a tenth or
    four times their contrast, or detail as if everything on it were 2.5 times as large or small. It warns, of the first
    such image; or raises a ValueError; or does not look. A flat image is like any other.
on_divergence : {"raise", "warn", "discard"}, default="raise"
    What a fit does whose loss is not finite, or a thousand times that of the first epoch. It stops, and the regressor has
    the weights of the last epoch before, or of the best one on held-out images; then it raises a FloatingPointError, or
    only warns. "discard" raises and leaves the regressor as it was before the fit.
net_params : dict or None, default=None
    More parameters for skorch's NeuralNet, which override what is set here.
callbacks : list or None, default=None
    More callbacks for skorch's NeuralNet.
random_state : int, RandomState or None, default=None
    Seed of the weights, the crops and their order. The same int and number of threads give the same result.
verbose : int, default=0
    1 shows progress bars of the fit and of predictions, on terminals and in notebooks only; 2 prints a line an epoch of the
    fit instead: loss, count error of the crops, and time."""

COMMON_ATTRIBUTES = """\
module_ : torch.nn.Module
    The trained network: pixels (n, n_channels, height, width) -> densities (n, 1, height, width).
density_ : DensityMapTransformer
    Makes the maps that are learnt from points, and points of predicted maps.
n_channels_in_ : int
    Number of channels of the training images.
patch_size_ : (height, width)
    Size of the crops, in pixels.
n_iter_ : int
    Number of epochs.
history_ : list of dict
    One row of plain numbers an epoch: epoch, train_loss, count_mae (objects a crop), dur (seconds); with held-out
    images valid_count_mae (objects an image)."""


def document(cls):
    """Fill the shared parameters and attributes into a regressor's docstring.

    Parameters
    ----------
    cls : type
        Its docstring holds `{parameters}` and `{attributes}`, each on a line of its own.

    Returns
    -------
    type
        The same class.
    """
    text = inspect.cleandoc(cls.__doc__) + "\n"
    cls.__doc__ = text.replace("{parameters}", COMMON_PARAMETERS).replace("{attributes}", COMMON_ATTRIBUTES)
    return cls
