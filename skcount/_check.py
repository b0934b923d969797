"""Checks of user input: convert it to clean arrays or reject it. The rest of the package does not check it again.

>>> import numpy as np
>>> check_side_map("roi", np.array([[0, 1], [1, 1]]), None, (2, 2))
array([[False,  True],
       [ True,  True]])
"""

from numbers import Integral

import numpy as np

__all__ = [
    "as_array",
    "as_floats",
    "check_groups",
    "check_length",
    "check_pair",
    "check_side_map",
    "check_side_maps",
    "check_sizes",
    "check_weights",
    "is_sequence",
    "side_map",
    "side_map_dtype",
    "without_index",
]


def as_array(values, owner, expected):
    """Return `values` as an array; reject masked values and anything that cannot be converted."""
    if np.ma.is_masked(values):
        raise ValueError(
            f"{owner} has {np.ma.count_masked(values)} masked values; expected {expected}, none of them masked. Fill "
            "them, as in values.filled(0), or leave that part out."
        )
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # tensors raise all of them
        raise ValueError(f"{owner} cannot be converted to an array ({error}); expected {expected}.") from None


def as_floats(values):
    """Return real numbers as float64; raise TypeError, ValueError or OverflowError for other values."""
    array = np.asarray(values)
    complex_objects = array.dtype.hasobject and any(map(np.iscomplexobj, array.flat))
    if array.dtype.kind not in "buifO" or complex_objects:
        complex_data = " (Complex data not supported)" if array.dtype.kind == "c" else ""
        raise TypeError(f"its dtype is {array.dtype}{complex_data}")
    return array.astype(np.float64)


def is_sequence(values):
    """Return whether `values` has a length and items, and is not a string, mapping, scalar or table."""
    if isinstance(values, str | bytes | dict | set) or getattr(values, "shape", None) == ():
        return False
    is_table = hasattr(values, "toarray") or (hasattr(values, "iloc") and values.ndim > 1)
    return hasattr(values, "__len__") and hasattr(values, "__getitem__") and not is_table


def without_index(values):
    """Return the array of a pandas Series, which is indexed by label, and anything else unchanged."""
    return values.to_numpy() if hasattr(values, "iloc") and values.ndim == 1 else values


def check_length(n_images, n_entries, what="y", of="X"):
    """Check that an argument has one entry per image."""
    if n_images == n_entries:
        return
    remedy = " A single image needs its sample axis: X[None]." if of == "X" else ""
    raise ValueError(
        f"`{what}` has {n_entries} entries and `{of}` has {n_images} {'images' if of == 'X' else 'entries'}, inconsistent "
        f"numbers of samples; expected one entry of `{what}` per image.{remedy}"
    )


def check_pair(value, name):
    """Return a size as (height, width), given one whole number or a pair."""
    pair = (value, value) if isinstance(value, Integral) else tuple(value)
    if len(pair) != 2 or not all(isinstance(side, Integral) and side >= 1 for side in pair):
        raise ValueError(
            f"`{name}` must be a whole number of pixels, >= 1, or a pair (height, width); got {value!r}."
        )
    return tuple(map(int, pair))


def check_sizes(sizes, n_images, name="image_shape"):
    """Return one (height, width) in whole pixels per image, given one size for all images or one per image."""
    expected = (
        f"(height, width) in whole pixels, at least 1 x 1, or one such pair for each of the {n_images} images"
    )
    array = as_array(sizes, f"`{name}`", expected)
    if array.shape == (2,):
        array = np.broadcast_to(array, (n_images, 2))
    if n_images == array.size == 0:
        return []
    if array.shape != (n_images, 2) or array.dtype.kind not in "iu" or (array < 1).any():
        raise ValueError(f"`{name}` must be {expected}; got {sizes!r:.80}.")
    return [(height, width) for height, width in array.tolist()]


def check_groups(groups, n_images):
    """Return a read-only copy of group labels: integers or strings of shape (n_images,)."""
    labels = as_array(groups, "`groups`", "one label per image")
    if labels.dtype.kind in {"O", "T"} and all(isinstance(label, str) for label in labels.flat):
        labels = labels.astype(str)  # a column of a data frame
    if labels.shape != (n_images,):
        raise ValueError(f"`groups` must have shape ({n_images},), one label per image; got {labels.shape}.")
    if labels.dtype.kind not in "iuU":
        raise ValueError(
            f"`groups` must be integers or strings; got dtype {labels.dtype}. Number the groups first, as in "
            "numpy.unique(groups, return_inverse=True)[1]."
        )
    labels = np.array(labels, dtype=labels.dtype.newbyteorder("="))
    labels.setflags(write=False)
    return labels


