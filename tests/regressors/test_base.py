import copy
import io
import pickle
import pickletools
import re
import sys
import threading
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback

from skcount import (
    DensityMapRegressor,
    DensityMapTransformer,
    FCRNRegressor,
    ImageSet,
    PointAnnotations,
    UNetRegressor,
    _progress,
)
from skcount._doc_link import DOCUMENTATION
from skcount.datasets import make_cells
from skcount.metrics import count_mae_scorer
from skcount.networks import UNet
from skcount.regressors import _base, _randomness
from skcount.regressors._hold_out import hold_out
from skcount.training import LOSSES, PointTarget


def small(**params):
    """A regressor that fits in a blink."""
    defaults = {"filters": 4, "convolutions": 1, "max_epochs": 2, "random_state": 0}
    return UNetRegressor(**{**defaults, **params})


REGRESSORS = [
    DensityMapRegressor(architecture_params={"filters": 4}, max_epochs=2, random_state=0),
    DensityMapRegressor("fcrn_b", max_epochs=1, random_state=0),
    small(),
    small(normalization=None, dtype="float64"),
    FCRNRegressor(max_epochs=1, random_state=0),
]


# --- counts, maps and points ------------------------------------------------------------------------------------


@pytest.mark.parametrize("regressor", REGRESSORS, ids=str)
def test_a_count_is_the_sum_of_its_density_map(regressor, noise):
    X, points = noise
    regressor = clone(regressor).fit(X, points)
    density, counts = regressor.predict_density(X), regressor.predict(X)
    assert density.shape == X.shape[:3]
    assert counts.shape == (len(X),)
    assert counts.dtype == np.float64
    assert (density >= 0).all()
    np.testing.assert_allclose(counts, density.sum(axis=(1, 2), dtype=np.float64), rtol=1e-12)


def test_predicted_points_are_as_many_as_the_rounded_counts(cells):
    X, points = cells
    regressor = small(max_epochs=10).fit(X, points)
    places = regressor.predict_points(X)
    np.testing.assert_array_equal(places.counts, np.round(regressor.predict(X)))
    assert places.inside(X.shape[1:3]) == places


def test_iter_density_gives_the_maps_one_by_one(noise):
    X, points = noise
    regressor = small().fit(X, points)
    for one, other in zip(regressor.iter_density(X), regressor.predict_density(X), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_count_does_not_depend_on_the_images_beside_it(noise):
    X, points = noise
    regressor = small().fit(X, points)
    counts = regressor.predict(X)
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_array_equal(regressor.predict(X[order]), counts[order])
    np.testing.assert_array_equal(regressor.predict(X[2:3]), counts[2:3])


def test_it_learns_to_count_cells_and_that_a_blank_image_is_empty():
    from skcount.datasets import make_cells

    X, points = make_cells(n_samples=24, image_shape=(64, 64), random_state=0, return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regressor = UNetRegressor(max_epochs=60, random_state=0).fit(X[:16], points[:16])
    blind = np.abs(points[16:].counts - points[:16].counts.mean()).mean()
    assert -regressor.score(X[16:], points[16:]) < 0.6 * blind
    for shape in ((64, 64, 3), (100, 75, 3)):
        assert regressor.predict(np.zeros((1, *shape), dtype=np.uint8))[0] < 0.5


def test_mixed_precision_learns_as_well_and_predicts_in_single_precision_where_it_was_not_asked_for(
    monkeypatch,
):
    X, points = make_cells(n_samples=16, image_shape=(48, 48), random_state=0, return_X_y=True)
    plain, mixed = (small(max_epochs=60, mixed_precision=mixed).fit(X, points) for mixed in (False, True))
    assert not (plain.predict(X) == mixed.predict(X)).all()
    (_, *_, of_plain), (begin, *_, end) = ([row["train_loss"] for row in r.history_] for r in (plain, mixed))
    assert end < 1.2 * of_plain
    assert end < 0.5 * begin
    assert {p.dtype for p in mixed.module_.parameters()} == {torch.float32}
    before = mixed.set_params(mixed_precision="auto").predict(X)
    np.testing.assert_array_equal(mixed.set_params(mixed_precision=False).predict(X), before)
    monkeypatch.setattr(_base, "computes_bfloat16", lambda device: False)
    np.testing.assert_array_equal(mixed.set_params(mixed_precision=True).predict(X), before)


def test_predictions_in_mixed_precision_are_about_the_same_and_their_bias_is_taken_out(monkeypatch):
    monkeypatch.setattr(_base, "computes_bfloat16", lambda device: True)
    X, points = make_cells(n_samples=8, image_shape=(120, 64), random_state=0, return_X_y=True)
    regressor = small(max_epochs=100, mixed_precision=True).fit(X, points)
    mixed = regressor.predict(X)
    assert mixed.sum() == pytest.approx(points.counts.sum())
    np.testing.assert_array_equal(regressor.predict(X[:1]), mixed[:1])
    np.testing.assert_allclose(regressor.set_params(tile_size=80).predict(X), mixed, rtol=1e-3)
    single = regressor.set_params(mixed_precision="auto").predict(X)
    assert not (single == mixed).any()
    np.testing.assert_allclose(mixed, single, rtol=0.01)
    assert {p.dtype for p in regressor.module_.parameters()} == {torch.float32}


@pytest.mark.parametrize("has", [False, True])
def test_mixed_precision_is_chosen_where_the_device_has_it(has, noise, monkeypatch):
    monkeypatch.setattr(_base, "computes_bfloat16", lambda device: has and device == "cpu")
    default, told = (small(device="cpu", **of).fit(*noise) for of in ({}, {"mixed_precision": has}))
    assert default.module_.trains_mixed == told.module_.trains_mixed == has
    for one, other in zip(
        default.module_.network.parameters(), told.module_.network.parameters(), strict=True
    ):
        assert torch.equal(one, other)
    single = told.set_params(mixed_precision=False).predict(noise[0])
    np.testing.assert_allclose(default.predict(noise[0]), single, rtol=0.01)
    double = small(dtype="float64").fit(*noise)
    assert next(double.module_.parameters()).dtype == torch.float64


def test_a_users_network_is_trained_in_mixed_precision_only_where_that_is_wanted(noise, monkeypatch):
    monkeypatch.setattr(_base, "computes_bfloat16", lambda device: True)
    regressor = DensityMapRegressor(UNet, architecture_params={"filters": 2}, max_epochs=1, random_state=0)
    assert not regressor.fit(*noise).module_.trains_mixed
    assert regressor.set_params(mixed_precision=True).fit(*noise).module_.trains_mixed


def test_mixed_precision_is_what_the_last_fit_was_told(noise):
    regressor = small(mixed_precision=True).fit(*noise)
    regressor.set_params(mixed_precision=False).partial_fit(*noise)
    assert not regressor.module_.trains_mixed


def test_jitter_makes_counts_of_images_of_more_contrast_stay():
    X, points = make_cells(n_samples=16, image_shape=(48, 48), random_state=0, return_X_y=True)
    X = X[..., 2] // 2  # room above
    plain, jittered = (small(max_epochs=60, jitter=jitter).fit(X, points) for jitter in (0, 0.5))

    def change(regressor):
        return np.abs(regressor.predict((1.25 * X).astype(np.uint8)) - regressor.predict(X)).mean()

    assert change(jittered) < 0.8 * change(plain)


# --- the target may be points, counts or density maps -----------------------------------------------------------


def test_points_and_their_density_maps_teach_the_same(noise):
    X, _ = noise
    # Far from the border and from each other, so that the highest pixel of all maps is that of one object.
    points = [[(8, 10)], [], [(7, 5), (8, 16)], [], [(8, 8)], [(9, 11)]]
    maps = DensityMapTransformer(sigma=1).transform(points, X.shape[1:3])
    np.testing.assert_array_equal(
        small(sigma=1).fit(X, points).predict(X), small(sigma=1).fit(X, maps).predict(X)
    )


def test_counts_alone_supervise():
    X = np.zeros((24, 16, 16), dtype=np.uint8)
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 8, len(X))
    for image, count in zip(X, counts, strict=True):
        flat = rng.choice(64, count, replace=False)
        image[2 * (flat // 8), 2 * (flat % 8)] = 255
    regressor = small(filters=8, max_epochs=150, lr=0.03).fit(X, counts)
    assert -regressor.score(X, counts) < 0.6 * np.abs(counts - counts.mean()).mean()
    assert regressor.patch_size_ == (16, 16)


def test_images_of_many_sizes_and_their_maps(noise):
    X, points = noise
    images = [X[0], X[1][:9, :1], X[2][:1, :1], X[3][::2], X[4][:, :21], X[5]]
    points = points.inside([image.shape[:2] for image in images])
    maps = [
        DensityMapTransformer().transform([p], i.shape[:2])[0] for p, i in zip(points, images, strict=True)
    ]
    for y in (points, maps, points.counts):
        regressor = small().fit(images, y)
        densities = regressor.predict_density(images)
        assert [d.shape for d in densities] == [image.shape[:2] for image in images]
        assert regressor.predict(images[1:2]) == densities[1].sum(dtype=np.float64)


def test_the_image_of_a_file_is_read_as_the_image_in_memory(noise, tmp_path):
    from skcount.io import load_hdf5, save_hdf5

    X, points = noise
    save_hdf5(tmp_path / "noise.h5", X, points)
    stored = load_hdf5(tmp_path / "noise.h5")
    in_memory = small().fit(X, points).predict(X)
    np.testing.assert_array_equal(small().fit(stored.images, stored.points).predict(stored.images), in_memory)
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        raw = file.create_dataset("images", data=X)
        np.testing.assert_array_equal(small().fit(raw, points).predict(raw), in_memory)


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.uint16, np.int32, bool, np.float16, np.float32, np.float64, ">f4", ">u2"]
)
@pytest.mark.parametrize("channels", [None, 1, 4])
def test_any_type_of_pixel_and_number_of_channels(dtype, channels):
    rng = np.random.default_rng(0)
    shape = (3, 9, 11) if channels is None else (3, 9, 11, channels)
    X = (rng.random(shape) * 2).astype(dtype)
    regressor = small(max_epochs=1).fit(X, [[(1, 2)], [], [(3, 4)]])
    assert np.isfinite(regressor.predict(X)).all()
    assert regressor.n_channels_in_ == (channels or 1)


def test_integer_pixels_count_as_their_scaled_floats(noise):
    X, points = noise
    scaled = X / np.float32(255)
    np.testing.assert_array_equal(
        small().fit(X, points).predict(X), small().fit(scaled, points).predict(scaled)
    )


@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=2)[:, :, ::2],
        lambda X: X[:, ::-1][:, ::-1],
        lambda X: X.astype(">f4"),
        list,
    ],
    ids=["Fortran order", "strided", "negative strides", "big-endian", "list"],
)
def test_the_layout_of_pixels_in_memory_does_not_matter(change, noise):
    X, points = noise
    X = X.astype(np.float32)
    changed = change(X)
    if isinstance(changed, np.ndarray):
        changed.setflags(write=False)
    np.testing.assert_array_equal(
        small().fit(changed, points).predict(changed), small().fit(X, points).predict(X)
    )


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 1, 3), (1, 5, 1), (2, 1, 130), (1, 13, 29)])
def test_images_as_small_as_a_pixel_and_of_any_side(shape):
    X = np.random.default_rng(0).random(shape)
    y = [[(0, 0)]] + [[]] * (shape[0] - 1)
    assert small().fit(X, y).predict_density(X).shape == shape[:3]


