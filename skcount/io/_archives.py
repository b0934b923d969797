"""Files in zip and tar archives, read in memory and never extracted, so that the archives need not be trusted.

The whole archive is rejected if a member is not a plain file under a plain name below the archive's own folder, or if
there are more or larger members than the caller expects. An archive can therefore neither refer to other files, nor
exhaust the memory, nor contain two files of one name.
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
from contextlib import ExitStack
from pathlib import Path

MAX_MEMBERS = 100_000

_DECOMPRESSORS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
# Errors that zipfile, tarfile and the decompressors raise for damaged archives.
_DAMAGES = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, OSError, OverflowError, RecursionError, ValueError),
)


class ArchiveError(ValueError):
    """An archive that is damaged, or unsafe to read."""


def open_archive(path, max_bytes, max_member_bytes):
    """Open a zip or tar file and check its members; the limits are for all members together and for each one read."""
    listing = _list_zip if check_magic(path) == "zip" else _list_tar
    return Archive(path, listing, max_bytes, max_member_bytes)


def check_magic(path):
    """Return "zip" or "tar" (compressed or not) from the first bytes of a file; reject anything else."""
    if Path(path).exists() and not Path(path).is_file():
        kind = "a folder" if Path(path).is_dir() else "a device or a pipe"
        raise ArchiveError(f"{path} is {kind}; expected a zip or tar file, as it was published.")
    start = _read_start(path)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if _decompressor(start) is not None:
        return "tar"
    found = "looks like a web page" if start.lstrip().startswith(b"<") else f"begins with {start[:8]!r}"
    raise ArchiveError(f"{path} must be a zip or tar file; it {found}. Get the archive again.")


def _read_start(path):
    with open(path, "rb") as file:
        return file.read(512)


def _decompressor(start):
    """Return the function that opens a tar file with these first bytes; None if it is not one."""
    if start[257:262] == b"ustar":
        return open
    return next((opener for magic, opener in _DECOMPRESSORS.items() if start.startswith(magic)), None)


class Archive:
    """An open archive; a context manager that closes it. `names` are its files, with ``/`` between folders."""

    def __init__(self, path, listing, max_bytes, max_member_bytes):
        self.path = path
        self._max_bytes, self._max_member_bytes = max_bytes, max_member_bytes
        self._members, self._total = {}, 0
        with ExitStack() as files:  # closed at once if the archive is rejected
            try:
                for name, is_file, oddity, size, opened in listing(path, files, max_bytes, max_member_bytes):
                    self._add(name, is_file, oddity, size, opened)
            except ArchiveError:
                raise
            except _DAMAGES as error:
                raise ArchiveError(f"{path} cannot be read as an archive ({error}). Get it again.") from error
            self._files = files.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._files.close()

    @property
    def names(self):
        """Names of the files, list of str in the order of the archive."""
        return list(self._members)

    def read(self, name):
        """Return the content of a file, bytes."""
        size, opened = self._members[name]
        if size > self._max_member_bytes:
            self._refuse(
                name, f"holds {size} bytes, more than {self._max_member_bytes}, the most of these data"
            )
        try:
            with opened() as stream:
                content = stream.read(size + 1)
        except _DAMAGES as error:
            raise ArchiveError(f"{name} in {self.path} cannot be read ({error}); get it again.") from error
        if len(content) != size:
            raise ArchiveError(f"{name} in {self.path} is of another size than {size} bytes; get it again.")
        return content

    def _add(self, name, is_file, oddity, size, opened):
        """Check a member and keep it if it is a file; `oddity` says what it is if it is neither file nor folder."""
        plain = name.replace("\\", "/")
        if oddity:
            self._refuse(name, f"is {oddity}")
        is_outside = plain.startswith("/") or re.match(r"[A-Za-z]:", plain) or ".." in plain.split("/")
        if is_outside or "\0" in plain or not plain:
            self._refuse(name, "would lie outside the archive's own folder")
        if not is_file:
            return
        if plain in self._members:
            self._refuse(name, "is in it twice")
        self._members[plain] = size, opened
        self._total += size
        if self._total > self._max_bytes or len(self._members) > MAX_MEMBERS:
            self._refuse(
                name, f"goes beyond {self._max_bytes} bytes or {MAX_MEMBERS} files, the most of these data"
            )

    def _refuse(self, name, why):
        raise ArchiveError(
            f"{self.path} is refused because its member {name!r} {why}. Expected plain files under plain names, once each. "
            "Get the archive from its publisher."
        )


# Both yield for each member: name, whether it is a file, what it is if not a file or folder, size, function that opens it.


def _list_zip(path, files, *_):
    archive = files.enter_context(zipfile.ZipFile(path))
    for info in archive.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        oddity = None
        if info.flag_bits & 0x1:
            oddity = "encrypted"
        elif stat.S_ISLNK(kind):
            oddity = "a link"
        elif kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            oddity = "a device or another special file"
        elif info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            # With other methods, zipfile returns the whole output, however large it is.
            oddity = f"compressed by method {info.compress_type}, neither stored nor deflated"
        name = info.orig_filename  # zipfile cuts `filename` at a NUL
        yield name, not name.endswith("/"), oddity, info.file_size, lambda info=info: archive.open(info)


def _list_tar(path, files, max_bytes, max_read):
    stream = files.enter_context(_decompressor(_read_start(path))(path, "rb"))
    bounded = _BoundedReader(stream, max_bytes, max_read)
    archive = files.enter_context(tarfile.open(fileobj=bounded, mode="r:"))  # noqa: SIM115 - `files` closes it
    for info in archive:
        oddity = None
        if info.issym() or info.islnk():
            oddity = "a link"
        elif info.issparse() or not (info.isreg() or info.isdir()):
            oddity = "a device or another special file"
        yield info.name, not info.isdir(), oddity, info.size, lambda info=info: archive.extractfile(info)
    # The checksum of the compressed data comes at the end.
    while bounded.read(2**16):
        pass


class _BoundedReader:
    """A stream with a limit on its position and a limit on the bytes read at once.

    tarfile reads long headers completely and skips members by reading them, so a decompression bomb would already
    expand while its members are listed.
    """

    # In addition to the files' content: headers of 512 bytes or some more each, and padding.
    _OVERHEAD = MAX_MEMBERS * 2048

    def __init__(self, stream, max_bytes, max_read):
        self._stream = stream
        self._limit = max_bytes + self._OVERHEAD
        self._max_read = max(max_read, 2**16)  # tarfile reads headers and buffers of its own
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
