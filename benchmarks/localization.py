"""Points of `predict_points` against local maxima of the smoothed map: F1 on VGG's images 101 to 200.

``python benchmarks/localization.py`` uses the regressor of benchmarks/intervals.py, which was fitted on 64 of the first
hundred images. Smoothing, window and threshold of the maxima are the best ones on these 64.
"""

from itertools import product

import numpy as np
from intervals import vgg_regressor
from scipy.ndimage import gaussian_filter, maximum_filter

from skcount import PointAnnotations
from skcount.datasets import fetch_vgg_cells
from skcount.evaluation import localization_report

RADII = (2, 3, 4, 6)
SMOOTHINGS, WINDOWS, THRESHOLDS = (
    (0, 0.5, 1, 1.5, 2, 3),
    (3, 5, 7, 9),
    (0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8),
)


def main():
    """Run the benchmark."""
    cells = fetch_vgg_cells()
    regressor = vgg_regressor(cells)
    train, test = np.sort(np.random.default_rng(0).permutation(100)[:64]), np.arange(100, 200)
    maps = regressor.predict_density(cells.images[train])
    unit = np.quantile(maps[maps > maps.max() / 100], 0.99)

    def score(smoothing, window, threshold):
        found = maxima(maps, smoothing, window, threshold * unit)
        return localization_report(cells.points[train], found, [4])["f1"][0]

    best = max(product(SMOOTHINGS, WINDOWS, THRESHOLDS), key=lambda values: score(*values))
    print(
        f"local maxima of the map: smoothing {best[0]}, window {best[1]}, threshold {best[2]} of the height of an object"
    )
    maps = regressor.predict_density(cells.images[test])
    print(localization_report(cells.points[test], maxima(maps, best[0], best[1], best[2] * unit), RADII))
    points = regressor.predict_points(cells.images[test])
    print("predict_points")
    print(localization_report(cells.points[test], points, RADII))
    counts = regressor.predict(cells.images[test])
    print(f"as many points as the rounded count: {np.array_equal(points.counts, np.round(counts))}")


def maxima(maps, smoothing, window, threshold):
    """Return the local maxima of smoothed maps."""
    found = []
    for density in maps:
        smooth = gaussian_filter(density, smoothing) if smoothing else density
        found.append(np.argwhere((smooth == maximum_filter(smooth, window)) & (smooth > threshold)))
    return PointAnnotations(found)


if __name__ == "__main__":
    main()
