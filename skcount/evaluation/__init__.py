"""Evidence about an estimator: how its images are split, and how far its counts can be believed."""

from skcount.evaluation._intervals import ConformalCounter, ExpectedCoverage
from skcount.evaluation._regions import count_regions
from skcount.evaluation._samples import ImageSample, sample_images
from skcount.evaluation._splitters import CarriedGroups
from skcount.evaluation._table import Table
from skcount.evaluation._totals import TotalEstimate, estimate_total, plan_sample

__all__ = [
    "CarriedGroups",
    "ConformalCounter",
    "ExpectedCoverage",
    "ImageSample",
    "Table",
    "TotalEstimate",
    "count_regions",
    "estimate_total",
    "plan_sample",
    "sample_images",
]
