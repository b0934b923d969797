import copy
import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit, train_test_split
from sklearn.utils import _safe_indexing, indexable, resample

from skcount.images import check_images
from skcount.images._image_set import ImageSet
from skcount.io._hdf5 import load_hdf5, save_hdf5
from skcount.points import PointAnnotations

N_IMAGES = 7
PIXELS = np.random.default_rng(0).integers(0, 256, (N_IMAGES, 5, 6, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "cells.h5"
    save_hdf5(path, PIXELS, [np.full((i, 2), i) for i in range(N_IMAGES)])
    return path


@pytest.fixture(params=["array", "list", "file"])
def images(request, path):
    """The same images in each kind of storage."""
    if request.param == "file":
        with load_hdf5(path).images as images:
            yield images
    else:
        yield ImageSet(PIXELS if request.param == "array" else list(PIXELS))


def mixed_images():
    rng = np.random.default_rng(1)
    return [rng.random(shape) for shape in [(4, 5), (3, 3), (4, 5), (6, 2)]]


def keys():
    """Whatever selects some of N_IMAGES images."""
    position = st.integers(-N_IMAGES, N_IMAGES - 1)
    return st.one_of(
        st.slices(N_IMAGES),
        st.lists(position, max_size=12),
        st.lists(position, max_size=12).map(lambda key: np.array(key, dtype=np.int32)),
        st.lists(st.booleans(), min_size=N_IMAGES, max_size=N_IMAGES),
        st.lists(st.booleans(), min_size=N_IMAGES, max_size=N_IMAGES).map(np.array),
    )


# --- Indexing is numpy's ------------------------------------------------------------------------


@given(first=keys(), ellipsis=st.booleans())
def test_selecting_images_is_selecting_rows(first, ellipsis):
    selected = ImageSet(PIXELS)[(first, ...) if ellipsis else first]
    expected = PIXELS[first]
    assert isinstance(selected, ImageSet)
    assert selected.shape == expected.shape
    assert_array_equal(np.asarray(selected), expected)


@given(first=keys(), data=st.data())
def test_selecting_twice_is_selecting_once(first, data):
    once = ImageSet(PIXELS)[first]
    start = data.draw(st.integers(0, len(once)))
    assert_array_equal(np.asarray(once[start:][::-1]), np.asarray(once)[start:][::-1])


def test_every_storage_holds_the_same(images):
    assert len(images) == N_IMAGES
    assert images.shape == PIXELS.shape
    assert (images.ndim, images.dtype, images.n_channels) == (4, np.uint8, 3)
    assert_array_equal(np.asarray(images), PIXELS)
    for image, expected in zip(images, PIXELS, strict=True):
        assert_array_equal(image, expected)
    for index in (0, -1, np.int64(3), np.array(2)):
        assert_array_equal(images[index], PIXELS[index])
        assert isinstance(images[index, ...], np.ndarray)


def test_a_selection_reads_nothing(images, monkeypatch):
    monkeypatch.setattr(type(images.source), "read", lambda *_: pytest.fail("a pixel was read"))
    selection = images[::2][[0, 1]]
    assert selection.shape == (2, 5, 6, 3)
    repr(selection), selection.dtype, pickle.dumps(selection), joblib.hash(selection)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (N_IMAGES, "out of bounds"),
        ([0, -N_IMAGES - 1], "out of bounds"),
        ([True, False], "boolean"),
        ((0, 1), "Crop the images themselves"),
        ((slice(None), slice(2), ...), "3 indices came"),
        (True, "expected an integer, a slice"),
        (1.0, "dtype float64"),
        ("first", "expected an integer"),
        (None, "expected an integer"),
        ([[0, 1]], "2 dimensions"),
    ],
)
def test_other_keys_are_refused(images, key, message):
    with pytest.raises(IndexError, match=message):
        images[key]


