"""What all regressors do: fit, predict, score. The network is a subclass's one private hook."""

import warnings
from collections import deque
from copy import copy, deepcopy
from functools import cache, partial
from multiprocessing import current_process
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skcount import ImageSet
from skcount._check import check_groups, empty_maps, is_table
from skcount._doc_link import DocLinkMixin
from skcount._progress import track
from skcount.density import DensityMapTransformer
from skcount.images import Images, check_images
from skcount.metrics import count_mean_absolute_error
from skcount.metrics._counts import check_weights
from skcount.networks import DensityNetwork
from skcount.points import PointAnnotations
from skcount.regressors._callbacks import CallbackSupportMixin, TaskTree, with_callbacks
from skcount.regressors._checkpoint import checkpointing, describe
from skcount.regressors._export import export_onnx
from skcount.regressors._hold_out import hold_out
from skcount.regressors._memory import NetworkMemory, out_of_memory
from skcount.regressors._pixels import ChannelStatistics, RangeWatch, channel_statistics, seen_range
from skcount.regressors._predictor import Predictor, check_out, measure_tiles
from skcount.regressors._randomness import own_randomness, random_stream
from skcount.regressors._save import save_regressor
from skcount.regressors._state import PlainStateMixin
from skcount.regressors._target import check_target, is_ragged
from skcount.training import (
    LOSSES,
    BlankPenalty,
    Crops,
    DivergedError,
    Jitter,
    MapTarget,
    PointTarget,
    blank_shape,
    computes_bfloat16,
    train,
)

# Chosen on images held out of VGG's training pool: see benchmarks/RESULTS.md.
AUTO_PATCH = 128
AUTO_STEPS = 1200
AUTO_EPOCHS = 10
# What scikit-learn knows of the columns of a table.
TABLE_ATTRIBUTES = ("n_features_in_", "feature_names_in_")
# Training images that the last scale is fitted on, at most.
BIAS_IMAGES = 256
# Counts that are further off than this, or its inverse, are of a network that has not learnt to count, which no factor makes
# up for.
LEAST_SHARE = 0.8
# The height that one object has in the network's own units.
PEAK = 4.0


class TrainingData(NamedTuple):
    """What a fit was given, checked.

    Parameters
    ----------
    images : Images
        The images to learn from.
    target : PointTarget, MapTarget or CountTarget
        What is on them.
    weights : ndarray of shape (n_images,)
        Of the images, 1 on average.
    channels : ChannelStatistics
        What their pixels are like.
    density : DensityMapTransformer
        What makes maps of points.
    held_out : tuple of (Images, ndarray, ndarray) or None
        Images to validate on, their counts and weights.
    seed : int
        Of all that is drawn.
    """

    images: Images
    target: object
    weights: np.ndarray
    channels: ChannelStatistics
    density: DensityMapTransformer
    held_out: tuple | None
    seed: int


