"""No output replaces a file that is read in the same run, or another output."""

import csv
import os
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from typed import TINY, run

from skcount.datasets import make_cells
from skcount.io import load_folder


@pytest.fixture(scope="module")
def place(folder, tmp_path_factory):
    """A folder of its own with pictures, points and a model."""
    place = tmp_path_factory.mktemp("outputs")
    shutil.copytree(folder / "pictures", place / "pictures")
    for name in ("cells.csv", "model.skcount"):
        shutil.copy(folder / name, place / name)
    return place


def contents(place):
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


INPUTS = ["pictures/cell0.png", "cells.csv", "model.skcount", "pictures/../pictures/cell1.png"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    target=st.sampled_from(INPUTS),
    command=st.sampled_from(
        [
            ("predict", "--csv"), ("predict", "--points"), ("evaluate", "--csv"), ("evaluate", "--picture"),
            ("fit", "--out"), ("fit", "--picture"), ("fit", "--checkpoint"),
        ]
    ),
)  # fmt: skip
def test_an_output_that_is_an_input_is_refused_and_nothing_is_written(place, target, command):
    verb, option = command
    if verb == "fit" and target == "model.skcount":
        return  # `fit` does not read it
    before = contents(place)
    model = [] if verb == "fit" else [place / "model.skcount"]
    points = [] if verb == "predict" else [place / "cells.csv"]
    more = [*TINY, *([] if option == "--out" else ["--out", place / "new.skcount"])] if verb == "fit" else []
    if verb == "predict" and target == "cells.csv":
        return  # `predict` does not read it
    result = run(verb, *model, place / "pictures", *points, option, place / target, *more)
    assert result.exit_code == 2
    assert f"{option} must not be a file that is read" in result.stderr
    assert contents(place) == before


COMMANDS = {
    "fit": ("fit {0}/pictures {0}/cells.csv --max-epochs 1", ["--out", "--picture", "--checkpoint"]),
    "predict": ("predict {0}/model.skcount {0}/pictures", ["--csv"]),
    "evaluate": ("evaluate {0}/model.skcount {0}/pictures {0}/cells.csv", ["--csv", "--picture"]),
    "data": ("data cells --n-images 1", ["--out"]),
}  # fmt: skip
FOREIGN = {
    "hand counts": "image,count\na.png,12\nb.png,3\n",
    "another table": "name,n\na,1\n",
    "a picture": None,
    "bytes": b"\x93NUMPY\x01\x00",
    "a note": "do not lose this",
}


@pytest.mark.parametrize("verb", COMMANDS)
def test_files_that_skcount_wrote_are_replaced_and_others_only_by_force(place, tmp_path, verb):
    command, options = COMMANDS[verb]
    outputs = [word for option in options for word in (option, tmp_path / f"a{option}")]
    for _ in range(2):
        result = run(*command.format(place).split(), *outputs)
        assert result.exit_code == 0, result.stderr
    for option in options:
        path = tmp_path / f"a{option}"
        for content in FOREIGN.values():
            if content is None:
                shutil.copy(place / "pictures" / "cell0.png", path)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
            before = contents(tmp_path)
            result = run(*command.format(place).split(), *outputs)
            assert result.exit_code == (1 if option == "--checkpoint" else 2), result.stderr
            assert str(path) in result.stderr
            assert "--force" in result.stderr or option == "--checkpoint"
            assert contents(tmp_path) == before
        if option != "--checkpoint":
            assert run(*command.format(place).split(), *outputs, "--force").exit_code == 0
            assert path.read_bytes() != before[path]
        path.unlink()


def test_positions_and_looks_are_replaced_by_force_only_if_they_may_be_others(place, tmp_path):
    points = ["predict", place / "model.skcount", place / "pictures", "--points", tmp_path / "points.csv"]
    assert [run(*points).exit_code, run(*points).exit_code, run(*points, "--force").exit_code] == [0, 2, 0]
    looks = ["look", place / "pictures", place / "cells.csv", "--out", tmp_path / "looks"]
    assert [run(*looks).exit_code, run(*looks).exit_code] == [0, 0]
    (tmp_path / "looks" / "table.csv").write_text("mine")
    assert [run(*looks).exit_code, run(*looks, "--force").exit_code] == [2, 0]


