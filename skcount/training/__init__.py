"""Training: one function, `train(plan)`. The only folder that imports skorch."""

from skcount.training._blank import BlankPenalty, blank_shape
from skcount.training._checkpoint import Checkpoint, describe, open_checkpoint
from skcount.training._crops import AUGMENTATIONS, Crops
from skcount.training._muon import Muon
from skcount.training._net import CallbackSupportMixin, TaskTree, with_callbacks
from skcount.training._session import Session
from skcount.training._targets import CountTarget, MapTarget, PointTarget
from skcount.training._targets import scaled_density as scaled_density
from skcount.training._train import (
    CONVERGED,
    FREEZE_AFTER,
    Plan,
    Result,
    Validation,
    own_randomness,
    random_stream,
    train,
)

__all__ = [
    "AUGMENTATIONS",
    "CONVERGED",
    "FREEZE_AFTER",
    "BlankPenalty",
    "CallbackSupportMixin",
    "Checkpoint",
    "CountTarget",
    "Crops",
    "MapTarget",
    "Muon",
    "Plan",
    "PointTarget",
    "Result",
    "Session",
    "TaskTree",
    "Validation",
    "blank_shape",
    "describe",
    "open_checkpoint",
    "own_randomness",
    "random_stream",
    "train",
    "with_callbacks",
]
