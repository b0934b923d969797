import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import tracemalloc
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcount.io import ArchiveError, check_magic, open_archive

LIMITS = {"max_bytes": 10_000, "max_member_bytes": 2000}
KINDS = ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"]

plain_names = st.text("abc/ .ü", min_size=1, max_size=12).filter(
    lambda name: not {"", ".", ".."} & set(name.split("/")) and name == name.strip()
)
contents = st.dictionaries(plain_names, st.binary(max_size=300), min_size=1, max_size=5)


def write(path, *members):
    """Write an archive of the kind that its name says; members are pairs of a name or header, and bytes."""
    kind = path.name.partition(".")[2]
    form = (zipfile.ZipFile, "w") if kind == "zip" else (tarfile.open, "w:" + kind[4:])
    with form[0](path, form[1]) as archive:
        for member, content in members:
            if kind == "zip":
                archive.writestr(member, content)
            else:
                info = tarfile.TarInfo(member) if isinstance(member, str) else member
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def read_all(path, **limits):
    with open_archive(path, **(LIMITS | limits)) as archive:
        return {name: archive.read(name) for name in archive.names}


# --- Whole archives ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("archive")


@settings(deadline=None, max_examples=40)
@given(members=contents, kind=st.sampled_from(KINDS))
def test_what_was_written_is_read(folder, members, kind):
    assert read_all(write(folder / f"a.{kind}", *members.items())) == members


@pytest.mark.parametrize("kind", KINDS)
def test_folders_are_no_files(tmp_path, kind):
    folder = tarfile.TarInfo("a")
    folder.type = tarfile.DIRTYPE
    path = write(tmp_path / f"a.{kind}", ("a/" if kind == "zip" else folder, b""), ("a/b", b"1"))
    assert read_all(path) == {"a/b": b"1"}


def test_deflated_members_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"0" * 1000)
    assert read_all(tmp_path / "a.zip") == {"a": b"0" * 1000}


def test_separators_of_windows_are_read_as_folders(tmp_path):
    assert list(read_all(write(tmp_path / "a.zip", ("a\\b.txt", b"")))) == ["a/b.txt"]


# --- Refused as a whole --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["../a", "../a/", "a/../../b", "/etc/a", "C:/a", "c:a", "..\\a", "\\a", "a/.."]
)
def test_a_name_outside_the_archive_is_refused(tmp_path, kind, name):
    path = write(tmp_path / f"a.{kind}", ("good", b""), (name, b""))
    with pytest.raises(ArchiveError, match=r"refused because its member .* would lie outside"):
        read_all(path)


def test_a_name_that_goes_on_after_a_nul_is_refused(tmp_path):
    path = write(tmp_path / "a.zip", ("good.pngX../b", b""))
    path.write_bytes(path.read_bytes().replace(b"good.pngX", b"good.png\0"))
    with pytest.raises(ArchiveError, match="would lie outside"):
        read_all(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile warns when the test writes it
def test_a_name_that_is_there_twice_is_refused(tmp_path, kind):
    path = write(tmp_path / f"a.{kind}", ("a", b""), ("a", b""))
    with pytest.raises(ArchiveError, match="member 'a' is in it twice"):
        read_all(path)


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
@pytest.mark.parametrize("name", ["a", "a/"])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, name, mode):
    info = zipfile.ZipInfo(name)
    info.external_attr = (mode | 0o777) << 16
    path = write(tmp_path / "a.zip", (info, b"/etc/passwd"))
    what = "a link" if mode == stat.S_IFLNK else "a device"
    with pytest.raises(ArchiveError, match=f"member '{name}' is {what}"):
        read_all(path)


LINKS = [tarfile.SYMTYPE, tarfile.LNKTYPE]


