"""
How certain is a count?
=======================

Conformal prediction computes an interval around each count that contains the true count in, for example, 90
of 100 images, whatever the network is. It only needs some images that were not used for training.
"""

# %%
# There are three sets of images: for training, for calibrating the intervals, and for testing them. The
# calibration images must come from the same source as later images: the same microscope and the same
# preparation. Many fields of one slide are very similar, and carry less information than the same number of
# slides; then pass the slide of each image as ``groups``.

import numpy as np

from skcount import UNetRegressor
from skcount.datasets import make_cells
from skcount.evaluation import ConformalCounter

n_train, n_calibration, n_test = 24, 99, 200
X, points = make_cells(
    n_train + n_calibration + n_test, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True
)
train = slice(n_train)
calibration = slice(n_train, n_train + n_calibration)
test = slice(n_train + n_calibration, None)
regressor = UNetRegressor(filters=8, max_epochs=30, batch_size=4, random_state=0).fit(X[train], points[train])

# %%
# The regressor is already fitted, so all images that the counter gets are for calibration. Without
# ``cv="prefit"``, `fit` trains on one half of its images and calibrates on the other. (MAPIE, another package for
# conformal prediction, accepts skcount's regressors, too.)

counter = ConformalCounter(regressor, cv="prefit").fit(X[calibration], points[calibration])
counts = counter.predict(X[test])
low, high = counter.predict_interval(X[test], coverage=0.9).T
for count, first, last in list(zip(counts, low, high, strict=True))[:5]:
    print(f"{count:4.1f} cells, between {first} and {last}")

# %%
# In how many of the test images does the interval contain the true count?

true = points[test].counts
inside = (low <= true) & (true <= high)
print(
    f"{inside.mean():.1%} of {n_test} test images, target 90 %; width {np.mean(high - low):.1f} cells on average"
)

# %%
# The guarantee is an average over all draws of calibration and test images: 90 % or more. One set of calibration
# images may have a coverage above or below, and the fewer images, the further. `expected_coverage` returns the
# range in which it lies in 90 of 100 sets.

numbers = [9, 19, 49, 99]
expected = [
    ConformalCounter(regressor, cv="prefit")
    .fit(X[calibration][:n], points[calibration][:n])
    .expected_coverage()
    for n in numbers
]
for each in expected:
    print(f"{each.n:3} calibration images: coverage from {each.low:.1%} to {each.high:.1%}")

# %%
# The result of this example may deviate by five standard deviations, of the calibration and of the test together.

deviation = np.sqrt(0.9 * 0.1 * (1 / n_calibration + 1 / n_test))
assert abs(inside.mean() - 0.9) < 5 * deviation
assert expected[-1].low > expected[0].low

# %%
# Left: the interval of each test image, placed at its true count. Large counts have larger errors, so intervals grow
# with the square root of the predicted count. Still, the guarantee is for all images together, not for crowded ones
# alone, where this network counts too few. Right: the expected coverage.

import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained", width_ratios=[3, 2])
shift = np.zeros(n_test)  # images with the same true count are drawn next to each other
for value in np.unique(true):
    same = np.flatnonzero(true == value)
    shift[same] = (np.arange(len(same)) - (len(same) - 1) / 2) * 0.055
for selected, color, label in [(inside, "#56B4E9", "true count inside"), (~inside, "#D55E00", "outside")]:
    x = (true + shift)[selected]
    left.vlines(x, low[selected] - 0.15, high[selected] + 0.15, color=color, linewidth=1.5, label=label)
ends = [0, true.max() + 1]
left.plot(ends, ends, color="black", linewidth=1, label="true count")
left.set(xlabel="true count, cells", ylabel="interval, cells")
left.set_title(f"{inside.mean():.1%} of the intervals hold, target 90 %")
left.legend(loc="upper left")

right.vlines(
    range(len(numbers)),
    [each.low for each in expected],
    [each.high for each in expected],
    color="#56B4E9",
    linewidth=8,
    label="expected, 90 of 100 sets",
)
right.plot(len(numbers) - 1, inside.mean(), "D", color="black", label="measured here")
right.axhline(0.9, color="0.45", linestyle="--", label="target")
right.set_xticks(range(len(numbers)), numbers)
right.set(xlabel="calibration images", ylabel="coverage", xlim=(-0.5, 3.5), ylim=(0.6, 1))
right.legend(loc="lower right")
plt.show()
