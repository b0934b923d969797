import copy
import io
import os
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyRegressor
from sklearn.metrics import PredictionErrorDisplay, mean_absolute_error, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    train_test_split,
)
from sklearn.utils import _safe_indexing, resample, shuffle

from skcount import PointAnnotations
from skcount.points import check_points, is_inside

law = settings(max_examples=50, deadline=None)
coordinates = st.floats(-1e6, 1e6)
point_arrays = arrays(np.float64, st.tuples(st.integers(0, 5), st.just(2)), elements=coordinates)
ragged = st.lists(point_arrays, max_size=7)


def same(points, expected):
    """Whether these are annotations with exactly these arrays."""
    return (
        isinstance(points, PointAnnotations)
        and len(points) == len(expected)
        and all(np.array_equal(a, b) for a, b in zip(points, expected, strict=True))
    )


@pytest.fixture
def images():
    """Twelve images, told apart by their one pixel, which is the index."""
    return np.arange(12.0).reshape(-1, 1, 1)


@pytest.fixture
def points():
    """Twelve images with 0 to 3 points, each of which holds its image's index."""
    return PointAnnotations([[(i, i + k) for k in range(i % 4)] for i in range(12)])


def together(images, points):
    """Whether each image still has its own points."""
    return isinstance(points, PointAnnotations) and all(
        len(p) == int(i) % 4 and (p[:, 0] == i).all() for i, p in zip(images.ravel(), points, strict=True)
    )


# a sequence of arrays


@law
@given(ragged)
def test_it_holds_what_it_was_given_and_says_so(arrays_):
    points = PointAnnotations(arrays_)
    assert same(points, arrays_)
    assert points.shape == (len(arrays_),)
    np.testing.assert_array_equal(points.counts, [len(a) for a in arrays_])
    np.testing.assert_array_equal(np.asarray(points), points.counts)
    assert np.asarray(points).dtype == np.float64
    assert points.lengths.sum() == len(points.coordinates)


@law
@given(ragged, st.data())
def test_indexing_agrees_with_that_of_an_array_of_objects(arrays_, data):
    points = PointAnnotations(arrays_)
    objects = np.empty(len(arrays_), dtype=object)
    objects[:] = arrays_
    n = len(arrays_)
    some = st.lists(st.integers(-n, n - 1), max_size=8) if n else st.just([])
    key = data.draw(
        st.one_of(
            st.slices(n),
            some.map(lambda i: np.array(i, dtype=np.intp)),
            st.lists(st.booleans(), min_size=n, max_size=n).map(lambda m: np.array(m, dtype=bool)),
        )
    )
    assert same(points[key], objects[key])
    assert same(points[key, ...], objects[key])


@law
@given(ragged.filter(len), st.data())
def test_an_integer_of_any_kind_gives_one_array(arrays_, data):
    index = data.draw(st.integers(-len(arrays_), len(arrays_) - 1))
    points = PointAnnotations(arrays_)
    for key in (index, np.int32(index), np.array(index), (index, ...)):
        assert isinstance(points[key], np.ndarray)
        np.testing.assert_array_equal(points[key], arrays_[index])


@pytest.mark.parametrize("key", [3, -4, [3], [True, False], (0, 1), (0, ..., 1), 1.0, "a", None, [[0, 1]]])
def test_a_key_that_is_none_of_the_images_raises_index_error(key):
    with pytest.raises(IndexError):
        PointAnnotations([[], [], []])[key]


@law
@given(ragged, ragged)
def test_adding_joins_and_equality_is_that_of_the_content(one, other):
    a, b = PointAnnotations(one), PointAnnotations(other)
    assert same(a + b, one + other)
    assert a == PointAnnotations(one)
    assert (a == b) is same(a, other)
    assert (a != b) is not same(a, other)


def test_the_same_points_split_differently_are_not_equal():
    assert PointAnnotations([[(1, 2)], []]) != PointAnnotations([[], [(1, 2)]])
    assert PointAnnotations([[(1, 2)]]) != [[(1, 2)]]


def test_it_cannot_be_hashed_because_arrays_cannot():
    with pytest.raises(TypeError, match="unhashable"):
        hash(PointAnnotations([]))


def test_nothing_in_it_can_be_written_to(points):
    source = np.ones((2, 2))
    mine = PointAnnotations([source])
    source[:] = 7
    np.testing.assert_array_equal(mine[0], 1)
    for array in (points.coordinates, points.lengths, points[3], points[2:5][1], next(iter(points))):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(TypeError):
        points[0] = np.zeros((1, 2))


