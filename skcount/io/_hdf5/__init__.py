"""Images and their points in one HDF5 file: `save_hdf5`, its inverse `load_hdf5`, and what they agree on.

=============  ==================================================================================
_format.py     the names in the file, and what they stand for
_save.py       `save_hdf5`: checks what is to be written, and writes it in step
_writer.py     images into the file, one at a time
_load.py       `load_hdf5`: checks what a file holds
_source.py     images out of the file, one at a time
_codecs.py     pixels to the bytes of a chunk, and back; checksums
_h5py.py       the calls of h5py, and the only file of the package that imports it
=============  ==================================================================================
"""

from skcount.io._hdf5._load import load_hdf5
from skcount.io._hdf5._save import save_hdf5

__all__ = ["load_hdf5", "save_hdf5"]
