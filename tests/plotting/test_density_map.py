import matplotlib.pyplot as plt
import numpy as np
import pytest

from skcount import DensityMapTransformer
from skcount.plotting import DensityMapDisplay


def test_what_is_drawn_is_what_came(noise):
    X, points = noise
    density = DensityMapTransformer().transform(points, X.shape[1:3])
    display = DensityMapDisplay.from_predictions(X[2], density[2], points[2])
    np.testing.assert_array_equal(display.overlay_.get_array(), density[2])
    np.testing.assert_array_equal(np.array(display.points_.get_data()).T, points[2][:, ::-1])
    assert display.ax_.get_title() == "counted 5.0, true 5"
    assert display.predicted_points_ is display.ax_.get_legend() is None


def test_from_estimator_draws_the_prediction_into_the_given_axes(regressor, noise):
    X, _ = noise
    figure, ax = plt.subplots()
    display = DensityMapDisplay.from_estimator(regressor, X[0], ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.points_ is None
    np.testing.assert_array_equal(display.density, regressor.predict_density(X[:1])[0])


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 6, 3), (5, 6, 7)])
def test_images_of_any_number_of_channels_and_an_empty_map(shape):
    DensityMapDisplay.from_predictions(np.ones(shape), np.zeros((5, 6))).figure_.canvas.draw()


@pytest.mark.parametrize("columns", [11, 22])
def test_a_region_is_drawn_and_only_what_is_inside_counts(columns, regressor, noise):
    X, points = noise
    roi = np.arange(22) + np.zeros((17, 1)) < columns
    display = DensityMapDisplay.from_estimator(regressor, X[2], points[2], roi=roi)
    display.figure_.canvas.draw()
    assert not display.density[~roi].any()
    assert (display.points[:, 1] < columns).all()
    assert display.ax_.get_title().endswith(f"true {(points[2][:, 1] < columns - 0.5).sum()}")


def drawn(line):
    return np.array(line.get_data()).T[:, ::-1]


def test_predicted_points_are_drawn_with_the_true_ones(regressor, noise):
    X, points = noise
    display = DensityMapDisplay.from_estimator(regressor, X[2], points[2], predicted_points=True)
    np.testing.assert_array_equal(drawn(display.predicted_points_), regressor.predict_points(X[2:3])[0])
    np.testing.assert_array_equal(drawn(display.points_), points[2])
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["true", "predicted"]
    assert display.ax_.get_title() == f"counted {regressor.predict(X[2:3])[0]:.1f}, true 5"


@pytest.mark.parametrize("points", [None, [], [(1, 2)]])
def test_predicted_points_need_no_true_ones_and_may_be_none_at_all(points):
    blank = np.zeros((5, 6))
    display = DensityMapDisplay.from_predictions(blank, blank, points, predicted_points=[])
    assert len(drawn(display.predicted_points_)) == 0
    display.figure_.canvas.draw()


def test_predicted_points_outside_the_region_are_not_drawn():
    blank, roi, places = np.zeros((5, 6)), np.arange(6) < np.full((5, 1), 3), [(1, 2), (1, 4)]
    display = DensityMapDisplay.from_predictions(blank, blank, roi=roi, predicted_points=places)
    np.testing.assert_array_equal(drawn(display.predicted_points_), [(1, 2)])


def test_a_regressor_without_predict_points_is_refused_if_points_are_asked_for():
    class Flat:
        def predict_density(self, X):
            return [np.zeros(image.shape) for image in X]

    with pytest.raises(ValueError, match=r"predict_points.*Flat.*predicted_points=False"):
        DensityMapDisplay.from_estimator(Flat(), np.zeros((5, 6)), predicted_points=True)
