"""Files <-> arrays: folders of pictures, annotations from many tools, HDF5."""

from skcount.io._annotations import check_names, read_points, read_regions, save_points  # noqa: F401 - for skcount.cli
from skcount.io._archives import ArchiveError, check_magic, open_archive  # noqa: F401 - for skcount.datasets
from skcount.io._folder import load_folder
from skcount.io._geo import GeoTransform
from skcount.io._hdf5 import load_hdf5, save_hdf5
from skcount.io._matlab import load_mat  # noqa: F401 - for skcount.datasets
from skcount.io._pictures import DAMAGE, without_warnings  # noqa: F401 - for skcount.datasets

__all__ = [
    "GeoTransform",
    "load_folder",
    "load_hdf5",
    "read_points",
    "read_regions",
    "save_hdf5",
    "save_points",
]
