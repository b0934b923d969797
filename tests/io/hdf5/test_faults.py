"""What a file says after its writer was killed, its disk was full, or its bytes were changed: the truth, or an error."""

import os
import subprocess
import sys
import tempfile
import textwrap
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcount.images import ImageSet
from skcount.io import load_hdf5, save_hdf5

can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def run_script(script, *arguments):
    """Run a script in a process of its own, which may crash or hang; return what it prints."""
    run = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-W", "error", "-c", COMMON + textwrap.dedent(script), *map(str, arguments)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


COMMON = textwrap.dedent("""
    import os, re, signal, sys, time
    from pathlib import Path
    import h5py, xxhash, zstandard  # before fork: they take longer to load than a file to write
    import numpy as np
    from skcount.io import load_hdf5, save_hdf5

    N_IMAGES = 200

    def content_of(version):
        rng = np.random.default_rng(version)
        images = rng.integers(0, 256, (N_IMAGES, 24, 32)).astype(np.uint8)
        return images, [rng.random((n % 4, 2)) for n in range(N_IMAGES)], images > 9

    def save(path, version):
        images, points, roi = content_of(version)
        save_hdf5(path, iter(images), points, roi=iter(roi), groups=[version] * N_IMAGES)

    def version_of(path):
        # Reads everything, and compares it with what was written.
        data = load_hdf5(path)
        with data.images:
            version = int(data.groups[0])
            images, points, roi = content_of(version)
            assert (np.asarray(data.images) == images).all()
            assert (np.asarray(data.roi) == roi).all()
            assert all((a == b).all() for a, b in zip(data.points, points, strict=True))
        return version
""")


# --- Writers that end before their file does -----------------------------------------------------


