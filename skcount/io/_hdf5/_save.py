"""`save_hdf5`: images, points and what else belongs to them into one file."""

import os
from contextlib import contextmanager, suppress
from importlib import metadata

import numpy as np
from sklearn.utils._param_validation import validate_params

from skcount._check import check_groups, check_map
from skcount._files import check_target, replacing
from skcount._progress import track
from skcount.images import ImageSet, check_image
from skcount.io._hdf5._format import FORMAT, VERSION
from skcount.io._hdf5._h5py import create_file, write_table, write_text
from skcount.io._hdf5._writer import StackWriter, check_chunk
from skcount.points import check_points

__all__ = ["save_hdf5"]


@validate_params(
    {
        "path": [str, os.PathLike],
        "images": "no_validation",
        "points": "no_validation",
        "groups": "no_validation",
        "roi": "no_validation",
        "perspective": "no_validation",
        "compression": [str, None],
        "description": [str],
    },
    prefer_skip_nested_validation=False,  # the images may be made while they are written, by whatever makes them
)
def save_hdf5(
    path, images, points, *, groups=None, roi=None, perspective=None, compression="zstd", description=""
):
    """Write images, their points and what else belongs to them to one HDF5 file.

    The file appears under its name only when it is whole and on the disk. Until then, and if anything
    goes wrong, an older file of that name stays as it is.

    Parameters
    ----------
    path : str or path-like
        Name of the file. An existing file is replaced.
    images : array of shape (n_images, height, width[, n_channels]), ImageSet, or iterable of images
        Images, channels last, of one type and number of channels, and of one or of many sizes. They are
        stored in their own type. A generator is consumed one image at a time, together with those of
        `roi` and `perspective`, so that the whole need not fit in memory. What an `ImageSet` carries is
        written, unless it is given here.
    points : PointAnnotations, or sequence of array-like of shape (n_points, 2)
        For each image its points as (row, col) in pixels.
    groups : array-like of shape (n_images,), default=None
        One label an image, integers or strings, such as the clip or the plate that it is from.
    roi : array of shape (height, width), or iterable of such, default=None
        Region of interest, True where objects count: one mask for all images, or an array
        (n_images, height, width), an `ImageSet` or an iterable of one mask for each image.
    perspective : array of shape (height, width), or iterable of such, default=None
        Linear scale of objects at each pixel, finite and above 0; as for `roi`.
    compression : {"zstd", "gzip", None}, default="zstd"
        How pixels are compressed, always without loss. A read of "gzip" takes about five times as long as
        one of "zstd", and any program that knows HDF5 can open it; for "zstd" other programs need the
        plugin of that name (in Python, hdf5plugin). None is the fastest and the largest.
    description : str, default=""
        Where the data come from and how they are to be cited. :func:`load_hdf5` returns it as ``DESCR``.

    Raises
    ------
    ValueError
        If an argument is not as described, there is not one array of points an image, or an image is
        larger than a chunk of HDF5 can be (4 GiB).
    FileNotFoundError
        If the folder does not exist.
    OSError
        If the disk is full, or fails.

    See Also
    --------
    load_hdf5 : Opens the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skcount.io import load_hdf5, save_hdf5
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "cells.h5"
    >>> images = np.zeros((2, 16, 16, 3), dtype=np.uint8)
    >>> save_hdf5(path, images, [[(3, 4.5)], []], description="Two images, one cell.")
    >>> cells = load_hdf5(path)
    >>> cells.images
    ImageSet(2 images of 16 x 16 x 3, uint8, in cells.h5)
    >>> cells.points
    PointAnnotations(2 images, 1 point)
    >>> cells.images.close()
    >>> folder.cleanup()
    """
    path = check_target(path)
    if compression not in {"zstd", "gzip", None}:
        raise ValueError(f"compression={compression!r}; expected 'zstd', 'gzip' or None.")
    points = check_points(points)
    streams, shared, groups = _check_content(images, groups, roi, perspective, len(points))
    tables = _make_tables(points, groups, shared, description)
    with replacing(path) as temporary, _creating(temporary, path) as file:
        _write_images(file, path, streams, shared, len(points), compression)
        with _naming_the_target(path):
            for name, table in tables.items():
                write_table(file, name, table)
            _write_label(file)


def _check_content(images, groups, roi, perspective, n_images):
    """Check what can be known before writing: a mistake should not cost an hour of compressing.

    Returns what is to be written image by image, the maps of all images, and the groups.
    """
    images = _check_images(images, n_images)
    maps = {"roi": roi, "perspective": perspective}
    if isinstance(images, ImageSet):
        known = {name: one for name, one in maps.items() if hasattr(one, "__len__")}
        images = ImageSet(images, groups=groups, **known)
        maps = {
            name: getattr(images, name) if one is None or name in known else one for name, one in maps.items()
        }
        groups = images.groups
        check_chunk(int(images.shapes.prod(axis=1).max()) * images.dtype.itemsize)
    elif groups is not None:
        groups = check_groups(groups, n_images)
    maps = {name: one for name, one in maps.items() if one is not None}
    shared = {name: one for name, one in maps.items() if isinstance(one, np.ndarray) and one.ndim == 2}
    streams = {name: _check_stream(name, one) for name, one in maps.items() if name not in shared}
    return {"images": images, **streams}, shared, groups


