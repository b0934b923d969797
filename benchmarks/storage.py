"""Measure a data set larger than memory: write, open, split, train, predict, and read at random.

``python benchmarks/storage.py`` streams 20 GB of raw pixels to a folder that is deleted at the end, and prints Markdown
tables: seconds and resident memory of each stage, and the time of a random read from memory and from files of each
compression, interleaved.
"""

import argparse
import os
import resource
import shutil
import tempfile
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import numpy as np
from sklearn.model_selection import KFold
from skorch.callbacks import Callback

from skcount import DensityMapRegressor, PointAnnotations
from skcount.datasets import make_cells
from skcount.io import load_hdf5, save_hdf5
from skcount.metrics import count_mean_absolute_error

SHAPE = (256, 256, 3)
N_BYTES = 256 * 256 * 3
N_TRAINING, N_TEST = 800, 200
N_TIMED, N_READS = 2000, 3000


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gigabytes", type=float, default=20, help="size of the raw pixels, in 1e9 bytes")
    parser.add_argument("--folder", help="where to write (default: the folder for temporary files)")
    options = parser.parse_args()
    n_images = int(options.gigabytes * 1e9 / N_BYTES)
    if n_images < 5 * N_TRAINING:
        parser.error(
            f"--gigabytes must be at least {5 * N_TRAINING * N_BYTES / 1e9:.1f}; got {options.gigabytes}"
        )

    folder = Path(tempfile.mkdtemp(prefix="skcount_storage_", dir=options.folder))
    try:
        measure_stages(folder / "large.h5", n_images)
        measure_reads(folder)
    finally:
        shutil.rmtree(folder)


def measure_stages(path, n_images):
    """Write, open, split, train and predict, and print the time and memory of each."""
    print(f"{n_images} images of {SHAPE}, uint8: {n_images * N_BYTES / 1e9:.1f} GB of raw pixels\n")
    print("| stage | seconds | resident memory, MB | peak so far, MB | notes |")
    print("| --- | --- | --- | --- | --- |")
    stage = Stage()
    variants = Variants()
    stage.end("imports and 300 simulated images")

    save_hdf5(path, map(variants.image, range(n_images)), variants.points(n_images))
    speed = n_images * N_BYTES / 1e6 / stage.seconds()
    size = path.stat().st_size
    stage.end("write", f"{speed:.0f} MB/s of raw pixels, file {size / 1e9:.2f} GB")

    X, y = load_hdf5(path, return_X_y=True)
    stage.end("open", f"{len(X)} images, {len(y.coordinates)} points")

    train, test = next(KFold(5, shuffle=True, random_state=0).split(X, y))
    X_train, y_train, X_test, y_test = X[train], y[train], X[test], y[test]
    stage.end("split by KFold", f"{len(train)} and {len(test)} images")

    rng = np.random.default_rng(0)
    fitted = rng.choice(len(train), N_TRAINING, replace=False)
    counter = CountSteps()
    regressor = DensityMapRegressor(
        architecture_params={"filters": 16},
        max_epochs=1,
        batch_size=32,
        patch_size=128,
        callbacks=[("count_steps", counter)],
        random_state=0,
    )
    regressor.fit(X_train[fitted], y_train[fitted])
    n_steps = sum(counter.steps)
    stage.end(
        f"fit, {n_steps} steps of 32 crops", f"{N_TRAINING} random images, each read again for every crop"
    )

    predicted = rng.choice(len(test), N_TEST, replace=False)
    error = count_mean_absolute_error(y_test[predicted], regressor.predict(X_test[predicted]))
    spread = np.abs(y_test[predicted].counts - y_train.counts.mean()).mean()
    stage.end("predict", f"{N_TEST} random images, MAE {error:.1f} (mean training count: {spread:.1f})")

    times = [timed(X.__getitem__, number) for number in rng.integers(0, len(X), N_READS).tolist()]
    percentiles = quantiles(times, n=20)
    stage.end(
        f"{N_READS} random reads",
        f"median {median(times) * 1e3:.3f} ms, 95 % below {percentiles[-1] * 1e3:.3f} ms",
    )
    X.close()
    print(f"\npeak resident memory: {peak_megabytes():.0f} MB\n")


