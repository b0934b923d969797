import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np

from skcount.plotting._style import new_axes, series_style


def test_no_two_series_look_alike():
    assert len({tuple(series_style(index).items()) for index in range(28)}) == 28


def test_neighbours_differ_without_colour_too():
    for index in range(27):
        here, there = series_style(index), series_style(index + 1)
        assert here["marker"] != there["marker"]
        assert here["linestyle"] != there["linestyle"]


def test_the_first_two_series_are_light_and_dark_on_grey_paper():
    weights = [0.299, 0.587, 0.114]
    dark, light = (np.dot(weights, matplotlib.colors.to_rgb(series_style(i)["color"])) for i in (0, 1))
    assert light - dark > 0.2


def test_given_axes_are_taken_and_no_figure_is_made():
    _, ax = plt.subplots()
    assert new_axes(ax, figsize=(1, 1)) is ax
    assert len(plt.get_fignums()) == 1
