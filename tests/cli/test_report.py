"""`skcount report`: a page with the evidence about a model."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image
from typed import SHAPE, fail, names_in, run, succeed

from skcount import load
from skcount.datasets import make_cells
from skcount.evaluation import counting_report
from skcount.io import save_hdf5


def arguments(folder, out, *options):
    return [
        "report",
        folder / "model.skcount",
        folder / "pictures",
        folder / "cells.csv",
        "--out",
        out,
        *options,
    ]


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


@pytest.fixture(scope="module")
def written(folder, tmp_path_factory):
    """The page, what was printed, and the report of the same images in Python."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    result = succeed(*arguments(folder, out, "--json"))
    X, points = make_cells(20, image_shape=SHAPE, random_state=0, return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the command prints them
        report = counting_report(load(folder / "model.skcount"), X, points)
    return out, result, report


@pytest.fixture(scope="module")
def small(folder, tmp_path_factory):
    """Three images and their points in one file."""
    path = tmp_path_factory.mktemp("small") / "cells.h5"
    X, points = make_cells(3, image_shape=SHAPE, random_state=7, return_X_y=True)
    save_hdf5(path, X, points)
    return path


def test_the_page_is_written_whole_and_loads_nothing(written):
    out, _, report = written
    page = out.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.endswith("</html>")
    assert page.count("data:image/png;base64,") == 2
    assert "http://" not in page
    assert "https://" not in page
    assert names_in(out.parent) == ["report.html"]
    assert all(f"<td>{score}</td>" in page for score in report.table["score"])


def test_the_scores_are_printed_as_json(written):
    out, result, report = written
    found = json.loads(result.stdout)
    assert found["out"] == str(out)
    assert list(found["scores"]) == report.table["score"].tolist()
    for row in report.table.rows():
        expected = dict(zip(report.table, row, strict=True))
        scores = found["scores"][expected.pop("score")]
        for name, value in expected.items():
            if np.isfinite(value):
                assert scores[name] == pytest.approx(value, rel=1e-4, abs=1e-6)


def test_the_json_has_no_values_that_json_does_not_know(written):
    json.loads(written[1].stdout, parse_constant=refuse)


def test_a_model_that_has_hardly_learnt_is_warned_about(written):
    out, result, report = written
    assert report.warnings
    assert json.loads(result.stdout)["warnings"] == report.warnings
    assert {f"Warning: {text}" for text in report.warnings} <= set(result.stderr.splitlines())
    assert out.read_text(encoding="utf-8").count('class="warning"') == len(report.warnings)


def test_the_table_and_the_page_are_named(folder, small, tmp_path):
    result = succeed("report", folder / "model.skcount", small, "--out", tmp_path / "report.html")
    lines = result.stdout.splitlines()
    assert "DensityMapRegressor" in lines[0]
    assert "training mean" in lines[0]
    assert lines[-1] == f"Page: {tmp_path / 'report.html'}"
    assert "GAME 3" in result.stdout


def test_only_the_region_is_evaluated(folder, tmp_path):
    roi = np.zeros(SHAPE, dtype=np.uint8)
    roi[:, : SHAPE[1] // 2] = 255
    Image.fromarray(roi).save(tmp_path / "roi.png")
    options = ["--roi", tmp_path / "roi.png", "--json"]
    found = json.loads(succeed(*arguments(folder, tmp_path / "report.html", *options)).stdout)
    evaluated = json.loads(
        succeed(
            "evaluate", folder / "model.skcount", folder / "pictures", folder / "cells.csv", *options
        ).stdout
    )
    (name,) = set(found["scores"]["MAE"]) - {"score", "training mean"}
    assert found["scores"]["MAE"][name] == pytest.approx(evaluated["mae"], rel=1e-4)
    assert found["scores"]["GAME 2"][name] == pytest.approx(evaluated["game"]["2"], rel=1e-4)


def test_its_own_page_is_replaced(folder, small, tmp_path):
    report = ["report", folder / "model.skcount", small, "--out", tmp_path / "report.html"]
    succeed(*report)
    succeed(*report)


def test_another_file_is_replaced_only_by_force(folder, small, tmp_path):
    out = tmp_path / "report.html"
    out.write_text("<!DOCTYPE html><html><body>my thesis</body></html>")
    report = ["report", folder / "model.skcount", small, "--out", out]
    result = run(*report)
    assert result.exit_code == 2
    assert "Pass --force to replace it" in result.stderr
    assert "my thesis" in out.read_text()
    succeed(*report, "--force")
    assert "my thesis" not in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["model.skcount", "cells.csv", "pictures/cell3.png"])
def test_a_file_that_is_read_is_not_replaced(folder, target):
    before = (folder / target).read_bytes()
    result = run(*arguments(folder, folder / target, "--force"))
    assert result.exit_code == 2
    assert "--out must not be a file that is read" in result.stderr
    assert (folder / target).read_bytes() == before


def test_a_folder_that_does_not_exist_is_named_before_the_counting(folder, tmp_path):
    assert "There is no folder" in fail(*arguments(folder, tmp_path / "nowhere" / "report.html"))


def test_the_page_needs_a_name(folder):
    result = run("report", folder / "model.skcount", folder / "pictures", folder / "cells.csv")
    assert result.exit_code == 2
    assert "--out" in result.stderr


def test_missing_pictures_are_named(tmp_path):
    result = run("report", "--model", "nuclei", "--out", tmp_path / "report.html")
    assert result.exit_code == 2
    assert "IMAGES" in result.stderr
    assert names_in(tmp_path) == []


def test_a_model_of_the_package_has_a_report(tmp_path):
    look = {"brightness": (140, 170), "background": 20.0, "overlap": 0.2, "blur": (0.8, 1.2)}
    X, points = make_cells(
        2, image_shape=(128, 128), n_cells=15, radius=8, random_state=0, return_X_y=True, **look
    )
    save_hdf5(tmp_path / "cells.h5", X, points)
    out = tmp_path / "report.html"
    found = json.loads(
        succeed("report", "--model", "nuclei", tmp_path / "cells.h5", "--out", out, "--json").stdout
    )
    (name,) = set(found["scores"]["MAE"]) - {"score", "training mean"}
    assert found["scores"]["MAE"][name] < 4
    assert "Points matched" in out.read_text(encoding="utf-8")
