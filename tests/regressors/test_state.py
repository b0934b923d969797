import copy
import pickle
import pickletools
import threading
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skcount import DensityMapRegressor, UNetRegressor
from skcount.training import Crops, _train

small = partial(UNetRegressor, filters=4, depth=2, max_epochs=2, random_state=0)


def weights_of(regressor):
    return torch.cat([p.detach().flatten() for p in regressor.module_.parameters()]).numpy()


# --- copies and pickles ---------------------------------------------------------------------------------------------


class Fading(torch.nn.Module):
    """A network that holds more than weights."""

    def __init__(self, n_channels):
        super().__init__()
        self.conv, self.gain = torch.nn.Conv2d(n_channels, 1, 3, padding=1), 1.0

    def forward(self, x):
        self.gain *= 0.9 if self.training else 1
        return self.gain * self.conv(x)


class Mine(UNetRegressor):
    """A subclass with a constructor of its own."""

    def __init__(self, sigma=2, random_state=None):
        super().__init__(4, depth=2, max_epochs=1, sigma=sigma, random_state=random_state)


@pytest.mark.parametrize(
    "regressor",
    [small(), small(device=torch.device("cpu")), DensityMapRegressor(Fading, max_epochs=2), Mine()],
    ids=["plain", "device", "network", "subclass"],
)
@pytest.mark.parametrize(
    "copied",
    [lambda r: pickle.loads(pickle.dumps(r)), copy.deepcopy, copy.copy],
    ids=["pickle", "deep", "copy"],
)
def test_a_fitted_regressor_survives_copying(regressor, copied, noise):
    X, points = noise
    fitted = clone(regressor).set_params(random_state=0).fit(X, points)
    np.testing.assert_array_equal(copied(fitted).predict(X), fitted.predict(X))


def test_a_fitted_regressor_pickles_as_plain_arrays_and_as_it_was_fitted(noise):
    X, points = noise
    regressor = DensityMapRegressor("fcrn_b", max_epochs=1, random_state=0).fit(X, points)
    expected = regressor.predict(X)
    regressor.set_params(
        architecture="unet", architecture_params={"filters": 3}, precision="float64", sigma=9
    )
    np.testing.assert_array_equal(regressor.predict(X), expected)
    before = torch.get_rng_state()
    data = pickle.dumps(regressor)
    loaded = pickle.loads(data)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(loaded.predict(X), expected)
    assert loaded.architecture == "unet"
    imported = {arg for op, arg, _ in pickletools.genops(data) if op.name == "SHORT_BINUNICODE"}
    assert not any(name.startswith("torch") for name in imported)


@pytest.mark.parametrize("device", ["cuda:99", torch.device("cuda:99")], ids=["name", "object"])
def test_a_fitted_regressor_of_a_device_that_is_not_here_loads_on_the_cpu(device, noise):
    X, points = noise
    regressor = small().fit(X, points)
    regressor.device = device
    loaded = pickle.loads(pickle.dumps(regressor))
    np.testing.assert_array_equal(loaded.predict(X), regressor.predict(X))


def test_parameters_that_are_changed_in_place_change_no_fitted_model(noise):
    X, points = noise
    params = {"filters": 4, "depth": 2}
    fitted = DensityMapRegressor(architecture_params=params, max_epochs=1, random_state=0).fit(X, points)
    params["filters"] = 8
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))
    with pytest.raises(ValueError, match="cannot go on with"):
        fitted.set_params(warm_start=True).fit(X, points)


def test_a_model_loads_while_another_thread_trains(noise):
    X, points = noise
    fitted = small().fit(X, points)
    data, loaded = pickle.dumps(fitted), []
    before = torch.get_rng_state()
    with _train._drawing:
        loading = threading.Thread(target=lambda: loaded.append(pickle.loads(data)), daemon=True)
        loading.start()
        loading.join(600)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(loaded[0].predict(X), fitted.predict(X))


# --- training that goes on ------------------------------------------------------------------------------------------


def test_warm_start_goes_on_and_partial_fit_trains_one_epoch_more(noise):
    X, points = noise
    warm = small(warm_start=True).fit(X, points)
    once = warm.predict(X)
    assert (warm.fit(X, points).predict(X) != once).any()
    assert warm.n_iter_ == 4
    assert [row["epoch"] for row in warm.history_] == [1, 2, 3, 4]
    partial = small().partial_fit(X, points)
    assert partial.n_iter_ == 1
    assert partial.partial_fit(X[:2], points[:2]).n_iter_ == 2


