"""
How many objects are in each part of an image?
==============================================

A count per image hides where the objects are. ``count_regions`` counts in the cells of a grid, in the regions of a
label image or in polygons, with densities per unit of area and an interval for each region.
"""

# %%
# Simulated sections of tissue with dense and with empty parts. Eight of them train a network, 39 calibrate the
# intervals, and the first one is new: its regions are counted.

import numpy as np

from skcount import UNetRegressor
from skcount.datasets import make_cells
from skcount.evaluation import ConformalCounter, count_regions

height, width = 192, 256
X, points = make_cells(
    48,
    image_shape=(height, width),
    n_cells=(60, 240),
    cluster_probability=0.7,
    cluster_std=25.0,
    random_state=3,
    return_X_y=True,
)
section, section_points = X[:1], points[:1]
regressor = UNetRegressor(filters=8, max_epochs=50, batch_size=4, random_state=0).fit(X[-8:], points[-8:])
counter = ConformalCounter(regressor, cv="prefit").fit(X[1:-8], points[1:-8])

# %%
# A grid of three rows and four columns. With the size of a pixel, here 0.5 micrometres, areas and densities are in
# square micrometres. The cells of a grid add up to the count of the image.

PIXEL = 0.5
grid = count_regions(counter, section, (3, 4), pixel_size=PIXEL, coverage=0.9)
print(grid)
assert abs(grid["count"].sum() - regressor.predict(section)[0]) < 1e-3

# %%
# A label image has the number of a region at each pixel, and 0 outside of all regions. Here: the core of a round
# tissue, 1, and its margin, 2.

rows, cols = np.mgrid[:height, :width]
distance = np.hypot((rows - 96) / 90, (cols - 128) / 120)
labels = np.select([distance < 0.6, distance < 1], [1, 2], default=0)
zones = count_regions(counter, section, labels, pixel_size=PIXEL, coverage=0.9)
print(zones)

# %%
# Polygons have names and corners (row, col). A path to a file of ImageJ or QuPath works as well.

polygons = {
    "left": np.array([(20, 20), (35, 100), (100, 115), (170, 80), (140, 15)]),
    "right": np.array([(40, 150), (25, 235), (120, 245), (165, 190)]),
}
drawn = count_regions(counter, section, polygons, pixel_size=PIXEL, coverage=0.9)
print(drawn)

# %%
# The true counts are known here. All regions of all three kinds, with the share of intervals that contain the truth:

from matplotlib.path import Path

cells = section_points[0]
row, col = np.round(cells).astype(int).T
true_grid = np.bincount(row * 3 // height * 4 + col * 4 // width, minlength=12)
true_zones = np.bincount(labels[row, col], minlength=3)[1:]
true_drawn = [np.sum(Path(corners).contains_points(cells)) for corners in polygons.values()]
truth = np.concatenate([true_grid, true_zones, true_drawn])
tables = grid, zones, drawn
low, high = (np.concatenate([table[end] for table in tables]) for end in ("low", "high"))
inside = (low <= truth) & (truth <= high)
print(f"{inside.sum()} of {len(truth)} intervals contain the true count")
assert inside.mean() > 0.6

# %%
# Regions, coloured by the number of cells per 1000 square micrometres, with their intervals.

import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 3, figsize=(12, 3.9), layout="constrained")
top = 1000 * max(table["density"].max() for table in tables)
style = {"cmap": "viridis", "vmin": 0, "vmax": top}
colors = plt.get_cmap("viridis")
label_style = {
    "ha": "center",
    "va": "center",
    "fontsize": 8,
    "bbox": {"color": "white", "alpha": 0.75, "pad": 1.5},
}


def write(ax, table, index, row, col):
    """Write a count with its interval into a region."""
    text = f"{table['count'][index]:.0f}\n({table['low'][index]} to {table['high'][index]})"
    ax.text(col, row, text, **label_style)


for ax, title in zip(axes, ("grid", "label image", "polygons"), strict=True):
    ax.imshow(section[0])
    ax.set(title=title, xticks=[], yticks=[])
for index in range(12):
    write(axes[0], grid, index, 32 + 64 * (index // 4), 32 + 64 * (index % 4))
values = 1000 * grid["density"].reshape(3, 4)
mesh = axes[0].pcolormesh(np.arange(5) * 64 - 0.5, np.arange(4) * 64 - 0.5, values, alpha=0.5, **style)
axes[1].contour(labels, [0.5, 1.5], colors="white", linewidths=1)
values = np.append(np.nan, 1000 * zones["density"])[labels]
axes[1].imshow(values, alpha=0.5, **style)
write(axes[1], zones, 0, 96, 128)
write(axes[1], zones, 1, 172, 128)
for index, corners in enumerate(polygons.values()):
    axes[2].fill(*corners.T[::-1], color=colors(1000 * drawn["density"][index] / top), alpha=0.5)
    write(axes[2], drawn, index, *corners.mean(axis=0))
figure.colorbar(mesh, ax=axes, label="cells per 1000 µm²", shrink=0.8)
plt.show()
