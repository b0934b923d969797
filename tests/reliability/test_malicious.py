"""Files that were made to do harm: each is refused by its name, runs nothing, and reaches nothing else."""

import bz2
import gzip
import json
import os
import pickle
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import h5py
import joblib
import numpy as np
import pytest
import torch
from processes import run_script

from skcount import UNetRegressor, _plain_file, load
from skcount.io import load_folder, load_hdf5, read_points, save_hdf5
from skcount.io._archives import open_archive
from skcount.io._matlab import load_mat
from skcount.regressors import _save
from skcount.training import Checkpoint

for package in ("PIL", "roifile", "tifffile", "defusedxml"):
    pytest.importorskip(package)

SECRET = b"a secret of another file" * 100
MOST_MEMORY = 512  # MiB, beyond what the readers take for a small file
TINY = {"filters": 1, "max_epochs": 1, "random_state": 0}


class Payload:
    """What runs a command when it is unpickled: it would make a file called `owned`."""

    def __init__(self, folder):
        self.command = f"touch {folder / 'owned'}"

    def __reduce__(self):
        return os.system, (self.command,)


def read_image(path):
    images, _ = load_folder(path, return_X_y=True)
    return images[0]


def read_hdf5(path):
    with load_hdf5(path).images as images:
        return images[0]


def read_archive(path):
    with open_archive(path, max_bytes=2**20, max_member_bytes=2**20) as archive:
        return [archive.read(name) for name in archive.names]


def read_matrices(path):
    try:
        return load_mat(path.read_bytes(), max_bytes=2**20)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error  # which its callers do


def read_checkpoint(path):
    return Checkpoint(path, every=1).state


def write(path, content):
    path.write_bytes(content)
    return path


def text(suffix, content):
    """Make a file of this content, or of what it is for a folder."""
    return lambda folder: write(folder / f"a{suffix}", content(folder) if callable(content) else content)


def pickled(folder):
    return pickle.dumps(Payload(folder))


def saved(suffix, save):
    """Make a file of an object that holds a payload."""

    def make(folder):
        save(folder / "a", Payload(folder))
        (path,) = folder.iterdir()
        return path.rename(folder / f"a{suffix}")

    return make


def special(make, suffix):
    return lambda folder: make(folder / f"a{suffix}") or folder / f"a{suffix}"


def loop(path):
    path.symlink_to(path)


def device(path):
    path.symlink_to("/dev/zero")


# --- HDF5 --------------------------------------------------------------------------------------------------------


def hdf5(name, make_other):
    """Make a file of ours in which something else has this name; its maker takes the open file and the folder."""

    def make(folder):
        save_hdf5(folder / "a.h5", np.zeros((1, 6, 8), np.uint8), [[(1, 2)]], groups=["a"])
        with h5py.File(folder / "a.h5", "r+") as file:
            file.pop(name, None)
            make_other(file, folder)
        return folder / "a.h5"

    return make


def dataset(name, *arguments, **options):
    return hdf5(name, lambda file, _: file.create_dataset(name, *arguments, **options))


def holds(name, content):
    return hdf5(name, lambda file, folder: file.update({name: content(folder)}))


def other_hdf5(folder):
    save_hdf5(folder.parent / "other.h5", np.zeros((1, 6, 8), np.uint8), [[(1, 2)]])
    return str(folder.parent / "other.h5")


def virtual_dataset(file, folder):
    layout = h5py.VirtualLayout((1, 6, 8), np.uint8)
    layout[0] = h5py.VirtualSource(other_hdf5(folder), "images/6x8", (1, 6, 8))[0]
    file.create_virtual_dataset("images/6x8", layout)


def external_storage(file, folder):
    elsewhere = [(str(folder.parent / "secret"), 0, 48)]
    file.create_dataset("images/6x8", (1, 6, 8), np.uint8, external=elsewhere)


def pickle_in_an_attribute(file, folder):
    file.attrs["format"] = np.void(pickled(folder))


def bomb_of_a_table(file, folder):
    shape, rows = (2**26, 2), 2**20
    table = file.create_dataset("points/coordinates", shape, float, chunks=(rows, 2), compression="gzip")
    content = zlib.compress(bytes(rows * 16), 9)
    for row in range(0, shape[0], rows):
        table.id.write_direct_chunk((row, 0), content)


