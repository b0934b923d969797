import hashlib
import os
import pickle
import re
import sys
import threading
import zlib
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skcount import PointAnnotations
from skcount.datasets import _fetch
from skcount.datasets._fetch import Content, DataSet, digest, fetch, get_data_home
from skcount.datasets._mall import MALL
from skcount.datasets._protocols import Split
from skcount.datasets._ucsd import UCSD
from skcount.datasets._vgg_cells import VGG_CELLS
from skcount.io import save_hdf5

PAGES = [np.full((4, 5), number, dtype=np.uint8) for number in (1, 2, 3)]


def read_book(files, data_set):
    names = [f"{number}.png" for number in range(1, data_set.n_images + 1)]
    files.require("page", names)
    points = PointAnnotations([[(number, 1)] for number in range(data_set.n_images)])
    pages = (files.read_image(name, "L") for name in names)
    return Content(pages, points, np.arange(1, data_set.n_images + 1), notes="Bound in linen.")


BOOK = DataSet(
    name="book",
    version=1,
    title="the book",
    descr="A book\n======\n",
    n_images=3,
    image_shape=(4, 5),
    n_points=3,
    splits={"first": Split(train=[1], test=[2, 3])},
    archives=(("book.zip",), ("reprint.zip",)),
    urls={},
    page="the library",
    kinds={"page": r"\d\.png"},
    read=read_book,
    max_bytes=10_000,
)
fetch_book = partial(fetch, BOOK, download_if_missing=False)


@pytest.fixture(autouse=True)
def digests(monkeypatch):
    """The digests of the tested files, which a test may fill."""
    digests = {}
    monkeypatch.setattr(_fetch, "_read_digests", lambda name: digests)
    return digests


@pytest.fixture
def pages(encode):
    return {f"book/{number}.png": encode(page) for number, page in enumerate(PAGES, 1)}


@pytest.fixture
def other_pages(encode):
    return {f"book/{number}.png": encode(page + 100) for number, page in enumerate(PAGES, 1)}


def files_in(folder):
    """Names of all files but the empty ones that locks leave."""
    return sorted(file.name for file in folder.iterdir() if file.suffix != ".lock")


def assert_is_book(data, shift=0):
    with data.images as images:
        assert_array_equal(images, np.stack(PAGES) + np.uint8(shift))
    assert data.points.counts.tolist() == [1, 1, 1]


# --- From an archive to the cache file -----------------------------------------------------------


def test_the_first_call_makes_a_file_and_later_ones_open_it(nowhere, write_zip, pages):
    archive = write_zip(nowhere / "book.zip", pages)
    assert_is_book(fetch_book())
    archive.unlink()
    assert_is_book(fetch_book())
    assert files_in(nowhere) == ["book-1.h5"]


def test_the_bunch_pickles_and_its_splits_work(nowhere, write_zip, pages):
    write_zip(nowhere / "book.zip", pages)
    data = pickle.loads(pickle.dumps(fetch_book()))
    train, test = data.train_test_indices("first")
    assert (train.tolist(), test.tolist()) == ([0], [1, 2])
    assert (data.groups, data.roi, data.perspective) == (None, None, None)
    assert_is_book(data)


def test_images_and_points_alone(nowhere, write_zip, pages):
    write_zip(nowhere / "book.zip", pages)
    images, points = fetch_book(return_X_y=True)
    assert (len(images), len(points)) == (3, 3)


def test_the_description_says_which_copy_this_is(nowhere, write_zip, pages):
    archive = write_zip(nowhere / "book.zip", pages)
    text = fetch_book().DESCR
    assert text.startswith(BOOK.descr)
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert f"Made from book.zip, sha256 {sha256}." in text
    assert "Bound in linen.\nImages here: 1-3.\n" in text


@pytest.mark.parametrize("damage", ["half", "empty", "another", "foreign"])
def test_a_cache_file_that_is_not_whole_or_not_ours_is_made_again(nowhere, write_zip, pages, damage):
    write_zip(nowhere / "book.zip", pages)
    fetch_book()
    cache = nowhere / "book-1.h5"
    if damage == "another":
        save_hdf5(cache, np.zeros((2, 4, 5)), [[], []])
    elif damage == "foreign":
        save_hdf5(cache, np.zeros((2, 4, 5)), [[], []], description="A film\n\nImages here: 1-2.\n")
    else:
        cache.write_bytes(cache.read_bytes()[: {"half": 4000, "empty": 0}[damage]])
    assert_is_book(fetch_book())


