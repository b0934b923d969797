import numpy as np
import pytest
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
from skcount.evaluation import CarriedGroups
from skcount.metrics import count_mae_scorer

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
