"""Read images from an HDF5 file: `load_hdf5` checks the file, `HDF5Store` reads and checks one image at a time."""

import os
import threading
import weakref
from contextlib import contextmanager
from math import prod

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skcount.images import ImageSet, ImageStore
from skcount.io._hdf5._codecs import CODECS, checksum, decode
from skcount.io._hdf5._h5py import (
    FORMAT,
    READ_ERRORS,
    VERSION,
    check_chunk_size,
    check_declared_size,
    checksums_name,
    dataset_name,
    find,
    has,
    open_file,
    read_table,
)
from skcount.io._stamp import check_stamp, file_stamp
from skcount.points import PointAnnotations

__all__ = ["HDF5Store", "load_hdf5"]


@validate_params({"path": [str, os.PathLike], "return_X_y": ["boolean"]}, prefer_skip_nested_validation=True)
def load_hdf5(path, *, return_X_y=False):
    """Open images and their points from a file that `save_hdf5` wrote.

    Points are read immediately. Images stay in the file; each is read when it is needed.

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
            The images, read lazily from the file, with `groups`, `roi` and `perspective`.
        points : PointAnnotations
            The points of each image as (row, col) in pixels.
        groups : ndarray of shape (n_images,) or None
            The group of each image, if the file has groups.
        roi, perspective : ndarray of shape (height, width), ImageSet or None
            One map for all images, or one per image, read lazily from the file.
        DESCR : str
            The description given to :func:`save_hdf5`.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    IsADirectoryError
        If `path` is a folder.
    ValueError
        If the file is damaged, incomplete, or written by another program or a newer skcount.

    See Also
    --------
    save_hdf5 : Writes such a file.
    ImageSet : Lazy images for scikit-learn, pickle and joblib.

    Notes
    -----
    Reading an image or a map raises OSError if its pixels do not match their checksum, or if the file has
    changed or vanished since it was loaded.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skcount.io import load_hdf5, save_hdf5
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "blank.h5"
    >>> save_hdf5(path, np.zeros((3, 8, 8)), [[], [], [(1, 2)]])
    >>> images, points = load_hdf5(path, return_X_y=True)
    >>> with images:  # closes the file at the end
    ...     images[2].shape, points[2]
    ((8, 8), array([[1., 2.]]))
    >>> folder.cleanup()
    """
    path = os.path.abspath(os.path.expanduser(path))
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"`path` must be a file written by skcount.io.save_hdf5; got {path}, which is a folder. Use load_folder to "
            "open a folder of pictures."
        )
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(
            f"`path` must be a file written by skcount.io.save_hdf5; got {path}, which is a device or a pipe."
        )
    lazy = LazyFile(path)
    with _naming_the_file(path), open_file(path) as file:
        _check_label(file)
        description = _read_description(file)
        images = _read_images(file, lazy)
        points = _read_points(file, len(images))
    if return_X_y:
        return images, points
    return Bunch(
        images=images,
        points=points,
        groups=images.groups,
        roi=images.roi,
        perspective=images.perspective,
        DESCR=description,
    )


@contextmanager
def _naming_the_file(path):
    """Turn all errors that h5py raises for a damaged or foreign file into one ValueError that names the file."""
    try:
        yield
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except READ_ERRORS as error:
        raise ValueError(
            f"{path} cannot be loaded: {str(error).removesuffix('.')}. Expected a whole file written by "
            "skcount.io.save_hdf5. Write or download the file again."
        ) from error


def _check_label(file):
    """Check that skcount wrote the file, in a version that this skcount reads, and to its end."""
    if "format" not in file.attrs or _as_text(file.attrs["format"]) != FORMAT:
        raise ValueError("it is an HDF5 file of another program, without the format mark of skcount")
    version = int(file.attrs["version"])
    if version != VERSION:
        raise ValueError(
            f"its format version is {version} (skcount {_as_text(file.attrs['skcount_version'])} wrote it), and this "
            f"skcount reads only version {VERSION}. Upgrade skcount"
        )
    if not file.attrs.get("complete", False):
        raise ValueError("it is incomplete, because its writer was interrupted")