def test_who_comes_second_waits_and_makes_nothing(nowhere, write_zip, pages, monkeypatch):
    def slow_read(files, data_set):
        begun.set()
        assert second_looked.wait(60)
        reads.append(1)
        return read_book(files, data_set)

    def look(*args):
        data = load_cache(*args)
        if threading.current_thread() is threads[1]:
            second_looked.set()
        return data

    begun, second_looked, reads, found = threading.Event(), threading.Event(), [], []
    load_cache = _fetch._load_cache
    monkeypatch.setattr(_fetch, "_load_cache", look)
    write_zip(nowhere / "book.zip", pages)
    slow_book = replace(BOOK, read=slow_read)
    threads = [threading.Thread(target=lambda: found.append(fetch(slow_book))) for _ in range(2)]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
    for data in found:
        assert_is_book(data)


def test_a_failure_leaves_nothing_behind_and_the_next_call_works(nowhere, write_zip, pages, encode):
    write_zip(nowhere / "book.zip", pages | {"book/3.png": encode(np.zeros((9, 9), dtype=np.uint8))})
    with pytest.raises(ValueError, match=r"3\.png of 9 x 9 pixels"):
        fetch_book()
    assert files_in(nowhere) == ["book.zip"]
    write_zip(nowhere / "book.zip", pages)
    assert_is_book(fetch_book())


# --- Which archive -------------------------------------------------------------------------------


def test_an_archive_that_is_named_must_exist_even_if_the_cache_is_filled(nowhere, write_zip, pages):
    write_zip(nowhere / "book.zip", pages)
    fetch_book()
    with pytest.raises(FileNotFoundError, match=r"looked for .*typo\.zip\. Get"):
        fetch_book(archive=nowhere / "typo.zip")


def test_an_archive_that_is_named_is_what_is_read(nowhere, tmp_path, write_zip, pages, other_pages):
    write_zip(nowhere / "book.zip", pages)
    assert_is_book(fetch_book())
    other = write_zip(tmp_path / "other.zip", other_pages)
    assert_is_book(fetch_book(archive=str(other)), shift=100)
    assert_is_book(fetch_book(), shift=100)


def test_a_copy_of_the_same_archive_is_not_read_again(nowhere, tmp_path, write_zip, pages, monkeypatch):
    first, second = (write_zip(tmp_path / f"{name}.zip", pages) for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    fetch_book(archive=first)
    monkeypatch.setattr(_fetch, "_convert", lambda *_: pytest.fail("the data were made again"))
    assert_is_book(fetch_book(archive=[second]))


def test_one_of_two_archives_is_not_what_was_made_of_both(nowhere, tmp_path, write_zip, pages):
    names = sorted(pages)
    first = write_zip(tmp_path / "a.zip", {name: pages[name] for name in names[:2]})
    second = write_zip(tmp_path / "b.zip", {name: pages[name] for name in names[2:]})
    assert_is_book(fetch_book(archive=[second, first]))
    with pytest.raises(ValueError, match=r"a\.zip lacks 1 of 3 files, 3\.png first"):
        fetch_book(archive=first)


@pytest.mark.parametrize("name", ["book.zip", "reprint.zip"])
@pytest.mark.parametrize("place", ["home", "data"])
def test_archives_are_found_in_both_folders(nowhere, tmp_path, monkeypatch, write_zip, pages, name, place):
    monkeypatch.setenv("SKCOUNT_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    write_zip(tmp_path / place / name, pages)
    assert_is_book(fetch_book())


def test_what_is_not_found_is_an_error_that_says_where_it_was_looked_for(nowhere, tmp_path, monkeypatch):
    monkeypatch.setenv("SKCOUNT_DATA", str(tmp_path / "data"))
    with pytest.raises(
        FileNotFoundError, match=r"(?s)The book were not found; .*the library.*archive="
    ) as info:
        fetch_book()
    for folder in ("home", "data"):
        for name in ("book.zip", "reprint.zip"):
            assert str(tmp_path / folder / name) in str(info.value)


def test_a_folder_is_no_archive(nowhere):
    with pytest.raises(ValueError, match="home is a folder; expected a zip or tar file"):
        fetch_book(archive=nowhere)


def test_the_cache_folder(tmp_path, monkeypatch):
    assert get_data_home(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()
    monkeypatch.setenv("SKCOUNT_CACHE", str(tmp_path / "c"))
    assert get_data_home() == tmp_path / "c"
    monkeypatch.delenv("SKCOUNT_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert get_data_home() == tmp_path / "skcount_data"


# --- What is in the archive ----------------------------------------------------------------------


def test_folders_in_the_archive_do_not_matter(nowhere, write_zip, pages):
    moved = {
        name.replace("book/", ["", "a/b/", "c/"][n]): content
        for n, (name, content) in enumerate(pages.items())
    }
    write_zip(nowhere / "book.zip", moved | {"__MACOSX/book/._1.png": b"", "book/readme.txt": b""})
    assert_is_book(fetch_book())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"book/2.png": None}, r"lacks 1 of 3 files, 2\.png first"),
        ({"book/4.png": b""}, r"holds 1 files too many, 4\.png first"),
        ({"copy/2.png": b""}, r"holds 2\.png twice \(book/2\.png and copy/2\.png\)"),
        ({"book/2.png": b"no picture"}, r"holds a 2\.png that cannot be read"),
        ({"book/2.png": b"\x89PNG\r\n\x1a\n"}, r"holds a 2\.png that cannot be read"),
        ({"../2.png": b""}, "would lie outside the archive's own folder"),
        ({"book/large": bytes(20_000)}, "goes beyond what these data hold"),
    ],
)
def test_an_archive_with_another_content_is_refused(nowhere, write_zip, pages, changes, message):
    archive = write_zip(nowhere / "book.zip", pages | changes)
    with pytest.raises(ValueError, match=rf"{archive} .*{message}"):
        fetch_book()


