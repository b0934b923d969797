import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skcount import PointAnnotations
from skcount.io import read_points

NAME = "cells.csv"


@pytest.fixture
def path(write):
    """Two images, the first with a point in its last row."""
    return write("image,x,y\na/first.png,5,9\na/first.png,4.5,3\nsecond,18,2\n")


# --- What is returned -----------------------------------------------------------------------------


def test_a_file_of_many_images_gives_points_names_and_sizes(path):
    cells = read_points(path)
    assert sorted(cells) == ["image_shapes", "labels", "names", "points"]
    assert isinstance(cells.points, PointAnnotations)
    assert cells.names == ["a/first.png", "second"]
    assert cells.image_shapes == [None, None]
    assert_array_equal(cells.points.coordinates, [[9, 5], [3, 4.5], [2, 18]])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*cells.csv"):
        read_points(tmp_path / "cells.csv")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read_points(tmp_path)


def test_nothing_heavy_is_imported_before_a_file_is_read():
    heavy = {"PIL", "tifffile", "roifile", "defusedxml", "imagecodecs", "h5py", "torch"}
    code = f"import sys, skcount.datasets; print(*sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert run.stdout.strip() == ""


@pytest.mark.parametrize(
    ("name", "package"),
    [("a.roi", "roifile"), ("a.xml", "defusedxml"), ("a.png", "pillow"), ("a.tif", "tifffile")],
)
def test_a_missing_package_says_how_to_install_it(tmp_path, monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, {"pillow": "PIL.Image"}.get(package, package), None)
    (tmp_path / name).write_bytes(b"II*\0" + bytes(60) if package == "tifffile" else bytes(64))
    with pytest.raises(ImportError, match=rf"needs {package}; install it with: pip install skcount\[data\]"):
        read_points(tmp_path / name, "dots" if name in {"a.png", "a.tif"} else None)


# --- Formats are told -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{}", "the lists 'images' and 'annotations' of COCO .* or the list 'shapes' of LabelMe"),
        ("a.json", json.dumps({"images": [], "annotations": [], "shapes": []}), "may be coco .* or labelme"),
        ("a.png", "", "may be dots .* or mask"),
        ("a.TIF", "", "may be imagej .* or dots .* or mask"),
        ("a.xlsx", "", "the suffix '.xlsx'"),
        ("a", "", "the suffix ''"),
    ],
)
def test_a_format_that_cannot_be_told_is_asked_for(write, name, content, message):
    words = f"Cannot find the format of .*{message}.*Pass `format`, one of 'csv', 'napari'"
    with pytest.raises(ValueError, match=words):
        read_points(write(content, name))


def test_a_suffix_counts_in_any_case(write):
    assert_array_equal(read_points(write("x,y\n1,2\n", "CELLS.CSV")).points[0], [[2, 1]])


OTHER_VALUES = {"order": "yx", "scale": 0, "slices": "all", "missing": "ignore", "extra": "warn"}
OTHER_VALUES |= {"image_column": 1.5, "variable": 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(({"format": value}, "'format' parameter") for value in ("excel", ["csv"])),
        *(({"origin": value}, "'origin' parameter") for value in ("0", np.nan)),
        *(({"outside": value}, "'outside' parameter") for value in ("drop", None)),
        *(({"threshold": value}, "'threshold' parameter") for value in ("high", np.inf)),
        *(({name: value}, f"'{name}' parameter") for name, value in OTHER_VALUES.items()),
        ({"image_column": True}, "`image_column` .* got True"),
        ({"labels": []}, "`labels` .* got an empty list"),
        ({"names": "a.png"}, r"`names` .* got 'a.png'"),
        ({"variable": "frame"}, "variable cannot be used with .*cells.csv, .* format='csv'"),
        ({"variable": "a", "threshold": 3}, "threshold, variable cannot be used"),
        ({"format": "coco", "columns": (1, 0)}, "columns cannot be used with format='coco'"),
        ({"image_shape": (9.5, 10)}, "`image_shape` .* 2 images.* got \\(9.5, 10\\)"),
        ({"image_shape": [(9, 10)] * 3}, "`image_shape` .* 2 images"),
        ({"image_shape": (0, 10)}, "`image_shape` .* got \\(0, 10\\)"),
    ],
)
def test_arguments_are_checked(path, arguments, message):
    with pytest.raises(ValueError, match=message):
        read_points(path, **arguments)


# --- Order, origin, scale -------------------------------------------------------------------------


@given(
    points=st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500)), min_size=1, max_size=5),
    order=st.sampled_from(["xy", "rc"]),
    origin=st.sampled_from([0, 0.5, 1]),
    scale=st.floats(0.1, 10),
)
def test_order_origin_and_scale_undo_what_the_tool_did(write, points, order, origin, scale):
    written = (np.array(points) + origin) * scale
    written = written[:, ::-1] if order == "xy" else written
    path = write("first,second\n" + "\n".join(f"{a!r},{b!r}" for a, b in written.tolist()))
    cells = read_points(
        path,
        columns=("first", "second"),
        order=order,
        origin=origin,
        scale=scale,
        outside="ignore",
        duplicates="keep",
    )
    assert_allclose(cells.points[0], points, rtol=0, atol=1e-10)


