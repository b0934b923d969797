import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skcount.io import read_regions

NAME = "regions.geojson"
SQUARE = [[0, 0], [4, 0], [4, 2], [0, 2], [0, 0]]
HOLE = [[1, 0.5], [2, 0.5], [2, 1], [1, 0.5]]


def feature(coordinates=(SQUARE,), name=None, kind="Polygon", group=None):
    """What QuPath writes for an annotation."""
    properties = {"objectType": "annotation"}
    if name is not None:
        properties["name"] = name
    if group is not None:
        properties["classification"] = {"name": group, "color": [200, 0, 0]}
    geometry = {"type": kind, "coordinates": list(coordinates)}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def collection(*features, **more):
    return {"type": "FeatureCollection", "features": features, **more}


def corners(ring):
    """Corners (x, y), from the corner of the first pixel, as (row, col) from its centre."""
    return np.array(ring)[:, ::-1] - 0.5


# GeoJSON.


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-1e5, 1e5)] * 2), min_size=3, max_size=9))
def test_outlines_are_read_exactly(write, ring):
    regions = read_regions(write(collection(feature([ring], "a"))))
    assert list(regions) == ["a"]
    assert_array_equal(regions["a"][0], corners(ring))


def test_a_collection_a_list_and_a_single_feature_are_read(write):
    one = feature(name="a")
    for content in (collection(one), [one], one):
        assert_array_equal(read_regions(write(content))["a"], [corners(SQUARE)])
    path = write(one, "regions.JSON")
    assert list(read_regions(str(path))) == ["a"]


def test_holes_and_parts_are_further_outlines(write):
    far = [[x + 10, y] for x, y in SQUARE]
    content = collection(
        feature([SQUARE, HOLE], "hole"), feature([[SQUARE, HOLE], [far]], "parts", "MultiPolygon")
    )
    regions = read_regions(write(content))
    assert [len(rings) for rings in regions.values()] == [2, 3]
    for ring, expected in zip(regions["parts"], (SQUARE, HOLE, far), strict=True):
        assert_array_equal(ring, corners(expected))


def test_names_come_first_then_classes_then_numbers(write):
    content = collection(
        feature(name="core", group="Tumor"), feature(group="Stroma"), feature(), feature(name="")
    )
    assert list(read_regions(write(content))) == ["core", "Stroma", "3", "4"]


@pytest.mark.parametrize("properties", [{}, None, {"name": None}, {"classification": None}])
def test_properties_may_be_missing(write, properties):
    content = {**feature(), "properties": properties}
    assert list(read_regions(write(collection(content)))) == ["1"]


@pytest.mark.parametrize("features", [[feature(name="a")] * 2, [feature(group="a"), feature(name="a")]])
def test_two_regions_with_one_name_are_refused(write, features):
    with pytest.raises(ValueError, match=r"regions.geojson has two regions with the name 'a'\. Give each"):
        read_regions(write(collection(*features)))


@pytest.mark.parametrize(
    ("kind", "coordinates"),
    [("Point", [1, 2]), ("MultiPoint", [[1, 2], [3, 4]]), ("LineString", [[1, 2], [3, 4], [5, 6]])],
)
def test_points_and_lines_are_refused(write, kind, coordinates):
    content = collection(feature(name="a"), feature(coordinates, "b", kind))
    with pytest.raises(ValueError, match=f"cannot be read as regions: it has a {kind}; expected polygons"):
        read_regions(write(content))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (collection(), "has no regions"),
        ([], "has no regions"),
        (collection(feature(), crs={"type": "name"}), "on the globe"),
        (collection(feature([[[0, 0], [4, 0]]])), "at least three corners"),
        (collection(feature([])), "at least three corners"),
        (collection(feature([[[0, 0], [4, 0], [4, "2"]]])), "each corner must be two numbers"),
        (collection(feature([[[0, 0], [4, 0], [4, 2, 1]]])), "each corner must be two numbers"),
        (collection(feature([[0, 0], [4, 0], [4, 2]])), "each corner must be two numbers"),
        (collection(feature([7])), "each outline must be a list"),
        (collection({"type": "Feature", "properties": {}}), "the geometry of each feature must be an object"),
        (collection({"type": "Feature", "geometry": {}}), "expected polygons"),
        (collection(5), "each feature must be an object"),
        ({"features": 5}, "the features must be a list"),
        ("no json", "is not valid JSON"),
        ("5", "holds a JSON int"),
    ],
)
def test_what_holds_no_polygons_is_refused_with_the_file(write, content, match):
    with pytest.raises(ValueError, match=rf"regions.geojson.*{match}"):
        read_regions(write(content))


def test_a_file_that_is_missing_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_regions(tmp_path / "regions.geojson")
    with pytest.raises(ValueError, match="'path' parameter"):
        read_regions(None)


# Selections of ImageJ.


@pytest.fixture
def roifile():
    return pytest.importorskip("roifile", reason="roifile reads selections of ImageJ")


