import numpy as np
import torch

from skcount.networks import DensityNetwork, UNet
from skcount.training import BlankPenalty
from skcount.training._blank import EVERY


def test_it_lifts_no_batch_statistic_and_sees_every_fourth_step():
    torch.manual_seed(0)
    module = DensityNetwork(UNet(3, 4), [0.5] * 3, [0.2] * 3).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    penalty = BlankPenalty(np.zeros(3), np.ones(3), (16, 16), scale=0.01)
    values = [penalty(module) for _ in range(3 * EVERY)]
    assert [bool(value > 0) for value in values] == ([False] * (EVERY - 1) + [True]) * 3
    assert module.training
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    values[EVERY - 1].backward()
    assert module.network.density.weight.grad.abs().sum() > 0


class Nothing(torch.nn.Module):
    def forward(self, x):
        return -torch.ones_like(x[:, :1])


def test_an_empty_map_costs_nothing():
    module = DensityNetwork(Nothing(), [0.0], [1.0])
    penalty = BlankPenalty([0.0], [1.0], (8, 8), scale=1.0)
    assert all(penalty(module) == 0 for _ in range(EVERY))
