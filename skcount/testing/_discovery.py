"""Every estimator of the package, found and not listed: a new one cannot be forgotten."""

import inspect

from sklearn.base import BaseEstimator

import skcount

__all__ = ["all_estimators"]


def all_estimators():
    """Find the public estimators of skcount.

    Returns
    -------
    list of (str, type)
        Name and class of each, sorted by name.

    See Also
    --------
    sklearn.utils.discovery.all_estimators : The same for scikit-learn.

    Examples
    --------
    >>> from skcount.testing import all_estimators
    >>> [name for name, _ in all_estimators()]
    ['DensityMapRegressor', 'DensityMapTransformer', 'FCRNRegressor', 'UNetRegressor']
    """
    found = ((name, getattr(skcount, name)) for name in skcount.__all__)
    return sorted((name, value) for name, value in found if _is_estimator(value))


def _is_estimator(value):
    return inspect.isclass(value) and issubclass(value, BaseEstimator)
