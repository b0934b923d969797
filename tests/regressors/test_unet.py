from skcount import UNetRegressor


def test_parameters_reach_the_network(noise):
    network = UNetRegressor(5, depth=2, normalization=None, max_epochs=1).fit(*noise).module_.network
    assert network.density.in_channels == 5
    assert network.stride == 4
    assert len(network.down1) == 2 * 2  # convolution and ReLU, no normalisation
