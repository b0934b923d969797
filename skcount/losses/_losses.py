"""Losses that compare a predicted density with a target, and the wrapper of a user's own loss."""

from collections.abc import Mapping
from copy import deepcopy
from numbers import Real
from types import MappingProxyType

import torch
from sklearn.utils._param_validation import Interval, validate_params
from torch import nn
from torch.nn import functional

# Chosen on images held out from VGG's training pool: see benchmarks/RESULTS.md.
BLOCK_WEIGHTS = MappingProxyType({1: 1.0, 4: 0.5, 16: 0.5, 64: 0.5})


class CountingLoss(nn.Module):
    """Compare predicted densities with a batch of targets; if only counts are known, compare totals by squared error.

    A batch is a dictionary: "target": densities (n, 1, height, width) or counts (n,); "mask" (n, 1, height, width): 1
    at pixels that the loss uses; "weight" (n,): the sample weights; and, for a loss that needs points, "points": for
    each image (k, 3), row and column of each point near the crop, in its pixels, and the fraction of the point inside
    the mask.

    A new loss in this file overrides `_of_pixels` or `_of_maps`.

    Attributes
    ----------
    scale : float
        Densities are divided by it, so that the loss is of the order of 1. The regressor sets it, and `sigma`.
    sigma : float
        Standard deviation of an object's kernel, in pixels.

    Examples
    --------
    >>> import torch
    >>> from skcount.losses import MSELoss
    >>> loss = MSELoss().prepare(scale=0.25)  # as the regressor does
    >>> loss.scale
    0.25
    """

    needs_points = False
    needs_maps = False
    scale = 1.0
    sigma = 2.0

    def prepare(self, scale, sigma=2.0):
        """Set the units of the training.

        Parameters
        ----------
        scale : float
            One unit of the network's output in objects per pixel, > 0.
        sigma : float, default=2.0
            Standard deviation of an object's kernel, in pixels, > 0.

        Returns
        -------
        CountingLoss
            The loss itself.
        """
        self.scale, self.sigma = scale, sigma
        return self

    def forward(self, density, batch):
        """Compute the loss.

        Parameters
        ----------
        density : tensor of shape (n, 1, height, width)
            Predicted objects per pixel.
        batch : dict
            The targets.

        Returns
        -------
        tensor of shape ()
            The weighted mean over the batch.
        """
        if batch["target"].ndim == 1:
            return self._of_counts(density, batch)
        return self._of_maps(density, batch)

    def _of_counts(self, density, batch):
        """Compute the squared error of the totals, expressed as a mean density over the pixels that the loss uses."""
        mask, counts = batch["mask"], batch["target"]
        error = ((density * mask).sum(dim=(1, 2, 3)) - counts) / mask.sum(dim=(1, 2, 3)).clamp(min=1).sqrt()
        return (batch["weight"] * (error / self.scale).square()).mean()

    def _of_maps(self, density, batch):
        """Compute the mean of `_of_pixels` over the pixels that the loss uses."""
        mask, weight = batch["mask"], batch["weight"]
        values = mask * self._of_pixels((density - batch["target"]) / self.scale)
        return (weight * values.sum(dim=(1, 2, 3))).sum() / mask.sum().clamp(min=1)


class MSELoss(CountingLoss):
    """Mean squared error of the density.

    References
    ----------
    W. Xie, J. A. Noble and A. Zisserman, "Microscopy cell counting and detection with fully convolutional
    regression networks", 2018.

    Examples
    --------
    >>> import torch
    >>> density = torch.full((1, 1, 2, 2), 0.5)
    >>> batch = {"target": torch.zeros(1, 1, 2, 2), "mask": torch.ones(1, 1, 2, 2), "weight": torch.ones(1)}
    >>> MSELoss().prepare(scale=0.25)(density, batch)
    tensor(4.)
    >>> MSELoss().prepare(scale=0.25)(density, {**batch, "target": torch.tensor([1.0])})
    tensor(4.)
    """

    def __init__(self):
        super().__init__()

    def _of_pixels(self, error):
        """Square the errors."""
        return error.square()


