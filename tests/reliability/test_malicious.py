"""Files that were made to do harm: each is refused in plain words, runs nothing, and reaches nothing else."""

import bz2
import gzip
import io
import json
import os
import pickle
import struct
import subprocess
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

from skcount import UNetRegressor, load
from skcount.io import load_folder, load_hdf5, read_points, save_hdf5
from skcount.io._archives import open_archive
from skcount.io._matlab import load_mat
from skcount.regressors import _file, _save
from skcount.regressors._checkpoint import Checkpoint

for package in ("PIL", "roifile", "tifffile", "defusedxml"):
    pytest.importorskip(package)

SECRET = b"a secret of another file" * 100
MOST_MEMORY = 512  # MiB, beyond what the readers take for a small file


class Payload:
    """What runs a command when it is unpickled: it would make a file called `owned`."""

    def __init__(self, folder):
        self.command = f"touch {folder / 'owned'}"

    def __reduce__(self):
        return os.system, (self.command,)


# --- How each is read --------------------------------------------------------------------------------


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


# --- Pickles -----------------------------------------------------------------------------------------


def pickled(folder):
    return pickle.dumps(Payload(folder))


def pickle_of_a_csv(folder):
    return write(folder / "a.csv", pickled(folder))


def pickle_of_json(folder):
    return write(folder / "a.json", pickled(folder))


def pickle_of_hdf5(folder):
    return write(folder / "a.h5", pickled(folder))


def object_array(folder):
    np.save(folder / "a.npy", np.array([Payload(folder)], dtype=object), allow_pickle=True)
    return (folder / "a.npy").rename(folder / "a.mat")


def object_arrays_in_a_zip(folder):
    np.savez(folder / "a.npz", np.array([Payload(folder)], dtype=object))
    return (folder / "a.npz").rename(folder / "a.zip")


def zip_of_a_pickle_called_h5(folder):
    return write_zip(folder / "a.h5", {"data.pkl": pickled(folder)})


def pickle_in_a_mat(folder):
    from scipy.io import savemat

    savemat(folder / "a.mat", {"points": np.frombuffer(pickled(folder), np.uint8)})
    return folder / "a.mat"


def pickle_in_an_attribute(folder):
    path = write_hdf5(folder)
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = np.void(pickled(folder))
    return path


def pickle_in_a_dataset(folder):
    path = write_hdf5(folder)
    with h5py.File(path, "r+") as file:
        del file["groups"]
        file["groups"] = np.array([np.void(pickled(folder))])
    return path


def pickles_as_objects(folder):
    path = write_hdf5(folder)
    with h5py.File(path, "r+") as file:
        del file["groups"]
        file.create_dataset("groups", data=[pickled(folder).hex()], dtype=h5py.string_dtype())
    return path


# --- HDF5 that reaches elsewhere, or grows -----------------------------------------------------------


def external_link(folder):
    return replace_in_hdf5(folder, "images", h5py.ExternalLink(str(other_hdf5(folder)), "/images"))


def external_link_to_roi(folder):
    return replace_in_hdf5(folder, "roi", h5py.ExternalLink(str(other_hdf5(folder)), "/missing"))


def soft_link(folder):
    return replace_in_hdf5(folder, "image_rows", h5py.SoftLink("/image_rows"))


def virtual_dataset(folder):
    layout = h5py.VirtualLayout((1, 6, 8), np.uint8)
    layout[0] = h5py.VirtualSource(str(other_hdf5(folder)), "images/6x8", (1, 6, 8))[0]
    path = write_hdf5(folder)
    with h5py.File(path, "r+") as file:
        del file["images/6x8"]
        file.create_virtual_dataset("images/6x8", layout)
    return path


def external_storage(folder):
    path = write_hdf5(folder)
    with h5py.File(path, "r+") as file:
        del file["images/6x8"]
        elsewhere = [(str(folder.parent / "secret"), 0, 48)]
        file.create_dataset("images/6x8", (1, 6, 8), np.uint8, external=elsewhere)
    return path


