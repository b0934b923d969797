"""What the cache folder says after a download was killed: the data, or nothing."""

import os
import textwrap
import time

import numpy as np
import pytest
from processes import KILLING, run_script

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

SCRIPT = KILLING + textwrap.dedent("""
    import io

    import filelock, h5py, pooch, requests, tqdm, xxhash, zstandard  # before fork: they load slowly
    from PIL import Image
    from skcount import PointAnnotations
    from skcount.datasets import _files
    from skcount.datasets._fetch import Content, DataSet, fetch
    from skcount.io import open_archive

    home, port = folder, sys.argv[3]
    published = (home.parent / "book.zip").read_bytes()
    NAMES = [f"{number}.png" for number in range(1, 41)]

    def read(files, data_set):
        files.require("page", NAMES)
        return Content((files.read_image(name, "L") for name in NAMES), PointAnnotations([[]] * 40), np.arange(1, 41))

    BOOK = DataSet(
        name="book", title="the book", descr="A book", n_images=40, image_shape=(64, 64), n_points=0,
        splits={}, archives=(("book.zip",),), urls={"book.zip": f"https://library.example:{port}/book.zip"},
        page="the library", kinds={"page": r"\\d+\\.png"}, read=read, max_bytes=10**6,
    )

    def pages(source):
        with open_archive(source, 10**6, 10**6) as archive:
            return {name: archive.read(name) for name in archive.names}

    PUBLISHED = pages(home.parent / "book.zip")
    digests = {name: _files.digest(content) for name, content in PUBLISHED.items()}
    _files.read_digests = lambda name: digests
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
            assert len(images) == 40 and _files.sha256(archive) in data.DESCR
        return True

    def remove():
        for name in ("book.zip", "book-1.h5"):
            (home / name).unlink(missing_ok=True)

    def quietly():
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the progress bar
        download()

    killer, interrupted = Killer(measure(quietly)), 0
    while killer.n_kills < n_kills:
        remove()
        killer.kill(quietly)
        left = [path.name for path in home.iterdir() if path.suffix == ".tmp"]
        assert len(left) <= 2, left  # of the archive, and of what is made of it
        interrupted += not found()
    remove()
    download()
    print(interrupted, *sorted(path.name for path in home.iterdir() if path.suffix != ".lock"))
""")


@pytest.fixture
def slow_server(start_server):
    """Send a file in a hundred small parts; give a function that takes the file and returns the port."""

    def serve(content):
        def answer(request):
            request.send_response(200)
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            step = -(-len(content) // 100)
            try:
                for start in range(0, len(content), step):
                    request.wfile.write(content[start : start + step])
                    time.sleep(0.002)
            except OSError:  # who asked was killed
                request.close_connection = True

        return start_server(answer).server_port

    return serve


@pytest.fixture
def book(tmp_path, encode, write_zip):
    """The path of an archive of 40 pages."""
    pages = np.random.default_rng(0).integers(0, 256, (40, 64, 64), dtype=np.uint8)
    return write_zip(tmp_path / "book.zip", {f"{n}.png": encode(page) for n, page in enumerate(pages, 1)})


@pytest.mark.parametrize("n_kills", [15, pytest.param(100, marks=pytest.mark.slow)])
def test_a_download_killed_at_any_moment_leaves_the_data_or_nothing(
    book, slow_server, n_kills, record_property
):
    home = book.parent / "home"
    home.mkdir()
    port = slow_server(book.read_bytes())
    environment = {"SKCOUNT_CACHE": str(home), "NO_PROXY": "*", "SKCOUNT_DATA": ""}
    out, _ = run_script(SCRIPT, home, n_kills, port, **environment)
    interrupted, *files = out.split()
    assert int(interrupted) > 0
    assert files == ["book-1.h5", "book.zip"]  # the last download removed what the killed ones left
    record_property("kills of a download", n_kills)
