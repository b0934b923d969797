"""Convert published archives to one HDF5 file per data set: the code that all `fetch_*` share.

A data set is a `DataSet` and a function that reads its archives. `fetch` opens the cache file; if there is none, it finds
or downloads the archives (`_download.py`), checks and reads them (`_files.py`) and writes the cache file.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.utils._param_validation import validate_params

from skcount.datasets._download import check_given, find_archives
from skcount.datasets._files import open_files, read_provenance, sha256
from skcount.datasets._protocols import Split, TrainTestIndices
from skcount.io import load_hdf5, save_hdf5
from skcount.points import PointAnnotations

__all__ = ["ARCHIVE_CONSTRAINTS", "FETCH_CONSTRAINTS", "Content", "DataSet", "fetch", "get_data_home"]

ARCHIVE_CONSTRAINTS = {
    "data_home": [str, os.PathLike, None],
    "archive": [str, os.PathLike, list, tuple, None],
}
FETCH_CONSTRAINTS = {
    **ARCHIVE_CONSTRAINTS,
    "return_X_y": ["boolean"],
    "download_if_missing": ["boolean"],
}


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSet:
    """A published data set: its names, numbers, splits and archives."""

    name: str  # of the cache file and of the list of digests
    title: str  # in messages
    descr: str  # origin, citation, terms, annotation, protocols
    n_images: int
    image_shape: tuple[int, ...]
    n_points: int
    splits: Mapping[str, Split]
    archives: tuple[tuple[str, ...], ...]  # sets of archives that hold the data, the published one first
    urls: Mapping[str, str]  # https address of each archive of the first set; empty: not downloaded
    page: str  # from which the archives can be downloaded by hand
    kinds: Mapping[
        str, str
    ]  # a regular expression of the file name for each kind of file; folders are ignored
    read: Callable  # read(files, data_set) checks the files and returns their Content
    max_bytes: int  # in one archive
    max_member_bytes: int = 2**24  # in one file of an archive
    version: int = 1  # of the cache file; increase it if the content of that file changes

    @property
    def by_hand(self):
        """Remedy for messages: how to get the archives by hand."""
        names = " and ".join(f'"{name}"' for name in self.archives[0])
        return (
            f"Get {names} from {self.page}. Then pass the path as `archive`, or put the file into the folder `data_home` "
            "or the folder named by the environment variable SKCOUNT_DATA."
        )

    def foreign(self, path, problem):
        """Return the error for an archive that does not hold the data as published."""
        return ValueError(
            f"{path} {problem}; expected {self.title} as published: {self.n_images} images of shape {self.image_shape} "
            f"with {self.n_points} points. Get the archive again."
        )


class Content(NamedTuple):
    """The data that a data set's `read` finds in its files."""

    images: Iterable
    points: PointAnnotations
    numbers: np.ndarray  # published number of each image
    groups: np.ndarray | None = None
    roi: np.ndarray | None = None
    perspective: np.ndarray | None = None
    notes: str = ""


def fetch(data_set, *, data_home=None, archive=None, return_X_y=False, download_if_missing=True):
    """Open the cache file of a data set; create it first if it is missing or was made from other archives."""
    import filelock

    home = get_data_home(data_home)
    given = check_given(data_set, archive)
    cache = home / f"{data_set.name}-{data_set.version}.h5"
    data = _load_cache(data_set, cache, given)
    if data is None:
        # A second caller waits here and then finds the file. Without the lock it would replace the file that the
        # first one has just opened.
        with filelock.FileLock(home / f".{cache.name}.lock"):
            data = _load_cache(data_set, cache, given)
            if data is None:
                _convert(data_set, given or find_archives(data_set, home, download_if_missing), cache)
                data = _load_cache(data_set, cache, given)
    return (data.images, data.points) if return_X_y else data


@validate_params({"data_home": [str, os.PathLike, None]}, prefer_skip_nested_validation=True)
def get_data_home(data_home=None):
    """Return the folder in which data sets are stored, and create it if it does not exist.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder. If None, use the folder named by the environment variable SKCOUNT_CACHE, or
        ``~/skcount_data`` if it is not set.

    Returns
    -------
    pathlib.Path
        The folder, as an absolute path.

    Examples
    --------
    >>> import tempfile
    >>> from skcount.datasets import get_data_home
    >>> folder = tempfile.TemporaryDirectory()
    >>> get_data_home(f"{folder.name}/cache").is_dir()
    True
    >>> folder.cleanup()
    """
    if data_home is None:
        data_home = os.environ.get("SKCOUNT_CACHE") or Path("~", "skcount_data")
    home = Path(data_home).expanduser().absolute()
    home.mkdir(parents=True, exist_ok=True)
    return home


def _load_cache(data_set, cache, given):
    """Return the data of an earlier call, or None if the cache file must be written (again)."""
    try:
        data = load_hdf5(cache)
    except (FileNotFoundError, ValueError):
        return None
    sources, numbers = read_provenance(data.DESCR)
    if numbers is None or not data.DESCR.startswith(data_set.descr.partition("\n")[0]):
        return None
    if given and sorted(map(sha256, given)) != sorted(sources):
        return None
    data.train_test_indices = TrainTestIndices(data_set.splits, numbers)
    return data


def _convert(data_set, paths, cache):
    """Read the archives, one image in memory at a time, and write the cache file."""
    with open_files(data_set, paths) as files:
        content = data_set.read(files, data_set)
        save_hdf5(
            cache,
            content.images,
            content.points,
            groups=content.groups,
            roi=content.roi,
            perspective=content.perspective,
            description=data_set.descr + files.provenance(content),
        )
