import pytest

from skcount import FCRNRegressor
from skcount.networks import FCRNA, FCRNB


@pytest.mark.parametrize(("variant", "network"), [("a", FCRNA), ("b", FCRNB)])
def test_the_variant_is_the_network(variant, network, noise):
    regressor = FCRNRegressor(variant, max_epochs=1).fit(*noise)
    assert isinstance(regressor.module_.network, network)
