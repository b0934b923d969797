import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skcount.evaluation import ImageSample, sample_images

law = settings(max_examples=50, deadline=None)
counts = st.one_of(st.just(0.0), st.floats(0.01, 1e4))
populations = st.lists(counts, min_size=2, max_size=60).map(np.array)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture
def predicted():
    return np.random.default_rng(0).gamma(2, 20, size=100)


def drawn_of_each(sample):
    """Number of units, and of drawn units, in each stratum."""
    n_strata = sample.strata.max() + 1
    return np.bincount(sample.strata), np.bincount(sample.strata[sample.drawn], minlength=n_strata)


@law
@given(populations, st.data(), seeds)
def test_it_draws_as_many_images_as_asked_for_each_once(population, data, seed):
    n = data.draw(st.integers(2, len(population)))
    sample = sample_images(population, n, random_state=seed)
    assert len(sample) == len(sample.indices) == len(set(sample.indices.tolist())) == n
    assert set(sample.indices.tolist()) <= set(range(len(population)))


@law
@given(populations, st.data(), seeds)
def test_every_stratum_has_two_images_and_two_drawn_ones(population, data, seed):
    n = data.draw(st.integers(2, len(population)))
    sizes, numbers = drawn_of_each(sample_images(population, n, random_state=seed))
    assert len(sizes) <= 5
    assert sizes.min() >= 2
    assert numbers.min() >= 2


@law
@given(populations, st.data(), seeds)
def test_an_extended_sample_begins_with_the_first_one(population, data, seed):
    n = data.draw(st.integers(2, len(population)))
    sample = sample_images(population, n, random_state=seed)
    n_left = len(population) - len(sample)
    assume(n_left)
    more = data.draw(st.integers(1, n_left))
    both = sample.extend(more)
    assert_array_equal(both.indices[: len(sample)], sample.indices)
    assert len(set(both.indices.tolist())) == len(both) == len(sample) + more
    assert_array_equal(both.strata, sample.strata)
    assert (sample.n_phases, both.n_phases) == (1, 2)


@law
@given(st.lists(st.sampled_from("abcdefgh"), min_size=8, max_size=40), st.data(), seeds)
def test_whole_groups_are_drawn(labels, data, seed):
    groups = np.array(labels)
    assume(len(set(labels)) >= 2)
    n = data.draw(st.integers(2, len(set(labels))))
    predicted = np.random.default_rng(seed).gamma(2, 20, size=len(groups))
    sample = sample_images(predicted, n, groups=groups, random_state=seed)
    names = groups[sample.indices]
    assert len(set(names)) == n
    assert set(sample.indices) == set(np.flatnonzero(np.isin(groups, names)))
    assert np.count_nonzero(np.diff(np.unique(names, return_inverse=True)[1])) == n - 1  # one after the other


def test_sums_of_groups_are_sums_over_their_images():
    groups = ["b", "a", "b", "c"]
    sample = sample_images([1, 2, 3, 4], 2, groups=groups)
    assert_array_equal(sample.unit_sums([1, 2, 3, 4]), [2, 4, 4])


def test_a_seed_gives_the_same_sample_and_another_seed_another(predicted):
    first = sample_images(predicted, 20, random_state=3)
    assert_array_equal(first.indices, sample_images(predicted, 20, random_state=3).indices)
    assert set(first.indices) != set(sample_images(predicted, 20, random_state=4).indices)
    again = sample_images(predicted, 20, random_state=3)
    assert_array_equal(first.extend(10).indices, again.extend(10).indices)


def test_extending_a_sample_again_gives_the_same_images(predicted):
    sample = sample_images(predicted, 20)
    assert_array_equal(sample.extend(10).indices, sample.extend(10).indices)


def test_a_stored_sample_can_be_extended_later(predicted):
    sample = sample_images(predicted, 20)
    stored = pickle.dumps(sample)
    assert_array_equal(pickle.loads(stored).extend(10).indices, sample.extend(10).indices)


def assert_same_design(one, other):
    assert repr(one) == repr(other)
    for name in ("predicted", "units", "strata", "drawn", "indices"):
        assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.n_phases, one.n_extended) == (other.n_phases, other.n_extended)


