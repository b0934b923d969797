"""Every tool of scikit-learn and of related libraries, with images and points: it works, or it raises a clear error.

The table in docs/tools.md comes from these tests: `python tests/test_tools.py` writes it.
"""

import os
from collections import namedtuple
from contextlib import chdir
from pathlib import Path

import joblib
import numpy as np
import pytest
import sklearn
import sklearn.experimental.enable_halving_search_cv
import torch
from sklearn import config_context, inspection, model_selection
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import AdaBoostRegressor, BaggingRegressor, StackingRegressor, VotingRegressor
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.linear_model import LinearRegression
from sklearn.metrics import PredictionErrorDisplay
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.fixes import parse_version

from skcount import DensityMapRegressor, ImageSet, PointAnnotations, UNetRegressor
from skcount.datasets import make_cells

PAGE = Path(__file__).parents[1] / "docs" / "tools.md"
X, POINTS = make_cells(12, image_shape=(24, 24), n_cells=(1, 8), radius=3, random_state=0, return_X_y=True)
CLIPS = np.repeat(np.arange(4), 3)

Tool = namedtuple("Tool", "section name note prove needs error")
TOOLS = []


def works(section, name, needs=None):
    """Put a tool into the table; the function below it says how, and proves it."""
    return lambda prove: TOOLS.append(Tool(section, name, note_of(prove), prove, needs, None)) or prove


def fails(section, name, error):
    """Put a tool into the table that cannot work; each of what the function below it returns raises `error`."""
    return lambda prove: TOOLS.append(Tool(section, name, note_of(prove), prove, None, error)) or prove


def note_of(prove):
    return " ".join(prove.__doc__.split())


def small(**params):
    return UNetRegressor(**{"filters": 2, "max_epochs": 1, "random_state": 0, **params})


def by_hand(train, test, **params):
    return small(**params).fit(X[train], POINTS[train]).predict(X[test])


def mae(predicted, test):
    return np.abs(predicted - POINTS[test].counts).mean()


SEARCHES, EVALUATION = "Searches", "Evaluation"
COMPOSITION, NEIGHBOURS = "Composition and ensembles", "Other libraries"


@works(SEARCHES, "`GridSearchCV`")
def grid_search():
    """any parameter: `sigma`, `architecture`, `loss`, `density__kernel`, ..."""
    quick = {"architecture_params": [{"filters": 2}], "loss": ["mse", "bayesian"], "sigma": [1, 2]}
    grid = [{"architecture": ["fcrn_a"]}, {"architecture": ["unet"], **quick}]
    regressor = DensityMapRegressor(max_epochs=1, random_state=0)
    search = GridSearchCV(regressor, grid, cv=2, scoring="neg_mean_absolute_error")
    search.fit(X[:4], POINTS[:4])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.predict(X).shape == (12,)


@works(SEARCHES, "`RandomizedSearchCV`")
def randomized_search():
    """also with distributions"""
    from scipy.stats import loguniform

    search = model_selection.RandomizedSearchCV(
        small(), {"sigma": loguniform(0.5, 4), "filters": [2, 4]}, n_iter=3, cv=2, random_state=0
    )
    search.fit(X, POINTS)
    assert len(set(search.cv_results_["param_sigma"])) == 3
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@works(SEARCHES, "`HalvingGridSearchCV`")
def halving_search():
    """with `resource="max_epochs"`, which needs `max_resources`, or `"n_samples"`"""
    grid = {"sigma": [1, 2, 4]}
    budget = {"resource": "max_epochs", "min_resources": 1, "max_resources": 9}
    search = model_selection.HalvingGridSearchCV(small(), grid, cv=2, **budget)
    search.fit(X, POINTS)
    assert search.n_resources_ == [1, 3]
    assert search.best_estimator_.n_iter_ == 3
    by_samples = model_selection.HalvingGridSearchCV(small(), grid, min_resources=4, cv=2, random_state=0)
    assert by_samples.fit(X, POINTS).n_resources_ == [4, 12]


