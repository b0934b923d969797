"""Colours, markers and lines that everybody tells apart, in small pictures and on grey paper too.

The colours are those of M. Okabe and K. Ito, "Color universal design", 2008, https://jfly.uni-koeln.de/color/; black and
yellow are left out, which a dark and a light background would swallow. No series is told by its colour alone.
"""

__all__ = ["BLUE", "GREY", "ORANGE", "SMALL", "new_axes", "series_style"]

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
VERMILION, SKY = "#D55E00", "#56B4E9"
GREY = "0.45"  # seen on white and on black
PALE = {
    "alpha": 0.7,
    "linewidth": 0,
    "pad": 1,
}  # what is laid under a text, so that lines do not strike it out
SMALL = "small"

_COLOURS = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_LINES = ("-", "--", "-.", ":")


def series_style(index):
    """Return how to draw one of several series: no two of 28 look alike.

    Parameters
    ----------
    index : int
        Which one.

    Returns
    -------
    dict
        Keywords for matplotlib's `plot`.

    Examples
    --------
    >>> series_style(1)
    {'color': '#E69F00', 'marker': 's', 'linestyle': '--'}
    """
    n = len(_COLOURS)
    return {
        "color": _COLOURS[index % n],
        "marker": _MARKERS[(index + index // n) % n],
        "linestyle": _LINES[index % len(_LINES)],
    }


def new_axes(ax, figsize):
    """Return the axes that were given, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib Axes or None
        What the user passed.
    figsize : (float, float)
        Width and height of a new figure, in inches: small ones stay readable when the picture is scaled down.

    Returns
    -------
    matplotlib Axes
        Where to draw.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    return ax
