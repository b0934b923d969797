"""The journal of a folder of pictures: every dot is in a file before anyone is told that it is set.

Lines of JSON are appended and never changed. A line has the picture, a key that is unique, and what happened: "add", "move"
and "remove" of a dot, "region" and "unregion" of a polygon, "mark" of the picture; and, from the server, "check" and
"trained". The page makes the keys, so that a message that arrives twice has no second effect.
"""

import csv
import json
import os
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path

from skcount._files import check_target, replacing

NAME, CSV = "journal.jsonl", "dots.csv"
# Written lines reach the disk within this time, in seconds.
SYNC = 0.5
# Keys and numbers of dots as the page makes them.
KEY = re.compile(r"[\w-]{1,40}", re.ASCII)
KINDS = ("add", "move", "remove", "region", "unregion", "mark", "check", "trained")
# What only the server writes.
OWN = ("check", "trained")
# Who set a dot: a person, or a model whose dot a person has left or moved.
AUTHORS = ("hand", "model")
MARKS = ("open", "done")
REGIONS = ("count", "ignore")
MOST_CORNERS = 1000
# No picture is as long, in pixels; integers of JSON may be too large for a float.
LARGEST = 1e9


@dataclass
class Picture:
    """The dots (number -> row, column, author), regions and mark of a picture.

    `check` has the predicted count, the number of dots and whether predicted dots were not shown, from before the picture
    was `trained` on. It was `predicted` if dots of a model were ever shown in it.
    """

    dots: dict = field(default_factory=dict)
    regions: dict = field(default_factory=dict)
    mark: str = "open"
    check: tuple | None = None
    trained: bool = False
    predicted: bool = False

    @property
    def is_done(self):
        """Return whether all objects have a dot."""
        return self.mark == "done"

    @property
    def places(self):
        """Return (row, col) of each dot."""
        return [(row, col) for row, col, _ in self.dots.values()]


