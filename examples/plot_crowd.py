"""
How do I count a crowd with a region of interest and a perspective?
===================================================================

A camera looks along a path. Only people on the path should be counted, and people far away, at the top of the
image, look smaller. A boolean mask marks where to count (the region of interest), and a perspective map gives
the relative size of objects.
"""

# %%
# Simulated clips show people on a path that narrows towards the top, and other people next to the path, who
# should not be counted. Between frames everybody takes a step, so the frames of a clip are very similar.
# `perspective` is the relative size of an object at each pixel.

import numpy as np

from skcount import PointAnnotations

height, width = 64, 80
rows, cols = np.mgrid[:height, :width]
perspective = np.linspace(0.5, 1.6, height)[:, None] * np.ones(width)
roi = np.abs(cols - width / 2) < 12 + 0.35 * rows


def draw_clip(rng, n_frames=4):
    """Yield the images and points of one clip, with people on the path and next to it."""
    points = rng.uniform(0, (height - 1, width - 1), (rng.integers(4, 30), 2))
    for _ in range(n_frames):
        image = 0.3 + 0.1 * roi + 0.03 * rng.standard_normal((height, width))
        for row, col in points:
            scale = perspective[int(row + 0.5), int(col + 0.5)]  # taller than wide
            image += 0.4 * np.exp(
                -(((((rows - row) / 3.2) ** 2 + ((cols - col) / 1.8) ** 2) / scale**2) ** 2)
            )
        yield image.astype(np.float32), points
        points = np.clip(points + rng.normal(0, 1.5, points.shape), 0, (height - 1, width - 1))


rng = np.random.default_rng(0)
clips = np.repeat(np.arange(10), 4)  # the clip number of each frame
frames = [frame for _ in range(10) for frame in draw_clip(rng)]
X = np.stack([image for image, _ in frames])
points = PointAnnotations([p for _, p in frames])

# %%
# Each point on the path adds exactly 1 inside the path. With the perspective map, its kernel has a width of
# `sigma` times the scale at the point. Points next to the path add nothing.

import matplotlib.pyplot as plt

from skcount import DensityMapTransformer
from skcount.plotting import DensityMapDisplay

figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
axes[0].imshow(X[0], cmap="gray")
axes[0].set_title(f"{len(points[0])} people")
maker = DensityMapTransformer(sigma=1.5)
constant = maker.transform(points[:1], image_shape=(height, width), roi=roi)[0]
scaled = maker.transform(points[:1], image_shape=(height, width), roi=roi, perspective=perspective)[0]
for ax, name, density in zip(
    axes[1:], ["constant width", "with perspective"], [constant, scaled], strict=True
):
    DensityMapDisplay.from_predictions(X[0], density, roi=roi, ax=ax)
    ax.set_title(f"{name}: {density.sum():.1f} on the path")
axes[0].set_axis_off()
plt.show()

# %%
# An `ImageSet` keeps mask, perspective map and clip labels together with the images, through splits, searches
# and `predict`. The loss uses only pixels on the path. People stand upright, so ``augment="mirror"`` flips
# left and right only. It never turns an image upside down, where the perspective would be wrong too.

from skcount import ImageSet, UNetRegressor

images = ImageSet(X, roi=roi, perspective=perspective, groups=clips)
regressor = UNetRegressor(filters=8, sigma=1.5, augment="mirror", batch_size=4, max_epochs=25, random_state=0)

# %%
# In a cross-validation, no clip may be on both sides of a split, because the network would already know the
# previous frame.

from sklearn.model_selection import GroupKFold, cross_validate

folds = cross_validate(
    regressor,
    images,
    points,
    groups=images.groups,
    cv=GroupKFold(3),
    return_estimator=True,
    return_indices=True,
)
scores = folds["test_score"]
print(f"MAE on the path, in 3 folds of whole clips: {-scores.mean():.2f} ± {scores.std():.2f} people")

# %%
# The true count is the number of points on the path. `points.inside(images)` keeps only these points, for
# metrics and baselines that do not know about regions.

from sklearn.dummy import DummyRegressor

from skcount.metrics import count_mean_absolute_error

on_path = points.inside(images)
train, test = folds["indices"]["train"][0], folds["indices"]["test"][0]
fitted = folds["estimator"][0]
baseline = DummyRegressor().fit(images[train], on_path[train]).predict(images[test])
error = count_mean_absolute_error(on_path[test], fitted.predict(images[test]))
baseline_error = count_mean_absolute_error(on_path[test], baseline)
print(f"First fold, recomputed: {error:.2f}; baseline, mean training count: {baseline_error:.2f} people")
assert np.isclose(error, -scores[0])
assert error < baseline_error / 2

# %%
# Two frames from clips that this regressor was not trained on. Outside the region, the density is zero.

shown = test[[0, -1]]
figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
densities = fitted.predict_density(images[shown])
for ax, number, density in zip(axes, shown, densities, strict=True):
    DensityMapDisplay.from_predictions(images[number], density, points[number], roi=roi, ax=ax)
    assert (density[~roi] == 0).all()
plt.show()
