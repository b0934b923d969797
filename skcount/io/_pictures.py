"""One picture file -> one array of pixels, as they are stored: PNG, JPEG, BMP and TIFF.

What a picture looks like is told from its header, without decoding it. Pixels keep their type: 16 bits stay
16 bits. What cannot be had without loss or guessing is refused: transparency, stacks, inverted greys.
"""

import os
import struct
import threading
import warnings
import zlib
from contextlib import contextmanager
from math import prod
from typing import NamedTuple

import numpy as np

from skcount._optional import import_optional

__all__ = ["DAMAGE", "SUFFIXES", "Header", "is_jpeg", "read_header", "read_picture", "without_warnings"]

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112  # the tag of EXIF and TIFF; 1 is upright
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_MAX_PAGES, _MAX_ENTRIES = 10_000, 4096  # of a TIFF
_TRUST = "If the file can be trusted, raise PIL.Image.MAX_IMAGE_PIXELS; or cut the picture into tiles."
_STACK = "Save each picture as a file, or read them by tifffile.imread and use the array."
_PHOTOGRAPHS = {"JPEG", "MPO"}
_one_at_a_time = threading.Lock()
# What damaged pictures make the decoders raise.
DAMAGE = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, SyntaxError),
    *(TypeError, ValueError, struct.error, zlib.error),
)


class Header(NamedTuple):
    """What is known of a picture before it is decoded."""

    shape: tuple
    dtype: np.dtype


def read_header(path, indices=False):
    """Tell shape and type of a picture from its header.

    Parameters
    ----------
    path : str or path-like
        Name of the file.
    indices : bool, default=False
        Whether a picture with a palette is read as its indices, and not as its colours.

    Returns
    -------
    Header
        ``shape``, (height, width) or (height, width, n_channels), and ``dtype`` of what :func:`read_picture`
        returns.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If the file is damaged or no picture.
    ValueError
        If it is a picture of a kind that is not read: the message says why, and what to do.
    """
    return _open(path, indices, decode=False)


def read_picture(path, indices=False):
    """Read the pixels of a picture.

    Pictures of 1 bit come as 0 and 255. A palette is replaced by its colours, and a photograph is turned upright
    as its EXIF data say, for dots were clicked on what was shown.

    Parameters
    ----------
    path : str or path-like
        Name of the file.
    indices : bool, default=False
        Whether a picture with a palette is read as its indices, and not as its colours.

    Returns
    -------
    ndarray of shape (height, width) or (height, width, n_channels)
        The pixels, in the type in which they are stored.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If the file is damaged or no picture.
    ValueError
        If it is a picture of a kind that is not read, or in part transparent.
    """
    return _open(path, indices, decode=True)


def is_jpeg(path):
    """Tell whether a file is a JPEG, whatever its name.

    Parameters
    ----------
    path : str or path-like
        Name of the file.

    Returns
    -------
    bool
        Whether it begins like one.
    """
    return _read_start(path).startswith(b"\xff\xd8\xff")


@contextmanager
def without_warnings():
    """Keep to oneself what pillow warns of when it opens a picture: it does not say which one.

    Yields
    ------
    list of warnings.WarningMessage
        What it warned of.
    """
    # Filters of warnings are of the whole process.
    with _one_at_a_time, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def _open(path, indices, decode):
    start = _read_start(path)
    opened = _open_tiff if start.startswith(_TIFF_MAGIC) else _open_other
    with _naming_the_file(path):
        return opened(path, start, indices, decode)


def _read_start(path):
    with open(path, "rb") as file:
        return file.read(26)  # of a PNG as far as its number of bits and its kind of colours


class _RefusedError(ValueError):
    """A picture of a kind that is not read; its message is for the user as it is."""


@contextmanager
def _naming_the_file(path):
    """Turn whatever a decoder makes of a damaged file into one OSError that names it."""
    try:
        yield
    except (FileNotFoundError, PermissionError, ImportError, MemoryError):
        raise
    except _RefusedError as error:
        raise ValueError(f"{path} {error}") from None
    except DAMAGE as error:
        raise OSError(
            f"{path} cannot be read as a picture: {error}. The file is damaged or of another kind than PNG, JPEG, BMP "
            "or TIFF; restore it, or convert it."
        ) from error


# --- PNG, JPEG, BMP --------------------------------------------------------------------------------

# Mode of pillow -> number of channels (0: no channel axis) without transparency.
_CHANNELS = {"1": 0, "L": 0, "LA": 0, "I": 0, "I;16": 0, "I;16B": 0, "P": 3, "PA": 3, "RGB": 3, "RGBA": 3}


