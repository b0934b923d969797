"""Ctrl-C ends a fit or a search at once, with a KeyboardInterrupt, and leaves no process behind."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

ENDLESS = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from sklearn.model_selection import GridSearchCV, cross_val_score
from skcount import UNetRegressor
from skcount.datasets import make_cells

X, points = make_cells(8, image_shape=(64, 64), random_state=0, return_X_y=True)
regressor = UNetRegressor(8, max_epochs=10**6, random_state=0)
n_jobs = int(sys.argv[2])
print("begun", flush=True)
if sys.argv[1] == "fit":
    regressor.fit(X, points)
elif sys.argv[1] == "search":
    GridSearchCV(regressor, {"sigma": [1, 2, 3, 4]}, cv=4, n_jobs=n_jobs).fit(X, points)
else:
    cross_val_score(regressor, X, points, cv=4, n_jobs=n_jobs)
print("not interrupted", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as a terminal on POSIX sends them")
@pytest.mark.parametrize(("what", "n_jobs"), [("fit", 1), ("search", 1), ("scores", 1), ("search", 2)])
def test_an_interrupt_ends_everything(what, n_jobs):
    process = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-W", "ignore", "-c", ENDLESS, what, str(n_jobs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == "begun\n"
        time.sleep(3 if n_jobs == 1 else 8)  # until it trains; an interrupt before that is none of ours
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)  # the training would take days
        assert "not interrupted" not in out
        assert "KeyboardInterrupt" in err
        assert process.returncode in {-signal.SIGINT, 1, 130}
        assert has_ended(process.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def has_ended(group):
    """Whether no process of a group is left, after some seconds at most."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
