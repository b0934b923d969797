import pytest

from skcount import UNetRegressor

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


def test_each_epoch_is_a_task_and_the_estimator_it_hands_over_predicts(noise):
    X, points = noise
    recorder = Recorder()
    regressor = UNetRegressor(4, max_epochs=3, random_state=0).set_callbacks(recorder).fit(X, points)
    assert recorder.begun == ["setup", "fit", "epoch", "epoch", "epoch"]
    assert recorder.ended == ["epoch", "epoch", "epoch", "fit", "teardown"]
    assert recorder.counts[-1] == regressor.predict(X[:1])[0]
    assert len(set(recorder.counts[:3])) == 3


def test_watching_changes_nothing(noise):
    X, points = noise
    plain = UNetRegressor(4, max_epochs=3, random_state=0).fit(X, points)
    watched = UNetRegressor(4, max_epochs=3, random_state=0).set_callbacks(Recorder()).fit(X, points)
    assert (plain.predict(X) == watched.predict(X)).all()


def test_a_callback_can_stop_the_training(noise):
    X, points = noise
    regressor = (
        UNetRegressor(4, max_epochs=10, random_state=0).set_callbacks(Recorder(stop_after=2)).fit(X, points)
    )
    assert regressor.n_iter_ == 2


def test_the_progress_bar_of_scikit_learn_works(noise, capsys):
    X, points = noise
    UNetRegressor(4, max_epochs=2, random_state=0).set_callbacks(callback.ProgressBar()).fit(X, points)
    assert "UNetRegressor - fit" in capsys.readouterr().out
