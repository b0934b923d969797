"""Every estimator keeps scikit-learn's conventions: by scikit-learn's checks on tables, and by ours on images.

A table with counts is n images of 1 x n_features, so that scikit-learn's checks all mean something.
"""

import json
import os
import pickle
import subprocess
import sys

import pytest
import sklearn
from sklearn.base import is_regressor
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import _check_name, estimator_checks_generator, parametrize_with_checks
from sklearn.utils.fixes import parse_version

from skcount import DensityMapRegressor, DensityMapTransformer, FCRNRegressor, UNetRegressor
from skcount.testing import all_estimators, check_image_estimator, parametrize_with_image_checks

# The suite compares to 1e-7 what is trained twice: in double precision, all samples in one step, nothing random.
STRICT = {"max_epochs": 2, "dtype": "float64", "batch_size": -1, "augment": False, "random_state": 0}
# The defaults, but for their size: single precision, crops in batches, flips and turns.
BRIEF = {"max_epochs": 2, "random_state": 0}
UNET = {"filters": 4, "convolutions": 1}

# Older versions of scikit-learn have fewer checks.
RECENT = parse_version(sklearn.__version__) >= parse_version("1.9")

# Each estimator, as it is checked: with everything that is random, and with nothing.
INSTANCES = {
    "DensityMapRegressor": [
        DensityMapRegressor(architecture_params=UNET, **BRIEF),
        DensityMapRegressor(architecture_params={**UNET, "normalization": None}, **STRICT),
    ],
    "UNetRegressor": [
        UNetRegressor(**UNET, **BRIEF),
        UNetRegressor(**UNET, normalization=None, **STRICT),
    ],
    "FCRNRegressor": [FCRNRegressor(**BRIEF), FCRNRegressor(normalization=None, **STRICT)],
    "DensityMapTransformer": [DensityMapTransformer(image_shape=(24, 24))],
}
SLOW = ["FCRNRegressor"]  # a network of four million parameters, trained some hundred times
BATCHES_DIFFER = (
    "an image of weight 2 is in one batch, and the same image twice may be in two: equal only with batch_size=-1, "
    "augment=False, dtype='float64' and no batch normalisation"
)


def expected_failures(estimator):
    """What cannot hold for batches drawn at random: one check, named."""
    strict = not is_regressor(estimator) or estimator.batch_size == -1
    return {} if strict else {"check_sample_weight_equivalence_on_dense_data": BATCHES_DIFFER}


def instances(*, slow):
    return [case for name, cases in INSTANCES.items() if (name in SLOW) == slow for case in cases]


def brief_regressors(*, slow):
    return [case for case in instances(slow=slow) if expected_failures(case)]


def test_every_estimator_is_checked():
    assert [name for name, _ in all_estimators()] == sorted(INSTANCES)
    for name, kind in all_estimators():
        assert all(type(case) is kind for case in INSTANCES[name])


@parametrize_with_checks(brief_regressors(slow=False), expected_failed_checks=expected_failures)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(brief_regressors(slow=True), expected_failed_checks=expected_failures)
def test_scikit_learns_checks_of_large_networks(estimator, check):
    check(estimator)


@parametrize_with_image_checks(instances(slow=False), expected_failed_checks=expected_failures)
def test_checks_on_images(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_image_checks(instances(slow=True), expected_failed_checks=expected_failures)
def test_checks_on_images_of_large_networks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", [name for name in INSTANCES if name.endswith("Regressor")])
def test_of_scikit_learns_checks_at_least_57_run_on_each_regressor(name):
    names = [_check_name(check) for _, check in estimator_checks_generator(INSTANCES[name][0])]
    kept = [
        n
        for n in names
        if n not in {"check_sample_weight_equivalence_on_dense_data", "check_array_api_input"}
    ]
    assert len(kept) >= (57 if RECENT else 52)


@pytest.mark.parametrize("check", ["check_dataframe_column_names_consistency", "check_param_validation"])
@pytest.mark.parametrize("regressor", brief_regressors(slow=False), ids=lambda case: type(case).__name__)
def test_checks_that_scikit_learn_keeps_for_its_own_estimators(regressor, check):
    getattr(estimator_checks, check)(type(regressor).__name__, regressor)


STRICTLY = """
import json, sys, pickle
from sklearn.utils.estimator_checks import check_estimator
results = check_estimator(pickle.load(sys.stdin.buffer))
print(json.dumps([result["status"] for result in results]))
"""


@pytest.mark.parametrize(
    "name",
    ["DensityMapRegressor", "UNetRegressor", pytest.param("FCRNRegressor", marks=pytest.mark.slow)],
)
def test_all_of_scikit_learns_checks_pass_in_double_precision_under_the_array_api(name):
    # scipy reads the variable when it is imported: in a process of its own.
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-W", "ignore", "-c", STRICTLY],
        input=pickle.dumps(INSTANCES[name][1]),
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        check=True,
    )
    statuses = json.loads(done.stdout.splitlines()[-1])
    assert set(statuses) == {"passed"}
    assert len(statuses) >= (59 if RECENT else 54)


@pytest.mark.parametrize("name", sorted(set(INSTANCES) - set(SLOW)))
def test_the_checks_on_images_are_as_many_as_they_were(name):
    strict = INSTANCES[name][-1]
    results = check_image_estimator(strict)
    assert {result["status"] for result in results} == {"passed"}
    assert len(results) >= (50 if is_regressor(strict) else 22)
