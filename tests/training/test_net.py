import numpy as np
import pytest
import torch

from skcount import UNetRegressor
from skcount.training import LOSSES, Crops, PointTarget, train
from skcount.training._net import CountingNet


def test_the_defaults_of_skorch_that_lose_data_or_interrupts_are_undone(noise):
    seen = {}

    from skorch.callbacks import Callback

    class Look(Callback):
        def on_train_end(self, net, X=None, y=None, **kwargs):
            seen.update(split=net.train_split, dataset=X, batches=[row["batches"] for row in net.history])
            seen.update(rows=len(net.history), net=net)

    X, points = noise
    UNetRegressor(4, max_epochs=2, random_state=0, callbacks=[Look()]).fit(X, points)
    assert isinstance(seen["net"], CountingNet)
    assert seen["split"] is None  # nothing is held out silently
    assert len(seen["dataset"]) == len(X)
    assert seen["batches"] == [[], []]  # the history does not grow with the batches


def test_every_image_is_drawn_in_every_epoch(noise):
    X, points = noise
    drawn = []

    class Spy(Crops):
        def _draw(self, index, rng):
            drawn.append(int(index))
            return super()._draw(index, rng)

    from skcount import DensityMapTransformer
    from skcount.images import check_images
    from skcount.networks import DensityNetwork, UNet

    images = check_images(X)
    crops = Spy(images, PointTarget(points, images, DensityMapTransformer()), (17, 22), np.ones(6), True)
    network = DensityNetwork(UNet(3, 4), [0.5] * 3, [0.3] * 3)
    torch.manual_seed(0)
    history, _ = train(network, crops, LOSSES["mse"](0.01), max_epochs=2, lr=1e-3, batch_size=4, device="cpu")
    assert sorted(drawn[:6]) == sorted(drawn[6:12]) == list(range(6))
    assert drawn[:6] != drawn[6:12]  # in another order
    assert [row["epoch"] for row in history] == [1, 2]


def test_a_batch_of_minus_one_is_all_crops(noise):
    X, points = noise
    sizes = []

    from skorch.callbacks import Callback

    class Look(Callback):
        def on_batch_begin(self, net, batch=None, **kwargs):
            sizes.append(len(batch[0]))

    UNetRegressor(4, max_epochs=2, batch_size=-1, callbacks=[Look()]).fit(X, points)
    assert sizes == [6, 6]


def test_the_loss_falls_when_trained_longer(cells):
    X, points = cells
    # One step an epoch, and no penalty in the last.
    history = UNetRegressor(4, max_epochs=41, random_state=0).fit(X, points).history_
    assert history[-1]["train_loss"] < 0.7 * history[0]["train_loss"]


def test_an_unknown_parameter_of_skorch_is_named(noise):
    X, points = noise
    with pytest.raises(ValueError, match="max_epoch"):
        UNetRegressor(4, max_epochs=1, net_params={"max_epoch": 3}).fit(X, points)
