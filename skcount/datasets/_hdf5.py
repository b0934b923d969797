"""Images and their points in one HDF5 file: `save_hdf5`, its inverse `load_hdf5`, and what they agree on.

The only file of the package that speaks h5py. A file of format version 1 holds:

==================================  ============================================================
``/images/HxW`` or ``/images/HxWxC``  the images of one size, (n, H, W[, C]) in their own type, one
                                      chunk an image; as many of these as there are sizes
``/image_shapes``                     (n_images, 2 or 3) int64: the shape of each image, which names
                                      its dataset
``/image_rows``                       (n_images,) int64: the row of each image in its dataset
``/points/coordinates``               (n_points_in_all, 2) float64: (row, col) in pixels
``/points/lengths``                   (n_images,) int64: how many of them are each image's
attributes of ``/``                   ``format``, ``version``, ``skcount_version``, ``description``,
                                      ``complete``
==================================  ============================================================

Every dataset carries checksums (fletcher32), and the file's own structures do too (the file format of
HDF5 1.10): a flipped bit is an error, never a wrong pixel.
"""

import os
import threading
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from uuid import uuid4

import numpy as np

from skcount.datasets._image_set import ImageSet, ImageSource, check_image, image_kind
from skcount.points import PointAnnotations, check_points

__all__ = ["load_hdf5", "save_hdf5"]

FORMAT = "skcount images with points"
VERSION = 1


def save_hdf5(path, images, points, *, compression="gzip", description=""):
    """Write images and their points to one HDF5 file.

    The file appears under its name only when it is whole and on the disk. Until then, and if anything
    goes wrong, an older file of that name stays as it is.

    Parameters
    ----------
    path : str or path-like
        Name of the file. An existing file is replaced.
    images : array of shape (n_images, height, width[, n_channels]), ImageSet, or iterable of images
        Images, channels last, of one type and number of channels, and of one or of many sizes. They are
        stored in their own type. A generator is consumed one image at a time, so that the whole need not
        fit in memory.
    points : PointAnnotations, or sequence of array-like of shape (n_points, 2)
        For each image its points as (row, col) in pixels.
    compression : {"gzip", None} or int from 0 to 9, default="gzip"
        How pixels and points are compressed, always without loss; an integer is the level of gzip.
    description : str, default=""
        Where the data come from and how they are to be cited. :func:`load_hdf5` returns it as ``DESCR``.

    Raises
    ------
    ValueError
        If an argument is not as described, or there is not one array of points an image.
    FileNotFoundError
        If the folder does not exist.

    See Also
    --------
    load_hdf5 : Opens the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skcount.datasets import load_hdf5, save_hdf5
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "cells.h5"
    >>> images = np.zeros((2, 16, 16, 3), dtype=np.uint8)
    >>> save_hdf5(path, images, [[(3, 4.5)], []], description="Two images, one cell.")
    >>> cells = load_hdf5(path)
    >>> cells.images
    ImageSet(2 images of 16 x 16 x 3, uint8, in cells.h5)
    >>> cells.points
    PointAnnotations(2 images, 1 point)
    >>> cells.images.close()
    >>> folder.cleanup()
    """
    import h5py

    path = _check_target(path)
    filters = _check_compression(compression)
    description = _check_description(description)
    points = check_points(points)
    images = _check_images(images, len(points))
    with (
        _replacing(path) as temporary,
        # The 1.10 file format puts checksums on the file's own structures. No cache: a chunk is used once.
        h5py.File(temporary, "x", libver=("v110", "v110"), rdcc_nbytes=0) as file,
    ):
        _write_images(file, images, len(points), filters)
        _write_points(file, points, filters)
        _write_label(file, description)


