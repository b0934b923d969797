"""The checks of a regressor of images, each named after the check of scikit-learn that it replaces.

A check takes the estimator's name and the estimator, which it clones, and raises an error where a convention is broken.
"""

import pickle
import random
import sys
from functools import partial
from inspect import signature

import numpy as np
from joblib import hash as digest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skcount.points import PointAnnotations
from skcount.testing._data import (
    NOT_FINITE,
    NotAnArray,
    assert_same_counts,
    badly_typed,
    images_and_points,
    memory_mapped,
    ready,
    refused,
)


def checks(estimator):
    """The checks that hold for a regressor, by what it can do."""
    tags = get_tags(estimator)
    found = [*ALWAYS]
    if not tags.non_deterministic:
        found += DETERMINISTIC
    if not tags.input_tags.allow_nan:
        found.append(check_estimators_nan_inf)
    if not tags.regressor_tags.poor_score:
        found.append(check_regressors_learn)
    if not hasattr(
        estimator, "steps"
    ):  # a Pipeline fits its steps where they are, by scikit-learn's own rule
        found.append(check_estimators_overwrite_params)
    if hasattr(estimator, "partial_fit"):
        found.append(check_estimators_partial_fit_n_features)
    if hasattr(estimator, "_parameter_constraints"):
        found.append(check_param_validation)
    if has_fit_parameter(estimator, "sample_weight"):
        found += WEIGHTS
        if not tags.non_deterministic:
            found += WEIGHTS_DETERMINISTIC
    return found


def _fitted(estimator, X=None, y=None, **params):
    """A clone, fitted on what all checks train on."""
    images, points = images_and_points()
    return ready(estimator).fit(images if X is None else X, points if y is None else y, **params)


# The estimator itself


def check_fit_score_takes_y(name, estimator):
    """The second argument of `fit` and `score` is y: a Pipeline and a search pass it by its place."""
    for method in ("fit", "score", "partial_fit"):
        if hasattr(estimator, method):
            second = list(signature(getattr(estimator, method)).parameters)[1]
            assert second in {"y", "Y"}, f"The second argument of {name}.{method} is {second!r}; expected y."


def check_estimators_fit_returns_self(name, estimator):
    """`fit` returns the estimator, so that ``Estimator().fit(X, y).predict(X)`` works."""
    X, points = images_and_points()
    estimator = ready(estimator)
    assert estimator.fit(X, points) is estimator, f"{name}.fit does not return self."


def check_estimators_unfitted(name, estimator):
    """Before `fit`, `predict` raises a NotFittedError."""
    with refused(f"{name}.predict before fit", error=NotFittedError):
        ready(estimator).predict(images_and_points()[0])


def check_fit_check_is_fitted(name, estimator):
    """`check_is_fitted` tells a fitted estimator from another."""
    estimator = ready(estimator)
    with refused(f"check_is_fitted of a {name} before fit", error=NotFittedError):
        check_is_fitted(estimator)
    check_is_fitted(_fitted(estimator))


def check_estimators_overwrite_params(name, estimator):
    """`fit` leaves the parameters as they were, inside too."""
    estimator = ready(estimator)
    before = {key: digest(value) for key, value in estimator.get_params().items()}
    estimator.fit(*images_and_points())
    for key, value in estimator.get_params().items():
        assert digest(value) == before[key], f"{name}.fit changes the parameter {key}."


def check_dont_overwrite_parameters(name, estimator):
    """What `fit` adds ends or begins with an underscore."""
    estimator = ready(estimator)
    before = dict(vars(estimator))
    estimator.fit(*images_and_points())
    added = [key for key in vars(estimator) if key not in before and key[0] != "_" and key[-1] != "_"]
    assert not added, f"{name}.fit adds {added}; expected names that end with an underscore."


def check_dict_unchanged(name, estimator):
    """`predict` leaves the estimator as it was."""
    fitted = _fitted(estimator)
    before = digest(fitted)
    fitted.predict(images_and_points()[0])
    assert digest(fitted) == before, f"{name}.predict changes the estimator."