# --- Points against sizes -------------------------------------------------------------------------


def test_points_inside_pass_and_sizes_are_returned(path):
    assert read_points(path, image_shape=(10, 20)).image_shapes == [(10, 20)] * 2
    assert read_points(path, image_shape=[(10, 20), (3, 19)]).image_shapes == [(10, 20), (3, 19)]


def test_swapped_points_give_an_error_that_says_so(path):
    message = (
        r"1 of 3 points of .*cells.csv are outside their image: second of 20 x 10 pixels: .*"
        "All would be inside with rows and columns swapped, if read with order='xy'."
    )
    with pytest.raises(ValueError, match=message):
        read_points(path, image_shape=(20, 10))
    assert read_points(path, image_shape=(20, 10), order="xy").points.counts.tolist() == [2, 1]


def test_points_of_another_origin_give_an_error_that_says_so(path, write):
    hint = "All would be inside if read with origin"
    with pytest.raises(ValueError, match=rf"first.png of 9 x 20 pixels: row 9, col 5. {hint}=1"):
        read_points(path, image_shape=(9, 20))
    message = r"with rows and columns swapped, if read with order='xy', origin=1."
    with pytest.raises(ValueError, match=message):
        read_points(path, image_shape=(18, 9))
    with pytest.raises(ValueError, match=rf"cells: row -1, col -1. {hint}=0"):  # outside of any size
        read_points(write("x,y\n0,0\n5,5\n"), origin=1)


def test_points_that_fit_no_way_are_counted_and_hint_at_the_unit(path, write):
    with pytest.raises(ValueError, match=r"3 of 3 points .* unit .* `scale`"):
        read_points(path, image_shape=(2, 2))
    assert read_points(path, image_shape=(2, 2), scale=18).points.counts.sum() == 3
    message = r"9 of 9 points .*; cells of 4 x 5 pixels: row 50, col 50 and 6 more\."
    with pytest.raises(ValueError, match=message):
        read_points(write("x,y\n" + "50,50\n" * 9), image_shape=(4, 5))


def test_points_outside_are_kept_when_asked_for(path):
    with pytest.warns(UserWarning, match="1 of 3 points") as caught:
        warned = read_points(path, image_shape=(9, 20), outside="warn")
    assert caught[0].filename == __file__
    ignored = read_points(path, image_shape=(9, 20), outside="ignore")
    assert warned.points == ignored.points == read_points(path).points


def test_a_size_that_contradicts_the_file_is_refused(write):
    content = {"shapes": [], "imageHeight": 480, "imageWidth": 640, "imagePath": "a.png"}
    path = write(content, "a.json")
    assert read_points(path, image_shape=(480, 640)).image_shapes == [(480, 640)]
    with pytest.raises(ValueError, match=r"a.png must have 480 x 640 pixels, .*a.json; got 240 x 320"):
        read_points(path, image_shape=(240, 320))


# --- Names ----------------------------------------------------------------------------------------


def test_names_put_the_points_in_the_order_of_the_images(path):
    for first, second in [
        ("second", "a/first.png"),
        ("second", "first.png"),
        ("b/second.png", "a/first.png"),
        ("second.tif", "first"),
    ]:
        names = [first, second]
        cells = read_points(path, names=names)
        assert cells.names == names
        assert cells.points.counts.tolist() == [1, 2]


def test_what_has_no_partner_is_said_both_ways_unless_it_is_opted_into(path):
    names = ["b.png", "first.png"]
    missing, extra = "no points for 1 image: b.png", "points but no image for 1 image: second"
    for options, message in (
        ({}, f"{missing} .* {extra}"),
        ({"missing": "empty"}, f"do not match .*cells.csv: {extra}"),
        ({"extra": "ignore"}, f"do not match .*cells.csv: {missing}"),
    ):
        with pytest.raises(ValueError, match=message):
            read_points(path, names=names, **options)
    cells = read_points(path, names=names, missing="empty", extra="ignore")
    assert cells.points.counts.tolist() == [0, 2]


def test_ambiguous_names_are_refused(write):
    path = write("image,x,y\na.png,1,1\na.tif,2,2\n")
    with pytest.raises(ValueError, match=r"cells.csv has a.jpg twice, as 'a.png' and 'a.tif'"):
        read_points(path, names=["a.jpg"])
    assert read_points(path, names=["a.tif", "a.png"]).points.coordinates.tolist() == [[2, 2], [1, 1]]
    with pytest.raises(ValueError, match=r"`names` .* got 'a.png' twice"):
        read_points(path, names=["a.png", "a.png"])
    message = r"the images are 2 images: a.png, a.tif; the points are of 1 image: a"
    with pytest.raises(ValueError, match=message):  # a short name that fits two images fits none
        read_points(write("image,x,y\na,1,1\n"), names=["a.png", "a.tif"])
