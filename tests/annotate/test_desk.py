"""The desk knows what tabs share; nothing here needs a browser."""

import asyncio
import csv
import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from skcount import PointAnnotations
from skcount.annotate import Desk, annotate
from skcount.annotate._desk import NEW_DOTS
from skcount.annotate._work import predict, train
from skcount.datasets import make_cells
from skcount.evaluation import estimate_total
from skcount.images import ImageSet
from skcount.io import read_points

N = 12
X, POINTS = make_cells(N, image_shape=(64, 64), random_state=0, return_X_y=True)
NAMES = [f"cell{number}.png" for number in range(N)]
TRIANGLE = [[0, 0], [0, 60], [60, 0]]


@pytest.fixture
def start(tmp_path):
    """Return a function that opens the desk of a folder; all are closed at the end."""
    opened = []

    def start(n=N, names=None, **options):
        desk = Desk(ImageSet(X[:n]), NAMES[:n] if names is None else names, tmp_path / "dots", **options)
        opened.append(desk)
        return desk

    yield start
    for desk in opened:
        desk.close()


@pytest.fixture
def desk(start):
    return start()


class View:
    """A tab that notes what it is shown."""

    def __init__(self, number=None):
        self.number, self.shown, self.n_refreshed, self.overlays = number, [], 0, []

    def show(self, operations):
        self.shown += operations

    def refresh(self):
        self.n_refreshed += 1

    def overlay(self, number):
        self.overlays.append(number)


def answer(desk, **found):
    """Let the other process answer at once; return what it was asked."""
    asked = []

    async def in_process(work, *arguments):
        asked.append((work, arguments))
        if work is train:
            numbers = [number for number, *_ in arguments[1]]
            n_dots = sum(len(dots) for _, dots, *_ in arguments[1])
            about = {"diameter": 10.0, "n_dots": n_dots, "n_pictures": len(numbers), "trained_on": numbers}
            return about | {"warnings": []} | found
        _, _, numbers, *with_points = arguments
        counts = {number: float(len(POINTS[number])) + 0.25 for number in numbers}
        if not with_points:
            return counts, {}, {}
        places = {number: POINTS[number].tolist() for number in numbers}
        return counts, places, {number: np.ones((64, 64), dtype=np.float32) for number in numbers}

    desk._in_process = in_process
    return asked


def mark(desk, number, n_dots=None):
    """Set the dots of a picture by hand, and finish it."""
    for row, col in POINTS[number][:n_dots].tolist():
        key = f"{number}-{len(desk.journal.keys)}"
        desk.do(number, "add", id=key, row=row, col=col, by="hand")
    desk.finish(number)


def draw(desk, n=6):
    """Draw a sample from counts that were filled in by hand."""
    desk.counts = {number: float(len(POINTS[number])) + 0.5 for number in range(len(desk.names))}
    desk.draw(n)
    return desk.to_count()


# Dots and states.


def test_the_states_of_a_picture(desk):
    assert desk.state(0) == "not marked"
    desk.do(0, "add", id="a", row=1, col=2, by="model")
    assert desk.state(0) == "predicted"
    desk.do(0, "move", id="a", row=1, col=3, by="hand")
    assert desk.state(0) == "by hand"
    desk.do(0, "add", id="b", row=5, col=2, by="model")
    assert desk.state(0) == "corrected"
    desk.finish(0)
    assert desk.state(0) == "done"
    desk.finish(0)  # opens it again
    assert desk.state(0) == "corrected"
    assert desk.dots(0) == [["a", 1.0, 3.0, "hand"], ["b", 5.0, 2.0, "model"]]
    assert desk.state(1) == "not marked"


def test_points_of_a_file_are_added_once(start):
    desk = start()
    desk.add(POINTS)
    assert desk.points() == POINTS
    desk.add(POINTS)
    assert desk.points() == POINTS
    assert {desk.state(number) for number in range(N)} <= {"by hand", "not marked"}
    desk.do(0, "remove", id=desk.dots(0)[0][0])
    desk.close()
    again = start()
    again.add(POINTS)
    assert len(again.dots(0)) == len(POINTS[0]) - 1  # what was removed does not come back


def test_points_of_a_file_are_added_once_if_the_folder_gets_a_picture_that_comes_before(start):
    desk = start(2, ["b.png", "c.png"])
    desk.add(PointAnnotations(list(POINTS)[:2]))
    desk.close()
    again = start(3, ["a.png", "b.png", "c.png"])
    wanted = PointAnnotations([POINTS[2], POINTS[0], POINTS[1]])
    again.add(wanted)
    assert again.points() == wanted


