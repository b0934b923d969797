"""Index and pickle an `ImageSet`."""

import numpy as np


def read_only(array):
    array.setflags(write=False)
    return array


def pack(array):
    """Return dtype and bytes, because joblib also hashes strides, which can differ between equal selections."""
    return None if array is None else (array.dtype.str, array.tobytes())


def unpack(packed):
    return None if packed is None else np.frombuffer(packed[1], dtype=packed[0])


def check_key(key):
    """Return a key that numpy accepts: an int, a slice, or a 1-D array of integers or booleans."""
    if isinstance(key, tuple):  # scikit-learn uses (key, Ellipsis) as index of anything that has a shape
        if len(key) != 2 or key[1] is not Ellipsis:
            raise IndexError(
                f"An ImageSet is indexed by image; got {len(key)} indices. Crop the images: images[i][rows, columns]."
            )
        key = key[0]
    if isinstance(key, slice):
        return key
    key = np.asarray(key)
    if key.size == 0 and key.ndim == 1:
        return np.asarray(key, dtype=np.intp if key.dtype != bool else bool)  # [] is float to numpy
    if key.ndim > 1 or key.dtype.kind not in "iub" or (key.ndim == 0 and key.dtype == bool):
        raise IndexError(
            "The index must be an integer, a slice, or a 1-D array of integers or booleans; got "
            f"{key.ndim} dimensions and dtype {key.dtype}."
        )
    return key
