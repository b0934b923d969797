"""State of the page that is common to all tabs: pictures, dots, model and sample; and the processes that compute."""

import asyncio
import csv
import os
import secrets
import warnings
from collections import Counter
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from time import monotonic

import numpy as np

from skcount._check import check_length
from skcount._files import check_target, replacing
from skcount.annotate._journal import Journal
from skcount.annotate._tiles import Tiles
from skcount.annotate._work import follow, predict, train
from skcount.evaluation import (
    CountReportWarning,
    ImageSample,
    Table,
    counting_report,
    estimate_total,
    plan_sample,
    sample_images,
)
from skcount.points import PointAnnotations

MODEL, SAMPLE, COUNTS = "model.skcount", "sample.csv", "counts.csv"
OVERLAYS, REPORT = "overlays", "report.html"
# Density maps of larger pictures are not kept for the overlay, in pixels.
MOST_OVERLAY = 2**24
# So many pictures are predicted at once: counts appear while others are still predicted.
BATCH = 8
# With so many new dots, a finished picture starts a training by itself, if that is wanted.
NEW_DOTS = 10


class Desk:
    """Pictures with their names, and the folder for dots and model; `n_total` pictures are counted for the total.

    Raises ValueError if the folder is open in another process, or its journal is damaged.
    """

    def __init__(self, images, names, folder, model=None, n_total=None):
        self.images, self.names = images, list(map(str, names))
        self.journal = Journal(folder, dict(zip(self.names, images.sizes, strict=True)))
        self.folder, self.n_total = self.journal.folder, n_total
        self.tiles = Tiles(images)
        self.start = "objects" if model is None else str(model)
        saved = str(self.folder / MODEL)
        self.model = saved if (self.folder / MODEL).exists() else model and str(model)
        self.diameter, self.counts = "auto", {}
        self.status, self.views, self.busy, self.began, self.trains_itself = "", [], None, 0.0, False
        self.n_dots_trained = 0
        self.pace, self.expected, self.looking, self.last_total = None, None, False, (None, "")
        self.pool = _new_pool()
        try:
            self.sample = self._load_sample()
        except BaseException:
            self.journal.close()
            raise

    # Pictures.

    def picture(self, number):
        """Return what is known of a picture."""
        return self.journal.pictures[self.names[number]]

    def pictures(self):
        """Return what is known of each picture, in the order of the names."""
        return [self.journal.pictures[name] for name in self.names]

    def dots(self, number):
        """Return the dots of a picture as [id, row, col, author]."""
        return [[key, *dot] for key, dot in self.picture(number).dots.items()]

    def points(self):
        """Return the dots of all pictures."""
        return PointAnnotations([picture.places for picture in self.pictures()])

    def state(self, number):
        """Return the state of a picture, in a word or two."""
        picture = self.picture(number)
        if picture.is_done:
            return "done"
        authors = {author for *_, author in picture.dots.values()}
        if not authors:
            return "not marked"
        return {("hand",): "by hand", ("model",): "predicted"}.get(tuple(authors), "corrected")

    def add(self, points):
        """Add the points of a file, unless they were added before."""
        check_length(len(self.names), len(points), "points")
        operations, times = [], Counter()
        for name, each in zip(self.names, points, strict=True):
            for row, col in each.tolist():
                # The name, because the number changes with the pictures of the folder; several dots may be at one place.
                place = repr((name, row, col))
                times[place] += 1
                key = (
                    "file-"
                    + sha256(f"{place} {times[place]}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
                )
                dot = {"row": row, "col": col, "by": "hand"}
                operations.append({"kind": "add", "image": name, "key": key, "id": key, **dot})
        self.apply(operations)

    def apply(self, operations, view=None):
        """Write operations, and show them in all other tabs."""
        new = self.journal.apply(operations)
        for other in self.views:
            if new and other is not view:
                other.show(new)
        return new

    def do(self, number, kind, **fields):
        """Write one operation of the server."""
        return self.apply(
            [{"kind": kind, "image": self.names[number], "key": secrets.token_hex(8), **fields}]
        )

    def finish(self, number):
        """Mark a picture as complete, or open it again; keep how far the model was off, if it has not seen the picture."""
        picture = self.picture(number)
        if picture.is_done:
            return self.do(number, "mark", mark="open")
        self.do(number, "mark", mark="done")
        if number in self.counts and not picture.trained:
            off = {
                "predicted": self.counts[number],
                "counted": len(picture.dots),
                "blind": not picture.predicted,
            }
            self.do(number, "check", **off)
        self.journal.fold()
        return None

    def errors(self):
        """Return a sentence about the pictures that were predicted before they were marked and trained on."""
        found = [check for picture in self.journal.pictures.values() for check in [picture.check] if check]
        if not found:
            return ""
        off = np.array([predicted - counted for predicted, counted, _ in found])
        n_blind = sum(blind for *_, blind in found)
        return (
            f"Pictures that the model had not seen: off by {np.abs(off).mean():.1f} objects on average, bias "
            f"{off.mean():+.1f}, {len(off)} pictures, {n_blind} of them marked without seeing predicted dots."
        )

    # The model.

    async def fit(self):
        """Train on the marked pictures, then predict the counts of all."""
        marked = [
            (number, picture.places, list(picture.regions.values()), picture.is_done)
            for number, picture in enumerate(self.pictures())
            if picture.is_done or any(use == "count" for use, _ in picture.regions.values())
        ]
        if not sum(len(dots) for _, dots, *_ in marked):
            return self.tell(
                "Mark all objects of a picture and press D (done), or all objects in a region (R). Then train."
            )
        self.expected = self.pace and self.pace * max(1.0, np.sqrt(len(marked) / 4))
        return await self._work(f"Training on {len(marked)} pictures", self._fit, marked)

    async def _fit(self, marked):
        out = str(self.folder / MODEL)
        n_dots = self._n_dots_done()
        found = await self._in_process(train, self.images, marked, self.start, self.diameter, out)
        # The steps of a training grow with the square root of the number of pictures, from four on.
        self.pace, self.expected = (monotonic() - self.began) / max(1.0, np.sqrt(len(marked) / 4)), None
        self.model, self.n_dots_trained = out, n_dots
        for number in found["trained_on"]:
            if not self.picture(number).trained:
                self.do(number, "trained")
        about = f"Trained on {found['n_dots']} dots of {len(marked)} pictures, {found['diameter']:.3g} pixels wide."
        if found["warnings"]:
            about += f" {found['warnings'][0]}"
        self.busy = f"{about} Counting"
        return f"{about} {await self._predict_all()}"

    async def predict_all(self):
        """Predict the counts of all pictures."""
        if self.model is None:
            return self.tell("Train a model first, or start with --model.")
        return await self._work("Counting", self._predict_all)

    async def _predict_all(self):
        shown = [view.number for view in self.views if view.number is not None]
        order = list(dict.fromkeys([*shown, *range(len(self.names))]))
        self.tiles.densities.clear()
        for begin in range(0, len(order), BATCH):
            batch = order[begin : begin + BATCH]
            counts, *_ = await self._in_process(predict, self.images, self.model, batch)
            self.counts |= counts
            self.refresh()
        return f"{sum(self.counts.values()):.0f} objects in {len(self.counts)} pictures, by the model."

    async def place(self, number, view):
        """Add the predicted points of a picture as dots, to be corrected."""
        if self.model is None:
            return self.tell("Train a model first, or start with --model.")
        if self.picture(number).dots:
            return self.tell("This picture has dots already. Remove them to see those of the model.")
        if number in self.blind():
            return self.tell(
                "Mark this picture of the sample without seeing predicted dots: corrected dots lean towards predicted "
                "ones, and such pictures tell by how much."
            )
        if self.looking:
            return self.tell("Looking for objects in a picture. Wait until they are there.")
        self.looking = True  # beside a training: the model before it answers
        try:
            return self.tell(await self._attempt(self._place, number, view))
        finally:
            self.looking = False

    async def _place(self, number, view):
        counts, places, maps = await self._in_process(predict, self.images, self.model, [number], True)
        self.counts[number] = counts[number]
        if maps[number].size <= MOST_OVERLAY:
            self.tiles.densities = {number: maps[number]}  # one is enough: they are as large as the pictures
        name, keys = self.names[number], [secrets.token_hex(8) for _ in places[number]]
        self.apply(
            [
                {"kind": "add", "image": name, "key": key, "id": key, "row": row, "col": col, "by": "model"}
                for key, (row, col) in zip(keys, places[number], strict=True)
            ]
        )
        view.overlay(number)
        return f"{counts[number]:.1f} objects. Correct the dots, then press D (done)."

    async def train_itself(self):
        """Train if that is wanted and there are enough new dots."""
        enough = self._n_dots_done() >= self.n_dots_trained + NEW_DOTS
        if self.trains_itself and not self.busy and enough:
            await self.fit()

    def _n_dots_done(self):
        """Return the number of dots of the finished pictures of the folder."""
        return sum(len(picture.dots) for picture in self.pictures() if picture.is_done)

    async def _in_process(self, work, *arguments):
        """Run a function in the other process."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self.pool, work, *arguments)
        except BrokenExecutor:  # it was killed, perhaps for want of memory
            self.pool.shutdown(wait=False)
            self.pool = _new_pool()
            raise

    async def _work(self, text, work, *arguments):
        """Do one thing at a time, and tell all tabs what is done and what came of it."""
        if self.busy:
            return self.tell(f"{self.busy}. Wait until it is finished.")
        self.busy, self.began = text, monotonic()
        self.refresh()
        try:
            result = await self._attempt(work, *arguments)
        finally:
            self.busy = self.expected = None
        return self.tell(result)

    async def _attempt(self, work, *arguments):
        """Return what came of a job, or the error as a text."""
        try:
            return await work(*arguments)
        except (ValueError, OSError, RuntimeError, FloatingPointError, MemoryError, ImportError) as error:
            return f"{type(error).__name__}: {error}"

    def tell(self, text):
        """Show a text in all tabs."""
        self.status = text
        self.refresh()

    def refresh(self):
        """Show states and counts in all tabs."""
        for view in self.views:
            view.refresh()

    def news(self):
        """Return what is being done and for how long, or what was told last."""
        if not self.busy:
            return self.status
        expected = f" of about {self.expected:.0f} s" if self.expected else " s"
        return f"{self.busy} ... {monotonic() - self.began:.0f}{expected}"

    # The total.

    def draw(self, n):
        """Draw the pictures to count for the total, once."""
        if self.sample is not None:
            return self._extend(n)
        if len(self.counts) < len(self.names):
            return self.tell("Let the model count all pictures first.")
        others = [number for number in range(len(self.names)) if not self.picture(number).trained]
        try:
            sample = sample_images([self.counts[number] for number in others], min(n, len(others)))
        except ValueError as error:
            return self.tell(str(error))
        self._keep(sample, others)
        return self.tell(f"{len(sample)} pictures to count have a star in the list.")

    def _extend(self, n):
        """Draw a second batch, once, after the first is finished."""
        sample, population = self.sample
        if not all(self.picture(number).is_done for number in self.to_count()):
            return self.tell("The sample has been drawn: its pictures have a star. Finish them.")
        more = min(n, len(population) - len(sample))
        try:
            self._keep(sample.extend(more), population)
        except ValueError as error:
            return self.tell(str(error))
        return self.tell(f"{more} more pictures to count have a star in the list.")

    def _keep(self, sample, population):
        """Write the sample, and read it back."""
        table = sample.to_table()
        columns = {name: table[name] for name in table if name != "image"}
        Table({"name": [self.names[number] for number in population], **columns}).to_csv(self.folder / SAMPLE)
        self.sample = self._load_sample()

    def _load_sample(self):
        """Return the sample and the numbers of its population, or None."""
        path = self.folder / SAMPLE
        if not path.exists():
            return None
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        gone = {row["name"] for row in rows} - set(self.names)
        if gone:
            raise ValueError(
                f"{path} names pictures that are not there ({min(gone)}). Restore them, or move the file away."
            )
        columns = {"predicted": [float(row["predicted"]) for row in rows]}
        columns |= {
            name: np.array([int(row[name]) for row in rows]) for name in ("stratum", "phase", "order")
        }
        return ImageSample.from_table(columns), [self.names.index(row["name"]) for row in rows]

    def to_count(self):
        """Return the numbers of the pictures of the sample, in their order."""
        if self.sample is None:
            return []
        sample, population = self.sample
        return [population[index] for index in sample.indices]

    def blind(self):
        """Return the pictures that are marked without seeing predicted dots: every second one of the sample."""
        return self.to_count()[::2]

    def total(self):
        """Return a sentence about the total, or an empty text."""
        chosen = self.to_count()
        if not chosen:
            return ""
        n_done = sum(self.picture(number).is_done for number in chosen)
        if n_done < len(chosen):
            return f"Counted {n_done} of {len(chosen)} pictures of the sample (stars). The total comes with the last one."
        sample, population = self.sample
        others = set(range(len(self.names))) - set(population)
        n_open = sum(not self.picture(number).is_done for number in others)
        if n_open:
            return f"Finish {n_open} pictures that came later, or in which only a region was marked. Then the total comes."
        known = sum(len(self.picture(number).dots) for number in others)
        counts = [len(self.picture(number).dots) for number in chosen]
        if self.last_total[0] != (counts, known):  # the plan takes long, and each click asks for the total
            self.last_total = (counts, known), self._estimate(sample, counts, known)
        return self.last_total[1]

    def _estimate(self, sample, counts, known):
        """Return a sentence about the total of the sampled pictures and of the known others."""
        try:
            found = estimate_total(sample, counts)
        except ValueError as error:
            return str(error)
        low, high = (known + value for value in found.interval)
        more = (
            plan_sample(found, (high - low) / 4) - len(sample.drawn)
            if sample.n_phases == 1 and low < high
            else 0
        )
        plan = f" Half as wide: about {more} pictures more." if more else ""
        text = f"{known + found.total:.0f} objects in all {len(self.names)} pictures; 95 % interval {low:.0f} to {high:.0f}."
        return text + plan

    # The end.

    def export(self):
        """Write dots, counts, pictures with their dots, and a report of the model; return what was written."""
        path = self.journal.fold()
        pictures = self.pictures()
        columns = {
            "image": self.names,
            "by hand": [len(picture.dots) if picture.is_done else "" for picture in pictures],
            "model": [self.counts.get(number, "") for number in range(len(pictures))],
        }
        Table({name: np.array(values, dtype=object) for name, values in columns.items()}).to_csv(
            self.folder / COUNTS
        )
        overlays = self.folder / OVERLAYS
        overlays.mkdir(exist_ok=True)
        for number, picture in enumerate(pictures):
            if picture.dots:
                name = f"{number:04}_{self.names[number].replace('/', '_')[-80:]}.jpg"
                with replacing(check_target(overlays / name)) as temporary:
                    temporary.write_bytes(self.tiles.overlay(number, picture.places))
        written = [f"Dots: {path}", f"counts: {self.folder / COUNTS}", f"pictures with dots: {overlays}"]
        checks = [picture.check for picture in self.journal.pictures.values() if picture.check]
        if checks:
            predicted, counted, _ = np.array(checks, dtype=float).T
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CountReportWarning)  # the page has them
                counting_report(predicted, predicted, counted).to_html(self.folder / REPORT)
            written.append(f"report: {self.folder / REPORT}")
        return ", ".join([*written, *([f"model: {self.model}"] if self.model else [])])

    def close(self):
        """Write the CSV, and end the other process."""
        self.journal.fold()
        self.journal.close()
        self.pool.shutdown(wait=False, cancel_futures=True)


def _new_pool():
    """Return another process, which begins with its first work."""
    return ProcessPoolExecutor(2, get_context("spawn"), follow, (os.getpid(),))
