import matplotlib.pyplot as plt
import numpy as np
import pytest

from skcount import DensityMapTransformer, UNetRegressor
from skcount.plotting import DensityMapDisplay


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_what_is_drawn_is_what_came(noise):
    X, points = noise
    density = DensityMapTransformer().transform(points, X.shape[1:3])
    display = DensityMapDisplay.from_predictions(X[2], density[2], points[2])
    np.testing.assert_array_equal(display.overlay_.get_array(), density[2])
    np.testing.assert_array_equal(np.array(display.points_.get_data()).T, points[2][:, ::-1])
    assert display.ax_.get_title() == "counted 5.0, true 5"


def test_from_estimator_draws_the_prediction_into_the_given_axes(noise):
    X, points = noise
    regressor = UNetRegressor(4, max_epochs=1, random_state=0).fit(X, points)
    figure, ax = plt.subplots()
    display = DensityMapDisplay.from_estimator(regressor, X[0], ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.points_ is None
    np.testing.assert_array_equal(display.density, regressor.predict_density(X[:1])[0])


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 6, 3), (5, 6, 7)])
def test_images_of_any_number_of_channels_and_an_empty_map(shape):
    DensityMapDisplay.from_predictions(np.ones(shape), np.zeros((5, 6))).figure_.canvas.draw()


def test_a_map_of_another_size_is_refused():
    with pytest.raises(ValueError, match="same size"):
        DensityMapDisplay.from_predictions(np.ones((5, 6)), np.zeros((6, 5)))


@pytest.mark.parametrize("columns", [11, 22])
def test_a_region_is_drawn_and_only_what_is_inside_counts(columns, noise):
    X, points = noise
    roi = np.arange(22) + np.zeros((17, 1)) < columns
    regressor = UNetRegressor(4, max_epochs=1, random_state=0).fit(X, points)
    display = DensityMapDisplay.from_estimator(regressor, X[2], points[2], roi=roi)
    display.figure_.canvas.draw()
    assert not display.density[~roi].any()
    assert (display.points[:, 1] < columns).all()
    assert display.ax_.get_title().endswith(f"true {(points[2][:, 1] < columns - 0.5).sum()}")
