"""From archives as published to one HDF5 file, made once: what all `fetch_*` have in common.

A data set is a small description, `DataSet`, and a function that reads its archives; :func:`fetch` does the rest: it
opens the cache file, or finds or downloads the archives, checks them and makes that file.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import numpy as np
from sklearn.utils._param_validation import validate_params

from skcount._files import replacing
from skcount._optional import import_optional
from skcount._progress import bar
from skcount.datasets._protocols import Split, TrainTestIndices, format_numbers, parse_numbers
from skcount.io._archives import check_magic, open_archive
from skcount.io._hdf5 import load_hdf5, save_hdf5
from skcount.io._matlab import load_mat
from skcount.io._pictures import DAMAGE, without_warnings
from skcount.points import PointAnnotations

__all__ = [
    "ARCHIVE_CONSTRAINTS",
    "FETCH_CONSTRAINTS",
    "Content",
    "DataSet",
    "Files",
    "fetch",
    "find_archives",
    "get_data_home",
    "open_files",
]

# What the public functions take: those that read archives, and of them the `fetch_*`.
ARCHIVE_CONSTRAINTS = {
    "data_home": [str, os.PathLike, None],
    "archive": [str, os.PathLike, list, tuple, None],
    "download_if_missing": ["boolean"],
}
FETCH_CONSTRAINTS = {**ARCHIVE_CONSTRAINTS, "return_X_y": ["boolean"]}
# Seconds between one attempt to download and the next.
PAUSES = (1, 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSet:
    """What there is to know of a published data set.

    Parameters
    ----------
    name : str
        Name of the cache file and of the list of digests.
    version : int
        Number in the name of the cache file: another one when what that file holds changes.
    title : str
        What messages call it.
    descr : str
        Origin, citation, terms, rule of annotation, protocols.
    n_images : int
        How many images were published.
    image_shape : tuple of int
        Shape of each image.
    n_points : int
        How many points they have in all.
    splits : dict of str to Split
        The published splits.
    archives : tuple of tuple of str
        The sets of archives that hold the data, each by the usual names of its files. The first is the published one.
    urls : dict of str to str
        Address of each archive of the first set, with https; empty where they are published without, and so not downloaded.
    page : str
        Where a reader gets the archives by hand.
    kinds : dict of str to str
        The files that are read: for each kind a regular expression of their names. A file is known by the last part of
        its name; folders above do not matter.
    read : callable
        ``read(files, data_set)`` checks the files and returns their `Content`.
    max_bytes : int
        The most that one archive may hold, in bytes.
    max_member_bytes : int
        The most that one file of it may hold, in bytes.
    """

    name: str
    version: int
    title: str
    descr: str
    n_images: int
    image_shape: tuple[int, ...]
    n_points: int
    splits: Mapping[str, Split]
    archives: tuple[tuple[str, ...], ...]
    urls: Mapping[str, str]
    page: str
    kinds: Mapping[str, str]
    read: Callable
    max_bytes: int
    max_member_bytes: int = 2**24

    @property
    def by_hand(self):
        """How to get the archives by hand, in a sentence."""
        names = " and ".join(f'"{name}"' for name in self.archives[0])
        return (
            f"Get {names} from {self.page}, and pass their path as archive=..., or put them into the folder data_home or "
            "the folder that the environment variable SKCOUNT_DATA names."
        )

    def foreign(self, path, what):
        """Return the error for an archive that does not hold the data as published."""
        return ValueError(
            f"{path} {what}; expected {self.title} as published: {self.n_images} images of shape {self.image_shape} "
            f"with {self.n_points} points. Get the archive again."
        )


class Content(NamedTuple):
    """What a data set's `read` makes of its files."""

    images: Iterable
    points: PointAnnotations
    numbers: np.ndarray
    groups: np.ndarray | None = None
    roi: np.ndarray | None = None
    perspective: np.ndarray | None = None
    notes: str = ""


