"""Count simulated cells, as run by `make demo`: train, print the error next to baselines, and save a figure."""

import argparse
from pathlib import Path
from time import perf_counter

import matplotlib as mpl
import numpy as np
from sklearn.dummy import DummyRegressor

from skcount import DensityMapRegressor
from skcount.datasets import make_cells
from skcount.metrics import count_mean_absolute_error

mpl.use("agg")  # the figure is saved to a file


def main():
    """Run the demo from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("skcount-demo.png"), help="file name of the figure")
    parser.add_argument(
        "--max-epochs",
        type=int,
        default=10,
        help="number of epochs; 10 take less than half a minute on two cores",
    )
    options = parser.parse_args()

    X, points = make_cells(n_samples=100, image_shape=(128, 128), random_state=0, return_X_y=True)
    X_train, X_test, points_train, points_test = X[:80], X[80:], points[:80], points[80:]

    print(
        f"Training a U-Net on {len(X_train)} simulated images with {points_train.counts.mean():.0f} cells each ..."
    )
    regressor = DensityMapRegressor(max_epochs=options.max_epochs, random_state=0, verbose=1)
    start = perf_counter()
    regressor.fit(X_train, points_train)
    print(f"... took {perf_counter() - start:.0f} s.\n")

    print(f"Mean absolute error of the counts on {len(X_test)} test images (cells per image):")
    report("U-Net, trained on points", points_test, regressor.predict(X_test))
    for strategy in ("mean", "median"):
        baseline = DummyRegressor(strategy=strategy).fit(X_train, points_train)
        report(f"{strategy} training count, ignores the images", points_test, baseline.predict(X_test))

    draw(regressor, X_test, points_test, options.out)
    print(f"\nSaved {options.out}: a density map, and true against predicted counts.")


def report(name, points, counts):
    """Print one line of the table."""
    print(f"  {name:45} {count_mean_absolute_error(points, counts):6.2f}")


def draw(regressor, X, points, path):
    """Save a figure of a test image with its dots, its density map, and true against predicted counts."""
    import matplotlib.pyplot as plt

    from skcount.plotting import CountErrorDisplay, DensityMapDisplay

    typical = int(np.argsort(points.counts)[len(X) // 2])
    image, dots = X[typical], points[typical]
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.6), layout="compressed")
    axes[0].imshow(image)
    axes[0].plot(dots[:, 1], dots[:, 0], "+", color="white", markersize=7)
    axes[0].set_axis_off()
    axes[0].set_title(f"test image, {len(dots)} dots")
    DensityMapDisplay.from_estimator(regressor, image, ax=axes[1])
    axes[1].set_title(f"predicted density map: {axes[1].get_title()}")
    CountErrorDisplay.from_estimator(regressor, X, points, ax=axes[2])
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
