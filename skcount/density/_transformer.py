"""The transformer that holds the parameters of a density map."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from skcount._allocator import keep_freed_memory
from skcount._check import as_array, check_perspective, check_roi, empty_maps
from skcount._doc_link import DocLinkMixin
from skcount.density._adaptive import neighbor_sigma
from skcount.density._gaussian import gaussian_density, point_masses
from skcount.density._peaks import find_points
from skcount.points import PointAnnotations, check_points, in_region, is_inside, pixels_of


class DensityMapTransformer(DocLinkMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Turn points into density maps, and density maps into points.

    Each point becomes a Gaussian of total mass 1 [1]_, so a map's sum is the number of points inside the image: at
    any sigma, at the border and in the corner too. Two points on one pixel add 2. With a region of interest the same
    holds inside the region. Stateless: `fit` only checks.

    Parameters
    ----------
    sigma : float, default=2.0
        Standard deviation of the Gaussian kernel, in pixels, > 0. About a third of an object's radius separates
        neighbours well; larger values are easier to learn.
    kernel : {"gaussian", "adaptive"}, default="gaussian"
        "gaussian" has the same `sigma` for all objects, times the perspective where there is one. "adaptive" is as wide
        as the neighbours are far [2]_: `beta` times the mean distance to the `n_neighbors` nearest; `sigma` is that of a
        lone object, and a perspective map does not matter.
    n_neighbors : int, default=3
        How many neighbours an adaptive kernel looks at, >= 1.
    beta : float, default=0.3
        Width of an adaptive kernel relative to the distance of the neighbours, > 0.
    truncate : float, default=4.0
        The kernel ends at this many standard deviations, >= 1.
    outside : {"warn", "raise", "ignore"}, default="warn"
        What to do about points outside their image, which add nothing to its map: warn with the image and the
        position, raise a ValueError, or nothing.
    image_shape : (height, width), list of (height, width), or None, default=None
        Size of the images in pixels, one for all or one for each; used where `transform` is not told.

    See Also
    --------
    DensityMapRegressor : Learns image -> density map.
    PointAnnotations : The points of many images.

    References
    ----------
    .. [1] V. Lempitsky and A. Zisserman, "Learning to count objects in images", NeurIPS 2010.
    .. [2] Y. Zhang, D. Zhou, S. Chen, S. Gao and Y. Ma, "Single-image crowd counting via multi-column convolutional
       neural network", CVPR 2016.

    Examples
    --------
    >>> from skcount import DensityMapTransformer
    >>> transformer = DensityMapTransformer(sigma=1.5, image_shape=(32, 40))
    >>> density = transformer.fit_transform([[(0, 0), (10, 12.5)], []])
    >>> density.shape
    (2, 32, 40)
    >>> density.sum(axis=(1, 2)).round(4)
    array([2., 0.], dtype=float32)
    >>> transformer.inverse_transform(density).counts
    array([2., 0.])
    """

    _parameter_constraints = {
        "sigma": [Interval(Real, 0, None, closed="neither")],
        "kernel": [StrOptions({"gaussian", "adaptive"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="neither")],
        "truncate": [Interval(Real, 1, None, closed="left")],
        "outside": [StrOptions({"warn", "raise", "ignore"})],
        "image_shape": ["array-like", None],
    }

    def __init__(
        self,
        sigma=2.0,
        *,
        kernel="gaussian",
        n_neighbors=3,
        beta=0.3,
        truncate=4.0,
        outside="warn",
        image_shape=None,
    ):
        self.sigma = sigma
        self.kernel = kernel
        self.n_neighbors = n_neighbors
        self.beta = beta
        self.truncate = truncate
        self.outside = outside
        self.image_shape = image_shape

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):  # noqa: ARG002 - y belongs to scikit-learn's signature
        """Check the parameters and the points; nothing is learnt.

        Parameters
        ----------
        X : PointAnnotations, or sequence of array-like of shape (n_points, 2)
            Points of each image as (row, col) in pixels.
        y : None
            Ignored.

        Returns
        -------
        DensityMapTransformer
            The transformer itself.

        Raises
        ------
        ValueError
            If a parameter or the points are not valid.
        """
        check_points(X)
        return self

    def transform(self, X, image_shape=None, roi=None, perspective=None):
        """Make the density map of each image.

        Parameters
        ----------
        X : PointAnnotations, or sequence of array-like of shape (n_points, 2)
            Points of each image as (row, col) in pixels.
        image_shape : (height, width), list of (height, width), or None, default=None
            Size of the images in pixels, one for all or one for each. None takes the parameter's.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest: boolean masks, one for all images or one for each. Each point inside adds exactly 1
            inside; one outside adds nothing.
        perspective : array of shape (height, width), sequence of such arrays, or None, default=None
            Relative scale of the objects at each pixel, > 0, one map for all images or one for each: a point's standard
            deviation is `sigma` times the scale at its pixel.

        Returns
        -------
        ndarray of shape (n_images, height, width), float32; or list of ndarray of shape (height, width)
            Objects per pixel. A list where the sizes of the images differ.

        Raises
        ------
        ValueError
            If no image shape is known, the points, a mask or a scale are not valid, or a point is outside its image and
            ``outside="raise"``.

        Warns
        -----
        UserWarning
            If points are outside their image and ``outside="warn"``.
        """
        self._validate_params()
        points = check_points(X)
        shapes = check_image_shapes(self.image_shape if image_shape is None else image_shape, len(points))
        self.check_outside(points, shapes)
        belongings = _per_image(shapes, roi, perspective)
        maps = empty_maps(shapes, np.float32)
        with keep_freed_memory():
            for p, out, kept in zip(points, maps, belongings, strict=True):
                self.make_map(p, out.shape, **kept, out=out)
        return maps

    def set_output(self, *, transform=None):  # noqa: ARG002 - scikit-learn's signature
        """Do nothing: maps fit in no table, so they stay arrays whatever a pipeline asks for.

        Parameters
        ----------
        transform : str or None, default=None
            Ignored.

        Returns
        -------
        DensityMapTransformer
            The transformer itself.
        """
        return self

    def inverse_transform(self, X, roi=None, perspective=None):
        """Place points on density maps, as many on each as its rounded sum.

        Parameters
        ----------
        X : ndarray of shape (n_images, height, width), or sequence of ndarray of shape (height, width)
            Objects per pixel, as `transform` or a regressor's `predict_density` make them.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest, as for `transform`: only what is inside is summed and searched.
        perspective : array of shape (height, width), sequence of such arrays, or None, default=None
            Relative scale of the objects, as for `transform`.

        Returns
        -------
        PointAnnotations
            Points of each image as (row, col) in pixels.

        Raises
        ------
        ValueError
            If a map is not two-dimensional, or holds NaN or infinity, or a mask or scale is not valid.
        """
        self._validate_params()
        maps = check_maps(X)
        belongings = _per_image([m.shape for m in maps], roi, perspective)
        return PointAnnotations([self.place_points(m, **b) for m, b in zip(maps, belongings, strict=True)])

    def place_points(self, density, roi=None, perspective=None):
        """Place points on one map that was checked before.

        Parameters
        ----------
        density : ndarray of shape (height, width)
            Objects per pixel.
        roi : ndarray of shape (height, width), bool, or None, default=None
            The region of interest.
        perspective : ndarray of shape (height, width) or None, default=None
            Relative scale of the objects at each pixel, > 0.

        Returns
        -------
        ndarray of shape (n_points, 2), float64
            (row, col) in pixels, as many as the rounded sum.
        """
        with config_context(skip_parameter_validation=True):
            return find_points(density, self.sigma, self.truncate, roi=roi, perspective=perspective)

    def make_map(self, points, image_shape, window=None, roi=None, perspective=None, out=None):
        """Make one map, or a window of it, from points that were checked before.

        Parameters
        ----------
        points : ndarray of shape (n_points, 2)
            One image's points as (row, col) in pixels.
        image_shape : (height, width)
            Size of the image, in pixels.
        window : (top, left, height, width) or None, default=None
            The part of the map to compute; None computes all of it.
        roi : ndarray of shape (height, width), bool, or None, default=None
            The region of interest of the whole image.
        perspective : ndarray of shape (height, width) or None, default=None
            Relative scale of the objects at each pixel of the whole image, > 0.
        out : ndarray of shape (height, width), float32, or None, default=None
            Where to write the map; None makes a new array.

        Returns
        -------
        ndarray of shape (height, width), float32
            Objects per pixel.
        """
        sigma, belongings = self._kernels(points, image_shape, roi, perspective)
        with config_context(skip_parameter_validation=True):
            return gaussian_density(points, image_shape, sigma, self.truncate, window, **belongings, out=out)

    def point_masses(self, points, image_shape, window, inside, roi=None, perspective=None):
        """Say how much of each point a map has on some pixels of a window, of points that were checked before.

        Parameters
        ----------
        points : ndarray of shape (n_points, 2)
            One image's points as (row, col) in pixels.
        image_shape : (height, width)
            Size of the image, in pixels.
        window : (top, left, height, width)
            A part of the image.
        inside : ndarray of shape (height, width)
            The pixels of the window to look at: 1 there, 0 elsewhere.
        roi : ndarray of shape (height, width), bool, or None, default=None
            The region of interest of the whole image.
        perspective : ndarray of shape (height, width) or None, default=None
            Relative scale of the objects at each pixel of the whole image, > 0.

        Returns
        -------
        ndarray of shape (n_near, 3), float64
            (row, col) in pixels of the window and the mass there, of each point that may reach it.
        """
        sigma, belongings = self._kernels(points, image_shape, roi, perspective)
        return point_masses(points, image_shape, sigma, self.truncate, window, inside, **belongings)

    def local_sigma(self, points, image_shape, roi=None, perspective=None):
        """Say how wide the kernel of each point is, of one image's points that were checked before.

        Parameters
        ----------
        points : ndarray of shape (n_points, 2)
            One image's points as (row, col) in pixels, all inside.
        image_shape : (height, width)
            Size of the image, in pixels.
        roi : ndarray of shape (height, width), bool, or None, default=None
            The region of interest of the whole image.
        perspective : ndarray of shape (height, width) or None, default=None
            Relative scale of the objects at each pixel of the whole image, > 0.

        Returns
        -------
        ndarray of shape (n_points,)
            Standard deviations in pixels.
        """
        sigma, belongings = self._kernels(points, image_shape, roi, perspective)
        sigmas = np.broadcast_to(sigma, len(points))
        if belongings["perspective"] is None:
            return sigmas
        return sigmas * perspective[tuple(pixels_of(points, image_shape).T)]

    def _kernels(self, points, image_shape, roi, perspective):
        """The standard deviation for all points or for each, and what else makes their kernels."""
        if self.kernel == "gaussian":
            return self.sigma, {"roi": roi, "perspective": perspective}
        inside = in_region(points, image_shape, roi)
        sigmas = np.full(len(points), float(self.sigma))
        sigmas[inside] = neighbor_sigma(points[inside], self.n_neighbors, self.beta, self.sigma)
        return sigmas, {"roi": roi, "perspective": None}

    def check_outside(self, points, image_shapes):
        """Warn of or refuse points outside their image, as `outside` says.

        Parameters
        ----------
        points : PointAnnotations
            Points of n_images images.
        image_shapes : (height, width) or sequence of (height, width)
            Size of the images in pixels, one for all or one for each.

        Raises
        ------
        ValueError
            If a point is outside its image and ``outside="raise"``.
        """
        if self.outside == "ignore":
            return
        outside = np.flatnonzero(~is_inside(points, image_shapes))
        if not len(outside):
            return
        message = _describe_outside(points, image_shapes, outside)
        if self.outside == "raise":
            raise ValueError(message)
        warnings.warn(message, UserWarning, stacklevel=3)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        return tags


