"""Large images in pieces: how far a network looks, and which windows together give the map of the whole."""

from itertools import product
from math import ceil
from numbers import Integral
from typing import NamedTuple

import torch
from sklearn.utils._param_validation import Interval, validate_params
from torch import nn
from torch.func import functional_call

from skcount.networks._inference import shared_copy
from skcount.networks._padding import pad_to_stride
from skcount.networks._symmetries import Symmetry

# A network that looks further than this, in pixels, is taken to look at all of the image.
FARTHEST = 1024


class Tile(NamedTuple):
    """A window of an image, and the part of it whose density is right.

    Parameters
    ----------
    window, core : (top, left, height, width)
        What the network sees, and what is kept of its map, in pixels of the image.
    """

    window: tuple
    core: tuple


@validate_params(
    {
        "shape": ["array-like"],
        "tile_size": [Interval(Integral, 1, None, closed="left"), None],
        "grid": [Interval(Integral, 1, None, closed="left"), None],
        "reach": [Interval(Integral, 0, None, closed="left"), None],
    },
    prefer_skip_nested_validation=True,
)
def tiles(shape, tile_size, grid, reach):
    """Cut an image into windows whose maps, each cut to its core, make up the map of the whole image.

    Parameters
    ----------
    shape : (height, width)
        The size of the image.
    tile_size : int or None
        The largest side of a window, >= 1; None for one window, all of the image.
    grid : int or None
        Windows start at multiples of this, >= 1: the stride of the network. None for one window.
    reach : int or None
        How far away a pixel of the image may be that a pixel of the map depends on, >= 0. None for one window.

    Yields
    ------
    Tile
        One after the other, row by row. The cores cover the image without overlap.

    Raises
    ------
    ValueError
        If the image is larger than a window, and a window has no pixel whose density is right.

    Examples
    --------
    >>> for tile in tiles((8, 40), tile_size=32, grid=8, reach=5):
    ...     print(tile)
    Tile(window=(0, 0, 8, 24), core=(0, 0, 8, 16))
    Tile(window=(0, 8, 8, 32), core=(0, 16, 8, 16))
    Tile(window=(0, 24, 8, 16), core=(0, 32, 8, 8))
    """
    rows, cols = (list(_spans(size, tile_size, grid, reach)) for size in shape)
    for (row, row_core), (col, col_core) in product(rows, cols):
        yield Tile((row[0], col[0], row[1], col[1]), (row_core[0], col_core[0], row_core[1], col_core[1]))


def _spans(size, tile_size, grid, reach):
    """Yield ((start, length) of a window, (start, length) of its core) along one axis."""
    if tile_size is None or size <= tile_size:
        yield (0, size), (0, size)
        return
    step, overlap = tile_step(tile_size, grid, reach)
    for start in range(0, size, step):
        first, last = max(0, start - overlap), min(size, start + step + overlap)
        yield (first, last - first), (start, min(step, size - start))


def tile_step(tile_size, grid, reach):
    """How far tiles are apart, and how much they see beyond their cores.

    Parameters
    ----------
    tile_size, grid, reach : int
        As for `tiles`.

    Returns
    -------
    step, overlap : int
        In pixels, multiples of `grid`.

    Raises
    ------
    ValueError
        If a window has no pixel whose density is right.

    Examples
    --------
    >>> tile_step(tile_size=512, grid=8, reach=51)
    (400, 56)
    """
    overlap = ceil(reach / grid) * grid
    step = (tile_size - 2 * overlap) // grid * grid
    if step <= 0:
        raise ValueError(
            f"tile_size={tile_size} and the network looks {reach} pixels far to each side, so that nothing of a tile would "
            f"be as in the whole image; expected at least {2 * overlap + grid}, better several times as much."
        )
    return step, overlap


