from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV

from skcount import DensityMapRegressor, DensityMapTransformer, UNetRegressor
from skcount.datasets import make_cells
from skcount.losses import LOSSES, MSECountLoss, MSELoss, MultiScaleLoss, make_loss
from skcount.losses._losses import block_means
from skcount.losses._points import squared_distances, transport_potential

small = partial(UNetRegressor, filters=4, depth=2, max_epochs=2, random_state=0)
SHAPE = (24, 32)
POINTS = [
    np.array([[4.0, 5.0], [15.2, 9.7], [15.0, 25.5], [23.0, 31.0]]),
    np.array([[8.0, 16.0]]),
    np.empty((0, 2)),
]
OF_MAPS = [name for name, loss in LOSSES.items() if not loss.needs_points]
OF_POINTS = [name for name, loss in LOSSES.items() if loss.needs_points]


def batch(points=POINTS, mask=None, weight=None, sigma=2.0):
    """Targets as the crops make them: maps, masks, weights, and the points' masses under the mask."""
    mask = np.ones((len(points), *SHAPE)) if mask is None else mask
    density = DensityMapTransformer(sigma=sigma)
    maps = np.stack([density.make_map(p, SHAPE) for p in points])
    masses = [density.point_masses(p, SHAPE, (0, 0, *SHAPE), m) for p, m in zip(points, mask, strict=True)]
    return {
        "target": torch.from_numpy(maps)[:, None],
        "mask": torch.from_numpy(mask.astype(np.float32))[:, None],
        "weight": torch.ones(len(points)) if weight is None else torch.tensor(weight),
        "points": [torch.from_numpy(m.astype(np.float32)) for m in masses],
    }


def dots(points=POINTS):
    """Maps with all of each object on its pixel."""
    maps = [DensityMapTransformer(sigma=1e-6).make_map(p, SHAPE) for p in points]
    return torch.from_numpy(np.stack(maps)[:, None])


@pytest.fixture
def density():
    torch.manual_seed(0)
    return torch.rand(3, 1, *SHAPE) / 100


@pytest.mark.parametrize("name", OF_MAPS)
def test_a_perfect_map_has_no_loss(name):
    target = batch()
    assert make_loss(name, 0.1, 2.0)(target["target"], target) == 0


@pytest.mark.parametrize("name", OF_POINTS)
def test_objects_in_their_places_have_almost_no_loss_and_others_more(name):
    loss, target = make_loss(name, 0.01, 2.0), batch()
    perfect = loss(dots(), target)
    assert perfect < 0.1 * loss(torch.zeros_like(dots()), target)
    assert perfect < 0.5 * loss(dots().roll(8, dims=3), target)
    assert perfect < loss(dots() * 1.2, target)
    assert perfect < loss(dots() * 0.8, target)


def test_mse_is_the_mean_squared_error(density):
    target = batch()
    expected = torch.nn.functional.mse_loss(density, target["target"])
    torch.testing.assert_close(make_loss("mse", 1.0, 2.0)(density, target), expected)
    torch.testing.assert_close(make_loss("mse", 0.1, 2.0)(density, target), 100 * expected)


def test_l1_and_huber_are_those_of_torch(density):
    target = batch()
    scaled = density / 0.01, target["target"] / 0.01
    l1, huber = (make_loss(name, 0.01, 2.0)(density, target) for name in ("l1", "huber"))
    torch.testing.assert_close(l1, torch.nn.functional.l1_loss(*scaled))
    torch.testing.assert_close(huber, 2 * torch.nn.functional.huber_loss(*scaled))


def test_the_count_term_sees_a_bias_that_the_map_hardly_sees():
    target = batch()
    flat = target["target"] + 1 / SHAPE[0] / SHAPE[1]  # one object too many, spread out
    only_map, with_count = (make_loss(name, 0.01, 2.0)(flat, target) for name in ("mse", "mse_count"))
    of_means = (1 / SHAPE[0] / SHAPE[1] / 0.01) ** 2
    torch.testing.assert_close(with_count - only_map, torch.tensor(of_means), rtol=1e-4, atol=0)


