import gc
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import textwrap
import weakref
from multiprocessing import get_context
from pathlib import Path

import h5py
import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from skcount.datasets._hdf5 import VERSION, load_hdf5, save_hdf5
from skcount.datasets._image_set import ImageSet
from skcount.points import PointAnnotations

PIXELS = np.random.default_rng(0).integers(0, 9, (6, 8, 10, 3)).astype(np.uint8)
POINTS = PointAnnotations([np.full((i, 2), i + 0.25) for i in range(6)])

DTYPES = [
    "bool",
    "uint8",
    "uint16",
    "uint32",
    "int16",
    "int64",
    "float16",
    "float32",
    "float64",
    ">u2",
    ">f4",
]

on_linux = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to see open files")
can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cells.h5"
    save_hdf5(path, PIXELS, POINTS, description="Six images.")
    return path


def open_files(path):
    descriptors = Path("/proc/self/fd").iterdir()
    return sum(os.path.realpath(descriptor) == str(path.resolve()) for descriptor in descriptors)


def points_strategy():
    coordinate = st.floats(-1e6, 1e6) | st.floats(allow_nan=False, allow_infinity=False)
    one = st.integers(0, 5).flatmap(lambda n: hnp.arrays(np.float64, (n, 2), elements=coordinate))
    return st.lists(one, min_size=1, max_size=5)


# --- The circle: what is saved is what is loaded -----------------------------------------------


@given(points=points_strategy(), compression=st.sampled_from(["gzip", None, 0, 9]))
@settings(max_examples=30, deadline=None)
def test_points_come_back_exactly(points, compression):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.h5"
        save_hdf5(path, np.zeros((len(points), 2, 2)), points, compression=compression)
        loaded = load_hdf5(path).points
    assert loaded == PointAnnotations(points)
    assert loaded.coordinates.tobytes() == PointAnnotations(points).coordinates.tobytes()


@given(data=st.data(), dtype=st.sampled_from(DTYPES), channels=st.sampled_from([(), (1,), (3,)]))
@settings(max_examples=30, deadline=None)
def test_images_of_any_type_and_size_come_back_exactly(data, dtype, channels):
    sizes = data.draw(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=4))
    images = [data.draw(hnp.arrays(dtype, (*size, *channels))) for size in sizes]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.h5"
        save_hdf5(path, images, [[]] * len(images))
        with load_hdf5(path).images as loaded:
            assert loaded.dtype == np.dtype(dtype).newbyteorder("=")
            assert loaded.shape == ImageSet(images).shape
            for image, expected in zip(loaded, images, strict=True):
                assert_array_equal(image, expected, strict=np.dtype(dtype).isnative)


