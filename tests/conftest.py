"""What all tests share: one thread each, no window, small data."""

import os
import threading
import zipfile
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

# Set before torch and BLAS are imported: pytest-xdist already fills the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Most tests compare results bit for bit, which is promised for CPUs; CUDA_VISIBLE_DEVICES=0 runs the tests of GPUs, too.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
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


@pytest.fixture(scope="session")
def encode():
    """Return a function that encodes pixels as a picture, bytes."""
    pillow = pytest.importorskip("PIL.Image", reason="pillow writes the pictures")

    def encode(pixels, kind="png"):
        buffer = BytesIO()
        pillow.fromarray(pixels).save(buffer, format=kind)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def write_zip():
    """Return a function that writes a zip file of members, dict of name to bytes; a None is left out."""

    def write_zip(path, members):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                if content is not None:
                    archive.writestr(name, content)
        return path

    return write_zip


@pytest.fixture(scope="session")
def write_mat():
    """Return a function that writes variables to a MATLAB file, bytes."""
    savemat = pytest.importorskip("scipy.io").savemat

    def write_mat(do_compression=True, **variables):
        buffer = BytesIO()
        savemat(buffer, variables, do_compression=do_compression)
        return buffer.getvalue()

    return write_mat


@pytest.fixture(scope="session")
def published():
    """Return a function that gives the path of a published archive, or skips the test."""

    def published(name):
        path = Path(os.environ.get("SKCOUNT_DATA", "")) / name
        if not path.is_file():
            pytest.skip(f"SKCOUNT_DATA is not set to a folder that holds {name}")
        return path

    return published


@pytest.fixture
def start_server():
    """Return a function that starts a server on this machine; a function answers each request to it."""
    servers = []

    def start_server(answer):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                answer(self)

            def log_message(self, *_):
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        servers.append((server, thread))
        return server

    yield start_server
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No archive is found but where a test puts it: `home` is the cache folder, and no address is reached."""
    monkeypatch.delenv("SKCOUNT_DATA", raising=False)
    monkeypatch.setenv("SKCOUNT_CACHE", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


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