def _check_images(images, n_images):
    if isinstance(images, np.ndarray | list | tuple):
        images = ImageSet(images)
    if isinstance(images, str | bytes | dict | set) or not hasattr(images, "__iter__"):
        raise ValueError(
            f"images is a {type(images).__name__}; expected an array (n_images, height, width[, n_channels])"
            ", an ImageSet, or an iterable of images."
        )
    if hasattr(images, "__len__") and len(images) != n_images:
        raise ValueError(_lengths_differ("images", len(images), n_images))
    if n_images == 0:
        raise ValueError("There are no images (points is empty); expected at least one.")
    return images


def _check_stream(name, maps):
    if isinstance(maps, str | bytes | dict | set) or not hasattr(maps, "__iter__"):
        raise ValueError(
            f"{name} is a {type(maps).__name__}; expected one array (height, width) for all images, or an iterable "
            "of one for each."
        )
    return maps


def _lengths_differ(name, n_found, n_points):
    if name == "images":
        return (
            f"There are {n_found} images and points of {n_points} images; expected one array of points an image, an "
            "empty one where there is nothing to count."
        )
    return (
        f"There are {n_found} maps of {name} and points of {n_points} images; expected one map an image, or one array "
        "(height, width) for all."
    )


def _make_tables(points, groups, shared, description):
    """Return by its name all that is written at once."""
    if "\0" in description:
        raise ValueError(f"description is {description!r:.60}; expected a str without NUL characters.")
    tables = {
        "points/coordinates": points.coordinates,
        "points/lengths": points.lengths,
        "description": _encode([description], "description"),
        **shared,
    }
    if groups is not None:
        tables["groups"] = groups if groups.dtype.kind != "U" else _encode(groups.tolist(), "groups")
    return tables


def _encode(texts, name):
    """Return texts as UTF-8 of fixed length: of variable length they would lie in a heap, without a checksum."""
    try:
        return np.array([text.encode() for text in texts], dtype=bytes)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} holds {error.object!r:.60}, which UTF-8 cannot tell ({error.reason}); expected valid text."
        ) from None


@contextmanager
def _creating(temporary, path):
    """Open a new file for writing; it is closed whatever happens, as far as the disk lets it."""
    with _naming_the_target(path):
        file = create_file(temporary)
    try:
        yield file
    except BaseException:
        with suppress(OSError, RuntimeError):  # it fails for the reason that is on its way already
            file.close()
        raise
    with _naming_the_target(path):
        file.close()


@contextmanager
def _naming_the_target(path):
    """Say which file could not be written, when HDF5 cannot."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        code = getattr(error, "errno", None)
        reason = os.strerror(code) if code else error
        raise OSError(
            f"{path} could not be written: {reason}. Nothing was left behind, and an older file of that name is as it "
            "was; make room on the disk, or write elsewhere."
        ) from error


def _write_images(file, path, streams, shared, n_images, compression):
    """Write images and those of their maps that come one an image, in step."""
    stacks = {name: StackWriter(file, name, compression) for name in streams}
    for number, items in enumerate(track(_in_step(streams, n_images), "write", n_images)):
        image = check_image(items.pop("images"), number, stacks["images"].kind)
        is_new_size = image.shape not in stacks["images"].n_rows
        if is_new_size:
            for name, one in shared.items():
                check_map(name, one, number, image.shape[:2])
        maps = {name: check_map(name, one, number, image.shape[:2]) for name, one in items.items()}
        with _naming_the_target(path):
            for name, pixels in {"images": image, **maps}.items():
                stacks[name].append(pixels)
    with _naming_the_target(path):
        for stack in stacks.values():
            stack.finish()


def _in_step(streams, n_images):
    """Take one item of each stream at a time; refuse a stream that has not `n_images` of them."""
    iterators, end = {name: iter(stream) for name, stream in streams.items()}, object()
    for number in range(n_images):
        items = {name: next(iterator, end) for name, iterator in iterators.items()}
        for name, item in items.items():
            if item is end:
                raise ValueError(_lengths_differ(name, number, n_images))
        yield items
    for name, iterator in iterators.items():
        if next(iterator, end) is not end:
            raise ValueError(_lengths_differ(name, f"more than {n_images}", n_images))


def _write_label(file):
    write_text(file, "format", FORMAT)
    file.attrs["version"] = VERSION
    write_text(file, "skcount_version", _skcount_version())
    file.flush()
    file.attrs["complete"] = True  # last: a file without it was never finished


def _skcount_version():
    try:
        return metadata.version("skcount")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
