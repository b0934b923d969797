from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skcount import PointAnnotations
from skcount.evaluation import Table, localization_report
from skcount.evaluation._localization import match_points

law = settings(max_examples=60, deadline=None)
coordinates = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda point: tuple(map(float, point)))
some_points = st.lists(coordinates, max_size=5).map(lambda points: np.array(points).reshape(-1, 2))
images = st.lists(st.tuples(some_points, some_points), min_size=1, max_size=3)
RADII = (1.0, 1.5, 2.0, 3.0, 20.0)


def distances(true, predicted):
    return np.linalg.norm(true[:, None] - predicted[None], axis=2)


def best_matching(true, predicted, radius):
    """The number of pairs and the sum of distances of the best of all matchings, which are tried one by one."""
    all_distances, best = distances(true, predicted), (0, 0.0)
    for n in range(1, min(len(true), len(predicted)) + 1):
        for rows in combinations(range(len(true)), n):
            for cols in permutations(range(len(predicted)), n):
                found = all_distances[rows, cols]
                if (found <= radius).all():
                    best = max(best, (n, -found.sum()))
    return best[0], -best[1]


def report_of(pairs, radii=RADII):
    true, predicted = zip(*pairs, strict=True)
    return localization_report(true, predicted, radii)


# The matching.


@law
@given(some_points, some_points, st.sampled_from([1.0, 1.5, 2.0, 3.0, 5.0]))
def test_the_matching_is_the_best_of_all(true, predicted, radius):
    *_, found = match_points(true, predicted, radius)
    n_pairs, total = best_matching(true, predicted, radius)
    assert len(found) == n_pairs
    assert found.sum() == pytest.approx(total)


@law
@given(some_points, some_points, st.sampled_from(RADII))
def test_each_point_is_matched_at_most_once_and_not_further_than_the_radius(true, predicted, radius):
    i, j, found = match_points(true, predicted, radius)
    assert len(np.unique(i)) == len(np.unique(j)) == len(i) == len(j) == len(found)
    assert_allclose(found, distances(true, predicted)[i.astype(int), j.astype(int)])
    assert (found <= radius).all()


def test_more_pairs_come_before_short_distances():
    true, predicted = np.array([(0.0, 0.0), (0.0, 4.0)]), np.array([(0.0, 4.0), (0.0, 8.0)])
    i, j, found = match_points(true, predicted, 4.0)
    assert sorted(zip(i.tolist(), j.tolist(), strict=True)) == [(0, 0), (1, 1)]
    assert_array_equal(found, [4, 4])  # the exact hit of one pair is given up for a second pair


def test_of_two_points_on_one_object_one_counts():
    report = localization_report([[(5, 5)]], [[(5, 5), (5, 6)]], radii=2)
    assert (report["n_matched"], report["precision"], report["recall"]) == (1, 0.5, 1)
    assert report["distance"] == 0


def test_a_point_at_the_radius_is_matched():
    report = localization_report([[(0, 0)]], [[(3, 4)]], radii=[4.999, 5])
    assert report["n_matched"].tolist() == [0, 1]


def test_many_points_are_matched():
    rng = np.random.default_rng(0)
    true = rng.uniform(0, 2000, size=(3000, 2))
    predicted = rng.permutation(true + rng.uniform(-1, 1, size=true.shape))
    report = localization_report([true], [predicted], radii=(2, 8))
    assert (report["n_matched"] >= 2995).all()


# The rates.


@law
@given(images)
def test_rates_follow_from_the_numbers(pairs):
    report = report_of(pairs)
    n_true, n_predicted = (sum(map(len, each)) for each in zip(*pairs, strict=True))
    matched = report["n_matched"]
    assert (report["n_true"] == n_true).all()
    assert (report["n_predicted"] == n_predicted).all()
    precision = matched / n_predicted if n_predicted else np.full(len(RADII), np.nan)
    recall = matched / n_true if n_true else np.full(len(RADII), np.nan)
    assert_allclose(report["precision"], precision)
    assert_allclose(report["recall"], recall)
    if n_true + n_predicted:
        assert_allclose(report["f1"], 2 * matched / (n_true + n_predicted))
    assert_array_equal(np.isnan(report["distance"]), matched == 0)
    assert_array_equal(np.isnan(report["f1"]), n_true + n_predicted == 0)


