"""
How certain is a count?
=======================

Conformal prediction computes an interval around each count that contains the true count in, for example, 90
of 100 images, whatever the network is. It only needs some images that were not used for training. This
example needs ``pip install mapie``.
"""

# %%
# There are three sets of images: for training, for calibrating the intervals, and for testing them. The
# calibration images must come from the same source as later images: the same microscope and the same
# preparation. Many fields of one slide are very similar, and carry less information than the same number of
# slides.

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
# MAPIE accepts the fitted regressor, images and points directly.

import warnings

from mapie.regression import SplitConformalRegressor

level = 0.9
conformal = SplitConformalRegressor(regressor, confidence_level=level, prefit=True)
with warnings.catch_warnings():
    # MAPIE recognizes a fitted estimator by attributes that regressors on images do not have.
    warnings.filterwarnings("ignore", "Estimator does not appear fitted", UserWarning)
    conformal.conformalize(X[calibration], points[calibration])
counts, intervals = conformal.predict_interval(X[test])
low, high = intervals[:, 0, 0].clip(0), intervals[:, 1, 0]

# %%
# In how many of the test images does the interval contain the true count?

true = points[test].counts
inside = (low <= true) & (true <= high)
print(f"{inside.mean():.1%} of {n_test} test images, target {level:.0%}; ± {(high - counts)[0]:.1f} cells")

# %%
# The guarantee is an average over all draws of calibration and test images: 90 % or slightly more, with any
# number of calibration images from 9 on (with fewer, no finite interval can guarantee it). For one given set
# of calibration images, the coverage may be larger or smaller. It follows a beta distribution, which becomes
# narrower with more images.

import numpy as np
from scipy.stats import beta


def spread_of_coverage(n):
    """Return the range of the coverage in 90 of 100 draws of n calibration images."""
    rank = np.ceil((n + 1) * level)
    return beta.ppf([0.05, 0.95], rank, n + 1 - rank)


for n in (9, 19, 49, 99, 499, 999):
    print(f"{n:4} calibration images: coverage from {{:.1%}} to {{:.1%}}".format(*spread_of_coverage(n)))

# %%
# With 99 calibration images, the coverage lies in the range printed above, and 200 test images add their own
# random error. The result of this example may deviate by five standard deviations of both together.

deviation = np.sqrt(level * (1 - level) * (1 / n_calibration + 1 / n_test))
assert abs(inside.mean() - level) < 5 * deviation

# %%
# Each test image with its interval. Images whose true count lies outside are marked. All intervals have the
# same width, that of an average image: the guarantee holds over all images, not for crowded ones alone.

import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained", width_ratios=[3, 2])
order = np.argsort(counts)
rank = np.arange(n_test)
left.vlines(rank, low[order], high[order], color="#56B4E9", linewidth=1.5, label="interval")
for selected, style in [
    (inside, {"marker": ".", "color": "black", "label": "true count, inside"}),
    (~inside, {"marker": "D", "color": "#D55E00", "label": "true count, outside"}),
]:
    left.scatter(rank[selected[order]], true[order][selected[order]], s=16, zorder=3, **style)
left.set(xlabel="test images, by predicted count", ylabel="cells")
left.set_title(f"{inside.mean():.1%} inside, target {level:.0%}")
left.legend(loc="upper left")

numbers = np.arange(9, 1000, 10)
lower, upper = np.array([spread_of_coverage(n) for n in numbers]).T
right.fill_between(numbers, lower, upper, color="#56B4E9", alpha=0.5, label="90 of 100 draws")
right.axhline(level, color="0.45", linestyle="--", label="target")
right.plot(n_calibration, inside.mean(), "D", color="black", label="measured here")
right.set(xscale="log", xlabel="calibration images", ylabel="coverage", ylim=(0.7, 1))
right.set_title("coverage by number of calibration images")
right.legend(loc="lower right")
plt.show()
