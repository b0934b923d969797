"""One picture file -> one array of pixels, as they are stored: PNG, JPEG, BMP and TIFF.

Shape and type are known from the header, without decoding. Pixels keep their type: 16 bits stay 16 bits. Pictures that
cannot be read without loss or guessing are rejected: transparency, stacks, inverted greys.
"""

import os
import struct
import threading
import warnings
import zlib
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skcount._optional import import_optional
from skcount.io._geo import GeoTransform, read_geo_tags
from skcount.io._windows import open_windows

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION = 0x0112  # the tag of EXIF and TIFF; 1 is upright
# pillow's own exif_transpose also writes the EXIF data again, and fails if they are damaged.
_TURNS = (None, None, "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM")
_TURNS += ("TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90")  # these swap height and width
_MAX_PAGES, _MAX_ENTRIES = 10_000, 4096  # of a TIFF
# A picture that is read in windows may have so many times the pixels of one that is read whole.
_IN_WINDOWS = 100
_TRUST = "If you trust the file, raise PIL.Image.MAX_IMAGE_PIXELS. Or cut the picture into tiles."
_STACK = "Save each picture as a file, or read them with tifffile.imread and use the array."
# pillow's modes -> number of channels (0: no channel axis) without transparency.
_CHANNELS = {"1": 0, "L": 0, "LA": 0, "I": 0, "I;16": 0, "I;16B": 0, "P": 3, "PA": 3, "RGB": 3, "RGBA": 3}
# Files of microscopes and phones -> a package that converts them.
FOREIGN = {
    **dict.fromkeys((".czi", ".nd2", ".lif", ".oib", ".oif", ".vsi"), "bioio or Fiji (Bio-Formats)"),
    **dict.fromkeys((".svs", ".ndpi", ".scn", ".mrxs", ".bif"), "openslide or QuPath"),
    **dict.fromkeys((".heic", ".heif", ".avif"), "pillow-heif"),
    **dict.fromkeys((".dcm", ".dicom"), "pydicom"),
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"), "rawpy"),
}
_MAGIC = {
    b"ftypheic": "pillow-heif",
    b"ftypheix": "pillow-heif",
    b"ftypmif1": "pillow-heif",
    b"ftypavif": "pillow-heif",
}
_MAGIC |= {b"ZISRAWFILE": "bioio or Fiji (Bio-Formats)"}
_one_at_a_time = threading.Lock()
# Errors that the decoders raise for damaged pictures.
DAMAGE = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, SyntaxError),
    *(TypeError, ValueError, struct.error, zlib.error),
)


class Header(NamedTuple):
    """The shape, (height, width) or (height, width, n_channels), the type of the pixels, and the place of a picture."""

    shape: tuple
    dtype: np.dtype
    geo: GeoTransform | None = None


class _RefusedError(ValueError):
    """Raised for a picture of an unsupported kind; the name of the file must be put in front of its message."""


def read_header(path, axis=None):
    """Return the `Header` of the pixels that `read_picture` returns, without decoding them."""
    return _open(path, decode=False, axis=axis)


def read_picture(path, axis=None, index=0, alpha="raise"):
    """Return the pixels of a picture; for a palette, return its colours.

    Pixels of 1 bit become 0 and 255. A photograph is rotated upright according to its EXIF data, because dots were
    clicked on the upright picture. `axis` is the axis of a stack along which the picture has the number `index`. `alpha`
    says whether a transparent picture is rejected ("raise"), its alpha channel is left out ("drop"), or it is all that
    is returned ("only"; None if there is none). A damaged file raises an OSError and an unsupported kind of picture a
    ValueError; both name the file.
    """
    return _open(path, axis=axis, index=index, alpha=alpha)


def open_picture(path, header):
    """Return a picture for reading windows of it, or all of its pixels if its format does not allow it."""
    if _read_start(path).startswith(TIFF_MAGIC):
        with open_tiff(path) as tiff:
            windows = open_windows(tiff, header)
        if windows is not None:
            return windows
    return read_picture(path)


