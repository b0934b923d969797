"""The site that `make docs` built: nothing is missing, nothing comes from elsewhere, and everything can be found."""

import json
import re
from html.parser import HTMLParser
from inspect import isclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from sklearn.base import BaseEstimator

import skcount

SITE = Path(__file__).resolve().parents[2] / "docs" / "_build" / "html"
LOADED = {("link", "href"), *((tag, "src") for tag in ("script", "img", "source", "video", "iframe"))}
NOT_LOADED = {"canonical", "index", "next", "prev", "search", "author", "copyright"}  # of <link rel=...>
FOUND_BY_OTHER_MEANS = {"index.html", "search.html", "genindex.html"}
FRAGMENTS_OF_SCRIPTS = {"", "top"}

pytestmark = [
    pytest.mark.site,
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="make docs has not built the site"),
]


class Page(HTMLParser):
    """What a page links to and loads, its anchors and its pictures."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.anchors, self.links, self.loaded, self.pictures, self.styles = set(), set(), set(), [], []
        self._in_style = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = {name: value or "" for name, value in attributes}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        for name in ("src", "href"):
            if (tag, name) in LOADED and name in given and not {*given.get("rel", "").split()} & NOT_LOADED:
                self.loaded.add(given[name])
        self.loaded |= {one.split()[0] for one in given.get("srcset", "").split(",") if one.strip()}
        if tag == "img":
            self.pictures.append(given)
        self.styles.append(given.get("style", ""))
        self._in_style = tag == "style"

    def handle_data(self, data):
        if self._in_style:
            self.styles.append(data)


@pytest.fixture(scope="module")
def pages():
    found = {path.relative_to(SITE).as_posix(): Page(path) for path in SITE.rglob("*.html")}
    return {name: page for name, page in found.items() if not name.startswith("_static/")}


def is_elsewhere(address):
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme not in {"", "data"}


def file_of(page, address):
    """The file that an address of a page leads to."""
    path = unquote(urlsplit(address).path)
    target = SITE / path.lstrip("/") if path.startswith("/") else page.path.parent / path
    return page.path if not path else target.resolve()


def test_every_link_leads_to_a_file_and_to_an_anchor_in_it(pages):
    anchors = {page.path: page.anchors for page in pages.values()}
    broken = []
    for name, page in pages.items():
        for address in page.links | page.loaded:
            if is_elsewhere(address) or address.startswith("data:"):
                continue
            target, fragment = file_of(page, address), unquote(urlsplit(address).fragment)
            known = FRAGMENTS_OF_SCRIPTS | anchors.get(target, {fragment})
            if not target.is_file() or fragment not in known:
                broken.append(f"{name}: {address}")
    assert broken == []


def test_every_picture_is_there_and_has_words_for_who_cannot_see_it(pages):
    wrong = []
    for name, page in pages.items():
        for picture in page.pictures:
            target = file_of(page, picture["src"])
            is_beside_its_name = picture["src"].endswith("_thumb.png")  # in the overview of the gallery
            if "alt" not in picture or not (picture["alt"].strip() or is_beside_its_name):
                wrong.append(f"{name}: {picture['src']} has no alt text")
            is_there = target.is_file() and target.stat().st_size > 100
            if not picture["src"].startswith("data:") and not is_there:
                wrong.append(f"{name}: {picture['src']} is no picture")
    assert wrong == []


def test_nothing_is_loaded_from_another_host(pages):
    foreign = {f"{name}: {one}" for name, page in pages.items() for one in page.loaded if is_elsewhere(one)}
    styles = {name: " ".join(page.styles) for name, page in pages.items()}
    styles |= {path.name: path.read_text(encoding="utf-8") for path in SITE.rglob("*.css")}
    outside = re.compile(r"(?:url\(|@import)\s*['\"]?\s*((?:https?:)?//[^'\")]+)")
    foreign |= {f"{name}: {one}" for name, text in styles.items() for one in outside.findall(text)}
    assert foreign == set()


def test_style_sheets_find_what_they_load():
    absent = []
    for path in SITE.rglob("*.css"):
        for address in re.findall(r"url\(['\"]?([^'\")]+)", path.read_text(encoding="utf-8")):
            parts = urlsplit(address)
            if parts.scheme != "data" and not (path.parent / unquote(parts.path)).is_file():
                absent.append(f"{path.name}: {address}")
    assert absent == []


def test_every_page_is_linked_from_another(pages):
    linked = {
        file_of(page, address)
        for page in pages.values()
        for address in page.links
        if not is_elsewhere(address) and urlsplit(address).path and file_of(page, address) != page.path
    }
    lonely = {name for name, page in pages.items() if page.path not in linked}
    assert lonely - FOUND_BY_OTHER_MEANS == set()


def test_every_page_has_a_title_and_one_heading(pages):
    for name, page in pages.items():
        text = page.path.read_text(encoding="utf-8")
        assert re.search(r"<title>[^<]*\w[^<]*</title>", text), name
        assert text.count("<h1") == 1, name


def test_the_search_knows_every_page_and_the_names_of_the_reference(pages):
    text = (SITE / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    documents = {f"{name}.html" for name in index["docnames"]}
    assert {*pages} - documents <= FOUND_BY_OTHER_MEANS
    names = {entry[-1] for entries in index["objects"].values() for entry in entries}
    assert {"DensityMapRegressor", "fit", "predict_density", "load_folder"} <= names
    assert {"sigma", "densitymapregressor"} <= {*index["terms"]}


def test_the_public_methods_have_an_anchor(pages):
    estimators = {name: getattr(skcount, name) for name in skcount.__all__}
    for name, estimator in estimators.items():
        if not (isclass(estimator) and issubclass(estimator, BaseEstimator)):
            continue
        page = pages[f"api/skcount.{name}.html"]  # which the estimator's HTML links to
        methods = {
            method
            for home in estimator.__mro__
            if home.__module__.startswith("skcount")
            for method, value in vars(home).items()
            if callable(value) and not method.startswith("_") and value.__module__.startswith("skcount")
        }
        assert methods
        assert {f"skcount.{name}.{method}" for method in methods} <= page.anchors
