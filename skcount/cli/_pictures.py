"""Pictures of counts and density maps, drawn without a window and without changing a setting of matplotlib."""

import warnings

from skcount._files import check_target, replacing
from skcount._optional import import_optional
from skcount.cli._inputs import side_map

DOTS_PER_INCH = 128  # a power of two, so that an overlay has exactly as many pixels as its image


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


def draw_overlay(path, image, density, roi):
    """Draw a density map on its image, in a picture of the image's size."""
    from skcount.plotting import DensityMapDisplay

    height, width = density.shape
    figure = _new_figure((width / DOTS_PER_INCH, height / DOTS_PER_INCH))
    DensityMapDisplay.from_predictions(image, density, roi=roi, ax=figure.add_axes((0, 0, 1, 1)))
    _save(figure, path)


def _new_figure(size, **options):
    """Return a figure of (width, height) inches that is not registered with pyplot."""
    figures = import_optional("matplotlib.figure", "A picture", "plot")
    return figures.Figure(figsize=size, dpi=DOTS_PER_INCH, **options)


def _save(figure, path):
    with replacing(check_target(path)) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)
