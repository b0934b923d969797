"""The stores of pictures in files: pictures, slices of stacks, and regions of interest."""

from pathlib import Path

import numpy as np

from skcount._progress import track
from skcount.images import ImageStore
from skcount.io._pictures import Header, open_picture, read_header, read_picture
from skcount.io._stamp import check_stamp, file_stamp
from skcount.io._windows import ZarrWindows

LARGE = 2**26  # bytes of pixels: larger pictures are read by windows
ZARR = ".zarr"
HALF = 0.5  # of the largest value of an alpha channel: more is opaque


class FolderStore(ImageStore):
    """One or more pictures in files, read when they are needed.

    `paths` are absolute, with their `headers`; `slices` are the numbers of pictures along `axis` if the files are stacks.
    """

    def __init__(self, paths, headers, axis=None, slices=None, alpha="raise"):
        self.axis, self.alpha = axis, alpha
        headers = [headers[path] for path in paths]
        _check_kinds(paths, headers)
        self.paths = [str(path) for path in paths]
        self.slices = [0] * len(paths) if slices is None else slices
        self.stamps = [file_stamp(path) for path in paths]
        self.shapes = np.array([header.shape for header in headers], dtype=np.int64)
        self.dtype = headers[0].dtype
        self.geo = [header.geo for header in headers]

    def read(self, number):
        """Return picture `number`."""
        return self._read(number, self.alpha)

    def open(self, number):
        """Return picture `number` for reading windows of it: only the tiles under them, if it is large."""
        if self._last[0] != number:
            shape, path = tuple(self.shapes[number].tolist()), self.paths[number]
            n_bytes = np.prod(shape, dtype=np.float64) * self.dtype.itemsize
            is_plain = type(self) is FolderStore and self.axis is None and self.alpha == "raise"
            is_zarr = path.endswith(ZARR)
            if is_plain and (n_bytes > LARGE or is_zarr):
                check_stamp(path, self.stamps[number])
                self._last = (
                    number,
                    ZarrWindows(path) if is_zarr else open_picture(path, Header(shape, self.dtype)),
                )
            else:
                self._last = number, self.read(number)
        return self._last[1]

    def _read(self, number, alpha):
        path = self.paths[number]
        check_stamp(path, self.stamps[number])
        if path.endswith(ZARR):
            return np.asarray(ZarrWindows(path))
        return read_picture(path, self.axis, self.slices[number], alpha)

    def describe(self):
        """Return the folder of the first picture."""
        return f"in {Path(self.paths[0]).parent.name}/"

    def pack(self, index):
        """Keep only the files that are selected."""
        kept = index.tolist() or [0]  # an empty set needs one picture for its shape and type
        packed = type(self).__new__(type(self))
        vars(packed).update(self.__getstate__())
        for name in ("paths", "slices", "stamps", "geo"):
            setattr(packed, name, [getattr(self, name)[number] for number in kept])
        packed.shapes = self.shapes[kept]
        return packed, np.arange(len(index), dtype=np.int64)


class RegionStore(FolderStore):
    """Regions of interest in pictures of their own: where these are not black."""

    def __init__(self, paths, headers, axis=None, slices=None):
        super().__init__(paths, headers, axis, slices)
        self.shapes, self.dtype = self.shapes[:, :2], np.dtype(bool)

    def read(self, number):
        """Return the region in picture `number`."""
        pixels = self._read(number, "raise") > 0
        return pixels if pixels.ndim == 2 else pixels.any(axis=2)


class AlphaStore(RegionStore):
    """The regions of interest of pictures: where they are opaque."""

    def read(self, number):
        """Return the region of picture `number`; all of it if it has no alpha channel."""
        opaque = self._read(number, "only")
        if opaque is None:
            return np.ones(self.shapes[number], dtype=bool)
        return opaque > HALF * (np.iinfo(opaque.dtype).max if opaque.dtype.kind in "ui" else 1)


def read_headers(paths, axis=None, messages=None):
    """Return the `Header` of each file by its path.

    With a dict of `messages`, a file that cannot be read is left out, and the message about it is added there.
    """
    files, headers = list(dict.fromkeys(paths)), {}
    for path in track(files, "look", len(files)):
        try:
            headers[path] = _read_header(path, axis)
        except OSError as error:
            if messages is None:
                raise
            messages[path] = " ".join(str(error).split())
    return headers


def _read_header(path, axis):
    if path.suffix == ZARR:
        windows = ZarrWindows(path)
        return Header(windows.shape, windows.dtype)
    return read_header(path, axis)


def _check_kinds(paths, headers):
    kinds = [f"{(*header.shape, 1)[2]} channels of {header.dtype}" for header in headers]
    other = next((i for i, kind in enumerate(kinds) if kind != kinds[0]), None)
    if other is not None:
        raise ValueError(
            f"`images` must be of one type; {paths[0]} has {kinds[0]} and {paths[other]} has {kinds[other]}. Convert them."
        )
