"""The journal keeps every dot that it has acknowledged, whatever ends its process."""

import json
import math
import os
import random
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skcount.annotate._journal import MOST_CORNERS, Journal
from skcount.io import read_points

SIZES = {"a.png": (40, 60), "b.png": (20, 20)}
TRIANGLE = [[0, 0], [0, 9], [9, 0]]
law = settings(max_examples=60, deadline=None)


def make(kind, key, image="a.png", **fields):
    """One operation; a dot has the number of its first operation."""
    return {"kind": kind, "image": image, "key": key, **fields}


def dot(key, row=1.5, col=2.5, image="a.png", **fields):
    """An operation that adds a dot."""
    return make("add", key, image, **{"id": key, "row": row, "col": col, "by": "hand"} | fields)


EVERY_KIND = [
    dot("k1"),
    dot("k2", 3, 4, by="model"),
    dot("k3", 5, 6),
    make("move", "k4", id="k2", row=8.25, col=9, by="hand"),
    make("remove", "k5", id="k3"),
    make("region", "k6", id="k6", use="count", corners=TRIANGLE),
    make("region", "k7", id="k7", use="ignore", corners=TRIANGLE),
    make("unregion", "k8", id="k6"),
    make("mark", "k9", mark="done"),
    make("check", "k10", predicted=2.75, counted=2, blind=True),
    make("trained", "k11"),
    dot("k12", 19.25, -0.5, "b.png"),
]


@pytest.fixture
def start(tmp_path):
    """Return a function that opens the journal of a folder; all are closed at the end."""
    opened = []

    def start(sizes=SIZES):
        opened.append(Journal(tmp_path / "dots", sizes))
        return opened[-1]

    yield start
    for journal in opened:
        journal.close()


@pytest.fixture
def path(tmp_path):
    """The file of the journal that `start` opens."""
    return tmp_path / "dots" / "journal.jsonl"


# What an operation does.


def test_every_kind_of_operation(start):
    journal = start()
    assert journal.apply(EVERY_KIND) == EVERY_KIND
    a, b = journal.pictures["a.png"], journal.pictures["b.png"]
    assert a.dots == {"k1": (1.5, 2.5, "hand"), "k2": (8.25, 9.0, "hand")}
    assert a.regions == {"k7": ("ignore", TRIANGLE)}
    assert (a.mark, a.check, a.trained) == ("done", (2.75, 2, True), True)
    assert b.dots == {"k12": (19.25, -0.5, "hand")}
    assert (b.regions, b.mark, b.check, b.trained) == ({}, "open", None, False)


def test_a_done_picture_can_be_opened_again(start):
    journal = start()
    journal.apply([make("mark", "k1", mark="done"), make("mark", "k2", mark="open")])
    assert journal.pictures["a.png"].mark == "open"


@pytest.mark.parametrize("kind", ["move", "remove", "unregion"])
def test_what_another_tab_has_removed_stays_removed(start, kind):
    journal = start()
    journal.apply([make(kind, "k1", id="gone", row=1, col=1, by="hand")])
    picture = journal.pictures["a.png"]
    assert (picture.dots, picture.regions) == ({}, {})


def test_fields_that_no_operation_has_are_left_out(start, path):
    journal = start()
    (written,) = journal.apply([dot("k1", html="<script>", __proto__={})])
    assert set(written) == {"kind", "image", "key", "id", "row", "col", "by"}
    assert json.loads(path.read_text()) == written


def test_reopening_gives_the_same_state(start):
    journal = start()
    journal.apply(EVERY_KIND)
    journal.close()
    again = start()
    assert again.pictures == journal.pictures
    assert again.keys == journal.keys


numbers = st.integers(0, 5).map("n{}".format)
places = st.tuples(st.floats(-0.5, 19.25), st.floats(-0.5, 19.25))
steps = st.one_of(
    st.builds(
        lambda kind, number, place, by: {
            "kind": kind,
            "id": number,
            "row": place[0],
            "col": place[1],
            "by": by,
        },
        st.sampled_from(["add", "move"]),
        numbers,
        places,
        st.sampled_from(["hand", "model"]),
    ),
    st.builds(
        lambda kind, number: {"kind": kind, "id": number}, st.sampled_from(["remove", "unregion"]), numbers
    ),
    st.builds(
        lambda number, use, corners: {
            "kind": "region",
            "id": number,
            "use": use,
            "corners": list(map(list, corners)),
        },
        numbers,
        st.sampled_from(["count", "ignore"]),
        st.lists(places, min_size=3, max_size=6),
    ),
    st.builds(lambda mark: {"kind": "mark", "mark": mark}, st.sampled_from(["open", "done"])),
)


