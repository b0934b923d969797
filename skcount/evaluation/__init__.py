"""Evidence about an estimator: how its images are split, so that its errors can be believed."""

from skcount.evaluation._splitters import CarriedGroups

__all__ = ["CarriedGroups"]