def _open_other(path, start, indices, decode):
    pillow = import_optional("PIL.Image", "Reading pictures")
    try:
        with without_warnings() as caught:
            opened = pillow.open(path)
    except pillow.DecompressionBombError as error:
        raise _RefusedError(f"is larger than it may be: {error} {_TRUST}") from None
    with opened as image:
        if image.format not in {"PNG", "JPEG", "MPO", "BMP"}:
            raise _RefusedError(f"is a {image.format} picture; expected PNG, JPEG, BMP or TIFF. Convert it.")
        # Of the several pictures of an MPO, a photograph with its preview, the first is the photograph.
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            raise _RefusedError(f"holds {image.n_frames} pictures; expected one a file. Save each as a file.")
        if image.mode not in _CHANNELS:
            raise _RefusedError(
                f"is of pillow's mode {image.mode}; expected grey, RGB or a palette. Convert it."
            )
        turn = _read_turn(image, caught)
        indices = indices and image.mode == "P"
        channels = 0 if indices else _CHANNELS[image.mode]
        is_deep = start.startswith(_PNG_MAGIC) and start[24] == 16
        if (
            is_deep
        ):  # pillow's mode of these is another, for it keeps 8 bits of each channel, and says nothing
            channels = 3 if start[25] & 2 else 0
        if not decode:
            return Header(_upright_shape(image, channels, turn), np.dtype(np.uint16 if is_deep else np.uint8))
        pixels = _read_deep_png(path) if is_deep else _read_pixels(image, indices, turn)
        return _without_alpha(pixels, has_alpha=pixels.shape[2:] in {(2,), (4,)})


def _upright_shape(image, channels, turn):
    height, width = image.height, image.width
    if turn in {"TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90"}:
        height, width = width, height
    return (height, width, channels) if channels else (height, width)


def _read_turn(image, caught):
    """Return what turns a photograph upright, None if it is; refuse it if that cannot be told."""
    # Only of photographs: the EXIF data of a PNG stand behind its pixels, which would have to be read.
    if image.format not in _PHOTOGRAPHS:
        return None
    with without_warnings() as more:
        orientation = image.getexif().get(_ORIENTATION)
    for warning in [*caught, *more] if orientation is None else []:
        if warning.category is UserWarning and "MPO" not in str(warning.message):  # which is of its preview
            raise ValueError(
                f"which side is up is not known, for its EXIF data are damaged ({warning.message})"
            )
    return _TURNS.get(orientation)


def _read_pixels(image, indices, turn):
    if turn is not None:
        image = image.transpose(import_optional("PIL.Image", "Reading pictures").Transpose[turn])
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode in {"P", "PA"} and not indices:
        image.load()  # transparency may stand behind the pixels
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    return np.asarray(image)


def _read_deep_png(path):
    imagecodecs = import_optional("imagecodecs", "Reading PNG of 16 bits")
    with open(path, "rb") as file:
        return imagecodecs.png_decode(file.read())


def _without_alpha(pixels, has_alpha):
    """Drop the last channel, if it says that nothing is transparent."""
    if not has_alpha:
        return pixels
    if (pixels[:, :, -1] != np.iinfo(pixels.dtype).max).any():
        raise _RefusedError(
            "is transparent in places, and what lies behind is not known; expected an opaque picture. Flatten it onto its "
            "background first."
        )
    return np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 2 else pixels[:, :, :-1])


# --- TIFF ------------------------------------------------------------------------------------------


@contextmanager
def _own_errors(tifffile):
    """Turn the errors of tifffile, which in older versions are none of Python's own, into a ValueError."""
    try:
        yield
    except tifffile.TiffFileError as error:
        raise ValueError(str(error)) from error


