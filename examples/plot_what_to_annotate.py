"""
How many more images should I annotate, and which?
==================================================

Train on parts of the annotated images. If the error still falls with the number of dots, more dots help. Draw the next
images instead of choosing them by eye: then they also tell the total of all images, with an interval.
"""

# %%
# A population of 300 simulated images; 60 of them are annotated.

import numpy as np
from sklearn.model_selection import ShuffleSplit

from skcount import UNetRegressor
from skcount.datasets import make_cells
from skcount.evaluation import annotation_curve, estimate_total, sample_images

X, points = make_cells(300, image_shape=(48, 48), n_cells=(2, 14), random_state=0, return_X_y=True)
annotated, rest = np.arange(60), np.arange(60, 300)

# %%
# The curve: train on 8 and on 32 images, and test on 28 others, for three draws of the images. All trainings must have
# the same number of steps, or the small ones are worse only because they are short. ``max_epochs="auto"`` takes care of
# that, with 1200 steps for up to 64 images. This example takes 200, to be quick. In earnest, use three sizes or more and
# five draws.


class QuickRegressor(UNetRegressor):
    """Train for 200 steps, whatever the number of images."""

    def fit(self, X, y):
        """Fit the network."""
        self.max_epochs = round(200 * self.batch_size / len(X))
        return super().fit(X, y)


regressor = QuickRegressor(filters=8, sigma=2, batch_size=2, random_state=0)
cv = ShuffleSplit(3, test_size=28, random_state=0)
curve = annotation_curve(regressor, X[annotated], points[annotated], sizes=[8, 32], cv=cv)
print(curve)
assert curve.table["mae"][-1] < curve.table["mae"][0]

# %%
# Extrapolate it: twice and four times as many dots as the largest training had. The band only knows how much the draws
# differ. It knows nothing of images of another kind.

most = curve.table["objects"][-1]
future = curve.extrapolate([most, 2 * most, 4 * most])
print(future)
assert (np.diff(future["mae"]) <= 0).all()
saved = 1 - future["mae"][1] / future["mae"][0]
print(f"Doubling the number of dots is expected to save {saved:.0%} of the error.")

# %%
# Which images are next? It is tempting to take those that look difficult, or those that look good. Both make the images
# with dots unlike the others. `sample_images` draws them instead, with images of all predicted counts, and more of those
# with many objects. The number is decided beforehand.

regressor.fit(X[annotated], points[annotated])
predicted = regressor.predict(X[rest])
sample = sample_images(predicted, 20, random_state=0)
print("Annotate next:", rest[sample.indices])

# %%
# The same 20 images give an estimate of the total, as none of them was in the training. The 60 old ones are known
# exactly, so their count is added. (To draw from all images, give `sample_images` out-of-fold predictions of the
# annotated ones, which scikit-learn's ``cross_val_predict`` returns: predictions of training images are too good.)

counts = points[rest].counts[sample.indices]  # you count them
estimate = estimate_total(sample, counts)
known = points[annotated].counts.sum()
low, high = (known + end for end in estimate.interval)
print(f"{known + estimate.total:.0f} cells in all {len(X)} images, 95 % interval {low:.0f} to {high:.0f}")
assert low <= points.counts.sum() <= high

# %%
# Left: the error by the number of dots, and its extrapolation. Right: the next batch among all images without dots.

import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
objects = np.geomspace(curve.table["objects"][0], 4 * most, 50)
line = curve.extrapolate(objects)
left.fill_between(objects, line["low"], line["high"], color="#56B4E9", alpha=0.35, label="90 % band")
left.plot(objects, line["mae"], color="#56B4E9", label="fitted curve")
for errors in curve.errors.T:
    left.plot(curve.table["objects"], errors, ".", color="0.6")
left.plot(curve.table["objects"], curve.table["mae"], "o", color="black", label="measured, mean of the draws")
left.axvline(most, color="0.45", linestyle="--", label="largest training")
left.set(
    xscale="log", xlabel="annotated cells", ylabel="MAE, cells per image", ylim=(0, 1.25 * curve.errors.max())
)
ticks = [50, 100, 200, 400, 800]
left.set_xticks(ticks, ticks)
left.set_xticks([], minor=True)
left.legend(loc="upper right")

bins = np.arange(0, predicted.max() + 2, 2)
right.hist(predicted, bins, color="0.8", label="images without dots")
right.hist(predicted[sample.indices], bins, color="#D55E00", label="next batch")
right.set(xlabel="predicted count", ylabel="images", ylim=(0, 65))
right.legend()
plt.show()
