import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skcount import PointAnnotations
from skcount.io import read_points, save_points

FINITE = st.floats(-0.5, 1e300, allow_subnormal=True)
ANY = {"unit": "pixel", "duplicates": "keep"}  # places that no user would click
POINTS = arrays(np.float64, st.tuples(st.integers(0, 4), st.just(2)), elements=FINITE)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cells.csv"


# --- There and back -------------------------------------------------------------------------------


@given(points=POINTS, layout=st.sampled_from(["napari", "imagej"]))
def test_points_of_one_image_come_back_exactly(tmp_path_factory, points, layout):
    path = tmp_path_factory.mktemp("save") / "cells.csv"
    save_points(path, [points], format=layout)
    cells = read_points(path, **ANY)
    assert cells.points == PointAnnotations([points])
    assert cells.names == ["cells"]


@given(points=st.lists(POINTS, min_size=2, max_size=5), layout=st.sampled_from(["napari", "imagej"]))
def test_points_of_many_images_come_back_exactly_by_number(tmp_path_factory, points, layout):
    path = tmp_path_factory.mktemp("save") / "cells.csv"
    save_points(path, points, format=layout)
    first = 0 if layout == "napari" else 1
    names = range(first, first + len(points))
    cells = read_points(path, names=names, missing="empty", slices="split", **ANY)
    assert cells.points == PointAnnotations(points)


# What any tool can write: no colons, control characters or line breaks.
TEXT = st.characters(codec="utf-8", exclude_characters=":\0", exclude_categories=["Cc", "Cs", "Zl", "Zp"])
NAMES = st.text(TEXT, min_size=1).map(str.strip).filter(bool)


@given(named=st.dictionaries(NAMES, POINTS, min_size=1, max_size=4))
def test_points_of_many_images_come_back_exactly_by_name(tmp_path_factory, named):
    path = tmp_path_factory.mktemp("save") / "cells.csv"
    save_points(path, list(named.values()), list(named), format="imagej")
    cells = read_points(path, names=list(named), missing="empty", **ANY)
    assert cells.points == PointAnnotations(list(named.values()))


# --- The layouts of the tools ---------------------------------------------------------------------


def test_napari_and_imagej_find_their_columns(path):
    save_points(path, [[(2, 10), (4.5, 4)]])
    assert path.read_text() == "index,axis-0,axis-1\n0,2.0,10.0\n1,4.5,4.0\n"
    save_points(path, [[(2, 10)], [], [(4.5, 4)]])
    assert path.read_text() == "index,axis-0,axis-1,axis-2\n0,0,2.0,10.0\n1,2,4.5,4.0\n"
    save_points(path, [[(2, 10), (4.5, 4)]], format="imagej")
    assert path.read_text() == " ,X,Y\n1,10.0,2.0\n2,4.0,4.5\n"
    save_points(path, [[(2, 10)], [], [(4.5, 4)]], format="imagej")
    assert path.read_text() == " ,Slice,X,Y\n1,1,10.0,2.0\n2,3,4.0,4.5\n"
    save_points(path, [[(2, 10)], [(4.5, 4)]], ["a, b.tif", "c.tif"], format="imagej")
    assert path.read_text() == ' ,Label,X,Y\n1,"a, b.tif",10.0,2.0\n2,c.tif,4.0,4.5\n'


# --- Writing --------------------------------------------------------------------------------------


def test_the_file_is_whole_or_the_old_one_which_it_replaces(path, monkeypatch):
    save_points(path, [[(1, 2)]] * 9)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_points(path, [[(3, 4)]])
    monkeypatch.undo()
    assert read_points(path, slices="split").points == PointAnnotations([[(1, 2)]] * 9)
    save_points(path, [[(3, 4)]])
    assert read_points(path).points == PointAnnotations([[(3, 4)]])
    assert [file.name for file in path.parent.iterdir()] == ["cells.csv"]


@pytest.mark.parametrize(
    ("points", "arguments", "message"),
    [
        ([], {}, "`points` .* at least one image"),
        ([(1, 2)], {}, "need their sample axis"),
        ([[(1, np.nan)]], {}, "NaN or infinity"),
        ([[]], {"names": ["a"]}, "`names` .* napari"),
        ([[]], {"format": "excel"}, "'format' parameter .* Got 'excel'"),
        ([[], []], {"format": "imagej", "names": ["a"]}, "`names` must be 2 different names"),
        ([[], []], {"format": "imagej", "names": ["a", "a"]}, "`names` must be 2 different names"),
        ([[]], {"format": "imagej", "names": [""]}, "`names` .* got ''"),
        ([[]], {"format": "imagej", "names": ["a:b"]}, "`names` .* colons.* got 'a:b'"),
        ([[]], {"format": "imagej", "names": ["a\0"]}, "`names` .* got 'a"),
        ([[]], {"format": "imagej", "names": [" a"]}, "`names` .* blanks.* got ' a'"),
        ([[]], {"format": "imagej", "names": ["a\nb"]}, "`names` .* line breaks"),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is_written(path, points, arguments, message):
    with pytest.raises(ValueError, match=message):
        save_points(path, points, **arguments)
    assert list(path.parent.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*none to write cells.csv in"):
        save_points(tmp_path / "none" / "cells.csv", [[]])
