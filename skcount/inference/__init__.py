"""Prediction: from a network and images to density maps, whole or in tiles, on any device and in ONNX files."""

from skcount.inference._factors import FactorFinder as FactorFinder
from skcount.inference._factors import nearest_factor as nearest_factor
from skcount.inference._memory import SMALL as SMALL
from skcount.inference._memory import bytes_per_pixel
from skcount.inference._memory import check_memory as check_memory
from skcount.inference._memory import refuse_out_of_memory as refuse_out_of_memory
from skcount.inference._onnx import export_onnx as export_onnx
from skcount.inference._out import check_out as check_out
from skcount.inference._predictor import Predictor as Predictor
from skcount.inference._predictor import check_device as check_device
from skcount.inference._predictor import computes_bf16 as computes_bf16
from skcount.inference._symmetries import Symmetry as Symmetry
from skcount.inference._symmetries import symmetries
from skcount.inference._tiles import receptive_field, tiles
from skcount.inference._tiles import tile_grid as tile_grid
from skcount.networks import inference_copy

__all__ = ["bytes_per_pixel", "inference_copy", "receptive_field", "symmetries", "tiles"]
