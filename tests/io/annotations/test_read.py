import builtins
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


@pytest.fixture
def path(tmp_path):
    """Two images, the first with a point in its last row."""
    path = tmp_path / "cells.csv"
    path.write_text("image,x,y\na/first.png,5,9\na/first.png,4.5,3\nsecond,18,2\n")
    return path


# --- What is returned -----------------------------------------------------------------------------


def test_a_file_of_many_images_gives_points_names_and_sizes(path):
    cells = read_points(path)
    assert sorted(cells) == ["image_shapes", "names", "points"]
    assert isinstance(cells.points, PointAnnotations)
    assert cells.names == ["a/first.png", "second"]
    assert cells.image_shapes == [None, None]
    assert_array_equal(cells.points.coordinates, [[9, 5], [3, 4.5], [2, 18]])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*cells.csv; expected a file of points"):
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
    module = {"pillow": "PIL"}.get(package, package)
    for loaded in [m for m in sys.modules if m.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, loaded)
    real_import = builtins.__import__

    def no_import(name, *args, **kwargs):
        if name.partition(".")[0] == module:
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    class Finder:
        def find_spec(self, name, *args):
            if name.partition(".")[0] == module:
                raise ImportError(name)

    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    (tmp_path / name).write_bytes(b"II*\0" + bytes(60) if package == "tifffile" else bytes(64))
    with pytest.raises(ImportError, match=rf"needs {package}; install it with: pip install skcount\[data\]"):
        read_points(tmp_path / name, "dots" if name in {"a.png", "a.tif"} else None)


# --- Formats are told -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{}", "either the lists 'images' and 'annotations' of COCO, or 'shapes' of LabelMe"),
        ("a.json", json.dumps({"images": [], "annotations": [], "shapes": []}), "expected either the lists"),
        ("a.png", "", "a picture can be dots, one pixel an object, or a label mask, one area an object"),
        ("a.TIF", "", "a picture can be dots"),
        ("a.xlsx", "", "the suffix '.xlsx' is of none"),
        ("a", "", "the suffix '' is of none"),
    ],
)
def test_a_format_that_cannot_be_told_is_asked_for(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=f"cannot be told: .*{message}.*Pass format=..., one of csv, napari"):
        read_points(tmp_path / name)


def test_a_suffix_counts_in_any_case(tmp_path):
    path = tmp_path / "CELLS.CSV"
    path.write_text("x,y\n1,2\n")
    assert_array_equal(read_points(path).points[0], [[2, 1]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "excel"}, "format='excel'; expected one of None, 'csv'"),
        ({"format": ["csv"]}, "The 'format' parameter of read_points must be"),
        ({"order": "yx"}, "order='yx'; expected one of None, 'xy', 'rc'"),
        ({"origin": "0"}, "The 'origin' parameter of read_points must be"),
        ({"origin": np.nan}, "origin=nan; expected the coordinate"),
        ({"scale": 0}, "scale=0; expected the size of a pixel"),
        ({"scale": True}, "scale=True; expected"),
        ({"slices": "all"}, "slices='all'; expected one of None, 'split', 'merge'"),
        ({"missing": "ignore"}, "missing='ignore'; expected one of 'raise', 'empty'"),
        ({"extra": "warn"}, "extra='warn'; expected one of 'raise', 'ignore'"),
        ({"outside": "drop"}, "outside='drop'; expected one of 'raise', 'warn', 'ignore'"),
        ({"outside": None}, "The 'outside' parameter of read_points must be"),
        ({"image_column": 1.5}, "The 'image_column' parameter of read_points must be"),
        ({"image_column": True}, "image_column=True; expected a name"),
        ({"variable": 3}, "The 'variable' parameter of read_points must be"),
        ({"threshold": "high"}, "The 'threshold' parameter of read_points must be"),
        ({"threshold": np.inf}, "threshold=inf; expected a number"),
        ({"labels": []}, "labels is empty"),
        ({"names": "a.png"}, r"names='a.png'; expected a list of names: \['a.png'\]"),
        ({"variable": "frame"}, "variable cannot be used with .*cells.csv, which is read as format='csv'"),
        ({"labels": "a", "threshold": 3}, "labels, threshold cannot be used"),
        ({"format": "coco", "columns": (1, 0)}, "columns cannot be used with format='coco'"),
        (
            {"image_shape": (9.5, 10)},
            "expected \\(height, width\\) in pixels, or one for each of the 2 images",
        ),
        ({"image_shape": [(9, 10)] * 3}, "or one for each of the 2 images"),
        ({"image_shape": (0, 10)}, "expected \\(height, width\\)"),
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
def test_order_origin_and_scale_undo_what_the_tool_did(tmp_path_factory, points, order, origin, scale):
    path = tmp_path_factory.mktemp("read") / "cells.csv"
    written = (np.array(points) + origin) * scale
    written = written[:, ::-1] if order == "xy" else written
    path.write_text("first,second\n" + "\n".join(f"{a!r},{b!r}" for a, b in written.tolist()))
    cells = read_points(
        path, columns=("first", "second"), order=order, origin=origin, scale=scale, outside="ignore"
    )
    assert_allclose(cells.points[0], points, rtol=0, atol=1e-10)


