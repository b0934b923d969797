"""Ctrl-C ends a fit or a search at once, with a KeyboardInterrupt, and leaves no process behind."""

import os
import signal
import subprocess

import pytest
from processes import has_ended, started

ENDLESS = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from skcount import UNetRegressor
from skcount.datasets import make_cells

class Tell(Callback):
    def on_epoch_end(self, net, **_):
        if len(net.history) == 1:
            os.write(1, b"training\\n")  # at once, because two workers may write

X, points = make_cells(4, image_shape=(32, 32), random_state=0, return_X_y=True)
regressor = UNetRegressor(4, max_epochs=10**6, random_state=0, callbacks=[Tell()])
if sys.argv[1] == "fit":
    regressor.fit(X, points)
else:
    GridSearchCV(regressor, {"sigma": [1, 2, 3, 4]}, cv=2, n_jobs=int(sys.argv[2])).fit(X, points)
print("not interrupted", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as a terminal on POSIX sends them")
@pytest.mark.parametrize(("what", "n_jobs"), [("fit", 1), ("search", 1), ("search", 2)])
def test_an_interrupt_ends_everything(what, n_jobs):
    command = ["-W", "ignore", "-c", ENDLESS, what, str(n_jobs)]
    with started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(n_jobs):
            assert process.stdout.readline() == "training\n"
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=600)  # the training would take days
        assert "not interrupted" not in out
        assert "KeyboardInterrupt" in err
        assert process.returncode in {-signal.SIGINT, 1, 130}
        assert has_ended(process.pid)
