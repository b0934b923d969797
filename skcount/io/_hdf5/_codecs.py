"""Pixels to the bytes of an HDF5 chunk, and back, without HDF5: several times faster than through it.

A codec is what HDF5 calls a filter pipeline: a tuple of filter numbers, in the order in which they are
applied. Other programs undo the same filters, so they read the same pixels.

>>> import numpy as np
>>> image = np.arange(6, dtype="<u2").reshape(2, 3)
>>> codec = choose_codec("zstd", image.dtype)
>>> decode(encode(image, codec), codec, image.shape, image.dtype)
array([[0, 1, 2],
       [3, 4, 5]], dtype=uint16)
"""

import threading
import zlib
from functools import cache
from math import prod

import numpy as np

__all__ = ["CODECS", "DEFLATE", "LEVELS", "SHUFFLE", "ZSTD", "checksum", "choose_codec", "decode", "encode"]

DEFLATE, SHUFFLE, ZSTD = 1, 2, 32015  # as registered with The HDF Group
LEVELS = {DEFLATE: 4, ZSTD: 1}
CODECS = {(), (DEFLATE,), (SHUFFLE, DEFLATE), (ZSTD,), (SHUFFLE, ZSTD)}

_own = threading.local()  # a decompressor takes time to make, and serves one thread


def choose_codec(compression, dtype):
    """Return the filters for pixels of a type.

    Parameters
    ----------
    compression : {"zstd", "gzip", None}
        How they are compressed.
    dtype : numpy.dtype
        Type of the pixels. The bytes of wide types are sorted by significance first, which compresses better.

    Returns
    -------
    tuple of int
        Numbers of HDF5 filters, in the order in which they are applied.

    Examples
    --------
    >>> choose_codec(None, np.dtype("uint8")), choose_codec("gzip", np.dtype("float32"))
    ((), (2, 1))
    """
    if compression is None:
        return ()
    compressor = ZSTD if compression == "zstd" else DEFLATE
    return (compressor,) if dtype.itemsize == 1 else (SHUFFLE, compressor)


def encode(pixels, codec):
    r"""Apply filters to the pixels of one image.

    Parameters
    ----------
    pixels : ndarray
        The image, contiguous.
    codec : tuple of int
        One of `CODECS`.

    Returns
    -------
    bytes-like
        What an HDF5 chunk of these filters holds.

    Examples
    --------
    >>> bytes(encode(np.array([1, 2], dtype="<u2"), ()))
    b'\x01\x00\x02\x00'
    """
    content = pixels.reshape(-1).view(np.uint8)
    for number in codec:
        if number == SHUFFLE:
            content = np.ascontiguousarray(content.reshape(-1, pixels.itemsize).T)
        elif number == DEFLATE:
            content = zlib.compress(content, LEVELS[DEFLATE])
        else:
            content = _zstandard().ZstdCompressor(LEVELS[ZSTD]).compress(content)
    return content


def decode(chunk, codec, shape, dtype):
    """Undo what `encode` did.

    Parameters
    ----------
    chunk : bytes-like
        What the HDF5 chunk holds.
    codec : tuple of int
        The filters that were applied to it.
    shape : tuple of int
        Shape of the image.
    dtype : numpy.dtype
        Type of its pixels.

    Returns
    -------
    ndarray of shape `shape`
        The image, writeable: of the memory of `chunk` if that is, and otherwise new.

    Raises
    ------
    ValueError
        If the chunk is not one of such an image. No more memory is taken than the image needs.

    Examples
    --------
    >>> decode(b"abcd", (), (2, 3), np.dtype("uint8"))
    Traceback (most recent call last):
    ...
    ValueError: its chunk holds 4 bytes of pixels, not 6
    """
    n_bytes = prod(shape, start=dtype.itemsize)
    for number in reversed(codec):
        if number == SHUFFLE:
            chunk = _unshuffle(_check_size(chunk, n_bytes), dtype.itemsize)
        elif number == DEFLATE:
            chunk = _inflate(chunk, n_bytes)
        else:
            chunk = _unzstd(chunk, n_bytes)
    pixels = np.frombuffer(_check_size(chunk, n_bytes), dtype=dtype).reshape(shape)
    return pixels if pixels.flags.writeable else pixels.copy()


def checksum(name, number, pixels):
    """Return the XXH3 (64 bits) of an image and of all that tells it from another.

    Parameters
    ----------
    name : str
        The kind of image: "images", "roi" or "perspective".
    number : int
        Its position in the file.
    pixels : ndarray
        The image, contiguous and little-endian.

    Returns
    -------
    int
        The hash of the pixels' bytes. Its seed is the hash of name, type and shape, which has the position as its
        seed: an image that stands in another's place does not fit.

    Examples
    --------
    >>> checksum("images", 0, np.zeros((2, 3), dtype="<u2"))
    17391130071207802844
    """
    xxh3 = _xxh3()
    return xxh3(pixels, seed=xxh3(_label(name, pixels.dtype, pixels.shape), seed=number))


@cache
def _label(name, dtype, shape):
    return f"{name} {dtype.name} {'x'.join(map(str, shape))}".encode()


def _check_size(content, n_bytes):
    if len(content) != n_bytes:
        raise ValueError(f"its chunk holds {len(content)} bytes of pixels, not {n_bytes}")
    return content


def _unshuffle(content, itemsize):
    planes = np.frombuffer(content, dtype=np.uint8).reshape(itemsize, -1)
    pixels = np.empty((planes.shape[1], itemsize), dtype=np.uint8)
    for byte, plane in enumerate(planes):  # several times faster than a transpose
        pixels[:, byte] = plane
    return pixels.reshape(-1)


def _inflate(content, n_bytes):
    try:
        return zlib.decompressobj().decompress(content, n_bytes)
    except zlib.error as error:
        raise ValueError(f"its chunk is no gzip stream ({error})") from None


def _unzstd(content, n_bytes):
    zstandard = _zstandard()
    try:
        # A frame may claim any size, and the library believes it.
        if zstandard.frame_content_size(content) != n_bytes:
            raise ValueError(f"its chunk does not say that it holds {n_bytes} bytes of pixels")
        if not hasattr(_own, "decompressor"):
            _own.decompressor = zstandard.ZstdDecompressor()
        return _own.decompressor.decompress(content)
    except zstandard.ZstdError as error:
        raise ValueError(f"its chunk is no zstd frame ({error})") from None


@cache
def _zstandard():
    import zstandard

    return zstandard


@cache
def _xxh3():
    from xxhash import xxh3_64_intdigest

    return xxh3_64_intdigest
