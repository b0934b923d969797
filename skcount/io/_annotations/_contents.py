"""What a reader of one format hands over: the points of each image that its file tells of."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["Contents", "ImagePoints", "by_slice", "rows_by_number", "single_image"]


@dataclass(frozen=True)
class ImagePoints:
    """Points of one image.

    Parameters
    ----------
    name : str
        What the file calls the image, or the file's own name where it does not say.
    points : ndarray of shape (n_points, 2)
        In the order, origin and unit of the file; in pixels, (row, col), once it is converted.
    labels : list of str or None, default=None
        The label of each point, in formats that have labels.
    origin : float, ndarray of shape (n_points, 1) or None, default=None
        Coordinate that the file gives to the centre of the first pixel; None leaves it to the format.
    shape : (height, width) or None, default=None
        Size of the image, if the file tells it.
    """

    name: str
    points: np.ndarray
    labels: Sequence | None = None
    origin: float | np.ndarray | None = None
    shape: tuple | None = None


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Parameters
    ----------
    images : list of ImagePoints
        The images that it tells of.
    labels : sequence of str, default=()
        The labels that there may be, also those of no point.
    first : int or None, default=None
        Where images have numbers for names, as those of a stack do: the number of the first.
    """

    images: list
    labels: Sequence = field(default=())
    first: int | None = None


def single_image(path, points, **known):
    """Contents of a file that holds the points of one image.

    Parameters
    ----------
    path : pathlib.Path
        The file; the image has its name, without suffix, if `known` has no other.
    points : array-like of shape (n_points, 2)
        The points.
    **known
        Other fields of `ImagePoints`.

    Returns
    -------
    Contents
        Of one image, with the labels of its points.

    Examples
    --------
    >>> from pathlib import Path
    >>> single_image(Path("a/cells.csv"), [(1, 2)]).images[0].name
    'cells'
    """
    name = known.pop("name", None) or path.stem
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    return Contents([ImagePoints(name, points, **known)], sorted(set(known.get("labels") or ())))


def by_slice(path, points, numbers, slices, labels=None, name=None):
    """Contents of a file whose points may lie on the slices of a stack.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    points : ndarray of shape (n_points, 2)
        All points.
    numbers : array-like of shape (n_points,)
        The slice of each, from 1; 0 if the file does not tell.
    slices : {"split", "merge"} or None
        Whether each slice is an image. None splits if a slice after the first has points.
    labels : sequence of str or None, default=None
        Their labels.
    name : str or None, default=None
        What to call a single image.

    Returns
    -------
    Contents
        Of one image, or of one image a slice that has points, with the slice's number for a name.

    Raises
    ------
    ValueError
        If slices are to be split and some points are on none, or a number is not whole.

    Examples
    --------
    >>> from pathlib import Path
    >>> contents = by_slice(Path("cells.csv"), np.zeros((3, 2)), [1, 4, 4], None)
    >>> [(image.name, len(image.points)) for image in contents.images]
    [('1', 1), ('4', 2)]
    """
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    numbers = np.asarray(numbers)
    if (numbers % 1 != 0).any() or (numbers > 2**31).any():
        raise ValueError(f"{path} numbers slices by {numbers.max():g}; expected whole numbers from 1.")
    numbers = numbers.astype(np.int64)
    if slices == "merge" or (slices is None and (numbers <= 1).all()):
        known = {} if labels is None else {"labels": labels}
        return single_image(path, points, name=name, **known)
    if (numbers < 1).any():
        raise ValueError(
            f"{path} holds {(numbers < 1).sum()} points on no slice beside points on slices; expected each on its slice. "
            "slices='merge' takes all as points of one image."
        )
    images = [
        ImagePoints(str(number), points[chosen], None if labels is None else [labels[i] for i in chosen])
        for number, chosen in rows_by_number(numbers)
    ]
    return Contents(images, sorted(set(labels or ())), first=1)


def rows_by_number(numbers):
    """List which rows have each number.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows,)
        A whole number for each row.

    Returns
    -------
    list of (int, ndarray)
        The numbers in ascending order, each with the positions of its rows.

    Examples
    --------
    >>> rows_by_number(np.array([4, 1, 4]))
    [(1, array([1])), (4, array([0, 2]))]
    """
    order = np.argsort(numbers, kind="stable")
    found, starts = np.unique(numbers[order], return_index=True)
    return list(zip(map(int, found), np.split(order, starts[1:]) if len(found) else [], strict=True))
