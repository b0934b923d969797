"""Modules of this folder are found by their names, and a folder of pictures has a model."""

import sys
from pathlib import Path

import numpy as np
import pytest

from skcount.datasets import make_cells
from skcount.io import save_hdf5

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty pictures, one CSV for all, and a model that was fitted on them once."""
    from typed import SHAPE, TINY, run, write_pictures

    folder = tmp_path_factory.mktemp("cli")
    X, points = make_cells(20, image_shape=SHAPE, random_state=0, return_X_y=True)
    write_pictures(folder / "pictures", X)
    with open(folder / "cells.csv", "w") as file:
        file.write("image,x,y\n")
        for number, array in enumerate(points):
            file.writelines(f"cell{number}.png,{col},{row}\n" for row, col in array)
    save_hdf5(folder / "cells.h5", X, points, groups=np.arange(20) // 2)
    options = [*TINY, "--out", folder / "model.skcount", "--json"]
    result = run("fit", folder / "pictures", folder / "cells.csv", *options)
    assert result.exit_code == 0, result.stderr
    (folder / "report.json").write_text(result.stdout)
    (folder / "stderr.txt").write_text(result.stderr)
    return folder
