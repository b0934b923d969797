"""Time is told and kept, and an early end cools down."""

from functools import partial

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skcount import UNetRegressor
from skcount._progress import about
from skcount.datasets import make_cells
from skcount.training import Session, _session

small = partial(UNetRegressor, filters=4, depth=2, batch_size=4, random_state=0)


@pytest.fixture(scope="module")
def cells():
    return make_cells(4, image_shape=(32, 32), random_state=0, return_X_y=True)


class Clock(Callback):
    """A clock that a step moves by some seconds, and a look at the net."""

    def __init__(self, seconds=0.5, do=lambda net: None):
        self.now, self.seconds, self.do, self.rates = 0.0, seconds, do, []

    def __call__(self):
        return self.now

    def on_batch_end(self, net, **kwargs):
        self.net = net
        self.now += self.seconds
        self.rates.append(net.optimizer_.param_groups[0]["lr"])
        self.do(net)


def test_steps_fill_the_time(cells, monkeypatch):
    for minutes, epochs in ((1, 10), (0.5, 1000)):  # more and fewer steps than the epochs have
        clock = Clock(0.5)
        monkeypatch.setattr(_session, "monotonic", clock)
        small(max_epochs=epochs, callbacks=[clock, Session(minutes)]).fit(*cells)
        assert clock.now == pytest.approx(60 * minutes, abs=2)
        assert clock.net.module_.statistics_frozen
        assert clock.rates[-1] < 0.01 * max(clock.rates)


def test_time_that_is_too_short_still_trains(cells, monkeypatch):
    clock = Clock(100.0)
    monkeypatch.setattr(_session, "monotonic", clock)
    small(callbacks=[clock, Session(0.01)]).fit(*cells)
    assert clock.net.n_steps_ == _session.FEWEST_STEPS


@pytest.mark.parametrize("at", [1, 7, 50, 100, 195])
def test_an_early_end_cools_down(cells, at):
    session = Session()
    clock = Clock(do=lambda net: session.end() if net.n_steps_ == at else None)
    regressor = small(max_epochs=200, callbacks=[clock, session]).fit(*cells)
    n_planned = session.ended[1]
    assert session.ended == (at, n_planned)
    assert clock.net.n_steps_ == len(clock.rates) == min(at + round(0.05 * n_planned), n_planned)
    assert clock.net.module_.statistics_frozen
    falling = np.array(clock.rates[at - 1 :])
    assert np.all(np.diff(falling[1:]) < 0)
    assert falling[-1] < 0.05 * falling[0] or at == 195
    assert np.isfinite(regressor.predict(cells[0])).all()
    assert regressor.n_iter_ == len(regressor.history_) == min(at + 10, 200)


def test_the_held_out_error_is_shown_and_changes_nothing(cells, monkeypatch, capsys):
    monkeypatch.setattr(_session, "PATIENCE", 0)
    monkeypatch.setattr(_session, "SHARE", np.inf)  # measured in each step
    X, points = cells
    session, clock = (
        Session(held_out=(small().fit(X, points)._check_images(X[:2]), points.counts[:2])),
        Clock(),
    )
    watched = small(max_epochs=8, verbose=1, callbacks=[clock, session]).fit(X, points)
    plain = small(max_epochs=8).fit(X, points)
    for one, other in zip(watched.module_.parameters(), plain.module_.parameters(), strict=True):
        assert torch.equal(one, other)
    assert "held-out MAE" in capsys.readouterr().err
    assert clock.net.held_out_error_ is not None


def test_time_is_told_before_and_in_tenths(cells, monkeypatch, capsys):
    monkeypatch.setattr(_session, "PATIENCE", 1)
    clock = Clock(0.5)
    monkeypatch.setattr(_session, "monotonic", clock)
    regressor = small(max_epochs=100, verbose=1, callbacks=[clock]).fit(*cells)
    lines = capsys.readouterr().err.splitlines()[1:]  # the first is about the diameter
    n_steps = clock.net.n_steps
    n_objects = int(cells[1].counts.sum())
    assert lines[0] == f"4 images, {n_objects} objects, {n_steps} steps: {about((n_steps - 6) / 2)}."
    tenths = [line for line in lines if line.startswith("fit: ")]
    assert len(tenths) in {8, 9}
    assert all("left; MAE of crops" in line for line in tenths[1:])
    assert regressor.n_iter_ == 100


def test_a_short_fit_says_nothing_about_time(cells, capsys):
    small(max_epochs=2, verbose=1).fit(*cells)
    assert "steps" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "about 1 second"),
        (7.2, "about 7 seconds"),
        (24, "about 20 seconds"),
        (93, "about 90 seconds"),
        (118, "about 2 minutes"),
        (239, "about 4 minutes"),
        (5400, "about 1.5 hours"),
    ],
)
def test_times_are_written_in_words(seconds, text):
    assert about(seconds) == text