def test_images_without_any_point_are_learnt():
    X = np.random.default_rng(0).random((3, 12, 12))
    counts = small(max_epochs=60, lr=0.04).fit(X, [[], [], []]).predict(X)
    assert (counts < 0.5).all()


# --- scikit-learn -----------------------------------------------------------------------------------------------


def test_all_ways_to_score_agree(noise):
    X, points = noise
    regressor = small()
    own = cross_val_score(regressor, X, points, cv=3)
    assert np.isfinite(own).all()
    np.testing.assert_array_equal(
        own, cross_val_score(regressor, X, points, cv=3, scoring="neg_mean_absolute_error")
    )
    for scoring in (count_mae_scorer, None):
        _base._warn_of_list.cache_clear()
        with pytest.warns(UserWarning, match="plain list of points"):
            scores = cross_val_score(regressor, X, list(points), cv=3, scoring=scoring)
        np.testing.assert_array_equal(own, scores)


def test_a_plain_list_of_points_is_warned_of_where_stock_scorers_would_fail_silently(noise):
    X, points = noise
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)  # a UserWarning, of another matter
        small().fit(X, list(points))  # nothing is scored, nothing to warn of
        cross_val_score(small(), X, points, scoring="r2", cv=3, error_score="raise")
    _base._warn_of_list.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search = GridSearchCV(small(), {"sigma": [1, 2]}, scoring="r2", cv=2).fit(X, list(points))
    assert np.isnan(search.cv_results_["mean_test_score"]).all()
    messages = [str(w.message) for w in caught if "PointAnnotations(points)" in str(w.message)]
    assert len(messages) == 1


def test_score_is_minus_the_count_mae_against_any_target(noise):
    X, points = noise
    regressor = small().fit(X, points)
    mae = np.abs(regressor.predict(X) - points.counts).mean()
    for y in (points, list(points), points.counts):
        assert regressor.score(X, y) == pytest.approx(-mae)
    maps = DensityMapTransformer().transform(points, X.shape[1:3])
    assert regressor.score(X, maps) == pytest.approx(-mae, abs=1e-5)
    weights = np.arange(6)
    weighted = np.average(np.abs(regressor.predict(X) - points.counts), weights=weights)
    assert regressor.score(X, points, sample_weight=weights) == pytest.approx(-weighted)


def test_the_sigma_of_the_transformer_can_be_searched(noise):
    X, points = noise
    regressor = small(density=DensityMapTransformer(truncate=3))
    search = GridSearchCV(regressor, {"density__sigma": [1.0, 3.0]}, cv=2).fit(X, points)
    assert search.best_estimator_.density_.sigma == search.best_params_["density__sigma"]
    assert search.best_estimator_.density_.truncate == 3


