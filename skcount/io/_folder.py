"""A folder of pictures and their annotations -> images and points: `load_folder`, and the lazy source behind it."""

import glob
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skcount._progress import track
from skcount.images import ImageSet, ImageSource
from skcount.io._annotations import (
    ImagePoints,
    PointReader,
    candidates,
    check_choice,
    check_inside,
    check_shapes,
    pair_by_name,
    refuse_unpaired,
)
from skcount.io._pictures import SUFFIXES, read_header, read_picture
from skcount.io._stamp import check_stamp, file_stamp
from skcount.points import PointAnnotations

__all__ = ["FolderSource", "load_folder"]


@validate_params(
    {
        "images": [str, os.PathLike, Iterable],
        "points": [str, os.PathLike, Iterable, None],
        "format": [str, None],
        "image_pattern": [str],
        "points_pattern": [str],
        "missing": [str],
        "extra": [str],
        "outside": [str],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_folder(
    images,
    points=None,
    format=None,  # noqa: A002 - the word that users look for
    *,
    image_pattern="{}",
    points_pattern="{}",
    missing="raise",
    extra="raise",
    outside="raise",
    return_X_y=False,
    **read_options,
):
    """Open a folder of pictures with their points.

    Points are read at once; a picture is read when it is asked for. Pictures are PNG, JPEG, TIFF or BMP, grey or in
    colour, of 8 or more bits, all of one type and number of channels, and of one or of many sizes. Their order is that
    of their names, with numbers by value: ``img2.png`` before ``img10.png``.

    Parameters
    ----------
    images : str, path-like, or sequence of them
        A folder, whose pictures are taken; a pattern of names such as ``"plates/*/*.tif"``; or the names of files.
    points : str, path-like, sequence of them, or None, default=None
        A folder, pattern or list of annotation files, one an image, which belong together by name; or one file for
        all images, which names them, or numbers all of them in their order. The folder may be that of the images. None
        opens the images alone, to predict.
    format : str or None, default=None
        The format of the annotations, see :func:`read_points`. Pictures need it: "dots" or "mask".
    image_pattern, points_pattern : str, default="{}"
        How the names of pictures and of annotation files are made, without suffix, from what they share: "{}cell"
        and "{}dots" pair ``001cell.png`` with ``001dots.png``. In a folder, pictures that match `points_pattern`
        better are no images.
    missing : {"raise", "empty"}, default="raise"
        Whether an image without annotations is an error, or holds no object.
    extra : {"raise", "ignore"}, default="raise"
        Whether annotations without an image are an error, or left out.
    outside : {"raise", "warn", "ignore"}, default="raise"
        What to do about points outside their image; they are kept in any case.
    return_X_y : bool, default=False
        Whether to return ``(images, points)`` instead of a `Bunch`.
    **read_options
        Further arguments of :func:`read_points`: how coordinates, labels and columns are read.

    Returns
    -------
    data : Bunch, or (images, points)
        A dictionary with attributes:

        images : ImageSet
            The pictures, lazily in their files.
        points : PointAnnotations or None
            For each image its points as (row, col) in pixels.
        names : list of str
            The names of the picture files.
        groups, roi, perspective : None
            A folder holds none; an `ImageSet` takes them.
        DESCR : str
            Where images and points are from.

    Raises
    ------
    ValueError
        If images and annotations do not match, which is found before any is read, pictures are of several types, or
        annotations are not as :func:`read_points` expects them.
    FileNotFoundError
        If a file or folder does not exist, or has no pictures.
    OSError
        If a picture is damaged; later, if one has changed since it was loaded.
    ImportError
        If a package of ``skcount[data]`` is missing.

    Warns
    -----
    UserWarning
        If a point is outside its image and ``outside="warn"``.

    See Also
    --------
    read_points : Reads annotations alone, and tells the formats.
    save_hdf5 : Writes all to one file, which is faster to read.

    Notes
    -----
    A photograph is turned upright as its EXIF data say, and a palette is replaced by its colours. Refused, with what to
    do: stacks of pictures, and transparency, unless it is nowhere transparent.

    The set pickles as names, sizes and times of change of the files.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skcount.io import load_folder, save_points
    >>> from PIL import Image
    >>> folder = tempfile.TemporaryDirectory()
    >>> for name in ["a", "b"]:
    ...     Image.fromarray(np.zeros((8, 10), dtype=np.uint8)).save(Path(folder.name) / f"{name}.png")
    ...     save_points(Path(folder.name) / f"{name}.csv", [[(2, 9)]])
    >>> cells = load_folder(folder.name, folder.name)
    >>> cells.images.shape, cells.points, cells.names
    ((2, 8, 10), PointAnnotations(2 images, 2 points), ['a.png', 'b.png'])
    >>> folder.cleanup()
    """
    check_choice("missing", missing, ("raise", "empty"))
    check_choice("extra", extra, ("raise", "ignore"))
    check_choice("outside", outside, ("raise", "warn", "ignore"))
    patterns = _Pattern("image_pattern", image_pattern), _Pattern("points_pattern", points_pattern)
    reader = PointReader(format, **read_options)
    paths = _find_images(images, *patterns)
    names = _names_of(paths)
    files = None if points is None else _find_points(points, format, *patterns)
    if isinstance(files, list):
        files = _pair(paths, files, *patterns, missing, extra)
    source = FolderSource(paths)
    annotations = None
    if files is not None:
        found, reading, what = _read(reader, files, names, missing, extra)
        shapes = check_shapes(found, source.shapes[:, :2], what)
        check_inside(found, shapes, outside, what, reading.order, reading.origin)
        annotations = PointAnnotations([image.points for image in found])
    if return_X_y:
        return ImageSet(source), annotations
    return Bunch(
        images=ImageSet(source),
        points=annotations,
        names=names,
        groups=None,
        roi=None,
        perspective=None,
        DESCR=f"{len(names)} pictures, {names[0]} to {names[-1]}, of {_shown(images)}; points of {_shown(points)}.",
    )


class FolderSource(ImageSource):
    """Pictures in files of their own, read when they are asked for.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        The files, absolute, at least one.
    """

    def __init__(self, paths):
        headers = [read_header(path) for path in track(paths, "look", len(paths))]
        _check_kinds(paths, headers)
        self.paths = [str(path) for path in paths]
        self.stamps = [file_stamp(path) for path in paths]
        self.shapes = np.array([header.shape for header in headers], dtype=np.int64)
        self.dtype = headers[0].dtype

    def read(self, number):
        """Return picture `number`."""
        path = self.paths[number]
        check_stamp(path, self.stamps[number])
        return read_picture(path)

    def describe(self):
        """Return the folder of the first picture."""
        return f"in {Path(self.paths[0]).parent.name}/"

    def pack(self, index):
        """Leave the files that are not selected behind."""
        kept = index.tolist() or [0]  # one picture tells an empty set its shape and type
        packed = type(self).__new__(type(self))
        packed.paths = [self.paths[number] for number in kept]
        packed.stamps = [self.stamps[number] for number in kept]
        packed.shapes, packed.dtype = self.shapes[kept], self.dtype
        return packed, np.arange(len(index), dtype=np.int64)


class _Pattern:
    """A pattern of names, "{}dots", and the part that is shared."""

    def __init__(self, name, pattern):
        if pattern.count("{}") != 1:
            raise ValueError(f"{name}={pattern!r}; expected text with one {{}}, such as '{{}}cell'.")
        self.text = pattern
        self.before, self.after = pattern.split("{}")

    def key(self, path):
        """What stands for {} in the name of a file, or None if it does not match."""
        stem = path.stem
        shared = stem[len(self.before) : len(stem) - len(self.after)]
        return shared if shared and self.text.replace("{}", shared) == stem else None


def _find_images(images, image_pattern, points_pattern):
    """Paths of the pictures: those of a list as they stand there, others in the order of their names."""
    if not isinstance(images, str | os.PathLike):
        paths = _find(images)
    else:
        paths = sorted(_find(images), key=_natural)
        paths = [
            p for p in paths if p.suffix.lower() in SUFFIXES and _is_better(p, image_pattern, points_pattern)
        ]
    if not paths:
        raise FileNotFoundError(
            f"There are no pictures in {_shown(images)}; expected files with the suffix {', '.join(SUFFIXES)}, named "
            f"{image_pattern.text!r}."
        )
    return paths


def _find_points(points, format, image_pattern, points_pattern):  # noqa: A002
    """Path of the file for all images, or list of paths of one file an image."""
    if isinstance(points, str | os.PathLike):
        path = _absolute(points)
        if path.is_file():
            return path
        if path.is_dir():
            paths = [p for p in candidates(path, format) if _is_better(p, points_pattern, image_pattern)]
            if not paths:
                raise FileNotFoundError(
                    f"There are no annotations in {path}; expected files of a format of read_points, named "
                    f"{points_pattern.text!r}. Pictures need format='dots' or 'mask'."
                )
            return sorted(paths, key=_natural)
    return sorted(_find(points), key=_natural)


def _find(files):
    """Paths of all files in a folder, of a pattern, or of a list."""
    if not isinstance(files, str | os.PathLike):
        paths = [_absolute(path) for path in files]
        absent = [path for path in paths if not path.is_file()]
        if absent:
            raise FileNotFoundError(
                f"There is no file {absent[0]}; {len(absent)} of {len(paths)} in the list are missing."
            )
        return paths
    path = _absolute(files)
    if path.is_dir():
        return [p for p in path.iterdir() if p.is_file() and not p.name.startswith(".")]
    found = [path] if path.is_file() else [Path(p) for p in glob.glob(str(path), recursive=True)]
    if not found:
        raise FileNotFoundError(f"There is no folder {path}, and no file of that pattern.")
    return [p for p in found if p.is_file()]


def _names_of(paths):
    """Names of files, with as many folders as it takes to tell them apart."""
    names = [path.name for path in paths]
    if len(set(names)) < len(set(paths)):
        common = os.path.commonpath(paths)
        names = [path.relative_to(common).as_posix() for path in paths]
    return names


def _absolute(path):
    return Path(os.path.abspath(os.path.expanduser(path)))


def _natural(path):
    """What sorts numbers in names by value."""
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def _is_better(path, pattern, other):
    """Whether a file matches a pattern, and the other one not at all or with less text of its own."""
    matches = pattern.key(path) is not None
    return matches and (other.key(path) is None or len(pattern.text) >= len(other.text))


def _pair(paths, files, image_pattern, points_pattern, missing, extra):
    """Find the annotation file of each image; None where it may have none."""
    both = set(paths) & set(files)
    if both:
        raise ValueError(
            f"{min(both)} is an image and its own annotation; tell them apart by image_pattern and points_pattern."
        )
    images, files = _by_key(paths, image_pattern), _by_key(files, points_pattern)
    absent = [path.name for key, path in images.items() if key not in files]
    unknown = [path.name for key, path in files.items() if key not in images]
    if len(absent) == len(images):  # nothing fits, so that the names are to blame
        missing = extra = "raise"
    refuse_unpaired(absent, unknown, missing, extra, "the annotation files")
    return [files.get(key) for key in images]


def _by_key(paths, pattern):
    found = {}
    for path in paths:
        key = pattern.key(path)
        if key is None:
            raise ValueError(f"{path} does not match the pattern {pattern.text!r}.")
        if key in found:
            raise ValueError(
                f"{found[key]} and {path} share the name {key!r}; expected names that tell them apart."
            )
        found[key] = path
    return found


def _read(reader, files, names, missing, extra):
    """Points of all images, how they were read, and from where."""
    if isinstance(files, Path):
        reading, what = reader.read(files), str(files)
        found = _assign(reading, files, names, missing, extra)
    else:
        readings = [file and reader.read(file) for file in track(files, "read points", len(files), "file")]
        found = [_only(*entry) for entry in zip(readings, files, names, strict=True)]
        read = [reading for reading in readings if reading]
        reading = read[0]._replace(labels=set().union(*(each.labels for each in read)))
        what = "the annotation files"
    reader.check_labels(reading.labels, what)
    return found, reading, what


def _assign(reading, file, names, missing, extra):
    """Points of each image, from one file for all."""
    if len(names) == 1 and [image.name for image in reading.images] == [file.stem]:  # it names no image
        return [replace(reading.images[0], name=names[0])]
    if reading.first is None:
        return pair_by_name(reading.images, names, missing, extra, str(file))
    numbers = [str(reading.first + position) for position in range(len(names))]
    beyond = [image.name for image in reading.images if image.name not in numbers]
    if beyond:  # even with extra="ignore": which pictures they are can only be told of a whole series
        raise ValueError(
            f"{file} numbers its images from {reading.first}, and has points of {beyond[-1]}, beyond the {len(names)} "
            "pictures; expected all pictures of the series, in their order. For some of them: read_points(..., names=...)."
        )
    images = pair_by_name(reading.images, numbers, missing, extra, f"{file} (which numbers them)")
    return [replace(image, name=name) for image, name in zip(images, names, strict=True)]


def _only(reading, file, name):
    """Points of an image, from a file of its own."""
    if reading is None:
        return ImagePoints(name, np.empty((0, 2)))
    if len(reading.images) != 1:
        raise ValueError(
            f"{file} has points of {len(reading.images)} images: {', '.join(i.name for i in reading.images[:10])}; expected "
            "those of one, as there is a file for each. slices='merge' joins the points of an image's channels."
        )
    return replace(reading.images[0], name=name)


def _check_kinds(paths, headers):
    kinds = [(header.dtype, header.shape[2:]) for header in headers]
    other = next((i for i, kind in enumerate(kinds) if kind != kinds[0]), None)
    if other is not None:
        first, second = (
            f"{paths[i]} has {kinds[i][1][0] if kinds[i][1] else 1} channels of {kinds[i][0]}"
            for i in (0, other)
        )
        raise ValueError(
            f"{first}, and {second}; expected pictures of one type. Convert them, or load them apart."
        )


def _shown(files):
    """Where files are from, for messages."""
    if files is None:
        return "nowhere"
    return str(files) if isinstance(files, str | os.PathLike) else "a list of files"
