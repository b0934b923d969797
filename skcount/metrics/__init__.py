"""Metrics: errors of counts, and errors of counts in parts of the images."""

from skcount.metrics._counts import (
    count_bias,
    count_mean_absolute_error,
    count_normalized_absolute_error,
    count_root_mean_squared_error,
)
from skcount.metrics._game import (
    cell_counts,  # noqa: F401 - for skcount.evaluation
    cell_of,  # noqa: F401 - for skcount.evaluation
    grid_average_mean_absolute_error,
)
from skcount.metrics._scorers import (
    CountScorer,
    GAMEScorer,
    count_mae_scorer,
    count_nae_scorer,
    count_rmse_scorer,
)

__all__ = [
    "CountScorer",
    "GAMEScorer",
    "count_bias",
    "count_mae_scorer",
    "count_mean_absolute_error",
    "count_nae_scorer",
    "count_normalized_absolute_error",
    "count_rmse_scorer",
    "count_root_mean_squared_error",
    "grid_average_mean_absolute_error",
]
