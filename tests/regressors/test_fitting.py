import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.exceptions import DataConversionWarning

from skcount import DensityMapTransformer, ImageSet, PointAnnotations, UNetRegressor
from skcount.datasets import make_cells
from skcount.regressors import _fitting
from skcount.training import BlankPenalty

small = partial(UNetRegressor, filters=4, depth=2, max_epochs=2, random_state=0)


@pytest.fixture
def no_training(monkeypatch):
    """Let every fit fail that comes to its training."""
    monkeypatch.setattr(_fitting, "train", None)


# --- what is learnt -------------------------------------------------------------------------------------------------


def test_it_learns_to_count_cells_and_that_a_blank_image_is_empty():
    X, points = make_cells(n_samples=24, image_shape=(64, 64), random_state=0, return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regressor = small(filters=8, batch_size=4, max_epochs=80).fit(X[:16], points[:16])
    blind = np.abs(points[16:].counts - points[:16].counts.mean()).mean()
    assert -regressor.score(X[16:], points[16:]) < 0.6 * blind
    for shape in ((64, 64, 3), (100, 75, 3)):
        assert regressor.predict(np.zeros((1, *shape), dtype=np.uint8))[0] < 0.5


def test_jitter_teaches_that_the_contrast_does_not_matter(monkeypatch):
    X, points = make_cells(n_samples=16, image_shape=(48, 48), random_state=0, return_X_y=True)
    X = X[..., 2] // 2  # room above
    monkeypatch.setattr("skcount.training._crops.JITTER", 0.5)  # more, so that a short training shows it

    def change(augment):
        regressor = small(max_epochs=60, augment=augment).fit(X, points)
        return np.abs(regressor.predict((1.25 * X).astype(np.uint8)) - regressor.predict(X)).mean()

    assert change("rotations+jitter") < 0.8 * change("rotations")


def test_points_and_their_density_maps_teach_the_same(noise):
    X, _ = noise
    # Far from the border and from each other, so that the highest pixel of all maps is that of one object.
    points = [[(8, 5), (8, 16)], [(9, 11)], [(7, 5), (8, 16)], [(8, 10)], [(8, 8)], [(9, 11)]]
    maps = DensityMapTransformer(sigma=1).transform(points, X.shape[1:3])
    alike = partial(small, sigma=1, diameter=12, augment="rotations", patch_size=32)
    expected = alike().fit(X, points).predict(X)
    np.testing.assert_array_equal(alike().fit(X, maps).predict(X), expected)
    np.testing.assert_array_equal(alike().fit(X, list(maps)).predict(X), expected)


def test_counts_alone_supervise():
    X = np.zeros((24, 16, 16), dtype=np.uint8)
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 8, len(X))
    for image, count in zip(X, counts, strict=True):
        flat = rng.choice(64, count, replace=False)
        image[2 * (flat // 8), 2 * (flat % 8)] = 255
    regressor = small(filters=8, max_epochs=60, lr=0.04).fit(X, counts)
    assert -regressor.score(X, counts) < 0.6 * np.abs(counts - counts.mean()).mean()
    assert regressor.patch_size_ == (16, 16)


def test_a_column_of_counts_teaches_like_a_row(noise):
    X, points = noise
    y = points.counts
    with pytest.warns(DataConversionWarning, match="column-vector"):
        of_column = small().fit(X, y[:, None])
    np.testing.assert_array_equal(of_column.predict(X), small().fit(X, y).predict(X))


def test_images_without_any_point_are_learnt():
    X = np.random.default_rng(0).random((3, 12, 12))
    with pytest.warns(UserWarning, match="None of the 3 training images has an object. Check `y`"):
        regressor = small(max_epochs=60, lr=0.04).fit(X, [[], [], []])
    assert (regressor.predict(X) < 0.5).all()


# --- weights, epochs and crops --------------------------------------------------------------------------------------


def test_an_image_of_weight_zero_is_left_out_altogether(noise):
    X, points = noise
    weights = np.array([1, 0, 1, 1, 0, 1])
    kept = weights > 0
    weighted = small().fit(X, points, sample_weight=weights)
    np.testing.assert_array_equal(weighted.predict(X), small().fit(X[kept], points[kept]).predict(X))


def test_auto_is_a_number_of_steps_which_may_end_within_an_epoch(noise, monkeypatch):
    X, points = noise
    auto = {"max_epochs": "auto", "batch_size": 1}
    steps = []
    monkeypatch.setattr(BlankPenalty, "__call__", lambda self, module: steps.append(1) or 0)
    monkeypatch.setattr(_fitting, "AUTO_STEPS", 7)
    assert small(**auto).fit(X, points).n_iter_ == 2
    assert len(steps) == 7
    # Images without weight do not count.
    weighted = small(**auto).fit(X, points, sample_weight=[1, 0, 0, 0, 0, 1])
    assert weighted.n_iter_ == small(**auto).fit(X[[0, 5]], points[[0, 5]]).n_iter_ == 4
    monkeypatch.setattr(_fitting, "AUTO_STEPS", 2)
    assert small(**auto).fit(X, points).n_iter_ == 1


@pytest.mark.parametrize(
    ("patch_size", "expected"),
    [("auto", (17, 22)), (16, (16, 16)), ((9, 20), (9, 20)), ([9, 20], (9, 20)), (1000, (17, 22))],
)
def test_patch_size_is_a_side_or_a_pair_and_at_most_the_image(patch_size, expected, noise):
    assert small(patch_size=patch_size).fit(*noise).patch_size_ == expected


# --- regions of interest and perspective ----------------------------------------------------------------------------

TOP = np.arange(17)[:, None] + np.zeros(22) < 9


def test_what_lies_outside_the_region_teaches_nothing(noise):
    X, points = noise
    outside = PointAnnotations([np.concatenate([p, [(12, 5), (15, 3)]]) for p in points])
    models = [
        small().fit(X, points, roi=TOP),
        small().fit(X, outside, roi=TOP),
        small().fit(ImageSet(X, roi=[TOP] * 6), outside.inside((17, 22), TOP)),
    ]
    counts = [model.predict(X) for model in models]
    np.testing.assert_array_equal(counts[0], counts[1])
    np.testing.assert_array_equal(counts[0], counts[2])
    assert not np.array_equal(counts[0], small().fit(X, points).predict(X))


@pytest.mark.parametrize("as_counts", [False, True])
def test_it_learns_to_count_inside_a_region(as_counts):
    X, points = make_cells(n_samples=12, image_shape=(40, 48), random_state=0, return_X_y=True)
    roi = np.arange(48) + np.zeros((40, 1)) < 20
    inside = points.inside((40, 48), roi).counts
    regressor = small(max_epochs=60, lr=0.04).fit(X, inside if as_counts else points, roi=roi)
    blind = np.abs(inside - inside.mean()).mean()
    assert -regressor.score(X, points, roi=roi) < 0.6 * blind


def test_the_kernel_of_a_fit_grows_with_the_perspective(noise, monkeypatch):
    X, points = noise
    scale = np.linspace(0.5, 2, 17 * 22).reshape(17, 22)
    seen, make_map = [], DensityMapTransformer.make_map

    def spy(self, *args, perspective=None, **params):
        seen.append(perspective)
        return make_map(self, *args, perspective=perspective, **params)

    monkeypatch.setattr(DensityMapTransformer, "make_map", spy)
    by_argument = small().fit(X, points, perspective=scale)
    assert sum(s is not None and np.array_equal(s, scale) for s in seen) >= 2 * 6
    stored = small().fit(ImageSet(X, perspective=np.stack([scale] * 6)), points)
    np.testing.assert_array_equal(by_argument.predict(X), stored.predict(X))
    assert not np.array_equal(by_argument.predict(X), small().fit(X, points).predict(X))


@pytest.mark.parametrize("name", ["roi", "perspective"])
def test_a_table_has_no_side_data(name):
    table, y, side_data = np.zeros((4, 5)), np.arange(4.0), {name: np.ones((1, 5))}
    regressor = small(warm_start=True)
    for _ in range(2):
        with pytest.raises(ValueError, match=f"`{name}` must be None for a table"):
            regressor.fit(table, y, **side_data)
        regressor.fit(table, y)
    if name == "roi":
        with pytest.raises(ValueError, match="`roi` must be None for a table"):
            regressor.predict(table, **side_data)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_training_on_a_table_goes_on_with_a_table_of_the_same_columns(method):
    table, y = np.random.default_rng(0).random((9, 5)), np.arange(9.0)
    regressor = small(warm_start=True).fit(table, y)
    assert getattr(regressor, method)(table, y).n_features_in_ == 5
    assert regressor.predict(table).shape == (9,)
    with pytest.raises(ValueError, match=r"4 features.*5 features"):
        getattr(regressor, method)(table[:, :4], y)


def test_points_that_fit_only_swapped_are_refused_and_a_stray_one_is_not(no_training):
    images, ignore = np.zeros((3, 6, 8)), small(density=DensityMapTransformer(outside="ignore"))
    with pytest.raises(ValueError, match=r"1 of 3 points .*image 0.*row 7, col 1.*swapped"):
        ignore.fit(images, [[(3, 4), (7, 1)], [(2, 2)], []])
    for points in ([(7, 1)] + [(1, 1)] * 20, [(7, 7.9), (7, 1)]):
        with pytest.raises(TypeError, match="NoneType"):
            ignore.fit(images, [points, [(1, 1)], []])


def test_a_failed_fit_on_a_table_leaves_a_model_of_images_and_an_unfitted_one(noise):
    images, points = noise
    fitted, unfitted = small().fit(images, points), small()
    counts = fitted.predict(images)
    for model in (fitted, unfitted):
        with pytest.raises(ValueError, match="NaN"):
            model.fit(np.ones((5, 3)), [1, 2, np.nan, 1, 1])
    np.testing.assert_array_equal(fitted.predict(images), counts)
    assert not hasattr(unfitted, "n_features_in_")


@pytest.mark.parametrize(
    ("n_images", "n_steps"), [(1, 1200), (64, 1200), (256, 2400), (800, 4242), (1600, 6000), (10**6, 6000)]
)
def test_auto_grows_with_the_square_root_of_the_number_of_images(n_images, n_steps):
    assert _fitting.auto_steps(n_images) == n_steps
