"""What the checks return; what they refuse is in the tables of tests/reliability."""

import numpy as np
import pytest

from skcount._check import (
    check_groups,
    check_pair,
    check_side_map,
    check_side_maps,
    check_sizes,
    check_weights,
    is_sequence,
    side_map,
)

MASK = np.array([[True, False, True], [False, False, True]])


def test_sequences_are_told_from_what_has_no_items():
    pandas = pytest.importorskip("pandas")
    for values in ([1], (1,), [], np.ones(2), np.empty(1, dtype=object), pandas.Series([1])):
        assert is_sequence(values)
    for values in (None, "ab", b"a", 5, {"a": 1}, {1}, np.array(1.0), pandas.DataFrame([[1]]), iter([1])):
        assert not is_sequence(values)


@pytest.mark.parametrize(
    ("value", "pair"), [(3, (3, 3)), ((2, 5), (2, 5)), ([2, np.int64(5)], (2, 5)), (np.int32(4), (4, 4))]
)
def test_a_size_is_a_number_or_a_pair(value, pair):
    assert check_pair(value, "patch_size") == pair


@pytest.mark.parametrize("given", [(3, 4), [3, 4], np.array([3, 4]), [(3, 4), (3, 4)], ((3, 4), [3, 4])])
def test_one_size_is_that_of_all_images(given):
    assert check_sizes(given, 2) == [(3, 4), (3, 4)]


def test_no_images_have_no_sizes():
    assert check_sizes([], 0) == check_sizes((4, 5), 0) == []


def test_weights_become_floats():
    pandas = pytest.importorskip("pandas")
    for weights in ([1, 2], (True, 2.0), np.array([1, 2], "u1"), pandas.Series([1, 2], index=["b", "a"])):
        checked = check_weights(weights, 2)
        assert checked.tolist() == [1, 2]
        assert checked.dtype == np.float64


def test_groups_are_copied_and_cannot_be_changed():
    given = np.array([1, 2])
    groups = check_groups(given, 2)
    given[0] = 5
    assert groups.tolist() == [1, 2]
    assert not groups.flags.writeable


@pytest.mark.parametrize(
    ("groups", "kind"),
    [([2, 1], "i"), (np.array(["b", "a"], dtype=object), "U"), (np.array([1, 2], ">u2"), "u")],
)
def test_groups_are_whole_numbers_or_strings(groups, kind):
    checked = check_groups(groups, 2)
    assert checked.tolist() == list(groups)
    assert checked.dtype.kind == kind
    assert checked.dtype.isnative


@pytest.mark.parametrize(
    "roi",
    [MASK, MASK.astype(np.uint8), MASK.tolist(), MASK[None].repeat(2, axis=0), [MASK, MASK.astype(int)]],
)
def test_a_region_is_one_for_all_or_one_for_each(roi):
    maps = check_side_maps("roi", roi, [(2, 3), (2, 3)])
    for index in range(2):
        np.testing.assert_array_equal(side_map(maps, index), MASK, strict=True)


def test_no_map_is_none():
    assert check_side_maps("perspective", None, [(2, 3)]) is None
    assert side_map(None, 4) is None


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ">f4", np.float64])
def test_a_perspective_keeps_its_precision(dtype):
    checked = check_side_map("perspective", np.ones((2, 3), dtype), None, (2, 3))
    assert checked.dtype == np.dtype(dtype).newbyteorder("=")
    assert check_side_map("perspective", np.ones((2, 3), int), None, (2, 3)).dtype == np.float64
