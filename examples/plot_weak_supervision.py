"""
What if I only know how many there are?
=======================================

Somebody counted the objects of each image, and nobody marked them. `fit` takes such counts in the place of points: only
the totals of whole images supervise, and where the objects are the network has to find out.
"""

# %%
# Simulated cells. The points of the training images serve to compare.

from skcount.datasets import make_cells

X, points = make_cells(n_samples=64, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)
X_train, X_test, points_train, points_test = X[:32], X[32:], points[:32], points[32:]
counts_train = points_train.counts  # (n_images,): all that the second training is told
counts_train

# %%
# The same network, images and number of steps; once from points, once from counts alone.

from skcount import UNetRegressor

regressor = UNetRegressor(filters=8, sigma=2, batch_size=2, max_epochs=25, random_state=0)
from_points = regressor.fit(X_train, points_train)

# %%

from sklearn.base import clone

from_counts = clone(regressor).fit(X_train, counts_train)

# %%
# The error on images that neither has seen, beside that of the mean training count, which looks at no image.

from sklearn.dummy import DummyRegressor

from skcount.metrics import count_mean_absolute_error

blind = DummyRegressor().fit(X_train, counts_train)
errors = {}
for name, model in {"points": from_points, "counts alone": from_counts, "no image": blind}.items():
    errors[name] = count_mean_absolute_error(points_test, model.predict(X_test))
    print(f"MAE on {len(X_test)} test images, learnt from {name}: {errors[name]:.2f} cells")
assert errors["counts alone"] < 0.7 * errors["no image"]
assert errors["points"] < 0.5 * errors["no image"]

# %%
# Where does each count its cells? One test image, with the map learnt from points and the one learnt from counts.

import matplotlib.pyplot as plt

from skcount.plotting import DensityMapDisplay

figure, axes = plt.subplots(1, 2, figsize=(8, 4.8), layout="constrained")
for ax, name, model in zip(axes, ["points", "counts alone"], [from_points, from_counts], strict=True):
    display = DensityMapDisplay.from_estimator(model, X_test[0], points_test[0], ax=ax)
    ax.set_title(f"from {name}\n{display.ax_.get_title()}")
plt.show()

# %%
# The totals alone teach a network to count these cells, for 32 images of many counts rule out nearly all else. But the map
# is no map of the cells: it is spread over whatever goes with them, their haze and the dark between them too, as long as the
# sum is right. GAME, the error of the counts in 16 parts of each image added up, shows it: it more than doubles. So counts
# alone tell how many, and not where; nor is it known what they do with an image of another kind. They also take
# longer: with half of these steps the error was two to four times as large. And with three values of `random_state` it was
# 1.05, 1.2 and 2.6 times that of points: who can have points should mark them.

from skcount.metrics import grid_average_mean_absolute_error

for name, model in {"points": from_points, "counts alone": from_counts}.items():
    game = grid_average_mean_absolute_error(points_test, model.predict_density(X_test), level=2)
    print(f"GAME(2), learnt from {name}: {game:.2f} cells")
