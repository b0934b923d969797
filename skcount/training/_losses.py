"""Losses: what a predicted density is compared with.

A batch of targets is a dictionary: "target": densities (n, 1, height, width), or counts (n,); "mask"
(n, 1, height, width): 1 where the loss looks; "weight" (n,); and, for losses that look at points, "points": for each
image (k, 3), the row and column of each point near the crop, in its pixels, and how much of the point is under the mask.
"""

from types import MappingProxyType

import torch
from torch import nn
from torch.nn import functional

__all__ = [
    "LOSSES",
    "BayesianLoss",
    "CountingLoss",
    "DMCountLoss",
    "HuberLoss",
    "L1Loss",
    "MSECountLoss",
    "MSELoss",
    "MultiScaleLoss",
]

# Chosen on images held out of VGG's training pool: see benchmarks/RESULTS.md.
BLOCK_WEIGHTS = MappingProxyType({1: 1.0, 4: 0.5, 16: 0.5, 64: 0.5})


class CountingLoss(nn.Module):
    """What all losses share: where only counts are known, the totals are compared, by their squared error.

    Parameters
    ----------
    scale : float
        Densities are divided by it before they are compared, so that the loss is of the order of 1.
    sigma : float, default=2.0
        Standard deviation of an object's kernel, in pixels.
    """

    needs_points = False

    def __init__(self, scale, sigma=2.0):
        super().__init__()
        self.scale = scale
        self.sigma = sigma

    def forward(self, density, batch):
        """Compare predicted densities with a batch of targets.

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
            return self.of_counts(density, batch, batch["target"])
        return self.of_maps(density, batch)

    def of_counts(self, density, batch, counts):
        """Squared error of the totals, as the mean density's, of as many pixels as the loss looks at."""
        mask = batch["mask"]
        error = ((density * mask).sum(dim=(1, 2, 3)) - counts) / mask.sum(dim=(1, 2, 3)).clamp(min=1).sqrt()
        return (batch["weight"] * (error / self.scale).square()).mean()

    def of_maps(self, density, batch):
        """Mean over the pixels that the loss looks at."""
        mask, weight = batch["mask"], batch["weight"]
        values = mask * self.of_pixels((density - batch["target"]) / self.scale)
        return (weight * values.sum(dim=(1, 2, 3))).sum() / mask.sum().clamp(min=1)


class MSELoss(CountingLoss):
    """Mean squared error of the density.

    Parameters
    ----------
    scale, sigma
        As for `CountingLoss`.

    References
    ----------
    W. Xie, J. A. Noble and A. Zisserman, "Microscopy cell counting and detection with fully convolutional
    regression networks", 2018.

    Examples
    --------
    >>> import torch
    >>> density = torch.full((1, 1, 2, 2), 0.5)
    >>> batch = {"target": torch.zeros(1, 1, 2, 2), "mask": torch.ones(1, 1, 2, 2), "weight": torch.ones(1)}
    >>> MSELoss(scale=0.25)(density, batch)
    tensor(4.)
    >>> MSELoss(scale=0.25)(density, {**batch, "target": torch.tensor([1.0])})
    tensor(4.)
    """

    def of_pixels(self, error):
        """Square of each pixel's error."""
        return error.square()


class L1Loss(CountingLoss):
    """Mean absolute error of the density: a few badly placed points weigh less.

    Parameters
    ----------
    scale, sigma
        As for `CountingLoss`.

    References
    ----------
    J. P. Cohen, G. Boucher, C. A. Glastonbury, H. Z. Lo and Y. Bengio, "Count-ception: counting by fully convolutional
    redundant counting", ICCV workshops 2017.
    """

    def of_pixels(self, error):
        """Absolute value of each pixel's error."""
        return error.abs()


class HuberLoss(CountingLoss):
    """Squared error where it is small, absolute error beyond a quarter of an object's height.

    Parameters
    ----------
    scale, sigma
        As for `CountingLoss`.

    References
    ----------
    P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35, 1964.
    """

    def of_pixels(self, error):
        """Huber's function of each pixel's error, twice it, so that small errors weigh as in MSELoss."""
        return 2 * functional.huber_loss(error, torch.zeros_like(error), reduction="none")


class MSECountLoss(MSELoss):
    """Mean squared error of the density plus that of each crop's mean density, its count over its pixels.

    Parameters
    ----------
    scale, sigma
        As for `CountingLoss`.
    count_weight : float, default=1.0
        Weight of the squared error of the crops' mean densities. A hundred times as much hinders the training: the count
        of a crop follows every weight at once.

    References
    ----------
    L. Zhang, M. Shi and Q. Chen, "Crowd counting via scale-adaptive convolutional neural network", WACV 2018.
    """

    def __init__(self, scale, sigma=2.0, count_weight=1.0):
        super().__init__(scale, sigma)
        self.count_weight = count_weight

    def of_maps(self, density, batch):
        """Sum of both."""
        mask = batch["mask"]
        errors = ((density - batch["target"]) * mask).sum(dim=(1, 2, 3))
        means = errors / mask.sum(dim=(1, 2, 3)).clamp(min=1)
        of_means = (batch["weight"] * (means / self.scale).square()).mean()
        return super().of_maps(density, batch) + self.count_weight * of_means


