"""Prepare a fit, and store its results."""

import warnings
from copy import copy, deepcopy
from numbers import Integral
from time import monotonic

import numpy as np
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import column_or_1d, validate_data

from skcount._check import check_groups, check_pair
from skcount.density import DensityMapTransformer
from skcount.images import Familiarity, ImageSet, check_images, is_table, normalize_images
from skcount.inference import SMALL, check_device, check_memory, tile_grid
from skcount.losses import make_loss
from skcount.networks import DensityNetwork
from skcount.points import check_target
from skcount.regressors._parameters import check_callbacks
from skcount.regressors._pretrained import check_start, copy_weights, find_start
from skcount.regressors._quality import describe_training, find_failure
from skcount.regressors._searches import refuse_list, warn_of_failure
from skcount.regressors._state import LEARNT
from skcount.regressors._training_data import (
    prepare,
    refuse_side_data,
    training_target,
    training_weights,
    validation_set,
)
from skcount.training import (
    FREEZE_AFTER,
    BlankPenalty,
    Crops,
    Plan,
    Result,
    TaskTree,
    blank_shape,
    own_randomness,
    train,
)

# Chosen on images held out from VGG's training pool: see benchmarks/RESULTS.md.
AUTO_PATCH = 128
AUTO_STEPS = 1200
# A fit that starts from weights takes so many steps on few images, and more in proportion to the square root of their number
# beyond; its learning rate is smaller by a factor. Weights that do not know the objects change more.
TUNE_STEPS, TUNE_FEW = 80, 4
TUNE_LR, RELEARN_LR = 0.15, 0.5
# More images than this have more to teach, but not in proportion: the steps grow with the square root of their number.
FEW_IMAGES, MOST_STEPS = 64, 5 * AUTO_STEPS
# The height of one object in the network's own units.
HEIGHT = 4.0
# Epochs without a smaller error on validation images after which early_stopping=True ends a fit.
PATIENCE = 20
# Attributes that a fit learns from the columns of a table.
COLUMNS = ("n_features_in_", "feature_names_in_")


