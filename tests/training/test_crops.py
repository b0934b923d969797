from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skcount import DensityMapTransformer, ImageSet, PointAnnotations, UNetRegressor
from skcount.training import CountTarget, Crops, MapTarget, PointTarget
from skcount.training._crops import JITTER
from skcount.training._windows import _margin

small = partial(UNetRegressor, filters=4, depth=2, max_epochs=2, random_state=0)
NOTHING = {"roi": None, "perspective": None}


def make_crops(shapes, patch_shape, augment="rotations", seed=0):
    """Crops of images that are their own density maps, so that image and target must always agree."""
    rng = np.random.default_rng(seed)
    points = PointAnnotations([rng.uniform((-0.5, -0.5), np.array(s) - 0.6, (7, 2)) for s in shapes])
    density = DensityMapTransformer(sigma=1.7)
    images = ImageSet([density.make_map(p, s) for p, s in zip(points, shapes, strict=True)])
    target = PointTarget(points, images, density)
    return Crops(images, target, patch_shape, np.arange(1.0, 1 + len(shapes)), augment)


# --- targets: points, maps or counts ------------------------------------------------------------------------------

SHAPES = [(12, 9), (20, 30), (7, 7)]
POINTS = PointAnnotations([[(1, 2), (3, 4)], [(10, 15)], []])
DENSITY = DensityMapTransformer(sigma=1.5)
MAPS = DENSITY.transform(POINTS, SHAPES)
# Upper halves: of the points only (1, 2), (3, 4) and not (10, 15) are inside.
ROI = [np.arange(height)[:, None] < np.full(width, height // 2) for height, width in SHAPES]


def blank(**side_data):
    return ImageSet([np.zeros(shape) for shape in SHAPES], **side_data)


TARGETS = {
    "points": PointTarget(POINTS, blank(), DENSITY),
    "maps": MapTarget(MAPS, blank()),
    "counts": CountTarget(POINTS.counts, blank()),
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_counts_are_those_of_the_points_in_the_given_order(target):
    np.testing.assert_allclose(target.counts, POINTS.counts, atol=1e-5)
    np.testing.assert_allclose(target.take(np.array([2, 0])).counts, POINTS.counts[[2, 0]], atol=1e-5)


@pytest.mark.parametrize("target", [TARGETS["points"], TARGETS["maps"]], ids=["points", "maps"])
def test_a_crop_is_that_window_of_the_map(target):
    np.testing.assert_allclose(target.crop(1, (4, 6, 9, 11), NOTHING), MAPS[1][4:13, 6:17], atol=1e-7)


def test_the_unit_of_points_is_the_height_of_one_object():
    assert TARGETS["points"].unit(np.ones(3)) == pytest.approx(MAPS[1].max())


def test_the_unit_of_counts_is_their_weighted_mean_density_inside_the_region():
    assert TARGETS["counts"].unit(np.array([1, 0, 0])) == pytest.approx(2 / (12 * 9))
    in_halves = CountTarget(np.array([2.0, 0.0, 0.0]), blank(roi=ROI))
    assert in_halves.unit(np.array([1, 0, 0])) == pytest.approx(2 / (6 * 9))


def test_the_unit_of_points_with_perspective_is_that_of_an_object_of_median_size():
    scales = [np.full(shape, scale) for shape, scale in zip(SHAPES, [2.0, 4.0, 8.0], strict=True)]
    alone = DensityMapTransformer(sigma=3.0).make_map(np.array([[10, 15]]), (20, 30)).max()
    # Two points of scale 2 and one of scale 4: the median is 2, of sigma 1.5.
    assert PointTarget(POINTS, blank(perspective=scales), DENSITY).unit(np.ones(3)) == pytest.approx(alone)


@pytest.mark.parametrize("kind", ["counts", "maps"])
def test_the_unit_of_an_empty_target_is_a_number_to_divide_by(kind):
    empty = {"counts": CountTarget(np.zeros(3), blank()), "maps": MapTarget([m * 0 for m in MAPS], blank())}
    assert empty[kind].unit(np.ones(3)) == 1.0


def test_maps_count_what_is_inside_the_region():
    target = MapTarget(MAPS, blank(roi=ROI))
    expected = [density[mask].sum() for density, mask in zip(MAPS, ROI, strict=True)]
    np.testing.assert_allclose(target.counts, expected, rtol=1e-6)
    np.testing.assert_allclose(target.take([1]).counts, expected[1:2], rtol=1e-6)


def test_a_crop_of_points_is_that_window_of_the_regions_map():
    images = blank(roi=ROI)
    target = PointTarget(POINTS, images, DENSITY).take([0])
    whole = DENSITY.make_map(POINTS[0], SHAPES[0], roi=ROI[0])
    assert whole.sum() == pytest.approx(2)
    crop = target.crop(0, (2, 1, 7, 5), images.side_data(0))
    np.testing.assert_allclose(crop, whole[2:9, 1:6], atol=1e-7)


# --- crops --------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=3),
    patch=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    augment=st.sampled_from(["rotations", None, "mirror"]),
    seed=st.integers(0, 1000),
)
def test_a_crop_and_its_target_stay_together(shapes, patch, augment, seed):
    crops = make_crops(shapes, patch, augment, seed)
    torch.manual_seed(seed)
    images, batch = crops.__getitems__(list(range(len(crops))))
    assert images.shape == batch["target"].shape == batch["mask"].shape == (len(crops), 1, *patch)
    mask = batch["mask"].bool()
    # A map's window is computed again: the last digits of float32 may differ.
    torch.testing.assert_close(images[mask], batch["target"][mask], atol=1e-6, rtol=1e-5)
    assert batch["mask"].unique().tolist() in ([0.0], [1.0], [0.0, 1.0])
    if not crops.around_points:
        assert batch["weight"].tolist() == [1.0 + i for i in crops.index]


@pytest.mark.parametrize(("augment", "n_ways"), [(None, 1), ("mirror", 2), ("rotations", 8)])
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
    crops = make_crops([(3, 5)], (8, 8), augment=None)
    images, batch = crops[0]
    assert batch["mask"].sum() == 15
    assert batch["target"][0, 0, 3:].abs().sum() == 0
    np.testing.assert_array_equal(images[0, 0, 3:, 0], images[0, 0, 2, 0].expand(5))


def test_a_margin_is_masked_only_where_a_crop_cuts_through_the_image():
    crops = make_crops([(200, 100)], (64, 100), augment=None)
    torch.manual_seed(0)
    for _ in range(40):
        _, batch = crops[0]
        mask = batch["mask"][0, 0].numpy()
        assert mask[20:44].all()
        rows = mask[:, 0]
        assert (mask == rows[:, None]).all()  # as wide as the image: nothing is cut left and right
        assert rows[0] in {0, 1}
        assert rows[: _margin(64)].all() or not rows[: _margin(64)].any()
        assert not (rows[0] and rows[-1])


def test_an_epoch_covers_the_pixels_once():
    assert len(make_crops([(64, 64)] * 3, (32, 32))) == 3 * 4
    assert len(make_crops([(10, 10), (100, 50)], (64, 64))) == 1 + 1


def test_a_crop_that_is_not_square_is_not_rotated():
    crops = make_crops([(6, 9)], (6, 9))
    torch.manual_seed(0)
    assert len({crops[0][0].numpy().tobytes() for _ in range(200)}) == 4


def test_counts_come_with_whole_images():
    X = np.random.default_rng(0).random((4, 8, 8))
    target = CountTarget(np.array([1.0, 2.0, 3.0, 4.0]), ImageSet(X))
    crops = Crops(target.images, target, (8, 8), np.ones(4), augment=None)
    images, batch = crops.__getitems__([2, 0])
    assert batch["target"].tolist() == [3.0, 1.0]
    np.testing.assert_allclose(images[:, 0], X[[2, 0]], rtol=1e-6)


@pytest.mark.parametrize("patch", range(1, 9))
def test_small_crops_keep_pixels_in_the_loss(patch):
    crops = make_crops([(24, 24)], (patch, patch))
    torch.manual_seed(0)
    assert crops.__getitems__([0] * 20)[1]["mask"].mean() > 0.2


def test_the_loss_looks_only_inside_the_region_and_every_crop_touches_it():
    rng = np.random.default_rng(0)
    roi = np.zeros((64, 64), dtype=bool)
    roi[40:44, 50:55] = True
    # Pixels say whether they are inside, so that flips and rotations must take the mask along.
    images = ImageSet(np.repeat(roi[None], 4, axis=0).astype(float), roi=roi)
    points = PointAnnotations([rng.uniform((39, 49), (45, 56), (9, 2))] * 4).inside((64, 64), roi)
    target = PointTarget(points, images, DensityMapTransformer())
    crops = Crops(images, target, (24, 24), np.ones(4), augment="rotations")
    torch.manual_seed(0)
    pixels, batch = crops.__getitems__([0, 1, 2, 3] * 10)
    mask = batch["mask"].bool()
    assert pixels[mask].all()
    assert (mask.sum(dim=(1, 2, 3)) > 0).all()
    assert not batch["target"][pixels == 0].any()


def test_points_are_rotated_with_their_crop_and_add_up_to_what_the_loss_looks_at():
    rng = np.random.default_rng(0)
    density = DensityMapTransformer(sigma=1.2)
    points = PointAnnotations([rng.uniform(0, (39, 29), (9, 2)), rng.uniform(0, (11, 13), (3, 2))])
    roi = [np.arange(40)[:, None] + np.zeros(30) < 25, np.ones((12, 14), dtype=bool)]
    images = ImageSet([np.zeros((40, 30)), np.zeros((12, 14))], roi=roi)
    target = PointTarget(points.inside(images.sizes, roi), images, density)
    crops = Crops(images, target, (20, 20), np.ones(2), augment="rotations", with_points=True)
    torch.manual_seed(0)
    for _ in range(30):
        _, batch = crops.__getitems__([0, len(crops) - 1])
        for i, near in enumerate(batch["points"]):
            mass = (batch["target"][i] * batch["mask"][i]).sum()
            torch.testing.assert_close(near[:, 2].sum(), mass, rtol=1e-5, atol=1e-5)
            for row, col, _ in near[near[:, 2] > 0.9]:
                peak = batch["target"][i, 0, max(round(row.item()), 0), max(round(col.item()), 0)]
                assert peak > 0.03


# --- changes of brightness and contrast -----------------------------------------------------------------------------


def test_jitter_changes_contrast_and_brightness_as_much_as_it_says():
    mean, std = np.array([0.2, 0.5]), np.array([0.1, 0.3])
    crops = make_crops([(1, 2)], (1, 2), augment="jitter")
    crops.channels = mean, std
    rng = np.random.default_rng(0)
    # Two pixels per channel: one at the mean, one a standard deviation above.
    image = np.stack([mean, mean + std], axis=1)[:, None, :]
    before = image.copy()
    changed = np.array([crops._jitter(image, rng) for _ in range(2000)])[:, :, 0]
    np.testing.assert_array_equal(image, before)
    brightness = (changed[:, :, 0] - mean) / std
    contrast = (changed[:, :, 1] - changed[:, :, 0]) / std
    np.testing.assert_allclose(contrast[:, 0], contrast[:, 1])
    assert (contrast > 0).all()
    log = np.log(contrast[:, 0])
    np.testing.assert_allclose([log.mean(), log.std()], [0, JITTER], atol=0.1 * JITTER)
    np.testing.assert_allclose(brightness.std(axis=0), np.sqrt(2) * JITTER, rtol=0.1)
    assert 0.4 < np.corrcoef(brightness.T)[0, 1] < 0.6


@pytest.mark.parametrize("augment", ["jitter", "rotations+jitter", "mirror+jitter"])
def test_jitter_joins_the_symmetries_and_leaves_the_target(augment):
    plain, changed = (make_crops([(8, 8)], (8, 8), name) for name in (augment.replace("jitter", ""), augment))
    changed.channels = np.array([0.0]), np.array([1.0])
    torch.manual_seed(0)
    drawn = [changed[0] for _ in range(100)]
    targets = {batch["target"].numpy().tobytes() for _, batch in drawn}
    assert len({image.numpy().tobytes() for image, _ in drawn}) == 100
    assert targets == {plain[0][1]["target"].numpy().tobytes() for _ in range(100)}
    image = drawn[0][0]
    assert image.dtype == torch.float32


# --- a function as augmentation -------------------------------------------------------------------------------------


def keep(image, points, rng):
    return image, points


def mirror(image, points, rng):
    return image[:, ::-1], points * [1, -1] + [0, image.shape[1] - 1]


def test_the_identity_is_no_augmentation(noise):
    X, points = noise
    counts = [small(augment=augment).fit(X, points).predict(X) for augment in (keep, None)]
    np.testing.assert_allclose(*counts, rtol=1e-4)


def test_a_function_that_mirrors_is_training_on_mirrored_images(noise):
    X, points = noise
    mirrored = PointAnnotations([p * [1, -1] + [0, X.shape[2] - 1] for p in points])
    counts = [
        small(augment=mirror).fit(X, points).predict(X),
        small(augment=None).fit(X[:, :, ::-1], mirrored).predict(X),
    ]
    np.testing.assert_allclose(*counts, rtol=1e-3)


@pytest.mark.parametrize("loss", ["mse", "bayesian"])
def test_a_function_gets_crops_with_the_points_in_them_and_a_seeded_generator(loss, noise):
    X, points = noise
    drawn = []

    def look(image, points, rng):
        assert image.shape == (9, 11, 3)
        assert ((points >= -0.5) & (points < np.array(image.shape[:2]) - 0.5)).all()
        drawn.append(rng.integers(1000))
        image[:], points[:] = 0, 0  # copies: the training data stay as they are
        return image, points

    before = X.copy()
    counts = [small(augment=look, patch_size=(9, 11), loss=loss).fit(X, points).predict(X) for _ in range(2)]
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(*counts)
    assert drawn[: len(drawn) // 2] == drawn[len(drawn) // 2 :]


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (lambda image, points, rng: (image[1:], points), r"\(17, 22, 3\); got \(16, 22, 3\)"),
        (lambda image, points, rng: (None, points), ""),
        (lambda image, points, rng: image, r"\(image, points\)"),
        (lambda image, points, rng: (image, np.ones((2, 3))), r"\(2, 3\)"),
        (lambda image: image, r"\(image, points, rng\)"),
    ],
    ids=["another size", "no image", "the image alone", "points of three numbers", "no such call"],
)
def test_a_function_that_returns_something_else_is_refused_before_training(
    augment, message, noise, monkeypatch
):
    monkeypatch.setattr("skcount.regressors._fitting.train", None)
    with pytest.raises(ValueError, match=f"(?s)`augment`.*{message}"):
        small(augment=augment).fit(*noise)


def test_a_function_needs_points_and_no_side_data(noise):
    X, points = noise
    maps = DensityMapTransformer().transform(points, X.shape[1:3])
    roi = np.ones(X.shape[1:3], dtype=bool)
    with_side_data = [(points, {"roi": roi}), (points, {"perspective": roi * 2.0})]
    for y, side_data in [(maps, {}), (points.counts, {}), *with_side_data]:
        with pytest.raises(ValueError, match="`augment` needs points"):
            small(augment=keep).fit(X, y, **side_data)
