"""The base class of all regressors: fit, predict, score. A subclass builds the network in one private hook."""

import warnings
from collections import deque
from contextlib import nullcontext

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from skcount._check import check_pair
from skcount._doc_link import DocLinkMixin
from skcount._memory import empty_maps
from skcount.images import (
    Familiarity,
    ImageSet,
    check_images,
    is_table,
    like_training,
    normalize_images,
    unscale_points,
)
from skcount.inference import FactorFinder, Predictor, check_out, computes_bf16, export_onnx
from skcount.points import PointAnnotations, check_target, weighted_mean
from skcount.regressors._fitting import FittingMixin
from skcount.regressors._parameters import ParametersMixin
from skcount.regressors._quality import (
    NOT_CONVERGED,
    describe_failure,
    describe_quality,
    is_worse_than_blind,
    measure_errors,
)
from skcount.regressors._save import save_regressor
from skcount.regressors._state import PlainStateMixin
from skcount.regressors._training_data import refuse_side_data, training_target
from skcount.training import CallbackSupportMixin, describe, open_checkpoint, scaled_density, with_callbacks


class BaseDensityMapRegressor(
    FittingMixin,
    ParametersMixin,
    PlainStateMixin,
    DocLinkMixin,
    CallbackSupportMixin,
    RegressorMixin,
    BaseEstimator,
):
    """Learn image -> density map, and count by its sum.

    A subclass stores its parameters in an explicit constructor, builds the network in `_make_network`, and lists the
    parameters of the network in `_network_param_names`.
    """

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        groups=None,
        roi=None,
        perspective=None,
        validation_data=None,
        checkpoint=None,
        checkpoint_every=1,
    ):
        """Learn to count from images and points.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images, channels last, of one or several sizes. Integer pixels are scaled by their type's range, floats are
            used unchanged.
        y : points, counts or density maps
            Points: `PointAnnotations`, or one array (n_points, 2) per image of (row, col) in pixels. Counts: an array
            of shape (n_images,) or (n_images, 1); training then uses only the totals. Density maps: an array
            (n_images, height, width) of objects per pixel, or a list of maps.
        sample_weight : array-like of shape (n_images,) or None, default=None
            Weight of each image in the loss, >= 0. Images with weight zero are left out completely.
        groups : array-like of shape (n_images,) or None, default=None
            One label per image, for `validation_fraction`: images of one group are trained on or held out together. If
            None, use the groups stored in `X` if it is an `ImageSet`.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest: boolean masks, one for all images or one per image. The loss uses only pixels inside;
            each point inside adds exactly 1 there, each point outside adds nothing. If None, use the regions stored in
            `X` if it is an `ImageSet`.
        perspective : array of shape (height, width), sequence of such arrays, or None, default=None
            Relative size of objects at each pixel, > 0, one map for all images or one per image. Kernels are scaled by
            it. If None, use the maps stored in `X` if it is an `ImageSet`.
        validation_data : (X, y) or None, default=None
            Images and targets to validate on instead of a part of `X`: the weights of the epoch with the smallest count
            error on them are kept. With regions of interest, pass an `ImageSet`.
        checkpoint : str, path-like or None, default=None
            File in which to store the state of the training: weights, optimizer, random numbers, epoch. If a fit was
            killed and is called again with the same data and parameters, it continues from this state and ends with the
            same weights, bit for bit on a CPU with the same versions and number of threads. A fit that has ended is not
            trained again. The user's callbacks start from the beginning. The file stays until you remove it.
        checkpoint_every : int, default=1
            Number of epochs between two stored states, >= 1.

        Returns
        -------
        self : object
            The fitted regressor.

        Raises
        ------
        ValueError
            If a parameter, an image or the target is not valid, or if the checkpoint belongs to other data or
            parameters. It is raised before training starts.
        RuntimeError
            If another fit is writing the same checkpoint.
        FloatingPointError
            If training diverges. The regressor then has the weights of the last good epoch, or of the best one on
            validation images; if there is none, it is not changed.

        Warns
        -----
        ConvergenceWarning
            If the counts of the training images are off by a quarter or more after training on points or maps: training
            was too short, or `diameter` is wrong.
        """
        fresh = not (self.warm_start and hasattr(self, "module_"))
        with nullcontext() if checkpoint is None else open_checkpoint(checkpoint, checkpoint_every) as saved:
            seed = saved and saved.seed
            data = self._check_data(
                X, y, fresh, sample_weight, groups, roi, perspective, validation_data, seed
            )
            if saved is not None:
                start = None if fresh else [*self.module_.state_dict().values(), self._random_stream]
                saved.compare(describe(type(self).__name__, self.get_params(), data, start))
            seen = getattr(self, "_skl_callbacks", None) and self._seen_by_callbacks(X, y, sample_weight, roi)
            return self._fit(data, fresh, seen, saved, one_cycle=True)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, roi=None, perspective=None):
        """Train for one more epoch, at a constant learning rate.

        Each call continues exactly from the end of the last one, with its random numbers and the state of its
        optimizer. This state is stored and pickled with the weights and is as large as they are. After `fit`, the
        optimizer starts with a new state. The standardisation of pixels is learnt in the first call. Continuing is
        exact on CPUs; on a GPU, its own random numbers start again.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images, as for `fit`.
        y : points, counts or density maps
            As for `fit`.
        sample_weight : array-like of shape (n_images,) or None, default=None
            Weight of each image in the loss, as for `fit`.
        roi, perspective : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest and relative sizes, as for `fit`.

        Returns
        -------
        self : object
            The fitted regressor.
        """
        fresh = not hasattr(self, "module_")
        data = self._check_data(X, y, fresh, sample_weight, None, roi, perspective, validates=False)
        seen = getattr(self, "_skl_callbacks", None) and self._seen_by_callbacks(X, y, sample_weight, roi)
        return self._fit(data, fresh, seen, None, one_cycle=False)

    def predict(self, X, roi=None, test_time_augmentation=False):
        """Count the objects in each image.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images like those of `fit`, of any size.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest: boolean masks, one for all images or one per image. Only objects inside are counted.
            If None, use the regions stored in `X` if it is an `ImageSet`.
        test_time_augmentation : bool, default=False
            Whether to average over the flips and rotations that `augment` trains with: slightly more accurate, at eight
            times the cost (twice with "mirror").

        Returns
        -------
        ndarray of shape (n_images,), float64
            Objects in each image: the sum of its density map.

        Warns
        -----
        OutOfDistributionWarning
            If an image is very different from the training images.
        UserWarning
            If always predicting the mean count of the training images was at least as good on the images of `measure`.
        """
        images = self._check_images(X, roi=roi)
        self._warn_of_doubts()
        return self._predictor(test_time_augmentation).counts(images)

    def predict_density(self, X, roi=None, out=None, test_time_augmentation=False):
        """Predict the density map of each image.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images like those of `fit`, of any size.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest, as for `predict`. The density outside is 0.
        out : array-like of shape (n_images, height, width), list of array-like of shape (height, width), or None, \
default=None
            Arrays to write the maps to: arrays of floats whose slices can be set, such as a `numpy.memmap`, a dataset
            in an HDF5 file or a zarr array. With `tile_size`, no whole map is ever in memory.
        test_time_augmentation : bool, default=False
            As for `predict`.

        Returns
        -------
        ndarray of shape (n_images, height, width), or list of ndarray of shape (height, width)
            Objects per pixel, never negative: `out`, or new arrays; a list if the sizes of the images differ.

        Raises
        ------
        ValueError
            If an image is not valid, or `out` does not match the images or does not hold floats.
        """
        images = self._check_images(X, roi=roi)
        self._warn_of_doubts()
        out = empty_maps(images.sizes, self._dtype) if out is None else out
        deque(self._predictor(test_time_augmentation).maps(images, check_out(out, images.sizes, X)), maxlen=0)
        return out

    def predict_points(self, X, roi=None, perspective=None, test_time_augmentation=False):
        """Place points on each image, as many as its rounded count.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images like those of `fit`, of any size.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest, as for `predict`. Points are placed only inside.
        perspective : array of shape (height, width), sequence of such arrays, or None, default=None
            Relative size of objects at each pixel, > 0, one map for all images or one per image. If None, use the
            maps stored in `X` if it is an `ImageSet`.
        test_time_augmentation : bool, default=False
            As for `predict`.

        Returns
        -------
        PointAnnotations
            Points of each image as (row, col) in pixels; their number is the rounded count.
        """
        images = self._check_images(X, roi=roi, perspective=perspective)
        self._warn_of_doubts()
        # One map at a time: the points of many large maps fit in memory, but the maps may not. At the working size, no
        # peak is spread over a block of pixels.
        predictor = self._predictor(test_time_augmentation)
        working, density = predictor.working(images), scaled_density(self.density_, self.reduction_ or 1)
        placed = [
            density.place_points(working_map, **working.side_data(index))
            for index, working_map in enumerate(predictor.maps(images, at_image_size=False))
        ]
        return PointAnnotations(
            [unscale_points(points, factor) for points, factor in zip(placed, predictor.factors, strict=True)]
        )

    def iter_density(self, X, roi=None, test_time_augmentation=False):
        """Predict the density maps one after the other, with only one in memory.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images like those of `fit`, of any size.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest, as for `predict`. The density outside is 0.
        test_time_augmentation : bool, default=False
            As for `predict`.

        Returns
        -------
        iterator of ndarray of shape (height, width)
            Objects per pixel, never negative.
        """
        images = self._check_images(X, roi=roi)
        self._warn_of_doubts()
        return self._predictor(test_time_augmentation).maps(images)

    def score(self, X, y, sample_weight=None, roi=None):
        """Return the negative mean absolute error of the counts: larger is better, 0 is perfect.

        This is the usual metric for counting, and it is defined even for a single image. For R2, use ``scoring="r2"``.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images.
        y : points, counts or density maps
            As for `fit`. The true count of an image is the number of its points, or the sum of its map.
        sample_weight : array-like of shape (n_images,) or None, default=None
            Weight of each image.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest, as for `predict`. In `y`, too, only the points or the part of the maps inside are
            counted; counts are used unchanged.

        Returns
        -------
        float
            Negative mean absolute error, in objects per image.
        """
        true, counts = self._true_and_predicted(X, y, roi)
        return -weighted_mean(np.abs(counts - true), sample_weight)

    def measure(self, X, y, roi=None):
        """Count held-out images, and keep the errors with the model, in `held_out_` and in the file of `save`.

        `skcount info` prints them, and `predict` warns if the model was no better than a count that looks at no image.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images that were not used for training.
        y : points, counts or density maps
            As for `score`.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest, as for `score`.

        Returns
        -------
        ndarray of shape (n_images,), float64
            The predicted counts.

        Examples
        --------
        >>> import skcount
        >>> from skcount.datasets import make_cells
        >>> X, points = make_cells(n_samples=6, image_shape=(32, 32), random_state=0, return_X_y=True)
        >>> regressor = skcount.UNetRegressor(filters=4, max_epochs=40, random_state=0).fit(X[:4], points[:4])
        >>> counts = regressor.measure(X[4:], points[4:])
        >>> regressor.held_out_["n_images"], regressor.trained_on_["n_images"]
        (2, 4)
        """
        true, counts = self._true_and_predicted(X, y, roi)
        self.held_out_ = measure_errors(true, counts, getattr(self, "trained_on_", None))
        return counts

    def export_onnx(self, path):
        """Write the fitted network to an ONNX file, for programs without torch.

        The file maps ``images``, float32 of shape (n_images, n_channels, height, width) with integers scaled by their
        type's range, to ``density``, (n_images, height, width), and ``counts``, (n_images,) float64, for any number of
        images of any size. Its counts are compared with this regressor's before it is written. `tile_size` is not part
        of it.

        Parameters
        ----------
        path : str or path-like
            The file, written completely or not at all.

        Raises
        ------
        NotFittedError
            If the regressor is not fitted.
        ImportError
            If a package of ``skcount[onnx]`` is missing.
        ValueError
            If torch cannot export the network, or it was fitted with `normalize`.
        RuntimeError
            If ONNX Runtime's counts differ from this regressor's. No file is written then.
        """
        check_is_fitted(self)
        if self._network_params.get("normalize"):
            raise ValueError(
                "A model that normalizes each image cannot be exported: the file would have to compute its percentiles."
            )
        export_onnx(self.module_, path, self.reduction_)

    def save(self, path):
        """Write the fitted regressor to a file, for `skcount.load`.

        The file holds the weights, the parameters, the learnt attributes, the versions that wrote it, and a digest of
        every byte. It is a safetensors file, which other tools can open too, and contains no code. For a network of
        your own, the file holds only its name, and you pass the network again when you load the file.

        Parameters
        ----------
        path : str or path-like
            The file, written completely or not at all; the recommended suffix is ``.skcount``.

        Raises
        ------
        NotFittedError
            If the regressor is not fitted.
        FileNotFoundError
            If the folder does not exist.
        ValueError
            If a parameter is not valid.
        TypeError
            If the class of the regressor is your own, or `architecture_params` holds anything except plain values and
            arrays, which cannot be stored without code.

        Warns
        -----
        UserWarning
            If `loss`, `augment`, `net_params` or `callbacks` hold objects. They are replaced by their defaults, because
            predictions do not need them.

        See Also
        --------
        skcount.load : Reads the file.
        """
        check_is_fitted(self)
        save_regressor(self, path)

    def _describe_quality(self):
        """Return lines about the training images and the held-out error."""
        return describe_quality(getattr(self, "trained_on_", None), getattr(self, "held_out_", None))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "module_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        tags.target_tags.positive_only = True
        tags.input_tags.three_d_array = True
        return tags

    def _check_images(self, X, roi=None, perspective=None):
        """Return checked images, or a table as images of 1 x n_features; reject images unlike the training images."""
        check_is_fitted(self)
        n_features = getattr(self, "n_features_in_", None)
        if n_features is not None and is_table(X):
            refuse_side_data(roi, perspective)
            return ImageSet(validate_data(self, X, reset=False, dtype=[np.float64, np.float32])[:, None, :])
        images = check_images(X, roi, perspective)
        if n_features is not None:
            raise ValueError(
                f"X must be a table with {n_features} features, (n_samples, n_features), because this "
                f"{type(self).__name__} was fitted on one; got images."
            )
        if self._network_params.get("normalize"):
            return normalize_images(images, self._dtype)
        if images.n_channels != self.n_channels_in_:
            raise ValueError(
                f"X must be images with {self.n_channels_in_} channels, as in `fit`; got {images.n_channels}. Channels come "
                "last: (n_images, height, width, n_channels)."
            )
        return like_training(images, (getattr(self, "_seen", None) or {}).get("dtype"))

    def _true_and_predicted(self, X, y, roi):
        """Return the true and the predicted count of each image."""
        images = self._check_images(X, roi=roi)
        true = training_target(check_target(y), images, self.density_).counts
        return true, self._predictor().counts(images)

    def _warn_of_doubts(self):
        """Warn if the training did not converge, or if a count that looks at no image was as good on held-out images."""
        trained_on = getattr(self, "trained_on_", None)
        if (
            trained_on and not trained_on["converged"] and not vars(self).get("_is_clone")
        ):  # searches speak once
            warnings.warn(NOT_CONVERGED, ConvergenceWarning, stacklevel=3)
        if is_worse_than_blind(getattr(self, "held_out_", None)):
            warnings.warn(describe_failure(self.held_out_), UserWarning, stacklevel=3)

    def _predictor(self, test_time_augmentation=False):
        """Return a Predictor with the current network and parameters."""
        is_table = hasattr(self, "n_features_in_")
        augment = None
        if test_time_augmentation and not is_table:
            augment = self.augment.split("+")[0] if isinstance(self.augment, str) else None
            if augment not in {"rotations", "mirror"}:
                raise ValueError(
                    "`test_time_augmentation` averages over the symmetries of `augment`, which must be 'rotations' or "
                    f"'mirror'; got {self.augment!r}."
                )
        return Predictor(
            self.module_,
            **self._prediction(self.module_.mean.device, self.reduction_),
            augment=augment,
            progress=self.verbose > 0,
            familiarity=None
            if is_table
            else Familiarity(self._seen, bool(self._network_params.get("normalize"))),
        )

    def _prediction(self, device, reduction):
        """Return the parameters of a Predictor on a device that follow from the regressor's own."""
        return {
            "factor": reduction
            or FactorFinder(self.module_, self.diameter_, self.density_, self.verbose > 0),
            "tile_size": None if self.tile_size is None else check_pair(self.tile_size, "tile_size"),
            "bf16": self.precision == "bf16-mixed" and computes_bf16(device),
        }

    @property
    def _dtype(self):
        """The numpy dtype that images are read as."""
        return np.float64 if self.precision == "float64" else np.float32