def test_the_flat_arrays_given_are_copied():
    flat, lengths = np.ones((2, 2)), np.array([1, 1])
    points = PointAnnotations.from_flat(flat, lengths)
    flat[:], lengths[:] = 7, 0
    assert points == PointAnnotations([[(1, 1)], [(1, 1)]])


def test_counts_can_be_changed_without_changing_the_points(points):
    points.counts[:] = 9
    np.asarray(points)[:] = 9
    np.testing.assert_array_equal(points.counts, [0, 1, 2, 3] * 3)


def test_numpy_gets_the_counts_in_any_type_and_never_without_a_copy(points):
    assert np.asarray(points, dtype=int).tolist() == [0, 1, 2, 3] * 3
    assert np.sum(points) == 18
    with pytest.raises(ValueError, match="cannot be had without a copy"):
        points.__array__(copy=False)


@pytest.mark.parametrize(
    ("points", "text"),
    [
        ([], "PointAnnotations(0 images, 0 points)"),
        ([[]], "PointAnnotations(1 image, 0 points)"),
        ([[(1, 2)], []], "PointAnnotations(2 images, 1 point)"),
    ],
)
def test_the_repr_counts(points, text):
    assert repr(PointAnnotations(points)) == text


def test_a_notebook_shows_how_many_points_there_are_and_where():
    html = PointAnnotations([[(1, 2), (30, 4)], [], [(0.5, 7.25)]])._repr_html_()
    for name, value in {
        "images": "3",
        "points": "3",
        "points an image": "0 to 2, median 1",
        "images without points": "1",
        "rows": "0.5 to 30.0",
        "columns": "2.0 to 7.2",
    }.items():
        assert f"<tr><th>{name}</th><td>{value}</td></tr>" in html
    assert "<td>0</td>" in PointAnnotations([])._repr_html_()
    assert "rows" not in PointAnnotations([[]])._repr_html_()


# other ways to make it


@law
@given(ragged)
def test_flat_and_back_is_the_same(arrays_):
    points = PointAnnotations(arrays_)
    assert PointAnnotations.from_flat(points.coordinates, points.lengths) == points
    assert PointAnnotations(points) == points


@law
@given(ragged)
def test_from_xy_swaps_and_twice_is_the_same(arrays_):
    points = PointAnnotations.from_xy(arrays_)
    assert same(points, [a[:, ::-1] for a in arrays_])
    assert PointAnnotations.from_xy(points) == PointAnnotations(arrays_)


@law
@given(
    arrays(
        np.int8,
        st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)),
        elements=st.integers(-1, 1),
    )
)
def test_from_mask_makes_one_point_of_each_pixel_even_where_they_touch(masks):
    points = PointAnnotations.from_mask(masks)
    np.testing.assert_array_equal(points.counts, (masks != 0).sum(axis=(1, 2)))
    for mask, p in zip(masks, points, strict=True):
        back = np.zeros(mask.shape, dtype=bool)
        back[tuple(p.astype(int).T)] = True
        np.testing.assert_array_equal(back, mask != 0)


def test_from_mask_takes_masks_of_many_sizes():
    points = PointAnnotations.from_mask([np.eye(2), np.zeros((1, 4), dtype=bool)])
    np.testing.assert_array_equal(points.counts, [2, 0])


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        (np.ones((4, 5)), r"Mask 0 has shape \(5,\).*masks\[None\]"),
        ([np.ones((2, 2)), np.ones((2, 2, 3))], r"Mask 1 has shape \(2, 2, 3\).*channel that holds the dots"),
        ([np.full((2, 2), np.nan)], "Mask 0 of dtype float64 holds NaN"),
        ([np.array([["", "x"]])], "Mask 0 .* no numbers"),
    ],
)
def test_a_wrong_mask_is_refused_by_words(masks, words):
    with pytest.raises(ValueError, match=words):
        PointAnnotations.from_mask(masks)


