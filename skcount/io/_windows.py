"""Windows of large pictures: only the tiles of a TIFF, or the chunks of a zarr array, under a window are read."""

from pathlib import Path

import numpy as np

from skcount._optional import import_optional


class TiffWindows:
    """The first page of a TIFF of tiles or strips, read when it is sliced by rows and columns.

    `page` is one of tifffile, whose pixels have shape (height, width) or (height, width, n_channels).
    """

    def __init__(self, path, page):
        self.path = Path(path)
        self.shape, self.dtype = page.shape, page.dtype.newbyteorder("=")
        self._page, self._decode_tile, self._tables = (
            page,
            page.decode,
            page.jpegtables,
        )  # while the file is open
        self._side = (
            (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.shape[1])
        )
        self._n_across = -(-page.shape[1] // self._side[1])

    def __getitem__(self, window):
        rows, cols = window
        (top, bottom, _), (left, right, _) = rows.indices(self.shape[0]), cols.indices(self.shape[1])
        height, width = self._side
        pixels = np.zeros((bottom - top, right - left, *self.shape[2:]), self.dtype)
        with open(self.path, "rb") as file:
            for down in range(top // height, -(-bottom // height)):
                for across in range(left // width, -(-right // width)):
                    tile = self._decode(file, down * self._n_across + across)
                    if tile is None:
                        continue
                    begin = down * height - top, across * width - left
                    _paste(pixels, tile, begin)
        return pixels

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:, :], dtype=dtype)

    def _decode(self, file, number):
        """Return a tile or strip (height, width[, n_channels]); None if it is left out because it is empty."""
        offset, length = self._page.dataoffsets[number], self._page.databytecounts[number]
        if not length:
            return None
        file.seek(offset)
        content = file.read(length)
        if len(content) < length:
            raise OSError(f"{self.path} ends before the last of its strips or tiles. Restore it.")
        tile, _, _ = self._decode_tile(content, number, jpegtables=self._tables)
        return tile.reshape(tile.shape[1:3] + self.shape[2:])


def _paste(pixels, tile, begin):
    """Copy the part of a tile that lies in a window; `begin` is where the tile begins in it, which may be outside."""
    inside, source = [], []
    for start, n_tile, n_pixels in zip(begin, tile.shape[:2], pixels.shape[:2], strict=True):
        first, last = max(start, 0), min(start + n_tile, n_pixels)
        inside.append(slice(first, last))
        source.append(slice(first - start, last - start))
    pixels[tuple(inside)] = tile[tuple(source)]


def open_windows(tiff, header):
    """Return the picture of an open TIFF for reading windows of it; None if its layout does not allow it."""
    series = tiff.series[0]
    page = series.keyframe
    if (
        len(series.pages) > 1
        or (page.shape, page.dtype.newbyteorder("=")) != header[:2]
        or page.planarconfig != 1
    ):
        return None
    return TiffWindows(tiff.filehandle.path, page)


class ZarrWindows:
    """A picture in a zarr array or in the first scale of an OME-Zarr, read when it is sliced by rows and columns."""

    def __init__(self, path):
        array, axes = _open_zarr(path)
        kept = [
            (axis, length)
            for axis, length in zip(axes, array.shape, strict=True)
            if length > 1 or axis in "yx"
        ]
        names = "".join(axis for axis, _ in kept)
        if names not in {"yx", "yxc", "cyx"}:
            shape = " x ".join(str(length) for _, length in kept)
            raise ValueError(
                f"{path} is a stack of {shape} along the axes {names}; expected one picture. Select it first."
            )
        self._array, self._axes, self._has_channels = array, axes, len(names) == 3
        sizes = dict(kept)
        self.shape = (sizes["y"], sizes["x"], *([sizes["c"]] if self._has_channels else []))
        self.dtype = np.dtype(array.dtype).newbyteorder("=")

    def __getitem__(self, window):
        rows, cols = window
        chosen = {"y": rows, "x": cols, "c": slice(None) if self._has_channels else 0}
        pixels = np.asarray(self._array[tuple(chosen.get(axis, 0) for axis in self._axes)])
        kept = [axis for axis in self._axes if isinstance(chosen.get(axis, 0), slice)]
        return np.moveaxis(pixels, kept.index("c"), 2) if self._has_channels else pixels

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:, :], dtype=dtype)


def _open_zarr(path):
    """Return the array of a zarr folder and the names of its axes."""
    zarr = import_optional("zarr", "Reading zarr", "large")
    try:
        node = zarr.open(str(path), mode="r")
    except Exception as error:  # zarr's errors on damaged folders are of many kinds
        raise OSError(f"{path} cannot be read as zarr: {error}. Restore it.") from error
    if hasattr(node, "shape"):
        axes = {2: "yx", 3: "yxc"}.get(len(node.shape))
        if axes is None:
            raise ValueError(
                f"{path} must have shape (height, width) or (height, width, n_channels); got {node.shape}."
            )
        return node, axes
    attributes = dict(node.attrs)
    scales = (attributes.get("ome") or attributes).get("multiscales") or [{}]
    try:
        axes = "".join(axis["name"] if isinstance(axis, dict) else axis for axis in scales[0]["axes"])
        return node[scales[0]["datasets"][0]["path"]], axes.lower()
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(
            f"{path} must be a zarr array or an OME-Zarr picture; it is a group without multiscales."
        ) from error
