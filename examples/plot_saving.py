"""
How do I save a model, and resume after an interruption?
========================================================

`save` writes a fitted regressor to one file, ``skcount.load`` reads it, and both count the same to the last
bit. With a checkpoint, an interrupted fit resumes where it stopped, and ends with the same weights as an
uninterrupted one.
"""

# %%
# Simulated cells, a regressor fitted on some of them, and a folder for the files of this example:

import tempfile
from pathlib import Path

from skcount import UNetRegressor
from skcount.datasets import make_cells

folder = tempfile.TemporaryDirectory()
X, points = make_cells(n_samples=32, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)
X_train, X_test, points_train, points_test = X[:24], X[24:], points[:24], points[24:]
regressor = UNetRegressor(filters=8, sigma=2, max_epochs=30, random_state=0).fit(X_train, points_train)

# %%
# One file contains the weights, the parameters and the fitted attributes. It contains no code, so loading it
# runs none, unlike a pickle.

import skcount

path = Path(folder.name, "cells.skcount")
regressor.save(path)
loaded = skcount.load(path)
print(f"{path.name}, {path.stat().st_size / 1e6:.1f} MB: {loaded}")
assert (loaded.predict(X_test) == regressor.predict(X_test)).all()
assert (loaded.predict_density(X_test) == regressor.predict_density(X_test)).all()

# %%
# A damaged file is rejected. Here one bit is flipped:

damaged = bytearray(path.read_bytes())
damaged[len(damaged) // 2] ^= 1
path.write_bytes(damaged)
try:
    skcount.load(path)
except ValueError as error:
    print(f"Rejected: {error}".replace(folder.name, "..."))
else:
    raise AssertionError("a damaged file was loaded")

# %%
# Consider a training that takes hours. With ``checkpoint=``, its whole state is saved to a file after each
# epoch. A callback simulates a power failure in the 20th epoch by interrupting the fit, once.

from skorch.callbacks import Callback


class PowerFailure(Callback):
    """Interrupt a fit in the middle of its 20th epoch, the first time."""

    happened = False

    def on_batch_begin(self, net, **_):
        """Interrupt the fit if it is in its 20th epoch."""
        if len(net.history) == 20 and not PowerFailure.happened:
            PowerFailure.happened = True
            raise KeyboardInterrupt


checkpoint = Path(folder.name, "cells.checkpoint")
interrupted = UNetRegressor(filters=8, sigma=2, max_epochs=30, callbacks=[PowerFailure()], random_state=0)
try:
    interrupted.fit(X_train, points_train, checkpoint=checkpoint)
except KeyboardInterrupt:
    print(f"Interrupted; {checkpoint.name} exists: {checkpoint.exists()}")

# %%
# The same call again resumes in the 20th epoch. It ends with the weights of the fit that was never
# interrupted, so the counts are equal to the last bit (on a CPU, with the same number of threads).

interrupted.fit(X_train, points_train, checkpoint=checkpoint)
assert interrupted.n_iter_ == 30
assert (interrupted.predict(X_test) == regressor.predict(X_test)).all()

# %%
# The loss of both trainings, and the counts of both regressors:

import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
epochs = [row["epoch"] for row in regressor.history_]
for fitted, style in [
    (regressor, {"color": "#56B4E9", "linewidth": 6, "label": "uninterrupted"}),
    (interrupted, {"color": "black", "linestyle": "--", "label": "interrupted and resumed"}),
]:
    left.plot(epochs, [row["train_loss"] for row in fitted.history_], **style)
left.axvline(20, color="0.45", linestyle=":", label="power failure")
left.set(xlabel="epoch", ylabel="loss", yscale="log")
left.legend()

limits = [0, 27]
right.plot(limits, limits, color="0.45", linestyle="--")
right.plot(
    points_test.counts, regressor.predict(X_test), "o", color="#56B4E9", markersize=12, label="uninterrupted"
)
right.plot(points_test.counts, interrupted.predict(X_test), "k+", label="interrupted and resumed")
right.set(xlabel="true count", ylabel="predicted count", xlim=limits, ylim=limits, aspect="equal")
right.legend()
plt.show()
folder.cleanup()