class Journal:
    """The dots of a folder of pictures, kept in `folder`; another process on it is refused.

    `sizes` are the (height, width) of the pictures by name.
    """

    def __init__(self, folder, sizes):
        self.folder, self.sizes = Path(folder), sizes
        self.folder.mkdir(exist_ok=True)
        self.path = self.folder / NAME
        self.pictures = {name: Picture() for name in sizes}
        self.keys = set()
        self.lock = threading.RLock()
        self._dirty, self._closed = threading.Event(), threading.Event()
        self._file = os.open(
            self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600
        )
        try:
            self._hold()
            self._replay()
        except BaseException:
            os.close(self._file)
            raise
        self._syncer = threading.Thread(target=self._sync, daemon=True)
        self._syncer.start()

    def apply(self, operations):
        """Write operations and apply them; return those that were not known yet. ValueError leaves the journal as it was."""
        if not isinstance(operations, list):
            raise ValueError("The operations must be a list.")
        with self.lock:
            if self._closed.is_set():  # the number of the file may be that of another one by now
                raise ValueError("The journal is closed.")
            seen, new = set(), []
            for operation in operations:
                checked = check_operation(operation, self.sizes)
                if checked["key"] not in self.keys and checked["key"] not in seen:
                    seen.add(checked["key"])
                    new.append(checked)
            if new:
                lines = "".join(
                    json.dumps(operation, separators=(",", ":")) + "\n" for operation in new
                ).encode()
                self._write(lines)
                self._dirty.set()
                for operation in new:
                    self._do(operation)
            return new

    def fold(self):
        """Write the dots to a CSV that `skcount fit` and `read_points` read, and return its path."""
        path = check_target(self.folder / CSV)
        with self.lock:
            rows = [
                (name, col, row) for name, picture in self.pictures.items() for row, col in picture.places
            ]
        with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["image", "x", "y"])
            writer.writerows(rows)
        return path

    def close(self):
        """Bring everything to the disk, and let others have the folder."""
        with self.lock:
            if self._closed.is_set():
                return
            self._closed.set()
        self._dirty.set()
        self._syncer.join()
        os.fsync(self._file)
        os.close(self._file)

    def _hold(self):
        """Take the lock of the file, which ends with the process."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(
                f"{self.folder} is open in another process of `skcount annotate`. Use its page, or end it first."
            ) from error

    def _replay(self):
        """Read what was written before. A last line that was cut off by a crash was never acknowledged: it is removed."""
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(self._file, whole)
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                operation = check_operation(json.loads(line), None)
            except (ValueError, RecursionError) as error:
                raise ValueError(
                    f"{self.path} is damaged in line {number}: {error}. Restore it, or move it away."
                ) from error
            self._do(operation)

    def _do(self, operation):
        """Apply one operation to the pictures. Pictures that are no longer in the folder keep their dots."""
        picture = self.pictures.setdefault(operation["image"], Picture())
        self.keys.add(operation["key"])
        kind, number = operation["kind"], operation.get("id")
        if kind == "add" or (kind == "move" and number in picture.dots):
            picture.dots[number] = operation["row"], operation["col"], operation["by"]
            picture.predicted |= operation["by"] == "model"
        elif kind == "remove":
            picture.dots.pop(number, None)
        elif kind == "region":
            picture.regions[number] = operation["use"], operation["corners"]
        elif kind == "unregion":
            picture.regions.pop(number, None)
        elif kind == "mark":
            picture.mark = operation["mark"]
        elif kind == "check":
            picture.check = operation["predicted"], operation["counted"], operation["blind"]
        elif kind == "trained":
            picture.trained = True

    def _write(self, lines):
        """Append lines, all or none of them."""
        size = os.fstat(self._file).st_size
        try:
            written = 0
            while written < len(lines):
                written += os.write(self._file, lines[written:])
        except OSError:
            os.ftruncate(self._file, size)
            raise

    def _sync(self):
        """Bring written lines to the disk, again and again until the journal is closed."""
        while not self._closed.is_set():
            self._dirty.wait()
            self._dirty.clear()
            os.fsync(self._file)
            self._closed.wait(SYNC)


def check_operation(operation, sizes):
    """Return an operation with its own fields alone, or raise ValueError; without `sizes`, it is one of the journal."""
    if not isinstance(operation, dict):
        raise ValueError("An operation must be an object.")
    kind, image = operation.get("kind"), operation.get("image")
    if kind not in KINDS:
        raise ValueError("The kind of an operation is not known.")
    if not isinstance(image, str) or (sizes is not None and image not in sizes):
        raise ValueError("The picture is not in the folder.")
    size = None if sizes is None else sizes[image]
    found = {"kind": kind, "image": image, "key": _check_key(operation.get("key"))}
    if kind == "mark":
        return found | {"mark": _one_of(operation.get("mark"), MARKS)}
    if kind == "trained":
        return found
    if kind == "check":
        predicted, counted = _check_place((operation.get("predicted"), operation.get("counted")), None)
        return found | {"predicted": predicted, "counted": counted, "blind": bool(operation.get("blind"))}
    found["id"] = _check_key(operation.get("id"))
    if kind in {"add", "move"}:
        row, col = _check_place((operation.get("row"), operation.get("col")), size)
        found |= {"row": row, "col": col, "by": _one_of(operation.get("by"), AUTHORS)}
    elif kind == "region":
        corners = operation.get("corners")
        if not isinstance(corners, list) or not 3 <= len(corners) <= MOST_CORNERS:
            raise ValueError(f"A region must have 3 to {MOST_CORNERS} corners.")
        found |= {
            "use": _one_of(operation.get("use"), REGIONS),
            "corners": [_check_place(corner, size) for corner in corners],
        }
    return found


def _check_key(key):
    """Return a key or number of the page."""
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise ValueError("A key must be 1 to 40 letters, digits, - or _.")
    return key


def _one_of(value, known):
    """Return a value that must be one of a few."""
    if value not in known:
        raise ValueError(f"Expected one of {', '.join(known)}.")
    return value


def _check_place(place, size):
    """Return [row, col] as finite numbers on the picture."""
    if not isinstance(place, list | tuple) or len(place) != 2:
        raise ValueError("A place must be a row and a column.")
    if any(
        type(value) not in {int, float} or not abs(value) < LARGEST for value in place
    ):  # NaN is not below it
        raise ValueError("A place must be finite numbers.")
    row, col = map(float, place)
    if size is not None and not (-0.5 <= row < size[0] - 0.5 and -0.5 <= col < size[1] - 0.5):
        raise ValueError("A place must be on the picture.")
    return [row, col]
