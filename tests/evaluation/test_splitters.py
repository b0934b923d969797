import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    LeaveOneGroupOut,
    StratifiedGroupKFold,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)

from skcount import ImageSet
from skcount.datasets import make_cells
from skcount.evaluation import CarriedGroups, SequenceKFold
from skcount.metrics import count_mae_scorer

law = settings(max_examples=60, deadline=None)
GROUPS = np.repeat(["a", "b", "c", "d", "e", "f"], 3)


@pytest.fixture(scope="module")
def data():
    X, points = make_cells(18, image_shape=(16, 16), random_state=0, return_X_y=True)
    order = np.random.default_rng(0).permutation(18)
    return ImageSet(X, groups=GROUPS)[order], points[order]


def sides(splitter, X, y):
    return [(set(X[train].groups), set(X[test].groups)) for train, test in splitter.split(X, y)]


@pytest.mark.parametrize(
    "cv",
    [None, GroupKFold(3), GroupShuffleSplit(4, random_state=0), LeaveOneGroupOut(), StratifiedGroupKFold(2)],
)
def test_no_group_is_on_both_sides(data, cv):
    X, points = data
    splitter = CarriedGroups(cv)
    y = X.groups if isinstance(cv, StratifiedGroupKFold) else points
    found = sides(splitter, X, y)
    assert all(not train & test for train, test in found)
    assert len(found) == splitter.get_n_splits(X, y)


def test_stock_splits_separate_groups_which_is_why_this_class_exists(data):
    train, test = train_test_split(data[0], random_state=0)
    assert set(train.groups) & set(test.groups)


def test_searches_and_scores_use_the_groups(data):
    X, points = data
    by_hand = cross_val_score(
        DummyRegressor(), X, points, groups=X.groups, cv=GroupKFold(3), scoring=count_mae_scorer
    )
    carried = cross_val_score(
        DummyRegressor(), X, points, cv=CarriedGroups(GroupKFold(3)), scoring=count_mae_scorer
    )
    np.testing.assert_array_equal(carried, by_hand)
    search = GridSearchCV(DummyRegressor(), {"strategy": ["mean", "median"]}, cv=CarriedGroups(GroupKFold(3)))
    assert search.fit(X, points).n_splits_ == 3
    assert cross_val_predict(DummyRegressor(), X, points, cv=CarriedGroups()).shape == (18,)


def test_groups_are_routed(data):
    X, points = data
    with config_context(enable_metadata_routing=True):
        args = {"cv": CarriedGroups(LeaveOneGroupOut()), "params": {"groups": [0, 1] * 9}}
        assert len(cross_val_score(DummyRegressor(), X, points, **args)) == 2


def test_groups_that_are_passed_come_first(data):
    X, points = data
    splits = list(CarriedGroups(LeaveOneGroupOut()).split(X, points, groups=[0, 1] * 9))
    assert len(splits) == 2


def test_images_without_groups_are_refused(data):
    with pytest.raises(ValueError, match="ImageSet with groups"):
        next(CarriedGroups().split(np.zeros((4, 8, 8))))
    with pytest.raises(ValueError, match="'cv'"):
        CarriedGroups(cv=5)


def test_it_says_what_it_is():
    assert repr(CarriedGroups(GroupKFold(3))).startswith("CarriedGroups(cv=GroupKFold(n_splits=3")


# Sequences.


def near(clips, test, gap):
    """The images that are at most `gap` images away from a test image of the same clip."""
    test = np.isin(np.arange(len(clips)), test)
    found = test.copy()
    for clip in set(clips):
        mine = np.flatnonzero(clips == clip)
        places = np.flatnonzero(test[mine])
        if len(places):
            distance = np.abs(np.arange(len(mine))[:, None] - places).min(axis=1)
            found[mine[distance <= gap]] = True
    return found


clip_lengths = st.lists(st.integers(1, 12), min_size=2, max_size=5).filter(lambda lengths: sum(lengths) >= 8)


@law
@given(st.integers(2, 40), st.data())
def test_each_image_of_a_sequence_is_tested_once_in_a_block(n_images, data):
    n_splits = data.draw(st.integers(2, n_images))
    splits = list(SequenceKFold(n_splits).split(np.zeros(n_images)))
    assert len(splits) == SequenceKFold(n_splits).get_n_splits() == n_splits
    assert_array_equal(np.concatenate([test for _, test in splits]), np.arange(n_images))
    sizes = {len(test) for _, test in splits}
    assert max(sizes) - min(sizes) <= 1
    for train, test in splits:
        assert_array_equal(
            np.sort(np.concatenate([train, test])), np.arange(n_images)
        )  # without a gap, all are used


