import re
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skcount import DensityMapRegressor, DensityMapTransformer, FCRNRegressor, UNetRegressor
from skcount.datasets import make_cells
from skcount.regressors import _base

small = partial(UNetRegressor, filters=4, depth=2, max_epochs=2, random_state=0)
REGRESSORS = [DensityMapRegressor(), UNetRegressor(), FCRNRegressor()]

# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("regressor", REGRESSORS, ids=str)
def test_the_docstring_describes_every_parameter_in_order(regressor):
    described = re.findall(
        r"^(\w+(?:, \w+)*) : ", type(regressor).__doc__.split("Attributes\n")[0], re.MULTILINE
    )
    assert sorted(described) == sorted(regressor.get_params(deep=False))
    assert set(regressor._parameter_constraints) == set(described)


def test_there_are_few_parameters_and_the_shared_ones_have_the_same_defaults():
    own = [regressor.get_params() for regressor in REGRESSORS]
    assert len(own[0]) == 23
    shared = set(own[0]) & set(own[1]) & set(own[2])
    assert len(shared) == 21
    for name in shared:
        assert len({repr(params[name]) for params in own}) == 1


# --- parameters inside others ---------------------------------------------------------------------------------------


def test_parameters_of_the_architecture_are_searched_one_by_one(noise):
    regressor = DensityMapRegressor(architecture_params={"depth": 2}, max_epochs=1, random_state=0)
    grid = {"architecture_params__filters": [2, 3], "density__sigma": [1.0]}
    search = GridSearchCV(regressor, grid, cv=2, error_score="raise").fit(*noise)
    best = search.best_estimator_
    filters = search.best_params_["architecture_params__filters"]
    assert best.architecture_params == {"depth": 2, "filters": filters}
    assert best.module_.network.density.in_channels == filters
    assert regressor.architecture_params == {"depth": 2}


def test_the_outer_parameter_may_be_none():
    regressor = DensityMapRegressor()
    regressor.set_params(
        architecture_params__filters=2, density__kernel="adaptive", net_params__iterator_train__num_workers=1
    )
    assert regressor.architecture_params == {"filters": 2}
    assert regressor.density.kernel == "adaptive"
    assert regressor.net_params == {"iterator_train__num_workers": 1}
    assert clone(regressor).get_params()["density__kernel"] == "adaptive"
    regressor.set_params(architecture_params={"depth": 1}, architecture_params__filters=3, density__sigma=4)
    assert regressor.architecture_params == {"depth": 1, "filters": 3}
    assert (regressor.density.kernel, regressor.density.sigma) == ("adaptive", 4)
    regressor.set_params(density=DensityMapTransformer(truncate=3), density__sigma=5)
    assert (regressor.density.truncate, regressor.density.sigma) == (3, 5)


@pytest.mark.parametrize("typo", ["density__sigmaa", "densty__sigma", "architecture_params__filters"])
def test_a_parameter_that_does_not_exist_is_refused(typo):
    regressor = small()
    with pytest.raises(ValueError, match="Invalid parameter"):
        regressor.set_params(**{typo: 2.0})
    assert regressor.density is None


def test_sigma_overrides_the_transformers_and_none_leaves_it(noise):
    density = DensityMapTransformer(sigma=3, truncate=2)
    assert small(density=density).fit(*noise).density_.sigma == 3
    fitted = small(density=density, sigma=1.5).fit(*noise).density_
    assert (fitted.sigma, fitted.truncate) == (1.5, 2)
    assert density.sigma == 3


# --- devices and precision ------------------------------------------------------------------------------------------


def test_a_device_is_a_name_or_an_object(noise):
    by_name, *others = (
        small(device=device).fit(*noise).predict(noise[0])
        for device in ("cpu", torch.device("cpu"), torch.device("cpu", 0))
    )
    np.testing.assert_array_equal(others, [by_name] * 2)


def test_single_precision_is_the_default_even_if_the_device_has_bfloat16(noise, monkeypatch):
    monkeypatch.setattr(_base, "computes_bf16", lambda device: True)
    default = small().fit(*noise)
    assert default.precision == "float32"
    assert not default.module_.bf16_training
    assert {p.dtype for p in default.module_.parameters()} == {torch.float32}
    assert default.predict_density(noise[0]).dtype == np.float32
    double = small(precision="float64").fit(*noise)
    assert {p.dtype for p in double.module_.parameters()} == {torch.float64}
    assert double.predict_density(noise[0]).dtype == np.float64
    np.testing.assert_allclose(default.predict(noise[0]), double.predict(noise[0]), rtol=0.05)


@pytest.mark.slow  # without instructions for bfloat16
def test_bfloat16_learns_as_well_and_predicts_about_the_same(monkeypatch):
    monkeypatch.setattr(_base, "computes_bf16", lambda device: True)
    X, points = make_cells(n_samples=8, image_shape=(120, 48), random_state=0, return_X_y=True)
    single, mixed = (
        small(max_epochs=60, batch_size=4, lr=0.04, precision=precision).fit(X, points)
        for precision in ("float32", "bf16-mixed")
    )
    losses = [[row["train_loss"] for row in regressor.history_] for regressor in (single, mixed)]
    ends = [np.mean(of_epochs[-5:]) for of_epochs in losses]
    assert ends[1] < 1.5 * ends[0] < 0.5 * losses[1][0]
    assert {p.dtype for p in mixed.module_.parameters()} == {torch.float32}
    counts = mixed.predict(X)
    assert counts.sum() == pytest.approx(points.counts.sum())  # the bias is taken out
    np.testing.assert_array_equal(mixed.predict(X[:1]), counts[:1])
    np.testing.assert_allclose(mixed.set_params(tile_size=104).predict(X), counts, rtol=1e-3)
    in_single = mixed.set_params(precision="float32", tile_size=None).predict(X)
    assert not (in_single == counts).any()
    np.testing.assert_allclose(counts, in_single, rtol=0.01)
    # A device without bfloat16 predicts in single precision: there it would take many times as long.
    monkeypatch.setattr(_base, "computes_bf16", lambda device: False)
    np.testing.assert_array_equal(mixed.set_params(precision="bf16-mixed").predict(X), in_single)


def test_bfloat16_trains_a_users_network_too_and_ends_when_it_is_switched_off(noise):
    regressor = DensityMapRegressor("fcrn_a", max_epochs=1, precision="bf16-mixed", random_state=0)
    assert regressor.fit(*noise).module_.bf16_training
    regressor.set_params(precision="float32").partial_fit(*noise)
    assert not regressor.module_.bf16_training
