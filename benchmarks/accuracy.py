"""Measure count errors under the published protocols, draw by draw, next to baselines that ignore the images.

``python benchmarks/accuracy.py --data vgg --protocol lz --n-train 64 --draws 5`` trains the draws that are missing from
benchmarks/accuracy.jsonl, adds one line per draw, and prints Markdown tables. The same command continues a stopped run.
``--data nuclei --n-train 10`` measures the three kinds of pictures of the 2018 Data Science Bowl, or one of them with
``--protocol 256x256``; the archive nuclei_dsb2018.zip must be in the folder ``$SKCOUNT_DATA``.
``--held-out`` compares settings without reading the test images: on held-out training images, or, with ``first-half`` and
``second-half``, on one half of a video after training on the other.
``--set sigma=2 --set architecture=fcrn_a`` changes parameters of the regressor, and ``--set architecture_params__stem=1`` an
entry of a parameter. ``--table`` only prints the tables.
"""

import argparse
import csv
import io
import json
import os
import platform
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch

from skcount import DensityMapRegressor, ImageSet, PointAnnotations
from skcount.datasets import fetch_mall, fetch_ucsd_pedestrians, fetch_vgg_cells
from skcount.metrics import (
    count_bias,
    count_mean_absolute_error,
    count_root_mean_squared_error,
    grid_average_mean_absolute_error,
)

LOG = Path(__file__).with_name("accuracy.jsonl")
COUNTS = Path(__file__).parents[1] / "local" / "counts.jsonl"
FETCH = {"vgg": fetch_vgg_cells, "mall": fetch_mall, "ucsd": fetch_ucsd_pedestrians, "nuclei": None}
# Kinds of pictures of nuclei: size and kind in images.csv, and pillow's mode.
NUCLEI = {
    "256x256": ((256, 256, "fluorescence"), "L"),
    "256x320": ((256, 320, "purple_on_white"), "RGB"),
    "360x360": ((360, 360, "fluorescence"), "L"),
}
# People are upright, so only left and right are exchanged.
PEOPLE = {"augment": "mirror+jitter+scale"}
SETTINGS = {"vgg": {}, "mall": PEOPLE, "ucsd": PEOPLE, "nuclei": {}}
DEFAULT_PROTOCOLS = {"vgg": ["lz"], "mall": ["standard"], "ucsd": ["standard"], "nuclei": list(NUCLEI)}
# Number of training images, method, mean and standard deviation of the mean absolute error, as published.
PUBLISHED = {
    ("vgg", "lz"): [
        (64, "FCRN-A", "2.9", "0.2"),
        (50, "Count-ception", "2.3", "0.4"),
        (32, "Count-ception", "2.4", "0.4"),
    ],
    ("vgg", "random"): [(64, "PGC-Net", "1.9", "0.1"), (64, "MSCA-UNet", "2.0", "0.2")],
    ("mall", "standard"): [
        (800, "SAAN", "1.28", ""),
        (800, "LA-Batch", "1.34", ""),
        (800, "DecideNet", "1.52", ""),
        (800, "E3D", "1.64", ""),
        (800, "bi-ConvLSTM", "2.10", ""),
    ],
    ("ucsd", "standard"): [(800, "PaDNet", "0.85", ""), (800, "CSRNet", "1.16", "")],
}
# The fields that identify a run.
KEY = ("data", "protocol", "n_train", "scale", "held_out", "allow_missing", "params", "precision", "draw")


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=sorted(FETCH), default="vgg", help="data set (default: vgg)")
    parser.add_argument("--protocol", help="name of a published split (default: lz or standard)")
    parser.add_argument("--n-train", type=int, help="number of training images that the protocol draws")
    parser.add_argument(
        "--draws",
        type=int,
        default=5,
        help="number of training sets, or of seeds if the protocol draws nothing",
    )
    parser.add_argument("--first-draw", type=int, default=0, help="seed of the first draw")
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        choices=[1.0, 0.5, 0.25],
        help="factor for the sides of the images",
    )
    parser.add_argument(
        "--held-out",
        nargs="?",
        const=True,
        default=False,
        choices=["first-half", "second-half"],
        help="test on held-out training images: those that were not drawn, the last fifth, or one half of the video",
    )
    parser.add_argument(
        "--allow-missing", action="store_true", help="leave out frames of the protocol that the archive lacks"
    )
    parser.add_argument(
        "--symmetries",
        action="store_true",
        help="also measure the mean over the symmetries of each test image",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PARAMETER=JSON",
        help="set a parameter of the regressor",
    )
    parser.add_argument(
        "--table", action="store_true", help="print the tables of all runs, and train nothing"
    )
    options = parser.parse_args()
    if not options.table:
        for draw in range(options.first_draw, options.first_draw + options.draws):
            for protocol in [options.protocol] if options.protocol else DEFAULT_PROTOCOLS[options.data]:
                run_draw(options, protocol, draw)
    print_tables(read_runs())


