import copy
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from skorch.callbacks import Callback

from skcount import DensityMapTransformer, ImageSet, UNetRegressor
from skcount.losses import make_loss
from skcount.networks import DensityNetwork, UNet
from skcount.training import Crops, Plan, PointTarget, own_randomness, random_stream, train

small = partial(UNetRegressor, filters=4, depth=2, max_epochs=2, random_state=0)


# --- a plan and its result ----------------------------------------------------------------------------------------


class Spy(Crops):
    """Note which images are drawn."""

    def _draw(self, index, rng):
        self.drawn.append(int(index))
        return super()._draw(index, rng)


def test_every_image_is_drawn_in_every_epoch_in_another_order(noise):
    X, points = noise
    images = ImageSet(X)
    crops = Spy(
        images, PointTarget(points, images, DensityMapTransformer()), (17, 22), np.ones(6), "rotations"
    )
    crops.drawn = []
    module = DensityNetwork(UNet(3, 4, depth=2), [0.5] * 3, [0.3] * 3)
    plan = Plan(module, images, crops, make_loss("mse", 0.01, 2.0), 2, 4, 1e-3, 4, "cpu", True, {})
    with own_randomness(0):
        result = train(plan)
    drawn = crops.drawn
    assert sorted(drawn[:6]) == sorted(drawn[6:12]) == list(range(6))
    assert drawn[:6] != drawn[6:12]
    assert [row["epoch"] for row in result.history] == [1, 2]
    assert result.diverged is None
    assert result.optimizer_state is None  # of one cycle nothing is left to go on with


def test_the_loss_falls_when_trained_longer(cells):
    # One step per epoch, and no penalty in the last.
    history = small(max_epochs=81).fit(*cells).history_
    assert history[-1]["train_loss"] < 0.7 * history[0]["train_loss"]


def test_the_counts_of_the_training_images_add_up(cells):
    X, points = cells
    regressor = small(filters=8, batch_size=2, max_epochs=30).fit(X, points)
    assert regressor.predict(X).sum() == pytest.approx(points.counts.sum(), rel=1e-4)


def test_a_stream_of_random_numbers_is_continued():
    with own_randomness(3):
        whole = torch.rand(4)
    with own_randomness(3):
        first, stream = torch.rand(2), random_stream()
    with own_randomness(stream):
        assert torch.equal(torch.cat([first, torch.rand(2)]), whole)


@pytest.mark.parametrize(
    ("net_params", "message"),
    [
        ({"max_epochs": 3, "lr": 1}, r"`net_params` must not contain \['lr', 'max_epochs'\]"),
        ({3: 3}, "`net_params` must have names.*got 3"),
    ],
)
def test_net_params_that_are_wrong_are_refused_by_name(net_params, message, noise):
    with pytest.raises(ValueError, match=message):
        small(net_params=net_params).fit(*noise)


# --- training that diverges -----------------------------------------------------------------------------------------

WILD = {"lr": 1e30, "normalization": None}


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
def test_training_that_diverges_leaves_the_weights_of_the_last_good_epoch(value, noise):
    X, points = noise
    seen = []

    class Look(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(copy.deepcopy(net.module_.state_dict()))

    regressor = small(max_epochs=8, batch_size=2, callbacks=[("look", Look()), ("ruin", Ruin(4, value))])
    message = r"in epoch 4: .*diverged.* weights are those of epoch 3\. .*smaller lr \(it is 0\.02\)"
    with pytest.raises(FloatingPointError, match=message):
        regressor.fit(X, points)
    kept = regressor.module_.state_dict()
    names = [name for name in kept if name != "output_scale"]
    assert all(torch.equal(kept[name], seen[2][name]) for name in names)
    assert len(regressor.history_) == regressor.n_iter_ == 3
    assert np.isfinite(regressor.predict(X)).all()


def test_with_validation_images_the_best_weights_are_kept_when_it_diverges(noise):
    regressor = small(validation_fraction=0.4, max_epochs=8, batch_size=1, callbacks=[("ruin", Ruin(6))])
    with pytest.raises(FloatingPointError, match=r"The weights are those of epoch \d\."):
        regressor.fit(*noise)
    errors = [row["valid_count_mae"] for row in regressor.history_]
    assert 0 < len(errors) < 6
    assert np.argmin(errors) == len(errors) - 1


def test_nothing_is_kept_if_no_epoch_was_good(noise):
    X, points = noise
    for params in (WILD, {"lr": 1e30, "max_epochs": 1, "batch_size": -1}):  # in the last step, too
        regressor = small(**params)
        message = r"in epoch \d: the training diverged\. Try a smaller lr"
        with pytest.raises(FloatingPointError, match=message):
            regressor.fit(X, points)
        with pytest.raises(NotFittedError):
            regressor.predict(X)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("warm_start", [False, True])
def test_training_that_diverges_at_once_leaves_the_old_model(method, warm_start, noise):
    X, points = noise
    regressor = small(warm_start=warm_start, normalization=None).fit(X, points)
    counts = regressor.predict(X)
    with pytest.raises(FloatingPointError, match="diverged"):
        getattr(regressor.set_params(**WILD), method)(X, points)
    np.testing.assert_array_equal(regressor.predict(X), counts)


def test_a_loss_that_begins_with_nothing_may_grow():
    X = np.random.default_rng(0).normal(size=(20, 3))
    regressor = UNetRegressor(filters=4, depth=3, stem=1, max_epochs=20, random_state=0).fit(X, np.zeros(20))
    losses = [row["train_loss"] for row in regressor.history_]
    assert 1000 * losses[0] < max(losses) < 1


def test_pixels_may_be_far_from_zero(cells):
    X, points = cells
    regressor = small(max_epochs=8).fit(300 + X / 255, points)  # as in kelvin
    assert max(row["train_loss"] for row in regressor.history_) < 10


# --- training that is too short -------------------------------------------------------------------------------------


def test_a_fit_that_has_not_learnt_to_count_says_how_far_off_it_is(noise):
    X, points = noise
    message = r"After 1 epochs .* to \d+% of .* expected 80% to 125%"
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        regressor = small(max_epochs=1).fit(X, points)
    share = regressor.predict(X).sum() / points.counts.sum()
    assert f" {share:.0%} of their counts" in str(caught[0].message)


@pytest.mark.parametrize("kind", ["counts", "maps of nothing"])
def test_counts_and_empty_maps_are_not_warned_of(noise, kind):
    X, points = noise
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "None of the 6 training images has an object")
        small(max_epochs=1).fit(X, points.counts if kind == "counts" else np.zeros(np.shape(X)[:3]))
