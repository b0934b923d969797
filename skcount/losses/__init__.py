"""Losses, which compare a predicted density with a target. This package needs only torch.

A new loss is one class, one entry in `LOSSES` and one test file.
"""

from skcount.losses._losses import CountingLoss as CountingLoss
from skcount.losses._losses import (
    HuberLoss,
    L1Loss,
    MSECountLoss,
    MSELoss,
    MultiScaleLoss,
    make_loss,
)
from skcount.losses._points import BayesianLoss, DMCountLoss

LOSSES = {
    "mse": MSELoss,
    "l1": L1Loss,
    "huber": HuberLoss,
    "mse_count": MSECountLoss,
    "multiscale": MultiScaleLoss,
    "bayesian": BayesianLoss,
    "dm_count": DMCountLoss,
}

__all__ = [
    "LOSSES",
    "BayesianLoss",
    "DMCountLoss",
    "HuberLoss",
    "L1Loss",
    "MSECountLoss",
    "MSELoss",
    "MultiScaleLoss",
    "make_loss",
]
