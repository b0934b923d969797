"""What each element of the training recipe is worth: the recipe without it, on held-out training images.

``python benchmarks/ablation.py --draws 2`` trains on 64 of VGG's images 1-100 and compares on the other 36; images 101-200
are not read. One line of benchmarks/ablation.jsonl a run; a run that was stopped goes on where it was, and prints a
Markdown table at its end. ``--steps`` makes all trainings shorter, ``--table`` prints the table of what is there,
``--only NAME`` runs one line of it.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

import numpy as np
import torch
from accuracy import SETTINGS, add_line, is_logged, load, read_lines, with_spread
from skorch.callbacks import Callback

from skcount import DensityMapRegressor
from skcount.regressors import _base

LOG = Path(__file__).with_name("ablation.jsonl")
BASE, CROPS = "skcount.regressors._base", "skcount.training._crops"
NET, CALLBACKS = "skcount.training._net", "skcount.training._callbacks"
N_TRAIN = 64
channel_statistics = _base.channel_statistics


def nothing(*args, **kwargs):
    """Stand for an element that is left out."""


def not_standardised(*args):
    """Leave the pixels as they are, in [0, 1]."""
    channels = channel_statistics(*args)
    return channels._replace(mean=0 * channels.mean, std=0 * channels.std + 1)


class AverageWeights(Callback):
    """End with the mean of the weights over the last fifth of the epochs, step by step."""

    def on_train_begin(self, _net, **_):
        """Start with no weights."""
        self.mean, self.n_steps = None, 0

    def on_batch_end(self, net, training, **_):
        """Add the weights to the mean, where it is time."""
        if training and len(net.history) > 0.8 * net.max_epochs:
            weights = [p.detach().double() for p in net.module_.parameters()]
            self.n_steps += 1
            self.mean = self.mean or weights
            self.mean = [m + (w - m) / self.n_steps for m, w in zip(self.mean, weights, strict=True)]

    @torch.no_grad()
    def on_train_end(self, net, **_):
        """Put the mean in the network."""
        for parameter, mean in zip(net.module_.parameters(), self.mean, strict=True):
            parameter.copy_(mean)


# Whatever the hardware has: what one element is worth is compared at one precision.
PRECISION = {"mixed_precision": False}
# Parameters that differ from the recipe's ("steps" relative to it), and what is replaced where there is no parameter.
VARIANTS = {
    "the recipe": ({}, {}),
    "no flips and turns": ({"augment": False}, {}),
    "whole images instead of crops": ({"patch_size": 256, "batch_size": 2}, {}),
    "cut edges count in the loss": ({}, {f"{CROPS}.MARGIN": 0}),
    "squared error of pixels alone": ({"loss": "mse"}, {}),
    "squared error of pixels and of the crop": ({"loss": "mse_count"}, {}),
    "constant learning rate": ({}, {f"{CALLBACKS}.one_cycle": lambda _: 1.0}),
    "statistics never frozen": ({}, {f"{NET}.FREEZE_AFTER": 2.0}),
    "no normalisation": ({"architecture_params": {"normalization": None}}, {}),
    "no last scale": ({}, {f"{BASE}.BaseDensityMapRegressor._rescale": lambda *_: 1.0}),
    "no penalty on flat images": ({}, {f"{BASE}._blank_penalty": nothing}),
    "pixels not standardised": ({}, {f"{BASE}.channel_statistics": not_standardised}),
    "32 filters at every depth": ({"architecture_params": {"filters": 32, "growth": 1}}, {}),
    "weights averaged over the last fifth": ({"callbacks": [("average", AverageWeights())]}, {}),
    "mixed precision": ({"mixed_precision": "auto"}, {}),
    "half as many steps": ({"steps": 0.5}, {}),
    "twice as many steps": ({"steps": 2}, {}),
}


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1, help="training sets, each with its seed")
    parser.add_argument("--first-draw", type=int, default=0)
    parser.add_argument(
        "--steps", type=int, default=_base.AUTO_STEPS, help="of the recipe that all are compared with"
    )
    parser.add_argument("--only", action="append", choices=VARIANTS, metavar="NAME")
    parser.add_argument("--table", action="store_true", help="print the table, and train nothing")
    options = parser.parse_args()
    if not options.table:
        for draw in range(options.first_draw, options.first_draw + options.draws):
            for name in options.only or VARIANTS:
                run(name, draw, options.steps)
    print_table(options.steps)


def run(name, draw, steps):
    """Train and compare once, unless the log has it."""
    key = {"name": name, "draw": draw, "steps": steps}
    if is_logged(LOG, key, list(key)):
        return
    split = {"data": "vgg", "protocol": "lz", "n_train": N_TRAIN, "allow_missing": False, "held_out": True}
    X, points, train, test, _ = load({**split, "scale": 1, "draw": draw})
    params, replaced = map(dict, VARIANTS[name])
    replaced[f"{BASE}.AUTO_STEPS"] = int(params.pop("steps", 1) * steps)
    regressor = DensityMapRegressor(random_state=draw).set_params(
        **{**PRECISION, **SETTINGS["vgg"], **params}
    )
    start = perf_counter()
    with ExitStack() as stack:
        for target, value in replaced.items():
            stack.enter_context(patch(target, value))
        regressor.fit(X[train], points[train])
    seconds = perf_counter() - start
    errors = regressor.predict(X[test]) - points[test].counts
    averaged = regressor.set_params(test_time_augmentation=True).predict(X[test]) - points[test].counts
    fitted = regressor.set_params(test_time_augmentation=False).predict(X[train]) - points[train].counts
    row = {
        **key,
        "n_images": [len(train), len(test)],
        "mae": np.abs(errors).mean(),
        "bias": errors.mean(),
        "spread": errors.std(),
        "symmetries_mae": np.abs(averaged).mean(),
        "train_mae": np.abs(fitted).mean(),
        "train_bias": fitted.mean(),
        "flat": regressor.predict(np.zeros((1, 256, 256, 3), dtype=np.uint8))[0],
        "seconds": round(seconds, 1),
        "threads": torch.get_num_threads(),
    }
    add_line(LOG, row)


def print_table(steps):
    """Print one line a variant."""
    columns = {
        "mae": "held-out MAE",
        "symmetries_mae": "over the symmetries",
        "bias": "bias",
        "spread": "spread of the error",
        "train_mae": "training MAE",
        "train_bias": "training bias",
        "flat": "objects on a black image",
        "seconds": "seconds",
    }
    print(f"| the recipe, but | draws | {' | '.join(columns.values())} |")
    print("|" + " --- |" * (2 + len(columns)))
    rows = read_lines(LOG)
    for name in VARIANTS:
        runs = [row for row in rows if row["name"] == name and row["steps"] == steps]
        if runs:
            cells = [with_spread([row[column] for row in runs]) for column in columns]
            print(f"| {name} | {len(runs)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
