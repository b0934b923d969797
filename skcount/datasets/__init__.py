"""Data sets: generated, fetched, and kept in HDF5 files."""

from skcount.datasets._cells import make_cells
from skcount.datasets._hdf5 import load_hdf5, save_hdf5
from skcount.datasets._image_set import ImageSet
from skcount.datasets._vgg_cells import fetch_vgg_cells

__all__ = ["ImageSet", "fetch_vgg_cells", "load_hdf5", "make_cells", "save_hdf5"]
