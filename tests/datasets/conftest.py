"""Modules of this folder are found by their names, and the pages of a book are encoded."""

import sys
from pathlib import Path

import pytest

from skcount.datasets import _files

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def digests(monkeypatch):
    """Return the digests of the tested files, which a test may fill."""
    digests = {}
    monkeypatch.setattr(_files, "read_digests", lambda name: digests)
    return digests


@pytest.fixture
def pages(encode):
    from book import PAGES

    return {f"book/{number}.png": encode(page) for number, page in enumerate(PAGES, 1)}


@pytest.fixture
def other_pages(encode):
    from book import PAGES

    return {f"book/{number}.png": encode(page + 100) for number, page in enumerate(PAGES, 1)}


@pytest.fixture
def book_zip(nowhere, write_zip, pages):
    """Return the archive in the cache folder."""
    return write_zip(nowhere / "book.zip", pages)
