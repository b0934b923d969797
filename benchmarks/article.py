"""Train as the article does, on its data, splits and networks, and measure the error and the time.

``python benchmarks/article.py --data vgg --network fcrn_a`` trains in the article's way: SGD of 0.01 with momentum 0.9, the
learning rate divided by ten every 20 epochs, mean squared error on maps of sigma 1 times 100, whole frames in batches of 8
in their order, no flips, 150 epochs. The error on the test images is measured after each epoch, and the best one is the
result. **Its epoch is therefore chosen on the images that it is reported for**; the table also has the last epoch's error.

``--minutes`` ends a run after so much processor time, ``--scale`` makes the frames smaller, and the table says so. A
stopped run continues from a file in ``local/``; a finished one is a line of benchmarks/article.jsonl. ``--plain`` computes
upsampling and convolution one after the other, as the article does; without it, both are one operation, which computes the
same faster. ``--table`` only prints the table. ``--figure PATH`` draws true against predicted counts of the runs on this
machine, whose counts are in ``local/``.
"""

import argparse
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch
from accuracy import (
    COUNTS,
    FETCH,
    add_counts,
    add_line,
    describe_params,
    is_logged,
    print_table,
    read_lines,
    read_runs,
    shrink,
)
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import functional

from skcount.networks import upsample_conv

LOG = Path(__file__).with_name("article.jsonl")
UNFINISHED = Path(__file__).parents[1] / "local"
# Sum of one object on a map.
UNIT = 100
KEY = ("data", "protocol", "n_train", "draw", "network", "scale", "plain", "epochs", "minutes")


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=sorted(FETCH), default="vgg", help="data set (default: vgg)")
    parser.add_argument("--network", choices=sorted(NETWORKS), default="fcrn_a", help="(default: fcrn_a)")
    parser.add_argument("--protocol", default="article", help="name of a split (default: the article's)")
    parser.add_argument("--n-train", type=int, help="number of training images that the protocol draws")
    parser.add_argument("--draw", type=int, default=0, help="seed of the weights and of the training set")
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        choices=[1.0, 0.5, 0.25],
        help="factor for the sides of the images",
    )
    parser.add_argument("--epochs", type=int, default=150, help="number of epochs")
    parser.add_argument(
        "--minutes", type=float, help="end the training after this processor time, in minutes"
    )
    parser.add_argument("--plain", action="store_true", help="upsample, then convolve")
    parser.add_argument("--table", action="store_true", help="print the table of all runs, and train nothing")
    parser.add_argument(
        "--figure", help="draw true against predicted counts of all runs, and save to this file"
    )
    options = parser.parse_args()
    if not options.table and not options.figure:
        run({name: getattr(options, name) for name in KEY})
    if options.figure:
        draw_figure(options.figure)
    print_runs()


# The networks. A batch normalisation and a ReLU follow every convolution.


class Block(nn.Sequential):
    """Convolution of 3 x 3, batch normalisation, ReLU."""

    def __init__(self, n_in, n_out):
        super().__init__(nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU())


class UpBlock(nn.Module):
    """Upsampling by two, concatenation with a skipped map, and a block."""

    def __init__(self, n_small, n_out, n_skip=0, *, plain):
        super().__init__()
        self.n_small, self.plain = n_small, plain
        self.block = Block(n_small + n_skip, n_out)

    def forward(self, x, skip=None):
        """Map (n, n_small, h, w) to (n, n_out, 2 h, 2 w)."""
        if self.plain:
            x = functional.interpolate(x, scale_factor=2)
            return self.block(x if skip is None else torch.cat([x, skip], dim=1))
        conv, *rest = self.block
        y = upsample_conv(x, conv.weight[:, : self.n_small])
        if skip is not None:
            y = y + functional.conv2d(skip, conv.weight[:, self.n_small :], padding=1)
        for layer in rest:
            y = layer(y)
        return y


class FCRNA(nn.Module):
    """FCRN-A, whose last convolution is normalised and rectified like all others."""

    def __init__(self, n_channels, plain):
        super().__init__()
        self.down = nn.ModuleList([Block(n_channels, 32), Block(32, 64), Block(64, 128)])
        self.bottom = Block(128, 512)
        self.up = nn.ModuleList([UpBlock(a, b, plain=plain) for a, b in [(512, 128), (128, 64), (64, 1)]])

    def forward(self, x):
        """Map (n, n_channels, h, w) to (n, 1, h, w)."""
        for block in self.down:
            x = functional.max_pool2d(block(x), 2)
        x = self.bottom(x)
        for block in self.up:
            x = block(x)
        return x


