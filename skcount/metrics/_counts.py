"""Errors of counts: two arrays -> a number."""

import numpy as np
from sklearn.utils._param_validation import validate_params

from skcount._check import as_array, check_length, entry_ndim, is_list_like, without_index
from skcount.points import check_points

_CONSTRAINTS = {
    "y_true": "no_validation",
    "y_pred": "no_validation",
    "sample_weight": ["array-like", None],
}


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def count_mean_absolute_error(y_true, y_pred, *, sample_weight=None):
    """Mean absolute error of the counts (MAE): the field's first measure.

    Parameters
    ----------
    y_true, y_pred : points or counts of n_images images
        Points (`PointAnnotations`, or a list of arrays of shape (n_points, 2)), of which the number counts; or
        counts, array-like of shape (n_images,).
    sample_weight : array-like of shape (n_images,) or None, default=None
        Weight of each image.

    Returns
    -------
    float
        In objects an image, >= 0; 0 is perfect.

    Raises
    ------
    ValueError
        If an argument is neither points nor counts, is empty, or the lengths differ.

    Examples
    --------
    >>> count_mean_absolute_error([[(1, 2), (3, 4)], []], [1.5, 0.5])
    0.5
    """
    error = _errors(y_true, y_pred)[0]
    return weighted_mean(np.abs(error), sample_weight)


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def count_root_mean_squared_error(y_true, y_pred, *, sample_weight=None):
    """Root of the mean squared error of the counts (RMSE): large errors weigh more.

    Parameters
    ----------
    y_true, y_pred : points or counts of n_images images
        As for `count_mean_absolute_error`.
    sample_weight : array-like of shape (n_images,) or None, default=None
        Weight of each image.

    Returns
    -------
    float
        In objects an image, >= 0; 0 is perfect.

    Raises
    ------
    ValueError
        If an argument is neither points nor counts, is empty, or the lengths differ.

    Examples
    --------
    >>> count_root_mean_squared_error([3, 5], [0, 1]).__round__(3)
    3.536
    """
    error = _errors(y_true, y_pred)[0]
    with np.errstate(over="ignore"):  # infinity is the answer then
        return float(np.sqrt(weighted_mean(error**2, sample_weight)))


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def count_bias(y_true, y_pred, *, sample_weight=None):
    """Mean error of the counts: positive where too many are counted.

    Parameters
    ----------
    y_true, y_pred : points or counts of n_images images
        As for `count_mean_absolute_error`.
    sample_weight : array-like of shape (n_images,) or None, default=None
        Weight of each image.

    Returns
    -------
    float
        Predicted minus true, in objects an image; 0 is unbiased.

    Raises
    ------
    ValueError
        If an argument is neither points nor counts, is empty, or the lengths differ.

    Examples
    --------
    >>> count_bias([3, 5], [4, 8])
    2.0
    """
    error = _errors(y_true, y_pred)[0]
    return weighted_mean(error, sample_weight)


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def count_normalized_absolute_error(y_true, y_pred, *, sample_weight=None):
    """Mean of the absolute errors relative to the true counts (NAE).

    Images without objects have no relative error and are left out, as in the benchmark that introduced it.

    Parameters
    ----------
    y_true, y_pred : points or counts of n_images images
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
        If an argument is neither points nor counts, is empty, the lengths differ, or no image has an object.

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
            "No image of y_true has an object, so no relative error is defined; expected at least one."
        )
    weights = None if sample_weight is None else check_weights(sample_weight, len(true))[counted]
    return weighted_mean(np.abs(error[counted]) / true[counted], weights)


def check_counts(y, name="y"):
    """Take the counts of points, or check counts.

    Parameters
    ----------
    y : points or counts
        Points of each image, or a number for each.
    name : str, default="y"
        What to call it in messages.

    Returns
    -------
    ndarray of shape (n_images,), float64
        Objects in each image.

    Raises
    ------
    ValueError
        If `y` is neither points nor counts, is empty, or is not finite.

    Examples
    --------
    >>> check_counts([[(1, 2)], []])
    array([1., 0.])
    """
    y = without_index(y)
    if np.ma.is_masked(y):
        raise _neither(name, f"a masked array, and {np.ma.count_masked(y)} of its values are masked")
    ragged = is_list_like(y) and any(entry_ndim(entry) for entry in y)
    if ragged or entry_ndim(y) == 3:
        counts = check_points(y).counts
    else:
        try:
            counts = _as_floats(np.asarray(y))
        except (TypeError, ValueError, RuntimeError, OverflowError):  # tensors raise all of them
            raise _neither(name, f"a {type(y).__name__} that holds no numbers") from None
        if counts.ndim == 2 and counts.shape[1] == 1:
            counts = counts[:, 0]
    if counts.ndim != 1:
        raise _neither(name, f"an array of shape {counts.shape}" if counts.ndim else f"a {type(y).__name__}")
    if not len(counts):
        raise _neither(name, "empty")
    bad = np.flatnonzero(~np.isfinite(counts))
    if len(bad):
        raise _neither(name, f"not finite: image {bad[0]} has {counts[bad[0]]}")
    return counts


def _as_floats(array):
    """Real numbers as floats, objects too; a TypeError, ValueError or OverflowError where there are none."""
    complex_objects = array.dtype.hasobject and any(map(np.iscomplexobj, array.flat))
    if array.dtype.kind not in "buifO" or complex_objects:
        raise TypeError(f"its dtype is {array.dtype}")
    return array.astype(np.float64)


def _neither(name, what):
    return ValueError(
        f"{name} is {what}; expected points (a list of (n_points, 2) arrays, one an image) or finite counts of shape "
        "(n_images,)."
    )


def weighted_mean(values, sample_weight):
    """Mean of one value an image, weighted.

    Parameters
    ----------
    values : ndarray of shape (n_images,)
        What to average.
    sample_weight : array-like of shape (n_images,) or None
        Weight of each image; None weighs all the same.

    Returns
    -------
    float
        The mean.

    Raises
    ------
    ValueError
        If the weights are not one finite number an image, at least 0 and not all 0.
    """
    weights = None if sample_weight is None else check_weights(sample_weight, len(values))
    if weights is not None and not weights.any():
        raise ValueError("The sample weights of these images are all 0; expected at least one larger.")
    with np.errstate(over="ignore"):  # infinity is the answer then
        return float(np.average(values, weights=weights))


def check_weights(sample_weight, n_images):
    """Check sample weights.

    Parameters
    ----------
    sample_weight : array-like of shape (n_images,)
        Weight of each image.
    n_images : int
        Number of images.

    Returns
    -------
    ndarray of shape (n_images,), float64
        The weights.

    Raises
    ------
    ValueError
        If they are not one finite number an image, at least 0.

    Examples
    --------
    >>> check_weights([1, 2], n_images=2)
    array([1., 2.])
    """
    expected = f"one finite number of at least 0 for each of the {n_images} images"
    weights = as_array(sample_weight, "sample_weight", expected)
    if weights.shape != (n_images,):
        raise ValueError(f"sample_weight has shape {weights.shape}; expected {expected}.")
    try:
        weights = _as_floats(weights)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"sample_weight holds no numbers ({error}); expected {expected}.") from None
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        raise ValueError(f"sample_weight of image {bad[0]} is {weights[bad[0]]}; expected {expected}.")
    return weights


def _errors(y_true, y_pred):
    """Predicted minus true counts, and the true ones."""
    true, predicted = check_counts(y_true, "y_true"), check_counts(y_pred, "y_pred")
    check_length(len(true), len(predicted), "y_pred", of="y_true")
    return predicted - true, true
