"""One image with its density map and points."""

from numbers import Real

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, validate_params

from skcount._check import check_roi
from skcount.density._transformer import check_maps
from skcount.images import as_pixels
from skcount.plotting._figure_mixin import FigureMixin
from skcount.plotting._style import SMALL
from skcount.points import check_points, in_region

# What the methods take: how to draw, and what `from_predictions` checks itself.
_LOOK = {
    "ax": [HasMethods(["imshow", "contour", "plot"]), None],
    "cmap": [str, callable],
    "alpha": [Interval(Real, 0, 1, closed="both")],
}
_DATA = dict.fromkeys(["image", "points", "roi"], "no_validation")


class DensityMapDisplay(FigureMixin):
    """Show an image, its density map laid over it, and the points, true and predicted.

    The constructor stores arrays; `plot` draws. Make one with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    image : ndarray of shape (height, width) or (height, width, n_channels)
        The image.
    density : ndarray of shape (height, width)
        Objects per pixel.
    points : ndarray of shape (n_points, 2) or None, default=None
        True points as (row, col) in pixels.
    roi : ndarray of shape (height, width), bool, or None, default=None
        Region of interest, drawn as a line.
    predicted_points : ndarray of shape (n_predicted, 2) or None, default=None
        Predicted points as (row, col) in pixels.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes that were drawn on.
    figure_ : matplotlib Figure
        Their figure.
    overlay_ : matplotlib AxesImage
        The density map.
    points_ : matplotlib Line2D or None
        The points.
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
            "points": [np.ndarray, None],
            "roi": [np.ndarray, None],
            "predicted_points": [np.ndarray, None],
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
        {
            "estimator": [HasMethods("predict_density")],
            "predicted_points": ["boolean"],
            **_DATA,
            **_LOOK,
        },
        prefer_skip_nested_validation=False,  # the estimator is to validate its own parameters
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
        """Predict an image's density map and draw it.

        Parameters
        ----------
        estimator : estimator
            A fitted regressor with `predict_density`; of a Pipeline, transform the image first, pass its last step's
            prediction to `from_predictions`.
        image : ndarray of shape (height, width) or (height, width, n_channels)
            One image.
        points : array-like of shape (n_points, 2) or None, default=None
            Its true points as (row, col) in pixels.
        roi : array-like of shape (height, width) or None, default=None
            Its region of interest, a boolean mask.
        predicted_points : bool, default=False
            Whether to show where the regressor places its points, too: as many as it counts, rounded.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes new axes.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the density.
        alpha : float, default=0.7
            Opacity of the density where it is highest, in [0, 1]; empty pixels are transparent.

        Returns
        -------
        DensityMapDisplay
            The display, drawn.
        """
        images, inside = [np.asarray(image)], {} if roi is None else {"roi": [roi]}
        density = estimator.predict_density(images, **inside)[0]
        placed = _predict_points(estimator, images, inside)[0] if predicted_points else None
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
        """Draw a density map that was predicted before.

        Parameters
        ----------
        image : ndarray of shape (height, width) or (height, width, n_channels)
            One image.
        density : ndarray of shape (height, width)
            Its density map, in objects per pixel.
        points : array-like of shape (n_points, 2) or None, default=None
            Its true points as (row, col) in pixels.
        roi : array-like of shape (height, width) or None, default=None
            Its region of interest, a boolean mask.
        predicted_points : array-like of shape (n_predicted, 2) or None, default=None
            Points that were predicted, as (row, col) in pixels.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes new axes.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the density.
        alpha : float, default=0.7
            Opacity of the density where it is highest, in [0, 1]; empty pixels are transparent.

        Returns
        -------
        DensityMapDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the map, the points or the mask are not valid, or not of the image's size.
        """
        image = _check_image(image)
        density = check_maps([density], [image.shape[:2]])[0]
        roi = None if roi is None else check_roi([roi], [image.shape[:2]]).read(0)
        points = _check_points(points, image.shape[:2], roi)
        predicted_points = _check_points(predicted_points, image.shape[:2], roi)
        return cls(image, density, points, roi, predicted_points).plot(ax=ax, cmap=cmap, alpha=alpha)

    @validate_params(_LOOK, prefer_skip_nested_validation=True)
    def plot(self, ax=None, *, cmap="viridis", alpha=0.7):
        """Draw the image, the density over it, and the points: true ones as crosses, predicted ones as circles.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes new axes.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the density.
        alpha : float, default=0.7
            Opacity of the density where it is highest, in [0, 1]; empty pixels are transparent.

        Returns
        -------
        DensityMapDisplay
            The display itself.
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        ax.imshow(_grey(self.image), cmap="gray")
        relative = self.density / (self.density.max() or 1)
        self.overlay_ = ax.imshow(self.density, cmap=cmap, alpha=alpha * relative**0.5)
        if self.roi is not None and not self.roi.all():
            ax.contour(self.roi, levels=[0.5], colors="white", linewidths=1)
        self.points_ = None
        title = f"counted {self.density.sum(dtype=np.float64):.1f}"
        if self.points is not None:
            title += f", true {len(self.points)}"
            (self.points_,) = ax.plot(
                self.points[:, 1], self.points[:, 0], "+", color="tab:orange", markersize=5, label="true"
            )
        self.predicted_points_ = None
        if self.predicted_points is not None:
            self.predicted_points_ = _circle(ax, self.predicted_points)
            if self.points is not None:
                self.points_.set(
                    markersize=7, path_effects=_outline(), zorder=self.predicted_points_.zorder + 1
                )
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, frameon=False, fontsize=SMALL)
        ax.set_title(title)
        ax.set_axis_off()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _check_image(image):
    image = as_pixels(image, "image")
    if image.ndim not in {2, 3} or image.dtype.kind not in "buif":
        raise ValueError(
            f"image has shape {image.shape} and dtype {image.dtype}; expected numbers of shape (height, width) or (height, "
            "width, n_channels)."
        )
    return image


def _check_points(points, shape, roi):
    """Check the points of one image, and leave out those beside its region of interest, if there is one."""
    if points is None:
        return None
    points = check_points([points])[0]
    return points if roi is None else points[in_region(points, shape, roi)]


def _predict_points(estimator, images, inside):
    if not hasattr(estimator, "predict_points"):
        raise ValueError(
            f"The {type(estimator).__name__} has no predict_points; expected a regressor that places points, or "
            "predicted_points=False."
        )
    return estimator.predict_points(images, **inside)


def _circle(ax, points):
    """Draw circles around points, and leave free what is inside them."""
    return ax.plot(
        points[:, 1],
        points[:, 0],
        "o",
        color="white",
        markerfacecolor="none",
        markersize=9,
        label="predicted",
        path_effects=_outline(),
    )[0]


def _outline():
    """Edge marks in black, so that they are seen on light and on dark."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.2, foreground="black")]


def _grey(image):
    """Brightness of an image: the channel sum, so that a lone colour channel is seen on paper too."""
    return image if image.ndim == 2 else image.sum(axis=2, dtype=np.float64)