@law
@given(populations, st.booleans(), st.booleans(), st.data(), seeds)
def test_a_table_holds_the_whole_design(population, grouped, extended, data, seed):
    groups = np.random.default_rng(seed).integers(0, 9, size=len(population)) if grouped else None
    n_units = len(population) if groups is None else len(set(groups))
    assume(n_units >= 2)
    sample = sample_images(population, data.draw(st.integers(2, n_units)), groups=groups, random_state=seed)
    n_left = n_units - len(sample.drawn)
    if extended and n_left:
        sample = sample.extend(data.draw(st.integers(1, n_left)))
    assert_same_design(ImageSample.from_table(sample.to_table()), sample)


def test_a_sample_from_a_csv_file_is_extended_in_the_same_way(predicted, tmp_path):
    pandas = pytest.importorskip("pandas")
    sample = sample_images(predicted, 12, groups=np.repeat([f"plate {i}" for i in range(25)], 4))
    sample.to_table().to_csv(tmp_path / "sample.csv")
    read = ImageSample.from_table(pandas.read_csv(tmp_path / "sample.csv"), seed=sample.seed)
    assert_same_design(read, sample)
    assert_same_design(read.extend(5), sample.extend(5))


def test_the_table_says_which_images_to_count_and_when(predicted):
    sample = sample_images(predicted, 12).extend(8)
    table = sample.to_table()
    assert list(table) == ["image", "predicted", "stratum", "phase", "order"]
    assert_array_equal(np.argsort(table["order"])[-20:], sample.indices)
    assert_array_equal(table["phase"][sample.indices], [1] * 12 + [2] * 8)
    assert np.count_nonzero(table["phase"]) == np.count_nonzero(table["order"]) == 20


def test_every_image_of_a_stratum_has_the_same_chance():
    predicted = np.repeat([1.0, 25.0], [10, 10])
    strata = np.repeat([0, 1], 10)
    hits = np.zeros(20)
    for seed in range(2000):
        hits[sample_images(predicted, 6, strata=strata, random_state=seed).indices] += 1
    _, numbers = drawn_of_each(sample_images(predicted, 6, strata=strata))
    expected = 2000 * np.repeat(numbers / 10, 10)
    assert np.all(np.abs(hits - expected) < 5 * np.sqrt(expected))


def test_an_image_that_is_drawn_later_has_the_same_chance_in_its_stratum():
    predicted = np.full(20, 7.0)
    hits = np.zeros(20)
    for seed in range(2000):
        hits[sample_images(predicted, 4, strata=None, random_state=seed).extend(4).indices] += 1
    assert np.all(np.abs(hits - 800) < 5 * np.sqrt(800 * 0.6))


def test_large_images_are_drawn_more_often():
    predicted = np.repeat([1.0, 100.0], [50, 50])
    _, numbers = drawn_of_each(sample_images(predicted, 22, strata=predicted))
    assert_array_equal(numbers, [2, 20])  # in proportion to the square roots, 1 to 10


@pytest.mark.parametrize(("n", "n_strata"), [(8, 2), (12, 3), (16, 4), (20, 5), (60, 5)])
def test_a_quarter_of_the_number_are_strata(predicted, n, n_strata):
    assert sample_images(predicted, n).strata.max() + 1 == n_strata


def test_strata_are_ordered_by_predicted_count_and_have_equal_sums_of_roots(predicted):
    sample = sample_images(predicted, 20)
    ends = [(predicted[sample.strata == h].min(), predicted[sample.strata == h].max()) for h in range(5)]
    assert all(one[1] <= other[0] for one, other in pairwise(ends))
    sums = np.bincount(sample.strata, weights=np.sqrt(predicted))
    assert np.ptp(sums) <= 2 * np.sqrt(predicted.max())


def test_without_strata_or_without_objects_there_is_one_stratum(predicted):
    assert not sample_images(predicted, 20, strata=None).strata.any()
    assert not sample_images(np.zeros(30), 20).strata.any()


def test_strata_of_the_user_are_used(predicted):
    plates = np.repeat(["x", "y", "z"], [60, 39, 1])
    sample = sample_images(predicted, 12, strata=plates)
    sizes, numbers = drawn_of_each(sample)
    assert_array_equal(sizes, [60, 39, 1])
    assert numbers[2] == 1  # all that there is
    assert min(numbers[:2]) >= 2


