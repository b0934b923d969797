"""Points <-> the files of annotation tools. `_formats` lists the formats, one file each; `_read` is the entry point."""

from skcount.io._annotations._contents import ImagePoints
from skcount.io._annotations._formats import FORMATS, find_files
from skcount.io._annotations._match import check_shapes, pair_by_name, plain_name, refuse_unpaired
from skcount.io._annotations._read import MATCH_PARAMETERS, READ_PARAMETERS, PointReader, read_points
from skcount.io._annotations._regions import read_regions
from skcount.io._annotations._save import check_names, save_points

__all__ = [
    "FORMATS",
    "MATCH_PARAMETERS",
    "READ_PARAMETERS",
    "ImagePoints",
    "PointReader",
    "check_names",
    "check_shapes",
    "find_files",
    "pair_by_name",
    "plain_name",
    "read_points",
    "read_regions",
    "refuse_unpaired",
    "save_points",
]
