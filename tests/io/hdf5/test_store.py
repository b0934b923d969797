import gc
import os
import pickle
from multiprocessing import get_context
from pathlib import Path

import h5py
import joblib
import numpy as np
import pytest
import zstandard
from numpy.testing import assert_array_equal

from skcount.io import load_hdf5, save_hdf5
from skcount.io._hdf5._codecs import checksum
from skcount.io._hdf5._h5py import VERSION
from skcount.points import PointAnnotations

COMPRESSIONS = ["zstd", "gzip", None]
PIXELS = np.random.default_rng(0).integers(0, 9, (6, 8, 10, 3)).astype(np.uint8)
POINTS = PointAnnotations([np.full((i, 2), i + 0.25) for i in range(6)])

on_linux = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to see open files")
can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cells.h5"
    save_hdf5(path, PIXELS, POINTS, description="Six images.")
    return path


def is_open(path):
    descriptors = Path("/proc/self/fd").iterdir()
    return any(os.path.realpath(descriptor) == str(path.resolve()) for descriptor in descriptors)


# --- Files that are damaged, foreign or new ------------------------------------------------------


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.h5"):
        load_hdf5(tmp_path / "none.h5")
    with pytest.raises(IsADirectoryError, match=rf"`path` .*{tmp_path}"):
        load_hdf5(tmp_path)
    with pytest.raises(ValueError, match=r"'path' .* None"):
        load_hdf5(None)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all" * 100, b"\x89PNG\r\n\x1a\n"])
def test_a_file_of_another_format_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cells.h5 cannot be loaded"):
        load_hdf5(path)


def put(name, value=None):
    """Return a change of an open file: another attribute, or another table if there is a / or _ in its name."""

    def change(file):
        items = file.attrs if name in {"version", "format", "complete"} else file
        if name in items:
            del items[name]
        if value is not None:
            items[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("version", VERSION + 1), rf"version is {VERSION + 1}.* {VERSION}\. Upgrade skcount"),
        (put("version", "new"), "cannot be loaded"),
        (put("format"), "another program"),
        (put("format", "something else"), "another program"),
        (put("complete"), "incomplete"),
        (put("complete", False), "incomplete"),
        *(
            (put(name), "cannot be loaded")
            for name in ("points", "image_rows", "images/8x10x3", "image_checksums")
        ),
        (put("points/lengths", np.zeros(5, int)), "6 images and points of 5 images"),
        (put("image_checksums", np.zeros(5, np.uint64)), "6 images and 5 checksums"),
        (put("groups", np.zeros(5, int)), r"`groups` must have shape \(6,\).*got \(5,\)"),
        (put("roi", np.zeros((8, 10), bool)), "`roi` has no pixel inside"),
        (put("perspective", np.ones((8, 9))), r"`perspective` must have shape .*got \(8, 9\)"),
        (put("roi/8x10", np.ones((5, 8, 10), bool)), "cannot be loaded"),
        (put("points/coordinates", np.zeros((3, 2))), "lengths add up to 15"),
        (put("points/coordinates", np.full((15, 2), np.nan)), "NaN"),
        (put("image_rows", np.arange(5)), r"shapes \(6, 3\) and \(5,\)"),
        (put("image_rows", np.arange(6) + 1), "not .* as its tables say"),
        (put("images/8x10x3", PIXELS[:5]), r"shape \(5, 8, 10, 3\), not \(6, 8, 10, 3\)"),
        (put("image_shapes", np.full((6, 3), 8)), "cannot be loaded"),
        (put("images/8x10x3", np.array([b"a"])), "cannot be loaded"),
    ],
)
def test_a_file_whose_parts_disagree_is_refused(path, change, message):
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=rf"(?s)cells.h5 cannot be loaded: .*{message}|{message}") as info:
        load_hdf5(path)
    assert ".." not in str(info.value)


def test_two_types_of_images_in_one_file_are_refused(tmp_path):
    path = tmp_path / "cells.h5"
    save_hdf5(path, [np.zeros((2, 2)), np.zeros((3, 3))], [[], []])
    with h5py.File(path, "r+") as file:
        put("images/3x3", np.zeros((1, 3, 3), dtype=np.uint8))(file)
    with pytest.raises(ValueError, match=r"\['float64', 'uint8'\]"):
        load_hdf5(path)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_flipped_bit_in_an_image_names_the_image(path, compression):
    save_hdf5(path, PIXELS, POINTS, compression=compression)
    with h5py.File(path) as file:
        offset = file["images/8x10x3"].id.get_chunk_info(4).byte_offset
    content = bytearray(path.read_bytes())
    content[offset + 20] ^= 4
    path.write_bytes(content)
    with load_hdf5(path).images as images:
        assert_array_equal(images[3], PIXELS[3])
        message = r"Image 4 of .*cells.h5 cannot be read: its (pixels|chunk) .*damaged"
        with pytest.raises(OSError, match=message):
            images[::2][2]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_images_that_have_changed_places_are_noticed(path, compression):
    save_hdf5(path, PIXELS, POINTS, compression=compression)
    with h5py.File(path, "r+") as file:
        chunks = file["images/8x10x3"].id
        first, second = (chunks.read_direct_chunk((row, 0, 0, 0))[1] for row in (1, 2))
        chunks.write_direct_chunk((1, 0, 0, 0), second)
        chunks.write_direct_chunk((2, 0, 0, 0), first)
    with load_hdf5(path).images as images:
        assert_array_equal(images[3], PIXELS[3])
        for number in (1, 2):
            with pytest.raises(OSError, match=rf"Image {number} of .*its pixels do not match their checksum"):
                images[number]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_chunk_that_was_never_written_is_no_image_of_zeros(path, compression):
    save_hdf5(path, np.zeros_like(PIXELS), POINTS, compression=compression)
    with h5py.File(path, "r+") as file:
        dataset = file["images/8x10x3"]
        dataset.resize(5, axis=0)
        dataset.resize(6, axis=0)
    with load_hdf5(path).images as images:
        assert not images[4].any()
        with pytest.raises(OSError, match=r"Image 5 of .* cannot be read: its chunk"):
            images[5]


