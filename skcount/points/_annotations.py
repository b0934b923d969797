"""Point annotations: a ragged target that works with scikit-learn.

It has one array of (row, col) per image. scikit-learn splits it like any other target, and stock metrics
see the counts, because ``numpy.asarray`` of it is the number of points of each image.
"""

import warnings
from numbers import Integral

import numpy as np

from skcount._check import as_array, check_side_maps, check_sizes, side_map
from skcount._html import table

COLUMNS = (("row", "col"), ("row", "column"), ("y", "x"))  # of data frames
# Annotators occasionally click outside the image, but not for one point in ten.
_MANY_OUTSIDE = 0.1
# If more than this share is outside for another reason, the points are wrong too.
_MOST_OUTSIDE = 0.5


class PointAnnotations(tuple):  # noqa: SLOT001 - a tuple's subclass cannot have any
    """Points for each of many images: a target that scikit-learn can split and score.

    It is an immutable sequence. An integer index gives one image's points; a slice, an integer array, a boolean
    mask or ``(key, Ellipsis)`` gives another `PointAnnotations`. ``numpy.asarray(points)`` is the counts, so
    every stock metric, scorer, dummy regressor and stratified splitter works.

    Parameters
    ----------
    points : sequence of array-like of shape (n_points, 2)
        The points of each image as (row, col) in pixels. The centre of the top-left pixel is (0, 0). An image
        without points is an empty array or list.

    Attributes
    ----------
    coordinates : ndarray of shape (n_points_in_all, 2), float64
        The points of all images, one after the other.
    lengths : ndarray of shape (n_images,), int64
        The number of points of each image.

    Raises
    ------
    ValueError
        If an entry is not of shape (n_points, 2) or holds NaN or infinity.

    See Also
    --------
    skcount.DensityMapTransformer : Turns points into density maps, and back.

    Examples
    --------
    >>> import numpy as np
    >>> from skcount import PointAnnotations
    >>> points = PointAnnotations([[(1, 2), (3, 4)], [], [(0.5, 7)]])
    >>> points.shape
    (3,)
    >>> points[0]
    array([[1., 2.],
           [3., 4.]])
    >>> np.asarray(points)
    array([2., 0., 1.])
    """

    def __new__(cls, points=()):
        """Check the points and store them in one flat array."""
        arrays = [_check_one(p, i) for i, p in enumerate(_entries(points))]
        coordinates = np.concatenate([np.empty((0, 2)), *arrays])
        return cls._build(coordinates, np.array([len(a) for a in arrays], dtype=np.int64))

    @classmethod
    def _build(cls, coordinates, lengths):
        """Make annotations from arrays to which nothing else refers."""
        coordinates.setflags(write=False)
        lengths.setflags(write=False)
        stops = np.cumsum(lengths)
        annotations = super().__new__(
            cls, [coordinates[start:stop] for start, stop in zip(stops - lengths, stops, strict=True)]
        )
        annotations.coordinates = coordinates
        annotations.lengths = lengths
        return annotations

    @classmethod
    def from_flat(cls, coordinates, lengths):
        """Make annotations from one array of all points and the number of points of each image.

        Parameters
        ----------
        coordinates : array-like of shape (n_points_in_all, 2)
            The points of the first image, then those of the second, and so on: (row, col) in pixels.
        lengths : array-like of shape (n_images,)
            The number of points of each image.

        Returns
        -------
        PointAnnotations
            The annotations.

        Raises
        ------
        ValueError
            If the coordinates are not of shape (n_points_in_all, 2) or not finite, or the lengths are not whole
            numbers that add up to the number of points.

        Examples
        --------
        >>> PointAnnotations.from_flat([(1, 2), (3, 4), (5, 6)], [2, 0, 1]).counts
        array([2., 0., 1.])
        """
        coordinates = _check_one(coordinates, None, copy=True)
        lengths = as_array(lengths, "lengths", "the number of points of each image")
        if lengths.ndim != 1 or lengths.dtype.kind not in (
            "iu" if lengths.size else "iuf"
        ):  # [] becomes an array of floats
            raise ValueError(
                f"lengths has shape {lengths.shape} and dtype {lengths.dtype}; expected the number of points of each "
                "image, integers of shape (n_images,)."
            )
        lengths = lengths.astype(np.int64)
        if (lengths < 0).any() or lengths.sum() != len(coordinates):
            raise ValueError(
                f"lengths add up to {lengths.sum()} (smallest {lengths.min(initial=0)}), but there are "
                f"{len(coordinates)} coordinates; expected the same number, and no negative length."
            )
        return cls._build(coordinates, lengths)

    @classmethod
    def from_xy(cls, points):
        """Make annotations from (x, y) points: x counts columns, y counts rows.

        Parameters
        ----------
        points : sequence of array-like of shape (n_points, 2)
            The points of each image as (x, y) in pixels; the centre of the top-left pixel is (0, 0).

        Returns
        -------
        PointAnnotations
            The same points as (row, col).

        Examples
        --------
        >>> PointAnnotations.from_xy([[(10, 2)]])[0]
        array([[ 2., 10.]])
        """
        swapped = cls(points)
        return cls.from_flat(swapped.coordinates[:, ::-1], swapped.lengths)

    @classmethod
    def from_mask(cls, masks):
        """Make annotations from dot images: every pixel that is not zero is one object.

        Parameters
        ----------
        masks : array-like of shape (n_images, height, width), or sequence of (height, width)
            Dot images. Touching pixels are separate objects: blobs are never joined.

        Returns
        -------
        PointAnnotations
            The centres of the pixels that are not zero.

        Raises
        ------
        ValueError
            If a mask is not two-dimensional, or holds NaN or values that are not numbers.

        Examples
        --------
        >>> import numpy as np
        >>> mask = np.zeros((1, 4, 4), dtype=bool)
        >>> mask[0, 1, 2:] = True
        >>> PointAnnotations.from_mask(mask)[0]
        array([[1., 2.],
               [1., 3.]])
        """
        if not hasattr(masks, "__iter__") or getattr(masks, "shape", None) == ():
            raise ValueError(
                f"masks is a {type(masks).__name__}; expected one dot image (height, width) per image."
            )
        masks = [as_array(mask, f"Mask {index}", "(height, width)") for index, mask in enumerate(masks)]
        for index, mask in enumerate(masks):
            if mask.ndim != 2:
                raise ValueError(
                    f"Mask {index} has shape {mask.shape}; expected (height, width). A single mask needs its sample "
                    "axis: masks[None]; for a colour image, pass the channel that holds the dots."
                )
            if mask.dtype.kind not in "buif" or np.isnan(mask).any():
                raise ValueError(
                    f"Mask {index} of dtype {mask.dtype} holds NaN or no numbers; expected zeros except at the dots."
                )
        return cls([np.argwhere(mask != 0) for mask in masks])

    @property
    def shape(self):
        """Shape of the counts, ``(n_images,)``: to scikit-learn, this is a 1-D target."""
        return (len(self.lengths),)

    @property
    def counts(self):
        """Number of points of each image, ndarray of shape (n_images,), float64."""
        return self.lengths.astype(np.float64)

    def inside(self, image_shapes, roi=None):
        """Keep the points that lie inside their image, and inside its region of interest if there is one.

        Parameters
        ----------
        image_shapes : (height, width), sequence of (height, width), or ImageSet
            One size for all images, or one per image, in pixels. An `ImageSet` gives the sizes and its own region of
            interest.
        roi : array of shape (height, width), sequence of such arrays, or None, default=None
            Boolean masks, one for all images or one per image. A point is inside if its pixel is.

        Returns
        -------
        PointAnnotations
            The points with ``-0.5 <= row < height - 0.5`` and ``-0.5 <= col < width - 0.5`` whose pixel is in the
            region.

        Raises
        ------
        ValueError
            If the number of sizes is not the number of images, or a mask does not have its image's size.

        Examples
        --------
        >>> import numpy as np
        >>> points = PointAnnotations([[(0, 0), (8, 3), (3, 8)]])
        >>> points.inside((5, 10))[0]
        array([[0., 0.],
               [3., 8.]])
        >>> roi = np.zeros((5, 10), dtype=bool)
        >>> roi[:, :5] = True
        >>> points.inside((5, 10), roi)[0]
        array([[0., 0.]])
        """
        return self.select(is_inside(self, image_shapes, roi))

    def select(self, keep):
        """Keep some of the points.

        Parameters
        ----------
        keep : ndarray of shape (n_points_in_all,), bool
            Which of `coordinates` to keep.

        Returns
        -------
        PointAnnotations
            The selected points of the same images.
        """
        image_index = np.repeat(np.arange(len(self)), self.lengths)
        lengths = np.bincount(image_index[keep], minlength=len(self))
        return type(self)._build(self.coordinates[keep], lengths)

    def __getitem__(self, key):
        if isinstance(key, tuple):  # scikit-learn uses (key, Ellipsis) as index of anything that has a shape
            if len(key) != 2 or key[1] is not Ellipsis:
                raise IndexError(f"too many indices: {key}; points are indexed by image.")
            key = key[0]
        if isinstance(key, Integral):
            if not -len(self) <= key < len(self):
                raise IndexError(f"There is no image {key}: there are {len(self)} images, numbered from 0.")
            return super().__getitem__(key)
        selected = np.arange(len(self))[key]
        if np.ndim(selected) == 0:
            return super().__getitem__(selected)
        if selected.ndim != 1:
            raise IndexError(
                f"points are indexed by image; expected an integer, a slice, or a 1-D array of them, not {key!r}."
            )
        chosen = [super(PointAnnotations, self).__getitem__(i) for i in selected]
        return type(self)._build(np.concatenate([np.empty((0, 2)), *chosen]), self.lengths[selected])

    def __add__(self, other):
        if not isinstance(other, PointAnnotations):
            return NotImplemented
        return type(self).from_flat(
            np.concatenate([self.coordinates, other.coordinates]),
            np.concatenate([self.lengths, other.lengths]),
        )

    def __eq__(self, other):
        if not isinstance(other, PointAnnotations):
            return NotImplemented
        return np.array_equal(self.lengths, other.lengths) and np.array_equal(
            self.coordinates, other.coordinates
        )

    def __ne__(self, other):
        return not self == other  # a tuple has its own, which compares arrays one by one

    __hash__ = None

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError(
                "The counts are computed: they cannot be returned without a copy. Pass copy=None."
            )
        return self.counts.astype(np.float64 if dtype is None else dtype)

    def __reduce__(self):
        return type(self).from_flat, (np.asarray(self.coordinates), np.asarray(self.lengths))

    def __repr__(self):
        n_images, n_points = len(self), len(self.coordinates)
        return f"{type(self).__name__}({n_images} image{'s' * (n_images != 1)}, {n_points} point{'s' * (n_points != 1)})"

    def _repr_html_(self):
        rows = {"images": len(self), "points": len(self.coordinates)}
        if len(self):
            low, high = self.lengths.min(), self.lengths.max()
            rows["points per image"] = f"{low} to {high}, median {np.median(self.lengths):g}"
            rows["images without points"] = int((self.lengths == 0).sum())
        if len(self.coordinates):
            lows, highs = self.coordinates.min(axis=0), self.coordinates.max(axis=0)
            rows["rows"], rows["columns"] = map("{:.1f} to {:.1f}".format, lows, highs)
        return table(type(self).__name__, rows)


