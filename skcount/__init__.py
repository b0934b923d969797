"""Count objects in images, learning from one dot per object.

`import skcount` stays light: torch is imported only when a regressor or network is first used.
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
    "OutOfDistributionWarning": "images",
    "load": "regressors",
    "load_pretrained": "regressors",
}

__all__ = [
    "DensityMapRegressor",
    "DensityMapTransformer",
    "FCRNRegressor",
    "ImageSet",
    "OutOfDistributionWarning",
    "PointAnnotations",
    "UNetRegressor",
    "annotate",
    "datasets",
    "density",
    "evaluation",
    "inference",
    "io",
    "load",
    "load_pretrained",
    "losses",
    "metrics",
    "networks",
    "plotting",
]


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(f"skcount.{_HOMES[name]}"), name)
    if name in __all__:
        return import_module(f"skcount.{name}")
    raise AttributeError(f"module 'skcount' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