def test_an_empty_selection_keeps_shape_and_type(images):
    for empty in (images[[]], images[:0], images[np.zeros(N_IMAGES, dtype=bool)]):
        for same in (empty, pickle.loads(pickle.dumps(empty))):
            assert (same.shape, same.dtype, same.n_channels) == ((0, 5, 6, 3), np.uint8, 3)
            assert np.asarray(same).shape == (0, 5, 6, 3)


def test_images_of_many_sizes():
    pixels = mixed_images()
    images = ImageSet(pixels)
    assert images.shape == (4,)
    assert images[[0, 2]].shape == (2, 4, 5)
    assert images.shapes.tolist() == [[4, 5], [3, 3], [4, 5], [6, 2]]
    assert images.n_channels == 1
    assert "4 images of 3 sizes, float64" in repr(images)
    assert_array_equal(images[3], pixels[3])
    with pytest.raises(ValueError, match="3 sizes and fit in no single array"):
        np.asarray(images)


def test_asarray_is_a_new_array_of_the_type_asked_for(images):
    assert np.asarray(images, dtype=np.float32).dtype == np.float32
    array = np.asarray(images)
    array[:] = 0
    assert_array_equal(np.asarray(images), PIXELS)
    with pytest.raises(ValueError, match="copy=None"):
        images.__array__(copy=False)


# --- What goes in -------------------------------------------------------------------------------


def test_in_memory_no_pixel_is_copied_and_none_can_be_changed():
    pixels = PIXELS.copy()
    images = ImageSet(pixels)[::-1]
    assert np.shares_memory(images[0], pixels)
    with pytest.raises(ValueError, match="read-only"):
        images[0][0, 0] = 0
    assert pixels.flags.writeable


def test_an_image_set_of_an_image_set_is_the_same(images):
    again = ImageSet(images[2:])
    assert again.source is images.source
    assert_array_equal(np.asarray(again), PIXELS[2:])


def test_an_object_array_is_a_sequence():
    pixels = np.empty(4, dtype=object)
    pixels[:] = mixed_images()
    assert ImageSet(pixels).shape == (4,)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], "no images"),
        (np.zeros((8, 10)), r"X\[None\]"),
        (np.zeros((8, 10, 3)), r"X\[None\]"),
        (np.zeros((2, 8, 10), dtype=complex), "complex128"),
        ("cells.h5", "load_hdf5"),
        (3, "images is a int"),
        ([np.zeros((8, 10)), np.zeros(8)], r"Image 1 has shape \(8,\)"),
        ([np.zeros((0, 10))], "Image 0 has shape"),
        ([np.array([["a"]])], "Image 0 has dtype"),
        ([np.zeros((8, 10)), np.zeros((8, 10), dtype=np.uint8)], "Image 1 has dtype uint8"),
        ([np.zeros((8, 10, 3)), np.zeros((8, 10, 1))], "1 channels, and image 0 has dtype float64 and 3"),
        ([np.zeros((8, 10)), np.zeros((8, 10, 1))], "image 0 has dtype float64 and no channel axis"),
    ],
)
def test_what_is_no_set_of_images_is_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        ImageSet(bad)


# --- What goes along with the images -------------------------------------------------------------

GROUPS = ["a", "a", "b", "b", "c", "c", "c"]
MASK = np.arange(30).reshape(5, 6) > 4
MASKS = np.array([np.arange(30).reshape(5, 6) > number for number in range(N_IMAGES)])
SCALES = np.array([np.full((5, 6), 0.5 + number) for number in range(N_IMAGES)])


@pytest.fixture(params=["array", "list", "set", "file"])
def carrying(request, tmp_path):
    """A set whose maps are one an image, in each kind of storage."""
    maps = {"roi": MASKS, "perspective": SCALES, "groups": GROUPS}
    if request.param == "list":
        maps |= {"roi": list(MASKS), "perspective": tuple(SCALES)}
    if request.param == "set":
        maps |= {"roi": ImageSet(MASKS), "perspective": ImageSet(list(SCALES))}
    if request.param == "file":
        save_hdf5(tmp_path / "a.h5", PIXELS, [[]] * N_IMAGES, **maps)
        with load_hdf5(tmp_path / "a.h5").images as images:
            yield images
    else:
        yield ImageSet(PIXELS, **maps)


