"""
How do I train a model further on more images?
==============================================

A model counts a few new images badly. You mark the objects on them, and train the model on the old and the new
images together, with ``warm_start=True``: the training starts with the weights that it has.
"""

# %%
# Simulated cells: sixteen old images, and new ones of another microscope, which are darker.

import numpy as np

from skcount import UNetRegressor
from skcount.datasets import make_cells
from skcount.metrics import count_mean_absolute_error

SHAPE = {"image_shape": (64, 64), "n_cells": (2, 25), "return_X_y": True}
X_old, points_old = make_cells(16, random_state=0, **SHAPE)
X_new, points_new = make_cells(32, random_state=1, **SHAPE)
X_new = (X_new * 0.35).astype(np.uint8)
X_test, points_test = X_new[10:], points_new[10:]

regressor = UNetRegressor(filters=8, max_epochs=60, random_state=0).fit(X_old, points_old)


def measure(regressor):
    """Return the mean absolute error of the counts of the new images that nobody marked."""
    return count_mean_absolute_error(points_test, regressor.predict(X_test))


before = measure(regressor)
print(f"Error on the new images: {before:.2f} cells per image")

# %%
# Ten of the new images are marked. The network, the diameter and the standardisation of pixels stay what they are;
# half as many epochs are enough. Keep the old images: a network that sees only new ones forgets the others.

X, points = np.concatenate([X_old, X_new[:10]]), points_old + points_new[:10]
regressor.set_params(warm_start=True, max_epochs=30).fit(X, points)
after = measure(regressor)
print(f"With ten of them in the training: {after:.2f} cells per image")
assert after < before

# %%
# The same from a shell, where a new file is written::
#
#     skcount fit "all_pictures/" cells.csv --continue model.skcount --out better.skcount

# %%
# The loss of both trainings: the second one begins where the first one ended.

import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot([row["epoch"] for row in regressor.history_], [row["train_loss"] for row in regressor.history_])
ax.axvline(60.5, color="0.45", linestyle="--", label="ten more images")
ax.set(xlabel="epoch", ylabel="loss", yscale="log")
ax.legend()
plt.show()
