"""
How do I keep a model, and go on after an interruption?
=======================================================

`save` writes a fitted regressor to one file, ``skcount.load`` reads it, and both count the same to the last bit. A
checkpoint lets a fit go on where it was stopped, and it ends with the same weights as one that was not.
"""

# %%
# Simulated cells, and a regressor that was fitted on some of them. A folder for what this example writes:

import tempfile
from pathlib import Path

from skcount import UNetRegressor
from skcount.datasets import make_cells

folder = tempfile.TemporaryDirectory()
X, points = make_cells(n_samples=32, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)
X_train, X_test, points_train, points_test = X[:24], X[24:], points[:24], points[24:]
regressor = UNetRegressor(filters=8, sigma=2, max_epochs=30, random_state=0).fit(X_train, points_train)

# %%
# One file holds the weights, the parameters and what was learnt, and no code: loading it runs none, unlike a pickle.

import skcount

path = Path(folder.name, "cells.skcount")
regressor.save(path)
loaded = skcount.load(path)
print(f"{path.name}, {path.stat().st_size / 1e6:.1f} MB: {loaded}")
assert (loaded.predict(X_test) == regressor.predict(X_test)).all()
assert (loaded.predict_density(X_test) == regressor.predict_density(X_test)).all()

# %%
# A file that was damaged on its way is refused. Here one bit of it changes:

damaged = bytearray(path.read_bytes())
damaged[len(damaged) // 2] ^= 1
path.write_bytes(damaged)
try:
    skcount.load(path)
except ValueError as error:
    print(f"Refused: {error}".replace(folder.name, "..."))
else:
    raise AssertionError("a damaged file was loaded")

# %%
# Now a training that takes hours. With ``checkpoint=`` its whole state goes into a file after each epoch. A power cut in
# the 20th epoch is played by a callback that ends the fit, once.

from skorch.callbacks import Callback


class PowerCut(Callback):
    """Ends a fit in the middle of its 20th epoch, the first time."""

    happened = False

    def on_batch_begin(self, net, **_):
        """See whether it is time."""
        if len(net.history) == 20 and not PowerCut.happened:
            PowerCut.happened = True
            raise KeyboardInterrupt


checkpoint = Path(folder.name, "cells.checkpoint")
interrupted = UNetRegressor(filters=8, sigma=2, max_epochs=30, callbacks=[PowerCut()], random_state=0)
try:
    interrupted.fit(X_train, points_train, checkpoint=checkpoint)
except KeyboardInterrupt:
    print(f"Interrupted; {checkpoint.name} is there: {checkpoint.exists()}")

# %%
# The same line again goes on in the 20th epoch. It ends with the weights of the fit that was never stopped, so its counts
# are equal to the last bit (on a CPU, with as many threads as before).

interrupted.fit(X_train, points_train, checkpoint=checkpoint)
assert interrupted.n_iter_ == 30
assert (interrupted.predict(X_test) == regressor.predict(X_test)).all()

# %%
# The course of both trainings, one laid over the other, and what they count.

import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
epochs = [row["epoch"] for row in regressor.history_]
for fitted, look in [
    (regressor, {"color": "#56B4E9", "linewidth": 6, "label": "never stopped"}),
    (interrupted, {"color": "black", "linestyle": "--", "label": "stopped and gone on"}),
]:
    left.plot(epochs, [row["train_loss"] for row in fitted.history_], **look)
left.axvline(20, color="0.45", linestyle=":", label="power cut")
left.set(xlabel="epoch", ylabel="loss", yscale="log")
left.legend()

limits = [0, 27]
right.plot(limits, limits, color="0.45", linestyle="--")
right.plot(
    points_test.counts, regressor.predict(X_test), "o", color="#56B4E9", markersize=12, label="never stopped"
)
right.plot(points_test.counts, interrupted.predict(X_test), "k+", label="stopped and gone on")
right.set(xlabel="true count", ylabel="predicted count", xlim=limits, ylim=limits, aspect="equal")
right.legend()
plt.show()
folder.cleanup()