@given(description=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
@settings(max_examples=20, deadline=None)
def test_the_description_comes_back(description):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text.h5"
        save_hdf5(path, np.zeros((1, 2, 2)), [[]], description=description)
        assert load_hdf5(path)["DESCR"] == description


def test_a_long_description_comes_back(tmp_path):
    save_hdf5(tmp_path / "long.h5", PIXELS, POINTS, description="ä" * 100_000)
    assert load_hdf5(tmp_path / "long.h5").DESCR == "ä" * 100_000


def test_what_is_loaded(path):
    data = load_hdf5(str(path))
    assert set(data) == {"images", "points", "groups", "roi", "perspective", "DESCR"}
    assert (data.groups, data.roi, data.perspective, data.DESCR) == (None, None, None, "Six images.")
    assert repr(data.images) == "ImageSet(6 images of 8 x 10 x 3, uint8, in cells.h5)"
    images, points = load_hdf5(path, return_X_y=True)
    assert_array_equal(np.asarray(images), PIXELS)
    assert points == POINTS


def test_each_image_is_one_compressed_chunk_with_a_checksum(path):
    with h5py.File(path) as file:
        dataset = file["images/8x10x3"]
        assert dataset.chunks == (1, 8, 10, 3)
        assert (dataset.compression, dataset.shuffle, dataset.fletcher32) == ("gzip", True, True)
        tables = [
            file[name] for name in ("image_shapes", "image_rows", "points/coordinates", "points/lengths")
        ]
        assert all(table.fletcher32 for table in tables)


def test_every_kind_of_iterable_makes_the_same_file(tmp_path):
    kinds = [
        PIXELS,
        list(PIXELS),
        tuple(PIXELS),
        ImageSet(PIXELS),
        iter(PIXELS),
        (p.tolist() for p in PIXELS),
    ]
    for number, images in enumerate(kinds[:-1]):
        save_hdf5(tmp_path / f"{number}.h5", images, POINTS)
    files = [(tmp_path / f"{number}.h5").read_bytes() for number in range(len(kinds) - 1)]
    assert all(file == files[0] for file in files)
    save_hdf5(tmp_path / "lists.h5", kinds[-1], POINTS)
    assert_array_equal(np.asarray(load_hdf5(tmp_path / "lists.h5").images), PIXELS)


def test_a_file_can_be_rewritten_from_itself(path):
    images, points = load_hdf5(path, return_X_y=True)
    with images:
        save_hdf5(path, images[::-1], points[::-1])
    assert_array_equal(np.asarray(load_hdf5(path).images), PIXELS[::-1])


def test_a_stream_is_held_one_image_at_a_time(tmp_path):
    alive, most = weakref.WeakSet(), 0

    class Image(np.ndarray):
        __hash__ = object.__hash__

    def stream():
        nonlocal most
        for _ in range(20):
            image = np.zeros((4, 4)).view(Image)
            alive.add(image)
            most = max(most, len(alive))
            yield image

    save_hdf5(tmp_path / "stream.h5", stream(), [[]] * 20)
    assert most <= 2  # the one that is written and the one that is made


# --- What is refused, before anything is written -------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": POINTS[:5]}, "6 images and points of 5 images"),
        ({"images": iter(PIXELS[:4])}, "4 images and points of 6 images"),
        ({"images": iter([*PIXELS, PIXELS[0]])}, "more than 6 images and points of 6"),
        ({"images": iter([*PIXELS[:3], PIXELS[3] / 2])}, "Image 3 has dtype float64"),
        ({"images": iter([PIXELS[0], "cell.png"])}, r"Image 1 has shape \(\)"),
        ({"images": PIXELS[0]}, r"X\[None\]"),
        ({"images": PIXELS * 1j}, "complex128"),
        ({"images": "cells.png"}, "images is a str"),
        ({"images": None}, "images is a NoneType"),
        ({"images": iter([]), "points": []}, "points is empty"),
        ({"points": [[(0, np.nan)]] * 6}, "NaN or infinity"),
        ({"points": [[(0, 1, 2)]] * 6}, r"expected \(n_points, 2\)"),
        ({"compression": "szip"}, "compression='szip'; expected 'gzip'"),
        ({"compression": True}, "compression=True"),
        ({"compression": 10}, "from 0 to 9"),
        ({"description": b"cells"}, "description is b'cells'; expected a str"),
        ({"description": "a\0"}, "without NUL"),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(tmp_path, changes, message):
    arguments = {"images": PIXELS, "points": POINTS} | changes
    with pytest.raises(ValueError, match=message):
        save_hdf5(tmp_path / "cells.h5", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*missing to write cells.h5 in; make it first"):
        save_hdf5(tmp_path / "missing" / "cells.h5", PIXELS, POINTS)
    with pytest.raises(ValueError, match="is a folder"):
        save_hdf5(tmp_path, PIXELS, POINTS)


# --- A writer that fails leaves what was there ---------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("no more"), KeyboardInterrupt()])
def test_a_writer_that_fails_leaves_the_old_file_and_no_other(path, error):
    def stream():
        yield PIXELS[0]
        raise error

    before = path.read_bytes()
    with pytest.raises(type(error)):
        save_hdf5(path, stream(), POINTS)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == before


def run_writer(path, body):
    """Run a writer of endless images in a process of its own, which `body` ends."""
    script = textwrap.dedent("""
        import os, signal, sys
        import numpy as np
        from skcount.datasets._hdf5 import save_hdf5

        def stream():
            rng = np.random.default_rng(0)
            for number in range(100):
                BODY
                yield rng.integers(0, 256, (64, 64)).astype(np.uint8)

        save_hdf5(sys.argv[1], stream(), [[]] * 100)
    """).replace("BODY", body)
    folder = Path(__file__).parents[2]
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-W", "error", "-c", script, str(path)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_writer_leaves_the_old_file(path):
    before = path.read_bytes()
    run = run_writer(path, "if number == 50: os.kill(os.getpid(), signal.SIGKILL)")
    assert run.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert_array_equal(load_hdf5(path).images[5], PIXELS[5])


def test_a_full_disk_is_an_error_and_leaves_the_old_file(path):
    pytest.importorskip("resource", reason="this system cannot limit the size of files")
    before = path.read_bytes()
    limit = (
        "import resource; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    )
    run = run_writer(path, limit)
    assert run.returncode == 1
    assert "OSError" in run.stderr
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_file_has_the_permissions_of_any_new_file(path):
    (path.parent / "other").touch()
    assert path.stat().st_mode == (path.parent / "other").stat().st_mode


# --- Files that are damaged, foreign or new ------------------------------------------------------


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.h5"):
        load_hdf5(tmp_path / "none.h5")


@pytest.mark.parametrize("kept", [0, 1, 100, 800, 2000, -1000, -1])
def test_a_truncated_file_is_refused(path, kept):
    content = path.read_bytes()
    path.write_bytes(content[:kept])
    with pytest.raises(ValueError, match=r"cells.h5 cannot be loaded: .*Expected a whole file"):
        load_hdf5(path)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all" * 100, b"\x89PNG\r\n\x1a\n"])
def test_a_file_of_another_format_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cells.h5 cannot be loaded"):
        load_hdf5(path)


def test_an_hdf5_file_of_another_program_is_refused(path):
    with h5py.File(path, "w") as file:
        file["images"] = PIXELS
    with pytest.raises(ValueError, match="another program, with no skcount format mark"):
        load_hdf5(path)


def set_attribute(name, value):
    def change(file):
        file.attrs[name] = value

    return change


def replace_table(name, table):
    def change(file):
        del file[name]
        file[name] = table

    return change


def remove(name):
    def change(file):
        del file[name]

    return change


def remove_mark(file):
    del file.attrs["complete"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            set_attribute("version", VERSION + 1),
            rf"version is {VERSION + 1}.*up to {VERSION}: upgrade skcount",
        ),
        (set_attribute("version", "new"), "cannot be loaded"),
        (remove_mark, "incomplete, its writer was interrupted"),
        (set_attribute("complete", False), "incomplete"),
        (set_attribute("format", "something else"), "another program"),
        (remove("points"), "cannot be loaded"),
        (remove("image_rows"), "cannot be loaded"),
        (remove("images/8x10x3"), "cannot be loaded"),
        (replace_table("points/lengths", np.zeros(5, int)), "6 images and points of 5"),
        (replace_table("points/coordinates", np.zeros((3, 2))), "lengths add up to 15"),
        (replace_table("points/coordinates", np.full((15, 2), np.nan)), "NaN"),
        (replace_table("image_rows", np.arange(5)), r"of shape \(6, 3\) and \(5,\)"),
        (replace_table("image_rows", np.arange(6) + 1), "not .* as its tables say"),
        (replace_table("images/8x10x3", PIXELS[:5]), r"shape \(5, 8, 10, 3\), not \(6, 8, 10, 3\)"),
        (replace_table("image_shapes", np.full((6, 3), 8)), "cannot be loaded"),
        (replace_table("images/8x10x3", np.array([b"a"])), "cannot be loaded"),
    ],
)
def test_a_file_whose_parts_disagree_is_refused(path, change, message):
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=rf"(?s)cells.h5 cannot be loaded: .*{message}|{message}"):
        load_hdf5(path)


