"""The page as a person uses it, in Chromium."""

import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from skcount.datasets import make_cells
from skcount.io import read_points

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright drives the browser")
BROWSERS = ["/usr/lib/chromium/chromium", *filter(None, map(shutil.which, ("chromium", "google-chrome")))]
BROWSER = next((path for path in BROWSERS if Path(path).exists()), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
HEIGHT, WIDTH = 200, 260
PATIENCE = 120
OWN = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def folder(tmp_path):
    """Ten pictures, and the points that a person would set."""
    from PIL import Image

    X, points = make_cells(
        10,
        image_shape=(HEIGHT, WIDTH),
        n_cells=(5, 20),
        radius=8,
        overlap=0.0,
        random_state=0,
        return_X_y=True,
    )
    (tmp_path / "pictures").mkdir()
    for number, image in enumerate(X):
        Image.fromarray(image).save(tmp_path / "pictures" / f"cell{number}.png")
    return tmp_path, points


@contextmanager
def serving(folder, *options):
    """Run the command, and yield the process and the address of the page."""
    command = [sys.executable, "-m", "skcount", "annotate", "pictures", "--no-browser", *options]
    # A pipe that nobody reads would stop the server when it is full.
    with open(folder / "errors.txt", "w") as errors:
        server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True)  # noqa: S603
    try:
        address = server.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), (folder / "errors.txt").read_text()
        yield server, address
    finally:
        server.kill()
        server.communicate()  # closes the pipes


@contextmanager
def tab(browser, address, context=None):
    """Open the page, and fail on any error of its scripts and on any request to another host."""
    context = context or browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: request.url.startswith(OWN) or problems.append(request.url))
    page.goto(address)
    page.wait_for_selector("button.open")
    page.wait_for_timeout(500)
    yield page
    assert not problems


def place_of(page, row, col):
    """Return where a pixel of the picture is, when all of it is shown."""
    box = page.locator(".dots").bounding_box()
    scale = min(box["width"] / WIDTH, box["height"] / HEIGHT)
    left = box["x"] + (box["width"] - WIDTH * scale) / 2
    top = box["y"] + (box["height"] - HEIGHT * scale) / 2
    return left + (col + 0.5) * scale, top + (row + 0.5) * scale


def click_all(page, points):
    for row, col in points:
        page.mouse.click(*place_of(page, row, col))


def shown(page):
    """Return what the list says of the open picture."""
    return page.locator("button.open").inner_text()


def wait_for(page, text, seconds=PATIENCE):
    """Wait until a text is on the page."""
    page.get_by_text(text).first.wait_for(timeout=1000 * seconds)


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def journal(folder):
    return [
        json.loads(line) for line in (folder / "pictures.dots" / "journal.jsonl").read_text().splitlines()
    ]


def first_dot(folder, text, page):
    """Return where one of the dots of the open picture is."""
    name, places = text.removeprefix("\u2605 ").partition(":")[0], {}
    for operation in journal(folder):
        if operation["image"] == name and operation["kind"] in {"add", "move"}:
            places[operation["id"]] = operation["row"], operation["col"]
        elif operation["image"] == name and operation["kind"] == "remove":
            places.pop(operation["id"], None)
    return place_of(page, *next(iter(places.values())))


