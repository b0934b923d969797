"""Large images in tiles: the receptive field of a network, and windows whose maps form the map of the image."""

from itertools import product
from math import ceil
from numbers import Integral
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from sklearn.utils._param_validation import Interval, validate_params
from torch import nn
from torch.func import functional_call

from skcount.inference._symmetries import Symmetry
from skcount.networks import pad_to_stride, shared_copy

# A network with a larger receptive field than this, in pixels, is assumed to depend on the whole image.
FARTHEST = 1024
# Margin of each DensityNetwork and the layers with which it was measured; it does not depend on the weights.
_known = WeakKeyDictionary()


class Tile(NamedTuple):
    """A window that the network sees and the core of its map that is kept, each (top, left, height, width)."""

    window: tuple
    core: tuple


@validate_params(
    {
        "shape": ["array-like"],
        "tile_size": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "grid": [Interval(Integral, 1, None, closed="left"), None],
        "margin": [Interval(Integral, 0, None, closed="left"), None],
    },
    prefer_skip_nested_validation=True,
)
def tiles(shape, tile_size, grid, margin):
    """Cut an image into windows whose maps, each cropped to its core, form the map of the whole image.

    Parameters
    ----------
    shape : (height, width)
        Size of the image, in pixels.
    tile_size : int, (height, width) or None
        Largest size of a window, >= 1. If None, there is one window, the whole image.
    grid : int or None
        Windows start at multiples of this, >= 1: the stride of the network. None for one window.
    margin : int or None
        Distance of the farthest pixel that a pixel of the map depends on, >= 0. None for one window.

    Yields
    ------
    Tile
        The tiles, row by row. The cores cover the image without overlap.

    Raises
    ------
    ValueError
        If the image is larger than a window, and windows are too small for any pixel to have the right density.

    Examples
    --------
    >>> from skcount.inference import tiles
    >>> for tile in tiles((8, 40), tile_size=32, grid=8, margin=5):
    ...     print(tile)
    Tile(window=(0, 0, 8, 24), core=(0, 0, 8, 16))
    Tile(window=(0, 8, 8, 32), core=(0, 16, 8, 16))
    Tile(window=(0, 24, 8, 16), core=(0, 32, 8, 8))
    """
    limits = tile_size if isinstance(tile_size, tuple | list) else (tile_size, tile_size)
    rows, cols = (list(_spans(size, limit, grid, margin)) for size, limit in zip(shape, limits, strict=True))
    for (row, row_core), (col, col_core) in product(rows, cols):
        yield Tile((row[0], col[0], row[1], col[1]), (row_core[0], col_core[0], row_core[1], col_core[1]))


def _spans(size, tile_size, grid, margin):
    """Yield ((start, length) of a window, (start, length) of its core) along one axis."""
    if tile_size is None or size <= tile_size:
        yield (0, size), (0, size)
        return
    step, overlap = tile_step(tile_size, grid, margin)
    for start in range(0, size, step):
        first, last = max(0, start - overlap), min(size, start + step + overlap)
        yield (first, last - first), (start, min(step, size - start))


def tile_step(tile_size, grid, margin, factor=1):
    """Return the distance of tiles and how far each extends beyond its core: pixels, multiples of `grid`.

    The message is in pixels of an image that is `factor` times as large.
    """
    overlap = ceil(margin / grid) * grid
    step = (tile_size - 2 * overlap) // grid * grid
    if step <= 0:
        raise ValueError(
            f"`tile_size` must be at least {ceil((2 * overlap + grid) * factor)}, better several times more, because the "
            f"network sees {ceil(margin * factor)} pixels to each side; got {int(tile_size * factor)}."
        )
    return step, overlap


def scaled_tile(tile_size, factor):
    """Return the largest tile of images that are reduced by a factor; None for whole images."""
    if tile_size is None:
        return None
    sides = tile_size if isinstance(tile_size, tuple | list) else (tile_size, tile_size)
    return tuple(max(1, int(side / factor)) for side in sides)


def tile_grid(module, tile_size, factor=1):
    """Return grid and margin of a DensityNetwork's tiles, or reject a tile that is too small; None without tiles."""
    if tile_size is None:
        return None, None
    layers = repr(module.network)
    if module not in _known or _known[module][0] != layers:
        _known[module] = layers, receptive_field(module.network, module.mean.shape[1], module.grid)
    margin = _known[module][1]
    for side in scaled_tile(tile_size, factor):
        tile_step(side, module.grid, margin, factor)
    return module.grid, margin


