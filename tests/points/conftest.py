"""Modules of this folder are found by their names, and a fixture gives points."""

import sys
from pathlib import Path

import pytest

from skcount import PointAnnotations

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def points():
    """Return 0 to 3 points for each of twelve images; the row of each is the image's index."""
    return PointAnnotations([[(i, i + k) for k in range(i % 4)] for i in range(12)])
