import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skcount.density._gaussian import gaussian_density, point_masses
from skcount.training import LOSSES
from skcount.training._losses import block_means, squared_distances, transport_potential

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
    maps = np.stack([gaussian_density(p, SHAPE, sigma) for p in points])
    masses = [
        point_masses(p, SHAPE, sigma, 4.0, (0, 0, *SHAPE), m) for p, m in zip(points, mask, strict=True)
    ]
    return {
        "target": torch.from_numpy(maps)[:, None],
        "mask": torch.from_numpy(mask.astype(np.float32))[:, None],
        "weight": torch.ones(len(points)) if weight is None else torch.tensor(weight),
        "points": [torch.from_numpy(m.astype(np.float32)) for m in masses],
    }


def dots(points=POINTS):
    """Maps with all of each object on its pixel."""
    return torch.from_numpy(np.stack([gaussian_density(p, SHAPE, 1e-6) for p in points]))[:, None]


@pytest.fixture
def density():
    torch.manual_seed(0)
    return torch.rand(3, 1, *SHAPE) / 100


@pytest.mark.parametrize("name", OF_MAPS)
def test_a_perfect_map_has_no_loss(name):
    target = batch()
    assert LOSSES[name](0.1)(target["target"], target) == 0


@pytest.mark.parametrize("name", OF_POINTS)
def test_objects_in_their_places_have_almost_no_loss_and_others_more(name):
    loss, target = LOSSES[name](0.01), batch()
    perfect = loss(dots(), target)
    assert perfect < 0.1 * loss(torch.zeros_like(dots()), target)
    assert perfect < 0.5 * loss(dots().roll(8, dims=3), target)
    assert perfect < loss(dots() * 1.2, target)
    assert perfect < loss(dots() * 0.8, target)


def test_mse_is_the_mean_squared_error(density):
    target = batch()
    expected = torch.nn.functional.mse_loss(density, target["target"])
    torch.testing.assert_close(LOSSES["mse"](1.0)(density, target), expected)
    torch.testing.assert_close(LOSSES["mse"](0.1)(density, target), 100 * expected)


def test_l1_and_huber_are_those_of_torch(density):
    target = batch()
    scaled = density / 0.01, target["target"] / 0.01
    torch.testing.assert_close(LOSSES["l1"](0.01)(density, target), torch.nn.functional.l1_loss(*scaled))
    torch.testing.assert_close(
        LOSSES["huber"](0.01)(density, target), 2 * torch.nn.functional.huber_loss(*scaled)
    )


def test_the_count_term_sees_a_bias_that_the_map_hardly_sees():
    target = batch()
    flat = target["target"] + 1 / SHAPE[0] / SHAPE[1]  # one object too many, spread out
    only_map, with_count = (LOSSES[name](0.01)(flat, target) for name in ("mse", "mse_count"))
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
        LOSSES["multiscale"](0.01)(target["target"] + e, target) for e in (error, error.abs())
    )
    mse = LOSSES["mse"](0.01)(target["target"] + error, target)
    torch.testing.assert_close(cancels, mse)
    assert adds_up > 1.5 * cancels


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_masked_does_not_matter(name, density):
    mask = np.ones((3, *SHAPE))
    mask[:, 12:] = 0
    changed = density.clone()
    changed[:, :, 12:] += 7
    loss, target = LOSSES[name](1.0), batch(mask=mask)
    assert loss(density, target) == loss(changed, target)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("kind", ["points", "counts"])
def test_a_weight_of_two_is_the_sample_twice(name, kind, density):
    loss = LOSSES[name](0.5)
    twice = [0, 1, 1, 2]
    weighted = batch(weight=[0.75, 1.5, 0.75])  # mean 1, as a fit passes them
    repeated = batch([POINTS[i] for i in twice])
    if kind == "counts":
        for target in (weighted, repeated):
            target["target"] = target["target"].sum(dim=(1, 2, 3))
    torch.testing.assert_close(loss(density, weighted), loss(density[twice], repeated))


@pytest.mark.parametrize("name", LOSSES)
def test_counts_supervise_only_the_total(name, density):
    loss, target = LOSSES[name](0.01), batch()
    target["target"] = density.sum(dim=(1, 2, 3))
    assert loss(density.flip(2), target) < 1e-8
    assert loss(density * 2, target) > 0.01


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_from_an_empty_map_and_of_empty_images(name):
    for points in (POINTS, [np.empty((0, 2))] * 3):
        for start in (0.0, 1e-4):
            density = torch.full((3, 1, *SHAPE), start, requires_grad=True)
            LOSSES[name](0.01)(density, batch(points)).backward()
            assert torch.isfinite(density.grad).all()
            if any(map(len, points)):
                assert density.grad.abs().sum() > 0


@pytest.mark.parametrize("name", OF_POINTS)
def test_descending_a_loss_of_points_finds_them(name):
    """Free pixels instead of a network: what the loss wants is what comes out."""
    target = batch(sigma=1.5)
    free = torch.full((3, 1, *SHAPE), -5.0, requires_grad=True)
    optimizer = torch.optim.Adam([free], lr=0.1)
    loss = LOSSES[name](0.01, 1.5)
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
