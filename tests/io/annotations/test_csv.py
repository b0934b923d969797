import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skcount.io import read_points

POINTS = [[2, 10], [4.5, 4]]


@pytest.fixture
def write(tmp_path):
    def write(content, name="cells.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# --- Columns -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "x,y",
        "X,Y",
        "col,row",
        "column,row",
        "centroid-1,centroid-0",
        "Location_Center_X,Location_Center_Y",
        "POSITION_X,POSITION_Y",
        '"x","y"',
    ],
)
def test_columns_are_found_by_their_usual_names(write, header):
    cells = read_points(write(f"{header}\n10,2\n4,4.5\n"))
    assert cells.names == ["cells"]
    assert cells.image_shapes == [None]
    assert_array_equal(cells.points[0], POINTS)


@pytest.mark.parametrize("columns", [("down", "right"), (2, 1), ["down", 1]])
def test_columns_are_named_or_counted(write, columns):
    path = write("id,right,down\n7,10,2\n8,4,4.5\n")
    assert_array_equal(read_points(path, columns=columns).points[0], POINTS)


def test_a_table_without_names_has_its_columns_counted(write):
    path = write("10\t2\n4\t4.5\n", "cells.txt")
    assert_array_equal(read_points(path, columns=(1, 0)).points[0], POINTS)
    with pytest.raises(ValueError, match="2 columns without names; none of them is known"):
        read_points(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "left,top",
            "columns 'left', 'top'; none of them is known. Name them: columns=\\(row column, column column\\)",
        ),
        ("x,y,row,col", "which of them are the coordinates cannot be told"),
        ("X,Y,XM,YM", "which of them are the coordinates cannot be told"),
        ("x,X,y", "which of them are the coordinates cannot be told"),
    ],
)
def test_columns_that_cannot_be_guessed_are_listed(write, header, message):
    path = write(f"{header}\n{','.join('1' for _ in header.split(','))}\n")
    with pytest.raises(ValueError, match=message):
        read_points(path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("y", "z"), "expected one column 'z', found 0"),
        ((5, 0), "has 2 columns; there is no column 5, counted from 0"),
        ((0, -1), "there is no column -1"),
        ("yx", "The 'columns' parameter of read_points must be an instance of 'tuple'"),
        (("y",), "columns=\\('y',\\); expected \\(row column, column column\\)"),
        ((True, 0), "columns=\\(True, 0\\); expected"),
    ],
)
def test_columns_that_are_not_there_are_refused(write, columns, message):
    with pytest.raises(ValueError, match=message):
        read_points(write("x,y\n1,2\n"), columns=columns)


# --- Text as programs and countries write it ------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "x,y\n10,2\n4,4.5\n",
        "x,y\r\n10,2\r\n4,4.5\r\n",
        "\ufeffx,y\r\n10,2\r\n4,4.5",
        "x\ty\n10\t2\n4\t4.5\n",
        "x;y\n10;2\n4;4,5\n",
        "x;y\r\n10,0;2,0\r\n4,00;4,50\r\n;\r\n",
        "sep=;\nx;y\n10;2\n4;4,5\n",
        " ,X,Y\n1,10,2\n2,4,4.5\n",
        "x,y\n\n10,2\n\n4,4.5\n\n\n",
        'x,y,"a comment, with a comma"\n10,2,"one\ntwo"\n4,4.5,\n',
        "x,y\n1e1,+2.\n4,.45E+1\n",
        "\ufeffx\ty\r\n10\t2\r\n4\t4,5\r\n".encode("utf-16-le"),
        "\ufeffx\ty\r\n10\t2\r\n4\t4,5\r\n".encode("utf-16-be"),
        "x,y,Länge\n10,2,1\n4,4.5,1\n".encode("cp1252"),
    ],
)
def test_every_way_of_writing_a_table_is_read_alike(write, content):
    assert_array_equal(read_points(write(content)).points[0], POINTS)


