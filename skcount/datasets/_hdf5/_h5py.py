"""The calls of h5py: files are opened and created here, and all is written here but pixels."""

from skcount.datasets._hdf5._codecs import DEFLATE, LEVELS, SHUFFLE, ZSTD

__all__ = ["create_file", "create_stack", "open_file", "write_table", "write_text"]


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