@works(EVALUATION, "`cross_val_score`, `cross_validate`")
def cross_validation():
    """any scorer, including those of scikit-learn, with `PointAnnotations`"""
    folds = list(KFold(2).split(X))
    expected = [-mae(by_hand(train, test), test) for train, test in folds]
    for scoring in (None, "neg_mean_absolute_error"):
        scores = model_selection.cross_val_score(small(), X, POINTS, cv=2, scoring=scoring)
        np.testing.assert_allclose(scores, expected)
    several = ["r2", "neg_mean_squared_error", "neg_median_absolute_error", "explained_variance"]
    scores = model_selection.cross_validate(small(), X, POINTS, cv=2, scoring=several, error_score="raise")
    assert all(np.isfinite(scores[f"test_{name}"]).all() for name in several)


@works(EVALUATION, "`cross_val_predict`")
def cross_val_predict():
    """out-of-fold counts"""
    predicted = model_selection.cross_val_predict(small(), X, POINTS, cv=2)
    expected = [by_hand(train, test) for train, test in KFold(2).split(X)]
    np.testing.assert_array_equal(predicted, np.concatenate(expected))


@works(EVALUATION, "`learning_curve`, `LearningCurveDisplay`")
def learning_curve():
    """over the number of images"""
    options = {"train_sizes": [0.5, 1.0], "cv": 2, "error_score": "raise"}
    sizes, train, test = model_selection.learning_curve(small(), X, POINTS, **options)
    assert sizes.tolist() == [3, 6]
    assert np.isfinite([train, test]).all()
    display = model_selection.LearningCurveDisplay.from_estimator(small(), X, POINTS, **options)
    np.testing.assert_array_equal(display.test_scores, test)


@works(EVALUATION, "`validation_curve`, `ValidationCurveDisplay`")
def validation_curve():
    """over any parameter"""
    options = {"param_name": "sigma", "param_range": [1, 3], "cv": 2}
    _, test = model_selection.validation_curve(small(), X, POINTS, error_score="raise", **options)
    display = model_selection.ValidationCurveDisplay.from_estimator(small(), X, POINTS, **options)
    np.testing.assert_array_equal(display.test_scores, test)


@works(EVALUATION, "`permutation_test_score`")
def permutation_test():
    """the points are permuted among the images"""
    score, permuted, p = model_selection.permutation_test_score(
        small(), X, POINTS, cv=2, n_permutations=3, random_state=0
    )
    np.testing.assert_allclose(score, model_selection.cross_val_score(small(), X, POINTS, cv=2).mean())
    assert len(set(permuted)) == 3
    assert 0 < p <= 1


@works(EVALUATION, "`GroupKFold`, `LeaveOneGroupOut`, ...")
def groups():
    """whole clips, plates or animals stay together; an `ImageSet` holds the groups"""
    images = ImageSet(X, groups=CLIPS)
    scores = model_selection.cross_val_score(
        small(), images, POINTS, cv=GroupKFold(2), groups=images.groups, error_score="raise"
    )
    folds = GroupKFold(2).split(X, groups=CLIPS)
    np.testing.assert_allclose(scores, [-mae(by_hand(train, test), test) for train, test in folds])


@works(EVALUATION, "`train_test_split`, `KFold`, `StratifiedKFold`, ...")
def splitters():
    """images and points, with their side data"""
    images = ImageSet(X, groups=CLIPS)
    a, b, points_a, points_b = model_selection.train_test_split(images, POINTS, random_state=0)
    assert isinstance(points_a, PointAnnotations)
    assert sorted([*a.groups, *b.groups]) == sorted(CLIPS)
    assert len(b) == len(points_b) == 3
    small().fit(a, points_a).score(b, points_b)


@works(EVALUATION, "`DummyRegressor`")
def dummy():
    """the baseline that ignores the images, with the same `X` and `y`"""
    for strategy in ("mean", "median"):
        predicted = DummyRegressor(strategy=strategy).fit(X, POINTS).predict(X)
        np.testing.assert_allclose(predicted, getattr(np, strategy)(POINTS.counts))


