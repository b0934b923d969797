from copy import deepcopy

import pytest
import torch
from torch import nn

from skcount.training._muon import Muon, orthogonalize


@pytest.mark.parametrize("shape", [(4, 4), (3, 40), (40, 3), (64, 576)])
def test_singular_values_are_brought_near_one_and_directions_kept(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.float64)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    result = orthogonalize(matrix)
    values = torch.linalg.svdvals(result)[s > 0.05 * s.max()]
    assert values.min() > 0.6
    assert values.max() < 1.3
    along = u.T @ result @ v.T
    torch.testing.assert_close(along, torch.diag(along.diagonal()), atol=1e-6, rtol=0)
    assert (along.diagonal() > 0).all()


def test_nothing_stays_nothing():
    assert not orthogonalize(torch.zeros(3, 5)).any()


def step(net, optimizer, factor=1.0):
    torch.manual_seed(1)
    optimizer.zero_grad()
    (factor * net(torch.rand(2, 3, 6, 6)).square().mean()).backward()
    optimizer.step()


def test_the_size_of_the_gradient_does_not_matter_to_a_kernel():
    torch.manual_seed(0)
    nets = [nn.Conv2d(3, 8, 3, bias=False)]
    nets.append(deepcopy(nets[0]))
    for net, factor in zip(nets, (1.0, 1000.0), strict=True):
        step(net, Muon(net.parameters(), lr=0.1), factor)
    torch.testing.assert_close(nets[0].weight, nets[1].weight, rtol=1e-3, atol=1e-4)


def test_what_is_no_kernel_takes_adams_steps():
    torch.manual_seed(0)
    one = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 1, 3))
    other = deepcopy(one)
    muon = Muon(one.parameters(), lr=0.1, adam_ratio=0.5)
    adam = torch.optim.Adam(other.parameters(), lr=0.05)
    for _ in range(5):
        step(one, muon)
        step(other, adam)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_groups_and_their_rates_are_kept():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    optimizer = Muon(
        [{"params": net[0].parameters(), "lr": 0.1}, {"params": net[1].parameters()}], lr=0.2, adam_ratio=0.5
    )
    rates = [(group["is_kernel"], group["lr"]) for group in optimizer.param_groups]
    assert rates == [(True, 0.1), (False, 0.05), (True, 0.2), (False, 0.1)]


def test_parameters_without_a_gradient_stay_and_a_closure_is_called():
    net = nn.ModuleList([nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)])
    before = deepcopy(net[1].state_dict())
    optimizer = Muon(net.parameters())

    def closure():
        loss = net[0](torch.ones(1, 3, 3, 3)).square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) > 0
    assert all(torch.equal(value, before[name]) for name, value in net[1].state_dict().items())
