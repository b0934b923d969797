import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skcount import DensityMapTransformer, PointAnnotations
from skcount.images import check_images
from skcount.training import CountTarget, Crops, MapTarget, PointTarget
from skcount.training._crops import _draw_span, _margin


def make_crops(shapes, patch_shape, augment=True, seed=0):
    """Crops of images that are their own density maps, so that image and target must always agree."""
    rng = np.random.default_rng(seed)
    points = PointAnnotations([rng.uniform((-0.5, -0.5), np.array(s) - 0.6, (7, 2)) for s in shapes])
    density = DensityMapTransformer(sigma=1.7)
    images = [density.make_map(p, s) for p, s in zip(points, shapes, strict=True)]
    checked = check_images(images)
    target = PointTarget(points, checked, density)
    return Crops(checked, target, patch_shape, np.arange(1.0, 1 + len(shapes)), augment)


BLANK = [np.zeros((4, 5)), np.zeros((6, 7))]


@settings(max_examples=60, deadline=None)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=3),
    patch=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    augment=st.sampled_from([True, False, "mirror"]),
    seed=st.integers(0, 1000),
)
def test_a_crop_and_its_target_stay_together(shapes, patch, augment, seed):
    crops = make_crops(shapes, patch, augment, seed)
    torch.manual_seed(seed)
    images, batch = crops.__getitems__(list(range(len(crops))))
    assert images.shape == batch["target"].shape == batch["mask"].shape == (len(crops), 1, *patch)
    mask = batch["mask"].bool()
    # A map's window is computed anew: the last digits of float32 may differ.
    torch.testing.assert_close(images[mask], batch["target"][mask], atol=1e-6, rtol=1e-5)
    assert batch["mask"].unique().tolist() in ([0.0], [1.0], [0.0, 1.0])
    assert batch["weight"].tolist() == [1.0 + i for i in crops.index]


@pytest.mark.parametrize(("augment", "n_ways"), [(False, 1), ("mirror", 2), (True, 8)])
def test_crops_lie_in_as_many_ways_as_there_are_symmetries(augment, n_ways):
    crops = make_crops([(8, 8)], (8, 8), augment)
    torch.manual_seed(0)
    drawn = [crops[0][0][0, 0] for _ in range(100)]
    seen = {crop.numpy().tobytes(): crop for crop in drawn}
    assert len(seen) == n_ways
    if augment == "mirror":
        one, other = seen.values()
        assert torch.equal(one.flip(1), other)


def test_what_pads_a_small_image_is_outside_the_loss():
    crops = make_crops([(3, 5)], (8, 8), augment=False)
    images, batch = crops[0]
    assert batch["mask"].sum() == 15
    assert batch["target"][0, 0, 3:].abs().sum() == 0
    np.testing.assert_array_equal(images[0, 0, 3:, 0], images[0, 0, 2, 0].expand(5))


def test_a_margin_is_masked_only_where_a_crop_cuts_through_the_image():
    crops = make_crops([(200, 100)], (64, 100), augment=False)
    torch.manual_seed(0)
    for _ in range(40):
        _, batch = crops[0]
        mask = batch["mask"][0, 0].numpy()
        assert mask[20:44].all()
        rows = mask[:, 0]
        assert (
            mask == rows[:, None]
        ).all()  # the crop is as wide as the image: nothing is cut left and right
        assert rows[0] in {0, 1}
        assert rows[: _margin(64)].all() or not rows[: _margin(64)].any()
        assert not (rows[0] and rows[-1])


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


def test_an_epoch_covers_the_pixels_once():
    assert len(make_crops([(64, 64)] * 3, (32, 32))) == 3 * 4
    assert len(make_crops([(10, 10), (100, 50)], (64, 64))) == 1 + 1


def test_all_eight_symmetries_are_drawn():
    crops = make_crops([(6, 6)], (6, 6))
    torch.manual_seed(0)
    seen = {crops[0][0].numpy().tobytes() for _ in range(200)}
    assert len(seen) == 8