def run_draw(options, protocol, draw):
    """Train and test once, unless the log has this run."""
    params = {**SETTINGS[options.data], **dict(map(parse_setting, options.set))}
    if options.n_train is None and options.data == "vgg" and protocol != "article":
        options.n_train = 64
    if options.n_train is None and options.data == "nuclei":
        options.n_train = 10
    run = {
        "data": options.data,
        "protocol": protocol,
        "n_train": options.n_train,
        "scale": options.scale,
        "held_out": options.held_out,
        "allow_missing": options.allow_missing,
        "params": params,
        "precision": params.pop("precision", "float32"),
        "draw": draw,
    }
    if is_logged(read_runs(), run, KEY):
        return
    X, points, train, test, groups = load(run)
    regressor = DensityMapRegressor(precision=run["precision"], random_state=draw).set_params(**params)
    start, cpu_start = perf_counter(), process_time()
    regressor.fit(X[train], points[train])
    seconds, cpu_seconds = perf_counter() - start, process_time() - cpu_start
    start = perf_counter()
    density = list(regressor.iter_density(X[test]))
    predicted = np.array([d.sum(dtype=np.float64) for d in density])
    test_seconds = perf_counter() - start
    held_out = None
    if run["data"] == "nuclei" and not run["held_out"]:  # for choices, which must not look at the test images
        rest = np.setdiff1d(np.arange(0, len(X), 2), train)
        held_out = relative_error(points[rest], regressor.predict(X[rest]))
    averaged = None
    if options.symmetries and has_symmetries(regressor):
        averaged = regressor.predict(X[test], test_time_augmentation=True)
    run |= {
        "n_images": [len(train), len(test)],
        **measure(points[test], predicted),
        "relative_error": relative_error(points[test], predicted),
        "held_out_relative_error": held_out,
        "diameter": regressor.diameter_,
        "reduction": regressor.reduction_,
        "sigma": regressor.density_.sigma,
        **{f"game{k}": grid_average_mean_absolute_error(points[test], density, k) for k in (1, 2, 3)},
        "symmetries_mae": None if averaged is None else count_mean_absolute_error(points[test], averaged),
        "train_mae": count_mean_absolute_error(points[train[:200]], regressor.predict(X[train[:200]])),
        "training_mean_mae": count_mean_absolute_error(
            points[test], np.full(len(test), points[train].counts.mean())
        ),
        "last_frame_mae": last_frame_mae(points, train, test, groups),
        "train_seconds": round(seconds, 1),
        "train_cpu_seconds": round(cpu_seconds, 1),
        "test_seconds": round(test_seconds, 1),
        "n_parameters": sum(p.numel() for p in regressor.module_.parameters()),
        "device": str(next(regressor.module_.parameters()).device),
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, torch {torch.__version__}",
        "true_range": [points[test].counts.min(), points[test].counts.max()],
    }
    add_line(LOG, run)
    add_counts({"recipe": "ours", **{name: run[name] for name in KEY}}, points[test].counts, predicted)


def has_symmetries(regressor):
    """Return whether the augmentation has symmetries that predictions can be averaged over."""
    return str(regressor.augment).startswith(("rotations", "mirror"))