@pytest.mark.parametrize(
    ("coordinates", "lengths", "words"),
    [
        ([(1, 2)], [2], "lengths add up to 2"),
        ([(1, 2)], [2, -1], "no negative length"),
        ([(1, 2, 3), (4, 5, 6)], [3], r"shape \(2, 3\)"),
        ([1, 2, 3, 4], [2], r"shape \(4,\)"),
        ([(1, 2), (3, 4)], [1.5, 1.5], "dtype float64; expected the number of points"),
        ([(1, 2)], 1, r"lengths has shape \(\)"),
        ([(1, 2)], [[1]], r"lengths has shape \(1, 1\)"),
        ([("a", "b")], [1], "no numbers"),
        ([(1, 2), (np.nan, 3)], [1, 1], "Point 1 .* NaN or infinity"),
    ],
)
def test_wrong_flat_arrays_are_refused_by_words(coordinates, lengths, words):
    with pytest.raises(ValueError, match=words):
        PointAnnotations.from_flat(coordinates, lengths)


# errors by words


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, None])
def test_a_point_that_is_not_finite_is_named_with_its_image(bad):
    with pytest.raises(ValueError, match=r"Point 1 of image 2 is .*NaN or infinity"):
        PointAnnotations([[], [(1, 1)], [(1, 1), (2, bad)]])


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ("points", "points is a str"),
        (b"points", "points is a bytes"),
        ({"a": [(1, 2)]}, "points is a dict"),
        ({(1, 2)}, "points is a set"),
        (5, "points is a int"),
        (None, "points is a NoneType"),
        (np.array(5.0), "points is a ndarray"),
        ([(1, 2), (3, 4)], r"image 0 have shape \(2,\).*sample axis: \[points\]"),
        (np.ones((3, 2)), r"sample axis: \[points\]"),
        ([[], np.ones((3, 3))], r"image 1 have shape \(3, 3\)"),
        ([[], np.ones((1, 1, 2))], r"image 1 have shape \(1, 1, 2\)"),
        ([[(1, 2), (3,)]], "image 0 are no numbers"),
        ([[("1", "2")]], "image 0 are no numbers"),
        ([{"x": 1}], "image 0 are no numbers"),
        ([np.ones((1, 2), dtype=complex)], "image 0 are no numbers"),
        ([np.array([("2026-01-01", "2026-01-02")], dtype="M8[D]")], "image 0 are no numbers"),
    ],
)
def test_what_is_no_points_is_refused_by_words(points, words):
    with pytest.raises(ValueError, match=words):
        PointAnnotations(points)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, ">f8", object])
def test_points_of_any_numeric_type_become_float64(dtype):
    points = PointAnnotations([np.array([(1, 0)]).astype(dtype)])
    assert points[0].dtype == np.float64
    np.testing.assert_array_equal(points[0], [[1, 0]])


@pytest.mark.parametrize("empty", [[], (), np.empty((0, 2)), np.empty(0), [[]]])
def test_an_image_without_points_may_be_written_in_many_ways(empty):
    points = PointAnnotations([empty, [(1, 2)]])
    assert points[0].shape == (0, 2)
    np.testing.assert_array_equal(points.counts, [0, 1])


@pytest.mark.parametrize("nothing", [[], (), np.empty((0, 3, 2)), PointAnnotations([])])
def test_no_images_are_fine(nothing):
    points = PointAnnotations(nothing)
    assert points.shape == (0,)
    assert points.coordinates.shape == (0, 2)
    assert points[:] == points
    assert points + points == points
    assert np.asarray(points).shape == (0,)
    assert points.inside((4, 5)) == points
    assert points.inside([]) == points


def test_check_points_counts_the_images(points):
    assert check_points(points, 12) is points
    assert check_points([[(1, 2)]]) == PointAnnotations([[(1, 2)]])
    with pytest.raises(ValueError, match=r"points are of 12 images and there are 5 images.*\[points\]"):
        check_points(points, 5)


# inside


@law
@given(ragged, st.data())
def test_inside_keeps_exactly_the_points_inside_their_own_image(arrays_, data):
    size = st.integers(1, 10**6)
    shapes = data.draw(st.lists(st.tuples(size, size), min_size=len(arrays_), max_size=len(arrays_)))
    points = PointAnnotations(arrays_)
    expected = [
        np.array([p for p in a if -0.5 <= p[0] < h - 0.5 and -0.5 <= p[1] < w - 0.5]).reshape(-1, 2)
        for a, (h, w) in zip(arrays_, shapes, strict=True)
    ]
    kept = points.inside(shapes)
    assert same(kept, expected)
    assert kept.inside(shapes) == kept
    assert is_inside(points, shapes).sum() == kept.counts.sum()


