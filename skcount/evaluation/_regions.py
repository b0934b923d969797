"""Counts in regions of images: of labels, masks, polygons and grids."""

from collections.abc import Mapping
from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import HasMethods, validate_params
from sklearn.utils.validation import check_is_fitted

from skcount._check import check_pair, side_map
from skcount.evaluation._cells import INDEPENDENT, block_scores, count_scale, iter_maps
from skcount.evaluation._intervals import ConformalCounter, conformal_factor, whole_numbers
from skcount.evaluation._table import Table
from skcount.images import check_images
from skcount.io import read_regions
from skcount.metrics import cell_of
from skcount.points import rasterize


@validate_params(
    {
        "estimator": [HasMethods(["predict"])],
        "X": "no_validation",
        "regions": "no_validation",
        "pixel_size": "no_validation",
        "coverage": "no_validation",
    },
    prefer_skip_nested_validation=True,
)
def count_regions(estimator, X, regions, *, pixel_size=None, coverage=None):
    """Count the objects in each region of each image.

    Parameters
    ----------
    estimator : regressor, or ConformalCounter
        A fitted regressor with `predict_density`; for intervals, a fitted `ConformalCounter` of one, with ``cv=None`` or
        "prefit".
    X : sequence of images
        Images.
    regions : (int, int), array, sequence of arrays, dict, sequence of dicts, str or path-like
        - Two numbers: a grid of so many rows and columns.
        - Array of int, shape (height, width): the number of the region of each pixel, 0 is outside of all; or an array of
          bool, which is one region. One for all images, or a sequence with one per image.
        - Dict of names to polygons, arrays (n_corners, 2) of (row, col) in pixels; a pixel belongs to a polygon if its
          centre does. One dict for all images, or a sequence with one per image.
        - A file with polygons: GeoJSON, or ImageJ's .roi or .zip (`skcount.io.read_regions`).
    pixel_size : float, (float, float) or None, default=None
        Height and width of a pixel in the unit of length, > 0. If None, areas are in pixels.
    coverage : float or None, default=None
        How often the intervals hold, in (0, 1). None: no intervals.

    Returns
    -------
    Table
        A row per region of each image: `image`, `region`, `count`, `area`, `density` (objects per unit of area), and
        `low` and `high` if there is a coverage. If the regions are a partition of an image, their counts add up to the
        count of the image.

    Raises
    ------
    ValueError
        If regions do not fit the images, or the estimator cannot give intervals.

    Notes
    -----
    If the errors in parts of a calibration image are independent (``estimator.within_correlation_`` within 0.05 of 0), an
    interval follows from the errors of whole images, as these grow like the square root of the count. If they are not, it
    follows from the errors in regions of about the same share of the area, one drawn from each calibration image.

    Examples
    --------
    >>> from skcount import DensityMapRegressor
    >>> from skcount.datasets import make_cells
    >>> from skcount.evaluation import count_regions
    >>> X, points = make_cells(n_samples=4, image_shape=(64, 64), random_state=0, return_X_y=True)
    >>> regressor = DensityMapRegressor(max_epochs=1, random_state=0).fit(X, points)
    >>> table = count_regions(regressor, X[:2], (2, 2))
    >>> table["region"].tolist()
    [1, 2, 3, 4, 1, 2, 3, 4]
    >>> bool(abs(table["count"][:4].sum() - regressor.predict(X[:1])[0]) < 1e-4)
    True
    """
    images = check_images(X)
    regressors = _check_estimator(estimator, coverage)
    pixel_area = 1.0 if pixel_size is None else float(np.prod(_check_pixel_size(pixel_size)))
    find = _check_regions(regions, images)
    columns = {name: [] for name in ("image", "region", "count", "area", "share")}
    for index, maps in enumerate(zip(*(iter_maps(each, X) for each in regressors), strict=True)):
        names, counts, areas = find(index, np.mean(maps, axis=0, dtype=np.float64))
        columns["image"] += [index] * len(names)
        columns["region"] += names
        columns["count"] += counts
        columns["area"] += [area * pixel_area for area in areas]
        columns["share"] += [area / np.prod(images.sizes[index]) for area in areas]
    shares = np.array(columns.pop("share"), dtype=np.float64)
    counts, areas = (np.array(columns[name], dtype=np.float64) for name in ("count", "area"))
    columns |= {"count": counts, "area": areas}
    columns["density"] = np.divide(counts, areas, out=np.full(len(areas), np.nan), where=areas > 0)
    if coverage is not None:
        columns["low"], columns["high"] = _intervals(estimator, counts, shares, coverage).T
    order = ("image", "region", "count", "low", "high", "area", "density")
    return Table({name: columns[name] for name in order if name in columns})