def _per_image(shapes, roi, perspective):
    """What belongs to each image, as the arguments of the functions for one image."""
    roi, perspective = check_roi(roi, shapes), check_perspective(perspective, shapes)
    for index in range(len(shapes)):
        yield {
            "roi": roi and roi.read(index),
            "perspective": perspective and perspective.read(index),
        }


def check_image_shapes(image_shape, n_images):
    """Check image sizes and repeat a single one for every image.

    Parameters
    ----------
    image_shape : (height, width), sequence of (height, width), or None
        Sizes in pixels.
    n_images : int
        Number of images.

    Returns
    -------
    list of (height, width)
        One for each image.

    Raises
    ------
    ValueError
        If the shape is missing, is not of positive integers, or there is another number of them.

    Examples
    --------
    >>> check_image_shapes((4, 5), n_images=2)
    [(4, 5), (4, 5)]
    """
    if image_shape is None:
        raise ValueError(
            "image_shape is None: the size of the images is not known. Pass (height, width), or one an image, to "
            "transform, or set DensityMapTransformer(image_shape=...)."
        )
    try:
        shapes = np.asarray(image_shape)
    except ValueError:  # sequences of different lengths
        shapes = np.empty(0)
    if shapes.shape == (2,):
        shapes = np.broadcast_to(shapes, (n_images, 2))
    if shapes.shape != (n_images, 2) or not np.issubdtype(shapes.dtype, np.integer) or (shapes < 1).any():
        raise ValueError(
            f"image_shape is {image_shape!r}; expected (height, width) in whole pixels, at least 1 x 1, or one such pair "
            f"for each of the {n_images} images."
        )
    return [(int(h), int(w)) for h, w in shapes]


