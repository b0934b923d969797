"""A sequence of images, in memory or in a file, that scikit-learn can index like an array.

An `ImageSet` is two things: a source, which reads one image at a time, and an index, which says
which of the source's images are in the set, and in which order. Selecting touches the index alone,
so a split of a data set larger than memory costs a few bytes an image.

>>> import numpy as np
>>> images = ImageSet(np.arange(24, dtype=np.uint8).reshape(4, 2, 3))
>>> images[[3, 0]]
ImageSet(2 images of 2 x 3, uint8, in memory)
>>> images[[3, 0]][0]
array([[18, 19, 20],
       [21, 22, 23]], dtype=uint8)
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from skcount._validation import check_images

__all__ = ["ArraySource", "ImageSet", "ImageSource", "check_image", "image_kind"]


class ImageSet(Sequence):
    """A sequence of images, in memory or lazily in a file, that scikit-learn can split.

    An immutable sequence. An integer index gives one image; a slice, an integer array, a boolean
    mask or ``(key, Ellipsis)`` gives another `ImageSet`, without reading a pixel.
    ``numpy.asarray(images)`` reads all images into one new array.

    Parameters
    ----------
    images : array of shape (n_images, height, width[, n_channels]), sequence of images, or ImageSet
        Images, channels last: one array, or a sequence of images of one or of many sizes, all of
        one type and number of channels. Arrays are kept, not copied: do not change them after.
        For images in a file, see :func:`load_hdf5`.

    Attributes
    ----------
    source : ImageSource
        Where the images are read from. All selections from one set share it.

    Raises
    ------
    ValueError
        If there are no images, a single image lacks its sample axis, or an image is no numeric
        array or differs from the first in type or number of channels.

    See Also
    --------
    load_hdf5 : Opens a file as a lazy image set with its points.
    save_hdf5 : Writes images and points to one file.

    Notes
    -----
    An image in memory comes as a read-only view; an image from a file is a new array. A set in a
    file pickles as the file's path, size and time of change, never as an open file or pixels: it
    goes to other processes for free, and :class:`joblib.Memory` notices that the file was
    written anew. A set in memory pickles the images that are selected, and no others.

    Examples
    --------
    >>> import numpy as np
    >>> from skcount.datasets import ImageSet
    >>> images = ImageSet(np.zeros((5, 8, 10, 3), dtype=np.uint8))
    >>> images.shape, images.dtype, images.n_channels
    ((5, 8, 10, 3), dtype('uint8'), 3)
    >>> images[1:4]
    ImageSet(3 images of 8 x 10 x 3, uint8, in memory)
    >>> images[0].shape
    (8, 10, 3)

    Images of many sizes stand in one set, too:

    >>> ImageSet([np.zeros((8, 10)), np.zeros((4, 4))]).shape
    (2,)
    """

    def __init__(self, images):
        if isinstance(images, ImageSet):
            self.source, self._index = images.source, images._index
            return
        self.source = images if isinstance(images, ImageSource) else ArraySource(images)
        self._index = np.arange(len(self.source.shapes), dtype=np.int64)

    @property
    def shapes(self):
        """Shape of each image, ndarray of shape (n_images, 2) or (n_images, 3), int64."""
        return self.source.shapes[self._index]

    @property
    def shape(self):
        """``(n_images, height, width[, n_channels])``, or ``(n_images,)`` if sizes differ."""
        shapes = self.shapes if len(self) else self.source.shapes
        if len(shapes) == 0 or (shapes != shapes[0]).any():
            return (len(self),)
        return (len(self), *shapes[0].tolist())

    @property
    def ndim(self):
        """Length of `shape`: 1 if the images are of many sizes."""
        return len(self.shape)

    @property
    def dtype(self):
        """Type of the pixels as stored, a numpy dtype."""
        return self.source.dtype

    @property
    def n_channels(self):
        """Number of channels of every image, int; 1 for images without a channel axis."""
        shapes = self.source.shapes
        return int(shapes[0, 2]) if shapes.shape[1] == 3 else 1

    def close(self):
        """Close the file behind this set and all selections from it; the next read reopens it."""
        self.source.close()

    def __len__(self):
        return len(self._index)

    def __getitem__(self, key):
        selected = self._index[_check_key(key)]
        if selected.ndim == 0:
            return self.source.read(int(selected))
        view = type(self).__new__(type(self))
        view.__dict__.update(self.__dict__, _index=selected)
        return view

    def __iter__(self):
        for number in self._index.tolist():
            yield self.source.read(number)

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError(
                "The images are read into a new array, so it cannot be had without a copy; pass copy=None."
            )
        if self.ndim == 1:
            raise ValueError(
                f"The {len(self)} images are of {_n_sizes(self.shapes)} sizes and fit in no single array; "
                "iterate over the set, or select images of one size by its attribute shapes."
            )
        array = np.empty(self.shape, dtype=self.dtype if dtype is None else dtype)
        for row, image in zip(array, self, strict=True):
            row[...] = image
        return array

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __getstate__(self):
        source, index = self.source.pack(self._index)
        # As bytes: joblib hashes an array's strides too, and those of equal selections can differ.
        return {**self.__dict__, "source": source, "_index": index.tobytes()}

    def __setstate__(self, state):
        self.__dict__.update(state, _index=np.frombuffer(state["_index"], dtype=np.int64))

    def __repr__(self):
        sizes = f"{_n_sizes(self.shapes)} sizes"
        if self.ndim > 1:
            sizes = " x ".join(map(str, self.shape[1:]))
        plural = "s" * (len(self) != 1)
        where = self.source.describe()
        return f"{type(self).__name__}({len(self)} image{plural} of {sizes}, {self.dtype}, {where})"


class ImageSource(ABC):
    """Where the images of an `ImageSet` are: reads one at a time, by its number.

    A new kind of storage is a new subclass. It must pickle, without open files; what it pickles is
    what :func:`joblib.hash` sees, so it must change when the images do.

    Attributes
    ----------
    shapes : ndarray of shape (n_images, 2) or (n_images, 3), int64
        Shape of each image, known without reading it.
    dtype : numpy.dtype
        Type of the pixels of all images.
    """

    @abstractmethod
    def read(self, number):
        """Return image `number`, an ndarray (height, width[, n_channels])."""

    @abstractmethod
    def describe(self):
        """Return where the images are, in a few words, for the repr of a set."""

    def pack(self, index):
        """Return a source and an index that give the images at `index` and are light to pickle."""
        return self, index

    def close(self):
        """Let go of open files; the next read opens them again."""
        return


class ArraySource(ImageSource):
    """Images in memory: one array, or a list of arrays.

    Parameters
    ----------
    images : array of shape (n_images, height, width[, n_channels]), or sequence of images
        The images, kept without a copy.
    """

    def __init__(self, images):
        self._store(_check_stack(images) if _is_stack(images) else _check_list(images))

    def _store(self, images):
        if isinstance(images, np.ndarray):
            shape = np.array(images.shape[1:], dtype=np.int64)
            self.shapes = np.broadcast_to(shape, (len(images), len(shape)))
            self.dtype = images.dtype
        else:
            self.shapes = np.array([image.shape for image in images], dtype=np.int64)
            self.dtype = images[0].dtype
        self._images = images

    def read(self, number):
        """Return image `number` as a read-only view."""
        image = self._images[number].view()
        image.setflags(write=False)
        return image

    def describe(self):
        """Return "in memory"."""
        return "in memory"

    def pack(self, index):
        """Leave the images that are not selected behind."""
        # The whole set keeps its array, which joblib recognises and maps into workers only once.
        if np.array_equal(index, np.arange(len(self.shapes))):
            return self, index
        kept = index if len(index) else [0]  # one image tells an empty set its shape and type
        packed = type(self).__new__(type(self))
        if isinstance(self._images, np.ndarray):
            packed._store(self._images[kept])
        else:
            packed._store([self._images[number] for number in kept])
        return packed, np.arange(len(index), dtype=np.int64)

    def __getstate__(self):
        return {"images": self._images}

    def __setstate__(self, state):
        self._store(state["images"])


def check_image(image, number, kind=None):
    """Check one image of a sequence.

    Parameters
    ----------
    image : array-like of shape (height, width) or (height, width, n_channels)
        The image.
    number : int
        Its position in the sequence, for the message.
    kind : tuple or None, default=None
        What :func:`image_kind` says of the first image; this image must be of the same kind.

    Returns
    -------
    ndarray
        The image, not copied if it is an array.

    Raises
    ------
    ValueError
        If it has another number of axes, no pixels, a type that is not numeric, or is of another
        kind than the first.

    Examples
    --------
    >>> check_image([[0, 1]], 0).shape
    (1, 2)
    """
    image = np.asarray(image)
    if image.ndim not in {2, 3} or image.size == 0:
        raise ValueError(
            f"Image {number} has shape {image.shape}; expected (height, width) or (height, width, "
            "n_channels), none of them 0."
        )
    if image.dtype.kind not in "buif":
        raise ValueError(
            f"Image {number} has dtype {image.dtype}; expected integers, booleans or real floats."
        )
    if kind is not None and image_kind(image) != kind:
        raise ValueError(
            f"Image {number} has {_describe_kind(image_kind(image))}, and image 0 has {_describe_kind(kind)}"
            "; expected one type and one number of channels. Convert the images first."
        )
    return image


def image_kind(image):
    """Tell what all images of a set must share: the type and the channel axis.

    Parameters
    ----------
    image : ndarray of shape (height, width[, n_channels])
        An image.

    Returns
    -------
    tuple
        Its dtype and its shape after height and width.

    Examples
    --------
    >>> import numpy as np
    >>> image_kind(np.zeros((4, 5, 3), dtype=np.uint8))
    (dtype('uint8'), (3,))
    """
    return image.dtype.newbyteorder("="), image.shape[2:]


def _describe_kind(kind):
    dtype, channels = kind
    return f"dtype {dtype} and {f'{channels[0]} channels' if channels else 'no channel axis'}"


def _is_stack(images):
    return isinstance(images, np.ndarray) and images.dtype != object


def _check_stack(images):
    check_images(images)
    return images


def _check_list(images):
    if isinstance(images, str | bytes | dict | set) or not hasattr(images, "__iter__"):
        raise ValueError(
            f"images is a {type(images).__name__}; expected an array (n_images, height, width[, n_channels]) "
            "or a sequence of images. Images in a file are opened by load_hdf5(path).images."
        )
    checked = []
    for number, image in enumerate(images):
        kind = image_kind(checked[0]) if checked else None
        checked.append(check_image(image, number, kind))
    if not checked:
        raise ValueError("There are no images; expected at least one.")
    return checked


def _check_key(key):
    """Check what selects images: an int, a slice, or a 1-D array of integers or booleans."""
    if isinstance(key, tuple):  # scikit-learn indexes whatever has a shape with (key, Ellipsis)
        if len(key) != 2 or key[1] is not Ellipsis:
            raise IndexError(
                f"{len(key)} indices came; expected one, for a set is indexed by image. Crop the images "
                "themselves: images[i][rows, columns]."
            )
        key = key[0]
    if isinstance(key, slice):
        return key
    key = np.asarray(key)
    if key.size == 0 and key.ndim == 1:
        return np.asarray(key, dtype=np.intp if key.dtype != bool else bool)  # [] is float to numpy
    if key.ndim > 1 or key.dtype.kind not in "iub" or (key.ndim == 0 and key.dtype == bool):
        raise IndexError(
            f"The index has {key.ndim} dimensions and dtype {key.dtype}; expected an integer, a slice, or a "
            "1-D array of integers or booleans."
        )
    return key


def _n_sizes(shapes):
    return len(np.unique(shapes, axis=0))
