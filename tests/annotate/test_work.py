"""What the other process does: regions become masks, marked pictures a model, and a model counts and dots."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import skcount
from skcount.annotate._work import predict, region_mask, train
from skcount.datasets import make_cells
from skcount.images import ImageSet
from skcount.points import polygon_mask
from skcount.regressors import _fitting

SIZE = (48, 56)
LEFT = [[-0.5, -0.5], [-0.5, 27.5], [47.4, 27.5], [47.4, -0.5]]
TOP = [[-0.5, -0.5], [-0.5, 55.4], [23.5, 55.4], [23.5, -0.5]]


@pytest.fixture
def cells():
    """Three tiny pictures and their points."""
    X, points = make_cells(3, image_shape=SIZE, n_cells=9, radius=3, random_state=1, return_X_y=True)
    return ImageSet(X), [each.tolist() for each in points]


@pytest.fixture
def quick(monkeypatch):
    """Few steps of training: enough to save a model, too few to learn."""
    monkeypatch.setattr(_fitting, "TUNE_STEPS", 4)


@pytest.fixture
def fitted(monkeypatch):
    """What a regressor was given, which is not trained."""
    given = {}

    class Regressor:
        diameter_ = 6.0

        def __init__(self, **parameters):
            given.update(parameters)

        def fit(self, X, y):
            given.update(X=X, y=y)

        def save(self, out):
            given.update(out=out)

    monkeypatch.setattr(skcount, "DensityMapRegressor", Regressor)
    return given


# Regions.


def test_a_finished_picture_was_marked_everywhere():
    assert region_mask(SIZE, [], True).all()
    assert region_mask(SIZE, [("count", LEFT)], True).all()


def test_a_picture_with_regions_was_marked_in_them():
    assert not region_mask(SIZE, [], False).any()
    left, top = polygon_mask(LEFT, SIZE), polygon_mask(TOP, SIZE)
    assert left[:, :28].all()
    assert not left[:, 28:].any()
    assert_array_equal(region_mask(SIZE, [("count", LEFT)], False), left)
    assert_array_equal(region_mask(SIZE, [("count", LEFT), ("count", TOP)], False), left | top)


@pytest.mark.parametrize("turn", [1, -1])
def test_what_is_ignored_is_not_marked_in_any_order(turn):
    left, top = polygon_mask(LEFT, SIZE), polygon_mask(TOP, SIZE)
    regions = [("ignore", TOP), ("count", LEFT)][::turn]
    assert_array_equal(region_mask(SIZE, regions, False), left & ~top)
    assert_array_equal(region_mask(SIZE, regions, True), ~top)
    assert not region_mask(SIZE, [("ignore", TOP)], False).any()


def test_a_mask_has_the_size_of_its_picture():
    mask = region_mask((3, 5), [("count", [[-10, -10], [-10, 99], [99, 99], [99, -10]])], False)
    assert mask.shape == (3, 5)
    assert mask.dtype == bool


# What is trained on.


def test_finished_pictures_are_given_without_a_region(cells, fitted):
    images, dots = cells
    found = train(images, [(2, dots[2], [], True), (0, dots[0], [], True)], "objects", 5.5, "out")
    assert (fitted["weights"], fitted["diameter"], fitted["out"]) == ("objects", 5.5, "out")
    assert fitted["X"].roi is None
    assert_array_equal(np.asarray(fitted["X"]), np.asarray(images)[[2, 0]])
    assert_allclose(fitted["y"][1], dots[0])
    n_dots = len(dots[0]) + len(dots[2])
    assert found == {"diameter": 6.0, "n_pictures": 2, "n_dots": n_dots, "trained_on": [2, 0], "warnings": []}


def test_dots_outside_of_the_regions_are_left_out(cells, fitted):
    images, _ = cells
    dots = [[10, 10], [10, 50], [40, 10], [40, 50]]
    marked = [(0, dots, [("count", LEFT)], False), (1, dots, [], True), (2, dots, [("ignore", TOP)], True)]
    found = train(images, marked, "objects", "auto", "out")
    assert [each.tolist() for each in fitted["y"]] == [[[10, 10], [40, 10]], dots, [[40, 10], [40, 50]]]
    assert found["n_dots"] == 8
    for number, (_, _, regions, whole) in enumerate(marked):
        assert_array_equal(fitted["X"].roi[number], region_mask(SIZE, regions, whole))


def test_a_finished_picture_may_be_empty(cells, fitted):
    images, dots = cells
    train(images, [(0, dots[0], [], True), (1, [], [], True)], "objects", "auto", "out")
    assert fitted["y"][1].shape == (0, 2)


@pytest.mark.parametrize("regions", [[], [("ignore", TOP)]], ids=["whole", "with a region"])
def test_regions_that_the_images_have_themselves_are_kept(cells, fitted, regions):
    images, dots = cells
    own = np.arange(SIZE[1]) < np.full((SIZE[0], 1), 28)
    train(ImageSet(images, roi=own), [(0, dots[0], regions, True)], "objects", "auto", "out")
    roi = fitted["X"].roi
    assert_array_equal(roi if isinstance(roi, np.ndarray) else roi[0], own & region_mask(SIZE, regions, True))


# Models.


def assert_loads(found, images, out, n_pictures, n_dots):
    """Check what a training has said, and that its model counts all pictures."""
    assert (found["n_pictures"], found["n_dots"]) == (n_pictures, n_dots)
    assert 1 < found["diameter"] < 30
    counts, places, maps = predict(images, str(out), [2, 0])
    assert list(counts) == [2, 0]
    assert np.isfinite(list(counts.values())).all()
    assert places == maps == {}
    with_points, places, maps = predict(images, str(out), [0], True)
    assert with_points[0] == pytest.approx(counts[0], rel=1e-4, abs=1e-4)
    assert maps[0].shape == SIZE
    assert maps[0].dtype == np.float32
    assert maps[0].sum() == pytest.approx(with_points[0], rel=1e-4)
    assert all(len(place) == 2 and -0.5 <= place[0] < 47.5 and -0.5 <= place[1] < 55.5 for place in places[0])


def test_a_model_of_finished_pictures_loads(cells, quick, tmp_path):
    images, dots = cells
    out = tmp_path / "model.skcount"
    found = train(images, [(n, dots[n], [], True) for n in range(3)], "objects", "auto", str(out))
    assert found["trained_on"] == [0, 1, 2]
    assert_loads(found, images, out, 3, sum(map(len, dots)))


def test_a_model_of_regions_loads(cells, quick, tmp_path):
    images, dots = cells
    out = tmp_path / "model.skcount"
    marked = [(0, dots[0], [("count", LEFT)], False), (2, dots[2], [("ignore", TOP)], True)]
    found = train(images, marked, "objects", 6.0, str(out))
    inside = sum(col < 27.5 for _, col in dots[0]) + sum(row >= 23.5 for row, _ in dots[2])
    assert (found["trained_on"], found["diameter"]) == ([0, 2], 6.0)
    assert_loads(found, images, out, 2, inside)


def test_a_region_without_a_pixel_is_an_error_that_says_so(cells, quick, tmp_path):
    images, dots = cells
    tiny = [[1.1, 1.1], [1.1, 1.2], [1.2, 1.1]]
    with pytest.raises(ValueError, match=r"\w+"):
        train(
            images, [(0, dots[0], [("count", tiny)], False)], "objects", 6.0, str(tmp_path / "model.skcount")
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_training_of_full_length_counts_better_than_none(cells, tmp_path):
    images, dots = cells
    out = tmp_path / "model.skcount"
    train(images, [(n, dots[n], [], True) for n in range(3)], "objects", "auto", str(out))
    counts, *_ = predict(images, str(out), range(3))
    true = np.array(list(map(len, dots)))
    assert np.abs(np.array(list(counts.values())) - true).mean() < 0.3 * true.mean()


def test_the_model_for_nuclei_comes_with_the_package(cells):
    images, _ = cells
    counts, places, maps = predict(images, "nuclei", [1], True)
    assert list(counts) == list(places) == list(maps) == [1]
