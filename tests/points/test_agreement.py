"""Every metric, every score and every fit agree on what `y` is, because one function tells them."""

import re
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skcount import ImageSet, PointAnnotations, UNetRegressor
from skcount.density import gaussian_density
from skcount.metrics import (
    CountScorer,
    GAMEScorer,
    count_bias,
    count_mean_absolute_error,
    count_normalized_absolute_error,
    count_root_mean_squared_error,
    grid_average_mean_absolute_error,
)
from skcount.plotting import CountErrorDisplay
from skcount.points import check_target

SIZE, SIZES = (12, 16), [(12, 16), (9, 14), (12, 16)]
POINTS = [[(1.0, 2.0), (3.0, 4.0)], [], [(5.0, 6.0)]]
COUNTS = np.array([2.0, 0.0, 1.0])
PAIRS = [[(1.0, 2.0), (3.0, 4.0)]] * 3


def objects(entries):
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    return array


def maps_of(sizes, points=POINTS):
    return [
        gaussian_density(np.reshape(p, (-1, 2)), size, 1.0) for p, size in zip(points, sizes, strict=True)
    ]


# What `y` may be -> its kind, the value, the counts that it has.
TAKEN = {
    "PointAnnotations": ("points", PointAnnotations(POINTS), COUNTS),
    "a list of lists": ("points", POINTS, COUNTS),
    "a tuple of arrays": ("points", tuple(np.reshape(p, (-1, 2)) for p in POINTS), COUNTS),
    "an array of points": ("points", np.array(PAIRS), [2, 2, 2]),
    "an array of objects": ("points", objects([np.reshape(p, (-1, 2)) for p in POINTS]), COUNTS),
    "a Series of points": ("points", pd.Series(POINTS, index=[7, 8, 9]), COUNTS),
    "no points at all": ("points", [[], [], []], [0, 0, 0]),
    "a list of counts": ("counts", COUNTS.tolist(), COUNTS),
    "an array of counts": ("counts", COUNTS.astype("u1"), COUNTS),
    "a column of counts": ("counts", COUNTS[:, None], COUNTS),
    "a list of columns": ("counts", [[2], [0], [1]], COUNTS),
    "counts as objects": ("counts", COUNTS.astype(object), COUNTS),
    "a Series of counts": ("counts", pd.Series(COUNTS, index=[7, 8, 9]), COUNTS),
    "an array of maps": ("maps", np.stack(maps_of([SIZE] * 3)), COUNTS),
    "a list of maps": ("maps", maps_of([SIZE] * 3), COUNTS),
    "maps as nested lists": ("maps", [m.tolist() for m in maps_of([SIZE] * 3)], COUNTS),
    "maps of many sizes": ("maps", maps_of(SIZES), COUNTS),
}
MAPS = TAKEN["an array of maps"][1]
# What no `y` may be.
REFUSED = {
    "None": None,
    "text": "many",
    "a number": 3,
    "a dictionary": {0: 1},
    "a data frame": pd.DataFrame(np.ones((3, 2))),
    "nothing": [],
    "no annotations": PointAnnotations([]),
    "text in a list": ["2", "0", "1"],
    "None in a list": [2.0, None, 1.0],
    "rows of two lengths": [[(1, 2)], [(3,), (4, 5)], []],
    "(k, 3) tables": [np.ones((4, 3)), np.ones((2, 3)), np.ones((1, 3))],
    "points and counts": [[(1, 2)], 3, []],
    "points and maps": [[(1, 2)], MAPS[1], []],
    "points without their sample axis": [(1, 2), (3, 4), (5, 6)],
    "two columns": np.ones((3, 2)),
    "four dimensions": MAPS[..., None],
    "masked counts": np.ma.masked_array(COUNTS, [True, False, False]),
    "masked maps": np.ma.masked_array(MAPS, MAPS > 0.1),
    "masked points": [np.ma.masked_array(np.ones((1, 2)), [[True, False]]), [], []],
    "NaN": [2.0, np.nan, 1.0],
    "infinity": [2.0, np.inf, 1.0],
    "NaN in a point": [[(1, np.nan)], [], []],
    "NaN in a map": np.where(MAPS > 0.1, np.nan, MAPS),
    "complex counts": COUNTS * 1j,
    "complex maps": MAPS * 1j,
    "complex objects": objects([1j, 0, 1]),
}


def images_of(sizes):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 1), dtype=np.uint8) for size in sizes]


def new():
    return UNetRegressor(filters=1, depth=1, max_epochs=1, random_state=0)


@pytest.fixture(scope="module")
def fitted():
    X = images_of([SIZE] * 3)
    return new().fit(X, POINTS)


def metric(function, y, X, _):
    return function(y, COUNTS)


def prediction_of(function, y, X, _):
    return function(COUNTS, y)


def game(y, X, _, level=0, swap=False):
    pair = (y, [np.zeros(image.shape[:2]) for image in X])
    return grid_average_mean_absolute_error(*pair[:: -1 if swap else 1], level)


