"""
How do I count without torch?
=============================

`export_onnx` writes a fitted network as an ONNX file, which runs in ONNX Runtime, OpenVINO, browsers and
other languages. This example needs ``pip install skcount[onnx]``.
"""

# %%
# A regressor trained on images of 64 x 64 pixels:

from skcount import UNetRegressor
from skcount.datasets import make_cells

X, points = make_cells(n_samples=24, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)
regressor = UNetRegressor(sigma=2, max_epochs=20, batch_size=4, random_state=0).fit(X, points)

# %%
# Before the file is written, its counts are compared with those of torch. If they differ, the export fails.
# Running the file needs neither torch nor skcount.

import tempfile
from pathlib import Path

import onnxruntime

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "counter.onnx")
    regressor.export_onnx(path)
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
    session = onnxruntime.InferenceSession(path.read_bytes())

# %%
# The file accepts any number of images of any size, with channels first, and with integers divided by the
# largest value of their type. The sizes used here differ from the training size, and the last one has odd
# sides. Counts and maps equal those of the regressor.

import numpy as np

for shape in [(64, 64), (96, 160), (83, 151)]:
    images, p = make_cells(3, image_shape=shape, random_state=1, return_X_y=True)
    pixels = images.transpose(0, 3, 1, 2).astype(np.float32) / 255
    density, counts = session.run(None, {"images": pixels})
    print(
        f"{shape}: true {p.counts}, ONNX Runtime {counts.round(2)}, torch {regressor.predict(images).round(2)}"
    )
    np.testing.assert_allclose(counts, regressor.predict(images), atol=1e-3)

# %%
# Both maps of the last image, and their difference, which is due to rounding in single precision.

import matplotlib.pyplot as plt

image, theirs, ours = images[-1], density[-1], regressor.predict_density(images)[-1]
difference = theirs - ours
assert np.abs(difference).max() < 1e-4 * ours.max()

figure, axes = plt.subplots(2, 2, figsize=(9.5, 5), layout="constrained")
axes[0, 0].imshow(image[..., 2], cmap="gray")
axes[0, 0].set_title(f"blue channel, {len(p[-1])} cells")
for ax, density, name in [(axes[0, 1], ours, "torch"), (axes[1, 0], theirs, "ONNX Runtime")]:
    shown = ax.imshow(density, vmin=0, vmax=ours.max())
    ax.set_title(f"{name}: {density.sum():.3f} cells")
    figure.colorbar(shown, ax=ax, label="cells per pixel")
limit = np.abs(difference).max()
shown = axes[1, 1].imshow(difference, cmap="PuOr", vmin=-limit, vmax=limit)
axes[1, 1].set_title("difference")
figure.colorbar(shown, ax=axes[1, 1], label="cells per pixel")
for ax in axes.flat:
    ax.set_axis_off()
plt.show()
