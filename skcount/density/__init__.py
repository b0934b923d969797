"""Points -> density maps, and back."""

from skcount.density._diameter import estimate_diameter
from skcount.density._gaussian import gaussian_density
from skcount.density._peaks import find_points
from skcount.density._transformer import DensityMapTransformer

__all__ = ["DensityMapTransformer", "estimate_diameter", "find_points", "gaussian_density"]