# --- Points against sizes -------------------------------------------------------------------------


def test_points_inside_pass_and_sizes_are_returned(path):
    assert read_points(path, image_shape=(10, 20)).image_shapes == [(10, 20)] * 2
    assert read_points(path, image_shape=[(10, 20), (3, 19)]).image_shapes == [(10, 20), (3, 19)]


def test_swapped_points_give_an_error_that_says_so(path):
    with pytest.raises(
        ValueError, match=r"1 of 3 points of .*cells.csv are outside their image: second of 20 x 10 pixels: "
    ) as e:
        read_points(path, image_shape=(20, 10))
    assert "All would be inside with rows and columns swapped, if read with order='xy'." in str(e.value)
    assert read_points(path, image_shape=(20, 10), order="xy").points.counts.tolist() == [2, 1]


def test_points_of_another_origin_give_an_error_that_says_so(path):
    with pytest.raises(
        ValueError,
        match=r"first.png of 9 x 20 pixels: row 9, col 5. All would be inside if read with origin=1",
    ):
        read_points(path, image_shape=(9, 20))
    with pytest.raises(
        ValueError,
        match=r"All would be inside with rows and columns swapped, if read with order='xy', origin=1.",
    ):
        read_points(path, image_shape=(18, 9))


def test_points_above_the_image_are_outside_of_any_size(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("x,y\n0,0\n5,5\n")
    with pytest.raises(ValueError, match=r"cells: row -1, col -1. All would be inside if read with origin=0"):
        read_points(path, origin=1)


def test_points_that_fit_no_way_hint_at_the_unit(path):
    with pytest.raises(
        ValueError, match=r"3 of 3 points .*in another unit than pixels\? That is what scale=... is for"
    ):
        read_points(path, image_shape=(2, 2))
    assert read_points(path, image_shape=(2, 2), scale=18).points.counts.sum() == 3


def test_many_points_outside_are_counted(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("x,y\n" + "50,50\n" * 9)
    with pytest.raises(
        ValueError, match=r"9 of 9 points .*; cells of 4 x 5 pixels: row 50, col 50 and 6 more\."
    ):
        read_points(path, image_shape=(4, 5))


def test_points_outside_are_kept_when_asked_for(path):
    with pytest.warns(UserWarning, match="1 of 3 points") as caught:
        warned = read_points(path, image_shape=(9, 20), outside="warn")
    assert caught[0].filename == __file__
    ignored = read_points(path, image_shape=(9, 20), outside="ignore")
    assert warned.points == ignored.points == read_points(path).points


def test_a_size_that_contradicts_the_file_is_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"shapes": [], "imageHeight": 480, "imageWidth": 640, "imagePath": "a.png"}))
    assert read_points(path, image_shape=(480, 640)).image_shapes == [(480, 640)]
    with pytest.raises(
        ValueError,
        match=r"The points of a.png in .*a.json were set in 480 x 640 pixels, and the image has 240 x 320",
    ):
        read_points(path, image_shape=(240, 320))


# --- Names ----------------------------------------------------------------------------------------


def test_names_put_the_points_in_the_order_of_the_images(path):
    for names in (
        ["second", "a/first.png"],
        ["second", "first.png"],
        ["b/second.png", "a/first.png"],
        ["second.tif", "first"],
    ):
        cells = read_points(path, names=names)
        assert cells.names == names
        assert cells.points.counts.tolist() == [1, 2]


def test_what_has_no_partner_is_said_both_ways(path):
    with pytest.raises(
        ValueError, match=r"no points for 2 images: b.png, c.png .* points, and no image, for 1 image: second"
    ):
        read_points(path, names=["b.png", "first.png", "c.png"])


def test_images_without_points_and_points_without_image_are_opted_into(path):
    names = ["b.png", "first.png"]
    with pytest.raises(
        ValueError, match=r"do not match .*cells.csv: points, and no image, for 1 image: second"
    ):
        read_points(path, names=names, missing="empty")
    with pytest.raises(ValueError, match=r"do not match .*cells.csv: no points for 1 image: b.png"):
        read_points(path, names=names, extra="ignore")
    cells = read_points(path, names=names, missing="empty", extra="ignore")
    assert cells.points.counts.tolist() == [0, 2]


def test_ambiguous_names_are_refused(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("image,x,y\na.png,1,1\na.tif,2,2\n")
    with pytest.raises(ValueError, match=r"a.jpg stands in .*cells.csv twice, as 'a.png' and 'a.tif'"):
        read_points(path, names=["a.jpg"])
    assert read_points(path, names=["a.tif", "a.png"]).points.coordinates.tolist() == [[2, 2], [1, 1]]
    with pytest.raises(ValueError, match=r"Two images are called a.png"):
        read_points(path, names=["a.png", "a.png"])


def test_a_short_name_that_fits_two_images_fits_none(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("image,x,y\na,1,1\n")
    with pytest.raises(
        ValueError, match=r"no points for 2 images: a.png, a.tif .*points, and no image, for 1 image: a "
    ):
        read_points(path, names=["a.png", "a.tif"])
