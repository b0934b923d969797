"""Read polygons: GeoJSON of QuPath and others, and selections of ImageJ."""

from pathlib import Path

import numpy as np
from sklearn.utils._param_validation import validate_params

from skcount._optional import import_optional
from skcount.io._annotations._imagej import load_selections
from skcount.io._annotations._load import as_dict, as_field, as_list, as_pair, load_json, shown


@validate_params({"path": [str, Path]}, prefer_skip_nested_validation=True)
def read_regions(path):
    """Read the outlines of regions, for `skcount.evaluation.count_regions`.

    Parameters
    ----------
    path : str or Path
        GeoJSON with polygons in pixels of the image, as QuPath exports them (.geojson, .json), or selections of ImageJ
        with an area (.roi, or a .zip of them).

    Returns
    -------
    regions : dict of str to list of ndarray of shape (n_corners, 2)
        Outlines by the name of the region, and the outlines of its holes: (row, col) in pixels, where whole numbers are the
        centres of pixels. Regions without a name are "1", "2" and so on, by their place in the file.

    Raises
    ------
    ValueError
        If the file holds something else than areas, two regions have one name, or coordinates are on the globe.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> from skcount.io import read_regions
    >>> square = {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 2], [0, 2], [0, 0]]]}
    >>> feature = {"type": "Feature", "geometry": square, "properties": {"name": "tumor"}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "regions.geojson")
    ...     _ = path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    ...     regions = read_regions(path)
    >>> regions["tumor"][0].max(axis=0)  # the last row and column, and half a pixel
    array([1.5, 3.5])
    """
    path = Path(path)
    try:
        found = (
            _of_geojson(load_json(path)) if path.suffix.lower() in {".geojson", ".json"} else _of_imagej(path)
        )
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as regions: {error}") from error
    if not found:
        raise ValueError(f"{path} has no regions.")
    regions = {}
    for number, (name, rings) in enumerate(found, start=1):
        name = name or str(number)
        if name in regions:
            raise ValueError(f"{path} has two regions with the name {name!r}. Give each a name of its own.")
        regions[name] = [
            np.asarray(ring, dtype=np.float64)[:, ::-1] - 0.5 for ring in rings
        ]  # from corners to centres
    return regions


def _of_geojson(content):
    """Return the name and the rings (x, y) of each polygon."""
    if isinstance(content, dict) and content.get("crs") is not None:
        raise ValueError("its coordinates are on the globe ('crs'); expected pixels of the image.")
    features = content if isinstance(content, list) else content.get("features", [content])
    return [_of_feature(as_dict(feature, "each feature")) for feature in as_list(features, "the features")]


def _of_feature(feature):
    """Return the name and the rings (x, y) of one feature."""
    geometry = as_dict(feature.get("geometry"), "the geometry of each feature")
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind not in {"Polygon", "MultiPolygon"}:
        raise ValueError(
            f"it has a {as_field(kind) or shown(geometry)}; expected polygons. Export the annotations with an area."
        )
    polygons = [coordinates] if kind == "Polygon" else as_list(coordinates, "the polygons")
    rings = [
        [as_pair(pair, "each corner") for pair in as_list(ring, "each outline")]
        for polygon in polygons
        for ring in as_list(polygon, "each polygon")
    ]
    if not rings or min(map(len, rings)) < 3:
        raise ValueError("an outline must have at least three corners.")
    properties = as_dict(feature.get("properties") or {}, "the properties of a feature")
    classes = as_dict(properties.get("classification") or {}, "the classification")
    return as_field(properties.get("name") or classes.get("name")), rings


def _of_imagej(path):
    """Return the name and the rings (x, y) of each selection."""
    roifile = import_optional("roifile", "Reading selections of ImageJ")
    kinds = roifile.ROI_TYPE
    areas = {kinds.POLYGON, kinds.RECT, kinds.OVAL, kinds.FREEHAND, kinds.TRACED}
    found = []
    for name, content in load_selections(path):
        try:
            roi = roifile.ImagejRoi.frombytes(content)
            rings = roi.coordinates(multi=True)
        except Exception as error:  # roifile's errors on damaged files are of any kind
            raise ValueError(f"{name or 'it'} is no selection of ImageJ: {error}. Save it again.") from error
        if not roi.composite and roi.roitype not in areas:
            raise ValueError(
                f"{name or 'it'} is a selection of the kind {roi.roitype.name}; expected an area."
            )
        rings = rings if isinstance(rings, list) else [rings]
        if min(map(len, rings)) < 3 or not all(np.isfinite(ring).all() for ring in rings):
            raise ValueError(
                f"{name or 'it'} has an outline with fewer than three corners, or without coordinates."
            )
        found.append((roi.name, rings))
    return found
