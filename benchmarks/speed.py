"""Time the same work done by skcount and in the article's way, interleaved in one run.

``python benchmarks/speed.py`` measures all rows and prints Markdown tables of medians and their ratios. Every round
measures each side of each row once, so that a machine whose speed varies is equally slow for both. Each row has a process
of its own, because memory freed by one row would make the next one faster: predictions are faster after a training.
``--only TEXT`` measures the rows whose names contain it (``--only recipes`` the default against the former one), and
``--rounds N`` sets the number of rounds. pytest-benchmark measures the times.
"""

import argparse
import json
import multiprocessing
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from copy import copy, deepcopy
from functools import cache
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import article
import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional

from skcount import (
    DensityMapRegressor,
    DensityMapTransformer,
    FCRNRegressor,
    PointAnnotations,
    UNetRegressor,
)
from skcount.datasets import fetch_vgg_cells, make_cells
from skcount.images import check_images
from skcount.inference import computes_bf16, inference_copy
from skcount.io import save_hdf5
from skcount.losses import make_loss
from skcount.networks import FCRNA, DensityNetwork, UNet
from skcount.training import Crops, Muon, Plan, PointTarget, train

ROUNDS = 7
TITLES = {"fcrn_a": "FCRN-A", "unet": "U-Net (64)"}
# The article's U-Net has 64 filters in every block.
UNET = {"filters": 64, "growth": 1, "depth": 3, "stem": 1}
# The former default.
FORMER = {"filters": 16, "depth": 3, "stem": 1}
# Ends the names of what is computed in this precision, if the processor has instructions for it.
MIXED = ", bf16-mixed"
HAS_MIXED = computes_bf16("cpu")


# Rows: what each side does, by name. All others are compared with the first.


def prediction(name):
    """Count in eight images of 256 x 256 pixels."""
    theirs = article.NETWORKS[name](3, plain=True).eval()
    regressor, folded = fitted(name), inference_copy(fitted(name).module_)
    mixed = copy(regressor).set_params(precision="bf16-mixed")
    images = noise((8, 256, 256, 3))
    pixels = torch.from_numpy(images.transpose(0, 3, 1, 2) / np.float32(255))

    @torch.inference_mode()
    def count(network):
        return network(pixels).sum(dim=(1, 2, 3))

    return {
        "article": lambda: count(theirs),
        "network, the same batch": lambda: count(folded),
        "predict": lambda: regressor.predict(images),
        **({f"predict{MIXED}": lambda: mixed.predict(images)} if HAS_MIXED else {}),
        "ONNX Runtime": onnx_session(name, pixels.numpy()),
    }


def onnx_session(name, pixels):
    """Return a function that runs the exported network on the same batch."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        fitted(name).export_onnx(Path(folder) / "counter.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(Path(folder) / "counter.onnx", options)
    return lambda: session.run(["counts"], {"images": pixels})


@cache
def fitted(name):
    """Return a fitted regressor whose network is the article's."""
    kinds = {"fcrn_a": FCRNRegressor("a"), "unet": DensityMapRegressor("unet", architecture_params=UNET)}
    X, points = make_cells(n_samples=2, image_shape=(64, 64), random_state=0, return_X_y=True)
    return kinds[name].set_params(max_epochs=1, random_state=0).fit(X, points)


def training_step(name):
    """Take one step on eight images of 256 x 256 pixels: squared error of the map, momentum."""
    torch.manual_seed(0)
    kinds = {"fcrn_a": FCRNA(3), "unet": UNet(3, **UNET)}
    images, maps = torch.rand(8, 3, 256, 256), torch.rand(8, 1, 256, 256)

    def step(network):
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)

        def run():
            optimizer.zero_grad()
            functional.mse_loss(network(images), maps).backward()
            optimizer.step()

        return run

    ours = DensityNetwork(kinds[name], [0.5] * 3, [0.3] * 3)
    sides = {"article": step(article.NETWORKS[name](3, plain=True)), "network": step(ours)}
    if HAS_MIXED:
        mixed = deepcopy(ours)
        mixed.bf16_training = True
        sides[f"network{MIXED}"] = step(mixed)
    return sides


