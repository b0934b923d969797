"""The counting report on UCSD's article split: the first 150 frames of each clip for training, the last 50 for the test.

``python benchmarks/report.py`` fits from the weights "objects" on the clips whose frames are in $SKCOUNT_DATA, prints the
report and writes local/report.html; then it prints the baselines on all ten clips, whose annotations are complete.
"""

import warnings
from pathlib import Path

import numpy as np
from sklearn.dummy import DummyRegressor

from skcount import DensityMapRegressor
from skcount.datasets import fetch_ucsd_pedestrians, ucsd_annotations
from skcount.evaluation import counting_report

PAGE = Path(__file__).parents[1] / "local" / "report.html"


def main():
    """Run the benchmark."""
    warnings.simplefilter("ignore")
    ucsd = fetch_ucsd_pedestrians()
    print(f"{len(ucsd.images)} frames of {len(np.unique(ucsd.groups))} clips")
    regressor = DensityMapRegressor(weights="objects", augment="mirror+jitter+scale", random_state=0)
    report = counting_report(
        regressor, ucsd.images, ucsd.points, cv=[article(ucsd.groups)], groups=ucsd.groups
    )
    print(report)
    report.to_html(PAGE)
    print("\nbaselines on all clips, without images")
    every = ucsd_annotations()
    table = np.zeros((len(every.points), 1))
    print(
        counting_report(
            DummyRegressor(), table, every.points, cv=[article(every.groups)], groups=every.groups
        )
    )


def article(groups):
    """Return the first 150 and the last 50 frames of each clip."""
    place = np.concatenate([np.arange(np.sum(groups == clip)) for clip in np.unique(groups)])
    return np.flatnonzero(place < 150), np.flatnonzero(place >= 150)


if __name__ == "__main__":
    main()
