"""Count with no example and with few: from weights, from scratch, and with what else one would use.

``python benchmarks/few.py`` measures what is missing from benchmarks/few.jsonl, one line per run, and prints a Markdown
table; ``--data vgg --n-train 4`` and the like select runs, and ``--table`` only prints. Data sets and test images are
those of benchmarks/accuracy.py; of Mall, every third test frame. On each kind of nuclei, the weights "left out" have
never seen a picture of it: ``python benchmarks/pretrain.py without-256x256`` and so on make them.
"""

import argparse
import json
from itertools import product
from pathlib import Path
from time import process_time

import accuracy
import numpy as np
from pretrain import FOLDER as TRAINED
from pretrain import ready
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_laplace, label, maximum_filter
from sklearn.ensemble import RandomForestRegressor

from skcount import DensityMapRegressor, ImageSet, load, load_pretrained
from skcount.datasets import fetch_vgg_cells
from skcount.density import estimate_diameter, gaussian_density
from skcount.images import normalize_images

LOG = Path(__file__).with_name("few.jsonl")
KINDS = ("256x256", "256x320", "360x360")
SETS = (*KINDS, "vgg", "mall")
SIZES = (0, 1, 3, 4, 5, 10, 20)
# Which sizes a data set has: those of the targets.
ONLY = {"vgg": (0, 3, 4, 10), "mall": (0, 3, 20)}
KEY = ("data", "method", "n_train", "draw")


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=SETS, action="append", help="data sets (default: all)")
    parser.add_argument("--method", choices=METHODS, action="append", help="methods (default: all)")
    parser.add_argument("--n-train", type=int, action="append", help="numbers of examples (default: 0 to 20)")
    parser.add_argument("--draws", type=int, default=2, help="draws of the examples (default: 2)")
    parser.add_argument("--table", action="store_true", help="only print the table")
    options = parser.parse_args()
    if not options.table:
        for data, n_train in product(options.data or SETS, options.n_train or SIZES):
            if n_train not in ONLY.get(data, SIZES) and not options.n_train:
                continue
            for draw, method in product(range(options.draws if n_train else 1), options.method or METHODS):
                run(data, method, n_train, draw)
    print_table([row for row in read_log() if row["data"] in (options.data or SETS)])


def run(data, method, n_train, draw):
    """Measure once, unless the log has it or it makes no sense."""
    row = dict(zip(KEY, (data, method, n_train, draw), strict=True))
    needs_training = method not in WITHOUT_TRAINING
    if any(all(old[name] == row[name] for name in KEY) for old in read_log()) or (
        not n_train and needs_training
    ):
        return
    if method == "left out" and data not in KINDS:
        return
    X, points, train, test = load_data(data, n_train, draw)
    began = process_time()
    predict = METHODS[method](X[train], points[train], data)
    trained = process_time()
    counts = np.array([predict(X[index : index + 1]) for index in test.tolist()], dtype=float)
    true = points[test].counts
    errors = np.abs(counts - true)
    row |= {
        "mae": float(errors.mean()),
        "relative_error": float(errors.sum() / true.sum()),
        "bias": float((counts - true).sum() / true.sum()),
        "within_10": float(np.mean(errors <= 0.1 * true)),
        "baseline": float(np.abs(points[train].counts.mean() - true).sum() / true.sum()) if n_train else None,
        "fit_s": trained - began,
        "predict_s": (process_time() - trained) / len(test),
    }
    with open(LOG, "a", encoding="utf-8") as log:
        log.write(json.dumps(row) + "\n")
    print(row, flush=True)


def load_data(data, n_train, draw):
    """Return all images and points of a data set, and the indices of the examples and of the test images."""
    if data == "vgg":  # N of the first hundred, and the others for the test
        cells = fetch_vgg_cells()
        order = np.random.default_rng(draw).permutation(100)
        return ImageSet(cells.images), cells.points, np.sort(order[:n_train]), np.arange(100, 200)
    run = {
        "protocol": data,
        "n_train": n_train,
        "draw": draw,
        "scale": 1.0,
        "held_out": False,
        "allow_missing": False,
    }
    run |= (
        {"data": "mall", "protocol": "standard", "n_train": None, "scale": 0.5}
        if data == "mall"
        else {"data": "nuclei"}
    )
    X, points, train, test, _ = accuracy.load(run)
    if data == "mall":
        train, test = np.sort(np.random.default_rng(draw).permutation(train)[:n_train]), test[::3]
    return X, points, train, test


def of_regressor(regressor):
    """Return the counting function of a fitted regressor."""
    return lambda image: regressor.predict(image)[0]


def augment(data):
    """Return the settings of a data set: people are upright."""
    return {"augment": "mirror+jitter+scale"} if data == "mall" else {}


def from_scratch(X, points, data):
    """Train from random numbers."""
    return of_regressor(DensityMapRegressor(random_state=0, **augment(data)).fit(X, points))


def from_weights(weights):
    """Return a method that starts from weights; without examples, it counts with them."""

    def method(X, points, data):
        start = weights(data) if callable(weights) else weights
        if not len(X):
            return of_regressor(load_ready(start))
        return of_regressor(
            DensityMapRegressor(weights=start, random_state=0, **augment(data)).fit(X, points)
        )

    return method