class FittingMixin:
    """The private half of `fit` and `partial_fit`: check the data, make a plan, train, store the results."""

    def _check_data(
        self,
        X,
        y,
        fresh,
        sample_weight,
        groups,
        roi,
        perspective,
        validation_data=None,
        seed=None,
        validates=True,
    ):
        """Check all arguments of a fit before any training; `seed` is the seed of a resumed fit."""
        density = self._make_density()
        check_device(self.device)
        if self.callbacks:
            check_callbacks(self.callbacks)
        if not fresh and self.reduction_ is None:
            raise ValueError(
                "This regressor chooses the working size of each image and cannot be trained on. Start a fit from its "
                "weights instead, as in DensityMapRegressor(weights=regressor)."
            )
        start = find_start(self.weights) if fresh and self.weights is not None else None
        params = self._get_network_params(start)
        if not fresh and {"normalize": None, **self._network_params} != params:  # older files do not have it
            raise ValueError(
                f"The network was fitted with {self._network_params} and cannot go on with {params}. "
                "To start a new fit, clone the regressor or set warm_start=False."
            )
        target = check_target(y)
        if target.is_column:
            column_or_1d(target.values[:, None], warn=True)  # as scikit-learn's estimators do
        if groups is None and isinstance(X, ImageSet):
            groups = X.groups
        images, columns = self._check_training_images(X, fresh, target, roi, perspective, params)
        if start is not None:
            check_start(start, images, columns)
        if target.kind == "points" and target.is_plain:
            refuse_list(self)
        if groups is not None:
            groups = check_groups(groups, len(images))
        weights = training_weights(sample_weight, len(images))
        target = training_target(target, images, density)
        self._check_loss_and_augment(target, images)
        validation = None
        if validates:
            validation = self._choose_validation(validation_data, density, columns, images, params)
        return prepare(
            images,
            target,
            weights,
            density,
            self.diameter if fresh else self.diameter_,
            self._choose_seed(fresh, seed),
            self._dtype,
            columns,
            groups=groups,
            validation=validation,
            verbose=self.verbose,
            start=start,
            reduction=None if fresh else self.reduction_,
        )

    def _check_training_images(self, X, fresh, target, roi, perspective, params):
        """Return images and None, or a table as images of 1 x n_features and the attributes of its columns."""
        is_new_table = fresh and target.kind == "counts" and is_table(X)
        if fresh and not is_new_table:
            images = check_images(X, roi, perspective)
            return (normalize_images(images, self._dtype) if params["normalize"] else images), None
        checked = copy(self)  # its attributes are kept after the fit has succeeded
        if is_new_table:
            refuse_side_data(roi, perspective)
            images = ImageSet(validate_data(checked, X, dtype=[np.float64, np.float32])[:, None, :])
        else:
            images = self._check_images(X, roi, perspective)
        columns = {name: getattr(checked, name) for name in COLUMNS if hasattr(checked, name)}
        return images, columns or None

    def _check_loss_and_augment(self, target, images):
        """Reject a loss or an augmentation that cannot be used with the target."""
        loss = make_loss(self.loss, 1.0, 2.0)
        is_points = target.is_map and hasattr(target, "points")
        if loss.needs_points and target.is_map and not is_points:
            raise ValueError(
                f"`loss`={self.loss!r} needs points as y; got density maps. Pass points, or use another loss."
            )
        if loss.needs_maps and not target.is_map:
            raise ValueError("A `loss` of your own needs points or density maps as y; got counts.")
        if callable(self.augment) and not (is_points and images.roi is None and images.perspective is None):
            raise ValueError(
                "A function as `augment` needs points as y, and neither roi nor perspective, which it does not change."
            )

    def _choose_validation(self, validation_data, density, columns, images, params):
        """Return the fraction of the images to hold out, the given validation set, or None."""
        if validation_data is None:
            fraction = self.validation_fraction
            return 0.1 if self.early_stopping is not False and fraction is None else fraction
        if self.validation_fraction is not None:
            raise ValueError("`validation_fraction` must be None with validation_data; use one of them.")

        # They are checked like images to predict, by a copy that already has the attributes of the training images.
        fitted = copy(self)
        learnt = {
            "module_": None,
            "n_channels_in_": images.n_channels,
            "_network_params": params,
            "_seen": {"dtype": images.dtype.name},
        }
        vars(fitted).update(dict.fromkeys(COLUMNS) | (columns or {}) | learnt)
        return validation_set(validation_data, fitted._check_images, density)

    def _choose_seed(self, fresh, seed):
        """Return the seed of a fit and of fits that continue it, so that a warm start holds out the same images."""
        if not fresh:
            return self._seed
        if self.random_state is None and seed is not None:  # drawn when the fit began
            return seed
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _fit(self, data, fresh, seen, checkpoint, one_cycle):
        """Train on checked data, then store the results, so that a failed fit does not change an earlier one."""
        began = monotonic()
        with own_randomness(data.seed if fresh else self._random_stream, check_device(self.device)):
            plan = self._make_plan(data, fresh, checkpoint, one_cycle)
            if data.columns is None and not np.any(data.target.counts):
                warnings.warn(
                    f"None of the {len(data.images)} training images has an object. Check `y`, unless all images are empty.",
                    UserWarning,
                    stacklevel=3,
                )
            n_epochs = plan.n_epochs - (
                len(checkpoint.state["history"]) if checkpoint and checkpoint.state else 0
            )
            if seen:
                plan.tasks = TaskTree(self, n_epochs, lambda: self._learnt_so_far(plan, data, fresh), **seen)
            result = train(plan)
        self._keep(plan, data, result, fresh)
        if plan.tasks is not None:
            plan.tasks.end()
        if result.diverged is not None:
            raise result.diverged
        warn_of_failure(
            find_failure(result), vars(self).get("_family") if vars(self).get("_is_clone") else None, began
        )
        return self

    def _keep(self, plan, data, result, fresh):
        """Assign every attribute that a fit learns."""
        self.module_ = plan.module.eval()
        self.density_ = data.density
        self.diameter_ = data.diameter
        self.reduction_ = data.reduction
        self.n_channels_in_ = data.images.n_channels
        self.patch_size_ = tuple(
            min(int(side * data.reduction), largest)
            for side, largest in zip(
                plan.crops.patch_shape, np.max(data.images.sizes, axis=0).tolist(), strict=True
            )
        )
        past = [] if fresh else self.history_
        for row in result.history:
            row["epoch"] += len(past)
        self.history_ = past + result.history
        self.n_iter_ = len(self.history_)
        self.trained_on_ = describe_training(data, result)
        vars(self).pop("held_out_", None)  # it was the error of other weights
        self._network_params = self._get_network_params(data.start)
        self._seed = data.seed
        self._seen = Familiarity.describe(data.channels, data.images.dtype, None if fresh else self._seen)
        # State from which another call continues: the stream of random numbers and, within one run, the optimizer's
        # state.
        self._random_stream = result.random_stream
        state = {"optimizer": result.optimizer_state, "n_steps": result.n_steps}
        self._training_state = None if plan.one_cycle else state
        for name in COLUMNS:
            vars(self).pop(name, None)
        vars(self).update(data.columns or {})

    def _learnt_so_far(self, plan, data, fresh):
        """Return the attributes that make a copy of this regressor ready to predict, for scikit-learn's callbacks."""
        fitted = copy(self)
        fitted._keep(plan, data, Result([]), fresh)
        return {name: vars(fitted)[name] for name in LEARNT if name in vars(fitted)}

    def _make_plan(self, data, fresh, checkpoint, one_cycle):
        """Build the network and decide everything else about the training; reject settings that would make it fail."""
        device = check_device(self.device)
        is_table = data.columns is not None
        module = self._start_module(data, fresh)
        loss = make_loss(self.loss, float(module.output_scale), data.density.sigma / data.reduction)
        crops = Crops(
            data.working,
            data.target,
            self._patch_shape(data),
            data.weights,
            None if is_table else self.augment,
            with_points=loss.needs_points and data.target.is_map,
            channels=torch.stack([module.mean, module.std]).flatten(1).numpy(force=True).astype(np.float64),
            dtype=self._dtype,
        )
        batch_size = len(crops) if self.batch_size == -1 else min(self.batch_size, len(crops))
        steps_per_epoch = -(-len(crops) // batch_size)
        n_epochs = self.max_epochs if one_cycle else 1
        n_steps = (
            auto_steps(len(data.images), data.start) if n_epochs == "auto" else n_epochs * steps_per_epoch
        )
        # The state of the run that this one continues: that of earlier calls of partial_fit, or of a killed fit.
        earlier = None if fresh or one_cycle else self._training_state
        state = earlier or (checkpoint and checkpoint.state)
        is_known = data.start is not None and data.start.is_familiar
        penalty, channels = None, data.channels
        if not is_table:  # the penalty teaches that a flat image is empty
            step, unit = state["n_steps"] if state else 0, float(module.output_scale)
            penalty = BlankPenalty(channels.low, channels.high, channels.std, crops.patch_shape, unit, step)
        plan = Plan(
            module,
            data.images,
            crops,
            loss,
            n_epochs=-(-n_steps // steps_per_epoch),
            n_steps=n_steps,
            lr=self.lr * (1 if data.start is None else TUNE_LR if is_known else RELEARN_LR),
            batch_size=batch_size,
            device=device,
            one_cycle=one_cycle,
            prediction=self._prediction(device, data.reduction),
            penalty=penalty,
            validation=data.validation,
            patience=PATIENCE if self.early_stopping is True else self.early_stopping or None,
            optimizer_state=earlier and earlier["optimizer"],
            checkpoint=checkpoint,
            freeze_after=0.0 if is_known else FREEZE_AFTER,
            callbacks=self.callbacks or [],
            net_params=self.net_params or {},
            verbose=self.verbose,
        )
        if batch_size * np.prod(crops.patch_shape) >= SMALL:
            check_memory(module, (batch_size, *crops.patch_shape), *plan.memory_subject, training=True)
        if crops.function is not None:
            with torch.random.fork_rng(devices=[]):
                crops[0]  # rejects a function that returns something else
        return plan

    def _start_module(self, data, fresh):
        """Return the network to train: a new one, or a copy, so that a failed fit does not change the fitted one."""
        if fresh:
            unit = data.target.unit(data.weights) / HEIGHT
            module = self._make_module(data.channels.mean, data.channels.std, unit, check_device(self.device))
            if data.start is not None:
                copy_weights(data.start, module, self._get_network_params(data.start))
        else:
            module = deepcopy(self.module_).unfreeze_statistics().to(check_device(self.device))
        module.bf16_training = self.precision == "bf16-mixed"
        if self.tile_size is not None:
            tile_grid(module, check_pair(self.tile_size, "tile_size"), data.reduction)
        if callable(getattr(self, "architecture", None)):
            self._try_network(module, data)
        return module

    def _make_module(self, mean, std, output_scale, device, dtype=None):
        """Build the network with the statistics of the training images and the height of an object."""
        with config_context(skip_parameter_validation=False):  # which `fit` skips in everything that it calls
            network = DensityNetwork(self._make_network(len(mean)), mean, std, output_scale)
        return network.to(device, getattr(torch, dtype or np.dtype(self._dtype).name))

    def _try_network(self, module, data):
        """Reject a user's network that does not map images of the training sizes to maps of the same size."""
        shape = self._patch_shape(data)
        for height, width in (shape,) if data.columns is not None else (shape, blank_shape(shape)):
            blank = torch.zeros(1, module.mean.shape[1], height, width).to(module.mean)
            try:
                with torch.no_grad(), torch.random.fork_rng(devices=[]):
                    module.eval()(blank)
            except RuntimeError as error:
                raise ValueError(
                    f"`architecture`={self.architecture!r} must map (n, n_channels, height, width) to (n, 1, height, "
                    f"width), of any size; on {module.mean.shape[1]} channels and {height} x {width} pixels it raised "
                    f"{str(error).splitlines()[0]}"
                ) from error
        module.train()

    def _make_density(self):
        """Return the transformer that makes the maps; its sigma is None if it is to follow from the diameter."""
        density = DensityMapTransformer(sigma=None) if self.density is None else clone(self.density)
        density = density if self.sigma is None else density.set_params(sigma=self.sigma)
        if density.sigma is not None:
            density._validate_params()
        return density

    def _seen_by_callbacks(self, X, y, sample_weight, roi):
        """Return the data for scikit-learn's callbacks, whose scorers need the region stored with the images."""
        seen = {"X": X if roi is None else lambda: ImageSet(X, roi=roi), "y": y}
        weights = np.asarray(sample_weight)
        if weights.ndim:  # one number for all images has no effect
            seen["metadata"] = {"sample_weight": weights}
        return seen

    def _get_network_params(self, start=None):
        """Return the parameters from which the network is built, and how images are normalized for it."""
        params = {"dtype": np.dtype(self._dtype).name, "normalize": self.normalize}
        if start is not None:
            params["normalize"] = start.normalize
        elif self.weights is not None:
            params["normalize"] = self._network_params.get("normalize")
        for name in self._network_param_names:
            params[name] = getattr(self, name)
        return deepcopy(params)

    def _patch_shape(self, data):
        """Return the working size of the crops: at most that of the largest image, and all of it for counts alone."""
        largest = np.max(data.working.sizes, axis=0)
        if not data.target.is_map:
            return tuple(largest.tolist())
        patch = AUTO_PATCH
        if not isinstance(self.patch_size, str):
            patch = np.ceil(np.divide(check_pair(self.patch_size, "patch_size"), data.reduction)).astype(int)
        return tuple(np.minimum(largest, patch).tolist())


def auto_steps(n_images, start=None):
    """Return the number of training steps of a fit whose `max_epochs` is "auto"."""
    if start is not None:
        return int(min(TUNE_STEPS * np.sqrt(max(n_images / TUNE_FEW, 1)), MOST_STEPS))
    return int(min(AUTO_STEPS * np.sqrt(max(n_images / FEW_IMAGES, 1)), MOST_STEPS))
