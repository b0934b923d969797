"""Images and their points in one HDF5 file: `save_hdf5` and its inverse `load_hdf5`. docs/hdf5.md describes the file."""

from skcount.io._hdf5._save import save_hdf5
from skcount.io._hdf5._store import load_hdf5

__all__ = ["load_hdf5", "save_hdf5"]