def load_ready(start):
    """Return a regressor that counts without training, choosing the size of each image."""
    if start == "nuclei":
        return load_pretrained(start)
    return ready(load(start))


def grey(images):
    """Return normalized grey images."""
    return [np.asarray(image) for image in normalize_images(ImageSet(images))]


def tuned(count, grid, X, points):
    """Return a counting function with the settings that have the smallest error on the examples."""
    images, true = grey(X), points.counts
    best = min(
        grid, key=lambda values: sum(abs(count(i, *values) - t) for i, t in zip(images, true, strict=True))
    )
    return lambda image: count(grey(image)[0], *best)


def diameter_of(X, points):
    """Return the diameter that the dots tell."""
    return estimate_diameter(normalize_images(ImageSet(X)), points) or 12.0


def watershed(X, points, data):  # noqa: ARG001 - all methods have the same arguments
    """Threshold, and split touching objects at the basins of the distance transform."""
    diameter = diameter_of(X, points)

    def count(image, sign, blur, threshold, apart, smallest):
        smooth = gaussian_filter(sign * image, blur * diameter)
        inside = smooth > np.mean(smooth) + threshold * np.std(smooth)
        regions, n_regions = label(inside)
        areas = np.bincount(regions.ravel(), minlength=n_regions + 1)
        inside &= areas[regions] >= smallest * diameter**2
        depth = gaussian_filter(distance_transform_edt(inside), 1)
        seeds = (depth == maximum_filter(depth, size=max(3, round(apart * diameter)))) & inside
        return label(seeds, np.ones((3, 3)))[1]

    grid = product((1, -1), (0.05, 0.15), (0, 0.5, 1, 1.5), (0.3, 0.6, 0.9), (0.05, 0.2))
    return tuned(count, list(grid), X, points)


def laplacian(X, points, data):  # noqa: ARG001
    """Count local maxima of the Laplacian of Gaussian."""
    diameter = diameter_of(X, points)

    def count(image, sign, width, threshold):
        response = -sign * (width * diameter) ** 2 * gaussian_laplace(image, width * diameter)
        peaks = response == maximum_filter(response, size=max(3, round(0.5 * diameter)))
        return int((peaks & (response > threshold)).sum())

    grid = product((1, -1), (0.15, 0.2, 0.25, 0.3, 0.35), (0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6))
    return tuned(count, list(grid), X, points)


def forest(X, points, data):  # noqa: ARG001
    """Random forest: filtered pixels -> density (Fiaschi et al., ICPR 2012)."""
    diameter = diameter_of(X, points)
    rng = np.random.default_rng(0)

    def features(image):
        layers = [image]
        for width in (0.06, 0.12, 0.25, 0.5, 1.0):
            sigma = width * diameter
            layers += [gaussian_filter(image, sigma), gaussian_laplace(image, sigma) * sigma**2]
            layers.append(np.hypot(*np.gradient(gaussian_filter(image, sigma))) * sigma)
        return np.stack(layers, axis=-1).reshape(-1, len(layers))

    rows, density = [], []
    for image, dots in zip(grey(X), points, strict=True):
        target = gaussian_density(dots, image.shape, sigma=max(1.0, 0.2 * diameter)).ravel()
        chosen = rng.permutation(image.size)[: 60_000 // len(X)]
        rows.append(features(image)[chosen])
        density.append(target[chosen])
    model = RandomForestRegressor(50, min_samples_leaf=10, max_features=0.5, random_state=0)
    model.fit(np.concatenate(rows), np.concatenate(density))
    return lambda image: model.predict(features(grey(image)[0])).sum()


METHODS = {
    "left out": from_weights(lambda data: TRAINED / f"without-{data}.skcount"),
    "nuclei": from_weights("nuclei"),
    "objects": from_weights("objects"),
    "scratch": from_scratch,
    "watershed": watershed,
    "laplacian": laplacian,
    "forest": forest,
}
WITHOUT_TRAINING = {"left out", "nuclei"}


def read_log():
    """Return all runs."""
    return [json.loads(line) for line in LOG.read_text(encoding="utf-8").splitlines()] if LOG.exists() else []


def print_table(rows):
    """Print the relative error in percent, and the processor seconds of the fit."""
    print("| data | N | draws | always the mean |" + "".join(f" {name} |" for name in METHODS))
    print("| --- " * (4 + len(METHODS)) + "|")
    for data, n_train in product(SETS, sorted({row["n_train"] for row in rows})):
        cells, draws, baseline = [], 0, "-"
        for method in METHODS:
            some = [
                row for row in rows if (row["data"], row["n_train"], row["method"]) == (data, n_train, method)
            ]
            draws = max(draws, len(some))
            if some and n_train:
                baseline = f"{100 * np.mean([row['baseline'] for row in some]):.0f}"
            mean = 100 * np.mean([row["relative_error"] for row in some]) if some else None
            cells.append(f"{mean:.1f} ({np.mean([row['fit_s'] for row in some]):.0f} s)" if some else "-")
        if draws:
            print(f"| {data} | {n_train} | {draws} | {baseline} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