def parse_setting(text):
    """Split PARAMETER=JSON; a value that is not JSON is text."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def load(run):
    """Return images, points, indices of the training and the test images, and groups."""
    if run["data"] == "nuclei":
        return load_nuclei(run)
    data = FETCH[run["data"]]()
    indices = data.train_test_indices
    drawn = {} if run["n_train"] is None else {"n_train": run["n_train"], "random_state": run["draw"]}
    train, test = indices(run["protocol"], allow_missing=run["allow_missing"], **drawn)
    if run["held_out"]:
        pool = np.flatnonzero(np.isin(indices.numbers, indices.splits[run["protocol"]].train))
        test = np.setdiff1d(pool, train)
        if run["held_out"] is not True:
            halves = np.array_split(train, 2)
            test, train = halves if run["held_out"] == "first-half" else halves[::-1]
        elif not len(test):  # neighbouring frames of a video are alike, so the last fifth is held out
            train, test = np.split(train, [len(train) * 4 // 5])
    # All other protocols count whole frames.
    roi = data.roi if (run["data"], run["protocol"]) == ("ucsd", "standard") else None
    images, points = shrink(data.images, data.points, roi, run["scale"])
    return images, points.inside(images), train, test, data.groups


def load_nuclei(run):
    """Return one kind of pictures: N of those at even positions for training, those at odd positions for the test."""
    kind, mode = NUCLEI[run["protocol"]]
    with zipfile.ZipFile(Path(os.environ["SKCOUNT_DATA"]) / "nuclei_dsb2018.zip") as archive:
        rows = csv.DictReader(io.StringIO(archive.read("images.csv").decode()))
        names = [row["image"] for row in rows if (int(row["height"]), int(row["width"]), row["kind"]) == kind]
        images = [read_picture(archive.read(f"images/{name}"), mode) for name in names]
        dots = {name: [] for name in names}
        for row in csv.DictReader(io.StringIO(archive.read("points.csv").decode())):
            if row["image"] in dots:
                dots[row["image"]].append((float(row["y"]), float(row["x"])))
    even, odd = np.arange(0, len(names), 2), np.arange(1, len(names), 2)
    train = np.sort(np.random.default_rng(run["draw"]).permutation(even)[: run["n_train"]])
    test = np.setdiff1d(even, train) if run["held_out"] else odd
    return ImageSet(np.stack(images)), PointAnnotations(list(dots.values())), train, test, None


def read_picture(content, mode):
    """Return a picture as an array, grey or in colour."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(content)).convert(mode))


def shrink(images, points, roi, scale):
    """Return images made smaller by averaging blocks of pixels, and their points; at scale 1 no image is read."""
    if scale == 1:
        everywhere = np.ones(images.shape[1:3], dtype=bool)
        return ImageSet(images, roi=everywhere if roi is None else roi), points
    step = round(1 / scale)
    small = np.stack([average(image, step) for image in images])
    # The centre of a block of two pixels is half a pixel from the centre of the first.
    moved = PointAnnotations.from_flat((points.coordinates - (step - 1) / 2) / step, points.lengths)
    height, width = small.shape[1:3]
    roi = None if roi is None else roi[: height * step : step, : width * step : step]
    return ImageSet(small, roi=roi), moved


