import pickle
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback, EpochScoring

import skcount
from skcount import DensityMapRegressor, DensityMapTransformer, FCRNRegressor, UNetRegressor
from skcount._plain_file import read, write
from skcount.regressors import _save

small = partial(UNetRegressor, filters=2, max_epochs=1, random_state=0)


class Shallow(torch.nn.Sequential):
    """A network of the user's."""

    def __init__(self, n_channels, width=2):
        first, last = torch.nn.Conv2d(n_channels, width, 3, padding=1), torch.nn.Conv2d(width, 1, 1)
        super().__init__(first, torch.nn.ReLU(), last)


class OtherShallow(Shallow):
    """The same weights, and something else done with them."""

    def forward(self, x):
        return 2 * super().forward(x)


class Mine(UNetRegressor):
    """A regressor of the user's."""


REGRESSORS = [
    small(),
    small(precision="float64", normalization=None, depth=2, device=torch.device("cpu")),
    small(sigma=1.5, density=DensityMapTransformer(kernel="adaptive", image_shape=(17, 22)), patch_size=9),
    small(random_state=np.random.RandomState(0), lr=np.float32(0.01), max_epochs=np.int64(2)),
    small(net_params={"iterator_train__drop_last": False}, early_stopping=3, tile_size=(120, 130)),
    FCRNRegressor("b", max_epochs=1, random_state=0),
    DensityMapRegressor("fcrn_a", max_epochs=1, random_state=0),
    DensityMapRegressor(architecture_params={"filters": 2}, max_epochs=1, random_state=0),
]


@pytest.mark.parametrize("regressor", REGRESSORS, ids=range(len(REGRESSORS)))
def test_what_is_loaded_is_what_was_saved(regressor, noise, tmp_path):
    X, points = noise
    regressor = clone(regressor).fit(X, points)
    regressor.save(tmp_path / "it.skcount")
    loaded = skcount.load(tmp_path / "it.skcount")
    params = [
        r.get_params(deep=False) | {"density": repr(r.density), "device": str(r.device), "random_state": None}
        for r in (loaded, regressor)
    ]
    assert params[0] == params[1]
    np.testing.assert_array_equal(loaded.predict(X), regressor.predict(X))
    assert loaded.predict_points(X) == regressor.predict_points(X)
    assert loaded.history_ == regressor.history_
    assert set(vars(loaded)) - {"_is_clone", "_family"} == set(vars(regressor)) - {"_is_clone", "_family"}
    loaded.save(tmp_path / "again.skcount")
    assert (tmp_path / "again.skcount").read_bytes() == (tmp_path / "it.skcount").read_bytes()


def test_training_goes_on_after_loading_as_if_nothing_had_happened(noise, tmp_path):
    X, points = noise
    regressor = small().partial_fit(X, points)
    regressor.save(tmp_path / "it")
    loaded = skcount.load(tmp_path / "it")
    for _ in range(2):
        regressor.partial_fit(X, points)
        loaded.partial_fit(X, points)
    np.testing.assert_array_equal(loaded.predict(X), regressor.predict(X))
    warm = [
        r.set_params(warm_start=True, validation_fraction=0.3).fit(X, points).predict(X)
        for r in (loaded, regressor)
    ]
    np.testing.assert_array_equal(*warm)


def test_it_is_what_was_fitted_whatever_set_params_has_changed_since(noise, tmp_path):
    X, points = noise
    regressor = DensityMapRegressor("fcrn_a", sigma=2, max_epochs=1, random_state=0).fit(X, points)
    before = regressor.predict(X)
    regressor.set_params(architecture="unet", architecture_params={"filters": 3}, sigma=5).save(
        tmp_path / "it"
    )
    loaded = skcount.load(tmp_path / "it")
    np.testing.assert_array_equal(loaded.predict(X), before)
    assert loaded.architecture == "unet"
    assert loaded.density_.sigma == 2
    loaded.fit(X, points).predict(X)


def test_a_model_of_a_table_keeps_the_names_of_its_columns(tmp_path):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(np.random.default_rng(0).random((9, 4)), columns=list("abcd"))
    regressor = small().fit(X, np.arange(9.0))
    regressor.save(tmp_path / "it")
    loaded = skcount.load(tmp_path / "it")
    assert loaded.feature_names_in_.tolist() == list("abcd")
    np.testing.assert_array_equal(loaded.predict(X), regressor.predict(X))
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(X.rename(columns={"a": "z"}))


def test_requested_metadata_stay_requested(noise, tmp_path):
    X, points = noise
    with config_context(enable_metadata_routing=True):
        regressor = small().set_fit_request(sample_weight=True, roi="mask").set_predict_request(roi=True)
        regressor.fit(X, points).save(tmp_path / "it")
        loaded = skcount.load(tmp_path / "it")
        assert str(loaded.get_metadata_routing()) == str(regressor.get_metadata_routing())