def check_fit_idempotent(name, estimator):
    """Fitting again on the same images starts afresh, and ends with the same counts."""
    X, points = images_and_points()
    fitted = _fitted(estimator)
    first = fitted.predict(X)
    assert_same_counts(
        fitted.fit(X, points).predict(X), first, f"{name} counts otherwise after a second fit."
    )


def check_pipeline_consistency(name, estimator):
    """In a Pipeline it counts as it does alone."""
    X, points = images_and_points()
    alone, within = _fitted(estimator), make_pipeline(ready(estimator)).fit(X, points)
    what = f"{name} counts otherwise in a Pipeline."
    assert_same_counts(within.predict(X), alone.predict(X), what)
    assert_same_counts(within.score(X, points), alone.score(X, points), what)


def check_estimators_pickle(name, estimator, readonly_memmap=False):
    """Pickled and loaded, it counts as before; with its arrays read-only in a file, too."""
    X, _ = images_and_points()
    fitted = _fitted(estimator)
    what = f"{name} counts otherwise after it was pickled."
    if readonly_memmap:
        with memory_mapped(fitted) as loaded:
            assert_same_counts(loaded.predict(X), fitted.predict(X), what)
    else:
        assert_same_counts(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X), what)  # noqa: S301 - our own


def check_param_validation(name, estimator):
    """A parameter of a wrong type is refused by `fit`, by its name."""
    X, points = images_and_points()
    for wrong, expected in badly_typed(name, estimator):
        with expected:
            ready(estimator).set_params(**wrong).fit(X, points)


# Images


def check_methods_sample_order_invariance(name, estimator):
    """The order of the images does not matter to `predict`."""
    X, _ = images_and_points()
    fitted, order = _fitted(estimator), np.random.default_rng(0).permutation(len(X))
    what = f"{name} counts images otherwise in another order."
    assert_same_counts(fitted.predict(X[order]), fitted.predict(X)[order], what)


def check_methods_subset_invariance(name, estimator):
    """An image counts the same whatever is predicted beside it."""
    X, _ = images_and_points()
    fitted = _fitted(estimator)
    one_by_one = np.concatenate([fitted.predict(image[None]) for image in X])
    assert_same_counts(one_by_one, fitted.predict(X), f"{name} counts an image otherwise when it is alone.")


def check_inplace_ensure_writeable(name, estimator):
    """Neither `fit` nor `predict` changes the images or the points, whatever their type."""
    X, points = images_and_points()
    for images in (X, X.astype(np.float32) / 255, X / 255, list(X)):
        given = [np.array(p) for p in points]
        before = digest([images, given])
        _fitted(estimator, images, given).predict(images)
        assert digest([images, given]) == before, f"{name} changes the images or the points that it is given."


def check_global_random_states(name, estimator):
    """Neither `fit` nor `predict` draws from, or seeds, the random numbers of the process."""
    X, points = images_and_points()
    mine = np.random.get_state()  # noqa: NPY002 - as below
    np.random.seed(2**31)  # noqa: NPY002 - a state that nobody else seeds
    try:
        before = _random_states()
        ready(estimator).fit(X, points).predict(X)
        assert _random_states() == before, (
            f"{name} changes a global random state: numpy's, Python's or torch's."
        )
    finally:
        np.random.set_state(mine)  # noqa: NPY002 - as above


def _random_states():
    torch = sys.modules.get("torch")
    legacy = np.random.get_state(legacy=True)  # noqa: NPY002 - the global state is what is looked at
    return digest([legacy, random.getstate(), torch and torch.get_rng_state().numpy()])


def check_readonly_memmap_input(name, estimator):
    """It trains and predicts on read-only, memory-mapped arrays."""
    data = images_and_points()
    with memory_mapped(data) as (X, points):
        counts = _fitted(estimator, X, points).predict(X)
    what = f"{name} counts otherwise on memory-mapped images."
    assert_same_counts(counts, _fitted(estimator).predict(data[0]), what)