def huge_table(folder):
    path = write_hdf5(folder)
    with h5py.File(path, "r+") as file:
        del file["image_rows"]
        file.create_dataset("image_rows", (2**40,), np.int64, chunks=(2**16,), compression="gzip")
    return path


def bomb_of_a_table(folder):
    path = write_hdf5(folder)
    with h5py.File(path, "r+") as file:
        del file["points/coordinates"]
        shape, rows = (2**26, 2), 2**20
        table = file.create_dataset("points/coordinates", shape, float, chunks=(rows, 2), compression="gzip")
        content = zlib.compress(bytes(rows * 16), 9)
        for row in range(0, shape[0], rows):
            table.id.write_direct_chunk((row, 0), content)
    return path


def huge_chunk(folder):
    path = write_hdf5(folder)
    with h5py.File(path, "r+") as file:
        del file["description"]
        chunks = {"chunks": (2**28,), "maxshape": (None,), "compression": "gzip"}
        file.create_dataset("description", (1,), "S8", **chunks)
    return path


def huge_image(folder):
    path = write_hdf5(folder)
    with h5py.File(path, "r+") as file:
        file["image_shapes"][0] = (2**30, 2**30)
        file.create_dataset(f"images/{2**30}x{2**30}", (1, 2**30, 2**30), np.uint8, chunks=(1, 1, 8))
    return path


# --- Archives ----------------------------------------------------------------------------------------


def zip_traversal(folder):
    return write_zip(folder / "a.zip", {"../owned": b"x"})


def zip_absolute(folder):
    return write_zip(folder / "a.zip", {str(folder.parent / "owned"): b"x"})


def zip_link(folder):
    info = zipfile.ZipInfo("secret")
    info.external_attr = 0o120777 << 16
    return write_zip(folder / "a.zip", {info: str(folder.parent / "secret")})


def zip_bomb(folder):
    return write_zip(folder / "a.zip", {"a": bytes(2**26)})


def zip_bomb_that_lies(folder):
    content = write_zip(folder / "a.zip", {"a": bytes(2**26)}).read_bytes()
    return write(folder / "a.zip", content.replace(struct.pack("<I", 2**26), struct.pack("<I", 1000)))


def zip_of_overlapping_members(folder):
    path = write_zip(folder / "a.zip", {"a": bytes(2**19), "b": bytes(2**19), "c": b""})
    content = bytearray(path.read_bytes())
    central = [i for i in range(len(content)) if content[i : i + 4] == b"PK\x01\x02"]
    for entry in central:
        content[entry + 42 : entry + 46] = bytes(4)  # all where the first is
    return write(path, content)


def tar_member(folder, **fields):
    info = tarfile.TarInfo("a")
    for name, value in fields.items():
        setattr(info, name, value)
    with tarfile.open(folder / "a.tar", "w") as archive:
        archive.addfile(info)
    return folder / "a.tar"


def tar_traversal(folder):
    return tar_member(folder, name="../owned")


def tar_absolute(folder):
    return tar_member(folder, name="/tmp/owned")  # noqa: S108 - it is not written


def tar_symlink(folder):
    return tar_member(folder, type=tarfile.SYMTYPE, linkname=str(folder.parent / "secret"))


def tar_hard_link(folder):
    return tar_member(folder, type=tarfile.LNKTYPE, linkname="../secret")


def tar_device(folder):
    return tar_member(folder, type=tarfile.CHRTYPE, devmajor=1, devminor=5)


def tar_bomb(folder):
    return write(folder / "a.tar", gzip.compress(tarfile.TarInfo("a").tobuf() + bytes(2**29), 1))


def tar_of_endless_headers(folder):
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2
    block = header.tobuf(tarfile.GNU_FORMAT) + b"a".ljust(512, b"\0")
    return write(folder / "a.tar", gzip.compress(block * 5000 + bytes(1024)))