@given(first=keys(), second=st.integers(0, 3), ellipsis=st.booleans())
def test_what_is_carried_is_selected_along(first, second, ellipsis):
    images = ImageSet(PIXELS, roi=MASKS, perspective=SCALES, groups=GROUPS)
    selected = images[(first, ...) if ellipsis else first][second:][::-1]
    numbers = np.arange(N_IMAGES)[first][second:][::-1]
    assert_array_equal(np.asarray(selected.roi), MASKS[numbers])
    assert_array_equal(np.asarray(selected.perspective), SCALES[numbers])
    assert_array_equal(selected.groups, np.array(GROUPS)[numbers])


def rows_of(html):
    return dict(re.findall("<tr><th>(.*?)</th><td>(.*?)</td></tr>", html))


def test_a_notebook_shows_what_a_set_holds():
    images = ImageSet(np.zeros((3, 50, 40), np.uint16), roi=np.ones((50, 40), bool), groups=["a", "a", "b"])
    assert rows_of(images._repr_html_()) == {
        "images": "3",
        "size": "50 x 40",
        "type": "uint16",
        "pixels": "0.0 MB",
        "from": "in memory",
        "roi": "one for all images",
        "groups": "2 of them",
    }
    sizes = [(5, 6), (2000, 500), (4, 4)]
    mixed = ImageSet([np.zeros(size) for size in sizes], perspective=[np.ones(size) for size in sizes])
    rows = rows_of(mixed._repr_html_())
    assert rows["size"] == "3, from 4 x 4 to 2000 x 500"
    assert rows["pixels"] == "8.0 MB"
    assert rows["perspective"] == "one for each image"
    assert "size" not in rows_of(images[:0]._repr_html_())


def test_a_notebook_takes_no_file_name_for_html(tmp_path):
    path = tmp_path / "<b>&.h5"
    save_hdf5(path, PIXELS, [[]] * N_IMAGES)
    html = load_hdf5(path).images._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;&amp;.h5" in html


def test_every_storage_carries_the_same(carrying):
    assert repr(carrying).endswith(", with roi, perspective, groups)")
    assert isinstance(carrying[2], np.ndarray)
    assert carrying.roi.shape == carrying.perspective.shape == (N_IMAGES, 5, 6)
    assert (carrying.roi.dtype, carrying.perspective.dtype) == (bool, np.float64)
    chosen = carrying[[6, 1]]
    for maps, expected in ((chosen.roi, MASKS), (chosen.perspective, SCALES)):
        assert_array_equal(maps[0], expected[6], strict=True)
        assert_array_equal(maps[1], expected[1], strict=True)
    assert chosen.groups.tolist() == ["c", "a"]


def test_a_map_of_all_images_is_kept_once():
    images = ImageSet(PIXELS, roi=MASK, perspective=SCALES[0].astype(np.float32))
    assert_array_equal(images.roi, MASK, strict=True)
    assert images.perspective.dtype == np.float32
    assert images[2:][[0]].roi is images.roi
    assert images.groups is None
    for carried in (images.roi, images.perspective, ImageSet(PIXELS, groups=GROUPS)[1:].groups):
        for array in (carried, pickle.loads(pickle.dumps(images)).roi):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = array[0]


def test_a_map_is_the_callers_no_more():
    mask = MASK.copy()
    images = ImageSet(PIXELS, roi=mask)
    mask[:] = False
    assert_array_equal(images.roi, MASK)


