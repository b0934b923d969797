"""
How do I count only inside a region, where things far away look smaller?
========================================================================

A camera looks along a path. Only who walks on the path is to be counted, and people far away, at the top of the image,
look smaller. A boolean mask says where to count (the region of interest), and a perspective map how large things look.
"""

# %%
# Scenes to count in: bright discs on a path that narrows towards the top, and the same discs beside it, which are of no
# interest. `perspective` is the relative size of an object at each pixel.

import numpy as np

from skcount import PointAnnotations

height, width = 80, 96
rows, cols = np.mgrid[:height, :width]
perspective = np.linspace(0.5, 1.6, height)[:, None] * np.ones(width)
roi = np.abs(cols - width / 2) < 14 + 0.35 * rows


def draw_scene(rng):
    """One image with its points: walkers anywhere, on the path and beside it."""
    image = 0.3 + 0.1 * roi + 0.03 * rng.standard_normal((height, width))
    points = rng.uniform(0, (height - 1, width - 1), (rng.integers(4, 30), 2))
    for row, col in points:
        radius = 2.5 * perspective[int(row + 0.5), int(col + 0.5)]
        image += 0.4 * np.exp(-((((rows - row) ** 2 + (cols - col) ** 2) / radius**2) ** 2))
    return image.astype(np.float32), points


rng = np.random.default_rng(0)
scenes = [draw_scene(rng) for _ in range(40)]
X = np.stack([image for image, _ in scenes])
points = PointAnnotations([p for _, p in scenes])

# %%
# The mask and the scale travel with the images in an `ImageSet`: through splits, searches and `predict`. The loss looks
# only at the path; each point on it adds exactly 1 there, with a kernel that grows with the scale.

from skcount import UNetRegressor
from skcount.datasets import ImageSet

images = ImageSet(X, roi=roi, perspective=perspective)
images_train, images_test, points_train, points_test = images[:30], images[30:], points[:30], points[30:]
regressor = UNetRegressor(sigma=1.5, max_epochs=40, random_state=0).fit(images_train, points_train)
print(f"MAE on the path: {-regressor.score(images_test, points_test):.2f} walkers")

# %%
# The truth that a count is compared with is the number of points on the path: `points.inside(images)` gives them, for
# metrics and baselines that know nothing of regions.

from sklearn.dummy import DummyRegressor

from skcount.metrics import count_mean_absolute_error

on_path_train, on_path = points_train.inside(images_train), points_test.inside(images_test)
blind = DummyRegressor().fit(images_train, on_path_train).predict(images_test)
error = count_mean_absolute_error(on_path, regressor.predict(images_test))
blind_error = count_mean_absolute_error(on_path, blind)
print(f"The same, by hand: {error:.2f}; mean training count, no image looked at: {blind_error:.2f} walkers")
assert error < blind_error / 2

# %%
# Outside the region the density is zero.

import matplotlib.pyplot as plt

from skcount.plotting import DensityMapDisplay

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
densities = regressor.predict_density(images_test[:2])
for ax, image, density, true in zip(axes, images_test, densities, points_test, strict=False):
    DensityMapDisplay.from_predictions(image, density, true, roi=roi, ax=ax)
plt.show()
