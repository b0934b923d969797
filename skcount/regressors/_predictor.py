"""Densities of images, tile by tile."""

import math
from contextlib import nullcontext

import numpy as np
import torch

from skcount._progress import bar
from skcount.images import check_finite
from skcount.networks import symmetries, tiles
from skcount.networks._inference import cached_inference_copy
from skcount.networks._tiles import tile_step
from skcount.regressors._memory import NetworkMemory, out_of_memory
from skcount.regressors._pixels import PixelStatistics


class Predictor:
    """Predict with a network as it is now: one image after the other, so that none depends on another.

    Parameters
    ----------
    module : DensityNetwork
        The network. Once it is trained on, it needs another predictor.
    tile_size : int or None, default=None
        The largest side of what the network sees at once, in pixels; None for whole images.
    which : bool or "mirror", default=False
        The symmetries to take the mean over, see `skcount.networks.symmetries`.
    progress : bool, default=False
        Whether to show a progress bar, where there is a terminal.
    watch : RangeWatch or None, default=None
        Looks at the pixels of each image, too.
    mixed : bool, default=False
        Whether to compute the network in bfloat16.

    Raises
    ------
    ValueError
        If a tile is too small for the network, or no tile would do.
    """

    def __init__(self, module, tile_size=None, which=False, progress=False, watch=None, mixed=False):
        self.module = cached_inference_copy(module)
        self.module.predicts_mixed = mixed
        self.memory = NetworkMemory(self.module)
        self.tile_size = tile_size
        self.grid, self.reach = measure_tiles(module, tile_size)
        self.symmetries = symmetries(which)
        self.progress = progress
        self.watch = watch

    def counts(self, images, indices=None):
        """Count the objects in some images, with no map of a whole image in memory where there are tiles.

        Parameters
        ----------
        images : Images
            Checked images.
        indices : sequence of int or None, default=None
            Which of them; None takes all.

        Returns
        -------
        ndarray of shape (n_images,), float64
            The sum of each density map.
        """
        indices = range(len(images)) if indices is None else indices
        counts = np.zeros(len(indices))
        with self._kept_memory(images, indices), self._bar(images, indices) as bar:
            for n, index in enumerate(indices):
                for _, density in self._densities(images, index):
                    counts[n] += density.sum(dtype=np.float64)
                    bar.update(density.size)
        return counts

    def maps(self, images, out=None):
        """Predict one density map after the other.

        Parameters
        ----------
        images : Images
            Checked images.
        out : list or None, default=None
            Where to write the map of each image, tile by tile; what `check_out` returns.

        Yields
        ------
        array-like of shape (height, width)
            A new array, or the one of `out`.
        """
        indices = range(len(images))
        with self._kept_memory(images, indices), self._bar(images, indices) as bar:
            for index in indices:
                shape = images.shapes[index]
                density_map = np.empty(shape, images.dtype) if out is None else out[index]
                n_seen, n_pixels = 0, shape[0] * shape[1]
                for window, density in self._densities(images, index):
                    # The first symmetry covers the image; the others add to it.
                    density_map[window] = density if n_seen < n_pixels else density_map[window] + density
                    n_seen += density.size
                    bar.update(density.size)
                yield density_map

    def _kept_memory(self, images, indices):
        """A block in which one image's maps take the memory of another's; tiles are for those who have little of it."""
        if self.tile_size is not None:
            return nullcontext()
        shapes = [self._seen(images.shapes[index]) for index in indices]
        return self.memory.keep(max(shapes, key=math.prod, default=(0, 0, 0)))

    def _seen(self, shape):
        """What the network sees at once of an image: (1, height, width)."""
        return 1, *(min(size, self.tile_size or size) for size in shape)

    def _bar(self, images, indices):
        n_pixels = sum(int(np.prod(images.shapes[index])) for index in indices)
        total = n_pixels * len(self.symmetries)
        return bar("predict", total, shown=self.progress, unit="px", unit_scale=True)

    def _densities(self, images, index):
        """Yield (slices of the image, density there), for each symmetry its share."""
        image, shape = images.open(index), images.shapes[index]
        roi = images.roi and images.roi.read(index)
        statistics = self.watch and PixelStatistics(images.n_channels)
        self.memory.check(self._seen(shape), *self._words(index, shape))
        for symmetry in self.symmetries:
            for tile in tiles(symmetry.shape(shape), self.tile_size, self.grid, self.reach):
                window = symmetry.undo_window(tile.window, shape)
                pixels = images.cut(image, window)
                check_finite(pixels, index, corner=window[:2])
                if statistics and symmetry is self.symmetries[0]:
                    statistics.add(pixels)
                with out_of_memory(*self._words(index, shape)):
                    density = symmetry.undo(self._apply(symmetry, pixels, tile)) / len(self.symmetries)
                core = _slices(symmetry.undo_window(tile.core, shape))
                density = density.cpu().numpy()
                yield core, density if roi is None else np.where(roi[core], density, 0)
        if statistics:
            self.watch.check(index, statistics)

    def _words(self, index, shape):
        """What is said about an image that does not fit."""
        what = f"The {shape[0]} x {shape[1]} pixels of image {index} of X"
        if self.tile_size is None:
            return (
                what,
                "expected less: set tile_size, for example set_params(tile_size=1024), which gives the same map.",
            )
        return f"{what}, in tiles of {self.tile_size}", "expected less: set a smaller tile_size."

    @torch.inference_mode()
    def _apply(self, symmetry, pixels, tile):
        """The density of a tile's core, as the symmetry sees it."""
        scale = self.module.output_scale
        seen = symmetry(torch.from_numpy(pixels)).to(scale.device, scale.dtype)
        top, left = (core - window for core, window in zip(tile.core[:2], tile.window[:2], strict=True))
        return self.module(seen[None])[0, 0][_slices((top, left, *tile.core[2:]))]


