"""What belongs to each image beside it: its region of interest, its perspective map, its group.

>>> import numpy as np
>>> check_map("roi", np.array([[0, 1], [1, 1]]), None, (2, 2))
array([[False,  True],
       [ True,  True]])
"""

import numpy as np

from skcount._check._kinds import as_array

__all__ = ["check_groups", "check_map", "check_map_dtype", "map_owner"]


def check_map(name, values, number, shape):
    """Check the region of interest or the perspective map of one image, or of all images alike.

    Parameters
    ----------
    name : {"roi", "perspective"}
        Which of the two it is.
    values : array-like of shape (height, width)
        The map.
    number : int or None
        The position of its image, for the message; None if it is the map of all images.
    shape : sequence of int, (height, width)
        The size of the image, in pixels.

    Returns
    -------
    ndarray of shape (height, width)
        A mask of booleans, or scales as floats; not copied if `values` is one.

    Raises
    ------
    ValueError
        If it is of another size, a mask is not of booleans or 0 and 1 or has no pixel inside, or a
        scale is not finite and above 0.

    Examples
    --------
    >>> check_map("perspective", [[1, 2]], 0, (1, 2))
    array([[1., 2.]])
    """
    owner, shape = map_owner(name, number), tuple(map(int, shape))
    values = as_array(values, owner, f"one of shape {shape}, the (height, width) of the image")
    if values.shape != shape:
        raise ValueError(
            f"{owner} has shape {values.shape}; expected {shape}, the (height, width) of the image."
        )
    check_map_dtype(name, values.dtype, owner)
    return _check_mask(values, owner) if name == "roi" else _check_scales(values, owner)


def check_map_dtype(name, dtype, owner):
    """Check what can be known of a map without reading it: the type of its pixels.

    Parameters
    ----------
    name : {"roi", "perspective"}
        Which map it is.
    dtype : numpy.dtype
        The type.
    owner : str
        What the message calls it.

    Returns
    -------
    numpy.dtype
        The type that the map has when it is checked: bool, or a float.

    Raises
    ------
    ValueError
        If the type cannot be one of a mask or of scales.

    Examples
    --------
    >>> import numpy as np
    >>> check_map_dtype("perspective", np.dtype("uint8"), "The perspective")
    dtype('float64')
    """
    if name == "roi":
        if dtype.kind not in "iub":
            raise ValueError(
                f"{owner} has dtype {dtype}; expected booleans, True inside: compare it, as in mask > 0."
            )
        return np.dtype(bool)
    if dtype.kind not in "uif":
        raise ValueError(f"{owner} has dtype {dtype}; expected real floats, the scale of objects there.")
    return dtype.newbyteorder("=") if dtype.kind == "f" else np.dtype(np.float64)


def map_owner(name, number):
    """Return what messages call a map: "The roi", or "The roi of image 3".

    Parameters
    ----------
    name : {"roi", "perspective"}
        Which map it is.
    number : int or None
        The position of its image; None if it is the map of all images.

    Returns
    -------
    str
        The words.

    Examples
    --------
    >>> map_owner("roi", 3)
    'The roi of image 3'
    """
    return f"The {name}" if number is None else f"The {name} of image {number}"


def check_groups(groups, n_images):
    """Check the groups of images.

    Parameters
    ----------
    groups : array-like of shape (n_images,)
        One label an image, all of them integers or all of them strings.
    n_images : int
        The number of images.

    Returns
    -------
    ndarray of shape (n_images,), read-only
        The labels, a copy.

    Raises
    ------
    ValueError
        If they are no such labels, or not one an image.

    Examples
    --------
    >>> check_groups(["plate 1", "plate 2"], 2)
    array(['plate 1', 'plate 2'], dtype='<U7')
    """
    labels = as_array(groups, "groups", "one label an image")
    if labels.dtype.kind in {"O", "T"} and all(isinstance(label, str) for label in labels.flat):
        labels = labels.astype(str)  # a column of a data frame
    if labels.shape != (n_images,):
        raise ValueError(
            f"groups has shape {labels.shape} and there are {n_images} images; expected one label an image."
        )
    if labels.dtype.kind not in "iuU":
        raise ValueError(
            f"groups has dtype {labels.dtype}; expected integers or strings, one an image. Number the groups "
            "first, for example with numpy.unique(groups, return_inverse=True)[1]."
        )
    labels = np.array(labels, dtype=labels.dtype.newbyteorder("="))
    labels.setflags(write=False)
    return labels


def _check_mask(values, owner):
    if values.dtype != bool and (values.min() < 0 or values.max() > 1):
        raise ValueError(
            f"{owner} holds integers from {values.min()} to {values.max()}; expected booleans, or 0 and 1, with "
            "True or 1 inside: compare it, as in mask > 0."
        )
    if not values.any():
        raise ValueError(
            f"{owner} has no pixel inside; expected at least one that is True. Leave out images of which nothing counts."
        )
    return values.astype(bool, copy=False)


def _check_scales(values, owner):
    values = values.astype(check_map_dtype("perspective", values.dtype, owner), copy=False)
    good = np.isfinite(values) & (values > 0)
    if not good.all():
        row, col = np.argwhere(~good)[0].tolist()
        raise ValueError(
            f"{owner} is {values[row, col]} at row {row}, column {col}; expected finite scales above 0, the linear "
            "size of objects there relative to elsewhere."
        )
    return values
