"""Writers of models and checkpoints that are killed at any moment: what they leave is whole, or not there."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

COMMON = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
import skcount.regressors  # before fork: it takes longer to load than anything here to write
import torch
from skcount import UNetRegressor, load
from skcount.datasets import make_cells

folder, n_kills = Path(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(n_kills)

def weights_of(regressor):
    return np.concatenate([value.numpy().ravel() for value in regressor.module_.state_dict().values()])

def child_of(work):
    child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(0)

def wait(child, seconds):
    # Kills the child after so many seconds; returns whether it was still at work.
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True

def measure(work):
    begin = time.perf_counter()
    os.waitpid(child_of(work), 0)
    return time.perf_counter() - begin
"""

# All are errors, but the one that a fit as brief as these gives.
WARNINGS = "-W", "error", "-W", "ignore:After "


def run_script(script, *arguments):
    """Run a script in a process of its own, and return what it prints."""
    run = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, *WARNINGS, "-c", COMMON + textwrap.dedent(script), *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


@pytest.mark.parametrize("n_kills", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_a_fit_that_is_killed_at_any_moment_ends_with_the_same_weights(n_kills, tmp_path, record_property):
    script = """
        X, points = make_cells(n_samples=4, image_shape=(32, 32), random_state=0, return_X_y=True)

        def fit(path):
            regressor = UNetRegressor(filters=2, max_epochs=20, random_state=0)
            np.save(folder / "end.npy", weights_of(regressor.fit(X, points, checkpoint=path)))

        path = folder / "whole"
        duration = measure(lambda: fit(path))
        expected = np.load(folder / "end.npy")
        n_done = n_at_work = n_fits = 0
        while n_done < n_kills:
            path = folder / str(n_fits)
            at_work = True
            while at_work and n_done < n_kills:
                at_work = wait(child_of(lambda: fit(path)), rng.uniform(0, duration))
                n_done += 1
                n_at_work += at_work
                if rng.random() < 0.3:
                    break
            (folder / "end.npy").unlink(missing_ok=True)
            measure(lambda: fit(path))
            assert (np.load(folder / "end.npy") == expected).all()
            n_fits += 1
        assert not list(folder.glob(".*.tmp"))
        print(n_at_work, n_fits)
    """
    n_at_work, n_fits = map(int, run_script(script, tmp_path, n_kills))
    assert n_at_work >= n_kills // 4
    assert n_fits > 0
    record_property("kills of fits with a checkpoint", n_kills)


@pytest.mark.parametrize("n_kills", [20, pytest.param(100, marks=pytest.mark.slow)])
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
        path = folder / "model"
        models[0].save(path)
        last, n_at_work, n_replaced = 0, 0, 0
        for kill in range(n_kills):
            new = 1 - last
            duration = measure(lambda: models[new].save(folder / "timed"))
            n_at_work += wait(child_of(lambda: models[new].save(path)), rng.uniform(0, 1.2 * duration))
            found = weights_of(load(path))
            assert any((found == weights).all() for weights in expected)
            n_replaced += (found == expected[new]).all()
            last = new if (found == expected[new]).all() else last
        models[0].save(path)
        assert (weights_of(load(path)) == expected[0]).all()
        assert not list(folder.glob(".*.tmp"))
        print(n_at_work, n_replaced)
    """
    n_at_work, n_replaced = map(int, run_script(script, tmp_path, n_kills))
    assert n_at_work >= n_kills // 4
    assert n_replaced > 0
    record_property("kills of a model that is being saved", n_kills)


def test_a_second_process_is_refused_a_checkpoint_until_the_first_one_ends_or_is_killed(tmp_path):
    script = """
        from skcount.regressors._checkpoint import checkpointing

        path = folder / "it"
        read, write = os.pipe()

        def hold():
            with checkpointing(path, 1):
                os.write(write, b"held")
                time.sleep(60)

        child = child_of(hold)
        os.read(read, 4)
        try:
            with checkpointing(path, 1):
                print("both")
        except RuntimeError as error:
            print("refused" if "Another fit is writing the checkpoint" in str(error) else error)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with checkpointing(path, 1):
            print("free")
    """
    assert run_script(script, tmp_path, 1) == ["refused", "free"]
