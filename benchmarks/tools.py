"""Measure other ways to count on the same images: ``python benchmarks/tools.py --draws 5``, with the extra ``bench``.

VGG cells under the LZ protocol, 64 training and 100 test images per draw. Each method represents one kind of tool, comes
from scikit-image or scikit-learn, and uses the parameters of its grid that have the smallest error on the training images,
which is more care than most people take. The test images are read once, at the end. Each run adds one line to
benchmarks/tools.jsonl; the same command continues a stopped run. The rows of skcount come from benchmarks/accuracy.jsonl,
with the same draws.
"""

import argparse
from itertools import product
from pathlib import Path
from time import process_time

import numpy as np
from accuracy import add_line, is_logged, mean_and_std, measure, print_table, read_lines, read_runs
from scipy import ndimage
from skimage.feature import blob_log, multiscale_basic_features, peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label
from skimage.segmentation import watershed
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcount import DensityMapTransformer
from skcount.datasets import fetch_vgg_cells

LOG = Path(__file__).with_name("tools.jsonl")
SIGMA = 3  # of the maps that the forest learns, as in accuracy.py
N_PIXELS = 1500  # the forest learns from so many per training image
SCALES = {"sigma_min": 0.7, "sigma_max": 10, "num_sigma": 6}


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=5, help="number of training sets")
    parser.add_argument("--only", choices=TOOLS, metavar="METHOD", help="run only this method")
    parser.add_argument("--table", action="store_true", help="print the table, and train nothing")
    options = parser.parse_args()
    if not options.table:
        data = fetch_vgg_cells()
        images = np.stack(list(data.images))
        for draw, name in product(range(options.draws), [options.only] if options.only else TOOLS):
            run_draw(images, data, draw, name)
    print_runs(read_lines(LOG))


def run_draw(images, data, draw, name):
    """Choose parameters on the training images and count in the test images, unless the log has this run."""
    if is_logged(read_lines(LOG), {"tool": name, "draw": draw}, ("tool", "draw")):
        return
    train, test = data.train_test_indices("lz", n_train=64, random_state=draw)
    start = process_time()
    count, params = TOOLS[name](images[train], data.points[train])
    seconds = process_time() - start
    start = process_time()
    predicted = np.array([count(image) for image in images[test]])
    run = {
        "tool": name,
        "draw": draw,
        "params": params,
        **measure(data.points[test], predicted),
        "train_cpu_seconds": round(seconds, 1),
        "image_cpu_milliseconds": round(1000 * (process_time() - start) / len(test), 1),
    }
    add_line(LOG, run)


def best_of(count, grid):
    """Return a function that chooses the parameters of the grid with the smallest error on the training images."""

    def fit(images, points):
        settings = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
        errors = [
            np.abs(
                [count(image, **params) - n for image, n in zip(images, points.counts, strict=True)]
            ).mean()
            for params in settings
        ]
        params = settings[int(np.argmin(errors))]
        return lambda image: count(image, **params), params

    return fit


def light(image):
    """Return the channel that shows the cells, in [0, 1]."""
    return image[..., 2] / 255


def components(image, sigma, factor):
    """Count the connected regions brighter than `factor` times Otsu's threshold."""
    smooth = gaussian(light(image), sigma)
    return label(smooth > factor * threshold_otsu(smooth)).max()


def watersheds(image, sigma, factor, min_distance):
    """Count the regions after touching ones are split where their distance transform is narrow."""
    smooth = gaussian(light(image), sigma)
    mask = smooth > factor * threshold_otsu(smooth)
    distance = ndimage.distance_transform_edt(mask)
    markers = np.zeros(mask.shape, dtype=int)
    peaks = peak_local_max(gaussian(distance, 1), min_distance=min_distance, labels=label(mask))
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return len(np.unique(watershed(-distance, markers, mask=mask))) - 1


def maxima(image, sigma, min_distance, threshold):
    """Count the bright maxima of the smoothed image."""
    return len(peak_local_max(gaussian(light(image), sigma), min_distance, threshold_abs=threshold))


def blobs(image, **params):
    """Count the blobs of the Laplacian of Gaussian."""
    return len(blob_log(light(image), num_sigma=4, **params))