@law
@given(st.lists(st.tuples(st.sampled_from(sorted(SIZES)), steps), max_size=20), st.data())
def test_any_operations_can_be_sent_twice_in_any_parts_and_read_again(tmp_path_factory, chosen, data):
    folder = tmp_path_factory.mktemp("law") / "dots"
    operations = [make(key=f"k{n}", image=image, **step) for n, (image, step) in enumerate(chosen)]
    whole = Journal(folder, SIZES)
    whole.apply(operations)
    state = whole.pictures
    whole.close()
    parts = Journal(folder.with_name("parts"), SIZES)
    cut = data.draw(st.integers(0, len(operations)))
    parts.apply(operations[:cut])
    parts.apply(operations)  # the first part arrives twice
    assert parts.pictures == state
    parts.close()
    again = Journal(folder, SIZES)
    assert again.apply(operations) == []
    assert again.pictures == state
    again.close()


def test_a_message_that_is_sent_twice_has_no_second_effect(start, path):
    journal = start()
    journal.apply([dot("k1")])
    journal.apply([make("remove", "k2", id="k1")])
    content = path.read_bytes()
    assert journal.apply([dot("k1"), dot("k1")]) == []
    assert journal.pictures["a.png"].dots == {}
    assert path.read_bytes() == content
    assert journal.apply([dot("k3"), dot("k3")]) == [dot("k3")]  # twice in one message


def test_a_message_that_is_sent_again_after_reopening_has_no_second_effect(start):
    journal = start()
    journal.apply([dot("k1"), make("remove", "k2", id="k1")])
    journal.close()
    assert start().apply([dot("k1")]) == []


# What a crash leaves.


@pytest.mark.parametrize("n_bytes", [1, 20, None], ids=["one byte", "half", "all but the end of the line"])
def test_a_last_line_that_was_cut_off_is_removed_and_everything_before_is_kept(start, path, n_bytes):
    journal = start()
    journal.apply(EVERY_KIND)
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + json.dumps(dot("k99")).encode()[:n_bytes])
    again = start()
    assert again.pictures == journal.pictures
    assert path.read_bytes() == whole
    assert again.apply([dot("k99")]) == [dot("k99")]  # the page sends again what was not acknowledged


def test_a_file_of_any_length_opens_with_its_whole_lines(tmp_path):
    content = b"".join(json.dumps(dot(f"k{n}")).encode() + b"\n" for n in range(3))
    folder = tmp_path / "dots"
    folder.mkdir()
    for length in {*range(0, len(content), 7), *range(len(content) - 3, len(content) + 1)}:
        (folder / "journal.jsonl").write_bytes(content[:length])
        journal = Journal(folder, SIZES)
        assert list(journal.pictures["a.png"].dots) == [f"k{n}" for n in range(content[:length].count(b"\n"))]
        journal.close()


@pytest.mark.parametrize(
    "damage",
    [
        b"{",
        b"",
        b"\0\0\0\0",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"1" * 5000,
        b"[" * 100_000,
        b'{"kind":"add"}',
        b'{"kind":"add","image":"a.png","key":"k","id":"k","row":NaN,"col":1,"by":"hand"}',
        b'{"kind":"explode","image":"a.png","key":"k"}',
    ],
    ids=range(11),
)
def test_a_damaged_line_is_refused_with_its_number_and_the_file_is_left_alone(start, path, damage):
    path.parent.mkdir()
    good = json.dumps(dot("k1")).encode() + b"\n"
    content = good + damage + b"\n" + good
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"journal\.jsonl is damaged in line 2: .*Restore it, or move it away"
    ):
        start()
    assert path.read_bytes() == content
    path.write_bytes(good)
    assert list(start().pictures["a.png"].dots) == ["k1"]  # the refusal has let go of the file


def test_lines_that_the_disk_does_not_take_leave_the_journal_as_it_was(start, path, monkeypatch):
    journal = start()
    journal.apply([dot("k1")])
    content, write = path.read_bytes(), os.write

    def write_a_part(file, lines):
        if file != journal._file:
            return write(file, lines)
        if len(lines) < 50:
            raise OSError(28, "No space left on device")
        return write(file, lines[:-40])

    monkeypatch.setattr(os, "write", write_a_part)
    with pytest.raises(OSError, match="No space left"):
        journal.apply([dot("k2"), dot("k3")])
    monkeypatch.undo()
    assert path.read_bytes() == content
    assert list(journal.pictures["a.png"].dots) == ["k1"]
    assert [one["key"] for one in journal.apply([dot("k2"), dot("k3")])] == ["k2", "k3"]