def test_equal_points_of_a_file_are_all_added(desk):
    desk.add(PointAnnotations([[(3, 4), (3, 4), (3, 4)], *[[] for _ in range(N - 1)]]))
    assert len(desk.dots(0)) == 3


def test_points_that_do_not_fit_are_refused(desk):
    with pytest.raises(ValueError, match="on the picture"):
        desk.add(PointAnnotations([[(3, 4), (64, 4)], *[[] for _ in range(N - 1)]]))
    with pytest.raises(ValueError, match="13"):
        desk.add(PointAnnotations([[(3, 4)]] * (N + 1)))
    assert desk.points().counts.sum() == 0


def test_other_tabs_see_what_is_new(desk):
    own, other = View(), View()
    desk.views = [own, other]
    dot = {"kind": "add", "image": NAMES[0], "key": "k", "id": "k", "row": 1.0, "col": 2.0, "by": "hand"}
    for _ in range(2):  # it arrives twice
        desk.apply([dot], own)
    assert (own.shown, other.shown) == ([], [dot])


# Done.


def test_finishing_keeps_how_far_the_model_was_off_if_it_has_not_seen_the_picture(desk):
    desk.counts = {0: 7.5, 1: 3.0}
    desk.do(1, "trained")
    for number in (0, 1, 2):
        mark(desk, number)
    n_dots = len(POINTS[0])
    assert desk.picture(0).check == (7.5, n_dots, True)
    assert desk.picture(1).check is None  # it was trained on
    assert desk.picture(2).check is None  # it was not predicted
    off = 7.5 - n_dots
    assert desk.errors() == (
        f"Pictures that the model had not seen: off by {abs(off):.1f} objects on average, bias {off:+.1f}, "
        "1 pictures, 1 of them marked without seeing predicted dots."
    )
    assert read_points(desk.folder / "dots.csv", names=NAMES, missing="empty").points == desk.points()


def test_opening_a_picture_again_keeps_the_check_of_the_first_time_out_until_it_is_done(desk):
    desk.counts = {0: 4.0}
    desk.finish(0)
    desk.finish(0)
    assert desk.picture(0).mark == "open"
    desk.do(0, "add", id="a", row=1, col=2, by="hand")
    desk.finish(0)
    assert desk.picture(0).check == (4.0, 1, True)


def test_dots_of_the_model_are_seen_also_after_another_training(desk):
    answer(desk)
    desk.model = "model"
    asyncio.run(desk.place(0, View()))
    mark(desk, 1)
    asyncio.run(desk.fit())
    desk.finish(0)
    assert desk.picture(0).check[2] is False


def test_dots_of_the_model_are_seen_also_after_opening_the_folder_again(start):
    desk = start(model="model")
    answer(desk)
    asyncio.run(desk.place(0, View()))
    desk.close()
    again = start()
    again.counts = {0: 5.0}
    again.finish(0)
    assert again.picture(0).check[2] is False


def test_without_checks_there_is_no_sentence_about_errors(desk):
    assert desk.errors() == ""


# Training and predicting.


def test_training_takes_the_finished_pictures_and_the_regions(desk):
    asked, view = answer(desk), View(5)
    desk.views = [view]
    mark(desk, 0)
    mark(desk, 1)
    desk.do(2, "region", id="r", use="count", corners=TRIANGLE)
    desk.do(2, "add", id="a", row=3, col=3, by="hand")
    desk.do(3, "region", id="s", use="ignore", corners=TRIANGLE)  # says nothing of the rest
    desk.do(4, "add", id="b", row=3, col=3, by="hand")  # not done
    desk.diameter = 7.5
    asyncio.run(desk.fit())
    work, (images, marked, weights, diameter, out) = asked[0]
    assert work is train
    assert images is desk.images
    assert [(number, len(dots), regions, whole) for number, dots, regions, whole in marked] == [
        (0, len(POINTS[0]), [], True),
        (1, len(POINTS[1]), [], True),
        (2, 1, [("count", TRIANGLE)], False),
    ]
    assert (weights, diameter, out) == ("objects", 7.5, str(desk.folder / "model.skcount"))
    assert desk.model == out
    assert [desk.picture(number).trained for number in range(4)] == [True, True, True, False]
    assert all(work is predict for work, _ in asked[1:])
    assert asked[1][1][2][0] == 5  # the picture that is shown comes first
    assert sorted(number for _, arguments in asked[1:] for number in arguments[2]) == list(range(N))
    assert set(desk.counts) == set(range(N))
    assert desk.status.startswith("Trained on ")
    assert desk.status.endswith(f"{sum(desk.counts.values()):.0f} objects in {N} pictures, by the model.")
    assert view.n_refreshed > 2


