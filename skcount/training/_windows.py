"""Where crops lie in an image: anywhere, or around points in images that are almost empty."""

import numpy as np

# Distance from a cut edge of a crop, in pixels, within which padding instead of the image affects the map.
MARGIN = 16
# Share of the crops that are drawn around points if few crops would hold any, and the least weight of a crop: with a
# smaller one, objects on a thousandth of the pixels would count less than the penalty on blank images, and be unlearnt.
AROUND, LEAST_WEIGHT = 0.5, 0.25


def draw_window(rng, size, patch_shape, roi=None, pixels=None):
    """Draw a window (top, left, height, width) of an image, and return it with its `valid` pixels and its weight.

    `valid` is 1 at the pixels, at least one, that the loss uses. Given the `pixels` of points, (n_points, 2), some of
    the windows are drawn around one of them, and the weight is the ratio of the probabilities without and with this
    preference, so that the mean of the loss stays the same, but at least LEAST_WEIGHT.
    """
    is_around = pixels is not None and len(pixels) > 0 and rng.random() < AROUND
    if is_around:
        spans = _spans_around(rng, pixels[rng.integers(len(pixels))], size, patch_shape)
    else:
        spans = [_draw_span(rng, *axis) for axis in zip(size, patch_shape, strict=True)]
    valid = valid_pixels(spans, size, roi)
    if not valid.any():
        inside = np.argwhere(roi)
        spans = _spans_around(rng, inside[rng.integers(len(inside))], size, patch_shape)
        valid = valid_pixels(spans, size, roi)
    weight = 1.0 if pixels is None or not len(pixels) else _weight(spans, size, patch_shape, pixels)
    return (spans[0][0], spans[1][0], spans[0][1], spans[1][1]), valid, weight


def _draw_span(rng, size, patch):
    """Draw (start, length) along one axis.

    The first and last pixels are only in the crops that end there. These crops are drawn as often as all crops together
    that contain a given pixel in the middle, so that borders are learnt as well as the rest.
    """
    if size <= patch:
        return 0, size
    beyond = patch - 2 * _margin(patch)
    start = rng.integers(-beyond, size - patch + beyond + 1)
    return int(np.clip(start, 0, size - patch)), patch


def _spans_around(rng, pixel, size, patch_shape):
    """Draw (start, length) along both axes such that a pixel is in the window, and not in a margin."""
    spans = []
    for position, side, patch in zip(pixel, size, patch_shape, strict=True):
        if side <= patch:
            spans.append((0, side))
            continue
        margin = _margin(patch)
        start = position - rng.integers(margin, patch - margin)
        spans.append((int(np.clip(start, 0, side - patch)), patch))
    return spans


def _weight(spans, size, patch_shape, pixels):
    """Return how much less likely a window is anywhere than in the mixture with windows around pixels."""
    anywhere, around = 1.0, np.ones(len(pixels))
    for (start, _), side, patch, positions in zip(spans, size, patch_shape, pixels.T, strict=True):
        if side > patch:
            anywhere *= _chance_anywhere(start, side, patch)
            around *= _chance_around(start, side, patch, positions)
    return max(LEAST_WEIGHT, anywhere / ((1 - AROUND) * anywhere + AROUND * around.mean()))


def _chance_anywhere(start, size, patch):
    """Return the probability that `_draw_span` starts there."""
    beyond = patch - 2 * _margin(patch)
    is_edge = start in {0, size - patch}
    return (1 + beyond * is_edge) / (size - patch + 2 * beyond + 1)


def _chance_around(start, size, patch, positions):
    """Return the probability, for each position, that a window around it starts there."""
    # A window around a pixel starts at the pixel minus an offset, and is moved into the image.
    first, last = _margin(patch), patch - _margin(patch) - 1
    offset = positions - start
    least, most = (first if start == size - patch else offset), (last if start == 0 else offset)
    n_ways = np.minimum(most, last) - np.maximum(least, first) + 1
    return np.maximum(n_ways, 0) / (last - first + 1)


def _margin(patch):
    return min(MARGIN, patch // 4)


def valid_pixels(spans, size, roi):
    """Mark the pixels of a crop inside the region and not within a margin of an edge that cuts through the image."""
    axes = []
    for (start, length), side in zip(spans, size, strict=True):
        valid = np.ones(length)
        if start > 0:
            valid[: _margin(length)] = 0
        if start + length < side:
            valid[length - _margin(length) :] = 0
        axes.append(valid)
    valid = axes[0][:, None] * axes[1]
    if roi is not None:
        valid *= roi[spans[0][0] : sum(spans[0]), spans[1][0] : sum(spans[1])]
    return valid