def test_a_picture_of_another_kind_is_refused(nowhere, write_zip, pages, encode):
    deep = encode(np.zeros((4, 5), dtype=np.uint16))
    write_zip(nowhere / "book.zip", pages | {"book/1.png": deep})
    with pytest.raises(ValueError, match=r"1\.png of 4 x 5 pixels in mode I;16"):
        fetch_book()
    jpeg = encode(PAGES[0], "jpeg")
    write_zip(nowhere / "book.zip", pages | {"book/1.png": jpeg})
    with pytest.raises(ValueError, match=r"1\.png that cannot be read"):
        fetch_book()


def test_a_picture_that_declares_too_many_pixels_is_refused(nowhere, write_zip, pages, encode):
    content = bytearray(encode(PAGES[0]))
    content[16:24] = (10**5).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    write_zip(nowhere / "book.zip", pages | {"book/1.png": bytes(content)})
    with pytest.raises(ValueError, match=r"1\.png that cannot be read .*decompression bomb"):
        fetch_book()


def test_without_pillow_the_message_says_how_to_install_it(nowhere, write_zip, pages, monkeypatch):
    write_zip(nowhere / "book.zip", pages)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"Reading the archive needs pillow; .*pip install skcount\[data\]"):
        fetch_book()


# --- Digests -------------------------------------------------------------------------------------


def test_tested_files_are_said_to_be_so(nowhere, write_zip, pages, digests):
    digests.update({name[5:]: digest(content) for name, content in pages.items()})
    write_zip(nowhere / "book.zip", pages)
    assert (
        "The files of kind page (3) are byte for byte those that skcount was tested with."
        in fetch_book().DESCR
    )


def test_another_encoding_is_taken_by_its_content_and_that_is_said(nowhere, write_zip, pages, digests):
    digests.update(dict.fromkeys(["1.png", "2.png", "3.png"], "0" * 16))
    write_zip(nowhere / "book.zip", pages)
    text = fetch_book().DESCR
    assert "The files of kind page (3) are not those that skcount was tested with: only their number" in text


def test_a_few_files_that_differ_are_refused(nowhere, write_zip, pages, digests):
    digests.update({name[5:]: digest(content) for name, content in pages.items()} | {"2.png": "0" * 16})
    write_zip(nowhere / "book.zip", pages)
    with pytest.raises(
        ValueError, match=r"holds 1 files that differ .* of 3 .*\(2\.png\): they are damaged or were"
    ):
        fetch_book()


# --- Downloads, from a server on this machine ----------------------------------------------------