def test_a_write_in_parts_writes_everything(start, path, monkeypatch):
    journal, write = start(), os.write
    monkeypatch.setattr(os, "write", lambda file, lines: write(file, lines[:7]))
    journal.apply(EVERY_KIND)
    monkeypatch.undo()
    assert list(map(json.loads, path.read_text().splitlines())) == EVERY_KIND


def test_nothing_is_written_to_a_journal_that_is_closed(start, tmp_path):
    journal = start()
    journal.close()
    # The next file that is opened gets the number of the closed one.
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    try:
        with pytest.raises((ValueError, OSError)):
            journal.apply([dot("k1")])
        assert (tmp_path / "other").read_bytes() == b""
    finally:
        os.close(other)
    journal.close()  # a second time has no effect


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes of files")
def test_only_the_owner_can_read_the_journal(start, path):
    start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# Other processes.

CHILD = """
import sys
from skcount.annotate._journal import Journal

journal = Journal(sys.argv[1], {"a.png": (40, 60)})
print("open", flush=True)
n = 0
while sys.argv[2] == "append":
    key = f"{sys.argv[3]}-{n}"
    journal.apply([{"kind": "add", "image": "a.png", "key": key, "id": key, "row": 1, "col": n % 50, "by": "hand"}])
    print(key, flush=True)
    n += 1
sys.stdin.read()
"""


def start_child(folder, what, name="x", **files):
    """Start a process that opens the journal and waits, or appends."""
    return subprocess.Popen(  # noqa: S603 - this Python
        [sys.executable, "-c", CHILD, str(folder), what, name],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        **files,
    )


def end(child):
    """Kill a process, and close its pipes; return what was not read."""
    child.kill()
    rest, _ = child.communicate()
    return rest


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path):
    pytest.importorskip("fcntl", reason="Windows has no flock")
    folder = tmp_path / "dots"
    child = start_child(folder, "wait")
    try:
        assert child.stdout.readline() == "open\n"
        with pytest.raises(ValueError, match="is open in another process of `skcount annotate`"):
            Journal(folder, SIZES)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        journal = Journal(folder, SIZES)
        journal.apply([dot("k1")])
        second = start_child(folder, "wait", stderr=subprocess.PIPE)
        _, error = second.communicate()
        assert second.returncode == 1
        assert "is open in another process" in error
        journal.close()
    finally:
        end(child)


FORKING = """
import os, sys
from skcount.annotate._journal import Journal

while True:  # a process for each line: importing once is what takes time
    line = sys.stdin.readline()
    if not line:
        break
    child = os.fork()
    if child == 0:
        journal = Journal(sys.argv[1], {"a.png": (40, 60)})
        for n in range(10**9):
            key = f"{line.strip()}-{n}"
            dot = {"kind": "add", "image": "a.png", "key": key, "id": key, "row": 1, "col": n % 50, "by": "hand"}
            journal.apply([dot])
            os.write(1, f"{key}\\n".encode())
    os.write(1, f"pid {child}\\n".encode())
    os.waitpid(child, 0)
    os.write(1, b"ended\\n")
"""


