"""
How do I move from the article's scripts to skcount?
====================================================

"Objects counting by estimating a density map with convolutional neural networks" is an article with
`scripts <https://github.com/NeuroSYS-pl/objects_counting_dmap>`_. This example follows its steps with skcount
and draws the same figures: an image next to its density map, both networks, and true against predicted
counts.

======================================================  ==================================================================
the article                                             skcount
======================================================  ==================================================================
``get_data.py``: two HDF5 files of images and maps      ``fetch_vgg_cells``, ``fetch_mall``, ``fetch_ucsd_pedestrians``;
                                                        ``save_hdf5`` and ``load_hdf5`` for your own images
``generate_label``: a dot is 100, blurred by sigma 1    `DensityMapTransformer`, any sigma; a dot adds 1
``model.UNet(filters=64)``, ``model.FCRN_A``            `DensityMapRegressor` (``"unet"`` with ``filters`` 64, ``growth`` 1,
                                                        ``depth`` 3, ``stem`` 1), `FCRNRegressor`
``train.py``, ``Looper``                                ``fit``
``train.py --plot``                                     `TrainingHistoryDisplay`, `CountErrorDisplay`
``infer.py --visualize``                                ``predict``, ``predict_density``, `DensityMapDisplay`
======================================================  ==================================================================

The images are simulated, so that the example takes about a minute. ``python benchmarks/article.py`` trains
with the article's recipe on its data sets and splits, and ``benchmarks/RESULTS.md`` compares the results with
skcount. On the VGG cells, for example, the article's FCRN-A has an error of 2.26 cells in the best of 150
epochs, chosen on the test images, and of 6.88 in the last epoch. The U-Net of skcount, with nothing chosen on
the test images, has an error of 1.80 (one seed each). The error of the mean training count is 56.11.
"""

# %%
# Data in one file
# ----------------
# The file contains images as bytes and dots as coordinates. No density map is stored, so sigma can be chosen
# later, and the file of the VGG cells has an eleventh of the size of the article's two files. Images are read
# when they are needed.

import tempfile
from pathlib import Path

from skcount.datasets import make_cells
from skcount.io import load_hdf5, save_hdf5

folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "cells.h5")
cells = make_cells(n_samples=56, image_shape=(64, 64), n_cells=(2, 25), random_state=0)
save_hdf5(path, cells.images, cells.points)

X, points = load_hdf5(path, return_X_y=True)
X_train, X_test, points_train, points_test = X[:32], X[32:], points[:32], points[32:]
print(X, points, sep="\n")

# %%
# The article's splits of the real data have a name: ``fetch_vgg_cells().train_test_indices("article")``.

# %%
# From dots to a density map
# --------------------------
# The sum of a map is the number of dots, even at the border and if two dots share a pixel. The article sets
# the pixel of each dot to 100, so two dots on one pixel become one.

import numpy as np
from scipy.ndimage import gaussian_filter

from skcount import DensityMapTransformer

dots = [[20, 20], [20, 20], [0, 63]]
label = np.zeros((64, 64))
for row, col in dots:
    label[row, col] = 100
ours = DensityMapTransformer(sigma=1, image_shape=(64, 64)).transform([dots])[0]
print(
    f"3 dots: the article's map sums to {gaussian_filter(label, sigma=1).sum() / 100:.2f}, ours to {ours.sum():.2f}"
)
assert abs(ours.sum() - 3) < 1e-5

# %%
# An image, its dots, and its density map. Sigma is a parameter like any other: 1 in the article, and 2 here.

import matplotlib.pyplot as plt

density = DensityMapTransformer(sigma=2, image_shape=(64, 64)).transform(points_test)
np.testing.assert_allclose(density.sum(axis=(1, 2)), points_test.counts, rtol=1e-5)