def huge_image(file, folder):
    file["image_shapes"][0] = (2**30, 2**30)
    file.create_dataset(f"images/{2**30}x{2**30}", (1, 2**30, 2**30), np.uint8, chunks=(1, 1, 8))


# --- Archives ----------------------------------------------------------------------------------------------------


def write_zip(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def zipped(members, suffix=".zip"):
    return lambda folder: write_zip(folder / f"a{suffix}", members)


def zip_absolute(folder):
    return write_zip(folder / "a.zip", {str(folder.parent / "owned"): b"x"})


def zip_link(folder):
    info = zipfile.ZipInfo("secret")
    info.external_attr = 0o120777 << 16
    return write_zip(folder / "a.zip", {info: str(folder.parent / "secret")})


def zip_bomb_that_lies(folder):
    content = zipped({"a": bytes(2**26)})(folder).read_bytes()
    return write(folder / "a.zip", content.replace(struct.pack("<I", 2**26), struct.pack("<I", 1000)))


def zip_of_overlapping_members(folder):
    path = write_zip(folder / "a.zip", {"a": bytes(2**19), "b": bytes(2**19), "c": b""})
    content = bytearray(path.read_bytes())
    for entry in [i for i in range(len(content)) if content[i : i + 4] == b"PK\x01\x02"]:
        content[entry + 42 : entry + 46] = bytes(4)  # all where the first is
    return write(path, content)


def imagej_bomb(folder):
    return write_zip(folder / "a.zip", {"a.roi": bytes(2**28 + 1)})


def zip_of_bzip2(folder):
    path = write_zip(folder / "a.zip", {"a.roi": b"x"}, zipfile.ZIP_BZIP2)
    return write(path, path.read_bytes().replace(bz2.compress(b"x"), bz2.compress(bytes(10**7))))


def tar(**fields):
    def make(folder):
        info = tarfile.TarInfo("a")
        for name, value in fields.items():
            setattr(info, name, value)
        with tarfile.open(folder / "a.tar", "w") as archive:
            archive.addfile(info)
        return folder / "a.tar"

    return make


def tar_bomb(folder):
    return write(folder / "a.tar", gzip.compress(tarfile.TarInfo("a").tobuf() + bytes(2**29), 1))


def tar_of_endless_headers(folder):
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2
    block = header.tobuf(tarfile.GNU_FORMAT) + b"a".ljust(512, b"\0")
    return write(folder / "a.tar", gzip.compress(block * 5000 + bytes(1024)))


def laughs(encoding):
    lols = [f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12)]
    page = f'<!DOCTYPE a [<!ENTITY l0 "lol">{"".join(lols)}]><CellCounter_Marker_File>&l11;</CellCounter_Marker_File>'
    return text(".xml", page.encode(encoding))


def external_entity(folder):
    entity = f'<!ENTITY s SYSTEM "file://{folder.parent}/secret">'
    return f"<!DOCTYPE a [{entity}]><CellCounter_Marker_File>&s;</CellCounter_Marker_File>".encode()


HUGE = {"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "bbox": [10**400, 1, 1, 1]}]}


def mat(**values):
    def make(folder):
        from scipy.io import savemat

        given = {name: value(folder) if callable(value) else value for name, value in values.items()}
        savemat(folder / "a.mat", given, do_compression=True)
        return folder / "a.mat"

    return make


def mat_of_nested_cells(folder):
    def element(kind, content):
        return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)

    flags, dims = element(6, struct.pack("<II", 1, 0)), element(5, struct.pack("<ii", 1, 1))
    level = struct.pack("<II", 14, 2**16) + flags + dims + element(1, b"")
    first = struct.pack("<II", 14, 2**16) + flags + dims + element(1, b"a")
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    return write(folder / "a.mat", header + first + level * 100_000)


def png_bomb(folder):
    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunks = {b"IHDR": size, b"IDAT": zlib.compress(bytes(10**6)), b"IEND": b""}
    parts = [(len(content), kind + content) for kind, content in chunks.items()]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", length) + part + struct.pack(">I", zlib.crc32(part)) for length, part in parts
    )