@pytest.mark.parametrize("shape", [(1, 1), (24, 32), (70, 5)])
def test_means_over_blocks_keep_the_sum_whatever_the_size_of_the_map(shape):
    maps = torch.rand(2, 1, *shape, dtype=torch.float64)
    for size in (1, 4, 64):
        means = block_means(maps, size)
        assert means.shape[2:] == tuple(-(-side // size) for side in shape)
        torch.testing.assert_close(size**2 * means.sum(dim=(1, 2, 3)), maps.sum(dim=(1, 2, 3)))


def test_the_multiscale_loss_minds_a_wrong_count_more_than_a_wrong_place():
    target = batch()
    error = 0.01 * torch.tensor([1.0, -1.0]).repeat(3, 1, 24, 16)
    cancels, adds_up = (
        make_loss("multiscale", 0.01, 2.0)(target["target"] + e, target) for e in (error, error.abs())
    )
    mse = make_loss("mse", 0.01, 2.0)(target["target"] + error, target)
    torch.testing.assert_close(cancels, mse)
    assert adds_up > 1.5 * cancels


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_masked_does_not_matter(name, density):
    mask = np.ones((3, *SHAPE))
    mask[:, 12:] = 0
    changed = density.clone()
    changed[:, :, 12:] += 7
    loss, target = make_loss(name, 1.0, 2.0), batch(mask=mask)
    assert loss(density, target) == loss(changed, target)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("kind", ["points", "counts"])
def test_a_weight_of_two_is_the_sample_twice(name, kind, density):
    loss = make_loss(name, 0.5, 2.0)
    twice = [0, 1, 1, 2]
    weighted = batch(weight=[0.75, 1.5, 0.75])  # mean 1, as a fit passes them
    repeated = batch([POINTS[i] for i in twice])
    if kind == "counts":
        for target in (weighted, repeated):
            target["target"] = target["target"].sum(dim=(1, 2, 3))
    torch.testing.assert_close(loss(density, weighted), loss(density[twice], repeated))


@pytest.mark.parametrize("name", LOSSES)
def test_counts_supervise_only_the_total(name, density):
    loss, target = make_loss(name, 0.01, 2.0), batch()
    target["target"] = density.sum(dim=(1, 2, 3))
    assert loss(density.flip(2), target) < 1e-8
    assert loss(density * 2, target) > 0.01


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_from_an_empty_map_and_of_empty_images(name):
    for points in (POINTS, [np.empty((0, 2))] * 3):
        for start in (0.0, 1e-4):
            density = torch.full((3, 1, *SHAPE), start, requires_grad=True)
            make_loss(name, 0.01, 2.0)(density, batch(points)).backward()
            assert torch.isfinite(density.grad).all()
            if any(map(len, points)):
                assert density.grad.abs().sum() > 0


@pytest.mark.parametrize("name", OF_POINTS)
def test_descending_a_loss_of_points_finds_them(name):
    """Free pixels instead of a network: what the loss wants is what comes out."""
    target = batch(sigma=1.5)
    free = torch.full((3, 1, *SHAPE), -5.0, requires_grad=True)
    optimizer = torch.optim.Adam([free], lr=0.1)
    loss = make_loss(name, 0.01, 1.5)
    for _ in range(200):
        optimizer.zero_grad()
        loss(free.exp(), target).backward()
        optimizer.step()
    density = free.detach().exp()
    np.testing.assert_allclose(density.sum(dim=(1, 2, 3)), [4, 1, 0], atol=0.15)
    near = batch(sigma=3.0)["target"] > 1e-4
    assert density[near].sum() > 0.9 * density.sum()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_potential_is_the_gradient_of_the_transport_cost(seed):
    """Against the cost's own definition, in double precision, by finite differences."""
    rng = np.random.default_rng(seed)
    share = torch.from_numpy(rng.dirichlet(np.ones(12)).reshape(3, 4))
    places = torch.from_numpy(rng.uniform(0, 3, (3, 2)))
    masses = torch.from_numpy(rng.dirichlet(np.ones(3)))
    epsilon = 2.0

    def cost(share):
        """Dual value of entropic transport, whose gradient is the potential by the envelope theorem."""
        potential = epsilon * transport_potential(share, places, masses, epsilon, 500)
        distances = squared_distances(places, share.shape, share)
        log = torch.logsumexp((potential / epsilon + share.log() - distances / epsilon).flatten(1), dim=1)
        return (share * potential).sum() - epsilon * (masses * log).sum()

    gradient = epsilon * transport_potential(share, places, masses, epsilon, 500)
    direction = torch.from_numpy(rng.normal(size=(3, 4)))
    direction -= direction.mean()
    step = 1e-4 * share.min() / direction.abs().max()
    slope = (cost(share + step * direction) - cost(share - step * direction)) / (2 * step)
    torch.testing.assert_close(slope, (gradient * direction).sum(), rtol=1e-3, atol=1e-3)


# --- losses in fits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_teaches_to_count(loss):
    X, points = make_cells(12, image_shape=(40, 48), n_cells=(0, 20), random_state=0, return_X_y=True)
    regressor = small(loss=loss, filters=8, max_epochs=90, lr=0.04).fit(X, points)
    blind = np.abs(points.counts - points.counts.mean()).mean()
    assert -regressor.score(X, points) < 0.4 * blind


def test_a_loss_of_points_takes_counts(noise):
    X, points = noise
    same = [small(loss=loss).fit(X, points.counts).predict(X) for loss in ("bayesian", "mse")]
    np.testing.assert_array_equal(*same)


def test_a_loss_keeps_its_own_parameters_in_a_fit(noise):
    X, points = noise
    losses = ("mse", MultiScaleLoss(block_weights={1: 1.0}), MSECountLoss(count_weight=9.0))
    mse, same, other = (small(loss=loss).fit(X, points).predict(X) for loss in losses)
    np.testing.assert_allclose(same, mse, rtol=1e-4)
    assert (other != mse).all()


# --- losses of the user's -----------------------------------------------------------------------------------------


class MeanSquare(torch.nn.Module):
    """Counts its calls, in itself and in all its copies."""

    calls = []

    def __init__(self, size_average=True):
        super().__init__()
        self.n_calls = 0
        self.size_average = size_average

    def forward(self, density, target):
        self.n_calls += 1
        self.calls.append((density.shape, target.shape))
        return (density - target).square().mean()


def masked_mean_square(density, target, mask):
    return (mask * (density - target).square()).sum() / mask.sum()


@pytest.mark.parametrize("loss", [torch.nn.MSELoss(), masked_mean_square], ids=["module", "function"])
def test_the_users_mean_square_is_mse(loss, density, noise):
    target = batch(weight=[0.5, 2.0, 0.5])
    expected = make_loss("mse", 0.1, 2.0)(density, target)
    torch.testing.assert_close(make_loss(loss, 0.1, 2.0)(density, target), expected)
    X, points = noise
    weights = [1, 2, 0, 1, 3, 1]
    counts = [small(loss=each).fit(X, points, sample_weight=weights).predict(X) for each in (loss, "mse")]
    np.testing.assert_allclose(*counts, rtol=1e-2)


@pytest.mark.parametrize("loss", [torch.nn.L1Loss(), masked_mean_square], ids=["module", "function"])
def test_a_sample_weight_multiplies_the_users_loss_of_its_image(loss, density):
    made = make_loss(loss, 0.1, 2.0)
    alone = torch.stack([made(density[[i]], batch([POINTS[i]])) for i in range(3)])
    weights = [2.0, 0.5, 0.5]
    together = made(density, batch(weight=weights))
    torch.testing.assert_close(together, (alone * torch.tensor(weights)).mean())


def test_a_module_sees_nothing_outside_the_mask_and_a_function_gets_the_mask(density):
    mask = np.ones((3, *SHAPE))
    mask[:, 12:] = 0
    target = batch(mask=mask)
    changed = density.clone()
    changed[:, :, 12:] += 7
    module = make_loss(torch.nn.L1Loss(), 1.0, 2.0)
    assert module(density, target) == module(changed, target)
    seen = []

    def loss(density, target, mask):
        seen.append((density.detach(), mask))
        return density.sum()

    make_loss(loss, 0.5, 2.0)(changed, target)
    torch.testing.assert_close(torch.cat([d for d, _ in seen[1:]]), changed / 0.5)  # the first call was a try
    torch.testing.assert_close(torch.cat([m for _, m in seen[1:]]), target["mask"])


def test_a_module_is_copied_and_not_shared(noise):
    loss = MeanSquare()
    MeanSquare.calls.clear()
    small(loss=loss).fit(*noise)
    assert loss.n_calls == 0
    assert len(MeanSquare.calls) >= 12
    assert set(MeanSquare.calls[2:]) == {((1, 1, 17, 22),) * 2}  # one image at a time


def test_losses_of_all_kinds_are_searched(noise):
    losses = ["mse", torch.nn.MSELoss(), masked_mean_square, MSELoss(), MSECountLoss(count_weight=9.0)]
    search = GridSearchCV(small(max_epochs=1), {"loss": losses}, cv=2, error_score="raise").fit(*noise)
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores[1:4], scores[0], rtol=1e-3)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (torch.nn.MSELoss, r"`loss` must be an instance or a function; got the class MSELoss"),
        (lambda density: density.sum(), r"`loss` must be .*raised TypeError"),
        (lambda density, target, mask: density.no_such(), r"`loss` must be .*raised AttributeError"),
        (lambda density, target, mask: 3.0, r"`loss` must return .*float"),
        (lambda density, target, mask: density - target, r"`loss` must return .*\(1, 1, 64, 64\)"),
        (lambda density, target, mask: target.sum(), r"`loss` must return .* depends on the density"),
        (torch.nn.CrossEntropyLoss(reduction="none"), r"`loss` must return .*\(1, 64, 64\)"),
    ],
)
def test_a_wrong_loss_is_refused_before_training(loss, message, noise, monkeypatch):
    monkeypatch.setattr("skcount.regressors._fitting.train", None)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        DensityMapRegressor(loss=loss).fit(*noise)


@pytest.mark.parametrize("loss", [torch.nn.MSELoss(), masked_mean_square], ids=["module", "function"])
def test_the_users_loss_learns_maps_and_refuses_counts(loss, noise):
    X, points = noise
    maps = DensityMapTransformer().transform(points, X.shape[1:3])
    assert np.isfinite(small(loss=loss, precision="float64").fit(X, maps).predict(X)).all()
    with pytest.raises(ValueError, match=r"`loss`.*got counts"):
        small(loss=loss).fit(X, points.counts)