def check_estimators_dtypes(name, estimator):
    """It takes images of every usual type, and returns one float an image."""
    X, _ = images_and_points()
    for dtype in (np.uint8, np.uint16, np.int32, np.float32, np.float64):
        images = X.astype(dtype)
        counts = np.asarray(_fitted(estimator, images).predict(images))
        assert counts.shape == (len(X),), (
            f"{name}.predict returns the shape {counts.shape} for {len(X)} images."
        )
        assert counts.dtype.kind == "f", (
            f"{name}.predict returns {counts.dtype} for images of {dtype.__name__}."
        )
        assert np.isfinite(counts).all(), f"{name}.predict returns {counts} for images of {dtype.__name__}."


def check_f_contiguous_array_estimator(name, estimator):
    """The order of the pixels in memory does not matter."""
    X, _ = images_and_points()
    what = f"{name} counts otherwise on images in Fortran's order, or on every other pixel of a larger array."
    expected = _fitted(estimator).predict(X)
    for images in (np.asfortranarray(X), np.repeat(X, 2, axis=2)[:, :, ::2]):
        assert_same_counts(_fitted(estimator, images).predict(images), expected, what)


def check_regressor_data_not_an_array(name, estimator):
    """Images and points may be anything that has `__array__`, or nested lists."""
    X, points = images_and_points()
    expected = _fitted(estimator).predict(X)
    lists = [p.tolist() for p in points]
    counts = _fitted(estimator, NotAnArray(X), lists).predict(NotAnArray(X))
    assert_same_counts(counts, expected, f"{name} counts otherwise on what only has __array__.")


def check_dtype_object(name, estimator):
    """A list, a tuple and an array of objects that hold the images are the same as one array of them."""
    X, points = images_and_points()
    objects = np.empty(len(X), dtype=object)
    objects[:] = list(X)
    expected = _fitted(estimator).predict(X)
    for images in (list(X), tuple(X), objects):
        counts = _fitted(estimator, images, list(points)).predict(images)
        assert_same_counts(
            counts, expected, f"{name} counts otherwise in a {type(images).__name__} of images."
        )
    with refused(f"{name}.fit on images of text"):
        _fitted(estimator, np.full(X.shape, "pixel", dtype=object))


def check_lists_of_sizes(name, estimator):
    """Images of many sizes, as a list: each counts the same as alone; or they are refused in words."""
    X, points = images_and_points()
    images = [image[: 24 - 3 * i, : 24 - i] for i, image in enumerate(X)]
    kept = points.inside([image.shape[:2] for image in images])
    said = None
    try:
        fitted = _fitted(estimator, images, kept)
    except ValueError as error:
        said = str(error).lower()
    if said is None:
        one_by_one = np.concatenate([fitted.predict([image]) for image in images])
        what = f"{name} counts an image of a list otherwise than alone."
        assert_same_counts(fitted.predict(images), one_by_one, what)
    else:
        assert "size" in said or "shape" in said, f"{name}.fit on images of many sizes says {said!r}."


def check_complex_data(name, estimator):
    """Complex pixels are refused."""
    X, _ = images_and_points()
    with refused(f"{name}.fit on complex pixels", "complex"):
        _fitted(estimator, X * (1 + 1j))


def check_estimators_empty_data_messages(name, estimator):
    """No images, and images without pixels, are refused."""
    X, points = images_and_points()
    with refused(f"{name}.fit on no images"):
        _fitted(estimator, X[:0], points[:0])
    with refused(f"{name}.fit on images without pixels"):
        _fitted(estimator, X[:, :, :0])


def check_estimators_nan_inf(name, estimator):
    """A pixel that is not finite is refused, by `fit` and by `predict`."""
    X, points = images_and_points()
    fitted = _fitted(estimator, X / 255)
    for value in (np.nan, np.inf, -np.inf):
        images = X / 255
        images[3, 5, 7] = value
        with refused(f"{name}.fit on a pixel of {value}", *NOT_FINITE):
            ready(estimator).fit(images, points)
        with refused(f"{name}.predict of a pixel of {value}", *NOT_FINITE):
            fitted.predict(images)


def check_fit1d(name, estimator):
    """A row of numbers is no set of images."""
    with refused(f"{name}.fit on an array of one dimension"):
        _fitted(estimator, np.ones(6))


