"""The transformer between points and density maps, which stores the parameters of the kernels."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from skcount._check import check_side_maps, check_sizes, side_map
from skcount._doc_link import DocLinkMixin
from skcount._memory import empty_maps, keep_freed_memory
from skcount.density._gaussian import make_map, neighbor_sigma, point_masses
from skcount.density._peaks import place_points
from skcount.points import PointAnnotations, check_inside, check_maps, check_points, pixels_of


class DensityMapTransformer(DocLinkMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Turn points into density maps, and density maps into points.

    Each point becomes a Gaussian of total mass 1 [1]_, so the sum of a map is the number of points inside the image,
    at any sigma, even at the border or in a corner. Two points on one pixel add 2. With a region of interest, the
    sum is the number of points inside the region. The transformer is stateless: `fit` only checks its input.

    Parameters
    ----------
    sigma : float, default=2.0
        Standard deviation of the Gaussian kernel, in pixels, > 0. About a third of an object's radius separates
        neighbours well; larger values are easier to learn.
    kernel : {"gaussian", "adaptive"}, default="gaussian"
        With "gaussian", all objects have the same `sigma`, times the perspective if there is one. With "adaptive" [2]_,
        an object's standard deviation is `beta` times the mean distance to its `n_neighbors` nearest neighbours;
        `sigma` is used for an object without neighbours, and a perspective map is ignored.
    n_neighbors : int, default=3
        Number of neighbours of an adaptive kernel, >= 1.
    beta : float, default=0.3
        Width of an adaptive kernel relative to the mean distance to the neighbours, > 0.
    truncate : float, default=4.0
        The kernel ends at this many standard deviations, >= 1.
    outside : {"warn", "raise", "ignore"}, default="warn"
        What to do about points outside their image, which add nothing to its map: warn and give the image and the
        position, raise a ValueError, or ignore them.
    image_shape : (height, width), list of (height, width), or None, default=None
        Size of the images in pixels, one for all or one per image. The `image_shape` of `transform` overrides it.

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
            Size of the images in pixels, one for all or one per image. If None, use that of the constructor.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest: boolean masks, one for all images or one per image. A point inside adds exactly 1, all
            of it inside the region; a point outside adds nothing.
        perspective : array of shape (height, width), sequence of such arrays, or None, default=None
            Relative scale of the objects at each pixel, > 0, one map for all images or one per image. A point's
            standard deviation is `sigma` times the scale at its pixel.

        Returns
        -------
        ndarray of shape (n_images, height, width), float32; or list of ndarray of shape (height, width)
            Objects per pixel. A list if the images differ in size.

        Raises
        ------
        ValueError
            If no image shape is known, if the points, a mask or a scale are invalid, or if a point is outside its image
            and ``outside="raise"``.

        Warns
        -----
        UserWarning
            If points are outside their image and ``outside="warn"``.
        """
        self._validate_params()
        points = check_points(X)
        image_shape = self.image_shape if image_shape is None else image_shape
        if image_shape is None:
            raise ValueError(
                "`image_shape` must be (height, width), or one per image; got None. Pass it to transform, or set "
                "DensityMapTransformer(image_shape=...)."
            )
        sizes = check_sizes(image_shape, len(points))
        roi, perspective = (
            check_side_maps("roi", roi, sizes),
            check_side_maps("perspective", perspective, sizes),
        )
        points = points.select(check_inside(points, sizes, roi, self.outside))
        maps = empty_maps(sizes, np.float32)
        with keep_freed_memory():
            for i, out in enumerate(maps):
                self.make_map(points[i], sizes[i], None, side_map(roi, i), side_map(perspective, i), out)
        return maps

    def set_output(self, *, transform=None):  # noqa: ARG002 - scikit-learn's signature
        """Do nothing, because density maps do not fit in a table and always stay arrays.

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
        """Place points on density maps; the number of points is the rounded sum of each map.

        Parameters
        ----------
        X : ndarray of shape (n_images, height, width), or sequence of ndarray of shape (height, width)
            Objects per pixel, as returned by `transform` or by a regressor's `predict_density`.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Regions of interest, as for `transform`. Only pixels inside are summed and searched.
        perspective : array of shape (height, width), sequence of such arrays, or None, default=None
            Relative scale of the objects, as for `transform`.

        Returns
        -------
        PointAnnotations
            Points of each image as (row, col) in pixels.

        Raises
        ------
        ValueError
            If a map is not two-dimensional or contains NaN or infinity, or if a mask or scale is invalid.
        """
        self._validate_params()
        maps = check_maps(X, name="X", signed=True)
        sizes = [density.shape for density in maps]
        roi, perspective = (
            check_side_maps("roi", roi, sizes),
            check_side_maps("perspective", perspective, sizes),
        )
        return PointAnnotations(
            [self.place_points(m, side_map(roi, i), side_map(perspective, i)) for i, m in enumerate(maps)]
        )

    # The methods below handle one image and do not check their arguments. Training and prediction call them.

    def make_map(self, points, image_shape, window=None, roi=None, perspective=None, out=None):
        """Make the map of one image, or a window of it.

        Parameters
        ----------
        points : ndarray of shape (n_points, 2)
            Points of one image as (row, col) in pixels.
        image_shape : (height, width)
            Size of the image, in pixels.
        window : (top, left, height, width) or None, default=None
            The part of the map to compute. If None, compute all of it.
        roi : ndarray of shape (height, width), bool, or None, default=None
            The region of interest of the whole image.
        perspective : ndarray of shape (height, width) or None, default=None
            Relative scale of the objects at each pixel of the whole image, > 0.
        out : ndarray of shape (height, width), float32, or None, default=None
            Array to write the map to. If None, make a new array.

        Returns
        -------
        ndarray of shape (height, width), float32
            Objects per pixel.
        """
        sigma, perspective = self._sigma(points, perspective)
        return make_map(points, image_shape, sigma, self.truncate, window, roi, perspective, out)

    def point_masses(self, points, image_shape, window, inside, roi=None, perspective=None):
        """Return the mass of each point's kernel on some pixels of a window.

        Parameters
        ----------
        points, image_shape, window : as for `make_map`
            The points, the image and the window.
        inside : ndarray of shape (height, width)
            1 on these pixels of the window, 0 on the others.
        roi, perspective : as for `make_map`
            Side data of the image.

        Returns
        -------
        ndarray of shape (n_near, 3), float64
            (row, col) in pixels of the window and the mass, for each point whose kernel may reach the window.
        """
        sigma, perspective = self._sigma(points, perspective)
        return point_masses(points, image_shape, sigma, self.truncate, window, inside, roi, perspective)

    def local_sigma(self, points, image_shape, perspective=None):
        """Return the standard deviation of each point's kernel.

        Parameters
        ----------
        points, image_shape, perspective : as for `make_map`
            The points, all of them inside, and the image.

        Returns
        -------
        ndarray of shape (n_points,)
            Standard deviations in pixels.
        """
        sigma, perspective = self._sigma(points, perspective)
        sigmas = np.broadcast_to(sigma, len(points))
        return (
            sigmas if perspective is None else sigmas * perspective[tuple(pixels_of(points, image_shape).T)]
        )

    def _sigma(self, points, perspective):
        """Return one sigma for all points or one per point, and the perspective that still multiplies it."""
        if self.kernel == "gaussian":
            return self.sigma, perspective
        return neighbor_sigma(points, self.n_neighbors, self.beta, self.sigma), None

    def place_points(self, density, roi=None, perspective=None):
        """Place points on the map of one image.

        Parameters
        ----------
        density : ndarray of shape (height, width)
            Objects per pixel.
        roi, perspective : as for `make_map`
            The region of interest and the scale of the objects.

        Returns
        -------
        ndarray of shape (n_points, 2), float64
            (row, col) in pixels, as many as the rounded sum of the map.
        """
        return place_points(density, self.sigma, self.truncate, roi, perspective)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        return tags