class UNet(nn.Module):
    """U-Net of 64 filters in every block of two convolutions; its map is linear in the last of them."""

    def __init__(self, n_channels, plain, filters=64):
        super().__init__()
        sizes = [n_channels, filters, filters, filters, filters]
        self.down = nn.ModuleList(
            [nn.Sequential(Block(a, filters), Block(filters, filters)) for a in sizes[:4]]
        )
        self.up = nn.ModuleList([UpBlock(filters, filters, filters, plain=plain) for _ in range(3)])
        self.after = nn.ModuleList([Block(filters, filters) for _ in range(3)])
        self.density = nn.Conv2d(filters, 1, 1, bias=False)

    def forward(self, x):
        """Map (n, n_channels, h, w) to (n, 1, h, w)."""
        skips = []
        for block in self.down[:3]:
            skips.append(block(x))
            x = functional.max_pool2d(skips[-1], 2)
        x = self.down[3](x)
        for up, after in zip(self.up, self.after, strict=True):
            x = after(up(x, skips.pop()))
        return self.density(x)


NETWORKS = {"fcrn_a": FCRNA, "unet": UNet}
TITLES = {"fcrn_a": "FCRN-A", "unet": "U-Net"}


# Training


def run(key):
    """Train once, unless the log has this run."""
    if is_logged(read_lines(LOG), key, KEY):
        return
    train, test = load(key)
    torch.manual_seed(key["draw"])
    network = NETWORKS[key["network"]](train["images"].shape[1], key["plain"])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=20, gamma=0.1)
    parts = {"network": network, "optimizer": optimizer, "schedule": schedule}
    UNFINISHED.mkdir(exist_ok=True)
    unfinished = UNFINISHED / ("article-" + "-".join(str(key[name]) for name in KEY) + ".pt")
    history, best = resume(unfinished, parts)
    seconds, cpu_seconds = (history[-1][name] if history else 0.0 for name in ("seconds", "cpu_seconds"))
    while len(history) < key["epochs"] and (key["minutes"] is None or cpu_seconds < 60 * key["minutes"]):
        start, cpu_start = perf_counter(), process_time()
        loss = train_epoch(network, optimizer, train)
        schedule.step()
        seconds += perf_counter() - start
        cpu_seconds += process_time() - cpu_start
        predicted = predict(network, test["images"])
        error = float(np.abs(predicted - test["sums"]).mean())
        times = {"seconds": round(seconds, 1), "cpu_seconds": round(cpu_seconds, 1)}
        history.append({"loss": loss, **times, "mae": error})
        if best is None or error < best["error"]:
            best = {"error": error, "epoch": len(history), "predicted": predicted.round(2).tolist()}
        print(f"epoch {len(history)}: {history[-1]}", flush=True)
        save(unfinished, parts, history, best)
    log(key, train, test, history, best, predict(network, test["images"]), network)
    unfinished.unlink()


def load(key):
    """Return images, maps and counts of both sides of the split, in memory."""
    data = FETCH[key["data"]]()
    drawn = {} if key["n_train"] is None else {"n_train": key["n_train"], "random_state": key["draw"]}
    sides = data.train_test_indices(key["protocol"], allow_missing=True, **drawn)
    images, points = shrink(data.images, data.points, None, key["scale"])
    # These archives count coordinates from one, and the article reads them as if they counted from zero.
    from_one = 0 if key["data"] == "vgg" else 1
    return [prepare([images[i] for i in side], [points[i] + from_one for i in side]) for side in sides]


