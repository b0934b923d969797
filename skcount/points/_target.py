"""Classify `y` as points, counts or density maps, in the same way for `fit`, `score`, all metrics and all scorers."""

from dataclasses import dataclass, replace

import numpy as np

from skcount._check import as_array, as_floats, check_length, check_weights, side_map, without_index
from skcount.points._annotations import COLUMNS, PointAnnotations, is_inside

# Names of columns that may say to which image a point belongs.
_IMAGE_COLUMNS = ("image", "filename", "file", "label", "slice", "frame")
EXPECTED = (
    "points (PointAnnotations, or one array-like of shape (n_points, 2) per image), counts of shape (n_images,), or density "
    "maps (an array of shape (n_images, height, width), or a list of maps)"
)
# A list entry with three or four columns is a table of points with additional columns, not a density map.
_NARROW = 5


@dataclass(frozen=True)
class Target:
    """A checked `y`.

    `kind` is "points", "counts" or "maps"; `values` are PointAnnotations, an array of shape (n_images,), or a list of
    arrays of shape (height, width). `is_plain` is true if points were passed as lists or arrays, not as
    PointAnnotations.
    """

    kind: str
    values: object
    is_plain: bool = False
    is_column: bool = False

    def __len__(self):
        return len(self.values)

    @property
    def counts(self):
        """Objects per image, (n_images,), float64."""
        if self.kind == "points":
            return self.values.counts
        if self.kind == "maps":
            return np.array([density.sum(dtype=np.float64) for density in self.values])
        return self.values

    def check_images(self, sizes):
        """Check that the target matches images of these sizes."""
        check_length(len(sizes), len(self))
        if self.kind == "maps":
            _check_sizes(self.values, sizes, "y")
        as_maps = self.kind == "points" and self.is_plain and sizes
        if as_maps and all(len(p) == h and w == 2 for p, (h, w) in zip(self.values, sizes, strict=True)):
            raise ValueError(
                "y has the shape of density maps two pixels wide, which cannot be distinguished from points. Pass "
                "points as PointAnnotations(points)."
            )

    def inside(self, images):
        """Return the target inside the regions of interest of an ImageSet; counts are returned unchanged."""
        if images.roi is None or self.kind == "counts":
            return self
        self.check_images(images.sizes)
        if self.kind == "points":
            return replace(self, values=self.values.select(is_inside(self.values, images)))
        masked = [np.where(side_map(images.roi, i), density, 0) for i, density in enumerate(self.values)]
        return replace(self, values=masked)


def check_target(y, name="y", predicted=False):
    """Return `y` as a Target; reject anything that is not points, counts or density maps. Messages call it `name`.

    Predicted counts and maps may be negative, because those of other regressors can be; true ones may not.
    """
    if isinstance(y, Target):
        return y
    if isinstance(y, PointAnnotations):
        target = Target("points", y)
    elif y is None:
        raise ValueError(
            f"This estimator requires {name} to be passed, but the target {name} is None; expected {EXPECTED}."
        )
    else:
        _refuse_table_of_points(y, name)
        target = _classify(without_index(y), name, predicted)
    if not len(target):
        raise ValueError(f"`{name}` is empty; expected {EXPECTED}.")
    if target.kind == "counts":
        _check_counts(target.values, name, predicted)
    return target


def _refuse_table_of_points(y, name):
    """Reject a data frame with a row per point, whose images only its user knows, and say how to split it."""
    columns = getattr(y, "columns", None)
    if columns is None or len(columns) < 2:
        return
    names = {str(column).lower(): column for column in columns}
    pair = next(((names[a], names[b]) for a, b in COLUMNS if a in names and b in names), None)
    image = next((names[word] for word in _IMAGE_COLUMNS if word in names), None)
    if pair is None or image is None:
        return
    raise ValueError(
        f"`{name}` is a data frame of all points; expected one array per image. With the `names` of the images of X: "
        f"groups = dict(list({name}.groupby({image!r}))); "
        f"{name} = PointAnnotations([groups[n][{list(pair)!r}].to_numpy() if n in groups else [] for n in names])"
    )


