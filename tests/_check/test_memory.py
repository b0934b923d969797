from pathlib import Path

import numpy as np
import pytest

from skcount import DensityMapTransformer
from skcount._check import _maps, _memory, empty_maps, free_memory


def test_free_memory_is_what_the_system_and_its_limits_say(tmp_path, monkeypatch):
    limits = [tuple(str(tmp_path / name) for name in ("max", "current", "stat"))]
    monkeypatch.setattr(_memory, "_LIMITS", limits)
    monkeypatch.setattr(_memory, "_of_machine", lambda: 5e9)
    assert free_memory() == 5e9
    Path(limits[0][0]).write_text("max\n")
    Path(limits[0][1]).write_text("1000000000\n")
    Path(limits[0][2]).write_text("anon 1000000000\n")
    assert free_memory() == 5e9
    Path(limits[0][0]).write_text("3000000000\n")
    assert free_memory() == 2e9
    Path(limits[0][2]).write_text("anon 200000000\ninactive_file 500000000\nactive_file 300000000\n")
    assert free_memory() == 2.8e9
    Path(limits[0][2]).write_text("inactive_file 1\ntotal_inactive_file 500000000\ntotal_active_file 0\n")
    assert free_memory() == 2.5e9
    Path(limits[0][0]).write_text("10\n")
    Path(limits[0][2]).write_text("")
    assert free_memory() == 0


def test_this_machine_has_some_memory():
    assert free_memory() > 1e7


def test_maps_that_cannot_fit_are_refused_before_the_system_ends_the_process(monkeypatch):
    monkeypatch.setattr(_maps, "free_memory", lambda: 5e8)
    message = (
        r"2 density maps, the first of 10000 x 10000 pixels, need 0\.8 GB, and 0\.5 GB are free; pass fewer"
    )
    with pytest.raises(MemoryError, match=message):
        DensityMapTransformer().transform([[(1, 2)], []], image_shape=(10_000, 10_000))
    with pytest.raises(MemoryError, match="iter_density"):
        empty_maps([(10_000, 10_000), (20, 10_000)], np.float64)
    assert len(empty_maps([(10_000, 10_000), (20, 10_000)], np.float32)) == 2
