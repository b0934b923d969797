"""Nothing but a download that was asked for reaches for the network."""

import pytest
from processes import run_script

SCRIPT = """
    import sys

    asked = []

    def refuse(event, arguments):
        if event in {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"} or (
            event.startswith("socket.get") and event != "socket.gethostname"
        ):
            asked.append((event, str(arguments)))  # whoever asks may swallow the error
            raise OSError("there is no network here")

    sys.addaudithook(refuse)

    import importlib, pkgutil
    from pathlib import Path

    import skcount

    folder = Path(sys.argv[1])
    names = [module.name for module in pkgutil.walk_packages(skcount.__path__, "skcount.")]
    for name in names:
        importlib.import_module(name)
    print(len(names))

    import numpy as np
    from sklearn.model_selection import GridSearchCV
    from skcount import UNetRegressor
    from skcount.datasets import fetch_vgg_cells, make_cells
    from skcount.io import load_folder, load_hdf5, save_hdf5, save_points

    X, points = make_cells(6, image_shape=(24, 24), n_cells=(1, 5), radius=3, random_state=0, return_X_y=True)
    save_hdf5(folder / "cells.h5", X, points)
    images, points = load_hdf5(folder / "cells.h5", return_X_y=True)
    save_points(folder / "a.csv", points[:1])
    regressor = UNetRegressor(2, max_epochs=1, random_state=0)
    GridSearchCV(regressor, {"sigma": [1, 2]}, cv=2).fit(images, points).predict(images)
    regressor.fit(X, points).predict_points(X)
    regressor._repr_html_()
    try:
        fetch_vgg_cells(data_home=folder, download_if_missing=False)
    except FileNotFoundError:
        pass
    assert not asked, asked

    # What would have been noticed.
    import socket, urllib.request
    for reach in (
        lambda: urllib.request.urlopen("https://localhost:9"),
        lambda: socket.create_connection(("127.0.0.1", 9)),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9)),
    ):
        before = len(asked)
        try:
            reach()
        except OSError:
            pass
        assert len(asked) > before
"""


def test_no_import_no_fit_and_no_file_asks_for_the_network(tmp_path):
    pytest.importorskip("filelock", reason="skcount[data] is not installed")
    out, _ = run_script(SCRIPT, tmp_path, SKCOUNT_DATA="")
    assert int(out) > 50
