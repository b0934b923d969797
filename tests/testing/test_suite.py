import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import EstimatorCheckFailedWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import check_is_fitted

from skcount import DensityMapTransformer, PointAnnotations
from skcount.images import check_images
from skcount.metrics import count_mean_absolute_error
from skcount.testing import check_image_estimator, parametrize_with_image_checks


class BrightPixels(RegressorMixin, BaseEstimator):
    """Counts by a straight line through the number of bright pixels: as a user might write it."""

    def __init__(self, threshold=0.5):
        self.threshold = threshold

    def fit(self, X, y):
        images = check_images(X)
        if y is None:
            raise ValueError("This estimator requires y to be passed, but the target y is None.")
        counts = PointAnnotations(y).counts
        if len(counts) != len(images):
            raise ValueError(f"{len(images)} images and points of {len(counts)}.")
        bright = self._bright(images)
        self.n_channels_in_ = images.n_channels
        self.per_pixel_ = counts @ bright / max(bright @ bright, 1)
        return self

    def predict(self, X):
        check_is_fitted(self)
        images = check_images(X)
        if images.n_channels != self.n_channels_in_:
            raise ValueError(f"{images.n_channels} channels; expected {self.n_channels_in_}.")
        return self.per_pixel_ * self._bright(images)

    def score(self, X, y):
        return -count_mean_absolute_error(y, self.predict(X))

    def _bright(self, images):
        read = [images.read(index) for index in range(len(images))]
        if not all(np.isfinite(image).all() for image in read):
            raise ValueError("Input X contains NaN or infinity.")
        return np.array([np.sum(image > self.threshold) for image in read], dtype=float)


def test_an_estimator_of_a_users_own_can_pass():
    results = check_image_estimator(BrightPixels())
    assert {result["status"] for result in results} == {"passed"}
    assert len(results) > 40


# One convention broken each, and the check that is to notice.


class Forgetful(BrightPixels):
    def fit(self, X, y):
        super().fit(X, y)


class Mutating(BrightPixels):
    def predict(self, X):
        self.n_predictions_ = getattr(self, "n_predictions_", 0) + 1
        return super().predict(X)


class Overwriting(BrightPixels):
    def fit(self, X, y):
        self.threshold = 0.4
        return super().fit(X, y)


class Leaving(BrightPixels):
    def fit(self, X, y):
        self.counts = 3
        return super().fit(X, y)


class Relative(BrightPixels):
    def predict(self, X):
        counts = super().predict(X)
        return counts / max(counts.max(), 1)


class InOrder(BrightPixels):
    def predict(self, X):
        counts = super().predict(X)
        return counts + np.arange(len(counts))


class Learning(BrightPixels):
    def fit(self, X, y):
        before = getattr(self, "per_pixel_", 0)
        super().fit(X, y)
        self.per_pixel_ += before
        return self


class Brightening(BrightPixels):
    def fit(self, X, y):
        super().fit(X, y)
        if isinstance(X, np.ndarray) and X.dtype == np.float32 and X.flags.writeable:
            X *= 2
        return self


class Dividing(BrightPixels):
    def predict(self, X):
        counts = super().predict(X)
        if isinstance(X, np.ndarray) and X.dtype == np.float64 and X.flags.writeable:
            X[:] = 0
        return counts


class Clearing(BrightPixels):
    def predict(self, X):
        counts = super().predict(X)
        if isinstance(X, list):
            X.clear()
        return counts


class Blind(BrightPixels):
    def predict(self, X):
        return 0.0 * super().predict(X)


class Seeding(BrightPixels):
    def fit(self, X, y):
        np.random.seed(0)  # noqa: NPY002 - which is what is to be noticed
        return super().fit(X, y)


class Puzzled(BrightPixels):
    def fit(self, X, y):
        len(y)  # of None: an error that says nothing
        return super().fit(X, y)


class Unpicklable(BrightPixels):
    def __getstate__(self):
        return {**super().__getstate__(), "per_pixel_": 0.0}


class Strict(BrightPixels):
    """Takes arrays only."""

    def fit(self, X, y):
        if not isinstance(X, np.ndarray):
            raise ValueError("not an array")
        return super().fit(X, y)


class Complex(BrightPixels):
    def fit(self, X, y):
        return super().fit(np.real(X) if isinstance(X, np.ndarray) else X, y)


class NaNs(BrightPixels):
    def fit(self, X, y):
        return super().fit(np.nan_to_num(X) if isinstance(X, np.ndarray) and X.dtype.kind == "f" else X, y)


class Deciding(BrightPixels):
    def decision_function(self, X):
        return self.predict(X)


class Truncating(BrightPixels):
    def fit(self, X, y):
        return super().fit(X, None if y is None else list(y)[: len(X)] + [[]] * (len(X) - len(y)))


class Negative(BrightPixels):
    def predict(self, X):
        return super().predict(X) - 1.0


class Integral(BrightPixels):
    def predict(self, X):
        return super().predict(X).round().astype(int)


class AnyChannels(BrightPixels):
    def predict(self, X):
        self_channels = check_images(X).n_channels
        check_is_fitted(self)
        kept, self.n_channels_in_ = self.n_channels_in_, self_channels
        counts = super().predict(X)
        self.n_channels_in_ = kept
        return counts


