"""Check which arrays and sequences hold images, and recognise the usual mistakes."""

import os

import numpy as np

from skcount._check import as_array, is_sequence, without_index

STACK = "(n_images, height, width) or (n_images, height, width, n_channels)"
IMAGE = "(height, width) or (height, width, n_channels)"


def open_images(X):
    """Check images and return them as a sequence, with their shapes (n_images, 2 or 3) and their dtype.

    Pixel values are checked when they are first read: images may be larger than memory.
    """
    if type(X) is np.ndarray and not X.dtype.hasobject:
        return _open_stack(X)
    given, X = X, without_index(X)
    is_tensor = hasattr(X, "permute")  # torch's, in memory
    if is_tensor or not hasattr(X, "__getitem__"):
        if is_tensor:
            _check_stack_shape(tuple(X.shape), "permute")
        X = as_array(X, "X", f"images, {STACK}")
    if not is_sequence(X):
        raise ValueError(
            f"X must be images: an array {STACK}, or a sequence of images; got a {type(given).__name__}."
        )
    shape, dtype = getattr(X, "shape", None), getattr(X, "dtype", None)
    if isinstance(dtype, np.dtype) and not dtype.hasobject and isinstance(shape, tuple) and len(shape) > 1:
        if isinstance(X, np.ma.MaskedArray):
            X = as_array(X, "X", f"images, {STACK}")
        return _open_stack(X)
    if len(X) == 0:
        raise ValueError("X has no images (0 samples); expected at least one.")
    return _open_sequence(X)


def _open_stack(X):
    """Open one array, or a lazy array in a file or store; all have a shape and a dtype."""
    if X.dtype.kind not in "buif":
        raise ValueError(
            f"X must be integers, booleans or real floats; got dtype {X.dtype}{_complex(X.dtype)}."
        )
    _check_stack_shape(X.shape)
    shape = np.array(X.shape[1:], dtype=np.int64)
    return X, np.broadcast_to(shape, (X.shape[0], len(shape))), X.dtype


def _open_sequence(X):
    """Open a sequence of images of one or several sizes; images not in memory are checked once and read later."""
    in_memory = isinstance(X, list | tuple | np.ndarray)
    images, shapes, dtypes = [], [], []
    for index in range(len(X)):
        image = check_image(X[index], index, (dtypes[0], tuple(shapes[0][2:])) if shapes else None)
        shapes.append(image.shape)
        dtypes.append(image.dtype.newbyteorder("="))
        images.append(image if in_memory else None)
    shapes = np.array(shapes, dtype=np.int64)
    return images if in_memory else X, shapes, np.result_type(*set(dtypes))


def _check_stack_shape(shape, transpose="transpose"):
    """Reject a shape that is not (n_images, height, width[, n_channels])."""
    if len(shape) == 2:
        raise ValueError(
            f"X has shape {shape}, a single image without its sample axis (or a table, which needs counts as y); expected "
            "(n_images, height, width[, n_channels]). Pass X[None]."
        )
    if len(shape) not in {3, 4}:
        raise ValueError(f"X must have shape {STACK}; got {shape}.")
    if len(shape) == 4 and shape[1] in {1, 3, 4} and min(shape[2:]) >= 16:
        raise ValueError(
            f"X has shape {shape}, which looks like channels first; expected (n_images, height, width, n_channels). Pass "
            f"X.{transpose}(0, 2, 3, 1)."
        )
    if len(shape) == 3 and shape[2] in {1, 3, 4} and min(shape[:2]) > 4:
        raise ValueError(
            f"X has shape {shape}, which looks like a single image with {shape[2]} channels; images need their sample axis. "
            f"Pass X[None]. If these are {shape[0]} grey images of width {shape[2]}, pass X[..., None]."
        )
    if 0 in shape:
        missing = ("images (0 samples)", "rows", "columns", "channels")[shape.index(0)]
        raise ValueError(f"X has shape {shape}: it has no {missing}; expected at least one.")


def check_image(image, index, kind=None):
    """Return one image as an array; reject other objects and, given the first image's `image_kind`, other kinds."""
    owner = f"Image {index} of X"
    image = image if is_lazy(image) else as_pixels(image, owner)
    if len(image.shape) not in {2, 3} or 0 in image.shape:
        raise ValueError(
            f"{owner} must have shape {IMAGE} and at least one pixel; got shape {tuple(image.shape)}."
        )
    if image.dtype.kind not in "buif":
        raise ValueError(
            f"{owner} must be integers, booleans or real floats; got dtype {image.dtype}{_complex(image.dtype)}."
        )
    shape = image.shape
    if len(shape) == 3 and shape[0] in {1, 3, 4} and min(shape[1:]) >= 16:
        remedy = (
            "Write it with its channels last."
            if is_lazy(image)
            else "Pass [np.moveaxis(x, 0, 2) for x in X]."
        )
        raise ValueError(
            f"{owner} has shape {shape}, which looks like channels first; expected (height, width, n_channels). {remedy}"
        )
    found = image_kind(image)
    if (
        kind is not None
        and found != kind
        and not (found[1] == kind[1] and found[0].kind == kind[0].kind == "f")
    ):
        raise ValueError(
            f"{owner} has {_describe_kind(found)}, and image 0 has {_describe_kind(kind)}; expected one dtype and the same "
            "number of channels in all images. Convert them first."
        )
    return image


def as_pixels(image, owner):
    """Return one image as an array; reject the name of a file and anything that is not an array."""
    if isinstance(image, str | bytes | os.PathLike):
        raise ValueError(
            f"{owner} is the name {image!r:.60}; expected pixels, an array {IMAGE}. skcount.io.load_folder opens pictures "
            "by name."
        )
    pixels = as_array(image, owner, IMAGE)
    if pixels.ndim == 0:
        raise ValueError(f"{owner} must be an array {IMAGE}; got a {type(image).__name__} of shape ().")
    return pixels


def image_kind(image):
    """Return the dtype and the shape after height and width, which all images of a set share."""
    return image.dtype.newbyteorder("="), tuple(image.shape[2:])


def is_lazy(image):
    """Return whether an image has a shape and dtype but is only read when it is sliced, like a dataset in a file."""
    if isinstance(image, np.ndarray | np.generic):
        return False
    known = isinstance(getattr(image, "dtype", None), np.dtype) and isinstance(
        getattr(image, "shape", None), tuple
    )
    return known and hasattr(image, "__getitem__") and not hasattr(image, "toarray")


def is_table(X):
    """Return whether `X` is a 2-D table, data frame or nested lists of numbers rather than images."""
    if isinstance(X, np.ndarray) and X.dtype != object:
        return X.ndim <= 2
    X = without_index(X)
    if hasattr(X, "iloc") or hasattr(X, "toarray"):
        return True
    if isinstance(X, np.ndarray):
        return X.ndim != 1 or len(X) == 0
    if isinstance(X, list | tuple):
        return len(X) > 0 and _ndim(X[0]) <= 1
    return hasattr(X, "__array__") and not hasattr(X, "__getitem__") and np.asarray(X).ndim <= 2


def _ndim(image):
    if is_lazy(image):
        return len(image.shape)
    try:
        return np.ndim(image)
    except ValueError:  # nested lists of different lengths
        return 2


def _describe_kind(kind):
    dtype, channels = kind
    return f"dtype {dtype} and {f'{channels[0]} channels' if channels else 'no channel axis'}"


def _complex(dtype):
    return " (Complex data not supported)" if dtype.kind == "c" else ""
