"""Losses: what a predicted density is compared with."""

from torch import nn


class MSELoss(nn.Module):
    """Mean squared error of the density, or of the totals where only counts are known.

    Parameters
    ----------
    scale : float
        Densities are divided by it before they are compared, so that the loss is of the order of 1.

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

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, density, batch):
        """Compare predicted densities with a batch of targets.

        Parameters
        ----------
        density : tensor of shape (n, 1, height, width)
            Predicted objects per pixel.
        batch : dict
            "target": densities (n, 1, height, width), or counts (n,); "mask" (n, 1, height, width): 1 where the loss looks;
            "weight" (n,).

        Returns
        -------
        tensor of shape ()
            The weighted mean over the batch.
        """
        mask, weight = batch["mask"], batch["weight"]
        if batch["target"].ndim == 1:
            n_pixels = mask.sum(dim=(1, 2, 3))
            error = ((density * mask).sum(dim=(1, 2, 3)) - batch["target"]) / n_pixels.sqrt()
            return (weight * (error / self.scale).square()).mean()
        squared = (mask * ((density - batch["target"]) / self.scale).square()).sum(dim=(1, 2, 3))
        return (weight * squared).sum() / mask.sum().clamp(min=1)


LOSSES = {"mse": MSELoss}
