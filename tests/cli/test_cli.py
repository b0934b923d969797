"""Each command as users type it, on a folder of tiny pictures."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image
from typed import SHAPE, TINY, fail, names_in, succeed, write_pictures

import skcount
from skcount.cli._fit import split
from skcount.cli._pictures import STRIP
from skcount.datasets import make_cells
from skcount.io import load_folder, load_hdf5, read_points, save_hdf5

# The model of the tests is trained for one epoch, and says so.
BLIND = "counted no better"
pytestmark = pytest.mark.filterwarnings(f"ignore:.*{BLIND}:UserWarning")

# --- fit ---------------------------------------------------------------------------------------------------


def test_fit_reports_the_errors_on_held_out_images_and_of_a_baseline(folder):
    report = json.loads((folder / "report.json").read_text())
    numbers = {"n_images": 20, "n_held_out": 4, "n_trained_on": 16, "n_epochs": 1}
    assert numbers.items() <= report.items()
    X, points = load_folder(folder / "pictures", folder / "cells.csv", return_X_y=True)
    model = skcount.load(folder / "model.skcount")
    train, test = split(X, 0.2, 0)
    counts = model.predict(X[test])
    assert report["n_objects"] == points.counts.sum()
    assert report["held_out"]["mae"] == pytest.approx(np.abs(counts - points[test].counts).mean())
    assert report["held_out"]["bias"] == pytest.approx((counts - points[test].counts).mean())
    blind = points[train].counts.mean()
    assert report["baseline"]["mae"] == pytest.approx(np.abs(blind - points[test].counts).mean())


def test_fit_writes_a_picture_next_to_the_model(folder):
    with Image.open(folder / "model.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 200


def test_a_training_is_not_lost_with_the_picture(folder, tmp_path, monkeypatch):
    def fail_to_draw(*arguments):
        raise OSError("The disk is full.")

    monkeypatch.setattr("skcount.cli._pictures.draw_errors", fail_to_draw)
    assert "full" in fail("fit", folder / "cells.h5", *TINY, "--out", tmp_path / "model.skcount")
    assert names_in(tmp_path) == ["model.skcount"]


def test_a_model_of_the_command_line_is_that_of_the_same_call_in_python(folder):
    X, points = load_hdf5(folder / "cells.h5", return_X_y=True)
    with X:
        train, _ = split(skcount.ImageSet(list(X)), 0.2, 0)
        expected = skcount.DensityMapRegressor(max_epochs=1, random_state=0).fit(X[train], points[train])
        np.testing.assert_array_equal(skcount.load(folder / "model.skcount").predict(X), expected.predict(X))


def test_the_progress_bar_is_no_part_of_the_model(folder):
    assert skcount.load(folder / "model.skcount").verbose == 0
    assert "fit:" not in (folder / "stderr.txt").read_text()  # nobody sees a bar there


def test_fit_from_one_file_holds_whole_groups_out_and_learns_from_all_with_refit(folder, tmp_path):
    out, checkpoint = tmp_path / "model.skcount", tmp_path / "state"
    options = ["--held-out", 0.1, "--refit", "--checkpoint", checkpoint, "--augment", "none"]
    options += ["--picture", tmp_path / "x.png"]
    result = succeed("fit", folder / "cells.h5", *TINY, *options, "--out", out, "--json")
    report = json.loads(result.stdout)
    assert (report["n_held_out"], report["n_trained_on"]) == (2, 20)
    assert (tmp_path / "x.png").exists()
    assert {"state", "state.refit"} <= set(names_in(tmp_path))
    assert not (tmp_path / "model.png").exists()
    assert not skcount.load(out).augment


def test_a_split_keeps_groups_together():
    groups = np.array([0, 0, 1, 1, 1, 2, 2, 3])
    train, test = split(skcount.ImageSet(np.zeros((8, 4, 4)), groups=groups), 0.5, 1)
    assert not set(groups[train]) & set(groups[test])
    assert sorted([*train, *test]) == list(range(8))


def test_with_nothing_held_out_there_is_no_report_and_no_picture(folder, tmp_path):
    out = tmp_path / "model.skcount"
    result = succeed("fit", folder / "cells.h5", *TINY, "--held-out", 0, "--out", out)
    model, diameter = result.stdout.splitlines()
    assert model == f"Model: {out}, trained on 20 of 20 images."
    assert re.fullmatch(r"Diameter of an object: [\d.]+ pixels\.", diameter)
    assert names_in(tmp_path) == ["model.skcount"]


def test_a_checkpoint_of_other_data_is_refused(folder, tmp_path):
    rest = [*TINY, "--held-out", 0, "--checkpoint", tmp_path / "state", "--out", tmp_path / "model.skcount"]
    succeed("fit", folder / "cells.h5", *rest)
    assert "sigma" in fail("fit", folder / "cells.h5", *rest, "--sigma", 3)


def test_a_region_of_interest_is_all_that_counts(folder, tmp_path):
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[:, :20] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    inside = sum((p[:, 1] < 19.5).sum() for p in load_hdf5(folder / "cells.h5").points)
    roi = ["--roi", tmp_path / "mask.png"]
    result = succeed("evaluate", folder / "model.skcount", folder / "cells.h5", *roi, "--json")
    assert json.loads(result.stdout)["n_objects"] == inside
    predict = "predict", folder / "model.skcount", folder / "cells.h5", "--json"
    part, whole = (json.loads(succeed(*predict, *more).stdout)["images"] for more in (roi, []))
    assert all(a["count"] < b["count"] for a, b in zip(part, whole, strict=True))


# --- predict -----------------------------------------------------------------------------------------------


def test_predict_writes_the_number_per_image(folder, tmp_path):
    table = tmp_path / "counts.csv"
    succeed("predict", folder / "model.skcount", folder / "pictures", "--csv", table)
    with open(table, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    X = load_folder(folder / "pictures").images
    assert [row["image"] for row in rows] == [f"cell{number}.png" for number in range(20)]
    counts = skcount.load(folder / "model.skcount").predict(X)
    assert [row["count"] for row in rows] == [f"{count:.1f}" for count in counts]


def test_without_a_file_the_table_is_all_that_is_printed(folder):
    result = succeed("predict", folder / "model.skcount", folder / "pictures" / "cell3.png")
    header, row = result.stdout.splitlines()
    assert header == "image,count"
    assert row.startswith("cell3.png,")
    converge, blind = result.stderr.splitlines()
    assert "did not converge" in converge
    assert BLIND in blind


def test_points_come_back_by_the_names_of_the_images_and_overlays_have_their_sizes(folder, tmp_path):
    places, overlays = tmp_path / "points.csv", tmp_path / "overlays"
    options = ["--csv", tmp_path / "counts.csv", "--points", places, "--overlay", overlays]
    result = succeed("predict", folder / "model.skcount", folder / "pictures", *options, "--json")
    images = json.loads(result.stdout)["images"]
    X = load_folder(folder / "pictures").images
    model = skcount.load(folder / "model.skcount")
    assert [image["count"] for image in images] == model.predict(X).tolist()
    expected = model.predict_points(X)
    found = read_points(places, names=[image["image"] for image in images], missing="empty").points
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert names_in(overlays) == sorted(f"cell{number}_overlay.png" for number in range(20))
    for path in overlays.iterdir():
        with Image.open(path) as overlay:
            assert overlay.size == (SHAPE[1] * 17, SHAPE[0] * 17 + 2 * STRIP)


def test_images_of_a_file_are_called_by_number_and_their_points_are_a_layer_of_napari(folder, tmp_path):
    options = ["--points", tmp_path / "points.csv", "--points-format", "napari", "--tile-size", 200]
    result = succeed("predict", folder / "model.skcount", folder / "cells.h5", *options)
    assert result.stdout.splitlines()[1].startswith("0,")
    assert (tmp_path / "points.csv").read_text().startswith("index,axis-0,axis-1,axis-2\n")


def test_a_name_is_no_formula_and_excel_recognises_utf_8(folder, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("=1+1.png", "-a.png", "@b.png", "+c.png", "\N{LATIN SMALL LETTER U WITH DIAERESIS}.png"):
        (tmp_path / "in" / name).write_bytes((folder / "pictures" / "cell0.png").read_bytes())
    succeed("predict", folder / "model.skcount", tmp_path / "in", "--csv", tmp_path / "counts.csv")
    assert (tmp_path / "counts.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with open(tmp_path / "counts.csv", encoding="utf-8-sig", newline="") as file:
        names = {row["image"] for row in csv.DictReader(file)}
    assert {"'=1+1.png", "'-a.png", "'@b.png", "'+c.png"} < names


def test_overlays_do_not_go_among_the_images(folder):
    pictures = folder / "pictures"
    before = names_in(pictures)
    assert "--overlay" in fail("predict", folder / "model.skcount", pictures, "--overlay", pictures)
    assert names_in(pictures) == before


def test_an_out_of_distribution_image_is_a_warning_of_one_line(folder, tmp_path):
    board = np.indices(SHAPE).sum(axis=0) // 6 % 2 * 255
    write_pictures(tmp_path / "boards", np.stack([np.stack([board] * 3, axis=-1)] * 2).astype(np.uint8))
    result = succeed("predict", folder / "model.skcount", tmp_path / "boards")
    lines = result.stderr.splitlines()
    assert all(line.startswith("Warning: ") for line in lines)
    assert sum("about as large as in training" in line for line in lines) == 1
    assert len(lines) == 3  # and the two about the model


# --- evaluate ----------------------------------------------------------------------------------------------


def test_evaluate_measures_what_the_metrics_measure(folder, tmp_path):
    options = ["--csv", tmp_path / "errors.csv", "--picture", tmp_path / "errors.png", "--train-mean", 3]
    paths = [folder / "pictures", folder / "cells.csv"]
    report = json.loads(succeed("evaluate", folder / "model.skcount", *paths, *options, "--json").stdout)
    X, points = load_folder(*paths, return_X_y=True)
    model = skcount.load(folder / "model.skcount")
    maps = model.predict_density(X)
    assert report["mae"] == pytest.approx(-model.score(X, points))
    assert report["n_images"] == 20
    for level in (1, 2, 3):
        expected = skcount.metrics.grid_average_mean_absolute_error(points, maps, level)
        assert report["game"][str(level)] == pytest.approx(expected)
    assert report["baseline"]["bias"] == pytest.approx(3 - points.counts.mean())
    with open(tmp_path / "errors.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["true"]) for row in rows] == points.counts.tolist()
    assert np.mean([abs(float(row["error"])) for row in rows]) == pytest.approx(report["mae"], abs=0.05)
    assert (tmp_path / "errors.png").exists()


def test_a_picture_is_drawn_in_no_window_and_with_no_setting_changed(folder, tmp_path):
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    def state():
        return dict(mpl.rcParams), mpl.get_backend(), plt.get_fignums()

    before = state()
    picture = ["--picture", tmp_path / "errors.png"]
    succeed("evaluate", folder / "model.skcount", folder / "cells.h5", *picture)
    assert state() == before


def test_evaluate_takes_the_training_mean_from_the_model(folder):
    result = succeed("evaluate", folder / "model.skcount", folder / "cells.h5", "--json")
    model = skcount.load(folder / "model.skcount")
    counts = load_hdf5(folder / "cells.h5").points.counts
    expected = np.abs(model.trained_on_["mean_count"] - counts).mean()
    assert json.loads(result.stdout)["baseline"]["mae"] == pytest.approx(expected)
    assert BLIND in result.stderr


# --- info, export, data ------------------------------------------------------------------------------------


def test_info_describes_the_file(folder):
    report = json.loads(succeed("info", folder / "model.skcount", "--json").stdout)
    assert report["class"] == "DensityMapRegressor"
    assert report["params"]["max_epochs"] == report["n_epochs"] == report["last_epoch"]["epoch"] == 1
    assert report["versions"]["skcount"] == skcount.__version__
    assert report["trained_on"]["n_images"] == report["held_out"]["n_trained_on"] == 16
    fitted = json.loads((folder / "report.json").read_text())
    assert report["held_out"]["mae"] == pytest.approx(fitted["held_out"]["mae"])
    assert report["held_out"]["baseline_mae"] == pytest.approx(fitted["baseline"]["mae"])
    text = succeed("info", folder / "model.skcount").stdout
    assert "written by: skcount" in text
    assert "; not converged" in text
    held_out = f"held-out error: MAE {fitted['held_out']['mae']:.2f} +- "
    assert held_out in text
    assert "on 4 images (few" in text


def test_refit_keeps_the_error_that_was_measured_before(folder, tmp_path):
    out = tmp_path / "model.skcount"
    succeed("fit", folder / "cells.h5", *TINY, "--refit", "--out", out)
    text = succeed("info", out).stdout
    assert "trained on: 20 images" in text
    assert "on 4 images (few: the error is uncertain), measured when trained on 16" in text


@pytest.mark.slow
def test_export_writes_a_file_that_onnx_runtime_opens(folder, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    result = succeed("export", folder / "model.skcount", tmp_path / "model.onnx", "--json")
    assert json.loads(result.stdout)["onnx"] == str(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.get_outputs()[1].name == "counts"


def test_data_writes_simulated_cells(tmp_path):
    out = tmp_path / "cells.h5"
    report = json.loads(succeed("data", "cells", "--n-images", 2, "--seed", 3, "--out", out, "--json").stdout)
    X, points = make_cells(2, random_state=3, return_X_y=True)
    with load_hdf5(out).images as images:
        np.testing.assert_array_equal(images, X)
    assert report == {"file": str(out), "pictures": None, "n_images": 2, "n_objects": points.counts.sum()}


def test_data_keeps_the_side_data(tmp_path, monkeypatch):
    mask = np.ones((8, 10), dtype=bool)
    mask[0] = False
    scale = np.full((8, 10), 0.5, dtype=np.float32)
    side_data = {"roi": mask, "perspective": scale, "groups": [4, 5]}
    save_hdf5(tmp_path / "in.h5", np.zeros((2, 8, 10)), [[], [(1, 1)]], **side_data)
    taken = []

    def fetch(archive):
        taken.append(archive)
        return load_hdf5(tmp_path / "in.h5")

    monkeypatch.setattr("skcount.datasets.fetch_ucsd_pedestrians", fetch)
    succeed("data", "ucsd", "--archive", "a.zip", "--archive", "b.zip", "--out", tmp_path / "out.h5")
    data = load_hdf5(tmp_path / "out.h5")
    np.testing.assert_array_equal(data.roi, mask)
    np.testing.assert_array_equal(data.perspective, scale)
    assert data.groups.tolist() == [4, 5]
    assert taken == [["a.zip", "b.zip"]]
