"""Write images to an HDF5 file: `save_hdf5` checks its input first, `StackWriter` writes one image at a time."""

import os
from collections import Counter
from contextlib import contextmanager, suppress

import numpy as np
from sklearn.utils._param_validation import validate_params

import skcount
from skcount._check import check_groups, check_side_map
from skcount._files import check_target, replacing
from skcount._progress import track
from skcount.images import ImageSet, check_image, image_kind
from skcount.io._hdf5._codecs import checksum, choose_codec, encode
from skcount.io._hdf5._h5py import (
    FORMAT,
    VERSION,
    check_chunk_size,
    checksums_name,
    create_file,
    create_stack,
    dataset_name,
    write_table,
    write_text,
)
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
    prefer_skip_nested_validation=False,  # a generator of images may call functions that need their own validation
)
def save_hdf5(
    path, images, points, *, groups=None, roi=None, perspective=None, compression="zstd", description=""
):
    """Write images with their points and side data to one HDF5 file.

    The file appears under its name only when it is complete and on the disk. Until then, and if an error
    occurs, an older file of that name stays unchanged.

    Parameters
    ----------
    path : str or path-like
        Name of the file. An existing file is replaced.
    images : array of shape (n_images, height, width[, n_channels]), ImageSet, or iterable of images
        Images, channels last, all of one type and number of channels, of one or several sizes. They are
        stored with their own type. A generator is consumed one image at a time, in step with `roi` and
        `perspective`, so the images need not fit in memory together. The side data of an `ImageSet` are
        written too, unless the parameters below override them.
    points : PointAnnotations, or sequence of array-like of shape (n_points, 2)
        The points of each image as (row, col) in pixels.
    groups : array-like of shape (n_images,), default=None
        One label per image, integers or strings, such as the clip or the plate that the image is from.
    roi : array of shape (height, width), or iterable of such, default=None
        Region of interest, True at pixels where objects are counted: one mask for all images, or one mask per image as
        an array (n_images, height, width), an `ImageSet` or an iterable.
    perspective : array of shape (height, width), or iterable of such, default=None
        Linear scale of objects at each pixel, finite and above 0: one map for all images or one per image.
    compression : {"zstd", "gzip", None}, default="zstd"
        How pixels are compressed, always without loss. Any program that supports HDF5 can open "gzip", but
        reading takes about five times as long as with "zstd". For "zstd", other programs need the HDF5 plugin of
        that name (in Python, hdf5plugin). None is the fastest and the largest.
    description : str, default=""
        The origin of the data and how to cite them. :func:`load_hdf5` returns it as ``DESCR``.

    Raises
    ------
    ValueError
        If an argument is not as described, the number of points differs from the number of images, or
        an image is larger than the largest HDF5 chunk (4 GiB).
    FileNotFoundError
        If the folder does not exist.
    OSError
        If the disk is full or fails.

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
        raise ValueError(f"`compression` must be 'zstd', 'gzip' or None; got {compression!r}.")
    points = check_points(points)
    streams, shared, groups = _check_content(images, groups, roi, perspective, len(points))
    tables = {
        "points/coordinates": points.coordinates,
        "points/lengths": points.lengths,
        "description": _encode([description], "description"),
        **shared,
    }
    if groups is not None:
        tables["groups"] = groups if groups.dtype.kind != "U" else _encode(groups.tolist(), "groups")
    with replacing(path) as temporary, _creating(temporary, path) as file:
        _write_images(file, path, streams, shared, len(points), compression)
        with _naming_the_target(path):
            for name, table in tables.items():
                write_table(file, name, table)
            _write_label(file)


# --- Checks before writing: a mistake should not cost an hour of compressing ---------------------


def _check_content(images, groups, roi, perspective, n_images):
    """Return the streams that are written image by image, the maps that all images share, and the groups."""
    images = _check_images(images, n_images)
    maps = {"roi": roi, "perspective": perspective}
    if isinstance(images, ImageSet):
        known = {name: one for name, one in maps.items() if hasattr(one, "__len__")}
        images = ImageSet(images, groups=groups, **known)
        maps = {
            name: getattr(images, name) if one is None or name in known else one for name, one in maps.items()
        }
        groups = images.groups
        check_chunk_size(int(images.shapes.prod(axis=1).max()) * images.dtype.itemsize)
    elif groups is not None:
        groups = check_groups(groups, n_images)
    maps = {name: one for name, one in maps.items() if one is not None}
    shared = {name: one for name, one in maps.items() if isinstance(one, np.ndarray) and one.ndim == 2}
    streams = {"images": images}
    for name, one in maps.items():
        if name not in shared:
            _check_iterable(
                name, one, "an array (height, width) for all images, or an iterable of one per image"
            )
            streams[name] = one
    return streams, shared, groups


def _check_images(images, n_images):
    if isinstance(images, np.ndarray | list | tuple):
        images = ImageSet(images)
    _check_iterable(
        "images",
        images,
        "an array (n_images, height, width[, n_channels]), an ImageSet, or an iterable of images",
    )
    if hasattr(images, "__len__") and len(images) != n_images:
        raise ValueError(_lengths_differ("images", len(images), n_images))
    if n_images == 0:
        raise ValueError("`images` must have at least one image; got none, and `points` is empty.")
    return images


def _check_iterable(name, value, expected):
    if isinstance(value, str | bytes | dict | set) or not hasattr(value, "__iter__"):
        raise ValueError(f"`{name}` must be {expected}; got a {type(value).__name__}.")


def _lengths_differ(name, n_found, n_points):
    remedy = "If an image has no objects, pass an empty array of points for it."
    if name != "images":
        remedy = "Pass one map per image, or one array (height, width) for all."
    return f"`{name}` must have one item per entry of `points`; got {n_found} and {n_points}. {remedy}"


def _encode(texts, name):
    """Return texts as UTF-8 of fixed length: text of variable length lies in a heap, without a checksum."""
    for text in texts:
        if name == "description" and "\0" in text:
            raise ValueError(f"`description` must not contain NUL characters; got {text!r:.60}.")
    try:
        return np.array([text.encode() for text in texts], dtype=bytes)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"`{name}` must be valid text; got {error.object!r:.60}, which UTF-8 cannot encode ({error.reason})."
        ) from None


# --- Writing -------------------------------------------------------------------------------------


@contextmanager
def _creating(temporary, path):
    """Open a new file for writing, and close it in any case, if the disk allows it."""
    with _naming_the_target(path):
        file = create_file(temporary)
    try:
        yield file
    except BaseException:
        with suppress(OSError, RuntimeError):  # closing fails for the reason that is being raised already
            file.close()
        raise
    with _naming_the_target(path):
        file.close()


@contextmanager
def _naming_the_target(path):
    """Name the file that could not be written, because the errors of HDF5 do not."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        code = getattr(error, "errno", None)
        reason = os.strerror(code) if code else error
        raise OSError(
            f"{path} could not be written: {reason}. Nothing was left behind, and an older file of that name is "
            "unchanged. Free some disk space, or write to another folder."
        ) from error