class MultiScaleLoss(CountingLoss):
    """Mean squared error of the density, and of its means over blocks of 4, 16 and 64 pixels squared.

    An error of one sign over many pixels is a wrong count, and a pixel's squared error hardly sees it; over a block it
    does not cancel as the errors of badly placed objects do.

    Parameters
    ----------
    scale, sigma
        As for `CountingLoss`.
    block_weights : dict, default={1: 1.0, 4: 0.5, 16: 0.5, 64: 0.5}
        Weight of the mean squared error for each side of the blocks, in pixels.

    References
    ----------
    V. Lempitsky and A. Zisserman, "Learning to count objects in images", NeurIPS 2010, whose MESA distance is the largest
    error over any box; L. Zhang, M. Shi and Q. Chen, "Crowd counting via scale-adaptive convolutional neural network", WACV
    2018, with the largest block alone.

    Examples
    --------
    >>> import torch
    >>> batch = {"target": torch.zeros(1, 1, 4, 4), "mask": torch.ones(1, 1, 4, 4), "weight": torch.ones(1)}
    >>> loss = MultiScaleLoss(scale=0.5, block_weights={1: 1.0, 4: 10.0})
    >>> loss(torch.full((1, 1, 4, 4), 0.5), batch)
    tensor(11.)
    >>> loss(torch.tensor([0.5, -0.5]).repeat(1, 1, 4, 2), batch)
    tensor(1.)
    """

    def __init__(self, scale, sigma=2.0, block_weights=BLOCK_WEIGHTS):
        super().__init__(scale, sigma)
        self.block_weights = dict(block_weights)

    def of_maps(self, density, batch):
        """Weighted sum over the sizes of blocks of the mean over the pixels that the loss looks at."""
        mask, weight = batch["mask"], batch["weight"]
        error = mask * (density - batch["target"]) / self.scale
        values = sum(
            w * size**2 * block_means(error, size).square().sum(dim=(1, 2, 3))
            for size, w in self.block_weights.items()
        )
        return (weight * values).sum() / mask.sum().clamp(min=1)


class PointLoss(CountingLoss):
    """A loss that looks at points, image by image, and needs no density map to be learnt.

    Parameters
    ----------
    scale, sigma
        As for `CountingLoss`.
    """

    needs_points = True

    def of_maps(self, density, batch):
        """Weighted mean over the images of their errors in objects, as a mean density."""
        errors = [
            self.of_image(image, points[:, :2], points[:, 2])
            for image, points in zip((density * batch["mask"])[:, 0], batch["points"], strict=True)
        ]
        n_pixels = batch["mask"].sum(dim=(1, 2, 3)).clamp(min=1)
        return (batch["weight"] * torch.stack(errors) / n_pixels).mean() / self.scale


class BayesianLoss(PointLoss):
    """Error of the expected count at each point, under the probability that a pixel belongs to it.

    Each pixel belongs to a point with a probability that falls with the distance as a Gaussian, or to the background,
    which stands where the next point is far. The density that belongs to a point ought to add up to one, that of the
    background to nothing.

    Parameters
    ----------
    scale, sigma
        As for `CountingLoss`. `sigma` is also the standard deviation of the probability.
    background : float, default=10.0
        Where the background stands: as many `sigma` from the nearest point. Half as far from a point, a pixel belongs to
        either alike. In the paper it is 0.15 of the shorter side of a crop, for `sigma` 8 and crops of 512.

    References
    ----------
    Z. Ma, X. Wei, X. Hong and Y. Gong, "Bayesian loss for crowd count estimation with point supervision", ICCV 2019.
    """

    def __init__(self, scale, sigma=2.0, background=10.0):
        super().__init__(scale, sigma)
        self.background = background

    def of_image(self, density, points, masses):
        """Sum of the absolute errors of one image."""
        if not len(points):
            return density.sum().abs()
        distances = squared_distances(points, density.shape, density)
        nearest = distances.min(dim=0).values.sqrt()
        beyond = (self.background * self.sigma - nearest).square()
        logits = -torch.cat([distances, beyond[None]]) / (2 * self.sigma**2)
        expected = (torch.softmax(logits, dim=0) * density).sum(dim=(1, 2))
        return (expected[:-1] - masses).abs().sum() + expected[-1].abs()