def count_slices(path, axis):
    """Return the number of slices of a stack along an axis; a picture that is no stack has one."""
    if not _read_start(path).startswith(TIFF_MAGIC):
        return 1
    return _open(path, axis=axis, count=True)


def read_channels(path):
    """Return the values of a label mask as they are stored: the indices of a palette, and all channels, alpha too."""
    return _open(path, is_raw=True)


def is_jpeg(path):
    """Return whether a file begins like a JPEG, regardless of its name."""
    return _read_start(path).startswith(b"\xff\xd8\xff")


@contextmanager
def without_warnings():
    """Catch pillow's warnings about a picture, which do not name it, as a list of warnings.WarningMessage."""
    with _one_at_a_time, warnings.catch_warnings(record=True) as caught:  # filters apply to the whole process
        warnings.simplefilter("always")
        yield caught


def _open(path, *, is_raw=False, decode=True, alpha="raise", **stack):
    start = _read_start(path)
    foreign = next((name for magic, name in _MAGIC.items() if magic in start[:16]), None)
    if foreign or Path(path).suffix.lower() in FOREIGN:
        package = FOREIGN.get(Path(path).suffix.lower(), foreign)
        raise ValueError(
            f"{path} cannot be read as a picture. Convert it to TIFF or PNG, for example with {package}."
        )
    try:
        if start.startswith(TIFF_MAGIC):
            with open_tiff(path) as tiff:
                return _read_tiff(tiff, is_raw, decode, alpha, **stack)
        return _open_other(path, start, is_raw, decode, alpha)
    except (FileNotFoundError, PermissionError, ImportError, MemoryError):
        raise
    except _RefusedError as error:
        raise ValueError(f"{path} {error}") from None
    except DAMAGE as error:
        raise OSError(
            f"{path} cannot be read as a picture: {error}. It is damaged or not a PNG, JPEG, BMP or TIFF. Restore or "
            "convert it."
        ) from error


def _read_start(path):
    with open(path, "rb") as file:
        return file.read(26)  # includes the number of bits and the kind of colours of a PNG


# --- PNG, JPEG, BMP --------------------------------------------------------------------------------


def _open_other(path, start, is_raw, decode, alpha):
    pillow = import_optional("PIL.Image", "Reading pictures")
    try:
        with without_warnings() as caught:
            opened = pillow.open(path)
    except pillow.DecompressionBombError as error:
        raise _RefusedError(f"is larger than allowed: {error} {_TRUST}") from None
    with opened as image:
        _check_kind(image)
        turn = _read_turn(image, caught)
        indices = is_raw and image.mode == "P"
        channels = 0 if indices else _CHANNELS[image.mode]
        is_deep = start.startswith(b"\x89PNG\r\n\x1a\n") and start[24] == 16
        if is_deep:  # pillow would silently keep 8 bits of each channel, and reports another mode
            channels = 3 if start[25] & 2 else 0
        if not decode:
            size = image.size if turn in _TURNS[5:] else image.size[::-1]
            return Header(
                (*size, channels) if channels else size, np.dtype(np.uint16 if is_deep else np.uint8)
            )
        pixels = _read_deep_png(path) if is_deep else _read_pixels(image, indices, turn)
        return pixels if is_raw else _without_alpha(pixels, pixels.shape[2:] in {(2,), (4,)}, alpha)


def _check_kind(image):
    if image.format not in {"PNG", "JPEG", "MPO", "BMP"}:
        raise _RefusedError(f"is a {image.format} picture; expected PNG, JPEG, BMP or TIFF. Convert it.")
    # An MPO is a photograph with its preview; the first picture is the photograph.
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise _RefusedError(f"holds {image.n_frames} pictures; expected one per file. Save each as a file.")
    if image.mode not in _CHANNELS:
        raise _RefusedError(f"is of pillow's mode {image.mode}; expected grey, RGB or a palette. Convert it.")


