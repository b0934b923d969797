"""Files <-> arrays: folders of pictures, annotations of many tools, HDF5."""

from skcount.io._annotations import read_points, save_points
from skcount.io._folder import load_folder
from skcount.io._hdf5 import load_hdf5, save_hdf5

__all__ = ["load_folder", "load_hdf5", "read_points", "save_hdf5", "save_points"]