def test_a_model_of_another_device_loads_on_the_cpu(noise, tmp_path):
    regressor = small().fit(*noise).set_params(device=torch.device("cuda:7"))
    regressor.save(tmp_path / "it")
    loaded = skcount.load(tmp_path / "it")
    assert loaded.device == "cuda:7"  # a name is plain
    assert loaded.module_.mean.device.type == "cpu"


# --- networks and classes of the user's -------------------------------------------------------------------------


@pytest.fixture
def of_shallow(noise, tmp_path):
    """Fit a regressor with a network of the user's, and save it as `it`."""
    regressor = DensityMapRegressor(Shallow, architecture_params={"width": 3}, max_epochs=1, random_state=0)
    regressor.fit(*noise).save(tmp_path / "it")
    return regressor


def test_a_network_of_the_users_is_passed_again(of_shallow, noise, tmp_path):
    state = torch.get_rng_state()
    loaded = skcount.load(tmp_path / "it", architecture=Shallow)
    np.testing.assert_array_equal(loaded.predict(noise[0]), of_shallow.predict(noise[0]))
    assert loaded.architecture is Shallow
    assert (torch.get_rng_state() == state).all()
    with pytest.raises(
        ValueError, match=r"holds a network of .*Shallow, which load does not import .*architecture=Shallow"
    ):
        skcount.load(tmp_path / "it")


class Random(Shallow):
    """Draws dropout when predicting, too."""

    def forward(self, x):
        return torch.nn.functional.dropout(super().forward(x), 0.5)


class Undefined(Shallow):
    """Has values for positive numbers only."""

    def forward(self, x):
        return super().forward(x) + 0 * (x[:, :1] + 0.5).log()


@pytest.mark.parametrize("architecture", [Random, Undefined])
def test_a_network_that_is_random_or_not_defined_for_the_test_image_is_loaded(
    architecture, of_shallow, tmp_path
):
    of_shallow._network_params["architecture"] = of_shallow.architecture = architecture
    of_shallow.module_.network.__class__ = architecture
    state = torch.get_rng_state()
    for _ in range(5):
        of_shallow.save(tmp_path / "it")
        loaded = skcount.load(tmp_path / "it", architecture=architecture)
        for name, value in loaded.module_.state_dict().items():
            assert torch.equal(value, of_shallow.module_.state_dict()[name])
    assert (torch.get_rng_state() == state).all()


def test_loading_does_not_wait_for_a_thread_that_trains(noise, tmp_path):
    small().fit(*noise).save(tmp_path / "it")
    begun, loaded = threading.Event(), threading.Event()

    class Wait(Callback):
        def on_epoch_begin(self, net, **kwargs):
            begun.set()
            assert loaded.wait(600)

    with ThreadPoolExecutor() as pool:
        training = pool.submit(small(callbacks=[Wait()]).fit, *noise)
        assert begun.wait(600)
        pool.submit(skcount.load, tmp_path / "it").result(600)
        loaded.set()
        training.result()


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (lambda n, width: Shallow(n, width + 1), r"weights '.*' must have the shape .* got"),
        (OtherShallow, r"a test image gave \[.*\] when it was saved"),
        (print, r"no regressor that can be built"),
        (Shallow(3), r"architecture.* is a Shallow"),
    ],
)
def test_another_network_than_the_one_that_was_saved_is_refused(architecture, message, of_shallow, tmp_path):
    with pytest.raises(ValueError, match=message):
        skcount.load(tmp_path / "it", architecture=architecture)


def test_an_architecture_is_refused_if_none_is_needed(noise, tmp_path):
    small().fit(*noise).save(tmp_path / "it")
    with pytest.raises(ValueError, match=r"`architecture` must be None"):
        skcount.load(tmp_path / "it", architecture=Shallow)


class Own(DensityMapTransformer):
    """A transformer of the user's."""


def activated(n_channels, act):
    return torch.nn.Sequential(torch.nn.Conv2d(n_channels, 1, 1), act)


@pytest.mark.parametrize(
    ("regressor", "set_later", "error", "message"),
    [
        (small(), {"lr": -1}, ValueError, "'lr' parameter"),
        (Mine(filters=2), {}, TypeError, r"got a Mine.* Pickle it instead"),
        (small(density=Own()), {"density": None}, TypeError, r"density is a Own"),
        (
            DensityMapRegressor(Shallow),
            {"architecture": OtherShallow},
            TypeError,
            r"`architecture` must be .*\.Shallow, .*got .*OtherShallow",
        ),
        (
            DensityMapRegressor(activated, architecture_params={"act": torch.nn.ReLU()}),
            {},
            TypeError,
            r"architecture_params\.act is a ReLU",
        ),
    ],
    ids=["parameter", "regressor", "transformer", "architecture", "parameter of the architecture"],
)
def test_what_could_not_be_loaded_is_refused_and_nothing_is_written(
    regressor, set_later, error, message, noise, tmp_path
):
    regressor = clone(regressor).set_params(max_epochs=1).fit(*noise).set_params(**set_later)
    with pytest.raises(error, match=message):
        regressor.save(tmp_path / "it")
    assert list(tmp_path.iterdir()) == []