def average(image, step):
    """Return the rounded mean of each block of pixels."""
    height, width = (size // step for size in image.shape[:2])
    blocks = image[: height * step, : width * step].reshape(height, step, width, step, *image.shape[2:])
    return np.rint(blocks.mean(axis=(1, 3))).astype(image.dtype)


def measure(points, predicted):
    """Return the errors of the counts by name."""
    measures = {
        "mae": count_mean_absolute_error,
        "rmse": count_root_mean_squared_error,
        "bias": count_bias,
    }
    return {name: function(points, predicted) for name, function in measures.items()}


def relative_error(points, predicted):
    """Return the sum of the absolute errors over the sum of the counts."""
    return np.abs(predicted - points.counts).sum() / points.counts.sum()


def last_frame_mae(points, train, test, groups):
    """Return the error of repeating the last training count of each clip; None if training and test share no clips."""
    if groups is None or not set(groups[test]) <= set(groups[train]):
        return None
    last = {clip: points.counts[train[groups[train] == clip][-1]] for clip in set(groups[train])}
    return count_mean_absolute_error(points[test], [last[clip] for clip in groups[test]])


def read_runs(path=LOG):
    """Return the finished runs of skcount, each with its precision."""
    return [with_precision(run) for run in read_lines(path)]


def with_precision(run):
    """Return a run with its precision; older lines have `mixed_precision` in `params`, which was on by default."""
    if "precision" in run or "params" not in run:
        return run
    params = dict(run["params"])
    is_mixed = params.pop("mixed_precision", True)
    return {**run, "params": params, "precision": "bf16-mixed" if is_mixed else "float32"}


def read_lines(path):
    """Return the lines of a log, a list of dict."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def is_logged(runs, run, names):
    """Return whether one of the finished runs has the same values of `names`."""
    return any(all(row[name] == run[name] for name in names) for row in runs)


def add_line(path, run):
    """Add a finished run and the time to a log."""
    with path.open("a") as file:
        file.write(
            json.dumps({**run, "date": f"{datetime.now(tz=UTC):%Y-%m-%d %H:%M}"}, default=float) + "\n"
        )


def add_counts(run, true, predicted):
    """Keep the counts of every test image, for figures, outside of version control."""
    COUNTS.parent.mkdir(exist_ok=True)
    add_line(COUNTS, {**run, "true": np.asarray(true).tolist(), "predicted": np.round(predicted, 2).tolist()})


def print_tables(runs):
    """Print one line for the draws of each setting, and the published results under the same protocols."""
    settings = {}
    for run in runs:
        settings.setdefault(json.dumps([run[name] for name in KEY[:-1]]), []).append(run)
    print_table([describe(draws) for draws in sorted(settings.values(), key=order)])
    protocols = {(run["data"], run["protocol"]) for run in runs}
    names = ("data", "protocol", "N", "method", "MAE, mean", "MAE, std")
    rows = [
        dict(zip(names, (*protocol, str(n), *cells), strict=True))
        for protocol, published in PUBLISHED.items()
        if protocol in protocols
        for n, *cells in published
    ]
    print()
    print_table(rows)


def print_table(rows):
    """Print dicts of cells as a Markdown table."""
    for row in rows[:1]:
        print(f"| {' | '.join(row)} |")
        print("|" + " --- |" * len(row))
    for row in rows:
        print(f"| {' | '.join(row.values())} |")


def order(draws):
    """Return the sort key of a line: published protocols first, then bf16-mixed, then the fewest settings."""
    first = draws[0]
    data, protocol, params = list(FETCH).index(first["data"]), first["protocol"], first["params"]
    return data, protocol == "article", protocol, first["precision"] == "float32", len(params)


def describe(draws):
    """Return the cells of one line, the draws of one setting, by column."""
    first = draws[0]

    def mean(name, form=".2f"):
        return format(np.mean([run[name] for run in draws]), form)

    held_out = {False: "", True: "held-out images"}.get(first["held_out"], f"held-out {first['held_out']}")
    has_cpu_seconds = all("train_cpu_seconds" in run for run in draws)
    return {
        "data": first["data"],
        "protocol": first["protocol"],
        "subset": ", ".join(filter(None, [held_out, "available frames only" * first["allow_missing"]])),
        "image size": f"{first['scale']:g}",
        "N": str(first["n_images"][0]),
        "settings": describe_params(first["params"]),
        "training precision": first["precision"],
        "draws": str(len(draws)),
        **mean_and_std("MAE", [run["mae"] for run in draws]),
        **mean_and_std("averaged over symmetries", [run["symmetries_mae"] for run in draws]),
        "RMSE": mean("rmse"),
        "relative error, %": mean("relative_error", ".1%").rstrip("%") if "relative_error" in first else "",
        "bias": mean("bias", "+.2f"),
        **{f"GAME {level}": mean(f"game{level}") for level in (1, 2, 3)},
        "training MAE": mean("train_mae"),
        "baseline: mean training count": mean("training_mean_mae"),
        "baseline: last frame of the clip": "" if first["last_frame_mae"] is None else mean("last_frame_mae"),
        "seconds": mean("train_seconds", ".0f"),
        "processor seconds": mean("train_cpu_seconds", ".0f") if has_cpu_seconds else "",
        "threads": str(first["threads"]),
        "parameters": str(first["n_parameters"]),
    }


def describe_params(params):
    """Return the parameters of a run as text."""
    return ", ".join(f"{name} {value}" for name, value in params.items())


def mean_and_std(name, values):
    """Return the cells with mean and standard deviation over draws, each empty if there are too few values."""
    values = [value for value in values if value is not None]
    return {
        f"{name}, mean": f"{np.mean(values):z.2f}" if values else "",
        f"{name}, std": f"{np.std(values, ddof=1):.2f}" if len(values) > 1 else "",
    }


if __name__ == "__main__":
    main()
