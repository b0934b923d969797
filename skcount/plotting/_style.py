"""Colours, markers and lines that stay distinct in small pictures, in greyscale and for colour-blind readers.

The colours are those of M. Okabe and K. Ito, "Color universal design", 2008, https://jfly.uni-koeln.de/color/, without black
and yellow, which disappear on a dark or a light background.
"""

__all__ = ["BLUE", "GREY", "SMALL", "new_axes", "series_style"]

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
VERMILION, SKY = "#D55E00", "#56B4E9"
GREY = "0.45"  # visible on white and on black
SMALL = "small"

_COLOURS = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE)
_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", "--", "-.", ":")


def series_style(index):
    """Return matplotlib's line keywords for one of several series; the first 28 all differ."""
    n = len(_COLOURS)  # as many as markers
    return {
        "color": _COLOURS[index % n],
        "marker": _MARKERS[(index + index // n) % n],
        "linestyle": _LINES[index % len(_LINES)],
    }


def new_axes(ax, figsize):
    """Return `ax`, or the axes of a new figure of (width, height) inches if it is None."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    return ax