def check_fit2d_1sample(name, estimator):
    """One image trains, or is refused in words."""
    X, points = images_and_points()
    said = None
    try:
        counts = _fitted(estimator, X[1:2], points[1:2]).predict(X[:1])
    except ValueError as error:
        said = str(error).lower()
    if said is None:
        assert counts.shape == (1,), f"{name}.predict of one image returns the shape {counts.shape}."
    else:
        words = ("1 sample", "n_samples = 1", "n_samples=1", "one sample", "1 image", "one image", "at least")
        assert any(word in said for word in words), f"{name}.fit on one image says {said!r}."


def check_fit2d_predict1d(name, estimator):
    """One image without the axis of images is refused by `predict`."""
    X, _ = images_and_points()
    with refused(f"{name}.predict of one image, X[0]"):
        _fitted(estimator).predict(X[0])


def check_n_features_in_after_fitting(name, estimator):
    """Images of another number of channels than those of `fit` are refused, in words."""
    X, _ = images_and_points()
    fitted = _fitted(estimator)
    for images in (X[..., :2], X[..., 0]):
        with refused(f"{name}.predict of images of other channels", "channel", "features"):
            fitted.predict(images)


def check_estimators_partial_fit_n_features(name, estimator):
    """`partial_fit` refuses images of another number of channels than those before."""
    X, points = images_and_points()
    fitted = ready(estimator).partial_fit(X, points)
    with refused(f"{name}.partial_fit on images of other channels"):
        fitted.partial_fit(X[..., :2], points)


# Points


def check_regressors_train(name, estimator):
    """It refuses points for another number of images, and counts in every image."""
    X, points = images_and_points()
    with refused(f"{name}.fit on {len(X)} images and points of {len(X) - 1}"):
        _fitted(estimator, X, points[:-1])
    counts = _fitted(estimator).predict(X)
    assert (counts >= 0).all(), f"{name}.predict returns {counts}; expected counts, at least 0."


def check_regressors_learn(name, estimator):
    """On the images that it has learnt from, it counts better than the mean does; not for those that say `poor_score`."""
    X, points = images_and_points()
    error = np.abs(_fitted(estimator).predict(X) - points.counts).mean()
    blind = np.abs(points.counts.mean() - points.counts).mean()
    assert error < blind, (
        f"{name} errs by {error:.2f} on its training images; the mean count errs by {blind:.2f}."
    )


def check_regressors_int(name, estimator):
    """Points at whole numbers are the same whatever their type."""
    X, points = images_and_points()
    whole = [np.rint(p).astype(int) for p in points]
    as_floats = [p.astype(float) for p in whole]
    expected = _fitted(estimator, y=as_floats).predict(X)
    assert_same_counts(
        _fitted(estimator, y=whole).predict(X), expected, f"{name}: integer points teach otherwise."
    )


def check_supervised_y_2d(name, estimator):
    """Points are the same as a list, as PointAnnotations and, where every image has as many, as one array."""
    X, points = images_and_points()
    expected = _fitted(estimator).predict(X)
    assert_same_counts(
        _fitted(estimator, y=list(points)).predict(X),
        expected,
        f"{name}: a list of points teaches otherwise.",
    )
    square = np.stack([np.full((3, 2), 4.0) + i for i in range(len(X))])
    as_array, as_points = (_fitted(estimator, y=y).predict(X) for y in (square, PointAnnotations(square)))
    assert_same_counts(as_array, as_points, f"{name}: an array of points teaches otherwise.")


def check_supervised_y_no_nan(name, estimator):
    """A point that is not finite is refused."""
    X, points = images_and_points()
    for value in (np.nan, np.inf):
        y = [p.copy() for p in points]
        y[1][0, 0] = value
        with refused(f"{name}.fit on a point at {value}", *NOT_FINITE):
            _fitted(estimator, X, y)


def check_requires_y_none(name, estimator):
    """No target at all is refused."""
    X, _ = images_and_points()
    with refused(f"{name}.fit on y=None", r"y\b", "target", error=(ValueError, TypeError)):
        ready(estimator).fit(X, None)