def _as_text(text):
    return text.decode() if isinstance(text, bytes) else str(text)  # other programs write text of any type


def _read_description(file):
    dataset = find(file, "description")
    check_declared_size(file, dataset, dataset.dtype.itemsize)
    return _as_text(dataset[0])


def _read_images(file, lazy):
    """Return the images of a file with their side data."""
    shapes, rows = read_table(file, "image_shapes"), read_table(file, "image_rows")
    if shapes.ndim != 2 or shapes.shape[1] not in {2, 3} or rows.shape != (len(shapes),) or len(rows) == 0:
        raise ValueError(f"its tables of images have shapes {shapes.shape} and {rows.shape}")
    images = ImageSet(_find_source(file, lazy, "images", shapes, rows))
    maps, sizes = {}, shapes[:, :2].copy()  # joblib hashes the strides, which a pickle would change
    for name in ("roi", "perspective"):
        if has(file, name):
            is_shared = hasattr(find(file, name), "shape")
            maps[name] = (
                read_table(file, name) if is_shared else ImageSet(_find_source(file, lazy, name, sizes, rows))
            )
    return ImageSet(images, groups=_read_groups(file), **maps)


def _find_source(file, lazy, name, shapes, rows):
    """Return the source of the images or maps called `name`, if their datasets agree with the tables."""
    checksums = read_table(file, checksums_name(name))
    if checksums.shape != (len(rows),):
        raise ValueError(f"it has {len(rows)} {name} and {checksums.size} checksums of them")
    dtypes = set()
    for shape in np.unique(shapes, axis=0):
        dataset = find(file, dataset_name(name, shape))
        dtypes.add(dataset.dtype)
        check_chunk_size(prod(shape.tolist(), start=dataset.dtype.itemsize))
        of_shape = rows[(shapes == shape).all(axis=1)]
        expected = (len(of_shape), *shape.tolist())
        if dataset.shape != expected or of_shape.min() < 0 or of_shape.max() >= len(of_shape):
            raise ValueError(
                f"its {dataset.name} has shape {dataset.shape}, not {expected} as its tables say"
            )
    if len(dtypes) != 1:
        raise ValueError(f"its {name} have several types, {sorted(map(str, dtypes))}")
    return HDF5Store(lazy, name, shapes, rows, checksums, dtypes.pop().newbyteorder("="))


def _read_groups(file):
    if not has(file, "groups"):
        return None
    groups = read_table(file, "groups")
    return np.array([text.decode() for text in groups.tolist()]) if groups.dtype.kind == "S" else groups


def _read_points(file, n_images):
    coordinates, lengths = read_table(file, "points/coordinates"), read_table(file, "points/lengths")
    if lengths.shape != (n_images,):
        raise ValueError(f"it has {n_images} images and points of {lengths.size} images")
    return PointAnnotations.from_flat(coordinates, lengths)


# --- Reading one image ---------------------------------------------------------------------------


class HDF5Store(ImageStore):
    """Images, or the maps of images, in a file. `name` is "images", "roi" or "perspective".

    `shapes`, `rows` and `checksums` have one row per image; `rows` are positions in the dataset of the image's shape.
    """

    def __init__(self, file, name, shapes, rows, checksums, dtype):
        self._file = file
        self._name = name
        self.shapes = shapes
        self._rows = rows
        self._checksums = checksums
        self.dtype = dtype

    def read(self, number):
        """Return image `number`, read from the file in one piece and checked."""
        self._file.check_stamp()
        try:
            pixels = self._file.read(self._name, tuple(self.shapes[number].tolist()), int(self._rows[number]))
            if checksum(self._name, number, pixels) != self._checksums[number]:
                raise ValueError("its pixels do not match their checksum")
        except READ_ERRORS as error:
            owner = f"Image {number}" if self._name == "images" else f"`{self._name}` of image {number}"
            raise OSError(
                f"{owner} of {self._file.path} cannot be read: {error}. The file is damaged. Restore it from a copy, or "
                "write it again."
            ) from error
        return pixels.astype(self.dtype, copy=False)

    def describe(self):
        """Return the name of the file."""
        return f"in {os.path.basename(self._file.path)}"

    def close(self):
        """Close the file; the next read opens it again."""
        self._file.close()


