"""Checks for estimators of images, like scikit-learn's for tables: for ours, and for those that you write."""

from skcount.testing._discovery import all_estimators
from skcount.testing._suite import check_image_estimator, parametrize_with_image_checks

__all__ = ["all_estimators", "check_image_estimator", "parametrize_with_image_checks"]
