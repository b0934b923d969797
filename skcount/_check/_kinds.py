"""Telling what the user passed: a table or images, points or maps, a list or an array."""

import numpy as np


def as_array(values, owner, expected):
    """Turn what came into an array; refuse what is none, and what hides some of its values.

    Parameters
    ----------
    values : object
        What the user passed.
    owner : str
        What the message calls it.
    expected : str
        What was expected, for the message.

    Returns
    -------
    ndarray
        The array, of any type and shape; not copied if it is one.

    Raises
    ------
    ValueError
        If it fits in no array of main memory, or is a masked array with masked values.

    Examples
    --------
    >>> as_array([[1, 2], [3]], "The roi", "(height, width)")
    Traceback (most recent call last):
    ...
    ValueError: The roi is no array (setting an array element ...); expected (height, width).
    """
    if np.ma.is_masked(values):
        raise ValueError(
            f"{owner} is a masked array, and {np.ma.count_masked(values)} of its values are masked; expected {expected}, "
            "all of it known. Fill them, as in values.filled(0), or leave that part out."
        )
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # tensors raise all of them
        raise ValueError(f"{owner} is no array ({error}); expected {expected}.") from None


def check_length(n_images, n_targets, what="y", of="X"):
    """Refuse a target of another length than the images.

    Parameters
    ----------
    n_images, n_targets : int
        The two lengths.
    what : str, default="y"
        Name of the other argument.
    of : str, default="X"
        Name of the argument that there are `n_images` of.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    if n_images == n_targets:
        return
    remedy = " A single image needs its sample axis: X[None]." if of == "X" else ""
    raise ValueError(
        f"{of} holds {n_images} {'images' if of == 'X' else 'entries'} and {what} holds {n_targets} entries, "
        f"inconsistent numbers of samples; expected one entry of {what} an image.{remedy}"
    )


def is_table(X):
    """Whether `X` is a 2-D table or data frame rather than a stack or list of images.

    Parameters
    ----------
    X : object
        What the user passed as images.

    Returns
    -------
    bool
        True for a 2-D array, a data frame, a sparse matrix, or nested lists of numbers.
    """
    X = without_index(X)
    if hasattr(X, "iloc") or hasattr(X, "toarray"):
        return True
    if isinstance(X, np.ndarray) and X.dtype == object:
        return X.ndim == 2
    if is_array(X):
        return np.asarray(X).ndim <= 2
    return isinstance(X, list | tuple) and len(X) > 0 and entry_ndim(X[0]) <= 1


def is_list_like(y):
    """Whether `y` is a sequence of separate entries: a list, a tuple or an array of objects.

    Parameters
    ----------
    y : object
        What the user passed.

    Returns
    -------
    bool
        False for arrays of numbers and whatever else.
    """
    return isinstance(y, list | tuple) or (isinstance(y, np.ndarray) and y.dtype.hasobject)


def entry_ndim(entry):
    """Return the number of dimensions of one entry of a sequence; 2 for nested lists that fit in no array.

    Parameters
    ----------
    entry : object
        What stands for one image: its points, its map, its count.

    Returns
    -------
    int
        0 for a number. Ragged lists are left to whoever says which shape was expected.
    """
    if is_lazy(entry):
        return len(entry.shape)
    try:
        return np.ndim(entry)
    except ValueError:
        return 2


def is_map(entry):
    """Whether an entry can be no array of points: it has two dimensions, pixels, and not two columns.

    Parameters
    ----------
    entry : object
        What stands for one image.

    Returns
    -------
    bool
        False for points, counts and nested lists that fit in no array.
    """
    try:
        shape = np.shape(entry)
    except ValueError:
        return False
    return len(shape) == 2 and shape[1] != 2 and 0 not in shape


def is_array(X):
    """Whether `X` is one array in memory, of numbers, and not a sequence of arrays.

    Parameters
    ----------
    X : object
        What the user passed.

    Returns
    -------
    bool
        False also for what can be indexed, though it may turn into an array: it may be a file larger than memory.
    """
    if isinstance(X, np.ndarray):
        return X.dtype != object
    return hasattr(X, "__array__") and not (hasattr(X, "__getitem__") and hasattr(X, "__len__"))


def is_lazy(image):
    """Whether an image says its shape and type and is no array in memory: its pixels are read where it is sliced.

    Parameters
    ----------
    image : object
        What stands for one image.

    Returns
    -------
    bool
        True for a dataset of an HDF5 file, an array of a zarr store, and whatever else is like an array.
    """
    known = isinstance(getattr(image, "dtype", None), np.dtype) and isinstance(
        getattr(image, "shape", None), tuple
    )
    in_memory = isinstance(image, np.ndarray | np.generic) or hasattr(image, "toarray")
    return known and hasattr(image, "__getitem__") and not in_memory


def without_index(values):
    """Take the values of a pandas Series, which is indexed by label, and leave anything else as it is.

    Parameters
    ----------
    values : object
        What the user passed.

    Returns
    -------
    object
        An array, or what came.
    """
    return values.to_numpy() if hasattr(values, "iloc") and values.ndim == 1 else values