@can_fork
@pytest.mark.parametrize("n_kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path, n_kills, record_property):
    script = """
        path, n_kills = Path(sys.argv[1]), int(sys.argv[2])
        start = time.perf_counter()
        save(path, 0)
        duration = time.perf_counter() - start
        rng = np.random.default_rng(int.from_bytes(os.urandom(4)))
        interrupted = 0
        for version in range(1, n_kills + 1):
            before = version_of(path)
            child = os.fork()
            if child == 0:
                save(path, version)
                os._exit(0)
            end = time.perf_counter() + rng.uniform(0, duration)
            while time.perf_counter() < end:
                pass
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            interrupted += version_of(path) != version
            assert version_of(path) in {before, version}
            assert len(list(path.parent.iterdir())) <= 2  # the next writer removes what this one left
        save(path, n_kills + 1)
        assert version_of(path) == n_kills + 1
        print(interrupted, *os.listdir(path.parent))
    """
    interrupted, *files = run_script(script, tmp_path / "cells.h5", n_kills)
    assert int(interrupted) > n_kills // 4
    assert files == ["cells.h5"]
    record_property("kills of a writer of HDF5", n_kills)


@can_fork
@pytest.mark.parametrize("compression", ["zstd", None])
def test_a_full_disk_is_an_error_that_leaves_the_old_file_and_none_open(tmp_path, compression):
    pytest.importorskip("resource", reason="this system cannot limit the size of files")
    script = """
        import resource

        path, compression = Path(sys.argv[1]), None if sys.argv[2] == "None" else sys.argv[2]
        images, points, roi = content_of(1)
        arguments = {"roi": iter(roi), "compression": compression, "description": "long " * 1000}
        save_hdf5(path, iter(images), points, **arguments)
        size = path.stat().st_size
        save(path, 0)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        for limit in [0, 1, 100, 2000, *np.linspace(5000, size - 1, 12).astype(int).tolist(), size - 200, size - 20]:
            child = os.fork()
            if child == 0:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
                try:
                    save_hdf5(path, iter(images), points, **arguments | {"roi": iter(roi)})
                except OSError as error:
                    assert re.match(f"(?s){path} could not be written: .*File too large", str(error))
                    code = 17
                assert os.listdir(path.parent) == ["cells.h5"]
                fds = Path("/proc/self/fd")
                held = [os.path.realpath(fd) for fd in fds.iterdir()] if fds.is_dir() else []
                assert not any("cells.h5" in name for name in held), held  # or the disk would stay full
                if limit == 2000:  # the process that failed can write again
                    assert version_of(path) == 0
                    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
                    save(path, 0)
                os._exit(code)
            status = os.waitpid(child, 0)[1]
            assert os.waitstatus_to_exitcode(status) == 17, (limit, size, status)
            assert version_of(path) == 0
        print(*os.listdir(path.parent))
    """
    assert run_script(script, tmp_path / "cells.h5", compression) == ["cells.h5"]


# --- Bytes that have changed since ---------------------------------------------------------------


def write_everything(path, compression):
    """Write a file that has a part of every kind."""
    rng = np.random.default_rng(0)
    sizes = [(8, 10, 3), (6, 5, 3), (8, 10, 3), (8, 10, 3), (6, 5, 3), (9, 9, 3)]
    images = [rng.integers(0, 40, size).astype(np.uint16) for size in sizes]
    save_hdf5(
        path,
        images,
        [rng.random((n, 2)) for n in range(6)],
        roi=[image[:, :, 0] > 3 for image in images],
        perspective=[image[:, :, 1] + 0.5 for image in images],
        groups=["clip ä", "b", "b", "c", "d", "d"],
        compression=compression,
        description="Where this comes from. " * 40,
    )


def write_one_size(path, compression):
    """Write a file whose maps are shared."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 9, (12, 8, 10)).astype(np.uint8)
    side_data = {"roi": images[0] > 3, "perspective": images[0] + 0.5, "groups": range(12)}
    points = [rng.random((n, 2)) for n in range(12)]
    save_hdf5(path, images, points, compression=compression, description="x", **side_data)


def everything_in(path):
    """Read a whole file; what cannot be read is an error of two kinds."""
    data = load_hdf5(path)
    with data.images as images:
        maps = [list(m) if isinstance(m, ImageSet) else m for m in (data.roi, data.perspective)]
        read = [list(images), *maps, list(data.points), data.groups]
    # As text and bytes: NaN equals NaN, and -0.0 is not 0.0.
    return data.DESCR, [[(a.dtype.str, a.shape, a.tobytes()) for a in part] for part in read]


cases = pytest.mark.parametrize(
    ("write", "compression"), [*product([write_everything, write_one_size], ["zstd", "gzip", None])]
)


def assert_harmless_or_detected(path, expected):
    """Tell whether a damaged file was detected; that it says something else is the one thing that must not be."""
    try:
        found = everything_in(path)
    except (ValueError, OSError) as error:
        found = str(error)
    is_detected = isinstance(found, str)
    assert str(path) in found if is_detected else found == expected
    return is_detected


@cases
def test_a_truncated_file_is_refused(tmp_path, write, compression):
    path = tmp_path / "a.h5"
    write(path, compression)
    content = path.read_bytes()
    places = np.random.default_rng(0).integers(0, len(content), 14).tolist()
    for length in [0, 1, 8, 48, len(content) // 2, len(content) - 1, *places]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"a.h5 cannot be loaded: .*Expected a whole file"):
            load_hdf5(path)


def flip_bits(content, rng):
    for position, bit in rng.integers(0, (len(content), 8), (40, 2)).tolist():
        damaged = bytearray(content)
        damaged[position] ^= 1 << bit
        yield damaged


def lose_blocks(content, rng):
    for _ in range(10):
        start, length = rng.integers(len(content)), rng.choice([2, 16, 64, 512, 4096])
        damaged = bytearray(content)
        damaged[start : start + length] = bytes(len(damaged[start : start + length]))
        yield damaged


@cases
@pytest.mark.parametrize("damage", [flip_bits, lose_blocks])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=5, deadline=None)
def test_flipped_bits_and_lost_blocks_are_harmless_or_detected(write, compression, damage, seed):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.h5"
        write(path, compression)
        expected, content = everything_in(path), path.read_bytes()
        detected = 0
        for damaged in damage(content, np.random.default_rng(seed)):
            path.write_bytes(damaged)
            detected += assert_harmless_or_detected(path, expected)
        assert detected > 0


@pytest.mark.slow
@cases
def test_every_byte_is_harmless_or_detected(tmp_path, write, compression):
    path = tmp_path / "a.h5"
    write(path, compression)
    expected, content = everything_in(path), path.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        assert_harmless_or_detected(path, expected)


def test_bytes_after_the_end_are_harmless(tmp_path):
    write_everything(tmp_path / "a.h5", "zstd")
    expected = everything_in(tmp_path / "a.h5")
    with open(tmp_path / "a.h5", "ab") as file:
        file.write(b"appended")
    assert everything_in(tmp_path / "a.h5") == expected
