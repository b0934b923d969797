"""Pictures of counts and density maps, drawn without a window and without changing a setting of matplotlib."""

import math
import warnings

from skcount._files import check_target, replacing
from skcount._optional import import_optional
from skcount.cli._inputs import side_map
from skcount.cli._outputs import SOFTWARE

DOTS_PER_INCH = 128  # a power of two, so that an overlay has a whole number of pixels for each of its image
# An overlay is at least this long, and the strips with the count and the scale are this high, in pixels.
LONGER_SIDE, STRIP = 800, 48


def draw_errors(path, regressor, images, points, counts):
    """Draw true against predicted counts, and the density maps of a typical image and of the worst one."""
    import numpy as np

    from skcount.plotting import CountErrorDisplay, DensityMapDisplay

    typical = np.argsort(points.counts, kind="stable")[len(counts) // 2]
    worst = np.argmax(np.abs(counts - points.counts))
    # If the two are the same image, it is shown once.
    shown = {int(worst): "worst", int(typical): "typical"}
    figure = _new_figure((4.5 * (1 + len(shown)), 4.8), layout="compressed")
    axes = figure.subplots(1, 1 + len(shown))
    CountErrorDisplay.from_predictions(points, counts, ax=axes[0])
    axes[0].set_title(f"{len(counts)} images: {axes[0].get_title()}", fontsize="small")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # these images have been predicted before, with the same warnings
        for ax, (index, name) in zip(axes[1:], sorted(shown.items(), key=lambda item: item[1]), strict=True):
            roi = side_map(images.roi, index)
            DensityMapDisplay.from_estimator(regressor, images[index], points[index], roi=roi, ax=ax)
            ax.set_title(f"{name}: {ax.get_title()}")
    _save(figure, path)


def draw_annotations(path, images, points, names, max_images):
    """Draw some of the images with their points, and return the display, which says what looks wrong."""
    import numpy as np

    from skcount.plotting import AnnotationDisplay

    n_shown = min(max_images, len(images))
    n_columns = np.ceil(np.sqrt(n_shown))
    figure = _new_figure((4 * n_columns, 4.2 * np.ceil(n_shown / n_columns)), layout="constrained")
    display = AnnotationDisplay.from_points(images, points, names, max_images=max_images, figure=figure)
    _save(figure, path)
    return display


def draw_overlay(path, image, density, roi, points, geo):
    """Draw a density map and predicted points on an image that is enlarged a whole number of times, count and scale."""
    from skcount.plotting import DensityMapDisplay

    factor = -(-LONGER_SIDE // max(density.shape))
    height, width = (side * factor for side in density.shape)
    total = height + 2 * STRIP
    figure = _new_figure((width / DOTS_PER_INCH, total / DOTS_PER_INCH))
    ax = figure.add_axes((0, STRIP / total, 1, height / total))
    display = DensityMapDisplay.from_predictions(image, density, roi=roi, predicted_points=points, ax=ax)
    display.predicted_points_.set(markersize=6, markeredgewidth=0.8, clip_on=False)
    ax.set_title("")
    ax.get_legend().remove()
    ax.set(xlim=(-0.5, density.shape[1] - 0.5), ylim=(density.shape[0] - 0.5, -0.5))
    middle = STRIP / 2 / total
    size = min(9, width / 30)  # narrow pictures have small letters
    figure.text(
        8 / width, 1 - middle, f"counted {density.sum(dtype='float64'):.1f}", va="center", fontsize=size + 2
    )
    figure.text(
        1 - 8 / width, 1 - middle, f"{len(points)} predicted points", ha="right", va="center", fontsize=size
    )
    _draw_scale(figure, density.shape[1], middle, 8 / width, geo, size)
    _save(figure, path)


def _draw_scale(figure, n_columns, y, left, geo, size):
    """Draw a bar of a round length, in metres if the map of a GeoTIFF has them, or else in pixels."""
    from matplotlib.lines import Line2D

    in_metres = geo is not None and geo.epsg is not None and geo.epsg // 100 in {326, 327}  # UTM
    unit, name = (math.hypot(geo.a, geo.d), "m") if in_metres else (1, "pixels")
    target = n_columns * unit / 5
    power = 10.0 ** math.floor(math.log10(target))
    length = max(step * power for step in (1, 2, 5) if step * power <= target)
    right = left + length / unit / n_columns
    figure.add_artist(Line2D([left, right], [y, y], color="black", linewidth=3, solid_capstyle="butt"))
    figure.text(right + left, y, f"{length:g} {name}", va="center", fontsize=size)


def _new_figure(size, **options):
    """Return a figure of (width, height) inches that is not registered with pyplot."""
    figures = import_optional("matplotlib.figure", "A picture", "plot")
    return figures.Figure(figsize=size, dpi=DOTS_PER_INCH, **options)


def _save(figure, path):
    with replacing(check_target(path)) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, metadata={"Software": SOFTWARE})
