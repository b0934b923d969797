"""Every reader of files that come from elsewhere, and the law that each keeps whatever it is given.

A reader returns what is well formed, or refuses the file by a ValueError or an OSError of ours, which names it: never by
another error, a warning, a crash, a hang, or memory beyond what such a file may hold. It does not hold the file open
while somebody looks at the error.

A new reader is a row of `READERS`: a name, a function of the bytes of a file, a function that makes its seeds, and
words that the fuzzer may put in.
"""

import os
import tempfile
import warnings
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import PIL.Image
import seeds

from skcount import PointAnnotations, _plain_file, load
from skcount.datasets._files import Files
from skcount.datasets._mall import MALL
from skcount.io import load_folder, load_hdf5, load_mat, open_archive, read_points
from skcount.training import open_checkpoint

__all__ = ["READERS", "Reader", "UnlawfulError", "check_law"]

NAME = "given"  # of the file, which every refusal must tell
MAX_BYTES = 2**16  # that archives and matrices may hold
# Larger pictures are refused at twice this, and take seconds for their size alone below the usual limit.
MAX_PIXELS = 10**6


class Reader(NamedTuple):
    """A reader: its name, what reads and checks bytes, valid files, words in them, and modules to look at."""

    name: str
    read: Callable
    make_seeds: Callable
    words: Sequence = ()
    parsers: Sequence = ()


class UnlawfulError(AssertionError):
    """A reader did what it must not."""


def check_law(reader, content):
    """Read a file, whatever it holds; return the message with which it was refused, or None if it was read."""
    refusal = None
    limited = patch.object(PIL.Image, "MAX_IMAGE_PIXELS", MAX_PIXELS)
    with limited, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            reader.read(content)
        except (ValueError, OSError) as error:
            if not _is_ours(error):
                raise UnlawfulError(f"{reader.name} does not say which file it refuses: {error!r}") from error
            if _is_held_open():  # while the error's traceback keeps the reader's variables
                raise UnlawfulError(f"{reader.name} holds a file that it refuses: {error!r}") from error
            refusal = str(error)
        except UnlawfulError:
            raise
        except Exception as error:
            raise UnlawfulError(f"{reader.name} refuses a file by {error!r}") from error
    if caught:
        raise UnlawfulError(f"{reader.name} warns: {caught[0].category.__name__}: {caught[0].message}")
    return refusal


def _is_ours(error):
    """Whether a refusal says which file it is of, and is not Python's own."""
    return NAME in str(error) and not isinstance(error, UnicodeError)


def _is_held_open():
    """Whether this process has the file open, as far as the system tells."""
    return any(f"/{NAME}." in os.path.realpath(held) for held in Path("/proc/self/fd").glob("*"))


# --- What is read -----------------------------------------------------------------------------------------


class _Folder:
    """A folder of this process, in memory where the system has such; a file in it is written again and again."""

    def __init__(self):
        self._process = None

    def write(self, suffix, content):
        """Write the file and return its path."""
        if self._process != os.getpid():
            memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - for speed alone
            self._folder = tempfile.TemporaryDirectory(dir=memory)
            self._finalize = weakref.finalize(self, self._folder.cleanup)
            self._process = os.getpid()
        path = Path(self._folder.name) / f"{NAME}{suffix}"
        path.write_bytes(content)
        return path


_folder = _Folder()


def _read_hdf5(content):
    data = load_hdf5(_folder.write(".h5", content))
    with data.images as images:
        _check_points(data.points, len(images))
        assert data.groups is None or len(data.groups) == len(images)
        assert isinstance(data.DESCR, str)
        _check_images(images)
        for maps in (data.roi, data.perspective):
            if isinstance(maps, np.ndarray):
                assert maps.ndim == 2
            elif maps is not None:
                _check_images(maps)


def _points_reader(suffix, *options, format=None):  # noqa: A002 - as in read_points
    """Return a reader of points, which reads with each set of options."""

    free = {"duplicates": "keep"} if format in {"dots", "mask"} else {"duplicates": "keep", "unit": "pixel"}

    def read(content):
        path = _folder.write(suffix, content)
        refusals = []
        for chosen in [free | chosen for chosen in options or ({},)]:
            try:
                data = read_points(path, format, outside="ignore", **chosen)
            except (ValueError, OSError) as error:
                if not _is_ours(error):
                    raise
                refusals.append(error)
                continue
            _check_points(data.points, len(data.names))
            assert all(type(name) is str for name in data.names)
            assert len(data.image_shapes) == len(data.names)
            try:
                read_points(path, format, **chosen)
            except ValueError as error:
                if "outside" not in str(error):
                    raise UnlawfulError(f"what was read is refused: {error!r}") from error
        if len(refusals) == len(options or ({},)):
            raise refusals[0]

    return read


