import io
import re
import signal
import sys
from contextlib import redirect_stdout
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import ValidSplit

from skcount import UNetRegressor, _progress
from skcount.training._net import CountingNet, one_cycle

small = partial(UNetRegressor, filters=4, depth=2, max_epochs=2, random_state=0)


# --- the schedule: learning rates, and when batch statistics are frozen ---------------------------------------------


@given(st.floats(0, 1))
def test_the_learning_rate_stays_positive_and_at_most_the_largest(progress):
    assert 0 < one_cycle(progress) <= 1


def test_the_learning_rate_rises_then_falls():
    rates = np.array([one_cycle(p) for p in np.linspace(0, 1, 101)])
    top = int(rates.argmax())
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert 0 < top < 50


class RunningMeans(Callback):
    """Collect a running mean after each batch."""

    def __init__(self):
        self.means = []

    def on_batch_end(self, net, **kwargs):
        self.means.append(net.module_.network.down1[1].running_mean.clone().numpy())


def test_batch_statistics_are_frozen_towards_the_end_of_each_fit(noise):
    regressor = small(max_epochs=20, warm_start=True)
    for _ in range(2):
        collect = RunningMeans()
        regressor.set_params(callbacks=[collect]).fit(*noise)
        changes = [(a != b).any() for a, b in zip(collect.means, collect.means[1:], strict=False)]
        assert changes == [True] * 17 + [False] * 2


def test_partial_fit_freezes_nothing(noise):
    regressor = small().partial_fit(*noise)
    before = regressor.module_.network.down1[1].running_mean.clone().numpy()
    assert (regressor.partial_fit(*noise).module_.network.down1[1].running_mean.numpy() != before).any()


# --- skorch's loop ------------------------------------------------------------------------------------------------


def test_the_defaults_of_skorch_that_lose_data_are_undone(noise):
    seen = {}

    class Look(Callback):
        def on_train_end(self, net, X=None, y=None, **kwargs):
            seen.update(split=net.train_split, dataset=X, batches=[row["batches"] for row in net.history])
            seen.update(net=net)

    X, points = noise
    small(callbacks=[Look()]).fit(X, points)
    assert isinstance(seen["net"], CountingNet)
    assert seen["split"] is None  # nothing is held out silently
    assert len(seen["dataset"]) == len(X)
    assert seen["batches"] == [[], []]  # the history does not grow with the batches


def test_a_batch_of_minus_one_is_all_crops(noise):
    sizes = []

    class Look(Callback):
        def on_batch_begin(self, net, batch=None, **kwargs):
            sizes.append(len(batch[0]))

    small(batch_size=-1, callbacks=[Look()]).fit(*noise)
    assert sizes == [6, 6]


def test_early_stopping_of_skorch_ends_the_training_and_nothing_else(noise):
    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=10)
    assert small(max_epochs=30, callbacks=[stop]).fit(*noise).n_iter_ < 10


def test_a_validation_split_of_skorch_works(noise):
    assert small(net_params={"train_split": ValidSplit(2)}).fit(*noise).n_iter_ == 2


def test_an_interrupt_ends_the_fit_with_an_interrupt(noise):
    class Interrupt(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small(callbacks=[Interrupt()]).fit(*noise)


def test_a_signal_that_reaches_the_callbacks_of_skorch_is_an_interrupt_too(noise, monkeypatch):
    clock = SimpleNamespace(
        time=partial(signal.raise_signal, signal.SIGINT)
    )  # its handler runs in the frame of skorch
    monkeypatch.setattr("skorch.callbacks.logging.time", clock)
    with pytest.raises(KeyboardInterrupt):
        small().fit(*noise)


# --- what a fit says ----------------------------------------------------------------------------------------------


def test_history_is_plain_numbers(noise):
    history = small(max_epochs=3).fit(*noise).history_
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert all(set(row) == {"epoch", "train_loss", "crop_count_mae", "dur"} for row in history)
    assert all(type(value) in {int, float} for row in history for value in row.values())


def test_verbose_2_prints_one_line_per_epoch_and_silence_is_the_default(noise):
    for verbose, n_lines in ((0, 0), (1, 0), (2, 4)):
        with redirect_stdout(io.StringIO()) as printed:
            small(verbose=verbose).fit(*noise)
        assert len(printed.getvalue().splitlines()) == n_lines
    assert re.search(r"epoch.*crop_count_mae.*train_loss.*dur", printed.getvalue())


@pytest.mark.parametrize("terminal", [False, True])
def test_verbose_1_shows_a_bar_of_the_steps_on_a_terminal_only(noise, capsys, monkeypatch, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr(_progress, "PATIENCE", 0)
    small(verbose=1, max_epochs=3, validation_fraction=0.5).fit(*noise)
    shown = capsys.readouterr().err
    assert ("read:" in shown) == terminal
    assert ("fit:" in shown) == terminal
    assert ("3/3" in shown) == ("held-out MAE=" in shown) == terminal


def test_no_bar_is_left_of_a_fit_that_is_refused(noise, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with pytest.raises(ValueError, match="no_such_thing"):
        small(verbose=1, net_params={"no_such_thing": 1}).fit(*noise)
    assert "fit:" not in capsys.readouterr().err
