import numpy as np
import pytest

from skcount._check import (
    check_groups,
    check_length,
    check_pair,
    check_side_map,
    check_side_maps,
    check_sizes,
    check_weights,
    is_sequence,
    side_map,
)

MASK = np.array([[True, False, True], [False, False, True]])


def test_other_lengths_are_refused_with_both_numbers():
    check_length(3, 3)
    with pytest.raises(ValueError, match=r"`roi` has 2 entries and `X` has 3 images.*X\[None\]"):
        check_length(3, 2, "roi")


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


@pytest.mark.parametrize("value", [0, -1, (1, 0), (1, 2, 3), (1,), (1.0, 2), (1, None)])
def test_what_is_no_size_is_refused_by_name(value):
    with pytest.raises(ValueError, match="`patch_size` must be a whole number"):
        check_pair(value, "patch_size")


# Sizes of images


@pytest.mark.parametrize("given", [(3, 4), [3, 4], np.array([3, 4]), [(3, 4), (3, 4)], ((3, 4), [3, 4])])
def test_one_size_is_that_of_all_images(given):
    assert check_sizes(given, 2) == [(3, 4), (3, 4)]


def test_no_images_have_no_sizes():
    assert check_sizes([], 0) == check_sizes((4, 5), 0) == []


@pytest.mark.parametrize(
    "given",
    [
        (3,),
        (3, 0),
        (3.5, 4),
        (3, 4, 5),
        [],
        [(3, 4)],
        [(3, 4)] * 3,
        [(3, 4), (3, -1)],
        [(3, 4), (3,)],
        5,
        "34",
        None,
    ],
)
def test_what_is_no_size_of_the_images_is_refused_by_name(given):
    with pytest.raises(ValueError, match="`image_shape`"):
        check_sizes(given, 2)


# Weights and groups


def test_weights_become_floats():
    pandas = pytest.importorskip("pandas")
    for weights in ([1, 2], (True, 2.0), np.array([1, 2], "u1"), pandas.Series([1, 2], index=["b", "a"])):
        checked = check_weights(weights, 2)
        assert checked.tolist() == [1, 2]
        assert checked.dtype == np.float64


@pytest.mark.parametrize(
    "weights",
    [[1], [1, 2, 3], [[1, 1]], 1.0, [1, np.nan], [1, np.inf], [1, -1], ["a", "b"], [1, 1j], [1, None]],
)
def test_what_are_no_weights_is_refused_by_name(weights):
    with pytest.raises(ValueError, match=r"`sample_weight` must be .* for each of the 2 images"):
        check_weights(weights, 2)


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


# Side maps


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


@pytest.mark.parametrize(
    ("roi", "match"),
    [
        (MASK * 255, r"`roi` must be booleans.*integers from 0 to 255.*mask > 0"),
        (MASK.astype(float), "`roi` must be booleans; got dtype float64"),
        (np.zeros((2, 3), dtype=bool), "`roi` has no pixel inside"),
        ([MASK, ~MASK & MASK], "`roi` of image 1 has no pixel inside"),
        (MASK.T, r"`roi` must have shape \(2, 3\).*got \(3, 2\)"),
        ([MASK, MASK[:1]], r"`roi` of image 1 must have shape \(2, 3\).*got \(1, 3\)"),
        ([MASK], "`roi` has 1 entries and `X` has 2 images"),
        (np.ones(2, dtype=bool), r"`roi` of image 0 must have shape .*got \(\)"),
        (np.ma.masked_array(MASK, MASK), "`roi` has 3 masked values"),
        ("mask.png", "`roi` .*got a str"),
        (True, "`roi` .*got a bool"),
    ],
)
def test_a_region_that_is_not_valid_is_refused_by_name(roi, match):
    with pytest.raises(ValueError, match=match):
        check_side_maps("roi", roi, [(2, 3), (2, 3)])


@pytest.mark.parametrize(
    "scale", [np.zeros((2, 3)), np.full((2, 3), np.nan), MASK, np.full((2, 3), np.inf), [["a", "b", "c"]] * 2]
)
def test_a_perspective_that_is_not_above_zero_is_refused_by_name(scale):
    with pytest.raises(ValueError, match="`perspective` must be"):
        check_side_maps("perspective", scale, [(2, 3)])


def test_one_region_for_images_of_many_sizes_is_refused():
    with pytest.raises(ValueError, match=r"`roi` must have shape \(4, 4\)"):
        check_side_maps("roi", MASK, [(2, 3), (4, 4)])


def test_a_mask_that_was_split_like_samples_is_told_how_to_travel():
    with pytest.raises(ValueError, match=r"split.*ImageSet\(images, roi=roi\)"):
        check_side_maps("roi", np.ones((3, 8), dtype=bool), [(6, 8)] * 3)