class BaseDensityMapRegressor(
    PlainStateMixin, DocLinkMixin, CallbackSupportMixin, RegressorMixin, BaseEstimator
):
    """Learn image -> density map, and count by its sum.

    A subclass stores the parameters in its explicit constructor, builds the network in `_make_network`, and names the
    parameters that it is built from in `_network_param_names`.
    """

    _parameter_constraints = {
        "sigma": [Interval(Real, 0, None, closed="neither"), None],
        "density": [DensityMapTransformer, None],
        "loss": [StrOptions(set(LOSSES))],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1})],
        "patch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "augment": ["boolean", StrOptions({"mirror"})],
        "jitter": [Interval(Real, 0, None, closed="left")],
        "test_time_augmentation": ["boolean"],
        "tile_size": [Interval(Integral, 1, None, closed="left"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "early_stopping": ["boolean"],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "dtype": [StrOptions({"float32", "float64"})],
        "mixed_precision": ["boolean", StrOptions({"auto"})],
        "warm_start": ["boolean"],
        "out_of_range": [StrOptions({"warn", "raise", "ignore"})],
        "on_divergence": [StrOptions({"raise", "warn", "discard"})],
        "net_params": [dict, None],
        "callbacks": [list, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

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
        checkpoint=None,
        checkpoint_every=1,
    ):
        """Learn to count from images and points.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images, channels last, of one or of many sizes. Integer pixels are scaled by their type's range,
            floats are taken as they are.
        y : points, counts or density maps
            Points: for each image an array (n_points, 2) of (row, col) in pixels. Counts: a 1-D array; then
            only the totals supervise. Density maps: an array (n_images, height, width) of objects per pixel,
            or a list of maps where the images differ in size.
        sample_weight : array-like of shape (n_images,) or None, default=None
            Weight of each image in the loss, >= 0. An image of weight zero is left out altogether.
        groups : array-like of shape (n_images,) or None, default=None
            One label an image, for `validation_fraction`: images of one group are trained on or held out together. None
            takes those that an `ImageSet` carries.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest: boolean masks, one for all images or one for each. The loss looks only inside;
            each point inside adds exactly 1 there, each point outside nothing. None takes those that an `ImageSet` carries.
        perspective : array of shape (height, width), sequence of such arrays, or None, default=None
            Relative scale of the objects at each pixel, > 0, one map for all images or one for each: the kernel of a
            point grows with it.
            None takes those that an `ImageSet` carries.
        checkpoint : str, path-like or None, default=None
            A file to keep the state of the training in: weights, optimiser, random numbers, epoch. A fit that was killed,
            called again with the same data and parameters, goes on there, and ends with the weights that it would have
            had: bit for bit on a CPU, with equal versions and numbers of threads; one that had come to its end is not
            trained again. Callbacks of the user's start anew. The file stays until you remove it.
        checkpoint_every : int, default=1
            How many epochs there are between two states, >= 1.

        Returns
        -------
        self : object
            The fitted regressor.

        Raises
        ------
        ValueError
            If a parameter, an image or the target is not valid, or if the checkpoint belongs to other data or parameters;
            before any training starts.
        RuntimeError
            If another fit is writing the same checkpoint.
        FloatingPointError
            If the training diverges. The regressor then has the weights of the last epoch before, or of the best one on
            held-out images, unless `on_divergence` says otherwise.

        Warns
        -----
        ConvergenceWarning
            If, trained on points or maps, the counts of the training images are off by a quarter or more: a training that
            was too short, or whose `sigma` is too large for it.
        """
        fresh = not (self.warm_start and hasattr(self, "module_"))
        with checkpointing(checkpoint, checkpoint_every) as kept:
            data = self._check_training_data(
                X, y, sample_weight, roi, perspective, fresh, self._fraction(), groups, kept and kept.seed
            )
            if kept:
                trained_on = data.images, data.target, data.weights, data.held_out
                kept.compare(describe(self, data.seed, *trained_on, fresh))
            seen = _as_callbacks_see(X, y, sample_weight, roi)
            return self._fit(
                seen, data, fresh, max_epochs=self.max_epochs, one_cycle_schedule=True, kept=kept
            )

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, roi=None, perspective=None):
        """Train for one more epoch, at a constant learning rate.

        Each call goes on exactly where the last one ended, with its random numbers and what its optimiser remembers, which
        is kept, and pickled, beside the weights and as large as they are; after `fit` the optimiser starts anew. How pixels
        are standardised is learnt in the first call. Exactly on CPUs: a GPU's own random numbers start anew.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images, as for `fit`.
        y : points, counts or density maps
            As for `fit`.
        sample_weight : array-like of shape (n_images,) or None, default=None
            Weight of each image in the loss, as for `fit`.
        roi, perspective : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest and relative scales, as for `fit`.

        Returns
        -------
        self : object
            The fitted regressor.
        """
        fresh = not hasattr(self, "module_")
        data = self._check_training_data(X, y, sample_weight, roi, perspective, fresh)
        seen = _as_callbacks_see(X, y, sample_weight, roi)
        return self._fit(seen, data, fresh, max_epochs=1, one_cycle_schedule=False)

    def predict(self, X, roi=None):
        """Count the objects in each image.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images like those of `fit`, of any size.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest: boolean masks, one for all images or one for each. Only what is inside is counted.
            None takes those that an `ImageSet` carries.

        Returns
        -------
        ndarray of shape (n_images,), float64
            Objects in each image: the sum of its density map.
        """
        check_is_fitted(self)
        images = self._check_images(X, reset=False, roi=roi)
        return self._predictor(images).counts(images)

    def predict_density(self, X, roi=None, out=None):
        """Predict the density map of each image.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images like those of `fit`, of any size.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest: boolean masks, one for all images or one for each. Outside the density is 0.
            None takes those that an `ImageSet` carries.
        out : array-like of shape (n_images, height, width), list of array-like of shape (height, width), or None, \
default=None
            Where to write the maps: arrays of floats with slices to set, such as a `numpy.memmap`, a dataset of an HDF5
            file or a zarr array. With `tile_size`, no map is ever in memory as a whole.

        Returns
        -------
        ndarray of shape (n_images, height, width), or list of ndarray of shape (height, width)
            Objects per pixel, never negative: `out`, or new arrays; a list where the sizes of the images differ.

        Raises
        ------
        ValueError
            If an image is not valid, or `out` is not of the images' sizes or holds no floats.
        """
        check_is_fitted(self)
        images = self._check_images(X, reset=False, roi=roi)
        out = empty_maps(images.shapes, images.dtype) if out is None else out
        deque(self._predictor(images).maps(images, check_out(out, images.shapes)), maxlen=0)
        return out

    def predict_points(self, X, roi=None, perspective=None):
        """Place as many points on each image as are counted in it.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images like those of `fit`, of any size.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest: boolean masks, one for all images or one for each. Points are placed inside only.
            None takes those that an `ImageSet` carries.
        perspective : array of shape (height, width), sequence of such arrays, or None, default=None
            Relative scale of the objects at each pixel, > 0, one map for all images or one for each: how large the
            objects are that are looked for.
            None takes those that an `ImageSet` carries.

        Returns
        -------
        PointAnnotations
            Points of each image as (row, col) in pixels; their number is the rounded count.
        """
        check_is_fitted(self)
        images = self._check_images(X, reset=False, roi=roi, perspective=perspective)
        # One map at a time: the points of many large maps fit in memory, the maps may not.
        maps = enumerate(self._predictor(images).maps(images))
        return PointAnnotations([self.density_.place_points(m, **images.belongings(i)) for i, m in maps])

    def iter_density(self, X, roi=None):
        """Predict one density map after the other, holding one at a time.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images like those of `fit`, of any size.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest: boolean masks, one for all images or one for each. Outside the density is 0.
            None takes those that an `ImageSet` carries.

        Returns
        -------
        iterator of ndarray of shape (height, width)
            Objects per pixel, never negative.

        Raises
        ------
        NotFittedError
            If the regressor is not fitted.
        ValueError
            If an image is not valid, or has another number of channels than those of `fit`.
        """
        check_is_fitted(self)
        images = self._check_images(X, reset=False, roi=roi)
        return self._predictor(images).maps(images)

    def score(self, X, y, sample_weight=None, roi=None):
        """Return minus the mean absolute error of the counts: larger is better, 0 is perfect.

        The measure of the field, defined for a single image too. For R2 use ``scoring="r2"``.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or sequence of images
            Images.
        y : points, counts or density maps
            As for `fit`. The true count of an image is the number of its points.
        sample_weight : array-like of shape (n_images,) or None, default=None
            Weight of each image.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest: boolean masks, one for all images or one for each. Only what is inside is counted, of
            points and maps too; counts as `y` are taken as they are. None takes those that an `ImageSet` carries.

        Returns
        -------
        float
            Minus the mean absolute error, in objects an image.
        """
        check_is_fitted(self)
        images = self._check_images(X, reset=False, roi=roi)
        true = check_target(y, images, self.density_).counts
        return -count_mean_absolute_error(true, self.predict(X, roi), sample_weight=sample_weight)

    def export_onnx(self, path):
        """Write the fitted network as an ONNX file, for programs that have no torch.

        The file maps ``images``, float32 of shape (n_images, n_channels, height, width) with integers scaled by their
        type's range, to ``density``, (n_images, height, width), and ``counts``, (n_images,) float64; any number of images
        of any size. It is checked against this regressor before it is written. Neither `tile_size` nor
        `test_time_augmentation` is part of it.

        Parameters
        ----------
        path : str or path-like
            The file to write, whole or not at all.

        Raises
        ------
        NotFittedError
            If the regressor is not fitted.
        ImportError
            If a package of ``skcount[onnx]`` is missing.
        ValueError
            If torch cannot export the network.
        RuntimeError
            If ONNX Runtime counts otherwise than the regressor does. No file is written then.
        """
        check_is_fitted(self)
        export_onnx(self.module_, path)

    def save(self, path):
        """Write the fitted regressor to a file, for `skcount.load`.

        The file holds the weights, the parameters and what was learnt, the versions of skcount, torch, numpy, scikit-learn
        and Python that wrote it, and a digest over every byte: a safetensors file, which other tools open too. It holds no
        code. A network of the user's own is named in it, and handed over when it is loaded.

        Parameters
        ----------
        path : str or path-like
            The file to write, whole or not at all; ``.skcount`` is a good ending.

        Raises
        ------
        NotFittedError
            If the regressor is not fitted.
        FileNotFoundError
            If the folder does not exist.
        ValueError
            If a parameter is not valid.
        TypeError
            If the regressor is of a class of the user's, or `architecture_params` holds more than plain values and arrays:
            what only code can hold.

        Warns
        -----
        UserWarning
            If `net_params` or `callbacks` hold objects: they are left out, for predictions do not need them.

        See Also
        --------
        skcount.load : Reads the file.
        """
        check_is_fitted(self)
        save_regressor(self, path)

    def set_params(self, **params):
        """Set parameters, those of `density` by ``density__sigma`` and so on, even where it is None so far.

        Parameters
        ----------
        **params : dict
            Parameters of this regressor, and of its transformer with ``density__`` before their names.

        Returns
        -------
        self : object
            This regressor.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        nested = {
            name.removeprefix("density__"): params[name] for name in params if name.startswith("density__")
        }
        if nested and params.get("density", self.density) is None:
            kept = {name: value for name, value in params.items() if not name.startswith("density__")}
            params = {**kept, "density": DensityMapTransformer().set_params(**nested)}
        return super().set_params(**params)

    def __sklearn_clone__(self):
        cloned = super().__sklearn_clone__()
        cloned._is_clone = True
        return cloned

    def _is_for_scoring(self):
        """Whether a search or a cross-validation may be what fits this: they fit clones, some of them in workers."""
        return vars(self).get("_is_clone", False) or current_process().name != "MainProcess"

    def __sklearn_is_fitted__(self):
        return hasattr(self, "module_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        tags.target_tags.positive_only = True
        tags.input_tags.three_d_array = True
        return tags

    def _fit(self, seen, data, fresh, max_epochs, one_cycle_schedule, kept=None):
        """Build the network where it is fresh, and train it on what was checked."""
        earlier = None if fresh or one_cycle_schedule else self._training_state
        with own_randomness(data.seed if fresh else self._random_stream, self._torch_device()):
            module = self._start_module(data, fresh)
            loss = LOSSES[self.loss](float(module.output_scale), data.density.sigma)
            crops = self._make_crops(data, module, loss)
            batch_size = len(crops) if self.batch_size == -1 else min(self.batch_size, len(crops))
            epochs = _auto_epochs(-(-len(crops) // batch_size)) if max_epochs == "auto" else max_epochs
            fitted = {
                "module_": module,
                "density_": data.density,
                "n_channels_in_": data.images.n_channels,
                "patch_size_": crops.patch_shape,
                "_network_params": self._get_network_params(),
                "_seed": data.seed,
                "_seen": seen_range(data.channels, None if fresh else self._seen),
            }
            words = _training_words(batch_size, crops.patch_shape, data.target)
            NetworkMemory(module, training=True).check((batch_size, *crops.patch_shape), *words)
            resume = kept and kept.state
            n_over = len(resume["history"]) if resume else 0
            tasks = TaskTree(self, epochs - n_over, fitted, **seen)
            penalty = _blank_penalty(data, crops.patch_shape, module, earlier or resume)
            training = partial(
                train,
                module,
                crops,
                loss,
                penalty=penalty,
                max_epochs=epochs,
                lr=self.lr,
                batch_size=batch_size,
                device=self._torch_device(),
                one_cycle_schedule=one_cycle_schedule,
                verbose=self.verbose,
                callbacks=self.callbacks or (),
                net_params=self.net_params,
                after_epoch=lambda n: tasks.end_epoch(n - n_over),
                validate=data.held_out and (lambda: self._held_out_error(module, *data.held_out)),
                patience=self.n_iter_no_change if self.early_stopping else None,
                optimizer_state=earlier and earlier["optimizer"],
                remember=not one_cycle_schedule,
                resume=resume,
                keep=kept and kept.write,
                keep_every=kept.every if kept else 1,
            )
            with out_of_memory(*words):
                diverged, (history, optimizer_state) = self._run(training)
            share = self._rescale(module, data) if one_cycle_schedule and data.target.is_map else 1.0
            # What another call goes on with: the same stream of random numbers, and where it is one run, the same momenta.
            fitted["_random_stream"] = random_stream()
            state = {"optimizer": optimizer_state, "n_steps": penalty.step if penalty else 0}
            fitted["_training_state"] = None if one_cycle_schedule else state
        module.eval()
        self._store(fitted, history, fresh, data.images.columns)
        tasks.end()
        if diverged and self.on_divergence == "raise":
            raise diverged
        if diverged:
            warnings.warn(str(diverged), ConvergenceWarning, stacklevel=2)
        elif not _has_learnt(share):
            warnings.warn(
                f"After {len(history)} epochs the maps of the training images sum to {share:.0%} of their counts; expected "
                f"{LEAST_SHARE:.0%} to {1 / LEAST_SHARE:.0%}: the network has not learnt to count yet. Train longer "
                "(max_epochs), or with a smaller sigma.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _start_module(self, data, fresh):
        """The network to train; what would be wrong with it is refused before the training, not after it."""
        if fresh:
            unit = data.target.peak(data.weights) / PEAK
            module = self._make_module(data.channels.mean, data.channels.std, unit)
        else:
            module = self._continue_module()
        module.trains_mixed = self._trains_mixed()
        measure_tiles(module, self.tile_size)
        self._try_network(module, data.images, data.target)
        return module

    def _make_crops(self, data, module, loss):
        """What the batches of the training are drawn from."""
        jitter = Jitter(self.jitter, *_standardisation(module)) if self.jitter else None
        return Crops(
            data.images,
            data.target,
            self._patch_shape(data.images, data.target),
            data.weights,
            self._augments(data.images),
            loss.needs_points and data.target.is_map,
            jitter,
        )

    def _rescale(self, module, data):
        """Scale the maps so that whole training images add up to their counts, and say to what part of them they did.

        Crops that cut through an image show the network padding where the image went on, and a whole image has less of
        that: its counts come out a few percent off, all the same way. This one number, of whole images, takes it out.
        """
        sample = np.unique(np.linspace(0, len(data.images) - 1, BIAS_IMAGES).round().astype(int))
        true = np.sum(data.weights[sample] * data.target.counts[sample])
        if not true > 0:  # where nothing is to be counted, nothing says how far off the counts are
            return 1.0
        predictor = self._make_predictor(module, self._symmetries(data.images))
        share = np.sum(data.weights[sample] * predictor.counts(data.images, sample)) / true
        module.output_scale /= share if _has_learnt(share) else 1
        return share

    def _run(self, training):
        """Train; where that diverges after some good epochs, they are what was learnt, if they are wanted."""
        try:
            return None, training()
        except DivergedError as error:
            if self.on_divergence == "discard" or not error.history:
                raise
            return error, (error.history, None)

    def _held_out_error(self, module, images, counts, weights):
        """Mean absolute error of the counts of the images that were held out, by the module as it is."""
        predicted = self._make_predictor(module).counts(images)
        return count_mean_absolute_error(counts, predicted, sample_weight=weights)

    def _fraction(self):
        """Part of the images to hold out, or None."""
        return 0.1 if self.early_stopping and self.validation_fraction is None else self.validation_fraction

    def _check_training_data(
        self, X, y, sample_weight, roi, perspective, fresh, fraction=None, groups=None, begun=None
    ):
        """Check all that `fit` is given; nothing is trained before all of it is right."""
        density = self._make_density()
        self._trains_mixed()
        self._torch_device()
        if not fresh and self._network_params != self._get_network_params():
            raise ValueError(
                f"The network was fitted with {self._network_params} and is to be trained on with "
                f"{self._get_network_params()}; expected the same. Fit afresh: clone it, or set warm_start=False."
            )
        images = self._check_images(X, reset=fresh, y=y, roi=roi, perspective=perspective)
        target = check_target(y, images, density)
        if (
            isinstance(target, PointTarget)
            and not isinstance(y, PointAnnotations)
            and vars(self).get("_is_clone")
        ):
            _warn_of_list()
        weights = _check_weights(sample_weight, len(images))
        if LOSSES[self.loss].needs_points and isinstance(target, MapTarget):
            raise ValueError(
                f"loss={self.loss!r} looks at points and y is density maps; expected points, or another loss."
            )
        if isinstance(target, PointTarget):
            density.check_outside(target.points, images.shapes)
            target = target.inside()
        groups = _carried_groups(X, groups, len(images))
        _check_callbacks(self.callbacks)
        kept, held_out, seed = np.flatnonzero(weights), None, self._seed_of(fresh, begun)
        if fraction is not None:
            kept, valid = hold_out(kept, groups, fraction, seed)
            held_out = images.take(valid), target.take(valid).counts, weights[valid]
            for index in valid:
                deque(images.bands(index), maxlen=0)
        looked_at = track(kept, "read", len(kept)) if self.verbose == 1 else kept
        channels = channel_statistics(images, weights, looked_at)
        if len(kept) < len(images):
            images, target, weights = images.take(kept), target.take(kept), weights[kept]
        return TrainingData(images, target, weights / weights.mean(), channels, density, held_out, seed)

    def _seed_of(self, fresh, begun):
        """The seed of a fit and of those that go on from it: a warm start holds the same images out again."""
        if not fresh:
            return self._seed
        if self.random_state is None and begun is not None:  # it was drawn when the fit was begun
            return begun
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _store(self, fitted, history, fresh, columns):
        """Keep what was learnt: only now, so that a fit that fails leaves an earlier one as it was."""
        past = [] if fresh else self.history_
        self.history_ = past + [{**row, "epoch": len(past) + row["epoch"]} for row in history]
        self.n_iter_ = len(self.history_)
        for name in TABLE_ATTRIBUTES:
            vars(self).pop(name, None)
        vars(self).update(fitted, **(columns or {}))

    def _check_images(self, X, reset, y=None, roi=None, perspective=None):
        """Check images, or a table that stands for them; `reset` for those of a new fit."""
        # A table is two-dimensional, and its y can only be counts.
        table = is_table(X) and not is_ragged(y) if reset else hasattr(self, "n_features_in_") and is_table(X)
        if table:
            # On a copy: what is learnt of the columns is kept with all else, when the fit has succeeded.
            checked = copy(self)
            X = validate_data(checked, X, reset=reset, dtype=[np.float64, np.float32])
            columns = {name: getattr(checked, name) for name in TABLE_ATTRIBUTES if hasattr(checked, name)}
            _refuse_belongings(roi, perspective)
            return Images(X, [(1, X.shape[1])] * len(X), 1, self.dtype, columns)
        images = check_images(X, self.dtype, roi, perspective)
        if not reset:
            self._check_same_kind(images)
        return images

    def _check_same_kind(self, images):
        if hasattr(self, "n_features_in_"):
            raise ValueError(
                f"X holds images and this {type(self).__name__} was fitted on a table of {self.n_features_in_} features; "
                "expected a table of shape (n_samples, n_features)."
            )
        if images.n_channels != self.n_channels_in_:
            raise ValueError(
                f"X has images of {images.n_channels} channels and this {type(self).__name__} was fitted on images of "
                f"{self.n_channels_in_}; expected the same number. Channels come last: (n_images, height, width, channels)."
            )

    def _make_density(self):
        """The transformer that makes the maps: the user's, with the flat sigma where it is given."""
        density = DensityMapTransformer() if self.density is None else clone(self.density)
        density = density if self.sigma is None else density.set_params(sigma=self.sigma)
        density._validate_params()
        return density

    def _make_module(self, mean, std, output_scale, device=None):
        """Build the network with what it must know about the training images and the height of an object."""
        with config_context(skip_parameter_validation=False):  # which `fit` skips in all that it calls
            network = DensityNetwork(self._make_network(len(mean)), mean, std, output_scale)
        return network.to(device or self._torch_device(), getattr(torch, self.dtype))

    def _try_network(self, module, images, target):
        """Refuse a user's network that does not map images of the sizes of the training to maps of their size."""
        if not self._has_users_network():
            return
        shape = self._patch_shape(images, target)
        for height, width in (shape,) if images.is_table else (shape, blank_shape(shape)):
            blank = torch.zeros(1, module.mean.shape[1], height, width).to(module.mean)
            try:
                with torch.no_grad(), torch.random.fork_rng(devices=[]):
                    module.eval()(blank)
            except RuntimeError as error:
                raise ValueError(
                    f"architecture={self.architecture!r} cannot compute a map of an image of "
                    f"{module.mean.shape[1]} channels and {height} x {width} pixels ({str(error).splitlines()[0]}); "
                    "expected a network that maps (n, n_channels, height, width) to (n, 1, height, width), of any size."
                ) from error
        module.train()

    def _has_users_network(self):
        return callable(getattr(self, "architecture", None))

    def _continue_module(self):
        """A copy of the fitted network, to train on: if that fails, the fitted one is as it was."""
        return deepcopy(self.module_).unfreeze_statistics().to(self._torch_device())

    def _get_network_params(self):
        """The parameters that the network is built from."""
        return deepcopy({name: getattr(self, name) for name in (*self._network_param_names, "dtype")})

    def _patch_shape(self, images, target):
        """Size of the crops: no larger than the largest image; all of it where only counts are known."""
        largest = np.max(images.shapes, axis=0)
        if not target.is_map:
            return tuple(largest.tolist())
        patch = AUTO_PATCH if self.patch_size == "auto" else self.patch_size
        return tuple(np.minimum(largest, patch).tolist())

    def _augments(self, images):
        """Which symmetries there are: True, "mirror", or False; the columns of a table have none."""
        return False if images.is_table else self.augment

    def _predicts_mixed(self, module):
        """Whether predictions are in mixed precision: only where that was asked for, and is no slower."""
        wanted = self.mixed_precision != "auto" and self.mixed_precision
        return bool(wanted and module.mean.dtype == torch.float32 and computes_bfloat16(module.mean.device))

    def _trains_mixed(self):
        """Whether the training is in mixed precision."""
        if self.mixed_precision == "auto":  # a user's network may do what bfloat16 is not enough for
            mixes = self.dtype == "float32" and not self._has_users_network()
            return mixes and computes_bfloat16(self._torch_device())
        if self.mixed_precision and self.dtype != "float32":
            raise ValueError(
                f"mixed_precision=True and dtype={self.dtype!r}; expected dtype='float32' with it, for what is mixed is "
                "float32 and bfloat16. Leave one of them at its default."
            )
        return self.mixed_precision

    def _torch_device(self):
        """The device's name as torch knows it; refused where torch cannot compute on it."""
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        try:
            torch.zeros(1, device=self.device).item()
        except (RuntimeError, AssertionError) as error:
            raise ValueError(
                f"device={self.device!r} cannot be computed on ({str(error).splitlines()[0]}); expected 'auto', 'cpu', "
                "'cuda', or what else torch has on this machine."
            ) from error
        return self.device

    def _symmetries(self, images):
        """What to predict the mean over: the symmetries that the crops are drawn with, or none (False)."""
        return self.test_time_augmentation and self._augments(images)

    def _predictor(self, images):
        """What predicts, with the network and the parameters as they are now."""
        watch = None
        if self.out_of_range != "ignore" and not images.is_table:
            watch = RangeWatch(self._seen, self.out_of_range)
        return self._make_predictor(self.module_, self._symmetries(images), self.verbose > 0, watch)

    def _make_predictor(self, module, which=False, progress=False, watch=None):
        """What predicts with a network as the parameters say."""
        return Predictor(module, self.tile_size, which, progress, watch, self._predicts_mixed(module))


def _as_callbacks_see(X, y, sample_weight, roi):
    """The training data for scikit-learn's callbacks; images carry their region, for stock scorers take no such argument."""
    seen = {"X": X if roi is None else lambda: ImageSet(X, roi=roi), "y": y}
    weights = np.asarray(sample_weight)
    if weights.ndim:  # one number for all images weighs nothing
        seen["metadata"] = {"sample_weight": weights}
    return seen


@cache
def _warn_of_list():
    """Warn, once in a process, where a search or a cross-validation may come to nothing."""
    warnings.warn(
        "y is a plain list of points, and this regressor is a clone, as searches and cross-validations make them. Of such a "
        "list the scorers of scikit-learn ('neg_mean_absolute_error', 'r2', ...) make NaN, and go on. Pass "
        "PointAnnotations(points) instead: every scorer takes it.",
        UserWarning,
        stacklevel=2,
    )


def _has_learnt(share):
    """Whether maps that sum to this part of the counts are a network's that has learnt to count."""
    return LEAST_SHARE < share < 1 / LEAST_SHARE


def _training_words(n_crops, patch_shape, target):
    """What is said where a step of the training does not fit in memory."""
    remedy = "patch_size or batch_size" if target.is_map else "batch_size, or points instead of counts"
    what = f"Steps of {n_crops} crops of {patch_shape[0]} x {patch_shape[1]} pixels"
    return what, f"expected less: a smaller {remedy}."


def _refuse_belongings(roi, perspective):
    for name, given in (("roi", roi), ("perspective", perspective)):
        if given is not None:
            raise ValueError(
                f"X is a table and {name} was passed; expected images, for a table has no {name}."
            )


def _check_weights(sample_weight, n_images):
    """Check sample weights: finite, at least 0, and not all 0; one number stands for all images."""
    if sample_weight is None:
        return np.ones(n_images)
    if not isinstance(sample_weight, list | tuple) and np.asarray(sample_weight).ndim == 0:
        sample_weight = np.full(n_images, sample_weight)
    weights = check_weights(sample_weight, n_images)
    if not weights.any():
        raise ValueError(
            "Sample weights are all zero: no image is left to learn from; expected one above 0 at least."
        )
    return weights


def _check_callbacks(callbacks):
    """Refuse what skorch cannot call; it would say so in the middle of the training."""
    for index, given in enumerate(callbacks or ()):
        callback = given[1] if isinstance(given, tuple) and len(given) == 2 else given
        if not isinstance(callback, type) and not hasattr(callback, "set_params"):
            raise ValueError(
                f"callbacks[{index}] is a {type(callback).__name__}; expected a callback of skorch's, or (name, callback)."
            )


def _carried_groups(X, groups, n_images):
    """The labels that were given, or those that an image set carries, or None."""
    groups = getattr(X, "groups", None) if groups is None and hasattr(X, "shapes") else groups
    return None if groups is None else check_groups(groups, n_images)


def _standardisation(module):
    """Mean and standard deviation of each channel, as the network has learnt them."""
    return [value.flatten().numpy(force=True).astype(np.float64) for value in (module.mean, module.std)]


def _blank_penalty(data, shape, module, earlier=None):
    """Teach that a flat image is empty; a row of a table is no image."""
    if data.images.is_table:
        return None
    n_steps, channels = earlier["n_steps"] if earlier else 0, data.channels
    return BlankPenalty(channels.low, channels.high, channels.std, shape, float(module.output_scale), n_steps)


def _auto_epochs(n_batches):
    """Epochs that make up the automatic number of steps, and no fewer than ten."""
    return max(AUTO_EPOCHS, -(-AUTO_STEPS // n_batches))
