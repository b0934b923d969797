"""
Can I use my own augmentation?
==============================

Yes: `augment` also takes a function that changes a crop and its points. This example trains on clean images
and counts in noisy ones.

Transforms of `albumentations <https://albumentations.ai>`_ need three lines. ``"yx"`` is its name for (row,
col), and the transforms must keep the size of the image:

.. code-block:: python

   def augment(image, points, rng):
       transform = A.Compose(TRANSFORMS, keypoint_params=A.KeypointParams("yx"), seed=int(rng.integers(2**31)))
       done = transform(image=image, keypoints=points)
       return done["image"], done["keypoints"]
"""

# %%
# The training images come from a good camera, and the new images from a noisy one. Only the blue channel contains cells.

import numpy as np

from skcount.datasets import make_cells

X, points = make_cells(n_samples=48, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)
X = X[..., 2]
X_train, X_test, points_train, points_test = X[:24], X[24:], points[:24], points[24:]

rng = np.random.default_rng(1)
noise = rng.normal(0, 0.1 * 255, X_test.shape)
X_noisy = np.clip(X_test + noise, 0, 255).astype(np.uint8)

# %%
# The function receives a crop of shape (height, width, n_channels), its points as (row, col), and a random
# generator. It returns a crop of the same size and its points. Integer pixels are already divided by the
# largest value of their type, here 255. The density map is made from the returned points, so each of them
# still adds exactly 1.


def flip_and_noise(image, points, rng):
    """Flip both axes at random, and add noise of random strength."""
    for axis in (0, 1):
        if rng.random() < 0.5:
            image = np.flip(image, axis)
            points = points.copy()
            points[:, axis] = image.shape[axis] - 1 - points[:, axis]
    noise = rng.normal(0, rng.uniform(0, 0.15), image.shape)
    return np.clip(image + noise, 0, 1), points


# %%
# Look at some results before training: the crosses must still be on the cells.

import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 4, figsize=(10, 3), layout="constrained")
for ax in axes:
    image, moved = flip_and_noise(X_train[0] / 255, points_train[0], rng)
    ax.imshow(image, cmap="gray")
    ax.plot(moved[:, 1], moved[:, 0], "+", color="tab:orange")
    ax.set_axis_off()
plt.show()

# %%
# The same network, trained with flips and rotations alone and with the function. All random numbers come from
# `rng`, so `random_state` makes both trainings reproducible.

from skcount import UNetRegressor

settings = {"filters": 8, "sigma": 2, "batch_size": 4, "max_epochs": 40, "random_state": 0}
named = UNetRegressor(augment="rotations", **settings).fit(X_train, points_train)
custom = UNetRegressor(augment=flip_and_noise, **settings).fit(X_train, points_train)

# %%
# Both count clean images well, but only the second one counts noisy images. The noise is so strong that
# skcount warns that the images differ from the training images; here this is intended, so the warning is
# silenced.

import warnings

from skcount import OutOfDistributionWarning
from skcount.plotting import CountErrorDisplay

warnings.simplefilter("ignore", OutOfDistributionWarning)
figure, axes = plt.subplots(2, 2, figsize=(8, 8), layout="constrained")
errors = {}
for row, (name, regressor) in zip(axes, {"named": named, "custom": custom}.items(), strict=True):
    for ax, (kind, images) in zip(row, {"clean": X_test, "noisy": X_noisy}.items(), strict=True):
        counts = regressor.predict(images)
        CountErrorDisplay.from_predictions(points_test, counts, ax=ax)
        ax.set_title(f"{name} augmentation, {kind} images\n{ax.get_title()}", fontsize="medium")
        errors[name, kind] = np.abs(counts - points_test.counts).mean()
plt.show()

baseline = np.abs(points_test.counts - points_train.counts.mean()).mean()
for (name, kind), error in errors.items():
    print(f"MAE with {name} augmentation on {kind} images: {error:.2f} cells; baseline {baseline:.2f}")
assert errors["named", "noisy"] > baseline
assert errors["custom", "noisy"] < baseline / 2