def fetch(data_set, *, data_home=None, archive=None, return_X_y=False, download_if_missing=True):
    """Open a data set, made from its archives where that has not been done before.

    Parameters
    ----------
    data_set : DataSet
        Which.
    data_home : str, path-like or None, default=None
        The cache folder, see :func:`get_data_home`.
    archive : str, path-like, list of them, or None, default=None
        The archives as published; None looks for them. A cache file made from other archives is replaced.
    return_X_y : bool, default=False
        Whether to return ``(images, points)`` instead of a `Bunch`.
    download_if_missing : bool, default=True
        Whether to download what is not found.

    Returns
    -------
    Bunch or (images, points)
        The data.

    Raises
    ------
    OSError
        If the archives are not found, or cannot be downloaded.
    ValueError
        If they are damaged, unsafe, or do not hold exactly these data.
    """
    import filelock

    home = get_data_home(data_home)
    given = check_given(data_set, archive)
    cache = home / f"{data_set.name}-{data_set.version}.h5"
    data = _load_cache(data_set, cache, given)
    if data is None:
        # Whoever comes second waits, and then finds the file: it would be replaced under the first one's feet.
        with filelock.FileLock(home / f".{cache.name}.lock"):
            data = _load_cache(data_set, cache, given)
            if data is None:
                _convert(data_set, given or find_archives(data_set, home, download_if_missing), cache)
                data = _load_cache(data_set, cache, given)
    return (data.images, data.points) if return_X_y else data


