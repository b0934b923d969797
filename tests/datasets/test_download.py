import re
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from book import BOOK, assert_is_book, files_in

from skcount.datasets import _download, _fetch, _files
from skcount.datasets._fetch import fetch
from skcount.datasets._files import digest
from skcount.datasets._mall import MALL
from skcount.datasets._ucsd import UCSD
from skcount.datasets._vgg_cells import VGG_CELLS

pytestmark = pytest.mark.usefixtures("digests")


# --- Downloads, from a server on this machine ----------------------------------------------------


@pytest.fixture
def serve(monkeypatch, digests, pages, start_server):
    """Return a function that starts a server; it gives its answers, one after the other, and repeats the last.

    An answer is a status, a content, which is the address where a str leads elsewhere, and a length, which is not said
    where it is "".
    """

    def serve(*answers):
        def answer(request):
            status, content, length = answers[min(len(server.asked), len(answers) - 1)]
            server.asked.append(request.path)
            request.send_response(status)
            if isinstance(content, str):
                request.send_header("Location", content.format(port=server.server_port))
                content = b""
            if length != "":
                request.send_header("Content-Length", str(length or len(content)))
            request.end_headers()
            request.wfile.write(content)

        server = start_server(answer)
        server.asked = []
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
    monkeypatch.setattr(_download, "PAUSES", (0, 0))
    digests.update({name[5:]: digest(content) for name, content in pages.items()})
    return serve


@pytest.fixture
def book_file(tmp_path, write_zip, pages):
    return write_zip(tmp_path / "published.zip", pages).read_bytes()


def test_what_is_not_found_is_downloaded_once(nowhere, serve, book_file):
    server = serve((200, book_file, ""))  # a server that says no length is fine
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


@pytest.mark.parametrize("failure", [(200, b"PK\3\4", 1000), (503, b"", None)], ids=["cut off", "overloaded"])
def test_a_download_that_is_interrupted_is_tried_again(nowhere, serve, book_file, failure):
    server = serve(failure, failure, (200, book_file, None))
    assert_is_book(fetch(server.book))
    assert len(server.asked) == 3


FAILURES = {
    "gone": ((404, b"", None), "404 Client Error", 1),
    "broken": ((500, b"", None), "500 Server Error", 3),
    "page": ((200, b"<html>Moved</html>", None), "looks like a", 1),
    "empty": ((200, b"", None), r"zip .*\btar file", 1),
    "cut off": ((200, b"PK\3\4" + bytes(90), 1000), "IncompleteRead", 3),
    "to http": ((302, "http://127.0.0.1:{port}/a", None), "leads to http://127.* only https is followed", 1),
    "to https without a certificate": ((302, "//127.0.0.1:{port}/book.zip", None), "SSL", 3),
    "to HTTP": ((302, "HTTP://127.0.0.1:{port}/book.zip", None), "only https is followed", 1),
    "to ftp": ((301, "ftp://library.example/book.zip", None), "only https is followed", 1),
    "in a circle": ((302, "/files/elsewhere.zip", None), "Exceeded 30 redirects", 31),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_download_that_fails_says_how_to_get_the_archive_and_leaves_nothing(nowhere, serve, failure):
    answer, reason, tries = FAILURES[failure]
    server = serve(answer)
    message = rf"(?s)The book could not be .*{reason}.*Get \"book\.zip\" from the library"
    with pytest.raises(OSError, match=message):
        fetch(server.book)
    assert len(server.asked) == tries
    assert files_in(nowhere) == []


def test_without_a_network_the_message_says_how_to_get_the_archive(nowhere, serve):
    server = serve((200, b"", None))
    gone = replace(BOOK, urls={"book.zip": "https://127.0.0.1:1/book.zip"})
    message = r"(?s)could not be downloaded from https://127\.0\.0\.1:1/.*SKCOUNT_DATA"
    with pytest.raises(OSError, match=message):
        fetch(gone)
    assert (server.asked, files_in(nowhere)) == ([], [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"book/2.png": b"edited"}, r"book\.zip differs .* files \(2\.png\)"),
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
def test_a_download_without_a_length_that_stops_early_leaves_nothing(nowhere, serve, book_file, part):
    server = serve((200, book_file[: int(part * len(book_file))], ""))
    with pytest.raises(OSError, match="could not be downloaded"):
        fetch(server.book)
    assert files_in(nowhere) == []


def test_a_redirect_that_stays_on_https_is_followed(nowhere, serve, book_file):
    server = serve(
        (302, "/files/elsewhere.zip", None),
        (307, "https://library.example:{port}/a", None),
        (200, book_file, None),
    )
    assert_is_book(fetch(server.book))
    assert server.asked == ["/files/book.zip", "/files/elsewhere.zip", "/a"]


def test_what_is_found_is_not_downloaded_and_may_be_another_encoding_and_a_download_may_not(
    nowhere, serve, write_zip, other_pages
):
    foreign = write_zip(nowhere / "reprint.zip", other_pages)
    assert_is_book(fetch(BOOK), shift=100)
    server = serve((200, foreign.read_bytes(), None))
    foreign.unlink()
    assert_is_book(fetch(server.book), shift=100)
    assert server.asked == []
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
    digests = _files.read_digests(data_set.name)
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
        (path.name, url)
        for path, text in sources.items()
        for url in re.findall(r"http://[^\s\"']+", text)
        if path.parent.name != "annotate"  # which serves, on this machine alone
    }
    # The page that a reader is sent to; nothing is downloaded from there.
    assert plain == {("_ucsd.py", UCSD.page)}


PUBLISHED = [(VGG_CELLS, "vgg_cells.zip"), (MALL, "mall_dataset.zip"), (UCSD, "ucsd_partial.zip")]


@pytest.mark.parametrize(("data_set", "name"), PUBLISHED, ids=lambda one: getattr(one, "name", None))
def test_the_digests_are_of_the_published_files_which_pass_as_a_download(
    data_set, name, monkeypatch, published
):
    monkeypatch.undo()  # the real digests
    with _files.open_files(data_set, [published(name)]) as files:
        read = {name: digest(files.read(name)) for names in files.names.values() for name in names}
        assert data_set is UCSD or set(files.tested.values()) == {True}
    assert read == _files.read_digests(data_set.name)
    if data_set.urls:
        _download._check_download(data_set, published(name), name)