def load_hdf5(path, *, return_X_y=False):
    """Open images and their points from a file that `save_hdf5` wrote.

    Points are read at once; the images stay in the file, and each is read when it is asked for.

    Parameters
    ----------
    path : str or path-like
        Name of the file.
    return_X_y : bool, default=False
        Whether to return ``(images, points)`` instead of a `Bunch`.

    Returns
    -------
    data : Bunch, or (images, points)
        A dictionary with attributes:

        images : ImageSet
            The images, lazily in the file.
        points : PointAnnotations
            For each image its points as (row, col) in pixels.
        groups, roi, perspective : None
            The file holds none.
        DESCR : str
            The description given to :func:`save_hdf5`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, incomplete, written by another program or by a newer skcount.

    See Also
    --------
    save_hdf5 : Writes such a file, and shows an example of both.
    ImageSet : What scikit-learn, pickle and joblib do with lazy images.

    Notes
    -----
    Reading an image raises OSError if its checksum does not fit its pixels, or if the file has changed
    or vanished since it was loaded.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skcount.datasets import load_hdf5, save_hdf5
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "blank.h5"
    >>> save_hdf5(path, np.zeros((3, 8, 8)), [[], [], [(1, 2)]])
    >>> images, points = load_hdf5(path, return_X_y=True)
    >>> with images:  # closes the file at the end
    ...     images[2].shape, points[2]
    ((8, 8), array([[1., 2.]]))
    >>> folder.cleanup()
    """
    from sklearn.utils import Bunch

    path = os.path.abspath(os.path.expanduser(path))
    stamp = _stamp(path)
    with _naming_the_file(path), _open(path) as file:
        description = _read_label(file)
        source = _read_source(file, path, stamp)
        points = _read_points(file, len(source.rows))
    if return_X_y:
        return ImageSet(source), points
    return Bunch(
        images=ImageSet(source), points=points, groups=None, roi=None, perspective=None, DESCR=description
    )


class HDF5Source(ImageSource):
    """Images in a file of format version 1.

    Parameters
    ----------
    file : _LazyFile
        The file.
    shapes : ndarray of shape (n_images, 2) or (n_images, 3), int64
        Shape of each image.
    rows : ndarray of shape (n_images,), int64
        Row of each image in the dataset of its shape.
    dtype : numpy.dtype
        Type of the pixels.
    """

    def __init__(self, file, shapes, rows, dtype):
        self._file = file
        self.shapes = shapes
        self.rows = rows
        self.dtype = dtype

    def read(self, number):
        """Return image `number`, read from the file in one piece."""
        return self._file.read(_dataset_name(self.shapes[number]), int(self.rows[number]), number)

    def describe(self):
        """Return the name of the file."""
        return f"in {os.path.basename(self._file.path)}"

    def close(self):
        """Close the file; the next read opens it again."""
        self._file.close()


class _LazyFile:
    """An HDF5 file that is opened where and when something is read: once in each process.

    h5py's handles neither pickle nor survive a fork. Here a handle belongs to the process that opened it;
    a pickle holds the path and the stamp alone.
    """

    def __init__(self, path, stamp):
        self.__setstate__((path, stamp))

    def __getstate__(self):
        return self.path, self.stamp

    def __setstate__(self, state):
        self.path, self.stamp = state
        self._locks = {}
        self._pid = None
        self._handle = None

    def read(self, name, row, number):
        """Return a row of a dataset; `number` is what the message calls it."""
        with self._lock():
            self._check_stamp()
            try:
                return self._open()[name][row]
            except (OSError, KeyError, RuntimeError, ValueError) as error:
                raise OSError(
                    f"Image {number} of {self.path} cannot be read: {error}. The file is damaged; restore "
                    "it from a copy, or write it again."
                ) from error

    def close(self):
        with self._lock():
            if self._handle is not None and self._pid == os.getpid():
                self._handle.close()
            self._handle = None

    def _lock(self):
        # One lock a process: the parent's may have been held by another thread when this process forked.
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def _open(self):
        if self._pid != os.getpid():
            self._handle = None  # before opening, or HDF5 would share what the parent process opened
        if self._handle is None:
            self._handle = _open(self.path)
            self._pid = os.getpid()
        return self._handle

    def _check_stamp(self):
        try:
            stamp = _stamp(self.path)
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{self.path} has vanished since it was loaded; put it back, or load it from where it is now."
            ) from None
        if stamp != self.stamp:
            raise OSError(
                f"{self.path} has changed since it was loaded (size and time of change: {self.stamp} before, "
                f"{stamp} now); load it again."
            )