def fit_brightness(images, points):
    """Regress the count on the brightness histogram, which ignores positions."""

    def summary(image):
        pixels = light(image)
        return [pixels.mean(), pixels.std(), *[(pixels > t).mean() for t in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)]]

    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-4, 2, 13)))
    model.fit([summary(image) for image in images], points.counts)
    return lambda image: max(0.0, model.predict([summary(image)])[0]), {}


def fit_forest(images, points):
    """Regress the density of each pixel on filters of its surroundings with a random forest."""
    density = DensityMapTransformer(sigma=SIGMA).transform(points, image_shape=images.shape[1:3])
    drawn = np.random.default_rng(0)
    pixels, targets = [], []
    for image, target in zip(images, density, strict=True):
        chosen = drawn.choice(target.size, N_PIXELS, replace=False)
        pixels.append(pixel_features(image)[chosen])
        targets.append(target.ravel()[chosen])
    forest = RandomForestRegressor(50, min_samples_leaf=5, max_features="sqrt", random_state=0)
    forest.fit(np.concatenate(pixels), np.concatenate(targets))
    return lambda image: forest.predict(pixel_features(image)).sum(), {}


def pixel_features(image):
    """Return intensity, edges and texture at six scales, one row per pixel."""
    features = multiscale_basic_features(light(image), **SCALES)
    return features.reshape(-1, features.shape[-1])


TOOLS = {
    "how bright the image is, ridge regression": fit_brightness,
    "threshold, connected regions": best_of(
        components, {"sigma": [0, 0.25, 0.5, 1], "factor": [1, 1.2, 1.4, 1.6, 1.8]}
    ),
    "threshold, distance transform, watershed": best_of(
        watersheds, {"sigma": [0, 0.25, 0.5, 1], "factor": [0.8, 1, 1.2, 1.4], "min_distance": [1, 2]}
    ),
    "maxima of the smoothed image": best_of(
        maxima,
        {"sigma": [0, 0.5, 1, 1.5], "min_distance": [1, 2], "threshold": [0.3, 0.4, 0.45, 0.5, 0.55, 0.6]},
    ),
    "blobs, Laplacian of Gaussian": best_of(
        blobs,
        {
            "min_sigma": [0.7, 1, 1.4],
            "max_sigma": [1.5, 2, 3],
            "threshold": [0.03, 0.05, 0.07, 0.1],
            "overlap": [0.8, 0.9, 1],
        },
    ),
    "pixel features, random forest of densities": fit_forest,
}


def print_runs(rows):
    """Print one line per tool, and one per precision of skcount."""
    lines = [
        describe(name, "", [row for row in rows if row["tool"] == name])
        for name in dict.fromkeys(row["tool"] for row in rows)
    ]
    for precision in ("float32", "bf16-mixed"):
        ours = [run for run in read_runs() if is_comparable(run) and run["precision"] == precision]
        for run in ours:
            # Older lines have wall-clock time only.
            run["train_cpu_seconds"] = run.get("train_cpu_seconds", run["train_seconds"])
            run["image_cpu_milliseconds"] = 1000 * run["test_seconds"] / run["n_images"][1]
        if ours:
            lines.append(describe("skcount, U-Net, one thread", precision, ours))
    print_table(lines)


def is_comparable(run):
    """Return whether a run of skcount has the same images as those of the tools, and default parameters."""
    setting = run["data"], run["protocol"], run["n_train"], run["params"]
    return setting == ("vgg", "lz", 64, {"sigma": 3}) and not run["held_out"]


def describe(name, precision, runs):
    """Return the cells of one line, the draws of one tool, by column."""
    means = [
        np.mean([run[key] for run in runs]) for key in ("bias", "train_cpu_seconds", "image_cpu_milliseconds")
    ]
    return {
        "method": name,
        "training precision": precision,
        "draws": str(len(runs)),
        **mean_and_std("MAE", [run["mae"] for run in runs]),
        "bias": f"{means[0]:+.2f}",
        "seconds to fit or choose": f"{means[1]:.0f}",
        "ms per image": f"{means[2]:.0f}",
    }


if __name__ == "__main__":
    main()