@validate_params(
    {
        "network": [nn.Module],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=False,  # the network may call whatever its writer likes
)
def reach(network, n_channels, stride):
    """Measure how far a network looks: the largest distance between a pixel of its map and one that it depends on.

    Every weight is taken to be positive and every shift to be 0, so that nothing cancels; then half of an image is
    changed, and the change is looked for in the other half.

    Parameters
    ----------
    network : torch.nn.Module
        Maps (n, n_channels, height, width) to (n, 1, height, width), of sides that are multiples of `stride`.
    n_channels : int
        Number of channels, >= 1.
    stride : int
        The network's map moves with its image in steps of this, >= 1.

    Returns
    -------
    int
        The distance along an axis, in pixels; a few more where the stride is above 8.

    Raises
    ------
    ValueError
        If the network looks at all of an image, however large, as with statistics over it; or if tiles would not have
        the map of the whole, because it depends on the image's size or on the place in it.

    Examples
    --------
    >>> from torch import nn
    >>> reach(nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1)), 1, stride=1)
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
            f"How far the network looks cannot be measured ({str(error).splitlines()[0]}), so images cannot be cut into "
            "tiles. Set tile_size=None, or use layers that take images of any size and precision."
        ) from error
    if farthest is None:
        raise ValueError(
            f"The network looks at more than {FARTHEST} pixels around, or at statistics over the image, so that a tile's "
            "map is not the tile of the map. Set tile_size=None, or replace what looks at all of the image, such as an "
            "instance normalisation."
        )
    _check_tiles(positive, n_channels, stride, farthest)
    return farthest


def _positive(name, value, generator):
    """Weights whose sums cannot cancel and whose differences do not, in place of those that were learnt."""
    if not value.is_floating_point():
        return value
    if value.ndim > 1:
        weights = torch.rand(value.shape, dtype=torch.float64, generator=generator) + 0.5
        return weights / max(1, value[0].numel())
    return torch.full_like(value, not name.endswith(("bias", "mean")), dtype=torch.float64)


@torch.no_grad()
def _measure(network, n_channels, stride, half):
    """How far, along either axis, a change of one half of an image shows in the other."""
    farthest, step = 0, ceil(stride / 8)
    shape = 1, n_channels, max(2 * stride, 32), 2 * half
    noise = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    # From nothing, so that no sum rounds the change away; and from noise, where a product with 0 would hide it.
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
def _check_tiles(network, n_channels, stride, reach):
    """Refuse a network whose map depends on where on the image a tile is, or on the image's size."""
    # Tiles start at odd multiples of the stride, and the width is no multiple of anything.
    tile_size = 2 * ceil(reach / stride) * stride + 3 * stride
    width, height = 2 * tile_size + 2 * stride + 1, max(2 * stride, 32)
    noise = torch.rand(
        (1, n_channels, height, width), dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    for turns in (0, 1):
        symmetry = Symmetry(turns=turns)
        image = symmetry(noise)
        whole = network(pad_to_stride(image, stride))
        for window, core in tiles(image.shape[2:], tile_size, stride, reach):
            tile = network(pad_to_stride(_cut(image, window), stride))
            found = _cut(tile, (core[0] - window[0], core[1] - window[1], *core[2:]))
            expected = _cut(whole, core)
            atol = 1e-9 * float(whole.abs().max())
            if found.shape != expected.shape or not torch.allclose(found, expected, rtol=1e-6, atol=atol):
                raise ValueError(
                    f"The network's map of a tile of {window[2]} x {window[3]} pixels is not that tile of its map of "
                    f"{image.shape[2]} x {image.shape[3]} pixels: it depends on the size of the image, as with "
                    f"align_corners=True, or on the place in it, or moves in steps that do not divide {stride}. Set "
                    "tile_size=None, or give the network an attribute `stride` with its true stride."
                )


def _cut(image, window):
    """A window of images or maps (n, n_channels, height, width)."""
    top, left, height, width = window
    return image[..., top : top + height, left : left + width]
