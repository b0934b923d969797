"""Bars appear if somebody can see them, and only then."""

import sys
from types import SimpleNamespace

import pytest
from PIL import Image

from skcount import _progress
from skcount.datasets import make_cells
from skcount.io import load_folder, save_hdf5, save_points


@pytest.fixture
def folder(tmp_path):
    X, points = make_cells(2, image_shape=(16, 16), random_state=0, return_X_y=True)
    for number, (image, places) in enumerate(zip(X, points, strict=True)):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        save_points(tmp_path / f"{number}.csv", [places], format="imagej")
    return tmp_path


WORK = {
    "make": lambda _: make_cells(2, image_shape=(16, 16), random_state=0),
    "look": lambda folder: load_folder(folder, folder),
    "read points": lambda folder: load_folder(folder, folder),
    "write": lambda folder: save_hdf5(folder / "x.h5", *load_folder(folder, folder, return_X_y=True)),
}


@pytest.mark.parametrize("what", WORK)
def test_long_work_shows_a_bar_on_a_terminal(what, folder, monkeypatch, capsys):
    monkeypatch.setattr(_progress, "PATIENCE", 0)
    WORK[what](folder)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    WORK[what](folder)
    shown = capsys.readouterr().err
    assert f"{what}: 100%" in shown
    assert "2/2" in shown


def test_short_work_shows_none(folder, monkeypatch, capsys):
    monkeypatch.setattr(_progress, "PATIENCE", 600)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    WORK["write"](folder)
    assert capsys.readouterr().err == ""


def test_a_notebook_shows_bars_though_it_is_no_terminal(monkeypatch):
    assert not _progress.is_watched()
    shell = SimpleNamespace(config={})  # IPython's, started from a shell
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert not _progress.is_watched()
    shell.config["IPKernelApp"] = {}
    assert _progress.is_watched()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))  # only imported
    assert not _progress.is_watched()


def test_a_process_without_stderr_shows_no_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)  # as pythonw has it
    assert not _progress.is_watched()