@works(EVALUATION, "`PredictionErrorDisplay`")
def prediction_error():
    """true against predicted counts"""
    fitted = small().fit(X, POINTS)
    display = PredictionErrorDisplay.from_estimator(fitted, X, POINTS, kind="actual_vs_predicted")
    np.testing.assert_array_equal(display.y_pred, fitted.predict(X))
    np.testing.assert_array_equal(display.y_true, POINTS.counts)


@works(EVALUATION, "metadata routing")
def routing():
    """`sample_weight`, `groups`, `roi`, `perspective`, by `set_fit_request` and related methods"""
    weights, roi = np.arange(12.0), np.zeros((12, 24, 24), dtype=bool)
    roi[:, :12] = True
    with config_context(enable_metadata_routing=True):
        regressor = small(validation_fraction=0.3).set_fit_request(sample_weight=True, groups=True, roi=True)
        regressor.set_score_request(sample_weight=True, roi=True)
        params = {"sample_weight": weights, "groups": CLIPS, "roi": roi}
        searched, name = make_pipeline(FunctionTransformer(), regressor), "unetregressor__sigma"
        if parse_version(sklearn.__version__) < parse_version(
            "1.7"
        ):  # its Pipeline does not route to `score`
            searched, name = regressor, "sigma"
        search = GridSearchCV(searched, {name: [2]}, cv=KFold(3), error_score="raise")
        search.fit(X, POINTS, **params)
        scores = search.cv_results_["mean_test_score"]
    expected = []
    for a, b in KFold(3).split(X):
        fitted = small(validation_fraction=0.3, sigma=2)
        fitted.fit(X[a], POINTS[a], sample_weight=weights[a], groups=CLIPS[a], roi=roi[a])
        expected.append(fitted.score(X[b], POINTS[b], sample_weight=weights[b], roi=roi[b]))
    np.testing.assert_allclose(scores, np.mean(expected))


@works(COMPOSITION, "`Pipeline`")
def pipeline(tmp_path):
    """with steps that change intensities, such as `FunctionTransformer`, and with `memory`; steps must not
    move pixels, because the points would no longer match"""
    steps = FunctionTransformer(np.sqrt), small()
    for memory in (None, str(tmp_path)):
        fitted = make_pipeline(*steps, memory=memory).fit(X / 255, POINTS)
        expected = small().fit(np.sqrt(X / 255), POINTS).predict(np.sqrt(X / 255))
        np.testing.assert_array_equal(fitted.predict(X / 255), expected)
    assert any(tmp_path.iterdir())


@works(COMPOSITION, "`FrozenEstimator`")
def frozen():
    """a fitted regressor that is never fitted again"""
    from sklearn.frozen import FrozenEstimator

    fitted = small().fit(X, POINTS)
    again = clone(FrozenEstimator(fitted)).fit(X[:2], POINTS[:2])
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


@works(COMPOSITION, "`TransformedTargetRegressor`")
def transformed_target():
    """the inner regressor learns from transformed counts, not from points"""
    fitted = TransformedTargetRegressor(small(), func=np.sqrt, inverse_func=np.square).fit(X, POINTS)
    inside = small().fit(X, np.sqrt(POINTS.counts))
    np.testing.assert_allclose(fitted.predict(X), inside.predict(X) ** 2)


@works(COMPOSITION, "`VotingRegressor`")
def voting():
    """its members learn from counts, not from points"""
    members = [("two", small(sigma=2)), ("other", small(random_state=1))]
    voted = VotingRegressor(members).fit(X, POINTS).predict(X)
    alone = [clone(member).fit(X, POINTS.counts).predict(X) for _, member in members]
    np.testing.assert_allclose(voted, np.mean(alone, axis=0))


