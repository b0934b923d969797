"""Points and targets: one array of (row, col) per image, and the function that decides what `y` is."""

from skcount.points._annotations import (
    PointAnnotations,
    check_inside,
    check_points,
    in_region,
    is_inside,
    is_on_image,
    pixels_of,
)
from skcount.points._polygons import polygon_mask, rasterize
from skcount.points._target import Target, check_maps, check_target, weighted_mean

__all__ = [
    "PointAnnotations",
    "Target",
    "check_inside",
    "check_maps",
    "check_points",
    "check_target",
    "in_region",
    "is_inside",
    "is_on_image",
    "pixels_of",
    "polygon_mask",
    "rasterize",
    "weighted_mean",
]
