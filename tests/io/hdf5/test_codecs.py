import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from skcount.io._hdf5._codecs import CODECS, DEFLATE, SHUFFLE, ZSTD, checksum, choose_codec, decode, encode

IMAGE = np.arange(60, dtype="<u2").reshape(4, 5, 3)


@given(
    pixels=hnp.arrays(
        st.sampled_from(["?", "|u1", "<u2", "<i4", "<f2", "<f4", "<f8"]),
        hnp.array_shapes(min_dims=2, max_dims=3, max_side=6),
    ),
    codec=st.sampled_from(sorted(CODECS)),
)
def test_decoding_undoes_encoding(pixels, codec):
    decoded = decode(bytes(encode(pixels, codec)), codec, pixels.shape, pixels.dtype)
    assert decoded.tobytes() == pixels.tobytes()
    assert (decoded.shape, decoded.dtype) == (pixels.shape, pixels.dtype)
    assert decoded.flags.writeable


@pytest.mark.parametrize(
    ("codec", "chunk", "message"),
    [
        ((), b"too short", "9 bytes of pixels, not 120"),
        ((), bytes(121), "121 bytes"),
        ((SHUFFLE, DEFLATE), b"no gzip at all", "not a gzip stream"),
        ((SHUFFLE, DEFLATE), zlib.compress(bytes(119)), "119 bytes"),
        ((DEFLATE,), zlib.compress(bytes(120))[:-9], "bytes of pixels|not a gzip stream"),
        ((ZSTD,), b"no zstd at all", "not a zstd frame"),
        ((ZSTD,), zstandard.compress(bytes(119)), "does not declare 120 bytes"),
        ((ZSTD,), zstandard.compress(bytes(range(120)))[:-9], "not a zstd frame"),
        ((ZSTD,), b"", "not a zstd frame"),
    ],
)
def test_a_chunk_of_another_image_is_refused(codec, chunk, message):
    with pytest.raises(ValueError, match=message):
        decode(chunk, codec, IMAGE.shape, IMAGE.dtype)


@pytest.mark.parametrize(("compress", "codec"), [(zlib.compress, (DEFLATE,)), (zstandard.compress, (ZSTD,))])
def test_a_bomb_takes_no_memory(compress, codec):
    bomb = compress(bytes(2**26))
    tracemalloc.start()
    with suppress(ValueError):  # gzip ends where the image does; the checksum tells the rest
        assert not decode(bomb, codec, (10, 12), np.dtype("uint8")).any()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_the_checksum_is_of_the_pixels_and_of_all_that_tells_one_image_from_another():
    changed = IMAGE.copy()
    changed[-1, -1, -1] ^= 1
    others = [
        checksum("images", 3, changed),
        checksum("images", 4, IMAGE),
        checksum("roi", 3, IMAGE),
        checksum("images", 3, IMAGE.reshape(5, 4, 3)),
        checksum("images", 3, IMAGE.reshape(4, 15)),
        checksum("images", 3, IMAGE.view("<i2")),
    ]
    assert len({checksum("images", 3, IMAGE), *others}) == 7
    assert checksum("images", 3, IMAGE.copy()) == checksum("images", 3, IMAGE)


def test_the_checksum_is_the_one_of_the_documentation():
    xxhash = pytest.importorskip("xxhash")
    seed = xxhash.xxh3_64_intdigest(b"images uint16 4x5x3", seed=3)
    assert checksum("images", 3, IMAGE) == xxhash.xxh3_64_intdigest(IMAGE.tobytes(), seed=seed)


def test_a_chosen_codec_can_be_undone_and_shuffling_sorts_bytes_by_significance_as_hdf5_does():
    assert {choose_codec(name, np.dtype(d)) for name in ("zstd", "gzip", None) for d in "?Bd"} <= set(CODECS)
    assert_array_equal(encode(np.array([1, 258], dtype="<u2"), (SHUFFLE,)).reshape(-1), [1, 2, 0, 1])