# --- Points ------------------------------------------------------------------------------------------


def laughs(folder):
    lols = [f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12)]
    page = f'<!DOCTYPE a [<!ENTITY l0 "lol">{"".join(lols)}]><CellCounter_Marker_File>&l11;</CellCounter_Marker_File>'
    return write(folder / "a.xml", page.encode())


def external_entity(folder):
    page = f'<!DOCTYPE a [<!ENTITY s SYSTEM "file://{folder.parent}/secret">]><CellCounter_Marker_File>&s;</CellCounter_Marker_File>'
    return write(folder / "a.xml", page.encode())


def deep_json(folder):
    return write(folder / "a.json", b'{"images": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def json_as_deep_as_it_is_read(folder):
    box = b"[" * 900 + b"]" * 900
    return write(folder / "a.json", b'{"images": [], "annotations": [{"image_id": ' + box + b"}]}")


def huge_number(folder):
    return write(folder / "a.json", b'{"images": [{"id": ' + b"9" * 100_000 + b'}], "annotations": []}')


def huge_coordinate(folder):
    images, boxes = [{"id": 1, "file_name": "a"}], [{"image_id": 1, "bbox": [10**400, 1, 1, 1]}]
    return write(folder / "a.json", json.dumps({"images": images, "annotations": boxes}).encode())


def formula(folder):
    return write(folder / "a.csv", b"x,y\n=cmd|' /C calc'!A0,2\n")


def nul_bytes(folder):
    return write(folder / "a.csv", b"x,y\n1,2\n\0\0,3\n")


def line_of_100_mb(folder):
    return write(folder / "a.csv", b"x,y\n" + b"1" * 10**8 + b",2\n")


def cell_that_backtracks(folder):
    return write(folder / "a.csv", b"x,y\n" + b"1" * 130_000 + b"x,2\n")


def imagej_traversal(folder):
    return write_zip(folder / "a.zip", {"../a.roi": b"Iout"})


def imagej_bomb(folder):
    return write_zip(folder / "a.zip", {"a.roi": bytes(2**28 + 1)})


def imagej_bomb_of_bzip2(folder):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.roi", b"x")
    content = buffer.getvalue().replace(bz2.compress(b"x"), bz2.compress(bytes(10**7)))
    return write(folder / "a.zip", content)


def mat_of_nested_cells(folder):
    def element(kind, content):
        return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)

    flags, dims = element(6, struct.pack("<II", 1, 0)), element(5, struct.pack("<ii", 1, 1))
    level = struct.pack("<II", 14, 2**16) + flags + dims + element(1, b"")
    first = struct.pack("<II", 14, 2**16) + flags + dims + element(1, b"a")
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    return write(folder / "a.mat", header + first + level * 100_000)


def mat_bomb(folder):
    from scipy.io import savemat

    savemat(folder / "a.mat", {"points": np.zeros((2**25 + 1, 1))}, do_compression=True)
    return folder / "a.mat"


# --- Pictures ----------------------------------------------------------------------------------------


def png_bomb(folder):
    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    size = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(10**6)))
    return write(folder / "a.png", b"\x89PNG\r\n\x1a\n" + size + pixels + chunk(b"IEND", b""))


def tiff_with(folder, **values):
    from tifffile import TiffFile, imwrite

    imwrite(folder / "a.tif", np.zeros((6, 8), np.uint8), photometric="minisblack", metadata=None)
    with TiffFile(folder / "a.tif", mode="r+") as tiff:
        for name, value in values.items():
            tiff.pages[0].tags[name].overwrite(value)
    return folder / "a.tif"


def tiff_bomb(folder):
    return tiff_with(folder, ImageWidth=2**20, ImageLength=2**20)


def tiff_of_many_channels(folder):
    return tiff_with(folder, ImageWidth=10**4, ImageLength=10**4, SamplesPerPixel=10**4)


# --- What is no file ---------------------------------------------------------------------------------


