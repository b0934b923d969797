import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from skcount import UNetRegressor
from skcount.metrics import count_mae_scorer

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 and later have callbacks")


class Recorder:
    """Records the tasks of a fit, and asks to stop after some epochs."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.begun, self.ended, self.counts = [], [], []

    def setup(self, estimator, context):
        self.begun.append("setup")

    def teardown(self, estimator, context):
        self.ended.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.ended.append(context.task_name)
        self.counts.append(fitted_estimator.predict(X[:1])[0])
        return self.stop_after is not None and self.ended.count("epoch") >= self.stop_after


def fit(callback, X, points, *, max_epochs=3, **params):
    regressor = UNetRegressor(4, max_epochs=max_epochs, random_state=0)
    return regressor.set_callbacks(callback).fit(X, points, **params)


def test_each_epoch_is_a_task_and_the_estimator_it_hands_over_predicts_and_watching_changes_nothing(noise):
    X, points = noise
    recorder = Recorder()
    regressor = fit(recorder, X, points)
    assert recorder.begun == ["setup", "fit", "epoch", "epoch", "epoch"]
    assert recorder.ended == ["epoch", "epoch", "epoch", "fit", "teardown"]
    assert recorder.counts[-1] == regressor.predict(X[:1])[0]
    assert len(set(recorder.counts[:3])) == 3
    plain = UNetRegressor(4, max_epochs=3, random_state=0).fit(X, points)
    np.testing.assert_array_equal(plain.predict(X), regressor.predict(X))


def test_a_callback_can_stop_the_training(noise):
    assert fit(Recorder(stop_after=2), *noise, max_epochs=10).n_iter_ == 2


def test_the_progress_bar_is_nested_through_a_search(noise, capsys):
    X, points = noise
    search = GridSearchCV(UNetRegressor(4, max_epochs=2, random_state=0), {"sigma": [1, 2]}, cv=2)
    search.set_callbacks(callback.ProgressBar()).fit(X, points)
    out = capsys.readouterr().out
    assert "GridSearchCV - fit" in out
    assert out.count("UNetRegressor - fit") >= 1


def test_a_scoring_monitor_logs_training_and_validation_count_mae_by_epoch(noise):
    X, points = noise
    train, valid = slice(0, 4), slice(4, 6)

    def validate(estimator, _X, _y):
        return count_mae_scorer(estimator, X[valid], points[valid])

    monitor = callback.ScoringMonitor(scoring={"train": count_mae_scorer, "valid": validate})
    regressor = fit(monitor, X[train], points[train])
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(rows) == 3
    assert all(np.isfinite([row["train"], row["valid"]]).all() for row in rows)
    last = monitor.get_logs(include_lineage=True).data
    assert any(row["train"] == regressor.score(X[train], points[train]) for row in last if "train" in row)


def test_a_monitor_scores_inside_the_region_and_by_the_weights_of_the_fit(noise):
    X, points = noise
    roi = np.zeros(X.shape[1:3], dtype=bool)
    roi[:8] = True
    weights = np.arange(6)
    monitor = callback.ScoringMonitor(scoring={"score": count_mae_scorer})
    regressor = fit(monitor, X, points, max_epochs=1, roi=roi, sample_weight=weights)
    expected = regressor.score(X, points, roi=roi, sample_weight=weights)
    logged = [row["score"] for row in monitor.get_logs().data]
    assert expected in logged


@pytest.mark.parametrize("weights", [None, 2.0, np.ones(6)])
def test_a_monitor_with_a_stock_scorer_accepts_a_region(weights, noise):
    X, points = noise
    monitor = callback.ScoringMonitor(scoring=["r2", "neg_mean_absolute_error"])
    roi = np.ones(X.shape[1:3], dtype=bool)
    fit(monitor, X, points, max_epochs=1, roi=roi, sample_weight=weights)
    assert all(np.isfinite(row["r2"]) for row in monitor.get_logs().data)


def test_a_monitor_logs_every_fold_of_a_search_in_workers(noise):
    X, points = noise
    monitor = callback.ScoringMonitor(scoring="neg_mean_absolute_error")
    regressor = UNetRegressor(4, max_epochs=2, random_state=0).set_callbacks(monitor)
    search = GridSearchCV(regressor, {"sigma": [1, 2]}, cv=2, n_jobs=2, refit=False)
    search.fit(X, points)
    epochs = [row for log in monitor.get_logs("all") for row in log.data if row["task_name"] == "epoch"]
    assert len(epochs) == 8


def test_partial_fit_is_a_task_of_one_epoch(noise):
    X, points = noise
    recorder = Recorder()
    UNetRegressor(4, random_state=0).set_callbacks(recorder).partial_fit(X, points)
    assert recorder.begun == ["setup", "fit", "epoch"]
    assert recorder.ended == ["epoch", "fit", "teardown"]
