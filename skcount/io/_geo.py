"""Places of pictures on the globe: the tags of a GeoTIFF, and points as GeoJSON in the coordinates of the map."""

import math
from typing import NamedTuple

import numpy as np

# Tags of GeoTIFF 1.1 (OGC 19-008r4), and keys of its directory.
_SCALE, _TIEPOINT, _MATRIX, _DIRECTORY = 33550, 33922, 34264, 34735
_MODEL, _RASTER, _GEOGRAPHIC, _PROJECTED = 1024, 1025, 2048, 3072
_POINT = 2  # of _RASTER: coordinates are those of the centres of pixels, not of their corners
_USER_DEFINED = 32767
_CRS84 = 4326


class GeoTransform(NamedTuple):
    """Affine map from pixels to a coordinate reference system, as in the tags of a GeoTIFF.

    The centre of pixel (row, col) lies at ``x = a * col + b * row + c`` and ``y = d * col + e * row + f``.

    Parameters
    ----------
    a, b, c, d, e, f : float
        Coefficients, in units of the system. If north is up, `a` is the width of a pixel, ``-e`` its height, `b` and
        `d` are 0, and (`c`, `f`) is the centre of the top-left pixel.
    epsg : int or None, default=None
        Number of the system in the EPSG registry; None if it is not known.

    See Also
    --------
    load_folder : Reads the transforms of GeoTIFF pictures.
    save_points : Writes points in the coordinates of the map.

    Examples
    --------
    >>> from skcount.io import GeoTransform
    >>> geo = GeoTransform(0.5, 0, 500000, 0, -0.5, 5200000, epsg=32633)
    >>> geo.to_world([(0, 0), (10, 4)])
    array([[ 500000., 5200000.],
           [ 500002., 5199995.]])
    >>> geo.to_pixels([(500002, 5199995)])
    array([[10.,  4.]])
    """

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float
    epsg: int | None = None

    def to_world(self, points):
        """Return points in the coordinates of the system.

        Parameters
        ----------
        points : array-like of shape (n_points, 2)
            Points as (row, col) in pixels.

        Returns
        -------
        ndarray of shape (n_points, 2)
            The points as (x, y) in units of the system.
        """
        row, col = np.asarray(points, dtype=np.float64).reshape(-1, 2).T
        return np.column_stack([self.a * col + self.b * row + self.c, self.d * col + self.e * row + self.f])

    def to_pixels(self, places):
        """Return places of the system in pixels of the image.

        Parameters
        ----------
        places : array-like of shape (n_points, 2)
            Places as (x, y) in units of the system.

        Returns
        -------
        ndarray of shape (n_points, 2)
            The places as (row, col) in pixels.
        """
        x, y = np.asarray(places, dtype=np.float64).reshape(-1, 2).T - [[self.c], [self.f]]
        determinant = self.a * self.e - self.b * self.d
        return np.column_stack([self.a * y - self.d * x, self.e * x - self.b * y]) / determinant


def read_geo_tags(tags):
    """Return the `GeoTransform` of the tags of a page of a TIFF, or None if it has none."""
    values = {code: _numbers(tags[code].value) for code in (_SCALE, _TIEPOINT, _MATRIX) if code in tags}
    keys = _read_keys(tags[_DIRECTORY].value) if _DIRECTORY in tags else {}
    if len(values.get(_MATRIX, ())) == 16:
        a, b, _, c, d, e, _, f = values[_MATRIX][:8]
    elif len(values.get(_SCALE, ())) >= 2 and len(values.get(_TIEPOINT, ())) == 6:
        col, row, _, x, y, _ = values[_TIEPOINT]
        a, e, b, d = values[_SCALE][0], -values[_SCALE][1], 0.0, 0.0
        c, f = x - a * col, y - e * row
    else:
        return None
    if keys.get(_RASTER) != _POINT:  # from the corner of the first pixel to its centre
        c, f = c + (a + b) / 2, f + (d + e) / 2
    if not all(map(math.isfinite, (a, b, c, d, e, f))) or a * e == b * d:
        return None
    epsg = next(
        (keys[key] for key in (_PROJECTED, _GEOGRAPHIC) if keys.get(key) not in {None, 0, _USER_DEFINED}),
        None,
    )
    return GeoTransform(a, b, c, d, e, f, epsg)


def _numbers(value):
    """Return the numbers of a tag."""
    values = value if isinstance(value, tuple | list) else (value,)
    return [float(number) for number in values if isinstance(number, int | float)]


def _read_keys(value):
    """Return the keys of the directory that hold a number."""
    numbers = [int(number) for number in _numbers(value) if math.isfinite(number)]
    entries = [numbers[start : start + 4] for start in range(4, len(numbers) - 3, 4)]
    return {key: number for key, place, _, number in entries if place == 0}


def to_geojson(points, names, transforms):
    """Return the points of images as a GeoJSON FeatureCollection, in the coordinates of their common system."""
    features = [
        {
            "type": "Feature",
            "properties": {} if names is None else {"image": name},
            "geometry": {"type": "Point", "coordinates": place},
        }
        for name, array, transform in zip(names or [None] * len(points), points, transforms, strict=True)
        for place in transform.to_world(array).tolist()
    ]
    content = {"type": "FeatureCollection", "features": features}
    epsg = transforms[0].epsg
    if epsg not in {None, _CRS84}:  # the default of GeoJSON is longitude and latitude
        content["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{epsg}"}}
    return content
