"""A browser without a network opens the built site."""

import re
import shutil
import subprocess
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

SITE = Path(__file__).resolve().parents[2] / "docs" / "_build" / "html"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHATTER = r"\[PST\]|theme mode"  # what the theme tells on every page

pytestmark = [
    pytest.mark.site,
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="make docs has not built the site"),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"),
]


@contextmanager
def serving(folder):
    """Give the address of a folder, and a list of what was asked for and not found."""
    refused = []

    class Handler(SimpleHTTPRequestHandler):
        def log_request(self, code="-", size="-"):
            if int(code) >= 400 and self.path != "/favicon.ico":  # which browsers ask for unasked
                refused.append(self.path)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", refused
        server.shutdown()


def open_page(address, home):
    """The elements of a page when its scripts have run, and what they complained of."""
    offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    quiet = [f"--disable-{what}" for what in ("background-networking", "component-update", "sync", "quic")]
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={home}"]
    log = ["--enable-logging=stderr", "--log-level=0", "--virtual-time-budget=8000", "--dump-dom"]
    done = subprocess.run(  # noqa: S603 - the browser that was found above
        [CHROMIUM, *options, *quiet, offline, *log, address],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, [line for line in said if not re.search(CHATTER, line)]


@pytest.mark.parametrize("page", ["index", "api", "api/skcount.DensityMapRegressor", "auto_examples/index"])
def test_a_page_opens_without_a_network(page, tmp_path):
    with serving(SITE) as (address, refused):
        elements, complaints = open_page(f"{address}/{page}.html", tmp_path)
    assert "</main>" in elements
    assert complaints == []
    assert refused == []


@pytest.mark.parametrize(
    ("word", "page"), [("sigma", "conventions"), ("predict_density", "DensityMapRegressor")]
)
def test_the_search_finds_without_a_network(word, page, tmp_path):
    with serving(SITE) as (address, refused):
        elements, complaints = open_page(f"{address}/search.html?q={word}", tmp_path)
    results = elements.partition('id="search-results"')[2]
    assert page in results.partition("</ul>")[0]
    assert complaints == []
    assert refused == []
