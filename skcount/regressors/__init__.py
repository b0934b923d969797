"""Regressors: fit, predict, score."""

from skcount.regressors._density_map import DensityMapRegressor
from skcount.regressors._fcrn import FCRNRegressor
from skcount.regressors._pretrained import load_pretrained
from skcount.regressors._pretrained import pretrained_file as pretrained_file
from skcount.regressors._save import load
from skcount.regressors._unet import UNetRegressor

__all__ = ["DensityMapRegressor", "FCRNRegressor", "UNetRegressor", "load", "load_pretrained"]
