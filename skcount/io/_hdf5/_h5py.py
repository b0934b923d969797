"""The names in a file, and the calls of h5py. No other file of the package imports h5py.

docs/hdf5.md describes the file for other programs. HDF5 stores and checks everything except pixels: these are read
and written as raw chunks around HDF5, with checksums of our own (`_codecs.py`).
"""

from math import prod

from skcount.io._hdf5._codecs import DEFLATE, LEVELS, SHUFFLE, ZSTD

__all__ = [
    "FORMAT",
    "READ_ERRORS",
    "VERSION",
    "check_chunk_size",
    "check_declared_size",
    "checksums_name",
    "create_file",
    "create_stack",
    "dataset_name",
    "find",
    "has",
    "open_file",
    "read_table",
    "write_table",
    "write_text",
]

FORMAT = "skcount images with points"
VERSION = 1  # increase it if a reader of the previous version would misread the file

# h5py, and the code here that uses its results, may raise any of these for damaged and foreign files.
READ_ERRORS = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
MAX_TABLE = 2**28  # bytes that a small file may declare for one table
MAX_CHUNK = 2**32 - 1  # bytes, a limit of HDF5


def dataset_name(name, shape):
    """Return the name of the dataset of images (or maps) of one shape, such as "images/256x256x3"."""
    return f"{name}/{'x'.join(str(int(length)) for length in shape)}"


def checksums_name(name):
    """Return the name of the table of checksums of "images", "roi" or "perspective"."""
    return f"{name.removesuffix('s')}_checksums"


def check_chunk_size(n_bytes):
    """Reject an image of more bytes than an HDF5 chunk can hold."""
    if n_bytes > MAX_CHUNK:
        raise ValueError(
            f"Each image must have at most {MAX_CHUNK} bytes, which is all that HDF5 stores in one chunk; got {n_bytes}. "
            "Cut the images and their points into parts."
        )


# --- Reading -------------------------------------------------------------------------------------


def open_file(path):
    """Open a file for reading; raise OSError if it is not HDF5 or ends early."""
    import h5py

    # No lock: files are replaced, never changed in place, and network folders often cannot lock. No cache:
    # a chunk is one image and is read as a whole.
    return h5py.File(path, "r", locking=False, rdcc_nbytes=0)


def has(file, name):
    """Return whether a file has an object of this name (without groups), even if it is only a link."""
    return file.get(name, getlink=True) is not None


def find(file, name):
    """Return the dataset or group of this name; reject links and data in other files.

    skcount writes neither, and a crafted file could use them to make skcount read any file.
    """
    import h5py

    found = file
    for part in name.split("/"):
        link = found.get(part, getlink=True)
        if link is None:
            raise KeyError(f"it has no {name}")
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"its {name} is a link, which is not followed")
        found = found[part]
    if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
        raise ValueError(f"its {name} lies in other files, which are not read")
    return found


def read_table(file, name):
    """Return a whole table: an array of numbers, of booleans, or of UTF-8 as bytes of fixed length."""
    dataset = find(file, name)
    if dataset.dtype.kind not in "biufS":
        raise ValueError(f"its {name} has type {dataset.dtype}, neither numbers nor text of fixed length")
    check_declared_size(file, dataset, dataset.nbytes)
    return dataset[()]


def check_declared_size(file, dataset, n_bytes):
    """Check that a file of this size can hold `n_bytes` of a dataset."""
    chunk = prod(dataset.chunks or (), start=dataset.dtype.itemsize)
    if max(n_bytes, chunk) > max(MAX_TABLE, 100 * file.id.get_filesize()):
        raise ValueError(f"its {dataset.name} declares {max(n_bytes, chunk)} bytes, more than it can hold")


# --- Writing -------------------------------------------------------------------------------------


def create_file(path):
    """Create an empty file, in the file format of HDF5 1.10, which has checksums on its own structures."""
    import h5py

    # No lock: `replacing` has locked the file already. No cache: a chunk is used once.
    return h5py.File(path, "w", libver=("v110", "v110"), locking=False, rdcc_nbytes=0)


def create_stack(file, name, pixels, codec):
    """Create a dataset for images like `pixels`, one image per chunk, with room for one row."""
    filters = {"shuffle": SHUFFLE in codec}
    if DEFLATE in codec:
        filters |= {"compression": "gzip", "compression_opts": LEVELS[DEFLATE]}
    if ZSTD in codec:  # HDF5 need not know this filter, because we compress the chunks ourselves
        filters |= {"compression": ZSTD, "compression_opts": (LEVELS[ZSTD],), "allow_unknown_filter": True}
    shape = pixels.shape
    return file.create_dataset(
        name, (1, *shape), pixels.dtype, maxshape=(None, *shape), chunks=(1, *shape), **filters
    )


def write_table(file, name, table):
    """Write an array of at least one dimension (numbers, booleans or UTF-8 bytes) with a checksum."""
    import h5py

    if table.dtype.kind == "S":
        table = table.astype(h5py.string_dtype("utf-8", table.itemsize))
    # HDF5 has no checksum without chunks, no chunk of 0 rows, and none above 4 GiB.
    n_rows = min(max(len(table), 1), 2**16, max(2**30 // max(table[:1].nbytes, 1), 1))
    file.create_dataset(
        name,
        data=table,
        chunks=(n_rows, *table.shape[1:]),
        maxshape=(None, *table.shape[1:]),
        compression="gzip",
        shuffle=True,
        fletcher32=True,
    )


def write_text(file, name, text):
    """Write a text of at least one character into an attribute of the file."""
    import h5py

    # Of fixed length, because text of variable length lies in a heap, the only part of a file without a checksum.
    text = text.encode()
    file.attrs.create(name, text, dtype=h5py.string_dtype("utf-8", len(text)))
