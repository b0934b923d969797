"""Models that come with the package, on the command line."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from typed import TINY, fail, run, succeed

from skcount.datasets import make_cells

LOOK = {"brightness": (140, 170), "background": 20.0, "overlap": 0.2, "blur": (0.8, 1.2)}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Three pictures of twenty cells, a grey one among them, and their points."""
    place = tmp_path_factory.mktemp("pretrained")
    X, points = make_cells(
        3, image_shape=(160, 160), n_cells=20, radius=8, random_state=0, return_X_y=True, **LOOK
    )
    for folder in ("all", "colors"):
        (place / folder).mkdir()
    for number, image in enumerate(X):
        Image.fromarray(image).save(place / "colors" / f"{number}.png")
        given = image if number else image[..., 2]
        Image.fromarray(given).save(place / "all" / f"{number}.png")
    rows = [f"{number}.png,{col},{row}" for number, array in enumerate(points) for row, col in array]
    (place / "cells.csv").write_text("\n".join(["image,x,y", *rows]))
    return place


def counts(path):
    with open(path, newline="") as file:
        return [float(row["count"]) for row in csv.DictReader(file)]


def test_pictures_are_counted_without_training(cells):
    table, points, overlays = cells / "counts.csv", cells / "points.csv", cells / "overlays"
    pictures = cells / "colors"
    result = succeed(
        "predict", "--model", "nuclei", pictures, "--csv", table, "--points", points, "--overlay", overlays
    )
    assert "objects in 3 images" in result.stdout
    np.testing.assert_allclose(counts(table), 20, atol=4)
    assert len(points.read_text().splitlines()) - 1 == sum(round(count) for count in counts(table))
    assert len(list(overlays.iterdir())) == 3
    by_name = succeed("predict", "nuclei", pictures, "--json")
    assert [round(image["count"], 1) for image in json.loads(by_name.stdout)["images"]] == counts(table)


def test_pictures_of_several_types_are_counted_as_colors(cells):
    assert "pass --mixed color" in fail("predict", "--model", "nuclei", cells / "all")
    mixed = succeed("predict", "--model", "nuclei", cells / "all", "--mixed", "color", "--json")
    colors = succeed("predict", "--model", "nuclei", cells / "colors", "--json")
    found, expected = ([image["count"] for image in json.loads(r.stdout)["images"]] for r in (mixed, colors))
    np.testing.assert_allclose(found, expected, atol=1)


def test_the_diameter_is_given_only_to_models_of_the_package(cells, folder):
    given = succeed("predict", "--model", "nuclei", cells / "colors", "--diameter", 16, "--json")
    np.testing.assert_allclose([i["count"] for i in json.loads(given.stdout)["images"]], 20, atol=4)
    own = run("predict", folder / "model.skcount", cells / "colors", "--diameter", 16)
    assert own.exit_code == 2
    assert "--diameter is for models that come with skcount" in own.stderr


def test_evaluate_needs_no_training_mean(cells):
    result = succeed("evaluate", "--model", "nuclei", cells / "colors", cells / "cells.csv", "--json")
    assert json.loads(result.stdout)["mae"] < 4


def test_info_prints_the_card(folder):
    text = succeed("info", "nuclei").stdout
    assert "CC0" in text
    assert "sees images reduced by: chosen for each image" in text
    assert "CC0" in json.loads(succeed("info", "nuclei", "--json").stdout)["card"]
    assert json.loads(succeed("info", folder / "model.skcount", "--json").stdout)["card"] is None


def test_a_file_of_the_same_name_comes_first(cells, folder, monkeypatch, tmp_path):
    (tmp_path / "nuclei").write_bytes((folder / "model.skcount").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert "chosen for each image" not in succeed("info", "nuclei").stdout


def test_a_fit_starts_from_weights(cells):
    out = cells / "model.skcount"
    succeed("fit", cells / "colors", cells / "cells.csv", "--weights", "nuclei", *TINY, "--out", out)
    assert json.loads(succeed("info", out, "--json").stdout)["params"]["weights"] == "nuclei"
    more = run(
        "fit", cells / "colors", cells / "cells.csv", "--weights", "nuclei", "--continue", out, "--out", out
    )
    assert more.exit_code == 2
    assert "--weights cannot be used with --continue" in more.stderr


@pytest.mark.parametrize(
    "arguments", [["predict", "--model", "nuclei"], ["predict", "nuclei"], ["evaluate", "nuclei"]]
)
def test_missing_pictures_are_named(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Missing argument" in result.stderr
    assert "IMAGES" in result.stderr
