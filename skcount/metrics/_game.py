"""Grid average mean absolute error: counts compared part by part."""

from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import validate_params

from skcount._check import as_array, check_length, entry_ndim, is_map
from skcount.metrics._counts import check_counts, weighted_mean
from skcount.points import PointAnnotations, check_points


@validate_params(
    {
        "y_true": "no_validation",
        "y_pred": "no_validation",
        "level": [Integral],
        "image_shape": "no_validation",
        "sample_weight": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def grid_average_mean_absolute_error(y_true, y_pred, level=0, *, image_shape=None, sample_weight=None):
    """Grid average mean absolute error, GAME(L).

    Each image is cut into 4 ** L equal cells, and the absolute errors of the cells are added: an object counted
    in the wrong place is an error. GAME(0) is the mean absolute error of the counts. A point outside its image is
    counted in the nearest cell.

    Parameters
    ----------
    y_true, y_pred : density maps or points of n_images images
        Density maps: an array of shape (n_images, height, width), or a list of maps, in objects per pixel. Points:
        `PointAnnotations`, or a list of arrays of shape (n_points, 2), (row, col) in pixels. At level 0 also counts
        of shape (n_images,).
    level : int, default=0
        L: the image is cut 2 ** L times along each axis, >= 0.
    image_shape : (height, width), list of (height, width), or None, default=None
        Size of the images in pixels; needed where neither argument is density maps.
    sample_weight : array-like of shape (n_images,) or None, default=None
        Weight of each image.

    Returns
    -------
    float
        In objects an image, >= 0; 0 is perfect. Never smaller at a higher level.

    Raises
    ------
    ValueError
        If an argument is invalid, the lengths differ, or the size of the images is not known.

    References
    ----------
    R. Guerrero-Gomez-Olmedo et al., "Extremely overlapping vehicle counting", IbPRIA 2015.

    Examples
    --------
    >>> true, predicted = [[(1, 1), (1, 2)]], [[(1, 1), (7, 7)]]
    >>> [grid_average_mean_absolute_error(true, predicted, level, image_shape=(8, 8)) for level in (0, 1)]
    [0.0, 2.0]
    """
    if isinstance(level, bool) or not isinstance(level, Integral) or level < 0:
        raise ValueError(f"level is {level!r}; expected a whole number of at least 0.")
    n_cells = 2 ** min(int(level), 62)
    both = [_as_places(y, name) for y, name in ((y_true, "y_true"), (y_pred, "y_pred"))]
    check_length(len(both[0]), len(both[1]), "y_pred", of="y_true")
    shapes = _image_shapes(both, image_shape, len(both[0]), n_cells)
    errors = []
    for index, (true, predicted, shape) in enumerate(zip(*both, shapes, strict=True)):
        difference = _cell_counts(predicted, shape, n_cells, index) - _cell_counts(
            true, shape, n_cells, index
        )
        errors.append(np.abs(difference).sum())
    return weighted_mean(np.array(errors), sample_weight)


def _as_places(y, name):
    """Points, maps, or counts as a sequence with one entry an image."""
    if isinstance(y, PointAnnotations):
        return y
    if isinstance(y, str | bytes | dict) or not np.iterable(y):
        raise ValueError(
            f"{name} is a {type(y).__name__}; expected points or density maps, one array an image."
        )
    entries = list(y)
    if not entries:
        raise ValueError(f"{name} is empty; expected points or density maps of at least one image.")
    if all(map(is_map, entries)):
        return [_check_map(entry, f"Density map {index} of {name}") for index, entry in enumerate(entries)]
    if not any(map(entry_ndim, entries)):
        return [np.asarray(count) for count in check_counts(entries, name)]
    return check_points(y)


def _check_map(density, owner):
    density = as_array(density, owner, "(height, width)")
    if density.dtype.kind not in "buif":
        raise ValueError(f"{owner} has dtype {density.dtype}; expected real numbers, objects per pixel.")
    if not np.isfinite(density).all():
        raise ValueError(f"{owner} holds NaN or infinity; expected finite objects per pixel.")
    return density.astype(np.float64)


def _image_shapes(both, image_shape, n_images, n_cells):
    """The size of each image: as given, or that of its map."""
    if image_shape is not None:
        given = as_array(image_shape, "image_shape", "(height, width), or one such pair for each image")
        if given.shape not in {(2,), (n_images, 2)} or given.dtype.kind not in "iu" or (given < 1).any():
            raise ValueError(
                f"image_shape is {image_shape!r}; expected (height, width) in whole pixels, or one such pair for each of "
                f"the {n_images} images."
            )
        return [tuple(s) for s in np.broadcast_to(given, (n_images, 2)).tolist()]
    shapes = [next((e.shape for e in pair if is_map(e)), None) for pair in zip(*both, strict=True)]
    if None in shapes and n_cells > 1:
        raise ValueError(
            "The size of the images is not known from points alone; pass image_shape=(height, width)."
        )
    return shapes


def _cell_counts(places, shape, n_cells, index):
    """Count the objects in each cell of a grid: (n_rows, n_cols). A pixel belongs to the cell of its centre."""
    if n_cells == 1:
        return np.array([[places.sum() if places.ndim == 0 or is_map(places) else float(len(places))]])
    if places.ndim == 0:
        raise ValueError("Counts have no place: GAME of level 1 and more needs points or density maps.")
    if is_map(places) and places.shape != tuple(shape):
        raise ValueError(
            f"The density map of image {index} has shape {places.shape}, the image {tuple(shape)}; expected the same size."
        )
    # Of cells smaller than a pixel, those that hold no centre of one are empty: no more than the pixels are needed.
    n_rows, n_cols = (min(n_cells, int(size)) for size in shape)
    counts = np.zeros((n_rows, n_cols))
    if is_map(places):
        rows, cols = (_cell_of(np.arange(size), size, n) for size, n in zip(shape, counts.shape, strict=True))
        np.add.at(counts, (rows[:, None], cols[None, :]), places)
        return counts
    pixels = np.clip(np.floor(places + 0.5), 0, np.array(shape) - 1)
    np.add.at(counts, tuple(_cell_of(pixels[:, axis], shape[axis], counts.shape[axis]) for axis in (0, 1)), 1)
    return counts


def _cell_of(pixels, size, n_cells):
    return np.floor((pixels + 0.5) * n_cells / size).astype(np.intp)