def test_a_header_alone_is_an_image_without_points(write):
    cells = read_points(write("x,y\n"))
    assert cells.points.counts.tolist() == [0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; expected a table"),
        (" \n\n", "is empty; expected a table"),
        ("x\n1\n", "has a single column, 'x'"),
        (b"x,y\n1,2\n\0", "is no text"),
        (b"\x81\x8d,\n", "is no text"),
        ("x,y\n1,2\n3\n", "line 3 has 1 cells; expected 2"),
        ("x,y\n1,2\n3,4,5\n", "line 3 has 3 cells; expected 2"),
        ('x,y\n1,"2\n', "cannot be read as a table: line 2"),
        ("x,y\n1,\n", "line 2: '' in column 'y' is no finite number"),
        ("x,y\n1,2\n\n3,four\n", "line 4: 'four' in column 'y' is no finite number"),
        ("x,y\nNaN,2\n", "line 2: 'NaN' in column 'x' is no finite number"),
        ("x,y\n1,inf\n", "'inf' in column 'y' is no finite number"),
        ("x,y\n1,1e999\n", "'1e999' in column 'y' is no finite number"),
        ("x,y\n1,1_0\n", "'1_0' in column 'y' is no finite number"),
        ("x;y\n1.234,5;2\n", "line 2: numbers with a comma in a table that has numbers with a point"),
        ("x;y\n1;2\n1.5;2,5\n", "line 3: numbers with a comma"),
        ('x,y\n"1,5",2\n', "is it a decimal comma, or one of thousands"),
        ("sep=;\nx;y\n1;two\n", "line 3: 'two' in column 'y'"),
    ],
)
def test_what_is_no_table_of_points_is_refused_with_its_line(write, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_points(write(content))
    assert "cells.csv" in str(caught.value)


# --- Many images ----------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["image", "filename", "File Name", "Image_Name"])
def test_a_column_of_image_names_groups_the_points(write, header):
    cells = read_points(write(f"{header},x,y\nb.png,10,2\na.png,1,1\nb.png,4,4.5\n"))
    assert cells.names == ["b.png", "a.png"]
    assert_array_equal(cells.points[0], POINTS)
    assert_array_equal(cells.points[1], [[1, 1]])


def test_the_label_of_imagej_is_the_image_up_to_the_colon(write):
    cells = read_points(write(" ,Label,X,Y\n1,a.tif:0002-0010,10,2\n2,a.tif:0004-0004,4,4.5\n"))
    assert cells.names == ["a.tif"]
    assert_array_equal(cells.points[0], POINTS)


def test_a_label_elsewhere_is_no_image(write):
    assert read_points(write("x,y,label\n10,2,dead\n4,4.5,alive\n")).names == ["cells"]


def test_several_columns_of_names_are_refused_unless_one_is_chosen(write):
    path = write("image,file,x,y\na,b,10,2\n")
    with pytest.raises(ValueError, match=r"may name the image: 'image', 'file'. Choose by image_column"):
        read_points(path)
    assert read_points(path, image_column="file").names == ["b"]


def test_a_row_without_an_image_is_refused(write):
    with pytest.raises(ValueError, match="line 3: the column of image names is empty"):
        read_points(write("image,x,y\na,1,2\n,3,4\n"))


def test_a_table_that_names_no_image_needs_names(write):
    path = write("image,x,y\n")
    with pytest.raises(ValueError, match="no rows, so that no image is known; pass names="):
        read_points(path)
    assert read_points(path, names=["a", "b"], missing="empty").points.counts.tolist() == [0, 0]


# --- Stacks ---------------------------------------------------------------------------------------


def test_slices_of_a_stack_are_images(write):
    path = write(" ,X,Y,Slice\n1,10,2,3\n2,1,1,1\n3,4,4.5,3\n")
    cells = read_points(path)
    assert cells.names == ["1", "3"]
    assert_array_equal(cells.points[1], POINTS)
    merged = read_points(path, slices="merge")
    assert merged.names == ["cells"]
    assert len(merged.points[0]) == 3
    assert read_points(path, names=range(1, 5), missing="empty").points.counts.tolist() == [1, 0, 2, 0]


@pytest.mark.parametrize("number", [0, 1])
def test_a_single_slice_is_a_single_image(write, number):
    path = write(f"X,Y,Slice\n10,2,{number}\n4,4.5,{number}\n")
    assert read_points(path).names == ["cells"]
    if number:
        assert read_points(path, slices="split").names == ["1"]


def test_of_a_single_later_slice_the_number_is_kept(write):
    assert read_points(write("X,Y,Slice,Frame\n10,2,7,1\n")).names == ["7"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("X,Y,Slice\n10,2,0\n4,4,2\n", "1 points on no slice beside points on slices"),
        ("X,Y,Slice\n10,2,1.5\n4,4,2\n", "expected one column of whole numbers"),
        ("X,Y,Slice,Frame\n10,2,1,1\n4,4,2,2\n", "expected one column of whole numbers"),
        ("image,X,Y,Slice\na,1,1,1\nb,1,1,1\nb,1,1,2\n", "one of them has points on several slices"),
    ],
)
def test_slices_that_cannot_be_told_are_refused(write, content, message):
    with pytest.raises(ValueError, match=message):
        read_points(write(content))


def test_slices_of_one_named_image_are_images(write):
    path = write("Label,X,Y,Slice\na.tif:first,1,1,1\na.tif:second,1,1,2\n")
    assert read_points(path).names == ["1", "2"]
    assert read_points(path, slices="merge").names == ["a.tif"]


def test_a_slice_column_can_be_the_column_of_images(write):
    assert read_points(write("X,Y,Frame\n1,1,b\n1,1,a\n"), image_column="Frame").names == ["b", "a"]


# --- Any table ------------------------------------------------------------------------------------


@given(
    points=st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), max_size=6),
    delimiter=st.sampled_from(",;\t"),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_every_number_is_read_exactly(tmp_path_factory, points, delimiter, newline):
    path = tmp_path_factory.mktemp("csv") / "cells.csv"
    lines = [delimiter.join(["y", "x"]), *(delimiter.join(map(repr, point)) for point in points)]
    path.write_text(newline.join(lines), newline="")
    assert_array_equal(read_points(path).points[0], np.array(points).reshape(-1, 2))
