"""Files in zip and tar archives, read in memory and never extracted: the door for archives from anywhere.

An archive is refused as a whole when one of its members could not be a plain file under a plain name below the
archive's own folder, or when the members are more or larger than the caller expects. So nothing that is read here can
name another file, run out of memory or stand for two things.

>>> import tempfile, zipfile
>>> folder = tempfile.TemporaryDirectory()
>>> path = Path(folder.name) / "pictures.zip"
>>> with zipfile.ZipFile(path, "w") as file:
...     file.writestr("pictures/one.txt", "a picture")
>>> with open_archive(path, max_bytes=1000, max_member_bytes=100) as archive:
...     archive.names, archive.read("pictures/one.txt")
(['pictures/one.txt'], b'a picture')
>>> folder.cleanup()
"""

import bz2
import gzip
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path

__all__ = ["Archive", "ArchiveError", "check_magic", "open_archive"]

MAX_MEMBERS = 100_000

_DECOMPRESSORS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
# What damaged archives make zipfile, tarfile and the decompressors raise.
_DAMAGES = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, OSError, OverflowError, RecursionError, ValueError),
)


class ArchiveError(ValueError):
    """An archive that is damaged, or unsafe to read."""


def open_archive(path, max_bytes, max_member_bytes):
    """Open an archive and check all that it lists.

    Parameters
    ----------
    path : path-like
        Name of a zip file, or of a tar file, compressed or not.
    max_bytes : int
        The most that all members may hold together when uncompressed, in bytes.
    max_member_bytes : int
        The most that one of them may hold that is read.

    Returns
    -------
    Archive
        The archive; a context manager that closes it.

    Raises
    ------
    ArchiveError
        If the file is no archive, is damaged, or holds an absolute name, a name with ``..``, a name twice, a link, a
        device, an encrypted member, or too much.
    """
    kind = ZipArchive if check_magic(path) == "zip" else TarArchive
    return kind(path, max_bytes, max_member_bytes)


def check_magic(path):
    """Tell a zip from a tar file by what it begins with, and refuse anything else.

    Parameters
    ----------
    path : path-like
        Name of the file.

    Returns
    -------
    {"zip", "tar"}
        The kind of archive.

    Raises
    ------
    ArchiveError
        If the file is neither.
    """
    if Path(path).exists() and not Path(path).is_file():
        kind = "a folder" if Path(path).is_dir() else "a device or a pipe"
        raise ArchiveError(f"{path} is {kind}; expected a zip or tar file, as it was published.")
    start = _read_start(path)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if _decompressor(start) is not None:
        return "tar"
    looks = f"it begins with {start[:8]!r}"
    if start.lstrip().startswith(b"<"):
        looks = "it looks like a page of the web"
    raise ArchiveError(f"{path} is neither a zip nor a tar file ({looks}); get the archive again.")


def _read_start(path):
    with open(path, "rb") as file:
        return file.read(512)


def _decompressor(start):
    """Return what opens a tar file that begins so; None if it is none."""
    if start[257:262] == b"ustar":
        return open
    return next((opener for magic, opener in _DECOMPRESSORS.items() if start.startswith(magic)), None)