def _read_turn(image, caught):
    """Return pillow's name of the rotation that a photograph needs, or None; reject it if this is not known."""
    # Only photographs: the EXIF data of a PNG come after its pixels, which would have to be read.
    if image.format not in {"JPEG", "MPO"}:
        return None
    with without_warnings() as more:
        orientation = image.getexif().get(_ORIENTATION)
    for warning in [*caught, *more] if orientation is None else []:
        if warning.category is UserWarning and "MPO" not in str(
            warning.message
        ):  # which is about its preview
            raise ValueError(
                f"its orientation is not known because its EXIF data are damaged ({warning.message})"
            )
    return _TURNS[orientation] if orientation in range(len(_TURNS)) else None


def _read_pixels(image, indices, turn):
    if turn is not None:
        image = image.transpose(import_optional("PIL.Image", "Reading pictures").Transpose[turn])
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode in {"P", "PA"} and not indices:
        image.load()  # transparency may come after the pixels
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    return np.asarray(image)


def _read_deep_png(path):
    imagecodecs = import_optional("imagecodecs", "Reading PNG of 16 bits")
    with open(path, "rb") as file:
        return imagecodecs.png_decode(file.read())


def _without_alpha(pixels, has_alpha, alpha):
    """Drop the last channel if it says that nothing is transparent, or as `alpha` says."""
    if not has_alpha:
        return None if alpha == "only" else pixels
    if alpha == "only":
        return pixels[:, :, -1]
    if alpha == "raise" and (pixels[:, :, -1] != np.iinfo(pixels.dtype).max).any():
        raise _RefusedError(
            "is transparent in places, and the background is not known; expected an opaque picture. Flatten it onto "
            "its background first, or pass alpha='roi' if only the opaque part counts."
        )
    return np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 2 else pixels[:, :, :-1])


# --- TIFF ------------------------------------------------------------------------------------------


@contextmanager
def open_tiff(path):
    """Open a TIFF with tifffile, after its list of pages was checked."""
    tifffile = import_optional("tifffile", "Reading TIFF")
    _check_pages(path, _read_start(path))
    try:
        # A file of a series may refer to other files anywhere on the disk: only this one is read.
        with tifffile.TiffFile(path, _multifile=False, is_mmstack=False, is_ndtiff=False) as tiff:
            yield tiff
    except tifffile.TiffFileError as error:  # not a Python error in older versions
        raise ValueError(str(error)) from error


def _read_tiff(tiff, is_raw, decode, alpha="raise", axis=None, index=0, count=False):
    if len(tiff.series) != 1:
        raise _RefusedError(f"holds {len(tiff.series)} series of pictures; expected one. {_STACK}")
    series = tiff.series[0]
    axes, lengths = _long_axes(series, axis)
    if count:
        return series.shape[series.axes.index(axis)] if axis in series.axes else 1
    _check_page(tiff, series.keyframe, is_raw)
    height, width = lengths[axes.index("Y")], lengths[axes.index("X")]
    channel_axis = 3 - axes.index("Y") - axes.index("X")
    channels = lengths[channel_axis] if len(axes) == 3 else 1
    has_alpha = channels > 1 and series.keyframe.extrasamples in {(1,), (2,)} and "S" in axes
    n_kept = channels - has_alpha
    dtype = np.dtype(np.uint8) if series.dtype == bool else series.dtype.newbyteorder("=")
    if dtype.kind not in "uif":
        raise _RefusedError(f"holds pixels of type {dtype}; expected integers or real floats.")
    shape = (height, width, n_kept) if n_kept > 1 else (height, width)
    header = Header(shape, dtype, read_geo_tags(series.keyframe.tags))
    _check_size(height, width, channels, in_windows=not decode and open_windows(tiff, header) is not None)
    if not decode:
        return header
    pixels = _decode_slice(tiff, series, axis, index).reshape(lengths)
    if pixels.dtype == bool:
        pixels = pixels * np.uint8(255)
    if len(axes) == 3:
        pixels = np.moveaxis(pixels, channel_axis, 2)
    pixels = np.ascontiguousarray(pixels, dtype=dtype)
    return pixels if is_raw else _without_alpha(pixels, has_alpha, alpha)


