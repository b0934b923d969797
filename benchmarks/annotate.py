"""The page of `skcount annotate` in Chromium: how fast it is, and how long it takes from a bare folder to a total.

``python benchmarks/annotate.py latency`` clicks on a picture with 5,000 dots, ``large`` opens and pans a picture of
20,000 x 20,000 pixels, ``retrain`` trains after ten new dots, ``kills`` kills the server a hundred times, and ``hour`` goes
from 60 generated photos of 3000 x 4000 pixels, with no dot, to a total with an interval, with one click per second at most.
Needs Playwright and Chromium.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from skcount.annotate import Desk
from skcount.datasets import make_cells
from skcount.io import load_folder

SCREENSHOT = Path(__file__).parents[1] / "local" / "annotate.png"
BROWSER = "/usr/lib/chromium/chromium"
WATCH = """() => {
  window.seen = []; let pressed = 0;
  addEventListener("pointerup", (e) => (pressed = e.timeStamp), true);
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (image, ...rest) {
    draw.call(this, image, ...rest);
    if (pressed && image instanceof HTMLCanvasElement) { const t = pressed; pressed = 0;
      requestAnimationFrame(() => window.seen.push(performance.now() - t)); }
  };
}"""


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["latency", "large", "retrain", "kills", "hour"])
    parser.add_argument(
        "--pace", type=float, default=1.0, help="seconds between two clicks of `hour` (default: 1)"
    )
    parser.add_argument("--total", type=int, default=8, help="photos of the sample of `hour` (default: 8)")
    parser.add_argument("--photos", type=int, default=60, help="number of photos of `hour` (default: 60)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "pictures").mkdir()
        jobs = {"latency": latency, "large": large, "retrain": retrain, "kills": kills}
        jobs["hour"] = lambda at: hour(at, options.photos, options.pace, options.total)
        jobs[options.what](folder)


@contextmanager
def page_of(folder, *options):
    """Serve the pictures, and yield the process and the page."""
    command = [sys.executable, "-m", "skcount", "annotate", "pictures", "--no-browser", *options]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip()
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(address)
            page.wait_for_selector("button.open")
            page.wait_for_timeout(1000)
            yield server, page
            browser.close()
    finally:
        server.kill()
        server.communicate()


def latency(folder):
    """Print the time from a click to the dot, with 5,000 dots on the picture."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (1000, 1400), dtype=np.uint8)).save(folder / "pictures" / "a.png")
    data = load_folder(folder / "pictures")
    desk = Desk(data.images, data.names, folder / "pictures.dots")
    desk.add([rng.uniform(0, (999, 1399), size=(5000, 2))])
    desk.close()
    with page_of(folder) as (_, page):
        page.evaluate(WATCH)
        box = page.locator(".dots").bounding_box()
        for _ in range(200):
            x, y = rng.uniform(0.1, 0.9, 2) * (box["width"], box["height"])
            page.mouse.click(box["x"] + x, box["y"] + y)
            page.wait_for_timeout(40)
        times = page.evaluate("window.seen")
    print(f"{len(times)} clicks: median {np.median(times):.0f} ms, 95 % {np.quantile(times, 0.95):.0f} ms")


def large(folder):
    """Print how long a picture of 20,000 x 20,000 pixels takes to open and to pan, and the memory of the server."""
    import tifffile

    rng = np.random.default_rng(0)
    block = rng.integers(0, 255, (1000, 1000), dtype=np.uint8)
    picture = folder / "pictures" / "z_large.tif"
    tifffile.imwrite(picture, np.tile(block, (20, 20)), tile=(512, 512), bigtiff=False)
    Image.fromarray(block).save(folder / "pictures" / "small.png")
    with page_of(folder) as (server, page):
        page.evaluate("() => { window.loaded = []; }")
        page.on(
            "response", lambda response: times.append(time.monotonic()) if "/tile/" in response.url else None
        )
        times = []
        row = page.locator("button", has_text="small.png")
        row.click()
        page.wait_for_timeout(1500)
        times.clear()
        began = time.monotonic()
        page.locator("button", has_text="z_large.tif").click()
        while not times:
            page.wait_for_timeout(20)
        print(f"opened: {time.monotonic() - began:.2f} s to the first tile")
        box = page.locator(".dots").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        for _ in range(14):
            page.mouse.wheel(0, -120)
        page.wait_for_timeout(3000)
        pans = []
        for _ in range(10):
            times.clear()
            began = time.monotonic()
            page.mouse.down()
            page.mouse.move(x - 300, y - 150, steps=3)
            page.mouse.up()
            page.mouse.move(x, y)
            page.wait_for_timeout(900)
            pans.append(max(times) - began if times else 0)
        print(f"a pan until its last tile: median {np.median(pans):.2f} s, largest {max(pans):.2f} s")
        status = Path(f"/proc/{server.pid}/status").read_text()
        print(
            "largest memory of the server:",
            next(line for line in status.splitlines() if line.startswith("VmHWM")),
        )


