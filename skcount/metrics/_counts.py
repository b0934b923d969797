"""Errors of counts: two targets -> a number."""

import numpy as np
from sklearn.utils._param_validation import validate_params

from skcount._check import check_length, check_weights
from skcount.points import check_target, weighted_mean

_CONSTRAINTS = {
    "y_true": "no_validation",
    "y_pred": "no_validation",
    "sample_weight": ["array-like", None],
}


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def count_mean_absolute_error(y_true, y_pred, *, sample_weight=None):
    """Compute the mean absolute error of the counts (MAE), the most common metric for counting.

    Parameters
    ----------
    y_true, y_pred : points, counts or density maps of n_images images
        Points (`PointAnnotations`, or a list of arrays of shape (n_points, 2)), which are counted; counts, array-like
        of shape (n_images,) or (n_images, 1); or density maps, an array of shape (n_images, height, width) or a list of
        maps, which are summed.
    sample_weight : array-like of shape (n_images,) or None, default=None
        Weight of each image.

    Returns
    -------
    float
        In objects per image, >= 0; 0 is perfect.

    Raises
    ------
    ValueError
        If an argument is neither points nor counts nor density maps, is empty, or the lengths differ.

    Examples
    --------
    >>> count_mean_absolute_error([[(1, 2), (3, 4)], []], [1.5, 0.5])
    0.5
    """
    error = _errors(y_true, y_pred)[0]
    return weighted_mean(np.abs(error), sample_weight)


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def count_root_mean_squared_error(y_true, y_pred, *, sample_weight=None):
    """Compute the root mean squared error of the counts (RMSE), in which large errors weigh more.

    Parameters
    ----------
    y_true, y_pred : points, counts or density maps of n_images images
        As for `count_mean_absolute_error`.
    sample_weight : array-like of shape (n_images,) or None, default=None
        Weight of each image.

    Returns
    -------
    float
        In objects per image, >= 0; 0 is perfect.

    Raises
    ------
    ValueError
        If an argument is neither points nor counts nor density maps, is empty, or the lengths differ.

    Examples
    --------
    >>> count_root_mean_squared_error([3, 5], [0, 1]).__round__(3)
    3.536
    """
    error = _errors(y_true, y_pred)[0]
    with np.errstate(over="ignore"):  # the result is infinity then
        return float(np.sqrt(weighted_mean(error**2, sample_weight)))


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def count_bias(y_true, y_pred, *, sample_weight=None):
    """Compute the mean error of the counts, positive if too many are counted.

    Parameters
    ----------
    y_true, y_pred : points, counts or density maps of n_images images
        As for `count_mean_absolute_error`.
    sample_weight : array-like of shape (n_images,) or None, default=None
        Weight of each image.

    Returns
    -------
    float
        Predicted minus true, in objects per image; 0 is unbiased.

    Raises
    ------
    ValueError
        If an argument is neither points nor counts nor density maps, is empty, or the lengths differ.

    Examples
    --------
    >>> count_bias([3, 5], [4, 8])
    2.0
    """
    error = _errors(y_true, y_pred)[0]
    return weighted_mean(error, sample_weight)


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def count_normalized_absolute_error(y_true, y_pred, *, sample_weight=None):
    """Compute the mean absolute error relative to the true counts (NAE).

    Images without objects have no relative error and are left out, as in the benchmark that introduced it.

    Parameters
    ----------
    y_true, y_pred : points, counts or density maps of n_images images
        As for `count_mean_absolute_error`.
    sample_weight : array-like of shape (n_images,) or None, default=None
        Weight of each image.

    Returns
    -------
    float
        A fraction, >= 0; 0 is perfect.

    Raises
    ------
    ValueError
        If an argument is neither points nor counts nor density maps, is empty, the lengths differ, or no image has an
        object.

    References
    ----------
    Q. Wang, J. Gao, W. Lin and X. Li, "NWPU-Crowd: a large-scale benchmark for crowd counting and
    localization", IEEE TPAMI 2021.

    Examples
    --------
    >>> count_normalized_absolute_error([4, 10, 0], [5, 10, 1])
    0.125
    """
    error, true = _errors(y_true, y_pred)
    counted = true > 0
    if not counted.any():
        raise ValueError(
            "`y_true` must have at least one object, because the relative error is undefined without objects."
        )
    weights = None if sample_weight is None else check_weights(sample_weight, len(true))[counted]
    return weighted_mean(np.abs(error[counted]) / true[counted], weights)


def _errors(y_true, y_pred):
    """Return predicted minus true counts, and the true ones."""
    true, predicted = (
        check_target(y_true, "y_true").counts,
        check_target(y_pred, "y_pred", predicted=True).counts,
    )
    check_length(len(true), len(predicted), "y_pred", of="y_true")
    return predicted - true, true
