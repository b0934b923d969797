"""Stores: where the images of a set are, read one at a time."""

from abc import ABC, abstractmethod

import numpy as np

from skcount.images._check import open_images


class ImageStore(ABC):
    """Images that are read one at a time, by number.

    A new kind of storage is a new subclass. It must pickle without open files, and its pickle must change when its
    images change, because :func:`joblib.hash` sees nothing else.

    Attributes
    ----------
    shapes : ndarray of shape (n_images, 2) or (n_images, 3), int64
        Shape of each image, known without reading it.
    dtype : numpy.dtype
        Type of the pixels of all images.
    """

    _last = None, None

    @abstractmethod
    def read(self, number):
        """Return image `number`, an array of shape (height, width[, n_channels])."""

    @abstractmethod
    def describe(self):
        """Return a few words that say where the images are, such as "in cells.h5"."""

    def open(self, number):
        """Return image `number` for reading windows of it; it is kept until another one is opened."""
        if self._last[0] != number:
            self._last = number, self.read(number)
        return self._last[1]

    @property
    def checked(self):
        """Numbers of the side maps that have passed their check."""
        return vars(self).setdefault("_checked", set())

    def pack(self, index):
        """Return a store and an index for the images at `index` that are small when pickled."""
        return self, index

    def close(self):
        """Close the files; the next read opens them again."""
        self._last = None, None

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name not in {"_last", "_checked"}}


class MemoryStore(ImageStore):
    """Images in memory or in a user's own lazy sequence: an array, a list of arrays, or an object indexed like one.

    Images are kept without a copy.
    """

    def __init__(self, images, checked=False):
        if not checked:
            images, self.shapes, self.dtype = open_images(images)
        elif isinstance(images, np.ndarray):
            shape = np.array(images.shape[1:], dtype=np.int64)
            self.shapes, self.dtype = np.broadcast_to(shape, (len(images), len(shape))), images.dtype
        else:
            self.shapes = np.array([image.shape for image in images], dtype=np.int64)
            self.dtype = np.result_type(*{image.dtype for image in images})
        self._images = images

    def read(self, number):
        """Return image `number`: a read-only view, or a lazy object that reads pixels when it is sliced."""
        image = self._images[number]
        if isinstance(image, np.ndarray):
            image = image.view()
            image.setflags(write=False)
        return image

    open = read

    def describe(self):
        """Return "in memory"."""
        return "in memory"

    def pack(self, index):
        """Return a store of only the images at `index`."""
        # The whole set keeps its array, which joblib recognises and maps into workers only once.
        in_memory = isinstance(self._images, np.ndarray | list)
        if not in_memory or np.array_equal(index, np.arange(len(self.shapes))):
            return self, index
        kept = index if len(index) else [0]  # one image gives an empty set its shape and dtype
        is_array = isinstance(self._images, np.ndarray)
        images = self._images[kept] if is_array else [self._images[number] for number in kept]
        return MemoryStore(images, checked=True), np.arange(len(index), dtype=np.int64)

    def __getstate__(self):
        return {"images": self._images}

    def __setstate__(self, state):
        self.__init__(state["images"], checked=isinstance(state["images"], np.ndarray | list))


class ComputedStore(ImageStore):
    """Images that are computed from those of another set, window by window."""

    @abstractmethod
    def window(self, number, window):
        """Return a window (top, left, height, width) of image `number`."""

    def read(self, number):
        """Return a whole image."""
        return self.window(number, (0, 0, *self.shapes[number, :2].tolist()))

    def open(self, number):
        """Return an image whose slices read only the pixels under them."""
        return _Lazy(self, number)


class _Lazy:
    """An image that is computed when it is sliced."""

    def __init__(self, store, number):
        self.store, self.number = store, number

    def __getitem__(self, window):
        rows, cols = window
        height, width = self.store.shapes[self.number, :2].tolist()
        (top, bottom, _), (left, right, _) = rows.indices(height), cols.indices(width)
        return self.store.window(self.number, (top, left, bottom - top, right - left))

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.store.read(self.number), dtype=dtype)


class MaskStore(ImageStore):
    """Regions of interest of the images of a set: where they have data, computed when they are read."""

    dtype = np.dtype(bool)

    def __init__(self, images, nodata):
        self.images, self.nodata = images, nodata
        self.shapes = images.shapes[:, :2]

    def read(self, number):
        """Return the region of image `number`."""
        return has_data(self.images, number, self.nodata)

    def describe(self):
        """Say where the images are."""
        return self.images.store.describe()


def has_data(images, index, nodata):
    """Return where image `index` of a set is inside its region and has data in any channel."""
    image = np.asarray(images[index])
    is_data = ~np.isnan(image) if np.isnan(nodata) else image != nodata
    is_data = is_data if image.ndim == 2 else is_data.any(axis=2)
    roi = images.side_data(index)["roi"]
    return is_data if roi is None else is_data & roi
