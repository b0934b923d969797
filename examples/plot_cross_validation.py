"""
How well will it count on new images?
=====================================

`cross_val_score` answers with the mean absolute error of the counts on images that were not trained on, beside that
of guesses that look at no image.
"""

# %%
# Simulated fluorescent cells with the exact centre of each.

from skcount.datasets import make_cells

X, points = make_cells(n_samples=24, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)

# %%
# The regressor's own score is minus the mean absolute error. scikit-learn's ``"neg_mean_absolute_error"`` sees the
# counts of `PointAnnotations` and gives the same; so does ``count_mae_scorer``, which takes plain lists too.

from sklearn.model_selection import cross_val_predict, cross_val_score

from skcount import DensityMapRegressor

regressor = DensityMapRegressor(sigma=2, max_epochs=60, random_state=0)
scores = cross_val_score(regressor, X, points, cv=3, scoring="neg_mean_absolute_error")
print(f"MAE in 3 folds of {len(X) // 3} images: {-scores.mean():.2f} +- {scores.std():.2f} cells")

# %%
# How much of this could be had without looking at the images?

from sklearn.dummy import DummyRegressor

for strategy in ("mean", "median"):
    blind = cross_val_score(
        DummyRegressor(strategy=strategy), X, points, cv=3, scoring="neg_mean_absolute_error"
    )
    print(f"{strategy} of the training counts: {-blind.mean():.2f} cells")
assert -scores.mean() < -blind.mean() / 2

# %%
# Every image was in one test fold. True against predicted, for all of them:

import matplotlib.pyplot as plt
from sklearn.metrics import PredictionErrorDisplay

predicted = cross_val_predict(regressor, X, points, cv=3)
figure, ax = plt.subplots(figsize=(4, 4), layout="constrained")
PredictionErrorDisplay.from_predictions(points.counts, predicted, kind="actual_vs_predicted", ax=ax)
ax.set(xlabel="predicted (cells)", ylabel="true (cells)")
plt.show()
