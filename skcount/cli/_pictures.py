"""Pictures of counts, drawn on figures of their own: no window, and no setting of matplotlib's is touched."""

from copy import copy

import numpy as np

from skcount._files import check_target, replacing
from skcount._optional import import_optional

# Sides in pixels are exact where this is a power of two.
DOTS_PER_INCH = 128


def draw_errors(path, model, images, points, counts):
    """Draw true against predicted counts, and the density maps of a typical image and of the worst.

    Parameters
    ----------
    path : str or path-like
        The picture to write.
    model : regressor
        Fitted.
    images : ImageSet
        The images.
    points : PointAnnotations
        Their points.
    counts : ndarray of shape (n_images,)
        What was counted.
    """
    from skcount.plotting import CountErrorDisplay, DensityMapDisplay

    typical = np.argsort(points.counts, kind="stable")[len(counts) // 2]
    worst = np.argmax(np.abs(counts - points.counts))
    shown = {int(worst): "the worst", int(typical): "a typical one"}
    figure = new_figure((4.5 * (1 + len(shown)), 4.8), layout="compressed")
    axes = figure.subplots(1, 1 + len(shown))
    CountErrorDisplay.from_predictions(points, counts, ax=axes[0])
    axes[0].set_title(f"{len(counts)} images: {axes[0].get_title()}", fontsize="small")
    quiet = copy(model).set_params(out_of_range="ignore", verbose=0)  # it has been said
    for ax, (index, what) in zip(axes[1:], sorted(shown.items(), key=lambda each: each[1]), strict=True):
        image, roi = images[index], belonging(images.roi, index)
        DensityMapDisplay.from_estimator(quiet, image, points[index], roi=roi, ax=ax)
        ax.set_title(f"{what}: {ax.get_title()}")
    save(figure, path)


def draw_overlay(path, image, density, roi):
    """Draw a density map over its image, pixel by pixel.

    Parameters
    ----------
    path : str or path-like
        The picture to write, of the image's size.
    image : ndarray of shape (height, width[, n_channels])
        The image.
    density : ndarray of shape (height, width)
        Its map.
    roi : ndarray of shape (height, width) or None
        Its region of interest.
    """
    from skcount.plotting import DensityMapDisplay

    height, width = density.shape
    figure = new_figure((width / DOTS_PER_INCH, height / DOTS_PER_INCH))
    DensityMapDisplay.from_predictions(image, density, roi=roi, ax=figure.add_axes((0, 0, 1, 1)))
    save(figure, path)


def new_figure(size, **options):
    """Make a figure that belongs to no window.

    Parameters
    ----------
    size : (float, float)
        Width and height in inches.
    **options
        More of matplotlib's.

    Returns
    -------
    matplotlib Figure
        Empty.
    """
    figures = import_optional("matplotlib.figure", "A picture", "plot")
    return figures.Figure(figsize=size, dpi=DOTS_PER_INCH, **options)


def save(figure, path):
    """Write a figure as PNG.

    Parameters
    ----------
    figure : matplotlib Figure
        What is drawn.
    path : str or path-like
        The file.
    """
    with replacing(check_target(path)) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)


def belonging(maps, index):
    """Pick the map of one image.

    Parameters
    ----------
    maps : ImageSet, ndarray of shape (height, width), or None
        What an `ImageSet` carries.
    index : int
        Which image.

    Returns
    -------
    ndarray of shape (height, width) or None
        Its map.
    """
    return maps if maps is None or isinstance(maps, np.ndarray) else maps[index]
