"""
How do I count with a Pipeline?
===============================

A pipeline takes images and points, and predicts counts. Steps before the regressor may change intensities but
not the geometry, because the points do not move.
"""

# %%
# Simulated fluorescent cells: blue nuclei on a dark background, with the exact center of each cell. The
# points of an image are an array of (row, col). Their number is the count.

from skcount.datasets import make_cells

X, points = make_cells(n_samples=32, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)
X_train, X_test, points_train, points_test = X[:24], X[24:], points[:24], points[24:]
X.shape, points

# %%
# The cells are only in the blue channel. A FunctionTransformer extracts it and takes the square root, which
# brightens dim cells. The U-Net learns to predict the density map from the points.

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from skcount import UNetRegressor


def blue_root(images):
    """Return the square root of the blue channel, in [0, 1]."""
    return np.sqrt(images[..., 2] / np.float32(255))


model = Pipeline(
    [
        ("intensity", FunctionTransformer(blue_root)),
        ("count", UNetRegressor(sigma=2, max_epochs=50, random_state=0)),
    ]
)
model.fit(X_train, points_train)

# %%
# `predict` returns counts. The baseline always predicts the mean count of the training images and ignores the
# images.

from sklearn.dummy import DummyRegressor

from skcount.metrics import count_mean_absolute_error

counts = model.predict(X_test)
error = count_mean_absolute_error(points_test, counts)
baseline = DummyRegressor().fit(X_train, points_train).predict(X_test)
baseline_error = count_mean_absolute_error(points_test, baseline)
print(f"MAE on {len(X_test)} test images: {error:.2f} cells; baseline: {baseline_error:.2f} cells")
assert error < baseline_error / 2

# %%
# The density map shows where cells are counted.

import matplotlib.pyplot as plt

from skcount.plotting import DensityMapDisplay

figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
densities = model.named_steps["count"].predict_density(blue_root(X_test[:2]))
for ax, image, density, p in zip(axes, X_test, densities, points_test, strict=False):
    DensityMapDisplay.from_predictions(image, density, p, ax=ax)
plt.show()
