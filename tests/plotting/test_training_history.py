import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError

from skcount import UNetRegressor
from skcount.plotting import TrainingHistoryDisplay

VALID = [5.0, 2.0, 3.0, 2.0]


def rows(**columns):
    default = {"epoch": [1, 2, 3, 4], "train_loss": [0.8, 0.4, 0.2, 0.1], "crop_count_mae": [4.0, 2, 1, 0.5]}
    columns = {**default, **columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_what_is_drawn_is_the_history_and_the_first_of_the_smallest_held_out_errors_is_marked():
    display = TrainingHistoryDisplay.from_history(rows(valid_count_mae=VALID))
    for line, values in (
        (display.loss_line_, [0.8, 0.4, 0.2, 0.1]),
        (display.count_line_, [4, 2, 1, 0.5]),
        (display.valid_line_, VALID),
    ):
        np.testing.assert_array_equal(line.get_data(), [[1, 2, 3, 4], values])
    assert display.best_epoch_ == 2
    assert display.ax_.get_title() == "best epoch 2: validation MAE 2"
    for ax in (display.loss_ax_, display.count_ax_):
        assert [2, 2] in [list(line.get_xdata()) for line in ax.lines]


@pytest.mark.parametrize("valid", [{}, {"valid_count_mae": [np.nan] * 4}])
def test_without_held_out_images_no_epoch_is_the_best(valid):
    display = TrainingHistoryDisplay.from_history(rows(**valid))
    assert display.valid_count_mae is display.valid_line_ is display.best_epoch_ is None
    assert display.ax_.get_title() == ""
    assert len(display.loss_ax_.get_legend().get_texts()) == 1


def test_a_training_that_went_on_with_held_out_images_is_drawn_from_there():
    history = [*rows()[:2], *rows(valid_count_mae=VALID)[2:]]
    display = TrainingHistoryDisplay.from_history(history)
    np.testing.assert_array_equal(display.valid_count_mae, [np.nan, np.nan, 3, 2])
    assert display.best_epoch_ == 4


@pytest.mark.parametrize("fraction", [None, 0.5])
def test_from_estimator_draws_the_history_of_a_regressor(fraction, noise):
    X, points = noise
    regressor = UNetRegressor(2, max_epochs=3, random_state=0, validation_fraction=fraction).fit(X, points)
    display = TrainingHistoryDisplay.from_estimator(regressor)
    np.testing.assert_array_equal(display.train_loss, [row["train_loss"] for row in regressor.history_])
    if fraction:
        errors = [row["valid_count_mae"] for row in regressor.history_]
        assert display.best_epoch_ == 1 + np.argmin(errors)


def test_the_panels_share_epochs_and_lie_within_the_given_axes():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    display = TrainingHistoryDisplay.from_history(rows(), ax=ax)
    display.figure_.canvas.draw()
    assert display.loss_ax_.get_xlim() == display.count_ax_.get_xlim()
    place = ax.get_position()
    for panel in (display.loss_ax_, display.count_ax_):
        inner = panel.get_position()
        assert place.x0 == pytest.approx(inner.x0)
        assert place.x1 == pytest.approx(inner.x1)
    assert display.count_ax_.get_position().y1 < display.loss_ax_.get_position().y0


def test_a_logarithmic_scale_is_that_of_both_panels_and_a_single_epoch_is_seen():
    display = TrainingHistoryDisplay.from_history(rows()[:1], yscale="log")
    assert display.loss_ax_.get_yscale() == display.count_ax_.get_yscale() == "log"
    assert display.loss_line_.get_marker() == "o"
    display.figure_.canvas.draw()


@pytest.mark.parametrize(
    ("history", "match"),
    [
        ([], "history"),
        ([*rows(), {"epoch": 5, "train_loss": 1.0}], "Row 4 of `history`.*dict without crop_count_mae"),
        ([0.5, 0.3], "Row 0 of `history`.*float without epoch"),
    ],
)
def test_a_history_without_its_columns_is_refused(history, match):
    with pytest.raises(ValueError, match=match):
        TrainingHistoryDisplay.from_history(history)


@pytest.mark.parametrize("estimator", [UNetRegressor(), DummyRegressor().fit([[0]], [1])])
def test_an_estimator_without_history_is_refused(estimator):
    with pytest.raises(NotFittedError, match=rf"history_.*{type(estimator).__name__}"):
        TrainingHistoryDisplay.from_estimator(estimator)
