"""
How many objects are there in all images together?
==================================================

Adding up predicted counts also adds up their bias. Count a few images by hand: ``sample_images`` says which, and
``estimate_total`` gives the total of all images with an interval that is valid even if the model is biased.
"""

# %%
# A population of 240 simulated images of crowded, overlapping cells. The weights that come with the package have not
# seen such images and need no dots. They miss many of the cells, but they find more where there are more.

import numpy as np

import skcount
from skcount.datasets import make_cells

X, points = make_cells(240, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)
predicted = skcount.load_pretrained("nuclei", diameter=10).predict(X)

true = points.counts  # nobody knows this array; it stands in for the person who counts
print(f"Sum of the predictions: {predicted.sum():.0f}")
print(f"True total: {true.sum():.0f}")
assert predicted.sum() < 0.9 * true.sum()

# %%
# Draw 20 images and count them. The sample has images of all predicted sizes, and more of the large ones. The counts
# are given in the order of ``sample.indices``.

from skcount.evaluation import estimate_total, plan_sample, sample_images

sample = sample_images(predicted, 20, random_state=0)
pilot = estimate_total(sample, true[sample.indices])
print(f"With predictions: {pilot}")
print(f"Without:          {pilot.hand_counts}")

# %%
# Both intervals come from the same 20 counted images. The one with predictions is narrower, because predictions and
# counts go up and down together. The other one has had some help from the predictions as well: they have chosen the
# images.

print(f"Correlation of predictions and counts: {pilot.correlation:.2f}")
assert pilot.standard_error < 0.85 * pilot.hand_counts.standard_error

# %%
# Is the interval too wide? The pilot tells how many images a narrower one takes. Decide once, count the second batch,
# and stop: going on until the result looks good makes intervals too narrow.

n = plan_sample(pilot, half_width=130)
more = sample.extend(n - len(sample))
final = estimate_total(more, true[more.indices])
print(f"Count {n - len(sample)} more images. {final}")
assert final.standard_error < pilot.standard_error
assert final.interval[0] <= true.sum() <= final.interval[1]

# %%
# From a shell, where your counts go into the file of the sample::
#
#     skcount predict --model nuclei pictures/ --csv counts.csv
#     skcount total counts.csv --sample 20 --out sample.csv
#     skcount total sample.csv --half-width 130
#     skcount total sample.csv --extend 15 --out larger.csv

# %%
# An interval is valid for repeated draws of the sample, so draw it 200 times. About 95 % of the intervals contain the
# true total; the sum of the predictions is wrong by the same amount each time.

draws = [sample_images(predicted, 20, random_state=seed) for seed in range(200)]
estimates = [estimate_total(draw, true[draw.indices]) for draw in draws]
intervals = np.array([estimate.interval for estimate in estimates])
holds = (intervals[:, 0] <= true.sum()) & (true.sum() <= intervals[:, 1])
print(f"{holds.mean():.1%} of {len(draws)} intervals contain the true total")
assert 0.88 < holds.mean() <= 1

# %%
# Left: all estimates with their 95 % intervals. Right: the first 40 of the repeated draws.

import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharex=True)
rows = {
    "20 by hand": pilot.hand_counts,
    "20 by hand,\nand predictions": pilot,
    f"{n} by hand,\nand predictions": final,
}
for y, estimate in enumerate(rows.values()):
    left.plot(estimate.interval, [y, y], color="#56B4E9", linewidth=4)
    left.plot(estimate.total, y, "o", color="black")
left.plot(predicted.sum(), 3, "D", color="#D55E00")
left.set_yticks(range(4), [*rows, "sum of the\npredictions"])
left.set(xlabel="cells in all images", ylim=(3.5, -0.5))
for y, (interval, inside) in enumerate(zip(intervals[:40], holds, strict=False)):
    right.plot(interval, [y, y], color="#56B4E9" if inside else "#D55E00", linewidth=2)
right.set(
    xlabel="cells in all images", ylabel="draw", title=f"{holds.mean():.1%} of {len(draws)} intervals hold"
)
for ax in (left, right):
    ax.axvline(true.sum(), color="0.45", linestyle="--", label="true total")
left.legend(loc="lower right")
plt.show()