def _open(path):
    import h5py

    # No lock: files are replaced, never changed in place, and network folders often cannot lock. No cache:
    # a chunk is one image and is read as a whole.
    return h5py.File(path, "r", locking=False, rdcc_nbytes=0)


def _stamp(path):
    """Size in bytes and time of last change in ns: what tells one version of a file from another."""
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def _check_target(path):
    path = Path(os.path.abspath(os.path.expanduser(path)))
    if path.is_dir():
        raise ValueError(f"{path} is a folder; expected the name of a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} to write {path.name} in; make it first.")
    return path


def _check_compression(compression):
    """Return the filters that h5py is to apply; the checksum is always among them."""
    checksum = {"fletcher32": True}
    if compression is None:
        return checksum
    if compression == "gzip":
        return {"compression": "gzip", "shuffle": True, **checksum}
    if isinstance(compression, int) and not isinstance(compression, bool) and 0 <= compression <= 9:
        return {"compression": "gzip", "compression_opts": compression, "shuffle": True, **checksum}
    raise ValueError(f"compression={compression!r}; expected 'gzip', None, or a level of gzip from 0 to 9.")


def _check_description(description):
    if not isinstance(description, str) or "\0" in description:
        raise ValueError(f"description is {description!r:.60}; expected a str without NUL characters.")
    return description


def _check_images(images, n_images):
    """Check what can be known before writing: a mistake should not cost an hour of compressing."""
    if isinstance(images, np.ndarray | list | tuple):
        images = ImageSet(images)
    if isinstance(images, str | bytes | dict | set) or not hasattr(images, "__iter__"):
        raise ValueError(
            f"images is a {type(images).__name__}; expected an array (n_images, height, width[, n_channels])"
            ", an ImageSet, or an iterable of images."
        )
    if hasattr(images, "__len__") and len(images) != n_images:
        raise ValueError(_lengths_differ(len(images), n_images))
    if n_images == 0:
        raise ValueError("There are no images (points is empty); expected at least one.")
    return images


def _lengths_differ(n_images, n_points):
    return (
        f"There are {n_images} images and points of {n_points} images; expected one array of points an "
        "image, an empty one where there is nothing to count."
    )