def pipe(suffix):
    def make(folder):
        os.mkfifo(folder / f"a{suffix}")
        return folder / f"a{suffix}"

    return make


def device(folder):
    (folder / "a.zip").symlink_to("/dev/zero")
    return folder / "a.zip"


def loop(suffix):
    def make(folder):
        (folder / f"a{suffix}").symlink_to(folder / f"a{suffix}")
        return folder / f"a{suffix}"

    return make


# --- Models and checkpoints --------------------------------------------------------------------------


def pickle_of_a_model(folder):
    return write(folder / "a.skcount", pickled(folder))


def joblib_of_a_model(folder):
    joblib.dump(Payload(folder), folder / "a.skcount", compress=3)
    return folder / "a.skcount"


def torch_file_of_a_model(folder):
    torch.save(Payload(folder), folder / "a.skcount")
    return folder / "a.skcount"


def skops_file_of_a_model(folder):
    schema = {
        "__class__": "system",
        "__module__": "os",
        "__loader__": "FunctionNode",
        "content": {},
        "protocol": 2,
    }
    return write_zip(folder / "a.skcount", {"schema.json": json.dumps(schema), "a.npy": pickled(folder)})


def header_of_a_terabyte(folder):
    return write(folder / "a.skcount", struct.pack("<Q", 2**40) + b'{"__metadata__":{}}')


def header_of_many_levels(folder):
    levels = b"[" * 10**6 + b"]" * 10**6
    return write(folder / "a.skcount", struct.pack("<Q", len(levels)) + levels)


def signed(folder, change):
    """A model whose content was changed by someone who knows how a digest is computed."""
    path, X = folder / "a.skcount", np.zeros((1, 8, 8), np.uint8)
    UNetRegressor(filters=1, growth=1, convolutions=1, max_epochs=1, random_state=0).fit(X, [[(1, 2)]]).save(
        path
    )
    tree = _file.read(path, _save.KIND)
    change(tree)
    _file.write(path, tree, _save.KIND)
    return path


def model_of_a_class_of_os(folder):
    return signed(folder, lambda tree: tree.update({"class": "os.system"}))


def model_that_names_a_function(folder):
    named = {"import": "os.system"}
    return signed(folder, lambda tree: tree["fitted"]["_network_params"].update(architecture=named))


def model_of_a_trillion_weights(folder):
    return signed(folder, lambda tree: tree["fitted"]["_network_params"].update(filters=10_000, growth=10))


def model_of_more_weights_than_there_are_numbers(folder):
    change = {"filters": 10_000, "growth": 10, "depth": 8}
    return signed(folder, lambda tree: tree["fitted"]["_network_params"].update(change))


def model_of_endless_layers(folder):
    return signed(folder, lambda tree: tree["fitted"]["_network_params"].update(convolutions=10**9))


def model_that_says_to_be_another(folder):
    return signed(folder, lambda tree: tree["weights"].update(mean=np.full((1, 1, 1, 1), 9, np.float32)))


def model_of_nothing(folder):
    return signed(folder, lambda tree: tree["weights"].update(mean=tree["weights"]["mean"] * np.nan))


def read_checkpoint(path):
    return Checkpoint(path, every=1).state


