"""Totals of populations from a few images counted by hand: whether intervals hold, and how narrow they are.

``python benchmarks/totals.py`` draws samples of the two populations of $SKCOUNT_DATA/active_measurement (tiles with
the predictions of two detectors), of VGG's images 1 to 200 (predicted by a fit on eight of them, which are left out), and of
generated ones, and prints a Markdown table. A width is relative to that of a simple random sample of the same size with
counts by hand alone.
"""

import argparse
import os
import warnings
from collections import defaultdict
from pathlib import Path
from time import process_time

import numpy as np
from joblib import Parallel, delayed
from scipy import stats

from skcount import DensityMapRegressor
from skcount.datasets import fetch_vgg_cells
from skcount.evaluation import estimate_total, plan_sample, sample_images

FOLDER = Path(__file__).parents[1] / "local" / "totals"
SIZES = (20, 30)


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1000, help="samples of each size (default: 1000)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    options = parser.parse_args()
    populations = read_populations()
    print(
        "| population | images | r | n | coverage % | refused % | by hand % | width / simple | width / hand | "
        "median error % | k-DISCount error % | errors' ratio |\n" + "| --- " * 12 + "|"
    )
    narrower = defaultdict(list)
    for name, (true, predicted) in populations.items():
        for n in SIZES:
            parts = np.array_split(np.arange(options.draws), max(1, 4 * options.jobs))
            rows = Parallel(options.jobs)(
                delayed(lambda part, *args: [draw(seed, *args) for seed in part.tolist()])(
                    part, true, predicted, n
                )
                for part in parts
            )
            row = summarize(name, true, predicted, n, [row for part in rows for row in part])
            if not name.startswith("generated") and "shuffled" not in name:
                narrower[n].append(row)
    for n, ratios in narrower.items():
        print(
            f"n = {n}: over {len(ratios)} populations, narrower than hand counts by {np.exp(np.mean(np.log(ratios))):.2f}"
        )
    extended(populations, options)
    cost()


def read_populations():
    """Return the true and predicted counts of each population."""
    found = {}
    folder = Path(os.environ["SKCOUNT_DATA"]) / "active_measurement"
    for file in ("swallows", "reeds"):
        table = np.genfromtxt(folder / f"{file}.csv", delimiter=",", names=True)
        for detector in table.dtype.names[2:]:
            found[f"{file}, {detector}"] = table["true"], table[detector]
    found["VGG"] = vgg()
    rng = np.random.default_rng(0)
    for name in list(found):
        true, predicted = found[name]
        found[f"{name}, shuffled"] = true, rng.permutation(predicted)
    true = np.where(rng.random(1000) < 0.1, rng.poisson(12, 1000), 0)
    found["generated, 90 % empty"] = (
        true,
        np.maximum(0, true + (true > 0) * rng.normal(0, 2, 1000) + rng.exponential(0.1, 1000)),
    )
    true = rng.poisson(np.where(rng.random(1000) < 0.1, 500, 10))
    found["generated, a tenth 50 times larger"] = (
        true,
        np.maximum(0, 1.3 * true + rng.normal(0, 1.5 * np.sqrt(true + 1))),
    )
    return found


def vgg():
    """Return the counts of VGG's images but eight, predicted by a fit on these from the weights "objects"."""
    file = FOLDER / "vgg.npy"
    if not file.exists():
        cells = fetch_vgg_cells()
        order = np.random.default_rng(0).permutation(200)
        regressor = DensityMapRegressor(weights="objects", random_state=0)
        regressor.fit(cells.images[order[:8]], cells.points[order[:8]])
        rest = order[8:]
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, [cells.points[rest].counts, regressor.predict(cells.images[rest])])
    return tuple(np.load(file))


def draw(seed, true, predicted, n):
    """Return whether the interval holds, its width, that by hand, both errors, and how the total was estimated."""
    sample = sample_images(predicted, n, random_state=seed)
    simple = simple_random(np.random.default_rng(seed), true, n)
    other = k_discount(np.random.default_rng(seed), true, predicted, n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimate = estimate_total(sample, true[sample.indices])
        except ValueError:
            return None, None, None, simple, None, other, "refused"
    (low, high), hand = estimate.interval, estimate.hand_counts.interval
    holds = low - 1e-9 <= true.sum() <= high + 1e-9
    return (
        holds,
        high - low,
        hand[1] - hand[0],
        simple,
        abs(estimate.total - true.sum()),
        other,
        estimate.method,
    )


def simple_random(rng, true, n):
    """Return the width of the interval of a simple random sample without predictions."""
    n_images = len(true)
    counts = true[rng.choice(n_images, n, replace=False)]
    error = n_images * np.sqrt((1 - n / n_images) / n) * counts.std(ddof=1)
    return 2 * stats.t.ppf(0.975, n - 1) * error


def k_discount(rng, true, predicted, n):
    """Return the error of importance sampling in proportion to the predicted count (Perez et al., AAAI 2024)."""
    chances = np.where(predicted > 0, predicted, predicted.mean() / 1000)
    chances = chances / chances.sum()
    drawn = rng.choice(len(true), n, p=chances)
    return abs(np.mean(true[drawn] / chances[drawn]) - true.sum())


def summarize(name, true, predicted, n, rows):
    """Print a row, and return how much narrower than hand counts of the same sample the interval is."""
    holds, widths, hand, simple, errors, others, methods = (
        list(column) for column in zip(*rows, strict=True)
    )
    kept = [index for index, method in enumerate(methods) if method != "refused"]

    def mean(values):
        return np.mean([values[index] for index in kept])

    error, other = (np.median([values[index] for index in kept]) for values in (errors, others))
    total = true.sum()
    print(
        f"| {name} | {len(true)} | {np.corrcoef(true, predicted)[0, 1]:.2f} | {n} | {100 * mean(holds):.1f} | "
        f"{100 * methods.count('refused') / len(rows):.1f} | {100 * methods.count('expansion') / len(rows):.1f} | "
        f"{mean(widths) / np.mean(simple):.2f} | {mean(widths) / mean(hand):.2f} | {100 * error / total:.1f} | "
        f"{100 * other / total:.1f} | {error / other:.2f} |",
        flush=True,
    )
    return mean(hand) / mean(widths)


def extended(populations, options):
    """Print the coverage of a pilot of 12 that is extended to the planned number of images."""
    for name in list(populations)[:5]:
        true, predicted = populations[name]
        holds, reached, numbers = [], [], []
        for seed in range(options.draws):
            pilot = sample_images(predicted, 12, random_state=seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    first = estimate_total(pilot, true[pilot.indices])
                    wanted = (first.interval[1] - first.interval[0]) / 4
                    n = plan_sample(first, wanted)
                    sample = pilot.extend(n - 12)
                    (low, high) = estimate_total(sample, true[sample.indices]).interval
                except ValueError:
                    continue
            holds.append(low <= true.sum() <= high)
            reached.append(high - low <= 2 * wanted)
            numbers.append(n)
        print(
            f"{name}: 12 images, extended to half the width: {np.mean(numbers):.0f} images on average, coverage "
            f"{100 * np.mean(holds):.1f} %, narrow enough {100 * np.mean(reached):.0f} %"
        )


def cost():
    """Print the seconds that a total of 10,000 images takes."""
    true = np.random.default_rng(0).poisson(20, 10_000)
    began = process_time()
    sample = sample_images(true + 1.0, 200)
    estimate_total(sample, true[sample.indices])
    print(f"total of 10,000 images, 200 counted: {process_time() - began:.2f} s")


if __name__ == "__main__":
    main()
