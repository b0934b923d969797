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
    With `mixed` "color", pictures of several types are read as colors, float32 scaled by the range of their type.
    """

    def __init__(self, paths, headers, axis=None, slices=None, alpha="raise", mixed="raise"):
        self.axis, self.alpha = axis, alpha
        headers = [headers[path] for path in paths]
        other = _find_other(headers)
        self.is_mixed = mixed == "color" and other is not None
        if not self.is_mixed:
            _check_kinds(paths, headers, other)
        self.paths = [str(path) for path in paths]
        self.slices = [0] * len(paths) if slices is None else slices
        self.stamps = [file_stamp(path) for path in paths]
        if self.is_mixed:
            _check_colors(paths, headers)
            self.shapes = np.array([(*header.shape[:2], 3) for header in headers], dtype=np.int64)
            self.dtype = np.dtype(np.float32)
        else:
            self.shapes = np.array([header.shape for header in headers], dtype=np.int64)
            self.dtype = headers[0].dtype
        self.geo = [header.geo for header in headers]

    def read(self, number):
        """Return picture `number`."""
        pixels = self._read(number, self.alpha)
        return as_colors(pixels) if self.is_mixed else pixels

    def open(self, number):
        """Return picture `number` for reading windows of it: only the tiles under them, if it is large."""
        if self._last[0] != number:
            shape, path = tuple(self.shapes[number].tolist()), self.paths[number]
            n_bytes = np.prod(shape, dtype=np.float64) * self.dtype.itemsize
            is_plain = type(self) is FolderStore and self.axis is None and self.alpha == "raise"
            is_plain &= not self.is_mixed
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

    def __init__(self, paths, headers, axis=None, slices=None, mixed="raise"):
        super().__init__(paths, headers, axis, slices, mixed=mixed)
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


def as_colors(pixels):
    """Return a picture as colors, (height, width, 3) of float32: integers are scaled by their type's range."""
    if pixels.dtype.kind in "iu":
        pixels = pixels / np.float32(np.iinfo(pixels.dtype).max)
    pixels = pixels.astype(np.float32).reshape(*pixels.shape[:2], -1)
    return pixels.repeat(3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]


def _find_other(headers):
    """Return the number of the first picture that is of another type than the first one, or None."""
    kinds = [_kind(header) for header in headers]
    return next((number for number, kind in enumerate(kinds) if kind != kinds[0]), None)


def _kind(header):
    return f"{(*header.shape, 1)[2]} channels of {header.dtype}"


def _check_kinds(paths, headers, other):
    if other is not None:
        raise ValueError(
            f"`images` must be of one type; {paths[0]} has {_kind(headers[0])} and {paths[other]} has "
            f"{_kind(headers[other])}. Convert them, or pass mixed='color' to read all of them as colors from 0 to 1."
        )


def _check_colors(paths, headers):
    """Reject pictures that are neither grey nor colors."""
    for path, header in zip(paths, headers, strict=True):
        if (*header.shape, 1)[2] not in {1, 3, 4}:
            raise ValueError(
                f"`mixed`='color' is for pictures with 1, 3 or 4 channels; {path} has {_kind(header)}. Convert it."
            )
