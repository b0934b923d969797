"""Count errors under the published protocols, draw by draw, beside predictions that look at no image.

``python benchmarks/accuracy.py --data vgg --protocol lz --n-train 64 --draws 5`` trains what is not in
benchmarks/accuracy.jsonl yet, one line a draw, and prints a Markdown table; a run that was stopped goes on where it was.
``--held-out`` compares settings on images held out of the training images, with ``first-half`` and ``second-half`` on each
half of a video after training on the other: the test images are not read.
``--set sigma=2 --set architecture=fcrn_a`` changes parameters of the regressor, ``--table`` prints all that is there.
"""

import argparse
import json
import platform
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
FETCH = {"vgg": fetch_vgg_cells, "mall": fetch_mall, "ucsd": fetch_ucsd_pedestrians}
# Sigma of VGG was chosen on held-out training images, see RESULTS.md.
SETTINGS = {
    "vgg": {"sigma": 3},
    "mall": {"sigma": 4, "augment": "mirror"},
    "ucsd": {"sigma": 4, "augment": "mirror"},
}
PUBLISHED = {
    ("vgg", "lz", 64): "FCRN-A 2.9 +- 0.2; Count-ception (N=50) 2.3 +- 0.4",
    ("vgg", "lz", 32): "Count-ception 2.4 +- 0.4",
    ("vgg", "random", 64): "PGC-Net 1.9 +- 0.1; MSCA-UNet 2.0 +- 0.2",
    ("mall", "standard", None): "SAAN 1.28; LA-Batch 1.34; DecideNet 1.52; E3D 1.64; bi-ConvLSTM 2.10",
    ("ucsd", "standard", None): "PaDNet 0.85; CSRNet 1.16",
}
# What tells one run from another.
KEY = ("data", "protocol", "n_train", "scale", "held_out", "allow_missing", "params", "draw")


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=sorted(FETCH), default="vgg")
    parser.add_argument("--protocol", help="name of a published split; default: lz or standard")
    parser.add_argument("--n-train", type=int, help="how many training images the protocol draws")
    parser.add_argument("--draws", type=int, default=5, help="training sets, or seeds where nothing is drawn")
    parser.add_argument("--first-draw", type=int, default=0)
    parser.add_argument(
        "--scale", type=float, default=1.0, choices=[1.0, 0.5, 0.25], help="of the images' sides"
    )
    parser.add_argument(
        "--held-out",
        nargs="?",
        const=True,
        default=False,
        choices=["first-half", "second-half"],
        help="test on held-out training images: those that were not drawn, the last fifth, or a half of the video",
    )
    parser.add_argument(
        "--allow-missing", action="store_true", help="leave out frames of the protocol that the archive lacks"
    )
    parser.add_argument(
        "--symmetries",
        action="store_true",
        help="measure the mean over the symmetries of each test image, too",
    )
    parser.add_argument("--set", action="append", default=[], metavar="PARAMETER=JSON")
    parser.add_argument("--table", action="store_true", help="print the table of all runs, and train nothing")
    options = parser.parse_args()
    if not options.table:
        for draw in range(options.first_draw, options.first_draw + options.draws):
            run_draw(options, draw)
    print_table(read_lines(LOG))