@pytest.mark.parametrize("shapes", [5, (5,), (5, 5, 3), [(5, 5)], [(5, 5)] * 3, [(5, 5, 1)] * 2])
def test_a_wrong_number_of_sizes_is_refused_by_words(shapes):
    with pytest.raises(ValueError, match=r"image shapes are an array of shape .* points of 2 images"):
        PointAnnotations([[(1, 1)], []]).inside(shapes)


# through scikit-learn


@pytest.mark.parametrize(
    "splitter",
    [
        KFold(3),
        KFold(3, shuffle=True, random_state=0),
        ShuffleSplit(3, random_state=0),
        StratifiedKFold(3),
        GroupKFold(3),
        LeaveOneOut(),
    ],
    ids=repr,
)
def test_splitters_keep_images_and_points_together(splitter, images, points):
    n_tested = 0
    groups = np.arange(12) // 4 if isinstance(splitter, GroupKFold) else None
    for train, test in splitter.split(images, points, groups):
        for part in (train, test):
            assert together(images[part], _safe_indexing(points, part))
        n_tested += len(test)
    assert n_tested >= 3


def test_stratified_folds_have_the_same_counts(images, points):
    for _, test in StratifiedKFold(3).split(images, points):
        assert sorted(points[test].counts) == [0, 1, 2, 3]


@pytest.mark.parametrize("kept", [[3, 1], np.array([0, 11]), slice(2, 5), np.arange(12) % 3 == 0])
def test_safe_indexing_keeps_the_class(kept, images, points):
    assert together(_safe_indexing(images, kept), _safe_indexing(points, kept))


def test_train_test_split_resample_and_shuffle_keep_images_and_points_together(images, points):
    train_images, test_images, train_points, test_points = train_test_split(images, points, random_state=0)
    assert together(train_images, train_points)
    assert together(test_images, test_points)
    train, test = train_test_split(points, stratify=points.counts, test_size=4, random_state=0)
    assert isinstance(train, PointAnnotations)
    assert sorted(test.counts) == [0, 1, 2, 3]
    for draw in (resample, shuffle):
        assert together(*draw(images, points, random_state=0))
    assert together(*resample(images, points, stratify=points, random_state=0))


class Recorder(DummyRegressor):
    """Fails where it is not handed whole annotations."""

    def fit(self, X, y, sample_weight=None):
        assert together(X, y)
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error", "r2", "neg_root_mean_squared_error"])
def test_stock_scorers_see_the_counts(scoring, images, points):
    scores = cross_val_score(Recorder(), images, points, scoring=scoring, cv=3, error_score="raise")
    expected = cross_val_score(DummyRegressor(), images, points.counts, scoring=scoring, cv=3)
    np.testing.assert_array_equal(scores, expected)
    assert np.isfinite(scores).all()


def test_several_scorers_and_out_of_fold_predictions_work(images, points):
    scoring = ["neg_mean_absolute_error", "neg_median_absolute_error", "explained_variance"]
    results = cross_validate(Recorder(), images, points, scoring=scoring, cv=4, error_score="raise")
    assert np.isfinite([results[f"test_{name}"] for name in scoring]).all()
    predicted = cross_val_predict(Recorder(), images, points, cv=KFold(4))
    assert mean_absolute_error(points, predicted) == mean_absolute_error(points.counts, predicted)
    assert r2_score(points, points) == 1


def test_a_grid_search_chooses_by_the_counts(images, points):
    grid = {"strategy": ["constant"], "constant": [9.0, 1.5, 30.0]}
    search = GridSearchCV(Recorder(), grid, scoring="neg_mean_absolute_error", cv=3, error_score="raise")
    search.fit(images, points)
    assert search.best_params_["constant"] == 1.5
    assert search.best_score_ == pytest.approx(-1)


def test_the_prediction_error_display_draws_the_counts(points):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    display = PredictionErrorDisplay.from_predictions(points, points.counts + 1)
    np.testing.assert_array_equal(display.y_true, points.counts)
    matplotlib.pyplot.close("all")


class Holder(BaseEstimator):
    def __init__(self, points=None):
        self.points = points


def test_it_can_be_a_parameter_that_clone_copies(points):
    cloned = clone(Holder(points))
    assert cloned.points == points
    assert repr(cloned)


# storage


