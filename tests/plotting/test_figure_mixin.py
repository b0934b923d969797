"""Every display is shown in notebooks, and changes nothing of matplotlib but its own axes."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from skcount import plotting

HISTORY = [{"epoch": i, "train_loss": 1 / i, "crop_count_mae": 2 / i, "valid_count_mae": 3.0} for i in (1, 2)]
SCORES = np.array([[4.0, 3.0], [2.0, 1.0]])
COUNTS = [1, 2, 3], [1.5, 2, 2]
DRAW = {
    "density": lambda **ax: plotting.DensityMapDisplay.from_predictions(
        np.eye(4), np.eye(4), [(1, 1)], predicted_points=[(2, 2)], **ax
    ),
    "actual": lambda **ax: plotting.CountErrorDisplay.from_predictions(*COUNTS, **ax),
    "bland": lambda **ax: plotting.CountErrorDisplay.from_predictions(*COUNTS, kind="bland_altman", **ax),
    "history": lambda **ax: plotting.TrainingHistoryDisplay.from_history(HISTORY, **ax),
    "search": lambda **ax: plotting.SearchDisplay(
        np.array([1.0, 2.0]), ["a", "b"], SCORES, np.ones((2, 2)), x="sigma", hue="network"
    ).plot(**ax),
}
every_display = pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)


def test_every_public_display_is_tried_here():
    drawn = {type(draw()).__name__ for draw in DRAW.values()}
    assert drawn | {"AnnotationDisplay"} == set(
        plotting.__all__
    )  # it has axes of its own: test_annotations.py


@every_display
def test_a_notebook_sees_the_figure_and_of_a_part_of_a_figure_the_whole(draw):
    assert draw()._repr_png_().startswith(b"\x89PNG\r\n")
    figure = Figure(figsize=(4, 2), dpi=50)
    display = draw(ax=figure.subfigures(1, 2)[0].subplots())
    width = int.from_bytes(display._repr_png_()[16:20], "big")  # where the header of a PNG holds it
    assert width == 200


def test_before_it_is_drawn_there_is_nothing_to_see():
    assert plotting.CountErrorDisplay(np.ones(2), np.ones(2))._repr_png_() is None


@pytest.mark.parametrize("backend", ["inline", "module://matplotlib_inline.backend_inline"])
def test_a_figure_that_the_notebook_shows_anyway_is_not_shown_twice(backend, monkeypatch):
    display = DRAW["actual"]()
    monkeypatch.setattr(plt, "get_backend", lambda: backend)
    assert display._repr_png_() is None
    plt.close("all")  # as the notebook does at the end of the cell
    plt.figure()  # and another one takes its number
    assert display._repr_png_() is not None


@every_display
def test_without_axes_one_figure_is_made_and_no_parameter_of_matplotlib_changed(draw):
    before = mpl.rcParams.copy()
    display = draw()
    display._repr_png_()
    assert dict(mpl.rcParams) == dict(before)
    assert [plt.figure(number) for number in plt.get_fignums()] == [display.figure_]


@every_display
def test_with_axes_pyplot_is_left_alone(draw):
    _, (ax, other) = plt.subplots(1, 2)
    assert plt.gca() is other
    display = draw(ax=ax)
    assert plt.gca() is other
    assert len(plt.get_fignums()) == 1
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert not other.has_data()


@every_display
def test_a_figure_that_pyplot_does_not_know_is_drawn_on(draw):
    figure = Figure()
    draw(ax=figure.subplots())
    assert plt.get_fignums() == []
    figure.canvas.draw()


@every_display
def test_what_is_written_is_seen_on_a_dark_background(draw):
    with plt.style.context("dark_background"):
        display = draw()
        for ax in [display.ax_, *display.ax_.child_axes]:
            written = [*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label]
            assert {mpl.colors.to_hex(text.get_color()) for text in written} == {"#ffffff"}
            assert "#000000" not in {mpl.colors.to_hex(line.get_color()) for line in ax.lines}
