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

from skcount._check import check_groups, check_map, check_map_dtype, map_owner
from skcount._html import table
from skcount.images._checked import as_pixels, check_images

__all__ = ["ArraySource", "ImageSet", "ImageSource", "check_image", "image_kind"]


class ImageSet(Sequence):
    """A sequence of images, in memory or lazily in a file, that scikit-learn can split.

    An immutable sequence. An integer index gives one image; a slice, an integer array, a boolean
    mask or ``(key, Ellipsis)`` gives another `ImageSet`, without reading a pixel.
    ``numpy.asarray(images)`` reads all images into one new array.

    What belongs to each image can stand beside it, and goes wherever the image goes: the region that
    counts, the scale of objects, the group.

    Parameters
    ----------
    images : array of shape (n_images, height, width[, n_channels]), sequence of images, or ImageSet
        Images, channels last: one array, or a sequence of images of one or of many sizes, all of
        one type and number of channels. Arrays are kept, not copied: do not change them after.
        For images in a file, see :func:`load_hdf5`. An `ImageSet` brings along what it carries.
    roi : array of shape (height, width), or one for each image, default=None
        Region of interest, True where objects count: one boolean mask for all images, which are then
        of one size, or an array (n_images, height, width), a sequence of masks, or an `ImageSet` of
        masks. Integers 0 and 1 are taken as booleans.
    perspective : array of shape (height, width), or one for each image, default=None
        Linear scale of objects at each pixel, relative to elsewhere: finite and above 0. As for `roi`,
        one map for all images, or one for each.
    groups : array-like of shape (n_images,), default=None
        One label an image, integers or strings: images of one group belong on one side of a split.

    Attributes
    ----------
    source : ImageSource
        Where the images are read from. All selections from one set share it.

    Raises
    ------
    ValueError
        If there are no images, a single image lacks its sample axis, an image is no numeric
        array or differs from the first in type or number of channels, or what it is to carry does
        not fit it. Maps in a file are checked when they are read.

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

    Images of many sizes stand in one set, too, each with its own mask:

    >>> sizes = [(8, 10), (4, 4)]
    >>> mixed = ImageSet([np.zeros(s) for s in sizes], roi=[np.ones(s, dtype=bool) for s in sizes])
    >>> mixed.shape, mixed.roi[1].shape
    ((2,), (4, 4))
    """

    def __init__(self, images, roi=None, perspective=None, groups=None):
        if isinstance(images, ImageSet):
            self.__dict__.update(images.__dict__)
        else:
            self.source = images if isinstance(images, ImageSource) else ArraySource(images)
            self._index = np.arange(len(self.source.shapes), dtype=np.int64)
            self._roi = self._perspective = self._groups = None
        if roi is not None:
            self._roi = _check_maps("roi", roi, self.shapes)
        if perspective is not None:
            self._perspective = _check_maps("perspective", perspective, self.shapes)
        if groups is not None:
            self._groups = check_groups(groups, len(self))

    @property
    def roi(self):
        """Regions of interest: None, ndarray (height, width) for all images, or ImageSet of masks."""
        return self._roi

    @property
    def perspective(self):
        """Scales of objects: None, ndarray (height, width) for all images, or ImageSet of maps."""
        return self._perspective

    @property
    def groups(self):
        """Group of each image: None, or ndarray of shape (n_images,)."""
        return self._groups

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
        """Close the files behind this set and all selections from it; the next read reopens them."""
        self.source.close()
        for maps in (self._roi, self._perspective):
            if isinstance(maps, ImageSet):
                maps.close()

    def __len__(self):
        return len(self._index)

    def __getitem__(self, key):
        key = _check_key(key)
        selected = self._index[key]
        if selected.ndim == 0:
            return self.source.read(int(selected))
        view = type(self).__new__(type(self))
        view.__dict__.update(
            self.__dict__,
            _index=selected,
            _roi=_select_maps(self._roi, key),
            _perspective=_select_maps(self._perspective, key),
            _groups=None if self._groups is None else _read_only(self._groups[key].copy()),
        )
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
        return {**self.__dict__, "source": source, "_index": _pack(index), "_groups": _pack(self._groups)}

    def __setstate__(self, state):
        self.__dict__.update(state, _index=_unpack(state["_index"]), _groups=_unpack(state["_groups"]))
        for carried in (self._roi, self._perspective):
            if isinstance(carried, np.ndarray):
                _read_only(carried)

    def __repr__(self):
        sizes = f"{_n_sizes(self.shapes)} sizes"
        if self.ndim > 1:
            sizes = " x ".join(map(str, self.shape[1:]))
        plural = "s" * (len(self) != 1)
        where = self.source.describe()
        carried = [name for name in ("roi", "perspective", "groups") if getattr(self, name) is not None]
        carried = f", with {', '.join(carried)}" * bool(carried)
        return f"{type(self).__name__}({len(self)} image{plural} of {sizes}, {self.dtype}, {where}{carried})"

    def _repr_html_(self):
        groups = None if self.groups is None else f"{len(np.unique(self.groups))} of them"
        rows = {
            "images": len(self),
            "size": _describe_sizes(self.shapes),
            "type": self.dtype,
            "pixels": f"{self.shapes.prod(axis=1).sum() * self.dtype.itemsize / 1e6:,.1f} MB",
            "from": self.source.describe(),
            "roi": _describe_maps(self.roi),
            "perspective": _describe_maps(self.perspective),
            "groups": groups,
        }
        return table(type(self).__name__, rows)


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

    @classmethod
    def of_checked(cls, images):
        """Make a source of images that need no check.

        Parameters
        ----------
        images : ndarray of shape (n_images, height, width[, n_channels]), or list of ndarray
            The images, kept without a copy; a list is not empty.

        Returns
        -------
        ArraySource
            The source.
        """
        source = cls.__new__(cls)
        source._store(images)
        return source

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
        is_array = isinstance(self._images, np.ndarray)
        images = self._images[kept] if is_array else [self._images[number] for number in kept]
        return self.of_checked(images), np.arange(len(index), dtype=np.int64)

    def __getstate__(self):
        return {"images": self._images}

    def __setstate__(self, state):
        self._store(state["images"])


