import numpy as np
import pytest

from skcount import ImageSet
from skcount.datasets import make_cells

plt = pytest.importorskip("matplotlib.pyplot", reason="matplotlib draws")

from skcount.plotting import AnnotationDisplay  # noqa: E402 - it needs matplotlib

X, POINTS = make_cells(8, image_shape=(96, 80), random_state=0, return_X_y=True)
SQUARE, ON_SQUARE = make_cells(8, image_shape=(96, 96), random_state=1, return_X_y=True)
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def messages(images, points):
    return AnnotationDisplay.from_points(images, points, max_images=1).messages


def test_right_points_cause_no_message():
    assert messages(X, POINTS) == messages(SQUARE, ON_SQUARE) == []


MISTAKES = {
    "rows and columns are swapped": lambda p: p[:, ::-1],
    "rows are counted from the bottom": lambda p: np.column_stack([95 - p[:, 0], p[:, 1]]),
    "columns are counted from the right": lambda p: np.column_stack([p[:, 0], 95 - p[:, 1]]),
    r"first \d+% of the rows and \d+% of the columns": lambda p: p * 0.6,
    "come in pairs, 0.[0-9] pixels apart": lambda p: np.concatenate([p, p + RNG.normal(0, 0.3, p.shape)]),
    r"\d+ of \d+ points lie exactly on another point: 0, 1": lambda p: np.concatenate([p, p]),
    r"\d+ of \d+ points lie outside their image: 0, 1": lambda p: p * 3,
    "2 of 8 images have no point: 2, 5": None,
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_mistake_is_named(message):
    change = MISTAKES[message]
    points = [p if change is None else change(p) for p in ON_SQUARE]
    if change is None:
        points[2] = points[5] = np.empty((0, 2))
    found = messages(SQUARE, points)
    assert any(pytest.raises(ValueError, match=message).matches(ValueError(text)) for text in found), found


def test_random_points_are_not_called_swapped():
    points = [RNG.uniform(0, 95, (30, 2)) for _ in SQUARE]
    assert messages(SQUARE, points) == []


@pytest.mark.parametrize(
    "images", [np.zeros((2, 9, 9)), np.full((2, 9, 9), np.nan), np.ones((2, 3, 2, 1), np.uint8)]
)
def test_images_without_contrast_say_nothing(images):
    points = [[(0, 0), (1, 1)], [(2, 0)]]
    assert messages(images, points) == []


def test_the_table_measures_each_image():
    points = [[(0, 0), (0, 4), (0, 4), (5, 30)], [], [(5, 5)]]
    display = AnnotationDisplay.from_points(np.zeros((3, 10, 20)), points, ["a", "b", "c"])
    first, empty, single = display.table
    assert first == {
        "image": "a", "height": 10, "width": 20, "points": 4, "nearest": 2.0, "smallest": 0.0, "near_border": 3,
        "duplicates": 1, "outside": 1,
    }  # fmt: skip
    assert (empty["points"], empty["nearest"], empty["near_border"]) == (0, None, 0)
    assert (single["points"], single["smallest"]) == (1, None)


@pytest.mark.parametrize("n_channels", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, bool])
def test_images_of_every_kind_are_shown(n_channels, dtype):
    shape = (3, 20, 24, n_channels) if n_channels else (3, 20, 24)
    images = (RNG.random(shape) * 200 > 100).astype(dtype)
    display = AnnotationDisplay.from_points(images, [[(2, 3)], [], [(4, 5), (9, 9)]])
    assert [ax.get_title() for ax in display.axes_] == ["0: 1", "1: 0", "2: 2", ""]
    assert display._repr_png_().startswith(b"\x89PNG")


def test_some_images_are_shown_from_the_fewest_points_to_the_most():
    points = [RNG.uniform(0, 9, (count, 2)) for count in (5, 0, 9, 3, 7)]
    display = AnnotationDisplay.from_points(ImageSet(np.zeros((5, 10, 10))), points, max_images=3)
    assert [ax.get_title() for ax in display.axes_ if ax.get_title()] == ["0: 5", "1: 0", "2: 9"]


def test_images_and_points_must_match():
    with pytest.raises(ValueError, match="2"):
        AnnotationDisplay.from_points(np.zeros((3, 10, 10)), [[], []])
    with pytest.raises(ValueError, match="'max_images' parameter"):
        AnnotationDisplay.from_points(np.zeros((3, 10, 10)), [[], [], []], max_images=0)
