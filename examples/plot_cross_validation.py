"""
How well will it count on new images?
=====================================

`cross_validate` answers with the mean absolute error of the counts on images that were not trained on, beside that of
guesses that look at no image.
"""

# %%
# Simulated fluorescent cells with the exact centre of each.

from skcount.datasets import make_cells

X, points = make_cells(n_samples=24, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)

# %%
# The regressor's own score is minus the mean absolute error. scikit-learn's ``"neg_mean_absolute_error"`` sees the
# counts of `PointAnnotations` and gives the same; so does ``count_mae_scorer``, which takes plain lists too.

from sklearn.model_selection import cross_validate

from skcount import DensityMapRegressor

regressor = DensityMapRegressor(sigma=2, max_epochs=40, random_state=0)
mae = {"cv": 3, "scoring": "neg_mean_absolute_error"}
folds = cross_validate(regressor, X, points, **mae, return_estimator=True, return_indices=True)
scores = folds["test_score"]
print(f"MAE in 3 folds of {len(X) // 3} images: {-scores.mean():.2f} +- {scores.std():.2f} cells")

# %%
# How much of this could be had without looking at the images?

from sklearn.dummy import DummyRegressor

for strategy in ("mean", "median"):
    blind = cross_validate(DummyRegressor(strategy=strategy), X, points, **mae)["test_score"]
    print(f"{strategy} of the training counts: {-blind.mean():.2f} cells")
assert -scores.mean() < -blind.mean() / 2

# %%
# Every image was in one test fold. True against predicted, for all of them, each by the regressor that never saw it; and
# the differences against the mean of both (Bland and Altman): 95 of 100 new images are expected between the outer lines,
# if the differences are spread as a normal law says. Here they are not quite: where many cells lie, too few are counted,
# which no mean error would have told. 40 epochs are few.

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