@law
@given(clip_lengths, st.integers(2, 4), st.integers(0, 4))
def test_the_gap_leaves_out_the_neighbours_in_the_same_clip_and_no_others(lengths, n_splits, gap):
    clips = np.repeat(np.arange(len(lengths)), lengths)
    splitter = SequenceKFold(n_splits, gap)
    blocks = [test for _, test in SequenceKFold(n_splits).split(clips)]
    expected = [np.flatnonzero(~near(clips, test, gap)) for test in blocks]
    assume(all(len(train) for train in expected))
    for (train, test), block, left in zip(splitter.split(clips, groups=clips), blocks, expected, strict=True):
        assert_array_equal(test, block)
        assert_array_equal(train, left)


@law
@given(st.permutations([0, 1] * 10), st.integers(0, 3))
def test_clips_that_take_turns_have_the_gap_as_well(clips, gap):
    clips = np.array(clips)
    for train, test in SequenceKFold(4, gap).split(np.zeros(20), groups=clips):
        frames = np.arange(20)
        for image in train:
            same = test[clips[test] == clips[image]]
            assert len(same) == 0 or np.abs(frames[same] - image).min() > gap


def test_the_gap_does_not_reach_into_another_clip():
    clips = np.repeat(["a", "b", "c"], 4)
    for train, test in SequenceKFold(3, gap=3).split(np.zeros(12), groups=clips):
        assert_array_equal(train, np.setdiff1d(np.arange(12), test))
    assert next(SequenceKFold(3, gap=3).split(np.zeros(12)))[0].tolist() == [7, 8, 9, 10, 11]


def test_clips_that_images_carry_are_used_unless_others_are_passed(data):
    X, _ = data
    X = ImageSet([X[index] for index in range(12)], groups=np.repeat(["a", "b", "c"], 4))
    splitter = SequenceKFold(3, gap=2)
    assert [len(train) for train, _ in splitter.split(X)] == [8, 8, 8]
    assert [len(train) for train, _ in splitter.split(X, groups=[0] * 12)] == [6, 4, 6]


def test_scores_and_searches_take_sequences(data):
    X, points = data
    splitter = SequenceKFold(3, gap=1)
    expected = [
        -np.abs(points.counts[train].mean() - points.counts[test]).mean()
        for train, test in splitter.split(np.zeros(18))
    ]
    plain = [X[index] for index in range(18)]
    scores = cross_val_score(DummyRegressor(), plain, points, cv=splitter, scoring=count_mae_scorer)
    np.testing.assert_allclose(scores, expected)
    search = GridSearchCV(DummyRegressor(), {"strategy": ["mean", "median"]}, cv=SequenceKFold(3, gap=1))
    assert search.fit(X, points).n_splits_ == 3
    assert cross_val_predict(DummyRegressor(), X, points, cv=SequenceKFold(4, gap=2)).shape == (18,)


def test_clips_are_routed():
    X, y = np.zeros((12, 1)), np.arange(12)
    splitter = SequenceKFold(3, gap=3)
    with config_context(enable_metadata_routing=True):
        for clips in (np.zeros(12, dtype=int), np.repeat([0, 1, 2], 4)):
            scores = cross_val_score(
                DummyRegressor(), X, y, cv=splitter, params={"groups": clips}, scoring=count_mae_scorer
            )
            expected = [
                -np.abs(y[train].mean() - y[test]).mean() for train, test in splitter.split(X, groups=clips)
            ]
            np.testing.assert_allclose(scores, expected)


@pytest.mark.parametrize("params", [{"n_splits": 1}, {"n_splits": 2.5}, {"gap": -1}, {"gap": 0.5}])
def test_wrong_numbers_are_refused(params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter"):
        SequenceKFold(**params)


def test_a_sequence_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match="`n_splits` must be at most the number of images, 4; got 5"):
        next(SequenceKFold().split(np.zeros(4)))
    with pytest.raises(ValueError, match="`gap`=6 leaves nothing to train on"):
        list(SequenceKFold(2, gap=6).split(np.zeros(12)))
    with pytest.raises(ValueError, match="one label per image"):
        next(SequenceKFold(2).split(np.zeros(4), groups=[1, 2]))


def test_a_sequence_says_what_it_is():
    assert repr(SequenceKFold(3, gap=2)) == "SequenceKFold(gap=2, n_splits=3)"