def test_dots_are_set_moved_removed_and_undone(browser, folder):
    folder, points = folder
    with serving(folder) as (server, address), tab(browser, address) as page:
        click_all(page, points[0])
        wait_until(lambda: f"{len(points[0])} dots" in shown(page))
        x, y = place_of(page, *points[0][0])
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 40, y + 30, steps=4)
        page.mouse.up()
        page.mouse.click(*place_of(page, *points[0][1]), button="right")
        wait_until(lambda: f"{len(points[0]) - 1} dots" in shown(page))
        page.keyboard.press("Control+z")
        wait_until(lambda: f"{len(points[0])} dots" in shown(page))
        page.keyboard.press("Control+y")
        page.keyboard.press("Control+z")
        page.keyboard.press("Control+z")  # the dot goes back to where it was
        page.keyboard.press("d")
        wait_until(lambda: "done" in shown(page))
        server.send_signal(signal.SIGINT)
        server.wait(60)
    found = read_points(
        folder / "pictures.dots" / "dots.csv", names=[f"cell{n}.png" for n in range(10)], missing="empty"
    )
    found = found.points
    near = np.linalg.norm(found[0][:, None] - points[0], axis=-1).min(axis=0)
    assert len(found[0]) == len(points[0])
    assert near.max() < 1
    assert sorted(path.name for path in (folder / "pictures").iterdir()) == sorted(
        f"cell{n}.png" for n in range(10)
    )


def test_a_killed_server_and_a_closed_tab_cost_nothing(browser, folder):
    folder, points = folder
    with serving(folder) as (server, address), tab(browser, address) as page:
        click_all(page, points[0])
        wait_until(lambda: f"{len(points[0])} dots" in shown(page))
        server.kill()
    with serving(folder) as (_, address), tab(browser, address) as page:
        assert f"{len(points[0])} dots" in shown(page)
        page.mouse.click(*place_of(page, 3, 3))
        wait_until(lambda: f"{len(points[0]) + 1} dots" in shown(page))
    keys = [operation["key"] for operation in journal(folder)]
    assert len(set(keys)) == len(keys) == len(points[0]) + 1


def test_two_tabs_see_each_other_and_a_second_process_is_refused(browser, folder):
    folder, _ = folder
    with serving(folder) as (_, address), tab(browser, address) as page:
        with tab(browser, address.partition("?")[0], page.context) as other:
            page.mouse.click(*place_of(page, 50, 60))
            wait_until(lambda: other.locator("output").inner_text() == "1")
            other.mouse.click(*place_of(other, 100, 90))
            wait_until(lambda: page.locator("output").inner_text() == "2")
        command = [sys.executable, "-m", "skcount", "annotate", "pictures", "--no-browser"]
        second = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
        assert second.returncode == 1
        assert "open in another process" in second.stderr


def test_from_a_bare_folder_to_a_total_with_an_interval(browser, folder):
    folder, points = folder
    number_of = {f"cell{number}.png": number for number in range(len(points))}

    def mark(page):
        name = shown(page).removeprefix("\u2605 ").partition(":")[0]
        click_all(page, points[number_of[name]])
        wait_until(lambda: f" {len(points[number_of[name]])} dots" in shown(page))
        page.keyboard.press("d")
        wait_until(lambda: "done" in shown(page))

    with serving(folder, "--total", "6") as (_, address), tab(browser, address) as page:
        mark(page)
        page.keyboard.press("t")
        wait_for(page, "by the model.")
        page.keyboard.press("n")
        page.get_by_role("button", name="Predict", exact=True).click()
        wait_for(page, "Correct the dots")
        assert "predicted" in shown(page)
        predicted = int(page.locator("output").inner_text())
        assert abs(predicted - len(points[1])) <= 0.5 * len(points[1])
        page.get_by_role("button", name="Draw the sample").click()
        wait_for(page, "have a star in the list")
        starred = page.locator("button", has_text="\u2605")
        assert starred.count() == 6
        for k in range(6):
            starred.nth(k).click()
            page.wait_for_timeout(300)
            while int(
                page.locator("output").inner_text()
            ):  # the picture that was predicted: its dots are set anew
                page.mouse.click(*first_dot(folder, shown(page), page), button="right")
                page.wait_for_timeout(50)
            mark(page)
        wait_for(page, "95 % interval")
        assert "Pictures that the model had not seen" in page.content()


