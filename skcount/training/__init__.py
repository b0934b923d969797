"""Training: the only place that speaks skorch."""

from skcount.training._blank import BlankPenalty, blank_shape
from skcount.training._crops import Crops
from skcount.training._jitter import Jitter
from skcount.training._losses import LOSSES
from skcount.training._net import DivergedError, train
from skcount.training._precision import computes_bfloat16
from skcount.training._targets import CountTarget, MapTarget, PointTarget

__all__ = [
    "LOSSES",
    "BlankPenalty",
    "CountTarget",
    "Crops",
    "DivergedError",
    "Jitter",
    "MapTarget",
    "PointTarget",
    "blank_shape",
    "computes_bfloat16",
    "train",
]