class _MapSource(ImageSource):
    """Regions of interest or perspective maps that another source reads: checked when they are read."""

    def __init__(self, name, source):
        self.name = name
        self._source = source
        self.shapes = source.shapes
        self.dtype = check_map_dtype(name, source.dtype, map_owner(name, None))

    def read(self, number):
        return check_map(self.name, self._source.read(number), number, self.shapes[number])

    def describe(self):
        return self._source.describe()

    def pack(self, index):
        source, index = self._source.pack(index)
        return _MapSource(self.name, source), index

    def close(self):
        self._source.close()


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
    image = as_pixels(image, f"Image {number}")
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
    no_images = isinstance(images, str | bytes | dict | set) or getattr(images, "shape", None) == ()
    if no_images or not hasattr(images, "__iter__"):
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


def _check_maps(name, maps, shapes):
    """Check the maps of images of these shapes; return one array for all, or an `ImageSet` of one each."""
    if len(shapes) == 0:
        raise ValueError(f"There are no images that could have a {name}; give it before selecting none.")
    sizes = shapes[:, :2]
    if isinstance(maps, np.ndarray) and maps.ndim == 2 and maps.dtype != object:
        if (sizes != sizes[0]).any():
            raise ValueError(
                f"{map_owner(name, None)} is one map, of shape {maps.shape}, for images of {_n_sizes(sizes)} sizes; "
                "expected one map for each image."
            )
        return _read_only(np.array(check_map(name, maps, None, sizes[0]), order="C"))
    not_maps = isinstance(maps, str | bytes | dict | set) or getattr(maps, "shape", None) == ()
    if not_maps or hasattr(maps, "toarray") or not hasattr(maps, "__iter__"):
        raise ValueError(
            f"{map_owner(name, None)} is a {type(maps).__name__}; expected one array (height, width) for all images, "
            "or one for each."
        )
    maps = maps if hasattr(maps, "__len__") else list(maps)
    if len(maps) != len(sizes):
        raise ValueError(
            f"{map_owner(name, None)} has {len(maps)} maps and there are {len(sizes)} images; expected one map for "
            "each image, or one array (height, width) for all."
        )
    if isinstance(maps, ImageSet) and not isinstance(maps.source, ArraySource):
        return _check_lazy_maps(name, maps, sizes)
    checked = [check_map(name, one, number, sizes[number]) for number, one in enumerate(maps)]
    dtype = np.result_type(*{one.dtype for one in checked})
    if isinstance(maps, np.ndarray) and maps.dtype != object:
        return ImageSet(ArraySource.of_checked(maps.astype(dtype, copy=False)))
    return ImageSet(ArraySource.of_checked([one.astype(dtype, copy=False) for one in checked]))


def _check_lazy_maps(name, maps, sizes):
    wrong = maps.shapes.shape[1] != 2 or (maps.shapes != sizes).any(axis=1)
    if np.any(wrong):
        number = int(np.argmax(wrong))
        raise ValueError(
            f"{map_owner(name, number)} has shape {tuple(maps.shapes[number].tolist())}; expected "
            f"{tuple(sizes[number].tolist())}, the (height, width) of the image."
        )
    is_checked = isinstance(maps.source, _MapSource) and maps.source.name == name
    checked = ImageSet(maps.source if is_checked else _MapSource(name, maps.source))
    checked._index = maps._index
    return checked


def _select_maps(maps, key):
    return maps[key] if isinstance(maps, ImageSet) else maps


def _read_only(array):
    array.setflags(write=False)
    return array


def _pack(array):
    """Return type and bytes: joblib hashes an array's strides too, and those of equal selections can differ."""
    return None if array is None else (array.dtype.str, array.tobytes())


def _unpack(packed):
    return None if packed is None else np.frombuffer(packed[1], dtype=packed[0])


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


def _describe_sizes(shapes):
    if not len(shapes):
        return None
    by_area = shapes[np.argsort(shapes.prod(axis=1))]
    smallest, largest = (" x ".join(map(str, shape.tolist())) for shape in (by_area[0], by_area[-1]))
    return smallest if _n_sizes(shapes) == 1 else f"{_n_sizes(shapes)}, from {smallest} to {largest}"


def _describe_maps(maps):
    if maps is None:
        return None
    return "one for each image" if isinstance(maps, ImageSet) else "one for all images"
