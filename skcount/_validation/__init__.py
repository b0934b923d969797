"""User input -> clean arrays: the one door through which images and targets come in.

Inside the package nothing is checked again. An image is read as a float array
``(n_channels, height, width)``: integer pixels scaled by their type's range, float pixels as they are.

>>> import numpy as np
>>> images = check_images(np.zeros((3, 8, 10), dtype=np.uint8))
>>> len(images), images.n_channels, images.shapes[0]
(3, 1, (8, 10))
"""

from skcount._validation._belongings import check_groups, check_map, check_map_dtype, map_owner
from skcount._validation._images import Images, as_pixels, check_finite, check_images, scale_pixels
from skcount._validation._kinds import (
    as_array,
    check_length,
    entry_ndim,
    is_list_like,
    is_map,
    is_table,
    without_index,
)
from skcount._validation._maps import ImageMaps, check_perspective, check_roi, empty_maps
from skcount._validation._memory import free_memory

__all__ = [
    "ImageMaps",
    "Images",
    "as_array",
    "as_pixels",
    "check_finite",
    "check_groups",
    "check_images",
    "check_length",
    "check_map",
    "check_map_dtype",
    "check_perspective",
    "check_roi",
    "empty_maps",
    "entry_ndim",
    "free_memory",
    "is_list_like",
    "is_map",
    "is_table",
    "map_owner",
    "scale_pixels",
    "without_index",
]
