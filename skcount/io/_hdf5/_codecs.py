"""Pixels <-> the bytes of an HDF5 chunk, without HDF5, which is several times slower; and checksums.

A codec is what HDF5 calls a filter pipeline: a tuple of filter numbers in the order in which they are applied.
Other programs undo the same filters, so they read the same pixels.
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

_own = threading.local()  # a decompressor takes time to make and serves only one thread


def choose_codec(compression, dtype):
    """Return the filters for pixels of a type: bytes of wide types are shuffled first, which compresses better."""
    if compression is None:
        return ()
    compressor = ZSTD if compression == "zstd" else DEFLATE
    return (compressor,) if dtype.itemsize == 1 else (SHUFFLE, compressor)


def encode(pixels, codec):
    """Return the bytes of the HDF5 chunk that holds the contiguous pixels of one image."""
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
    """Undo `encode`, into a writeable array; reject any other chunk before it takes more memory than the image."""
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
    """Return the 64-bit XXH3 of image `number` of the kind `name`; `pixels` are contiguous and little-endian."""
    xxh3 = _xxh3()
    # The seed covers name, type, shape and position, so an image in the place of another one does not match.
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
        raise ValueError(f"its chunk is not a gzip stream ({error})") from None


def _unzstd(content, n_bytes):
    zstandard = _zstandard()
    try:
        # A frame may declare any size, and the library trusts it.
        if zstandard.frame_content_size(content) != n_bytes:
            raise ValueError(f"its chunk does not declare {n_bytes} bytes of pixels")
        if not hasattr(_own, "decompressor"):
            _own.decompressor = zstandard.ZstdDecompressor()
        return _own.decompressor.decompress(content)
    except zstandard.ZstdError as error:
        raise ValueError(f"its chunk is not a zstd frame ({error})") from None


@cache
def _zstandard():
    import zstandard

    return zstandard


@cache
def _xxh3():
    from xxhash import xxh3_64_intdigest

    return xxh3_64_intdigest
