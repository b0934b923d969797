"""Evidence about an estimator: how its images are split, how large its errors are, and what its counts are worth."""

from skcount.evaluation._annotation_curve import AnnotationCurve, annotation_curve
from skcount.evaluation._intervals import ConformalCounter, ExpectedCoverage
from skcount.evaluation._localization import localization_report
from skcount.evaluation._regions import count_regions
from skcount.evaluation._report import CountingReport, CountReportWarning, counting_report
from skcount.evaluation._samples import ImageSample, sample_images
from skcount.evaluation._splitters import CarriedGroups, SequenceKFold
from skcount.evaluation._table import Table
from skcount.evaluation._totals import TotalEstimate, estimate_total, plan_sample

__all__ = [
    "AnnotationCurve",
    "CarriedGroups",
    "ConformalCounter",
    "CountReportWarning",
    "CountingReport",
    "ExpectedCoverage",
    "ImageSample",
    "SequenceKFold",
    "Table",
    "TotalEstimate",
    "annotation_curve",
    "count_regions",
    "counting_report",
    "estimate_total",
    "localization_report",
    "plan_sample",
    "sample_images",
]