def run_draw(options, draw):
    """Train and test once, unless the log has it."""
    protocol = options.protocol or ("lz" if options.data == "vgg" else "standard")
    params = {**SETTINGS[options.data], **dict(map(parse_setting, options.set))}
    if options.n_train is None and options.data == "vgg" and protocol != "article":
        options.n_train = 64
    run = {
        "data": options.data,
        "protocol": protocol,
        "n_train": options.n_train,
        "scale": options.scale,
        "held_out": options.held_out,
        "allow_missing": options.allow_missing,
        "params": params,
        "draw": draw,
    }
    if is_logged(LOG, run, KEY):
        return
    X, points, train, test, groups = load(run)
    regressor = DensityMapRegressor(random_state=draw).set_params(**params)
    start, cpu_start = perf_counter(), process_time()
    regressor.fit(X[train], points[train])
    seconds, cpu_seconds = perf_counter() - start, process_time() - cpu_start
    start = perf_counter()
    density = list(regressor.iter_density(X[test]))
    predicted = np.array([d.sum(dtype=np.float64) for d in density])
    test_seconds = perf_counter() - start
    averaged = None
    if options.symmetries:
        averaged = regressor.set_params(test_time_augmentation=True).predict(X[test])
        regressor.set_params(test_time_augmentation=False)
    run |= {
        "n_images": [len(train), len(test)],
        **measure(points[test], predicted),
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


def parse_setting(text):
    """Split PARAMETER=JSON; what is no JSON is text."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def load(run):
    """Images, points, and the indices of training and test images."""
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
        elif not len(test):  # the last fifth: frames of one video are alike
            train, test = np.split(train, [len(train) * 4 // 5])
    # All other protocols count in whole frames.
    roi = data.roi if (run["data"], run["protocol"]) == ("ucsd", "standard") else None
    images, points = shrink(data.images, data.points, roi, run["scale"])
    return images, points.inside(images), train, test, data.groups


def shrink(images, points, roi, scale):
    """Average blocks of pixels; in memory where there is something to average."""
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
    """Mean of each block of pixels, rounded."""
    height, width = (size // step for size in image.shape[:2])
    blocks = image[: height * step, : width * step].reshape(height, step, width, step, *image.shape[2:])
    return np.rint(blocks.mean(axis=(1, 3))).astype(image.dtype)


def measure(points, predicted):
    """Errors of the counts."""
    measures = {
        "mae": count_mean_absolute_error,
        "rmse": count_root_mean_squared_error,
        "bias": count_bias,
    }
    return {name: function(points, predicted) for name, function in measures.items()}


def last_frame_mae(points, train, test, groups):
    """Error of repeating the count of the last training frame of the clip; None where there are no clips to share."""
    if groups is None or not set(groups[test]) <= set(groups[train]):
        return None
    last = {clip: points.counts[train[groups[train] == clip][-1]] for clip in set(groups[train])}
    return count_mean_absolute_error(points[test], [last[clip] for clip in groups[test]])


def read_lines(path):
    """Every finished run, a list of dict."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def is_logged(path, run, names):
    """Whether a finished run has the same values of `names`."""
    return any(all(row[name] == run[name] for name in names) for row in read_lines(path))


def add_line(path, run):
    """Add a finished run, with the time."""
    with path.open("a") as file:
        file.write(
            json.dumps({**run, "date": f"{datetime.now(tz=UTC):%Y-%m-%d %H:%M}"}, default=float) + "\n"
        )


def add_counts(run, true, predicted):
    """Keep the counts of every test image, for figures, where they are not part of the repository: they are the data's."""
    COUNTS.parent.mkdir(exist_ok=True)
    add_line(COUNTS, {**run, "true": np.asarray(true).tolist(), "predicted": np.round(predicted, 2).tolist()})


def print_table(rows):
    """Print one line for the draws of each setting, and what was published."""
    settings = {}
    for row in rows:
        settings.setdefault(json.dumps([row[name] for name in KEY[:-1]]), []).append(row)
    lines = [describe(draws) for draws in sorted(settings.values(), key=order)]
    for line in lines[:1]:
        print(f"| {' | '.join(line)} |")
        print("|" + " --- |" * len(line))
    for line in lines:
        print(f"| {' | '.join(line.values())} |")


def order(draws):
    """Where the line of some draws stands: each data set's published protocols first, and the default recipe first."""
    first = draws[0]
    data, protocol, params = list(FETCH).index(first["data"]), first["protocol"], first["params"]
    return data, protocol == "article", protocol, "mixed_precision" in params, len(params)


def describe(draws):
    """The cells of the line of some draws of one setting, by column."""
    first = draws[0]

    def mean(name, form=".2f"):
        return format(np.mean([row[name] for row in draws]), form)

    held_out = {False: "", True: ", held-out images"}.get(
        first["held_out"], f", held-out {first['held_out']}"
    )
    scale = f", {first['scale']} of the size" * (first["scale"] != 1)
    missing = ", of the frames that exist" * first["allow_missing"]
    averaged = [row["symmetries_mae"] for row in draws if row["symmetries_mae"] is not None]
    unseen = first["held_out"] or first["allow_missing"]
    published = "" if unseen else PUBLISHED.get((first["data"], first["protocol"], first["n_train"]), "")
    return {
        "data, protocol": f"{first['data']}, {first['protocol']}{held_out}{scale}{missing}",
        "N": str(first["n_images"][0]),
        "settings": ", ".join(f"{name} {value}" for name, value in first["params"].items()),
        "draws": str(len(draws)),
        "MAE": with_spread([row["mae"] for row in draws]),
        "over symmetries": with_spread(averaged),
        "RMSE": mean("rmse"),
        "bias": mean("bias", "+.2f"),
        "GAME 1, 2, 3": ", ".join(mean(f"game{k}") for k in (1, 2, 3)),
        "training MAE": mean("train_mae"),
        "no image looked at: training mean": mean("training_mean_mae"),
        "last frame of the clip": "" if first["last_frame_mae"] is None else mean("last_frame_mae"),
        "seconds": mean("train_seconds", ".0f"),
        "of the processor": mean("train_cpu_seconds", ".0f")
        if all("train_cpu_seconds" in row for row in draws)
        else "",
        "threads": str(first["threads"]),
        "parameters": str(first["n_parameters"]),
        "published MAE": published,
    }


def with_spread(values):
    """Mean and standard deviation over draws, as far as there are any."""
    spread = f" +- {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{np.mean(values):.2f}{spread}" if len(values) else ""


if __name__ == "__main__":
    main()