def test_an_image_set_of_an_image_set_carries_the_same_but_what_is_given(carrying):
    assert ImageSet(carrying).roi is carrying.roi
    other = ImageSet(carrying, roi=MASK, groups=range(N_IMAGES))
    assert_array_equal(other.roi, MASK)
    assert other.groups.tolist() == list(range(N_IMAGES))
    assert_array_equal(other.perspective[3], SCALES[3])
    assert_array_equal(carrying.roi[3], MASKS[3])
    again = ImageSet(PIXELS[:3], roi=carrying[2:5].roi)
    assert_array_equal(np.asarray(again.roi), MASKS[2:5])


def test_images_of_many_sizes_carry_a_map_each():
    pixels = mixed_images()
    images = ImageSet(
        pixels, roi=[image > image.min() for image in pixels], perspective=[p + 1 for p in pixels]
    )
    assert_array_equal(images[[3]].roi[0], pixels[3] > pixels[3].min())
    assert_array_equal(images.perspective[1], pixels[1] + 1)


def test_zeros_and_ones_are_a_mask_and_whole_numbers_are_scales():
    images = ImageSet(PIXELS, roi=MASKS.astype(np.uint8), perspective=np.full((5, 6), 2))
    assert_array_equal(images.roi[2], MASKS[2], strict=True)
    assert_array_equal(images.perspective, np.full((5, 6), 2.0), strict=True)
    mixed = ImageSet(PIXELS[:2], roi=[MASK, MASK.astype(int)], perspective=[SCALES[1], np.ones((5, 6), "f4")])
    assert_array_equal(mixed.roi[1], MASK, strict=True)
    assert mixed.perspective[1].dtype == np.float64


def test_a_mask_in_a_file_is_checked_when_it_is_read(tmp_path):
    masks = MASKS.astype(np.uint8)
    masks[4], masks[5] = 0, 255
    save_hdf5(tmp_path / "masks.h5", masks, [[]] * N_IMAGES)
    with load_hdf5(tmp_path / "masks.h5").images as lazy:
        images = ImageSet(PIXELS, roi=lazy)
        assert_array_equal(images[1:].roi[1], MASKS[2], strict=True)
        assert_array_equal(pickle.loads(pickle.dumps(images[[3]])).roi[0], MASKS[3], strict=True)
        with pytest.raises(ValueError, match="roi of image 4 has no pixel inside"):
            images.roi[4]
        with pytest.raises(ValueError, match=r"roi of image 5 holds integers from 255 to 255; .*mask > 0"):
            images.roi[5]
        with pytest.raises(ValueError, match=r"The roi of image 0 has shape \(5, 6\); expected \(4, 6\)"):
            ImageSet(PIXELS[:, :4], roi=lazy)
        with pytest.raises(ValueError, match="7 maps and there are 6 images"):
            ImageSet(PIXELS[:6], roi=lazy)
        images.close()


@pytest.mark.parametrize(
    ("carried", "message"),
    [
        (
            {"roi": MASK.T},
            r"The roi has shape \(6, 5\); expected \(5, 6\), the \(height, width\) of the image",
        ),
        ({"roi": MASKS[:, :4]}, r"The roi of image 0 has shape \(4, 6\); expected \(5, 6\)"),
        ({"roi": [*MASKS[:6], MASK.T]}, r"The roi of image 6 has shape \(6, 5\)"),
        ({"roi": MASKS[:6]}, "6 maps and there are 7 images"),
        ({"roi": MASK.tolist()}, r"5 maps and there are 7 images; .*one array \(height, width\) for all"),
        ({"roi": MASK.astype(float)}, r"The roi has dtype float64; expected booleans, .*mask > 0"),
        ({"roi": MASK * np.uint8(255)}, r"The roi holds integers from 0 to 255; .*mask > 0"),
        ({"roi": np.zeros((5, 6), bool)}, "The roi has no pixel inside"),
        ({"roi": [*MASKS[:3], np.zeros((5, 6), bool), *MASKS[4:]]}, "The roi of image 3 has no pixel inside"),
        ({"roi": PIXELS}, r"The roi of image 0 has shape \(5, 6, 3\)"),
        ({"roi": "mask.png"}, "The roi is a str"),
        ({"roi": 1}, "The roi is a int"),
        (
            {"perspective": np.zeros((5, 6))},
            "The perspective is 0.0 at row 0, column 0; expected finite scales",
        ),
        ({"perspective": np.where(MASK, 1, np.nan)}, "The perspective is nan at row 0, column 0"),
        ({"perspective": [*SCALES[:6], -SCALES[6]]}, "The perspective of image 6 is -6.5"),
        ({"perspective": MASK}, "The perspective has dtype bool; expected real floats"),
        ({"groups": GROUPS[:6]}, r"groups has shape \(6,\) and there are 7 images"),
        ({"groups": "abcdefg"}, r"groups has shape \(\)"),
        ({"groups": np.arange(7.0)}, "groups has dtype float64; expected integers or strings"),
        ({"groups": ["a", None, *GROUPS[2:]]}, "groups has dtype object"),
    ],
)
def test_what_does_not_fit_the_images_is_refused(carried, message):
    with pytest.raises(ValueError, match=message):
        ImageSet(PIXELS, **carried)