def _write_images(file, path, streams, shared, n_images, compression):
    """Write the images and, in step with them, the maps that are given per image."""
    stacks = {name: StackWriter(file, name, compression) for name in streams}
    for number, items in enumerate(track(_in_step(streams, n_images), "write", n_images)):
        image = check_image(items.pop("images"), number, stacks["images"].kind)
        if image.shape not in stacks["images"].n_rows:  # the first image of this size
            for name, one in shared.items():
                check_side_map(name, one, number, image.shape[:2])
        maps = {name: check_side_map(name, one, number, image.shape[:2]) for name, one in items.items()}
        with _naming_the_target(path):
            for name, pixels in {"images": image, **maps}.items():
                stacks[name].append(pixels)
    with _naming_the_target(path):
        for stack in stacks.values():
            stack.finish()


def _in_step(streams, n_images):
    """Yield one item of each stream at a time; reject a stream that does not have exactly `n_images`."""
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


class StackWriter:
    """Write images, or their maps: one dataset per size, one chunk per image.

    `kind` is the `image_kind` of the first image, `n_rows` the number of images of each shape.
    """

    def __init__(self, file, name, compression):
        self._file = file
        self._name = name
        self._compression = compression
        self._shapes, self._rows, self._checksums = [], [], []
        self._datasets = {}
        self.n_rows = Counter()
        self.kind = None

    def append(self, pixels):
        """Append an image to the dataset of its shape."""
        check_chunk_size(pixels.nbytes)
        self.kind = self.kind or image_kind(pixels)
        if image_kind(pixels) != self.kind:
            raise ValueError(
                f"`{self._name}` must have one dtype; got {self.kind[0]} for image 0 and {pixels.dtype} for image "
                f"{len(self._rows)}. Convert the maps first."
            )
        pixels = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
        codec = choose_codec(self._compression, pixels.dtype)
        if pixels.shape not in self._datasets:
            name = dataset_name(self._name, pixels.shape)
            self._datasets[pixels.shape] = create_stack(self._file, name, pixels, codec)
        dataset, row = self._datasets[pixels.shape], self.n_rows[pixels.shape]
        if row == len(dataset):
            dataset.resize(2 * row, axis=0)
        dataset.id.write_direct_chunk((row, *[0] * pixels.ndim), encode(pixels, codec))
        self._checksums.append(checksum(self._name, len(self._rows), pixels))
        self._shapes.append(pixels.shape)
        self._rows.append(row)
        self.n_rows[pixels.shape] += 1

    def finish(self):
        """Write the tables of shapes, rows and checksums."""
        for shape, dataset in self._datasets.items():
            dataset.resize(self.n_rows[shape], axis=0)
        if self._name == "images":  # the maps are in the same rows
            write_table(self._file, "image_shapes", np.array(self._shapes, dtype=np.int64))
            write_table(self._file, "image_rows", np.array(self._rows, dtype=np.int64))
        write_table(self._file, checksums_name(self._name), np.array(self._checksums, dtype=np.uint64))


def _write_label(file):
    write_text(file, "format", FORMAT)
    file.attrs["version"] = VERSION
    write_text(file, "skcount_version", skcount.__version__)
    file.flush()
    file.attrs["complete"] = True  # last: a file without it was never finished
