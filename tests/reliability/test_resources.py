"""What a fit, a prediction or a search leaves behind in its process, on the disk and in the system: nothing.

That readers which refuse a file do not hold it open is a law of tests/fuzz/readers.py.
"""

import json
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from processes import run_script

from skcount.datasets import fetch_mall
from skcount.io import load_folder, load_hdf5, read_points, save_hdf5, save_points

on_linux = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="needs /proc to see what a process holds"
)

STATE = """
    import gc, json, locale, logging, os, random, signal, sys, threading, warnings
    from pathlib import Path

    import numpy as np
    import sklearn, skorch, threadpoolctl, torch, tqdm.auto
    from sklearn.model_selection import GridSearchCV

    from skcount import UNetRegressor
    from skcount.datasets import make_cells
    from skcount.io import load_hdf5, save_hdf5

    folder = Path(sys.argv[1])
    X, points = make_cells(6, image_shape=(24, 24), n_cells=(1, 5), radius=3, random_state=0, return_X_y=True)
    save_hdf5(folder / "cells.h5", X, points)
    images = load_hdf5(folder / "cells.h5").images

    torch.set_num_threads(2)  # one thread more than the least, so that it would be noticed
    threadpoolctl.threadpool_limits(2)
    np.seterr(over="ignore", under="warn")
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    (Path.cwd() / "mine.txt").write_text("mine")

    def state():
        return {
            "threads of torch": [torch.get_num_threads(), torch.get_num_interop_threads()],
            "threads of BLAS and OpenMP": {p["filepath"]: p["num_threads"] for p in threadpoolctl.threadpool_info()},
            "threads": threading.active_count(),
            "working directory": os.getcwd(),
            "files in it": {p.name: (p.stat().st_mtime_ns, p.stat().st_size) for p in Path.cwd().iterdir()},
            "files beside the images": sorted(p.name for p in folder.iterdir()),
            "warnings": [str(f) for f in warnings.filters] + [warnings.showwarning.__qualname__],
            "numpy's errors": [np.geterr(), np.geterrcall()],
            "numpy's printing": {k: str(v) for k, v in np.get_printoptions().items()},
            "numpy's random numbers": [str(part) for part in np.random.get_state()],
            "torch's random numbers": torch.get_rng_state().tolist(),
            "Python's random numbers": random.getstate(),
            "torch's modes": [
                torch.is_grad_enabled(), torch.is_inference_mode_enabled(), str(torch.get_default_dtype()),
                torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark,
                torch.get_float32_matmul_precision(), torch.get_flush_denormal() if hasattr(
                    torch, "get_flush_denormal") else None,
            ],
            "scikit-learn's configuration": {k: str(v) for k, v in sklearn.get_config().items()},
            "environment": dict(os.environ),
            "signals": [str(signal.getsignal(number)) for number in signal.valid_signals()],
            "logging": [logging.root.level, len(logging.root.handlers), logging.root.manager.disable],
            "locale": locale.setlocale(locale.LC_ALL),
            "hooks": [str(sys.excepthook), str(threading.excepthook), gc.isenabled(), sys.getrecursionlimit()],
            "modules' path": list(sys.path),
        }

    def small(**params):
        return UNetRegressor(**{"filters": 2, "max_epochs": 1, "random_state": 0, **params})

    def failing(call, error):
        try:
            call()
        except error:
            return
        raise AssertionError("it did not fail")

    grid = {"sigma": [1, 2]}
    fitted = small().fit(X, points)
    actions = {
        "fit": lambda: small().fit(X, points),
        "fit from a file": lambda: small(validation_fraction=0.5, early_stopping=True).fit(images, points),
        "fit that fails": lambda: failing(lambda: small().fit(X, points[:2]), ValueError),
        "fit that diverges": lambda: failing(lambda: small(lr=1e30).fit(X, points), FloatingPointError),
        "partial_fit": lambda: small().partial_fit(X, points).partial_fit(X, points),
        "predict": lambda: fitted.predict(X),
        "predict_density": lambda: fitted.predict_density(images),
        "predict_points": lambda: fitted.predict_points(X),
        "iter_density abandoned": lambda: next(fitted.iter_density(X)),
        "score": lambda: fitted.score(X, points),
        "search": lambda: GridSearchCV(small(), grid, cv=2).fit(X, points).predict(X),
    }
    if sys.argv[2] == "in workers":
        actions = {"search": lambda: GridSearchCV(small(), grid, cv=2, n_jobs=2).fit(images, points)}
    for name, action in actions.items():
        before = state()
        action()
        gc.collect()
        after = state()
        print(json.dumps([name, [what for what in before if before[what] != after[what]]]))
"""


@pytest.mark.parametrize(
    ("where", "n_actions"), [("here", 11), pytest.param("in workers", 1, marks=pytest.mark.slow)]
)
def test_fit_predict_and_search_leave_the_state_of_the_process_as_it_was(tmp_path, where, n_actions):
    (tmp_path / "data").mkdir()
    (tmp_path / "here").mkdir()
    threads = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}  # which do not spin on a busy machine
    out, _ = run_script(STATE, tmp_path / "data", where, folder=tmp_path / "here", **threads)
    changed = dict(json.loads(line) for line in out.splitlines())
    if where == "in workers":  # they, and what talks to them, stay for the next search
        changed["search"] = [what for what in changed["search"] if what != "threads"]
    assert {name: what for name, what in changed.items() if what} == {}
    assert len(changed) == n_actions