def steps(n_steps=32):
    """Train a network so small that the work of skorch and skcount around it shows, compared with a plain loop."""
    X = noise((8 * n_steps, 64, 64, 3))
    points = PointAnnotations(np.random.default_rng(0).uniform(0, 63, (len(X), 5, 2)))
    images = check_images(X)
    target = PointTarget(points, images, DensityMapTransformer())
    crops = Crops(images, target, (64, 64), np.ones(len(X)), "rotations")
    loss = make_loss("multiscale", 0.01, 2.0)
    batches = [crops.__getitems__(range(i, i + 8)) for i in range(0, len(X), 8)]

    def network():
        torch.manual_seed(0)
        return DensityNetwork(UNet(3, filters=4, depth=3, stem=1, convolutions=1), [0.5] * 3, [0.3] * 3, 0.01)

    def plain():
        module = network().train()
        optimizer = Muon(module.parameters(), lr=0.02)
        for pixels, batch in batches:
            optimizer.zero_grad()
            loss(module(pixels), batch).backward()
            optimizer.step()

    def ours():
        # One cycle would end by counting in all images, which the plain loop does not do.
        settings = {"lr": 0.02, "batch_size": 8, "device": "cpu", "one_cycle": False}
        train(Plan(network(), images, crops, loss, n_epochs=1, n_steps=n_steps, **settings, prediction={}))

    def draw():
        for i in range(0, len(X), 8):
            crops.__getitems__(range(i, i + 8))

    return {"article": plain, "skorch, with new random crops": ours, "of which drawing crops": draw}


def density_map(shape, n_points, sigma):
    """Make the map of one image from points in memory."""
    points = np.random.default_rng(0).random((n_points, 2)) * (np.array(shape) - 1)
    transformer = DensityMapTransformer(sigma=sigma)

    def label():
        dots = np.zeros(shape, dtype=np.float32)
        for row, col in points.astype(int):
            dots[row, col] = article.UNIT
        return article.gaussian_filter(dots, sigma=sigma)

    return {"article": label, "transform": lambda: transformer.transform([points], shape)}


ROWS = {
    "FCRN-A prediction": lambda: prediction("fcrn_a"),
    "U-Net (64) prediction": lambda: prediction("unet"),
    "FCRN-A training step": lambda: training_step("fcrn_a"),
    "U-Net (64) training step": lambda: training_step("unet"),
    "32 steps of a tiny U-Net (compared with a plain loop)": steps,
    "map of 640 x 480, 31 points, sigma 4": lambda: density_map((480, 640), 31, 4),
    **{
        f"map of 256 x 256, 174 points, sigma {sigma}": lambda sigma=sigma: density_map(
            (256, 256), 174, sigma
        )
        for sigma in (1, 2, 3, 4, 6, 8, 10, 12, 15)
    },
    "map of 4000 x 3000, 5000 points, sigma 4": lambda: density_map((3000, 4000), 5000, 4),
}


def transform_alone(side, n_points, sigma):
    """Make one map of side x side pixels."""
    return {"transform": density_map((side, side), n_points, sigma)["transform"]}


def predict_alone(n_images, side):
    """Count in some images of side x side pixels."""
    regressor, images = fitted("fcrn_a"), noise((n_images, side, side, 3))
    return {"predict": lambda: regressor.predict(images)}


# How the time of skcount grows, in steps of four.
SCALING = {
    **{
        f"map of {side} x {side}, {n_points} points, sigma 4": lambda side=side, n=n_points: transform_alone(
            side, n, 4
        )
        for side, n_points in [(256, 100), (512, 400), (1024, 1600), (2048, 6400), (4096, 25600)]
    },
    **{
        f"map of 1024 x 1024, {n} points, sigma 4": lambda n=n: transform_alone(1024, n, 4)
        for n in (25, 100, 400, 6400, 25600)
    },
    **{
        f"map of 1024 x 1024, 400 points, sigma {sigma}": lambda sigma=sigma: transform_alone(
            1024, 400, sigma
        )
        for sigma in (1, 2, 8, 16, 32)
    },
    **{f"predict {n} images of 128 x 128": lambda n=n: predict_alone(n, 128) for n in (1, 4, 16, 64)},
    **{
        f"predict 1 image of {side} x {side}": lambda side=side: predict_alone(1, side)
        for side in (256, 512, 1024)
    },
}
# Rows that are so fast that a round measures them several times.
QUICK = "map of 256", "map of 640"


def noise(shape):
    """Return random bytes."""
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@cache
def sides(row):
    """Return the functions of a row, made once."""
    return (ROWS | SCALING)[row]()


