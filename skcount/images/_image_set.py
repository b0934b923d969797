"""A sequence of images, in memory or in files, that scikit-learn can index like an array.

An `ImageSet` combines a store, which reads one image at a time, with an index, which lists the store's images that are
in the set, in order. Selecting images changes only the index, so a split of a data set larger than memory costs a few
bytes per image.

>>> import numpy as np
>>> images = ImageSet(np.arange(24, dtype=np.uint8).reshape(4, 2, 3))
>>> images[[3, 0]]
ImageSet(2 images of 2 x 3, uint8, in memory)
>>> images[[3, 0]][0]
array([[18, 19, 20],
       [21, 22, 23]], dtype=uint8)
"""

import warnings
from collections.abc import Sequence
from functools import cached_property
from numbers import Real

import numpy as np

from skcount._check import (
    check_groups,
    check_length,
    check_side_map,
    check_side_maps,
    side_map,
    side_map_dtype,
)
from skcount.images._describe import describe, describe_in_html, n_sizes
from skcount.images._index import check_key, pack, read_only, unpack
from skcount.images._pixels import OutOfDistributionWarning
from skcount.images._stores import ImageStore, MaskStore, MemoryStore, has_data


class ImageSet(Sequence):
    """A sequence of images, in memory or lazily in a file, that scikit-learn can split.

    The set is an immutable sequence. An integer index gives one image; a slice, an integer array, a boolean mask or
    ``(key, Ellipsis)`` gives another `ImageSet`, without reading any pixels. ``numpy.asarray(images)`` reads all images
    into a new array.

    The side data of an image (region of interest, perspective and group) are always selected together with it.

    Parameters
    ----------
    images : array of shape (n_images, height, width[, n_channels]), sequence of images, or ImageSet
        Images, channels last: one array, or a sequence of images of one or several sizes, all with one dtype and the
        same number of channels. Arrays are kept without a copy: do not change them later. For images in files, see
        :func:`skcount.io.load_hdf5` and :func:`skcount.io.load_folder`. An `ImageSet` keeps its side data.
    roi : array of shape (height, width), or one for each image, default=None
        Region of interest, True at pixels where objects are counted: one boolean mask for all images, which must then
        have one size, or an array (n_images, height, width), a sequence of masks, or an `ImageSet` of masks. Integers 0
        and 1 are accepted as booleans.
    perspective : array of shape (height, width), or one for each image, default=None
        Relative size of objects at each pixel, finite and above 0. As for `roi`, one map for all images or one per
        image.
    groups : array-like of shape (n_images,), default=None
        One label per image, integers or strings: images of one group stay on one side of a split.
    nodata : float, default=None
        Value of pixels without data, such as -9999 or NaN. Pixels that have it in every channel are outside the region
        of interest, besides those outside `roi`.

    Attributes
    ----------
    store : ImageStore
        Reads the images. All selections from one set share it.
    roi, perspective : ndarray of shape (height, width), ImageSet or None
        Side data: one map for all images, or a set of one map per image.
    groups : ndarray of shape (n_images,) or None
        Group of each image.

    Raises
    ------
    ValueError
        If there are no images, a single image lacks its sample axis, an image is not a numeric array or differs from
        the first in dtype or number of channels, or side data do not match the images. Side data in a file are checked
        when they are read.

    See Also
    --------
    skcount.io.load_hdf5 : Opens a file as a lazy image set with its points.
    skcount.io.save_hdf5 : Writes images and points to one file.

    Notes
    -----
    An image in memory is returned as a read-only view, an image in a file as a new array. A set in a file is pickled as
    the file's path, size and modification time, never as an open file or pixels. Sending it to other processes
    therefore costs almost nothing, and :class:`joblib.Memory` notices when the file has changed. A set in memory
    pickles only the selected images.

    Examples
    --------
    >>> import numpy as np
    >>> from skcount import ImageSet
    >>> images = ImageSet(np.zeros((5, 8, 10, 3), dtype=np.uint8))
    >>> images.shape, images.dtype, images.n_channels
    ((5, 8, 10, 3), dtype('uint8'), 3)
    >>> images[1:4]
    ImageSet(3 images of 8 x 10 x 3, uint8, in memory)
    >>> images[0].shape
    (8, 10, 3)

    A mask for all images and a group for each are selected along with them:

    >>> mask = np.arange(10) < np.full((8, 1), 5)
    >>> clips = ImageSet(images, roi=mask, groups=["a", "a", "b", "b", "b"])
    >>> clips[1:4]
    ImageSet(3 images of 8 x 10 x 3, uint8, in memory, with roi, groups)
    >>> clips[1:4].groups
    array(['a', 'b', 'b'], dtype='<U1')

    Pixels without data are outside the region:

    >>> raster = np.where(mask, 0.5, -9999)
    >>> bool((ImageSet([raster], nodata=-9999).roi[0] == mask).all())
    True

    A set can also contain images of several sizes, each with its own mask:

    >>> sizes = [(8, 10), (4, 4)]
    >>> mixed = ImageSet([np.zeros(s) for s in sizes], roi=[np.ones(s, dtype=bool) for s in sizes])
    >>> mixed.shape, mixed.roi[1].shape
    ((2,), (4, 4))
    """

    def __init__(self, images, roi=None, perspective=None, groups=None, nodata=None):
        if isinstance(images, ImageSet):
            self._build(images.store, images._index, images.roi, images.perspective, images.groups)
        else:
            store = images if isinstance(images, ImageStore) else MemoryStore(images)
            self._build(store, np.arange(len(store.shapes), dtype=np.int64), None, None, None)
        if roi is not None:
            self.roi = self._check_maps("roi", roi)
        if perspective is not None:
            self.perspective = self._check_maps("perspective", perspective)
        if groups is not None:
            self.groups = check_groups(groups, len(self))
        if nodata is not None:
            self.roi = self._without_nodata(nodata)

    def _build(self, store, index, roi, perspective, groups):
        self.store = store
        self._index = index
        self.roi, self.perspective, self.groups = roi, perspective, groups
        # "roi" or "perspective" in a set of maps that are checked when they are first read.
        self._lazy_map = None
        self._pixel_type = None  # the integer type by whose range pixels are scaled, if it is not their own

    @property
    def shapes(self):
        """Shape of each image, ndarray of shape (n_images, 2) or (n_images, 3), int64."""
        return self.store.shapes[self._index]

    @cached_property
    def sizes(self):
        """Size of each image, list of (height, width) in pixels."""
        return list(map(tuple, self.shapes[:, :2].tolist()))

    @property
    def shape(self):
        """``(n_images, height, width[, n_channels])``, or ``(n_images,)`` if sizes differ."""
        shapes = self.shapes if len(self) else self.store.shapes
        if len(shapes) == 0 or (shapes != shapes[0]).any():
            return (len(self),)
        return (len(self), *shapes[0].tolist())

    @property
    def ndim(self):
        """Length of `shape`: 1 if the images have several sizes."""
        return len(self.shape)

    @property
    def dtype(self):
        """Type of the pixels as stored, a numpy dtype."""
        stored = self.store.dtype
        return stored if self._lazy_map is None else side_map_dtype(self._lazy_map, stored)

    @cached_property
    def n_channels(self):
        """Number of channels of every image, int; 1 for images without a channel axis."""
        shapes = self.store.shapes
        return int(shapes[0, 2]) if shapes.shape[1] == 3 else 1

    def read(self, index, window=None, dtype=np.float32):
        """Read one image, or a window of it, as floats with the channels first.

        Parameters
        ----------
        index : int
            Position of the image in the set.
        window : (top, left, height, width) or None, default=None
            The part to read, in pixels, inside the image. If None, read all of it.
        dtype : dtype, default=float32
            Type of the result.

        Returns
        -------
        ndarray of shape (n_channels, height, width)
            A new array: integer pixels scaled by their type's range (unsigned ones to [0, 1]), floats unchanged.
        """
        image = self.store.open(int(self._index[index]))
        if window is not None:
            top, left, height, width = window
            image = image[top : top + height, left : left + width]
        image = np.asarray(image)
        image = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
        with np.errstate(over="ignore"):  # too large values become infinity, which PixelStatistics rejects
            pixels = np.array(image, dtype=dtype, order="C")
        if image.dtype.kind in "iu":
            pixels /= np.iinfo(image.dtype if self._pixel_type is None else self._pixel_type).max
            if self._pixel_type is not None:
                _check_range(image, self._pixel_type, index)
        return pixels

    def side_data(self, index):
        """Return the region of interest and the perspective of image `index`.

        Parameters
        ----------
        index : int
            Position of the image in the set.

        Returns
        -------
        dict
            "roi" and "perspective": each an ndarray of shape (height, width), or None.
        """
        return {"roi": side_map(self.roi, index), "perspective": side_map(self.perspective, index)}

    def take(self, indices):
        """Select images by their positions.

        Parameters
        ----------
        indices : array-like of int
            Positions, in the order of the result.

        Returns
        -------
        ImageSet
            The images and their side data.
        """
        return self[np.asarray(indices, dtype=np.intp)]

    def close(self):
        """Close the files of this set and of all selections from it; the next read opens them again."""
        self.store.close()
        for maps in (self.roi, self.perspective):
            if isinstance(maps, ImageSet):
                maps.close()

    def __len__(self):
        return len(self._index)

    def __getitem__(self, key):
        key = check_key(key)
        selected = self._index[key]
        if selected.ndim == 0:
            return self._stored(int(selected))
        view = type(self).__new__(type(self))
        roi, perspective = (m[key] if isinstance(m, ImageSet) else m for m in (self.roi, self.perspective))
        groups = None if self.groups is None else read_only(self.groups[key].copy())
        view._build(self.store, selected, roi, perspective, groups)
        view._lazy_map, view._pixel_type = self._lazy_map, self._pixel_type
        return view

    def __iter__(self):
        for number in self._index.tolist():
            yield self._stored(number)

    def _stored(self, number):
        """Return an image of the store as it is stored; check a map in a file when it is first read."""
        if self._lazy_map is None:
            return self.store.read(number)
        stored = self.store.open(number)  # a crop reads the map of its image more than once
        if number not in self.store.checked:
            check_side_map(self._lazy_map, stored, number, self.store.shapes[number])
            self.store.checked.add(number)
        return np.asarray(stored).astype(self.dtype, copy=False)

    def _check_maps(self, name, maps):
        """Return side data as one read-only array for all images, or as an `ImageSet` of one map per image."""
        if len(self) == 0:
            raise ValueError(f"`{name}` needs at least one image; got a set without images.")
        is_dataset = not isinstance(maps, np.ndarray) and len(getattr(maps, "shape", ())) == 3
        if isinstance(maps, ImageSet) and maps._lazy_map == name:
            checked = maps
        elif is_dataset or (isinstance(maps, ImageSet) and not isinstance(maps.store, MemoryStore)):
            checked = ImageSet(maps)
            checked._lazy_map = name
            side_map_dtype(name, checked.store.dtype)
        else:
            given = maps
            maps = check_side_maps(name, list(maps) if isinstance(maps, ImageSet) else maps, self.sizes)
            if isinstance(maps, np.ndarray):
                return read_only(np.array(maps, order="C"))
            dtype = np.result_type(*{one.dtype for one in maps})
            if isinstance(given, np.ndarray) and given.dtype != object:
                return ImageSet(MemoryStore(given.astype(dtype, copy=False), checked=True))
            return ImageSet(MemoryStore([one.astype(dtype, copy=False) for one in maps], checked=True))
        check_length(len(self), len(checked), name)
        wrong = [
            i
            for i, (size, own) in enumerate(zip(checked.shapes.tolist(), self.sizes, strict=True))
            if tuple(size) != own
        ]
        if wrong:
            shape, size = tuple(checked.shapes[wrong[0]].tolist()), self.sizes[wrong[0]]
            raise ValueError(
                f"`{name}` of image {wrong[0]} must have shape {size}, the (height, width) of the image; got {shape}."
            )
        return checked

    def _without_nodata(self, nodata):
        """Return the regions of interest without pixels of this value, computed at once only for images in memory."""
        if not isinstance(nodata, Real) or isinstance(nodata, bool):
            raise ValueError(f"`nodata` must be a number, the value of pixels without data; got {nodata!r}.")
        images = self[:]
        if not isinstance(self.store, MemoryStore):
            return self._check_maps("roi", ImageSet(MaskStore(images, nodata)))
        return self._check_maps("roi", [has_data(images, index, nodata) for index in range(len(self))])

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError(
                "An ImageSet cannot become an array without a copy, because its images are read. Pass copy=None."
            )
        if self.ndim == 1:
            raise ValueError(
                f"The {len(self)} images have {n_sizes(self.shapes)} sizes and do not fit in one array. Iterate over "
                "the set, or select images of one size by `shapes`."
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
        store, index = self.store.pack(self._index)
        state = {**self.__dict__, "store": store, "_index": pack(index), "groups": pack(self.groups)}
        for name in ("sizes", "n_channels"):
            state.pop(name, None)
        return state

    def __setstate__(self, state):
        self.__dict__.update(state, _index=unpack(state["_index"]), groups=unpack(state["groups"]))
        for maps in (self.roi, self.perspective):
            if isinstance(maps, np.ndarray):
                read_only(maps)

    def __repr__(self):
        return describe(self)

    def _repr_html_(self):
        return describe_in_html(self)


def like_training(images, name):
    """Return images whose integers are scaled like those of the training type `name`; warn of another type of pixels."""
    given = images.dtype.newbyteorder("=")
    trained = given if name is None else np.dtype(name)  # older models do not know it
    if given == trained or given.kind == trained.kind == "f":
        return images
    if given.kind in "iu" and trained.kind in "iu" and max(given.itemsize, trained.itemsize) > 2:
        images = images[:]
        images._pixel_type = trained
        return images
    warnings.warn(
        f"X has pixels of type {given}, and the training images had {trained}. Integers are scaled by their type's range "
        f"and floats are used unchanged, so counts may be wrong. Convert X to {trained}.",
        OutOfDistributionWarning,
        stacklevel=4,
    )
    return images


def _check_range(image, dtype, index):
    """Reject pixels that do not fit into the integer type of the training images."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    if image.size and (image.min() < low or image.max() > high):
        raise ValueError(
            f"Image {index} of X must hold {dtype} pixels, from {low} to {high}, like the training images; got "
            f"{image.dtype} pixels from {image.min()} to {image.max()}."
        )


def check_images(X, roi=None, perspective=None):
    """Return `X` as an ImageSet, with the given side data or else its own; raise ValueError if `X` is not images."""
    if isinstance(X, ImageSet) and roi is None and perspective is None:
        return X
    return ImageSet(X, roi=roi, perspective=perspective)