def check_regressors_no_decision_function(name, estimator):
    """A regressor has none of a classifier's methods."""
    fitted = _fitted(estimator)
    for method in ("decision_function", "predict_proba", "predict_log_proba"):
        assert not hasattr(fitted, method), f"{name} has {method}, which is a classifier's."


# Weights


def check_sample_weights_list(name, estimator):
    """Weights may be a list."""
    _assert_weights_may_be(list, name, estimator)


def check_sample_weights_not_an_array(name, estimator):
    """Weights may be anything that has `__array__`."""
    _assert_weights_may_be(NotAnArray, name, estimator)


def _assert_weights_may_be(kind, name, estimator):
    X, _ = images_and_points()
    weights = np.array([1.0, 2.0, 1.0, 1.0, 0.5, 1.0])
    as_array, as_kind = (_fitted(estimator, sample_weight=given) for given in (weights, kind(weights)))
    what = f"{name}: weights that are a {kind.__name__} teach otherwise than an array."
    assert_same_counts(as_kind.predict(X), as_array.predict(X), what)


def check_sample_weights_shape(name, estimator):
    """Weights of another shape are refused."""
    for shape in ((6, 2), (5,)):
        with refused(f"{name}.fit on weights of the shape {shape}"):
            _fitted(estimator, sample_weight=np.ones(shape))


def check_sample_weights_not_overwritten(name, estimator):
    """Weights are not changed."""
    weights = np.array([1.0, 2.0, 1.0, 0.0, 0.5, 1.0])
    before = weights.copy()
    _fitted(estimator, sample_weight=weights)
    np.testing.assert_array_equal(weights, before, err_msg=f"{name}.fit changes the weights.")


def check_all_zero_sample_weights_error(name, estimator):
    """Weights that are all zero leave nothing to learn from."""
    with refused(f"{name}.fit on weights that are all zero", "weight"):
        _fitted(estimator, sample_weight=np.zeros(6))


def check_sample_weight_equivalence_on_dense_data(name, estimator):
    """A weight of two is an image twice, and one of zero is none."""
    X, points = images_and_points()
    weights = np.array([2, 1, 0, 1, 3, 1])
    repeated = np.repeat(np.arange(len(X)), weights)
    weighted = _fitted(estimator, sample_weight=weights.astype(float))
    twice = _fitted(estimator, X[repeated], points[repeated])
    what = f"{name}: weights teach otherwise than images that are repeated or left out."
    np.testing.assert_allclose(weighted.predict(X), twice.predict(X), rtol=1e-7, atol=1e-9, err_msg=what)


# By what an estimator promises: nothing, that it trains the same way twice, that it takes weights.
ALWAYS = (
    check_fit_score_takes_y,
    check_estimators_fit_returns_self,
    check_estimators_unfitted,
    check_fit_check_is_fitted,
    check_dont_overwrite_parameters,
    check_dict_unchanged,
    check_global_random_states,
    check_inplace_ensure_writeable,
    check_estimators_pickle,
    partial(check_estimators_pickle, readonly_memmap=True),
    check_estimators_dtypes,
    check_complex_data,
    check_estimators_empty_data_messages,
    check_fit1d,
    check_fit2d_1sample,
    check_fit2d_predict1d,
    check_n_features_in_after_fitting,
    check_regressors_train,
    check_regressors_no_decision_function,
    check_requires_y_none,
    check_supervised_y_no_nan,
)
DETERMINISTIC = (
    check_methods_sample_order_invariance,
    check_methods_subset_invariance,
    check_fit_idempotent,
    check_readonly_memmap_input,
    check_f_contiguous_array_estimator,
    check_regressor_data_not_an_array,
    check_dtype_object,
    check_lists_of_sizes,
    check_regressors_int,
    check_supervised_y_2d,
    check_pipeline_consistency,
)
WEIGHTS = (
    check_sample_weights_shape,
    check_sample_weights_not_overwritten,
    check_all_zero_sample_weights_error,
)
WEIGHTS_DETERMINISTIC = (
    check_sample_weights_list,
    check_sample_weights_not_an_array,
    check_sample_weight_equivalence_on_dense_data,
)