@works(COMPOSITION, "`StackingRegressor`")
def stacking():
    """from points with `cv="prefit"`; otherwise its members learn from counts"""
    members = [("one", small().fit(X, POINTS)), ("other", small(random_state=1).fit(X, POINTS))]
    stacked = StackingRegressor(members, LinearRegression(), cv="prefit").fit(X, POINTS)
    counts = np.column_stack([member.predict(X) for _, member in members])
    expected = LinearRegression().fit(counts, POINTS.counts).predict(counts)
    np.testing.assert_allclose(stacked.predict(X), expected)
    assert StackingRegressor(members, LinearRegression(), cv=2).fit(X, POINTS).predict(X).shape == (12,)


@works(COMPOSITION, "`AdaBoostRegressor`")
def boosting():
    """its members learn from counts, not from points"""
    boosted = AdaBoostRegressor(small(), n_estimators=2, random_state=0).fit(X, POINTS)
    assert np.isfinite(boosted.predict(X)).all()


@fails(COMPOSITION, "`BaggingRegressor`", "dim 4")
def bagging():
    """accepts only tables; average regressors of different `random_state` with `VotingRegressor`, or their predictions"""
    return [lambda: BaggingRegressor(small()).fit(X, POINTS)]


@fails(COMPOSITION, "`MultiOutputRegressor`", "y must have at least two dim")
def multi_output():
    """needs several numbers per image; fit one regressor per class"""
    return [lambda: MultiOutputRegressor(small()).fit(X, POINTS)]


@fails(COMPOSITION, "`StandardScaler`, `PCA` and other transformers of tables", "dim 4")
def scaling():
    """accept only tables; pixels are standardized inside the regressor"""
    steps = StandardScaler(), PCA()
    return [lambda step=step: make_pipeline(step, small()).fit(X, POINTS) for step in steps]


@fails(COMPOSITION, "`ColumnTransformer`, feature selection", "dim 4|should be a 2D")
def columns():
    """select columns of tables, which images do not have"""
    columns = ColumnTransformer([("first", "passthrough", [0])])
    return [
        lambda: SequentialFeatureSelector(small(), n_features_to_select=1).fit(X, POINTS),
        lambda: make_pipeline(columns, small()).fit(X, POINTS),
    ]


@fails(COMPOSITION, "`permutation_importance`, partial dependence", "dim 4|should be a 2D")
def importance():
    """permute columns of tables, which images do not have"""
    fitted = small().fit(X, POINTS)
    return [
        lambda: inspection.permutation_importance(fitted, X, POINTS),
        lambda: inspection.partial_dependence(fitted, X, [0]),
    ]


@works(NEIGHBOURS, "joblib `n_jobs` (loky, threading)")
def parallel(tmp_path):
    """the same scores as with `n_jobs=1`, for the same number of threads"""
    compare_backends(tmp_path, "loky", "threading")


@works(NEIGHBOURS, "dask", "distributed")
def dask(tmp_path):
    """`joblib.parallel_backend("dask")`: a search on many machines, with the same scores as on one"""
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(**options, local_directory=tmp_path) as cluster, Client(cluster):
        compare_backends(tmp_path, "dask")


def compare_backends(folder, *backends):
    """The same scores, and nothing left behind: no file, no random number drawn, no thread changed."""

    def scores(n_jobs):
        search = GridSearchCV(small(), {"sigma": [1, 2]}, cv=2, n_jobs=n_jobs, error_score="raise")
        return search.fit(X[:6], POINTS[:6]).cv_results_["mean_test_score"]

    def state():
        drawn = np.random.get_state()[1].tolist()  # noqa: NPY002 - the state that nobody may change
        return os.getcwd(), torch.get_num_threads(), torch.get_rng_state().tolist(), drawn

    with chdir(folder):
        before, expected = state(), scores(1)
        assert np.isfinite(expected).all()
        for backend in backends:
            with joblib.parallel_config(backend):
                np.testing.assert_array_equal(scores(2), expected)
        assert state() == before
    assert not [path for path in folder.iterdir() if path.name != "dask-scratch-space"]