def test_a_crop_that_is_not_square_is_not_turned():
    crops = make_crops([(6, 9)], (6, 9))
    torch.manual_seed(0)
    assert len({crops[0][0].numpy().tobytes() for _ in range(200)}) == 4


def test_counts_come_with_whole_images():
    X = np.random.default_rng(0).random((4, 8, 8))
    target = CountTarget(np.array([1.0, 2.0, 3.0, 4.0]), check_images(X))
    crops = Crops(target.images, target, (8, 8), np.ones(4), augment=False)
    images, batch = crops.__getitems__([2, 0])
    assert batch["target"].tolist() == [3.0, 1.0]
    np.testing.assert_allclose(images[:, 0], X[[2, 0]], rtol=1e-6)


@pytest.mark.parametrize(
    "make", [lambda images: CountTarget(np.zeros(2), images), lambda images: MapTarget(BLANK, images)]
)
def test_the_peak_of_an_empty_target_is_a_number_to_divide_by(make):
    assert make(check_images(BLANK)).peak(np.ones(2)) == 1.0


@pytest.mark.parametrize("patch", range(1, 9))
def test_small_crops_keep_pixels_in_the_loss(patch):
    crops = make_crops([(24, 24)], (patch, patch))
    torch.manual_seed(0)
    assert crops.__getitems__([0] * 20)[1]["mask"].mean() > 0.2


def test_the_loss_looks_only_inside_the_region_and_every_crop_touches_it():
    rng = np.random.default_rng(0)
    roi = np.zeros((64, 64), dtype=bool)
    roi[40:44, 50:55] = True
    # Pixels say whether they are inside, so that flips and turns must take the mask along.
    images = check_images(np.repeat(roi[None], 4, axis=0).astype(float), roi=roi)
    target = PointTarget(PointAnnotations([rng.uniform(0, 63, (9, 2))] * 4), images, DensityMapTransformer())
    crops = Crops(images, target, (24, 24), np.ones(4), augment=True)
    torch.manual_seed(0)
    pixels, batch = crops.__getitems__([0, 1, 2, 3] * 10)
    mask = batch["mask"].bool()
    assert pixels[mask].all()
    assert (mask.sum(dim=(1, 2, 3)) > 0).all()
    assert not batch["target"][pixels == 0].any()


def test_points_are_turned_with_their_crop_and_add_up_to_what_the_loss_looks_at():
    rng = np.random.default_rng(0)
    density = DensityMapTransformer(sigma=1.2)
    points = PointAnnotations([rng.uniform(0, (39, 29), (9, 2)), rng.uniform(0, (11, 13), (3, 2))])
    roi = [np.arange(40)[:, None] + np.zeros(30) < 25, np.ones((12, 14), dtype=bool)]
    images = check_images([np.zeros((40, 30)), np.zeros((12, 14))], roi=roi)
    target = PointTarget(points, images, density)
    crops = Crops(images, target, (20, 20), np.ones(2), augment=True, with_points=True)
    torch.manual_seed(0)
    for _ in range(30):
        _, batch = crops.__getitems__([0, len(crops) - 1])
        for i, near in enumerate(batch["points"]):
            mass = (batch["target"][i] * batch["mask"][i]).sum()
            torch.testing.assert_close(near[:, 2].sum(), mass, rtol=1e-5, atol=1e-5)
            for row, col, _ in near[near[:, 2] > 0.9]:
                peak = batch["target"][i, 0, max(round(row.item()), 0), max(round(col.item()), 0)]
                assert peak > 0.03


def test_a_jitter_changes_the_pixels_and_not_the_target():
    plain, jittered = (
        make_crops([(20, 30)], (16, 16), augment=False),
        make_crops([(20, 30)], (16, 16), augment=False),
    )
    jittered.jitter = lambda image, rng: image + 0 * rng.random() + 1
    torch.manual_seed(0)
    image, target = plain[0]
    torch.manual_seed(0)
    changed, same = jittered[0]
    torch.testing.assert_close(changed, image + 1)
    for name, value in target.items():
        torch.testing.assert_close(same[name], value)
