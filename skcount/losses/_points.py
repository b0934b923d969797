"""Losses that compare a predicted density with points, without a density map as target."""

from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, validate_params

from skcount.losses._losses import CountingLoss, block_means


class PointLoss(CountingLoss):
    """A loss that compares each image with its points and needs no density map."""

    needs_points = True

    def _of_maps(self, density, batch):
        """Return the weighted mean over the images of their errors in objects, as a mean density."""
        errors = [
            self._of_image(image, points[:, :2], points[:, 2])
            for image, points in zip((density * batch["mask"])[:, 0], batch["points"], strict=True)
        ]
        n_pixels = batch["mask"].sum(dim=(1, 2, 3)).clamp(min=1)
        return (batch["weight"] * torch.stack(errors) / n_pixels).mean() / self.scale


class BayesianLoss(PointLoss):
    """Error of the expected count at each point, under the probability that a pixel belongs to it.

    Each pixel belongs to a point with a probability that decreases with distance like a Gaussian, or to the background
    if no point is near. The density of each point should sum to 1, and that of the background to 0.

    Parameters
    ----------
    background : float, default=10.0
        Distance of the background from the nearest point, in units of `sigma`. At half this distance, a pixel belongs
        to either with equal probability. The paper uses 0.15 of the shorter side of a crop, with `sigma` 8 and crops of
        512 pixels.

    References
    ----------
    Z. Ma, X. Wei, X. Hong and Y. Gong, "Bayesian loss for crowd count estimation with point supervision", ICCV 2019.

    Examples
    --------
    >>> import torch
    >>> from skcount.losses import BayesianLoss
    >>> batch = {"target": torch.zeros(1, 1, 8, 8), "mask": torch.ones(1, 1, 8, 8), "weight": torch.ones(1)}
    >>> batch["points"] = [torch.tensor([[3.0, 4.0, 1.0]])]  # row, column, and how much of the point is inside
    >>> BayesianLoss().prepare(scale=1 / 64)(torch.zeros(1, 1, 8, 8), batch)
    tensor(1.)
    """

    @validate_params(
        {"background": [Interval(Real, 0, None, closed="neither")]},
        prefer_skip_nested_validation=True,
    )
    def __init__(self, background=10.0):
        super().__init__()
        self.background = background

    def _of_image(self, density, points, masses):
        """Return the sum of the absolute errors of one image."""
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
    transport_weight, variation_weight : float, default=0.1 and 0.01
        Weights of the two terms relative to the count, as in the paper.
    cell : int, default=4
        Side of the cells in which the distributions are compared, in pixels.
    blur : float, default=2.0
        Square root of the entropic regularisation of the transport, in cells.
    n_iterations : int, default=50
        Number of Sinkhorn iterations.

    References
    ----------
    B. Wang, H. Liu, D. Samaras and M. Hoai, "Distribution matching for crowd counting", NeurIPS 2020.

    Examples
    --------
    >>> import torch
    >>> from skcount.losses import DMCountLoss
    >>> batch = {"target": torch.zeros(1, 1, 8, 8), "mask": torch.ones(1, 1, 8, 8), "weight": torch.ones(1)}
    >>> batch["points"] = [torch.tensor([[3.0, 4.0, 1.0]])]  # row, column, and how much of the point is inside
    >>> DMCountLoss().prepare(scale=1 / 64)(torch.zeros(1, 1, 8, 8), batch)
    tensor(1.)
    """

    @validate_params(
        {
            "transport_weight": [Interval(Real, 0, None, closed="left")],
            "variation_weight": [Interval(Real, 0, None, closed="left")],
            "cell": [Interval(Integral, 1, None, closed="left")],
            "blur": [Interval(Real, 0, None, closed="neither")],
            "n_iterations": [Interval(Integral, 1, None, closed="left")],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(self, transport_weight=0.1, variation_weight=0.01, cell=4, blur=2.0, n_iterations=50):
        super().__init__()
        self.transport_weight = transport_weight
        self.variation_weight = variation_weight
        self.cell = cell
        self.blur = blur
        self.n_iterations = n_iterations

    def _of_image(self, density, points, masses):
        """Return the sum of the three terms of one image, in objects."""
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


def squared_distances(points, shape, like):
    """Return the squared distance of each pixel from each point, (k, height, width), with dtype and device of `like`."""
    rows, cols = (
        (torch.arange(size, dtype=like.dtype, device=like.device) - points[:, axis, None]).square()
        for axis, size in enumerate(shape)
    )
    return rows[:, :, None] + cols[:, None, :]


@torch.no_grad()
def transport_potential(share, places, masses, epsilon, n_iterations):
    """Return the dual potential of entropic optimal transport: the cost of a little more mass in each cell.

    `share` (height, width) and `masses` (k,) each add up to 1, `places` (k, 2) are in cells; the potential is in
    squared cells over `epsilon`, 0 on average over the mass. The iterations are Sinkhorn's, in the logarithmic domain.
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