def test_a_warning_of_the_training_is_told(desk):
    answer(desk, warnings=["Few dots."])
    mark(desk, 0)
    asyncio.run(desk.fit())
    assert "Few dots." in desk.status


def test_training_without_a_finished_picture_says_what_to_do(desk):
    asked = answer(desk)
    desk.do(0, "add", id="a", row=1, col=2, by="hand")
    desk.finish(1)  # no object in it
    asyncio.run(desk.fit())
    assert asked == []
    assert desk.status.startswith("Mark all objects of a picture and press D (done)")


@pytest.mark.parametrize("what", ["predict_all", "place"])
def test_predicting_without_a_model_says_what_to_do(desk, what):
    arguments = (0, View()) if what == "place" else ()
    asyncio.run(getattr(desk, what)(*arguments))
    assert desk.status == "Train a model first, or start with --model."


def test_two_tabs_get_all_counts(start):
    desk = start(model="model")
    answer(desk)
    desk.views = [View(3), View(1)]
    asyncio.run(desk.predict_all())
    assert set(desk.counts) == set(range(N))


def test_the_model_puts_dots_where_it_sees_objects(start):
    desk, view, other = start(model="model"), View(), View()
    answer(desk)
    desk.views = [view, other]
    asyncio.run(desk.place(0, view))
    assert [dot[1:] for dot in desk.dots(0)] == [[*place, "model"] for place in POINTS[0].tolist()]
    assert desk.state(0) == "predicted"
    assert desk.counts[0] == len(POINTS[0]) + 0.25
    assert view.overlays == [0]
    assert view.shown == other.shown != []
    assert desk.tiles.densities[0].shape == (64, 64)
    desk.finish(0)
    assert desk.picture(0).check == (desk.counts[0], len(POINTS[0]), False)
    assert "0 of them marked without seeing predicted dots" in desk.errors()


def test_the_model_before_a_training_answers_while_it_lasts(start):
    desk = start(model="model")
    answer(desk)
    desk.busy = "Training"
    asyncio.run(desk.place(0, View()))
    assert len(desk.dots(0)) == len(POINTS[0])
    assert desk.news().startswith("Training ...")


def test_the_model_leaves_pictures_with_dots_alone(start):
    desk = start(model="model")
    asked = answer(desk)
    desk.do(0, "add", id="a", row=1, col=2, by="hand")
    asyncio.run(desk.place(0, View()))
    assert asked == []
    assert "has dots already" in desk.status


def test_every_second_picture_of_the_sample_is_marked_without_seeing_predicted_dots(start):
    desk = start(model="model")
    asked = answer(desk)
    chosen = draw(desk)
    assert desk.blind() == chosen[::2]
    for number in desk.blind():
        asyncio.run(desk.place(number, View()))
        assert desk.dots(number) == []
        assert "without seeing predicted dots" in desk.status
    assert asked == []
    asyncio.run(desk.place(chosen[1], View()))
    assert len(desk.dots(chosen[1])) == len(POINTS[chosen[1]])


def test_a_model_in_the_folder_is_used_again(start):
    first = start(model="other")
    assert (first.start, first.model) == ("other", "other")
    (first.folder / "model.skcount").touch()
    first.close()
    again = start()
    assert (again.start, again.model) == ("objects", str(first.folder / "model.skcount"))


def test_enough_new_dots_start_a_training_if_that_is_wanted(desk):
    asked, number = answer(desk), 0
    asyncio.run(desk.train_itself())
    desk.trains_itself = True
    while sum(map(len, list(POINTS)[:number])) < NEW_DOTS:
        asyncio.run(desk.train_itself())
        assert asked == []
        mark(desk, number)
        number += 1
    asyncio.run(desk.train_itself())
    n_asked = len(asked)
    assert n_asked > 0
    asyncio.run(desk.train_itself())  # there is nothing new
    assert len(asked) == n_asked


def test_dots_of_pictures_that_disappeared_do_not_start_trainings(start):
    desk = start(2)
    for number in range(2):
        mark(desk, number)
        for n in range(NEW_DOTS):
            desk.do(number, "add", id=f"more-{n}", row=n, col=n, by="hand")
    desk.close()
    less = start(1)
    asked = answer(less)
    less.trains_itself = True
    asyncio.run(less.train_itself())
    n_asked = len(asked)
    asyncio.run(less.train_itself())  # there is nothing new
    assert len(asked) == n_asked


