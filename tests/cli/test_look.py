"""`skcount look`, and the messages that `skcount fit` prints too."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from typed import SHAPE, TINY, run, succeed

from skcount import load
from skcount.datasets import make_cells
from skcount.io import save_points


@pytest.fixture
def turned(folder, tmp_path):
    """The table of the cells with rows that are counted from the bottom."""
    rows = list(csv.reader((folder / "cells.csv").read_text().splitlines()))
    lines = ["image,x,y", *(f"{name},{x},{SHAPE[0] - 1 - float(y)}" for name, x, y in rows[1:])]
    path = tmp_path / "turned.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_contact_sheet_and_a_table_are_written(folder, tmp_path):
    result = run("look", folder / "pictures", folder / "cells.csv", "--out", tmp_path / "check")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("20 images, ")
    assert not any(line.startswith("Warning") for line in lines)
    assert (tmp_path / "check" / "contact_sheet.png").read_bytes().startswith(b"\x89PNG")
    table = list(csv.DictReader((tmp_path / "check" / "table.csv").read_text().splitlines()))
    assert [row["image"] for row in table] == [f"cell{number}.png" for number in range(20)]
    with open(folder / "cells.csv") as file:
        n_points = len(file.readlines()) - 1
    assert sum(int(row["points"]) for row in table) == n_points


def test_mistakes_are_named_by_look_and_by_fit(folder, turned, tmp_path):
    result = run("look", folder / "pictures", turned, "--out", tmp_path / "check", "--json")
    report = json.loads(result.stdout)
    assert "The points fit the images better if rows are counted from the bottom." in report["messages"]
    fitted = run("fit", folder / "pictures", turned, *TINY, "--out", tmp_path / "model.skcount")
    assert "better if rows are counted from the bottom. See them with skcount look." in fitted.stderr


def test_what_fit_refuses_is_shown(folder, tmp_path):
    (tmp_path / "cells.csv").write_text("image,x,y\ncell0.png,0.5,0.5\ncell0.png,900,5\ncell0.png,900,5\n")
    paths = folder / "pictures", tmp_path / "cells.csv"
    result = run("look", *paths, "--missing", "empty", "--out", tmp_path / "check")
    assert result.exit_code == 0, result.stderr
    assert "2 of 3 points lie outside their image: cell0.png." in result.stdout
    assert "1 of 3 points lie exactly on another point: cell0.png." in result.stdout
    assert "19 of 20 images have no point" in result.stdout


def test_the_folder_of_the_pictures_is_left_alone(folder):
    result = run("look", folder / "pictures", folder / "cells.csv", "--out", folder / "pictures")
    assert result.exit_code == 1
    assert "--out must not be a folder of the images" in result.stderr


@pytest.mark.parametrize(
    ("content", "words", "options"),
    [
        ("image,x,y,who\ncell0.png,1,2,anna\ncell0.png,3,4,anna\ncell0.png,5,6,ben\n",
         "--label-column who and --labels if it is a class, or --where who anna", ["--where", "who", "ben"]),
        ("image,x,y,class\ncell0.png,1,2,T cell\ncell0.png,3,4,B cell\n", "--labels 'T cell' or", ["--labels", "T cell"]),
        ("image,x,y,class\ncell0.png,1,2,T cell\ncell0.png,3,4,B cell\n", "--labels '*'", ["--labels", "*"]),
        ("image,x,y,score\ncell0.png,1,2,0.3\ncell0.png,3,4,0.9\n", "--ignore score", ["--ignore", "score"]),
    ],
)  # fmt: skip
def test_remedies_are_named_as_options_and_work(folder, tmp_path, content, words, options):
    (tmp_path / "cells.csv").write_text(content)
    look = [
        "look",
        folder / "pictures",
        tmp_path / "cells.csv",
        "--missing",
        "empty",
        "--out",
        tmp_path / "check",
    ]
    refused = run(*look)
    assert refused.exit_code == 1
    assert words in refused.stderr
    assert run(*look, *options).exit_code == 0


def test_fit_says_which_labels_it_counts(folder, tmp_path):
    rows = (folder / "cells.csv").read_text().splitlines()
    labelled = [f"{row},{'dust' if number % 5 == 0 else 'cell'}" for number, row in enumerate(rows[1:])]
    (tmp_path / "cells.csv").write_text("\n".join([f"{rows[0]},class", *labelled]) + "\n")
    paths = folder / "pictures", tmp_path / "cells.csv"
    result = run(
        "fit", *paths, *TINY, "--labels", "cell", "--missing", "empty", "--out", tmp_path / "model.skcount"
    )
    n_dust = (len(rows) + 3) // 5
    assert (
        f"Labels that are counted: cell ({len(rows) - 1 - n_dust}); left out: dust ({n_dust})."
        in result.stdout
    )


def test_a_stack_is_read_along_the_axis_that_the_error_names(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    X, points = make_cells(5, image_shape=(40, 48), random_state=0, return_X_y=True)
    tifffile.imwrite(tmp_path / "movie.tif", X[..., 0], imagej=True, metadata={"axes": "TYX"})
    save_points(tmp_path / "movie.csv", points, format="imagej")
    paths = tmp_path / "movie.tif", tmp_path / "movie.csv"
    refused = run("fit", *paths, *TINY, "--out", tmp_path / "m.skcount")
    assert refused.exit_code == 1
    assert "--stack-axis T" in refused.stderr
    options = ["--stack-axis", "T"]
    assert run("fit", *paths, *TINY, *options, "--out", tmp_path / "m.skcount").exit_code == 0
    counted = run("predict", tmp_path / "m.skcount", paths[0], *options)
    assert counted.exit_code == 0, counted.stderr
    assert [line.split(",")[0] for line in counted.stdout.splitlines()[1:]] == [
        f"movie.tif:{i}" for i in range(1, 6)
    ]


def test_a_model_is_trained_further(folder, tmp_path):
    paths = folder / "pictures", folder / "cells.csv"
    start = ["--continue", folder / "model.skcount"]
    result = run("fit", *paths, *TINY, *start, "--out", tmp_path / "better.skcount", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["n_epochs"] == 2
    better = load(tmp_path / "better.skcount")
    assert (better.warm_start, better.diameter_) == (False, load(folder / "model.skcount").diameter_)
    text = run("fit", *paths, *TINY, *start, "--out", tmp_path / "better.skcount").stdout
    assert "may have been trained on some of these images; their errors may be too small." in text
    for option in (["--sigma", 3], ["--diameter", 9], ["--architecture", "unet"], ["--refit"]):
        refused = run("fit", *paths, *start, *option, "--out", tmp_path / "other.skcount")
        assert refused.exit_code == 2
        assert f"{option[0]} cannot be used with --continue" in refused.stderr


def test_a_picture_without_a_readable_header_costs_only_its_own_row(folder, tmp_path):
    for number in range(3):
        content = (folder / "pictures" / f"cell{number}.png").read_bytes()
        (tmp_path / f"cell{number}.png").write_bytes(content[: 20 if number == 1 else None])
    result = run("predict", folder / "model.skcount", tmp_path, "--csv", tmp_path / "counts.csv")
    assert result.exit_code == 1
    rows = list(csv.DictReader((tmp_path / "counts.csv").read_text().splitlines()))
    assert [(row["image"], bool(row["count"]), bool(row["error"])) for row in rows] == [
        ("cell0.png", True, False), ("cell2.png", True, False), ("cell1.png", False, True)
    ]  # fmt: skip
    for number in (0, 2):
        (tmp_path / f"cell{number}.png").unlink()
    assert "None of the 1 pictures can be read" in run("predict", folder / "model.skcount", tmp_path).stderr


def test_what_was_left_out_of_a_folder_is_said(folder, tmp_path):
    for name in ("cell0.png", "plate/cell1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(folder / "pictures" / Path(name).name, tmp_path / name)
    for name in ("notes.txt", "notes.xlsx"):
        (tmp_path / name).touch()
    result = succeed("predict", folder / "model.skcount", tmp_path)
    said = "2 other files, such as notes.txt; 1 folder, such as plate/ (see --recursive)."
    assert f"Left out of {tmp_path}: {said}" in result.stderr
    assert "cell1" not in result.stdout
    result = succeed("predict", folder / "model.skcount", tmp_path, "--recursive")
    assert "2 other files, such as notes.txt." in result.stderr
    assert [line.split(",")[0] for line in result.stdout.splitlines()] == [
        "image",
        "cell0.png",
        "plate/cell1.png",
    ]


def test_tables_have_one_decimal_and_json_has_all(folder, tmp_path):
    rows = json.loads(succeed("predict", folder / "model.skcount", folder / "pictures", "--json").stdout)[
        "images"
    ]
    table = list(
        csv.DictReader(succeed("predict", folder / "model.skcount", folder / "pictures").stdout.splitlines())
    )
    assert [row["count"] for row in table] == [f"{row['count']:.1f}" for row in rows]
    assert any(round(row["count"], 1) != row["count"] for row in rows)
    options = (folder / "pictures", folder / "cells.csv", "--csv", tmp_path / "errors.csv", "--json")
    rows = json.loads(succeed("evaluate", folder / "model.skcount", *options).stdout)["images"]
    table = list(csv.DictReader((tmp_path / "errors.csv").read_text().splitlines()))
    assert [(row["image"], row["true"], row["error"]) for row in table] == [
        (row["image"], str(row["true"]), str(round(row["error"], 1))) for row in rows
    ]


@pytest.mark.parametrize("outputs", [[], ["--csv", "--points", "--overlay"]])
def test_a_damaged_picture_costs_only_its_own_row(folder, tmp_path, outputs):
    for number in range(4):
        content = (folder / "pictures" / f"cell{number}.png").read_bytes()
        (tmp_path / f"cell{number}.png").write_bytes(content[: len(content) // 2] if number == 2 else content)
    written = {"--csv": "counts.csv", "--points": "points.csv", "--overlay": "overlays"}
    options = [word for name in outputs for word in (name, tmp_path / written[name])]
    result = run("predict", folder / "model.skcount", f"{tmp_path}/cell*.png", *options)
    assert result.exit_code == 1
    assert "1 image could not be read:" in result.stderr
    assert "cell2.png cannot be read as a picture" in result.stderr
    table = (tmp_path / "counts.csv").read_text() if outputs else result.stdout
    rows = list(csv.DictReader(table.splitlines()))
    whole = run("predict", folder / "model.skcount", *[f"{folder}/pictures/cell[013].png"]).stdout
    expected = {row["image"]: row["count"] for row in csv.DictReader(whole.splitlines())}
    assert {row["image"]: row["count"] for row in rows} == expected | {"cell2.png": ""}
    assert [bool(row["error"]) for row in rows] == [False, False, True, False]
    if outputs:
        names = sorted(path.name for path in (tmp_path / "overlays").iterdir())
        assert names == ["cell0_overlay.png", "cell1_overlay.png", "cell3_overlay.png"]
        points = list(csv.DictReader((tmp_path / "points.csv").read_text().splitlines()))
        assert "cell2.png" not in {row["Label"] for row in points}
    as_json = run("predict", folder / "model.skcount", f"{tmp_path}/cell*.png", "--json")
    assert json.loads(as_json.stdout)["images"][2]["count"] is None