def check_maps(maps, sizes=None, name="y", signed=False):
    """Return density maps as a list of finite arrays (height, width), >= 0 unless `signed`, of `sizes` if given."""
    if (
        isinstance(maps, str | bytes | dict)
        or not hasattr(maps, "__len__")
        or getattr(maps, "shape", None) == ()
    ):
        raise ValueError(
            f"The density maps must be an array or a sequence of maps; got a {type(maps).__name__}."
        )
    checked = []
    for index, density in enumerate(maps):
        owner = f"Density map {index} of `{name}`"
        density = as_array(density, owner, "shape (height, width)")
        if density.ndim != 2 or density.dtype.kind not in "buif":
            raise ValueError(
                f"{owner} must be real numbers of shape (height, width); got shape {density.shape} and dtype "
                f"{density.dtype}. A single map needs its sample axis: density[None]."
            )
        if not np.isfinite(density).all():
            raise ValueError(f"{owner} must be finite; it has NaN or infinity.")
        if not signed and (density < 0).any():
            raise ValueError(
                f"{owner} must be at least 0, objects per pixel; its smallest value is {density.min()}."
            )
        checked.append(density)
    if sizes is not None:
        _check_sizes(checked, sizes, name)
    return checked


def weighted_mean(values, sample_weight):
    """Return the weighted mean of one value per image."""
    weights = None if sample_weight is None else check_weights(sample_weight, len(values))
    if weights is not None and not weights.any():
        raise ValueError("`sample_weight` is zero for all of these images; at least one must be positive.")
    with np.errstate(over="ignore"):  # the result is infinity then
        return float(np.average(values, weights=weights))


def _check_sizes(maps, sizes, name):
    for index, (density, size) in enumerate(zip(maps, sizes, strict=True)):
        if density.shape != tuple(size):
            raise ValueError(
                f"Density map {index} of `{name}` must have the shape of its image, {tuple(size)}; got {density.shape}. If "
                "these are points, they need two columns (row, col)."
            )


def _classify(y, name, predicted):
    is_list = isinstance(y, list | tuple) or (isinstance(y, np.ndarray) and y.dtype.hasobject)
    if not is_list:
        if isinstance(y, str | bytes | dict | set) or not hasattr(y, "__array__"):
            raise _neither(name, f"a {type(y).__name__}")
        return _classify_array(as_array(y, f"`{name}`", EXPECTED), name, predicted)
    shapes = [_shape(entry, name, index) for index, entry in enumerate(y)]
    if all(shape in {(), (1,)} for shape in shapes):
        return _classify_array(as_array(list(y), f"`{name}`", EXPECTED), name, predicted)
    points = [(len(s) == 2 and s[1] == 2) or (0 in s and len(s) <= 2) for s in shapes]
    maps = [len(s) == 2 and s[1] >= _NARROW and 0 not in s for s in shapes]
    # All entries must be of the same kind as the first.
    wrong = next((i for i, fits in enumerate(points if points[0] else maps) if not fits), None)
    if wrong is None and points[0]:
        return Target("points", PointAnnotations(y), is_plain=True)
    if wrong is None:
        return Target("maps", check_maps(y, name=name, signed=predicted))
    if len(shapes[wrong]) == 2:
        narrow = (
            "entries of a list with fewer than five columns are points, which need exactly two (row, col)"
        )
        raise _neither(name, f"a list whose entry {wrong} has shape {shapes[wrong]}: {narrow}")
    raise _neither(
        name, f"a list whose entry {wrong} is a {type(y[wrong]).__name__} of shape {shapes[wrong]}"
    )


def _classify_array(array, name, predicted):
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1):
        try:
            return Target("counts", as_floats(array).reshape(len(array)), is_column=array.ndim == 2)
        except (TypeError, ValueError, OverflowError) as error:
            raise _neither(name, f"an array that holds no numbers ({error})") from None
    if array.dtype.kind not in "buif":
        raise _neither(name, f"an array of dtype {array.dtype}")
    if array.ndim == 3 and array.shape[2] == 2:
        return Target("points", PointAnnotations(array), is_plain=True)
    if array.ndim == 3 and 0 not in array.shape[1:]:
        return Target("maps", check_maps(array, name=name, signed=predicted))
    raise _neither(name, f"an array of shape {array.shape}")


def _shape(entry, name, index):
    """Return the shape of one entry of a list; reject nested lists that do not form an array."""
    if isinstance(entry, str | bytes | dict | set) or entry is None:
        raise _neither(name, f"a list whose entry {index} is a {type(entry).__name__}")
    try:
        return tuple(np.shape(entry))
    except ValueError:
        raise _neither(name, f"a list whose entry {index} has rows of different lengths") from None


def _check_counts(counts, name, predicted):
    for bad, what in (
        (np.isnan(counts), "NaN"),
        (np.isinf(counts), "infinity or a value too large for dtype('float64')"),
        (np.zeros(len(counts), bool) if predicted else counts < 0, "negative values"),
    ):
        if bad.any():
            index = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"Input {name} contains {what}: image {index} has {counts[index]}. Counts must be finite and >= 0."
            )


def _neither(name, what):
    return ValueError(
        f"`{name}` is {what}, which is neither points nor counts nor density maps; expected {EXPECTED}. A single image "
        "needs its sample axis, as in [points]."
    )