class DMCountLoss(PointLoss):
    """Distribution matching: the count, the cost of transporting the density to the points, and total variation.

    Parameters
    ----------
    scale, sigma
        As for `CountingLoss`.
    transport_weight, variation_weight : float, default=0.1 and 0.01
        Weights of the two terms beside the count, as in the paper.
    cell : int, default=4
        The distributions are compared in cells of so many pixels squared.
    blur : float, default=2.0
        Entropic regularisation of the transport: the square of this many cells.
    n_iterations : int, default=50
        Sinkhorn's iterations.

    References
    ----------
    B. Wang, H. Liu, D. Samaras and M. Hoai, "Distribution matching for crowd counting", NeurIPS 2020.
    """

    def __init__(
        self, scale, sigma=2.0, transport_weight=0.1, variation_weight=0.01, cell=4, blur=2.0, n_iterations=50
    ):
        super().__init__(scale, sigma)
        self.transport_weight = transport_weight
        self.variation_weight = variation_weight
        self.cell = cell
        self.blur = blur
        self.n_iterations = n_iterations

    def of_image(self, density, points, masses):
        """The three terms of one image, in objects."""
        count, true = density.sum(), masses.sum()
        loss = (count - true).abs()
        if true < 0.5 or count.detach() <= 0:
            return loss
        cells = self.cell**2 * block_means(density[None], self.cell)[0]
        places = ((points + 0.5) / self.cell - 0.5)[masses > 0]
        masses = masses[masses > 0] / true
        share = cells / count
        potential = transport_potential(share.detach(), places, masses, self.blur**2, self.n_iterations)
        transport = (share * potential).sum()
        dots = torch.zeros_like(cells)
        last = torch.tensor(cells.shape, device=cells.device) - 1
        rows, cols = places.round().long().clamp(min=0).minimum(last).T
        dots.index_put_((rows, cols), masses, accumulate=True)
        variation = (share - dots).abs().sum() / 2
        return loss + true * (self.transport_weight * transport + self.variation_weight * variation)


def block_means(maps, size):
    """Means over blocks; a block that hangs over the border is filled up with zeros.

    Parameters
    ----------
    maps : tensor of shape (n, 1, height, width)
        Any maps.
    size : int
        Side of the blocks, in pixels.

    Returns
    -------
    tensor of shape (n, 1, ceil(height / size), ceil(width / size))
        The means.
    """
    return functional.avg_pool2d(maps, size, ceil_mode=True, divisor_override=size**2) if size > 1 else maps


def squared_distances(points, shape, like):
    """Squared distance of each pixel from each point.

    Parameters
    ----------
    points : tensor of shape (k, 2)
        (row, col).
    shape : (height, width)
        Size of the grid.
    like : tensor
        Type and device of the result.

    Returns
    -------
    tensor of shape (k, height, width)
        In squared pixels.
    """
    rows, cols = (
        (torch.arange(size, dtype=like.dtype, device=like.device) - points[:, axis, None]).square()
        for axis, size in enumerate(shape)
    )
    return rows[:, :, None] + cols[:, None, :]


@torch.no_grad()
def transport_potential(share, places, masses, epsilon, n_iterations):
    """What it costs to put a little more mass on each cell: the dual potential of entropic optimal transport.

    Parameters
    ----------
    share : tensor of shape (height, width)
        Mass of each cell, adding up to 1.
    places : tensor of shape (k, 2)
        Where the mass is to go, in cells.
    masses : tensor of shape (k,)
        How much of it, adding up to 1.
    epsilon : float
        Entropic regularisation, in squared cells.
    n_iterations : int
        Iterations of Sinkhorn's algorithm, in the logarithmic domain.

    Returns
    -------
    tensor of shape (height, width)
        The potential in units of squared cells over `epsilon`, 0 on average over the mass: the gradient of the cost.
    """
    cost = squared_distances(places, share.shape, share).flatten(1) / epsilon  # (k, n_cells)
    log_share = share.flatten().clamp(min=1e-12).log()
    log_masses = masses.log()
    potential = torch.zeros_like(log_share)
    for _ in range(n_iterations):
        towards = -torch.logsumexp(potential + log_share - cost, dim=1)
        potential = -torch.logsumexp((towards + log_masses)[:, None] - cost, dim=0)
    potential = potential.reshape(share.shape)
    return potential - (share * potential).sum() / share.sum()


LOSSES = {
    "mse": MSELoss,
    "l1": L1Loss,
    "huber": HuberLoss,
    "mse_count": MSECountLoss,
    "multiscale": MultiScaleLoss,
    "bayesian": BayesianLoss,
    "dm_count": DMCountLoss,
}