SEARCH = """
    import os, sys, time
    from pathlib import Path

    import numpy as np
    from sklearn.model_selection import GridSearchCV
    from skcount import PointAnnotations, UNetRegressor

    def children():
        found = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                name, _, rest = path.read_text().rpartition(")")
            except OSError:
                continue
            state, parent = rest.split()[:2]
            if int(parent) == os.getpid():
                found[int(path.parent.name)] = state
        return found

    # Large enough that joblib hands the images to its workers as a file.
    X = np.random.default_rng(0).random((12, 128, 128))
    regressor = UNetRegressor(2, max_epochs=1, random_state=0)
    right = {"sigma": [1, 2]}
    search = GridSearchCV(regressor, right if sys.argv[1] == "right" else {"lr": [1e30, 2e30]}, cv=2, n_jobs=2,
                          error_score="raise")
    try:
        search.fit(X, PointAnnotations([[(3, 4)]] * 12))
        assert sys.argv[1] == "right"
    except FloatingPointError:
        assert sys.argv[1] == "wrong"
    # Workers wait for the next search, and a worker that ends may do so at any moment: no zombie stays one.
    end = time.monotonic() + 600
    while "Z" in children().values():
        assert time.monotonic() < end
        time.sleep(0.1)
    print(os.getpid(), *children())
"""


@on_linux
@pytest.mark.parametrize("grid", [pytest.param("right", marks=pytest.mark.slow), "wrong"])
def test_after_a_search_in_workers_no_process_no_semaphore_and_no_file_is_left(tmp_path, grid):
    out, complaints = run_script(SEARCH, grid, TMPDIR=str(tmp_path), JOBLIB_TEMP_FOLDER=str(tmp_path))
    processes = out.split()
    assert len(processes) > 2
    assert "leaked" not in complaints  # as the tracker of semaphores and shared memory says
    assert not [pid for pid in processes if Path("/proc", pid).exists()]
    assert not [path for path in Path("/dev/shm").glob("*") if f"-{processes[0]}-" in path.name]  # noqa: S108
    # torch makes an empty folder for what it may compile.
    assert [path for path in tmp_path.rglob("*") if not path.name.startswith("torchinductor")] == []


def held(folder):
    """Files of a folder that this process has open."""
    names = [os.path.realpath(descriptor) for descriptor in Path("/proc/self/fd").iterdir()]
    return [name for name in names if name.startswith(str(folder.resolve()))]


@on_linux
def test_what_was_read_or_closed_is_not_held_open_not_even_by_selections(noise, encode, tmp_path):
    X, points = noise
    (tmp_path / "a.png").write_bytes(encode(X[0]))
    (tmp_path / "b.tif").write_bytes(encode(X[1], "tiff"))
    save_points(tmp_path / "a.csv", points[:1])
    save_hdf5(tmp_path / "cells.h5", X, points)
    data = load_folder([tmp_path / "a.png", tmp_path / "b.tif"])
    assert len([np.asarray(image) for image in data.images]) == 2
    assert read_points(tmp_path / "a.csv").points.counts.tolist() == [3]
    assert held(tmp_path) == []
    data = load_hdf5(tmp_path / "cells.h5")
    some, reversed_ = data.images[1:], data.images[::-1]
    some[0], reversed_[0], data.images[0]
    assert held(tmp_path) != []
    data.images.close()
    assert held(tmp_path) == []


@on_linux
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_that_is_refused_is_not_held_open(tmp_path, kind):
    path = tmp_path / f"archive.{kind}"
    with zipfile.ZipFile(path, "w") if kind == "zip" else tarfile.open(path, "w") as archive:
        add = archive.write if kind == "zip" else archive.add
        add(__file__, "frames/../../outside.py")
    with pytest.raises(ValueError, match="would lie outside") as info:
        fetch_mall(archive=path, data_home=tmp_path)
    assert held(tmp_path) == [], info.value


PEAK = """
    import re, sys
    from pathlib import Path

    from skcount import UNetRegressor
    from skcount.io import load_hdf5

    images, points = load_hdf5(sys.argv[1], return_X_y=True)
    regressor = UNetRegressor(2, max_epochs=1, patch_size=64, random_state=0, **eval(sys.argv[2]))
    regressor.fit(images, points).predict(images)
    print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@on_linux
@pytest.mark.slow
@pytest.mark.parametrize("params", [{}, {"validation_fraction": 0.25}], ids=["all", "held out"])
def test_the_memory_of_a_fit_does_not_grow_with_the_number_of_images(tmp_path, params):
    shape, few, many = (256, 256, 3), 16, 128
    peaks = []
    for n_images in (few, many):
        rng = np.random.default_rng(0)
        stream = (rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(n_images))
        save_hdf5(tmp_path / "cells.h5", stream, [[(5, 6), (7, 8)]] * n_images, compression=None)
        out, _ = run_script(PEAK, tmp_path / "cells.h5", params)
        peaks.append(int(out) * 1024)
    added = (many - few) * int(np.prod(shape))
    assert added == 21 * 2**20
    assert peaks[1] - peaks[0] < 7 * 2**20  # as the floats that the network sees, they would take 84
