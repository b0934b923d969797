"""
Which sigma?
============

`sigma` is the standard deviation, in pixels, of the Gaussian that stands for one object. It does not change
how many objects a density map contains, but it changes what the network has to predict.
"""

# %%
# One image and its density map for four values of sigma. The cells have a radius of about 5 pixels. Each map
# sums to the number of points, because the mass that a Gaussian would lose over the edge is put back inside.

import matplotlib.pyplot as plt

from skcount import DensityMapTransformer
from skcount.datasets import make_cells

X, points = make_cells(n_samples=15, image_shape=(48, 48), n_cells=(2, 14), random_state=0, return_X_y=True)
sigmas = [1, 2, 4, 8]

figure, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
axes[0].imshow(X[1].max(axis=2), cmap="gray")
axes[0].set_title(f"{len(points[1])} cells")
for ax, sigma in zip(axes[1:], sigmas, strict=True):
    density = DensityMapTransformer(sigma).transform(points[1:2], image_shape=(48, 48))[0]
    ax.imshow(density)
    ax.set_title(f"sigma {sigma}, sum {density.sum():.1f}")
    assert abs(density.sum() - len(points[1])) < 1e-3
for ax in axes:
    ax.set_axis_off()
plt.show()

# %%
# A small sigma produces sharp peaks, which are difficult to hit. With a large sigma, neighbors merge, and the
# map no longer shows where anything is.
#
# A search measures both effects on images that were not used for training. The scores are the mean absolute
# error of the counts (MAE), and GAME(2), which adds up the errors over 16 parts of the image, so that cells
# counted in the wrong place matter. Small images, a narrow network and few steps keep this example short.
# Sigma 4 is also trained for longer. A `ConvergenceWarning` tells, once in a search, of fits that end before the
# network counts even its own training images. `trained_on_` of each fit says so too, and a third score shows
# the share of the folds that converged.

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skcount import UNetRegressor
from skcount.metrics import GAMEScorer, count_mae_scorer


def converged(regressor, X, y):  # noqa: ARG001 - the arguments of a scorer
    """Return 1 if the training of a fitted regressor converged, or else 0."""
    return float(regressor.trained_on_["converged"])


search = GridSearchCV(
    UNetRegressor(filters=8, batch_size=2, random_state=0),
    [{"max_epochs": [20], "sigma": [1, 2, 4]}, {"max_epochs": [40], "sigma": [4]}],
    scoring={"MAE": count_mae_scorer, "GAME": GAMEScorer(2), "converged": converged},
    refit=False,
    cv=3,
)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", ConvergenceWarning)
    search.fit(X, points)

print(caught[0].message)

# %%
# The bars are one standard deviation over the three folds.

from skcount.plotting import SearchDisplay

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for ax, metric in zip(axes, ["MAE", "GAME"], strict=True):
    options = {"metric": metric, "negate_score": True, "score_name": metric}
    SearchDisplay.from_estimator(search, x="sigma", hue="max_epochs", **options, ax=ax)
plt.show()

results = search.cv_results_
names = "params", "mean_test_MAE", "std_test_MAE", "mean_test_GAME", "mean_test_converged"
mae, game, share = {}, {}, {}
for params, error, deviation, places, ready in zip(*(results[name] for name in names), strict=True):
    pair = params["sigma"], params["max_epochs"]
    mae[pair], game[pair], share[pair] = -error, -places, ready
    errors = f"MAE {-error:.2f} ± {deviation:.2f}, GAME(2) {-places:.2f}"
    print("sigma {}, {} epochs:".format(*pair), f"{errors}, {ready:.0%} of the folds converged")

# %%
# After 20 epochs, sigma 2 has the smallest error. Sigma 1 cannot be distinguished from it, because their bars
# overlap, and sigma 4 looks bad. As the last number says, however, sigma 4 only learns more slowly: where wide
# Gaussians overlap, the map is high, and reaching it takes more steps. After 40 epochs, sigma 4 counts as
# well as sigma 2 did, and every fit has converged. A search with fits that are too short therefore finds the sigma that
# is learned soonest. If fits have not converged, train longer before you choose.
#
# Positions are another matter. GAME is smallest for sigma 1, because wide Gaussians extend from one part of the
# image into the next. If you need counts, several values of sigma work once the training is long enough, and the
# default, 3 pixels for cells with a radius of 5, is a good start. If you need positions, use a small sigma.
# Fifteen images and three folds cannot show more than this: another `random_state` changes these
# errors by as much as the bars.

assert len(caught) == 1
assert share[4, 20] < share[4, 40] == 1
assert mae[2, 20] < mae[4, 20] - 0.5
assert mae[4, 40] < mae[4, 20] - 0.5
assert game[1, 20] < game[4, 40]