@pytest.fixture
def selection(roifile):
    """Return a function that encodes a selection: corners (x, y), or a box (left, top, right, bottom)."""

    def selection(kind="POLYGON", points=((2, 3), (6, 3), (6, 5)), box=None, name="cell"):
        if box is None:
            roi = roifile.ImagejRoi.frompoints(np.asarray(points), name=name)
        else:
            left, top, right, bottom = box
            roi = roifile.ImagejRoi(left=left, top=top, right=right, bottom=bottom, name=name)
        roi.roitype = roifile.ROI_TYPE[kind]
        return roi.tobytes()

    return selection


@pytest.mark.parametrize("kind", ["POLYGON", "FREEHAND", "TRACED"])
@pytest.mark.parametrize("points", [[(2, 3), (6, 3), (6, 5)], [(2.25, 3.5), (6.0, 3.125), (6.5, 5.0)]])
def test_outlines_of_selections_are_read_exactly(write, selection, kind, points):
    regions = read_regions(write(selection(kind, points), "cell.roi"))
    assert list(regions) == ["cell"]
    assert_array_equal(regions["cell"], [corners(points)])


def test_a_rectangle_has_its_pixels(write, selection):
    ring = read_regions(write(selection("RECT", box=(2, 3, 6, 5)), "cell.roi"))["cell"][0]
    assert_array_equal(ring.min(axis=0), [2.5, 1.5])  # from half a pixel above row 3 and left of column 2
    assert_array_equal(ring.max(axis=0), [4.5, 5.5])


def test_an_oval_has_its_axes_and_area(write, selection):
    ring = read_regions(write(selection("OVAL", box=(0, 0, 60, 40)), "cell.roi"))["cell"][0]
    assert np.abs(ring.mean(axis=0) - [19.5, 29.5]).max() < 1
    np.testing.assert_allclose(np.ptp(ring, axis=0), [40, 60], atol=0.5)
    rows, cols = ring.T
    area = abs(np.sum(rows * np.roll(cols, -1) - cols * np.roll(rows, -1))) / 2
    assert area == pytest.approx(np.pi / 4 * 40 * 60, rel=0.03)


def test_a_zip_has_a_region_for_each_selection(tmp_path, write_zip, selection):
    members = {
        "1.roi": selection(name="b"),
        "2.roi": selection("RECT", box=(0, 0, 2, 2), name="a"),
        "__MACOSX/._2.roi": b"of a Mac",
        ".DS_Store": b"of a Mac",
    }
    regions = read_regions(write_zip(tmp_path / "RoiSet.zip", members))
    assert {name: len(rings) for name, rings in regions.items()} == {"b": 1, "a": 1}
    same = {"1.roi": selection(name="a"), "2.roi": selection(name="a")}
    with pytest.raises(ValueError, match="two regions with the name 'a'"):
        read_regions(write_zip(tmp_path / "RoiSet.zip", same))


def test_a_composite_selection_has_all_its_outlines(write, roifile):
    path = [part for ring in (SQUARE[:4], HOLE[:3]) for part in outline(ring)]
    roi = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.RECT, left=0, top=0, right=4, bottom=2, name="cell")
    roi.shape_roi_size = len(path)
    roi.multi_coordinates = np.array(path, dtype=np.float32)
    content = roi.tobytes()
    if not roifile.ImagejRoi.frombytes(content).composite:
        pytest.skip("this version of roifile does not write composite selections")
    rings = read_regions(write(content, "cell.roi"))["cell"]
    for ring, expected in zip(rings, (SQUARE[:4], HOLE[:3]), strict=True):
        assert {tuple(corner) for corner in ring} == {tuple(corner) for corner in corners(expected)}


def outline(ring):
    """A path as ImageJ stores it: 0 moves, 1 draws a line, 4 closes."""
    return [
        value for code, (x, y) in zip([0] + [1] * len(ring), ring, strict=False) for value in (code, x, y)
    ] + [4]


@pytest.mark.parametrize("kind", ["POINT", "POLYLINE", "FREELINE", "ANGLE"])
def test_selections_without_an_area_are_refused(tmp_path, write_zip, selection, kind):
    members = {"cell.roi": selection(), "other.roi": selection(kind, name="other")}
    with pytest.raises(ValueError, match=f"RoiSet.zip cannot .*other.roi is a selection of the kind {kind}"):
        read_regions(write_zip(tmp_path / "RoiSet.zip", members))


def test_selections_that_are_damaged_or_empty_are_refused(tmp_path, write, write_zip, selection):
    whole = selection()
    for content in (b"", b"Iout", b"no selection" * 10, whole[: len(whole) // 2]):
        with pytest.raises(ValueError, match=r"cell.roi cannot be read as regions: it "):
            read_regions(write(content, "cell.roi"))
    with pytest.raises(ValueError, match=r"at least three corners|fewer than three corners"):
        read_regions(write(selection(points=[(1, 1), (2, 2)]), "cell.roi"))
    with pytest.raises(ValueError, match=r"RoiSet.zip has no regions"):
        read_regions(write_zip(tmp_path / "RoiSet.zip", {}))


def test_a_file_of_another_format_is_refused(write):
    with pytest.raises(ValueError, match=r"regions.csv cannot be read as regions"):
        read_regions(write(json.dumps(collection(feature())), "regions.csv"))