@pytest.fixture
def serve(monkeypatch, digests, pages):
    """Return a function that starts a server; it gives its answers, one after the other, and repeats the last.

    An answer is a status, a content, which is the address where a str leads elsewhere, and a length, which is not said
    where it is "".
    """
    servers = []

    def serve(*answers):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, content, length = answers[min(len(server.asked), len(answers) - 1)]
                server.asked.append(self.path)
                self.send_response(status)
                if isinstance(content, str):
                    self.send_header("Location", content.format(port=server.server_port))
                    content = b""
                if length != "":
                    self.send_header("Content-Length", str(length or len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.asked = []
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        servers.append((server, thread))
        url = f"https://library.example:{server.server_port}/files/book.zip"
        server.book = replace(BOOK, urls={"book.zip": url})
        return server

    def send(adapter, request, **kwargs):
        url = request.url
        # The server on this machine has no certificate.
        request.url = url.replace("https://library.example:", "http://127.0.0.1:")
        try:
            answer = plain_send(adapter, request, **kwargs)
        finally:
            request.url = url
        answer.url = url
        return answer

    requests = pytest.importorskip("requests", reason="pooch brings it along")
    plain_send = requests.adapters.HTTPAdapter.send
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(_fetch, "PAUSES", (0, 0))
    digests.update({name[5:]: digest(content) for name, content in pages.items()})
    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def book_file(tmp_path, write_zip, pages):
    return write_zip(tmp_path / "published.zip", pages).read_bytes()


def test_what_is_not_found_is_downloaded_once(nowhere, serve, book_file):
    server = serve((200, book_file, None))
    assert_is_book(fetch(server.book))
    assert (nowhere / "book.zip").read_bytes() == book_file
    (nowhere / "book-1.h5").unlink()
    assert_is_book(fetch(server.book))
    assert server.asked == ["/files/book.zip"]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_download_shows_a_bar_on_a_terminal(nowhere, serve, book_file, monkeypatch, capsys, terminal):
    server = serve((503, b"", None), (200, book_file, None))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert_is_book(fetch(server.book))
    assert ("download: 100%" in capsys.readouterr().err) == terminal


def test_what_is_found_is_not_downloaded(nowhere, serve, book_file):
    server = serve((200, book_file, None))
    (nowhere / "reprint.zip").write_bytes(book_file)
    assert_is_book(fetch(server.book))
    assert server.asked == []


@pytest.mark.parametrize("failure", [(200, b"PK\3\4", 1000), (503, b"", None)], ids=["cut off", "overloaded"])
def test_a_download_that_is_interrupted_is_tried_again(nowhere, serve, book_file, failure):
    server = serve(failure, failure, (200, book_file, None))
    assert_is_book(fetch(server.book))
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("answer", "reason", "tries"),
    [
        ((404, b"", None), "404 Client Error", 1),
        ((403, b"", None), "403 Client Error", 1),
        ((500, b"", None), "500 Server Error", 3),
        ((200, b"<html>Moved</html>", None), "looks like a page of the web", 1),
        ((200, b"", None), "neither a zip nor a tar", 1),
        ((200, b"PK\3\4" + bytes(90), 1000), "IncompleteRead", 3),
        ((302, "http://127.0.0.1:{port}/book.zip", None), "leads to http://127.* only https is followed", 1),
        ((302, "//127.0.0.1:{port}/book.zip", None), "SSL", 3),
        ((302, "HTTP://127.0.0.1:{port}/book.zip", None), "only https is followed", 1),
        ((301, "ftp://library.example/book.zip", None), "only https is followed", 1),
        ((302, "/files/elsewhere.zip", None), "Exceeded 30 redirects", 31),
    ],
    ids=[
        *("gone", "forbidden", "broken", "page", "empty", "cut off"),
        *("to http", "to https without a certificate", "to HTTP", "to ftp", "in a circle"),
    ],
)
def test_a_download_that_fails_says_how_to_get_the_archive_and_leaves_nothing(
    nowhere, serve, answer, reason, tries
):
    server = serve(answer)
    with pytest.raises(
        OSError, match=rf"(?s)The book could not be .*{reason}.*Get \"book\.zip\" from the library"
    ):
        fetch(server.book)
    assert len(server.asked) == tries
    assert files_in(nowhere) == []


def test_without_a_network_the_message_says_how_to_get_the_archive(nowhere, serve):
    server = serve((200, b"", None))
    gone = replace(BOOK, urls={"book.zip": "https://127.0.0.1:1/book.zip"})
    with pytest.raises(
        OSError, match=r"(?s)could not be downloaded from https://127\.0\.0\.1:1/.*SKCOUNT_DATA names"
    ):
        fetch(gone)
    assert (server.asked, files_in(nowhere)) == ([], [])


def test_without_pooch_the_message_says_how_to_install_it(nowhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"Downloading data needs pooch; .*pip install skcount\[data\]"):
        fetch(replace(BOOK, urls={"book.zip": "https://library.example/book.zip"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"book/2.png": b"edited"}, r"book\.zip holds 1 files that differ .*\(2\.png\)"),
        ({f"book/{number}.png": b"edited" for number in (1, 2, 3)}, "holds other files than those"),
        ({"book/2.png": None}, "holds other files than those"),
        ({"book/4.png": b""}, "holds other files than those"),
        ({"../2.png": b""}, "would lie outside"),
    ],
    ids=["one edited", "all edited", "one missing", "one too many", "unsafe"],
)
def test_a_download_of_other_files_than_the_known_ones_leaves_nothing(
    nowhere, serve, tmp_path, write_zip, pages, changes, message
):
    other = write_zip(tmp_path / "b.zip", pages | changes).read_bytes()
    server = serve((200, other, None))
    with pytest.raises(OSError, match=rf"could not be downloaded from https://.*{message}"):
        fetch(server.book)
    assert files_in(nowhere) == []