MALICIOUS = {
    "a pickle as CSV": (pickle_of_a_csv, read_points, "no text|cannot be read as a table|single column"),
    "a pickle as JSON": (pickle_of_json, read_points, "no valid JSON"),
    "a pickle as HDF5": (pickle_of_hdf5, read_hdf5, "Expected a whole file written by"),
    "an object array as MATLAB": (object_array, read_points, "cannot be read as a file of MATLAB"),
    "object arrays as selections": (object_arrays_in_a_zip, read_points, "cannot be read as a selection"),
    "a zip of a pickle as HDF5": (zip_of_a_pickle_called_h5, read_hdf5, "Expected a whole file written by"),
    "a pickle in MATLAB": (pickle_in_a_mat, read_points, "expected one with matrices of shape"),
    "a pickle in an attribute": (pickle_in_an_attribute, read_hdf5, "no skcount format mark"),
    "a pickle in an opaque dataset": (pickle_in_a_dataset, read_hdf5, "neither numbers nor text"),
    "a pickle in a dataset of objects": (pickles_as_objects, read_hdf5, "neither numbers nor text"),
    "an external link": (external_link, read_hdf5, "images.* is a link, which is not followed"),
    "an external link to nothing": (external_link_to_roi, read_hdf5, "roi is a link, which is not followed"),
    "a soft link to itself": (soft_link, read_hdf5, "image_rows is a link, which is not followed"),
    "a virtual dataset": (virtual_dataset, read_hdf5, "lies in other files, which are not read"),
    "external storage": (external_storage, read_hdf5, "lies in other files, which are not read"),
    "a huge table": (huge_table, read_hdf5, "declares 8796093022208 bytes, more than it can hold"),
    "a table that is a bomb": (
        bomb_of_a_table,
        read_hdf5,
        "declares 1073741824 bytes, more than it can hold",
    ),
    "a huge chunk": (huge_chunk, read_hdf5, "declares 2147483648 bytes, more than it can hold"),
    "a huge image": (huge_image, read_hdf5, "HDF5 stores at most"),
    "../ in a zip": (zip_traversal, read_archive, "would lie outside the archive's own folder"),
    "an absolute name in a zip": (zip_absolute, read_archive, "would lie outside the archive's own folder"),
    "a link in a zip": (zip_link, read_archive, "is a link"),
    "a zip bomb": (zip_bomb, read_archive, "goes beyond what these data hold"),
    "a zip bomb of a lying size": (zip_bomb_that_lies, read_archive, "cannot be read|of another size"),
    "overlapping members": (zip_of_overlapping_members, read_archive, "cannot be read"),
    "../ in a tar": (tar_traversal, read_archive, "would lie outside the archive's own folder"),
    "an absolute name in a tar": (tar_absolute, read_archive, "would lie outside the archive's own folder"),
    "a symbolic link in a tar": (tar_symlink, read_archive, "is a link"),
    "a hard link in a tar": (tar_hard_link, read_archive, "is a link"),
    "a device in a tar": (tar_device, read_archive, "is a device"),
    "a tar bomb": (tar_bomb, read_archive, "goes on beyond"),
    "a tar of endless headers": (tar_of_endless_headers, read_archive, "cannot be read as an archive"),
    "a billion laughs": (laughs, read_points, "declares a document type"),
    "an external entity": (external_entity, read_points, "declares a document type"),
    "JSON of 100,000 levels": (deep_json, read_points, "no valid JSON"),
    "JSON as deep as it is read": (
        json_as_deep_as_it_is_read,
        read_points,
        "entry without 'image_id'|no valid JSON",
    ),
    "a number of 100,000 digits": (huge_number, read_points, "no valid JSON"),
    "a number beyond floats": (huge_coordinate, read_points, "expected two numbers"),
    "a formula": (formula, read_points, "is no finite number"),
    "NUL in a table": (nul_bytes, read_points, "is no text"),
    "a line of 100 MB": (line_of_100_mb, read_points, "field larger than field limit"),
    "a number to backtrack on": (cell_that_backtracks, read_points, "is no finite number"),
    "../ among selections": (imagej_traversal, read_points, "would lie outside the archive's own folder"),
    "selections that are a bomb": (imagej_bomb, read_points, "goes beyond what these data hold"),
    "a bomb of bzip2": (imagej_bomb_of_bzip2, read_points, "neither stored nor deflated"),
    "cells in cells in MATLAB": (mat_of_nested_cells, read_points, "deeper than 50"),
    "cells in cells in an archive": (mat_of_nested_cells, read_matrices, "deeper than 50"),
    "a MATLAB bomb": (mat_bomb, read_points, "expands beyond"),
    "a PNG bomb": (png_bomb, read_image, "is larger than it may be"),
    "a TIFF bomb": (tiff_bomb, read_image, "declares 1048576 x 1048576 pixels"),
    "a TIFF of many channels": (tiff_of_many_channels, read_image, "of 10000 channels"),
    "a pipe as CSV": (pipe(".csv"), read_points, "There is no file"),
    "a pipe as a picture": (pipe(".png"), read_image, "There are no pictures"),
    "a pipe as HDF5": (pipe(".h5"), read_hdf5, "is a device or a pipe"),
    "a pipe as an archive": (pipe(".zip"), read_archive, "is a device or a pipe"),
    "a device as an archive": (device, read_archive, "is a device or a pipe"),
    "a loop as CSV": (loop(".csv"), read_points, "There is no file"),
    "a pickle as a model": (pickle_of_a_model, load, "no file that skcount wrote"),
    "a pickle as a checkpoint": (pickle_of_a_model, read_checkpoint, "looks like a pickle"),
    "joblib's pickle as a model": (joblib_of_a_model, load, "no file that skcount wrote"),
    "torch's pickle as a model": (torch_file_of_a_model, load, "looks like a pickle or a zip"),
    "skops as a model": (skops_file_of_a_model, load, "looks like a pickle or a zip"),
    "a model with a header of a terabyte": (header_of_a_terabyte, load, "no file that skcount wrote"),
    "a model with a header of a million levels": (header_of_many_levels, load, "no file that skcount wrote"),
    "a model of a class of os": (model_of_a_class_of_os, load, "no regressor that can be built"),
    "a model that names a function of os": (
        model_that_names_a_function,
        load,
        "load does not import by itself",
    ),
    "a model bomb of a trillion weights": (
        model_of_a_trillion_weights,
        load,
        "The weights .* have the shape",
    ),
    "a model bomb of more weights than numbers": (
        model_of_more_weights_than_there_are_numbers,
        load,
        "no regressor that can be built .*Storage size",
    ),
    "a model of endless layers": (model_of_endless_layers, load, "'convolutions' parameter"),
    "a model that says to be another": (model_that_says_to_be_another, load, "a test image gave"),
    "a model of NaN": (model_of_nothing, load, "a test image gave"),
    "a pipe as a model": (pipe(".skcount"), load, "is no regular file"),
    "a loop as a model": (loop(".skcount"), load, "There is no file|no regular file"),
    "a loop as HDF5": (loop(".h5"), read_hdf5, "Too many levels of symbolic links"),
}


