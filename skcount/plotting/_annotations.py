"""Images with their points, and what looks wrong about them: a look before training."""

from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, validate_params

from skcount._check import check_length
from skcount.images import ImageSet, check_images
from skcount.plotting._figure_mixin import FigureMixin
from skcount.plotting._style import SMALL
from skcount.points import PointAnnotations, check_points, is_on_image

# Points this near to the border of their image, in pixels, belong to objects that are cut off.
NEAR = 3
# The contrast of points is measured in this many images, at these standard deviations of pixels.
_MOST_IMAGES, _SIGMAS = 20, (1.5, 3.0, 6.0)
_LONGEST = 512  # images are reduced to this side first
# Standard errors by which points must stand out before another way to read them is suggested.
_CLEAR = 6.0
_LOOK = {"max_images": [Interval(Integral, 1, None, closed="left")], "figure": [HasMethods("subplots"), None]}
# Ways to read points (row, col) in an image of a size (height, width).
_AS_THEY_ARE = "as they are"
_WAYS = {
    _AS_THEY_ARE: lambda row, col, height, width: (row, col),  # noqa: ARG005 - all have one signature
    "rows and columns are swapped (order)": lambda row, col, height, width: (col, row),  # noqa: ARG005
    "rows are counted from the bottom": lambda row, col, height, width: (height - 1 - row, col),  # noqa: ARG005
    "columns are counted from the right": lambda row, col, height, width: (row, width - 1 - col),  # noqa: ARG005
}


