"""scikit-learn's own checks: a table with counts is n images of 1 x n_features, so that they all mean something."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skcount import DensityMapRegressor, FCRNRegressor, UNetRegressor

# The suite compares to 1e-7 what is trained twice: in double precision, all samples in one step, nothing random.
STRICT = {
    "max_epochs": 2,
    "dtype": "float64",
    "batch_size": -1,
    "augment": False,
    "random_state": 0,
}


@parametrize_with_checks(
    [
        UNetRegressor(filters=4, convolutions=1, normalization=None, **STRICT),
        DensityMapRegressor(architecture_params={"filters": 4, "normalization": None}, **STRICT),
    ]
)
def test_it_passes_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([FCRNRegressor(normalization=None, **STRICT)])
def test_the_large_network_passes_them_too(estimator, check):
    check(estimator)