def _check_estimator(estimator, coverage):
    """Return the regressors whose mean map is counted."""
    is_conformal = isinstance(estimator, ConformalCounter)
    if is_conformal:
        check_is_fitted(estimator)
    if coverage is not None and not is_conformal:
        raise ValueError(
            'Intervals need calibration images: pass ConformalCounter(regressor, cv="prefit").fit(X, y), or coverage=None.'
        )
    if coverage is not None:
        estimator.expected_coverage(coverage)  # rejects too few images
        if len(estimator.regressors_) > 1 or estimator.categories_ is not None:
            raise ValueError(
                'Intervals of regions need a ConformalCounter with cv=None or "prefit" and without categories.'
            )
        if estimator._cells is None:
            raise ValueError(
                "Intervals of regions need points or density maps as `y` of ConformalCounter.fit; it had counts."
            )
    regressors = estimator.regressors_ if is_conformal else [estimator]
    if not hasattr(regressors[0], "predict_density"):
        raise ValueError(
            f"`estimator` must predict density maps; {type(regressors[0]).__name__} has no predict_density."
        )
    return regressors


def _check_pixel_size(pixel_size):
    """Return the height and the width of a pixel."""
    size = np.asarray(pixel_size, dtype=np.float64)
    if size.shape not in {(), (2,)} or not np.isfinite(size).all() or size.min() <= 0:
        raise ValueError(f"`pixel_size` must be positive, one number or (height, width); got {pixel_size!r}.")
    return np.broadcast_to(size, 2)


def _intervals(counter, counts, shares, coverage):
    """Return whole numbers (n_regions, 2)."""
    scale = count_scale(counts)
    if abs(counter.within_correlation_) <= INDEPENDENT:
        predicted, true = (cells.sum(axis=(1, 2)) for cells in counter._cells)
        half = conformal_factor((true - predicted) / count_scale(predicted), coverage) * scale
    else:
        sides, which = np.unique(np.round(np.sqrt(shares), 1), return_inverse=True)
        factors = [conformal_factor(block_scores(*counter._cells, side**2, 0), coverage)[0] for side in sides]
        half = np.array(factors)[which] * scale
    return whole_numbers(counts - half, counts + half, counts)


def _check_regions(regions, images):
    """Return a function of an image's index and map that returns names, counts and areas in pixels of its regions."""
    if (
        isinstance(regions, tuple)
        and len(regions) == 2
        and all(isinstance(side, Integral) for side in regions)
    ):
        rows, cols = check_pair(regions, "regions")
        return lambda _, density: _of_labels(_grid(density.shape, rows, cols), density)
    if isinstance(regions, str) or hasattr(regions, "__fspath__"):
        regions = read_regions(regions)
    each = [regions] * len(images) if isinstance(regions, Mapping) else regions
    if not isinstance(each, np.ndarray) and len(each) and isinstance(each[0], Mapping):
        if len(each) != len(images):
            raise ValueError(f"`regions` must have one dict per image, {len(images)}; got {len(each)}.")
        each = [{name: _check_polygon(name, rings) for name, rings in named.items()} for named in each]
        return lambda index, density: _of_polygons(each[index], density)
    if isinstance(regions, np.ndarray) and regions.ndim == 2:
        each = [regions] * len(images)
    if len(each) != len(images):
        raise ValueError(f"`regions` must have one array per image, {len(images)}; got {len(each)}.")
    arrays = [
        _check_labels(np.asarray(labels), index, images.sizes[index]) for index, labels in enumerate(each)
    ]
    return lambda index, density: _of_labels(side_map(arrays, index), density)


def _check_labels(labels, index, size):
    """Return a label image of an image's size."""
    if labels.dtype.kind not in "iub" or labels.shape != tuple(size):
        raise ValueError(
            f"`regions` of image {index} must be whole numbers or bool, of shape {tuple(map(int, size))}; got "
            f"{labels.dtype} of shape {labels.shape}."
        )
    if labels.min(initial=0) < 0:
        raise ValueError(f"`regions` of image {index} must not be negative; 0 is outside.")
    return labels


def _check_polygon(name, rings):
    """Return the rings of a polygon: itself, and its holes if there are any."""
    rings = [rings] if not len(rings) or np.ndim(rings[0]) < 2 else rings
    rings = [np.asarray(ring, dtype=np.float64) for ring in rings]
    if any(
        ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3 or not np.isfinite(ring).all() for ring in rings
    ):
        raise ValueError(f"The polygon {name!r} must have at least three finite corners (row, col).")
    return rings


def _grid(shape, rows, cols):
    """Return the number of the cell of each pixel, from 1, row by row."""
    row, col = (cell_of(np.arange(side), side, n) for side, n in zip(shape, (rows, cols), strict=True))
    return 1 + row[:, None] * cols + col


def _of_labels(labels, density):
    """Return the names, counts and areas of the regions of a label image, without 0."""
    names, numbers = np.unique(labels, return_inverse=True)
    numbers = numbers.ravel()
    counts = np.bincount(numbers, weights=density.ravel().astype(np.float64), minlength=len(names))
    areas = np.bincount(numbers, minlength=len(names))
    inside = names != 0
    return names[inside].astype(int).tolist(), counts[inside].tolist(), areas[inside].tolist()


def _of_polygons(named, density):
    """Return the names, counts and areas of polygons."""
    counts, areas = [], []
    for rings in named.values():
        mask, top, left = rasterize(rings, density.shape)
        part = density[top : top + mask.shape[0], left : left + mask.shape[1]]
        counts.append(float(part.sum(dtype=np.float64, where=mask)))
        areas.append(int(mask.sum()))
    return list(named), counts, areas
