"""Data sets: generated ones (`make_*`) and real ones (`fetch_*`)."""

from skcount.datasets._cells import make_cells
from skcount.datasets._fetch import get_data_home
from skcount.datasets._mall import fetch_mall
from skcount.datasets._ucsd import fetch_ucsd_pedestrians, ucsd_annotations
from skcount.datasets._vgg_cells import fetch_vgg_cells

__all__ = [
    "fetch_mall",
    "fetch_ucsd_pedestrians",
    "fetch_vgg_cells",
    "get_data_home",
    "make_cells",
    "ucsd_annotations",
]
