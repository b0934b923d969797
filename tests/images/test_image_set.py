import copy
import pickle
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, train_test_split
from sklearn.utils import _safe_indexing, indexable, resample

from skcount import ImageSet, PointAnnotations, UNetRegressor, _check
from skcount._check import check_side_map
from skcount.images import _image_set
from skcount.io import load_hdf5, save_hdf5
from skcount.metrics import count_mae_scorer

N_IMAGES = 7
PIXELS = np.random.default_rng(0).integers(0, 256, (N_IMAGES, 5, 6, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "cells.h5"
    save_hdf5(path, PIXELS, [np.full((i, 2), i) for i in range(N_IMAGES)])
    return path


@pytest.fixture(params=["array", "list", "file"])
def images(request, path):
    """Return the same images in each kind of storage."""
    if request.param == "file":
        with load_hdf5(path).images as images:
            yield images
    else:
        yield ImageSet(PIXELS if request.param == "array" else list(PIXELS))


def mixed_images():
    rng = np.random.default_rng(1)
    return [rng.random(shape) for shape in [(4, 5), (3, 3), (4, 5), (6, 2)]]


positions = st.lists(st.integers(-N_IMAGES, N_IMAGES - 1), max_size=12)
chosen = st.lists(st.booleans(), min_size=N_IMAGES, max_size=N_IMAGES)
keys = (
    st.slices(N_IMAGES)
    | positions
    | positions.map(lambda key: np.array(key, dtype=np.int32))
    | chosen
    | chosen.map(np.array)
)


# --- Indexing is numpy's ------------------------------------------------------------------------


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
    monkeypatch.setattr(type(images.store), "read", lambda *_: pytest.fail("a pixel was read"))
    selection = images[::2][[0, 1]]
    assert selection.shape == (2, 5, 6, 3)
    repr(selection), selection.dtype, pickle.dumps(selection), joblib.hash(selection)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (N_IMAGES, "out of bounds"),
        ([0, -N_IMAGES - 1], "out of bounds"),
        ([True, False], "boolean"),
        ((0, 1), "Crop the images"),
        ((slice(None), slice(2), ...), "got 3"),
        (True, "must be an integer, a slice"),
        (1.0, "dtype float64"),
        ("first", "must be an integer"),
        (None, "must be an integer"),
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
    with pytest.raises(ValueError, match="3 sizes and do not fit in one array"):
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
    assert again.store is images.store
    assert_array_equal(np.asarray(again), PIXELS[2:])


# --- What is read ---------------------------------------------------------------------------------

law = settings(max_examples=50, deadline=None)
INTEGERS = [np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int16, np.int32, np.int64]
KINDS = [bool, *INTEGERS, np.float16, np.float32, np.float64, ">i2", ">u4", ">f4", ">f8"]
shapes = st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))


@law
@given(shapes, st.booleans(), st.sampled_from(KINDS), st.sampled_from([np.float32, np.float64]), st.data())
def test_an_image_is_read_as_floats_with_the_channels_first(shape, is_grey, kind, dtype, data):
    kind = np.dtype(kind)
    elements = st.floats(-100, 100, width=16) if kind.kind == "f" else None
    X = data.draw(arrays(kind, (*shape[:3], 1) if is_grey else shape, elements=elements))
    images = ImageSet(list(X[..., 0]) if is_grey else X)
    assert images.n_channels == X.shape[3]
    assert images.sizes == [X.shape[1:3]] * len(X)
    unit = float(np.iinfo(kind).max) if kind.kind in "iu" else 1
    for index, pixels in enumerate(X):
        read = images.read(index, dtype=dtype)
        np.testing.assert_allclose(read, pixels.transpose(2, 0, 1).astype(np.float64) / unit, rtol=1e-6)
        assert read.dtype == dtype
        assert read.flags.c_contiguous
        if kind.kind in "ub":
            assert 0 <= read.min() <= read.max() <= 1


