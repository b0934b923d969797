import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import median_filter
from scipy.spatial import cKDTree
from sklearn.utils import Bunch

from skcount import PointAnnotations
from skcount.datasets import make_cells

CLEAN = {"background": 0, "noise": 0, "texture": 0}


def lone_cells(n_samples=12, **params):
    """Blue channel and centre of images with one noise-free cell that the border does not reach."""
    params = {"image_shape": (80, 90), "random_state": 3, "brightness": (180, 180), **CLEAN, **params}
    images, points = make_cells(n_samples, n_cells=1, return_X_y=True, **params)
    for image, (centre,) in zip(images, points, strict=True):
        if 20 < centre[0] < 60 and 20 < centre[1] < 70:
            yield image[..., 2].astype(float), centre


def moments(blue):
    """Centroid (row, col) of the light and its variance, the mean over both axes."""
    grid = np.indices(blue.shape).reshape(2, -1)
    weights = blue.ravel() / blue.sum()
    centroid = grid @ weights
    return centroid, (((grid - centroid[:, None]) ** 2) @ weights).mean()


def test_bunch_has_the_fields_of_every_data_set_and_may_be_images_and_points_alone():
    cells = make_cells(3, image_shape=(40, 56), random_state=0)
    assert isinstance(cells, Bunch)
    assert set(cells) == {"images", "points", "groups", "roi", "perspective", "DESCR"}
    assert cells.images.shape == (3, 40, 56, 3)
    assert cells.images.dtype == np.uint8
    assert isinstance(cells.points, PointAnnotations)
    assert cells.groups is cells.roi is cells.perspective is None
    assert "Lehmussola" in cells.DESCR
    images, points = make_cells(3, image_shape=(40, 56), random_state=0, return_X_y=True)
    np.testing.assert_array_equal(images, cells.images)
    np.testing.assert_array_equal(points.coordinates, cells.points.coordinates)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    counts=st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted).map(tuple),
    n_samples=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
    blur=st.sampled_from([(0, 0), (0.5, 0.5), (1, 4)]),
    cluster_std=st.sampled_from([1, 10, 1e6]),
)
def test_any_shape_holds_its_points_and_repeats(height, width, counts, n_samples, seed, blur, cluster_std):
    params = {"image_shape": (height, width), "n_cells": counts, "random_state": seed, "blur": blur}
    params |= {"cluster_std": cluster_std, "return_X_y": True}
    images, points = make_cells(n_samples, **params)
    again, points_again = make_cells(n_samples, **params)
    assert images.shape == (n_samples, height, width, 3)
    assert len(points) == n_samples
    np.testing.assert_array_equal(images, again)
    for centres, centres_again in zip(points, points_again, strict=True):
        np.testing.assert_array_equal(centres, centres_again)
        assert counts[0] <= len(centres) <= counts[1]
        assert np.all(centres >= -0.5)
        assert np.all(centres < np.array([height, width]) - 0.5)


def test_an_image_does_not_depend_on_how_many_there_are():
    few, few_points = make_cells(2, image_shape=(48, 48), random_state=7, return_X_y=True)
    more, more_points = make_cells(5, image_shape=(48, 48), random_state=7, return_X_y=True)
    np.testing.assert_array_equal(few, more[:2])
    np.testing.assert_array_equal(few_points.coordinates, more_points[:2].coordinates)
    assert not np.array_equal(more[0], more[1])


def test_seeds_differ_and_a_random_state_advances_and_the_global_one_does_not():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state, which must stay as it is
    first = make_cells(1, image_shape=(32, 32), random_state=0).images
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002 - as above
    assert not np.array_equal(first, make_cells(1, image_shape=(32, 32), random_state=1).images)
    state = np.random.RandomState(0)
    np.testing.assert_array_equal(first, make_cells(1, image_shape=(32, 32), random_state=state).images)
    assert not np.array_equal(first, make_cells(1, image_shape=(32, 32), random_state=state).images)


def test_default_counts_follow_the_density_of_the_published_set():
    counts = make_cells(30, image_shape=(128, 128), random_state=0).points.counts
    assert counts.min() >= round(74 / 4)
    assert counts.max() <= round(317 / 4)
    assert 36 < counts.mean() < 52
    assert counts.std() > 8


def test_an_integer_is_that_number_of_cells_and_a_pair_reaches_both_ends():
    assert make_cells(4, image_shape=(32, 32), n_cells=5, random_state=0).points.counts.tolist() == [5] * 4
    counts = make_cells(30, image_shape=(16, 16), n_cells=(1, 3), random_state=0).points.counts
    assert set(counts) == {1, 2, 3}


def test_a_blank_image_has_haze_and_no_blob():
    images, points = make_cells(3, n_cells=0, random_state=0, return_X_y=True)
    blue = images[..., 2].astype(float)
    assert points.counts.tolist() == [0, 0, 0]
    assert blue.max() < 75
    assert blue.mean() > 10
    assert max(np.abs(one - median_filter(one, 9)).max() for one in blue) < 6 * 3


