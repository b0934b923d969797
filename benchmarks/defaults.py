"""How the defaults were chosen: candidates trained on 64 of VGG's images 1-100, compared on the other 36.

``python benchmarks/defaults.py`` prints one row of a Markdown table for each candidate. Images 101-200, the test images
of the "LZ" protocol, are not read. Needs the data: ``SKCOUNT_DATA`` names the folder that holds vgg_cells.zip.
"""

import argparse
import json
from time import perf_counter

import numpy as np
from sklearn.dummy import DummyRegressor

from skcount import DensityMapRegressor
from skcount.datasets import fetch_vgg_cells
from skcount.metrics import count_bias, count_mean_absolute_error, count_root_mean_squared_error

CANDIDATES = [
    {"architecture": "unet", "architecture_params": {"filters": 16}},
    {"architecture": "unet", "architecture_params": {"filters": 24}},
    {"architecture": "unet", "architecture_params": {"filters": 32}},
    {"architecture": "fcrn_a"},
]


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--candidate", type=json.loads, action="append", help="parameters as JSON; may be repeated"
    )
    parser.add_argument("--seeds", type=int, default=1, help="draws of the training images")
    options = parser.parse_args()

    X, points = fetch_vgg_cells(return_X_y=True)
    print("| settings | seed | MAE | RMSE | bias | MAE on the training images | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for seed in range(options.seeds):
        order = np.random.RandomState(1000 + seed).permutation(100)
        train, held_out = order[:64], order[64:]
        blind = DummyRegressor().fit(X[train], points[train])
        print_row("mean training count", seed, blind, X, points, train, held_out, 0.0)
        for params in options.candidate or CANDIDATES:
            regressor = DensityMapRegressor(sigma=3, random_state=seed).set_params(**params)
            start = perf_counter()
            regressor.fit(X[train], points[train])
            print_row(json.dumps(params), seed, regressor, X, points, train, held_out, perf_counter() - start)


def print_row(name, seed, regressor, X, points, train, held_out, seconds):
    """Print one row of the table."""
    counts = regressor.predict(X[held_out])
    measures = (count_mean_absolute_error, count_root_mean_squared_error, count_bias)
    mae, rmse, bias = (measure(points[held_out], counts) for measure in measures)
    fitted = count_mean_absolute_error(points[train], regressor.predict(X[train]))
    print(
        f"| {name} | {seed} | {mae:.2f} | {rmse:.2f} | {bias:+.2f} | {fitted:.2f} | {seconds:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