def test_all_images_can_be_drawn(predicted):
    assert sorted(sample_images(predicted, 100).indices) == list(range(100))
    assert sorted(sample_images(predicted, 40).extend(60).indices) == list(range(100))


def test_it_says_what_it_is(predicted):
    assert repr(sample_images(predicted, 20)) == "<ImageSample: 20 of 100 images, 5 strata>"
    grouped = sample_images(predicted, 10, strata=None, groups=np.repeat(np.arange(20), 5))
    assert repr(grouped) == "<ImageSample: 50 of 100 images, 10 of 20 groups, 1 stratum>"


# What is refused.


def test_a_sample_is_extended_once(predicted):
    with pytest.raises(ValueError, match="has been extended before"):
        sample_images(predicted, 20).extend(10).extend(10)


@pytest.mark.parametrize("n", [0, -1, 2.5, "3"])
def test_a_wrong_number_of_further_images_is_refused(predicted, n):
    with pytest.raises(ValueError, match="`n` must be a positive integer"):
        sample_images(predicted, 20).extend(n)


def test_more_images_than_there_are_are_refused(predicted):
    with pytest.raises(ValueError, match="`n` must be at most the number of images, 100; got 101"):
        sample_images(predicted, 101)
    with pytest.raises(ValueError, match="`n` must be at most the number of groups, 2; got 3"):
        sample_images(predicted, 3, groups=[0, 1] * 50)
    with pytest.raises(ValueError, match="`n` must be at most 80, the number that is left; got 81"):
        sample_images(predicted, 20).extend(81)
    with pytest.raises(ValueError, match="'n' parameter"):
        sample_images(predicted, 1)


@pytest.mark.parametrize(
    ("predicted", "match"),
    [
        ([1, np.nan, 2], "must be finite"),
        ([1, np.inf, 2], "must be finite"),
        ([], "not empty"),
        ([1, 2, -3], "must not be negative; got -3"),
    ],
)
def test_wrong_predictions_are_refused(predicted, match):
    with pytest.raises(ValueError, match=f"`predicted` .*{match}"):
        sample_images(predicted, 2)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"order": None}, "order is missing"),
        ({"predicted": [1, 2, 3, -4]}, "must not be negative"),
        ({"stratum": ["a"] * 4}, "column stratum must be whole numbers"),
        ({"order": [1, 3, 0, 0]}, "column order must have 1, 2, 3"),
        ({"order": [1, 1, 0, 0]}, "column order must have 1, 2, 3"),
        ({"order": [0] * 4, "phase": [0] * 4}, "column order must have 1, 2, 3"),
        ({"phase": [1, 0, 0, 0]}, "column phase must be 1 or 2"),
        ({"phase": [1, 3, 0, 0]}, "column phase must be 1 or 2"),
        (
            {"group": [0, 0, 0, 1], "stratum": [0, 1, 0, 0]},
            "`stratum` must be the same for all images of a group",
        ),
        ({"group": [0, 1, 0, 1], "order": [1, 2, 3, 4], "phase": [1] * 4}, "one after the other"),
    ],
)
def test_a_table_that_describes_no_sample_is_refused(changes, match):
    table = {"predicted": [1.0, 2, 3, 4], "stratum": [0] * 4, "phase": [1, 1, 0, 0], "order": [1, 2, 0, 0]}
    assert_array_equal(ImageSample.from_table(table).indices, [0, 1])
    changed = {name: values for name, values in (table | changes).items() if values is not None}
    with pytest.raises(ValueError, match=match):
        ImageSample.from_table(changed)


def test_wrong_strata_are_refused(predicted):
    with pytest.raises(ValueError, match=r"`strata` must have one label per image, 100; got shape \(3,\)"):
        sample_images(predicted, 20, strata=[0, 1, 2])
    with pytest.raises(ValueError, match="`strata` must be the same for all images of a group"):
        sample_images(predicted, 4, strata=np.arange(100) % 3, groups=np.arange(100) // 10)
    with pytest.raises(ValueError, match="`n` must be at least 6, 2 for each stratum; got 5"):
        sample_images(predicted, 5, strata=np.arange(100) % 3)
    with pytest.raises(ValueError, match="'strata' parameter"):
        sample_images(predicted, 5, strata="none")
