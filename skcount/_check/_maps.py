"""What belongs to images beside their pixels: regions of interest and perspective maps."""

from collections.abc import Sequence

import numpy as np

from skcount._check._kinds import as_array, check_length, entry_ndim
from skcount._check._memory import free_memory
from skcount._check._side_data import check_map

# Maps of fewer bytes are made without a question to the system.
LARGE = 100_000_000


class Subset(Sequence):
    """Some items of a sequence, by index."""

    def __init__(self, source, indices):
        self.source = source
        self.indices = indices

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        return self.source[int(self.indices[index])]


class ImageMaps:
    """Checked masks or scales that go with images: one for all, or one for each.

    Parameters
    ----------
    maps : ndarray of shape (height, width), or sequence of array-like of shape (height, width)
        One map for all images where it is an array of two dimensions.
    shapes : list of (height, width)
        The size of each image, in pixels.
    check : callable or None, default=None
        Takes a map, its position and the size of its image, and returns it as an array; raises ValueError if it is not
        valid. None where the maps were checked before.
    """

    def __init__(self, maps, shapes, check=None):
        self.maps = maps
        self.shapes = shapes
        self.check = check
        self._last = None, None

    @property
    def is_shared(self):
        """Whether one map is for all images."""
        return isinstance(self.maps, np.ndarray) and self.maps.ndim == 2

    def read(self, index):
        """Return the map of image `index`, ndarray of shape (height, width)."""
        if self.is_shared:
            return self.maps
        if self.check is None:
            return self.maps[index]
        # A crop asks for the map of its image more than once, and it may be in a file.
        if self._last[0] != index:
            self._last = index, self.check(self.maps[index], index, self.shapes[index])
        return self._last[1]

    def take(self, indices):
        """Return the maps of the images at `indices`, in that order."""
        maps = self.maps if self.is_shared else Subset(self.maps, indices)
        return ImageMaps(maps, [self.shapes[i] for i in indices], self.check)


def empty_maps(shapes, dtype):
    """Make room for one map an image.

    Parameters
    ----------
    shapes : list of (height, width)
        The size of each image, in pixels.
    dtype : dtype
        The type of the maps.

    Returns
    -------
    ndarray of shape (n_images, height, width), or list of ndarray of shape (height, width)
        Arrays of any content; a list where the sizes of the images differ.

    Raises
    ------
    MemoryError
        If there is less memory than they take.

    Examples
    --------
    >>> empty_maps([(2, 3), (2, 3)], np.float32).shape
    (2, 2, 3)
    >>> [page.shape for page in empty_maps([(2, 3), (4, 5)], np.float32)]
    [(2, 3), (4, 5)]
    """
    needed = sum(height * width for height, width in shapes) * np.dtype(dtype).itemsize
    if needed > LARGE and needed > (free := free_memory()):
        raise MemoryError(
            f"{len(shapes)} density maps, the first of {shapes[0][0]} x {shapes[0][1]} pixels, need {needed / 1e9:.1f} GB, "
            f"and {free / 1e9:.1f} GB are free; pass fewer images at once. Predictions need not be held: see iter_density, "
            "and out= of predict_density."
        )
    if len(set(map(tuple, shapes))) == 1:
        return np.empty((len(shapes), *shapes[0]), dtype)
    return [np.empty(shape, dtype) for shape in shapes]


def check_roi(roi, shapes):
    """Check the regions of interest of images.

    Parameters
    ----------
    roi : array of shape (height, width), array of shape (n_images, height, width), or sequence of masks; or None
        Boolean masks, or ones of 0 and 1: one for all images or one for each.
    shapes : list of (height, width)
        The size of each image, in pixels.

    Returns
    -------
    ImageMaps or None
        The masks; their `read` gives boolean arrays.

    Raises
    ------
    ValueError
        If a mask has another size than its image, is not boolean, or leaves nothing of it; or if their number is not
        the number of images.

    Examples
    --------
    >>> check_roi([[0, 1], [1, 1]], [(2, 2)]).read(0)
    array([[False,  True],
           [ True,  True]])
    """
    return _check_maps(roi, shapes, "roi")


def check_perspective(perspective, shapes):
    """Check the perspective maps of images.

    Parameters
    ----------
    perspective : array of shape (height, width), array of shape (n_images, height, width), or sequence; or None
        Relative scale of the objects at each pixel, > 0: one map for all images or one for each.
    shapes : list of (height, width)
        The size of each image, in pixels.

    Returns
    -------
    ImageMaps or None
        The maps.

    Raises
    ------
    ValueError
        If a map has another size than its image, is not finite or not above 0; or if their number is not the number
        of images.
    """
    return _check_maps(perspective, shapes, "perspective")


def _check_maps(maps, shapes, name):
    if maps is None or isinstance(maps, ImageMaps):
        return maps

    def check(one, index, shape):
        return _check_one(one, name, f"The {name} of image {index}", index, shape)

    not_maps = isinstance(maps, str | bytes | dict) or getattr(maps, "shape", None) == ()
    if (
        not_maps
        or hasattr(maps, "toarray")
        or not hasattr(maps, "__len__")
        or not hasattr(maps, "__getitem__")
    ):
        raise ValueError(
            f"{name} is a {type(maps).__name__}; expected an array of shape (height, width), or a sequence of one an image."
        )
    # A frame, a tensor and a dataset of a file say that they are one map.
    if _is_shared(maps) or len(getattr(maps, "shape", ())) == 2:
        maps = as_array(maps, f"The {name}", "(height, width)")
        shape = maps.shape
        index = next((index for index, other in enumerate(shapes) if tuple(other) != shape), 0)
        return ImageMaps(_check_one(maps, name, f"The {name}", index, shapes[index]), shapes)
    check_length(len(shapes), len(maps), name)
    if isinstance(maps, np.ndarray | list | tuple):  # what is lazy is checked when it is read
        return ImageMaps([check(*each) for each in zip(maps, range(len(maps)), shapes, strict=True)], shapes)
    return ImageMaps(maps, shapes, check)


def _check_one(one, name, owner, index, shape):
    one = as_array(one, owner, "(height, width)")
    if one.shape != tuple(shape):
        raise ValueError(
            f"{owner} has shape {one.shape} and image {index} is of {shape[0]} x {shape[1]} pixels; expected the same "
            "(height, width), of one map for all images or of one for each. If scikit-learn has split an array of "
            "(height, width) like samples, because the images are as many as its rows, pass one an image, or "
            f"ImageSet(images, {name}={name}) as X."
        )
    return check_map(name, one, None if owner.endswith(name) else index, shape)


def _is_shared(maps):
    """Whether there is one map for all: an array, or nested lists, of two dimensions."""
    lazy = not isinstance(maps, np.ndarray | list | tuple) and hasattr(maps, "__getitem__")
    return not lazy and (np.ndim(maps) == 2 if isinstance(maps, np.ndarray) else _is_nested(maps))


def _is_nested(maps):
    return hasattr(maps, "__len__") and len(maps) > 0 and entry_ndim(maps[0]) == 1