@contextmanager
def _replacing(path):
    """Give a temporary name in the same folder; move it to `path` when all has been written to it."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        yield temporary
        _flush_to_disk(temporary, os.O_RDWR)
        os.replace(temporary, path)
        if os.name == "posix":  # the new name is on the disk when the folder is; Windows opens no folders
            _flush_to_disk(path.parent, os.O_RDONLY)
    finally:
        temporary.unlink(missing_ok=True)


def _flush_to_disk(path, flags):
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _dataset_name(shape):
    return "images/" + "x".join(str(int(length)) for length in shape)


def _write_images(file, images, n_images, filters):
    shapes, rows, kind = [], [], None
    for number, image in enumerate(images):
        if number == n_images:
            raise ValueError(_lengths_differ(f"more than {n_images}", n_images))
        image = check_image(image, number, kind)
        kind = kind or image_kind(image)
        shapes.append(image.shape)
        rows.append(_append_image(file, image, filters))
    if len(rows) < n_images:
        raise ValueError(_lengths_differ(len(rows), n_images))
    _write_table(file, "image_shapes", np.array(shapes, dtype=np.int64), filters)
    _write_table(file, "image_rows", np.array(rows, dtype=np.int64), filters)


def _append_image(file, image, filters):
    """Append an image to the dataset of its shape and return its row there."""
    name = _dataset_name(image.shape)
    if name not in file:
        file.create_dataset(
            name,
            shape=(0, *image.shape),
            maxshape=(None, *image.shape),
            chunks=(1, *image.shape),
            dtype=image.dtype.newbyteorder("="),
            **filters,
        )
    dataset = file[name]
    row = dataset.shape[0]
    dataset.resize(row + 1, axis=0)
    dataset[row] = image
    return row


def _write_points(file, points, filters):
    _write_table(file, "points/coordinates", points.coordinates, filters)
    _write_table(file, "points/lengths", points.lengths, filters)


def _write_table(file, name, table, filters):
    # HDF5 knows no checksum without chunks, and no chunk of 0 rows.
    chunks = (min(max(len(table), 1), 2**16), *table.shape[1:])
    maxshape = (None, *table.shape[1:])
    file.create_dataset(name, data=table, chunks=chunks, maxshape=maxshape, **filters)


def _write_label(file, description):
    _write_text(file, "format", FORMAT)
    file.attrs["version"] = VERSION
    _write_text(file, "skcount_version", _skcount_version())
    _write_text(file, "description", description)
    file.flush()
    file.attrs["complete"] = True  # last: a file without it was never finished


def _write_text(file, name, text):
    import h5py

    # Of fixed length: text of variable length lies in a heap, the one place in the file without a checksum.
    text = text.encode()
    file.attrs.create(name, text or b"\0", dtype=h5py.string_dtype("utf-8", len(text) or 1))


def _skcount_version():
    try:
        return metadata.version("skcount")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"


# Damaged and foreign files make h5py, and what reads its answers here, raise any of these.
_READ_ERRORS = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)


@contextmanager
def _naming_the_file(path):
    """Turn whatever h5py makes of a damaged or foreign file into one ValueError that names it."""
    try:
        yield
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except _READ_ERRORS as error:
        raise ValueError(
            f"{path} cannot be loaded: {error}. Expected a whole file written by skcount.datasets.save_hdf5; "
            "write or download it again."
        ) from error


def _read_label(file):
    if "format" not in file.attrs or _read_text(file, "format") != FORMAT:
        raise ValueError("it is an HDF5 file of another program, with no skcount format mark")
    version = int(file.attrs["version"])
    if version > VERSION:
        raise ValueError(
            f"its format version is {version}, written by skcount {_read_text(file, 'skcount_version')}, "
            f"and this skcount reads versions up to {VERSION}: upgrade skcount"
        )
    if not file.attrs.get("complete", False):
        raise ValueError("it is incomplete, its writer was interrupted")
    return _read_text(file, "description")


def _read_text(file, name):
    text = file.attrs[name]
    return text.decode() if isinstance(text, bytes) else str(text)  # other writers' text may be of any kind


def _read_source(file, path, stamp):
    shapes, rows = file["image_shapes"][()], file["image_rows"][()]
    if shapes.ndim != 2 or shapes.shape[1] not in {2, 3} or rows.shape != (len(shapes),) or len(rows) == 0:
        raise ValueError(f"its tables of images are of shape {shapes.shape} and {rows.shape}")
    dtypes = set()
    for shape in np.unique(shapes, axis=0):
        dataset = file[_dataset_name(shape)]
        dtypes.add(dataset.dtype)
        _check_rows(dataset.shape, shape, rows[(shapes == shape).all(axis=1)])
    if len(dtypes) != 1:
        raise ValueError(f"its images are of several types, {sorted(map(str, dtypes))}")
    return HDF5Source(_LazyFile(path, stamp), shapes, rows, dtypes.pop())


def _check_rows(found, shape, rows):
    expected = (len(rows), *shape.tolist())
    if found != expected or rows.min() < 0 or rows.max() >= len(rows):
        raise ValueError(f"a dataset of images is of shape {found}, not {expected} as its tables say")


def _read_points(file, n_images):
    coordinates, lengths = file["points/coordinates"][()], file["points/lengths"][()]
    if lengths.shape != (n_images,):
        raise ValueError(f"it holds {n_images} images and points of {lengths.size}")
    return PointAnnotations.from_flat(coordinates, lengths)
