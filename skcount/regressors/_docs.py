"""The parameters and attributes that all regressors share, described once."""

import inspect

COMMON_PARAMETERS = """\
weights : {"nuclei", "objects"}, str, path-like, fitted regressor or None, default=None
    Weights that `fit` starts from: those that come with the package ("nuclei", trained on nuclei of cells; "objects",
    trained on drawn objects of many looks, too), a file written by `save`, or a fitted regressor with the same
    network. Objects are then seen at the size that the weights know, images are normalized as for the weights, and a
    fit takes fewer and smaller steps: 80 with up to four images, and more in proportion to the square root of their
    number. The largest learning rate is 0.15 times `lr`; or 0.5 times, and images are not enlarged, if the maps that
    the weights predict of the training images are unlike the true ones (a correlation of at most 0.5). In a search,
    pass names or files, or a `sklearn.frozen.FrozenEstimator`. If None, start from random numbers.
normalize : {"image"} or None, default=None
    How pixels are normalized before anything else. None: integers are scaled by their type's range, and floats are
    used unchanged. "image": each image is turned to grey and scaled by its own 1st and 99th percentile, with light
    objects on a dark background; its values beyond them are compressed by the logarithm. The mean of the colors is
    used, unless it is skewed to dark values: then the image shows dark objects on a light background, and the
    negative of its red is used. Images may have 1, 3 or 4 channels of any type, and their type may differ between
    `fit` and `predict`. With `weights`, they decide.
diameter : float or "auto", default="auto"
    Typical width of an object, in pixels of the images, > 0: what you would measure with a ruler. "auto" learns it in
    `fit` from the points and the pixels around them, and assumes 12 if they do not tell it. Two things follow from it.
    The working size: the network sees images reduced by a whole factor, so that an object is 24 to 48 pixels wide (by 1
    below 48 pixels; below 6 pixels, images are doubled). And `sigma`, if it is None. Everything else stays in pixels of
    the images: points, `sigma`, regions, tiles and predicted maps.
sigma : float or None, default=None
    Standard deviation of the Gaussian kernel of one object, in pixels, > 0. If None, use the sigma of `density`, or
    without `density` 0.15 times the diameter, but at least 3 pixels of the working size.
density : DensityMapTransformer or None, default=None
    Makes density maps from points; it is cloned in `fit`. Its parameters can be searched as ``density__truncate``.
loss : str, torch.nn.Module or callable, default="multiscale"
    The loss that training minimises. "multiscale": mean squared error of the map and of its means over blocks of 4 x 4,
    16 x 16 and 64 x 64 pixels; "mse", "l1", "huber": mean squared, absolute or Huber error of the map; "mse_count": the
    squared error of the map plus that of the count; "bayesian" (Ma et al. 2019) and "dm_count" (Wang et al. 2020):
    losses that use points without a map. If `y` is counts, all of these compare totals by their squared error. The loss
    can also be a `skcount.losses.CountingLoss` with its own parameters; another module, called as ``module(density,
    target)`` with both 0 outside the mask; or another callable, called as ``loss(density, target, mask)``. See
    :func:`skcount.losses.make_loss`.
max_epochs : int or "auto", default="auto"
    Number of epochs, >= 1. An epoch has one crop of each image, or as many as cover its pixels once on average.
    "auto" follows from `weights` if there are any; otherwise it is 1200 steps, and for more than 64 images 1200 times
    the square root of ``n_images / 64``, at most 6000; it may end within an epoch.
lr : float, default=0.02
    Largest learning rate of the one-cycle schedule, > 0. The optimizer is Muon, whose steps change a kernel by about
    this much in every direction. Another optimizer (``net_params={"optimizer": torch.optim.AdamW}``) needs another
    rate, such as 0.003.
batch_size : int, default=8
    Crops per step; -1 takes all crops in one step.
patch_size : int, (height, width) or "auto", default="auto"
    Size of the crops to train on, in pixels, at most that of the largest image; "auto" is 128 pixels of the working
    size. If `y` is counts, training uses whole images. If points are so rare that most crops would be empty, half of
    the crops are drawn around points, with smaller weights.
augment : str, callable or None, default="rotations+jitter+scale"
    Random changes of crops, some of them joined by "+". "rotations": flips, and rotations by 90 degrees of square
    crops; suitable for objects seen from above. "mirror": left-right flips only; suitable if up and down differ, as in
    pictures of people. "jitter": contrast and brightness, with a standard deviation of 0.2. "scale": half of the crops
    are enlarged or reduced by up to 1.4; only if `y` is points, and without roi and perspective. A function ``(image,
    points, rng) -> (image, points)`` gets a crop (height, width, n_channels) of the working size, its points (row,
    col), and a `numpy.random.Generator`, and returns the image and points of a crop of the same size; it needs points
    as `y`, and cannot be used with roi or perspective.
tile_size : int, (height, width) or None, default=None
    Predict images in tiles of at most this size, in pixels. Tiles overlap by the receptive field of the network (47
    pixels of the working size to each side for the default U-Net), so the map equals that of the whole image, and the
    network needs the same memory for every image. If None, predict each image as a whole.
validation_fraction : float or None, default=None
    Fraction of the images, in (0, 1), to hold out from training, in whole groups if there are groups. After each epoch,
    the count error on them is measured, and the weights with the smallest error are kept. If None, hold out no images,
    or a tenth of them with `early_stopping`.
early_stopping : bool or int, default=False
    Whether to end training if the error on validation images has not decreased for 20 epochs. An integer is the number
    of epochs to wait.
device : str or torch.device, default="auto"
    Device to compute on; "auto" is a CUDA device if there is one, otherwise the CPU.
precision : {"float32", "bf16-mixed", "float64"}, default="float32"
    Precision of the network. "bf16-mixed" computes the convolutions in bfloat16 and everything else in float32. It
    is about twice as fast on CPUs with AVX512_BF16 or AMX and on CUDA devices of compute capability 8.0 and higher, and
    many times slower elsewhere. Predictions use it only on such devices; their counts then differ by about 0.1 %.
warm_start : bool, default=False
    Whether `fit` continues from the weights of the last fit, with a new cycle of the learning rate.
callbacks : list or None, default=None
    Further callbacks for skorch's NeuralNet.
net_params : dict or None, default=None
    Further parameters for skorch's NeuralNet, which override those set here.
random_state : int, RandomState or None, default=None
    Seed of the weights, the crops and their order. The same int and number of threads give the same result.
verbose : int, default=0
    1 says how long a fit takes, once a few steps were measured, and shows progress bars of fits and predictions; where
    no terminal or notebook shows a bar, a fit prints a line per tenth of its steps. 2 prints one line per epoch of a
    fit: loss, count error of the crops, and time."""

