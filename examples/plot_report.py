"""
Can I trust the error of my model?
==================================

One number, such as an MAE of 1.5, says little. ``counting_report`` puts it next to the error of guesses that look at no
image and to the disagreement of people, and warns of what makes errors look too good.
"""

# %%
# Simulated cells. A second person has counted the same images and misses some of the cells, about one in fifteen.

import numpy as np

from skcount import UNetRegressor
from skcount.datasets import make_cells

X, points = make_cells(36, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)
rng = np.random.default_rng(0)
second = rng.binomial(points.counts.astype(int), 14 / 15)

# %%
# The report trains a clone for each of the folds and tests it on images that it has not seen. What its checks find is in
# ``report.warnings``, and is a warning of Python as well. Here it is printed instead.

import warnings

from skcount.evaluation import CountReportWarning, counting_report

warnings.filterwarnings("ignore", category=CountReportWarning)
regressor = UNetRegressor(filters=8, sigma=2, max_epochs=40, batch_size=4, random_state=0)
report = counting_report(regressor, X, points, cv=3, raters={"second person": second})
print(report.table)

# %%
# The columns next to the regressor are baselines: the mean and the median of the training counts. A regressor that is
# not far better has not shown that it looks at the images. GAME also counts errors of place; GAME 0 is the MAE.

mae, blind = report.table["UNetRegressor"][0], report.table["training mean"][0]
assert mae < blind / 2

# %%
# All of the report, with errors by predicted count, the agreement, the precision of points, and the two people. People
# differ, too. The error of a regressor means little without knowing by how much.

print(report)
people = report.raters["mean absolute difference"][0]
assert people > 0.3

# %%
# ``report.to_html("report.html")`` writes a page with pictures, and ``report.to_frame()`` is a table of pandas.
# From a shell, for a model and images that it was not trained on::
#
#     skcount report model.skcount test_pictures/ test_cells.csv --out report.html

# %%
# A mistake that is easily made: names of files are sorted in two ways, and each image gets the dots of the one before. No
# training fails because of that. Here, a regressor returns the count of the most similar training image. The report says
# that it is worse than blind, and far better on its training images than on new ones.

from sklearn.neighbors import KNeighborsRegressor

pixels = X[..., 2].reshape(len(X), -1).astype(float)
poor = counting_report(KNeighborsRegressor(1), pixels, np.roll(points.counts, 1), cv=3)
for text in poor.warnings:
    print(text)
assert any("looks at no image" in text for text in poor.warnings)
assert any("training error" in text for text in poor.warnings)

# %%
# The counts of the network, its differences, and all errors next to the difference of the two people.

import matplotlib.pyplot as plt

from skcount.plotting import CountErrorDisplay

figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for ax, kind in zip(axes[:2], ("actual_vs_predicted", "bland_altman"), strict=True):
    CountErrorDisplay.from_predictions(report.counts["true"], report.counts["predicted"], kind=kind, ax=ax)
errors = {
    "two people": people,
    "network": mae,
    "training\nmean": blind,
    "mixed-up\ndots": poor.table["KNeighborsRegressor"][0],
}
bars = axes[2].bar(list(errors), list(errors.values()), color=["0.45", "#56B4E9", "0.7", "#D55E00"])
axes[2].bar_label(bars, fmt="%.1f")
axes[2].set(ylabel="MAE, cells per image", ylim=(0, 1.1 * max(errors.values())))
plt.show()
