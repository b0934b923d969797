"""Memory of the process: how much is free, and how freed memory is kept for later arrays.

A large array gets new pages from the system, which zeroes each page when it is first written to and takes the pages
back when the array is freed. If many large arrays follow one another, as the maps inside a network do, this can take as
long as the computation itself. glibc can be configured to keep freed memory; other allocators are left alone.
"""

import ctypes
import os
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np

__all__ = ["empty_maps", "free_memory", "keep_freed_memory"]

# Maps of fewer bytes are allocated without checking how much memory is free.
LARGE = 100_000_000
# Files in which Linux reports the memory limit and usage of a container (control groups, versions 2 and 1).
_LIMITS = [
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
]
# Cached files count as used memory, but the system drops them when it needs the memory.
_CACHE = ("inactive_file", "active_file")

# Memory that a process keeps anyway: glibc raises its own thresholds up to these values when it frees an array of 32
# MB.
ARRAY, HEAP = 2**25, 2**26
# Upper limit on kept memory: glibc takes a C integer.
MOST = 2**31 - 1
# glibc's names of its options. KEEP: no array gets pages of its own, and free memory at the end of the heap stays.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
KEEP = {MMAP_MAX: 0, TRIM_THRESHOLD: MOST}
USUAL = {MMAP_MAX: 65536, MMAP_THRESHOLD: ARRAY, TRIM_THRESHOLD: HEAP}


def free_memory():
    """Return the number of bytes that this process may still allocate; infinity if the system does not report it."""
    free = [float("inf"), _free_of_machine()]
    for limit, usage, statistics in _LIMITS:
        try:
            unused = int(Path(limit).read_text()) - int(Path(usage).read_text())
            free.append(unused + _file_cache(Path(statistics).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return float(max(0, min(free)))


def _file_cache(statistics):
    """Return the number of bytes used for cached files, from the statistics of a control group."""
    values = dict(line.split() for line in statistics.splitlines())
    return sum(int(values.get(f"total_{name}", values.get(name, 0))) for name in _CACHE)


def _free_of_machine():
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    return next(
        (1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), float("inf")
    )


def empty_maps(sizes, dtype):
    """Return uninitialised maps: one array (n_images, height, width), or a list if the sizes differ."""
    needed = sum(height * width for height, width in sizes) * np.dtype(dtype).itemsize
    if needed > LARGE and needed > (free := free_memory()):
        raise MemoryError(
            f"{len(sizes)} density maps, the first of {sizes[0][0]} x {sizes[0][1]} pixels, need {needed / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free. Pass fewer images at once, or use iter_density, or `out` of predict_density."
        )
    if len(set(map(tuple, sizes))) == 1:
        return np.empty((len(sizes), *sizes[0]), dtype)
    return [np.empty(size, dtype) for size in sizes]


class _Blocks:
    """Count the active blocks that keep freed memory, and record the largest amount that any of them needs."""

    def __init__(self):
        self.lock = Lock()
        self.n_inside = self.most = 0

    def enter(self, library, n_bytes):
        with self.lock:
            self.n_inside += 1
            self.most = max(self.most, n_bytes)
            if self.n_inside == 1:
                _set(library, KEEP)

    def leave(self, library):
        with self.lock:
            self.n_inside -= 1
            if self.n_inside == 0:
                _set(library, USUAL)
                if self.most > ARRAY:
                    library.malloc_trim(ctypes.c_size_t(HEAP))
                self.most = 0


_blocks = _Blocks()


@contextmanager
def keep_freed_memory(n_bytes=ARRAY):
    """Keep freed memory for later arrays until the last such block ends, then return it if it is more than 32 MB.

    `n_bytes` is roughly the memory that the block needs. If the environment configures the allocator, do nothing.
    """
    library = glibc()
    if library is None:
        yield
        return
    _blocks.enter(library, n_bytes)
    try:
        if n_bytes > ARRAY:
            # numpy requests large pages, which stay in the heap when the array is freed.
            np.empty(min(n_bytes, MOST // 2), dtype=np.uint8)
        yield
    finally:
        _blocks.leave(library)


@cache
def glibc():
    """Return glibc's allocator, or None if there is another one or the environment configures it."""
    configured = any(name.startswith("MALLOC_") for name in os.environ) or "malloc" in os.environ.get(
        "GLIBC_TUNABLES", ""
    )
    library = None if configured or not sys.platform.startswith("linux") else ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


def _set(library, settings):
    for name, value in settings.items():
        library.mallopt(name, value)
