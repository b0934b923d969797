"""Freed memory that stays with the process while it is needed again and again.

Each large array is made of new pages, which the system zeroes one by one when they are first written to, and takes back
when the array is freed. Where such arrays follow one another, as the maps inside a network do, this may take as long as
the computation. glibc can be told to keep what is freed; other allocators are left alone.
"""

import ctypes
import os
import sys
from contextlib import contextmanager
from functools import cache
from threading import Lock

import numpy as np

__all__ = ["keep_freed_memory"]

# What stays with a process anyway: where glibc's own thresholds end, which grow when it frees an array of 32 MB.
ARRAY, HEAP = 2**25, 2**26
# The most that is kept: the number is a C integer.
MOST = 2**31 - 1
# glibc's names for what is changed: no array has pages of its own, and what is free at the heap's end stays.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
KEEP = {MMAP_MAX: 0, TRIM_THRESHOLD: MOST}
USUAL = {MMAP_MAX: 65536, MMAP_THRESHOLD: ARRAY, TRIM_THRESHOLD: HEAP}


class _Blocks:
    """Who wants memory to be kept at present, and how much was wanted since somebody did."""

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
    """Keep freed memory for the arrays to come, in the whole process, until the last such block is over.

    Where the environment sets the allocator, this does nothing.

    Parameters
    ----------
    n_bytes : int, default=2**25
        How much the block will need, about. If it is more than the default, large pages are asked for, and what is free
        is given back at the end.

    Examples
    --------
    >>> with keep_freed_memory():
    ...     for _ in range(2):
    ...         ones = np.ones(2**20)
    """
    library = glibc()
    if library is None:
        yield
        return
    _blocks.enter(library, n_bytes)
    try:
        if n_bytes > ARRAY:
            # numpy asks for large pages, and they stay with the heap when the array is freed.
            np.empty(min(n_bytes, MOST // 2), dtype=np.uint8)
        yield
    finally:
        _blocks.leave(library)


@cache
def glibc():
    """Find the allocator that can be told.

    Returns
    -------
    ctypes.CDLL or None
        None where there is another one, or where the environment has told it.
    """
    told = any(name.startswith("MALLOC_") for name in os.environ) or "malloc" in os.environ.get(
        "GLIBC_TUNABLES", ""
    )
    library = None if told or not sys.platform.startswith("linux") else ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


def _set(library, settings):
    for name, value in settings.items():
        library.mallopt(name, value)