def measure_tiles(module, tile_size):
    """Say where tiles start and how far the network looks; refuse tiles that would not have the map of the whole image.

    Parameters
    ----------
    module : DensityNetwork
        The network.
    tile_size : int or None
        The largest side of a tile, in pixels; None for whole images.

    Returns
    -------
    grid, reach : int
        In pixels; None for whole images.

    Raises
    ------
    ValueError
        If a tile is too small for the network, or no tile would do.
    """
    if tile_size is None:
        return None, None
    grid, reach = module.grid, module.reach()
    tile_step(tile_size, grid, reach)
    return grid, reach


class _Page:
    """One map of a stack of them, in memory or on disk."""

    def __init__(self, stack, index):
        self.stack = stack
        self.index = index

    def __getitem__(self, window):
        return self.stack[(self.index, *window)]

    def __setitem__(self, window, values):
        self.stack[(self.index, *window)] = values


def check_out(out, shapes):
    """Check where maps are to be written.

    Parameters
    ----------
    out : array-like of shape (n_images, height, width), or sequence of array-like of shape (height, width)
        Arrays of floats with slices to set, in memory or on disk.
    shapes : list of (height, width)
        The size of each image, in pixels.

    Returns
    -------
    list
        For each image, what its map is written to by slices.

    Raises
    ------
    ValueError
        If the sizes are not those of the images, or if an array does not hold floats.

    Examples
    --------
    >>> out = np.zeros((2, 3, 4), dtype=np.float32)
    >>> check_out(out, [(3, 4), (3, 4)])[1][:1, :2] = [[5, 6]]
    >>> out[1]
    array([[5., 6., 0., 0.],
           [0., 0., 0., 0.],
           [0., 0., 0., 0.]], dtype=float32)
    """
    pages = (
        [out]
        if len(getattr(out, "shape", ())) == 3
        else list(out)
        if isinstance(out, list | tuple)
        else [None]
    )
    for page in pages:
        if not isinstance(getattr(page, "dtype", None), np.dtype) or not hasattr(page, "__setitem__"):
            raise ValueError(
                f"out is a {type(out).__name__} of {type(page).__name__}; expected an array (n_images, height, width), or a "
                "list of arrays (height, width), whose slices can be set."
            )
        if not np.issubdtype(page.dtype, np.floating):
            raise ValueError(
                f"out has dtype {page.dtype}; expected floats, for there are less than one object a pixel."
            )
        if isinstance(page, np.ndarray) and not page.flags.writeable:
            raise ValueError("out is read-only; expected arrays that can be written to.")
    is_stack = pages[0] is out
    found = [tuple(out.shape[1:])] * out.shape[0] if is_stack else [tuple(page.shape) for page in pages]
    if found != [tuple(shape) for shape in shapes]:
        raise ValueError(
            f"out holds {len(found)} maps of {_sizes(found)} pixels and X {len(shapes)} images of {_sizes(shapes)}; "
            "expected one map an image, of its size."
        )
    return [_Page(out, index) for index in range(len(shapes))] if is_stack else pages


def _sizes(shapes):
    """Some sizes, in words."""
    sizes = sorted({tuple(map(int, shape)) for shape in shapes})
    return ", ".join(" x ".join(map(str, size)) for size in sizes[:3]) + ", ..." * (len(sizes) > 3)


def _slices(window):
    """The slices of a window (top, left, height, width)."""
    top, left, height, width = window
    return slice(top, top + height), slice(left, left + width)