def check_weights(sample_weight, n_images):
    """Return sample weights as float64 of shape (n_images,): finite, at least 0."""
    expected = f"one finite number, at least 0, for each of the {n_images} images"
    weights = as_array(sample_weight, "`sample_weight`", expected)
    if weights.shape != (n_images,):
        raise ValueError(f"`sample_weight` must be {expected}; got shape {weights.shape}.")
    try:
        weights = as_floats(weights)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"`sample_weight` must be {expected}; got values that are not numbers ({error})."
        ) from None
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        raise ValueError(f"`sample_weight` must be {expected}; got {weights[bad[0]]} for image {bad[0]}.")
    return weights


def check_side_map(name, values, index, size):
    """Return the "roi" (booleans) or the "perspective" (floats) of image `index`; None means all images."""
    owner = f"`{name}`" if index is None else f"`{name}` of image {index}"
    size = tuple(map(int, size))
    values = as_array(values, owner, f"shape {size}, the (height, width) of the image")
    if values.shape != size:
        raise ValueError(
            f"{owner} must have shape {size}, the (height, width) of the image; got {values.shape}. If this is one "
            "map for all images and scikit-learn has split its rows, because there are as many rows as images, pass "
            f"ImageSet(images, {name}={name}) as X."
        )
    dtype = side_map_dtype(name, values.dtype, owner)
    if name == "perspective":
        values = values.astype(dtype, copy=False)
        good = np.isfinite(values) & (values > 0)
        if not good.all():
            row, col = np.argwhere(~good)[0].tolist()
            raise ValueError(
                f"{owner} must be finite and above 0, the relative size of objects; got {values[row, col]} at row {row}, "
                f"column {col}."
            )
        return values
    if values.dtype != bool and (values.min() < 0 or values.max() > 1):
        raise ValueError(
            f"{owner} must be booleans, or 0 and 1; got integers from {values.min()} to {values.max()}. Compare it, as in "
            "mask > 0."
        )
    if not values.any():
        raise ValueError(
            f"{owner} has no pixel inside; expected at least one True. Leave out images without a region."
        )
    return values.astype(bool, copy=False)


def side_map_dtype(name, dtype, owner=None):
    """Return the dtype that a "roi" or "perspective" has after its check; reject other dtypes."""
    owner = owner or f"`{name}`"
    if name == "roi":
        if dtype.kind not in "iub":
            raise ValueError(f"{owner} must be booleans; got dtype {dtype}. Compare it, as in mask > 0.")
        return np.dtype(bool)
    if dtype.kind not in "uif":
        raise ValueError(f"{owner} must be real numbers, the relative size of objects; got dtype {dtype}.")
    return dtype.newbyteorder("=") if dtype.kind == "f" else np.dtype(np.float64)


def check_side_maps(name, maps, sizes):
    """Return checked side maps: None, one array (height, width) for all images, or a list of one array per image."""
    if maps is None:
        return None
    if not is_sequence(maps) and len(getattr(maps, "shape", ())) != 2:
        raise ValueError(
            f"`{name}` must be an array (height, width) for all images, or a sequence of one array per image; got a "
            f"{type(maps).__name__}."
        )
    if _is_one_map(maps):
        array = as_array(maps, f"`{name}`", "(height, width)")
        other = next((size for size in sizes if tuple(size) != array.shape), array.shape)
        return check_side_map(name, array, None, other)
    check_length(len(sizes), len(maps), name)
    return [check_side_map(name, maps[index], index, size) for index, size in enumerate(sizes)]


def side_map(maps, index):
    """Return the side map of image `index` from the result of `check_side_maps`."""
    return maps if maps is None or isinstance(maps, np.ndarray) else maps[index]


def _is_one_map(maps):
    """Return whether there is one map for all images: an array, a frame, a tensor or nested lists of two dimensions."""
    if isinstance(maps, list | tuple):
        return len(maps) > 0 and _ndim(maps[0]) == 1
    return len(getattr(maps, "shape", ())) == 2


def _ndim(values):
    try:
        return np.ndim(values)
    except ValueError:  # nested lists of different lengths
        return 2
