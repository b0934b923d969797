import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator

from skcount import ImageSet, PointAnnotations
from skcount.evaluation._data import (
    ALIKE,
    groups_of,
    one_per_group,
    predict_counts,
    take,
    thumbnails,
    true_counts,
)

law = settings(max_examples=30, deadline=None)


class Returns(BaseEstimator):
    """Returns what it was given."""

    def __init__(self, value):
        self.value = value

    def predict(self, X):
        return self.value


def scenes(n=8, shape=(48, 64), seed=0, n_blobs=12):
    """Dark images with bright squares at places of their own."""
    rng = np.random.default_rng(seed)
    X = rng.normal(40, 3, size=(n, *shape))
    for image in X:
        for row, col in rng.integers(0, np.array(shape) - 6, size=(n_blobs, 2)):
            image[row : row + 6, col : col + 6] += 100
    return X.clip(0, 255).astype(np.uint8)


def similarity(X):
    small = thumbnails(X)
    return small @ small.T


# Small images, which tell whether two images are nearly the same.


@pytest.mark.parametrize("shape", [(48, 64), (32, 32), (7, 11), (100, 33), (1, 5)])
@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_thumbnails_of_any_size_have_length_1(shape, channels):
    X = np.random.default_rng(0).integers(0, 256, (6, *shape, *channels), dtype=np.uint8)
    small = thumbnails(X)
    assert small.shape == (6, 32 * 32)
    assert_allclose(np.linalg.norm(small, axis=1), 1)


@law
@given(st.integers(0, 2**31), st.floats(0.2, 5), st.floats(-30, 30))
def test_brightness_and_contrast_do_not_matter_for_few_images(seed, contrast, brightness):
    X = np.random.default_rng(seed).uniform(50, 150, size=(2, 20, 30))
    X[1] = contrast * X[0] + brightness
    assert similarity(X)[0, 1] == pytest.approx(1)


def test_copies_are_alike_and_others_are_not():
    X = scenes()
    rng = np.random.default_rng(1)
    noisy = (X[2] + rng.normal(0, 3, size=X[2].shape)).clip(0, 255).astype(np.uint8)
    found = similarity(np.concatenate([X, [X[0], noisy]]))
    assert found[0, 8] == pytest.approx(1)
    assert found[2, 9] > 0.9
    others = found[:8, :8][~np.eye(8, dtype=bool)]
    assert others.max() < ALIKE


def test_what_all_images_have_in_common_does_not_make_them_alike():
    background = 60 * np.linspace(0, 1, 64)
    X = scenes(12) * 0.5 + background
    found = similarity(X)
    assert found[~np.eye(12, dtype=bool)].max() < ALIKE


def test_images_that_show_nothing_are_like_no_other():
    X = np.full((8, 40, 40), 7, dtype=np.uint8)
    assert_array_equal(thumbnails(X), 0)
    X = np.tile(scenes(1), (6, 1, 1))
    assert_array_equal(thumbnails(X), 0)  # of one film, without any difference


def test_an_image_set_and_a_list_have_the_thumbnails_of_the_array():
    X = scenes(6)
    expected = thumbnails(X)
    assert_array_equal(thumbnails(ImageSet(X)), expected)
    assert_array_equal(thumbnails(list(X)), expected)
    assert_array_equal(
        thumbnails(ImageSet(X, groups=list("aabbcc"))[[3, 1, 5, 0, 2, 4]]), expected[[3, 1, 5, 0, 2, 4]]
    )


def test_images_may_have_different_sizes():
    X = scenes(6)
    enlarged = np.kron(X[0], np.ones((2, 2), dtype=np.uint8))
    assert similarity([*X, enlarged])[0, 6] > 0.95


@pytest.mark.parametrize("table", [np.zeros((5, 3)), [[1.0, 2.0], [3.0, 4.0]]])
def test_a_table_has_no_thumbnails(table):
    assert thumbnails(table) is None


def test_a_frame_has_no_thumbnails():
    pandas = pytest.importorskip("pandas")
    assert thumbnails(pandas.DataFrame({"area": [1.0, 2.0], "brightness": [3.0, 4.0]})) is None


# Counts and groups.


@pytest.mark.parametrize("kind", ["points", "lists", "counts", "maps"])
def test_all_kinds_of_truth_have_the_same_counts(kind):
    points = [[(1, 1), (2, 3)], [], [(0, 0)]]
    maps = np.zeros((3, 4, 5))
    for density, places in zip(maps, points, strict=True):
        for row, col in places:
            density[row, col] += 1
    y = {"points": PointAnnotations(points), "lists": points, "counts": [2, 0, 1], "maps": maps}[kind]
    counts = true_counts(y, np.zeros((3, 4, 5)))
    assert counts.dtype == np.float64
    assert_array_equal(counts, [2, 0, 1])


def test_only_what_is_in_the_region_is_counted():
    roi = np.zeros((4, 5), dtype=bool)
    roi[:, :2] = True
    X = ImageSet(np.zeros((2, 4, 5), dtype=np.uint8), roi=roi)
    assert_array_equal(true_counts(PointAnnotations([[(0, 0), (0, 4)], [(3, 3)]]), X), [1, 0])
    assert_array_equal(true_counts(np.ones((2, 4, 5)), X), [8, 8])


def test_there_is_one_truth_per_image():
    with pytest.raises(ValueError, match="one entry per image, 3; got 2"):
        true_counts([1, 2], np.zeros((3, 4)))


@pytest.mark.parametrize(
    "value", [[1, 2.5, 3], np.array([[1], [2.5], [3]]), np.array([1, 2.5, 3], dtype=np.float32)]
)
def test_predicted_counts_become_plain_numbers(value):
    counts = predict_counts(Returns(value), np.zeros((3, 2)))
    assert counts.dtype == np.float64
    assert_array_equal(counts, [1, 2.5, 3])


@pytest.mark.parametrize("value", [[1.0, 2.0], [1.0, 2.0, np.nan], [1.0, 2.0, np.inf]])
def test_a_regressor_that_predicts_no_counts_is_refused(value):
    with pytest.raises(ValueError, match=r"Returns\.predict must return one finite count per image, 3"):
        predict_counts(Returns(value), np.zeros((3, 2)))


def test_groups_that_are_passed_come_before_those_of_the_images():
    X = ImageSet(np.zeros((2, 4, 5), dtype=np.uint8), groups=["a", "b"])
    assert groups_of(X, None).tolist() == ["a", "b"]
    assert groups_of(X, [1, 1]).tolist() == [1, 1]
    assert groups_of(np.zeros((2, 3)), None) is None
    with pytest.raises(ValueError, match="one label per image"):
        groups_of(X, [1, 2, 3])


@law
@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12), st.integers(0, 9))
def test_one_image_of_each_group_is_drawn(groups, seed):
    chosen = one_per_group(groups, seed)
    assert sorted(np.array(groups)[chosen]) == sorted(set(groups))
    assert_array_equal(chosen, np.sort(chosen))
    assert_array_equal(chosen, one_per_group(groups, seed))


def test_each_image_of_a_group_has_its_chance():
    drawn = [one_per_group(["a"] * 4, seed)[0] for seed in range(80)]
    assert set(drawn) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "values", [list("abcd"), np.arange(4), PointAnnotations([[(k, k)] for k in range(4)])]
)
def test_entries_are_taken_in_the_order_of_the_indices(values):
    taken = take(values, np.array([3, 0]))
    assert len(taken) == 2
    assert_array_equal(np.asarray(taken[0]), np.asarray(values[3]))
    assert_array_equal(np.asarray(taken[1]), np.asarray(values[0]))
