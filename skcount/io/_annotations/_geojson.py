"""Format "geojson": points of QuPath as GeoJSON, (x, y) in pixels of the full-size image, measured from its corner.

Points and multi-points are objects; cells and detections are counted at the centre of mass of their outline. Other outlines
are rejected, because an annotation may be a region. Coordinates on the globe are rejected.
"""

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import (
    as_dict,
    as_field,
    as_fields,
    as_list,
    as_pair,
    has_lists,
    load_json,
    shown,
)

_CELLS = {"detection", "cell", "tile"}


def read_geojson(content):
    """Return the points of all features; labels are the names of their classifications."""
    if isinstance(content, dict) and content.get("crs") is not None:
        raise ValueError(
            "its coordinates are on the globe ('crs'); expected pixels of the image. Convert them with the transform of the "
            "image."
        )
    features = content if isinstance(content, list) else content.get("features", [content])
    rows = [
        (place, kind, _properties(feature))
        for feature in as_list(features, "the features")
        for place, kind in _places(as_dict(feature, "each feature"))
    ]
    labels = [properties.pop("classification") for _, _, properties in rows]
    return Contents(
        np.array([place for place, _, _ in rows], dtype=np.float64).reshape(-1, 2),
        labels=labels,
        label_field="classification",
        known_labels=labels,
        kinds=[kind for _, kind, _ in rows],
        fields=as_fields([properties for _, _, properties in rows]),
    )


def _properties(feature):
    """Return the classification and what else a feature says about its objects."""
    properties = feature.get("properties") or {}
    properties = as_dict(properties, "the properties of a feature")
    classes = properties.get("classification") or {}
    name = as_dict(classes, "the classification").get("name") or ": ".join(
        map(as_field, as_list(classes.get("names"), "the names of a class"))
    )
    plane = as_dict(feature.get("geometry"), "the geometry").get("plane") or {}
    own = {name: value for name, value in properties.items() if isinstance(value, str | int | float)}
    for used in ("objectType", "object_type", "isLocked", "color", "colorRGB"):
        own.pop(used, None)
    return (
        own
        | {axis: as_dict(plane, "the plane").get(axis, 0) for axis in "czt"}
        | {"classification": as_field(name)}
    )


def _places(feature):
    """Return the places (x, y) of a feature, each with None or the kind of a shape that is not a point."""
    geometry = as_dict(feature.get("geometry"), "the geometry of each feature")
    kind, coordinates = as_field(geometry.get("type")), geometry.get("coordinates")
    if kind == "Point":
        return [(as_pair(coordinates, "each point"), None)]
    if kind == "MultiPoint":
        return [(as_pair(pair, "each point"), None) for pair in as_list(coordinates, "the points")]
    properties = feature.get("properties") if isinstance(feature.get("properties"), dict) else {}
    role = as_field(properties.get("objectType") or properties.get("object_type") or feature.get("id"))
    if kind == "Polygon" and (
        role in _CELLS or role.removeprefix("PathDetection") != role or role == "PathCellObject"
    ):
        rings = as_list(coordinates, "the outline")
        return [(_centre_of_mass(as_list(rings[0] if rings else None, "the outline")), None)]
    return [((np.nan, np.nan), kind or shown(geometry))]


def _centre_of_mass(ring):
    """Return the centre of mass of a polygon; of an outline without area, the mean of its corners."""
    corners = np.array([as_pair(pair, "each corner of an outline") for pair in ring]).reshape(-1, 2)
    if not len(corners):
        raise ValueError("an outline must have corners; got none.")
    middle = corners.mean(axis=0)  # near the polygon, so that products stay small
    x, y = (corners - middle).T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    area = cross.sum() / 2
    if abs(area) < 1e-9:
        return middle
    return middle + [((a + np.roll(a, -1)) * cross).sum() / (6 * area) for a in (x, y)]


def _matches(content):
    if isinstance(content, list):
        return bool(content) and all(
            isinstance(item, dict) and item.get("type") == "Feature" for item in content
        )
    return isinstance(content, dict) and (
        (content.get("type") == "FeatureCollection" and has_lists(content, "features"))
        or content.get("type") == "Feature"
    )


GEOJSON = Format(
    "geojson",
    (".geojson", ".json"),
    load_json,
    read_geojson,
    order="xy",
    origin=0.5,
    options=("slice_column", "slices", "labels", "label_column", "where", "ignore", "first"),
    matches=_matches,
    signs="the features of GeoJSON, as QuPath exports them",
)
