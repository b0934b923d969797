"""A regressor remembers what it was trained on and how good it is."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_predict

import skcount
from skcount.datasets import make_cells
from skcount.regressors._quality import describe_quality

X, POINTS = make_cells(12, image_shape=(32, 32), n_cells=(1, 12), random_state=0, return_X_y=True)


def small(max_epochs=1):
    return skcount.UNetRegressor(filters=4, sigma=2, max_epochs=max_epochs, batch_size=2, random_state=0)


@pytest.fixture(scope="module")
def blind():
    """A model that is worse than the mean of its training images, measured."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = small().fit(X[:8], POINTS[:8])
    model.measure(X[8:], POINTS[8:])
    return model


def test_the_errors_are_those_of_the_counts(blind):
    with pytest.warns(UserWarning, match="counted no better"):
        counts = blind.predict(X[8:])
    errors = counts - POINTS[8:].counts
    held_out, trained_on = blind.held_out_, blind.trained_on_
    assert held_out["mae"] == pytest.approx(np.abs(errors).mean())
    assert held_out["bias"] == pytest.approx(errors.mean())
    assert held_out["mae_standard_error"] == pytest.approx(np.abs(errors).std(ddof=1) / 2)
    mean = POINTS[:8].counts.mean()
    assert held_out["baseline_mae"] == pytest.approx(np.abs(mean - POINTS[8:].counts).mean())
    assert trained_on["n_objects"] == POINTS[:8].counts.sum()
    assert trained_on["converged"] is False


@pytest.mark.parametrize("method", ["predict", "predict_density", "predict_points", "iter_density"])
def test_each_prediction_of_a_blind_model_warns(blind, method, tmp_path):
    blind.save(tmp_path / "model.skcount")
    for model in (blind, skcount.load(tmp_path / "model.skcount")):
        with pytest.warns(UserWarning, match="counted no better"):
            getattr(model, method)(X[8:])


def test_a_further_fit_forgets_the_error_of_the_earlier_weights(blind):
    model = small(60).set_params(warm_start=True).fit(X[:8], POINTS[:8])
    model.measure(X[8:], POINTS[8:])
    assert model.held_out_["mae"] < model.held_out_["baseline_mae"]
    model.predict(X)  # no warning
    model.partial_fit(X[:4], POINTS[:4])
    assert not hasattr(model, "held_out_")
    assert model.trained_on_["n_images"] == 4


def test_a_model_of_an_older_version_is_described_and_measured(blind):
    old = small(60).fit(X[:8], POINTS[:8])
    del old.trained_on_
    assert describe_quality(None, None) == ["held-out error: not measured"]
    old.measure(X[8:9], POINTS[8:9])
    (line,) = describe_quality(None, old.held_out_)
    assert line.endswith("on 1 image (few: the error is uncertain)")
    old.predict(X)  # no warning


def test_predict_tells_each_time_that_the_training_did_not_converge(tmp_path):
    regressor = small().fit(X, POINTS)
    regressor.save(tmp_path / "model.skcount")
    for each in (regressor, skcount.load(tmp_path / "model.skcount"), pickle.loads(pickle.dumps(regressor))):
        for _ in range(2):
            with pytest.warns(ConvergenceWarning, match="did not converge"):
                each.predict(X)
    assert not [
        w for w in caught_in(lambda: cross_val_predict(small(), X, POINTS)) if "did not converge" in w
    ]


def caught_in(do):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        do()
    return [str(w.message) for w in caught]
