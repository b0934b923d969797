"""The files in the archives of a data set: found by name, compared with known digests, read and described."""

import hashlib
import re
from contextlib import ExitStack, contextmanager
from importlib import resources
from io import BytesIO

import numpy as np

from skcount._optional import import_optional
from skcount.datasets._protocols import format_numbers, parse_numbers
from skcount.io import DAMAGE, load_mat, open_archive, without_warnings

__all__ = ["Files", "digest", "open_files", "read_provenance", "sha256"]


@contextmanager
def open_files(data_set, paths):
    """Open the archives of a data set; reject damaged or unsafe ones, duplicate files and a few files that differ."""
    with ExitStack() as stack:
        archives = [
            stack.enter_context(open_archive(path, data_set.max_bytes, data_set.max_member_bytes))
            for path in paths
        ]
        yield Files(data_set, archives)


class Files:
    """The files of a data set, in any folder of its archives.

    `names` lists the file names of each kind without folders, ascending. `tested` is True for a kind if all its files
    are the ones that skcount was tested with, and None if their digests are not known.
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
        self._digests = read_digests(data_set.name)
        self.tested = {kind: self._compare(names) for kind, names in self.names.items()}

    def read(self, name):
        """Return the content of a file, bytes."""
        archive, member = self._places[name]
        return archive.read(member)

    def require(self, kind, expected):
        """Reject archives with missing or surplus files of a kind."""
        lacking = sorted(set(expected) - set(self.names[kind]))
        surplus = sorted(set(self.names[kind]) - set(expected))
        if lacking:
            raise self.foreign(f"lacks {len(lacking)} of {len(expected)} files (the first: {lacking[0]})")
        if surplus:
            raise self.foreign(f"holds {len(surplus)} surplus files (the first: {surplus[0]})")

    def require_tested(self):
        """Reject archives whose files are not exactly the ones that skcount was tested with."""
        found = {name for names in self.names.values() for name in names}
        if found != set(self._digests) or not all(self.tested.values()):
            raise self.foreign("holds other files than those that skcount was tested with")

    def foreign(self, problem):
        """Return the error for archives that do not hold the data as published."""
        paths = " with ".join(str(archive.path) for archive in self._archives)
        return self._data_set.foreign(paths, problem)

    def read_image(self, name, mode):
        """Return an image of the published shape, uint8, in mode "L" (grey) or "RGB"."""
        pillow = import_optional("PIL.Image", "Reading the archive")
        formats = ["JPEG"] if name.endswith(".jpg") else ["PNG"]
        content = BytesIO(self.read(name))
        try:
            with without_warnings(), pillow.open(content, formats=formats) as image:
                height, width, kind = image.height, image.width, image.mode
                # Check the size before decoding: a small file can declare any size.
                if (height, width) == self._data_set.image_shape[:2] and kind in {"L", "P", "RGB"}:
                    image.info.pop("transparency", None)  # use the colours of a palette without transparency
                    return np.asarray(image.convert(mode))
        except (*DAMAGE, pillow.DecompressionBombError) as error:
            raise self.foreign(f"holds a {name} that cannot be read ({error})") from error
        raise self.foreign(f"holds a {name} of {height} x {width} pixels in mode {kind}")

    @contextmanager
    def reading_mat(self, name):
        """Yield the variables of a MATLAB file; any error in the block means that it is not the published file."""
        content = self.read(name)
        try:
            yield load_mat(content, self._data_set.max_member_bytes)
        except (LookupError, TypeError, ValueError) as error:
            raise self.foreign(f"holds a {name} with other content ({error})") from error

    def provenance(self, content):
        """Return the part of the description that identifies this copy; `read_provenance` reads it."""
        lines = ["This copy", "---------"]
        lines += [
            f"Made from {archive.path.name}, sha256 {sha256(archive.path)}." for archive in self._archives
        ]
        for kind, names in self.names.items():
            if names:
                verdict = (
                    "are byte for byte those that skcount was tested with."
                    if self.tested[kind]
                    else "are not those that skcount was tested with: only their number, sizes and totals were checked."
                )
                lines.append(f"The files of kind {kind} ({len(names)}) {verdict}")
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
        """Return whether all files are the tested ones; reject a few that differ, which are damaged or were edited."""
        listed = [name for name in names if name in self._digests]
        differing = [name for name in listed if digest(self.read(name)) != self._digests[name]]
        if 0 < len(differing) <= len(listed) // 2:  # another encoding changes most files of a kind
            raise self.foreign(
                f"differs from the published data in {len(differing)} of {len(listed)} files "
                f"({', '.join(differing[:5])}): they are damaged or were edited"
            )
        return not differing if listed else None


def read_provenance(description):
    """Return the SHA-256 of each archive and the numbers of the images that `provenance` wrote, or None."""
    sources = re.findall(r"^Made from .*, sha256 (\w+)\.$", description, re.MULTILINE)
    numbers = re.search(r"^Images here: (.*)\.$", description, re.MULTILINE)
    return sources, numbers and parse_numbers(numbers[1])


def sha256(path):
    """Return the SHA-256 of a file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(content):
    """Return the first 16 hexadecimal digits of the SHA-256 of some bytes, as in the lists of digests."""
    return hashlib.sha256(content).hexdigest()[:16]


def read_digests(name):
    """Return the digest of each file that skcount was tested with, dict of name to digest."""
    path = resources.files("skcount.datasets") / "digests" / f"{name}.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split() for line in lines if not line.startswith("#"))