def check_points(points, n_images=None):
    """Return points as PointAnnotations, of `n_images` images if that is given."""
    points = points if isinstance(points, PointAnnotations) else PointAnnotations(points)
    if n_images is not None and len(points) != n_images:
        raise ValueError(
            f"The points must be one array per image, for {n_images} images; got {len(points)}. The points of a single "
            "image need their sample axis: [points]."
        )
    return points


def _entries(points):
    """Return a sequence of point arrays; reject anything that cannot be one."""
    is_scalar = not hasattr(points, "__iter__") or getattr(points, "shape", None) == ()
    if isinstance(points, str | bytes | dict | set) or is_scalar or hasattr(points, "columns"):
        raise ValueError(
            f"points is a {type(points).__name__}; expected one array-like of shape (n_points, 2), (row, col) in pixels, "
            "for each image."
        )
    return points


def _check_one(points, index, copy=None):
    """Check the points of one image (or of all, if `index` is None) and return them as (n_points, 2) float64."""
    owner = "" if index is None else f" of image {index}"
    points = _order_columns(points, owner)
    try:
        if np.ma.is_masked(points):
            raise TypeError("some of them are masked")
        array = np.asarray(points)
        if array.dtype.kind not in "buifO":
            raise TypeError(f"their dtype is {array.dtype}")
        if array.dtype.kind == "O" and any(map(np.iscomplexobj, array.flat)):
            raise TypeError("some of them are complex")
        array = np.array(array, dtype=np.float64, order="C", copy=copy)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:  # tensors raise all of them
        raise ValueError(
            f"The points{owner} are not numbers ({error}); expected an array-like of shape (n_points, 2), "
            "(row, col) in pixels."
        ) from None
    if array.size == 0 and array.ndim <= 2:
        return np.empty((0, 2))
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(
            f"The points{owner} have shape {array.shape}; expected (n_points, 2), (row, col) in pixels."
            + (" A single image's points need their sample axis: [points]." if array.shape == (2,) else "")
        )
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        first = int(np.flatnonzero(~finite)[0])
        raise ValueError(
            f"Point {first}{owner} is {array[first].tolist()}: NaN or infinity. Remove it, or find out where it "
            "came from; no point is dropped silently."
        )
    return array


