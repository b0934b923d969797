"""Parts of pictures at any zoom, as JPEG: a level reduces by a power of two, and a tile has 512 pixels to each side."""

from functools import lru_cache
from io import BytesIO

import numpy as np

from skcount._optional import import_optional

TILE = 512
# At most so many pixels are read at once.
STRIP = 2**24
# So many pixels to each side of a block make its mean.
FINE = 8
# What is shown at first: the darkest and the brightest pixels but these shares, in percent.
DARK, BRIGHT = 0.5, 99.8


class Tiles:
    """The tiles of an ImageSet, and of the density maps of its pictures (a dict of number -> array, filled by others)."""

    def __init__(self, images):
        self.images = images
        self.densities = {}
        self._reduced = lru_cache(maxsize=64)(self._read)

    def levels(self, number):
        """Return the number of levels of a picture: at the last one, it is a single tile."""
        return 1 + max(0, int(np.ceil(np.log2(max(self.images.sizes[number]) / TILE))))

    def range(self, number):
        """Return the darkest and the brightest value to show, in the units of `read`."""
        pixels = self._reduced(number, self.levels(number) - 1, 0, 0)
        pixels = pixels[np.isfinite(pixels)]
        low, high = np.percentile(pixels, (DARK, BRIGHT)) if pixels.size else (0.0, 1.0)
        return float(low), float(high) if high > low else float(low) + 1.0

    def jpeg(self, number, level, i, j, low, high, density=False, channel=-1):
        """Return a tile as JPEG: of one channel, or of the first three."""
        image = import_optional("PIL.Image", "The page")
        pixels = _shown(self._reduced(number, level, i, j), channel)
        pixels = np.nan_to_num(np.clip((pixels - low) / max(high - low, 1e-12), 0, 1), nan=0.0)
        if density and number in self.densities:
            pixels = self._blend(pixels, number, level, i, j)
        content = BytesIO()
        image.fromarray((255 * pixels + 0.5).astype(np.uint8)).save(content, "JPEG", quality=90)
        return content.getvalue()

    def overlay(self, number, dots):
        """Return a picture with its dots as JPEG, reduced to about two tiles to each side."""
        image, draw = (import_optional(f"PIL.{name}", "The page") for name in ("Image", "ImageDraw"))
        level = max(0, self.levels(number) - 2)
        low, high = self.range(number)
        height, width = (-(-side // 2**level) for side in self.images.sizes[number])
        picture = image.new("RGB", (width, height))
        for i in range(-(-height // TILE)):
            for j in range(-(-width // TILE)):
                part = image.open(BytesIO(self.jpeg(number, level, i, j, low, high)))
                picture.paste(part, (j * TILE, i * TILE))
        pen = draw.Draw(picture)
        for row, col in dots:
            x, y = ((place + 0.5) / 2**level for place in (col, row))
            pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=(230, 159, 0), outline=(0, 0, 0))
        content = BytesIO()
        picture.save(content, "JPEG", quality=90)
        return content.getvalue()

    def is_tile(self, number, level, i, j):
        """Return whether there is such a tile."""
        if not 0 <= number < len(self.images) or not 0 <= level < self.levels(number):
            return False
        return all(
            0 <= place * TILE << level < side
            for place, side in zip((i, j), self.images.sizes[number], strict=True)
        )

    def _window(self, number, level, i, j):
        """Return the part of the picture that a tile shows."""
        side = TILE << level
        height, width = self.images.sizes[number]
        top, left = i * side, j * side
        return top, left, min(side, height - top), min(side, width - left)

    def _read(self, number, level, i, j):
        """Return the pixels of a tile, (height, width, n_channels)."""
        top, left, height, width = self._window(number, level, i, j)
        step = 2**level
        # Strips begin where the tiles of most files do, so that none is decoded twice.
        unit = max(step, TILE)
        rows = max(1, STRIP // (width * self.images.n_channels) // unit) * unit
        if rows * width * self.images.n_channels > STRIP:
            rows = max(1, STRIP // (width * self.images.n_channels) // step) * step
        parts = []
        for start in range(0, height, rows):
            window = (top + start, left, min(rows, height - start), width)
            parts.append(_reduce(self.images.read(number, window), step))
        pixels = np.concatenate(parts, axis=1)
        return np.ascontiguousarray(pixels.transpose(1, 2, 0))

    def _blend(self, pixels, number, level, i, j):
        """Return the pixels with the density in orange over them."""
        density = self.densities[number]
        top, left, height, width = self._window(number, level, i, j)
        part = _reduce(density[None, top : top + height, left : left + width], 2**level)[0]
        strength = 0.75 * np.clip(part / (density.max() or 1), 0, 1)[..., None]
        return (1 - strength) * pixels + strength * np.array([1.0, 0.55, 0.1])


def _shown(pixels, channel):
    """Return the channels to show, (height, width, 3)."""
    if 0 <= channel < pixels.shape[2] or pixels.shape[2] < 3:
        return pixels[..., [max(channel, 0) % pixels.shape[2]]].repeat(3, axis=2)
    return pixels[..., :3]


def _reduce(pixels, step):
    """Return means of blocks of step x step pixels; those at the border may be smaller. Of large blocks, 8 x 8 are taken."""
    skip = max(1, step // FINE)
    pixels, step = pixels[:, ::skip, ::skip], step // skip
    if step == 1:
        return pixels
    for axis in (1, 2):
        starts = np.arange(0, pixels.shape[axis], step)
        sizes = np.diff(np.append(starts, pixels.shape[axis])).astype(pixels.dtype)
        pixels = np.add.reduceat(pixels, starts, axis=axis) / np.expand_dims(
            sizes, [n for n in range(3) if n != axis]
        )
    return pixels
