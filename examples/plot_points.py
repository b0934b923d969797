"""
Are the points on the objects?
==============================

A count can be right for the wrong reason: one cell missed, and another counted twice. ``predict_points`` places a point
on each object, and ``localization_report`` tells how many of these points are right.
"""

# %%
# Simulated cells, 24 images for training and 20 for the test.

import numpy as np

from skcount import UNetRegressor
from skcount.datasets import make_cells
from skcount.evaluation import localization_report
from skcount.metrics import count_mean_absolute_error

SHAPE = {"image_shape": (64, 64), "n_cells": (5, 25), "overlap": 0.8, "return_X_y": True}
X, points = make_cells(24, random_state=0, **SHAPE)
X_test, points_test = make_cells(20, random_state=1, **SHAPE)
regressor = UNetRegressor(filters=8, max_epochs=40, batch_size=4, random_state=0).fit(X, points)
predicted = regressor.predict_points(X_test)

# %%
# A predicted point is right if a true point lies within a radius. Each point is matched once at most. Precision is the
# share of predicted points that are right; recall is the share of cells that have a point. The cells are about ten
# pixels wide, so five pixels is the natural radius: half of a diameter.

radii = [1, 2, 3, 4, 5, 6, 8, 10]
report = localization_report(points_test, predicted, radii=radii)
print(report)
f1 = dict(zip(radii, report["f1"], strict=True))
assert f1[5] > 0.85
assert (np.diff(report["f1"]) >= 0).all()

# %%
# What would points be worth that are right by chance? Put as many points as predicted anywhere in the image. The counts
# are the same, and so is their error; only the places are wrong. A large radius flatters both.

rng = np.random.default_rng(0)
anywhere = [rng.uniform(-0.5, 63.5, size=each.shape) for each in predicted]
by_chance = localization_report(points_test, anywhere, radii=radii)
print(f"MAE of both: {count_mean_absolute_error(points_test, predicted.counts):.2f} cells per image")
print(f"F1 within 5 pixels: {f1[5]:.2f}, by chance {by_chance['f1'][4]:.2f}")
assert by_chance["f1"][4] < f1[5] / 2

# %%
# One test image with its matches. This is the matching of ``localization_report``: as many pairs as possible within the
# radius, and of these the shortest.

from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

RADIUS = 5


def match(true, found):
    """Return the indices of matched true and predicted points."""
    distances = cdist(true, found)
    rows, cols = linear_sum_assignment(np.where(distances <= RADIUS, distances, 1e6))
    near = distances[rows, cols] <= RADIUS
    return rows[near], cols[near]


worst = max(
    range(20),
    key=lambda i: len(points_test[i]) + len(predicted[i]) - 2 * len(match(points_test[i], predicted[i])[0]),
)
true, found = points_test[worst], predicted[worst]
rows, cols = match(true, found)
assert len(rows) == localization_report([true], [found], radii=RADIUS)["n_matched"][0]

# %%
# This is the image with the most mistakes. Where cells cover each other, a point may be missing or lie between two of them.

import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.4), layout="constrained")
left.imshow(X_test[worst])
for row, col in zip(rows, cols, strict=True):
    left.plot(*np.stack([true[row], found[col]]).T[::-1], color="white", linewidth=1)
missed, extra = np.delete(true, rows, axis=0), np.delete(found, cols, axis=0)
for values, marker, color, label in [
    (true[rows], "o", "#56B4E9", "cell with a point"),
    (found[cols], ".", "white", "its point"),
    (missed, "o", "#D55E00", "cell without a point"),
    (extra, "x", "#F0E442", "point without a cell"),
]:
    hollow = {"facecolors": "none", "edgecolors": color} if marker == "o" else {"color": color}
    left.scatter(
        values[:, 1], values[:, 0], s=70 if marker != "." else 25, marker=marker, label=label, **hollow
    )
left.set(xticks=[], yticks=[], title=f"{len(true)} cells, {len(found)} points, {len(rows)} matched")
figure.legend(
    *left.get_legend_handles_labels(), loc="outside lower left", ncols=4, fontsize="small", facecolor="0.6"
)
right.plot(radii, report["precision"], "o-", color="#56B4E9", label="precision")
right.plot(radii, report["recall"], "s--", color="#D55E00", label="recall")
right.plot(radii, by_chance["f1"], ":", color="0.45", label="F1 of points anywhere")
right.axvline(RADIUS, color="0.8", zorder=0)
right.set(xlabel="radius, pixels", ylabel="share", ylim=(0, 1.02), title="20 test images")
right.legend(loc="lower right")
plt.show()