class Archive(ABC):
    """An open archive.

    Parameters
    ----------
    path : path-like
        Name of the file.
    max_bytes : int
        The most that all members may hold together, in bytes.
    max_member_bytes : int
        The most that one of them may hold that is read.

    Attributes
    ----------
    names : list of str
        Names of the files in it, in the order of the archive, with ``/`` between folders.
    """

    def __init__(self, path, max_bytes, max_member_bytes):
        self.path = path
        self._max_bytes = max_bytes
        self._max_member_bytes = max_member_bytes
        self._members = {}
        self._total = 0
        try:
            self._open()
        except BaseException as error:
            self.close()
            if isinstance(error, _DAMAGES) and not isinstance(error, ArchiveError):
                raise ArchiveError(f"{path} cannot be read as an archive ({error}); get it again.") from error
            raise

    @property
    def names(self):
        """Names of the files in the archive, list of str."""
        return list(self._members)

    def read(self, name):
        """Return the content of a member, bytes.

        Parameters
        ----------
        name : str
            One of `names`.

        Returns
        -------
        bytes
            Its content.

        Raises
        ------
        ArchiveError
            If the member is damaged, too large, or of another size than the archive says.
        """
        member = self._members[name]
        size = self._size(member)
        if size > self._max_member_bytes:
            self._refuse(
                name, f"holds {size} bytes, more than the {self._max_member_bytes} of any file of these data"
            )
        try:
            with self._stream(member) as stream:
                content = stream.read(size + 1)
        except _DAMAGES as error:
            raise ArchiveError(
                f"{self.path} holds a {name} that cannot be read ({error}); get it again."
            ) from error
        if len(content) != size:
            raise ArchiveError(
                f"{self.path} holds a {name} of another size than the {size} bytes that it lists; get it again."
            )
        return content

    @abstractmethod
    def close(self):
        """Close the file."""

    @abstractmethod
    def _open(self):
        """Open the file and give every member to `_add`."""

    @abstractmethod
    def _size(self, member):
        """Return the number of bytes that the member holds by the archive's list."""

    @abstractmethod
    def _stream(self, member):
        """Return a binary stream of the member's content."""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _add(self, name, member, is_file, oddity):
        """Check a member and list it if it is a file; `oddity` says what it is if neither file nor folder."""
        plain = name.replace("\\", "/")
        if oddity:
            self._refuse(name, f"is {oddity}")
        if (
            plain.startswith("/")
            or re.match(r"[A-Za-z]:", plain)
            or ".." in plain.split("/")
            or "\0" in plain
            or not plain
        ):
            self._refuse(name, "would lie outside the archive's own folder")
        if not is_file:
            return
        if plain in self._members:
            self._refuse(name, "is in it twice")
        self._members[plain] = member
        self._total += self._size(member)
        if self._total > self._max_bytes or len(self._members) > MAX_MEMBERS:
            self._refuse(
                name, f"goes beyond what these data hold ({self._max_bytes} bytes, {MAX_MEMBERS} files)"
            )

    def _refuse(self, name, why):
        raise ArchiveError(
            f"{self.path} is refused, for its member {name!r} {why}. Expected plain files under plain names, once each; "
            "get the archive from its publisher."
        )


class ZipArchive(Archive):
    """An open zip file."""

    _file = None

    def _open(self):
        self._file = zipfile.ZipFile(self.path)
        for info in self._file.infolist():
            # Not `filename`, which zipfile cuts at a NUL.
            name = info.orig_filename
            self._add(name, info, not name.endswith("/"), _zip_oddity(info))

    def _size(self, member):
        return member.file_size

    def _stream(self, member):
        return self._file.open(member)

    def close(self):
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _zip_oddity(info):
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 0x1:
        return "encrypted"
    if stat.S_ISLNK(kind):
        return "a link"
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "a device or something else that is no file"
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        # zipfile hands the other methods' output over whole, however large it is.
        return f"compressed by method {info.compress_type}, neither stored nor deflated"
    return None


class TarArchive(Archive):
    """An open tar file, plain or compressed by gzip, bzip2 or xz."""

    _file = _raw = None

    def _open(self):
        stream = _decompressor(_read_start(self.path))(self.path, "rb")
        self._raw = _BoundedReader(stream, self._max_bytes, self._max_member_bytes)
        self._file = tarfile.open(fileobj=self._raw, mode="r:")  # noqa: SIM115 - closed by `close`
        for info in self._file:
            self._add(info.name, info, not info.isdir(), _tar_oddity(info))
        # The checksum of what is compressed comes at the end.
        while self._raw.read(2**16):
            pass

    def _size(self, member):
        return member.size

    def _stream(self, member):
        return self._file.extractfile(member)

    def close(self):
        """Close the file."""
        for file in (self._file, self._raw):
            if file is not None:
                file.close()


def _tar_oddity(info):
    if info.issym() or info.islnk():
        return "a link"
    if info.issparse() or not (info.isreg() or info.isdir()):
        return "a device or something else that is no plain file"
    return None


class _BoundedReader:
    """A stream that refuses to go further, or to read more at once, than a limit.

    tarfile reads long headers whole and skips members by reading them: a bomb would go off while it is listed.
    """

    # Beyond the files' content: headers of 512 bytes or some more each, and padding.
    _OVERHEAD = MAX_MEMBERS * 2048

    def __init__(self, stream, max_bytes, max_read):
        self._stream = stream
        self._limit = max_bytes + self._OVERHEAD
        self._max_read = max(max_read, 2**16)  # tarfile reads headers and buffers of its own
        self.close = stream.close
        self.tell = stream.tell

    def read(self, size):
        if not 0 <= size <= self._max_read:  # a negative size would read all there is
            raise ValueError(f"a part of {size} bytes is more than {self._max_read}")
        self._check(self._stream.tell() + size)
        return self._stream.read(size)

    def seek(self, position):
        self._check(position)
        return self._stream.seek(position)

    def _check(self, position):
        if position > self._limit:
            raise ValueError(f"it goes on beyond {self._limit} bytes")
