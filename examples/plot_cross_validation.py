"""
How well will it count on new images?
=====================================

`cross_validate` measures the mean absolute error of the counts on images that were not used for training.
Compare it with baselines that ignore the images.
"""

# %%
# Simulated fluorescent cells with the exact center of each cell.

from skcount.datasets import make_cells

X, points = make_cells(n_samples=24, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)

# %%
# The regressor's own score is minus the mean absolute error. scikit-learn's ``"neg_mean_absolute_error"``
# sees the counts of `PointAnnotations` and gives the same value. So does ``count_mae_scorer``, which accepts
# plain lists too.

from sklearn.model_selection import cross_validate

from skcount import DensityMapRegressor

regressor = DensityMapRegressor(sigma=2, max_epochs=40, random_state=0)
mae = {"cv": 3, "scoring": "neg_mean_absolute_error"}
folds = cross_validate(regressor, X, points, **mae, return_estimator=True, return_indices=True)
scores = folds["test_score"]
print(f"MAE in 3 folds of {len(X) // 3} images: {-scores.mean():.2f} ± {scores.std():.2f} cells")

# %%
# How much of this accuracy is possible without looking at the images?

from sklearn.dummy import DummyRegressor

for strategy in ("mean", "median"):
    baseline = cross_validate(DummyRegressor(strategy=strategy), X, points, **mae)["test_score"]
    print(f"{strategy} of the training counts: {-baseline.mean():.2f} cells")
assert -scores.mean() < -baseline.mean() / 2

# %%
# Every image was in one test fold. The left plot shows true against predicted counts of all images, each
# predicted by the regressor that did not train on it. The right plot shows the differences against the mean
# of both (Bland-Altman plot). If the differences are normally distributed, 95 of 100 new images lie between
# the outer lines. Here they are not quite normal: images with many cells are undercounted, which a mean error
# alone would not reveal. The reason is the short training of 40 epochs.

import matplotlib.pyplot as plt
import numpy as np

from skcount.plotting import CountErrorDisplay

predicted = np.empty(len(X))
for fitted, test in zip(folds["estimator"], folds["indices"]["test"], strict=True):
    predicted[test] = fitted.predict(X[test])
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
CountErrorDisplay.from_predictions(points, predicted, ax=axes[0])
CountErrorDisplay.from_predictions(points, predicted, kind="bland_altman", ax=axes[1])
plt.show()
