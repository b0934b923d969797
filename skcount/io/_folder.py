"""A folder of pictures and their annotations -> images and points: `load_folder`, and the lazy store behind it."""

import glob
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_parameter_constraints, validate_params

from skcount._progress import track
from skcount.images import ImageSet
from skcount.io._annotations import (
    FORMATS,
    MATCH_PARAMETERS,
    READ_PARAMETERS,
    ImagePoints,
    PointReader,
    check_shapes,
    find_files,
    pair_by_name,
    plain_name,
    refuse_unpaired,
)
from skcount.io._folder_store import ZARR, AlphaStore, FolderStore, RegionStore, read_headers
from skcount.io._pictures import FOREIGN, SUFFIXES, count_slices
from skcount.points import PointAnnotations


@validate_params(
    {
        "images": [str, os.PathLike, Iterable],
        "points": [str, os.PathLike, Iterable, None],
        "format": READ_PARAMETERS["format"],
        "image_pattern": [str],
        "points_pattern": [str],
        "recursive": ["boolean"],
        "stack_axis": [str, None],
        "alpha": [StrOptions({"raise", "drop", "roi"})],
        "mixed": [StrOptions({"raise", "color"})],
        "roi": [str, os.PathLike, Iterable, None],
        "roi_pattern": [str],
        "damaged": [StrOptions({"raise", "skip"})],
        **MATCH_PARAMETERS,
        "allow_empty": ["boolean"],
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
    recursive=False,
    stack_axis=None,
    alpha="raise",
    mixed="raise",
    roi=None,
    roi_pattern="{}",
    damaged="raise",
    missing="raise",
    extra="raise",
    outside="raise",
    duplicates=None,
    allow_empty=False,
    return_X_y=False,
    **read_options,
):
    """Open a folder of pictures with their points.

    Points are read immediately; a picture is read only when it is needed. Pictures are PNG, JPEG, TIFF or BMP, grey or
    in colour, with 8 or more bits. All must have the same type and number of channels, but may differ in size. They are
    sorted by name, and numbers in names by value: ``img2.png`` comes before ``img10.png``.

    Parameters
    ----------
    images : str, path-like, or sequence of them
        A folder of pictures, a pattern of names such as ``"plates/*/*.tif"``, or the names of files.
    points : str, path-like, sequence of them, or None, default=None
        A folder, pattern or list of annotation files, one per image, which are paired by name; or one file for all
        images, which names them, or numbers all of them in order. The folder may be the folder of the images. If
        None, open only the images, for prediction.
    format : str or None, default=None
        The format of the annotations, see :func:`read_points`. Pictures need it: "dots" or "mask".
    image_pattern, points_pattern : str, default="{}"
        The names of pictures and of annotation files, without suffix; "{}" stands for the part that a picture and its
        annotation share: "{}cell" and "{}dots" pair ``001cell.png`` with ``001dots.png``. In a folder, pictures that
        match `points_pattern` better are not images.
    recursive : bool, default=False
        Whether the subfolders of a folder are searched too, except hidden ones. Pictures and annotation files of one name
        are then paired by their subfolders.
    stack_axis : str or None, default=None
        The axis of TIFF stacks whose slices are the images: "T", "Z" or another one, as the error about a stack says.
        Slices are called ``movie.tif:1`` and so on. If None, stacks are rejected.
    alpha : {"raise", "drop", "roi"}, default="raise"
        What to do with an alpha channel that is transparent in places: raise an error, leave it out, or count only where
        it is opaque.
    mixed : {"raise", "color"}, default="raise"
        What to do with pictures of several types or numbers of channels: raise an error, or read all of them as color
        images of float32, with integers scaled by the range of their type. Models of `skcount.load_pretrained`, and those
        fitted with ``normalize="image"``, count them like the pictures themselves.
    roi : str, path-like, sequence of them, or None, default=None
        Regions of interest: one picture for all images, or a folder, pattern or list of pictures, which are paired by
        name. Objects are counted where they are not black.
    roi_pattern : str, default="{}"
        The names of the pictures of regions, as for `points_pattern`.
    damaged : {"raise", "skip"}, default="raise"
        If a picture cannot be opened, raise an error, or leave it out and list it in `damaged`. Damage that only shows
        when pixels are read is an error later. "skip" needs `points` to be None.
    missing : {"raise", "empty"}, default="raise"
        If an image has no annotations, raise an error, or return no points for it.
    extra : {"raise", "ignore"}, default="raise"
        If annotations have no image, raise an error, or leave them out.
    outside : {"raise", "warn", "ignore"}, default="raise"
        What to do if points are outside their image. They are never dropped.
    duplicates : {"keep", "drop"} or None, default=None
        What to do with points that lie exactly on another point of their image. If None, a few cause a warning, and
        one in ten an error.
    allow_empty : bool, default=False
        Whether to return annotations without a single point, instead of raising an error.
    return_X_y : bool, default=False
        If True, return ``(images, points)`` instead of a `Bunch`.
    **read_options
        Further parameters of :func:`read_points`: how coordinates, labels and columns are read.

    Returns
    -------
    data : Bunch, or (images, points)
        A dictionary with attributes:

        images : ImageSet
            The pictures, read lazily from their files.
        points : PointAnnotations or None
            The points of each image as (row, col) in pixels.
        names : list of str
            The names of the picture files, as paths from the folder, from the fixed part of the pattern, or from the
            folder that a list of files shares.
        skipped : list of str
            The names of other files and folders in the folder, which were not used; those of folders end with "/".
        labels : dict of str to int
            The number of points with each label, those that were left out too.
        damaged : dict of str to str
            The pictures that were left out, with the message about each.
        geo : list of GeoTransform or None
            The place of each picture on the globe, if it is a GeoTIFF, for :func:`save_points`.
        roi : ImageSet, ndarray or None
            The regions of interest, if `roi` or ``alpha="roi"`` was passed; `images` has them too.
        groups, perspective : None
            A folder has none; pass them to `ImageSet`.
        DESCR : str
            The origin of the images and points.

    Raises
    ------
    ValueError
        If images and annotations do not match, which is checked before any is read, if pictures have several types, or
        if :func:`read_points` cannot read the annotations.
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
    read_points : Read only annotations; its page lists the formats.
    save_hdf5 : Write everything to one file, which is faster to read.

    Notes
    -----
    A photograph is rotated upright according to its EXIF data, and a palette is replaced by its colours. An alpha channel
    that is opaque everywhere is left out.

    The set is pickled as the names, sizes and modification times of the files.

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
    validate_parameter_constraints(READ_PARAMETERS, read_options, "load_folder")
    reader = PointReader(format, **read_options)
    patterns = _Pattern("image_pattern", image_pattern), _Pattern("points_pattern", points_pattern)
    base, paths, others = _find_images(images, *patterns, recursive)
    headers, unread = None, {}
    if damaged == "skip":
        if points is not None or roi is not None:
            raise ValueError(
                "`damaged` must be 'raise' if points or regions of interest belong to the pictures."
            )
        paths, headers, unread = _leave_out_damaged(base, paths, stack_axis)
    files = None
    if points is not None:
        points_base, files = _find_points(points, format, *patterns, recursive)
    if isinstance(files, list):
        is_inside = format is not None and bool(FORMATS[format].pictures)
        files = _pair((base, paths), (points_base, files), *patterns, missing, extra, is_inside=is_inside)
    if roi is not None and alpha == "roi":
        raise ValueError("`roi` must be None with alpha='roi'; use one of them.")
    regions = None if roi is None else _find_regions(roi, roi_pattern, base, paths, patterns[0], recursive)
    used = {*(files if isinstance(files, list) else [files]), *(regions or [])}
    skipped = [path for path in others if path not in used]
    names = _names_of(base, paths)
    source, regions, names, files = _open_source(
        names, paths, headers, files, regions, stack_axis, alpha, mixed
    )
    annotations, labels = None, {}
    if files is not None:
        found, reading, labels, what = _read(reader, files, names, missing, extra)
        shapes = check_shapes(found, source.shapes[:, :2], what)
        found = reader.finish(found, shapes, what, reading, outside, duplicates)
        annotations = PointAnnotations([image.points for image in found])
        if not allow_empty:
            _check_any(annotations, what)
    image_set = ImageSet(source, roi=regions)
    if return_X_y:
        return image_set, annotations
    return Bunch(
        images=image_set,
        points=annotations,
        names=names,
        labels=labels,
        skipped=_names_of(base, skipped),
        damaged=unread,
        geo=source.geo,
        groups=None,
        roi=image_set.roi,
        perspective=None,
        DESCR=f"{len(names)} pictures, {names[0]} to {names[-1]}, of {_shown(images)}; points of {_shown(points)}.",
    )


class _Pattern:
    """A pattern of names, such as "{}dots"."""

    def __init__(self, name, text):
        if text.count("{}") != 1:
            raise ValueError(f"`{name}` must have {{}} once, such as '{{}}cell'; got {text!r}.")
        self.name, self.text = name, text
        self._regex = re.compile("(.+)".join(map(re.escape, text.split("{}"))), re.DOTALL)

    def key(self, path):
        """Return the part of a file name that {} stands for, or None if the name does not match."""
        match = self._regex.fullmatch(path.stem)
        return match and match[1]

    def fits_better(self, path, other):
        """Return whether a file matches, and the other pattern does not match or has less fixed text."""
        return self.key(path) is not None and (other.key(path) is None or len(self.text) >= len(other.text))


def _leave_out_damaged(base, paths, axis):
    """Return the paths and headers of the pictures that can be opened, and the message about each other by its name."""
    messages = {}
    headers = read_headers(paths, axis, messages)
    if not headers:
        raise OSError(f"None of the {len(paths)} pictures can be read: {messages[paths[0]]}")
    unread = {
        name: messages[path]
        for name, path in zip(_names_of(base, paths), paths, strict=True)
        if path in messages
    }
    return [path for path in paths if path in headers], headers, unread


def _open_source(names, paths, headers, files, regions, axis, alpha, mixed):
    """Return the store of the pictures or slices, their regions and names, and their annotation files."""
    slices = None
    if axis is not None:
        n_slices = [count_slices(path, axis) for path in paths]
        names, slices, paths, files, regions = _split_stacks(n_slices, names, paths, files, regions)
    if headers is None:
        headers = read_headers(paths, axis)
    source = FolderStore(paths, headers, axis, slices, "raise" if alpha == "raise" else "drop", mixed)
    if alpha == "roi":
        regions = ImageSet(AlphaStore(paths, headers, axis, slices, mixed=mixed))
    elif regions is not None:
        regions = ImageSet(RegionStore(regions, read_headers(regions)))
        regions = regions[0] if len(regions) == 1 else regions
    return source, regions, names, files


def _find_images(images, image_pattern, points_pattern, recursive):
    """Return a folder, the paths of the pictures, sorted by name unless they are a list, and what else is in the folder."""
    base, found = _find(images, recursive)
    paths, others = found, []
    if isinstance(images, str | os.PathLike):
        found = sorted(found, key=_natural)
        paths = [path for path in found if _is_picture(path) and path.suffix.lower() in (*SUFFIXES, ZARR)]
        _tell_foreign([path for path in found if path.suffix.lower() in FOREIGN], paths)
        paths = [path for path in paths if image_pattern.fits_better(path, points_pattern)]
        chosen = set(paths)
        others = [path for path in found if path not in chosen]
    if not paths:
        inside = (
            "" if recursive or not any(map(os.path.isdir, others)) else " Its folders need recursive=True."
        )
        raise FileNotFoundError(
            f"There are no pictures in {_shown(images)}; expected files named {image_pattern.text!r} with the suffix "
            f"{', '.join(SUFFIXES)}.{inside}"
        )
    return base, paths, others


def _tell_foreign(foreign, paths):
    """Warn of pictures that cannot be read, or raise an error if there are no others."""
    if not foreign:
        return
    packages = sorted({FOREIGN[path.suffix.lower()] for path in foreign})
    message = (
        f"{len(foreign)} pictures cannot be read, such as {foreign[0]}. Convert them to TIFF or PNG, for example with "
        f"{', or '.join(packages)}."
    )
    if not paths:
        raise ValueError(message)
    warnings.warn(f"{message} They are left out.", UserWarning, stacklevel=5)


def _find_points(points, format, image_pattern, points_pattern, recursive):  # noqa: A002
    """Return a folder, and the path of the file for all images, or a list of the paths of one file per image."""
    base, found = _find(points, recursive)
    if isinstance(points, str | os.PathLike):
        path = _absolute(points)
        if path.is_file():
            return base, path
        if path.is_dir():
            found = [p for p in find_files(found, format) if points_pattern.fits_better(p, image_pattern)]
            if not found:
                raise FileNotFoundError(
                    f"There are no annotations in {path}; expected files named {points_pattern.text!r} in a format of "
                    "read_points. Pictures need format='dots' or 'mask'."
                )
    return base, sorted(filter(_is_picture, found), key=_natural)


def _find(files, recursive):
    """Return a folder, and the paths of all that is in it and not hidden, that a pattern matches, or that is in a list."""
    if not isinstance(files, str | os.PathLike):
        paths = [_absolute(path) for path in files]
        absent = [path for path in paths if not _is_picture(path)]
        if absent:
            raise FileNotFoundError(
                f"There is no file {absent[0]}; {len(absent)} of {len(paths)} are missing."
            )
        return _shared_folder(paths), paths
    path = _absolute(files)
    if path.is_dir() and path.suffix != ZARR:
        return path, list(_walk(path, recursive))
    if path.exists():
        return path.parent, [path]
    found = [Path(p) for p in glob.glob(str(path), recursive=True)]
    if not found:
        raise FileNotFoundError(f"There is no folder {path}, and no file that matches it as a pattern.")
    base = next(parent for parent in path.parents if not glob.has_magic(str(parent)))
    return base, found


def _walk(folder, recursive):
    """Yield what is in a folder and not hidden: its files and subfolders, or the files of its subfolders."""
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if recursive and path.is_dir() and path.suffix != ZARR and not path.is_symlink():
            yield from _walk(path, recursive)
        else:
            yield path


def _is_picture(path):
    """Return whether a path is a file, or a folder that holds one picture."""
    return path.is_file() or (path.suffix == ZARR and path.is_dir())


def _shared_folder(paths):
    """Return the folder that paths share; None if they are on several drives."""
    try:
        return Path(os.path.commonpath([path.parent for path in paths])) if paths else None
    except ValueError:
        return None


def _names_of(base, paths):
    """Return the names of files and folders, from a folder on."""
    names = [(path if base is None else path.relative_to(base)).as_posix() for path in paths]
    return [name if _is_picture(path) else f"{name}/" for name, path in zip(names, paths, strict=True)]


def _find_regions(roi, pattern, base, paths, image_pattern, recursive):
    """Return the paths of the regions of interest: one for all images, or one for each."""
    roi_base, found = _find(roi, recursive)
    if len(found) == 1 and isinstance(roi, str | os.PathLike) and _absolute(roi).is_file():
        return found
    pattern = _Pattern("roi_pattern", pattern)
    found = [
        path for path in found if path.suffix.lower() in SUFFIXES and pattern.fits_better(path, image_pattern)
    ]
    files = sorted(filter(_is_picture, found), key=_natural)
    what = "the regions of interest"
    return _pair((base, paths), (roi_base, files), image_pattern, pattern, "raise", "raise", what=what)


def _split_stacks(n_slices, names, paths, files, regions):
    """Return names, numbers of slices, paths, annotation files and regions with one entry for each slice."""

    def repeat(values):
        return [value for value, n in zip(values, n_slices, strict=True) for _ in range(n)]

    numbers = [number for n in n_slices for number in range(n)]
    names = [f"{name}:{number + 1}" for name, number in zip(repeat(names), numbers, strict=True)]
    if isinstance(files, list):
        files = [(file, n) for file, n in zip(files, n_slices, strict=True)]
    if regions is not None and len(regions) > 1:
        regions = repeat(regions)
    return names, numbers, repeat(paths), files, regions


def _absolute(path):
    return Path(os.path.abspath(os.path.expanduser(path)))


def _natural(path):
    """Return a key that sorts numbers in names by value."""
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def _pair(
    images,
    annotations,
    image_pattern,
    pattern,
    missing,
    extra,
    *,
    is_inside=False,
    what="the annotation files",
):
    """Return the file of each image; None if it may have none. `is_inside`: pictures may hold their points.

    `images` and `annotations` are (folder, paths). Names that several images share are paired with their subfolders.
    """
    (base, paths), (files_base, files) = images, annotations
    both = set(paths) & set(files)
    if both and not is_inside:
        raise ValueError(
            f"{min(both)} is an image and its own annotation. Separate them with `image_pattern` and `points_pattern`."
        )
    if len({plain_name(path.stem) for path in paths}) == len(paths):
        base = files_base = None
    images, files = _by_key(base, paths, image_pattern), _by_key(files_base, files, pattern)
    absent = [path.name if base is None else key for key, path in images.items() if key not in files]
    unknown = [path.name if base is None else key for key, path in files.items() if key not in images]
    hint = _find_hint(list(images), list(files), image_pattern, pattern)
    refuse_unpaired(absent, unknown, missing, extra, what, len(images), hint)
    return [files.get(key) for key in images]


def _find_hint(images, files, image_pattern, pattern):
    """Return the pattern that pairs images and files whose names differ by the same text before or after."""
    for keys, others, changed in ((images, files, pattern), (files, images, image_pattern)):
        found = {(before, after) for key in keys for before, name, after in [_around(key, others)] if name}
        if len(found) == 1:
            before, after = found.pop()
            return f" Pass {changed.name}={changed.text.replace('{}', before + '{}' + after)!r}."
    return f" Separate the shared part of the names with `image_pattern` and `{pattern.name}`, such as 'GT_{{}}'."


def _around(key, names):
    """Return the text before and after a key in the only name that has it as a whole, and the name."""
    found = [name for name in names if re.search(rf"(?<!\d){re.escape(key)}(?!\d)", name) and name != key]
    if len(found) != 1:
        return "", None, ""
    before, _, after = found[0].partition(key)
    return before, found[0], after


def _by_key(base, paths, pattern):
    """Return the paths by the part of their names that {} stands for, with their folders from `base` on."""
    found = {}
    for path in paths:
        key = pattern.key(path)
        if key is None:
            raise ValueError(f"{path} does not match the pattern {pattern.text!r}.")
        key = plain_name(key if base is None else (path.parent.relative_to(base) / key).as_posix())
        if key in found:
            raise ValueError(f"{found[key]} and {path} have the same name {key!r}; expected different names.")
        found[key] = path
    return found


def _read(reader, files, names, missing, extra):
    """Return the points of all images, how they were read, their labels, and the name of their source for messages."""
    if isinstance(files, Path):
        readings, what = [reader.read(files)], files
        found = _assign(readings[0], files, names, missing, extra)
    elif isinstance(files[0], tuple):  # one file for each stack
        found, readings, what = _read_stacks(reader, files, names, missing, extra)
    else:
        all_readings = [
            file and reader.read(file) for file in track(files, "read points", len(files), "file")
        ]
        found = [_only(*entry) for entry in zip(all_readings, files, names, strict=True)]
        readings, what = [reading for reading in all_readings if reading], "the annotation files"
    return found, readings[0], reader.check_all(readings, what), what


def _read_stacks(reader, files, names, missing, extra):
    """Return the points of all slices, from one file for each stack of so many slices."""
    found, readings, rest = [], [], names
    for file, n in track(files, "read points", len(files), "file"):
        own, rest = rest[:n], rest[n:]
        if file is None:
            found += [ImagePoints(name, np.empty((0, 2))) for name in own]
        else:
            readings.append(reader.read(file))
            found += _assign(readings[-1], file, own, missing, extra)
    return found, readings, "the annotation files"


def _assign(reading, file, names, missing, extra):
    """Return the points of each image, from one file for all."""
    if len(names) == 1 and [image.name for image in reading.images] == [file.stem]:  # it names no image
        return [reading.images[0]._replace(name=names[0])]
    if not reading.is_numbered:
        return pair_by_name(reading.images, names, missing, extra, file)
    first = reading.first
    if first is None:
        first = _find_first(reading, file, names)
    numbers = [str(first + position) for position in range(len(names))]
    beyond = [image.name for image in reading.images if image.name not in numbers]
    if beyond:  # even with extra="ignore": numbers belong to pictures only if the series is complete
        raise ValueError(
            f"{file} has points of image {beyond[-1]}, numbered from {first}, but there are {len(names)} "
            "pictures; expected all pictures of the series, in order. For some of them, use read_points(..., names=...)."
        )
    images = pair_by_name(reading.images, numbers, missing, extra, f"{file} (which numbers them)")
    return [image._replace(name=name) for image, name in zip(images, names, strict=True)]


def _find_first(reading, file, names):
    """Return the number of the first picture of a series; reject a file that may count from 0 or from 1."""
    largest = max((int(image.name) for image in reading.images), default=0)
    if (
        largest != len(names) or sorted(names) != names
    ):  # numbers of pictures in alphabetical order, or by value?
        raise ValueError(
            f"{file} numbers its images, up to {largest}, but not whether the first of the {len(names)} pictures, "
            f"{names[0]}, has the number 0 or 1. Pass first=0 or first=1."
        )
    return 1


def _check_any(points, what):
    """Reject annotations without a single point."""
    if not points.counts.sum():
        raise ValueError(
            f"None of the {len(points)} images has a point in {what}. Check that the tool exported the points: the COCO "
            "export of CVAT, for one, leaves them out. If all images are empty, pass allow_empty=True."
        )


def _only(reading, file, name):
    """Return the points of an image, from a file of its own."""
    if reading is None:
        return ImagePoints(name, np.empty((0, 2)))
    if len(reading.images) != 1:
        raise ValueError(
            f"{file} has points of {len(reading.images)} images: {', '.join(i.name for i in reading.images[:10])}; expected "
            "one, because there is a file per image. Use slices='merge' to join the points of an image's channels."
        )
    return reading.images[0]._replace(name=name)


def _shown(files):
    """Describe the origin of files, for messages."""
    if files is None:
        return "nowhere"
    return str(files) if isinstance(files, str | os.PathLike) else "a list of files"
