"""Images out of a file, one at a time: found by HDF5, read around it, and checked."""

import os
import threading
import weakref

import numpy as np

from skcount._check import map_owner
from skcount.images import ImageSource
from skcount.io._hdf5._codecs import CODECS, checksum, decode
from skcount.io._hdf5._format import dataset_name
from skcount.io._hdf5._h5py import READ_ERRORS, check_size, find, open_file
from skcount.io._stamp import check_stamp, file_stamp

__all__ = ["HDF5Source", "LazyFile"]


class HDF5Source(ImageSource):
    """Images, or the maps of images, in a file.

    Parameters
    ----------
    file : LazyFile
        The file.
    name : {"images", "roi", "perspective"}
        The group of the file that they are in.
    shapes : ndarray of shape (n_images, 2) or (n_images, 3), int64
        Shape of each image.
    rows : ndarray of shape (n_images,), int64
        Row of each image in the dataset of its shape.
    checksums : ndarray of shape (n_images,), uint64, or None
        `checksum` of each image; None in a file of version 1, where HDF5 itself checks them.
    dtype : numpy.dtype
        Type of the pixels.
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
            if (
                self._checksums is not None
                and checksum(self._name, number, pixels) != self._checksums[number]
            ):
                raise ValueError("its pixels do not fit its checksum")
        except READ_ERRORS as error:
            owner = f"Image {number}" if self._name == "images" else map_owner(self._name, number)
            raise OSError(
                f"{owner} of {self._file.path} cannot be read: {error}. The file is damaged; restore it from a copy, "
                "or write it again."
            ) from error
        return pixels.astype(self.dtype, copy=False)

    def describe(self):
        """Return the name of the file."""
        return f"in {os.path.basename(self._file.path)}"

    def close(self):
        """Close the file; the next read opens it again."""
        self._file.close()


class LazyFile:
    """A file that is opened where and when something is read: once in each process.

    HDF5 says where the chunks of a dataset are, and is closed again: its handles neither pickle nor survive a fork, and
    other programs of this process may want the file. The chunks are then read without it, which takes half the
    time, and lets threads decompress side by side.

    Parameters
    ----------
    path : str
        Its absolute name. Size and time of change are noted: another file of that name is refused.
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
        """Return a row of the dataset of images of a shape, as it is stored."""
        name = dataset_name(name, shape)
        with self._lock():
            codec, dtype, chunks = self._find(name)
            if codec is None:
                with open_file(self.path) as file:
                    dataset = find(file, name)
                    check_size(file, dataset, 0)
                    return dataset[row]
            skipped, start, size = chunks[row].tolist()
            chunk = _read_bytes(self._bytes, start, size)
        applied = tuple(number for bit, number in enumerate(codec) if not skipped >> bit & 1)
        return decode(chunk, applied, shape, dtype)

    def check_stamp(self):
        """Refuse a file that is not the one that was loaded."""
        check_stamp(self.path, self._stamp)

    def close(self):
        """Close the file in this process."""
        with self._lock():
            if self._pid == os.getpid():
                self._close_bytes()
            self._forget()

    def _lock(self):
        # One lock a process: the parent's may have been held by another thread when this process forked.
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def _find(self, name):
        """Return codec and type of a dataset and where its chunks are; the file is opened if it is not yet."""
        if self._pid != os.getpid():
            self._forget()  # the parent process reads elsewhere in what it opened
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
    """Return the codec of a dataset, its type, and for each row filters skipped, first byte and number of bytes.

    The codec is None if a chunk is not one image, or only HDF5 can undo its filters.
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
    while missing:  # a system reads 2 GiB at once at most
        n_read = file.readinto(missing)
        if n_read == 0:
            raise OSError("the file ends early")
        missing = missing[n_read:]
    return content