def mean_square(density, target, mask):
    return (mask * (density - target) ** 2).mean()


@pytest.mark.parametrize(
    ("name", "value", "default"),
    [
        ("net_params", {"optimizer": torch.optim.SGD}, None),
        ("callbacks", [EpochScoring("neg_mean_absolute_error", use_caching=False, on_train=True)], None),
        ("loss", mean_square, "multiscale"),
        ("loss", torch.nn.MSELoss(), "multiscale"),
        ("augment", lambda image, points, rng: (image, points), "rotations+jitter+scale"),
    ],
    ids=["net_params", "callbacks", "function as loss", "module as loss", "augment"],
)
def test_what_only_training_needs_is_left_out_with_a_warning(name, value, default, noise, tmp_path):
    X, points = noise
    regressor = small().fit(X, points).set_params(**{name: value})
    with pytest.warns(UserWarning, match=f"`{name}` .*{re.escape(repr(default))}") as record:
        regressor.save(tmp_path / "it")
    assert record[0].filename == __file__
    loaded = skcount.load(tmp_path / "it")
    assert loaded.get_params()[name] == default
    np.testing.assert_array_equal(loaded.predict(X), regressor.predict(X))


# --- files that are not what they should be ---------------------------------------------------------------------


def test_an_unfitted_regressor_says_so(tmp_path):
    with pytest.raises(NotFittedError):
        small().save(tmp_path / "it")


def test_a_missing_folder_and_a_folder_are_refused(noise, tmp_path):
    regressor = small().fit(*noise)
    with pytest.raises(FileNotFoundError, match="missing"):
        regressor.save(tmp_path / "missing" / "it")
    with pytest.raises(ValueError, match="is a folder"):
        regressor.save(tmp_path)


def test_saving_again_replaces_and_failing_to_keeps(noise, tmp_path, monkeypatch):
    X, points = noise
    path = tmp_path / "it"
    small(random_state=1).fit(X, points).save(path)
    second = small(random_state=2).fit(X, points)
    second.save(path)
    np.testing.assert_array_equal(skcount.load(path).predict(X), second.predict(X))
    before = path.read_bytes()
    monkeypatch.setattr(
        Path, "write_bytes", lambda self, data: (_ for _ in ()).throw(OSError("No space left on device"))
    )
    with pytest.raises(OSError, match="No space left"):
        small(random_state=3).fit(X, points).save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["it"]


def crafted(change, noise, path):
    """Write a file whose digest is right and whose content is not."""
    small().fit(*noise).save(path)
    tree = read(path, _save.KIND)
    change(tree)
    write(path, tree, _save.KIND)


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree.update({"class": "Pipeline"}),
        lambda tree: tree["params"].update(filters=-1),
        lambda tree: tree["params"].update(of_tomorrow=3),
        lambda tree: tree["fitted"]["_network_params"].update(filters=10**9),
        lambda tree: tree["fitted"].update(_network_params=3),
        lambda tree: tree["weights"].pop("mean"),
        lambda tree: tree["weights"].update(output_scale=np.float32(-1)),
        lambda tree: tree["weights"].update(
            {name: value * 2 for name, value in tree["weights"].items() if "bias" in name}
        ),
        lambda tree: tree["density"].update(sigma="wide"),
        lambda tree: tree["density"].update(nothing=1),
        lambda tree: tree.pop("params"),
        lambda tree: tree.update(requests={"fit": {"sample_weight": [1]}}),
        lambda tree: tree.update(probe="yes"),
    ],
)
def test_a_crafted_file_with_a_right_digest_is_refused(change, noise, tmp_path):
    crafted(change, noise, tmp_path / "it")
    with pytest.raises(ValueError, match=r"no regressor that can be built|does not import by itself"):
        skcount.load(tmp_path / "it")


def test_a_crafted_file_sets_no_method(noise, tmp_path):
    crafted(lambda tree: tree["fitted"].update(predict="nothing"), noise, tmp_path / "it")
    assert "predict" not in vars(skcount.load(tmp_path / "it"))


def test_a_checkpoint_and_a_pipeline_are_told_apart(noise, tmp_path):
    write(tmp_path / "it", {}, "checkpoint")
    with pytest.raises(ValueError, match="is a checkpoint of skcount; expected a fitted regressor"):
        skcount.load(tmp_path / "it")
    with open(tmp_path / "pipe.pkl", "wb") as file:
        pickle.dump(make_pipeline(FunctionTransformer(), small()), file)
    with pytest.raises(ValueError, match="looks like a pickle"):
        skcount.load(tmp_path / "pipe.pkl")
