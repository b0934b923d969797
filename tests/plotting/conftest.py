import matplotlib.pyplot as plt
import pytest

from skcount import UNetRegressor


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def regressor(noise):
    """A regressor that was trained on `noise`."""
    return UNetRegressor(2, max_epochs=1, random_state=0).fit(*noise)