def test_dots_in_regions_to_ignore_do_not_start_a_training_again(desk):
    asked = answer(desk, n_dots=1)
    for n in range(NEW_DOTS + 1):
        desk.do(0, "add", id=f"dot-{n}", row=n, col=n, by="hand")
    desk.do(0, "region", id="r", use="ignore", corners=TRIANGLE)
    desk.finish(0)
    desk.trains_itself = True
    asyncio.run(desk.train_itself())
    n_asked = len(asked)
    assert n_asked > 0
    asyncio.run(desk.train_itself())  # there is nothing new
    assert len(asked) == n_asked


# One thing at a time.


def test_one_job_at_a_time(desk):
    view, began = View(), []
    desk.views = [view]

    async def both():
        gate = asyncio.Event()

        async def wait(name):
            began.append(name)
            await gate.wait()
            return f"{name} is finished."

        first = asyncio.create_task(desk._work("First", wait, "First"))
        await asyncio.sleep(0)
        assert desk.news().startswith("First ... 0 s")
        await desk._work("Second", wait, "Second")
        assert desk.status == "First. Wait until it is finished."
        gate.set()
        await first

    asyncio.run(both())
    assert began == ["First"]
    assert (desk.busy, desk.news()) == (None, "First is finished.")


@pytest.mark.parametrize(
    "error",
    [ValueError, OSError, RuntimeError, FloatingPointError, MemoryError, ImportError],
)
def test_an_error_of_a_job_becomes_a_text(desk, error):
    mark(desk, 0)

    async def fail(*_):
        raise error("few")

    desk._in_process = fail
    asyncio.run(desk.fit())
    assert desk.status == f"{error.__name__}: few"
    assert desk.busy is None
    answer(desk)
    asyncio.run(desk.fit())
    assert desk.status.startswith("Trained on")


def test_a_training_that_is_killed_does_not_end_those_that_follow(desk):
    async def both():
        await desk._work("Training", desk._in_process, os._exit, 1)
        first = desk.status
        await desk._work("Training", desk._in_process, abs, -7)
        return first, desk.status

    first, second = asyncio.run(both())
    assert "BrokenProcessPool" in first
    assert second == 7


# The total.


def test_the_sample_is_drawn_once_and_found_again(start):
    desk = start()
    desk.draw(5)
    assert desk.status == "Let the model count all pictures first."
    assert (desk.to_count(), desk.blind(), desk.total()) == ([], [], "")
    chosen = draw(desk)
    assert len(set(chosen)) == 6
    desk.draw(5)
    assert desk.status.startswith("The sample has been drawn")
    assert desk.to_count() == chosen
    desk.close()
    assert start().to_count() == chosen


def test_the_sample_leaves_out_what_the_model_was_trained_on(desk):
    for number in range(4):
        mark(desk, number)
        desk.do(number, "trained")
    assert set(draw(desk)) <= set(range(4, N))


def test_the_total_comes_with_the_last_picture_of_the_sample(start):
    desk = start()
    for number in (2, 5):
        mark(desk, number)
        desk.do(number, "trained")
    chosen = draw(desk, 5)
    for n_done, number in enumerate(chosen):
        assert desk.total().startswith(f"Counted {n_done} of 5 pictures of the sample")
        mark(desk, number)
    known = len(POINTS[2]) + len(POINTS[5])
    found = estimate_total(desk.sample[0], [len(POINTS[number]) for number in chosen])
    low, high = found.interval
    text = f"{known + found.total:.0f} objects in all 12 pictures; 95 % interval {known + low:.0f} to {known + high:.0f}."
    total = desk.total()
    assert total.startswith(text)
    desk.close()
    assert start().total() == total


def test_the_total_of_a_sample_of_all_pictures_is_their_number_of_dots(desk):
    for number in draw(desk, N):
        mark(desk, number)
    total = int(POINTS.counts.sum())
    assert desk.total().startswith(f"{total} objects in all 12 pictures")


def test_more_pictures_than_there_are_give_all(desk):
    assert sorted(draw(desk, 100)) == list(range(N))


def test_too_small_a_sample_and_no_pictures_left_are_told(desk):
    draw(desk, 1)
    assert desk.sample is None
    assert desk.status
    for number in range(N):
        desk.do(number, "trained")
        desk.do(number, "mark", mark="done")
    draw(desk)
    assert desk.sample is None
    assert desk.status