@law
@given(images)
def test_precision_and_recall_change_places_with_the_arguments(pairs):
    one, two = report_of(pairs), report_of([(predicted, true) for true, predicted in pairs])
    for name, other in (("precision", "recall"), ("n_true", "n_predicted"), ("n_matched", "n_matched")):
        assert_array_equal(one[name], two[other])
    assert_array_equal(one["f1"], two["f1"])
    assert_allclose(one["distance"], two["distance"])


@law
@given(images)
def test_a_larger_radius_matches_no_fewer_points(pairs):
    assert (np.diff(report_of(pairs)["n_matched"]) >= 0).all()


@law
@given(images, st.permutations(RADII))
def test_rows_have_the_order_of_the_radii(pairs, radii):
    rows = dict(zip(RADII, report_of(pairs).rows(), strict=True))
    report = report_of(pairs, radii)
    assert report["radius"].tolist() == list(radii)
    np.testing.assert_equal(list(report.rows()), [rows[radius] for radius in radii])


@law
@given(some_points)
def test_points_match_themselves(points):
    report = localization_report([points, points], [points, points[::-1]], radii=[1e-6, 3])
    assert (report["n_matched"] == 2 * len(points)).all()
    expected = 1 if len(points) else np.nan
    for name in ("precision", "recall", "f1"):
        assert_array_equal(report[name], [expected, expected])
    assert_array_equal(report["distance"], np.zeros(2) if len(points) else [np.nan, np.nan])


@law
@given(images)
def test_the_numbers_of_images_add_up(pairs):
    each = [report_of([pair])["n_matched"] for pair in pairs]
    assert_array_equal(report_of(pairs)["n_matched"], np.sum(each, axis=0))


def test_points_of_other_images_do_not_match():
    assert localization_report([[(5, 5)], []], [[], [(5, 5)]], radii=9)["n_matched"] == 0


@pytest.mark.parametrize(
    ("true", "predicted", "nan"),
    [
        ([], [], {"precision", "recall", "f1", "distance"}),
        ([], [(1, 1)], {"recall", "distance"}),
        ([(1, 1)], [], {"precision", "distance"}),
        ([(1, 1)], [(9, 9)], {"distance"}),
    ],
)
def test_rates_without_points_are_not_a_number(true, predicted, nan):
    report = localization_report([true], [predicted], radii=2)
    rates = {"precision", "recall", "f1", "distance"}
    assert {name for name in rates if np.isnan(report[name])} == nan
    assert all(report[name] == 0 for name in rates - nan)


def test_it_is_a_table_of_plain_numbers():
    true = PointAnnotations([[(1, 2), (3, 4)], []])
    report = localization_report(true, true)
    assert isinstance(report, Table)
    assert report["radius"].tolist() == [2, 4, 8]
    assert [type(value) for value in next(report.rows())] == [
        float,
        int,
        int,
        int,
        float,
        float,
        float,
        float,
    ]


# What is refused.


@pytest.mark.parametrize("radii", [[], [0.0], [2, -1], [np.nan], [np.inf], [[1, 2]]])
def test_wrong_radii_are_refused(radii):
    with pytest.raises(ValueError, match="`radii` must be positive numbers"):
        localization_report([[(1, 1)]], [[(1, 1)]], radii)


@pytest.mark.parametrize("radii", [0, -2.0, "all"])
def test_what_is_no_radius_is_refused(radii):
    with pytest.raises(ValueError, match="radii"):
        localization_report([[(1, 1)]], [[(1, 1)]], radii)


def test_as_many_images_must_be_predicted():
    with pytest.raises(ValueError, match="1"):
        localization_report([[(1, 1)], []], [[(1, 1)]])


def test_counts_have_no_places():
    with pytest.raises(ValueError, match=r"expected \(n_points, 2\)"):
        localization_report([3, 4], [3, 4])
