import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skcount.io import read_points

NAME = "cells.csv"
POINTS = [[2, 10], [4.5, 4]]


# --- Columns -------------------------------------------------------------------------------------


USUAL = ["x,y", "X,Y", "col,row", "column,row", "centroid-1,centroid-0", "POSITION_X,POSITION_Y", '"x","y"']


@pytest.mark.parametrize("header", [*USUAL, "Location_Center_X,Location_Center_Y"])
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
    with pytest.raises(ValueError, match="2 columns without names; none of them"):
        read_points(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("left,top", "columns 'left', 'top'; none of them .* columns=\\('y', 'x'\\)"),
        ("x,y,row,col", "several of them may be coordinates"),
        ("X,Y,XM,YM", "several of them may be coordinates"),
        ("x,X,y", "several of them may be coordinates"),
    ],
)
def test_columns_that_cannot_be_guessed_are_listed(write, header, message):
    path = write(f"{header}\n{','.join('1' for _ in header.split(','))}\n")
    with pytest.raises(ValueError, match=message):
        read_points(path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("y", "z"), "'z'; got the columns 'x', 'y'"),
        ((5, 0), "from 0 to 1; got 5"),
        ((0, -1), "from 0 to 1; got -1"),
        ("yx", "The 'columns' parameter of read_points must be an instance of 'tuple'"),
        (("y",), "`columns` .* got \\('y',\\)"),
        ((True, 0), "`columns` .* got \\(True, 0\\)"),
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("x\n1\n", "at least two columns.* got 'x'"),
        (b"x,y\n1,2\n\0", "is not text"),
        (b"\x81\x8d,\n", "is not text"),
        ("x,y\n1,2\n3\n", "line 3 .* 2 cells.* got 1"),
        ("x,y\n1,2\n3,4,5\n", "line 3 .* 2 cells.* got 3"),
        ('x,y\n1,"2\n', "cannot be read as a table: line 2"),
        ("x,y\n1,\n", "line 2: column 'y' .* got ''"),
        ("x,y\n1,2\n\n3,four\n", "line 4: column 'y' .* got 'four'"),
        ("x,y\nNaN,2\n", "line 2: column 'x' .* got 'NaN'"),
        ("x,y\n1,inf\n", "column 'y' .* got 'inf'"),
        ("x,y\n1,1e999\n", "column 'y' .* got '1e999'"),
        ("x,y\n1,1_0\n", "column 'y' .* got '1_0'"),
        ("x;y\n1.234,5;2\n", "line 2: .* comma"),
        ("x;y\n1;2\n1.5;2,5\n", "line 3: .* comma"),
        ('x,y\n"1,5",2\n', "decimal comma"),
        ("sep=;\nx;y\n1;two\n", "line 3: column 'y' .* got 'two'"),
    ],
)
def test_what_is_no_table_of_points_is_refused_with_its_line(write, content, message):
    with pytest.raises(ValueError, match=f"cells.csv.*{message}"):
        read_points(write(content))


# --- Many images ----------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["image", "filename", "File Name", "Image_Name"])
def test_a_column_of_image_names_groups_the_points(write, header):
    cells = read_points(write(f"{header},x,y\nb.png,10,2\na.png,1,1\nb.png,4,4.5\n"))
    assert cells.names == ["b.png", "a.png"]
    assert_array_equal(cells.points[0], POINTS)
    assert_array_equal(cells.points[1], [[1, 1]])


def test_a_label_of_imagej_is_the_image_up_to_the_colon_and_a_label_elsewhere_is_none(write):
    cells = read_points(write(" ,Label,X,Y\n1,a.tif:0002-0010,10,2\n2,a.tif:0004-0004,4,4.5\n"))
    assert cells.names == ["a.tif"]
    assert_array_equal(cells.points[0], POINTS)
    path = write("x,y,label\n10,2,dead\n4,4.5,alive\n")
    with pytest.raises(ValueError, match=r"2 labels \('dead': 1, 'alive': 1\)"):
        read_points(path)
    assert read_points(path, labels="*").names == ["cells"]
    assert_array_equal(read_points(path, labels="alive").points[0], POINTS[1:])


def test_several_columns_of_names_are_refused_unless_one_is_chosen(write):
    path = write("image,file,x,y\na,b,10,2\n")
    with pytest.raises(ValueError, match=r"'image', 'file'. .*`image_column`"):
        read_points(path)
    assert read_points(path, image_column="file").names == ["b"]


def test_a_table_that_names_no_image_needs_names(write):
    assert read_points(write("x,y\n")).points.counts.tolist() == [0]
    path = write("image,x,y\n")
    with pytest.raises(ValueError, match=r"no points and names no image. Pass `names`"):
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


@pytest.mark.parametrize(("number", "name"), [(0, "cells"), (1, "cells"), (7, "7")])
def test_a_single_slice_is_a_single_image_and_a_later_one_keeps_its_number(write, number, name):
    path = write(f"X,Y,Slice,Frame\n10,2,{number},1\n4,4.5,{number},1\n")
    assert read_points(path).names == [name]
    if number:
        assert read_points(path, slices="split").names == [str(number)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("X,Y,Slice\n10,2,-1\n4,4,2\n", "1 points .* slices .* from 0; got -1"),
        ("X,Y,Slice\n10,2,1.5\n4,4,2\n", "slices .* whole numbers; got 'Slice'"),
        ("X,Y,Slice,Frame\n10,2,1,1\n4,4,2,2\n", "slices .* one column .* got 'Slice', 'Frame'"),
        ("image,X,Y,Slice\na,1,1,1\nb,1,1,1\nb,1,1,2\n", "several images and .* several slices of one"),
        ("image,x,y\na,1,2\n,3,4\n", "line 3: the column of image names is empty"),
    ],
)
def test_images_that_cannot_be_told_are_refused(write, content, message):
    with pytest.raises(ValueError, match=message):
        read_points(write(content))


def test_slices_of_one_named_image_are_images_and_their_column_may_be_that_of_names(write):
    path = write("Label,X,Y,Slice\na.tif:first,1,1,1\na.tif:second,1,1,2\n")
    assert read_points(path).names == ["1", "2"]
    assert read_points(path, slices="merge", duplicates="keep").names == ["a.tif"]
    assert read_points(write("X,Y,Frame\n1,1,b\n1,1,a\n"), image_column="Frame").names == ["b", "a"]


# --- Any table ------------------------------------------------------------------------------------


@given(
    points=st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), max_size=6),
    delimiter=st.sampled_from(",;\t"),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_every_number_is_read_exactly(write, points, delimiter, newline):
    lines = [delimiter.join(["y", "x"]), *(delimiter.join(map(repr, point)) for point in points)]
    path = write(newline.join(lines))
    cells = read_points(path, unit="pixel", duplicates="keep")
    assert_array_equal(cells.points[0], np.array(points).reshape(-1, 2))
