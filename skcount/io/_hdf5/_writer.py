"""Images into a file, one at a time: each a raw chunk, with a checksum."""

from collections import Counter

import numpy as np

from skcount._check import map_owner
from skcount.images import image_kind
from skcount.io._hdf5._codecs import checksum, choose_codec, encode
from skcount.io._hdf5._format import checksums_name, dataset_name
from skcount.io._hdf5._h5py import create_stack, write_table

__all__ = ["StackWriter", "check_chunk"]

LARGEST_CHUNK = 2**32 - 1  # bytes, a limit of HDF5


def check_chunk(n_bytes):
    """Refuse an image that does not fit in a chunk.

    Parameters
    ----------
    n_bytes : int
        Size of its pixels.

    Raises
    ------
    ValueError
        If it is larger than HDF5 allows.

    Examples
    --------
    >>> check_chunk(2**32)
    Traceback (most recent call last):
    ...
    ValueError: An image is of 4294967296 bytes, and HDF5 stores at most 4294967295 in one piece; ...
    """
    if n_bytes > LARGEST_CHUNK:
        raise ValueError(
            f"An image is of {n_bytes} bytes, and HDF5 stores at most {LARGEST_CHUNK} in one piece; cut the images "
            "into parts, and their points with them."
        )


class StackWriter:
    """Images that are being written, or their maps: a dataset for each size, in it a chunk for each image.

    Parameters
    ----------
    file : h5py.File
        Where.
    name : {"images", "roi", "perspective"}
        What they are.
    compression : {"zstd", "gzip", None}
        How they are compressed.

    Attributes
    ----------
    kind : tuple or None
        What :func:`image_kind` says of the first of them.
    n_rows : Counter
        The number of images of each shape.
    """

    def __init__(self, file, name, compression):
        self._file = file
        self._name = name
        self._compression = compression
        self._shapes, self._rows, self._checksums = [], [], []
        self._datasets = {}
        self.n_rows = Counter()
        self.kind = None

    def append(self, pixels):
        """Append an image to the dataset of its shape."""
        check_chunk(pixels.nbytes)
        self.kind = self.kind or image_kind(pixels)
        if image_kind(pixels) != self.kind:
            raise ValueError(
                f"{map_owner(self._name, len(self._rows))} has dtype {pixels.dtype}, and that of image 0 {self.kind[0]}; "
                "expected one type. Convert the maps first."
            )
        pixels = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
        codec = choose_codec(self._compression, pixels.dtype)
        if pixels.shape not in self._datasets:
            name = dataset_name(self._name, pixels.shape)
            self._datasets[pixels.shape] = create_stack(self._file, name, pixels, codec)
        dataset, row = self._datasets[pixels.shape], self.n_rows[pixels.shape]
        if row == len(dataset):
            dataset.resize(2 * row, axis=0)
        dataset.id.write_direct_chunk((row, *[0] * pixels.ndim), encode(pixels, codec))
        self._checksums.append(checksum(self._name, len(self._rows), pixels))
        self._shapes.append(pixels.shape)
        self._rows.append(row)
        self.n_rows[pixels.shape] += 1

    def finish(self):
        """Write the tables that say where each image is, and its checksum."""
        for shape, dataset in self._datasets.items():
            dataset.resize(self.n_rows[shape], axis=0)
        if self._name == "images":  # its maps are in the same rows
            write_table(self._file, "image_shapes", np.array(self._shapes, dtype=np.int64))
            write_table(self._file, "image_rows", np.array(self._rows, dtype=np.int64))
        write_table(self._file, checksums_name(self._name), np.array(self._checksums, dtype=np.uint64))
