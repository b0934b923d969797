import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from skcount.io import read_points

roifile = pytest.importorskip("roifile", reason="roifile reads selections of ImageJ")

NAME = "cells.roi"


def selection(points, kind="POINT", counters=None, slices=None, position=0):
    """A selection as ImageJ encodes it: points as (x, y), whole or sub-pixel."""
    roi = roifile.ImagejRoi.frompoints(np.asarray(points), name="points")
    roi.roitype = roifile.ROI_TYPE[kind]
    roi.position = position
    if counters is not None or slices is not None:
        roi.counters = np.array(counters or [0] * len(points), dtype=np.uint8)
        roi.counter_positions = np.array(slices or [0] * len(points), dtype=np.uint32)
    return roi.tobytes()


SUB_PIXEL = arrays(
    np.float32, st.tuples(st.integers(1, 9), st.just(2)), elements=st.floats(0, 4000, width=32)
)
WHOLE = arrays(np.int64, st.tuples(st.integers(1, 9), st.just(2)), elements=st.integers(0, 30000))


@given(points=SUB_PIXEL | WHOLE)
def test_points_are_read_exactly(write, points):
    cells = read_points(write(selection(points)), unit="pixel", duplicates="keep")
    assert cells.names == ["cells"]
    assert_array_equal(cells.points[0], points[:, ::-1])


def test_a_zip_joins_its_selections(tmp_path, write_zip):
    members = {
        "0002-0010.roi": selection([[10, 2]]),
        "more.roi": selection([[4.5, 4.0], [1.0, 0.0]]),
        "__MACOSX/._more.roi": b"of a Mac",
        ".DS_Store": b"of a Mac",
    }
    cells = read_points(write_zip(tmp_path / "RoiSet.zip", members))
    assert cells.names == ["RoiSet"]
    assert_array_equal(cells.points[0], [[2, 10], [4, 4.5], [0, 1]])
    assert read_points(write_zip(tmp_path / "empty.zip", {})).points.counts.tolist() == [0]


def test_points_on_slices_of_a_stack_are_images(write):
    path = write(selection([[10, 2], [1, 1], [4, 5]], slices=[3, 1, 3]))
    cells = read_points(path)
    assert cells.names == ["1", "3"]
    assert_array_equal(cells.points[1], [[2, 10], [5, 4]])
    assert read_points(path, slices="merge").points.counts.tolist() == [3]


def test_selections_of_a_zip_have_their_slice(tmp_path, write_zip):
    members = {"a.roi": selection([[10, 2]], position=2), "b.roi": selection([[1, 1], [2, 2]], position=1)}
    cells = read_points(write_zip(tmp_path / "RoiSet.zip", members))
    assert (cells.names, cells.points.counts.tolist()) == (["1", "2"], [2, 1])


def test_counters_are_labels(write):
    path = write(selection([[10, 2], [1, 1], [4, 5]], counters=[0, 1, 1]))
    assert_array_equal(read_points(path, labels=1).points[0], [[1, 1], [5, 4]])
    assert read_points(path, labels=["0", 1]).points.counts.tolist() == [3]
    with pytest.raises(ValueError, match=r"`labels` .* '0', '1'.*cells.roi; got '7'"):
        read_points(path, labels=7)


@pytest.mark.parametrize("kind", ["POLYGON", "FREEHAND", "POLYLINE"])
def test_outlines_are_refused(tmp_path, write_zip, kind):
    members = {"point.roi": selection([[1, 1]]), "cell.roi": selection([[1, 1], [5, 1], [5, 5]], kind)}
    with pytest.raises(ValueError, match=rf"cell.roi is a selection of the kind {kind}; expected points"):
        read_points(write_zip(tmp_path / "RoiSet.zip", members))


@pytest.mark.parametrize("content", [b"", b"Iout", b"no selection" * 10, selection([[10.5, 2]])[:70]])
def test_what_is_no_whole_selection_is_refused(write, content):
    with pytest.raises(ValueError, match=r"cells.roi: .* cannot be read as a selection of ImageJ"):
        read_points(write(content))
