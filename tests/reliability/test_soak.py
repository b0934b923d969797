"""Thousands of fits and predictions in one process take no more memory, files or threads than hundreds."""

import json
from pathlib import Path

import numpy as np
import pytest
from processes import run_script

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="needs /proc to see what a process holds"
)

# What memory may grow by, in MB: an allocator wanders by some, and what one cycle keeps adds up to more.
ALLOWED_MB = 8

SCRIPT = """
    import gc, json, os, pickle, re, sys, threading, warnings
    from pathlib import Path

    import numpy as np
    import torch
    from sklearn.base import clone
    from sklearn.model_selection import cross_val_score
    from skcount import PointAnnotations, UNetRegressor
    from skcount.io import load_hdf5, save_hdf5

    folder, n_cycles, every, leaking = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "leaking"
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    points = PointAnnotations([rng.uniform(0, 15, (k, 2)) for k in (3, 0, 5, 1, 2, 4)])
    roi = np.arange(256).reshape(16, 16) % 5 > 0
    save_hdf5(folder / "cells.h5", X, points, roi=roi)

    def small(**params):
        return UNetRegressor(**{"filters": 2, "max_epochs": 1, "random_state": 0, **params})

    def fails(error, act, *data):
        try:
            act(*data)
        except error:
            return
        raise AssertionError(f"no {error.__name__}")

    def arrays(cycle):
        regressor = small(random_state=cycle).fit(X, points)
        regressor.predict(X)
        return regressor

    def a_file_that_is_closed(cycle):
        with load_hdf5(folder / "cells.h5").images as images:
            regressor = small().fit(images, points)
            regressor.predict(images[1:4])
        return regressor

    def a_file_that_is_left_open(cycle):
        images, points = load_hdf5(folder / "cells.h5", return_X_y=True)
        return small(validation_fraction=0.4, early_stopping=True, max_epochs=2).fit(images[::-1], points[::-1])

    def density_in_tiles(cycle):
        regressor = small(tile_size=80, depth=1).fit(X, points)
        large = np.zeros((1, 80, 96, 3), dtype=np.uint8)
        regressor.predict_density(large, out=np.zeros((1, 80, 96), dtype=np.float32))
        return regressor

    def points_again(cycle):
        regressor = small().fit(list(X), points, roi=roi)
        regressor.predict_points(X, roi=roi)
        return regressor

    def an_iterator_abandoned(cycle):
        images = load_hdf5(folder / "cells.h5").images
        regressor = small().fit(X, points)
        maps = regressor.iter_density(images)
        next(maps), next(maps)
        return regressor

    def bad_input(cycle):
        regressor, other = small(), load_hdf5(folder / "cells.h5").images
        fails(ValueError, regressor.fit, X, points[:5])
        fails(ValueError, regressor.fit, np.full((2, 16, 16), np.nan), [[], []])
        os.utime(folder / "cells.h5", ns=(cycle, cycle))  # it is another file now
        fails(OSError, regressor.fit, other, points)
        fails(ValueError, load_hdf5, folder / "broken.h5")
        return regressor

    def divergence(cycle):
        regressor = small(lr=1e30)
        fails(FloatingPointError, regressor.fit, X, points)
        return regressor

    def pickling(cycle):
        regressor = pickle.loads(pickle.dumps(small().fit(X, points)))
        regressor.predict(X)
        pickle.loads(pickle.dumps(load_hdf5(folder / "cells.h5").images))[0]
        return regressor

    def going_on(cycle):
        regressor = clone(small(loss="bayesian")).partial_fit(X, points).partial_fit(X, points)
        counts = small(warm_start=True).fit(X, points.counts)
        counts.fit(X, points.counts)
        return regressor

    def scores(cycle):
        images = load_hdf5(folder / "cells.h5").images
        regressor = small()
        cross_val_score(regressor, images, points, cv=2)
        return regressor

    (folder / "broken.h5").write_bytes((folder / "cells.h5").read_bytes()[:-9])
    CYCLES = [
        arrays, a_file_that_is_closed, a_file_that_is_left_open, density_in_tiles, points_again, an_iterator_abandoned,
        bad_input, divergence, pickling, going_on, scores,
    ]
    kept = []

    def keep(regressor):
        kept.append(getattr(regressor, "module_", None))
        kept.append(os.urandom(2**20))
        kept.append(open(folder / "cells.h5", "rb"))
        kept.append(threading.Thread(target=threading.Event().wait, daemon=True))
        kept[-1].start()

    def measure(cycle):
        gc.collect()
        status = Path("/proc/self/status").read_text()
        return {
            "cycle": cycle,
            "memory": int(re.search(r"VmRSS:\\s+(\\d+) kB", status)[1]) / 1024,
            "files": len(os.listdir("/proc/self/fd")),
            "threads": int(re.search(r"Threads:\\s+(\\d+)", status)[1]),
            "tensors": sum(issubclass(type(o), torch.Tensor | torch.nn.Module) for o in gc.get_objects()),
        }

    found = []
    for cycle in range(n_cycles):
        regressor = CYCLES[cycle % len(CYCLES)](cycle)
        if leaking:
            keep(regressor)
        del regressor
        if cycle % every == every - 1:
            found.append(measure(cycle))
    print(json.dumps(found))
"""


def soak(folder, n_cycles, every, leaking=False):
    """Run cycles in a process of its own; return what it held after some of them."""
    return json.loads(run_script(SCRIPT, folder, n_cycles, every, "leaking" if leaking else "tight")[0])


def growth(found, first, last):
    """What is held more, by the median, in the cycles of `last` than in those of `first`; and what is too much."""
    grown = {}
    for name in found[0].keys() - {"cycle"}:
        early, late = ([held[name] for held in found if held["cycle"] in span] for span in (first, last))
        grown[name] = np.median(late) - np.median(early)
    return grown, {name for name, more in grown.items() if more > (ALLOWED_MB if name == "memory" else 0)}


@pytest.mark.parametrize(
    ("n_cycles", "every", "first", "last"),
    [
        (55, 11, range(11, 33), range(33, 55)),
        pytest.param(2000, 10, range(200, 400), range(1800, 2000), marks=pytest.mark.slow),
    ],
)
def test_many_cycles_hold_no_more_than_few(tmp_path, n_cycles, every, first, last, record_property):
    grown, too_much = growth(soak(tmp_path, n_cycles, every), first, last)
    assert too_much == set(), grown
    record_property("cycles of fit and predict", n_cycles)
    record_property("growth of memory, MB", round(float(grown["memory"]), 2))


def test_what_each_cycle_keeps_is_noticed(tmp_path):
    grown, too_much = growth(soak(tmp_path, 33, 11, leaking=True), range(11), range(22, 33))
    assert too_much == {"memory", "files", "threads", "tensors"}, grown