def test_a_perspective_that_another_program_wrote_wrong_is_named_when_it_is_read(path):
    scales = PIXELS[..., 0] + 1.0
    save_hdf5(path, PIXELS, POINTS, perspective=scales)
    scales[4, 2, 3] = np.nan
    with h5py.File(path, "r+") as file:
        shuffled = scales[4].reshape(-1, 1).view(np.uint8).T.tobytes()
        file["perspective/8x10"].id.write_direct_chunk((4, 0, 0), zstandard.compress(shuffled))
        file["perspective_checksums"][4] = checksum("perspective", 4, scales[4])
    loaded = load_hdf5(path)
    with loaded.images:
        assert_array_equal(loaded.perspective[3], scales[3])
        with pytest.raises(ValueError, match=r"`perspective` of image 4 .*got nan at row 2, column 3"):
            loaded.perspective[4]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_file_whose_images_another_program_stored_again_is_read_through_hdf5(tmp_path, dtype):
    path = tmp_path / "a.h5"
    images = PIXELS.astype(dtype)
    save_hdf5(path, images, POINTS, compression=None)
    with h5py.File(path, "r+") as file:
        del file["images/8x10x3"]
        file.create_dataset(
            "images/8x10x3", data=images, chunks=(4, 8, 5, 3), compression="lzf", fletcher32=True
        )
    with load_hdf5(path).images as loaded:
        assert_array_equal(np.asarray(loaded), images, strict=True)


def test_a_chunk_whose_filters_were_skipped_is_read(path):
    save_hdf5(path, PIXELS, POINTS, compression="gzip")
    with h5py.File(path, "r+") as file:  # as HDF5 does it for what gets no smaller
        file["images/8x10x3"].id.write_direct_chunk((2, 0, 0, 0), PIXELS[2].tobytes(), filter_mask=1)
    with load_hdf5(path).images as images:
        assert_array_equal(np.asarray(images), PIXELS)


# --- One file in many hands ----------------------------------------------------------------------


@on_linux
def test_the_file_is_open_only_while_it_is_used(path):
    images = load_hdf5(path).images
    assert not is_open(path)
    images[0], images[3:][1]
    assert is_open(path)
    images.close()
    assert not is_open(path)
    with images[2:] as some:
        assert_array_equal(some[0], PIXELS[2])  # it opens itself again
        assert is_open(path)
    assert not is_open(path)
    images[0]
    del images, some
    gc.collect()
    assert not is_open(path)


def test_no_open_file_and_no_pixel_is_in_a_pickle(tmp_path):
    path = tmp_path / "big.h5"
    save_hdf5(path, np.zeros((10, 200, 200)), [[]] * 10)
    with load_hdf5(path).images as images:
        images[0]
        content = pickle.dumps(images)
    assert len(content) < 2000
    assert pickle.loads(content)[9].shape == (200, 200)


@can_fork
@pytest.mark.filterwarnings(
    "ignore:.*multi-threaded.*fork:DeprecationWarning"
)  # Python 3.12 warns of any fork
def test_a_forked_child_opens_its_own_and_leaves_the_parents(path):
    with load_hdf5(path).images as images:
        images[0]
        parents = images.store._file._bytes
        with images.store._file._lock():  # as if another thread was reading while this one forks
            child = get_context("fork").Process(target=check_in_child, args=(images, parents))
            child.start()
        child.join(600)
        assert child.exitcode == 0
        assert_array_equal(images[5], PIXELS[5])
        assert images.store._file._bytes is parents


def check_in_child(images, parents):
    assert_array_equal(images[4], PIXELS[4])
    assert images.store._file._bytes is not parents
    images.close()


def test_a_file_that_changed_is_noticed(path):
    with load_hdf5(path).images as images:
        assert_array_equal(images[0], PIXELS[0])
        save_hdf5(path, PIXELS[::-1].copy(), POINTS)
        os.utime(path, ns=(0, 0))  # however coarse the clock of the disk
        with pytest.raises(OSError, match=r"cells.h5 has changed since it was loaded"):
            images[0]
        path.unlink()
        with pytest.raises(FileNotFoundError, match="has vanished since it was loaded"):
            images[0]


def test_a_memory_of_joblib_never_serves_the_pixels_of_an_older_file(path, tmp_path):
    memory = joblib.Memory(tmp_path / "memory", verbose=0)
    total = memory.cache(total_of)
    assert total(load_hdf5(path).images) == PIXELS.sum()
    hashed = joblib.hash(load_hdf5(path).images)
    assert hashed == joblib.hash(load_hdf5(path).images)
    assert total.check_call_in_cache(load_hdf5(path).images)
    status = path.stat()
    save_hdf5(path, np.zeros_like(PIXELS), POINTS)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert joblib.hash(load_hdf5(path).images) != hashed
    assert total(load_hdf5(path).images) == 0


def total_of(images):
    return sum(int(image.sum()) for image in images)
