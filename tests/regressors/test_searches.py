"""What a fit says inside searches and cross-validation."""

import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcount import PointAnnotations, UNetRegressor
from skcount.datasets import make_cells
from skcount.metrics import count_mae_scorer
from skcount.regressors import _searches

GRID = {"sigma": [1, 2]}


@pytest.fixture(scope="module")
def cells():
    return make_cells(8, image_shape=(32, 32), random_state=0, return_X_y=True)


def unready():
    """A regressor that does not converge."""
    return UNetRegressor(filters=4, depth=2, max_epochs=1, random_state=0)


def told(do):
    """Return the messages about convergence."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        do()
    return [str(w.message) for w in caught if w.category is ConvergenceWarning]


def test_a_search_speaks_once(cells):
    regressor = unready()
    searches = [GridSearchCV(regressor, GRID, cv=2) for _ in range(2)]
    for search in searches:
        messages = told(partial(search.fit, *cells))
        assert len(messages) == 1
        assert "Further fits" in messages[0]
        assert search.best_estimator_.trained_on_["converged"] is False
    assert len(told(lambda: cross_val_score(unready(), *cells, cv=4))) == 1
    pipeline = make_pipeline(FunctionTransformer(), unready())
    assert len(told(lambda: cross_val_score(pipeline, *cells, cv=4))) == 1


def test_fits_of_ones_own_all_speak(cells):
    regressor = unready()
    for _ in range(2):
        messages = told(lambda: regressor.fit(*cells))
        assert len(messages) == 1
        assert "Further fits" not in messages[0]


def test_a_later_cross_validation_speaks_again(cells, monkeypatch):
    regressor = unready()
    assert len(told(lambda: cross_val_score(regressor, *cells, cv=2))) == 1
    monkeypatch.setattr(_searches, "PAUSE", 0)
    assert len(told(lambda: cross_val_score(regressor, *cells, cv=2))) == 2


@pytest.mark.parametrize("scoring", ["neg_mean_absolute_error", "r2", ["r2", "neg_mean_squared_error"]])
def test_a_list_that_scorers_cannot_read_is_refused_before_training(cells, scoring, monkeypatch):
    X, points = cells
    search = GridSearchCV(unready(), GRID, cv=2, scoring=scoring, refit=not isinstance(scoring, list))
    monkeypatch.setattr("skcount.regressors._fitting.train", lambda *_: pytest.fail("It was trained."))
    with pytest.raises(ValueError, match="Pass PointAnnotations") as caught:
        search.fit(X, list(points))
    assert str(caught.value).count("Traceback") == 1


@pytest.mark.parametrize("scoring", [None, count_mae_scorer])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_list_that_scorers_can_read_is_not_refused(cells, scoring):
    X, points = cells
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scores = cross_val_score(unready(), X, list(points), cv=2, scoring=scoring)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores, cross_val_score(unready(), X, points, cv=2, scoring=scoring))
    assert not [w for w in caught if "plain list" in str(w.message)]


def test_a_data_frame_of_all_points_is_refused_with_the_line_that_splits_it(cells):
    pandas = pytest.importorskip("pandas")
    X, points = cells
    names = [f"{number}.png" for number in range(len(X))]
    rows = [(name, *point) for name, array in zip(names, points, strict=True) for point in array]
    for columns in (["image", "row", "col"], ["Label", "Y", "X"]):
        y = pandas.DataFrame(rows, columns=columns)
        with pytest.raises(ValueError, match="data frame of all points") as caught:
            unready().fit(X, y)
        line = str(caught.value).partition("names` of the images of X: ")[2]
        space = {"y": y, "names": names, "PointAnnotations": PointAnnotations}
        exec(line, space)  # noqa: S102 - a user would paste it
        assert all(np.array_equal(one, other) for one, other in zip(space["y"], points, strict=True))


def test_points_that_are_mostly_outside_are_refused(cells):
    X, points = cells
    moved = PointAnnotations([array + 40 * (number % 4 > 0) for number, array in enumerate(points)])
    with pytest.raises(ValueError, match=r"outside their image.*Check the unit"):
        unready().fit(X, moved)