def check_maps(maps, image_shapes=None):
    """Check density maps.

    Parameters
    ----------
    maps : ndarray of shape (n_images, height, width), or sequence of array-like of shape (height, width)
        Objects per pixel.
    image_shapes : sequence of (height, width) or None, default=None
        The sizes that they must have.

    Returns
    -------
    list of ndarray of shape (height, width)
        The maps.

    Raises
    ------
    ValueError
        If a map has another shape, or holds NaN, infinity or (as a target) negative values.

    Examples
    --------
    >>> import numpy as np
    >>> [density.shape for density in check_maps(np.zeros((2, 4, 5)))]
    [(4, 5), (4, 5)]
    """
    not_maps = isinstance(maps, str | bytes | dict) or getattr(maps, "shape", None) == ()
    if not_maps or not hasattr(maps, "__len__"):
        raise ValueError(
            f"The density maps are a {type(maps).__name__}; expected an array of shape (n_images, height, width), or a "
            "sequence of maps."
        )
    checked = [as_array(m, f"Density map {index}", "(height, width)") for index, m in enumerate(maps)]
    for index, density in enumerate(checked):
        if density.ndim != 2 or density.dtype.kind not in "buif":
            raise ValueError(
                f"Density map {index} has shape {density.shape} and dtype {density.dtype}; expected numbers of shape "
                "(height, width). A single map needs its sample axis: density[None]."
            )
        if not np.isfinite(density).all():
            raise ValueError(f"Density map {index} holds NaN or infinity; expected finite objects per pixel.")
        if image_shapes is not None and density.shape != tuple(image_shapes[index]):
            raise ValueError(
                f"Density map {index} has shape {density.shape} and its image {tuple(image_shapes[index])}; expected "
                "the same size."
            )
        if image_shapes is not None and (density < 0).any():
            raise ValueError(
                f"Density map {index} holds negative values (the smallest: {density.min()}); expected objects per pixel, "
                "at least 0."
            )
    return checked


def _describe_outside(points, image_shapes, outside):
    """Say which points are outside, and what may be wrong with them."""
    shapes = np.broadcast_to(np.asarray(image_shapes), (len(points), 2))
    images = np.repeat(np.arange(len(points)), points.lengths)[outside]
    shown = "; ".join(
        f"image {i} of {shapes[i][0]} x {shapes[i][1]} pixels: row {row:g}, col {col:g}"
        for i, (row, col) in zip(images[:3], points.coordinates[outside[:3]], strict=True)
    )
    more = f" and {len(outside) - 3} more" if len(outside) > 3 else ""
    message = f"{len(outside)} of {len(points.coordinates)} points are outside their image and add nothing: {shown}{more}."
    swapped = PointAnnotations.from_flat(points.coordinates[:, ::-1], points.lengths)
    if is_inside(swapped, shapes).all():
        message += " All would be inside with rows and columns swapped: PointAnnotations.from_xy reads (x, y) points."
    return message + " points.inside(image_shapes) drops them."
