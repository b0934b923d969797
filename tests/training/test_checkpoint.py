from functools import partial

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skcount import DensityMapRegressor, UNetRegressor
from skcount._plain_file import read, write
from skcount.training import _checkpoint, open_checkpoint

small = partial(UNetRegressor, filters=2, max_epochs=7, patch_size=9, random_state=0)


class Killed(Exception):  # noqa: N818 - no error of the code
    """What stands for a kill in this process."""


class KillAt(Callback):
    """End the training in an epoch, before it is over."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:  # the row of this epoch is there already
            raise Killed


class NoTraining(Callback):
    """Fail where an epoch begins."""

    def on_epoch_begin(self, net, **kwargs):
        raise AssertionError("an epoch began")


def killed(regressor, epoch, *args, **kwargs):
    """Fit until an epoch, in which it is killed."""
    with pytest.raises(Killed):
        regressor.set_params(callbacks=[("end", KillAt(epoch))]).fit(*args, **kwargs)
    return regressor.set_params(callbacks=None)


def state(regressor):
    return [value.numpy() for value in regressor.module_.state_dict().values()]


def assert_same(a, b):
    """Bit for bit, and what training goes on with too."""
    assert all(np.array_equal(x, y) for x, y in zip(state(a), state(b), strict=True))
    np.testing.assert_array_equal(a._random_stream, b._random_stream)
    plain = [[{k: v for k, v in row.items() if k != "dur"} for row in r.history_] for r in (a, b)]
    assert plain[0] == plain[1]


def keep(image, points, rng):
    return image, points


VARIANTS = {
    "the recipe": {},
    "validation images": {"validation_fraction": 0.4},
    "early stopping": {"early_stopping": 2, "max_epochs": 60},
    "SGD": {"net_params": {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9}, "lr": 0.001},
    "Adam": {"net_params": {"optimizer": torch.optim.AdamW}, "lr": 0.001},
    "jitter": {"augment": "rotations+jitter"},
    "a function as augmentation": {"augment": keep},
    "a loss of one's own": {"loss": torch.nn.L1Loss()},
    "bfloat16": {"precision": "bf16-mixed"},
    "points without a map": {"loss": "bayesian"},
}


# A kill in this process is a callback's error; the parameters of the callbacks are compared, so they are left out here.
@pytest.fixture(autouse=True)
def _callbacks_do_not_count(monkeypatch):
    monkeypatch.setattr(_checkpoint, "IRRELEVANT", (*_checkpoint.IRRELEVANT, "callbacks"))


@pytest.mark.parametrize(
    ("variant", "epoch"), [*((name, 5) for name in VARIANTS), ("the recipe", 2), ("validation images", 7)]
)
def test_a_killed_fit_ends_with_the_weights_of_one_that_was_not(variant, epoch, noise, tmp_path):
    (X, points), params = noise, VARIANTS[variant]
    whole = small(**params).fit(X, points)
    path = tmp_path / "it"
    epoch = min(epoch, whole.n_iter_)  # some stop early
    resumed = killed(small(**params), epoch, X, points, checkpoint=path)
    assert not hasattr(resumed, "module_")
    state = torch.get_rng_state()
    resumed.fit(X, points, checkpoint=path)
    assert (torch.get_rng_state() == state).all()
    assert_same(resumed, whole)


def test_a_fit_may_be_killed_again_and_again(noise, tmp_path):
    X, points = noise
    path = tmp_path / "it"
    for epoch in range(2, 8):
        killed(small(), epoch, X, points, checkpoint=path)
    assert_same(small().fit(X, points, checkpoint=path), small().fit(X, points))


@pytest.mark.parametrize(("variant", "every"), [("the recipe", 1), ("early stopping", 5)])
def test_a_fit_that_had_ended_or_stopped_early_is_not_trained_again(variant, every, noise, tmp_path):
    params, checkpoint = VARIANTS[variant], {"checkpoint": tmp_path / "it", "checkpoint_every": every}
    first = small(**params).fit(*noise, **checkpoint)
    assert (first.n_iter_ < first.max_epochs) == (variant == "early stopping")
    again = small(**params, callbacks=[("none", NoTraining())], verbose=1).fit(*noise, **checkpoint)
    assert_same(again, first)
    assert again.history_ == first.history_


class Ruin(Callback):
    """Ruin the weights at the end of an epoch."""

    def __init__(self, epoch, value):
        self.epoch = epoch
        self.value = value

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            for parameter in net.module_.parameters():
                parameter.data.fill_(self.value)


@pytest.mark.parametrize("value", [np.nan, 1e4])
@pytest.mark.parametrize("epoch", [4, 7])
def test_a_fit_that_diverged_diverges_again_and_leaves_the_same_good_weights(value, epoch, noise, tmp_path):
    X, points = noise
    fits = []
    for _ in range(2):
        regressor = small(callbacks=[("ruin", Ruin(epoch, value))])
        with pytest.raises(FloatingPointError, match=rf"The weights are those of epoch {epoch - 1}\."):
            regressor.fit(X, points, checkpoint=tmp_path / "it")
        assert np.isfinite(regressor.predict(X)).all()
        fits.append(regressor)
    assert_same(*fits)


def test_states_are_written_every_few_epochs_and_at_the_end(noise, tmp_path, monkeypatch):
    epochs = []
    monkeypatch.setattr(
        _checkpoint,
        "write",
        lambda path, tree, kind: (epochs.append(len(tree["state"]["history"])), write(path, tree, kind)),
    )
    small().fit(*noise, checkpoint=tmp_path / "it", checkpoint_every=3)
    assert epochs == [3, 6, 7]


def test_a_seed_that_was_drawn_is_kept(noise, tmp_path):
    X, points = noise
    path = tmp_path / "it"
    killed(small(random_state=None), 4, X, points, checkpoint=path)
    begun = read(path, _checkpoint.KIND)["about"]["seed"]
    assert_same(
        small(random_state=None).fit(X, points, checkpoint=path), small(random_state=begun).fit(X, points)
    )


def test_counts_maps_and_regions_can_be_resumed(noise, tmp_path):
    X, points = noise
    roi = np.zeros(X.shape[1:3], dtype=bool)
    roi[:9] = True
    for name, (y, more) in {"counts": (points.counts, {}), "points": (points, {"roi": roi})}.items():
        killed(small(), 4, X, y, checkpoint=tmp_path / name, **more)
        assert_same(small().fit(X, y, checkpoint=tmp_path / name, **more), small().fit(X, y, **more))


def test_a_warm_start_is_resumed(noise, tmp_path):
    X, points = noise
    path = tmp_path / "it"
    warm = [small(warm_start=True).fit(X, points) for _ in range(2)]
    killed(warm[0], 4, X, points, checkpoint=path)
    assert_same(warm[0].fit(X, points, checkpoint=path), warm[1].fit(X, points))
    with pytest.raises(ValueError, match="another state before the fit"):
        warm[1].fit(X, points, checkpoint=path)


# --- what is refused --------------------------------------------------------------------------------------------


def changed(X):
    X = X.copy()
    X[3, 2, 2, 0] ^= 1
    return X


OTHERS = {
    "image": (lambda X, y: (changed(X), y, {}), "other images"),
    "order": (lambda X, y: (X[::-1], y, {}), "other images"),
    "points": (lambda X, y: (X, [p + 0.1 for p in y], {}), "other points, maps or counts"),
    "weight": (lambda X, y: (X, y, {"sample_weight": [1, 2, 1, 1, 1, 1]}), "other sample weights"),
    "no weight": (lambda X, y: (X, y, {"sample_weight": [0, 1, 1, 1, 1, 1]}), "other images"),
    "roi": (lambda X, y: (X, y, {"roi": np.eye(17, 22, dtype=bool)}), "other regions of interest"),
    "scales": (lambda X, y: (X, y, {"perspective": np.full((17, 22), 1.5)}), "other regions .* perspective"),
    "validation": (lambda X, y: (X, y, {"validation_data": (X[:2], y[:2])}), "other images"),
    "lr": ({"lr": 0.01}, r"lr=0\.02; this one has lr=0\.01"),
    "max_epochs": ({"max_epochs": 8}, "max_epochs=7; this one has max_epochs=8"),
    "filters": ({"filters": 3}, "filters=2; this one has filters=3"),
    "sigma": ({"sigma": 3}, "sigma=None; this one has sigma=3"),
    "optimizer": ({"net_params": {"optimizer": torch.optim.SGD}}, "net_params=None; this one"),
    "seed": ({"random_state": 1}, "another random_state"),
    "regressor": (DensityMapRegressor(max_epochs=7, random_state=0), "architecture=None; this one has"),
}


def test_other_data_or_parameters_are_refused(noise, tmp_path):
    X, points = noise
    path = tmp_path / "it"
    killed(small(), 4, X, points, checkpoint=path)
    before = path.read_bytes()
    for other, message in OTHERS.values():
        regressor, data = small(**other) if isinstance(other, dict) else other, (X, points, {})
        if callable(other):
            regressor, data = small(), other(X, points)
        X_other, y_other, more = data
        with pytest.raises(ValueError, match=f"with {message}.* Name another file .*, or remove"):
            regressor.set_params(callbacks=[("none", NoTraining())]).fit(
                X_other, y_other, checkpoint=path, **more
            )
        assert path.read_bytes() == before
    small(verbose=0).fit(X, points, checkpoint=path)


def test_a_second_fit_on_one_checkpoint_is_refused(noise, tmp_path):
    path = tmp_path / "it"
    with (
        open_checkpoint(path, 1),
        pytest.raises(RuntimeError, match=r"Another fit is writing the checkpoint .*it\."),
    ):
        small().fit(*noise, checkpoint=path)
    small().fit(*noise, checkpoint=path)


def test_damaged_and_foreign_checkpoints_are_refused_before_training(noise, tmp_path):
    path = tmp_path / "it"
    regressor = small(callbacks=[("none", NoTraining())])
    path.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(ValueError, match="is not a file that skcount wrote"):
        regressor.fit(*noise, checkpoint=path)
    path.unlink()
    killed(small(), 4, *noise, checkpoint=path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged or incomplete"):
        regressor.fit(*noise, checkpoint=path)
    with pytest.raises(FileNotFoundError, match="missing"):
        regressor.fit(*noise, checkpoint=tmp_path / "missing" / "it")
    with pytest.raises(ValueError, match="is a folder"):
        regressor.fit(*noise, checkpoint=tmp_path)


def test_a_checkpoint_of_another_version_is_refused(noise, tmp_path, monkeypatch):
    killed(small(), 4, *noise, checkpoint=tmp_path / "it")
    monkeypatch.setattr("skcount.__version__", "0.2.0")
    with pytest.raises(ValueError, match=r"skcount 0\.1\.0, .*this is 0\.2\.0"):
        small().fit(*noise, checkpoint=tmp_path / "it")


@pytest.mark.parametrize("params", [{"checkpoint": 3}, {"checkpoint": "it", "checkpoint_every": 0}])
def test_bad_parameters_are_refused(params, noise):
    with pytest.raises(ValueError, match=r"'(checkpoint|checkpoint_every)' parameter of fit"):
        small().fit(*noise, **params)


def test_workers_that_live_on_are_refused(noise, tmp_path):
    workers = {"iterator_train__num_workers": 1, "iterator_train__persistent_workers": True}
    with pytest.raises(ValueError, match=r"`net_params` .*persistent_workers=True"):
        small(net_params=workers).fit(*noise, checkpoint=tmp_path / "it")


def test_a_partial_is_known_by_its_arguments(noise, tmp_path):
    def make(momentum):
        optimizer = partial(torch.optim.SGD, momentum=momentum)
        return small(net_params={"optimizer": optimizer}, lr=0.001)

    X, points = noise
    path = tmp_path / "it"
    make(0.9).fit(X, points, checkpoint=path)
    make(0.9).fit(X, points, checkpoint=path)  # has ended, and is not trained again
    with pytest.raises(ValueError, match=r"belongs to a fit with net_params=.*0\.9.*; this one .*0\.5"):
        make(0.5).fit(X, points, checkpoint=path)
