import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skcount import DensityMapTransformer, ImageSet, PointAnnotations
from skcount.training import Crops, PointTarget
from skcount.training._windows import _chance_anywhere, _chance_around, _draw_span, _margin, draw_window
from skcount.training._zoom import Zoom


def test_each_pixel_enters_the_loss_about_equally_often():
    size, patch, n_draws = 256, 128, 40_000
    rng = np.random.default_rng(0)
    seen = np.zeros(size)
    for _ in range(n_draws):
        start, length = _draw_span(rng, size, patch)
        first = start + _margin(patch) * (start > 0)
        stop = start + length - _margin(patch) * (start + length < size)
        seen[first:stop] += 1
    assert seen.min() > 0.5 * seen.mean()
    assert seen.max() < 2 * seen.mean()


@given(size=st.integers(2, 60), patch=st.integers(1, 40))
def test_the_chances_of_all_windows_add_up_to_one(size, patch):
    if size > patch:
        starts = range(size - patch + 1)
        assert sum(_chance_anywhere(s, size, patch) for s in starts) == pytest.approx(1)
        around = sum(_chance_around(s, size, patch, np.arange(size)) for s in starts)
        np.testing.assert_allclose(around, 1)


def test_windows_around_points_are_more_frequent_and_the_weighted_mean_stays_the_same(monkeypatch):
    monkeypatch.setattr("skcount.training._windows.LEAST_WEIGHT", 0)
    size, patch_shape, pixels = (30, 50), (12, 16), np.array([[2, 40], [3, 41]])
    rng = np.random.default_rng(0)
    at_points, plain, weighted = 0, [], []
    for _ in range(8000):
        (top, left, height, width), _, weight = draw_window(rng, size, patch_shape, None, pixels)
        at_points += ((pixels >= [top, left]) & (pixels < [top + height, left + width])).all(axis=1).any()
        weighted.append([weight, weight * top, weight * left, weight * top * left])
        (top, left, *_), _, weight = draw_window(rng, size, patch_shape)
        plain.append([1, top, left, top * left])
        assert weight == 1
    assert at_points > 0.5 * 8000
    np.testing.assert_allclose(np.mean(weighted, axis=0), np.mean(plain, axis=0), rtol=0.05)
    assert np.max(weighted, axis=0)[0] <= 2


@pytest.mark.parametrize(("n_points", "is_sparse"), [(1, True), (40, False)])
def test_crops_are_drawn_around_points_only_where_points_are_rare(n_points, is_sparse):
    rng = np.random.default_rng(0)
    images = ImageSet(rng.random((3, 128, 160)))
    points = PointAnnotations([rng.uniform(20, 100, (n_points, 2)) for _ in range(3)])
    target = PointTarget(points, images, DensityMapTransformer(sigma=2))
    crops = Crops(images, target, (32, 32), np.ones(3), augment=None)
    batches = [crops[i][1] for i in range(len(crops))]
    is_empty = [not batch["target"].any() for batch in batches]
    if is_sparse:
        assert np.mean(is_empty) < 0.7
        assert len({float(batch["weight"]) for batch in batches}) > 1
    else:
        assert all(batch["weight"] == 1 for batch in batches)


@given(st.tuples(st.integers(5, 60), st.integers(5, 60)), st.floats(0.6, 1.6), st.data())
def test_a_view_shows_each_point_of_the_image_where_it_says(size, factor, data):
    zoom = Zoom(size, factor)
    rows, cols = np.mgrid[: size[0], : size[1]]
    images = ImageSet(np.stack([rows, cols], axis=-1)[None].astype(float))
    top, left = (data.draw(st.integers(0, side - 1)) for side in zoom.size)
    window = (top, left, zoom.size[0] - top, zoom.size[1] - left)
    view = zoom.read(images, 0, window, np.float64)
    assert view.shape == (2, *window[2:])
    # Away from the border, where less is averaged, a pixel shows its own position in the image.
    inner = np.s_[:, 2:-2, 2:-2]
    shown = zoom.points(view.reshape(2, -1).T).T.reshape(view.shape)
    expected = np.mgrid[top : zoom.size[0], left : zoom.size[1]]
    np.testing.assert_allclose(shown[inner], expected[inner], atol=0.15)


def test_enlarged_crops_still_hold_whole_objects():
    rng = np.random.default_rng(0)
    images = ImageSet(rng.random((2, 64, 64)))
    points = PointAnnotations([rng.uniform(0, 63, (30, 2)) for _ in range(2)])
    target = PointTarget(points, images, DensityMapTransformer(sigma=1.5))
    crops = Crops(images, target, (96, 96), np.ones(2), augment="scale")
    sums = np.array([(batch["target"] * batch["mask"]).sum() for _, batch in (crops[0] for _ in range(40))])
    whole = np.isclose(sums, 30, rtol=1e-4)
    assert whole.mean() > 0.5
    assert sums.max() < 30.01
