import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skcount.io import GeoTransform, load_folder, save_points

tifffile = pytest.importorskip("tifffile", reason="tifffile reads TIFF")

PIXELS = np.zeros((20, 30), np.uint8)
SCALE = (33550, 12, 3, (0.5, 0.25, 0.0), True)
TIEPOINT = (33922, 12, 6, (0.0, 0.0, 0.0, 500000.0, 5200000.0, 0.0), True)


def directory(raster=1, projected=32633):
    return (34735, 3, 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, raster, 3072, 0, 1, projected), True)


def write(path, *tags):
    tifffile.imwrite(path, PIXELS, extratags=tags)
    return path


def test_the_corner_of_the_first_pixel_lies_at_the_tiepoint(tmp_path):
    geo = load_folder(write(tmp_path / "a.tif", SCALE, TIEPOINT, directory())).geo[0]
    assert geo.epsg == 32633
    assert_allclose(geo.to_world([(-0.5, -0.5), (0, 0), (19.5, 29.5)]),
                    [[500000, 5200000], [500000.25, 5199999.875], [500015, 5199995]])  # fmt: skip
    points = load_folder(write(tmp_path / "b.tif", SCALE, TIEPOINT, directory(raster=2))).geo[0]
    assert_allclose(points.to_world([(0, 0)]), [[500000, 5200000]])


def test_a_matrix_may_rotate(tmp_path):
    matrix = (34264, 12, 16, (0.0, 2.0, 0.0, 10.0, -2.0, 0.0, 0.0, 20.0, *[0.0] * 7, 1.0), True)
    geo = load_folder(write(tmp_path / "a.tif", matrix)).geo[0]
    assert geo.epsg is None
    assert_allclose(geo.to_world([(0.5, 1.5)]), [[10 + 2 * 1, 20 - 2 * 2]])


@pytest.mark.parametrize(
    "tags", [(), (SCALE,), (TIEPOINT,), ((33550, 12, 3, (0.0, 0.0, 0.0), True), TIEPOINT), (directory(),)]
)
def test_a_picture_without_a_whole_place_has_none(tmp_path, tags):
    assert load_folder(write(tmp_path / "a.tif", *tags)).geo == [None]


NUMBERS = st.floats(-1e6, 1e6)


@given(
    numbers=st.tuples(*[NUMBERS] * 6).filter(lambda n: abs(n[0] * n[4] - n[1] * n[3]) > 1e-3),
    points=st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)), max_size=4),
)
def test_pixels_and_places_are_inverse(numbers, points):
    geo = GeoTransform(*numbers)
    back = geo.to_pixels(geo.to_world(points))
    condition = np.linalg.cond([[geo.a, geo.b], [geo.d, geo.e]])
    if condition < 1e6:
        assert_allclose(back, np.reshape(points, (-1, 2)), atol=1e-3 * condition)


def test_points_are_written_in_the_coordinates_of_the_map(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name}.tif", SCALE, TIEPOINT, directory())
    data = load_folder(tmp_path)
    save_points(
        tmp_path / "points.geojson", [[(-0.5, 9.5)], [(3, 4)]], data.names, format="geojson", geo=data.geo
    )
    content = json.loads((tmp_path / "points.geojson").read_text())
    assert content["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    first, second = content["features"]
    assert first == {
        "type": "Feature",
        "properties": {"image": "a.tif"},
        "geometry": {"type": "Point", "coordinates": [500005.0, 5200000.0]},
    }
    assert second["properties"] == {"image": "b.tif"}
    save_points(
        tmp_path / "globe.geojson", [[(0, 0)]], format="geojson", geo=[GeoTransform(1, 0, 8, 0, -1, 47, 4326)]
    )
    assert "crs" not in json.loads((tmp_path / "globe.geojson").read_text())


def test_images_without_a_place_and_several_systems_are_refused(tmp_path):
    path = tmp_path / "points.geojson"
    geo = GeoTransform(1, 0, 0, 0, 1, 0, 4326)
    for given_geo in (None, [], [None], [geo, geo]):
        with pytest.raises(ValueError, match="`geo` must be the GeoTransform of each of the 1 images"):
            save_points(path, [[(0, 0)]], format="geojson", geo=given_geo)
    with pytest.raises(ValueError, match="one coordinate system; got EPSG"):
        save_points(path, [[], []], format="geojson", geo=[geo, geo._replace(epsg=32633)])
    assert not path.exists()
