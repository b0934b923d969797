"""Intervals of single counts and of regions: whether they hold, and how wide they are.

``python benchmarks/intervals.py`` fits once on 64 of VGG's first hundred images (its maps are kept in local/), splits the
other hundred 200 times into 50 calibration images and 50 others, and prints tables of the coverage; then the same for
generated groups.
"""

from pathlib import Path
from time import process_time

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from skcount import DensityMapRegressor, PointAnnotations, load
from skcount.datasets import fetch_vgg_cells
from skcount.evaluation import ConformalCounter, count_regions

FOLDER = Path(__file__).parents[1] / "local" / "intervals"
N_SPLITS, N_CALIBRATION, COVERAGE = 200, 50, 0.9
# Maps are kept as sums of so many pixels to each side: regions of whole blocks have the same counts.
BLOCK = 8


class Predicted(RegressorMixin, BaseEstimator):
    """A fitted regressor whose images are its maps, or whose only column is its count."""

    n_features_in_ = 1

    def fit(self, X, y):  # noqa: ARG002 - it has learnt everything
        """Do nothing."""
        return self

    def __sklearn_is_fitted__(self):
        """Return True."""
        return True

    def predict(self, X):
        """Return the sums of the maps, or the column."""
        return np.reshape(X, (len(X), -1)).sum(axis=1, dtype=np.float64)


class PredictedMaps(Predicted):
    """The same, with maps."""

    def predict_density(self, X):
        """Return the maps."""
        return np.asarray(X)


def main():
    """Run the benchmark."""
    maps, points = vgg()
    true, predicted = points.counts, maps.sum(axis=(1, 2), dtype=np.float64)
    print(
        f"VGG, 100 test images: MAE {np.abs(true - predicted).mean():.2f}, {N_SPLITS} splits of {N_CALIBRATION}"
    )
    thirds_of("count", maps, points, predicted)
    thirds_of(None, maps, points, predicted)
    covered, widths, thirds, parts = [], [], [], {2: [], 4: []}
    correlations, seconds = [], 0.0
    for seed in range(N_SPLITS):
        order = np.random.default_rng(seed).permutation(len(maps))
        known, new = order[:N_CALIBRATION], order[N_CALIBRATION:]
        counter = ConformalCounter(PredictedMaps(), cv="prefit", random_state=seed).fit(
            maps[known], points[known]
        )
        low, high = counter.predict_interval(maps[new], COVERAGE).T
        holds = (low <= true[new]) & (true[new] <= high)
        covered.append(holds.mean())
        widths.append((high - low).mean())
        rank = np.argsort(np.argsort(predicted[new])) * 3 // len(new)
        thirds.append([holds[rank == third].mean() for third in range(3)])
        correlations.append(counter.within_correlation_)
        began = process_time()
        for n_cells, values in parts.items():
            table = count_regions(counter, maps[new], (n_cells, n_cells), coverage=COVERAGE)
            truth = cells_of(points[new], maps.shape[1:], n_cells)
            values.append(np.mean((table["low"] <= truth) & (truth <= table["high"])))
        seconds += process_time() - began
    low, middle, high = np.mean(thirds, axis=0)
    print(
        f"images: coverage {np.mean(covered):.3f}, by thirds of the predicted count {low:.3f} {middle:.3f} {high:.3f}, "
        f"mean width {np.mean(widths):.1f} objects; correlation within images {np.mean(correlations):.2f}"
    )
    for n_cells, values in parts.items():
        print(f"regions {n_cells} x {n_cells}: coverage {np.mean(values):.3f}")
    groups()
    cost()