class AnnotationDisplay(FigureMixin):
    """Show images with their points, and list what looks wrong, before a model is trained on them.

    Create a display with `from_points`.

    Parameters
    ----------
    images : ImageSet
        Images.
    points : PointAnnotations
        The points of each image as (row, col) in pixels.
    names : list of str
        The names of the images.
    table : list of dict
        For each image what `from_points` has measured.
    messages : list of str
        What looks wrong.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Axes with the images that are shown.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    Examples
    --------
    >>> from skcount.datasets import make_cells
    >>> from skcount.plotting import AnnotationDisplay
    >>> X, points = make_cells(6, random_state=0, return_X_y=True)
    >>> swapped = [p[:, ::-1] for p in points]
    >>> AnnotationDisplay.from_points(X, swapped).messages[0]
    'The points fit the images better if rows and columns are swapped (order).'
    """

    @validate_params(
        {
            "images": [ImageSet],
            "points": [PointAnnotations],
            "names": [list],
            "table": [list],
            "messages": [list],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(self, images, points, names, table, messages):
        self.images = images
        self.points = points
        self.names = names
        self.table = table
        self.messages = messages

    @classmethod
    @validate_params(
        {
            "images": "no_validation",
            "points": "no_validation",
            "names": ["array-like", None],
            **_LOOK,
        },
        prefer_skip_nested_validation=True,
    )
    def from_points(cls, images, points, names=None, *, max_images=12, figure=None):
        """Measure the points of images and show some of them.

        Parameters
        ----------
        images : array of shape (n_images, height, width[, n_channels]), sequence of images, or ImageSet
            Images.
        points : PointAnnotations, or sequence of array-like of shape (n_points, 2)
            The points of each image as (row, col) in pixels.
        names : sequence of str or None, default=None
            The names of the images. If None, their positions.
        max_images : int, default=12
            The number of images to show: the one with the fewest points, the one with the most, and others between.
        figure : matplotlib Figure or None, default=None
            Figure to plot on. If None, create a new one.

        Returns
        -------
        AnnotationDisplay
            Display that has been plotted. Its `table` has for each image the keys image, height, width, points,
            nearest (median distance to the nearest other point, in pixels), smallest (distance), near_border (points
            within 3 pixels of the border), duplicates (points on another point) and outside. Its `messages` say what
            looks wrong about all of them: points outside or on each other, in one corner, in pairs, or not on objects,
            and images without points.
        """
        images, points = check_images(images), check_points(points)
        check_length(len(images), len(points))
        names = (
            [str(number) for number in range(len(images))] if names is None else [str(name) for name in names]
        )
        check_length(len(images), len(names))
        table = [_measure(*entry) for entry in zip(names, images.sizes, points, strict=True)]
        display = cls(images, points, names, table, find_mistakes(images, points, names))
        return display.plot(max_images, figure=figure)

    @validate_params(_LOOK, prefer_skip_nested_validation=True)
    def plot(self, max_images=12, *, figure=None):
        """Plot images with a circle around each point.

        Parameters
        ----------
        max_images : int, default=12
            The number of images to show.
        figure : matplotlib Figure or None, default=None
            Figure to plot on. If None, create a new one.

        Returns
        -------
        AnnotationDisplay
            The display itself.
        """
        chosen = _spread(self.points.counts, max_images)
        n_columns = int(np.ceil(np.sqrt(len(chosen))))
        n_rows = -(-len(chosen) // n_columns)
        if figure is None:
            import matplotlib.pyplot as plt

            figure = plt.figure(figsize=(4 * n_columns, 4.2 * n_rows), layout="constrained")
        self.figure_ = figure
        self.axes_ = np.atleast_1d(figure.subplots(n_rows, n_columns)).ravel()
        for ax in self.axes_:
            ax.axis("off")
        for ax, number in zip(self.axes_, chosen, strict=False):
            image, points = self.images[number], self.points[number]
            ax.imshow(_to_rgb(image))
            ax.plot(points[:, 1], points[:, 0], "o", mfc="none", mec="black", ms=6, mew=2)
            ax.plot(points[:, 1], points[:, 0], "o", mfc="none", mec="#E69F00", ms=6, mew=1)
            ax.set_xlim(-0.5, image.shape[1] - 0.5)
            ax.set_ylim(image.shape[0] - 0.5, -0.5)
            ax.set_title(f"{self.names[number]}: {len(points)}", fontsize=SMALL)
        return self


def find_mistakes(images, points, names):
    """Return messages about points that seem to be wrong, a list of str."""
    sizes = np.array(images.sizes, dtype=np.float64).reshape(-1, 2)
    found = [
        _find_placement(images, points, sizes),
        _find_corner(points, sizes),
        _find_pairs(points),
        _find_outside(points, sizes, names),
        _find_duplicates(points, names),
        _find_empty(points, names),
    ]
    return [message for message in found if message]


def _measure(name, size, points):
    """Return what is measured of the points of one image."""
    nearest = _distances(points)[:, 0]
    to_border = np.minimum(points + 0.5, np.array(size) - 0.5 - points).min(axis=1, initial=np.inf)
    return {
        "image": name,
        "height": size[0],
        "width": size[1],
        "points": len(points),
        "nearest": float(np.median(nearest)) if len(points) > 1 else None,
        "smallest": float(nearest.min()) if len(points) > 1 else None,
        "near_border": int((np.abs(to_border) < NEAR).sum()),
        "duplicates": len(points) - len(np.unique(points, axis=0)),
        "outside": int((to_border < 0).sum()),
    }


def _distances(points):
    """Return the distances of each point to the nearest and the second-nearest other point, infinite if there is none."""
    from scipy.spatial import cKDTree

    if not len(points):
        return np.empty((0, 2))
    return cKDTree(points).query(points, k=[2, 3])[0]


# --- What looks wrong --------------------------------------------------------------------------------------


def _find_placement(images, points, sizes):
    """Suggest another way to read the points if they stand out more from their surroundings then."""
    chosen = [number for number in _spread(points.counts, _MOST_IMAGES) if len(points[number])]
    found = {way: [] for way in _WAYS}
    for number in chosen:
        maps, factor = _contrast_maps(images[number])
        inside = points[number][is_on_image(points[[number]], sizes[[number]])]
        for way, move in _WAYS.items():
            places = np.array(move(*inside.T, *sizes[number]))
            rows, cols = np.floor((places + 0.5) / factor).astype(np.int64)
            is_in = (rows >= 0) & (cols >= 0) & (rows < maps.shape[1]) & (cols < maps.shape[2])
            # If points would lie outside, this way is not the right one.
            found[way].append(maps[:, rows, cols] if is_in.all() else np.zeros((len(maps), 1)))
    clear = {way: _clearness(values) for way, values in found.items()}
    best = max(clear, key=clear.get)
    if clear[best] > max(_CLEAR, 2 * clear[_AS_THEY_ARE]):
        return f"The points fit the images better if {best}."
    return None


def _contrast_maps(image):
    """Return standardized differences of two blurred images for each channel and scale, and how far they are reduced."""
    from scipy import ndimage

    pixels = image.reshape(*image.shape[:2], -1).astype(np.float64)
    factor = max(1, int(np.ceil(max(pixels.shape[:2]) / _LONGEST)))
    height, width = (max(size // factor, 1) for size in pixels.shape[:2])
    pixels = pixels[: height * factor, : width * factor]
    pixels = pixels.reshape(height, pixels.shape[0] // height, width, pixels.shape[1] // width, -1).mean(
        axis=(1, 3)
    )
    maps = []
    for channel in np.moveaxis(np.nan_to_num(pixels), 2, 0):
        for sigma in _SIGMAS:
            difference = ndimage.gaussian_filter(channel, sigma) - ndimage.gaussian_filter(channel, 2 * sigma)
            spread = difference.std()
            if spread > 0:
                maps.append((difference - difference.mean()) / spread)
    return np.array(maps).reshape(-1, height, width), factor


def _clearness(places):
    """Return how many standard errors the points differ from the rest of their images, in the clearest map."""
    if not places or not all(len(values) for values in places):
        return 0.0
    values = np.concatenate([values[: min(map(len, places))] for values in places], axis=1)
    return float(np.abs(values.mean(axis=1) * np.sqrt(values.shape[1])).max())


def _find_corner(points, sizes):
    if len(points.coordinates) < 10:
        return None
    far = ((points.coordinates + 0.5) / np.repeat(sizes, points.lengths, axis=0)).max(axis=0)
    if (far >= 0.75).any():
        return None
    return (
        f"All points lie in the first {far[0]:.0%} of the rows and {far[1]:.0%} of the columns. Their unit may not be the "
        "pixel (unit, scale), or they were set in a smaller picture."
    )


def _find_pairs(points):
    distances = np.concatenate([np.empty((0, 2)), *(_distances(p) for p in points if len(p) > 2)])
    if len(distances) < 10:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.median(distances[:, 1] / distances[:, 0])
    apart = np.median(distances[:, 0])
    if not ratio > 4 or apart == 0:
        return None
    return (
        f"Most points come in pairs, {apart:.1f} pixels apart, with the next point far away. Objects may have been marked "
        "twice, by two annotators for example."
    )


def _find_outside(points, sizes, names):
    outside = ~is_on_image(points, sizes)
    if not outside.any():
        return None
    return f"{outside.sum()} of {len(outside)} points lie outside their image: {_owners(points, outside, names)}."


def _find_duplicates(points, names):
    twice = [len(p) - len(np.unique(p, axis=0)) for p in points]
    if not sum(twice):
        return None
    some = ", ".join(name for name, number in zip(names, twice, strict=True) if number)
    return f"{sum(twice)} of {len(points.coordinates)} points lie exactly on another point: {some:.80}."


def _find_empty(points, names):
    empty = [name for name, count in zip(names, points.counts, strict=True) if not count]
    if not empty:
        return None
    return f"{len(empty)} of {len(names)} images have no point: {', '.join(empty):.80}."


def _owners(points, chosen, names):
    numbers = np.unique(np.repeat(np.arange(len(points)), points.lengths)[chosen])
    return f"{', '.join(names[number] for number in numbers):.80}"


def _spread(counts, n_most):
    """Return the positions of at most so many images, from the fewest to the most points, in their order."""
    order = np.argsort(counts, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(n_most, len(order))).round().astype(int))]
    return sorted(chosen.tolist())


def _to_rgb(image):
    """Return an image as matplotlib shows it: grey or RGB, between the percentiles of all of its pixels."""
    pixels = image.reshape(*image.shape[:2], -1).astype(np.float64)
    known = pixels[np.isfinite(pixels)]
    low, high = np.percentile(known, [0.5, 99.5]) if known.size else (0, 1)
    pixels = np.clip((np.nan_to_num(pixels, nan=low) - low) / (high - low or 1), 0, 1)
    if pixels.shape[2] == 3:
        return pixels
    return np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2)