def test_two_types_of_images_in_one_file_are_refused(tmp_path):
    path = tmp_path / "cells.h5"
    save_hdf5(path, [np.zeros((2, 2)), np.zeros((3, 3))], [[], []])
    with h5py.File(path, "r+") as file:
        replace_table("images/3x3", np.zeros((1, 3, 3), dtype=np.uint8))(file)
    with pytest.raises(ValueError, match=r"several types, \['float64', 'uint8'\]"):
        load_hdf5(path)


def content_or_error(path):
    try:
        images, points = load_hdf5(path, return_X_y=True)
        with images:
            return np.asarray(images), points
    except (ValueError, OSError) as error:
        return str(error)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("content") / "cells.h5"
    save_hdf5(path, PIXELS, POINTS)
    return path.read_bytes()


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_flipped_bit_is_never_a_wrong_pixel_or_point(content, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5"
        buffer = bytearray(content)
        position = data.draw(st.integers(0, len(buffer) - 1))
        buffer[position] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(buffer)
        found = content_or_error(path)
    if isinstance(found, str):
        assert str(path) in found
    else:  # the bit was in a gap, or in what nobody reads
        assert_array_equal(found[0], PIXELS)
        assert found[1] == POINTS


def test_a_flipped_bit_in_an_image_names_the_image(path):
    with h5py.File(path) as file:
        offset = file["images/8x10x3"].id.get_chunk_info(4).byte_offset
    content = bytearray(path.read_bytes())
    content[offset + 20] ^= 4
    path.write_bytes(content)
    with load_hdf5(path).images as images:
        assert_array_equal(images[3], PIXELS[3])
        with pytest.raises(OSError, match=r"Image 4 of .*cells.h5 cannot be read: .*(?i:checksum|filter)"):
            images[::2][2]


# --- One file in many hands ----------------------------------------------------------------------


@on_linux
def test_the_file_is_open_only_while_it_is_used(path):
    images = load_hdf5(path).images
    assert open_files(path) == 0
    images[0], images[3:][1]
    assert open_files(path) == 1
    images.close()
    assert open_files(path) == 0
    with images[2:] as some:
        assert_array_equal(some[0], PIXELS[2])  # it opens itself again
        assert open_files(path) == 1
    assert open_files(path) == 0
    images[0]
    del images, some
    gc.collect()
    assert open_files(path) == 0


def test_no_open_file_and_no_pixel_is_in_a_pickle(tmp_path):
    path = tmp_path / "big.h5"
    save_hdf5(path, np.zeros((10, 200, 200)), [[]] * 10)
    with load_hdf5(path).images as images:
        images[0]
        content = pickle.dumps(images)
    assert len(content) < 2000
    assert pickle.loads(content)[9].shape == (200, 200)


def sum_of(images, number):
    return os.getpid(), int(images[number].sum())


def test_workers_read_for_themselves(path):
    with load_hdf5(path).images as images:
        images[0]
        found = joblib.Parallel(n_jobs=2)(joblib.delayed(sum_of)(images[::-1], i) for i in range(6))
    assert [total for _, total in found] == PIXELS[::-1].sum(axis=(1, 2, 3)).tolist()
    assert os.getpid() not in {pid for pid, _ in found}


@can_fork
@pytest.mark.filterwarnings(
    "ignore:.*multi-threaded.*fork:DeprecationWarning"
)  # Python 3.12 warns of any fork
def test_a_forked_child_opens_its_own_and_leaves_the_parents(path):
    with load_hdf5(path).images as images:
        images[0]
        parents = images.source._file._handle
        with images.source._file._lock():  # as if another thread was reading while this one forks
            child = get_context("fork").Process(target=check_in_child, args=(images, parents))
            child.start()
        child.join(30)
        assert child.exitcode == 0
        assert_array_equal(images[5], PIXELS[5])
        assert images.source._file._handle is parents


def check_in_child(images, parents):
    assert_array_equal(images[4], PIXELS[4])
    assert images.source._file._handle is not parents
    images.close()


def test_a_file_that_changed_is_noticed(path):
    with load_hdf5(path).images as images:
        assert_array_equal(images[0], PIXELS[0])
        save_hdf5(path, PIXELS[::-1].copy(), POINTS)
        os.utime(path, ns=(0, 0))  # however coarse the clock of the disk
        with pytest.raises(OSError, match=r"cells.h5 has changed since it was loaded .*; load it again"):
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