@pytest.mark.parametrize("part", [0, 0.01, 0.3, 0.9, 0.999])
def test_a_download_whose_server_says_no_length_and_stops_early_leaves_nothing(
    nowhere, serve, book_file, part
):
    server = serve((200, book_file[: int(part * len(book_file))], ""))
    with pytest.raises(OSError, match="could not be downloaded"):
        fetch(server.book)
    assert files_in(nowhere) == []


def test_a_server_that_says_no_length_and_sends_everything_is_fine(nowhere, serve, book_file):
    assert_is_book(fetch(serve((200, book_file, "")).book))


def test_a_redirect_that_stays_on_https_is_followed(nowhere, serve, book_file):
    server = serve(
        (302, "/files/elsewhere.zip", None),
        (307, "https://library.example:{port}/a", None),
        (200, book_file, None),
    )
    assert_is_book(fetch(server.book))
    assert server.asked == ["/files/book.zip", "/files/elsewhere.zip", "/a"]


def test_what_is_found_may_be_another_encoding_and_a_download_may_not(nowhere, serve, write_zip, other_pages):
    foreign = write_zip(nowhere / "reprint.zip", other_pages)
    assert_is_book(fetch(BOOK), shift=100)
    server = serve((200, foreign.read_bytes(), None))
    foreign.unlink()
    (nowhere / "book-1.h5").unlink()
    with pytest.raises(OSError, match="other files than those that skcount was tested with"):
        fetch(server.book)


def test_what_is_published_without_https_is_not_downloaded_and_the_message_says_so(nowhere):
    with pytest.raises(FileNotFoundError, match=r'Get "book\.zip" from .* not downloaded, .* plain http'):
        fetch(BOOK)
    assert files_in(nowhere) == []


@pytest.mark.parametrize("data_set", [VGG_CELLS, MALL, UCSD], ids=lambda data_set: data_set.name)
def test_every_download_has_an_https_address_and_a_known_digest_for_each_file(data_set, monkeypatch):
    monkeypatch.undo()  # the real digests
    digests = _fetch._read_digests(data_set.name)
    assert all(urlsplit(url).scheme == "https" for url in data_set.urls.values())
    assert all(re.fullmatch(r"[0-9a-f]{16}", digest) for digest in digests.values())
    if data_set.urls:
        assert list(data_set.urls) == list(data_set.archives[0])
        n_files = {"cell": 200, "dots": 200} if data_set is VGG_CELLS else {"frame": 2000, "annotation": 2}
        for kind, pattern in data_set.kinds.items():
            assert sum(re.fullmatch(pattern, name) is not None for name in digests) == n_files[kind]
        assert len(digests) == sum(n_files.values())


def test_no_address_in_the_package_is_downloaded_from_over_http():
    package = Path(_fetch.__file__).parents[1]
    sources = {path: path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    plain = {
        (path.name, url) for path, text in sources.items() for url in re.findall(r"http://[^\s\"']+", text)
    }
    # The page that a reader is sent to; nothing is downloaded from there.
    assert plain == {("_ucsd.py", UCSD.page)}


@pytest.mark.parametrize(("data_set", "name"), [(VGG_CELLS, "vgg_cells.zip"), (MALL, "mall_dataset.zip")])
def test_the_published_files_pass_as_a_download(data_set, name, monkeypatch):
    monkeypatch.undo()  # the real digests
    archive = Path(os.environ.get("SKCOUNT_DATA", "")) / name
    if not archive.is_file():
        pytest.skip(f"SKCOUNT_DATA is not set to a folder that holds {name}")
    _fetch._check_download(data_set, archive, name)
