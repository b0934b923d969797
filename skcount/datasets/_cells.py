"""Simulated fluorescence microscopy: images of cells whose centres are known exactly."""

from numbers import Integral, Real

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from scipy.special import ndtr, ndtri
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from skcount._progress import track
from skcount.points import PointAnnotations

__all__ = ["make_cells"]

# Measured on the published set, at 256 x 256 pixels. The shape is that of the beta distribution over the range of
# counts with the mean (176) and the standard deviation (61) of the set.
_REFERENCE_AREA = 256 * 256
_REFERENCE_COUNTS = (74, 317)
_REFERENCE_MEAN = 176
_COUNT_SHAPE = (1.2, 1.65)

_HARMONICS = np.arange(2, 6)  # the first harmonic would only move the cell
_HARMONIC_WEIGHTS = (_HARMONICS / 2.0) ** -0.5
_OUTLINE_RANGE = (0.6, 1.4)
_RADIUS_SPREAD = 0.08
_OPACITY = 0.92
_TEXTURE_OCTAVES = {0.8: 0.7, 1.6: 1.0, 3.2: 0.3}  # blur in pixels: weight
_TEXTURE_SIDE = 128
_HAZE_WITHOUT_CELLS = 0.55
_KNEE, _CEILING = 212.0, 254.0
_CELLS_AT_ONCE = 256  # bounds the memory for images with many thousand cells
_PLACING_ROUNDS = 200

_DESCR = """\
Simulated fluorescence microscopy of cell populations
-----------------------------------------------------
images : uint8, (n_samples, height, width, 3): red, green, blue; the stain is blue.
points : for each image the true centres of the cells, (row, col) in pixels; the centre of the
    top-left pixel is (0, 0). Every point lies inside its image.
groups, roi, perspective : None.

Generated: no file is read. The model follows Lehmussola, Ruusuvuori, Selinummi, Huttunen and
Yli-Harja, "Computational framework for simulating fluorescence microscope images with cell
populations", IEEE Transactions on Medical Imaging 26(7), 1010-1016, 2007.
"""


