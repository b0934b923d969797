import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from skcount.io import read_points

roifile = pytest.importorskip("roifile", reason="roifile reads selections of ImageJ")


def selection(points, kind="POINT", counters=None, slices=None, position=0):
    """A selection as ImageJ encodes it: points as (x, y), whole or sub-pixel."""
    roi = roifile.ImagejRoi.frompoints(np.asarray(points), name="points")
    roi.roitype = roifile.ROI_TYPE[kind]
    roi.position = position
    if counters is not None or slices is not None:
        roi.counters = (
            np.zeros(len(points), dtype=np.uint8) if counters is None else np.array(counters, dtype=np.uint8)
        )
        roi.counter_positions = np.array(slices if slices is not None else [0] * len(points), dtype=np.uint32)
    return roi


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content.tobytes() if isinstance(content, roifile.ImagejRoi) else content)
    return path


@pytest.mark.parametrize("points", [[[10, 2], [4, 5]], [[10.25, 2.0], [4.0, 5.5]]])
def test_a_multi_point_selection_is_read_from_its_file(tmp_path, points):
    path = tmp_path / "cells.roi"
    selection(points).tofile(path)
    cells = read_points(path)
    assert cells.names == ["cells"]
    assert_array_equal(cells.points[0], np.array(points)[:, ::-1])


@given(
    points=arrays(np.float32, st.tuples(st.integers(1, 9), st.just(2)), elements=st.floats(0, 4000, width=32))
)
def test_sub_pixel_points_are_read_exactly(tmp_path_factory, points):
    path = tmp_path_factory.mktemp("imagej") / "cells.roi"
    selection(points).tofile(path)
    assert_array_equal(read_points(path).points[0], points[:, ::-1])


@given(points=arrays(np.int64, st.tuples(st.integers(1, 9), st.just(2)), elements=st.integers(0, 30000)))
def test_whole_points_are_read_exactly(tmp_path_factory, points):
    path = tmp_path_factory.mktemp("imagej") / "cells.roi"
    selection(points).tofile(path)
    assert_array_equal(read_points(path).points[0], points[:, ::-1])


def test_a_zip_joins_its_selections(tmp_path):
    members = {
        "0002-0010.roi": selection([[10, 2]]),
        "more.roi": selection([[4.5, 4.0], [1.0, 0.0]]),
        "__MACOSX/._more.roi": b"of a Mac",
        ".DS_Store": b"of a Mac",
    }
    cells = read_points(write_zip(tmp_path / "RoiSet.zip", members))
    assert cells.names == ["RoiSet"]
    assert_array_equal(cells.points[0], [[2, 10], [4, 4.5], [0, 1]])


def test_an_empty_zip_is_an_image_without_points(tmp_path):
    assert read_points(write_zip(tmp_path / "RoiSet.zip", {})).points.counts.tolist() == [0]


def test_points_on_slices_of_a_stack_are_images(tmp_path):
    path = tmp_path / "cells.roi"
    selection([[10, 2], [1, 1], [4, 5]], slices=[3, 1, 3]).tofile(path)
    cells = read_points(path)
    assert cells.names == ["1", "3"]
    assert_array_equal(cells.points[1], [[2, 10], [5, 4]])
    assert read_points(path, slices="merge").points.counts.tolist() == [3]


def test_selections_of_a_zip_have_their_slice(tmp_path):
    members = {"a.roi": selection([[10, 2]], position=2), "b.roi": selection([[1, 1], [2, 2]], position=1)}
    cells = read_points(write_zip(tmp_path / "RoiSet.zip", members))
    assert (cells.names, cells.points.counts.tolist()) == (["1", "2"], [2, 1])


def test_counters_are_labels(tmp_path):
    path = tmp_path / "cells.roi"
    selection([[10, 2], [1, 1], [4, 5]], counters=[0, 1, 1]).tofile(path)
    assert_array_equal(read_points(path, labels=1).points[0], [[1, 1], [5, 4]])
    assert read_points(path, labels=["0", 1]).points.counts.tolist() == [3]
    with pytest.raises(
        ValueError, match=r"No point of .*cells.roi is labelled '7'; the labels there are '0', '1'"
    ):
        read_points(path, labels=7)


@pytest.mark.parametrize("kind", ["POLYGON", "FREEHAND", "POLYLINE"])
def test_outlines_are_refused(tmp_path, kind):
    members = {"point.roi": selection([[1, 1]]), "cell.roi": selection([[1, 1], [5, 1], [5, 5]], kind)}
    with pytest.raises(ValueError, match=rf"cell.roi, is a selection of the kind {kind}; expected points"):
        read_points(write_zip(tmp_path / "RoiSet.zip", members))


@pytest.mark.parametrize("content", [b"", b"Iout", b"no selection" * 10])
def test_what_is_no_selection_is_refused(tmp_path, content):
    path = tmp_path / "cells.roi"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cells.roi cannot be read as a selection of ImageJ"):
        read_points(path)


def test_a_truncated_selection_is_refused(tmp_path):
    path = tmp_path / "cells.roi"
    content = selection([[10.5, 2], [4, 5]]).tobytes()
    path.write_bytes(content[:70])
    with pytest.raises(ValueError, match="cannot be read as a selection"):
        read_points(path)


def test_a_damaged_zip_is_refused(tmp_path):
    path = write_zip(tmp_path / "RoiSet.zip", {"a.roi": selection([[10, 2]])})
    content = bytearray(path.read_bytes())
    content[40:48] = bytes(8)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as a zip of selections"):
        read_points(path)


def test_a_zip_bomb_is_refused(tmp_path):
    path = write_zip(tmp_path / "RoiSet.zip", {"a.roi": bytes(2**28 + 1)})
    assert path.stat().st_size < 2**20
    with pytest.raises(ValueError, match=r"its member 'a\.roi' goes beyond what these data hold"):
        read_points(path)


def points_or_refusal(path):
    try:
        return read_points(path, outside="ignore").points
    except ValueError as error:
        return error


@given(flips=st.lists(st.tuples(st.integers(0, 127), st.integers(1, 255)), min_size=1, max_size=3))
def test_a_damaged_selection_is_read_or_refused(tmp_path_factory, flips):
    path = tmp_path_factory.mktemp("imagej") / "cells.roi"
    content = bytearray(selection([[10.5, 2], [4, 5]], counters=[0, 1]).tobytes())
    for position, flip in flips:
        content[position] ^= flip
    path.write_bytes(content)
    outcome = points_or_refusal(path)
    assert (
        "cells.roi" in str(outcome)
        if isinstance(outcome, ValueError)
        else np.isfinite(outcome.coordinates).all()
    )