def test_one_map_for_images_of_many_sizes_is_refused():
    with pytest.raises(ValueError, match="for images of 3 sizes; expected one map for each image"):
        ImageSet(mixed_images(), roi=np.ones((4, 5), dtype=bool))


def test_no_images_carry_nothing():
    with pytest.raises(ValueError, match="no images that could have a roi"):
        ImageSet(ImageSet(PIXELS)[:0], roi=MASK)


def test_groups_may_be_a_column_of_a_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"clip": GROUPS, "number": range(N_IMAGES)})
    assert ImageSet(PIXELS, groups=frame["clip"]).groups.tolist() == GROUPS
    assert ImageSet(PIXELS, groups=frame["number"]).groups.tolist() == list(range(N_IMAGES))


def test_groups_keep_clips_on_one_side_of_a_split(carrying):
    for train, test in GroupKFold(3).split(carrying, groups=carrying.groups):
        assert not set(carrying[train].groups) & set(carrying[test].groups)


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_and_pickles_carry_the_same(carrying, twin):
    for selection in (carrying, carrying[[5, 1, 1]], carrying[::-2], carrying[:0]):
        same = twin(selection)
        assert_array_equal(np.asarray(same.roi), np.asarray(selection.roi))
        assert_array_equal(np.asarray(same.perspective), np.asarray(selection.perspective))
        assert_array_equal(same.groups, selection.groups)
        assert joblib.hash(same) == joblib.hash(selection)
        same.close()


def test_the_hash_sees_what_is_carried(carrying):
    assert joblib.hash(carrying[1:3]) == joblib.hash(carrying[[1, 2]])
    assert joblib.hash(carrying[::3]) == joblib.hash(carrying[[0, 3, 6]])
    changed = MASKS.copy()
    changed[-1, 0, 0] ^= True
    changes = [{"roi": changed}, {"roi": MASK}, {"perspective": SCALES + 1}, {"groups": GROUPS[::-1]}]
    found = {joblib.hash(carrying), *(joblib.hash(ImageSet(carrying, **change)) for change in changes)}
    assert len(found) == 5


def test_a_pickle_in_memory_is_as_small_as_the_selection_of_its_maps():
    images = ImageSet(np.zeros((100, 8, 8), np.uint8), roi=np.ones((100, 8, 8), bool), groups=["clip"] * 100)
    assert len(pickle.dumps(images[:2])) < 2 * 2 * 8 * 8 + 2000


# --- scikit-learn, pickle, joblib ---------------------------------------------------------------


def test_scikit_learn_indexes_and_splits_it(images):
    order = [4, 0, 4]
    assert_array_equal(np.asarray(_safe_indexing(images, order)), PIXELS[order])
    assert indexable(images, PointAnnotations([[]] * N_IMAGES))[0] is images
    for train, test in KFold(3, shuffle=True, random_state=0).split(images):
        assert_array_equal(np.asarray(images[train]), PIXELS[train])
        assert images[test].shape == (len(test), *PIXELS.shape[1:])
    parts = train_test_split(images, np.arange(N_IMAGES), random_state=0)
    assert_array_equal(np.asarray(parts[1]), PIXELS[parts[3]])
    assert isinstance(resample(images, random_state=0), ImageSet)