@law
@given(ragged)
def test_pickle_copies_and_joblib_give_the_same_back(arrays_):
    points = PointAnnotations(arrays_)
    file = io.BytesIO()
    joblib.dump(points, file)
    copies = [copy.copy(points), copy.deepcopy(points), joblib.load(io.BytesIO(file.getvalue()))]
    copies += [
        pickle.loads(pickle.dumps(points, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ]
    for again in copies:
        assert same(again, arrays_)
        with pytest.raises(ValueError, match="read-only"):
            again.coordinates[...] = 0


@law
@given(ragged)
def test_joblib_hashes_equal_content_equally_however_it_was_made(arrays_):
    points = PointAnnotations(arrays_)
    made = [
        PointAnnotations([np.asfortranarray(a) for a in arrays_]),
        PointAnnotations.from_flat(np.asfortranarray(points.coordinates), points.lengths.astype(np.uint8)),
        PointAnnotations.from_xy([a[:, ::-1] for a in arrays_]),
        PointAnnotations([a.astype(">f8") for a in arrays_]),
        (points + points)[: len(points)],
        points[::-1][::-1],
        points.inside((2**31, 2**31)) + PointAnnotations([])
        if (points.coordinates >= -0.5).all()
        else points,
        pickle.loads(pickle.dumps(points)),
    ]
    assert {joblib.hash(p) for p in made} == {joblib.hash(points)}


def test_joblib_hashes_other_points_and_other_lengths_differently():
    made = [[[(1, 2)], []], [[], [(1, 2)]], [[(2, 1)], []], [[(1, 2)]]]
    assert len({joblib.hash(PointAnnotations(points)) for points in made}) == len(made)


def test_joblib_hashes_the_same_in_another_process():
    code = (
        "import joblib; from skcount import PointAnnotations; "
        "print(joblib.hash(PointAnnotations([[(1, 2.5)], [], [(3, 4), (5, 6)]])))"
    )
    hashes = {joblib.hash(PointAnnotations([[(1, 2.5)], [], [(3, 4), (5, 6)]]))}
    for seed in "01":
        run = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.add(run.stdout.strip())
    assert len(hashes) == 1


def test_joblib_memory_computes_equal_points_once(tmp_path, points):
    calls = []

    def count(points):
        calls.append(len(points))
        return points.counts.sum()

    cached = joblib.Memory(tmp_path, verbose=0).cache(count)
    assert cached(points) == cached(PointAnnotations(list(points))) == 18
    assert cached(points[1:]) == 18
    assert calls == [12, 11]


# --- regions of interest ------------------------------------------------------------------------------------------


def test_a_point_is_inside_a_region_when_its_pixel_is():
    roi = np.zeros((3, 4), dtype=bool)
    roi[1, 2] = True
    corners = [(0.5, 1.5), (1.49, 2.49), (0.49, 2), (1, 1.49), (1.5, 2), (1, 2.5), (-0.6, 2), (1, 99)]
    inside = PointAnnotations([corners, [(1, 2)], []]).inside((3, 4), roi)
    assert inside == PointAnnotations([corners[:2], [(1, 2)], []])


def test_each_image_may_have_its_own_region():
    masks = [np.eye(3, dtype=bool), np.ones((2, 5), dtype=bool)]
    points = PointAnnotations([[(1, 1), (1, 2)], [(1, 2), (0, 4.4)]])
    assert points.inside([(3, 3), (2, 5)], masks).counts.tolist() == [1, 2]


def test_an_image_set_tells_its_sizes_and_its_region():
    from skcount import ImageSet

    images = ImageSet(np.zeros((2, 4, 6, 3), dtype=np.uint8), roi=np.arange(24).reshape(4, 6) < 12)
    points = PointAnnotations([[(1, 5), (2, 5)], [(1.4, 0), (1.6, 0), (0, 9)]])
    assert points.inside(images).counts.tolist() == [1, 1]
    assert points[[1]].inside(images[[1]]).counts.tolist() == [1]
    assert points.inside(ImageSet(np.zeros((2, 4, 6)))).counts.tolist() == [2, 2]


def test_the_last_number_below_the_border_is_inside_the_last_pixel():
    edge = np.nextafter(0.5, 0)
    assert PointAnnotations([[(edge, edge)]]).inside((1, 1), [[True]]).counts.tolist() == [1]


def test_a_region_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"roi has shape \(2, 3\) and image 0 is of 3 x 2 pixels"):
        PointAnnotations([[(1, 1)]]).inside((3, 2), np.ones((2, 3), dtype=bool))