@validate_params({"data_home": [str, os.PathLike, None]}, prefer_skip_nested_validation=True)
def get_data_home(data_home=None):
    """Return the folder in which data sets are kept, and make it if it does not exist.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder. None takes the environment variable SKCOUNT_CACHE, or ``~/skcount_data`` where it is
        not set.

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


# --- The cache file ------------------------------------------------------------------------------------


def _load_cache(data_set, cache, given):
    """Return the data of an earlier call, or None where they are to be made (again)."""
    try:
        data = load_hdf5(cache)
    except (FileNotFoundError, ValueError):
        return None
    # What `Files.provenance` wrote.
    numbers = re.search(r"^Images here: (.*)\.$", data.DESCR, re.MULTILINE)
    if numbers is None or not data.DESCR.startswith(data_set.descr.partition("\n")[0]):
        return None
    sources = re.findall(r"^Made from .*, sha256 (\w+)\.$", data.DESCR, re.MULTILINE)
    if given and sorted(map(_sha256, given)) != sorted(sources):
        return None
    data.train_test_indices = TrainTestIndices(data_set.splits, parse_numbers(numbers[1]))
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


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- Finding and downloading archives ------------------------------------------------------------------


def check_given(data_set, archive):
    """Return the archives that the user named as a list of paths, or None; each must be there."""
    if archive is None:
        return None
    paths = [
        Path(a).expanduser().absolute() for a in (archive if isinstance(archive, list | tuple) else [archive])
    ]
    missing = [path for path in paths if not path.exists()]
    if missing or not paths:
        raise _not_found(data_set, missing)
    for path in paths:
        check_magic(path)
    return paths


def find_archives(data_set, home, download_if_missing):
    """Return the paths of the archives of a data set, found or downloaded.

    Parameters
    ----------
    data_set : DataSet
        Which.
    home : pathlib.Path
        The cache folder, where they are looked for first and downloaded to.
    download_if_missing : bool
        Whether to download what is not found.

    Returns
    -------
    list of pathlib.Path
        The archives.

    Raises
    ------
    OSError
        If they are not found, or the download fails.
    """
    folders = [home]
    if os.environ.get("SKCOUNT_DATA"):
        folders.append(Path(os.environ["SKCOUNT_DATA"]).expanduser().absolute())
    choices = [[folder / name for name in names] for folder in folders for names in data_set.archives]
    for paths in choices:
        if all(path.is_file() for path in paths):
            return paths
    if not (download_if_missing and data_set.urls):
        raise _not_found(data_set, [path for paths in choices for path in paths])
    return [_download(data_set, name, home) for name in data_set.archives[0]]


def _not_found(data_set, places):
    places = ", ".join(map(str, dict.fromkeys(places))) or "nothing"
    download = (
        "Or leave out archive and download_if_missing: then they are downloaded."
        if data_set.urls
        else "They are not downloaded, for they are published over plain http, where anyone on the way can change them."
    )
    return FileNotFoundError(
        f"{_capital(data_set.title)} were not found; looked for {places}. {data_set.by_hand} {download}"
    )


def _capital(text):
    return text[0].upper() + text[1:]


def _download(data_set, name, home):
    """Download an archive into the cache folder; it appears when it is whole and known to be the published one."""
    import_optional("pooch", "Downloading data")
    url = data_set.urls[name]
    try:
        with replacing(home / name) as temporary:
            _retrieve(url, temporary)
            _check_download(data_set, temporary, name)
    except (OSError, ValueError) as error:
        raise OSError(
            f"{_capital(data_set.title)} could not be downloaded from {url} ({error}). {data_set.by_hand}"
        ) from error
    return home / name


def _retrieve(url, path):
    """Write what is at an address to a file; where the network or the server fails, try again."""
    import pooch
    import requests  # which pooch brings along

    for pause in (*PAUSES, None):
        try:
            with bar("download", 1, unit="B", unit_scale=True) as progress:
                http = pooch.HTTPDownloader(progressbar=progress, hooks={"response": _refuse_plain_http})
                http(url, str(path), None)
        except requests.RequestException as error:
            answer = error.response
            if pause is None or (answer is not None and answer.status_code < 500):
                raise
            time.sleep(pause)
        else:
            return


def _refuse_plain_http(answer, **_):
    """Refuse to be led to an address where anyone on the way can change what is sent."""
    target = urljoin(answer.url, answer.headers.get("Location", ""))
    if urlsplit(target).scheme != "https":
        raise OSError(f"it leads to {target}, and only https is followed")


def _check_download(data_set, path, name):
    """Refuse an archive that does not hold, byte for byte, the files that skcount was tested with."""
    try:
        with open_files(data_set, [path]) as files:
            files.require_tested()
    except ValueError as error:
        raise ValueError(str(error).replace(str(path), name)) from error


# --- Files in archives ---------------------------------------------------------------------------------


@contextmanager
def open_files(data_set, paths):
    """Open the archives of a data set, and check the digests of what is read from them.

    Parameters
    ----------
    data_set : DataSet
        Which.
    paths : list of path-like
        The archives.

    Yields
    ------
    Files
        Their files.

    Raises
    ------
    ValueError
        If an archive is damaged, unsafe, holds a file twice, or a few files that differ from the tested ones.
    """
    with ExitStack() as stack:
        archives = [
            stack.enter_context(open_archive(path, data_set.max_bytes, data_set.max_member_bytes))
            for path in paths
        ]
        yield Files(data_set, archives)


class Files:
    """The files of a data set, wherever in its archives they are.

    Parameters
    ----------
    data_set : DataSet
        Which.
    archives : list of Archive
        Its archives.

    Attributes
    ----------
    names : dict of str to list of str
        For each kind of file the names, without folders, in ascending order.
    tested : dict of str to bool or None
        For each kind of file whether all are those that skcount was tested with; None: that is not known of any.
    """

    def __init__(self, data_set, archives):
        self._data_set = data_set
        self._archives = archives
        self._places = {}
        self.names = {kind: [] for kind in data_set.kinds}
        for archive in archives:
            for member in archive.names:
                self._add(archive, member)
        for names in self.names.values():
            names.sort()
        self._digests = _read_digests(data_set.name)
        self.tested = {kind: self._compare(names) for kind, names in self.names.items()}

    def read(self, name):
        """Return the content of a file, bytes."""
        archive, member = self._places[name]
        return archive.read(member)

    def require(self, kind, expected):
        """Refuse archives that lack a file of a kind, or hold one too many."""
        lacking, surplus = (
            sorted(set(expected) - set(self.names[kind])),
            sorted(set(self.names[kind]) - set(expected)),
        )
        if lacking:
            raise self.foreign(f"lacks {len(lacking)} of {len(expected)} files, {lacking[0]} first")
        if surplus:
            raise self.foreign(f"holds {len(surplus)} files too many, {surplus[0]} first")

    def require_tested(self):
        """Refuse archives whose files are not exactly those that skcount was tested with."""
        found = {name for names in self.names.values() for name in names}
        if found != set(self._digests) or not all(self.tested.values()):
            raise self.foreign("holds other files than those that skcount was tested with")

    def foreign(self, what):
        """Return the error for archives that do not hold the data as published."""
        return self._data_set.foreign(self._paths(), what)

    def read_image(self, name, mode):
        """Read an image of the published shape.

        Parameters
        ----------
        name : str
            Name of the file.
        mode : {"L", "RGB"}
            Grey or colour.

        Returns
        -------
        ndarray of shape image_shape, uint8
            The pixels.
        """
        pillow = import_optional("PIL.Image", "Reading the archive")
        formats = ["JPEG"] if name.endswith(".jpg") else ["PNG"]
        content = BytesIO(self.read(name))
        try:
            with without_warnings(), pillow.open(content, formats=formats) as image:
                height, width, kind = image.height, image.width, image.mode
                # The size comes before the pixels: a small file can declare any.
                if (height, width) == self._data_set.image_shape[:2] and kind in {"L", "P", "RGB"}:
                    image.info.pop("transparency", None)  # of a palette, of which the colours are wanted
                    return np.asarray(image.convert(mode))
        except (*DAMAGE, pillow.DecompressionBombError) as error:
            raise self.foreign(f"holds a {name} that cannot be read ({error})") from error
        raise self.foreign(f"holds a {name} of {height} x {width} pixels in mode {kind}")

    @contextmanager
    def reading_mat(self, name):
        """Give the variables of a MATLAB file; whatever fails inside tells that it is another file."""
        content = self.read(name)
        try:
            yield load_mat(content, self._data_set.max_member_bytes)
        except (LookupError, TypeError, ValueError) as error:
            raise self.foreign(f"holds a {name} of another content ({error})") from error

    def provenance(self, content):
        """Return what the description says of this copy, str."""
        lines = ["This copy", "---------"]
        lines += [f"Made from {a.path.name}, sha256 {_sha256(a.path)}." for a in self._archives]
        lines += [_verdict(kind, self.names[kind], tested) for kind, tested in self.tested.items()]
        lines += [content.notes, f"Images here: {format_numbers(content.numbers)}."]
        return "\n" + "\n".join(line for line in lines if line) + "\n"

    def _add(self, archive, member):
        for kind, pattern in self._data_set.kinds.items():
            if re.fullmatch(f"(?:.*/)?{pattern}", member):
                name = member.rpartition("/")[2]
                if name in self._places:
                    raise self.foreign(f"holds {name} twice ({self._places[name][1]} and {member})")
                self._places[name] = archive, member
                self.names[kind].append(name)

    def _compare(self, names):
        """Tell whether all files are the tested ones; a few that differ are damaged, or were edited."""
        listed = [name for name in names if name in self._digests]
        differing = [name for name in listed if digest(self.read(name)) != self._digests[name]]
        # Another encoding changes most files of a kind.
        if 0 < len(differing) <= len(listed) // 2:
            raise self.foreign(
                f"holds {len(differing)} files that differ from the published ones, of {len(listed)} that otherwise do "
                f"not ({', '.join(differing[:5])}): they are damaged or were edited"
            )
        return not differing if listed else None

    def _paths(self):
        return " with ".join(str(archive.path) for archive in self._archives)


def _verdict(kind, names, tested):
    if not names:
        return ""
    if tested:
        return (
            f"The files of kind {kind} ({len(names)}) are byte for byte those that skcount was tested with."
        )
    return (
        f"The files of kind {kind} ({len(names)}) are not those that skcount was tested with: only their number, sizes and "
        "totals were checked."
    )


def digest(content):
    """Return the first 16 digits of the SHA-256 of some bytes, which is what the lists of digests hold."""
    return hashlib.sha256(content).hexdigest()[:16]


def _read_digests(name):
    """Return the digests of the files of a data set that skcount was tested with, dict of name to digest."""
    path = resources.files("skcount.datasets") / "digests" / f"{name}.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split() for line in lines if not line.startswith("#"))
