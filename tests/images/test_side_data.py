"""Regions, perspective and groups go wherever their image goes."""

import copy
import pickle
from collections import Counter

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.model_selection import GroupKFold

from skcount import ImageSet, UNetRegressor, _check
from skcount._check import check_side_map
from skcount.images import _image_set
from skcount.io import load_hdf5, save_hdf5
from skcount.metrics import count_mae_scorer

N_IMAGES = 7
PIXELS = np.random.default_rng(0).integers(0, 256, (N_IMAGES, 5, 6, 3)).astype(np.uint8)

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


keys = st.one_of(st.slices(N_IMAGES), st.lists(st.integers(-N_IMAGES, N_IMAGES - 1), max_size=9))


def mixed_images():
    rng = np.random.default_rng(1)
    return [rng.random(shape) for shape in [(4, 5), (3, 3), (4, 5), (6, 2)]]


@given(first=keys, second=st.integers(0, 3), ellipsis=st.booleans())
def test_side_data_are_selected_along(first, second, ellipsis):
    images = ImageSet(PIXELS, roi=MASKS, perspective=SCALES, groups=GROUPS)
    selected = images[(first, ...) if ellipsis else first][second:][::-1]
    numbers = np.arange(N_IMAGES)[first][second:][::-1]
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


def test_a_map_of_all_images_is_kept_once():
    images = ImageSet(PIXELS, roi=MASK, perspective=SCALES[0].astype(np.float32))
    assert_array_equal(images.roi, MASK, strict=True)
    assert images.perspective.dtype == np.float32
    assert images[2:][[0]].roi is images.roi
    assert images.groups is None
    for own in (images.roi, images.perspective, ImageSet(PIXELS, groups=GROUPS)[1:].groups):
        for array in (own, pickle.loads(pickle.dumps(images)).roi):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = array[0]


def test_a_map_is_the_callers_no_more():
    mask = MASK.copy()
    images = ImageSet(PIXELS, roi=mask)
    mask[:] = False
    assert_array_equal(images.roi, MASK)


def test_an_image_set_of_an_image_set_has_the_same_side_data_but_what_is_given(stored):
    assert ImageSet(stored).roi is stored.roi
    other = ImageSet(stored, roi=MASK, groups=range(N_IMAGES))
    assert_array_equal(other.roi, MASK)
    assert other.groups.tolist() == list(range(N_IMAGES))
    assert_array_equal(other.perspective[3], SCALES[3])
    assert_array_equal(stored.roi[3], MASKS[3])
    again = ImageSet(PIXELS[:3], roi=stored[2:5].roi)
    assert_array_equal(np.asarray(again.roi), MASKS[2:5])


def test_images_of_many_sizes_have_a_map_each():
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


def test_one_map_for_images_of_many_sizes_is_refused():
    with pytest.raises(ValueError, match="`roi` must have shape"):
        ImageSet(mixed_images(), roi=np.ones((4, 5), dtype=bool))


def test_an_empty_set_takes_no_side_data():
    with pytest.raises(ValueError, match="`roi` needs at least one image"):
        ImageSet(ImageSet(PIXELS)[:0], roi=MASK)


def test_groups_may_be_a_column_of_a_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"clip": GROUPS, "number": range(N_IMAGES)})
    assert ImageSet(PIXELS, groups=frame["clip"]).groups.tolist() == GROUPS
    assert ImageSet(PIXELS, groups=frame["number"]).groups.tolist() == list(range(N_IMAGES))


def test_groups_keep_clips_on_one_side_of_a_split(stored):
    for train, test in GroupKFold(3).split(stored, groups=stored.groups):
        assert not set(stored[train].groups) & set(stored[test].groups)


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_and_pickles_have_the_same_side_data(stored, twin):
    for selection in (stored, stored[[5, 1, 1]], stored[::-2], stored[:0]):
        same = twin(selection)
        assert_array_equal(np.asarray(same.roi), np.asarray(selection.roi))
        assert_array_equal(np.asarray(same.perspective), np.asarray(selection.perspective))
        assert_array_equal(same.groups, selection.groups)
        assert joblib.hash(same) == joblib.hash(selection)
        same.close()


def test_the_hash_sees_the_side_data(stored):
    assert joblib.hash(stored[1:3]) == joblib.hash(stored[[1, 2]])
    assert joblib.hash(stored[::3]) == joblib.hash(stored[[0, 3, 6]])
    changed = MASKS.copy()
    changed[-1, 0, 0] ^= True
    changes = [{"roi": changed}, {"roi": MASK}, {"perspective": SCALES + 1}, {"groups": GROUPS[::-1]}]
    found = {joblib.hash(stored), *(joblib.hash(ImageSet(stored, **change)) for change in changes)}
    assert len(found) == 5


def test_a_pickle_in_memory_is_as_small_as_the_selection_of_its_maps():
    images = ImageSet(np.zeros((100, 8, 8), np.uint8), roi=np.ones((100, 8, 8), bool), groups=["clip"] * 100)
    assert len(pickle.dumps(images[:2])) < 2 * 2 * 8 * 8 + 2000


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