def test_cells_are_brighter_than_what_surrounds_them_and_blue():
    images, points = make_cells(4, random_state=0, return_X_y=True)
    for image, centres in zip(images, points, strict=True):
        rows, cols = np.rint(centres).clip(0, 255).astype(int).T
        at_centres = image[rows, cols, 2]
        assert at_centres.mean() > 2 * np.median(image[..., 2])
        assert np.mean(at_centres > np.median(image[..., 2]) + 30) > 0.97
        assert image[..., :2].max() < 20


@pytest.mark.parametrize("blur", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("irregularity", [0.0, 0.04, 0.3])
def test_the_centroid_of_a_lone_cell_is_its_point(blur, irregularity):
    cells = list(lone_cells(blur=(blur, blur), irregularity=irregularity))
    assert cells
    for blue, centre in cells:
        np.testing.assert_allclose(moments(blue)[0], centre, atol=0.12)


def test_textured_and_noisy_cells_stay_about_their_points():
    offsets = [moments(blue)[0] - centre for blue, centre in lone_cells(30, texture=0.22)]
    assert np.abs(offsets).max() < 1
    assert np.abs(np.mean(offsets, axis=0)).max() < 0.15


def test_blur_widens_a_cell_by_its_variance_and_keeps_its_middle():
    for (sharp, centre), (soft, _) in zip(lone_cells(blur=(1, 1)), lone_cells(blur=(2.5, 2.5)), strict=True):
        widening = moments(soft)[1] - moments(sharp)[1]
        assert widening == pytest.approx(2.5**2 - 1, rel=0.1)
        row, col = np.rint(centre).astype(int)
        assert sharp[row, col] == pytest.approx(180, abs=6)
        assert soft[row, col] == pytest.approx(180, abs=12)


def test_radius_sets_the_area():
    for radius in (4.0, 9.0):
        areas = [(blue > 90).sum() for blue, _ in lone_cells(radius=radius, blur=(0, 0))]
        assert np.mean(areas) == pytest.approx(np.pi * radius**2, rel=0.15)


def test_overlap_limits_the_distance_of_centres():
    for overlap in (0.0, 0.5):
        points = make_cells(3, image_shape=(96, 96), n_cells=30, overlap=overlap, random_state=0).points
        for centres in points:
            assert cKDTree(centres).query(centres, 2)[0][:, 1].min() > (1 - overlap) * 10


def test_cells_that_cover_each_other_do_not_add_up():
    params = {"image_shape": (41, 41), "brightness": (100, 100), "blur": (1, 1), "random_state": 0}
    pile = make_cells(5, n_cells=25, radius=15.0, **params, **CLEAN).images[..., 2]
    assert pile.max() < 150


def test_clusters_bring_neighbours_together():
    params = {"n_samples": 6, "n_cells": 200, "cluster_std": 12.0, "random_state": 0}

    def mean_distance(probability):
        points = make_cells(cluster_probability=probability, **params).points
        return np.mean([cKDTree(p).query(p, 6)[0][:, 5].mean() for p in points])

    assert mean_distance(1.0) < 0.7 * mean_distance(0.0)


def test_the_border_cuts_cells():
    images, points = make_cells(
        10, image_shape=(64, 64), n_cells=30, random_state=0, **CLEAN, return_X_y=True
    )
    to_border = np.minimum(points.coordinates, 63 - points.coordinates).min(axis=1)
    assert to_border.min() < 0
    assert images[:, 0, :, 2].max() > 80
    assert images[:, :, -1, 2].max() > 80


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"image_shape": (64, 0)}, r"`image_shape` .*\(64, 0\)"),
        ({"n_cells": (-2, 3)}, r"`n_cells` .*\(-2, 3\)"),
        ({"n_cells": (1, 2.5)}, r"`n_cells` .*2\.5"),
        ({"blur": (3, 1)}, r"`blur` .*0 <= low <= high.*\(3, 1\)"),
        ({"blur": (0, np.inf)}, "`blur` .*inf"),
        ({"blur": (1, 2, 3)}, r"`blur` .*\(1, 2, 3\)"),
        ({"brightness": ("dim", "bright")}, "`brightness` .*'dim'"),
        ({"cluster_probability": -0.1}, "The 'cluster_probability' parameter"),
        (
            {"image_shape": (32, 32), "n_cells": 50, "overlap": 0},
            r"Only \d+ of 50 cells fit in an image of 32 x 32 .* at least 10 pixels apart.*`overlap`",
        ),
    ],
)
def test_errors_say_what_came_and_what_to_do(params, words):
    with pytest.raises(ValueError, match=words):
        make_cells(1, **params)
