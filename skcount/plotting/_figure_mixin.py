"""What all displays share: a notebook shows their figure."""

import sys
from io import BytesIO


class FigureMixin:
    """Show the figure of a display where a notebook shows the display."""

    def _repr_png_(self):
        """PNG of the figure; None before `plot`, and where the notebook is about to show the figure by itself."""
        figure = getattr(self, "figure_", None)
        if figure is None or _shown_anyway(figure):
            return None
        buffer = BytesIO()
        figure.canvas.figure.savefig(
            buffer, format="png"
        )  # that of the canvas is whole, where ours is a part of one
        return buffer.getvalue()


def _shown_anyway(figure):
    """Whether the figure is pyplot's, of which notebooks show all that are new at the end of a cell."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None or "inline" not in pyplot.get_backend():
        return False
    from matplotlib._pylab_helpers import Gcf  # pyplot's public functions make a figure the current one

    return figure.canvas.manager in Gcf.get_all_fig_managers()
