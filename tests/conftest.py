"""What all tests share: one thread each, no window, small data."""

import os

# Set before torch and BLAS are imported: pytest-xdist already fills the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import numpy as np
import pytest

from skcount import PointAnnotations


@pytest.fixture
def cells():
    """Eight small images of simulated cells and their points."""
    from skcount.datasets import make_cells

    return make_cells(n_samples=8, image_shape=(40, 48), random_state=0, return_X_y=True)


@pytest.fixture
def noise():
    """Six tiny colour images of noise, not square, and random points."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (6, 17, 22, 3), dtype=np.uint8)
    points = PointAnnotations([rng.uniform((0, 0), (16, 21), (k, 2)) for k in (3, 0, 5, 1, 2, 4)])
    return X, points


def pytest_configure():
    """Let a test that asks for an absurd amount of memory fail, rather than take the machine down with it."""
    if os.name == "posix":
        import resource

        most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(
            resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard)
        )


def pytest_collection_modifyitems(items):
    """Begin with the gallery scripts: one of them at the end would keep all other workers waiting."""
    items.sort(key=lambda item: "test_examples" not in item.nodeid)
