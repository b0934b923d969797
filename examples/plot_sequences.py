"""
How do I measure the error on frames of a film?
===============================================

Neighbouring frames show the same objects. If some of them are for training and others for the test, a regressor that
only remembers images looks excellent. This example compares four splits of the same frames.
"""

# %%
# Six simulated clips of 16 frames. In each of them, the camera moves by two pixels per frame along one large image.

import numpy as np

from skcount import PointAnnotations
from skcount.datasets import make_cells

n_clips, n_frames, step, side = 6, 16, 2, 48
fields, field_points = make_cells(
    n_clips,
    image_shape=(side, side + n_frames * step),
    n_cells=(4, 40),
    cluster_std=20.0,
    random_state=0,
    return_X_y=True,
)
clips = np.repeat(np.arange(n_clips), n_frames)
frames = np.tile(np.arange(n_frames), n_clips)
X = np.stack([fields[c][:, f * step : f * step + side] for c, f in zip(clips, frames, strict=True)])
moved = (field_points[c] - [0, f * step] for c, f in zip(clips, frames, strict=True))
points = PointAnnotations([p[(p[:, 1] >= -0.5) & (p[:, 1] < side - 0.5)] for p in moved])

# %%
# The splits, from the worst to the best:
#
# - scattered frames: each test frame has neighbours in the training;
# - the last quarter of each clip: only its first frames have neighbours, but all clips are known;
# - blocks of consecutive frames, with a gap of eight frames around each: no neighbours, but a block may share its clip
#   with the training;
# - whole clips: for a clip that the regressor has never seen.

from sklearn.model_selection import GroupKFold, KFold

from skcount.evaluation import CarriedGroups, SequenceKFold

first, last = np.flatnonzero(frames < 12), np.flatnonzero(frames >= 12)
splits = {
    "scattered frames": list(KFold(4, shuffle=True, random_state=0).split(X)),
    "last quarter of each clip": [(first, last)],
    "blocks with a gap": SequenceKFold(4, gap=8),
    "whole clips": CarriedGroups(GroupKFold(3)),
}

# %%
# A regressor that has learnt nothing about cells: it looks for the most similar training image, and returns its count.
# `counting_report` warns about frames of one clip, and about similar images, on both sides of a split. It also measures
# a baseline that looks at no image at all: the count of the last training frame of the clip.

import warnings

from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcount.evaluation import CountReportWarning, counting_report


def pixels(images):
    """Return a row of pixels per image."""
    return images.reshape(len(images), -1).astype(np.float32)


def evidence(regressor, cv):
    """Return the report of a regressor, whose warnings are printed below."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CountReportWarning)
        return counting_report(regressor, X, points, cv=cv, groups=clips)


memorizer = make_pipeline(FunctionTransformer(pixels), KNeighborsRegressor(1))
reports = {name: evidence(memorizer, cv) for name, cv in splits.items()}
LAST = "last image of the group"
memory = {name: report.table["KNeighborsRegressor"][0] for name, report in reports.items()}
baseline = {name: report.table[LAST][0] for name, report in reports.items() if LAST in report.table}
for name, report in reports.items():
    also = f", of the last training frame {baseline[name]:.2f}" if name in baseline else ""
    print(f"{name}: MAE of the memory {memory[name]:.2f}{also}")
    for text in report.warnings:
        if "too small" in text:
            print(f"    {text}")
assert memory["scattered frames"] < 1 < 3 < memory["whole clips"]
assert any("both sides" in text for text in reports["last quarter of each clip"].warnings)

# %%
# With whole clips, the truth comes out: this regressor cannot count. The baseline is only there if the clip of each test
# frame has training frames; where it is strong, the split leaks.
#
# A network learns what a cell is. On the last quarters, it is not even as good as the last training frame. That says
# nothing, because this split does not ask for counting. With whole clips, it is far better than the memory.

from skcount import UNetRegressor

network = UNetRegressor(filters=8, sigma=2, max_epochs=12, batch_size=4, random_state=0)
learnt = {
    name: evidence(network, splits[name]).table["UNetRegressor"][0]
    for name in ("last quarter of each clip", "whole clips")
}
for name, error in learnt.items():
    print(f"{name}: MAE of the network {error:.2f}")
assert baseline["last quarter of each clip"] < learnt["last quarter of each clip"]
assert learnt["whole clips"] < 0.8 * memory["whole clips"]

# %%
# On real frames: the UCSD pedestrians are sometimes split into the first 150 and the last 50 frames of each clip. With
# the published annotations, repeating the count of the last training frame has an MAE of 1.62 pedestrians there. The
# lines below compute it if the archive of the annotations is in the folder named by SKCOUNT_DATA.

import os

from skcount.datasets import ucsd_annotations

try:
    ucsd = ucsd_annotations() if "SKCOUNT_DATA" in os.environ else None
except OSError:
    ucsd = None
if ucsd is not None:
    people = ucsd.points.counts.reshape(10, 200)
    error = np.abs(people[:, 150:] - people[:, 149:150]).mean()
    print(f"UCSD, last training frame of each clip: MAE {error:.2f}")
    assert round(error, 2) == 1.62

# %%
# The errors of all splits. Bars that are low on the left and high on the right show the leak.

import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
positions = np.arange(len(splits))
bars = [
    (memory, "most similar training image", "#56B4E9"),
    (baseline, "last training frame of the clip", "0.6"),
    (learnt, "network", "#D55E00"),
]
for shift, (errors, label, color) in zip((-0.27, 0, 0.27), bars, strict=True):
    where = [x for x, name in zip(positions, splits, strict=True) if name in errors]
    drawn = ax.bar(np.add(where, shift), list(errors.values()), width=0.25, color=color, label=label)
    ax.bar_label(drawn, fmt="%.1f", padding=2)
ax.set_xticks(positions, splits)
ax.set(ylabel="MAE, cells per image", ylim=(0, 1.15 * max(memory.values())))
ax.legend(loc="upper left")
plt.show()
