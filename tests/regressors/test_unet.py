import pytest

from skcount import UNetRegressor


@pytest.mark.parametrize(
    "params", [{"filters": 0}, {"growth": 0.5}, {"convolutions": 0}, {"normalization": "layer"}], ids=str
)
def test_bad_parameters_are_refused_by_name(params, noise):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter"):
        UNetRegressor(**params).fit(*noise)


def test_parameters_reach_the_network(noise):
    network = UNetRegressor(5, convolutions=3, normalization=None, max_epochs=1).fit(*noise).module_.network
    assert network.density.in_channels == 5
    assert len(network.down1) == 3 * 2  # convolution and ReLU, no normalisation


def test_the_docstring_describes_every_parameter():
    for name in UNetRegressor().get_params():
        assert f"\n{name} : " in UNetRegressor.__doc__
