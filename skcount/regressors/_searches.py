"""Errors and warnings of the many fits of a search or a cross-validation."""

import sys
import warnings
from functools import cache
from multiprocessing import current_process
from time import monotonic
from weakref import ref

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection._search import BaseSearchCV

# Seconds between the fits of one family of clones after which they belong to another search.
PAUSE = 60


def refuse_list(regressor):
    """Reject a plain list of points if the search or cross-validation that fits this clone scores with scikit-learn's own.

    These scorers fail on such a list, with a traceback per fold, after hours of training. scikit-learn does not tell an
    estimator how it will be scored, so its frames are looked at; if that finds nothing, a warning must do.
    """
    scorers = _scorers_in_use()
    if any(_needs_numbers(scorer) for scorer in scorers):
        raise ValueError(
            "y is a plain list of points, which scikit-learn's scorers ('neg_mean_absolute_error', 'r2', ...) cannot read. "
            "Pass PointAnnotations(points) instead: every scorer accepts it."
        )
    if vars(regressor).get("_is_clone") and not scorers and _search_in_use() is None:
        warn_of_list()


def _scorers_in_use():
    """Return the scorers of the search or cross-validation that is running in this thread, or nothing."""
    for frame in _frames("_fit_and_score"):
        if "sklearn" in frame.f_code.co_filename:
            scorer = frame.f_locals.get("scorer")
            scorers = getattr(scorer, "_scorers", scorer)  # several
            return list(scorers.values()) if isinstance(scorers, dict) else [scorers]
    return []


def _needs_numbers(scorer):
    """Return whether a scorer is one of scikit-learn's functions of counts."""
    return getattr(getattr(scorer, "_score_func", None), "__module__", "").startswith("sklearn.")


def _search_in_use():
    """Return the search that is running in this thread, or None."""
    running = (frame.f_locals.get("self") for frame in _frames("fit"))
    return next((search for search in running if isinstance(search, BaseSearchCV)), None)


def _frames(name):
    """Yield the frames of this thread that run a function of this name, the innermost first."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == name:
            yield frame
        frame = frame.f_back


# Family of clones -> when its last fit ended, in which search (a weak reference), and whether a failure of it was told.
_last_fits = {}


def warn_of_failure(failure, family, began):
    """Warn of a training that has not converged; of those that a search does one after another, once.

    `family` names the clones of one regressor and is None for one that is no clone; `began` is when its fit began.
    """
    if family is None and current_process().name != "MainProcess":
        family = "workers"  # a clone loses its family on the way to another process
    if family is None:
        if failure is not None:
            warnings.warn(failure, ConvergenceWarning, stacklevel=4)
        return
    search = _search_in_use()
    ended, earlier, is_told = _last_fits.get(family, (-np.inf, lambda: None, False))
    is_told = is_told and began - ended < PAUSE and earlier() is search
    if failure is not None and not is_told:
        is_told = True
        warnings.warn(
            f"{failure} Further fits of this search or cross-validation may fail too, and are not told of; see "
            "`trained_on_['converged']` of each.",
            ConvergenceWarning,
            stacklevel=4,
        )
    _last_fits[family] = monotonic(), (lambda: None) if search is None else ref(search), is_told


@cache
def warn_of_list():
    """Warn, once per process, that the scores of a search or a cross-validation may all be NaN."""
    warnings.warn(
        "y is a plain list of points, and this regressor is a clone, as made by searches and cross-validation. "
        "scikit-learn's scorers ('neg_mean_absolute_error', 'r2', ...) return NaN for such a list. Pass "
        "PointAnnotations(points) instead: every scorer accepts it.",
        UserWarning,
        stacklevel=2,
    )
