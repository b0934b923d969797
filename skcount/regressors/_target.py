"""What y may be: points, counts or density maps, told apart without guessing."""

from contextlib import suppress

import numpy as np
from sklearn.utils.validation import column_or_1d

from skcount._check import as_array, check_length, entry_ndim, is_list_like, is_map, without_index
from skcount.density._transformer import check_maps
from skcount.points import PointAnnotations, check_points, is_inside
from skcount.training import CountTarget, MapTarget, PointTarget

# Annotators click beside the image now and then, but not with one point in ten.
_MANY_OUTSIDE = 0.1


def check_target(y, images, density):
    """Tell what `y` is and check it against the images.

    Parameters
    ----------
    y : object
        Points, counts or density maps of n_images images.
    images : Images
        The images, with what belongs to them.
    density : DensityMapTransformer
        Makes maps of points.

    Returns
    -------
    PointTarget, CountTarget or MapTarget
        What to learn.

    Raises
    ------
    ValueError
        If `y` is none of the three, has another length than the images, or has invalid values.
    """
    shapes = images.shapes
    kind, y = _classify(without_index(y), shapes)
    check_length(len(shapes), len(y))
    if kind == "counts":
        return CountTarget(_check_counts(y), images)
    if kind == "maps":
        return MapTarget(check_maps(y, shapes), images)
    points = check_points(y)
    check_not_swapped(points, shapes)
    return PointTarget(points, images, density)


def is_ragged(y):
    """Whether `y` can only belong to images: arrays of points, or maps.

    Parameters
    ----------
    y : object
        What the user passed as target.

    Returns
    -------
    bool
        False for numbers in one or two dimensions, and for None.
    """
    y = without_index(y)
    if is_list_like(y):
        return any(entry_ndim(entry) for entry in y)
    return isinstance(y, PointAnnotations) or np.asarray(y).ndim > 2


def check_not_swapped(points, shapes):
    """Refuse points that lie in their images only with rows and columns swapped.

    Parameters
    ----------
    points : PointAnnotations
        Points of each image as (row, col) in pixels.
    shapes : list of (height, width)
        Size of each image, in pixels.

    Raises
    ------
    ValueError
        If a tenth of the points or more are outside, and none would be with the columns exchanged.
    """
    outside = ~is_inside(points, shapes)
    if not outside.any() or outside.mean() < _MANY_OUTSIDE:
        return
    swapped = PointAnnotations.from_flat(points.coordinates[:, ::-1], points.lengths)
    if not is_inside(swapped, shapes).all():
        return
    first = int(np.flatnonzero(outside)[0])
    image = int(np.searchsorted(np.cumsum(points.lengths), first, side="right"))
    raise ValueError(
        f"{outside.sum()} of {len(outside)} points are outside their image (the first: {points.coordinates[first].tolist()} "
        f"in image {image} of height {shapes[image][0]} and width {shapes[image][1]}), and all would be inside with rows "
        "and columns swapped. Points are (row, col): read (x, y) points with PointAnnotations.from_xy."
    )


def _classify(y, shapes):
    """Return "points", "counts" or "maps", and y in a form that has a length."""
    if isinstance(y, PointAnnotations):
        return "points", y
    if y is None:
        raise ValueError(
            "This regressor requires y to be passed, but the target y is None; expected points, counts or density maps."
        )
    if is_list_like(y):
        return _classify_sequence(y, shapes)
    if hasattr(y, "__array__"):
        return _classify_array(as_array(y, "y", "points, counts or density maps"), y, shapes)
    raise _neither(f"a {type(y).__name__}")


def _classify_array(array, y, shapes):
    if array.dtype.kind not in "buif":
        raise _neither(f"an array of dtype {array.dtype}")
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1):
        return "counts", column_or_1d(y, warn=True)
    if array.ndim == 3:
        if len(set(shapes)) == 1 and array.shape == (len(shapes), *shapes[0]):
            return "maps", array
        if array.shape[2] == 2:
            return "points", array
    height, width = shapes[0]
    raise _neither(
        f"an array of shape {array.shape} for {len(shapes)} images, the first of {height} x {width} pixels"
    )


def _classify_sequence(y, shapes):
    y = list(y)
    numbers = [index for index, entry in enumerate(y) if entry_ndim(entry) == 0]
    wrong = [index for index in numbers if isinstance(y[index], str | bytes | dict) or y[index] is None]
    if wrong:
        raise _neither(f"a sequence whose entry {wrong[0]} is a {type(y[wrong[0]]).__name__}")
    if y and len(numbers) == len(y):
        return _classify_array(np.asarray(y), np.asarray(y), shapes)
    if numbers:
        raise _neither(f"a sequence of arrays, but entry {numbers[0]} is a {type(y[numbers[0]]).__name__}")
    if len(y) == len(shapes) and any(map(_is_map_array, y)) and all(map(_fits, y, shapes)):
        return "maps", y
    return "points", y


def _is_map_array(entry):
    """Whether an entry is a map; a nested list is rather an attempt at points."""
    return isinstance(entry, np.ndarray) and is_map(entry)


def _fits(entry, shape):
    if _is_map_array(entry):
        return True
    with suppress(ValueError):  # nested lists of different lengths
        return np.shape(entry) == tuple(shape)
    return False


def _neither(what):
    return ValueError(
        f"y is {what}, which is neither points nor counts nor density maps. Expected a list of (n_points, 2) arrays, one an "
        "image (those of a single image as [points]), a 1-D array of counts, or an array (n_images, height, width) of "
        "densities."
    )


def _check_counts(y):
    counts = np.asarray(y, dtype=np.float64)
    for bad, what in (
        (np.isnan(counts), "NaN"),
        (np.isinf(counts), "infinity or a value too large for dtype('float64')"),
        (counts < 0, "negative values"),
    ):
        if bad.any():
            index = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"Input y contains {what}. Expected counts, finite and at least 0; image {index} has {counts[index]}."
            )
    return counts
