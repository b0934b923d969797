"""One image with its density map and points."""

from numbers import Real

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, validate_params

from skcount._check import check_side_map
from skcount.images import as_pixels
from skcount.plotting._figure_mixin import FigureMixin
from skcount.plotting._style import SMALL, new_axes
from skcount.points import check_maps, check_points, in_region

_LOOK = {
    "ax": [HasMethods(["imshow", "contour", "plot"]), None],
    "cmap": [str, callable],
    "alpha": [Interval(Real, 0, 1, closed="both")],
}
# `from_predictions` checks these itself, with the images' own messages.
_DATA = dict.fromkeys(["image", "points", "roi"], "no_validation")


class DensityMapDisplay(FigureMixin):
    """Show an image with its density map on top, and its true and predicted points.

    Create a display with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    image : ndarray of shape (height, width) or (height, width, n_channels)
        Image.
    density : ndarray of shape (height, width)
        Density map, in objects per pixel.
    points : ndarray of shape (n_points, 2) or None, default=None
        True points as (row, col) in pixels.
    roi : ndarray of shape (height, width), bool, or None, default=None
        Region of interest, drawn as an outline.
    predicted_points : ndarray of shape (n_predicted, 2) or None, default=None
        Predicted points as (row, col) in pixels.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    overlay_ : matplotlib AxesImage
        The density map.
    points_ : matplotlib Line2D or None
        The true points.
    predicted_points_ : matplotlib Line2D or None
        The predicted points.

    Examples
    --------
    >>> import numpy as np
    >>> from skcount import DensityMapTransformer
    >>> from skcount.plotting import DensityMapDisplay
    >>> points = np.array([[8.0, 8.0], [20.0, 12.0]])
    >>> density = DensityMapTransformer(image_shape=(32, 32)).transform([points])[0]
    >>> DensityMapDisplay.from_predictions(np.zeros((32, 32)), density, points).ax_.get_title()
    'counted 2.0, true 2'
    """

    @validate_params(
        {
            "image": [np.ndarray],
            "density": [np.ndarray],
            **{name: [np.ndarray, None] for name in ("points", "roi", "predicted_points")},
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(self, image, density, points=None, roi=None, predicted_points=None):
        self.image = image
        self.density = density
        self.points = points
        self.roi = roi
        self.predicted_points = predicted_points

    @classmethod
    @validate_params(
        {"estimator": [HasMethods("predict_density")], "predicted_points": ["boolean"], **_DATA, **_LOOK},
        prefer_skip_nested_validation=False,  # the estimator must validate its own parameters
    )
    def from_estimator(
        cls,
        estimator,
        image,
        points=None,
        *,
        roi=None,
        predicted_points=False,
        ax=None,
        cmap="viridis",
        alpha=0.7,
    ):
        """Predict the density map of one image and plot it.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor with `predict_density`. A pipeline has no such method: transform the image with its first
            steps and pass the map that its last step predicts to `from_predictions`.
        image : ndarray of shape (height, width) or (height, width, n_channels)
            Image.
        points : array-like of shape (n_points, 2) or None, default=None
            True points as (row, col) in pixels.
        roi : array-like of shape (height, width) or None, default=None
            Region of interest, a boolean mask.
        predicted_points : bool, default=False
            If True, also show the points that the regressor places, as many as its rounded count.
        ax : matplotlib Axes or None, default=None
            Axes to plot on. If None, create a new figure.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the density.
        alpha : float, default=0.7
            Opacity of the highest density, in [0, 1]; pixels with a density of 0 are transparent.

        Returns
        -------
        DensityMapDisplay
            Display that has been plotted.
        """
        images, region = [np.asarray(image)], {} if roi is None else {"roi": [roi]}
        density = estimator.predict_density(images, **region)[0]
        placed = None
        if predicted_points:
            if not hasattr(estimator, "predict_points"):
                raise ValueError(
                    f"`estimator` must have `predict_points` if `predicted_points` is True; got a "
                    f"{type(estimator).__name__}. Pass predicted_points=False."
                )
            placed = estimator.predict_points(images, **region)[0]
        return cls.from_predictions(
            image, density, points, roi=roi, predicted_points=placed, ax=ax, cmap=cmap, alpha=alpha
        )

    @classmethod
    @validate_params(
        {"density": "no_validation", "predicted_points": "no_validation", **_DATA, **_LOOK},
        prefer_skip_nested_validation=True,
    )
    def from_predictions(
        cls,
        image,
        density,
        points=None,
        *,
        roi=None,
        predicted_points=None,
        ax=None,
        cmap="viridis",
        alpha=0.7,
    ):
        """Plot a density map that has already been predicted.

        Parameters
        ----------
        image : ndarray of shape (height, width) or (height, width, n_channels)
            Image.
        density : ndarray of shape (height, width)
            Density map, in objects per pixel.
        points : array-like of shape (n_points, 2) or None, default=None
            True points as (row, col) in pixels.
        roi : array-like of shape (height, width) or None, default=None
            Region of interest, a boolean mask. Points outside it are not shown.
        predicted_points : array-like of shape (n_predicted, 2) or None, default=None
            Predicted points as (row, col) in pixels.
        ax : matplotlib Axes or None, default=None
            Axes to plot on. If None, create a new figure.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the density.
        alpha : float, default=0.7
            Opacity of the highest density, in [0, 1]; pixels with a density of 0 are transparent.

        Returns
        -------
        DensityMapDisplay
            Display that has been plotted.
        """
        image = as_pixels(image, "image")
        if image.ndim not in {2, 3} or image.dtype.kind not in "buif":
            raise ValueError(
                "`image` must hold numbers and have shape (height, width) or (height, width, n_channels); got shape "
                f"{image.shape} and dtype {image.dtype}."
            )
        shape = image.shape[:2]
        density = check_maps([density], [shape], "density")[0]
        roi = None if roi is None else check_side_map("roi", roi, None, shape)
        points, predicted_points = (_inside(p, shape, roi) for p in (points, predicted_points))
        return cls(image, density, points, roi, predicted_points).plot(ax=ax, cmap=cmap, alpha=alpha)

    @validate_params(_LOOK, prefer_skip_nested_validation=True)
    def plot(self, ax=None, *, cmap="viridis", alpha=0.7):
        """Plot the image, the density map, true points as crosses and predicted points as circles.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to plot on. If None, create a new figure.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the density.
        alpha : float, default=0.7
            Opacity of the highest density, in [0, 1]; pixels with a density of 0 are transparent.

        Returns
        -------
        DensityMapDisplay
            The display itself.
        """
        ax = new_axes(ax, figsize=None)
        # The sum of the channels is bright wherever one of them is, as in an image with one colour of fluorescence.
        grey = self.image if self.image.ndim == 2 else self.image.sum(axis=2, dtype=np.float64)
        ax.imshow(grey, cmap="gray")
        relative = self.density / (self.density.max() or 1)
        self.overlay_ = ax.imshow(self.density, cmap=cmap, alpha=alpha * relative**0.5)
        if self.roi is not None and not self.roi.all():
            ax.contour(self.roi, levels=[0.5], colors="white", linewidths=1)
        self._plot_points(ax)
        true = "" if self.points is None else f", true {len(self.points)}"
        ax.set_title(f"counted {self.density.sum(dtype=np.float64):.1f}{true}")
        ax.set_axis_off()
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _plot_points(self, ax):
        self.points_ = self.predicted_points_ = None
        if self.points is not None:
            look = {"color": "tab:orange", "markersize": 5}
            self.points_ = _mark(ax, self.points, "+", label="true", **look)
        if self.predicted_points is None:
            return
        from matplotlib.patheffects import withStroke

        outline = [withStroke(linewidth=2.2, foreground="black")]  # visible on light and on dark pixels
        look = {"color": "white", "markerfacecolor": "none", "markersize": 9, "path_effects": outline}
        self.predicted_points_ = _mark(ax, self.predicted_points, "o", label="predicted", **look)
        if self.points is not None:
            on_top = self.predicted_points_.zorder + 1
            self.points_.set(markersize=7, path_effects=outline, zorder=on_top)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, frameon=False, fontsize=SMALL)


def _mark(ax, points, marker, **look):
    return ax.plot(points[:, 1], points[:, 0], marker, **look)[0]


def _inside(points, shape, roi):
    """Check points (n_points, 2) and return those inside the region of interest; None stays None."""
    if points is None:
        return None
    points = check_points([points])[0]
    return points if roi is None else points[in_region(points, shape, roi)]