def scorer(score, y, X, fitted, inside=False):
    X = ImageSet(X, roi=[np.ones(image.shape[:2], bool) for image in X]) if inside else X
    return score(fitted, X, y)


METRICS = [
    count_mean_absolute_error,
    count_root_mean_squared_error,
    count_bias,
    count_normalized_absolute_error,
]
# Whatever takes a `y`, as a function of y, the images and a fitted regressor.
TRUTHS = {
    "fit": lambda y, X, fitted: new().fit(X, y),
    "fit to validate": lambda y, X, fitted: new().fit(X, [[(1, 1)]] * len(X), validation_data=(X, y)),
    "partial_fit": lambda y, X, fitted: new().partial_fit(X, y),
    "score": lambda y, X, fitted: fitted.score(X, y),
    **{function.__name__: partial(metric, function) for function in METRICS[:3]},
    "GAME(0)": game,
    "count_mae_scorer": partial(scorer, CountScorer(count_mean_absolute_error)),
    "a scorer inside a region": partial(scorer, CountScorer(count_mean_absolute_error), inside=True),
    "GAMEScorer(0)": partial(scorer, GAMEScorer(0)),
    "a display": lambda y, X, fitted: CountErrorDisplay.from_predictions(y, COUNTS),
    "a display of an estimator": lambda y, X, fitted: CountErrorDisplay.from_estimator(fitted, X, y),
}
PREDICTIONS = {
    **{f"prediction of {function.__name__}": partial(prediction_of, function) for function in METRICS},
    "prediction of GAME(0)": partial(game, swap=True),
}
PLACES = {
    "GAME(2)": partial(game, level=2),
    "prediction of GAME(2)": partial(game, level=2, swap=True),
    "GAMEScorer(1)": partial(scorer, GAMEScorer(1)),
    "GAMEScorer(1) inside a region": partial(scorer, GAMEScorer(1), inside=True),
}
DOORS = TRUTHS | PREDICTIONS | PLACES


def doors_that_take(y, fitted, sizes=(SIZE,) * 3):
    """Return the names of the doors that `y` passes; the others must refuse it by name."""
    taken = []
    for door, take in DOORS.items():
        try:
            take(y, images_of(sizes), fitted)
            taken.append(door)
        except ValueError as error:
            assert re.search(r"(?i)\by(_true|_pred)?\b|point", str(error)), (door, error)  # noqa: PT017 - names the door
    plt.close("all")
    return taken


@pytest.mark.parametrize("name", TAKEN)
def test_a_target_has_the_same_counts_in_every_form(name):
    kind, y, counts = TAKEN[name]
    target = check_target(y)
    assert target.kind == kind
    np.testing.assert_allclose(target.counts, counts, atol=1e-6)
    assert count_mean_absolute_error(y, counts) == pytest.approx(0, abs=1e-6)
    assert check_target(target) is target


@pytest.mark.filterwarnings("ignore:A column-vector y:sklearn.exceptions.DataConversionWarning")
@pytest.mark.filterwarnings("ignore:None of the 3 training images")  # "no points at all"
@pytest.mark.parametrize("name", TAKEN)
def test_what_is_a_target_is_one_everywhere_and_only_game_refuses_counts(name, fitted):
    kind, y, _ = TAKEN[name]
    sizes = SIZES if name == "maps of many sizes" else [SIZE] * 3
    expected = [door for door in DOORS if kind != "counts" or door not in PLACES]
    assert doors_that_take(y, fitted, sizes) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_none_is_refused_everywhere(name, fitted):
    assert doors_that_take(REFUSED[name], fitted) == []


def test_only_a_prediction_may_be_negative(fitted):
    assert doors_that_take([2.0, -1.0, 1.0], fitted) == list(PREDICTIONS)
    assert doors_that_take(-MAPS, fitted) == [*PREDICTIONS, "prediction of GAME(2)"]


@pytest.mark.parametrize("door", ["fit", "partial_fit", "score", "fit to validate"])
@pytest.mark.parametrize("kind", [np.asarray, list])
def test_maps_two_pixels_wide_are_refused_because_they_could_be_points(kind, door, fitted):
    y = kind(np.zeros((3, 12, 2)))
    with pytest.raises(ValueError, match=r"two pixels wide.*PointAnnotations"):
        DOORS[door](y, images_of([(12, 2)] * 3), fitted)
    DOORS[door](PointAnnotations(y), images_of([(12, 2)] * 3), fitted)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_narrow_images_have_places_too(width, fitted):
    X = images_of([(12, width)] * 3)
    for level in (0, 1):
        score = GAMEScorer(level)(fitted, X, PointAnnotations([[(3, 0)], [], []]))
        assert score < 0
        if level == 0:
            assert score == pytest.approx(-np.abs(fitted.predict(X) - [1, 0, 0]).mean(), rel=1e-4)
