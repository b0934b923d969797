import numpy as np
import pytest
import torch

from skcount import UNetRegressor
from skcount.datasets import make_cells
from skcount.networks import DensityNetwork, UNet
from skcount.training import BlankPenalty
from skcount.training._blank import EVERY, N_FLAT, N_NOISY


def test_it_lifts_no_batch_statistic_and_sees_every_fourth_step():
    torch.manual_seed(0)
    module = DensityNetwork(UNet(3, 4), [0.5] * 3, [0.2] * 3).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    penalty = BlankPenalty(np.zeros(3), np.ones(3), np.ones(3), (16, 16), scale=0.01)
    values = [penalty(module) for _ in range(3 * EVERY)]
    assert [bool(value > 0) for value in values] == ([False] * (EVERY - 1) + [True]) * 3
    assert module.training
    torch.testing.assert_close(dict(module.state_dict()), before, rtol=0, atol=0)
    values[EVERY - 1].backward()
    assert module.network.density.weight.grad.abs().sum() > 0


def test_it_shows_black_flat_and_noisy_images_in_the_range_of_the_training():
    seen = []

    class Look(torch.nn.Module):
        def forward(self, x):
            seen.append(x * 0.5)  # what the standardisation takes away, put back
            return torch.zeros_like(x[:, :1])

    low, high = np.array([0.1, 0.0]), np.array([0.4, 1.0])
    module = DensityNetwork(Look(), [0.0, 0.0], [0.5, 0.5])
    penalty = BlankPenalty(low, high, high - low, (17, 32), scale=1.0)
    for _ in range(2 * EVERY):
        penalty(module)
    first, second = (images[:, :, :9, :16].numpy() for images in seen)
    assert first.shape == (N_FLAT + N_NOISY, 2, 9, 16)
    assert not (first[1:N_FLAT] == second[1:N_FLAT]).any()
    assert (first[0] == 0).all()
    assert (np.ptp(first[:N_FLAT], axis=(2, 3)) == 0).all()
    assert (np.ptp(first[N_FLAT:], axis=(2, 3)) > 0).all()
    lowest, highest = first[1:].min(axis=(0, 2, 3)), first[1:].max(axis=(0, 2, 3))
    assert (lowest >= low - 1e-6).all()
    assert (highest <= high + 1e-6).all()


@pytest.mark.parametrize(
    ("low", "high", "black"), [(0.4, 0.9, 0), (295, 305, 285), (-9, -8, -7), (300, 300, 299)]
)
def test_black_is_zero_or_next_to_the_range_of_the_training(low, high, black):
    penalty = BlankPenalty([low], [high], [(high - low) / 2 or 1], (8, 8), scale=1.0)
    assert (penalty._images()[0] == black).all()


class Nothing(torch.nn.Module):
    def forward(self, x):
        return -torch.ones_like(x[:, :1])


def test_an_empty_map_costs_nothing():
    module = DensityNetwork(Nothing(), [0.0], [1.0])
    penalty = BlankPenalty([0.0], [1.0], [0.5], (8, 8), scale=1.0)
    assert all(penalty(module) == 0 for _ in range(EVERY))


@pytest.mark.slow
@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.filterwarnings("ignore::skcount.OutOfDistributionWarning")
def test_blank_and_noisy_images_hold_next_to_nothing_after_training_on_cells(n_channels):
    X, points = make_cells(n_samples=12, image_shape=(64, 64), random_state=0, return_X_y=True)
    X = X if n_channels == 3 else X.max(axis=3, keepdims=True)
    regressor = UNetRegressor(sigma=2, max_epochs=60, random_state=0).fit(X, points)
    assert -regressor.score(X, points) < 2
    rng, shape = np.random.default_rng(0), (2, *X.shape[1:])
    images = {
        "black": np.zeros(shape),
        "large and black": np.zeros((1, 1024, 1024, n_channels)),
        "white": np.full(shape, 255.0),
        "faint noise": rng.normal(20, 4, shape),
    }
    if n_channels == 3:  # without colours, strong noise may look like cells
        images |= {"strong noise": rng.normal(60, 25, shape), "uniform noise": rng.uniform(0, 256, shape)}
    counts = {
        name: regressor.predict(np.clip(x, 0, 255).astype(np.uint8)).max() for name, x in images.items()
    }
    greys = regressor.predict(
        np.arange(256, dtype=np.uint8).repeat(np.prod(shape[1:])).reshape(256, *shape[1:])
    )
    assert max(counts.values()) < 0.5, counts
    assert np.mean(greys) < 0.5, greys