def test_the_picture_next_to_the_model_does_not_replace_a_picture(place):
    before = contents(place)
    paths = place / "pictures", place / "cells.csv"
    result = run("fit", *paths, *TINY, "--out", place / "pictures" / "cell0.skcount")
    assert result.exit_code == 2
    assert "--picture must not be a file that is read" in result.stderr
    assert contents(place) == before
    link = place / "link.csv"
    link.symlink_to(place / "cells.csv")
    assert run("fit", *paths, *TINY, "--out", link).exit_code == 2
    link.unlink()


@pytest.mark.parametrize("outputs", [("--csv", "--points")])
def test_two_outputs_are_two_files(place, tmp_path, outputs):
    options = [word for option in outputs for word in (option, tmp_path / "a.csv")]
    result = run("predict", place / "model.skcount", place / "pictures", *options)
    assert result.exit_code == 2
    assert "--points must not be the file of --csv" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_overlay_does_not_replace_a_picture(place, tmp_path):
    for name in ("a.png", "a_overlay.png"):
        shutil.copy(place / "pictures" / "cell0.png", tmp_path / name)
    before = contents(tmp_path)
    result = run("predict", place / "model.skcount", f"{tmp_path}/a*.png", "--overlay", tmp_path)
    assert result.exit_code == 1
    assert "--overlay must not be a folder of the images" in result.stderr
    assert contents(tmp_path) == before


def test_an_overlay_does_not_replace_the_model(place, tmp_path):
    overlays = tmp_path / "overlays"
    overlays.mkdir()
    model = overlays / "a_overlay.png"
    shutil.copy(place / "model.skcount", model)
    shutil.copy(place / "pictures" / "cell0.png", tmp_path / "a.png")
    before = contents(tmp_path)
    result = run("predict", model, f"{tmp_path}/a.png", "--overlay", overlays)
    assert result.exit_code == 2
    assert "--overlay (a_overlay.png) must not be a file that is read" in result.stderr
    assert contents(tmp_path) == before


@pytest.mark.parametrize("pattern", ["*.png", "*/*.png", "**/*.png"])
def test_overlays_that_the_next_run_would_count_are_refused(place, tmp_path, pattern):
    (tmp_path / "x").mkdir()
    for name in ("a.png", "x/a.png"):
        shutil.copy(place / "pictures" / "cell0.png", tmp_path / name)
    before = contents(tmp_path)
    overlay = tmp_path if pattern == "*.png" else tmp_path / "overlays"
    result = run("predict", place / "model.skcount", f"{tmp_path}/{pattern}", "--overlay", overlay)
    assert result.exit_code == 1
    assert "--overlay must not be a folder of the images" in result.stderr
    assert contents(tmp_path) == before


def test_overlays_that_a_search_of_subfolders_would_count_are_refused(place, tmp_path):
    shutil.copy(place / "pictures" / "cell0.png", tmp_path / "cell0.png")
    before = contents(tmp_path)
    for command in (["predict", place / "model.skcount", tmp_path, "--overlay", tmp_path / "overlays"],
                    ["look", tmp_path, place / "cells.csv", "--out", tmp_path / "overlays"]):  # fmt: skip
        result = run(*command, "--recursive")
        assert result.exit_code == 1
        assert "must not be a folder of the images" in result.stderr
    assert contents(tmp_path) == before