@validate_params(
    {
        "network": [nn.Module],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=False,  # a user's network may call any validated function
)
def receptive_field(network, n_channels, stride):
    """Measure the radius of a network's receptive field: the largest distance at which a pixel affects its map.

    For the measurement, every weight is made positive and every shift 0, so that nothing cancels. Then half of an image
    is changed, and the change is measured in the other half of the map.

    Parameters
    ----------
    network : torch.nn.Module
        Maps (n, n_channels, height, width) to (n, 1, height, width), with sides that are multiples of `stride`.
    n_channels : int
        Number of channels, >= 1.
    stride : int
        The network's map moves with its image in steps of this, >= 1.

    Returns
    -------
    int
        The distance along an axis, in pixels; a few pixels too large if the stride is above 8.

    Raises
    ------
    ValueError
        If the network depends on all of an image, however large, as with statistics over it; or if tiles would not give
        the map of the whole image, because it depends on the size of the image or on the position in it.

    Examples
    --------
    >>> from torch import nn
    >>> from skcount.inference import receptive_field
    >>> network = nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
    >>> receptive_field(network, n_channels=1, stride=1)
    3
    """
    network = shared_copy(network).eval()
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    generator = torch.Generator().manual_seed(0)
    tensors = {name: _positive(name, value.detach().cpu(), generator) for name, value in tensors.items()}

    def positive(x):
        return functional_call(network, tensors, x.clone(memory_format=torch.contiguous_format))

    try:
        farthest, half = None, 4 * stride
        while farthest is None and half <= FARTHEST:
            found = _measure(positive, n_channels, stride, half)
            farthest = found if found <= half - stride else None
            half *= 2
    except (RuntimeError, ValueError, TypeError) as error:
        raise ValueError(
            f"The receptive field of the network cannot be measured ({str(error).splitlines()[0]}), so images cannot be cut "
            "into tiles. Set tile_size=None, or use layers that take images of any size and precision."
        ) from error
    if farthest is None:
        raise ValueError(
            f"The receptive field of the network is larger than {FARTHEST} pixels, or it uses statistics of the whole "
            "image, so the map of a tile differs from that tile of the map. Set tile_size=None, or replace layers such "
            "as instance normalisation."
        )
    _check_tiles(positive, n_channels, stride, farthest)
    return farthest


def _positive(name, value, generator):
    """Return weights of the same shape whose sums cannot cancel, and shifts of 0."""
    if not value.is_floating_point():
        return value
    if value.ndim > 1:
        weights = torch.rand(value.shape, dtype=torch.float64, generator=generator) + 0.5
        return weights / max(1, value[0].numel())
    return torch.full_like(value, not name.endswith(("bias", "mean")), dtype=torch.float64)


@torch.no_grad()
def _measure(network, n_channels, stride, half):
    """Return the distance, along either axis, over which a change in one half of an image affects the other half."""
    farthest, step = 0, ceil(stride / 8)
    shape = 1, n_channels, max(2 * stride, 32), 2 * half
    noise = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    # Start from zeros, so that no sum rounds the change away, and from noise, because a product with 0 would hide it.
    for image, starts in (
        (torch.zeros_like(noise), range(half, half + stride, step)),
        (noise, range(half, half + 1)),
    ):
        for mirrored, turns in product((False, True), (0, 1)):
            symmetry = Symmetry(mirrored, turns)
            before = symmetry.undo(network(symmetry(image)))
            for start in starts:
                changed = image.clone()
                changed[..., start:] += 1
                after = symmetry.undo(network(symmetry(changed)))
                seen = (before != after).any(dim=2).flatten().nonzero()
                # A change that starts up to `step` pixels later shows no further away than this.
                farthest = max(farthest, start - int(seen.min()) + step - 1 if len(seen) else 0)
    return farthest


@torch.no_grad()
def _check_tiles(network, n_channels, stride, margin):
    """Reject a network whose map depends on the position of a tile or on the size of the image."""
    # Tiles start at odd multiples of the stride, and the width is not a multiple of the stride.
    tile_size = 2 * ceil(margin / stride) * stride + 3 * stride
    width, height = 2 * tile_size + 2 * stride + 1, max(2 * stride, 32)
    noise = torch.rand(
        (1, n_channels, height, width), dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    for turns in (0, 1):
        symmetry = Symmetry(turns=turns)
        image = symmetry(noise)
        whole = network(pad_to_stride(image, stride))
        for window, core in tiles(image.shape[2:], tile_size, stride, margin):
            tile = network(pad_to_stride(_cut(image, window), stride))
            found = _cut(tile, (core[0] - window[0], core[1] - window[1], *core[2:]))
            expected = _cut(whole, core)
            atol = 1e-9 * float(whole.abs().max())
            if found.shape != expected.shape or not torch.allclose(found, expected, rtol=1e-6, atol=atol):
                raise ValueError(
                    f"The network's map of a tile of {window[2]} x {window[3]} pixels differs from that tile of its "
                    f"map of {image.shape[2]} x {image.shape[3]} pixels: it depends on the size of the image, as with "
                    f"align_corners=True, or on the position in it, or moves in steps that do not divide {stride}. Set "
                    "tile_size=None, or give the network an attribute `stride` with its true stride."
                )


def _cut(image, window):
    """Return a window of images or maps (n, n_channels, height, width)."""
    top, left, height, width = window
    return image[..., top : top + height, left : left + width]
