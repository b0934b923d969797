"""Weights that come with the package, and fits that start from weights."""

import hashlib
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

import skcount
from skcount import DensityMapRegressor, FCRNRegressor, OutOfDistributionWarning, UNetRegressor
from skcount.datasets import make_cells
from skcount.regressors import pretrained_file

# Cells whose light differs little, on a background that is almost black: any nucleus counter should do.
CELLS = {"brightness": (140, 170), "background": 20.0, "overlap": 0.2, "blur": (0.8, 1.2), "texture": 0.1}


@pytest.fixture(scope="module")
def nuclei():
    return skcount.load_pretrained("nuclei")


def clone_of(fitted):
    """The same fitted regressor, to be changed."""
    return pickle.loads(pickle.dumps(fitted))


@pytest.fixture(scope="module")
def start():
    X, points = make_cells(3, image_shape=(48, 48), n_cells=12, random_state=0, return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return DensityMapRegressor(normalize="image", diameter=16, max_epochs=2, random_state=0).fit(
            X, points
        )


@pytest.mark.parametrize("radius", [3, 8, 16, 30])
def test_nuclei_of_any_size_are_counted_without_training(nuclei, radius):
    side = 24 * radius
    X, points = make_cells(
        3, image_shape=(side, side), n_cells=(15, 40), radius=radius, random_state=0, return_X_y=True, **CELLS
    )
    error = np.abs(nuclei.predict(X) - points.counts).sum() / points.counts.sum()
    assert error < 0.15  # always predicting the mean of the range is off by 0.2 to 0.3


def test_the_count_depends_neither_on_type_nor_channels_nor_polarity(nuclei):
    X, _ = make_cells(1, n_cells=30, radius=8, random_state=0, return_X_y=True, **CELLS)
    grey = X[0].mean(axis=-1)
    reference = nuclei.predict([grey])
    given = [
        (grey / 255 * 0.04 * 65535).astype(np.uint16),
        np.stack([grey] * 3, axis=-1),
        np.stack([grey, grey, grey, np.full_like(grey, 255)], axis=-1),
        255 - grey,
        1000 * grey - 500,
    ]
    np.testing.assert_allclose([nuclei.predict([image])[0] for image in given], reference[0], atol=0.5)


def test_a_model_that_chooses_the_size_of_each_image_is_not_trained_on(nuclei):
    X, points = make_cells(2, image_shape=(32, 32), n_cells=5, random_state=0, return_X_y=True)
    with pytest.raises(ValueError, match=r"Start a fit from its weights.*weights=regressor"):
        clone_of(nuclei).partial_fit(X, points)
    DensityMapRegressor(weights=nuclei, max_epochs=1, random_state=0).fit(X, points)


def test_a_diameter_can_be_given(nuclei):
    X, points = make_cells(
        2, image_shape=(256, 256), n_cells=30, radius=16, random_state=0, return_X_y=True, **CELLS
    )
    given = skcount.load_pretrained("nuclei", diameter=32)
    assert (given.diameter, given.diameter_, given.reduction_) == (32.0, 32.0, 2)
    np.testing.assert_allclose(given.predict(X), nuclei.predict(X), rtol=0.2)
    assert np.abs(given.predict(X) - points.counts).max() < 6


def test_counts_are_sums_of_maps_and_points_lie_on_objects(nuclei):
    sizes = [(4, 128), (12, 300)]
    made = [
        make_cells(
            1, image_shape=(side, side), n_cells=20, radius=radius, random_state=0, return_X_y=True, **CELLS
        )
        for radius, side in sizes
    ]
    X, points = [images[0] for images, _ in made], [found[0] for _, found in made]
    counts, maps, placed = nuclei.predict(X), nuclei.predict_density(X), nuclei.predict_points(X)
    np.testing.assert_allclose([each.sum() for each in maps], counts, rtol=1e-4)
    np.testing.assert_allclose([each.sum() for each in nuclei.iter_density(X)], counts, rtol=1e-4)
    for (radius, _), each, true, count in zip(sizes, placed, points, counts, strict=True):
        assert len(each) == round(count)
        nearest = np.linalg.norm(true[:, None] - each, axis=-1).min(axis=1)
        assert np.median(nearest) < radius / 2


def test_tiles_give_the_same_counts(nuclei):
    X, _ = make_cells(
        1, image_shape=(300, 260), n_cells=60, radius=7, random_state=0, return_X_y=True, **CELLS
    )
    tiled = skcount.load_pretrained("nuclei").set_params(tile_size=160)
    np.testing.assert_allclose(tiled.predict(X), nuclei.predict(X), rtol=1e-4)


def test_only_the_region_is_counted(nuclei):
    X, points = make_cells(
        2, image_shape=(200, 200), n_cells=40, radius=8, random_state=0, return_X_y=True, **CELLS
    )
    roi = np.zeros((200, 200), dtype=bool)
    roi[:, :100] = True
    inside = points.inside(skcount.ImageSet(X, roi=roi)).counts
    np.testing.assert_allclose(nuclei.predict(X, roi=roi), inside, atol=4)


@pytest.mark.parametrize("name", ["black", "white", "noise", "wide noise"])
def test_pictures_of_nothing_count_less_than_one(nuclei, name):
    rng = np.random.default_rng(0)
    image = {
        "black": np.zeros((256, 256), dtype=np.uint8),
        "white": np.full((256, 256, 3), 255, dtype=np.uint8),
        "noise": np.clip(128 + 30 * rng.standard_normal((256, 256)), 0, 255).astype(np.uint8),
        "wide noise": rng.integers(0, 65536, (256, 256), dtype=np.uint16),
    }[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutOfDistributionWarning)
        assert nuclei.predict([image])[0] < 1


def test_a_photo_without_nuclei_is_warned_of(nuclei):
    samples = pytest.importorskip("sklearn.datasets").load_sample_images().images
    for photo in samples:
        with pytest.warns(OutOfDistributionWarning, match="does not look like separate objects"):
            nuclei.predict([photo])


def test_weights_that_cannot_count_say_so():
    with pytest.raises(ValueError, match=r"cannot count without training.*weights='objects'"):
        skcount.load_pretrained("objects")


@pytest.mark.parametrize("name", ["nuclei", "objects"])
def test_the_files_are_small_and_have_a_card(name):
    file = pretrained_file(name)
    assert file.stat().st_size <= 1.5e6
    card = file.with_suffix(".md").read_text(encoding="utf-8")
    for word in ("Trained on", "Licence", "CC0", "Digest", "Works", "Fails"):
        assert word in card
    assert hashlib.sha256(file.read_bytes()).hexdigest() in card


@pytest.mark.parametrize("name", ["nuclei", "objects"])
def test_three_images_are_enough_from_weights(name):
    X, points = make_cells(
        9, image_shape=(128, 128), n_cells=(5, 50), radius=6, random_state=0, return_X_y=True
    )
    regressor = DensityMapRegressor(weights=name, random_state=0).fit(X[:3], points[:3])
    error = np.abs(regressor.predict(X[3:]) - points[3:].counts).sum() / points[3:].counts.sum()
    blind = np.abs(points[:3].counts.mean() - points[3:].counts).sum() / points[3:].counts.sum()
    assert error < 0.2 < blind


def test_a_fit_starts_from_weights_and_leaves_them_alone(start):
    X, points = make_cells(3, image_shape=(48, 48), n_cells=12, radius=10, random_state=1, return_X_y=True)
    before = {name: value.clone() for name, value in start.module_.state_dict().items()}
    tuned = DensityMapRegressor(weights=start, diameter=32, max_epochs=1, lr=1e-9, random_state=0).fit(
        X, points
    )
    assert (tuned.reduction_, tuned.n_channels_in_) == (2, 1)
    assert tuned.density_.sigma == 2 * start.density_.sigma
    for name, value in start.module_.state_dict().items():
        assert (value == before[name]).all()
        if name != "output_scale":  # fitted to the counts
            np.testing.assert_allclose(tuned.module_.state_dict()[name], value, atol=1e-5)


def test_weights_are_given_as_a_file_a_regressor_or_a_frozen_one(start, tmp_path):
    X, points = make_cells(3, image_shape=(48, 48), n_cells=12, random_state=1, return_X_y=True)
    start.save(tmp_path / "start.skcount")
    given = [start, FrozenEstimator(start), tmp_path / "start.skcount", str(tmp_path / "start.skcount")]
    counts = [
        DensityMapRegressor(weights=w, max_epochs=1, random_state=0).fit(X, points).predict(X) for w in given
    ]
    for other in counts[1:]:
        np.testing.assert_array_equal(other, counts[0])
    same_network = UNetRegressor(weights=start, max_epochs=1, random_state=0).fit(X, points)
    np.testing.assert_array_equal(same_network.predict(X), counts[0])


def test_weights_can_be_searched_and_cloned(start, tmp_path):
    X, points = make_cells(4, image_shape=(48, 48), n_cells=12, random_state=1, return_X_y=True)
    start.save(tmp_path / "start.skcount")
    weights = [None, "nuclei", str(tmp_path / "start.skcount"), FrozenEstimator(start)]
    search = GridSearchCV(DensityMapRegressor(max_epochs=1, random_state=0), {"weights": weights}, cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = search.fit(X, points).cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert scores[2] == scores[3]
    assert clone(DensityMapRegressor(weights=start)).weights is start


def test_a_tuned_regressor_is_saved_and_trained_on(start, tmp_path):
    X, points = make_cells(3, image_shape=(48, 48), n_cells=12, random_state=1, return_X_y=True)
    tuned = DensityMapRegressor(weights=start, max_epochs=1, random_state=0).fit(X, points)
    with pytest.warns(UserWarning, match="`weights` of this DensityMapRegressor is not saved"):
        tuned.save(tmp_path / "tuned.skcount")
    loaded = skcount.load(tmp_path / "tuned.skcount")
    np.testing.assert_array_equal(loaded.predict(X), tuned.predict(X))
    for regressor in (loaded, tuned):
        reduction = regressor.reduction_
        regressor.set_params(warm_start=True).fit(X, points)
        regressor.partial_fit(X, points)
        assert regressor.reduction_ == reduction


def test_a_normalized_fit_takes_pixels_of_another_type_and_number_of_channels(start):
    X, _ = make_cells(2, image_shape=(48, 48), n_cells=12, random_state=1, return_X_y=True)
    grey = X.mean(axis=-1)
    np.testing.assert_allclose(
        start.predict((257.0 * grey).astype(np.uint16)), start.predict(grey), atol=0.05
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"weights": "nucleus"}, "there is no file 'nucleus'"),
        ({"weights": clone(DensityMapRegressor())}, "is not fitted.*FrozenEstimator"),
        ({"weights": "nuclei", "architecture": "fcrn_a"}, "whose layers differ"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(params, message):
    X, points = make_cells(2, image_shape=(32, 32), n_cells=5, random_state=0, return_X_y=True)
    with pytest.raises(ValueError, match=message):
        DensityMapRegressor(**params).fit(X, points)


def test_weights_for_other_channels_or_a_table_are_refused():
    X, points = make_cells(2, image_shape=(32, 32), n_cells=5, random_state=0, return_X_y=True)
    of_colour = DensityMapRegressor(max_epochs=1, random_state=0).fit(X, points)
    with pytest.raises(ValueError, match="images with 3 channels; X has 1"):
        DensityMapRegressor(weights=of_colour).fit(X[..., 0], points)
    with pytest.raises(ValueError, match="`weights` must be None for a table"):
        DensityMapRegressor(weights=of_colour).fit(np.zeros((4, 3)), [1, 2, 3, 4])
    of_table = FCRNRegressor(max_epochs=1, random_state=0).fit(np.eye(4), [1, 2, 3, 4])
    with pytest.raises(ValueError, match="fitted on a table"):
        FCRNRegressor(weights=of_table).fit(X, points)


def test_validation_images_are_normalized_like_the_others(start):
    X, points = make_cells(4, image_shape=(48, 48), n_cells=12, random_state=1, return_X_y=True)
    regressor = DensityMapRegressor(weights=start, max_epochs=2, random_state=0)
    other_type = (257.0 * X[2:].mean(axis=-1)).astype(np.uint16)
    regressor.fit(X[:2], points[:2], validation_data=(other_type, points[2:]))
    best = min(row["valid_count_mae"] for row in regressor.history_)
    np.testing.assert_allclose(-regressor.score(other_type, points[2:]), best, rtol=0.3)


def test_a_normalized_network_is_not_exported(start, tmp_path):
    with pytest.raises(ValueError, match="normalizes each image cannot be exported"):
        start.export_onnx(tmp_path / "model.onnx")


def test_a_fit_enlarges_small_objects_only_if_the_weights_know_them():
    X, points = make_cells(
        3, image_shape=(96, 96), n_cells=40, radius=3, random_state=0, return_X_y=True, **CELLS
    )
    elsewhere = [np.random.default_rng(0).uniform(0, 95, each.shape) for each in points]

    def fit(y):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return DensityMapRegressor(weights="nuclei", diameter=6.0, max_epochs=1, random_state=0).fit(X, y)

    assert fit(points).reduction_ < 1
    assert fit(elsewhere).reduction_ == 1
