import pytest
import torch

from skcount.training import LOSSES


def batch(target, mask=None, weight=None):
    shape = (len(target), 1, 4, 5)
    return {
        "target": target,
        "mask": torch.ones(shape) if mask is None else mask,
        "weight": torch.ones(len(target)) if weight is None else weight,
    }


@pytest.fixture
def maps():
    torch.manual_seed(0)
    return torch.rand(3, 1, 4, 5), torch.rand(3, 1, 4, 5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_map_has_no_loss(name, maps):
    assert LOSSES[name](0.1)(maps[0], batch(maps[0])) == 0


def test_mse_is_the_mean_squared_error(maps):
    expected = torch.nn.functional.mse_loss(*maps)
    torch.testing.assert_close(LOSSES["mse"](1.0)(maps[0], batch(maps[1])), expected)
    torch.testing.assert_close(LOSSES["mse"](0.1)(maps[0], batch(maps[1])), 100 * expected)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_masked_does_not_matter(name, maps):
    mask = torch.ones(3, 1, 4, 5)
    mask[:, :, 2:] = 0
    changed = maps[0].clone()
    changed[:, :, 2:] += 7
    loss = LOSSES[name](1.0)
    assert loss(maps[0], batch(maps[1], mask)) == loss(changed, batch(maps[1], mask))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("kind", ["maps", "counts"])
def test_a_weight_of_two_is_the_sample_twice(name, kind, maps):
    target = maps[1] if kind == "maps" else maps[1].sum(dim=(1, 2, 3))
    loss = LOSSES[name](0.5)
    twice = [0, 1, 1, 2]
    weights = torch.tensor([1.0, 2.0, 1.0]) * 3 / 4  # mean 1, as a fit passes them
    torch.testing.assert_close(
        loss(maps[0], batch(target, weight=weights)),
        loss(maps[0][twice], batch(target[twice])),
    )


def test_counts_supervise_only_the_total(maps):
    loss = LOSSES["mse"](1.0)
    shuffled = maps[0].flip(2)
    counts = maps[0].sum(dim=(1, 2, 3))
    assert loss(shuffled, batch(counts)) < 1e-10
    assert loss(shuffled * 2, batch(counts)) > 0.1