def thirds_of(scale, maps, points, predicted):
    """Print the coverage by thirds of the predicted count with another scale."""
    found, widths = [], []
    for seed in range(N_SPLITS):
        order = np.random.default_rng(seed).permutation(len(maps))
        known, new = order[:N_CALIBRATION], order[N_CALIBRATION:]
        counter = ConformalCounter(Predicted(), cv="prefit", scale=scale, random_state=seed)
        counter.fit(predicted[known, None], points[known].counts, groups=np.arange(len(known)))
        low, high = counter.predict_interval(predicted[new, None], COVERAGE).T
        holds = (low <= points[new].counts) & (points[new].counts <= high)
        rank = np.argsort(np.argsort(predicted[new])) * 3 // len(new)
        found.append([holds[rank == third].mean() for third in range(3)])
        widths.append((high - low).mean())
    low, middle, high = np.mean(found, axis=0)
    print(
        f"scale={scale}: by thirds {low:.3f} {middle:.3f} {high:.3f}, mean width {np.mean(widths):.1f} objects"
    )


def vgg():
    """Return maps of VGG's images 101 to 200 as sums of blocks, and their points in blocks."""
    file, cells = FOLDER / "vgg.npy", fetch_vgg_cells()
    test = np.arange(100, 200)
    if not file.exists():
        maps = vgg_regressor(cells).predict_density(cells.images[test])
        side = maps.shape[1] // BLOCK
        np.save(file, maps.reshape(len(maps), side, BLOCK, side, BLOCK).sum(axis=(2, 4)))
    return np.load(file), PointAnnotations([(p + 0.5) / BLOCK - 0.5 for p in cells.points[test]])


def vgg_regressor(cells):
    """Return a regressor fitted with the defaults on 64 of VGG's first hundred images, kept in local/."""
    file = FOLDER / "vgg.skcount"
    if not file.exists():
        train = np.sort(np.random.default_rng(0).permutation(100)[:64])
        file.parent.mkdir(parents=True, exist_ok=True)
        DensityMapRegressor(random_state=0).fit(cells.images[train], cells.points[train]).save(file)
    return load(file)


def cells_of(points, shape, n_cells):
    """Return the true counts of the cells of a grid, image by image and row by row."""
    counts = np.zeros((len(points), n_cells, n_cells))
    for index, each in enumerate(points):
        rows, cols = np.minimum(np.floor(each + 0.5).astype(int), np.array(shape) - 1).T
        np.add.at(counts[index], (rows * n_cells // shape[0], cols * n_cells // shape[1]), 1)
    return counts.ravel()


def groups(n_repeats=2000):
    """Print the coverage of an image of a new group, when the errors of a group have much in common."""
    for n_groups in (10, 19, 30, 49):
        holds = []
        for seed in range(n_repeats):
            rng = np.random.default_rng(seed)
            sizes = rng.integers(2, 8, size=n_groups + 1)
            labels = np.repeat(np.arange(n_groups + 1), sizes)
            predicted = rng.uniform(20, 100, size=len(labels))
            spread = np.sqrt(predicted + 1)
            true = np.round(
                predicted
                + spread * (rng.normal(size=n_groups + 1)[labels] + 0.5 * rng.normal(size=len(labels)))
            )
            true = np.maximum(true, 0)
            known, new = np.flatnonzero(labels < n_groups), np.flatnonzero(labels == n_groups)[:1]
            counter = ConformalCounter(Predicted(), cv="prefit", random_state=seed)
            counter.fit(predicted[known, None], true[known], groups=labels[known])
            low, high = counter.predict_interval(predicted[new, None], COVERAGE)[0]
            holds.append(low <= true[new[0]] <= high)
        exact = np.ceil(COVERAGE * (n_groups + 1)) / (n_groups + 1)
        print(f"{n_groups} generated groups: coverage {np.mean(holds):.3f}, expected {exact:.3f}")


def cost():
    """Print the seconds that intervals of 10,000 images take beyond `predict`."""
    predicted = np.random.default_rng(0).uniform(0, 100, size=(10_000, 1))
    counter = ConformalCounter(Predicted(), cv="prefit").fit(predicted[:200], np.round(predicted[:200, 0]))
    began = process_time()
    counter.predict_interval(predicted)
    print(f"intervals of 10,000 images: {process_time() - began:.2f} s")


if __name__ == "__main__":
    main()
