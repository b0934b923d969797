"""
Which sigma, and which network?
===============================

The width of the Gaussian and the architecture are parameters like any other, so GridSearchCV finds them. No density
map is stored: maps are made from the points as they are needed.
"""

# %%
# A few small images keep this example short; a search on your own images takes all of them and more epochs.

from skcount.datasets import make_cells

X, points = make_cells(n_samples=12, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)

# %%
# Three values of sigma, two networks. The score is minus the mean absolute error of the counts.

from sklearn.model_selection import GridSearchCV

from skcount import DensityMapRegressor

search = GridSearchCV(
    DensityMapRegressor(max_epochs=20, random_state=0),
    {"sigma": [1, 2, 4], "architecture": ["unet", "fcrn_a"]},
    cv=2,
)
search.fit(X, points)
print(f"best: {search.best_params_}, MAE {-search.best_score_:.2f} cells")

# %%
# The result as a picture: the mean absolute error of each cell of the grid, smaller is better.

import matplotlib.pyplot as plt

sigmas, architectures = search.param_grid["sigma"], search.param_grid["architecture"]
errors = -search.cv_results_["mean_test_score"].reshape(len(architectures), len(sigmas))

figure, ax = plt.subplots(figsize=(5, 2.8), layout="constrained")
picture = ax.imshow(errors, cmap="cividis_r")
for row, line in enumerate(errors):
    for col, value in enumerate(line):
        colour = "white" if picture.norm(value) > 0.5 else "black"
        ax.text(col, row, f"{value:.2f}", ha="center", va="center", color=colour)
ax.set_xticks(range(len(sigmas)), sigmas)
ax.set_yticks(range(len(architectures)), architectures)
ax.set(xlabel="sigma (pixels)", title="MAE of the counts (cells)")
plt.show()

# %%
# The parameters of the transformer that makes the maps can be searched too, as `density__...`.

from skcount import DensityMapTransformer

inner = GridSearchCV(
    DensityMapRegressor(density=DensityMapTransformer(), max_epochs=5, random_state=0),
    {"density__sigma": [1, 2]},
    cv=2,
)
inner.fit(X, points)
print(inner.best_params_)