def test_a_transformer_that_is_none_can_be_searched_too_and_a_typo_fails_at_once(noise):
    X, points = noise
    search = GridSearchCV(small(), {"density__sigma": [1.0, 3.0]}, cv=2, error_score="raise").fit(X, points)
    assert search.best_estimator_.density_.sigma == search.best_params_["density__sigma"]
    assert small().set_params(density__kernel="adaptive").density.kernel == "adaptive"
    regressor = small()
    for typo in ("sigmaa", "density__sigmaa", "densty__sigma"):
        with pytest.raises(ValueError, match="Invalid parameter"):
            regressor.set_params(**{typo: 2.0})
    assert regressor.density is None


def test_the_picture_in_a_notebook_links_to_the_page_of_the_reference(noise):
    listed = (Path(__file__).parents[2] / "docs" / "api.rst").read_text().split()
    for estimator in (*REGRESSORS[:1], small(), FCRNRegressor(), DensityMapTransformer()):
        name = type(estimator).__name__
        assert name in listed  # so that the page is made
        assert f'href="{DOCUMENTATION}/api/skcount.{name}.html"' in estimator._repr_html_()
    assert "Not fitted" in small()._repr_html_()
    assert "Not fitted" not in small().fit(*noise)._repr_html_()


def test_sigma_overrides_the_transformers_and_none_leaves_it(noise):
    X, points = noise
    density = DensityMapTransformer(sigma=3)
    assert small(density=density).fit(X, points).density_.sigma == 3
    assert small(density=density, sigma=1.5).fit(X, points).density_.sigma == 1.5
    assert density.sigma == 3


def test_a_pipeline_with_an_intensity_step(noise):
    X, points = noise
    pipeline = Pipeline([("root", FunctionTransformer(np.sqrt)), ("count", small())]).fit(X / 255.0, points)
    np.testing.assert_array_equal(
        pipeline.predict(X / 255.0), small().fit(np.sqrt(X / 255.0), points).predict(np.sqrt(X / 255.0))
    )


def test_the_same_seed_gives_the_same_result_and_another_another(noise):
    X, points = noise
    first = small().fit(X, points).predict(X)
    np.testing.assert_array_equal(first, small().fit(X, points).predict(X))
    assert (first != small(random_state=1).fit(X, points).predict(X)).any()


def test_fitting_again_starts_afresh(noise):
    X, points = noise
    regressor = small().fit(X[:3], points[:3])
    np.testing.assert_array_equal(regressor.fit(X, points).predict(X), small().fit(X, points).predict(X))
    assert regressor.n_iter_ == 2


@pytest.mark.parametrize(
    "copied", [lambda r: pickle.loads(pickle.dumps(r)), copy.deepcopy], ids=["pickle", "deepcopy"]
)
def test_a_fitted_regressor_survives_copying(copied, noise):
    X, points = noise
    regressor = small().fit(X, points)
    np.testing.assert_array_equal(copied(regressor).predict(X), regressor.predict(X))


def test_a_fitted_regressor_pickles_as_plain_arrays_and_is_what_was_fitted_after_set_params(noise):
    X, points = noise
    regressor = DensityMapRegressor("fcrn_b", max_epochs=1, random_state=0).fit(X, points)
    expected = regressor.predict(X)
    regressor.set_params(architecture="unet", architecture_params={"filters": 3}, dtype="float64")
    before = torch.get_rng_state()
    data = pickle.dumps(regressor)
    loaded = pickle.loads(data)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(loaded.predict(X), expected)
    assert loaded.architecture == "unet"
    imported = {arg for op, arg, _ in pickletools.genops(data) if op.name == "SHORT_BINUNICODE"}
    assert not any(name.startswith("torch") for name in imported)


def test_a_fitted_regressor_of_a_device_that_is_not_here_loads_on_the_cpu(noise):
    X, points = noise
    regressor = small().fit(X, points)
    regressor.device = "cuda:99"
    loaded = pickle.loads(pickle.dumps(regressor))
    np.testing.assert_array_equal(loaded.predict(X), regressor.predict(X))


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
        super().__init__(4, convolutions=1, max_epochs=1, sigma=sigma, random_state=random_state)


@pytest.mark.parametrize(
    "regressor", [DensityMapRegressor(Fading, max_epochs=2), Mine()], ids=["network", "subclass"]
)
def test_what_a_user_wrote_survives_copying_too(regressor, noise):
    X, points = noise
    fitted = clone(regressor).set_params(random_state=0).fit(X, points)
    for copied in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(copied.predict(X), fitted.predict(X))


def test_parameters_that_are_changed_in_place_change_no_fitted_model(noise):
    X, points = noise
    params = {"filters": 4, "convolutions": 1}
    fitted = DensityMapRegressor(architecture_params=params, max_epochs=1, random_state=0).fit(X, points)
    params["filters"] = 8
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))
    with pytest.raises(ValueError, match="to be trained on with"):
        fitted.set_params(warm_start=True).fit(X, points)


@pytest.mark.parametrize("params", [{"filters": 4.0}, {"filters": 0}, {"normalization": "instance"}])
def test_bad_parameters_of_a_network_are_refused_before_training(params, noise, monkeypatch):
    monkeypatch.setattr(_base, "train", None)
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of UNet"):
        DensityMapRegressor(architecture_params=params).fit(*noise)


def test_a_model_loads_while_another_thread_trains(noise):
    X, points = noise
    fitted = small().fit(X, points)
    data, loaded = pickle.dumps(fitted), []
    before = torch.get_rng_state()
    with _randomness._drawing:
        loading = threading.Thread(target=lambda: loaded.append(pickle.loads(data)), daemon=True)
        loading.start()
        loading.join(60)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(loaded[0].predict(X), fitted.predict(X))


class Odd(torch.optim.SGD):
    """An optimiser that remembers what is no single-precision tensor of a parameter."""

    def step(self, closure=None):
        super().step(closure)
        self.state["n_steps"] = self.state.get("n_steps", 0) + 1
        for group in self.param_groups:
            group["k"] = group.get("k", 0) + 1
            for parameter in group["params"]:
                old = self.state[parameter].get("old", [torch.zeros(1)])
                self.state[parameter]["old"] = [parameter.detach().to(torch.bfloat16), *old[:1]]


def test_any_optimiser_may_remember_what_it_likes(noise):
    X, points = noise
    regressor = small(net_params={"optimizer": Odd}, lr=1e-3).fit(X, points).partial_fit(X, points)
    assert regressor._training_state["optimizer"]["groups"] == [{"k": 1}]
    regressor = pickle.loads(pickle.dumps(regressor)).partial_fit(X, points)
    assert regressor._training_state["optimizer"]["groups"] == [{"k": 2}]
    assert regressor._training_state["optimizer"]["state"]["n_steps"] == 2


def test_an_optimiser_with_another_switch_starts_anew(noise):
    X, points = noise
    regressor = small(net_params={"optimizer": torch.optim.Adam}, lr=1e-3).partial_fit(X, points)
    regressor.set_params(net_params={"optimizer": torch.optim.Adam, "optimizer__amsgrad": True}).partial_fit(
        X, points
    )
    assert regressor._training_state["optimizer"]["kind"] == ["torch.optim.adam.Adam", "amsgrad"]


