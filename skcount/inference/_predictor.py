"""Densities of images: in batches or one at a time, whole or tile by tile, averaged over symmetries."""

import math
from contextlib import ExitStack, contextmanager, nullcontext

import numpy as np
import torch

from skcount._memory import keep_freed_memory
from skcount._progress import bar
from skcount.images import scale_images, unscale_density
from skcount.inference._memory import (
    SMALL,
    available_memory,
    bytes_per_pixel,
    check_memory,
    refuse_out_of_memory,
)
from skcount.inference._symmetries import symmetries
from skcount.inference._tiles import scaled_tile, tile_grid, tiles
from skcount.networks import inference_copy

# Maps of fewer pixels fit in memory that an allocator keeps anyway.
TINY = 2**16
# Approximate memory of a small image, in bytes per pixel.
SMALL_BYTES = 512
# A network takes up to four times the memory of its largest operation; the same amount should stay free.
SPARE = 8
# Images of one size are predicted together on a GPU, up to this many pixels.
BATCH_PIXELS = 2**21


class Predictor:
    """Predict with the current weights of a network. Make another one after the network has been trained further.

    Parameters
    ----------
    module : DensityNetwork
        The network.
    tile_size : int, (height, width) or None
        Largest part of an image that the network sees at once, in pixels of the image; None for whole images.
    factor : int, 0.5, 0.25 or callable
        The network sees images reduced by this factor; their maps have the size of the images. A function returns a
        list of them, one per image of an ImageSet.
    augment : {"rotations", "mirror"} or None
        The symmetries to average over.
    bf16 : bool
        Whether to compute the convolutions in bfloat16.
    progress : bool
        Whether to show a progress bar.
    familiarity : Familiarity or None
        Checks the pixels of each image and warns of images unlike the training images. None skips both.
    """

    def __init__(
        self,
        module,
        tile_size=None,
        factor=1,
        augment=None,
        bf16=False,
        progress=False,
        familiarity=None,
    ):
        self.module = inference_copy(module)
        self.module.bf16_evaluation = bf16
        self.factor = factor
        self.tile_size = tile_size
        self.grid, self.margin = tile_grid(module, tile_size, 1 if callable(factor) else factor)
        self.factors = None  # of the images that are being predicted
        self.last = None, None  # they, and the same at the working size
        self.symmetries = [None] if augment is None and tile_size is None else symmetries(augment)
        self.progress = progress
        self.familiarity = familiarity
        self.on_cpu = module.mean.device.type == "cpu"
        self.dtype = np.float64 if module.mean.dtype == torch.float64 else np.float32

    def counts(self, images, indices=None):
        """Return the counts, float64, of the images at `indices`; with tiles, no map of a whole image is in memory."""
        images = self.working(images)
        indices = np.arange(len(images)) if indices is None else indices
        counts = np.zeros(len(images))
        with self._running(images, indices) as progress:
            for batch in self._batches(images, indices):
                for _, densities in self._densities(images, batch):
                    for index, density in zip(batch, densities, strict=True):
                        counts[index] += density.sum(dtype=np.float64)
                    if progress is not None:
                        progress.update(densities.size)
        return counts[indices]

    def working(self, images):
        """Return the images as the network sees them: at the working size, the training mean outside their regions."""
        if self.last[0] is images:
            return self.last[1]
        mean = self.module.mean.flatten().numpy(force=True)
        self.factors = self.factor(images) if callable(self.factor) else [self.factor] * len(images)
        self.last = images, scale_images(images, self.factors, mean, self.dtype)
        return self.last[1]

    def maps(self, images, out=None, at_image_size=True):
        """Yield the density map of each image: a new array, or the one of the list `out`, written tile by tile.

        Maps have the working size if not `at_image_size`.
        """
        seen = self.working(images)
        images = images if at_image_size else seen
        indices = np.arange(len(images))
        with self._running(seen, indices) as progress:
            for batch in self._batches(seen, indices):
                size = images.sizes[batch[0]]
                maps = [np.empty(size, self.dtype) if out is None else out[index] for index in batch]
                n_seen, n_pixels = 0, math.prod(seen.sizes[batch[0]])
                for core, densities in self._densities(seen, batch):
                    # The first symmetry covers the image; the others add to it.
                    is_first = n_seen < n_pixels
                    for index, density_map, density in zip(batch, maps, densities, strict=True):
                        window = core
                        if images is not seen:
                            window, density = self._at_image_size(images, index, core, density)
                        density_map[window] = density if is_first else density_map[window] + density
                    n_seen += densities[0].size
                    if progress is not None:
                        progress.update(densities.size)
                yield from maps

    def _at_image_size(self, images, index, core, density):
        """Return the slices of an image that a part of its map covers, and that part at the image's own size."""
        factor = self.factors[index]
        window = tuple(
            slice(int(part.start * factor), min(int(part.stop * factor), side))
            for part, side in zip(core, images.sizes[index], strict=True)
        )
        roi = images.side_data(index)["roi"]
        size = [part.stop - part.start for part in window]
        return window, unscale_density(density, factor, size, None if roi is None else roi[window])

    @contextmanager
    def _running(self, images, indices):
        """Keep freed memory for the next image's maps, and yield a progress bar or None."""
        n_pixels = np.array(images.sizes).prod(axis=1)[indices]
        largest = n_pixels.max(initial=0)
        with ExitStack() as stack:
            # Tiles are chosen to save memory.
            if self.tile_size is None and self.on_cpu and largest >= TINY:
                n_bytes = SMALL_BYTES * int(largest)
                if largest >= SMALL:
                    needed = int(SPARE * largest * bytes_per_pixel(self.module))
                    n_bytes = needed // 2 if needed < available_memory() else 0
                if n_bytes:
                    stack.enter_context(keep_freed_memory(n_bytes))
            total = int(n_pixels.sum()) * len(self.symmetries)
            how = {"unit": "px", "unit_scale": True}
            yield stack.enter_context(bar("predict", total, **how)) if self.progress else None

    def _batches(self, images, indices):
        """Return the indices of the images that are predicted together."""
        batches = []
        for index in map(int, indices):
            size = images.sizes[index]
            # On a CPU a batch is no faster, and an image's count would depend on the others in it.
            joins = (
                batches
                and not self.on_cpu
                and self.tile_size is None
                and images.sizes[batches[-1][0]] == size
            )
            if joins and (len(batches[-1]) + 1) * math.prod(size) <= BATCH_PIXELS:
                batches[-1].append(index)
            else:
                batches.append([index])
        return batches

    def _densities(self, images, batch):
        """Yield (slices of the images, densities there) of images of one size; the densities add up to their maps."""
        size = images.sizes[batch[0]]
        rois = None if images.roi is None else [images.side_data(index)["roi"] for index in batch]
        if len(batch) * math.prod(size) >= SMALL:
            tile_size = scaled_tile(self.tile_size, self.factors[batch[0]])
            seen = size if tile_size is None else np.minimum(size, tile_size)
            check_memory(self.module, (len(batch), *seen), *self._subject(batch[0], size))
        for symmetry, window, core, inner in self._pieces(size, self.factors[batch[0]]):
            pixels = []
            for index in batch:
                pixels.append(images.read(index, window, self.dtype))
                if self.familiarity and symmetry is self.symmetries[0]:
                    inside = None if rois is None else rois[len(pixels) - 1][_slices(window)]
                    self.familiarity.add(pixels[-1], index, window[:2], inside)
            try:
                densities = self._apply(symmetry, pixels, inner)
            except RuntimeError as error:
                refuse_out_of_memory(error, *self._subject(batch[0], size))
                raise
            core = _slices(core)
            if rois is not None:
                densities = np.where(np.stack([roi[core] for roi in rois]), densities, 0)
            yield core, densities
        if self.familiarity:
            self.familiarity.check(batch)

    def _pieces(self, size, factor):
        """Return the inputs, one after the other: symmetry, window and core in the image, core in the input."""
        tile_size = scaled_tile(self.tile_size, factor)
        if self.symmetries == [None]:
            whole = (0, 0, *size)
            return [(None, whole, whole, whole)]
        pieces = []
        for symmetry in self.symmetries:
            for window, core in tiles(symmetry.shape(size), tile_size, self.grid, self.margin):
                inner = core[0] - window[0], core[1] - window[1], *core[2:]
                pieces.append((symmetry, *(symmetry.undo_window(w, size) for w in (window, core)), inner))
        return pieces

    @torch.inference_mode()
    def _apply(self, symmetry, pixels, inner):
        """Return the densities (n_images, height, width) of the core of the network's input."""
        scale = self.module.output_scale
        images = torch.from_numpy(pixels[0][None] if len(pixels) == 1 else np.stack(pixels))
        seen = (images if symmetry is None else symmetry(images)).to(scale.device, scale.dtype)
        with nullcontext() if self.on_cpu else _full_precision():
            density = self.module(seen)[:, 0][(slice(None), *_slices(inner))]
        if symmetry is not None:
            density = symmetry.undo(density) / len(self.symmetries)
        return density.cpu().numpy()

    def _subject(self, index, size):
        """Return the subject and the remedy of the message about an image that does not fit in memory."""
        subject = f"The {size[0]} x {size[1]} pixels of image {index} of X"
        if self.tile_size is None:
            return subject, "Set tile_size, as in set_params(tile_size=1024), which gives the same map."
        return (
            f"{subject}, in tiles of {scaled_tile(self.tile_size, self.factors[index])}",
            "Set a smaller tile_size.",
        )


def _slices(window):
    """Return the slices of a window (top, left, height, width)."""
    top, left, height, width = window
    return slice(top, top + height), slice(left, left + width)


def _full_precision():
    """Return a context in which a GPU does not round float32 to TF32, which changes counts by 0.1 %."""
    now = torch.backends.cudnn
    return now.flags(now.enabled, now.benchmark, now.benchmark_limit, now.deterministic, allow_tf32=False)


def check_device(device):
    """Return a device that torch can compute on; for "auto", a CUDA device if there is one, otherwise the CPU."""
    if isinstance(device, str) and device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"`device` must be 'auto', 'cpu', 'cuda' or another device of torch on this machine; got {str(device)!r} "
            f"({str(error).splitlines()[0]})."
        ) from error
    return str(device)


def computes_bf16(device):
    """Return whether a device has instructions for bfloat16: without them a CPU takes many times longer."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return False