def measure(benchmark, number, row, side):
    """Time one side of a row, after a warm-up in the first round."""
    iterations = 20 if row.startswith(QUICK) else 1
    benchmark.pedantic(sides(row)[side], rounds=1, iterations=iterations, warmup_rounds=int(number == 0))


class Rounds:
    """Pytest plugin that orders the measurements: every side of every row in each round."""

    def __init__(self, rows, n_rounds):
        self.cases = [(n, row, side) for n in range(n_rounds) for row in rows for side in sides(row)]

    def pytest_generate_tests(self, metafunc):
        """Make one case per measurement."""
        metafunc.parametrize(("number", "row", "side"), self.cases)


def run_rounds(rows, n_rounds):
    """Return the median time of each side of each row, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "times.json"
        options = ["-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts="]
        options += ["-o", "python_files=speed.py", "-o", "python_functions=measure", f"--rootdir={folder}"]
        options += [
            "-c",
            "/dev/null",
            "--benchmark-disable-gc",
            "--benchmark-quiet",
            f"--benchmark-json={out}",
        ]
        # The functions were made in this module, so pytest must not import another copy of it.
        sys.modules["speed"] = sys.modules[__name__]
        code = pytest.main([*options, __file__], plugins=[Rounds(rows, n_rounds)])
        if code:
            raise SystemExit(int(code))
        runs = json.loads(out.read_text())["benchmarks"]
    times = {}
    for run in runs:
        params = run["params"]
        times.setdefault(params["row"], {}).setdefault(params["side"], []).append(run["stats"]["mean"])
    return {row: {side: median(values) for side, values in found.items()} for row, found in times.items()}


def run_apart(rows, n_rounds):
    """Return the same, with each row measured in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        found = pool.map(run_rounds, [[row] for row in rows], [n_rounds] * len(rows))
        return {row: times for one in found for row, times in one.items()}