class LazyFile:
    """A file that each process opens when it first reads from it. It is pickled as its path and stamp.

    HDF5 is used only to find the chunks of a dataset, and is closed again, because its handles can neither be pickled
    nor survive a fork, and other code in this process may need the file. The chunks are then read without HDF5, which
    takes half the time and lets threads decompress in parallel.
    """

    def __init__(self, path):
        self.__setstate__((path, file_stamp(path)))

    def __getstate__(self):
        return self.path, self._stamp

    def __setstate__(self, state):
        self.path, self._stamp = state
        self._locks = {}
        self._forget()

    def read(self, name, shape, row):
        """Return a row of the dataset of images of one shape, as it is stored."""
        name = dataset_name(name, shape)
        with self._lock():
            codec, dtype, chunks = self._find(name)
            if codec is None:
                with open_file(self.path) as file:
                    dataset = find(file, name)
                    check_declared_size(file, dataset, 0)
                    return dataset[row]
            skipped, start, size = chunks[row].tolist()
            chunk = _read_bytes(self._bytes, start, size)
        applied = tuple(number for bit, number in enumerate(codec) if not skipped >> bit & 1)
        return decode(chunk, applied, shape, dtype)

    def check_stamp(self):
        """Check that the file has not changed since it was loaded."""
        check_stamp(self.path, self._stamp)

    def close(self):
        """Close the file in this process."""
        with self._lock():
            if self._pid == os.getpid():
                self._close_bytes()
            self._forget()

    def _lock(self):
        # One lock per process: another thread may have held the parent's lock when this process was forked.
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def _find(self, name):
        """Return codec, type and chunks of a dataset; open the file if this process has not yet."""
        if self._pid != os.getpid():
            self._forget()  # the parent process shares the position in the file that it opened
            self._bytes = open(self.path, "rb", buffering=0)  # noqa: SIM115 - it stays open until close or garbage
            self._close_bytes = weakref.finalize(self, self._bytes.close)
            self._pid = os.getpid()
        if name not in self._found:
            with open_file(self.path) as file:
                self._found[name] = _find_chunks(find(file, name))
        return self._found[name]

    def _forget(self):
        self._pid = self._bytes = self._close_bytes = None
        self._found = {}


def _find_chunks(dataset):
    """Return codec, type, and per row (filters skipped, first byte, number of bytes).

    The codec is None if another program has stored the images again, so that only HDF5 can read them.
    """
    properties = dataset.id.get_create_plist()
    codec = tuple(properties.get_filter(index)[0] for index in range(properties.get_nfilters()))
    if codec not in CODECS or dataset.chunks != (1, *dataset.shape[1:]):
        return None, dataset.dtype, None
    chunks = np.zeros((len(dataset), 3), dtype=np.int64)

    def note(chunk):
        chunks[chunk.chunk_offset[0]] = chunk.filter_mask, chunk.byte_offset, chunk.size

    dataset.id.chunk_iter(note)
    return codec, dataset.dtype, chunks


def _read_bytes(file, start, size):
    if not 0 <= start <= start + size <= os.fstat(file.fileno()).st_size:
        raise OSError("the file ends early")
    content = np.empty(size, dtype=np.uint8)
    file.seek(start)
    missing = memoryview(content)
    while missing:  # the system reads at most 2 GiB at once
        n_read = file.readinto(missing)
        if n_read == 0:
            raise OSError("the file ends early")
        missing = missing[n_read:]
    return content