def kill_many(folder, n_kills):
    """Kill processes that append at random moments; check that every key that was printed is there, once."""
    rng = random.Random(n_kills)  # noqa: S311 - no secret
    parent = subprocess.Popen(  # noqa: S603 - this Python
        [sys.executable, "-c", FORKING, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    printed = []
    try:
        for run in range(n_kills):
            parent.stdin.write(f"run{run}\n")
            parent.stdin.flush()
            line = parent.stdout.readline()
            while not line.startswith("pid "):
                printed.append(line.strip())
                line = parent.stdout.readline()
            time.sleep(rng.uniform(0.001, 0.05))
            os.kill(int(line.split()[1]), signal.SIGKILL)
            while (line := parent.stdout.readline()) != "ended\n":
                printed.append(line.strip())
    finally:
        end(parent)
    journal = Journal(folder, SIZES)
    journal.close()
    lines = [json.loads(line)["key"] for line in journal.path.read_text().splitlines()]
    assert len(lines) == len(set(lines))
    assert set(printed) <= set(lines) == set(journal.pictures["a.png"].dots)
    # A process was killed between a written line and its acknowledgement, at most.
    assert len(lines) - len(printed) <= n_kills
    assert len(printed) > n_kills


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has neither fork nor SIGKILL")


@needs_fork
def test_what_was_acknowledged_survives_30_kills(tmp_path):
    kill_many(tmp_path / "dots", 30)


@needs_fork
@pytest.mark.slow
def test_what_was_acknowledged_survives_100_kills(tmp_path):
    kill_many(tmp_path / "dots", 100)


@needs_fork
def test_the_page_sends_again_what_a_killed_process_may_not_have_written(tmp_path):
    child = start_child(tmp_path / "dots", "append", "tab")
    for _ in range(50):
        child.stdout.readline()
    end(child)
    journal = Journal(tmp_path / "dots", SIZES)
    known = set(journal.keys)
    sent = [dot(f"tab-{n}", 1, n % 50) for n in range(len(known) + 3)]
    assert [one["key"] for one in journal.apply(sent)] == [one["key"] for one in sent[len(known) :]]
    assert len(journal.pictures["a.png"].dots) == len(sent)
    journal.close()


# Hostile operations.


def nested(depth):
    """A list in a list in a list."""
    found = []
    for _ in range(depth):
        found = [found]
    return found


WRONG_KEYS = ["", "../x", "<b>", "é", "k" * 41, "a\n", None, True, [], {}, 7]
WRONG = [
    None,
    True,
    [],
    {},
    "1",
    float("nan"),
    float("inf"),
    -float("inf"),
    10**400,
    -(10**400),
    1e9,
    nested(50),
]
OUTSIDE = [-0.51, -1, 39.5, 40, 1e8]
HOSTILE = {
    "no list": {"kind": "add"},
    "a text": "add",
    "nothing": None,
    "a tuple": (dot("h"),),
    "a list in a list": [[dot("h")]],
    "deep": nested(500),
    "not an object": [None],
    "no fields": [{}],
    "an unknown kind": [dot("h") | {"kind": "explode"}],
    "a list as kind": [dot("h") | {"kind": ["add"]}],
    "an unknown picture": [dot("h", image="c.png")],
    "a picture of another folder": [dot("h", image="../a.png")],
    "a path to a picture": [dot("h", image="/etc/passwd")],
    "markup as picture": [dot("h", image="<img src=x onerror=alert(1)>")],
    "a list as picture": [dot("h", image=["a.png"])],
    "no key": [{name: value for name, value in dot("h").items() if name != "key"}],
    "an unknown author": [dot("h", by="<b>")],
    "a list as author": [dot("h", by=["hand"])],
    "an unknown mark": [make("mark", "h", mark="finished")],
    "no mark": [make("mark", "h")],
    "a mark that is an object": [make("mark", "h", mark={"mark": "done"})],
    "an unknown use": [make("region", "h", id="h", use="other", corners=TRIANGLE)],
    "two corners": [make("region", "h", id="h", use="count", corners=TRIANGLE[:2])],
    "too many corners": [make("region", "h", id="h", use="count", corners=[[1, 1]] * (MOST_CORNERS + 1))],
    "a huge list of corners": [make("region", "h", id="h", use="count", corners=[[1, 1]] * 10**6)],
    "a text as corners": [make("region", "h", id="h", use="count", corners="abc")],
    "an object as corners": [make("region", "h", id="h", use="count", corners={"0": [1, 1]})],
    "a corner with three numbers": [make("region", "h", id="h", use="count", corners=[*TRIANGLE, [1, 2, 3]])],
    "a corner outside": [make("region", "h", id="h", use="count", corners=[*TRIANGLE, [1, 60]])],
    "a corner of lists": [make("region", "h", id="h", use="count", corners=[*TRIANGLE, [[1], [2]]])],
    "deep corners": [make("region", "h", id="h", use="count", corners=nested(500))],
    "a check without numbers": [make("check", "h", predicted="2", counted=2, blind=True)],
    "a check without an end": [make("check", "h", predicted=float("inf"), counted=2, blind=True)],
    **{f"key {n}": [dot("h") | {"key": key}] for n, key in enumerate(WRONG_KEYS)},
    **{f"number {n}": [dot("h") | {"id": key}] for n, key in enumerate(WRONG_KEYS)},
    **{f"row {n}": [dot("h", row=value)] for n, value in enumerate(WRONG + OUTSIDE)},
    **{f"col {n}": [dot("h", col=value)] for n, value in enumerate([*WRONG, -0.51, 59.5])},
    **{f"move {n}": [make("move", "h", id="k1", row=value, col=1, by="hand")] for n, value in enumerate(WRONG + OUTSIDE)},
}  # fmt: skip


@pytest.mark.parametrize("operations", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_operation_is_refused_and_nothing_is_written(start, path, operations):
    journal = start()
    journal.apply(EVERY_KIND)
    content, state = path.read_bytes(), repr(journal.pictures)
    with pytest.raises(ValueError, match=r"must be|not known|not in the folder|Expected one of|must have"):
        journal.apply(operations)
    if isinstance(operations, list):
        with pytest.raises(ValueError):  # noqa: PT011 - the words are checked above
            journal.apply([dot("good"), *operations])  # a good one before it is not written either
    assert path.read_bytes() == content
    assert repr(journal.pictures) == state
    assert "good" not in journal.keys


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["a.png", "hand", "k"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["kind", "image", "key", "id", "row", "col", "by", "use", "corners", "mark", "predicted"]
)


@settings(max_examples=120, deadline=None)
@given(st.lists(st.sampled_from(EVERY_KIND), max_size=3), st.dictionaries(fields, values, max_size=3), values)
def test_random_operations_raise_value_error_or_can_be_read_again(tmp_path_factory, good, changed, junk):
    folder = tmp_path_factory.mktemp("random") / "dots"
    journal = Journal(folder, SIZES)
    for operations in ([one | changed for one in good], junk, [junk]):
        content = journal.path.read_bytes()
        try:
            journal.apply(operations)
        except ValueError:
            assert journal.path.read_bytes() == content
    journal.close()
    again = Journal(folder, SIZES)
    assert again.pictures == journal.pictures
    again.close()


def test_the_borders_of_a_picture_are_those_of_its_pixels(start):
    journal = start()
    inside = [dot("k1", -0.5, -0.5), dot("k2", math.nextafter(39.5, 0), math.nextafter(59.5, 0))]
    assert len(journal.apply(inside)) == 2


# The CSV.


def test_the_csv_holds_the_points_of_all_pictures(start):
    names = ["a.png", "with, comma.png", 'with "quotes".png', "<b>é</b>.png", "empty.png"]
    sizes = dict.fromkeys(names, (100, 200))
    journal, rng = start(sizes), np.random.default_rng(0)
    points = [rng.uniform((-0.5, -0.5), (99, 199), (k, 2)) for k in (5, 1, 3, 2, 0)]
    for name, places in zip(names, points, strict=True):
        journal.apply(
            [dot(f"k{len(journal.keys)}-{n}", *place, name) for n, place in enumerate(places.tolist())]
        )
    found = read_points(journal.fold(), names=names, missing="empty").points
    for ours, theirs in zip(points, found, strict=True):
        assert_array_equal(ours, theirs)


def test_the_csv_is_written_again_with_what_was_removed(start):
    journal = start()
    journal.apply([dot("k1", 10, 20), dot("k2", 30, 40)])
    journal.fold()
    journal.apply([make("remove", "k3", id="k1")])
    path = journal.fold()
    assert path.read_text() == "image,x,y\na.png,40.0,30.0\n"
    assert sorted(os.listdir(journal.folder)) == ["dots.csv", "journal.jsonl"]


def test_pictures_that_disappeared_keep_their_dots(start):
    journal = start()
    journal.apply([dot("k1"), dot("k2", 12, 17, "b.png"), make("mark", "k3", "b.png", mark="done")])
    journal.close()
    less = start({"a.png": SIZES["a.png"]})
    assert less.pictures["b.png"].dots == {"k2": (12.0, 17.0, "hand")}
    assert "b.png,17.0,12.0" in less.fold().read_text()
    with pytest.raises(ValueError, match="not in the folder"):
        less.apply([dot("k4", image="b.png")])
    less.close()
    again = start()
    assert again.pictures["b.png"].dots == {"k2": (12.0, 17.0, "hand")}
    assert again.pictures["b.png"].mark == "done"


def test_pictures_that_became_smaller_keep_their_dots(start):
    journal = start()
    journal.apply([dot("k1", 39, 59)])
    journal.close()
    smaller = start({"a.png": (10, 10)})
    assert smaller.pictures["a.png"].dots == {"k1": (39.0, 59.0, "hand")}