def print_times(times):
    """Print medians, and the article's time over that of skcount."""
    print("| work | article, ms | skcount | precision | skcount, ms | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row, found in times.items():
        (_, article_seconds), *others = found.items()
        for side, seconds in others:
            cells = [
                *(row, f"{1000 * article_seconds:.2f}", *split_precision(side)),
                *(f"{1000 * seconds:.2f}", f"{article_seconds / seconds:.2f}"),
            ]
            print(f"| {' | '.join(cells)} |")


def split_precision(name):
    """Split a name into what is computed and in which precision; maps have none."""
    if name == "transform":
        return name, ""
    return name.removesuffix(MIXED), "bf16-mixed" if name.endswith(MIXED) else "float32"


def print_scaling(times):
    """Print medians."""
    print("| work | ms |")
    print("| --- | --- |")
    for row, found in times.items():
        print(f"| {row} | {1000 * next(iter(found.values())):.2f} |")


# The default against the former one, in processor seconds.


def recipes():
    """Return functions by name of the work and of the default: a training step, and predictions."""
    work = {"training step, 8 crops of 128 x 128": {}}
    images, target = torch.rand(8, 3, 128, 128), torch.rand(8, 1, 128, 128) / 100
    batch = {"target": target, "mask": torch.ones_like(target), "weight": torch.ones(8)}
    loss = make_loss("multiscale", 0.01, 3.0)
    X, points = make_cells(n_samples=2, image_shape=(64, 64), random_state=0, return_X_y=True)
    for name, params in (("former", FORMER), ("new", {})):
        module = DensityNetwork(UNet(3, **params), [0.5] * 3, [0.3] * 3, 0.01)
        optimizer = Muon(module.parameters())

        def step(module=module, optimizer=optimizer):
            optimizer.zero_grad()
            loss(module(images), batch).backward()
            optimizer.step()

        work["training step, 8 crops of 128 x 128"][name] = step
        regressor = UNetRegressor(**params, diameter=12, max_epochs=1, random_state=0).fit(X, points)
        for side in (256, 1024):
            image = noise((1, side, side, 3))
            row = work.setdefault(f"predict {side} x {side}", {})
            row[name] = lambda regressor=regressor, image=image: regressor.predict(image)
    return work


def print_recipes(n_rounds):
    """Print median processor seconds of one thread, old and new in turn, and their ratio."""
    torch.set_num_threads(1)
    print("| work | former default, ms of the processor | new default | new / former |")
    print("| --- | --- | --- | --- |")
    for name, functions in recipes().items():
        times = {key: [] for key in functions}
        for number in range(n_rounds + 1):
            for key, function in functions.items():
                start = process_time()
                function()
                if number:  # the first round warms up
                    times[key].append(1000 * (process_time() - start))
        former, new = (median(times[key]) for key in ("former", "new"))
        print(f"| {name} | {former:.0f} | {new:.0f} | {new / former:.2f} |", flush=True)


# Peaks of memory, and images larger than memory: each is measured in a process of its own.


def train_in_child(side, name):
    """Take three training steps."""
    step = training_step(name)[side]
    for _ in range(3):
        step()


def predict_large(size):
    """Count in one grey image of size x size pixels, read from a file, in tiles."""
    X, points = make_cells(n_samples=2, image_shape=(64, 64), random_state=0, return_X_y=True)
    regressor = DensityMapRegressor(tile_size=1024, max_epochs=1, random_state=0).fit(X[..., 0], points)
    with tempfile.TemporaryDirectory() as folder:
        image = np.memmap(Path(folder) / "image", np.uint8, "w+", shape=(size, size))
        rng = np.random.default_rng(0)
        for top in range(0, size, 500):
            image[top : top + 500] = rng.integers(0, 256, image[top : top + 500].shape, dtype=np.uint8)
        image.flush()
        image = np.memmap(Path(folder) / "image", np.uint8, "r", shape=(size, size))
        start = perf_counter()
        regressor.predict([image])
        return perf_counter() - start


CHILDREN = {
    "imports and data for a training step, without the step": lambda: training_step("fcrn_a") and None,
    **{
        f"{title} training step, {side}": lambda side=side, name=name: train_in_child(side, name)
        for name, title in TITLES.items()
        for side in ("article", "network", *([f"network{MIXED}"] if HAS_MIXED else []))
    },
    **{
        f"{size} x {size} pixels in tiles of 1024": lambda size=size: predict_large(size)
        for size in (2500, 5000, 10000, 20000)
    },
}


def run_child(name):
    """Run one in this process, and print the seconds that it returns and the peak of memory in MB."""
    seconds = CHILDREN[name]()
    # The peak of getrusage would include that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
    print(json.dumps({"seconds": seconds, "peak": peak}))


def print_children(names):
    """Run each in a process of its own, and print its time and memory."""
    print("| work | precision | seconds | peak memory of the process, MB |")
    print("| --- | --- | --- | --- |")
    for name in names:
        command = [sys.executable, __file__, "--child", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        seconds = "" if found["seconds"] is None else f"{found['seconds']:.1f}"
        work, precision = split_precision(name)
        print(f"| {work} | {precision} | {seconds} | {found['peak']:.0f} |", flush=True)


# Sizes of files.


def print_sizes():
    """Print the size of the files of VGG's cells in the article's way and by `save_hdf5`."""
    data = fetch_vgg_cells()
    images = np.stack(list(data.images))
    with tempfile.TemporaryDirectory() as folder:
        theirs, ours = Path(folder) / "article.h5", Path(folder) / "ours.h5"
        with h5py.File(theirs, "w") as file:
            file["images"] = images.transpose(0, 3, 1, 2) / np.float32(255)
            file["labels"] = np.stack([article.make_map(p, images.shape[1:3]) for p in data.points])[:, None]
        save_hdf5(ours, data.images, data.points)
        sizes = [path.stat().st_size / 1e6 for path in (theirs, ours)]
    print("| VGG cells in HDF5 | MB | fraction of the article's size |")
    print("| --- | --- | --- |")
    print(f"| article: float32 images and maps | {sizes[0]:.1f} | 1 |")
    print(f"| `save_hdf5`: bytes and points | {sizes[1]:.1f} | 1/{sizes[0] / sizes[1]:.1f} |")


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="measure the rows whose names contain this")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="number of rounds")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_child(options.child)
        return
    if options.only in "recipes":
        print_recipes(options.rounds)
    rows = [row for row in ROWS if options.only in row]
    if rows:
        print_times(run_apart(rows, options.rounds))
    scaling = [row for row in SCALING if options.only in row]
    if scaling:
        print_scaling(run_rounds(scaling, options.rounds))
    children = [name for name in CHILDREN if options.only in name]
    if children:
        print_children(children)
    if options.only in "VGG cells in HDF5":
        print_sizes()


if __name__ == "__main__":
    main()
