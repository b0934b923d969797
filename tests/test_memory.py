"""Freed memory stays while it is needed, and goes back afterwards; what cannot fit is refused."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from skcount import DensityMapTransformer, _memory
from skcount._memory import ARRAY, HEAP, KEEP, USUAL, empty_maps, free_memory, glibc, keep_freed_memory

needs_glibc = pytest.mark.skipif(
    glibc() is None, reason="another allocator, or one that the environment sets"
)

COUNT_PAGES = """
import resource, warnings
import numpy as np
from skcount import UNetRegressor
from skcount.datasets import make_cells

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

warnings.simplefilter("ignore")
X, points = make_cells(2, image_shape=(32, 32), random_state=0, return_X_y=True)
regressor = UNetRegressor(filters=16, max_epochs=1, random_state=0).fit(X, points)
images = np.zeros((2, 400, 400, 3), dtype=np.uint8)
regressor.predict(images[:1])
before, resident_before = pages(), resident()
counts = regressor.predict(images)
print(pages() - before, max(0, resident() - resident_before), *counts)
"""


def count_pages(**environment):
    """Return the new pages while two images are predicted, the bytes that stay with the process, and the counts."""
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", COUNT_PAGES],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return [float(value) for value in done.stdout.split()]


@needs_glibc
def test_predicting_takes_the_same_pages_again_and_gives_them_back():
    n_pages, stays, *counts = count_pages()
    # The environment sets what is glibc's own beginning: nothing is changed.
    n_pages_without, _, *counts_without = count_pages(MALLOC_TRIM_THRESHOLD_="131072")
    assert n_pages < n_pages_without / 4
    assert stays < HEAP
    assert counts == counts_without


class Library:
    """Note what the allocator is told."""

    def __init__(self):
        self.settings, self.n_trims = {}, 0

    def mallopt(self, name, value):
        self.settings[name] = value

    def malloc_trim(self, _):
        self.n_trims += 1


@pytest.fixture
def library(monkeypatch):
    library = Library()
    monkeypatch.setattr(_memory, "glibc", lambda: library)
    return library


def test_the_last_block_puts_the_settings_back(library):
    with keep_freed_memory():
        with keep_freed_memory():
            assert library.settings == KEEP
        assert library.settings == KEEP
    assert library.settings == KEEP | USUAL
    assert library.n_trims == 0


def test_what_is_much_is_given_back_whichever_block_needed_it(library):
    with keep_freed_memory():
        with keep_freed_memory(ARRAY + 1):
            pass
        assert library.n_trims == 0
    assert library.n_trims == 1
    with keep_freed_memory():
        pass
    assert library.n_trims == 1


def test_an_error_ends_a_block_too(library):
    with pytest.raises(ZeroDivisionError), keep_freed_memory():
        1 / 0  # noqa: B018
    assert library.settings == KEEP | USUAL


def test_threads_share_one_setting(library):
    inside, gone = Barrier(2), Barrier(2)

    def first():
        with keep_freed_memory():
            inside.wait(600)
        gone.wait(600)

    def second():
        with keep_freed_memory():
            inside.wait(600)
            gone.wait(600)
            return dict(library.settings)

    with ThreadPoolExecutor(2) as threads:
        threads.submit(first)
        assert threads.submit(second).result(600) == KEEP
    assert library.settings == KEEP | USUAL


@pytest.mark.parametrize(
    ("name", "value"), [("MALLOC_ARENA_MAX", "2"), ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")]
)
def test_what_the_environment_sets_is_left_alone(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    assert glibc.__wrapped__() is None


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert glibc.__wrapped__() is None
    monkeypatch.setattr(_memory, "glibc", lambda: None)
    with keep_freed_memory(10**15):
        pass


def test_free_memory_is_what_the_system_and_its_limits_say(tmp_path, monkeypatch):
    limits = [tuple(str(tmp_path / name) for name in ("max", "current", "stat"))]
    monkeypatch.setattr(_memory, "_LIMITS", limits)
    monkeypatch.setattr(_memory, "_free_of_machine", lambda: 5e9)
    assert free_memory() == 5e9
    for most, used, statistics, expected in [
        ("max\n", "1000000000\n", "anon 1000000000\n", 5e9),
        ("3000000000", "1000000000", "anon 1000000000", 2e9),
        ("3000000000", "1000000000", "anon 2\ninactive_file 500000000\nactive_file 300000000", 2.8e9),
        (
            "3000000000",
            "1000000000",
            "inactive_file 1\ntotal_inactive_file 500000000\ntotal_active_file 0",
            2.5e9,
        ),
        ("10", "1000000000", "", 0),
    ]:
        for path, text in zip(limits[0], (most, used, statistics), strict=True):
            Path(path).write_text(text)
        assert free_memory() == expected


def test_this_machine_has_some_memory():
    assert free_memory() > 1e7


def test_maps_that_cannot_fit_are_refused_before_the_system_ends_the_process(monkeypatch):
    monkeypatch.setattr(_memory, "free_memory", lambda: 5e8)
    with pytest.raises(MemoryError, match=r"2 density maps.* 10000 x 10000 pixels.*0\.8 GB.*0\.5 GB"):
        DensityMapTransformer().transform([[(1, 2)], []], image_shape=(10_000, 10_000))
    with pytest.raises(MemoryError, match="iter_density"):
        empty_maps([(10_000, 10_000), (20, 10_000)], np.float64)
    assert len(empty_maps([(10_000, 10_000), (20, 10_000)], np.float32)) == 2