def test_a_picture_of_which_only_a_region_was_trained_on_is_not_taken_for_counted(desk):
    desk.do(0, "region", id="r", use="count", corners=[[0, 0], [0, 5], [5, 0]])
    desk.do(0, "trained")
    for number in draw(desk):
        mark(desk, number)
    if 0 not in desk.sample[1]:
        assert " objects in all" not in desk.total()
        mark(desk, 0)
    assert " objects in all" in desk.total()


def test_pictures_that_came_after_the_draw_are_not_taken_for_counted(start):
    desk = start(10)
    for number in draw(desk):
        mark(desk, number)
    assert " objects in all 10 pictures" in desk.total()
    desk.close()
    more = start(12)
    assert " objects in all" not in more.total()
    mark(more, 10)
    mark(more, 11)
    assert " objects in all 12 pictures" in more.total()


def test_a_sample_of_pictures_that_disappeared_is_refused_until_they_are_back(start):
    desk = start()
    chosen = draw(desk)
    desk.close()
    with pytest.raises(ValueError, match=r"sample\.csv names pictures that are not there \(cell11\.png\)"):
        start(11)
    assert start().to_count() == chosen  # the refusal has let go of the folder


def test_the_folder_of_another_desk_is_refused(start):
    pytest.importorskip("fcntl", reason="Windows has no flock")
    start()
    with pytest.raises(ValueError, match="is open in another process"):
        start()


def test_points_that_do_not_fit_leave_the_folder_to_the_next_call(start, tmp_path):
    with pytest.raises(ValueError, match="on the picture"):
        annotate(X[:1], [[(64, 4)]], out=tmp_path / "dots")
    assert start(1, ["image0"]).dots(0) == []


# Files.


def test_export_writes_dots_and_counts(start):
    names = ['with, comma and "quotes".png', *NAMES[1:]]
    desk = start(names=names, model="nuclei")
    mark(desk, 0)
    desk.finish(1)
    desk.do(2, "add", id="a", row=41, col=52, by="hand")
    desk.counts = {0: 7.25, 2: 3.0}
    text = desk.export()
    assert text.startswith(
        f"Dots: {desk.folder.resolve() / 'dots.csv'}, counts: {desk.folder / 'counts.csv'}, "
    )
    assert text.endswith("model: nuclei")
    overlays = sorted((desk.folder / "overlays").iterdir())
    assert [path.name[:5] for path in overlays] == ["0000_", "0002_"]
    with Image.open(overlays[0]) as overlay:
        assert overlay.size == (X.shape[2], X.shape[1])
        row, col = POINTS[0][0]
        red, _, blue = overlay.getpixel((round(col), round(row)))
        assert red > 150 > blue  # an orange dot
    with open(desk.folder / "counts.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["image", "by hand", "model"]
    assert rows[1] == [names[0], str(len(POINTS[0])), "7.25"]
    assert rows[2] == [names[1], "0", ""]  # finished, without an object
    assert rows[3][:2] == [names[2], ""]
    assert float(rows[3][2]) == 3
    found = read_points(desk.folder / "dots.csv", names=names, missing="empty").points
    for ours, theirs in zip(desk.points(), found, strict=True):
        assert_array_equal(ours, theirs)


def test_a_report_of_what_the_model_had_not_seen_is_exported(start):
    desk = start()
    desk.counts = {number: len(each) + 1.0 for number, each in enumerate(POINTS)}
    for number in range(4):
        mark(desk, number)
    assert "report" in desk.export()
    assert "predicted" in (desk.folder / "report.html").read_text(encoding="utf-8")


def test_closing_writes_the_dots_and_lets_go_of_the_folder(start):
    desk = start()
    desk.add(POINTS)
    desk.close()
    desk.close()
    assert read_points(desk.folder / "dots.csv", names=NAMES, missing="empty").points == POINTS
    assert start().points() == POINTS


def test_a_second_batch_is_drawn_once(tmp_path):
    X, points = make_cells(10, image_shape=(64, 64), n_cells=(3, 9), random_state=0, return_X_y=True)
    desk = Desk(ImageSet(X), [f"a{number}" for number in range(10)], tmp_path / "dots", n_total=5)
    desk.counts = dict(enumerate((points.counts + 1).tolist()))
    desk.draw(5)
    first = desk.to_count()
    desk.draw(3)
    assert desk.to_count() == first
    assert "Finish them" in desk.status
    for number in first:
        desk.add([each if index == number else np.empty((0, 2)) for index, each in enumerate(points)])
        desk.finish(number)
    assert "interval" in desk.total()
    desk.draw(3)
    assert desk.to_count()[:5] == first
    assert len(desk.to_count()) == 8
    desk.close()
