"""
How do I count with no example, or with three?
==============================================

Weights that come with the package count nuclei without any training. Anything else needs examples, but a fit that starts
from weights needs only a few.
"""

# %%
# Simulated nuclei of two magnifications, in one list. Nobody has marked any of them, and nobody says how large they are.

import numpy as np

import skcount
from skcount import DensityMapRegressor
from skcount.datasets import make_cells
from skcount.metrics import count_mean_absolute_error

LOOK = {"overlap": 0.3, "background": 30.0, "blur": (0.8, 1.5), "return_X_y": True}
small, small_points = make_cells(
    3, image_shape=(128, 128), n_cells=(10, 60), radius=4, random_state=0, **LOOK
)
large, large_points = make_cells(
    3, image_shape=(256, 256), n_cells=(10, 40), radius=14, random_state=1, **LOOK
)
X, points = [*small, *large], small_points + large_points

nuclei = skcount.load_pretrained("nuclei")
counts = nuclei.predict(X)
for count, true in zip(counts, points.counts, strict=True):
    print(f"{count:5.1f} of {true:.0f}")
assert np.abs(counts - points.counts).sum() < 0.2 * points.counts.sum()

# %%
# From a shell, for pictures in a folder::
#
#     skcount predict --model nuclei pictures/ --csv counts.csv

import matplotlib.pyplot as plt

from skcount.plotting import DensityMapDisplay

figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
for ax, index in zip(axes, (0, 3), strict=True):
    DensityMapDisplay.from_estimator(nuclei, X[index], ax=ax)
plt.show()

# %%
# Crowded, overlapping cells are not what these weights know. Three images with dots are enough to tell them; the fit takes
# seconds. Here it starts from "objects", weights for anything, and is compared with a guess that looks at no image.

X, points = make_cells(13, random_state=0, return_X_y=True)
regressor = DensityMapRegressor(weights="objects", random_state=0).fit(X[:3], points[:3])
error = count_mean_absolute_error(points[3:], regressor.predict(X[3:]))
blind = count_mean_absolute_error(points[3:], np.full(10, points[:3].counts.mean()))
print(f"Error with three examples: {error:.1f} cells per image; always the mean of the three: {blind:.1f}")
assert error < blind / 3

# %%
# From a shell::
#
#     skcount fit pictures/ cells.csv --weights objects --out model.skcount