def _order_columns(points, owner):
    """Return a data frame with named columns as (row, col); anything else unchanged."""
    names = getattr(points, "columns", None)
    if names is None or not all(isinstance(name, str) for name in names):
        return points
    lower = [name.lower() for name in names]
    order = next((pair for pair in COLUMNS if sorted(pair) == sorted(lower)), None)
    if order is None:
        raise ValueError(
            f"The points{owner} are a data frame with the columns {', '.join(map(repr, names))}; expected 'row' and 'col', "
            "or 'y' and 'x'. Pass frame[[row column, column column]].to_numpy()."
        )
    return np.asarray(points)[:, [lower.index(name) for name in order]]


def is_inside(points, image_shapes, roi=None):
    """Return, for every point, whether it lies inside its image and its region of interest, (n_points_in_all,).

    Inside means ``-0.5 <= row < height - 0.5``, the same for columns. `image_shapes` may be an ImageSet with a region.
    """
    checked = None
    if hasattr(image_shapes, "sizes"):
        checked, image_shapes = image_shapes.roi, image_shapes.sizes
    sizes = check_sizes(image_shapes, len(points), "image_shapes")
    if roi is not None and len(points):
        checked = check_side_maps("roi", roi, sizes)
    if checked is None or not len(points):
        return is_on_image(points, sizes)
    return _in_regions(points, sizes, checked)


