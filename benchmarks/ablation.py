"""Measure what each element of the training recipe is worth: train without it, and compare on held-out training images.

``python benchmarks/ablation.py --draws 2`` trains on 64 of VGG's images 1-100 and compares on the other 36. Images 101-200
are not read. Each run adds one line to benchmarks/ablation.jsonl; the same command continues a stopped run, and prints a
Markdown table at the end. ``--steps`` makes all trainings shorter, ``--only NAME`` runs one line of the table, and
``--table`` only prints it.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

import numpy as np
import torch
from accuracy import (
    SETTINGS,
    add_line,
    has_symmetries,
    is_logged,
    load,
    mean_and_std,
    print_table,
    read_lines,
)
from skorch.callbacks import Callback

from skcount import DensityMapRegressor
from skcount.images import channel_statistics
from skcount.regressors import _fitting

LOG = Path(__file__).with_name("ablation.jsonl")
# Where elements are that have no parameter, and are patched.
FITTING, DATA = "skcount.regressors._fitting", "skcount.regressors._training_data"
WINDOWS = "skcount.training._windows"
NET, TRAIN = "skcount.training._net", "skcount.training._train"
N_TRAIN = 64


def nothing(*args, **kwargs):
    """Replace an element that is left out."""


def not_standardised(*args):
    """Leave the pixels as they are, in [0, 1]."""
    channels = channel_statistics(*args)
    return channels._replace(mean=0 * channels.mean, std=0 * channels.std + 1)


class AverageWeights(Callback):
    """End with the mean of the weights over all steps of the last fifth of the epochs."""

    def on_train_begin(self, _net, **_):
        """Begin without weights."""
        self.mean, self.n_steps = None, 0

    def on_batch_end(self, net, training, **_):
        """Add the weights to the mean in the last fifth of the epochs."""
        if training and len(net.history) > 0.8 * net.max_epochs:
            weights = [p.detach().double() for p in net.module_.parameters()]
            self.n_steps += 1
            self.mean = self.mean or weights
            self.mean = [m + (w - m) / self.n_steps for m, w in zip(self.mean, weights, strict=True)]

    @torch.no_grad()
    def on_train_end(self, net, **_):
        """Give the network the mean weights."""
        for parameter, mean in zip(net.module_.parameters(), self.mean, strict=True):
            parameter.copy_(mean)


# Parameters that differ from the recipe's ("steps" is relative to it), and what is patched. The names are those in the log.
VARIANTS = {
    "the recipe": ({}, {}),
    "only flips and turns": ({"augment": "rotations"}, {}),
    "no changes of size": ({"augment": "rotations+jitter"}, {}),
    "no augmentation": ({"augment": None}, {}),
    "the former network": ({"architecture_params": {"filters": 16, "depth": 3, "stem": 1}}, {}),
    "one pooling more, 18 filters": ({"architecture_params": {"filters": 18, "depth": 3}}, {}),
    "whole images instead of crops": ({"patch_size": 256, "batch_size": 2}, {}),
    "cut edges count in the loss": ({}, {f"{WINDOWS}.MARGIN": 0}),
    "squared error of pixels alone": ({"loss": "mse"}, {}),
    "squared error of pixels and of the crop": ({"loss": "mse_count"}, {}),
    "constant learning rate": ({}, {f"{NET}.one_cycle": lambda _: 1.0}),
    "statistics never frozen": ({}, {f"{TRAIN}.FREEZE_AFTER": 2.0}),
    "no normalisation": ({"architecture_params": {"normalization": None}}, {}),
    "no last scale": ({}, {f"{TRAIN}._rescale": lambda _: (1.0, 1.0)}),
    "no penalty on flat images": ({}, {f"{FITTING}.BlankPenalty": nothing}),
    "pixels not standardised": ({}, {f"{DATA}.channel_statistics": not_standardised}),
    "32 filters at every depth": ({"architecture_params": {"filters": 32, "growth": 1}}, {}),
    "weights averaged over the last fifth": ({"callbacks": [("average", AverageWeights())]}, {}),
    "mixed precision": ({"precision": "bf16-mixed"}, {}),
    "half as many steps": ({"steps": 0.5}, {}),
    "twice as many steps": ({"steps": 2}, {}),
}


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1, help="number of training sets, each with its seed")
    parser.add_argument("--first-draw", type=int, default=0, help="seed of the first draw")
    parser.add_argument(
        "--steps",
        type=int,
        default=_fitting.AUTO_STEPS,
        help="steps of the recipe that all are compared with",
    )
    parser.add_argument(
        "--only", action="append", choices=VARIANTS, metavar="NAME", help="run only this variant"
    )
    parser.add_argument("--table", action="store_true", help="print the table, and train nothing")
    options = parser.parse_args()
    if not options.table:
        for draw in range(options.first_draw, options.first_draw + options.draws):
            for name in options.only or VARIANTS:
                run(name, draw, options.steps)
    print_runs(options.steps)


def run(name, draw, steps):
    """Train and compare once, unless the log has this run."""
    key = {"name": name, "draw": draw, "steps": steps}
    if is_logged(read_lines(LOG), key, key):
        return
    split = {"data": "vgg", "protocol": "lz", "n_train": N_TRAIN, "allow_missing": False, "held_out": True}
    X, points, train, test, _ = load({**split, "scale": 1, "draw": draw})
    params, replaced = map(dict, VARIANTS[name])
    replaced[f"{FITTING}.AUTO_STEPS"] = int(params.pop("steps", 1) * steps)
    regressor = DensityMapRegressor(random_state=draw).set_params(**SETTINGS["vgg"], **params)
    start = perf_counter()
    with ExitStack() as stack:
        for target, value in replaced.items():
            stack.enter_context(patch(target, value))
        regressor.fit(X[train], points[train])
    seconds = perf_counter() - start
    errors = regressor.predict(X[test]) - points[test].counts
    averaged = regressor.predict(X[test], test_time_augmentation=has_symmetries(regressor))
    fitted = regressor.predict(X[train]) - points[train].counts
    row = {
        **key,
        "n_images": [len(train), len(test)],
        "mae": np.abs(errors).mean(),
        "bias": errors.mean(),
        "spread": errors.std(),
        "symmetries_mae": np.abs(averaged - points[test].counts).mean(),
        "train_mae": np.abs(fitted).mean(),
        "train_bias": fitted.mean(),
        "flat": regressor.predict(np.zeros((1, 256, 256, 3), dtype=np.uint8))[0],
        "seconds": round(seconds, 1),
        "threads": torch.get_num_threads(),
    }
    add_line(LOG, row)


def print_runs(steps):
    """Print one line for the draws of each variant."""
    columns = {
        "held-out MAE": "mae",
        "averaged over symmetries": "symmetries_mae",
        "bias": "bias",
        "std of the error over images": "spread",
        "training MAE": "train_mae",
        "training bias": "train_bias",
        "objects on a black image": "flat",
    }
    rows, lines = [row for row in read_lines(LOG) if row["steps"] == steps], []
    for name in VARIANTS:
        runs = [row for row in rows if row["name"] == name]
        if runs:
            lines.append({"change to the recipe": name, "draws": str(len(runs))})
            for column, key in columns.items():
                lines[-1] |= mean_and_std(column, [row[key] for row in runs])
    print_table(lines)


if __name__ == "__main__":
    main()