class L1Loss(CountingLoss):
    """Mean absolute error of the density, in which a few badly placed points weigh less.

    References
    ----------
    J. P. Cohen, G. Boucher, C. A. Glastonbury, H. Z. Lo and Y. Bengio, "Count-ception: counting by fully convolutional
    redundant counting", ICCV workshops 2017.

    Examples
    --------
    >>> import torch
    >>> from skcount.losses import L1Loss
    >>> batch = {"target": torch.zeros(1, 1, 2, 2), "mask": torch.ones(1, 1, 2, 2), "weight": torch.ones(1)}
    >>> L1Loss().prepare(scale=0.25)(torch.full((1, 1, 2, 2), 0.5), batch)
    tensor(2.)
    """

    def __init__(self):
        super().__init__()

    def _of_pixels(self, error):
        """Return the absolute errors."""
        return error.abs()


class HuberLoss(CountingLoss):
    """Squared error of the density up to a quarter of an object's height, absolute error beyond it.

    References
    ----------
    P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35, 1964.

    Examples
    --------
    >>> import torch
    >>> from skcount.losses import HuberLoss
    >>> batch = {"target": torch.zeros(1, 1, 2, 2), "mask": torch.ones(1, 1, 2, 2), "weight": torch.ones(1)}
    >>> HuberLoss().prepare(scale=0.25)(torch.full((1, 1, 2, 2), 0.5), batch)
    tensor(3.)
    """

    def __init__(self):
        super().__init__()

    def _of_pixels(self, error):
        """Return twice Huber's function of the errors, so that small errors weigh as in MSELoss."""
        return 2 * functional.huber_loss(error, torch.zeros_like(error), reduction="none")


class MSECountLoss(MSELoss):
    """Mean squared error of the density plus that of each crop's mean density, its count divided by its area.

    Parameters
    ----------
    count_weight : float, default=1.0
        Weight of the squared error of the crops' mean densities. A weight a hundred times larger hinders training,
        because the count of a crop depends on every weight of the network at once.

    References
    ----------
    L. Zhang, M. Shi and Q. Chen, "Crowd counting via scale-adaptive convolutional neural network", WACV 2018.

    Examples
    --------
    >>> import torch
    >>> from skcount.losses import MSECountLoss
    >>> batch = {"target": torch.zeros(1, 1, 2, 2), "mask": torch.ones(1, 1, 2, 2), "weight": torch.ones(1)}
    >>> MSECountLoss().prepare(scale=0.25)(torch.full((1, 1, 2, 2), 0.5), batch)
    tensor(8.)
    """

    @validate_params(
        {"count_weight": [Interval(Real, 0, None, closed="left")]},
        prefer_skip_nested_validation=True,
    )
    def __init__(self, count_weight=1.0):
        super().__init__()
        self.count_weight = count_weight

    def _of_maps(self, density, batch):
        """Return the sum of both terms."""
        mask = batch["mask"]
        errors = ((density - batch["target"]) * mask).sum(dim=(1, 2, 3))
        means = errors / mask.sum(dim=(1, 2, 3)).clamp(min=1)
        of_means = (batch["weight"] * (means / self.scale).square()).mean()
        return super()._of_maps(density, batch) + self.count_weight * of_means


class MultiScaleLoss(CountingLoss):
    """Mean squared error of the density, and of its means over blocks of 4 x 4, 16 x 16 and 64 x 64 pixels.

    Small errors of the same sign over many pixels give a wrong count, but hardly change the squared errors of pixels.
    Means over blocks do reveal them, while the errors of misplaced objects cancel.

    Parameters
    ----------
    block_weights : dict, default={1: 1.0, 4: 0.5, 16: 0.5, 64: 0.5}
        Weight of the mean squared error for each side of the blocks, in pixels.

    References
    ----------
    V. Lempitsky and A. Zisserman, "Learning to count objects in images", NeurIPS 2010, whose MESA distance is the
    largest error over any box; L. Zhang, M. Shi and Q. Chen, "Crowd counting via scale-adaptive convolutional neural
    network", WACV 2018, with only the largest block.

    Examples
    --------
    >>> import torch
    >>> batch = {"target": torch.zeros(1, 1, 4, 4), "mask": torch.ones(1, 1, 4, 4), "weight": torch.ones(1)}
    >>> loss = MultiScaleLoss(block_weights={1: 1.0, 4: 10.0}).prepare(scale=0.5)
    >>> loss(torch.full((1, 1, 4, 4), 0.5), batch)
    tensor(11.)
    >>> loss(torch.tensor([0.5, -0.5]).repeat(1, 1, 4, 2), batch)
    tensor(1.)
    """

    @validate_params(
        {"block_weights": [Mapping]},
        prefer_skip_nested_validation=True,
    )
    def __init__(self, block_weights=BLOCK_WEIGHTS):
        super().__init__()
        self.block_weights = dict(block_weights)

    def _of_maps(self, density, batch):
        """Return the weighted sum, over the block sizes, of the mean over the pixels that the loss uses."""
        mask, weight = batch["mask"], batch["weight"]
        error = mask * (density - batch["target"]) / self.scale
        values = 0
        for size, w in self.block_weights.items():
            values = values + w * size**2 * block_means(error, size).square().sum(dim=(1, 2, 3))
        return (weight * values).sum() / mask.sum().clamp(min=1)