@validate_params(
    {
        "n_samples": [Interval(Integral, 0, None, closed="left")],
        "image_shape": [tuple, list],
        "n_cells": [Interval(Integral, 0, None, closed="left"), tuple, list, None],
        "radius": [Interval(Real, 1, None, closed="left")],
        "irregularity": [Interval(Real, 0, 0.3, closed="both")],
        "texture": [Interval(Real, 0, 1, closed="both")],
        "brightness": [tuple, list],
        "overlap": [Interval(Real, 0, 1, closed="both")],
        "cluster_probability": [Interval(Real, 0, 1, closed="both")],
        "cluster_std": [Interval(Real, 1, None, closed="left")],
        "blur": [tuple, list],
        "background": [Interval(Real, 0, 255, closed="both")],
        "noise": [Interval(Real, 0, 255, closed="both")],
        "random_state": ["random_state"],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_cells(
    n_samples=20,
    *,
    image_shape=(256, 256),
    n_cells=None,
    radius=5.0,
    irregularity=0.04,
    texture=0.22,
    brightness=(104, 182),
    overlap=1.0,
    cluster_probability=0.35,
    cluster_std=80.0,
    blur=(1.0, 2.9),
    background=88.0,
    noise=3.0,
    random_state=None,
    return_X_y=False,
):
    """Simulate fluorescence microscopy images of cells whose centres are known exactly.

    Cells of irregular outline and mottled texture are scattered or clustered and partly cover one another. Each
    cell has its own depth and therefore its own blur. Out-of-focus haze brightens the image unevenly, and the detector
    saturates and adds noise. The model follows [1]_. With the defaults, images look like the synthetic cells that
    serve as a benchmark in the counting literature. Nothing is downloaded.

    Parameters
    ----------
    n_samples : int, default=20
        Number of images.
    image_shape : (int, int), default=(256, 256)
        Height and width in pixels, each at least 1.
    n_cells : int, (int, int) or None, default=None
        Number of cells per image. An integer is used for every image. For a pair (low, high), the number is drawn
        uniformly from the range, both ends included. If None, the number is drawn as in the published set: 74 to 317
        cells on 256 x 256 pixels, 176 on average with a standard deviation of 61, in proportion to the area.
    radius : float, default=5.0
        Mean radius of a cell in pixels, at least 1. Individual cells differ from it by up to 8 %.
    irregularity : float, default=0.04
        Deviation of the outlines from circles, as a fraction of the radius, from 0 to 0.3.
    texture : float, default=0.22
        Standard deviation of the brightness inside a cell before blur, as a fraction of its
        brightness, from 0 to 1. The mottles are one to a few pixels wide at any radius.
    brightness : (float, float), default=(104, 182)
        Range of the brightness of cells above the haze, in grey levels from 0 to 255. It does not depend on the
        depth: blur widens a cell but does not dim its middle.
    overlap : float, default=1.0
        How far cells may cover each other, from 0 to 1: no two centres are closer than
        ``(1 - overlap) * 2 * radius``. 1 sets no limit; with 0, round cells at most touch.
    cluster_probability : float, default=0.35
        Probability that a cell belongs to a cluster, from 0 to 1. The other cells are placed uniformly.
    cluster_std : float, default=80.0
        Standard deviation of the positions of a cluster's cells, in pixels, at least 1.
        There is one cluster per ``(6 * cluster_std) ** 2`` pixels of image, and at least one.
    blur : (float, float), default=(1.0, 2.9)
        Range of the standard deviation of the Gaussian blur of cells, in pixels.
    background : float, default=88.0
        Brightest haze in an image of average density (176 cells on 256 x 256 pixels), in grey levels from 0 to 255.
        An image without cells has a little more than half of it. The darkest corner has almost none.
    noise : float, default=3.0
        Standard deviation of the detector noise of the blue channel, in grey levels.
    random_state : int, RandomState instance or None, default=None
        The same integer gives the same images, bit for bit. Image i depends on the seed and on i,
        not on ``n_samples``.
    return_X_y : bool, default=False
        Whether to return ``(images, points)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch` or (ndarray, PointAnnotations)
        Only the images and points if ``return_X_y``, otherwise a Bunch with

        images : ndarray of shape (n_samples, height, width, 3), uint8
            Red, green, blue. The cells are blue; red and green contain a little noise.
        points : PointAnnotations of n_samples arrays of shape (n_points, 2), float64
            The centroids of the cells' outlines, (row, col) in pixels, not rounded. The centre of
            the top-left pixel is (0, 0), and every point lies inside the image. The border may cut a cell.
        groups, roi, perspective : None
            Present so that all data sets have the same attributes.
        DESCR : str
            A description of the images, and the source of the model.

    Raises
    ------
    ValueError
        If a shape or range is malformed, or if the cells do not fit in an image with the given `overlap`.

    See Also
    --------
    skcount.datasets.fetch_vgg_cells : The published set that the defaults resemble.
    skcount.PointAnnotations : The points, which scikit-learn splits like any target.

    References
    ----------
    .. [1] A. Lehmussola, P. Ruusuvuori, J. Selinummi, H. Huttunen and O. Yli-Harja, "Computational
       framework for simulating fluorescence microscope images with cell populations", IEEE
       Transactions on Medical Imaging 26(7), 1010-1016, 2007.

    Examples
    --------
    >>> from skcount.datasets import make_cells
    >>> cells = make_cells(n_samples=3, image_shape=(64, 96), n_cells=(5, 12), random_state=0)
    >>> cells.images.shape, cells.images.dtype
    ((3, 64, 96, 3), dtype('uint8'))
    >>> all(5 <= count <= 12 for count in cells.points.counts)
    True
    """
    shape = _check_shape(image_shape)
    count_range = n_cells
    if n_cells is not None:
        pair = (n_cells, n_cells) if isinstance(n_cells, Integral) else n_cells
        count_range = _check_range("n_cells", pair, kind=Integral)
    looks = {
        "radius": radius,
        "irregularity": irregularity,
        "texture": texture,
        "brightness": _check_range("brightness", brightness, high=255),
        "blur": _check_range("blur", blur),
    }

    images = np.empty((n_samples, *shape, 3), dtype=np.uint8)
    points = []
    generators = _spawn_generators(random_state, n_samples)
    for image, rng in zip(images, track(generators, "make", n_samples), strict=True):
        n_points = _draw_count(rng, count_range, shape)
        centres = _place_cells(
            rng, n_points, shape, cluster_probability, cluster_std, (1 - overlap) * 2 * radius
        )
        light = _draw_haze(rng, n_points, shape, background) + _draw_cells(rng, centres, shape, **looks)
        image[...] = _detect(rng, light, noise)
        points.append(centres)
    points = PointAnnotations(points)

    if return_X_y:
        return images, points
    return Bunch(images=images, points=points, groups=None, roi=None, perspective=None, DESCR=_DESCR)


def _check_shape(image_shape):
    """Return height and width as a pair of int."""
    shape = tuple(image_shape)
    if len(shape) != 2 or not all(isinstance(side, Integral) and side >= 1 for side in shape):
        raise ValueError(
            f"`image_shape` must be (height, width), two integers of at least 1; got {image_shape!r}."
        )
    return int(shape[0]), int(shape[1])


def _check_range(name, value, kind=Real, high=np.inf):
    """Return a range (low, high) as a pair of float, or of int if `kind` is Integral."""
    pair = tuple(value)
    is_pair = len(pair) == 2 and all(isinstance(end, kind) for end in pair)
    if not (is_pair and 0 <= pair[0] <= pair[1] <= high and np.isfinite(pair[1])):
        numbers = "integers" if kind is Integral else "finite numbers"
        limit = "" if np.isinf(high) else f" <= {high}"
        raise ValueError(
            f"`{name}` must be (low, high), two {numbers} with 0 <= low <= high{limit}; got {value!r}."
        )
    convert = int if kind is Integral else float
    return convert(pair[0]), convert(pair[1])


def _spawn_generators(random_state, n_samples):
    """Return one generator per image; generator i does not depend on `n_samples`."""
    entropy = check_random_state(random_state).randint(2**31 - 1, size=4)
    seeds = np.random.SeedSequence(entropy.tolist()).spawn(n_samples)
    return [np.random.default_rng(seed) for seed in seeds]


def _draw_count(rng, count_range, shape):
    """Return the number of cells of one image, of the default density if `count_range` is None."""
    if count_range is not None:
        return int(rng.integers(*count_range, endpoint=True))
    low, high = _REFERENCE_COUNTS
    count = low + (high - low) * rng.beta(*_COUNT_SHAPE)
    return round(count * shape[0] * shape[1] / _REFERENCE_AREA)


def _place_cells(rng, n_points, shape, cluster_probability, cluster_std, min_distance):
    """Return the centres of the cells of one image, (n_points, 2), none closer than allowed."""
    n_clusters = max(1, min(n_points, round(shape[0] * shape[1] / (6 * cluster_std) ** 2)))
    clusters = rng.uniform(-0.5, np.array(shape) - 0.5, (n_clusters, 2))
    placed = np.empty((0, 2))
    for _ in range(_PLACING_ROUNDS):
        fresh = _draw_centres(rng, n_points - len(placed), shape, clusters, cluster_probability, cluster_std)
        placed = _drop_close(np.concatenate([placed, fresh]), min_distance)
        if len(placed) == n_points:
            return placed
    raise ValueError(
        f"Only {len(placed)} of {n_points} cells fit in an image of {shape[0]} x {shape[1]} pixels with centres at least "
        f"{min_distance:g} pixels apart. Increase `overlap`, or reduce `n_cells`, `radius` or `cluster_probability`."
    )


def _draw_centres(rng, n_points, shape, clusters, cluster_probability, cluster_std):
    """Return centres (n_points, 2): normal about a cluster and cut to the image, or uniform."""
    ends = np.array(shape) - 0.5
    middles = clusters[rng.integers(len(clusters), size=n_points)]
    # The quantile function stays exact and fast even if clusters are far wider than the image.
    below, above = ndtr((-0.5 - middles) / cluster_std), ndtr((ends - middles) / cluster_std)
    share = rng.random((n_points, 2))
    clustered = middles + cluster_std * ndtri(below + share * (above - below))
    scattered = -0.5 + share * (ends + 0.5)
    in_cluster = rng.random((n_points, 1)) < cluster_probability
    # The upper end itself is outside the image, but rounding could produce it.
    return np.clip(np.where(in_cluster, clustered, scattered), -0.5, np.nextafter(ends, 0))


def _drop_close(points, min_distance):
    """Drop the later point of every pair that is closer than min_distance."""
    if min_distance <= 0:
        return points
    pairs = cKDTree(points).query_pairs(min_distance, output_type="ndarray")
    return np.delete(points, pairs.max(axis=1), axis=0)


def _draw_haze(rng, n_points, shape, background):
    """Return the light of autofluorescence and of out-of-focus cells: a tilted, elliptical dome."""
    height, width = shape
    density = n_points * _REFERENCE_AREA / (_REFERENCE_MEAN * height * width)
    top = background * (_HAZE_WITHOUT_CELLS + (1 - _HAZE_WITHOUT_CELLS) * min(density, 2))
    middle = rng.uniform(-0.25, 0.25, 2)
    angle, stretch, floor = rng.uniform(0, np.pi), rng.uniform(1, 3), rng.uniform(0, 0.05)
    rows = (np.arange(height)[:, None] + 0.5) / height - 0.5 - middle[0]
    cols = (np.arange(width) + 0.5) / width - 0.5 - middle[1]
    along, across = rows * np.cos(angle) + cols * np.sin(angle), cols * np.cos(angle) - rows * np.sin(angle)
    fall = along**2 + stretch * across**2
    # Compared with the published set, a plain parabola is too flat on top and too bright in the corners.
    fall = (1 - floor) * (fall / fall.max()) ** 0.85
    return (top * (1 - fall)).astype(np.float32)


def _draw_cells(rng, centres, shape, radius, irregularity, texture, brightness, blur):
    """Return the light of the cells, (height, width): each cell hides the cells behind it and is then blurred."""
    n_points = len(centres)
    radii = radius * rng.uniform(1 - _RADIUS_SPREAD, 1 + _RADIUS_SPREAD, n_points)
    bends = irregularity * _draw_bends(rng, n_points)
    levels = rng.uniform(*brightness, n_points)
    blurs = rng.uniform(*blur, n_points)
    field = _draw_texture(rng, texture)
    corners = rng.integers(_TEXTURE_SIDE, size=(n_points, 2))

    shifts = _outline_centroids(radii, bends)
    half = int(np.ceil(_OUTLINE_RANGE[1] * radii.max(initial=0) + np.abs(shifts).max(initial=0) + 1))
    margin = int(np.ceil(3 * blurs.max(initial=0)))
    pixels = np.floor(centres + 0.5).astype(int)
    canvas = np.zeros((shape[0] + 2 * (half + margin), shape[1] + 2 * (half + margin)), dtype=np.float32)
    free = np.ones((shape[0] + 2 * half, shape[1] + 2 * half), dtype=np.float32)
    for start in range(0, n_points, _CELLS_AT_ONCE):
        part = slice(start, start + _CELLS_AT_ONCE)
        masks = _draw_masks(centres[part] - pixels[part] - shifts[part], radii[part], bends[part], half)
        # A defocused disc is dimmer in its middle; the gain restores the brightness.
        gains = levels[part] / _disc_peaks(radii[part], blurs[part])
        stains = _cut_texture(field, corners[part], half) * gains.astype(np.float32)[:, None, None]
        stains *= _occlude(free, pixels[part], masks)
        _add_windows(canvas, pixels[part], _blur_windows(stains, _blur_matrices(blurs[part], half, margin)))
    edge = half + margin
    return canvas[edge : edge + shape[0], edge : edge + shape[1]]


def _draw_bends(rng, n_points):
    """Return complex amplitudes of the outline's harmonics, (n_points, n_harmonics), of unit scale."""
    normal = rng.standard_normal((n_points, len(_HARMONICS), 2))
    return (normal[..., 0] + 1j * normal[..., 1]) * _HARMONIC_WEIGHTS


def _outline(radii, bends, directions):
    """Return the outline's distance from its origin in directions (n_points, ...) on the unit circle."""
    swell = np.zeros(directions.shape, dtype=directions.real.dtype)
    power = directions
    lead = (slice(None),) + (None,) * (directions.ndim - 1)
    for bend in bends.T.astype(directions.dtype):
        power = power * directions
        swell += (bend[lead] * power).real
    return radii[lead].astype(swell.dtype) * np.clip(1 + swell, *_OUTLINE_RANGE)


def _outline_centroids(radii, bends):
    """Return the centroids (n_points, 2) of the outlines, relative to their origins, in pixels."""
    circle = np.exp(2j * np.pi * np.arange(64) / 64)
    distances = _outline(radii, bends, np.broadcast_to(circle, (len(radii), 64)))
    moments = 2 / 3 * (distances**3 * circle).sum(axis=1) / (distances**2).sum(axis=1)
    return np.stack([moments.imag, moments.real], axis=1)


def _draw_masks(origins, radii, bends, half):
    """Return the fraction of each pixel that each cell covers, (n_points, side, side), side = 2 half + 1."""
    steps = np.arange(-half, half + 1, dtype=np.float32)
    rows = steps[:, None] - origins[:, 0, None, None].astype(np.float32)
    cols = steps - origins[:, 1, None, None].astype(np.float32)
    offsets = cols + 1j * rows
    distances = np.abs(offsets)
    outlines = _outline(radii, bends, offsets / np.maximum(distances, 1e-6))
    return np.clip(outlines - distances + 0.5, 0, 1)


def _draw_texture(rng, texture):
    """Return a field of several octaves of noise about 1, which repeats at its borders."""
    field = np.zeros((_TEXTURE_SIDE, _TEXTURE_SIDE), dtype=np.float32)
    for scale, weight in _TEXTURE_OCTAVES.items():
        octave = gaussian_filter(rng.standard_normal(field.shape, dtype=np.float32), scale, mode="wrap")
        field += weight * octave / octave.std()
    return np.maximum(1 + texture * field / field.std(), 0)


def _cut_texture(field, corners, half):
    """Return one window of the field per cell, (n_points, side, side)."""
    steps = np.arange(2 * half + 1)
    rows, cols = ((corners[:, axis, None] + steps) % _TEXTURE_SIDE for axis in (0, 1))
    return field[rows[:, :, None], cols[:, None, :]]


def _blur_matrices(blurs, half, margin):
    """Return matrices (n_points, out, in) that spread a window's rows by Gaussians, keeping their sum."""
    source = np.arange(-half, half + 1, dtype=np.float32)
    target = np.arange(-half - margin, half + margin + 1, dtype=np.float32)
    widths = np.maximum(blurs, 1e-3).astype(np.float32)[:, None, None]
    kernels = np.exp(-0.5 * ((target[:, None] - source) / widths) ** 2)
    return kernels / kernels.sum(axis=1, keepdims=True)


def _blur_windows(windows, kernels):
    """Return the windows spread along rows and columns, (n_points, out, out)."""
    return kernels @ windows @ kernels.transpose(0, 2, 1)


def _disc_peaks(radii, blurs):
    """Return the value in the middle of a unit disc after Gaussian blur."""
    return -np.expm1(-0.5 * (radii / np.maximum(blurs, 1e-3)) ** 2)


def _occlude(free, corners, masks):
    """Return the visible part of each mask, front to back, and remove it from `free` in place."""
    side = masks.shape[1]
    seen = np.empty_like(masks)
    for (row, col), mask, visible in zip(corners.tolist(), masks, seen, strict=True):
        window = free[row : row + side, col : col + side]
        np.multiply(window, mask, out=visible)
        window -= _OPACITY * visible
    return seen


def _add_windows(canvas, corners, windows):
    """Add each window to the canvas in place."""
    side = windows.shape[1]
    for (row, col), window in zip(corners.tolist(), windows, strict=True):
        canvas[row : row + side, col : col + side] += window


def _detect(rng, light, noise):
    """Return the image (height, width, 3), uint8, that a noisy, saturating detector makes of light."""
    height, width = light.shape
    blue = _saturate(light + noise * _draw_grain(rng, light.shape))
    # Red and green get a fraction of the noise, mostly the same in both, and more of it in bright pixels.
    shared, *own = rng.standard_normal((3, height, width), dtype=np.float32)
    red_green = 0.28 * noise * (1 + light / 150) * (0.88 * shared + 0.48 * np.stack(own))
    return np.rint(np.clip(np.stack([*red_green, blue], axis=-1), 0, 255)).astype(np.uint8)


def _draw_grain(rng, shape):
    """Return noise of unit variance, correlated between neighbouring pixels."""
    centre, side = 0.56, 0.22
    white = rng.standard_normal((shape[0] + 2, shape[1] + 2), dtype=np.float32)
    white = centre * white[1:-1] + side * (white[:-2] + white[2:])
    white = centre * white[:, 1:-1] + side * (white[:, :-2] + white[:, 2:])
    return white / (centre**2 + 2 * side**2)


def _saturate(light):
    """Compress light above the knee so that it approaches the ceiling without exceeding it."""
    room = _CEILING - _KNEE
    return np.where(light > _KNEE, _KNEE + room * np.tanh((light - _KNEE) / room), light)