def test_cells_are_written_as_pictures_to_practise_on(tmp_path):
    result = run("data", "cells", "--pictures", tmp_path / "practice", "--n-images", 6, "--seed", 9)
    assert result.exit_code == 0, result.stderr
    X, points = make_cells(6, random_state=9, return_X_y=True)
    cells = load_folder(tmp_path / "practice", tmp_path / "practice" / "cells.csv")
    assert cells.names == [f"cell{number}.png" for number in range(1, 7)]
    assert cells.skipped == []
    assert_array_equal(np.asarray(cells.images), X)
    for read, drawn in zip(cells.points, points, strict=True):
        assert_allclose(read, drawn, atol=0.01001)
    assert "skcount fit" in result.stdout
    before = contents(tmp_path)
    for folder in (tmp_path / "practice", tmp_path / "practice" / "cell1.png", tmp_path / "no" / "practice"):
        result = run("data", "cells", "--pictures", folder)
        assert result.exit_code == 1
        assert "folder" in result.stderr
    assert contents(tmp_path) == before


def test_overlays_keep_the_subfolders_of_the_images(place, tmp_path):
    for name in ("x/a.png", "x_a.png", "y/a.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(place / "pictures" / "cell0.png", tmp_path / "in" / name)
    overlays = tmp_path / "overlays"
    result = run("predict", place / "model.skcount", f"{tmp_path}/in/**/*.png", "--overlay", overlays)
    assert result.exit_code == 0, result.stderr
    found = sorted(str(path.relative_to(overlays)) for path in overlays.rglob("*.png"))
    assert found == ["x/a_overlay.png", "x_a_overlay.png", "y/a_overlay.png"]


# --- names -------------------------------------------------------------------------------------------------


def picture(folder, name):
    """A folder with one picture of this name, if the file system can have it."""
    folder.mkdir()
    shutil.copy(folder.parent / "cell.png", folder / name)
    return folder


@pytest.fixture
def one(place, tmp_path):
    shutil.copy(place / "pictures" / "cell0.png", tmp_path / "cell.png")
    return tmp_path


@pytest.mark.parametrize("name", ["=1+1.png", "-a.png", "@a.png", "a;=1+1.png"])
def test_no_name_in_a_table_is_a_formula(place, one, name):
    counts, points = one / "counts.csv", one / "points.csv"
    pictures = picture(one / "named", name)
    result = run("predict", place / "model.skcount", pictures, "--csv", counts, "--points", points)
    assert result.exit_code == 0, result.stderr
    for path in (counts, points):
        text = path.read_text()
        assert name in text.replace("'", "")
        for separator in (",", ";"):
            for row in csv.reader(text.splitlines(), delimiter=separator):
                assert not any(cell.startswith(("=", "@", "-a")) for cell in row)


@pytest.mark.parametrize("name", ["a:b.png", "a\nb.png", b"cell\xe9.png"])
def test_a_name_that_points_cannot_hold_is_found_before_the_counting(place, one, name, monkeypatch):
    monkeypatch.setattr("skcount.cli._predict._count", lambda *_: pytest.fail("It has counted."))
    pictures = picture(one / "named", os.fsdecode(name))
    result = run("predict", place / "model.skcount", pictures, "--points", one / "points.csv")
    assert result.exit_code == 1
    assert "names" in result.stderr
    assert not (one / "points.csv").exists()


def test_a_name_that_is_not_utf8_is_written_escaped(place, one):
    pictures = picture(one / "named", os.fsdecode(b"cell\xe9.png"))
    result = run("predict", place / "model.skcount", pictures, "--csv", one / "counts.csv")
    assert result.exit_code == 0, result.stderr
    assert "cell\\udce9.png," in (one / "counts.csv").read_text(encoding="utf-8-sig")
    assert "cell\\udce9.png," in run("predict", place / "model.skcount", pictures).stdout


def test_a_name_cannot_command_the_terminal(place, one):
    pictures = picture(one / "named", "\x1b[31mred.png")
    printed = run("predict", place / "model.skcount", pictures)
    assert "\\x1b[31mred.png," in printed.stdout
    missing = run("predict", place / "model.skcount", one / "\x1b[31mnone")
    assert "\x1b" not in printed.stdout + printed.stderr + missing.stderr
    assert "\\x1b" in missing.stderr