def _fractions_reader(suffix):
    def read(content):
        path = _folder.write(suffix, content)
        options = {"image_shape": seeds.GREY.shape, "duplicates": "keep", "labels": "*", "ignore": ()}
        _check_points(read_points(path, "yolo", outside="ignore", **options).points, 1)

    return read


def _picture_reader(suffix):
    def read(content):
        images, _ = load_folder(_folder.write(suffix, content), return_X_y=True)
        _check_images(images)

    return read


def _open_archive(suffix):
    def read(content):
        path = _folder.write(suffix, content)
        with open_archive(path, MAX_BYTES, MAX_BYTES) as archive:
            assert len(set(archive.names)) == len(archive.names)
            contents = [archive.read(name) for name in archive.names]
        assert sum(map(len, contents)) <= MAX_BYTES

    return read


class _Given:
    """An archive of one member."""

    def __init__(self, name, content):
        self.path, self.names, self._content = Path(NAME), [name], content

    def read(self, name):
        return self._content


_LIMITS = {"max_bytes": MAX_BYTES, "max_member_bytes": MAX_BYTES}
_SHAPE = seeds.GREY.shape
_BOOK = replace(
    MALL, n_images=1, image_shape=_SHAPE, n_points=1, kinds={"any": r"1\.(png|jpg|mat)"}, **_LIMITS
)


def _fetched_picture(suffix):
    def read(content):
        files = Files(_BOOK, [_Given(f"1{suffix}", content)])
        for mode, shape in (("L", seeds.GREY.shape), ("RGB", seeds.COLOUR.shape)):
            pixels = files.read_image(f"1{suffix}", mode)
            assert (pixels.shape, pixels.dtype) == (shape, np.uint8)

    return read


def _fetched_mat(content):
    with Files(_BOOK, [_Given("1.mat", content)]).reading_mat("1.mat") as variables:
        assert isinstance(variables, dict)


def _load_mat(content):
    try:
        variables = load_mat(content, MAX_BYTES)
    except ValueError as error:
        raise ValueError(f"{NAME}: {error}") from error  # its callers name the file
    assert all(isinstance(name, str) for name in variables)


def _load_model(content):
    assert load(_folder.write(".skcount", content)).module_.mean.ndim == 4


def _read_checkpoint(content):
    with open_checkpoint(_folder.write(".checkpoint", content), 1) as kept:
        assert isinstance(kept.state, dict)
        assert isinstance(kept.seed, int)


def _signed(read):
    """Return a reader that gets the right digest, whatever the rest is: what is behind it is found only so."""

    def read_signed(content):
        found = _plain_file._DIGEST.search(content)
        if found:
            zeroed = content[: found.start(1)] + b"0" * 64 + content[found.end(1) :]
            digest = sha256(zeroed).hexdigest().encode()
            content = content[: found.start(1)] + digest + content[found.end(1) :]
        read(content)

    return read_signed


def _check_points(points, n_images):
    assert isinstance(points, PointAnnotations)
    assert len(points) == n_images
    assert points.coordinates.shape == (points.counts.sum(), 2)
    assert points.coordinates.dtype == np.float64
    assert np.isfinite(points.coordinates).all()


def _check_images(images, most=8):
    for number in range(min(len(images), most)):
        pixels = images[number]
        assert pixels.dtype == images.dtype
        assert pixels.shape == tuple(images.shapes[number].tolist())
        assert pixels.ndim in {2, 3}
        assert pixels.size > 0


_STACKS = ({}, {"slices": "split"}, {"slices": "merge", "labels": "*"})
_TOUCHING = ({"threshold": 1}, {"touching": "join"}, {"touching": "separate"})
_PILLOW = [f"PIL.{name}ImagePlugin" for name in ("Bmp", "Jpeg", "Mpo", "Png")]
_XML = (b"<Marker_Type>", b"<MarkerX>", b"encoding=", b"<!DOCTYPE", b"<!ENTITY", b"&lt;", b"1e400", b"NaN")
_JSON = rb'null true 1e400 NaN [[[[ {" "\ud800" -1 "id" "bbox" "points"'.split()
_CSV = b'axis-0 axis-1 axis-2 slice frame image Label 1e308 nan sep= \x00 "'.split()

