"""
How do I count with a Pipeline?
===============================

Images and points go in, counts come out. Steps before the regressor change intensities, never the geometry:
points stay where they are.
"""

# %%
# Simulated fluorescent cells: blue nuclei on a dark ground, with the exact centre of each. The points of an image are
# an array of (row, col); their number is its count.

from skcount.datasets import make_cells

X, points = make_cells(n_samples=32, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)
X_train, X_test, points_train, points_test = X[:24], X[24:], points[:24], points[24:]
X.shape, points

# %%
# The cells are in the blue channel alone. A FunctionTransformer takes it, and its square root lifts the dim cells; a
# U-Net learns image -> density map from the points.

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from skcount import UNetRegressor


def blue_root(images):
    """Square root of the blue channel, in [0, 1]."""
    return np.sqrt(images[..., 2] / np.float32(255))


model = Pipeline(
    [
        ("intensity", FunctionTransformer(blue_root)),
        ("count", UNetRegressor(sigma=2, max_epochs=50, random_state=0)),
    ]
)
model.fit(X_train, points_train)

# %%
# `predict` gives counts. Beside their error stands that of a guess that looks at no image: the mean count of the
# training images.

from sklearn.dummy import DummyRegressor

from skcount.metrics import count_mean_absolute_error

counts = model.predict(X_test)
error = count_mean_absolute_error(points_test, counts)
blind = DummyRegressor().fit(X_train, points_train).predict(X_test)
blind_error = count_mean_absolute_error(points_test, blind)
print(f"MAE on {len(X_test)} test images: {error:.2f} cells; mean count: {blind_error:.2f} cells")
assert error < blind_error / 2

# %%
# The map says where they are counted.

import matplotlib.pyplot as plt

from skcount.plotting import DensityMapDisplay

figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
densities = model.named_steps["count"].predict_density(blue_root(X_test[:2]))
for ax, image, density, p in zip(axes, X_test, densities, points_test, strict=False):
    DensityMapDisplay.from_predictions(image, density, p, ax=ax)
plt.show()