def measure_reads(folder):
    """Time random reads from memory and from a file of each compression, interleaved, and print the medians."""
    variants = Variants()
    images = np.stack([variants.image(number) for number in range(N_TIMED)])
    readers = {"copy in memory": lambda number: images[number].copy()}
    sizes = {"copy in memory": images.nbytes}
    for compression in (None, "zstd", "gzip"):
        path = folder / f"{compression}.h5"
        save_hdf5(path, images, variants.points(N_TIMED), compression=compression)
        readers[f"compression={compression!r}"] = load_hdf5(path).images.__getitem__
        sizes[f"compression={compression!r}"] = path.stat().st_size

    rng = np.random.default_rng(0)
    times = {name: [] for name in readers}
    for number in rng.integers(0, N_TIMED, N_READS).tolist():
        for name in rng.permutation(list(readers)).tolist():
            times[name].append(timed(readers[name], number))

    print(f"random reads from {N_TIMED} images of {SHAPE}, interleaved, {N_READS} of each kind\n")
    print("| storage | size, MB | median, ms | relative to a copy in memory |")
    print("| --- | --- | --- | --- |")
    copy = median(times["copy in memory"])
    for name, seconds in times.items():
        took = median(seconds)
        print(f"| {name} | {sizes[name] / 1e6:.0f} | {took * 1e3:.4f} | {took / copy:.1f} |")


class Variants:
    """Any number of different images and their points, made from a few hundred simulated ones."""

    def __init__(self, n_originals=300):
        cells = make_cells(n_originals, n_cells=(10, 60), random_state=0)
        self._images, self._points = cells.images, cells.points

    def image(self, number):
        """Return an image: an original, flipped, shifted, brightened and with noise."""
        rng, original, is_flipped, shift, factor = self._draw(number)
        image = self._images[original]
        image = np.roll(image[:, ::-1] if is_flipped else image, shift, axis=(0, 1))
        bright = np.minimum(image * np.float32(factor), 239).astype(np.uint8)
        return bright + rng.integers(0, 8, SHAPE, dtype=np.uint8)

    def points(self, n_images):
        """Return the points of the first images."""
        return PointAnnotations(self._points_of(number) for number in range(n_images))

    def _points_of(self, number):
        _, original, is_flipped, shift, _ = self._draw(number)
        points = self._points[original].copy()
        if is_flipped:
            points[:, 1] = SHAPE[1] - 1 - points[:, 1]
        return (points + shift + 0.5) % SHAPE[:2] - 0.5

    def _draw(self, number):
        rng = np.random.default_rng(number)
        original, is_flipped = rng.integers(len(self._images)), rng.random() < 0.5
        return rng, original, is_flipped, rng.integers(0, SHAPE[:2]), rng.uniform(0.8, 1.3)


class CountSteps(Callback):
    """Count the training steps, in a list that copies of this callback share."""

    def __init__(self, steps=None):
        self.steps = [] if steps is None else steps

    def on_batch_end(self, net, training=False, **kwargs):  # noqa: ARG002 - skorch's signature
        """Count a step."""
        self.steps.append(int(training))

    def __deepcopy__(self, memo):
        return self


class Stage:
    """Print a row for each stage of the work."""

    def __init__(self):
        self._start = perf_counter()

    def seconds(self):
        """Return how long the stage has taken so far."""
        return perf_counter() - self._start

    def end(self, name, remark=""):
        """Print the row of a stage, and begin the next one."""
        print(
            f"| {name} | {self.seconds():.1f} | {resident_megabytes():.0f} | {peak_megabytes():.0f} | {remark} |",
            flush=True,
        )
        self._start = perf_counter()


def timed(function, argument):
    """Return the seconds that a call takes."""
    start = perf_counter()
    function(argument)
    return perf_counter() - start


def resident_megabytes():
    """Return the resident memory of this process, on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_megabytes():
    """Return the peak of the resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