@works(NEIGHBOURS, "MAPIE", "mapie")
def mapie():
    """prediction intervals for counts: `SplitConformalRegressor(fitted, prefit=True)`"""
    from mapie.regression import SplitConformalRegressor

    fitted = small(max_epochs=5).fit(X[:4], POINTS[:4])
    conformal = SplitConformalRegressor(fitted, confidence_level=0.7, prefit=True)
    conformal.conformalize(X[4:10], POINTS[4:10])
    counts, intervals = conformal.predict_interval(X)
    np.testing.assert_allclose(counts, fitted.predict(X))
    errors = np.sort(np.abs(fitted.predict(X[4:10]) - POINTS[4:10].counts))
    # The 0.7 quantile of six errors with its correction for so few: the fifth of them.
    np.testing.assert_allclose((intervals[:, 1] - intervals[:, 0]).ravel(), 2 * errors[4], rtol=1e-6)


@works(NEIGHBOURS, "Optuna", "optuna_integration")
def optuna():
    """`OptunaSearchCV`, and custom studies"""
    import optuna as library
    from optuna.distributions import FloatDistribution
    from optuna_integration import OptunaSearchCV

    library.logging.set_verbosity(library.logging.ERROR)
    search = OptunaSearchCV(
        small(), {"sigma": FloatDistribution(1, 4)}, n_trials=3, cv=2, random_state=0, error_score="raise"
    )
    search.fit(X, POINTS)
    assert 1 <= search.best_params_["sigma"] <= 4
    assert np.isfinite(search.best_score_)


@works(NEIGHBOURS, "skops", "skops")
def skops():
    """`skops.io.dump` and `load`, with the types of skcount listed as trusted"""
    from skops import io

    fitted = small().fit(X, POINTS)
    data = io.dumps(fitted)
    untrusted = io.get_untrusted_types(data=data)
    assert all(name.startswith("skcount.") for name in untrusted)
    loaded = io.loads(data, trusted=untrusted)
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))


# The tests, and the table.


SLOW = ["parallel", "dask"]  # workers take seconds to begin
CASES = [
    pytest.param(tool, id=name, marks=[pytest.mark.slow] * (name in SLOW))
    for name, tool in ((tool.prove.__name__, tool) for tool in TOOLS)
]


@pytest.mark.parametrize("tool", CASES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("default::DeprecationWarning", "default::FutureWarning")  # of other libraries
@pytest.mark.filterwarnings("ignore:.*experimental:Warning")
@pytest.mark.filterwarnings(
    "ignore:Estimator does not appear fitted:UserWarning"
)  # MAPIE looks for other names
def test_a_tool_works_or_says_why_not(tool, tmp_path):
    if tool.needs:
        pytest.importorskip(tool.needs)
    arguments = [tmp_path] if tool.prove.__code__.co_argcount else []
    attempts = tool.prove(*arguments)
    for attempt in attempts or ():
        with pytest.raises((ValueError, TypeError), match=tool.error):
            attempt()
    assert bool(attempts) == bool(tool.error)


def test_the_page_shows_what_is_proved_here():
    assert render() in PAGE.read_text(), "run: python tests/test_tools.py"


def render():
    """The table, as Markdown."""
    lines = []
    for section in dict.fromkeys(tool.section for tool in TOOLS):
        lines += ["", f"| {section} | Works | Notes |", "| --- | --- | --- |"]
        lines += [
            f"| {tool.name} | {'no' if tool.error else 'yes'} | {tool.note} |"
            for tool in TOOLS
            if tool.section == section
        ]
    return "\n".join(lines[1:])


def write_page():
    """Put the table between the marks of the page."""
    begin, end = "<!-- tools -->\n", "\n<!-- end of tools -->"
    head, rest = PAGE.read_text().split(begin)
    PAGE.write_text(head + begin + render() + end + rest.split(end)[1])


if __name__ == "__main__":
    write_page()