def test_a_data_frame_setting_leaves_it_alone(images):
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(_safe_indexing(images, [0]), ImageSet)


def test_the_door_to_the_estimators_reads_it_one_by_one(images):
    checked = check_images(images)
    assert checked.source is images
    assert checked.shapes == [(5, 6)] * N_IMAGES
    assert_array_equal(checked[2], (PIXELS[2].transpose(2, 0, 1) / 255).astype(np.float32))


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_and_pickles_hold_the_same(images, twin):
    images[0]  # a file that is open must not be in the way
    for selection in (images, images[[5, 1, 1]], images[::-2], images[[]], images[:0]):
        same = twin(selection)
        assert_array_equal(np.asarray(same), np.asarray(selection))
        assert joblib.hash(same) == joblib.hash(selection)
        same.close()


def test_a_mixed_set_pickles_what_is_selected():
    images = ImageSet(mixed_images())
    same = pickle.loads(pickle.dumps(images[[1, 3]]))
    assert same.shapes.tolist() == [[3, 3], [6, 2]]
    assert_array_equal(same[1], images[3])


def test_a_pickle_in_memory_is_as_small_as_its_selection():
    images = ImageSet(np.zeros((100, 32, 32), dtype=np.uint8))
    assert len(pickle.dumps(images[:2])) < 2 * 32 * 32 + 1000
    assert len(pickle.dumps(images[[]])) < 32 * 32 + 1000


def test_the_hash_is_of_the_content_and_the_order(images):
    def hashed(selection):
        return joblib.hash(selection)

    assert hashed(images) == hashed(images[:])
    assert hashed(images[1:3]) == hashed(images[[1, 2]])
    assert hashed(images[::3]) == hashed(images[[0, 3, 6]])
    assert hashed(images[1:3]) != hashed(images[[2, 1]])
    assert hashed(images[1:3]) != hashed(images[2:4])
    images[0]
    assert hashed(images[1:3]) == hashed(images[[1, 2]])  # reading leaves no trace


def test_the_hash_in_memory_sees_the_pixels():
    changed = PIXELS.copy()
    changed[-1, -1, -1, -1] ^= 1
    assert joblib.hash(ImageSet(PIXELS)) == joblib.hash(ImageSet(PIXELS.copy()))
    assert joblib.hash(ImageSet(PIXELS)) != joblib.hash(ImageSet(changed))
    assert joblib.hash(ImageSet(PIXELS)[:3]) == joblib.hash(ImageSet(changed[:3]))


def test_threads_read_the_same_set(images):
    order = np.random.default_rng(0).integers(0, N_IMAGES, 200).tolist()
    with ThreadPoolExecutor(4) as pool:
        for number, image in zip(order, pool.map(images.__getitem__, order), strict=True):
            assert_array_equal(image, PIXELS[number])


class MeanPixel(RegressorMixin, BaseEstimator):
    """Counts what the pixels add up to, times a factor: enough to go through a search."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y):
        self.n_seen_ = sum(1 for _ in X)
        return self

    def predict(self, X):
        return np.array([self.factor * image.sum(dtype=float) for image in X])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_runs_on_it(images, n_jobs):
    images[0]
    y = PIXELS.sum(axis=(1, 2, 3)).astype(float)
    search = GridSearchCV(
        MeanPixel(),
        {"factor": [0.5, 1.0]},
        cv=ShuffleSplit(2, random_state=0),
        scoring="neg_mean_absolute_error",
        n_jobs=n_jobs,
    )
    search.fit(images, y)
    assert search.best_params_ == {"factor": 1.0}
    assert search.best_score_ == 0
    assert search.best_estimator_.n_seen_ == N_IMAGES
