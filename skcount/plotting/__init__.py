"""Pictures of counts, in the form of scikit-learn's displays."""

from skcount.plotting._density_map import DensityMapDisplay

__all__ = ["DensityMapDisplay"]
