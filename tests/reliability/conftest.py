"""Modules of this folder are found by their names, and a fixture notices training."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def training(monkeypatch):
    """Return a list that is empty until training has begun its loop."""
    from outcomes import prepare

    from skcount.training._net import CountingNet

    prepare()
    done, loop = [], CountingNet.fit_loop
    monkeypatch.setattr(
        CountingNet, "fit_loop", lambda *args, **kwargs: done.append("loop") or loop(*args, **kwargs)
    )
    return done
