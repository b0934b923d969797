"""Writers of models and checkpoints that are killed at any moment: what they leave is whole, or not there."""

import os
import textwrap

import pytest
from processes import KILLING, run_script

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

COMMON = (
    KILLING
    + """
import skcount.regressors  # before fork: it takes longer to load than anything here to write
from skcount import UNetRegressor, load
from skcount.datasets import make_cells

def weights_of(regressor):
    return np.concatenate([value.numpy().ravel() for value in regressor.module_.state_dict().values()])
"""
)


def run(script, *arguments):
    """Run a script that kills its children, and return what it prints."""
    return run_script(COMMON + textwrap.dedent(script), *arguments, OMP_NUM_THREADS="1")[0].split()


@pytest.mark.parametrize("n_kills", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_a_fit_that_is_killed_at_any_moment_ends_with_the_same_weights(n_kills, tmp_path, record_property):
    script = """
        X, points = make_cells(n_samples=4, image_shape=(32, 32), random_state=0, return_X_y=True)

        def fit(path):
            regressor = UNetRegressor(filters=2, max_epochs=10, random_state=0)
            np.save(folder / "end.npy", weights_of(regressor.fit(X, points, checkpoint=path)))

        killer = Killer(measure(lambda: fit(folder / "whole")))
        expected = np.load(folder / "end.npy")
        n_fits = 0
        while killer.n_kills < n_kills:
            path = folder / str(n_fits)
            while killer.kill(lambda: fit(path)) and killer.n_kills < n_kills and rng.random() < 0.7:
                pass
            (folder / "end.npy").unlink(missing_ok=True)
            measure(lambda: fit(path))
            assert (np.load(folder / "end.npy") == expected).all()
            n_fits += 1
        assert not list(folder.glob(".*.tmp"))
        print(n_fits)
    """
    (n_fits,) = map(int, run(script, tmp_path, n_kills))
    assert n_fits > 0
    record_property("kills of fits with a checkpoint", n_kills)


@pytest.mark.parametrize("n_kills", [15, pytest.param(100, marks=pytest.mark.slow)])
def test_a_model_that_is_killed_while_it_is_saved_is_the_last_one_or_the_one_before(
    n_kills, tmp_path, record_property
):
    script = """
        X, points = make_cells(n_samples=2, image_shape=(16, 16), random_state=0, return_X_y=True)

        def make():
            for version in (0, 1):
                regressor = UNetRegressor(filters=24, max_epochs=1, random_state=version).fit(X, points)
                regressor.save(folder / f"source-{version}")
                np.save(folder / f"{version}.npy", weights_of(regressor))

        measure(make)  # in a child: a parent that has computed must not fork
        models = [load(folder / f"source-{version}") for version in (0, 1)]
        expected = [np.load(folder / f"{version}.npy") for version in (0, 1)]
        path, last, n_replaced = folder / "model", 0, 0
        models[0].save(path)
        killer = Killer(measure(lambda: models[1].save(folder / "timed")))
        while killer.n_kills < n_kills or not n_replaced:
            new = 1 - last
            was_at_work = killer.kill(lambda: models[new].save(path))
            found = weights_of(load(path))
            assert any((found == weights).all() for weights in expected)
            is_new = (found == expected[new]).all()
            assert was_at_work or is_new
            n_replaced += is_new
            last = new if is_new else last
        models[0].save(path)
        assert (weights_of(load(path)) == expected[0]).all()
        assert not list(folder.glob(".*.tmp"))
    """
    run(script, tmp_path, n_kills)
    record_property("kills of a model that is being saved", n_kills)


def test_a_second_process_is_refused_a_checkpoint_until_the_first_one_ends_or_is_killed(tmp_path):
    script = """
        from skcount.training._checkpoint import open_checkpoint as checkpointing

        path = folder / "it"
        read, write = os.pipe()

        def hold():
            with checkpointing(path, 1):
                os.write(write, b"held")
                signal.pause()

        child = child_of(hold)
        os.read(read, 4)
        try:
            with checkpointing(path, 1):
                print("both")
        except RuntimeError as error:
            print("refused" if "checkpoint" in str(error) else error)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with checkpointing(path, 1):
            print("free")
    """
    assert run(script, tmp_path, 1) == ["refused", "free"]