def write(path, content):
    path.write_bytes(content)
    return path


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_hdf5(folder):
    save_hdf5(folder / "a.h5", np.zeros((1, 6, 8), np.uint8), [[(1, 2)]], groups=["a"])
    return folder / "a.h5"


def other_hdf5(folder):
    save_hdf5(folder.parent / "other.h5", np.zeros((1, 6, 8), np.uint8), [[(1, 2)]])
    return folder.parent / "other.h5"


def replace_in_hdf5(folder, name, link):
    path = write_hdf5(folder)
    with h5py.File(path, "r+") as file:
        if name in file:
            del file[name]
        file[name] = link
    return path


def tree(folder):
    """All files of a folder, with what they hold; links and pipes by name alone."""
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
sys.path.insert(0, sys.argv[1])
import test_malicious
from pathlib import Path
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    test_malicious.MALICIOUS[sys.argv[2]][1](Path(sys.argv[3]))
except (ValueError, OSError):
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
BOMBS = [
    name
    for name in MALICIOUS
    if "bomb" in name or "huge" in name or name.startswith(("a TIFF", "overlapping"))
]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is told in KiB")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_no_memory(tmp_path, name):
    path = MALICIOUS[name][0](tmp_path)
    command = [sys.executable, "-c", _READ, str(Path(__file__).parent), name, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - it is this file
    assert int(done.stdout) < MOST_MEMORY


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
