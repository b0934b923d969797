import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skcount.io import read_points

pytest.importorskip("defusedxml", reason="defusedxml reads Cell Counter files")


def cell_counter(types, filename="cells.tif", named=True):
    """What the plugin writes: for each type its name and its markers (x, y, slice)."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<CellCounter_Marker_File>",
        " <Image_Properties>",
        f"     <Image_Filename>{filename}</Image_Filename>",
        "     <X_Calibration>0.5</X_Calibration>",
        " </Image_Properties>",
        " <Marker_Data>",
        "     <Current_Type>0</Current_Type>",
    ]
    for number, (name, markers) in enumerate(types.items(), start=1):
        lines += ["     <Marker_Type>", f"         <Type>{number}</Type>"]
        lines += [f"         <Name>{name}</Name>"] * named
        for marker in markers:
            lines += ["         <Marker>"]
            lines += [
                f"             <Marker{axis}>{value}</Marker{axis}>"
                for axis, value in zip("XYZ", marker, strict=True)
            ]
            lines += ["         </Marker>"]
        lines += ["     </Marker_Type>"]
    return "\r\n".join([*lines, " </Marker_Data>", "</CellCounter_Marker_File>", ""])


TYPES = {"Type 1": [(10, 2, 1), (4, 5, 1)], "dead": [(7, 7, 1)], "Type 3": []}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "CellCounter_cells.xml"
    path.write_text(cell_counter(TYPES), newline="")
    return path


def test_markers_of_all_types_are_points(path):
    cells = read_points(path)
    assert cells.names == ["cells.tif"]
    assert_array_equal(cells.points[0], [[2, 10], [5, 4], [7, 7]])


def test_types_are_labels_by_their_names(path):
    assert_array_equal(read_points(path, labels="dead").points[0], [[7, 7]])
    assert read_points(path, labels=["Type 3"]).points.counts.tolist() == [0]
    with pytest.raises(ValueError, match="labelled 'alive'; the labels there are 'Type 1', 'Type 3', 'dead'"):
        read_points(path, labels="alive")


def test_older_files_have_types_without_names(tmp_path):
    path = tmp_path / "cells.xml"
    path.write_text(cell_counter(TYPES, "Counter Window - cells.tif", named=False))
    cells = read_points(path, labels="Type 2")
    assert cells.names == ["cells.tif"]
    assert_array_equal(cells.points[0], [[7, 7]])


def test_slices_are_images(tmp_path):
    path = tmp_path / "cells.xml"
    path.write_text(cell_counter({"Type 1": [(10, 2, 3), (4, 5, 1)], "Type 2": [(7, 7, 3)]}))
    cells = read_points(path, labels=["Type 1", "Type 2"])
    assert cells.names == ["1", "3"]
    assert_array_equal(cells.points[1], [[2, 10], [7, 7]])
    assert_array_equal(read_points(path, slices="merge").points[0], [[2, 10], [5, 4], [7, 7]])


@given(markers=st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 9999)), max_size=5))
def test_every_marker_is_read(tmp_path_factory, markers):
    path = tmp_path_factory.mktemp("xml") / "cells.xml"
    path.write_text(cell_counter({"Type 1": [(*marker, 1) for marker in markers]}))
    assert_array_equal(read_points(path).points[0], np.array(markers).reshape(-1, 2)[:, ::-1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no valid XML"),
        ("<CellCounter_Marker_File>", "is no valid XML"),
        ("<html></html>", "XML with the root 'html'; expected 'CellCounter_Marker_File'"),
        (
            "<CellCounter_Marker_File><Marker_Type><Marker><MarkerX>1</MarkerX></Marker></Marker_Type></CellCounter_Marker_File>",
            "a marker whose MarkerY is ''; expected a number",
        ),
        (cell_counter({"Type 1": [("NaN", 2, 1)]}), "MarkerX is 'NaN'; expected a number"),
        (cell_counter({"Type 1": [(1, 2, "NaN")]}), "MarkerZ is 'NaN'"),
    ],
)
def test_other_xml_is_refused(tmp_path, text, message):
    path = tmp_path / "cells.xml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_points(path)
    assert "cells.xml" in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_that_grow_are_refused(tmp_path, encoding):
    text = cell_counter(TYPES, filename="&b;").replace("UTF-8", encoding)
    entities = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    path = tmp_path / "cells.xml"
    path.write_bytes(
        text.replace("<CellCounter_Marker_File>", entities + "<CellCounter_Marker_File>").encode(encoding)
    )
    with pytest.raises(ValueError, match="declares a document type, which Cell Counter never writes"):
        read_points(path)