@pytest.mark.parametrize("loss", ["multiscale", torch.nn.MSELoss()], ids=["name", "module"])
def test_partial_fit_goes_on_exactly_where_it_was_through_a_pickle_too(loss, noise):
    X, points = noise
    in_one_process, stepwise = small(loss=loss), small(loss=loss)
    for _ in range(6):
        in_one_process.partial_fit(X, points)
        stepwise = pickle.loads(pickle.dumps(stepwise.partial_fit(X, points)))
    np.testing.assert_array_equal(weights_of(stepwise), weights_of(in_one_process))
    assert stepwise.history_[-1]["train_loss"] == in_one_process.history_[-1]["train_loss"]


def test_calls_of_partial_fit_are_one_training(noise, monkeypatch):
    X, points = noise
    stepwise, in_one_go = small(), small()
    for _ in range(6):
        stepwise.partial_fit(X, points)
    make_plan = type(in_one_go)._make_plan

    def six_epochs(self, *args, **params):
        plan = make_plan(self, *args, **params)
        plan.n_epochs, plan.n_steps = 6, 6 * plan.n_steps
        return plan

    monkeypatch.setattr(type(in_one_go), "_make_plan", six_epochs)
    in_one_go.partial_fit(X, points)
    np.testing.assert_array_equal(weights_of(stepwise), weights_of(in_one_go))


def test_a_warm_start_draws_on(noise, monkeypatch):
    drawn, draw = [], Crops._draw
    monkeypatch.setattr(
        Crops, "_draw", lambda self, index, rng: (drawn.append(rng.random()), draw(self, index, rng))[1]
    )
    for _ in range(2):
        small(warm_start=True, lr=1e-12).fit(*noise).fit(*noise)
    assert len(set(drawn)) == len(drawn) / 2  # never the same again in one regressor, the same in both
    assert drawn[: len(drawn) // 2] == drawn[len(drawn) // 2 :]


# --- the state of optimizers ----------------------------------------------------------------------------------------


class Odd(torch.optim.SGD):
    """An optimizer that remembers more than single-precision tensors of parameters."""

    def step(self, closure=None):
        super().step(closure)
        self.state["n_steps"] = self.state.get("n_steps", 0) + 1
        for group in self.param_groups:
            group["k"] = group.get("k", 0) + 1
            for parameter in group["params"]:
                old = self.state[parameter].get("old", [torch.zeros(1)])
                self.state[parameter]["old"] = [parameter.detach().to(torch.bfloat16), *old[:1]]


def test_any_optimizer_may_remember_what_it_likes(noise):
    regressor = small(net_params={"optimizer": Odd}, lr=1e-3).fit(*noise).partial_fit(*noise)
    assert regressor._training_state["optimizer"]["groups"] == [{"k": 1}]
    regressor = pickle.loads(pickle.dumps(regressor)).partial_fit(*noise)
    assert regressor._training_state["optimizer"]["groups"] == [{"k": 2}]
    assert regressor._training_state["optimizer"]["state"]["n_steps"] == 2


def test_an_optimizer_with_another_switch_starts_afresh(noise):
    adam = {"optimizer": torch.optim.Adam}
    regressor = small(net_params=adam, lr=1e-3).partial_fit(*noise)
    regressor.set_params(net_params={**adam, "optimizer__amsgrad": True}).partial_fit(*noise)
    assert regressor._training_state["optimizer"]["kind"] == ["torch.optim.adam.Adam", "amsgrad"]


def test_another_optimizer_or_learning_rate_is_used_when_training_goes_on(noise):
    regressor = small().partial_fit(*noise)
    still = copy.deepcopy(regressor).set_params(lr=1e-12).partial_fit(*noise)
    np.testing.assert_allclose(weights_of(still), weights_of(regressor), atol=1e-9)
    other = regressor.set_params(net_params={"optimizer": torch.optim.SGD}).partial_fit(*noise)
    assert other._training_state["optimizer"]["kind"] == ["torch.optim.sgd.SGD"]