class NoSingle(BrightPixels):
    def fit(self, X, y):
        if len(check_images(X)) == 1:
            raise ValueError("boom")
        return super().fit(X, y)


class NoLists(BrightPixels):
    def fit(self, X, y):
        if isinstance(X, list) and len({np.shape(image) for image in X}) > 1:
            raise ValueError("boom")
        return super().fit(X, y)


class Weighted(BrightPixels):
    """Takes weights and forgets them."""

    def fit(self, X, y, sample_weight=None):
        if sample_weight is not None:
            weights = np.asarray(sample_weight)
            if weights.shape != (len(y),):
                raise ValueError("shape of the weights")
            if not weights.any():
                raise ValueError("all weights are zero")
        return super().fit(X, y)


class Unconstrained(BrightPixels):
    _parameter_constraints = {"threshold": [float]}


MUTANTS = {
    Forgetful: "check_estimators_fit_returns_self",
    Mutating: "check_dict_unchanged",
    Overwriting: "check_estimators_overwrite_params",
    Leaving: "check_dont_overwrite_parameters",
    Relative: "check_methods_subset_invariance",
    InOrder: "check_methods_sample_order_invariance",
    Learning: "check_fit_idempotent",
    Brightening: "check_inplace_ensure_writeable",
    Dividing: "check_inplace_ensure_writeable",
    Clearing: "check_inplace_ensure_writeable",
    Blind: "check_regressors_learn",
    Seeding: "check_global_random_states",
    Puzzled: "check_requires_y_none",
    Unpicklable: "check_estimators_pickle",
    Strict: "check_regressor_data_not_an_array",
    Complex: "check_complex_data",
    NaNs: "check_estimators_nan_inf",
    Deciding: "check_regressors_no_decision_function",
    Truncating: "check_regressors_train",
    Negative: "check_regressors_train",
    Integral: "check_estimators_dtypes",
    AnyChannels: "check_n_features_in_after_fitting",
    NoSingle: "check_fit2d_1sample",
    NoLists: "check_lists_of_sizes",
    Weighted: "check_sample_weight_equivalence_on_dense_data",
    Unconstrained: "check_param_validation",
}


@pytest.mark.parametrize(("broken", "check"), MUTANTS.items(), ids=[c.__name__ for c in MUTANTS])
def test_a_broken_convention_is_noticed(broken, check):
    results = check_image_estimator(broken(), on_fail=None)
    failed = {r["check_name"] for r in results if r["status"] == "failed"}
    assert check in failed


class Noisy(BrightPixels):
    """Says that it never counts the same way twice."""

    def predict(self, X):
        counts = super().predict(X)
        return counts * np.random.default_rng().uniform(0.9, 1.1, len(counts))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = tags.regressor_tags.poor_score = True
        return tags


class SameSizes(BrightPixels):
    def fit(self, X, y):
        if len(set(check_images(X).shapes)) > 1:
            raise ValueError("All images must have the same size.")
        return super().fit(X, y)


@pytest.mark.parametrize(
    "right", [Noisy(), SameSizes(), make_pipeline(FunctionTransformer(), BrightPixels())]
)
def test_what_is_right_in_its_own_way_passes(right):
    pickle_differs = {"check_estimators_pickle": "it never counts the same way twice"}
    expected = {**pickle_differs, "check_estimators_pickle(readonly_memmap=True)": "as above"}
    results = check_image_estimator(
        right, expected_failed_checks=expected if isinstance(right, Noisy) else None, on_fail=None
    )
    assert [r for r in results if r["status"] == "failed"] == []


def test_a_failure_is_raised_or_warned_of_or_expected():
    with pytest.raises(AssertionError, match="does not return self"):
        check_image_estimator(Forgetful())
    with pytest.warns(EstimatorCheckFailedWarning, match="Leaving.fit adds") as warned:
        check_image_estimator(Leaving(), on_fail="warn")
    assert {w.filename for w in warned} == {__file__}
    results = check_image_estimator(
        Leaving(), expected_failed_checks={"check_dont_overwrite_parameters": "a count beside"}
    )
    expected = [r for r in results if r["status"] == "xfail"]
    assert [r["expected_to_fail_reason"] for r in expected] == ["a count beside"]
    assert isinstance(expected[0]["exception"], AssertionError)


@parametrize_with_image_checks([BrightPixels(), DensityMapTransformer(image_shape=(24, 24))])
def test_under_pytest_each_check_is_a_test(estimator, check):
    check(estimator)


def test_under_pytest_what_is_expected_to_fail_is_marked():
    reasons = {"check_dont_overwrite_parameters": "a count beside"}
    mark = parametrize_with_image_checks([Leaving()], expected_failed_checks=lambda _: reasons)
    marked = [case for case in mark.args[1] if case.marks]
    assert [case.id for case in marked] == ["Leaving-check_dont_overwrite_parameters"]


def test_what_is_no_estimator_of_images_is_refused():
    with pytest.raises(TypeError, match="neither predict nor transform"):
        check_image_estimator(BaseEstimator())
    with pytest.raises(InvalidParameterError, match="'on_fail' parameter"):
        check_image_estimator(BrightPixels(), on_fail="shout")
