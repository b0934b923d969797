import hashlib
import pickle
import sys
import threading
import zlib
from dataclasses import replace

import numpy as np
import pytest
from book import BOOK, PAGES, assert_is_book, fetch_book, files_in, read_book

from skcount.datasets import _fetch, get_data_home
from skcount.datasets._fetch import fetch
from skcount.datasets._files import digest
from skcount.io import save_hdf5

pytestmark = pytest.mark.usefixtures("digests")


# --- From an archive to the cache file -----------------------------------------------------------


def test_the_first_call_makes_a_file_and_later_ones_open_it(nowhere, book_zip):
    images, points = fetch_book(return_X_y=True)
    assert (len(images), len(points)) == (3, 3)
    book_zip.unlink()
    data = pickle.loads(pickle.dumps(fetch_book()))
    train, test = data.train_test_indices("first")
    assert (train.tolist(), test.tolist()) == ([0], [1, 2])
    assert (data.groups, data.roi, data.perspective) == (None, None, None)
    assert_is_book(data)
    assert files_in(nowhere) == ["book-1.h5"]


def test_the_description_says_which_copy_this_is(book_zip):
    text = fetch_book().DESCR
    assert text.startswith(BOOK.descr)
    assert f"Made from book.zip, sha256 {hashlib.sha256(book_zip.read_bytes()).hexdigest()}." in text
    assert "Bound in linen.\nImages here: 1-3.\n" in text


@pytest.mark.parametrize("damage", ["half", "empty", "another", "foreign"])
def test_a_cache_file_that_is_not_whole_or_not_ours_is_made_again(nowhere, book_zip, damage):
    fetch_book()
    cache = nowhere / "book-1.h5"
    if damage == "another":
        save_hdf5(cache, np.zeros((2, 4, 5)), [[], []])
    elif damage == "foreign":
        save_hdf5(cache, np.zeros((2, 4, 5)), [[], []], description="A film\n\nImages here: 1-2.\n")
    else:
        cache.write_bytes(cache.read_bytes()[: {"half": 4000, "empty": 0}[damage]])
    assert_is_book(fetch_book())


def test_who_comes_second_waits_and_makes_nothing(book_zip, monkeypatch):
    def slow_read(files, data_set):
        begun.set()
        assert second_looked.wait(600)
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
    slow_book = replace(BOOK, read=slow_read)
    threads = [threading.Thread(target=lambda: found.append(fetch(slow_book))) for _ in range(2)]
    threads[0].start()
    assert begun.wait(600)
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


def test_an_archive_that_is_named_must_exist_even_if_the_cache_is_filled(nowhere, book_zip):
    fetch_book()
    with pytest.raises(FileNotFoundError, match=r"looked for .*typo\.zip\. Get"):
        fetch_book(archive=nowhere / "typo.zip")


def test_an_archive_that_is_named_is_what_is_read(tmp_path, write_zip, book_zip, other_pages):
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
    with pytest.raises(ValueError, match=r"a\.zip lacks 1 of 3 files \(the first: 3\.png"):
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
    message = r"(?s)The book were not found; .*the library.*`archive`"
    with pytest.raises(FileNotFoundError, match=message) as info:
        fetch_book()
    for folder in ("home", "data"):
        for name in ("book.zip", "reprint.zip"):
            assert str(tmp_path / folder / name) in str(info.value)
    with pytest.raises(ValueError, match="home is a folder"):
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
    names = ["1.png", "a/b/2.png", "c/3.png"]
    others = {"__MACOSX/book/._1.png": b"", "book/readme.txt": b""}
    write_zip(nowhere / "book.zip", dict(zip(names, pages.values(), strict=True)) | others)
    assert_is_book(fetch_book())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"book/2.png": None}, r"lacks 1 of 3 files \(the first: 2\.png"),
        ({"book/4.png": b""}, r"holds 1 surplus files \(the first: 4\.png"),
        ({"copy/2.png": b""}, r"holds 2\.png twice \(book/2\.png and copy/2\.png\)"),
        ({"book/2.png": b"no picture"}, r"holds a 2\.png that cannot be read"),
        ({"book/2.png": b"\x89PNG\r\n\x1a\n"}, r"holds a 2\.png that cannot be read"),
        ({"../2.png": b""}, "would lie outside"),
        ({"book/large": bytes(20_000)}, "goes beyond"),
    ],
)
def test_an_archive_with_another_content_is_refused(nowhere, write_zip, pages, changes, message):
    archive = write_zip(nowhere / "book.zip", pages | changes)
    with pytest.raises(ValueError, match=rf"{archive} .*{message}"):
        fetch_book()


def test_a_picture_of_another_kind_or_size_is_refused(nowhere, write_zip, pages, encode):
    bomb = bytearray(encode(PAGES[0]))
    bomb[16:24] = (10**5).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    for content, message in (
        (encode(np.zeros((4, 5), dtype=np.uint16)), r"1\.png of 4 x 5 pixels in mode I;16"),
        (encode(PAGES[0], "jpeg"), r"1\.png that cannot be read"),
        (bytes(bomb), r"1\.png that cannot be read .*decompression bomb"),
    ):
        write_zip(nowhere / "book.zip", pages | {"book/1.png": content})
        with pytest.raises(ValueError, match=message):
            fetch_book()


def test_without_its_packages_the_message_says_how_to_install_them(book_zip, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"Reading the archive needs pillow; .*pip install skcount\[data\]"):
        fetch_book()
    book_zip.unlink()
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"Downloading data needs pooch; .*pip install skcount\[data\]"):
        fetch(replace(BOOK, urls={"book.zip": "https://library.example/book.zip"}))


# --- Digests -------------------------------------------------------------------------------------


def test_tested_files_are_said_to_be_so_and_another_encoding_too(nowhere, book_zip, pages, digests):
    digests.update({name[5:]: digest(content) for name, content in pages.items()})
    tested = "The files of kind page (3) are byte for byte those that skcount was tested with."
    assert tested in fetch_book().DESCR
    (nowhere / "book-1.h5").unlink()
    digests.update(dict.fromkeys(["1.png", "2.png", "3.png"], "0" * 16))
    other = "The files of kind page (3) are not those that skcount was tested with: only their number"
    assert other in fetch_book().DESCR


def test_a_few_files_that_differ_are_refused(book_zip, pages, digests):
    digests.update({name[5:]: digest(content) for name, content in pages.items()} | {"2.png": "0" * 16})
    message = r"differs .* in 1 of 3 files \(2\.png\): they are damaged or were edited"
    with pytest.raises(ValueError, match=message):
        fetch_book()
