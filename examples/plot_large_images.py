"""
How do I count in an image that is larger than memory?
======================================================

A slide scan stays on disk. It is read window by window, and its density map is written tile by tile to
another file. Together, the tiles equal the map of the whole image, so the count is the same.
"""

# %%
# A scan of 1500 x 2000 pixels stands for one of many gigabytes. It consists of 48 simulated fields of view,
# and is written to disk one row of fields after another.

import tempfile
from pathlib import Path

import numpy as np

from skcount.datasets import make_cells

folder = tempfile.TemporaryDirectory()
field, n_rows, n_cols = 250, 6, 8
scan = np.memmap(Path(folder.name, "scan.raw"), np.uint8, "w+", shape=(n_rows * field, n_cols * field, 3))
places = []
for row in range(n_rows):
    X, points = make_cells(
        n_cols, image_shape=(field, field), n_cells=(5, 150), random_state=row, return_X_y=True
    )
    for col, (image, p) in enumerate(zip(X, points, strict=True)):
        corner = np.array([row, col]) * field
        scan[corner[0] : corner[0] + field, corner[1] : corner[1] + field] = image
        places.append(p + corner)
places = np.concatenate(places)
print(f"{scan.shape[0]} x {scan.shape[1]} pixels, {scan.nbytes / 1e6:.0f} MB, {len(places)} cells")

# %%
# The training images are fields of the same kind. They could be scans too: `fit` reads only crops, here of 64
# x 64 pixels to save time. `tile_size` is the largest side of a window that the network sees at once. Set it
# before `fit`, because `fit` ends by counting in whole training images.

from skcount import UNetRegressor

X_train, points_train = make_cells(
    10, image_shape=(field, field), n_cells=(5, 150), random_state=100, return_X_y=True
)
regressor = UNetRegressor(filters=8, sigma=2, tile_size=512, patch_size=64, max_epochs=12, random_state=0)
regressor.fit(X_train, points_train)

# %%
# `predict` sums up the tiles and keeps no map. The scan is a single image, so it is passed as a list with one
# item. Here it also fits in memory, which allows a check that the count without tiles is the same, up to
# rounding.

count = regressor.predict([scan])[0]
whole = regressor.set_params(tile_size=None).predict([scan])[0]
regressor.set_params(tile_size=512)
print(f"true {len(places)}, counted in tiles {count:.3f}, counted as a whole {whole:.3f}")
np.testing.assert_allclose(count, whole, rtol=1e-5)
assert abs(count - len(places)) < 0.1 * len(places)

# %%
# With ``out=``, the map is also written to disk: to a `numpy.memmap`, a dataset of an HDF5 file, or a zarr
# array.

density = np.memmap(Path(folder.name, "density.raw"), np.float32, "w+", shape=scan.shape[:2])
regressor.predict_density([scan], out=[density])
np.testing.assert_allclose(density.sum(dtype=np.float64), count, rtol=1e-6)

# %%
# The number of cells in squares of 100 x 100 pixels. This needs no window as large as the map either.

side = 100
squares = np.array(
    [strip.reshape(side, -1, side).sum(axis=(0, 2)) for strip in np.split(density, len(density) // side)]
)
true_squares, *_ = np.histogram2d(
    *places.T, bins=squares.shape, range=[(-0.5, n - 0.5) for n in density.shape]
)
correlation = np.corrcoef(squares.ravel(), true_squares.ravel())[0, 1]
print(f"correlation of the squares: {correlation:.3f}")
assert correlation > 0.9

# %%
# `predict_points` returns the position of each cell. It needs the map of one image in memory, about fifty
# bytes per pixel.

found = regressor.predict_points([scan])[0]
assert len(found) == round(count)

import matplotlib.pyplot as plt

figure, axes = plt.subplots(2, 2, figsize=(10, 7.6), layout="compressed")
axes[0, 0].imshow(scan[::4, ::4, 2], cmap="gray", extent=(-0.5, 1999.5, 1499.5, -0.5))
axes[0, 0].set_title(f"scan, {len(places)} cells")
axes[0, 0].add_patch(plt.Rectangle((400, 400), 240, 180, edgecolor="#E69F00", facecolor="none", linewidth=2))
high = max(squares.max(), true_squares.max())
for ax, values, name in [(axes[1, 0], true_squares, "true"), (axes[1, 1], squares, "counted")]:
    shown = ax.imshow(values, vmin=0, vmax=high, extent=(-0.5, 1999.5, 1499.5, -0.5))
    ax.set_title(f"{name}: {values.sum():.0f} cells")
figure.colorbar(shown, ax=axes[1], label="cells in 100 x 100 pixels")
part = np.s_[400:580, 400:640]
axes[0, 1].imshow(scan[part][..., 2], cmap="gray", extent=(399.5, 639.5, 579.5, 399.5))
axes[0, 1].plot(*found.T[::-1], "o", color="#E69F00", markerfacecolor="none", label="found")
axes[0, 1].plot(*places.T[::-1], "+", color="#56B4E9", label="true")
axes[0, 1].set(xlim=(399.5, 639.5), ylim=(579.5, 399.5), title="detail of the scan")
axes[0, 1].legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, frameon=False)
plt.show()
folder.cleanup()
