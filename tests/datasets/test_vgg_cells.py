import builtins
import os
import shutil
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skcount.datasets import _vgg_cells
from skcount.datasets._hdf5 import save_hdf5
from skcount.datasets._vgg_cells import fetch_vgg_cells, get_data_home

Image = pytest.importorskip("PIL.Image", reason="pillow reads the archive")

DATA = os.environ.get("SKCOUNT_DATA")
needs_data = pytest.mark.skipif(
    not DATA or not (Path(DATA) / "vgg_cells.zip").is_file(),
    reason="SKCOUNT_DATA is not set to a folder that holds vgg_cells.zip",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A cache folder with the data in it, filled once."""
    home = tmp_path_factory.mktemp("home")
    fetch_vgg_cells(data_home=home)
    return home


@pytest.fixture
def no_archive(monkeypatch):
    monkeypatch.delenv("SKCOUNT_DATA", raising=False)


def png(pixels):
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()


def write_archive(path, changes=None, folder=""):
    """A small archive of the layout of the published one; `changes` replaces members, None removes one."""
    cell = png(np.zeros((256, 256, 3), dtype=np.uint8))
    members = {f"{n:03d}{kind}.png": cell for n in range(1, 201) for kind in ("cell", "dots")}
    members |= changes or {}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(folder + name, content)
    return path


# --- The data as published -----------------------------------------------------------------------


@needs_data
def test_the_data_are_as_published(home):
    cells = fetch_vgg_cells(data_home=home)
    with cells.images as images:
        assert images.shape == (200, 256, 256, 3)
        assert images.dtype == np.uint8
    counts = cells.points.counts
    assert counts.sum() == 35_192
    assert (counts.min(), counts.max()) == (74, 317)
    assert (round(counts.mean(), 2), round(counts.std(), 1)) == (175.96, 61.2)
    assert cells.points.inside((256, 256)) == cells.points
    assert (cells.groups, cells.roi, cells.perspective) == (None, None, None)


@needs_data
@pytest.mark.parametrize("number", [1, 96, 200])
def test_images_and_points_are_those_of_the_archive_in_its_order(home, number):
    with zipfile.ZipFile(Path(DATA) / "vgg_cells.zip") as archive:
        pixels, dots = (
            np.asarray(Image.open(BytesIO(archive.read(f"{number:03d}{kind}.png"))))
            for kind in ("cell", "dots")
        )
    cells = fetch_vgg_cells(data_home=home)
    with cells.images as images:
        assert_array_equal(images[number - 1], pixels)
    rows, cols = cells.points[number - 1].astype(int).T
    mask = np.zeros((256, 256), dtype=bool)
    mask[rows, cols] = True
    assert_array_equal(mask, dots[:, :, 0] > 0)


@needs_data
def test_the_cache_is_one_file_made_once(home, monkeypatch, no_archive):
    assert [file.name for file in home.iterdir()] == ["vgg_cells.h5"]
    monkeypatch.setattr(_vgg_cells, "_convert", lambda *_: pytest.fail("the data were made again"))
    monkeypatch.setenv("SKCOUNT_CACHE", str(home))
    images, points = fetch_vgg_cells(return_X_y=True)
    assert (len(images), len(points)) == (200, 200)


@needs_data
def test_the_description_tells_origin_rule_and_protocols(home):
    text = fetch_vgg_cells(data_home=home).DESCR
    for word in ["Lempitsky", "Lehmussola", "35,192", "176 +- 61", "red is above 0", '"LZ"', '"random"']:
        assert word in text


@needs_data
def test_a_damaged_cache_is_made_again(home, tmp_path, monkeypatch):
    whole, broken = home / "vgg_cells.h5", tmp_path / "vgg_cells.h5"
    broken.write_bytes(whole.read_bytes()[:10_000])
    archive = tmp_path / "renamed.zip"
    archive.touch()
    monkeypatch.setattr(_vgg_cells, "_convert", lambda source, target: shutil.copy(whole, target))
    with fetch_vgg_cells(data_home=tmp_path, archive=archive).images as images:
        assert images[199].shape == (256, 256, 3)


# --- Where things are ----------------------------------------------------------------------------


def test_a_missing_archive_says_where_it_was_looked_for_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SKCOUNT_DATA", str(tmp_path / "data"))
    with pytest.raises(
        FileNotFoundError, match=r"(?s)Visual Geometry Group.*fetch_vgg_cells\(archive="
    ) as info:
        fetch_vgg_cells(data_home=tmp_path)
    for place in (tmp_path / "vgg_cells.zip", tmp_path / "cells.zip", tmp_path / "data" / "cells.zip"):
        assert str(place) in str(info.value)


def test_an_archive_that_is_named_is_the_only_one_looked_for(tmp_path):
    write_archive(tmp_path / "cells.zip")
    with pytest.raises(FileNotFoundError, match=r"looked for .*other\.zip\. Get"):
        fetch_vgg_cells(data_home=tmp_path, archive=tmp_path / "other.zip")


@pytest.mark.parametrize("name", ["cells.zip", "vgg_cells.zip"])
def test_the_archive_is_found_in_data_home(tmp_path, no_archive, name):
    write_archive(tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name} holds images of shape .* and 0 points"):
        fetch_vgg_cells(data_home=tmp_path)


def test_another_file_in_the_cache_is_not_taken_for_the_data(tmp_path, no_archive):
    save_hdf5(tmp_path / "vgg_cells.h5", np.zeros((2, 4, 4)), [[], []])
    with pytest.raises(FileNotFoundError, match="archive of the VGG cells was not found"):
        fetch_vgg_cells(data_home=tmp_path)


def test_the_cache_folder(tmp_path, monkeypatch):
    assert get_data_home(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()
    monkeypatch.setenv("SKCOUNT_CACHE", str(tmp_path / "c"))
    assert get_data_home() == tmp_path / "c"
    monkeypatch.delenv("SKCOUNT_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert get_data_home() == tmp_path / "skcount_data"


# --- Archives that are not the data --------------------------------------------------------------

DOTS = np.zeros((256, 256, 3), dtype=np.uint8)
DOTS[3, 4:6, 0] = 255, 1  # two touching cells
DOTS[9, 9, 1:] = 255  # no red, no cell


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"007cell.png": None}, "holds 199 images NNNcell.png"),
        ({"201dots.png": b""}, "holds 201 images NNNdots.png"),
        ({"007dots.png": png(DOTS)}, "and 2 points"),
        ({"007dots.png": png(DOTS[:9])}, r"007dots.png of shape \(9, 256, 3\)"),
        ({"007dots.png": b"no image"}, "007dots.png that cannot be read"),
        ({"007dots.png": png(DOTS)[:200]}, "007dots.png that cannot be read"),
    ],
)
def test_an_archive_with_another_content_is_refused(tmp_path, changes, message):
    archive = write_archive(tmp_path / "cells.zip", changes, folder="cells/")
    with pytest.raises(ValueError, match=rf"cells.zip .*{message}.*; expected the VGG cells as published"):
        fetch_vgg_cells(data_home=tmp_path / "home", archive=archive)
    assert list((tmp_path / "home").iterdir()) == []


def test_a_damaged_archive_is_refused(tmp_path):
    archive = write_archive(tmp_path / "cells.zip")
    content = bytearray(archive.read_bytes())
    content[content.index(b"001dots.png") + 60] ^= 1
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=r"001dots.png that cannot be read \(Bad CRC-32"):
        fetch_vgg_cells(data_home=tmp_path)
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cells.zip is no zip file"):
        fetch_vgg_cells(data_home=tmp_path)


def test_without_pillow_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    def no_pillow(name, *args, **kwargs):
        if name == "PIL":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    real = builtins.__import__
    write_archive(tmp_path / "cells.zip")
    monkeypatch.setattr(builtins, "__import__", no_pillow)
    with pytest.raises(ImportError, match=r"pip install skcount\[data\]"):
        fetch_vgg_cells(data_home=tmp_path)