COMMON_ATTRIBUTES = """\
module_ : torch.nn.Module
    The trained network: pixels (n, n_channels, height, width) -> densities (n, 1, height, width).
density_ : DensityMapTransformer
    Makes density maps from points for training, and points from predicted maps.
n_channels_in_ : int
    Number of channels of the training images; 1 with ``normalize="image"``.
diameter_ : float or None
    Typical width of an object, in pixels; None for a table.
reduction_ : int, 0.5, 0.25 or None
    The factor by which the network sees images reduced. None, in a model of `load_pretrained`, if it is chosen for each
    image; `diameter_` and ``density_.sigma`` are then in pixels of the working size.
patch_size_ : (height, width)
    Size of the crops, in pixels of the images.
n_iter_ : int
    Number of epochs.
history_ : list of dict
    One row of plain numbers per epoch: epoch, train_loss, crop_count_mae (objects per crop), dur (seconds); with
    validation images, also valid_count_mae (objects per image).
trained_on_ : dict
    n_images, n_objects and mean_count (objects per image) of the training images of the last fit, and whether it has
    converged.
held_out_ : dict
    After `measure`: mae, mae_standard_error, bias and baseline_mae (of always predicting mean_count) in objects per
    image, n_images, and n_trained_on, the number of training images of the model that was measured."""


def document(cls):
    """Fill the shared parameters and attributes into the docstring of a regressor, and return the class."""
    text = inspect.cleandoc(cls.__doc__) + "\n"
    cls.__doc__ = text.replace("{parameters}", COMMON_PARAMETERS).replace("{attributes}", COMMON_ATTRIBUTES)
    return cls
