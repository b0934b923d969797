"""Count objects in images from one dot each.

`import skcount` stays light: torch is imported with the first regressor or network that is touched.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "DensityMapTransformer": "density",
    "DensityMapRegressor": "regressors",
    "UNetRegressor": "regressors",
    "FCRNRegressor": "regressors",
    "PointAnnotations": "points",
    "ImageSet": "images",
    "load": "regressors",
}
_MODULES = ["datasets", "density", "io", "metrics", "networks", "plotting", "testing"]

__all__ = [
    "DensityMapRegressor",
    "DensityMapTransformer",
    "FCRNRegressor",
    "ImageSet",
    "PointAnnotations",
    "UNetRegressor",
    "load",
]
__all__ += ["datasets", "density", "io", "metrics", "networks", "plotting", "testing"]


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(f"skcount.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"skcount.{name}")
    raise AttributeError(f"module 'skcount' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