@pytest.mark.parametrize("kind", [*LINKS, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("a")
    info.type, info.linkname = kind, "/etc/passwd"
    path = write(tmp_path / "a.tar.gz", ("good", b"1"), (info, b""))
    with pytest.raises(ArchiveError, match=f"member 'a' is {'a link' if kind in LINKS else 'a device'}"):
        read_all(path)


def test_a_sparse_member_is_refused(tmp_path):
    path = write(tmp_path / "a.tar", ("a", b"1"))
    content = bytearray(path.read_bytes())
    content[156:157] = tarfile.GNUTYPE_SPARSE
    content[483:495] = b"77777777777\0"  # the size when expanded
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="member 'a' is a device or another"):
        read_all(path)


def test_an_encrypted_member_is_refused(tmp_path):
    path = write(tmp_path / "a.zip", ("a", b"1"))
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="member 'a' is encrypted"):
        read_all(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_without_a_bound_are_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("a", b"0" * 1000)
    with pytest.raises(ArchiveError, match=f"compressed by method {method}, neither stored nor deflated"):
        read_all(tmp_path / "a.zip")


# --- Bombs ---------------------------------------------------------------------------------------


def assert_refused_in_few_bytes(path, most, message):
    tracemalloc.start()
    with pytest.raises(ArchiveError, match=message):
        read_all(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most


@pytest.mark.parametrize("kind", KINDS)
def test_more_than_the_data_hold_is_refused_before_it_is_read(tmp_path, kind):
    path = write(tmp_path / f"a.{kind}", *((str(n), b"0" * 1000) for n in range(11)))
    with pytest.raises(ArchiveError, match=r"member '10' goes beyond 10000 bytes"):
        read_all(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_larger_than_any_file_of_the_data_is_not_read(tmp_path, kind):
    path = write(tmp_path / f"a.{kind}", ("small", b"1"), ("large", b"0" * 3000))
    with open_archive(path, **LIMITS) as archive:
        assert archive.read("small") == b"1"
        with pytest.raises(ArchiveError, match="member 'large' holds 3000 bytes, more than 2000"):
            archive.read("large")


@pytest.mark.parametrize(("size", "declared"), [(10_000_000, 16), (10_000_000, 1999), (3, 5)])
def test_a_zip_member_of_a_wrong_size_is_refused_without_expanding_it(tmp_path, size, declared):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(size))
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, declared)
    path.write_bytes(content)
    message = r"a in .* (is of another size than 5 bytes|cannot be read)"
    assert_refused_in_few_bytes(path, 2_000_000, message)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.REGTYPE])
def test_a_tar_of_zeros_is_refused_without_expanding_it(tmp_path, compress, kind):
    info = tarfile.TarInfo("a")
    info.type, info.size = kind, 2**25
    path = tmp_path / "a.tar.x"
    path.write_bytes(compress(info.tobuf() + bytes(2**25) + bytes(1024)))
    most = 12_000_000  # an xz dictionary is 8 MB
    assert_refused_in_few_bytes(path, most, r"goes beyond|cannot be read as an archive")


def test_a_negative_size_in_a_tar_is_refused(tmp_path):
    info = tarfile.TarInfo("a")
    info.type, info.size = tarfile.XHDTYPE, -1024
    path = tmp_path / "a.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(ArchiveError, match="cannot be read as an archive"):
        read_all(path)


# --- No archives, and damaged ones ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\n <!DOCTYPE html><html>", "it looks like a web page"),
        (b"", "it begins with b''"),
        (b"Rar!\x1a\x07\x00", r"it begins with b'Rar!"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path, content, what):
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=rf"a\.zip must be a zip or tar file; {what}"):
        check_magic(path)


def test_a_folder_is_no_archive(tmp_path):
    with pytest.raises(ArchiveError, match="is a folder; expected a zip or tar file"):
        check_magic(tmp_path)


def test_a_tar_is_told_from_what_its_first_name_looks_like(tmp_path):
    assert read_all(write(tmp_path / "a.tar", ("BZh", b"1"))) == {"BZh": b"1"}


def test_an_archive_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_archive(tmp_path / "a.zip", **LIMITS)


MEMBERS = {f"folder/{n}.bin": bytes(range(n, n + 150)) for n in range(6)}


@settings(deadline=None, max_examples=400)
@given(
    kind=st.sampled_from(KINDS), where=st.floats(0, 1, exclude_max=True), flip=st.none() | st.integers(1, 255)
)
def test_a_flipped_byte_or_a_lost_end_is_refused_or_harmless(folder, kind, where, flip):
    path = write(folder / f"a.{kind}", *MEMBERS.items())
    content = bytearray(path.read_bytes())
    place = int(where * len(content))
    content[place:] = [content[place] ^ flip, *content[place + 1 :]] if flip else b""
    path.write_bytes(content)
    try:
        found = read_all(path)
    except ArchiveError:
        return
    if flip:  # a plain tar has no checksum of its content, and a zip none of the members' names
        assert kind == "tar" or set(found.values()) <= set(MEMBERS.values())
    else:
        assert found.items() <= MEMBERS.items()