@law
@given(shapes, st.data())
def test_a_window_is_that_crop_of_the_image(shape, data):
    X = np.random.default_rng(0).random(shape)
    images = ImageSet(list(X))
    index = data.draw(st.integers(0, len(X) - 1))
    (top, bottom), (left, right) = (
        sorted(data.draw(st.tuples(st.integers(0, s - 1), st.integers(0, s - 1)))) for s in X.shape[1:3]
    )
    part = images.read(index, (top, left, bottom - top + 1, right - left + 1), np.float64)
    whole = images.read(index, dtype=np.float64)
    np.testing.assert_array_equal(part, whole[:, top : bottom + 1, left : right + 1])
    assert part.flags.c_contiguous


def test_what_is_read_can_be_written_to_without_changing_the_images():
    X = np.ones((2, 3, 3), dtype=np.float32)
    for images in (ImageSet(X), ImageSet(X)[::-1], ImageSet(list(X))):
        images.read(0)[:] = 5
    np.testing.assert_array_equal(X, 1)


def test_a_selection_reads_its_own_images(images):
    for index, number in enumerate([4, 0, 4]):
        expected = PIXELS[number].transpose(2, 0, 1) / np.float32(255)
        np.testing.assert_array_equal(images.take([4, 0, 4]).read(index), expected)
        np.testing.assert_array_equal(images[::-1].read(6 - number), expected)


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
    with sklearn.config_context(transform_output="pandas"):  # which leaves it alone
        assert isinstance(_safe_indexing(images, [0]), ImageSet)
    assert isinstance(resample(images, random_state=0), ImageSet)


def test_a_mixed_set_pickles_what_is_selected():
    images = ImageSet(mixed_images())
    same = pickle.loads(pickle.dumps(images[[1, 3]]))
    assert same.shapes.tolist() == [[3, 3], [6, 2]]
    assert_array_equal(same[1], images[3])


def test_a_pickle_in_memory_is_as_small_as_its_selection():
    images = ImageSet(np.zeros((100, 32, 32), dtype=np.uint8))
    assert len(pickle.dumps(images[:2])) < 2 * 32 * 32 + 1000
    assert len(pickle.dumps(images[[]])) < 32 * 32 + 1000
    images = ImageSet(np.zeros((100, 8, 8), np.uint8), roi=np.ones((100, 8, 8), bool), groups=["clip"] * 100)
    assert len(pickle.dumps(images[:2])) < 2 * 2 * 8 * 8 + 2000


def test_the_hash_is_of_the_content_and_the_order(images):
    hashed = joblib.hash
    assert hashed(images) == hashed(images[:])
    assert hashed(images[1:3]) == hashed(images[[1, 2]])
    assert hashed(images[::3]) == hashed(images[[0, 3, 6]])
    assert hashed(images[1:3]) != hashed(images[[2, 1]])
    assert hashed(images[1:3]) != hashed(images[2:4])
    images[0]
    assert hashed(images[1:3]) == hashed(images[[1, 2]])  # reading leaves no trace


def test_the_hash_in_memory_sees_the_pixels_and_everywhere_the_side_data(stored):
    pixels, masks = PIXELS.copy(), MASKS.copy()
    pixels[-1, -1, -1, -1] ^= 1
    assert joblib.hash(ImageSet(PIXELS)) == joblib.hash(ImageSet(PIXELS.copy()))
    assert joblib.hash(ImageSet(PIXELS)) != joblib.hash(ImageSet(pixels))
    assert joblib.hash(ImageSet(PIXELS)[:3]) == joblib.hash(ImageSet(pixels[:3]))
    assert joblib.hash(stored[1:3]) == joblib.hash(stored[[1, 2]])
    assert joblib.hash(stored[::3]) == joblib.hash(stored[[0, 3, 6]])
    masks[-1, 0, 0] ^= True
    changes = [{"roi": masks}, {"roi": MASK}, {"perspective": SCALES + 1}, {"groups": GROUPS[::-1]}]
    found = {joblib.hash(stored), *(joblib.hash(ImageSet(stored, **change)) for change in changes)}
    assert len(found) == 5


def test_threads_read_the_same_set(images):
    order = np.random.default_rng(0).integers(0, N_IMAGES, 200).tolist()
    with ThreadPoolExecutor(4) as pool:
        for number, image in zip(order, pool.map(images.__getitem__, order), strict=True):
            assert_array_equal(image, PIXELS[number])


