"""How many of the predicted points lie on objects, and how many objects have a point."""

from numbers import Real

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from sklearn.utils._param_validation import Interval, validate_params

from skcount.evaluation._table import Table
from skcount.points import check_points


@validate_params(
    {
        "y_true": "no_validation",
        "y_pred": "no_validation",
        "radii": [Interval(Real, 0, None, closed="neither"), "array-like"],
    },
    prefer_skip_nested_validation=True,
)
def localization_report(y_true, y_pred, radii=(2.0, 4.0, 8.0)):
    """Match predicted points with true ones, and return precision, recall and F1 at each radius.

    A predicted point counts as right if it is matched with a true point that is at most `radius` away; each point is matched
    at most once. Of all matchings, one with the most pairs is taken, and of these one with the smallest sum of distances.

    Parameters
    ----------
    y_true, y_pred : PointAnnotations, or sequence of array-like of shape (n_points, 2)
        True and predicted points of each image, (row, col) in pixels: `predict_points` returns such.
    radii : float, or array-like of float, default=(2.0, 4.0, 8.0)
        Largest distances of a match, in pixels, > 0. Half of the diameter of an object is a common choice.

    Returns
    -------
    Table
        A row per radius: `radius`, `n_true`, `n_predicted`, `n_matched`, `precision`, `recall`, `f1`, and
        `distance`, the mean distance of matched points in pixels. Rates without points are NaN.

    Raises
    ------
    ValueError
        If there are not as many images of predicted as of true points, or a radius is not positive.

    Examples
    --------
    >>> from skcount.evaluation import localization_report
    >>> true = [[(10, 10), (20, 20)], [(5, 5)]]
    >>> predicted = [[(11, 10), (12, 10)], [(5, 9)]]
    >>> print(localization_report(true, predicted, radii=(2, 4)))
    radius  n_true  n_predicted  n_matched  precision  recall      f1  distance
         2       3            3          1     0.3333  0.3333  0.3333         1
         4       3            3          2     0.6667  0.6667  0.6667       2.5
    """
    true = check_points(y_true)
    predicted = check_points(y_pred, len(true))
    radii = np.atleast_1d(np.asarray(radii, dtype=np.float64))
    if radii.ndim != 1 or not len(radii) or not np.isfinite(radii).all() or radii.min() <= 0:
        raise ValueError("`radii` must be positive numbers.")
    n_true, n_predicted = true.counts.sum(), predicted.counts.sum()
    rows = []
    for radius in radii.tolist():
        distances = np.concatenate(
            [np.empty(0), *(match_points(*pair, radius)[2] for pair in zip(true, predicted, strict=True))]
        )
        n = len(distances)
        precision, recall = (n / total if total else np.nan for total in (n_predicted, n_true))
        f1 = 2 * n / (n_true + n_predicted) if n_true + n_predicted else np.nan
        rows.append(
            (
                radius,
                int(n_true),
                int(n_predicted),
                n,
                precision,
                recall,
                f1,
                distances.mean() if n else np.nan,
            )
        )
    names = ("radius", "n_true", "n_predicted", "n_matched", "precision", "recall", "f1", "distance")
    return Table(dict(zip(names, zip(*rows, strict=True), strict=True)))


def match_points(true, predicted, radius):
    """Return the indices of matched true and predicted points of one image, and their distances."""
    if not len(true) or not len(predicted):
        return np.empty(0, int), np.empty(0, int), np.empty(0)
    pairs = cKDTree(true).sparse_distance_matrix(cKDTree(predicted), radius, output_type="coo_matrix")
    rows, cols, distances = pairs.row, pairs.col, pairs.data
    n_true, n_points = len(true), len(true) + len(predicted)
    graph = coo_array((np.ones(len(rows)), (rows, cols + n_true)), shape=(n_points, n_points))
    _, part = connected_components(graph, directed=False)
    order = np.argsort(part[rows], kind="stable")
    found = [], [], []
    for group in np.split(order, np.flatnonzero(np.diff(part[rows][order])) + 1):
        mine, row = np.unique(rows[group], return_inverse=True)
        theirs, col = np.unique(cols[group], return_inverse=True)
        # A pair that is too far costs more than all others together, so that there are as many matches as possible.
        cost = np.full((len(mine), len(theirs)), (min(len(mine), len(theirs)) + 1) * radius + 1)
        cost[row, col] = distances[group]
        i, j = linear_sum_assignment(cost)
        near = cost[i, j] <= radius
        for values, more in zip(found, (mine[i[near]], theirs[j[near]], cost[i, j][near]), strict=True):
            values.append(more)
    return tuple(np.concatenate(values) if values else np.empty(0) for values in found)