typical = int(np.argsort(points_test.counts)[len(X_test) // 2])
image = X_test[typical]
figure, axes = plt.subplots(1, 3, figsize=(10, 3.3), layout="constrained")
for ax in axes[:2]:
    ax.imshow(image[..., 2], cmap="gray")
axes[1].plot(*points_test[typical].T[::-1], "+", color="#E69F00", markersize=8, markeredgewidth=2)
shown = axes[2].imshow(density[typical])
figure.colorbar(shown, ax=axes[2], label="cells per pixel")
for ax, name in zip(axes, ["image", "dots", f"density map, sum {density[typical].sum():.1f}"], strict=True):
    ax.set_title(name)
    ax.set_axis_off()

# %%
# The networks
# ------------
# The article's U-Net has 64 filters in each block, and its FCRN-A has 32 to 512. The figure shows the feature
# maps of both networks for an image of 256 x 256 pixels.

import torch

from skcount.networks import FCRNA, UNet


def block_sizes(network, side=256):
    """Return the name, number of channels and side length of the output of each block."""
    seen = []

    def note(name):
        return lambda _, __, output: seen.append((name, *output.shape[1:3]))

    blocks = {name: block for name, block in network.named_children() if name != "density"}
    hooks = [block.register_forward_hook(note(name)) for name, block in blocks.items()]
    with torch.inference_mode():
        density = network.eval()(torch.zeros(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return [("image", 3, side), *seen, ("density", *density.shape[1:3])]


def draw_network(ax, network, title):
    """Draw each block with the logarithms of its map size as height and of its channels as width."""
    blocks, x, middles = block_sizes(network), 0, {}
    for name, n_channels, side in blocks:
        width, height = 0.3 + 0.16 * np.log2(n_channels), np.log2(side) - 3
        color = "#E69F00" if name in {"image", "density"} else "#56B4E9"
        ax.add_patch(plt.Rectangle((x, -height / 2), width, height, facecolor=color, edgecolor="black"))
        middles[name] = x + width / 2, height / 2
        ax.text(x + width / 2, height / 2 + 0.1, n_channels, ha="center", va="bottom")
        ax.text(
            x + width / 2, -height / 2 - 0.15, f"{name}\n{side} x {side}", ha="center", va="top", fontsize=8
        )
        x += max(width, 0.9) + 0.6
    for level in "123":
        block = getattr(network, f"up{level}", None)
        if (
            block is not None and block.conv.in_channels > block.in_channels
        ):  # this block has a skip connection
            (a, top), (b, _) = middles[f"down{level}"], middles[f"up{level}"]
            ax.plot([a, a, b, b], [top + 0.5, top + 0.8, top + 0.8, top + 0.5], color="black", linestyle="--")
    n_weights = sum(weight.numel() for weight in network.parameters())
    ax.set_title(f"{title}: {n_weights:,} weights")
    ax.set(xlim=(-0.6, x), ylim=(-3.8, 4))
    ax.set_axis_off()


figure, axes = plt.subplots(2, 1, figsize=(10, 6.4), layout="constrained")
draw_network(axes[0], UNet(3, filters=64, growth=1, depth=3, stem=1), "U-Net")
draw_network(axes[1], FCRNA(3), "FCRN-A")
assert [n for _, n, _ in block_sizes(FCRNA(3))] == [3, 32, 64, 128, 512, 128, 64, 1]
assert {n for _, n, _ in block_sizes(UNet(3, filters=64, growth=1, depth=3, stem=1))[1:-1]} == {64}

# %%
# Training
# --------
# The regressors use their own training recipe, and the learning rate has a default. With
# ``validation_fraction``, they keep the weights of the epoch with the smallest count error on held-out
# training images. The article instead chooses the best epoch on the images for which the error is reported,
# which makes the error too small. For small images, a U-Net of 16 filters and a few epochs are enough.

from skcount import DensityMapRegressor, FCRNRegressor

settings = {"sigma": 2, "batch_size": 4, "validation_fraction": 0.25, "random_state": 0}
regressors = {
    "U-Net": DensityMapRegressor(
        "unet", architecture_params={"filters": 16, "growth": 1}, max_epochs=30, **settings
    ),
    "FCRN-A": FCRNRegressor(max_epochs=14, **settings),
}
for regressor in regressors.values():
    regressor.fit(X_train, points_train)

# %%
# The loss and the error of the counts by epoch:

from skcount.plotting import CountErrorDisplay, TrainingHistoryDisplay

figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
for ax, (name, regressor) in zip(axes, regressors.items(), strict=True):
    TrainingHistoryDisplay.from_estimator(regressor, ax=ax, yscale="log")
    ax.set_title(f"{name}, {ax.get_title()}")

# %%
# Predicted maps and the true map
# -------------------------------

maps = {"true": density[typical]}
for name, regressor in regressors.items():
    maps[name] = regressor.predict_density([image])[0]
figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
axes[0].imshow(image[..., 2], cmap="gray")
axes[0].set_title("image")
for ax, (name, values) in zip(axes[1:], maps.items(), strict=True):
    shown = ax.imshow(values, vmin=0, vmax=maps["true"].max())
    ax.set_title(f"{name}: {values.sum():.1f}")
figure.colorbar(shown, ax=axes[-1], label="cells per pixel")
for ax in axes:
    ax.set_axis_off()

# %%
# True against predicted counts
# -----------------------------
# The article shows this figure for each of its data sets. The printed baseline ignores the images; it shows
# what the errors of the networks are worth.

from sklearn.dummy import DummyRegressor

from skcount.metrics import count_mean_absolute_error

baseline = DummyRegressor().fit(X_train, points_train).predict(X_test)
baseline_error = count_mean_absolute_error(points_test, baseline)
print(f"baseline, mean training count: {baseline_error:.2f} cells")

figure, axes = plt.subplots(1, 2, figsize=(9, 4.9), layout="compressed")
for ax, (name, regressor) in zip(axes, regressors.items(), strict=True):
    CountErrorDisplay.from_estimator(regressor, X_test, points_test, ax=ax)
    ax.set_title(f"{name}, {ax.get_title()}")
    error = -regressor.score(X_test, points_test)
    print(f"{name}: {error:.2f} cells")
    assert error < baseline_error / 2
plt.show()
folder.cleanup()
