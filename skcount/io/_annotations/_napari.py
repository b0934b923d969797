"""Format "napari": the CSV of a points layer, (row, col) from 0; of a stack, with the image's number before."""

from skcount.io._annotations._contents import Contents, ImagePoints, rows_by_number, single_image
from skcount.io._annotations._table import read_numbers, read_table

__all__ = ["is_napari", "read_napari"]


def is_napari(table):
    """Tell whether a table is that of a layer of napari.

    Parameters
    ----------
    table : Table
        The table.

    Returns
    -------
    bool
        Whether its columns have napari's names.
    """
    return table.header is not None and {"axis-0", "axis-1"} <= set(table.header)


def read_napari(path, slices=None):
    """Read the points layer of one picture, or of a stack of pictures.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    slices : {"split", "merge"} or None, default=None
        Whether each image of a stack is one of its own; None does so.

    Returns
    -------
    Contents
        Points as (row, col), images of a stack in the order of their numbers.

    Raises
    ------
    ValueError
        If it is no table of points of 2 or 3 axes, or an image number is not whole.
    """
    table = read_table(path)
    if not is_napari(table):
        raise ValueError(
            f"{path} has {table.describe_columns()}; expected 'axis-0' and 'axis-1', as napari saves a points layer."
        )
    if "shape-type" in table.header:
        raise ValueError(f"{path} holds a shapes layer of napari; expected a points layer.")
    axes = [i for i, name in enumerate(table.header) if name.startswith("axis-")]
    names = [table.header[i] for i in axes]
    if names not in (["axis-0", "axis-1"], ["axis-0", "axis-1", "axis-2"]):
        raise ValueError(f"{path} has the axes {', '.join(names)}; expected (row, col) or (image, row, col).")
    numbers = read_numbers(table, axes)
    points = numbers[:, -2:]
    if len(axes) == 2 or slices == "merge":
        return single_image(path, points)
    images = numbers[:, 0]
    if (images % 1 != 0).any() or (images < 0).any():
        raise ValueError(
            f"{path} has {(images % 1 != 0).sum()} points between images, as in a volume, or before the first; expected "
            "whole numbers from 0 in 'axis-0'."
        )
    return Contents(
        [ImagePoints(str(number), points[rows]) for number, rows in rows_by_number(images)], first=0
    )