def _open_tiff(path, start, indices, decode):
    tifffile = import_optional("tifffile", "Reading TIFF")
    _check_pages(path, start)
    # A file of a series may name the others, wherever they are: only this one is read.
    options = {"_multifile": False, "is_mmstack": False, "is_ndtiff": False}
    with _own_errors(tifffile), tifffile.TiffFile(path, **options) as tiff:
        if len(tiff.series) != 1:
            raise _RefusedError(f"holds {len(tiff.series)} series of pictures; expected one. {_STACK}")
        series = tiff.series[0]
        axes, lengths = _long_axes(series)
        _check_page(tiff, series.keyframe, indices)
        height, width = lengths[axes.index("Y")], lengths[axes.index("X")]
        channels = lengths[3 - axes.index("Y") - axes.index("X")] if len(axes) == 3 else 1
        limit = import_optional("PIL.Image", "Reading pictures").MAX_IMAGE_PIXELS
        if limit is not None and height * width * max(channels / 4, 1) > 2 * limit:
            raise _RefusedError(
                f"declares {height} x {width} pixels of {channels} channels, more than {2 * limit} of four. {_TRUST}"
            )
        if not height * width * channels:
            raise _RefusedError(f"declares {height} x {width} pixels; expected at least one.")
        has_alpha = channels > 1 and series.keyframe.extrasamples in {(1,), (2,)} and "S" in axes
        n_kept = channels - has_alpha
        dtype = np.dtype(np.uint8) if series.dtype == bool else series.dtype.newbyteorder("=")
        if dtype.kind not in "uif":
            raise _RefusedError(f"holds pixels of type {dtype}; expected integers or real floats.")
        if not decode:
            return Header((height, width, n_kept) if n_kept > 1 else (height, width), dtype)
        _check_segments(series, tiff.filehandle.size)
        pixels = series.asarray().reshape(lengths)
    if pixels.dtype == bool:
        pixels = pixels * np.uint8(255)
    if len(axes) == 3:
        pixels = np.moveaxis(pixels, 3 - axes.index("Y") - axes.index("X"), 2)
    return _without_alpha(np.ascontiguousarray(pixels, dtype=dtype), has_alpha)


def _check_pages(path, start):
    """Follow the list of pages to its end, on which tifffile may go round and round where it is damaged."""
    order = "<" if start.startswith(b"I") else ">"
    big = start[2:4] in {b"+\0", b"\0+"}
    count, entry, offset = ("Q", 20, "Q") if big else ("H", 12, "I")
    seen = set()
    with open(path, "rb") as file:

        def read(kind):
            return struct.unpack(order + kind, file.read(struct.calcsize(order + kind)))[0]

        file.seek(8 if big else 4)
        page = read(offset)
        while page:
            if page in seen or len(seen) == _MAX_PAGES:
                raise _RefusedError(f"holds more than {_MAX_PAGES} pictures, or one in a circle. {_STACK}")
            seen.add(page)
            file.seek(page)
            n_entries = read(count)
            if n_entries > _MAX_ENTRIES:
                raise ValueError(f"page {len(seen)} has {n_entries} tags")
            file.seek(n_entries * entry, os.SEEK_CUR)
            page = read(offset)


def _check_segments(series, end):
    """Refuse strips and tiles that are nowhere in the file: tifffile would look for each, and make them 0."""
    if series.dataoffset is not None:  # the pixels lie in one piece
        return
    for page in series.pages:
        n_segments = prod(series.keyframe.chunked)
        n_listed = 0 if page is None else len(page.dataoffsets)
        if n_listed < n_segments:
            raise ValueError(f"it is of {n_segments} strips or tiles, and lists {n_listed}")
        listed = zip(page.dataoffsets, page.databytecounts, strict=False)
        if any(start + size > end for start, size in listed):
            raise ValueError("it ends before the last of its strips or tiles")


def _long_axes(series):
    """Axes and lengths without those of length 1, apart from height and width."""
    kept = [
        (axis, length)
        for axis, length in zip(series.axes, series.shape, strict=True)
        if length > 1 or axis in "YX"
    ]
    axes = "".join(axis for axis, _ in kept)
    if axes.replace("S", "C") not in {"YX", "YXC", "CYX"}:
        shape = " x ".join(str(length) for _, length in kept)
        raise _RefusedError(
            f"is a stack of {shape} along the axes {axes}; expected one picture a file. {_STACK}"
        )
    return axes, tuple(length for _, length in kept)


def _check_page(tiff, page, indices):
    kind = page.photometric.name
    if kind not in {"MINISBLACK", "RGB", "YCBCR", "PALETTE"}:
        raise _RefusedError(f"is of the kind {kind}; expected grey with 0 for black, or RGB. Convert it.")
    # In a palette of ImageJ the indices are what was measured, and the colours only how it was shown.
    if kind == "PALETTE" and not (indices or tiff.is_imagej):
        raise _RefusedError("has a palette; expected grey or RGB. Convert it.")
    tag = page.tags.get(_ORIENTATION)
    if tag is not None and tag.value != 1:
        raise _RefusedError(
            f"is to be turned before it is shown (orientation {tag.value}); turn it, and save it upright."
        )
