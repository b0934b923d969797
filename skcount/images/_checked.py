"""Images: checked, and read one at a time."""

import os
from collections.abc import Sequence

import numpy as np

from skcount._check import Subset, as_array, check_perspective, check_roi, is_array, is_lazy, without_index

STACK = "(n_images, height, width) or (n_images, height, width, n_channels)"
IMAGE = "(height, width) or (height, width, n_channels)"

# Values of an image that are looked at in one go.
BAND = 2**22


class Images(Sequence):
    """Checked images, read one at a time as float arrays ``(n_channels, height, width)``.

    Parameters
    ----------
    source : array or sequence
        What the user passed: anything with a length whose items are images.
    shapes : list of (height, width)
        The size of each image, in pixels.
    n_channels : int
        Number of channels, the same for all images.
    dtype : dtype, default=float32
        The floating type that the images are read as.
    columns : dict or None, default=None
        None for images. For a 2-D table, each row of which is one image of 1 x n_features: what is to be kept of its
        columns, attribute by attribute.
    roi, perspective : ImageMaps or None, default=None
        What belongs to each image beside its pixels.
    """

    def __init__(
        self, source, shapes, n_channels, dtype=np.float32, columns=None, roi=None, perspective=None
    ):
        self.source = source
        self.shapes = shapes
        self.n_channels = n_channels
        self.dtype = np.dtype(dtype)
        self.columns = columns
        self.roi = roi
        self.perspective = perspective

    @property
    def is_table(self):
        """Whether the source is a table."""
        return self.columns is not None

    def __len__(self):
        return len(self.shapes)

    def __getitem__(self, index):
        return self.read(index)

    def __iter__(self):
        return (self.read(index) for index in range(len(self)))  # the source need not say where it ends

    def read(self, index, window=None):
        """Read one image, or a window of it.

        Parameters
        ----------
        index : int
            Which image.
        window : (top, left, height, width) or None, default=None
            The part to read, inside the image; None reads all of it.

        Returns
        -------
        ndarray of shape (n_channels, height, width)
            Pixels, integers scaled by their type's range.
        """
        return self.cut(self.open(index), window)

    def open(self, index):
        """Return one image as the source has it, of which `cut` reads windows.

        Parameters
        ----------
        index : int
            Which image.

        Returns
        -------
        array-like of shape (height, width[, n_channels])
            An array, or what reads its pixels only when it is sliced.
        """
        image = self.source[index]
        return image if is_lazy(image) else np.asarray(image)

    def cut(self, image, window=None):
        """Read a window of an opened image, or all of it.

        Parameters
        ----------
        image : array-like of shape (height, width[, n_channels])
            What `open` returned.
        window : (top, left, height, width) or None, default=None
            As for `read`.

        Returns
        -------
        ndarray of shape (n_channels, height, width)
            Pixels, integers scaled by their type's range.
        """
        if self.is_table:
            image = image[None, :]
        if window is not None:
            top, left, height, width = window
            image = image[top : top + height, left : left + width]
        pixels = np.asarray(image)
        if pixels.ndim == 2:
            pixels = pixels[:, :, None]
        return scale_pixels(pixels.transpose(2, 0, 1), self.dtype)

    def bands(self, index):
        """Read one image from top to bottom, a few million values at a time.

        Parameters
        ----------
        index : int
            Which image.

        Yields
        ------
        ndarray of shape (n_channels, n_rows, width)
            Pixels, finite ones.

        Raises
        ------
        ValueError
            If a pixel is NaN or infinite.
        """
        image, (height, width) = self.open(index), self.shapes[index]
        n_rows = max(1, BAND // (width * self.n_channels))
        for top in range(0, height, n_rows):
            band = self.cut(image, (top, 0, n_rows, width))
            check_finite(band, index, corner=(top, 0))
            yield band

    def belongings(self, index):
        """Return the region of interest and the perspective map of image `index`, by name; None where there is none."""
        return {
            "roi": self.roi and self.roi.read(index),
            "perspective": self.perspective and self.perspective.read(index),
        }

    def take(self, indices):
        """Return the images at `indices`, in that order, as another `Images`."""
        return Images(
            Subset(self.source, indices),
            [self.shapes[i] for i in indices],
            self.n_channels,
            self.dtype,
            self.columns,
            *(maps and maps.take(indices) for maps in (self.roi, self.perspective)),
        )


def scale_pixels(pixels, dtype=np.float32):
    """Scale integer pixels by their type's range; take floats as they are.

    Parameters
    ----------
    pixels : ndarray
        Any numeric or boolean array.
    dtype : dtype, default=float32
        Type of the result.

    Returns
    -------
    ndarray
        A new contiguous array of type `dtype`. An unsigned integer type maps to [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> scale_pixels(np.array([0, 255], dtype=np.uint8))
    array([0., 1.], dtype=float32)
    """
    with np.errstate(over="ignore"):  # what is too large becomes infinity, which check_finite names
        scaled = np.array(pixels, dtype=dtype, order="C")
    if np.issubdtype(pixels.dtype, np.integer):
        scaled /= np.iinfo(pixels.dtype).max
    return scaled


def check_images(X, dtype=np.float32, roi=None, perspective=None):
    """Check images, with what belongs to them, and open them for reading one at a time.

    Parameters
    ----------
    X : array of shape (n_images, height, width) or (n_images, height, width, n_channels), or sequence
        Images, channels last; or a sequence of images ``(height, width[, n_channels])`` of one or of
        many sizes, or an `ImageSet`.
    dtype : dtype, default=float32
        The floating type that the images are read as.
    roi, perspective : array of shape (height, width), sequence of such arrays, or None, default=None
        Regions of interest and scales, one for all images or one for each; None takes what `X` carries.

    Returns
    -------
    Images
        A sequence of float arrays ``(n_channels, height, width)``.

    Raises
    ------
    ValueError
        If `X` holds no image, a single image without its sample axis, images of different numbers
        of channels, or something that is no image; or if a mask or scale is not valid.

    Notes
    -----
    Pixel values are checked where they are first read (:func:`check_finite`): images may be larger
    than memory.
    """
    images = _open_images(without_index(X), dtype)
    images.roi = check_roi(_carried(X, "roi", roi), images.shapes)
    images.perspective = check_perspective(_carried(X, "perspective", perspective), images.shapes)
    return images


def _carried(X, name, given):
    """What was given, or else what an image set carries."""
    return getattr(X, name, None) if given is None and hasattr(X, "shapes") else given


def _open_images(X, dtype):
    if is_array(X):
        return _check_image_array(as_array(X, "X", STACK), dtype)
    is_sequence = hasattr(X, "__getitem__") and hasattr(X, "__len__") and getattr(X, "shape", None) != ()
    is_table = hasattr(X, "iloc") or hasattr(X, "toarray")
    if isinstance(X, str | bytes | dict) or not is_sequence or is_table:
        raise ValueError(
            f"X is a {type(X).__name__}; expected images: an array {STACK}, or a sequence of images."
        )
    return _check_image_sequence(X, dtype)


def check_finite(image, index, name="X", corner=(0, 0)):
    """Refuse an image that holds NaN or infinity, naming it.

    Parameters
    ----------
    image : ndarray of shape (n_channels, height, width)
        One image.
    index : int
        Its position, for the message.
    name : str, default="X"
        What to call the sequence in the message.
    corner : (row, col), default=(0, 0)
        Where on the image its first pixel is, for the message.

    Raises
    ------
    ValueError
        If a pixel is NaN or infinite.
    """
    # A sum is finite unless something in it is not, or overflows: one fast pass for the usual case.
    with np.errstate(over="ignore", invalid="ignore"):
        total = image.sum(dtype=np.float64)
    if np.isfinite(total) or np.isfinite(image).all():
        return
    bad = ~np.isfinite(image)
    channel, row, col = np.argwhere(bad)[0]
    value = image[channel, row, col]
    row, col = row + corner[0], col + corner[1]
    raise ValueError(
        f"Image {index} of {name} holds {int(bad.sum())} pixels that are NaN or infinity, or too large for "
        f"{image.dtype} (the first: {value} at row {row}, column {col}, channel {channel}). Fill them first, for example "
        "with numpy.nan_to_num."
    )


def _check_image_array(X, dtype):
    _check_numeric(X.dtype, "X")
    _check_stack_shape(X.shape)
    n_channels = X.shape[3] if X.ndim == 4 else 1
    return Images(X, [X.shape[1:3]] * len(X), n_channels, dtype)


def _check_stack_shape(shape):
    """Refuse a shape that is not (n_images, height, width[, n_channels]), in memory or in a file."""
    if len(shape) == 2:
        raise ValueError(
            f"X has shape {shape}, a single image without its sample axis (or a table, which goes with "
            "counts as y). Expected (n_images, height, width[, n_channels]): pass X[None]."
        )
    if len(shape) not in {3, 4}:
        raise ValueError(f"X has shape {shape}; expected {STACK}.")
    if len(shape) == 4 and shape[1] in {1, 3, 4} and min(shape[2:]) >= 16:
        raise ValueError(
            f"X has shape {shape}, which looks like channels first. Expected (n_images, height, width, n_channels): pass "
            f"X.transpose(0, 2, 3, 1). If these are images {shape[1]} pixels high of {shape[3]} channels, pass list(X)."
        )
    if len(shape) == 3 and shape[2] in {3, 4} and min(shape[:2]) > 4:
        raise ValueError(
            f"X has shape {shape}, which looks like a single image with {shape[2]} channels. Images need "
            f"their sample axis: pass X[None]. If these are {shape[0]} grey images of width {shape[2]}, "
            "pass X[..., None]."
        )
    if 0 in shape:
        raise ValueError(f"X has shape {shape}: it holds no {_missing(shape)}; expected at least one.")


def _missing(shape):
    return ("images (0 samples)", "rows", "columns", "channels")[shape.index(0)]


def _check_image_sequence(X, dtype):
    if len(X) == 0:
        raise ValueError("X holds no images (0 samples); expected at least one.")
    shapes = _declared_shapes(X) or [_image_shape(X[i], i) for i in range(len(X))]
    channels = {shape[2] for shape in shapes}
    if len(channels) > 1:
        first = shapes[0][2]
        other = next(i for i, shape in enumerate(shapes) if shape[2] != first)
        raise ValueError(
            f"Image 0 of X has {first} channels and image {other} has {shapes[other][2]}; expected the same number "
            "in all images."
        )
    return Images(X, [shape[:2] for shape in shapes], channels.pop(), dtype)


def _declared_shapes(X):
    """The shapes that a lazy image set knows without reading a pixel, else None."""
    shape, dtype = getattr(X, "shape", None), getattr(X, "dtype", None)
    if shape is None or not isinstance(dtype, np.dtype) or dtype.hasobject:
        if isinstance(shape, tuple) and len(shape) > 1 and not isinstance(dtype, np.dtype):  # a tensor
            _check_stack_shape(tuple(shape))
        return None
    _check_numeric(dtype, "X")
    if len(shape) == 1 and hasattr(X, "shapes"):  # an ImageSet of images of many sizes
        return [(*s[:2], s[2] if len(s) == 3 else 1) for s in np.asarray(X.shapes).tolist()]
    _check_stack_shape(shape)
    return [(shape[1], shape[2], shape[3] if len(shape) == 4 else 1)] * shape[0]


def _image_shape(image, index):
    image = image if is_lazy(image) else as_pixels(image, f"Image {index} of X")
    if len(image.shape) not in {2, 3}:
        raise ValueError(f"Image {index} of X has shape {image.shape}; expected {IMAGE}.")
    _check_numeric(image.dtype, f"Image {index} of X")
    if 0 in image.shape:
        raise ValueError(
            f"Image {index} of X has shape {image.shape}: it holds no pixels; expected at least one."
        )
    if (
        is_lazy(image)
        and len(image.shape) == 3
        and image.shape[0] in {1, 3, 4}
        and min(image.shape[1:]) >= 16
    ):
        raise ValueError(
            f"Image {index} of X has shape {image.shape}, which looks like channels first, as files often have it. Expected "
            "(height, width, n_channels): read it into memory and transpose it, or write it with its channels last."
        )
    return (*image.shape[:2], image.shape[2] if len(image.shape) == 3 else 1)


def as_pixels(image, owner):
    """Turn one image into an array.

    Parameters
    ----------
    image : array-like
        What stands for an image.
    owner : str
        What the message calls it.

    Returns
    -------
    ndarray
        The array, of any type and shape; not copied if it is one.

    Raises
    ------
    ValueError
        If it is the name of a file or a single thing, fits in no array, or some of its pixels are masked.

    Examples
    --------
    >>> as_pixels("a.png", "Image 0")
    Traceback (most recent call last):
    ...
    ValueError: Image 0 is the name 'a.png'; expected pixels, ... opens pictures by name.
    """
    if isinstance(image, str | bytes | os.PathLike):
        raise ValueError(
            f"{owner} is the name {image!r:.60}; expected pixels, an array {IMAGE}. skcount.io.load_folder opens "
            "pictures by name."
        )
    pixels = as_array(image, owner, IMAGE)
    if pixels.ndim == 0:
        raise ValueError(f"{owner} is a {type(image).__name__} and has shape (); expected an array {IMAGE}.")
    return pixels


def _check_numeric(dtype, what):
    if dtype.kind not in "buif":
        raise ValueError(
            f"{what} has dtype {dtype}; expected unsigned or signed integers, booleans or real floats"
            + (" (Complex data not supported)." if dtype.kind == "c" else ".")
        )
