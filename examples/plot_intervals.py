"""
How sure is a count?
====================

Conformal prediction puts an interval around each count that holds the true one in, say, 90 of 100 images, whatever the
network is. All it takes are some images that were not trained on. It needs ``pip install mapie``.
"""

# %%
# Three kinds of images: to train on, to calibrate the intervals with, and to test them on. The calibration images must be
# drawn as the later ones are: same microscope, same preparation. Many fields of one slide are much alike, and count for less
# than as many slides would.

from skcount import UNetRegressor
from skcount.datasets import make_cells

n_train, n_calibration, n_test = 24, 99, 200
X, points = make_cells(
    n_train + n_calibration + n_test, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True
)
train = slice(n_train)
calibration = slice(n_train, n_train + n_calibration)
test = slice(n_train + n_calibration, None)
regressor = UNetRegressor(sigma=2, max_epochs=25, batch_size=4, random_state=0).fit(X[train], points[train])

# %%
# MAPIE takes the fitted regressor, images and points as they are.

import warnings

from mapie.regression import SplitConformalRegressor

wanted = 0.9
conformal = SplitConformalRegressor(regressor, confidence_level=wanted, prefit=True)
with warnings.catch_warnings():
    # MAPIE knows a fitted estimator by names that regressors on images do not have.
    warnings.filterwarnings("ignore", "Estimator does not appear fitted", UserWarning)
    conformal.conformalize(X[calibration], points[calibration])
counts, intervals = conformal.predict_interval(X[test])
low, high = intervals[:, 0, 0].clip(0), intervals[:, 1, 0]

# %%
# In how many of the test images does the interval hold the true count?

true = points[test].counts
inside = (low <= true) & (true <= high)
print(f"{inside.mean():.1%} of {n_test} test images, wanted {wanted:.0%}; +- {(high - counts)[0]:.1f} cells")

# %%
# The guarantee is one of the mean over all draws of calibration and test images: 90 % or slightly more, with any
# number of calibration images from 9 on (with fewer, no finite interval could promise it). With the calibration images
# that one happens to have, the share is larger or smaller than that: it follows a beta distribution, which gets narrow
# with the number of images.

import numpy as np
from scipy.stats import beta


def spread_of_coverage(n):
    """Range of the coverage in 90 of 100 draws of n calibration images."""
    rank = np.ceil((n + 1) * wanted)
    return beta.ppf([0.05, 0.95], rank, n + 1 - rank)


for n in (9, 19, 49, 99, 499, 999):
    print(f"{n:4} calibration images: coverage from {{:.1%}} to {{:.1%}}".format(*spread_of_coverage(n)))

# %%
# Here this range is that of 99 images, and 200 test images have a chance of their own: five standard deviations of
# both together are what this example may be off by.

deviation = np.sqrt(wanted * (1 - wanted) * (1 / n_calibration + 1 / n_test))
assert abs(inside.mean() - wanted) < 5 * deviation

# %%
# Each test image with its interval; those whose true count lies outside are marked. All intervals are of one width,
# which is that of the average image: the guarantee is one over all images, not over the crowded ones alone.

import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained", width_ratios=[3, 2])
order = np.argsort(counts)
rank = np.arange(n_test)
left.vlines(rank, low[order], high[order], color="#56B4E9", linewidth=1.5, label="interval")
for which, look in [
    (inside, {"marker": ".", "color": "black", "label": "true count, inside"}),
    (~inside, {"marker": "D", "color": "#D55E00", "label": "true count, outside"}),
]:
    left.scatter(rank[which[order]], true[order][which[order]], s=16, zorder=3, **look)
left.set(xlabel="test images, by predicted count", ylabel="cells")
left.set_title(f"{inside.mean():.1%} inside, wanted {wanted:.0%}")
left.legend(loc="upper left")

numbers = np.arange(9, 1000, 10)
lower, upper = np.array([spread_of_coverage(n) for n in numbers]).T
right.fill_between(numbers, lower, upper, color="#56B4E9", alpha=0.5, label="90 of 100 draws")
right.axhline(wanted, color="0.45", linestyle="--", label="wanted")
right.plot(n_calibration, inside.mean(), "D", color="black", label="measured here")
right.set(xscale="log", xlabel="calibration images", ylabel="coverage", ylim=(0.7, 1))
right.set_title("coverage that one may get")
right.legend(loc="lower right")
plt.show()
