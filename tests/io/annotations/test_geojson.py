import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skcount.io import read_points

NAME = "a.geojson"


def feature(kind, coordinates, name=None, role="annotation", **geometry):
    """What QuPath writes for an object."""
    properties = {"objectType": role}
    if name:
        properties["classification"] = {"name": name, "color": [200, 0, 0]}
    return {
        "type": "Feature",
        "id": "1b9c",
        "geometry": {"type": kind, "coordinates": coordinates, **geometry},
        "properties": properties,
    }


def collection(*features, **more):
    return {"type": "FeatureCollection", "features": features, **more}


def test_points_and_multi_points_are_measured_from_the_corner(write):
    features = [feature("MultiPoint", [[10.5, 12.5], [30.0, 40.0]]), feature("Point", [5.5, 6.5])]
    for content in (collection(*features), features):  # exported as FeatureCollection, or not
        assert_array_equal(read_points(write(content)).points[0], [[12, 10], [39.5, 29.5], [6, 5]])


def test_classes_have_to_be_chosen(write):
    path = write(
        collection(feature("MultiPoint", [[1, 1], [5, 5]], "Tumor"), feature("Point", [9, 9], "Stroma"))
    )
    with pytest.raises(ValueError, match=r"2 labels \('Tumor': 2, 'Stroma': 1\)"):
        read_points(path)
    assert read_points(path, labels="Tumor").points.counts.tolist() == [2]


def test_detections_are_counted_at_their_centre_of_mass_and_regions_are_refused(write):
    square = [[[2, 4], [6, 4], [6, 8], [2, 8], [2, 4]]]
    assert_allclose(
        read_points(write(collection(feature("Polygon", square, role="cell")))).points[0], [[5.5, 3.5]]
    )
    with pytest.raises(ValueError, match="shapes must be points; got Polygon"):
        read_points(write(collection(feature("Polygon", square))))


@given(
    centre=st.tuples(st.floats(1e3, 1e5), st.floats(1e3, 1e5)),
    radius=st.floats(2, 50),
    n_corners=st.integers(3, 30),
    turn=st.floats(0, 6),
)
def test_the_centre_of_a_regular_polygon_is_its_centre_of_mass(write, centre, radius, n_corners, turn):
    angles = turn + 2 * np.pi * np.arange(n_corners + 1) / n_corners
    ring = np.column_stack([centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)])
    path = write(collection(feature("Polygon", [ring.tolist()], role="detection")))
    assert_allclose(read_points(path).points[0], [[centre[1] - 0.5, centre[0] - 0.5]], atol=1e-6)


def test_planes_of_a_stack_and_places_on_the_globe_are_told(write):
    planes = [feature("Point", [i, 5], plane={"c": -1, "z": i, "t": 0}) for i in (2, 3, 3)]
    path = write(collection(*planes))
    with pytest.raises(ValueError, match=r"'z' varies .*slice_column='z'"):
        read_points(path)
    assert read_points(path, slice_column="z", duplicates="keep").names == ["2", "3"]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    with pytest.raises(ValueError, match="coordinates are on the globe"):
        read_points(write(collection(feature("Point", [8.5, 47.4]), crs=crs)))
