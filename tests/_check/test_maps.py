import numpy as np
import pytest

from skcount import ImageSet
from skcount._check import check_perspective, check_roi
from skcount.images import check_images

MASK = np.array([[True, False, True], [False, False, True]])


@pytest.mark.parametrize(
    "roi",
    [MASK, MASK.astype(np.uint8), MASK.tolist(), MASK[None].repeat(2, axis=0), [MASK, MASK.astype(int)]],
)
def test_a_region_is_one_for_all_or_one_for_each(roi):
    checked = check_roi(roi, [(2, 3), (2, 3)])
    for maps in (checked, checked.take([1, 0])):
        for index in range(2):
            assert maps.read(index).dtype == bool
            np.testing.assert_array_equal(maps.read(index), MASK)


def test_no_region_is_none():
    assert check_roi(None, [(2, 3)]) is None
    assert check_perspective(None, [(2, 3)]) is None


@pytest.mark.parametrize("lazy", [False, True])
def test_taking_regions_keeps_each_with_its_image(lazy):
    masks = [np.eye(2, dtype=bool), np.ones((1, 3), dtype=bool)]
    masks = ImageSet(masks) if lazy else masks
    taken = check_roi(masks, [(2, 2), (1, 3)]).take([1, 0, 1])
    assert [taken.read(i).shape for i in range(3)] == [(1, 3), (2, 2), (1, 3)]


@pytest.mark.parametrize(
    ("roi", "words"),
    [
        (MASK * 255, r"integers from 0 to 255; expected booleans.*mask > 0"),
        (MASK.astype(float), "dtype float64"),
        (np.zeros((2, 3), dtype=bool), "no pixel inside"),
        ([MASK, ~MASK & MASK], "roi of image 1 has no pixel inside"),
        (MASK.T, r"roi has shape \(3, 2\) and image 0 is of 2 x 3 pixels"),
        ([MASK, MASK[:1]], r"roi of image 1 has shape \(1, 3\).*2 x 3"),
        ([MASK], "2 images and roi holds 1"),
        (np.ones(2, dtype=bool), r"roi of image 0 has shape \(\)"),
        ("mask.png", "roi is a str"),
        (True, "roi is a bool"),
    ],
)
def test_a_region_that_is_not_valid_is_refused_by_words(roi, words):
    with pytest.raises(ValueError, match=words):
        check_roi(roi, [(2, 3), (2, 3)])


@pytest.mark.parametrize(
    "scale", [np.zeros((2, 3)), np.full((2, 3), np.nan), MASK, np.full((2, 3), np.inf), [["a", "b", "c"]] * 2]
)
def test_a_scale_that_is_not_above_zero_is_refused_by_words(scale):
    with pytest.raises(ValueError, match=r"perspective (is|has dtype)"):
        check_perspective(scale, [(2, 3)])


def test_a_mask_that_was_split_like_samples_is_told_how_to_travel():
    with pytest.raises(ValueError, match=r"split.*ImageSet\(images, roi=roi\)"):
        check_roi(np.ones((3, 8), dtype=bool), [(6, 8)] * 3)


def test_what_is_passed_goes_before_what_is_carried():
    class Carrier(list):
        shapes = [(2, 3)]
        roi = MASK

    X = Carrier([np.zeros((2, 3))])
    assert check_images(X).roi.read(0).sum() == 3
    assert check_images(X, roi=~MASK | MASK).roi.read(0).sum() == 6
    assert check_images(X).take([0]).roi.read(0).sum() == 3
    assert check_images(list(X)).roi is None


def test_a_lazy_map_is_read_once_when_it_is_asked_for_again():
    class Source(list):
        n_reads = 0

        def __getitem__(self, index):
            type(self).n_reads += 1
            return super().__getitem__(index)

    class Lazy:
        def __init__(self, maps):
            self.maps = Source(maps)

        def __len__(self):
            return len(self.maps)

        def __getitem__(self, index):
            return self.maps[index]

    roi = check_roi(Lazy([np.eye(3, dtype=bool), np.ones((3, 3), dtype=bool)]), [(3, 3)] * 2)
    for index in (0, 0, 1, 1, 0):
        np.testing.assert_array_equal(roi.read(index), [np.eye(3), np.ones((3, 3))][index])
    assert Source.n_reads == 3