def check_inside(points, sizes, roi=None, action="warn", refuse_wrong=False):
    """Return whether each point counts; warn, raise or do nothing, depending on `action`, if one is outside its image.

    If `refuse_wrong`, always raise if rows and columns look swapped, and unless `action` is "ignore", if most points are
    outside. The arguments have been checked before.
    """
    inside = is_on_image(points, sizes)
    if not inside.all() and (action != "ignore" or refuse_wrong):
        turned = type(points).from_flat(points.coordinates[:, ::-1], points.lengths)
        swapped = bool(is_on_image(turned, sizes).all())
        message = _describe_outside(points, sizes, np.flatnonzero(~inside), swapped)
        share = (~inside).mean()
        is_wrong = (swapped and share >= _MANY_OUTSIDE) or (action != "ignore" and share > _MOST_OUTSIDE)
        if action == "raise" or (refuse_wrong and is_wrong):
            raise ValueError(message)
        if action == "warn":
            warnings.warn(message, UserWarning, stacklevel=3)
    return inside if roi is None else _in_regions(points, sizes, roi)


def in_region(points, size, roi=None):
    """Return whether the points of one image, (n_points, 2), lie inside it and inside its region of interest."""
    inside = ((points >= -0.5) & (points < np.asarray(size) - 0.5)).all(axis=1)
    if roi is not None:
        rows, cols = pixels_of(points[inside], size).T
        inside[inside] = roi[rows, cols]
    return inside


def pixels_of(points, size):
    """Return row and column, (n_points, 2), of the pixel that holds each point inside an image."""
    # A point just below the border can be rounded onto it.
    return np.minimum(np.floor(points + 0.5).astype(np.intp), np.asarray(size) - 1)


def is_on_image(points, sizes):
    """Return whether each point lies inside its image; the arguments have been checked before."""
    limits = np.repeat(np.reshape(sizes, (-1, 2)), points.lengths, axis=0) - 0.5
    return ((points.coordinates >= -0.5) & (points.coordinates < limits)).all(axis=1)


def _in_regions(points, sizes, roi):
    return np.concatenate([in_region(p, sizes[i], side_map(roi, i)) for i, p in enumerate(points)])


def _describe_outside(points, sizes, outside, swapped):
    """Describe the first points that are outside, and the likely cause."""
    images = np.repeat(np.arange(len(points)), points.lengths)[outside]
    shown = "; ".join(
        f"image {i} of {sizes[i][0]} x {sizes[i][1]} pixels: row {row:g}, col {col:g}"
        for i, (row, col) in zip(images[:3], points.coordinates[outside[:3]], strict=False)
    )
    more = f" and {len(outside) - 3} more" if len(outside) > 3 else ""
    hint = (
        " All would be inside with rows and columns swapped: pass (x, y) points to PointAnnotations.from_xy."
        * swapped
    )
    if not hint and len(outside) > _MOST_OUTSIDE * len(points.coordinates):
        hint = " Check the unit of the coordinates, and whether the images were cut or enlarged."
    message = f"{len(outside)} of {len(points.coordinates)} points are outside their image and not counted: {shown}{more}."
    return f"{message}{hint} Use points.inside(image_shapes) to drop them."
