"""Displays of counts, density maps, trainings and searches, in the form of scikit-learn's displays."""

from skcount.plotting._annotations import AnnotationDisplay, find_mistakes  # noqa: F401 - the latter for skcount.cli
from skcount.plotting._count_error import CountErrorDisplay
from skcount.plotting._density_map import DensityMapDisplay
from skcount.plotting._search import SearchDisplay
from skcount.plotting._training_history import TrainingHistoryDisplay

__all__ = [
    "AnnotationDisplay",
    "CountErrorDisplay",
    "DensityMapDisplay",
    "SearchDisplay",
    "TrainingHistoryDisplay",
]
