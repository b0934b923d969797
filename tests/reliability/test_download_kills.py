"""What the cache folder says after a download was killed: the data, or nothing."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

SCRIPT = textwrap.dedent("""
    import hashlib, io, os, signal, sys, time, warnings
    from pathlib import Path

    import filelock, h5py, numpy as np, pooch, requests, tqdm, xxhash, zstandard  # before fork: they load slowly
    from PIL import Image
    from skcount import PointAnnotations
    from skcount.datasets import _fetch
    from skcount.datasets._fetch import Content, DataSet, fetch

    home, port, n_kills = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    published = (home.parent / "book.zip").read_bytes()
    NAMES = [f"{number}.png" for number in range(1, 41)]

    def read(files, data_set):
        files.require("page", NAMES)
        return Content((files.read_image(name, "L") for name in NAMES), PointAnnotations([[]] * 40), np.arange(1, 41))

    BOOK = DataSet(
        name="book", version=1, title="the book", descr="A book", n_images=40, image_shape=(64, 64), n_points=0,
        splits={}, archives=(("book.zip",),), urls={"book.zip": f"https://library.example:{port}/book.zip"},
        page="the library", kinds={"page": r"\\d+\\.png"}, read=read, max_bytes=10**6,
    )

    def pages(source):
        with _fetch.open_archive(source, 10**6, 10**6) as archive:
            return {name: archive.read(name) for name in archive.names}

    PUBLISHED = pages(home.parent / "book.zip")
    digests = {name: _fetch.digest(content) for name, content in PUBLISHED.items()}
    _fetch._read_digests = lambda name: digests
    plain_send = requests.adapters.HTTPAdapter.send

    def send(adapter, request, **kwargs):
        url = request.url
        request.url = url.replace("https://library.example", "http://127.0.0.1")  # which has no certificate
        answer = plain_send(adapter, request, **kwargs)
        request.url = answer.url = url
        return answer

    requests.adapters.HTTPAdapter.send = send

    def download():
        with fetch(BOOK).images as images:
            assert all((image == np.asarray(Image.open(io.BytesIO(PUBLISHED[name])))).all()
                       for image, name in zip(images, NAMES, strict=True))

    def found():
        # Whatever is taken for the archive, or for the data, without the network.
        archive = home / "book.zip"
        assert not archive.exists() or archive.read_bytes() == published
        try:
            data = fetch(BOOK, download_if_missing=False)
        except FileNotFoundError:
            assert not archive.exists()
            return False
        with data.images as images:
            assert len(images) == 40 and _fetch._sha256(archive) in data.DESCR
        return True

    def remove():
        for name in ("book.zip", "book-1.h5"):
            (home / name).unlink(missing_ok=True)

    start = time.perf_counter()
    download()
    duration = time.perf_counter() - start
    rng = np.random.default_rng(int.from_bytes(os.urandom(4)))
    interrupted = 0
    for kill in range(n_kills):
        remove()
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the progress bar
            download()
            os._exit(0)
        time.sleep(rng.uniform(0, duration))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        left = [path.name for path in home.iterdir() if path.suffix == ".tmp"]
        assert len(left) <= 2, left  # of the archive, and of what is made of it
        interrupted += not found()
    remove()
    download()
    print(interrupted, *sorted(path.name for path in home.iterdir() if path.suffix != ".lock"))
""")


@pytest.fixture
def slow_server():
    """Send a file in a hundred small parts; give a function that takes the file and returns the port."""
    servers = []

    def serve(content):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                step = -(-len(content) // 100)
                try:
                    for start in range(0, len(content), step):
                        self.wfile.write(content[start : start + step])
                        time.sleep(0.002)
                except OSError:  # who asked was killed
                    self.close_connection = True

            def log_message(self, *_):
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        servers.append((server, thread))
        return server.server_port

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def book(tmp_path):
    """The path of an archive of 40 pages."""
    import zipfile

    pillow = pytest.importorskip("PIL.Image", reason="pillow writes the pictures")
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "book.zip", "w") as archive:
        for number in range(1, 41):
            with archive.open(f"{number}.png", "w") as member:
                pillow.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8)).save(member, format="png")
    return tmp_path / "book.zip"


@pytest.mark.parametrize("n_kills", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_a_download_killed_at_any_moment_leaves_the_data_or_nothing(
    book, slow_server, n_kills, record_property
):
    home = book.parent / "home"
    home.mkdir()
    port = slow_server(book.read_bytes())
    environment = {**os.environ, "SKCOUNT_CACHE": str(home), "NO_PROXY": "*", "SKCOUNT_DATA": ""}
    run = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-W", "error", "-c", SCRIPT, str(home), str(port), str(n_kills)],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    interrupted, *files = run.stdout.split()
    assert int(interrupted) > n_kills // 4
    assert files == ["book-1.h5", "book.zip"]  # the last download removed what the killed ones left
    record_property("kills of a download", n_kills)
