import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skcount import UNetRegressor
from skcount.training._callbacks import one_cycle


@given(st.floats(0, 1))
def test_the_learning_rate_stays_positive_and_at_most_the_largest(progress):
    assert 0 < one_cycle(progress) <= 1


def test_the_learning_rate_rises_then_falls():
    rates = np.array([one_cycle(p) for p in np.linspace(0, 1, 101)])
    top = int(rates.argmax())
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert 0 < top < 50


class Statistics:
    """Collects a running mean after each batch."""

    def __new__(cls):
        from skorch.callbacks import Callback

        class Collect(Callback):
            means = []

            def on_batch_end(self, net, **kwargs):
                self.means.append(net.module_.network.down1[1].running_mean.clone().numpy())

        return Collect()


def test_the_statistics_of_batch_normalisations_are_frozen_towards_the_end(noise):
    X, points = noise
    collect = Statistics()
    UNetRegressor(4, max_epochs=20, random_state=0, callbacks=[collect]).fit(X, points)
    changes = [(one != other).any() for one, other in zip(collect.means, collect.means[1:], strict=False)]
    assert changes == [True] * 17 + [False] * 2


def test_partial_fit_freezes_nothing(noise):
    X, points = noise
    regressor = UNetRegressor(4, random_state=0).partial_fit(X, points)
    before = regressor.module_.network.down1[1].running_mean.clone().numpy()
    assert (regressor.partial_fit(X, points).module_.network.down1[1].running_mean.numpy() != before).any()


def test_a_fit_after_another_freezes_anew(noise):
    X, points = noise
    regressor = UNetRegressor(4, max_epochs=20, warm_start=True, random_state=0).fit(X, points)
    collect = Statistics()
    regressor.set_params(callbacks=[collect]).fit(X, points)
    assert (collect.means[0] != collect.means[10]).any()
    assert (collect.means[-1] == collect.means[-2]).all()
