"""
How do I count in my own images?
================================

You need a folder of images, and a table with one row for each object that somebody marked on some of them.
The same is possible without Python: see the end of this page.
"""

# %%
# This cell creates files that stand for yours: simulated cells, written as PNG images, and a CSV table. The
# table contains the name of the image, and x to the right and y down from the top-left corner, in pixels.

import csv
import tempfile
from pathlib import Path

from PIL import Image

from skcount.datasets import make_cells

folder = tempfile.TemporaryDirectory()
here = Path(folder.name)
(here / "images").mkdir()
(here / "new").mkdir()

X, points = make_cells(n_samples=32, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)
with open(here / "cells.csv", "w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["image", "x", "y"])
    for number in range(24):
        name = f"cell{number + 1}.png"
        Image.fromarray(X[number]).save(here / "images" / name)
        table.writerows([name, f"{col:.1f}", f"{row:.1f}"] for row, col in points[number])
for number in range(24, 32):
    Image.fromarray(X[number]).save(here / "new" / f"cell{number + 1}.png")
print(*(here / "cells.csv").read_text().splitlines()[:4], sep="\n")

# %%
# `load_folder` pairs images and points, and reports at once if one has no partner or if points lie outside
# their image. Images are read when they are needed. Files from other programs (ImageJ, napari, COCO, label
# masks, ...) load in the same way.

from skcount.io import load_folder

cells = load_folder(here / "images", here / "cells.csv")
print(cells.DESCR)
print(cells.images.shape, cells.points)

# %%
# Look at the images before training. If the crosses are not on objects, x and y are swapped or the scale is
# wrong.

import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 3, figsize=(9, 3.5), layout="constrained")
for ax, name, image, p in zip(axes, cells.names, cells.images, cells.points, strict=False):
    ax.imshow(image)
    ax.plot(p[:, 1], p[:, 0], "+", color="tab:orange")
    ax.set(title=f"{name}: {len(p)} points", xticks=[], yticks=[])
plt.show()

# %%
# `sigma` is the width of the spot that stands for an object: about a third of an object's radius or more. 50
# epochs keep this example short; leave out `max_epochs` for your own images.

from skcount import DensityMapRegressor

regressor = DensityMapRegressor(sigma=2, max_epochs=50, random_state=0)
regressor.fit(cells.images, cells.points)

# %%
# New images of the same kind and magnification, without any points. The counts go to a table that opens in
# any spreadsheet. A count is a sum of densities, so it has decimals.

new = load_folder(here / "new")
counts = regressor.predict(new.images)
with open(here / "counts.csv", "w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["image", "count"])
    table.writerows((name, f"{count:.2f}") for name, count in zip(new.names, counts, strict=True))
print((here / "counts.csv").read_text())

# %%
# Overlays show what was counted. Look at some of them: they reveal wrong counts. Circles are the positions
# found by the regressor.

from skcount.plotting import DensityMapDisplay

figure, axes = plt.subplots(1, 3, figsize=(9, 3.6), layout="constrained")
for ax, name, image in zip(axes, new.names, new.images, strict=False):
    display = DensityMapDisplay.from_estimator(regressor, image, predicted_points=True, ax=ax)
    ax.set_title(f"{name}: {display.ax_.get_title()}")
plt.show()

# %%
# The cells are simulated, so the true counts are known here. With your own images, keep some of the annotated
# ones out of the training and compare on these: :ref:`sphx_glr_auto_examples_plot_cross_validation.py`.

from skcount.metrics import count_mean_absolute_error

error = count_mean_absolute_error(points[24:], counts)
baseline = count_mean_absolute_error(points[24:], [cells.points.counts.mean()] * len(counts))
print(f"MAE of {len(counts)} new images: {error:.2f} cells; of the mean training count: {baseline:.2f} cells")
assert error < baseline / 2
folder.cleanup()

# %%
# The same with two shell commands, after ``pip install skcount[cli]``:
#
# .. code-block:: console
#
#    $ skcount fit images/ cells.csv --sigma 2 --max-epochs 50 --out model.skcount
#    $ skcount predict model.skcount new/ --csv counts.csv --overlay overlays/