def tiff(**values):
    def make(folder):
        from tifffile import TiffFile, imwrite

        imwrite(folder / "a.tif", np.zeros((6, 8), np.uint8), photometric="minisblack", metadata=None)
        with TiffFile(folder / "a.tif", mode="r+") as file:
            for name, value in values.items():
                file.pages[0].tags[name].overwrite(value)
        return folder / "a.tif"

    return make


# --- Models and checkpoints --------------------------------------------------------------------------------------


def skops_file(folder):
    schema = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"}
    schema |= {"content": {}, "protocol": 2}
    return write_zip(folder / "a.skcount", {"schema.json": json.dumps(schema), "a.npy": pickled(folder)})


def signed(change):
    """Make a model whose content was changed by someone who knows how a digest is computed."""

    def make(folder):
        path = folder / "a.skcount"
        UNetRegressor(**TINY).fit(np.zeros((1, 8, 8), np.uint8), [[(1, 2)]]).save(path)
        tree = _plain_file.read(path, _save.KIND)
        change(tree)
        _plain_file.write(path, tree, _save.KIND)
        return path

    return make


def network(**params):
    return signed(lambda tree: tree["fitted"]["_network_params"].update(params))


LEVELS = b"[" * 10**6 + b"]" * 10**6
BOX = b"[" * 900 + b"]" * 900
# fmt: off
MALICIOUS = {
    "a pickle as CSV": (text(".csv", pickled), read_points, "not text|cannot be read|single column"),
    "a pickle as JSON": (text(".json", pickled), read_points, "JSON"),
    "a pickle as HDF5": (text(".h5", pickled), read_hdf5, "Expected a whole file"),
    "a pickle in MATLAB": (mat(points=lambda folder: np.frombuffer(pickled(folder), np.uint8)), read_points, "shape"),
    "a pickle in an attribute": (hdf5("", pickle_in_an_attribute), read_hdf5, "format"),
    "a pickle in an opaque dataset": (holds("groups", lambda folder: np.array([np.void(pickled(folder))])),
                                      read_hdf5, "neither numbers nor text"),
    "a pickle in a dataset of objects": (holds("groups", lambda folder: [pickled(folder).hex()]),
                                         read_hdf5, "neither numbers nor text"),
    "an object array as MATLAB": (saved(".mat", lambda path, payload: np.save(path, np.array([payload], dtype=object))),
                                  read_points, "MATLAB"),
    "object arrays as selections": (saved(".zip", lambda path, payload: np.savez(path, np.array([payload], dtype=object))),
                                    read_points, "selection"),
    "a zip of a pickle as HDF5": (lambda folder: write_zip(folder / "a.h5", {"data.pkl": pickled(folder)}),
                                  read_hdf5, "whole file"),
    "an external link": (holds("images", lambda folder: h5py.ExternalLink(other_hdf5(folder), "/images")),
                         read_hdf5, "is a link"),
    "an external link to nothing": (holds("roi", lambda folder: h5py.ExternalLink(other_hdf5(folder), "/no")),
                                    read_hdf5, "is a link"),
    "a soft link to itself": (holds("image_rows", lambda folder: h5py.SoftLink("/image_rows")),
                              read_hdf5, "image_rows is a link"),
    "a virtual dataset": (hdf5("images/6x8", virtual_dataset), read_hdf5, "other files"),
    "external storage": (hdf5("images/6x8", external_storage), read_hdf5, "other files"),
    "a huge table": (dataset("image_rows", (2**40,), np.int64, chunks=(2**16,), compression="gzip"),
                     read_hdf5, "8796093022208"),
    "a table that is a bomb": (hdf5("points/coordinates", bomb_of_a_table), read_hdf5, "1073741824"),
    "a huge chunk": (dataset("description", (1,), "S8", chunks=(2**28,), maxshape=(None,), compression="gzip"),
                     read_hdf5, "2147483648"),
    "a huge image": (hdf5("images/none", huge_image), read_hdf5, "HDF5 stores in one chunk"),
    "../ in a zip": (zipped({"../owned": b"x"}), read_archive, "outside"),
    "an absolute name in a zip": (zip_absolute, read_archive, "outside"),
    "a link in a zip": (zip_link, read_archive, "is a link"),
    "a zip bomb": (zipped({"a": bytes(2**26)}), read_archive, "beyond"),
    "a zip bomb of a lying size": (zip_bomb_that_lies, read_archive, "cannot be read|of another size"),
    "overlapping members": (zip_of_overlapping_members, read_archive, "cannot be read"),
    "../ in a tar": (tar(name="../owned"), read_archive, "outside"),
    "an absolute name in a tar": (tar(name="/tmp/owned"), read_archive, "outside"),  # noqa: S108 - it is not written
    "a symbolic link in a tar": (tar(type=tarfile.SYMTYPE, linkname="../secret"), read_archive, "is a link"),
    "a hard link in a tar": (tar(type=tarfile.LNKTYPE, linkname="../secret"), read_archive, "is a link"),
    "a device in a tar": (tar(type=tarfile.CHRTYPE, devmajor=1, devminor=5), read_archive, "is a device"),
    "a tar bomb": (tar_bomb, read_archive, "beyond"),
    "a tar of endless headers": (tar_of_endless_headers, read_archive, "cannot be read"),
    "a billion laughs": (laughs("utf-8"), read_points, "document type"),
    "a billion laughs in UTF-16": (laughs("utf-16"), read_points, "document type|encod"),
    "an external entity": (text(".xml", external_entity), read_points, "document type"),
    "JSON of 100,000 levels": (text(".json", b'{"images": ' + LEVELS[900_000:1_100_000] + b"}"), read_points, "JSON"),
    "JSON as deep as it is read": (text(".json", b'{"images": [], "annotations": [{"image_id": ' + BOX + b"}]}"),
                                   read_points, "image_id|JSON"),
    "a number of 100,000 digits": (text(".json", b'{"images": [{"id": ' + b"9" * 10**5 + b'}], "annotations": []}'),
                                   read_points, "JSON"),
    "a number beyond floats": (text(".json", json.dumps(HUGE).encode()), read_points, "two numbers"),
    "a formula": (text(".csv", b"x,y\n=cmd|' /C calc'!A0,2\n"), read_points, "finite number"),
    "NUL in a table": (text(".csv", b"x,y\n1,2\n\0\0,3\n"), read_points, "not text"),
    "a line of 100 MB": (lambda folder: write(folder / "a.csv", b"x,y\n" + b"1" * 10**8 + b",2\n"), read_points, "limit"),
    "a number to backtrack on": (text(".csv", b"x,y\n" + b"1" * 130_000 + b"x,2\n"), read_points, "finite number"),
    "../ among selections": (zipped({"../a.roi": b"Iout"}), read_points, "outside"),
    "selections that are a bomb": (imagej_bomb, read_points, "beyond"),
    "a bomb of bzip2": (zip_of_bzip2, read_points, "neither stored nor deflated"),
    "cells in cells in MATLAB": (mat_of_nested_cells, read_points, "deeper than 50"),
    "cells in cells in an archive": (mat_of_nested_cells, read_matrices, "deeper than 50"),
    "a MATLAB bomb": (mat(points=lambda folder: np.zeros((2**25 + 1, 1))), read_points, "beyond"),
    "a PNG bomb": (text(".png", png_bomb), read_image, "larger"),
    "a TIFF bomb": (tiff(ImageWidth=2**20, ImageLength=2**20), read_image, "1048576 x 1048576"),
    "a TIFF of many channels": (tiff(ImageWidth=10**4, ImageLength=10**4, SamplesPerPixel=10**4),
                                read_image, "10000 channels"),
    "a pipe as CSV": (special(os.mkfifo, ".csv"), read_points, "There is no file"),
    "a pipe as a picture": (special(os.mkfifo, ".png"), read_image, "There are no pictures"),
    "a pipe as HDF5": (special(os.mkfifo, ".h5"), read_hdf5, "a device or a pipe"),
    "a pipe as an archive": (special(os.mkfifo, ".zip"), read_archive, "a device or a pipe"),
    "a pipe as a model": (special(os.mkfifo, ".skcount"), load, "regular file"),
    "a device as an archive": (special(device, ".zip"), read_archive, "a device or a pipe"),
    "a loop as CSV": (special(loop, ".csv"), read_points, "There is no file"),
    "a loop as a model": (special(loop, ".skcount"), load, "There is no file|regular file"),
    "a loop as HDF5": (special(loop, ".h5"), read_hdf5, "symbolic links"),
    "a pickle as a model": (text(".skcount", pickled), load, "file that skcount wrote"),
    "a pickle as a checkpoint": (text(".skcount", pickled), read_checkpoint, "pickle"),
    "joblib's pickle as a model": (saved(".skcount", lambda path, payload: joblib.dump(payload, path, compress=3)),
                                   load, "file that skcount wrote"),
    "torch's pickle as a model": (saved(".skcount", lambda path, payload: torch.save(payload, path)),
                                  load, "pickle or a zip"),
    "skops as a model": (skops_file, load, "pickle or a zip"),
    "a model with a header of a terabyte": (text(".skcount", struct.pack("<Q", 2**40) + b'{"__metadata__":{}}'),
                                            load, "file that skcount"),
    "a model with a header of a million levels": (text(".skcount", struct.pack("<Q", len(LEVELS)) + LEVELS),
                                                  load, "file that skcount"),
    "a model of a class of os": (signed(lambda tree: tree.update({"class": "os.system"})), load, "cannot|no regressor"),
    "a model that names a function of os": (network(architecture={"import": "os.system"}), load, "import"),
    "a model bomb of a trillion weights": (network(filters=10_000, growth=10), load, "shape"),
    "a model bomb of more weights than numbers": (network(filters=10_000, growth=10, depth=8), load, "no regressor|size"),
    "a model of endless layers": (network(depth=10**9), load, "depth"),
    "a model that says to be another": (signed(lambda tree: tree["weights"].update(mean=np.full((1,) * 4, 9, np.float32))),
                                        load, "test image"),
    "a model of NaN": (signed(lambda tree: tree["weights"].update(mean=tree["weights"]["mean"] * np.nan)),
                       load, "test image"),
}
# fmt: on