def retrain(folder):
    """Print how long a training takes after ten new dots, until the open picture and until all have new counts."""
    X, points = make_cells(
        24, image_shape=(512, 512), n_cells=(30, 60), radius=8, random_state=0, return_X_y=True
    )
    for number, image in enumerate(X):
        Image.fromarray(image).save(folder / "pictures" / f"p{number:02}.png")
    data = load_folder(folder / "pictures")
    desk = Desk(data.images, data.names, folder / "pictures.dots")
    desk.add([each if number < 3 else np.empty((0, 2)) for number, each in enumerate(points)])
    for number in range(3):
        desk.finish(number)
    desk.close()
    with page_of(folder) as (_, page):
        for run in range(2):  # the second one after ten new dots
            page.locator("button", has_text="p05.png").click()
            page.wait_for_timeout(500)
            before = page.locator("button.open").inner_text()
            began = time.monotonic()
            page.keyboard.press("t")
            while page.locator("button.open").inner_text() == before:
                page.wait_for_timeout(50)
            first = time.monotonic() - began
            page.get_by_text("by the model.").first.wait_for(timeout=600_000)
            print(
                f"training {run + 1}: open picture after {first:.1f} s, all 24 after {time.monotonic() - began:.1f} s"
            )
            page.locator("button", has_text="p03.png").click()
            page.wait_for_timeout(500)
            box = page.locator(".dots").bounding_box()
            scale = min(box["width"], box["height"]) / 512
            left, top = (box[a] + (box[b] - 512 * scale) / 2 for a, b in (("x", "width"), ("y", "height")))
            for row, col in points[3][:10]:
                page.mouse.click(left + (col + 0.5) * scale, top + (row + 0.5) * scale)
            page.keyboard.press("d")
            page.wait_for_timeout(500)


def kills(folder, n_kills=100):
    """Kill the server at random moments while clicks come in, and count dots that were shown as written and are lost."""
    rng = np.random.default_rng(0)
    Image.new("L", (900, 700)).save(folder / "pictures" / "a.png")
    acknowledged = lost = clicks = 0
    for _ in range(n_kills):
        with page_of(folder) as (server, page):
            kept = int(page.locator("output").inner_text())
            lost += max(0, acknowledged - kept)
            box = page.locator(".dots").bounding_box()
            end = time.monotonic() + rng.uniform(0.05, 1.5)
            acknowledged = kept
            while time.monotonic() < end:
                x, y = rng.uniform(0.3, 0.7, 2)
                page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
                clicks += 1
                text = page.locator("button.open").inner_text()
                acknowledged = max(acknowledged, int(text.partition(", ")[2].split()[0]))
            server.kill()
    lines = (folder / "pictures.dots" / "journal.jsonl").read_text().splitlines()
    keys = [json.loads(line)["key"] for line in lines]
    print(
        f"{n_kills} kills, {clicks} clicks: {lost} written dots lost, {len(keys) - len(set(keys))} doubled, {len(keys)} kept"
    )


def hour(folder, n_photos, pace, n_total):
    """Go from a bare folder of photos to a total with an interval."""
    X, points = make_cells(
        n_photos,
        image_shape=(3000, 4000),
        n_cells=(10, 50),
        radius=60,
        overlap=0.1,
        random_state=0,
        return_X_y=True,
    )
    for number, photo in enumerate(X):
        Image.fromarray(photo).save(folder / "pictures" / f"photo{number:02}.jpg", quality=92)
    del X
    true, n_clicks, began = points.counts.sum(), 0, time.monotonic()
    print(f"{n_photos} photos, {true:.0f} objects", flush=True)

    with page_of(folder, "--total", str(n_total)) as (_, page):

        def number():
            return int(page.locator("button.open").inner_text().removeprefix("\u2605 ")[5:7])

        def mark():
            nonlocal n_clicks
            box = page.locator(".dots").bounding_box()
            scale = min(box["width"] / 4000, box["height"] / 3000)
            left = box["x"] + (box["width"] - 4000 * scale) / 2
            top = box["y"] + (box["height"] - 3000 * scale) / 2
            for row, col in points[number()]:
                page.mouse.click(left + (col + 0.5) * scale, top + (row + 0.5) * scale)
                page.wait_for_timeout(1000 * pace)
                n_clicks += 1
            page.keyboard.press("d")
            page.wait_for_timeout(500)

        def wait(text):
            page.get_by_text(text).first.wait_for(timeout=1_800_000)
            print(
                f"{time.monotonic() - began:.0f} s: {page.locator('[role=status]').inner_text()}", flush=True
            )

        for _ in range(2):
            mark()
            page.keyboard.press("n")
            page.wait_for_timeout(1500)
        page.keyboard.press("t")
        wait("by the model.")
        page.get_by_role("button", name="Draw the sample").click()
        wait("have a star in the list")
        starred = page.locator("button", has_text="\u2605")
        for k in range(starred.count()):
            starred.nth(k).click()
            page.wait_for_timeout(1500)
            mark()
        page.get_by_text("95 % interval").wait_for(timeout=60_000)
        print(page.get_by_text("95 % interval").inner_text())
        print(page.get_by_text("Pictures that the model had not seen").inner_text())
        page.screenshot(path=SCREENSHOT)
    print(
        f"true {true:.0f}; {time.monotonic() - began:.0f} s, {n_clicks} clicks in {2 + n_total} photos",
        flush=True,
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
