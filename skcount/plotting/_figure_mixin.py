"""Show the figure of a display in notebooks."""

import sys
from io import BytesIO


class FigureMixin:
    """Show the figure of a display in notebooks."""

    def _repr_png_(self):
        """Return the figure as PNG, or None if there is none yet or the notebook shows it by itself."""
        figure = getattr(self, "figure_", None)
        if figure is None or _shown_anyway(figure):
            return None
        buffer = BytesIO()
        # If `figure` is a subfigure, the figure of its canvas is the whole one.
        figure.canvas.figure.savefig(buffer, format="png")
        return buffer.getvalue()


def _shown_anyway(figure):
    """Return whether the notebook shows the figure at the end of the cell, as it does with pyplot's new figures."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None or "inline" not in pyplot.get_backend():
        return False
    from matplotlib._pylab_helpers import Gcf  # pyplot's public functions would make a figure the current one

    return figure.canvas.manager in Gcf.get_all_fig_managers()