@pytest.mark.parametrize("random_state", [None, 0, np.random.RandomState(0)])
def test_a_warm_start_holds_the_same_images_out(random_state, noise, monkeypatch):
    held_out = []

    def spy(*args):
        held_out.append(hold_out(*args))
        return held_out[-1]

    monkeypatch.setattr(_base, "hold_out", spy)
    regressor = small(max_epochs=1, warm_start=True, validation_fraction=0.4, random_state=random_state)
    regressor.fit(*noise).fit(*noise).fit(*noise)
    assert len({tuple(valid) for _, valid in held_out}) == 1


def test_input_is_not_changed(noise):
    X, points = noise
    before = X.copy(), [p.copy() for p in points]
    y = [p.copy() for p in points]
    small().fit(X, y).predict(X)
    np.testing.assert_array_equal(X, before[0])
    for one, other in zip(y, before[1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_fitted_regressor_counts_on_after_set_params(noise):
    X, points = noise
    regressor = DensityMapRegressor(architecture_params={"filters": 4}, max_epochs=1, random_state=0).fit(
        X, points
    )
    counts = regressor.predict(X)
    regressor.set_params(architecture="fcrn_a", architecture_params=None, sigma=9)
    np.testing.assert_array_equal(regressor.predict(X), counts)


def test_an_image_of_weight_zero_is_left_out_altogether(noise):
    X, points = noise
    weights = np.array([1, 0, 1, 1, 0, 1])
    kept = weights > 0
    weighted = small().fit(X, points, sample_weight=weights)
    np.testing.assert_array_equal(weighted.predict(X), small().fit(X[kept], points[kept]).predict(X))


def test_an_image_of_weight_zero_counts_for_nothing_in_the_budget_of_epochs(noise, monkeypatch):
    X, points = noise
    monkeypatch.setattr(_base, "AUTO_EPOCHS", 1)
    monkeypatch.setattr(_base, "AUTO_STEPS", 6)
    weights = np.array([1, 0, 0, 0, 0, 1])
    weighted = small(max_epochs="auto", batch_size=1).fit(X, points, sample_weight=weights)
    left_out = small(max_epochs="auto", batch_size=1).fit(X[[0, 5]], points[[0, 5]])
    assert weighted.n_iter_ == left_out.n_iter_ == 3
    assert small(max_epochs="auto", batch_size=1).fit(X, points).n_iter_ == 1


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


def test_partial_fit_goes_on_exactly_where_it_was_through_a_pickle_too(noise):
    X, points = noise
    in_one_go = small()
    data = in_one_go._check_training_data(X, points, None, None, None, fresh=True)
    in_one_go._fit({}, data, fresh=True, max_epochs=8, one_cycle_schedule=False)
    stepwise = small()
    for _ in range(8):
        stepwise = pickle.loads(pickle.dumps(stepwise.partial_fit(X, points)))
    np.testing.assert_array_equal(stepwise.predict(X), in_one_go.predict(X))
    assert stepwise.history_[-1]["train_loss"] == in_one_go.history_[-1]["train_loss"]


def test_a_warm_start_draws_on_and_leaves_the_global_random_state(noise):
    X, points = noise
    before = torch.get_rng_state()
    warm = small(warm_start=True, lr=1e-12).fit(X, points)
    first = warm._random_stream
    warm.fit(X, points)
    assert (warm._random_stream != first).any()
    assert torch.equal(torch.get_rng_state(), before)
    other = small(warm_start=True, lr=1e-12).fit(X, points)
    np.testing.assert_array_equal(other._random_stream, first)


def test_another_optimiser_or_learning_rate_is_taken_when_training_goes_on(noise):
    X, points = noise
    regressor = small().partial_fit(X, points)
    still = copy.deepcopy(regressor).set_params(lr=1e-12).partial_fit(X, points)
    np.testing.assert_allclose(weights_of(still), weights_of(regressor), atol=1e-9)
    other = regressor.set_params(net_params={"optimizer": torch.optim.SGD}).partial_fit(X, points)
    assert other._training_state["optimizer"]["kind"] == ["torch.optim.sgd.SGD"]


def weights_of(regressor):
    return torch.cat([p.detach().flatten() for p in regressor.module_.parameters()]).numpy()


# --- bad input --------------------------------------------------------------------------------------------------

X, POINTS = np.zeros((3, 10, 12)), [[(1, 2)], [], [(3, 4)]]


def with_pixel(value):
    images = X.copy()
    images[1, 4, 5] = value
    return images


BAD = {
    "NaN pixel": (with_pixel(np.nan), POINTS, r"Image 1 of X .* NaN .* row 4, column 5.*nan_to_num"),
    "infinite pixel": (with_pixel(-np.inf), POINTS, r"Image 1 of X .* infinity.* row 4, column 5"),
    "NaN point": (X, [[(1, 2)], [], [(3, 4), (np.nan, 1)]], r"Point 1 of image 2 is \[nan, 1.0\]"),
    "points of three coordinates": (
        X,
        [[(1, 2, 3)], [], []],
        r"points of image 0 have shape \(1, 3\); expected \(n_points, 2\)",
    ),
    "a point without its axis": (X, [(1, 2), (3, 4), (5, 6)], r"image 0 have shape \(2,\).*\[points\]"),
    "text": (X, "points", "neither points nor counts nor density maps"),
    "texts": (X, ["a", "b", "c"], "neither points nor counts nor density maps"),
    "no target": (X, None, "requires y to be passed"),
    "an array of another shape": (X, np.zeros((3, 5, 6)), r"shape \(3, 5, 6\) .*which is neither"),
    "two columns": (X, np.zeros((3, 2)), r"shape \(3, 2\) .*which is neither"),
    "fewer targets": (X, [[], []], "3 images and y holds 2"),
    "fewer counts": (X, [1, 2], "3 images and y holds 2"),
    "negative counts": (X, [1, -2, 3], "negative values.*image 1 has -2"),
    "NaN counts": (X, [1, 2, np.nan], "contains NaN.*image 2"),
    "no samples": (X[:0], [], r"no images \(0 samples\)"),
    "no samples in a list": ([], [], r"no images \(0 samples\)"),
    "single image": (X[0], POINTS[:1], r"shape \(10, 12\).*X\[None\]"),
    "single colour image": (
        np.zeros((10, 12, 3)),
        POINTS,
        r"shape \(10, 12, 3\).*single image with 3 channels.*X\[None\]",
    ),
    "five dimensions": (np.zeros((1, 2, 3, 4, 5)), POINTS, r"shape \(1, 2, 3, 4, 5\); expected"),
    "an image without pixels": ([X[0], X[1][:0]], [[], []], r"Image 1 of X has shape \(0, 12\)"),
    "mixed channels": (
        [X[0], np.zeros((4, 4, 3))],
        [[], []],
        "Image 0 of X has 1 channels and image 1 has 3",
    ),
    "complex pixels": (X.astype(complex), POINTS, "dtype complex128"),
    "the control, which is right": (X, [[(1, 11)], [(2, 10.5)], []], None),
    "all points swapped": (X, [[(11, 1)], [(10.5, 2)], []], "rows and columns swapped.*from_xy"),
    "negative density": (X, np.full((3, 10, 12), -0.1), "negative values"),
    "NaN density": (X, np.full((3, 10, 12), np.nan), "Density map 0 holds NaN"),
}


@pytest.mark.parametrize(("X", "y", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_before_training_starts(X, y, message, monkeypatch):
    trained = []
    monkeypatch.setattr(
        "skcount.regressors._base.train", lambda *args, **kwargs: trained.append(1) or ([], {})
    )
    if message is None:  # the control: a valid input gets as far as the training
        small().fit(X, y)
        assert trained
        return
    with pytest.raises(ValueError, match=f"(?s){message}"):
        small().fit(X, y)
    assert not trained


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"sigma": 0}, "'sigma' parameter"),
        ({"sigma": -1.0}, "'sigma' parameter"),
        ({"architecture": "resnet"}, r"'architecture' parameter.*unet"),
        ({"max_epochs": 0}, "'max_epochs' parameter"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"loss": "mae"}, "'loss' parameter"),
        ({"lr": 0}, "'lr' parameter"),
        ({"patch_size": "large"}, "'patch_size' parameter"),
        ({"dtype": "float16"}, "'dtype' parameter"),
        ({"density": 2.0}, "'density' parameter"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_by_name(params, message):
    with pytest.raises(ValueError, match=message):
        DensityMapRegressor(**params).fit(X, POINTS)


@pytest.mark.parametrize("weights", [[1, 1], [1, -1, 1], [1, np.nan, 1], [0, 0, 0]])
def test_bad_weights_are_refused(weights):
    with pytest.raises(ValueError, match=r"(?i)sample.weight"):
        small().fit(X, POINTS, sample_weight=weights)


@pytest.mark.parametrize("method", ["predict", "predict_density", "predict_points", "iter_density"])
def test_an_unfitted_regressor_says_so(method):
    with pytest.raises(NotFittedError, match="fit"):
        getattr(small(), method)(X)


def test_prediction_refuses_what_is_unlike_the_training_images(noise):
    images, points = noise
    regressor = small().fit(images, points)
    for other, message in [
        (images[..., :1], r"1 channels .* fitted on images of 3"),
        (images[0], r"single image.*X\[None\]"),
        (images[0, ..., 0], r"X\[None\]"),
        (images[:0], "no images"),
    ]:
        with pytest.raises(ValueError, match=message):
            regressor.predict(other)
    bad = images / 255
    bad[3, 0, 0, 1] = np.nan
    with pytest.raises(ValueError, match=r"Image 3 of X.*channel 1"):
        regressor.predict(bad)


def test_a_model_of_a_table_refuses_images_and_the_reverse(noise):
    images, points = noise
    table = np.random.default_rng(0).random((6, 5))
    of_table = small().fit(table, points.counts)
    assert of_table.predict(table).shape == (6,)
    assert of_table.n_features_in_ == 5
    with pytest.raises(ValueError, match="fitted on a table of 5 features"):
        of_table.predict(images)
    of_images = small().fit(images, points)
    with pytest.raises(ValueError, match=r"X\[None\]"):
        of_images.predict(table)
    assert not hasattr(of_table.fit(images, points), "n_features_in_")


def test_points_outside_are_reported_with_image_and_position(noise):
    images, points = noise
    outside = PointAnnotations([*points[:5], np.append(points[5], [[16.6, 21.0]], axis=0)])
    with pytest.warns(UserWarning, match=r"1 of 16 points .*image 5 of 17 x 22 pixels: row 16.6, col 21"):
        small().fit(images, outside)
    with pytest.raises(ValueError, match=r"row 16.6"):
        small(density=DensityMapTransformer(outside="raise")).fit(images, outside)


def test_channels_first_is_refused():
    with pytest.raises(ValueError, match=r"looks like channels first.*transpose\(0, 2, 3, 1\)"):
        small().fit(np.zeros((2, 3, 32, 40)), [[], []])


@pytest.mark.parametrize(
    "params", [{"sigma": -1}, {"sigma": 0}, {"truncate": "a"}, {"outside": "drop"}], ids=str
)
def test_bad_parameters_of_the_transformer_are_refused_too(params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of DensityMapTransformer"):
        small(density=DensityMapTransformer(**params)).fit(X, POINTS)


@pytest.mark.parametrize("device", ["banana", "", "meta", "cuda:99"])
def test_a_device_that_cannot_compute_is_refused(device):
    with pytest.raises(ValueError, match=f"device={device!r} cannot be computed on"):
        small(device=device).fit(X, POINTS)


def test_ragged_lists_get_the_message_of_the_shape_that_is_expected():
    with pytest.raises(ValueError, match=r"points of image 0 are no numbers.*\(n_points, 2\)"):
        small().fit(X[:2], [[(1, 2), (3,)], [(1, 2)]])
    with pytest.raises(ValueError, match=r"Density map 0 has shape \(12, 12\) and its image \(10, 12\)"):
        small().fit(X, [np.zeros((12, 12))] * 3)


def test_net_params_that_the_regressor_sets_are_refused():
    with pytest.raises(ValueError, match=r"net_params holds \['lr', 'max_epochs'\]"):
        small(net_params={"max_epochs": 3, "lr": 1}).fit(X, POINTS)


# --- the training run -------------------------------------------------------------------------------------------


def test_a_diverging_loss_stops_with_the_epoch_and_a_remedy(noise):
    X, points = noise
    with pytest.raises(FloatingPointError, match=r"(?s)epoch \d+.*smaller lr"):
        small(lr=1e30, max_epochs=20, normalization=None).fit(X, points)


def test_a_failed_fit_leaves_the_old_model(noise):
    X, points = noise
    regressor = small().fit(X, points)
    counts = regressor.predict(X)
    with pytest.raises(FloatingPointError):
        regressor.set_params(lr=1e30, max_epochs=20, normalization=None).fit(X[..., :1], points)
    np.testing.assert_array_equal(regressor.predict(X), counts)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_training_on_that_fails_leaves_the_old_weights(method, noise):
    X, points = noise
    regressor = small(warm_start=True, normalization=None).fit(X, points)
    counts = regressor.predict(X)
    with pytest.raises(FloatingPointError, match="diverged"):
        getattr(regressor.set_params(lr=1e30), method)(X, points)
    np.testing.assert_array_equal(regressor.predict(X), counts)


def test_a_failed_fit_on_a_table_leaves_a_model_of_images_and_an_unfitted_one(noise):
    X, points = noise
    regressor = small().fit(X, points)
    counts = regressor.predict(X)
    for model in (regressor, small()):
        with pytest.raises(ValueError, match="NaN"):
            model.fit(np.ones((5, 3)), [1, 2, np.nan, 1, 1])
    np.testing.assert_array_equal(regressor.predict(X), counts)
    with pytest.raises(NotFittedError):
        model.predict(np.ones((5, 3)))


def test_divergence_in_the_last_step_is_noticed(noise):
    with pytest.raises(FloatingPointError, match="diverged"):
        small(lr=1e30, max_epochs=1, batch_size=-1).fit(*noise)


class Ruin(Callback):
    """Ruin the weights in an epoch: what comes after diverges."""

    def __init__(self, epoch, value=np.nan):
        self.epoch = epoch
        self.value = value

    def on_batch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch and len(net.history[-1]["batches"]) == 2:
            for parameter in net.module_.parameters():
                parameter.data.fill_(self.value)


@pytest.mark.parametrize("value", [np.nan, 1e4])
def test_a_training_that_diverges_leaves_the_weights_of_the_last_good_epoch(value, noise):
    X, points = noise
    seen = []

    class Look(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(copy.deepcopy(net.module_.state_dict()))

    regressor = small(max_epochs=8, batch_size=2, callbacks=[("look", Look()), ("ruin", Ruin(4, value))])
    message = r"in epoch 4: the training diverged\. The weights are those of epoch 3\. Try a smaller lr \(it is 0\.02\)"
    with pytest.raises(FloatingPointError, match=message):
        regressor.fit(X, points)
    kept = regressor.module_.state_dict()
    names = [name for name in kept if name != "output_scale"]
    assert all(torch.equal(kept[name], seen[2][name]) for name in names)
    assert len(regressor.history_) == regressor.n_iter_ == 3
    assert np.isfinite(regressor.predict(X)).all()


def test_a_fit_that_has_not_learnt_to_count_says_how_far_off_it_is(noise):
    X, points = noise
    with pytest.warns(
        ConvergenceWarning, match=r"After 1 epochs .* to \d+% of .* expected 80% to 125%"
    ) as caught:
        regressor = small(max_epochs=1).fit(X, points)
    share = regressor.predict(X).sum() / points.counts.sum()
    assert f" {share:.0%} of their counts" in str(caught[0].message)


@pytest.mark.parametrize("y", ["counts", "maps of nothing"])
def test_what_no_share_of_objects_can_be_said_of_is_not_warned_of(noise, y):
    X, points = noise
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(max_epochs=1).fit(X, points.counts if y == "counts" else np.zeros(np.shape(X)[:3]))


def test_with_held_out_images_the_best_weights_are_kept_when_it_diverges(noise):
    X, points = noise
    params = {"validation_fraction": 0.4, "max_epochs": 8, "batch_size": 1}
    whole = small(**params, callbacks=[("ruin", Ruin(6))])
    with pytest.raises(FloatingPointError, match=r"The weights are those of epoch \d\."):
        whole.fit(X, points)
    errors = [row["valid_count_mae"] for row in whole.history_]
    assert 0 < len(errors) < 6
    assert np.argmin(errors) == len(errors) - 1


def test_a_user_decides_what_a_training_that_diverges_comes_to(noise):
    X, points = noise
    ruined = {"max_epochs": 8, "batch_size": 2, "callbacks": [("ruin", Ruin(4))]}
    with pytest.warns(ConvergenceWarning, match="The weights are those of epoch 3"):
        regressor = small(on_divergence="warn", **ruined).fit(X, points)
    assert regressor.n_iter_ == 3
    regressor = small().fit(X, points)
    counts = regressor.predict(X)
    with pytest.raises(FloatingPointError, match="epoch 4"):
        regressor.set_params(on_divergence="discard", **ruined).fit(X, points)
    np.testing.assert_array_equal(regressor.predict(X), counts)
    unfitted = small(on_divergence="discard", **ruined)
    with pytest.raises(FloatingPointError, match="epoch 4"):
        unfitted.fit(X, points)
    with pytest.raises(NotFittedError):
        unfitted.predict(X)


def test_a_loss_that_begins_with_nothing_may_grow():
    X = np.random.default_rng(0).normal(size=(20, 3))
    regressor = UNetRegressor(filters=4, max_epochs=20, random_state=0).fit(X, np.zeros(20))
    losses = [row["train_loss"] for row in regressor.history_]
    assert 1000 * losses[0] < max(losses) < 1


def test_pixels_may_be_far_from_zero(cells):
    X, points = cells
    kelvin = 300 + X / 255
    regressor = small(filters=4, max_epochs=8).fit(kelvin, points)
    assert max(row["train_loss"] for row in regressor.history_) < 10


def test_nothing_is_kept_where_no_epoch_was_good(noise):
    X, points = noise
    for on_divergence in ("raise", "warn"):
        regressor = small(lr=1e30, normalization=None, on_divergence=on_divergence)
        with pytest.raises(FloatingPointError, match=r"in epoch 2: the training diverged\. Try"):
            regressor.fit(X, points)
        with pytest.raises(NotFittedError):
            regressor.predict(X)


def test_training_on_with_another_network_is_refused(noise):
    regressor = small(warm_start=True).fit(*noise)
    for params in ({"filters": 5}, {"dtype": "float64"}):
        with pytest.raises(ValueError, match=r"(?s)was fitted with.*to be trained on with.*clone"):
            clone(regressor).set_params(warm_start=True).fit(*noise).set_params(**params).fit(*noise)


def test_early_stopping_of_skorch_ends_the_training_and_nothing_else(noise):
    from skorch.callbacks import EarlyStopping

    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=10)
    assert small(max_epochs=30, callbacks=[stop]).fit(*noise).n_iter_ < 10


def test_a_validation_split_of_skorch_works(noise):
    from skorch.dataset import ValidSplit

    assert small(net_params={"train_split": ValidSplit(2)}).fit(*noise).n_iter_ == 2


def test_an_interrupt_ends_the_fit_with_an_interrupt(noise):
    from skorch.callbacks import Callback

    class Interrupt(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    X, points = noise
    with pytest.raises(KeyboardInterrupt):
        small(callbacks=[Interrupt()]).fit(X, points)


def test_verbose_2_prints_an_epoch_a_line_and_silence_is_the_default(noise):
    X, points = noise
    for verbose, n_lines in ((0, 0), (1, 0), (2, 4)):
        with redirect_stdout(io.StringIO()) as printed:
            small(verbose=verbose).fit(X, points)
        assert len(printed.getvalue().splitlines()) == n_lines
    assert re.search(r"epoch.*count_mae.*train_loss.*dur", printed.getvalue())


def test_no_bar_is_left_of_a_fit_that_is_refused(noise, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with pytest.raises(ValueError, match="no_such_thing"):
        small(verbose=1, net_params={"no_such_thing": 1}).fit(*noise)
    assert "fit:" not in capsys.readouterr().err


@pytest.mark.parametrize("terminal", [False, True])
def test_verbose_1_shows_a_bar_of_the_epochs_on_a_terminal_only(noise, capsys, monkeypatch, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr(_progress, "PATIENCE", 0)
    small(verbose=1, max_epochs=3, validation_fraction=0.5).fit(*noise)
    shown = capsys.readouterr().err
    assert ("read:" in shown) == terminal
    assert bool(shown) == terminal
    assert ("3/3" in shown) == ("held-out count MAE=" in shown) == terminal


def test_history_is_plain_numbers(noise):
    X, points = noise
    history = small(max_epochs=3).fit(X, points).history_
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert all(set(row) == {"epoch", "train_loss", "count_mae", "dur"} for row in history)
    assert all(type(value) in {int, float} for row in history for value in row.values())


def test_net_params_reach_skorch(noise):
    X, points = noise
    regressor = small(net_params={"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9})
    assert np.isfinite(regressor.fit(X, points).predict(X)).all()
    with pytest.raises(TypeError, match="nesterow"):
        small(net_params={"optimizer__nesterow": True}).fit(X, points)


def test_threads_are_left_as_they_are(noise):
    X, points = noise
    before = torch.get_num_threads()
    small().fit(X, points).predict(X)
    assert torch.get_num_threads() == before


def test_epochs_and_patches_are_chosen_or_obeyed(noise, monkeypatch):
    X, points = noise
    regressor = small(patch_size=16).fit(X, points)
    assert regressor.patch_size_ == (16, 16)
    assert small(patch_size=1000).fit(X, points).patch_size_ == (17, 22)
    monkeypatch.setattr("skcount.regressors._base.AUTO_STEPS", 12)
    assert small(max_epochs="auto", batch_size=2).fit(X, points).n_iter_ == 10
    assert small(max_epochs="auto", batch_size=-1).fit(X, points).n_iter_ == 12


def test_folds_do_not_leak_weights(noise):
    X, points = noise
    regressor = small()
    train, test = next(KFold(2).split(X))
    direct = clone(regressor).fit(X[train], points[train]).score(X[test], points[test])
    assert cross_val_score(regressor, X, points, cv=2)[0] == direct


# --- regions of interest and perspective --------------------------------------------------------------------------

TOP = np.arange(17)[:, None] + np.zeros(22) < 9


def test_predictions_look_only_inside_the_region(noise):
    X, points = noise
    regressor = small().fit(X, points)
    everywhere, inside = regressor.predict_density(X), regressor.predict_density(X, roi=TOP)
    np.testing.assert_array_equal(inside, everywhere * TOP)
    counts = inside.sum(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(regressor.predict(X, roi=TOP), counts, rtol=1e-12)
    np.testing.assert_allclose(regressor.predict(X, roi=[TOP] * 6), counts, rtol=1e-12)
    np.testing.assert_allclose(regressor.predict(ImageSet(X, roi=TOP)), counts, rtol=1e-12)
    places = regressor.predict_points(X, roi=TOP, perspective=np.full(TOP.shape, 0.7))
    assert places == places.inside(X.shape[1:3], TOP)
    assert places.counts.tolist() == np.round(counts).tolist()


def test_a_score_counts_only_what_is_inside_the_region(noise):
    X, points = noise
    regressor = small().fit(X, points)
    inside = points.inside((17, 22), TOP)
    expected = -np.abs(inside.counts - regressor.predict(X, roi=TOP)).mean()
    assert regressor.score(X, points, roi=TOP) == pytest.approx(expected)
    assert regressor.score(X, inside.counts, roi=TOP) == pytest.approx(expected)
    carried = ImageSet(X, roi=TOP)
    assert regressor.score(carried, points) == pytest.approx(expected)
    assert count_mae_scorer(regressor, carried, points) == pytest.approx(expected)
    maps = DensityMapTransformer().transform(points, (17, 22), roi=TOP)
    assert regressor.score(X, maps, roi=TOP) == pytest.approx(expected, rel=1e-5)


def test_what_lies_outside_the_region_teaches_nothing(noise):
    X, points = noise
    outside = PointAnnotations([np.concatenate([p, [(12, 5), (15, 3)]]) for p in points])
    models = [
        small().fit(X, points, roi=TOP),
        small().fit(X, outside, roi=TOP),
        small().fit(ImageSet(X, roi=[TOP] * 6), outside.inside((17, 22), TOP)),
    ]
    counts = [model.predict(X) for model in models]
    np.testing.assert_array_equal(counts[0], counts[1])
    np.testing.assert_array_equal(counts[0], counts[2])
    assert not np.array_equal(counts[0], small().fit(X, points).predict(X))


@pytest.mark.parametrize("as_counts", [False, True])
def test_it_learns_to_count_inside_a_region(as_counts):
    X, points = make_cells(n_samples=12, image_shape=(40, 48), random_state=0, return_X_y=True)
    roi = np.arange(48) + np.zeros((40, 1)) < 20
    y = points.inside((40, 48), roi).counts if as_counts else points
    regressor = small(max_epochs=60, lr=0.04).fit(X, y, roi=roi)
    inside = points.inside((40, 48), roi).counts
    blind = np.abs(inside - inside.mean()).mean()
    assert -regressor.score(X, points, roi=roi) < 0.6 * blind


def test_the_kernel_of_a_fit_grows_with_the_perspective(noise, monkeypatch):
    X, points = noise
    seen = []
    make = DensityMapTransformer.make_map
    monkeypatch.setattr(
        DensityMapTransformer,
        "make_map",
        lambda self, *a, **k: seen.append(k.get("perspective")) or make(self, *a, **k),
    )
    scale = np.linspace(0.5, 2, 17 * 22).reshape(17, 22)
    by_argument = small().fit(X, points, perspective=scale)
    assert any(s is not None and np.array_equal(s, scale) for s in seen)
    carried = small().fit(ImageSet(X, perspective=np.stack([scale] * 6)), points)
    np.testing.assert_array_equal(by_argument.predict(X), carried.predict(X))
    assert not np.array_equal(by_argument.predict(X), small().fit(X, points).predict(X))


def test_regions_and_perspective_go_through_cross_validation_by_routing(noise):
    X, points = noise
    masks = np.stack([np.roll(TOP, i, axis=0) for i in range(6)])
    scales = np.stack([np.full((17, 22), 1 + i / 4) for i in range(6)])
    cv = KFold(3)
    with config_context(enable_metadata_routing=True):
        regressor = (
            small()
            .set_fit_request(roi=True, perspective=True)
            .set_score_request(roi=True)
            .set_predict_request(roi=True)
        )
        by_routing = cross_validate(
            regressor, X, points, params={"roi": masks, "perspective": scales}, cv=cv, error_score="raise"
        )["test_score"]
        pipeline = Pipeline([("same", FunctionTransformer()), ("count", regressor)]).fit(X, points, roi=masks)
        np.testing.assert_array_equal(
            pipeline.predict(X, roi=masks), small().fit(X, points, roi=masks).predict(X, roi=masks)
        )
    by_hand = [
        small().fit(X[a], points[a], roi=masks[a], perspective=scales[a]).score(X[b], points[b], roi=masks[b])
        for a, b in cv.split(X)
    ]
    carried = cross_val_score(small(), ImageSet(X, roi=masks, perspective=scales), points, cv=cv)
    np.testing.assert_array_equal(by_routing, by_hand)
    np.testing.assert_array_equal(by_routing, carried)


def test_a_grid_search_in_workers_takes_what_the_images_carry(noise):
    X, points = noise
    images = ImageSet(X, roi=TOP, perspective=np.full(TOP.shape, 1.5), groups=[0, 0, 1, 1, 2, 2])
    scores = [
        GridSearchCV(small(max_epochs=1), {"sigma": [1, 2]}, cv=GroupKFold(3), n_jobs=n, error_score="raise")
        .fit(images, points, groups=images.groups)
        .cv_results_["mean_test_score"]
        for n in (1, 2)
    ]
    np.testing.assert_array_equal(*scores)


def test_many_sizes_with_a_region_each():
    rng = np.random.default_rng(0)
    shapes = [(9, 14), (20, 8), (31, 33)]
    X = [rng.random(shape, dtype=np.float32) for shape in shapes]
    masks = [np.arange(h)[:, None] + np.zeros(w) < h // 2 for h, w in shapes]
    points = [[(1, 2), (8, 3)], [(15, 4)], [(3, 3), (5, 5)]]
    regressor = small().fit(X, points, roi=masks)
    for density, mask in zip(regressor.predict_density(X, roi=masks), masks, strict=True):
        assert not density[~mask].any()


@pytest.mark.parametrize("method", ["fit", "predict", "predict_density", "predict_points", "score"])
def test_a_region_that_does_not_fit_is_refused_before_anything_else(method, noise):
    X, points = noise
    regressor = small().fit(X, points)
    y = () if method.startswith("predict") else (points,)
    with pytest.raises(ValueError, match=r"roi has shape \(22, 17\) and image 0 is of 17 x 22 pixels"):
        getattr(regressor, method)(X, *y, roi=TOP.T)
    with pytest.raises(ValueError, match="6 images and roi holds 2"):
        getattr(regressor, method)(X, *y, roi=[TOP, TOP])


def test_a_table_has_no_region():
    with pytest.raises(ValueError, match="X is a table and roi was passed"):
        small().fit(np.zeros((4, 5)), np.arange(4.0), roi=np.ones((1, 5), dtype=bool))


# --- losses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_teaches_to_count(loss):
    X, points = make_cells(
        n_samples=12, image_shape=(40, 48), n_cells=(0, 20), random_state=0, return_X_y=True
    )
    regressor = small(loss=loss, filters=8, max_epochs=90, lr=0.04).fit(X, points)
    blind = np.abs(points.counts - points.counts.mean()).mean()
    assert -regressor.score(X, points) < 0.4 * blind


def test_a_loss_of_points_refuses_maps_and_takes_counts(noise):
    X, points = noise
    maps = DensityMapTransformer().transform(points, X.shape[1:3])
    with pytest.raises(ValueError, match="loss='bayesian' looks at points and y is density maps"):
        small(loss="bayesian").fit(X, maps)
    same = [small(loss=loss).fit(X, points.counts).predict(X) for loss in ("bayesian", "mse")]
    np.testing.assert_array_equal(*same)


# --- held-out images ----------------------------------------------------------------------------------------------


def test_the_weights_with_the_smallest_error_on_held_out_images_are_kept(cells):
    X, points = cells
    seen = []

    class Monitor(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(copy.deepcopy(net.module_.state_dict()))

    regressor = small(
        max_epochs=12, lr=0.05, validation_fraction=0.25, callbacks=[Monitor()], random_state=4
    ).fit(X, points)
    errors = [row["valid_count_mae"] for row in regressor.history_]
    best = int(np.argmin(errors))
    assert 0 < best < 11  # or the test shows nothing
    kept, expected = regressor.module_.state_dict(), seen[best]
    assert all(torch.equal(kept[name], expected[name]) for name in kept if name != "output_scale")
    assert not all(torch.equal(kept[name], seen[-1][name]) for name in kept if name != "output_scale")


def test_held_out_images_teach_nothing(cells, monkeypatch):
    X, points = cells
    drawn = set()
    crop = PointTarget.crop
    monkeypatch.setattr(
        PointTarget, "crop", lambda self, i, w: drawn.add(len(self.points[i])) or crop(self, i, w)
    )
    distinct = PointAnnotations([p[: i + 1] for i, p in enumerate([points.coordinates] * 8)]).inside((40, 48))
    small(validation_fraction=0.4, max_epochs=20).fit(X, distinct)
    assert len(drawn) == 5


def test_groups_are_held_out_as_a_whole():
    groups = np.array(["a", "b", "a", "c", "b", "c", "d", "d"])
    for seed in range(5):
        train, valid = hold_out(np.arange(8), groups, 0.25, seed)
        assert sorted([*train, *valid]) == list(range(8))
        assert not set(groups[train]) & set(groups[valid])
        assert len(set(groups[valid])) == 1


def test_groups_are_carried_or_passed_to_the_split(cells, monkeypatch):
    X, points = cells
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    given = []
    monkeypatch.setattr("skcount.regressors._base.hold_out", lambda *a: given.append(a[1]) or hold_out(*a))
    regressor = small(validation_fraction=0.25)
    counts = [
        regressor.fit(X, points, groups=groups).predict(X),
        regressor.fit(ImageSet(X, groups=groups), points).predict(X),
    ]
    np.testing.assert_array_equal(*counts)
    np.testing.assert_array_equal(given, [groups, groups])
    with pytest.raises(ValueError, match=r"groups has shape \(2,\) and there are 8 images"):
        regressor.fit(X, points, groups=[1, 2])


def test_early_stopping_ends_when_nothing_becomes_better(cells):
    X, points = cells
    regressor = small(max_epochs=200, lr=1e-9, early_stopping=True, n_iter_no_change=3).fit(X, points)
    errors = [row["valid_count_mae"] for row in regressor.history_]
    assert regressor.n_iter_ == np.argmin(errors) + 1 + 3 < 200


def test_one_image_cannot_be_held_out_of_one(cells):
    X, points = cells
    with pytest.raises(ValueError, match="There is 1 of the images to learn from"):
        small(early_stopping=True).fit(X[:1], points[:1])
    with pytest.raises(ValueError, match="There is 1 of the groups to learn from"):
        small(validation_fraction=0.5).fit(X, points, groups=[0] * 8)


def test_a_held_out_pixel_that_is_not_finite_is_found_before_training():
    X = np.zeros((4, 8, 8), dtype=np.float32)
    X[:, 3, 3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        small(validation_fraction=0.5).fit(X, [[]] * 4)


# --- test-time augmentation -----------------------------------------------------------------------------------------


def test_the_mean_over_the_symmetries_is_predicted_when_asked_for(cells):
    X, points = cells
    regressor = small().fit(X, points)
    turns = [(k, flip) for k in range(4) for flip in (1, -1)]
    counts = [regressor.predict(np.rot90(X[:, :, ::flip], k, (1, 2))) for k, flip in turns]
    plain, averaged = regressor.predict(X), regressor.set_params(test_time_augmentation=True).predict(X)
    np.testing.assert_allclose(averaged, np.mean(counts, axis=0), rtol=1e-5)
    assert np.abs(averaged - plain).max() > 1e-3
    turned = regressor.predict_density(np.rot90(X, axes=(1, 2)))
    np.testing.assert_allclose(np.rot90(regressor.predict_density(X), axes=(1, 2)), turned, atol=1e-6)


def test_only_the_symmetries_of_the_training_are_averaged_over(cells):
    X, points = cells
    regressor = small(augment="mirror").fit(X, points)
    counts = [regressor.predict(X), regressor.predict(X[:, :, ::-1])]
    averaged = regressor.set_params(test_time_augmentation=True).predict(X)
    np.testing.assert_allclose(averaged, np.mean(counts, axis=0), rtol=1e-5)
    np.testing.assert_array_equal(regressor.set_params(augment=False).predict(X), counts[0])


def test_with_test_time_augmentation_the_training_counts_add_up_as_well(cells):
    X, points = cells
    regressor = small(test_time_augmentation=True, filters=8, max_epochs=80, lr=0.03).fit(X, points)
    assert regressor.predict(X).sum() == pytest.approx(points.counts.sum(), rel=1e-4)


def test_the_columns_of_a_table_are_not_turned_round():
    rng = np.random.default_rng(0)
    X = rng.random((20, 6)).astype(np.float32)
    regressor = small(test_time_augmentation=True).fit(X, rng.integers(0, 5, 20))
    np.testing.assert_array_equal(
        regressor.predict(X), regressor.set_params(test_time_augmentation=False).predict(X)
    )
