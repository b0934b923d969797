"""
Which network?
==============

The architecture is a parameter like any other, so GridSearchCV can compare networks, each with more than one
sigma. No density maps are stored: they are computed from the points when they are needed.
"""

# %%
# Small images and few epochs keep this example short. For a search on your own images, use all of them and
# more epochs.

from skcount.datasets import make_cells

X, points = make_cells(n_samples=24, image_shape=(32, 32), n_cells=(0, 8), random_state=0, return_X_y=True)

# %%
# The score is minus the mean absolute error of the counts on held-out images. The more a step costs, the
# fewer epochs a network gets. FCRN-B, whose kernels are large, is trained with one sigma only. Some of these
# fits are too short; their warnings are hidden here.

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skcount import DensityMapRegressor

search = GridSearchCV(
    DensityMapRegressor(batch_size=4, random_state=0),
    [
        {"architecture": ["unet"], "max_epochs": [24], "sigma": [1, 2]},
        {"architecture": ["fcrn_a"], "max_epochs": [12], "sigma": [1, 2]},
        {"architecture": ["fcrn_b"], "max_epochs": [8], "sigma": [2]},
    ],
    cv=2,
    refit=False,
)
warnings.simplefilter("ignore", ConvergenceWarning)
search.fit(X, points)
print(f"best: {search.best_params_}, MAE {-search.best_score_:.2f} cells")

# %%
# The figure has one line for each network. The bars are one standard deviation over the folds: networks whose
# bars overlap cannot be distinguished.

import matplotlib.pyplot as plt

from skcount.plotting import SearchDisplay

SearchDisplay.from_estimator(search, x="sigma", hue="architecture", negate_score=True, score_name="MAE")
plt.show()

# %%
# The cost of each network: its number of parameters, and the seconds per fit. The last line shows the error
# of a baseline that ignores the images, because no error means anything without it.

from sklearn.dummy import DummyRegressor
from sklearn.model_selection import cross_val_score

from skcount.networks import ARCHITECTURES

results = search.cv_results_
print("network  sigma         MAE  parameters   seconds")
for params, mean, std, seconds in zip(
    *(results[key] for key in ("params", "mean_test_score", "std_test_score", "mean_fit_time")), strict=True
):
    network = ARCHITECTURES[params["architecture"]](in_channels=3)
    size = sum(weights.numel() for weights in network.parameters())
    print(
        f"{params['architecture']:8} {params['sigma']:5} {-mean:6.2f} ± {std:4.2f} {size:11,} {seconds:9.1f}"
    )
baseline = -cross_val_score(DummyRegressor(), X, points, scoring="neg_mean_absolute_error", cv=2).mean()
print(f"baseline, mean training count: {baseline:.2f}")
assert -search.best_score_ < 0.7 * baseline

# %%
# With these short trainings, nothing is decided between the U-Net and FCRN-B: their bars overlap. FCRN-B has
# eight times the parameters and takes three times as long with a third of the epochs. FCRN-A has the largest
# error because it was stopped early: with twice the steps, its error was 0.6 to 0.7 in the same folds. Such a
# table shows what to expect for a given time. To find out which network counts best in the end, leave out
# `max_epochs`. First of all, check which networks are much better than the baseline that ignores the images.

# %%
# The parameters of the transformer that computes the maps can be searched too, as `density__...`.

from skcount import DensityMapTransformer

inner = GridSearchCV(
    DensityMapRegressor(density=DensityMapTransformer(), max_epochs=2, random_state=0),
    {"density__truncate": [2, 4]},
    cv=2,
)
inner.fit(X, points)
print(inner.best_params_)
