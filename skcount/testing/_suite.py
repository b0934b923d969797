"""Run the checks of an estimator: in one go, or one test each under pytest."""

from functools import partial
from unittest import SkipTest
from warnings import catch_warnings, filterwarnings, warn

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, EstimatorCheckFailedWarning
from sklearn.utils import estimator_checks
from sklearn.utils._param_validation import StrOptions, validate_params

from skcount.testing import _regressors, _transformers

__all__ = ["check_image_estimator", "parametrize_with_image_checks"]

# Checks of scikit-learn that look at no data, and so hold for an estimator of anything.
DATA_FREE = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
)


@validate_params(
    {
        "estimator": "no_validation",
        "expected_failed_checks": [dict, None],
        "on_fail": [StrOptions({"raise", "warn"}), None],
    },
    prefer_skip_nested_validation=False,  # the estimator is to validate its own parameters
)
def check_image_estimator(estimator, *, expected_failed_checks=None, on_fail="raise"):
    """Check that an estimator keeps scikit-learn's conventions on images, as far as they make sense there.

    `sklearn.utils.estimator_checks.check_estimator` sends tables. These checks send images and points; each bears the name
    of the check of scikit-learn that it replaces. The estimator is trained some hundred times on six images of 24 x 24
    pixels, so hand over a small one that trains briefly.

    Parameters
    ----------
    estimator : estimator
        A regressor, ``fit(X, points)`` and ``predict(X)`` -> counts, which takes images as an array or a list, and points as
        `PointAnnotations` or a list of arrays; or a transformer of points, ``transform(points)`` ->
        maps of (24, 24) pixels.
    expected_failed_checks : dict or None, default=None
        Name of each check that may fail -> the reason.
    on_fail : {"raise", "warn"} or None, default="raise"
        What happens when a check fails that is not expected to.

    Returns
    -------
    list of dict
        For each check: "check_name", "status" ("passed", "failed", "skipped" or "xfail"), "exception" (or None) and
        "expected_to_fail_reason" (or None).

    Raises
    ------
    TypeError
        If `estimator` neither predicts nor transforms.
    Exception
        What the first check that fails raises, where `on_fail` is "raise".

    See Also
    --------
    parametrize_with_image_checks : The same as pytest's tests, one a check.

    Examples
    --------
    >>> from skcount import DensityMapTransformer
    >>> from skcount.testing import check_image_estimator
    >>> results = check_image_estimator(DensityMapTransformer(image_shape=(24, 24)))
    >>> {result["status"] for result in results}
    {'passed'}
    """
    reasons = expected_failed_checks or {}
    results = []
    for check in _checks(estimator):
        name = _name(check)
        exception = _run(check, estimator)
        status = _status(exception, name in reasons)
        result = {
            "check_name": name,
            "status": status,
            "exception": exception,
            "expected_to_fail_reason": reasons.get(name),
        }
        if status == "failed" and on_fail == "raise":
            raise exception
        if status == "failed" and on_fail == "warn":
            failure = {"estimator": estimator, "expected_to_fail": False, **result}
            warn(EstimatorCheckFailedWarning(**failure), stacklevel=3)  # past scikit-learn's validation
        results.append(result)
    return results


@validate_params(
    {"estimators": [list], "expected_failed_checks": [callable, None]}, prefer_skip_nested_validation=False
)
def parametrize_with_image_checks(estimators, *, expected_failed_checks=None):
    """Make a pytest test of every check of `check_image_estimator`, for each of some estimators.

    Parameters
    ----------
    estimators : list of estimators
        Regressors of images, and transformers of points.
    expected_failed_checks : callable or None, default=None
        Takes an estimator and returns a dict: name of each check that may fail -> the reason.

    Returns
    -------
    pytest.MarkDecorator
        Decorates a test function that takes `estimator` and `check`, and calls ``check(estimator)``.

    See Also
    --------
    check_image_estimator : The same without pytest.

    Examples
    --------
    >>> from skcount import DensityMapTransformer
    >>> from skcount.testing import parametrize_with_image_checks
    >>> @parametrize_with_image_checks([DensityMapTransformer(image_shape=(24, 24))])
    ... def test_it_keeps_the_conventions(estimator, check):
    ...     check(estimator)
    """
    import pytest

    cases = []
    for estimator in estimators:
        reasons = expected_failed_checks(estimator) if expected_failed_checks else {}
        for check in _checks(estimator):
            name = _name(check)
            marks = [pytest.mark.xfail(reason=reasons[name])] if name in reasons else []
            readable = f"{type(estimator).__name__}-{name}"
            cases.append(pytest.param(estimator, _Check(check), marks=marks, id=readable))
    return pytest.mark.parametrize(("estimator", "check"), cases)


class _Check:
    """A check that takes the estimator alone, and never changes it."""

    def __init__(self, check):
        self.check = check

    def __call__(self, estimator):
        with catch_warnings():
            # A regressor of ours says that of a clone, which all are here.
            filterwarnings("ignore", "y is a plain list of points", UserWarning)
            # Checks train as briefly as they can.
            filterwarnings("ignore", category=ConvergenceWarning)
            self.check(type(estimator).__name__, clone(estimator))


def _checks(estimator):
    """The checks that hold for this estimator: functions of its name and itself."""
    if hasattr(estimator, "predict"):
        own = _regressors.checks(estimator)
    elif hasattr(estimator, "transform"):
        own = _transformers.checks()
    else:
        raise TypeError(
            f"estimator is a {type(estimator).__name__}, which has neither predict nor transform; expected a regressor of "
            "images, or a transformer of points."
        )
    data_free = (getattr(estimator_checks, name, None) for name in DATA_FREE)
    return [*filter(None, data_free), *own]


def _name(check):
    """Name of a check, with its keywords."""
    if not isinstance(check, partial):
        return check.__name__
    return f"{check.func.__name__}({', '.join(f'{k}={v}' for k, v in check.keywords.items())})"


def _run(check, estimator):
    """What a check raised, or None."""
    try:
        _Check(check)(estimator)
    except Exception as exception:
        return exception
    return None


def _status(exception, expected):
    if exception is None:
        return "passed"
    if isinstance(exception, SkipTest):
        return "skipped"
    return "xfail" if expected else "failed"
