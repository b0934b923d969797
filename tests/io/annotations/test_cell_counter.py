import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skcount.io import read_points

pytest.importorskip("defusedxml", reason="defusedxml reads Cell Counter files")

NAME = "cells.xml"
MARKER = (
    "<Marker>\r\n <MarkerX>{}</MarkerX>\r\n <MarkerY>{}</MarkerY>\r\n <MarkerZ>{}</MarkerZ>\r\n</Marker>\r\n"
)


def cell_counter(types, filename="cells.tif", named=True):
    """What the plugin writes: for each type its name and its markers (x, y, slice)."""
    body = ""
    for number, (name, markers) in enumerate(types.items(), start=1):
        named_so = f"<Name>{name}</Name>\r\n" * named
        all_markers = "".join(MARKER.format(*marker) for marker in markers)
        body += f"<Marker_Type>\r\n<Type>{number}</Type>\r\n{named_so}{all_markers}</Marker_Type>\r\n"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n<CellCounter_Marker_File>\r\n<Image_Properties>\r\n'
        f"<Image_Filename>{filename}</Image_Filename>\r\n<X_Calibration>0.5</X_Calibration>\r\n"
        "</Image_Properties>\r\n<Marker_Data>\r\n<Current_Type>0</Current_Type>\r\n"
        f"{body}</Marker_Data>\r\n</CellCounter_Marker_File>\r\n"
    )


TYPES = {"Type 1": [(10, 2, 1), (4, 5, 1)], "dead": [(7, 7, 1)], "Type 3": []}


def test_markers_of_all_types_are_points_and_the_names_of_types_are_labels(write):
    path = write(cell_counter(TYPES))
    cells = read_points(path, labels="*")
    assert cells.names == ["cells.tif"]
    assert cells.labels == {"Type 1": 2, "dead": 1, "Type 3": 0}
    assert_array_equal(cells.points[0], [[2, 10], [5, 4], [7, 7]])
    with pytest.raises(
        ValueError, match=r"have 2 labels \('Type 1': 2, 'dead': 1\). Pass labels='Type 1' or"
    ):
        read_points(path)
    assert_array_equal(read_points(path, labels="dead").points[0], [[7, 7]])
    assert read_points(path, labels=["Type 3"]).points.counts.tolist() == [0]
    with pytest.raises(ValueError, match=r"`labels` .* 'Type 1', 'Type 3', 'dead'.* got 'alive'"):
        read_points(path, labels="alive")


def test_older_files_have_types_without_names(write):
    cells = read_points(
        write(cell_counter(TYPES, "Counter Window - cells.tif", named=False)), labels="Type 2"
    )
    assert cells.names == ["cells.tif"]
    assert_array_equal(cells.points[0], [[7, 7]])


def test_slices_are_images(write):
    path = write(cell_counter({"Type 1": [(10, 2, 3), (4, 5, 1)], "Type 2": [(7, 7, 3)]}))
    cells = read_points(path, labels=["Type 1", "Type 2"])
    assert cells.names == ["1", "3"]
    assert_array_equal(cells.points[1], [[2, 10], [7, 7]])
    assert_array_equal(read_points(path, labels="*", slices="merge").points[0], [[2, 10], [5, 4], [7, 7]])


@given(markers=st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 9999)), max_size=5))
def test_every_marker_is_read(write, markers):
    path = write(cell_counter({"Type 1": [(*marker, 1) for marker in markers]}))
    cells = read_points(path, unit="pixel", duplicates="keep")
    assert_array_equal(cells.points[0], np.array(markers).reshape(-1, 2)[:, ::-1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid XML"),
        ("<CellCounter_Marker_File>", "not valid XML"),
        ("<html></html>", "'CellCounter_Marker_File'"),
        (
            "<CellCounter_Marker_File><Marker_Type><Marker/></Marker_Type></CellCounter_Marker_File>",
            "MarkerX .* got ''",
        ),
        (cell_counter({"Type 1": [("NaN", 2, 1)]}), "MarkerX .* got 'NaN'"),
        (cell_counter({"Type 1": [(1, 2, "NaN")]}), "MarkerZ .* got 'NaN'"),
    ],
)
def test_other_xml_is_refused(write, text, message):
    with pytest.raises(ValueError, match=f"cells.xml.*{message}"):
        read_points(write(text))
