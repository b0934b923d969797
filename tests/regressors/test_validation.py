from functools import partial

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skcount import ImageSet, PointAnnotations, UNetRegressor
from skcount.regressors import _fitting, _training_data
from skcount.regressors._training_data import hold_out
from skcount.training import PointTarget, Validation

small = partial(UNetRegressor, filters=4, depth=2, max_epochs=2, random_state=0)


def weights_of(module):
    return [v.clone() for name, v in module.state_dict().items() if name != "output_scale"]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# --- the best weights are kept --------------------------------------------------------------------------------------


def test_the_weights_with_the_smallest_error_on_validation_images_are_kept(cells, monkeypatch):
    errors, seen = [5.0, 3.0, 4.0, 2.0, 2.0, 6.0], []
    monkeypatch.setattr(Validation, "error", lambda self, module, prediction: errors[len(seen)])

    class Look(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(weights_of(net.module_))

    regressor = small(max_epochs=6, validation_fraction=0.25, callbacks=[Look()]).fit(*cells)
    assert [row["valid_count_mae"] for row in regressor.history_] == errors
    assert same(weights_of(regressor.module_), seen[3])
    assert not same(seen[3], seen[4])


def test_the_error_is_that_of_the_predictions(cells):
    X, points = cells
    errors = []

    class Look(Callback):
        def on_epoch_end(self, net, **kwargs):
            pixels = torch.from_numpy(X[5:].transpose(0, 3, 1, 2) / np.float32(255))
            with torch.inference_mode():
                counts = net.module_.eval()(pixels).sum(dim=(1, 2, 3))
            net.module_.train()
            errors.append(np.abs(counts.numpy() - points[5:].counts).mean())

    regressor = small(callbacks=[Look()]).fit(X[:5], points[:5], validation_data=(X[5:], points[5:]))
    np.testing.assert_allclose([row["valid_count_mae"] for row in regressor.history_], errors, rtol=1e-4)


@pytest.mark.parametrize(("early_stopping", "patience"), [(3, 3), (1, 1), (True, _fitting.PATIENCE)])
def test_early_stopping_ends_if_nothing_becomes_better(early_stopping, patience, noise, monkeypatch):
    errors = iter([3.0, 2.0, *np.arange(5.0, 100)])
    monkeypatch.setattr(Validation, "error", lambda self, module, prediction: next(errors))
    regressor = small(max_epochs=90, early_stopping=early_stopping).fit(*noise)
    assert regressor.n_iter_ == 2 + patience
    never = small(max_epochs=7, validation_fraction=0.3).fit(*noise)
    assert never.n_iter_ == 7


# --- a part of the images -------------------------------------------------------------------------------------------


def test_held_out_images_teach_nothing(cells, monkeypatch):
    X, points = cells
    drawn, crop = set(), PointTarget.crop

    def spy(self, index, *args):
        drawn.add(len(self.points[index]))
        return crop(self, index, *args)

    monkeypatch.setattr(PointTarget, "crop", spy)
    distinct = PointAnnotations([points.coordinates[: i + 1] for i in range(8)])
    small(validation_fraction=0.4, max_epochs=20).fit(X, distinct)
    assert len(drawn) == 5


def test_groups_are_held_out_as_a_whole():
    groups = np.array(["a", "b", "a", "c", "b", "c", "d", "d"])
    for seed in range(5):
        train, valid = hold_out(np.arange(8), groups, 0.25, seed)
        assert sorted([*train, *valid]) == list(range(8))
        assert not set(groups[train]) & set(groups[valid])
        assert len(set(groups[valid])) == 1


@pytest.fixture
def splits(monkeypatch):
    """Arguments and results of all splits."""
    splits = []

    def spy(*args):
        splits.append((args, hold_out(*args)))
        return splits[-1][1]

    monkeypatch.setattr(_training_data, "hold_out", spy)
    return splits


def test_groups_are_stored_or_passed_to_the_split(cells, splits):
    X, points = cells
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    regressor = small(validation_fraction=0.25)
    counts = [
        regressor.fit(X, points, groups=groups).predict(X),
        regressor.fit(ImageSet(X, groups=groups), points).predict(X),
    ]
    np.testing.assert_array_equal(*counts)
    np.testing.assert_array_equal([args[1] for args, _ in splits], [groups, groups])
    with pytest.raises(ValueError, match=r"`groups` must have shape \(8,\).*got \(2,\)"):
        regressor.fit(X, points, groups=[1, 2])


@pytest.mark.parametrize("random_state", [None, 0, np.random.RandomState(0)])
def test_a_warm_start_holds_the_same_images_out(random_state, noise, splits):
    regressor = small(max_epochs=1, warm_start=True, validation_fraction=0.4, random_state=random_state)
    regressor.fit(*noise).fit(*noise).fit(*noise)
    assert len({tuple(valid) for _, (_, valid) in splits}) == 1


# --- images of their own --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["points", "counts", "maps"])
def test_validation_data_are_images_that_are_held_out_by_hand(kind, cells):
    X, points = cells
    y = {"points": points, "counts": points.counts}
    y["maps"] = _fitting.DensityMapTransformer().transform(points, X.shape[1:3])
    y, params = y[kind], {"max_epochs": 4, "early_stopping": 3}
    by_fraction = small(**params, validation_fraction=0.4).fit(X, y)
    train, valid = hold_out(np.arange(8), None, 0.4, 0)
    by_hand = small(**params).fit(X[train], y[train], validation_data=(X[valid], y[valid]))
    assert same(weights_of(by_hand.module_), weights_of(by_fraction.module_))
    errors = [[row["valid_count_mae"] for row in r.history_] for r in (by_hand, by_fraction)]
    np.testing.assert_allclose(*errors, rtol=1e-6)


def test_validation_data_may_have_other_sizes_regions_and_kinds_of_y(noise):
    X, points = noise
    roi = np.arange(30) + np.zeros((20, 1)) < 9
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    places = PointAnnotations([[(1, 2), (3, 20)], [], [(5, 5), (6, 8)]])
    counts = places.inside((20, 30), roi).counts
    errors = []
    for y in (places, counts):
        regressor = small(tile_size=112).fit(X, points, validation_data=(ImageSet(images, roi=roi), y))
        errors.append([row["valid_count_mae"] for row in regressor.history_])
    assert errors[0] == errors[1]


def test_a_table_is_validated_on_a_table():
    X = np.random.default_rng(0).random((20, 6))
    y = X.sum(axis=1)
    regressor = small(early_stopping=3).fit(X[:12], y[:12], validation_data=(X[12:], y[12:]))
    assert all("valid_count_mae" in row for row in regressor.history_)


TABLE = np.random.default_rng(0).random((9, 6)), np.arange(9)
NAN = np.where(np.arange(17 * 22 * 3).reshape(17, 22, 3) == 2 * 66 + 3 * 3, np.nan, 0.5)


@pytest.mark.filterwarnings("ignore:X has pixels of type float64")
@pytest.mark.parametrize(
    ("trained_on", "make", "message"),
    [
        ("images", lambda X, y: X, r"`validation_data` must be a pair \(X, y\); got ndarray"),
        ("images", lambda X, y: (X, y, y), r"`validation_data` must be a pair"),
        ("images", lambda X, y: (X, y[:2]), "2 entries.*6 images"),
        ("images", lambda X, y: (X, None), "y to be passed"),
        ("images", lambda X, y: (X[0], y[:1]), r"X\[None\]"),
        ("images", lambda X, y: (X[..., :1], y), "3 channels.*got 1"),
        ("images", lambda X, y: ([X[0] / 255, NAN], y[:2]), "Image 1 of X.*row 2, column 3"),
        ("images", lambda X, y: (np.ones((6, 5)), y.counts), "X"),
        ("a table", lambda X, y: (X[:, :5], y), "5 features.*6 features"),
        ("a table", lambda X, y: (X * np.nan, y), "NaN"),
        ("a table", lambda X, y: (np.ones((9, 7, 7)), y), "table with 6 features"),
    ],
)
def test_wrong_validation_data_are_refused_before_training(trained_on, make, message, noise, monkeypatch):
    monkeypatch.setattr(_fitting, "train", None)
    data = noise if trained_on == "images" else TABLE
    with pytest.raises(ValueError, match=f"(?s){message}"):
        small().fit(*data, validation_data=make(*data))


def test_there_is_one_validation_set(noise):
    X, points = noise
    with pytest.raises(ValueError, match="`validation_fraction` must be None with validation_data"):
        small(validation_fraction=0.5).fit(X, points, validation_data=(X, points))