def _decode_slice(tiff, series, axis, index):
    """Return the pixels of a series, or those of one slice along an axis."""
    if axis is None or axis not in series.axes:
        _check_segments(series, series.pages, tiff.filehandle.size)
        return series.asarray()
    if series.dataoffset is not None:  # in one piece: only the slice is read
        dtype = series.dtype.newbyteorder(tiff.byteorder)
        whole = np.memmap(tiff.filehandle.path, dtype, "r", series.dataoffset, series.shape)
        return np.array(whole.take(index, series.axes.index(axis)))
    lead = series.shape[: len(series.shape) - len(series.keyframe.shape)]
    if prod(lead) != len(series.pages) or series.axes.index(axis) >= len(lead):
        raise _RefusedError(f"has its slices along {axis} within its pages. {_STACK}")
    numbers = np.arange(prod(lead)).reshape(lead).take(index, series.axes.index(axis)).ravel().tolist()
    _check_segments(series, [series.pages[number] for number in numbers], tiff.filehandle.size)
    return tiff.asarray(key=numbers, series=0)


def _check_size(height, width, channels, in_windows=False):
    """Reject a picture that declares more pixels than fit in memory; one that is read in windows may have more."""
    limit = import_optional("PIL.Image", "Reading pictures").MAX_IMAGE_PIXELS
    limit = limit and limit * (_IN_WINDOWS if in_windows else 1)
    if limit is not None and height * width * max(channels / 4, 1) > 2 * limit:
        raise _RefusedError(
            f"declares {height} x {width} pixels of {channels} channels, more than {2 * limit} of four. {_TRUST}"
        )
    if not height * width * channels:
        raise _RefusedError(f"declares {height} x {width} pixels; expected at least one.")


def _check_pages(path, start):
    """Follow the list of pages to its end, because tifffile may loop for ever if it is damaged."""
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


def _check_segments(series, pages, end):
    """Reject strips and tiles that are not in the file, which tifffile would look for and fill with 0."""
    if series.dataoffset is not None:  # the pixels lie in one piece
        return
    for page in pages:
        n_segments = prod(series.keyframe.chunked)
        n_listed = 0 if page is None else len(page.dataoffsets)
        if n_listed < n_segments:
            raise ValueError(f"it is of {n_segments} strips or tiles, and lists {n_listed}")
        listed = zip(page.dataoffsets, page.databytecounts, strict=False)
        if any(start + size > end for start, size in listed):
            raise ValueError("it ends before the last of its strips or tiles")


def _long_axes(series, axis=None):
    """Return axes and lengths without axes of length 1 and the axis of slices, but always with height and width."""
    kept = [
        (name, length)
        for name, length in zip(series.axes, series.shape, strict=True)
        if (length > 1 or name in "YX") and name != axis
    ]
    axes = "".join(name for name, _ in kept)
    if axes.replace("S", "C") not in {"YX", "YXC", "CYX"}:
        shape = " x ".join(str(length) for _, length in kept)
        slices = next((name for name in axes if name not in "YXSC"), None)
        remedy = f"Pass stack_axis={slices!r} to take its slices as pictures. " if slices and not axis else ""
        raise _RefusedError(
            f"is a stack of {shape} along the axes {axes}; expected one picture per file. {remedy}{_STACK}"
        )
    return axes, tuple(length for _, length in kept)


def _check_page(tiff, page, is_raw):
    kind = page.photometric.name
    if kind not in {"MINISBLACK", "RGB", "YCBCR", "PALETTE"}:
        raise _RefusedError(f"is of the kind {kind}; expected grey with 0 for black, or RGB. Convert it.")
    # In an ImageJ palette, the indices are the measurement, and the colours only display it.
    if kind == "PALETTE" and not (is_raw or tiff.is_imagej):
        raise _RefusedError("has a palette; expected grey or RGB. Convert it.")
    tag = page.tags.get(_ORIENTATION)
    if tag is not None and tag.value != 1:
        raise _RefusedError(f"has the orientation {tag.value}; expected 1. Rotate it, and save it upright.")
