"""The calls of h5py: files are opened and created here, and all is written here but pixels."""

from math import prod

from skcount.io._hdf5._codecs import DEFLATE, LEVELS, SHUFFLE, ZSTD

__all__ = [
    "MAX_TABLE",
    "READ_ERRORS",
    "check_size",
    "create_file",
    "create_stack",
    "find",
    "holds",
    "open_file",
    "read_table",
    "write_table",
    "write_text",
]

# Damaged and foreign files make h5py, and what reads its answers here, raise any of these.
READ_ERRORS = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
MAX_TABLE = 2**28  # bytes that a small file may declare in one piece


def open_file(path):
    """Open a file for reading.

    Parameters
    ----------
    path : str or path-like
        Its name.

    Returns
    -------
    h5py.File
        The open file.

    Raises
    ------
    OSError
        If it is no HDF5 file, or ends early.
    """
    import h5py

    # No lock: files are replaced, never changed in place, and network folders often cannot lock. No cache:
    # a chunk is one image and is read as a whole.
    return h5py.File(path, "r", locking=False, rdcc_nbytes=0)


def holds(file, name):
    """Tell whether a file has something of a name, be it only a link.

    Parameters
    ----------
    file : h5py.File
        The file.
    name : str
        The name, without groups.

    Returns
    -------
    bool
        Whether it has.
    """
    return file.get(name, getlink=True) is not None


def find(file, name):
    """Find a dataset or group that lies in the file itself.

    Parameters
    ----------
    file : h5py.File
        The file.
    name : str
        Its name.

    Returns
    -------
    h5py.Dataset or h5py.Group
        What is called so.

    Raises
    ------
    KeyError
        If there is none.
    ValueError
        If the name is a link, or the data lie elsewhere: a file of ours has neither, and one of a stranger
        would have any file read in its name.
    """
    import h5py

    found = file
    for part in name.split("/"):
        link = found.get(part, getlink=True)
        if link is None:
            raise KeyError(f"it holds no {name}")
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"its {name} is a link, which is not followed")
        found = found[part]
    if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
        raise ValueError(f"its {name} lies in other files, which are not read")
    return found


def read_table(file, name):
    """Read a table at once.

    Parameters
    ----------
    file : h5py.File
        Where.
    name : str
        Name of the dataset.

    Returns
    -------
    ndarray
        What it holds: numbers, booleans, or UTF-8 as bytes of fixed length.

    Raises
    ------
    KeyError
        If there is none.
    ValueError
        If it holds something else, lies elsewhere, or declares more than the file can hold.
    """
    dataset = find(file, name)
    if dataset.dtype.kind not in "biufS":
        raise ValueError(f"its {name} are of type {dataset.dtype}, neither numbers nor text of fixed length")
    check_size(file, dataset, dataset.nbytes)
    return dataset[()]


def check_size(file, dataset, n_bytes):
    """Refuse to read what a file declares, and cannot hold.

    Parameters
    ----------
    file : h5py.File
        The file.
    dataset : h5py.Dataset
        What is to be read.
    n_bytes : int
        How much of it, in bytes.

    Raises
    ------
    ValueError
        If that, or one chunk, is beyond `MAX_TABLE` and a hundred times the file.
    """
    chunk = prod(dataset.chunks or (), start=dataset.dtype.itemsize)
    if max(n_bytes, chunk) > max(MAX_TABLE, 100 * file.id.get_filesize()):
        raise ValueError(f"its {dataset.name} declares {max(n_bytes, chunk)} bytes, more than it can hold")


def create_file(path):
    """Create a file, or empty one, for writing.

    Parameters
    ----------
    path : str or path-like
        Its name.

    Returns
    -------
    h5py.File
        The open file, in the file format of HDF5 1.10, which has checksums on its own structures.

    Raises
    ------
    OSError
        If the disk is full.
    """
    import h5py

    # No lock: whoever writes has locked the file already. No cache: a chunk is used once.
    return h5py.File(path, "w", libver=("v110", "v110"), locking=False, rdcc_nbytes=0)


def create_stack(file, name, pixels, codec):
    """Create a dataset of images that grows, one chunk an image.

    Parameters
    ----------
    file : h5py.File
        Where.
    name : str
        Name of the dataset.
    pixels : ndarray of shape (height, width[, n_channels])
        An image such as the dataset is to hold.
    codec : tuple of int
        The filters that are going to be applied to the chunks.

    Returns
    -------
    h5py.Dataset
        The dataset, of shape (1, height, width[, n_channels]).
    """
    filters = {"shuffle": SHUFFLE in codec}
    if DEFLATE in codec:
        filters |= {"compression": "gzip", "compression_opts": LEVELS[DEFLATE]}
    if ZSTD in codec:  # HDF5 need not know it, for it is we who compress
        filters |= {"compression": ZSTD, "compression_opts": (LEVELS[ZSTD],), "allow_unknown_filter": True}
    shape = pixels.shape
    return file.create_dataset(
        name, (1, *shape), pixels.dtype, maxshape=(None, *shape), chunks=(1, *shape), **filters
    )


def write_table(file, name, table):
    """Write an array that is read at once, with a checksum.

    Parameters
    ----------
    file : h5py.File
        Where.
    name : str
        Name of the dataset.
    table : ndarray of at least one dimension
        Numbers, booleans, or UTF-8 as bytes of fixed length.
    """
    import h5py

    if table.dtype.kind == "S":
        table = table.astype(h5py.string_dtype("utf-8", table.itemsize))
    # HDF5 knows no checksum without chunks, no chunk of 0 rows, and none above 4 GiB.
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
    """Write a text into an attribute.

    Parameters
    ----------
    file : h5py.File
        Whose attribute.
    name : str
        Name of the attribute.
    text : str
        What it says, some characters at least.
    """
    import h5py

    # Of fixed length: of variable length it would lie in a heap, the one place in a file without a checksum.
    text = text.encode()
    file.attrs.create(name, text, dtype=h5py.string_dtype("utf-8", len(text)))