def prepare(images, points):
    """Return images and maps as tensors, padded to sides that are multiples of 8, the sums of the maps, and the counts."""
    maps = np.stack([make_map(p, image.shape[:2]) for p, image in zip(points, images, strict=True)])
    pixels = np.stack([np.atleast_3d(image) for image in images]).transpose(0, 3, 1, 2)
    pad = [(0, 0), (0, 0), *[(-size % 8 // 2, (-size % 8 + 1) // 2) for size in pixels.shape[2:]]]
    return {
        "images": torch.from_numpy(np.pad(pixels, pad).astype(np.float32) / 255),
        "maps": torch.from_numpy(np.pad(maps[:, None], pad)),
        "sums": maps.sum(axis=(1, 2), dtype=np.float64) / UNIT,
        "counts": np.array([len(p) for p in points], dtype=float),
    }


def make_map(points, shape):
    """Make a map in the article's way: two points on one pixel count once, and the filter reflects at the border."""
    label = np.zeros(shape, dtype=np.float32)
    for row, col in points.astype(int):
        if row < shape[0] and col < shape[1]:
            label[row, col] = UNIT
    return gaussian_filter(label, sigma=1)


def train_epoch(network, optimizer, data):
    """Train on all images once, in their order, and return the mean loss."""
    network.train()
    total = 0.0
    for images, maps in zip(data["images"].split(8), data["maps"].split(8), strict=True):
        optimizer.zero_grad()
        loss = functional.mse_loss(network(images), maps)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(images) / len(data["images"])
    return total


@torch.no_grad()
def predict(network, images):
    """Return the counts, (n_images,) float64."""
    network.eval()
    maps = torch.cat([network(batch) for batch in images.split(8)])
    return maps.sum(dim=(1, 2, 3), dtype=torch.float64).numpy() / UNIT


def resume(path, parts):
    """Load the state of a stopped run, and return its history and best epoch; [] and None if there is no such run."""
    if not path.exists():
        return [], None
    state = torch.load(path, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state["history"], state["best"]


def save(path, parts, history, best):
    """Write all that `resume` needs to a file, completely or not at all."""
    state = {name: part.state_dict() for name, part in parts.items()}
    torch.save({**state, "history": history, "best": best}, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def log(key, train, test, history, best, last, network):
    """Log one line: errors against the number of points, and the article's own error, against the sums of the maps."""
    counts, predicted = test["counts"], np.array(best["predicted"])
    row = {
        **key,
        "n_images": [len(train["images"]), len(test["images"])],
        "n_epochs": len(history),
        "best_epoch": best["epoch"],
        "mae": float(np.abs(predicted - counts).mean()),
        "mae_of_sums": best["error"],
        "last_mae": float(np.abs(last - counts).mean()),
        "training_mean_mae": float(np.abs(train["counts"].mean() - counts).mean()),
        "seconds": history[-1]["seconds"],
        "cpu_seconds": history[-1]["cpu_seconds"],
        "n_parameters": sum(p.numel() for p in network.parameters()),
        "threads": torch.get_num_threads(),
        "history": [[h["seconds"], h["cpu_seconds"], round(h["mae"], 3)] for h in history],
        "true_range": [counts.min(), counts.max()],
    }
    add_line(LOG, row)
    add_counts({"recipe": "article", **key}, counts, predicted)


# Reports


def print_runs():
    """Print one line per run of the article's recipe, and skcount's runs on the same split below it."""
    runs = [run for group in same_split(read_lines(LOG), read_runs()) for run in group]
    print_table([describe(run) for run in runs])


def same_split(theirs, ours):
    """Return one list of runs per split of the article's, those of the article first."""
    splits = {}
    for run in theirs:
        splits.setdefault((run["data"], run["protocol"], run["n_train"]), []).append(run)
    for run in ours:
        split = run["data"], run["protocol"], run["n_train"]
        if split in splits and run["draw"] == 0 and not run["held_out"]:
            splits[split].append(run)
    return list(splits.values())


def describe(run):
    """Return the cells of a run by column."""
    is_theirs = "network" in run
    smallest, largest = (f"{count:.0f}" for count in run["true_range"]) if "true_range" in run else ("", "")
    cells = {
        "data": run["data"],
        "protocol": run["protocol"],
        "image size": f"{run['scale']:g}",
        "training images": str(run["n_images"][0]),
        "test images": str(run["n_images"][1]),
        "method": f"the article's {TITLES[run['network']]}{', plain' * run['plain']}"
        if is_theirs
        else f"skcount, {describe_params(run['params'])}",
        "training precision": run.get("precision", "float32"),
        "smallest true count": smallest,
        "largest true count": largest,
        "MAE of the best epoch (chosen on these images)": "",
        "best epoch": "",
        "MAE of the last epoch": f"{run['last_mae' if is_theirs else 'mae']:.2f}",
        "baseline: mean training count": f"{run['training_mean_mae']:.2f}",
        "epochs run": "",
        "epochs planned": "",
        "seconds": f"{run['seconds' if is_theirs else 'train_seconds']:.0f}",
        "threads": str(run["threads"]),
    }
    if is_theirs:
        cells |= {
            "MAE of the best epoch (chosen on these images)": f"{run['mae']:.2f}",
            "best epoch": str(run["best_epoch"]),
            "epochs run": str(run["n_epochs"]),
            "epochs planned": str(run["epochs"]),
        }
    return cells


def draw_figure(path):
    """Draw true against predicted counts: one row per split, one panel per run, skcount last."""
    from matplotlib.figure import Figure

    found = [run for run in read_runs(COUNTS) if run["protocol"] == "article"]
    theirs, ours = ([run for run in found if run["recipe"] == recipe] for recipe in ("article", "ours"))
    rows = same_split(theirs, ours)
    n_columns = max(map(len, rows))
    figure = Figure(figsize=(4 * n_columns, 4 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), n_columns, squeeze=False)
    for axes in grid.flat:
        axes.set_visible(False)
    for runs, panels in zip(rows, grid, strict=True):
        counts = np.concatenate([run[name] for run in runs for name in ("true", "predicted")])
        ends = [counts.min(), counts.max()]
        for run, axes in zip(runs, panels, strict=False):
            axes.set_visible(True)
            axes.plot(ends, ends, color="black", linewidth=1)
            axes.scatter(run["true"], run["predicted"], s=12, alpha=0.6)
            axes.set(xlabel="true count", ylabel="predicted count", aspect="equal")
            name = TITLES[run["network"]] if "network" in run else f"skcount, {run['precision']}"
            error = np.abs(np.subtract(run["predicted"], run["true"])).mean()
            axes.set_title(f"{run['data']}, {name}: MAE {error:.2f}")
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