_PNG = (b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"acTL", b"iCCP", b"zTXt")
_JPEG = (b"Exif\0\0", b"\xff\xe1", b"MPF\0", b"Adobe", b"ICC_PROFILE")
_TIFF = (b"ImageJ=", b"OME>", b'{"shape": [', b"II*\0", b"MM\0*")
_ZIP = (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"../")
_TAR = (b"ustar\0", b"ustar  ", b"GNU.sparse.map=", b"././@LongLink")
_MODEL = rb"{\"!array\": \"!dict\": \"import\": __metadata__ data_offsets F64 null 1e400".split()
_MODELS = ["skcount._plain_file", "skcount.regressors._save", "skcount.training._checkpoint"]
_LABELS = ({}, {"labels": "cell"}, {"labels": "*"})
_TAGS = rb"<image> <points <box <object> <bndbox> <xmin> label= points= name= encoding= <!DOCTYPE <!ENTITY 1e400".split()
_TASKS = rb'"annotations" "result" "value" "x" "regions" "shape_attributes" "geometry" "coordinates" null 1e400 []'.split()

READERS = {
    reader.name: reader
    for reader in (
        Reader("hdf5", _read_hdf5, seeds.hdf5),
        Reader(
            "csv", _points_reader(".csv", *_STACKS, {"columns": (0, 1)}, {"slice_column": 2}), seeds.csv, _CSV
        ),
        Reader("napari", _points_reader(".csv", *_STACKS, format="napari"), seeds.napari, _CSV),
        Reader("imagej", _points_reader(".roi", *_STACKS), seeds.imagej, (), ["roifile"]),
        Reader(
            "imagej_zip", _points_reader(".zip", *_STACKS), seeds.imagej_zip, _ZIP, ["roifile", "zipfile"]
        ),
        Reader("cell_counter", _points_reader(".xml", *_STACKS), seeds.cell_counter, _XML, ["defusedxml"]),
        Reader("coco", _points_reader(".json", *_LABELS, format="coco"), seeds.coco, _JSON, ["json"]),
        Reader(
            "labelme", _points_reader(".json", *_LABELS, format="labelme"), seeds.labelme, _JSON, ["json"]
        ),
        *(
            Reader(name, _points_reader(suffix, *_LABELS, format=name), partial(seeds.of_tool, name), words)
            for name, suffix, words in (
                *((name, ".xml", _TAGS) for name in ("cvat", "voc")),
                *((name, ".json", _TASKS) for name in ("label_studio", "via", "geojson", "supervisely")),
                *((name, ".csv", _TASKS) for name in ("via_csv", "zooniverse")),
            )
        ),
        Reader("nwpu", _points_reader(".json", format="nwpu"), partial(seeds.of_tool, "nwpu"), _TASKS),
        Reader("jhu", _points_reader(".txt", format="jhu"), partial(seeds.of_tool, "jhu"), _CSV),
        Reader("yolo", _fractions_reader(".txt"), partial(seeds.of_tool, "yolo"), _CSV),
        Reader(
            "overlay",
            _points_reader(".tif", *_STACKS, format="imagej"),
            seeds.overlay,
            _TIFF,
            ["tifffile", "roifile"],
        ),
        Reader("mat", _points_reader(".mat"), seeds.mat),
        Reader("dots", _points_reader(".png", *_TOUCHING, format="dots"), seeds.dots, _PNG, _PILLOW),
        Reader(
            "mask",
            _points_reader(".png", {"labels": "*"}, {"channel": 0}, format="mask"),
            seeds.mask,
            _PNG,
            _PILLOW,
        ),
        Reader("png", _picture_reader(".png"), seeds.png, _PNG, _PILLOW),
        Reader("jpeg", _picture_reader(".jpg"), seeds.jpeg, _JPEG, _PILLOW),
        Reader("bmp", _picture_reader(".bmp"), seeds.bmp, (), _PILLOW),
        Reader("tiff", _picture_reader(".tif"), seeds.tiff, _TIFF, ["tifffile"]),
        Reader("zip", _open_archive(".zip"), seeds.zips, _ZIP, ["zipfile"]),
        Reader("tar", _open_archive(".tar"), seeds.tars, _TAR, ["tarfile"]),
        Reader("load_mat", _load_mat, seeds.mat_without_version_4),
        Reader("fetched_mat", _fetched_mat, seeds.mat_without_version_4),
        Reader("fetched_png", _fetched_picture(".png"), seeds.png, _PNG, _PILLOW),
        Reader("model", _load_model, seeds.models, _MODEL, _MODELS),
        Reader("model_signed", _signed(_load_model), seeds.models, _MODEL, _MODELS),
        Reader("checkpoint", _read_checkpoint, seeds.checkpoints, _MODEL, _MODELS),
        Reader("checkpoint_signed", _signed(_read_checkpoint), seeds.checkpoints, _MODEL, _MODELS),
        Reader("fetched_jpeg", _fetched_picture(".jpg"), seeds.jpeg, _JPEG, _PILLOW),
    )
}
