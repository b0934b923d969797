"""Grid average mean absolute error: counts compared part by part."""

from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import validate_params

from skcount._check import check_length, check_sizes
from skcount.points import check_target, weighted_mean


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
    """Compute the grid average mean absolute error, GAME(L).

    Each image is cut into 4 ** L equal cells, and the absolute errors of the cells are added: an object counted
    in the wrong place is an error. GAME(0) is the mean absolute error of the counts. A point outside its image is
    counted in the nearest cell.

    Parameters
    ----------
    y_true, y_pred : density maps or points of n_images images
        Density maps: an array of shape (n_images, height, width), or a list of maps, in objects per pixel. Points:
        `PointAnnotations`, or a list of arrays of shape (n_points, 2), (row, col) in pixels. At level 0 also counts, of
        shape (n_images,) or (n_images, 1).
    level : int, default=0
        L: the image is cut 2 ** L times along each axis, >= 0.
    image_shape : (height, width), list of (height, width), or None, default=None
        Size of the images in pixels; needed if neither argument is density maps.
    sample_weight : array-like of shape (n_images,) or None, default=None
        Weight of each image.

    Returns
    -------
    float
        In objects per image, >= 0; 0 is perfect. Never smaller at a higher level.

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
    if isinstance(level, bool) or level < 0:
        raise ValueError(f"`level` must be a whole number, at least 0; got {level!r}.")
    true, predicted = check_target(y_true, "y_true"), check_target(y_pred, "y_pred", predicted=True)
    check_length(len(true), len(predicted), "y_pred", of="y_true")
    if level == 0:
        return weighted_mean(np.abs(predicted.counts - true.counts), sample_weight)
    for name, target in (("y_true", true), ("y_pred", predicted)):
        if target.kind == "counts":
            raise ValueError(
                f"`{name}` must be points or density maps for `level` {level}; counts have no positions."
            )
    n_cells = 2 ** min(int(level), 62)
    sizes = _image_sizes(true, predicted, image_shape)
    # Most cells smaller than a pixel contain no pixel centre; a grid as fine as the pixels has all cells that do.
    grids = [tuple(min(n_cells, int(side)) for side in size) for size in sizes]
    errors = [
        np.abs(cell_counts(predicted, index, size, grid) - cell_counts(true, index, size, grid)).sum()
        for index, (size, grid) in enumerate(zip(sizes, grids, strict=True))
    ]
    return weighted_mean(np.array(errors), sample_weight)


def _image_sizes(true, predicted, image_shape):
    """Return the size of each image: as given, or that of its map."""
    if image_shape is not None:
        sizes = check_sizes(image_shape, len(true))
    else:
        maps = next((target for target in (true, predicted) if target.kind == "maps"), None)
        if maps is None:
            raise ValueError(
                "`image_shape` must be given, because points do not contain the size of the images."
            )
        sizes = [density.shape for density in maps.values]
    for target in (true, predicted):
        if target.kind == "maps":
            for index, (density, size) in enumerate(zip(target.values, sizes, strict=True)):
                if density.shape != tuple(size):
                    raise ValueError(
                        f"The density map of image {index} must have the shape of the image, {tuple(size)}; got "
                        f"{density.shape}."
                    )
    return sizes


def cell_counts(target, index, size, grid):
    """Return the objects of one image in each cell of a grid (n_rows, n_cols); a pixel is in the cell of its centre."""
    places = target.values[index]
    if target.kind == "maps":
        return _sum_cells(places, grid)
    counts = np.zeros(grid)
    pixels = np.clip(np.floor(places + 0.5), 0, np.array(size) - 1)
    np.add.at(counts, tuple(cell_of(pixels[:, axis], size[axis], grid[axis]) for axis in (0, 1)), 1)
    return counts


def _sum_cells(density, grid):
    """Return the sums of a map over the cells of a grid."""
    sums = np.asarray(density, dtype=np.float64)
    for (
        n_cells
    ) in grid:  # first along the rows, then along the columns, which are the rows of the transposed map
        cells = cell_of(np.arange(len(sums)), len(sums), n_cells)
        part = np.zeros((n_cells, sums.shape[1]))
        np.add.at(part, cells, sums)
        sums = part.T
    return sums


def cell_of(pixels, side, n_cells):
    """Return the cell of each pixel along an axis."""
    return np.floor((pixels + 0.5) * n_cells / side).astype(np.intp)
