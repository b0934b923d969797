"""Data sets: generated, fetched, and kept in HDF5 files."""

from skcount.datasets._cells import make_cells
from skcount.datasets._fetch import get_data_home
from skcount.datasets._folder import load_folder
from skcount.datasets._hdf5 import load_hdf5, save_hdf5
from skcount.datasets._image_set import ImageSet
from skcount.datasets._mall import fetch_mall
from skcount.datasets._point_files import read_points, save_points
from skcount.datasets._ucsd import fetch_ucsd_pedestrians, ucsd_annotations
from skcount.datasets._vgg_cells import fetch_vgg_cells

__all__ = [
    "ImageSet",
    "fetch_mall",
    "fetch_ucsd_pedestrians",
    "fetch_vgg_cells",
    "get_data_home",
    "load_folder",
    "load_hdf5",
    "make_cells",
    "read_points",
    "save_hdf5",
    "save_points",
    "ucsd_annotations",
]
