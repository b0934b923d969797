"""
What if I only know the number of objects?
==========================================

Suppose somebody counted the objects in each image but did not mark them. `fit` accepts such counts instead of
points. Only the totals of whole images supervise the training, and the network has to find out where the
objects are.
"""

# %%
# Simulated cells. The points of the training images serve for comparison.

from skcount.datasets import make_cells

X, points = make_cells(n_samples=64, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)
X_train, X_test, points_train, points_test = X[:32], X[32:], points[:32], points[32:]
counts_train = points_train.counts  # (n_images,): all that the second training receives
counts_train

# %%
# The same network, images and number of steps, trained once from points and once from counts alone.

from skcount import UNetRegressor

regressor = UNetRegressor(filters=8, sigma=2, batch_size=2, max_epochs=25, random_state=0)
from_points = regressor.fit(X_train, points_train)

# %%

from sklearn.base import clone

from_counts = clone(regressor).fit(X_train, counts_train)

# %%
# The error on images that were not used for training, and the error of the mean training count, which ignores
# the images.

from sklearn.dummy import DummyRegressor

from skcount.metrics import count_mean_absolute_error

baseline = DummyRegressor().fit(X_train, counts_train)
errors = {}
for name, model in {"points": from_points, "counts alone": from_counts, "mean count": baseline}.items():
    errors[name] = count_mean_absolute_error(points_test, model.predict(X_test))
    print(f"MAE on {len(X_test)} test images, {name}: {errors[name]:.2f} cells")
assert errors["counts alone"] < 0.7 * errors["mean count"]
assert errors["points"] < 0.5 * errors["mean count"]

# %%
# Where does each regressor count the cells? One test image, with the map learned from points and the one
# learned from counts.

import matplotlib.pyplot as plt

from skcount.plotting import DensityMapDisplay

figure, axes = plt.subplots(1, 2, figsize=(8, 4.8), layout="constrained")
for ax, name, model in zip(axes, ["points", "counts alone"], [from_points, from_counts], strict=True):
    display = DensityMapDisplay.from_estimator(model, X_test[0], points_test[0], ax=ax)
    ax.set_title(f"from {name}\n{display.ax_.get_title()}")
plt.show()

# %%
# The totals alone are enough to learn to count these cells, because 32 images with different counts rule out
# almost everything else. The map, however, is not a map of the cells. It spreads over everything that
# correlates with them, including their haze and the dark space between them, as long as the sum is correct.
# GAME shows this: it adds up the errors over 16 parts of each image, and it more than doubles. Counts alone
# therefore teach how many objects there are, but not where. It is also unknown how the network behaves on
# images of another kind. Training takes longer too: with half of these steps, the error was two to four times
# as large. With three values of `random_state`, the error was 1.05, 1.2 and 2.6 times that of points. If you
# can mark points, do so.

from skcount.metrics import grid_average_mean_absolute_error

for name, model in {"points": from_points, "counts alone": from_counts}.items():
    game = grid_average_mean_absolute_error(points_test, model.predict_density(X_test), level=2)
    print(f"GAME(2), {name}: {game:.2f} cells")
