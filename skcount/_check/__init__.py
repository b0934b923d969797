"""The one door for user input: tell what came, refuse what is wrong. Inside the package nothing is checked again.

>>> import numpy as np
>>> check_map("roi", np.array([[0, 1], [1, 1]]), None, (2, 2))
array([[False,  True],
       [ True,  True]])
"""

from skcount._check._kinds import (
    as_array,
    check_length,
    entry_ndim,
    is_array,
    is_lazy,
    is_list_like,
    is_map,
    is_table,
    without_index,
)
from skcount._check._maps import ImageMaps, Subset, check_perspective, check_roi, empty_maps
from skcount._check._memory import free_memory
from skcount._check._side_data import check_groups, check_map, check_map_dtype, map_owner

__all__ = [
    "ImageMaps",
    "Subset",
    "as_array",
    "check_groups",
    "check_length",
    "check_map",
    "check_map_dtype",
    "check_perspective",
    "check_roi",
    "empty_maps",
    "entry_ndim",
    "free_memory",
    "is_array",
    "is_lazy",
    "is_list_like",
    "is_map",
    "is_table",
    "map_owner",
    "without_index",
]
