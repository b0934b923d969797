"""`load_hdf5`: what a file holds, checked; its images are read later."""

import os
from contextlib import contextmanager
from math import prod

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skcount.images import ImageSet
from skcount.io._hdf5._format import FORMAT, VERSION, checksums_name, dataset_name
from skcount.io._hdf5._h5py import READ_ERRORS, check_size, find, holds, open_file, read_table
from skcount.io._hdf5._source import HDF5Source, LazyFile
from skcount.io._hdf5._writer import check_chunk
from skcount.points import PointAnnotations

__all__ = ["load_hdf5"]


@validate_params({"path": [str, os.PathLike], "return_X_y": ["boolean"]}, prefer_skip_nested_validation=True)
def load_hdf5(path, *, return_X_y=False):
    """Open images and their points from a file that `save_hdf5` wrote.

    Points are read at once; the images stay in the file, and each is read when it is asked for.

    Parameters
    ----------
    path : str or path-like
        Name of the file.
    return_X_y : bool, default=False
        Whether to return ``(images, points)`` instead of a `Bunch`.

    Returns
    -------
    data : Bunch, or (images, points)
        A dictionary with attributes:

        images : ImageSet
            The images, lazily in the file.
        points : PointAnnotations
            For each image its points as (row, col) in pixels.
        groups : ndarray of shape (n_images,) or None
            The group of each image, if the file holds them.
        roi, perspective : ndarray of shape (height, width), ImageSet or None
            The map of all images, or those of each, lazily in the file. `images` carries both, and the
            groups.
        DESCR : str
            The description given to :func:`save_hdf5`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    IsADirectoryError
        If it is a folder.
    ValueError
        If the file is damaged, incomplete, written by another program or by a newer skcount.

    See Also
    --------
    save_hdf5 : Writes such a file, and shows an example of both.
    ImageSet : What scikit-learn, pickle and joblib do with lazy images.

    Notes
    -----
    Reading an image or a map raises OSError if its checksum does not fit its pixels, or if the file has
    changed or vanished since it was loaded. Files of format version 1 are read too.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skcount.io import load_hdf5, save_hdf5
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "blank.h5"
    >>> save_hdf5(path, np.zeros((3, 8, 8)), [[], [], [(1, 2)]])
    >>> images, points = load_hdf5(path, return_X_y=True)
    >>> with images:  # closes the file at the end
    ...     images[2].shape, points[2]
    ((8, 8), array([[1., 2.]]))
    >>> folder.cleanup()
    """
    path = os.path.abspath(os.path.expanduser(path))
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"{path} is a folder; expected a file written by skcount.io.save_hdf5. A folder of pictures is opened by "
            "load_folder."
        )
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{path} is a device or a pipe; expected a file written by skcount.io.save_hdf5.")
    lazy = LazyFile(path)
    with _naming_the_file(path), open_file(path) as file:
        description = _read_label(file)
        images = _read_images(file, lazy)
        points = _read_points(file, len(images))
    if return_X_y:
        return images, points
    return Bunch(
        images=images,
        points=points,
        groups=images.groups,
        roi=images.roi,
        perspective=images.perspective,
        DESCR=description,
    )


@contextmanager
def _naming_the_file(path):
    """Turn whatever h5py makes of a damaged or foreign file into one ValueError that names it."""
    try:
        yield
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except READ_ERRORS as error:
        raise ValueError(
            f"{path} cannot be loaded: {error}. Expected a whole file written by skcount.io.save_hdf5; "
            "write or download it again."
        ) from error


def _read_label(file):
    """Check that a file is ours and whole; return its description."""
    if "format" not in file.attrs or _read_text(file.attrs["format"]) != FORMAT:
        raise ValueError("it is an HDF5 file of another program, with no skcount format mark")
    version = int(file.attrs["version"])
    if version > VERSION:
        raise ValueError(
            f"its format version is {version}, written by skcount {_read_text(file.attrs['skcount_version'])}, "
            f"and this skcount reads versions up to {VERSION}: upgrade skcount"
        )
    if not file.attrs.get("complete", False):
        raise ValueError("it is incomplete, its writer was interrupted")
    if version == 1:
        return _read_text(file.attrs["description"])
    dataset = find(file, "description")
    check_size(file, dataset, dataset.dtype.itemsize)
    return _read_text(dataset[0])


def _read_text(text):
    return text.decode() if isinstance(text, bytes) else str(text)  # other writers' text may be of any kind


def _read_images(file, lazy):
    """Return the images of a file, and what they carry."""
    shapes, rows = read_table(file, "image_shapes"), read_table(file, "image_rows")
    if shapes.ndim != 2 or shapes.shape[1] not in {2, 3} or rows.shape != (len(shapes),) or len(rows) == 0:
        raise ValueError(f"its tables of images are of shape {shapes.shape} and {rows.shape}")
    images = ImageSet(_read_source(file, lazy, "images", shapes, rows))
    if file.attrs["version"] == 1:
        return images
    maps, sizes = {}, shapes[:, :2].copy()  # joblib hashes the strides, which a pickle would change
    for name in ("roi", "perspective"):
        if holds(file, name):
            is_shared = hasattr(find(file, name), "shape")
            maps[name] = (
                read_table(file, name) if is_shared else ImageSet(_read_source(file, lazy, name, sizes, rows))
            )
    return ImageSet(images, groups=_read_groups(file), **maps)


def _read_source(file, lazy, name, shapes, rows):
    checksums = read_table(file, checksums_name(name)) if file.attrs["version"] > 1 else None
    if checksums is not None and checksums.shape != (len(rows),):
        raise ValueError(f"it holds {len(rows)} {name} and checksums of {checksums.size}")
    dtypes = set()
    for shape in np.unique(shapes, axis=0):
        dataset = find(file, dataset_name(name, shape))
        dtypes.add(dataset.dtype)
        check_chunk(prod(shape.tolist(), start=dataset.dtype.itemsize))
        _check_rows(dataset.shape, shape, rows[(shapes == shape).all(axis=1)])
    if len(dtypes) != 1:
        raise ValueError(f"its {name} are of several types, {sorted(map(str, dtypes))}")
    return HDF5Source(lazy, name, shapes, rows, checksums, dtypes.pop().newbyteorder("="))


def _check_rows(found, shape, rows):
    expected = (len(rows), *shape.tolist())
    if found != expected or rows.min() < 0 or rows.max() >= len(rows):
        raise ValueError(f"a dataset of images is of shape {found}, not {expected} as its tables say")


def _read_groups(file):
    if not holds(file, "groups"):
        return None
    groups = read_table(file, "groups")
    return np.array([text.decode() for text in groups.tolist()]) if groups.dtype.kind == "S" else groups


def _read_points(file, n_images):
    coordinates, lengths = read_table(file, "points/coordinates"), read_table(file, "points/lengths")
    if lengths.shape != (n_images,):
        raise ValueError(f"it holds {n_images} images and points of {lengths.size}")
    return PointAnnotations.from_flat(coordinates, lengths)