def test_a_region_is_enough_to_train(browser, folder):
    folder, points = folder
    with serving(folder) as (_, address), tab(browser, address) as page:
        half = [place for place in points[0] if place[1] < WIDTH / 2 - 2]
        click_all(page, half)
        page.keyboard.press("r")
        for corner in ((0, 0), (0, WIDTH // 2), (HEIGHT - 1, WIDTH // 2), (HEIGHT - 1, 0)):
            page.mouse.click(*place_of(page, *corner))
        page.keyboard.press("Enter")
        wait_until(lambda: any(operation["kind"] == "region" for operation in journal(folder)))
        page.keyboard.press("t")
        wait_for(page, "by the model.")
        assert f"Trained on {len(half)} dots of 1 pictures" in page.locator("[role=status]").inner_text()


def test_names_with_markup_are_text(browser, tmp_path):
    from PIL import Image

    (tmp_path / "pictures").mkdir()
    name = "<img src=x onerror=alert(1)>.png"
    Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "pictures" / name)
    with serving(tmp_path) as (_, address), tab(browser, address) as page:
        assert name in shown(page)
        assert not page.locator("img[src=x]").count()


def test_malformed_messages_do_no_harm(browser, folder):
    websockets, exceptions = map(pytest.importorskip, ("websockets.sync.client", "websockets.exceptions"))
    folder, _ = folder
    rng = np.random.default_rng(0)
    with serving(folder) as (_, address), tab(browser, address) as page:
        host = address.split("/")[2]
        cookie = "; ".join(f"{each['name']}={each['value']}" for each in page.context.cookies())
        url = f"ws://{host}/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
        with pytest.raises(Exception, match="403"):
            websockets.connect(url, additional_headers={"Cookie": cookie}, origin="http://example.org")
        with pytest.raises(Exception, match="403"):
            websockets.connect(url, origin=f"http://{host}")
        sent = 0
        while sent < 1000:
            with (
                suppress(ConnectionError, exceptions.ConnectionClosed),
                websockets.connect(
                    url, additional_headers={"Cookie": cookie}, origin=f"http://{host}"
                ) as socket,
            ):
                for _ in range(50):
                    sent += 1
                    socket.send(
                        rng.bytes(rng.integers(1, 200)) if sent % 2 else f"42[{'[' * int(rng.integers(200))}"
                    )
        for number in (-1, 99, "x"):
            answer = page.request.get(f"http://{host}/tile/{number}/0/0/0?low=0&high=1")
            assert answer.status in {404, 422}
        page.mouse.click(*place_of(page, 30, 30))
        wait_until(lambda: "1 dots" in shown(page))


NOTEBOOK = """
import sys

from skcount.annotate import annotate
from skcount.datasets import make_cells

if __name__ == "__main__":
    X, points = make_cells(2, image_shape=(200, 260), n_cells=5, random_state=0, return_X_y=True)
    page = annotate(X, points, out="dots")
    print(page._repr_html_(), flush=True)
    sys.stdin.readline()
    print(page.points.counts.tolist(), flush=True)
    page.close()
"""


def test_images_of_a_notebook_are_shown_and_their_dots_given_back(browser, tmp_path):
    (tmp_path / "notebook.py").write_text(NOTEBOOK)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with open(tmp_path / "errors.txt", "w") as errors:
        kernel = subprocess.Popen(
            [sys.executable, "notebook.py"], cwd=tmp_path, stderr=errors, text=True, **pipes
        )
    try:
        frame = kernel.stdout.readline()
        assert frame.startswith('<iframe src="http://localhost:'), (tmp_path / "errors.txt").read_text()
        address = frame.split('"')[1].replace("localhost", "127.0.0.1")
        with tab(browser, address) as page:
            assert page.locator("output").inner_text() == "5"
            page.mouse.click(*place_of(page, 3, 3))
            wait_until(lambda: "6 dots" in shown(page))
        answer, _ = kernel.communicate("\n", timeout=60)
        assert answer.strip() == "[6.0, 5.0]"
    finally:
        kernel.kill()
        kernel.communicate()
