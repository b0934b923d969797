"""Points <-> the files of people's tools. One module a format; `_read` chooses among them.

A new format is a module with a reader from a path to `Contents`, and a row of the table in `_read`.
"""

from skcount.io._annotations._contents import ImagePoints
from skcount.io._annotations._names import pair_by_name, refuse_unpaired
from skcount.io._annotations._outside import check_inside
from skcount.io._annotations._read import (
    PointReader,
    candidates,
    check_choice,
    check_shapes,
    read_points,
)
from skcount.io._annotations._save import save_points

__all__ = [
    "ImagePoints",
    "PointReader",
    "candidates",
    "check_choice",
    "check_inside",
    "check_shapes",
    "pair_by_name",
    "read_points",
    "refuse_unpaired",
    "save_points",
]
