"""The diameter of objects, learnt from their dots and the pixels around them."""

import numpy as np
from scipy.spatial import KDTree
from sklearn.utils._param_validation import validate_params

from skcount.images import ImageSet
from skcount.points import PointAnnotations

# At most this many dots are looked at, in at most this many images.
N_DOTS, N_IMAGES = 240, 40
# A window has this many blocks to each side of its dot; the sides of blocks are 1, 2, 4, ... pixels.
HALF = 24
# Images of at most this many pixels are read as a whole.
SMALL = 2**18
# Radius of the smallest and of the largest disc, in pixels, and the number of radii per octave.
SMALLEST, LARGEST, PER_OCTAVE = 1.5, 270, 6
# The ring around a disc ends at this many times its radius; of a disc and a ring, this much must lie on the image.
RING, SEEN = 1.4, 0.5
# Discs must differ from their rings this clearly more at dots than elsewhere, in standard errors.
CLEAR = 3.0
# Objects differ in size, and a disc that is too large for one still differs from its ring, one that is too small does not.
SHRINK = 0.9


@validate_params(
    {"images": [ImageSet], "points": [PointAnnotations], "sample_weight": ["array-like", None]},
    prefer_skip_nested_validation=True,
)
def estimate_diameter(images, points, sample_weight=None):
    """Estimate the diameter of objects from one dot per object and the pixels around it.

    A disc around a dot differs most from the ring around it if it is as large as the object. For each of many radii, the
    squared difference of the mean of the disc and of the ring is averaged over dots, and its average over random
    positions is subtracted; the radius with the largest result is that of an object. Where objects are dense, no radius
    above the median distance of the nearest dots is considered, because a whole cluster differs from its surroundings,
    too.

    Parameters
    ----------
    images : ImageSet
        The images. Pixels outside the regions of interest are not used.
    points : PointAnnotations
        Dots of each image as (row, col) in pixels, at about the middle of each object.
    sample_weight : array-like of shape (n_images,) or None, default=None
        Images of weight 0 are not used.

    Returns
    -------
    float or None
        Typical width of an object, in pixels. None if there are fewer than three dots, or if discs around them differ
        from their rings no more than elsewhere.

    See Also
    --------
    DensityMapRegressor : Learns it in `fit`, as its attribute `diameter_`.

    Notes
    -----
    At most 240 dots are looked at, and objects of more than about 480 pixels are not recognized. The comparison of a
    disc with its surroundings is that of blob detectors (T. Lindeberg, "Feature detection with automatic scale
    selection", International Journal of Computer Vision 30, 1998).

    Examples
    --------
    >>> from skcount import ImageSet
    >>> from skcount.datasets import make_cells
    >>> from skcount.density import estimate_diameter
    >>> X, points = make_cells(n_samples=4, image_shape=(128, 128), random_state=0, return_X_y=True)
    >>> 8 < estimate_diameter(ImageSet(X), points) < 14
    True
    """
    weights = np.ones(len(images)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    places = _draw_places(images, points, np.flatnonzero((weights > 0) & (points.lengths > 0)))
    if sum(len(dots) for _, dots, _ in places) < 3:
        return None
    radii, gains, errors = [], [], []
    spreads = {}
    for block, some in _octaves(_largest_radius(images, points, weights)):
        at_dots, elsewhere = [], []
        for index, *positions in places:
            windows = [_windows(images, index, each, block) for each in positions]
            if index not in spreads:
                spreads[index] = _spread(np.concatenate(windows))
            for found, each in zip((at_dots, elsewhere), windows, strict=True):
                found.append((_differences(each, some / block) / spreads[index]) ** 2)
        gain, error = _compare(np.concatenate(at_dots), np.concatenate(elsewhere))
        radii.extend(some)
        gains.extend(gain)
        errors.extend(error)
    if not np.any(np.greater(gains, CLEAR * np.array(errors))):
        return None
    return SHRINK * 2 * _peak(np.array(radii), np.array(gains))


def _draw_places(images, points, indices):
    """Return (index, dots, as many random positions) of some images."""
    rng = np.random.default_rng(0)
    if len(indices) > N_IMAGES:
        indices = indices[np.linspace(0, len(indices) - 1, N_IMAGES).round().astype(int)]
    places = []
    for index in indices.tolist():
        dots = points[index]
        dots = dots[rng.permutation(len(dots))[: max(1, N_DOTS // len(indices))]]
        places.append((index, dots, rng.uniform(-0.5, np.array(images.sizes[index]) - 0.5, dots.shape)))
    return places


def _largest_radius(images, points, weights):
    """Return the largest radius that an object may have, in pixels."""
    distances = [
        KDTree(p).query(p, k=2)[0][:, 1] for p, w in zip(points, weights, strict=True) if w > 0 and len(p) > 1
    ]
    nearest = np.median(np.concatenate(distances)) if distances else np.inf
    return max(2 * SMALLEST, min(nearest, max(map(min, images.sizes)) / 2, LARGEST))


def _octaves(largest):
    """Yield the size of a block and the radii, in pixels, that windows of such blocks are good for."""
    block, first = 1, SMALLEST
    while first <= largest:
        radii = first * 2 ** (np.arange(np.log2(HALF / RING * block / first) * PER_OCTAVE) / PER_OCTAVE)
        yield block, radii[radii <= largest]
        block, first = 2 * block, radii[-1] * 2 ** (1 / PER_OCTAVE)


def _windows(images, index, positions, block):
    """Return block means around positions, (n, n_channels, 49, 49); NaN outside the image and its region."""
    size, roi = images.sizes[index], images.side_data(index)["roi"]
    side = (2 * HALF + 1) * block
    whole = images.read(index) if size[0] * size[1] <= SMALL else None
    windows = []
    for corner in np.floor(positions + 0.5).astype(int) - HALF * block - block // 2:
        first, last = np.maximum(corner, 0), np.minimum(corner + side, size)
        part = slice(first[0], last[0]), slice(first[1], last[1])
        pixels = images.read(index, (*first, *(last - first))) if whole is None else whole[:, *part]
        window = np.full((images.n_channels, side, side), np.nan, dtype=np.float32)
        top, left = first - corner
        inside = np.isfinite(pixels) if roi is None else np.isfinite(pixels) & roi[part]
        window[:, top : top + pixels.shape[1], left : left + pixels.shape[2]] = np.where(
            inside, pixels, np.nan
        )
        blocks = window.reshape(images.n_channels, 2 * HALF + 1, block, 2 * HALF + 1, block)
        windows.append(blocks.mean(axis=(2, 4)))
    return np.stack(windows)


def _spread(windows):
    """Return the standard deviation of each channel, or 1 if it has none."""
    known = np.isfinite(windows)
    values = np.where(known, windows, 0).astype(np.float64)
    n = np.maximum(known.sum(axis=(0, 2, 3)), 1)[:, None, None]
    mean = values.sum(axis=(0, 2, 3))[:, None, None] / n
    variance = (np.where(known, values - mean, 0) ** 2).sum(axis=(0, 2, 3)) / n[:, 0, 0]
    return np.where(variance > 0, np.sqrt(variance), 1)


def _differences(windows, radii):
    """Return the mean of each disc minus that of its ring, (n, n_radii, n_channels); NaN if too little of one is seen."""
    distance = np.hypot(*np.mgrid[-HALF : HALF + 1, -HALF : HALF + 1])
    discs = np.clip(radii[:, None, None] + 0.5 - distance, 0, 1)  # pixels on the edge belong to it in part
    rings = np.clip(RING * radii[:, None, None] + 0.5 - distance, 0, 1) - discs
    seen = np.isfinite(windows)
    values = np.where(seen, windows, 0)
    means = []
    for weights in (discs, rings):
        total = np.einsum("ncij,rij->nrc", seen, weights, optimize=True)
        mean = np.einsum("ncij,rij->nrc", values, weights, optimize=True) / np.maximum(total, 1e-9)
        means.append(np.where(total < SEEN * weights.sum(axis=(1, 2))[:, None], np.nan, mean))
    return means[0] - means[1]


def _compare(at_dots, elsewhere):
    """Return, for each radius, how much more discs differ at dots than elsewhere, and the standard error; 0 if unknown."""
    moments = []
    for squares in (at_dots.mean(axis=2), elsewhere.mean(axis=2)):
        known = np.isfinite(squares)
        n = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, squares, 0).sum(axis=0) / n
        variance = np.where(known, (squares - mean) ** 2, 0).sum(axis=0) / n
        moments.append((mean, variance / n, known.sum(axis=0) > 2))
    (mean, error, is_known), (other, other_error, is_other_known) = moments
    is_known &= is_other_known
    return np.where(is_known, mean - other, 0), np.sqrt(error + other_error)


def _peak(radii, gains):
    """Return the radius of the largest gain, between the radii that were tried."""
    top = int(np.argmax(gains))
    if not 0 < top < len(radii) - 1:
        return float(radii[top])
    below, here, above = gains[top - 1 : top + 2]
    shift = 0.5 * (below - above) / (below - 2 * here + above)
    return float(radii[top] * (radii[top + 1] / radii[top]) ** shift)