def tree(folder):
    """Return all files of a folder, with what they hold; links and pipes by name alone."""
    paths = sorted(folder.rglob("*"))
    return {str(path): path.stat().st_mtime_ns if path.is_file() else None for path in paths}


@pytest.mark.skipif(os.name != "posix", reason="pipes, devices and links are made")
@pytest.mark.parametrize("name", MALICIOUS)
def test_what_would_do_harm_is_refused_and_does_none(tmp_path, name, monkeypatch):
    make, read, message = MALICIOUS[name]
    folder = tmp_path / "given"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(SECRET)
    monkeypatch.chdir(folder)
    path = make(folder)
    before = tree(tmp_path)
    with pytest.raises((ValueError, OSError), match=message) as info:
        read(path)
    assert path.name in str(info.value)
    assert "a secret" not in str(info.value)
    assert tree(tmp_path) == before
    assert not (folder / "owned").exists()


_READ = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_malicious
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    test_malicious.MALICIOUS[sys.argv[2]][1](Path(sys.argv[3]))
except (ValueError, OSError):
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
BOMBS = [n for n in MALICIOUS if "bomb" in n or "huge" in n or n.startswith(("a TIFF", "overlapping"))]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is told in KiB")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_no_memory(tmp_path, name):
    path = MALICIOUS[name][0](tmp_path)
    assert int(run_script(_READ, Path(__file__).parent, name, path)[0]) < MOST_MEMORY


def test_the_payload_would_run(tmp_path):
    pickle.loads(pickled(tmp_path))
    assert (tmp_path / "owned").exists()


def test_a_series_of_tiffs_does_not_open_the_others(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    (tmp_path / "given").mkdir()
    pixels = np.arange(96, dtype=np.uint8).reshape(2, 6, 8)
    tifffile.imwrite(tmp_path / "other.ome.tif", 255 - pixels[0], ome=True)
    plane = '<TiffData IFD="0" FirstT="{}" PlaneCount="1"><UUID FileName="{}">urn:uuid:{}</UUID></TiffData>'
    series = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="8" SizeY="6" SizeZ="1" SizeC="1" SizeT="2">'
        f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{plane.format(0, "a.ome.tif", 1)}'
        f"{plane.format(1, '../other.ome.tif', 2)}</Pixels></Image></OME>"
    )
    path = tmp_path / "given" / "a.ome.tif"
    tifffile.imwrite(path, pixels[0], description=series, metadata=None)
    np.testing.assert_array_equal(read_image(path), pixels[0])
