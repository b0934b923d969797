import csv
import io
import zipfile

import numpy as np
import pytest

from skcount import ImageSet, PointAnnotations
from skcount.datasets import make_cells
from skcount.density import estimate_diameter


def scene(diameter, n_objects=12, size=None, n_images=4, seed=0, levels=(0.8,)):
    """Textured images with discs of a diameter, each of one of the levels, that may touch."""
    rng = np.random.default_rng(seed)
    side = size or int(12 * diameter + 30)
    rows, cols = np.mgrid[:side, :side]
    images, points = [], []
    for _ in range(n_images):
        image = 0.5 + 0.05 * rng.normal(size=(side, side))
        dots = []
        while len(dots) < n_objects:
            dot = rng.uniform(0, side - 1, 2)
            if all(np.hypot(*(dot - other)) > 0.9 * diameter for other in dots):
                dots.append(dot)
                image[np.hypot(rows - dot[0], cols - dot[1]) < diameter / 2] = rng.choice(levels)
        images.append(image)
        points.append(dots)
    return np.array(images), PointAnnotations(points)


@pytest.mark.parametrize("diameter", [4, 9, 20, 60])
@pytest.mark.parametrize("levels", [(0.8,), (0.2, 0.8)], ids=["bright", "bright and dark"])
def test_the_width_of_discs_is_found(diameter, levels):
    X, points = scene(diameter, levels=levels)
    assert estimate_diameter(ImageSet(X), points) == pytest.approx(diameter, rel=0.25)


def test_a_few_objects_on_a_large_image_are_enough():
    X, points = scene(30, n_objects=1, size=400, n_images=4)
    assert estimate_diameter(ImageSet(X), points) == pytest.approx(30, rel=0.25)


def test_light_orientation_and_further_channels_do_not_matter():
    X, points = make_cells(4, image_shape=(96, 120), random_state=0, return_X_y=True)
    X = X.astype(float)
    expected = estimate_diameter(ImageSet(X), points)
    others = {
        "darker": ImageSet(3 - 0.1 * X),
        "with a blank channel": ImageSet(np.concatenate([X, np.ones_like(X[..., :1])], axis=-1)),
    }
    for name, images in others.items():
        assert estimate_diameter(images, points) == pytest.approx(expected, rel=0.1), name
    turned = PointAnnotations([p[:, ::-1] for p in points])
    assert estimate_diameter(ImageSet(X.swapaxes(1, 2)), turned) == pytest.approx(expected, rel=0.15)


def test_it_doubles_with_the_magnification():
    X, points = scene(10)
    twice = X.repeat(2, axis=1).repeat(2, axis=2)
    once = estimate_diameter(ImageSet(X), points)
    moved = PointAnnotations([2 * p + 0.5 for p in points])
    assert estimate_diameter(ImageSet(twice), moved) == pytest.approx(2 * once, rel=0.15)


def test_images_of_weight_zero_and_pixels_outside_the_region_do_not_matter():
    X, points = scene(12)
    expected = estimate_diameter(ImageSet(X[:3]), points[:3])
    other, dots = scene(30, size=X.shape[1], n_images=1, n_objects=5)
    together = ImageSet(np.concatenate([X[:3], other]))
    assert estimate_diameter(together, points[:3] + dots, sample_weight=[1, 1, 1, 0]) == expected
    roi = np.arange(X.shape[2]) < np.full((X.shape[1], 1), X.shape[2] * 3 // 4)
    found = [
        estimate_diameter(images, points.inside(images))
        for images in (ImageSet(np.where(roi, X, value), roi=roi) for value in (0.5, -9999, np.nan))
    ]
    assert found[0] == found[1] == found[2] == pytest.approx(12, rel=0.25)


@pytest.mark.parametrize("n_dots", [0, 1, 40])
def test_dots_that_tell_nothing_give_none(n_dots):
    rng = np.random.default_rng(0)
    dots = [rng.uniform(0, 63, (n_dots, 2)) for _ in range(2)]
    assert estimate_diameter(ImageSet(np.ones((2, 64, 64))), PointAnnotations(dots)) is None


@pytest.mark.parametrize(("size", "kind"), [((256, 256), "fluorescence"), ((360, 360), "fluorescence")])
def test_nuclei_are_as_wide_as_their_masks(size, kind, published):
    image = pytest.importorskip("PIL.Image")
    with zipfile.ZipFile(published("nuclei_dsb2018.zip")) as archive:
        rows = csv.DictReader(io.StringIO(archive.read("images.csv").decode()))
        rows = [row for row in rows if (int(row["height"]), int(row["width"]), row["kind"]) == (*size, kind)]
        rows = rows[:: len(rows) // 8]
        dots = {row["image"]: [] for row in rows}
        for row in csv.DictReader(io.StringIO(archive.read("points.csv").decode())):
            if row["image"] in dots:
                dots[row["image"]].append((float(row["y"]), float(row["x"])))
        X = [np.asarray(image.open(io.BytesIO(archive.read(f"images/{name}"))).convert("L")) for name in dots]
    n_dots = [len(p) for p in dots.values()]
    true = np.average([2 * float(row["median_radius"]) for row in rows], weights=n_dots)
    assert estimate_diameter(ImageSet(X), PointAnnotations(list(dots.values()))) == pytest.approx(
        true, rel=0.3
    )
