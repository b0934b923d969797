import numpy as np
import pytest
import torch
from sklearn.base import clone

from skcount import DensityMapRegressor, FCRNRegressor, UNetRegressor
from skcount.networks import FCRNA, FCRNB, UNet


class Blur(torch.nn.Module):
    """A user's network: no stride, any size."""

    def __init__(self, in_channels, side=3):
        super().__init__()
        self.conv = torch.nn.Conv2d(in_channels, 1, side, padding=side // 2)

    def forward(self, x):
        return self.conv(x)


@pytest.mark.parametrize("architecture", [Blur, lambda channels, side=3: Blur(channels, side)])
def test_any_callable_that_makes_a_network_is_an_architecture(architecture, noise):
    X, points = noise
    regressor = DensityMapRegressor(architecture, architecture_params={"side": 5}, max_epochs=1)
    assert regressor.fit(X, points).module_.network.conv.kernel_size == (5, 5)
    assert regressor.predict(X).shape == (6,)


@pytest.mark.parametrize(
    ("named", "general", "network"),
    [
        (UNetRegressor(6), DensityMapRegressor("unet", architecture_params={"filters": 6}), UNet),
        (FCRNRegressor("a"), DensityMapRegressor("fcrn_a"), FCRNA),
        (
            FCRNRegressor("b", normalization=None),
            DensityMapRegressor("fcrn_b", architecture_params={"normalization": None}),
            FCRNB,
        ),
    ],
    ids=["unet", "fcrn_a", "fcrn_b"],
)
def test_the_named_regressors_are_the_same_estimator(named, general, network, noise):
    X, points = noise
    fitted = [clone(r).set_params(max_epochs=1, random_state=0).fit(X, points) for r in (named, general)]
    np.testing.assert_array_equal(*(r.predict(X) for r in fitted))
    assert [type(r.module_.network) for r in fitted] == [network] * 2
    assert not [name for name in named.get_params() if name.startswith("architecture")]


def test_parameters_reach_the_network(noise):
    network = UNetRegressor(5, depth=2, stem=1, normalization=None, max_epochs=1).fit(*noise).module_.network
    assert (network.density.in_channels, network.stride) == (5, 4)
    assert len(network.down1) == 2 * 2  # convolution and ReLU, no normalisation


class OneSize(torch.nn.Conv2d):
    """Takes images of the size of the crops only."""

    def __init__(self, n_channels):
        super().__init__(n_channels, 1, 3, padding=1)

    def forward(self, x):
        return super().forward(x) + torch.zeros(17, 17)


def test_a_network_of_one_size_is_refused_before_training(noise):
    X, points = noise
    regressor = DensityMapRegressor(OneSize, patch_size=17, max_epochs=1)
    with pytest.raises(ValueError, match=r"`architecture`=.* of any size; on 3 channels and 9 x 9 pixels"):
        regressor.fit(X, points)