class MeanPixel(RegressorMixin, BaseEstimator):
    """Count what the pixels add up to, times a factor: enough to go through a search."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y):
        self.n_seen_ = sum(1 for _ in X)
        return self

    def predict(self, X):
        return np.array([self.factor * image.sum(dtype=float) for image in X])


def test_a_search_in_workers_runs_on_it(images):
    images[0]
    y = PIXELS.sum(axis=(1, 2, 3)).astype(float)
    search = GridSearchCV(
        MeanPixel(),
        {"factor": [0.5, 1.0]},
        cv=ShuffleSplit(2, random_state=0),
        scoring="neg_mean_absolute_error",
        n_jobs=2,
    )
    search.fit(images, y)
    assert search.best_params_ == {"factor": 1.0}
    assert search.best_score_ == 0
    assert search.best_estimator_.n_seen_ == N_IMAGES


# --- Regions, perspective and groups go wherever their image goes ---------------------------------

GROUPS = ["a", "a", "b", "b", "c", "c", "c"]
MASK = np.arange(30).reshape(5, 6) > 4
MASKS = np.array([np.arange(30).reshape(5, 6) > number for number in range(N_IMAGES)])
SCALES = np.array([np.full((5, 6), 0.5 + number) for number in range(N_IMAGES)])


@pytest.fixture(params=["array", "list", "set", "file"])
def stored(request, tmp_path):
    """Return a set with one map per image, in each kind of storage."""
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


@given(first=keys, second=st.integers(0, 3), ellipsis=st.booleans())
def test_selecting_images_is_selecting_rows_of_pixels_and_side_data(first, second, ellipsis):
    images = ImageSet(PIXELS, roi=MASKS, perspective=SCALES, groups=GROUPS)
    once, rows = images[(first, ...) if ellipsis else first], np.arange(N_IMAGES)[first]
    for selected, numbers in ((once, rows), (once[second:][::-1], rows[second:][::-1])):
        assert isinstance(selected, ImageSet)
        assert selected.shape == PIXELS[numbers].shape
        assert_array_equal(np.asarray(selected), PIXELS[numbers])
        assert_array_equal(np.asarray(selected.roi), MASKS[numbers])
        assert_array_equal(np.asarray(selected.perspective), SCALES[numbers])
        assert_array_equal(selected.groups, np.array(GROUPS)[numbers])


def test_every_storage_has_the_same_side_data(stored):
    assert repr(stored).endswith(", with roi, perspective, groups)")
    assert isinstance(stored[2], np.ndarray)
    assert stored.roi.shape == stored.perspective.shape == (N_IMAGES, 5, 6)
    assert (stored.roi.dtype, stored.perspective.dtype) == (bool, np.float64)
    chosen = stored[[6, 1]]
    for maps, expected in ((chosen.roi, MASKS), (chosen.perspective, SCALES)):
        assert_array_equal(maps[0], expected[6], strict=True)
        assert_array_equal(maps[1], expected[1], strict=True)
    assert chosen.groups.tolist() == ["c", "a"]


def test_a_map_of_all_images_is_kept_once_and_is_the_callers_no_more():
    mask = MASK.copy()
    images = ImageSet(PIXELS, roi=mask, perspective=SCALES[0].astype(np.float32))
    mask[:] = False
    assert_array_equal(images.roi, MASK, strict=True)
    assert images.perspective.dtype == np.float32
    assert images[2:][[0]].roi is images.roi
    assert images.groups is None
    for own in (images.roi, images.perspective, ImageSet(PIXELS, groups=GROUPS)[1:].groups):
        for array in (own, pickle.loads(pickle.dumps(images)).roi):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = array[0]


def test_an_image_set_of_an_image_set_has_the_same_side_data_but_what_is_given(stored):
    assert ImageSet(stored).roi is stored.roi
    other = ImageSet(stored, roi=MASK, groups=range(N_IMAGES))
    assert_array_equal(other.roi, MASK)
    assert other.groups.tolist() == list(range(N_IMAGES))
    assert_array_equal(other.perspective[3], SCALES[3])
    assert_array_equal(stored.roi[3], MASKS[3])
    again = ImageSet(PIXELS[:3], roi=stored[2:5].roi)
    assert_array_equal(np.asarray(again.roi), MASKS[2:5])


def test_zeros_and_ones_are_a_mask_and_maps_of_two_types_become_one():
    assert_array_equal(ImageSet(PIXELS, roi=MASKS.astype(np.uint8)).roi[2], MASKS[2], strict=True)
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
        with pytest.raises(ValueError, match="`roi` of image 4 has no pixel inside"):
            images.roi[4]
        with pytest.raises(ValueError, match=r"`roi` of image 5 must be booleans.*from 255 to 255.*mask > 0"):
            images.roi[5]
        with pytest.raises(ValueError, match=r"`roi` of image 0 must have shape \(4, 6\).*got \(5, 6\)"):
            ImageSet(PIXELS[:, :4], roi=lazy)
        with pytest.raises(ValueError, match="`roi` has 7 entries and `X` has 6 images"):
            ImageSet(PIXELS[:6], roi=lazy)
        images.close()


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"roi": MASKS[:, :4]}, r"`roi` of image 0 must have shape \(5, 6\).*got \(4, 6\)"),
        ({"roi": [*MASKS[:6], MASK.T]}, r"`roi` of image 6 must have shape .*got \(6, 5\)"),
        ({"roi": PIXELS}, r"`roi` of image 0 must have shape .*got \(5, 6, 3\)"),
        ({"perspective": np.where(MASK, 1, np.nan)}, "`perspective` must be .*got nan at row 0, column 0"),
        ({"perspective": [*SCALES[:6], -SCALES[6]]}, "`perspective` of image 6 must be .*got -6.5"),
        ({"perspective": MASK}, "`perspective` must be real numbers.*dtype bool"),
        ({"groups": GROUPS[:6]}, r"`groups` must have shape \(7,\).*got \(6,\)"),
        ({"groups": "abcdefg"}, r"`groups` must have shape \(7,\).*got \(\)"),
        ({"groups": np.arange(7.0)}, "`groups` must be integers or strings; got dtype float64"),
        ({"groups": ["a", None, *GROUPS[2:]]}, "`groups` must be .*dtype object"),
    ],
)
def test_what_does_not_fit_the_images_is_refused(given, match):
    with pytest.raises(ValueError, match=match):
        ImageSet(PIXELS, **given)


def test_an_empty_set_takes_no_side_data():
    with pytest.raises(ValueError, match="`roi` needs at least one image"):
        ImageSet(ImageSet(PIXELS)[:0], roi=MASK)


def test_groups_may_be_a_column_of_a_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"clip": GROUPS, "number": range(N_IMAGES)})
    assert ImageSet(PIXELS, groups=frame["clip"]).groups.tolist() == GROUPS
    assert ImageSet(PIXELS, groups=frame["number"]).groups.tolist() == list(range(N_IMAGES))


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_and_pickles_hold_the_same(stored, twin):
    stored[0]  # a file that is open must not be in the way
    for selection in (stored, stored[[5, 1, 1]], stored[::-2], stored[[]], stored[:0]):
        same = twin(selection)
        assert_array_equal(np.asarray(same), np.asarray(selection))
        assert_array_equal(np.asarray(same.roi), np.asarray(selection.roi))
        assert_array_equal(np.asarray(same.perspective), np.asarray(selection.perspective))
        assert_array_equal(same.groups, selection.groups)
        assert joblib.hash(same) == joblib.hash(selection)
        same.close()


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "file"])
def test_a_map_is_checked_at_most_once_in_a_fit_and_all_that_follows(memory, tmp_path, monkeypatch):
    checked = Counter()

    def count(name, values, index, size):
        checked[name, index] += 1
        return check_side_map(name, values, index, size)

    monkeypatch.setattr(_check, "check_side_map", count)
    monkeypatch.setattr(_image_set, "check_side_map", count)
    images, points = ImageSet(PIXELS, roi=MASKS, perspective=SCALES, groups=GROUPS), [[(2, 3)]] * N_IMAGES
    if not memory:
        save_hdf5(tmp_path / "a.h5", images, points)
        checked.clear()
        images = load_hdf5(tmp_path / "a.h5").images
        assert not checked
    regressor = UNetRegressor(
        filters=2, max_epochs=3, validation_fraction=0.5, tile_size=None, random_state=0
    )
    regressor.fit(images, points).score(images, points)
    count_mae_scorer(regressor, images[::-1], points)
    assert len(checked) == 2 * N_IMAGES
    assert set(checked.values()) == {1}
    images.close()