class UserLoss(CountingLoss):
    """A user's own loss, called for one image at a time, (1, 1, height, width), in units of `scale`.

    A module is called with (density, target), both 0 outside the mask; a function with (density, target, mask).
    """

    needs_maps = True

    def __init__(self, function):
        super().__init__()
        self.function = function

    def prepare(self, scale, sigma=2.0):
        """Set the units, after a trial on a small map, so that a wrong loss raises an error before training."""
        density = torch.full((1, 1, 64, 64), 0.5, requires_grad=True)
        try:
            value = self._of_image(density, torch.zeros(1, 1, 64, 64), torch.ones(1, 1, 64, 64))
        except Exception as error:
            raise ValueError(
                "`loss` must be a module of (density, target) or a function of (density, target, mask); calling it raised "
                f"{type(error).__name__}: {error}."
            ) from error
        if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.requires_grad:
            shape = tuple(getattr(value, "shape", ()))
            raise ValueError(
                "`loss` must return a tensor with one number that depends on the density; got a "
                f"{type(value).__name__} of shape {shape}."
            )
        return super().prepare(scale, sigma)

    def _of_image(self, density, target, mask):
        """Return the loss of one image."""
        if isinstance(self.function, nn.Module):
            return self.function(density * mask, target * mask)
        return self.function(density, target, mask)

    def _of_maps(self, density, batch):
        """Return the weighted mean over the images."""
        images = zip(density / self.scale, batch["target"] / self.scale, batch["mask"], strict=True)
        values = torch.stack([self._of_image(d[None], t[None], m[None]).reshape(()) for d, t, m in images])
        return (batch["weight"] * values).mean()


def block_means(maps, size):
    """Return the means over blocks of `size` x `size` pixels; a block that crosses the border is padded with zeros."""
    return functional.avg_pool2d(maps, size, ceil_mode=True, divisor_override=size**2) if size > 1 else maps


@validate_params(
    {
        "loss": [str, callable],
        "scale": [Interval(Real, 0, None, closed="neither")],
        "sigma": [Interval(Real, 0, None, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def make_loss(loss, scale, sigma):
    """Make a loss from a name, a module or a function, with the units of a training.

    Parameters
    ----------
    loss : str, torch.nn.Module or callable
        A name in `LOSSES`; a `CountingLoss` with its own parameters; any other module, called as ``module(density,
        target)`` with both 0 outside the mask; or any other callable, called as ``loss(density, target, mask)``. The
        last two get one image at a time, (1, 1, height, width), in units of `scale`, and return one number.
    scale : float
        One unit of the network's output in objects per pixel, > 0.
    sigma : float
        Standard deviation of an object's kernel, in pixels, > 0.

    Returns
    -------
    CountingLoss
        The loss; a module that was passed is copied.

    Raises
    ------
    ValueError
        If the loss cannot be called in this way, or does not return one number.

    Examples
    --------
    >>> import torch
    >>> from skcount.losses import make_loss
    >>> batch = {"target": torch.zeros(1, 1, 2, 2), "mask": torch.ones(1, 1, 2, 2), "weight": torch.ones(1)}
    >>> make_loss(torch.nn.MSELoss(), scale=0.25, sigma=2.0)(torch.full((1, 1, 2, 2), 0.5), batch)
    tensor(4.)
    """
    from skcount.losses import LOSSES  # not at the top, because LOSSES is built from this file

    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(f"`loss` must be one of {sorted(LOSSES)}, a module or a function; got {loss!r}.")
        made = LOSSES[loss]()
    elif isinstance(loss, type) and issubclass(loss, nn.Module):
        raise ValueError(
            f"`loss` must be an instance or a function; got the class {loss.__name__}. Pass {loss.__name__}()."
        )
    elif isinstance(loss, CountingLoss):
        made = deepcopy(loss)
    else:
        made = UserLoss(deepcopy(loss) if isinstance(loss, nn.Module) else loss)
    return made.prepare(scale, sigma)
