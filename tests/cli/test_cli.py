"""Each command as users type it, on a folder of tiny pictures."""

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import skcount
from skcount.cli._commands import commands
from skcount.datasets import make_cells
from skcount.io import load_folder, load_hdf5, read_points, save_hdf5

ROOT = Path(__file__).parents[2]
SHAPE = (40, 48)
TINY = ["--max-epochs", "1"]


def run(*arguments):
    """Run a command; a traceback fails the test."""
    try:
        runner = CliRunner(mix_stderr=False)  # click 8.1
    except TypeError:
        runner = CliRunner()
    result = runner.invoke(commands, [str(argument) for argument in arguments], prog_name="skcount")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def succeed(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def fail(*arguments):
    """Run what is wrong; return the line that says so."""
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    *others, line = result.stderr.splitlines()
    assert all(other.startswith("Warning: ") for other in others)
    assert line.startswith("Error: ")
    return line


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty pictures, one CSV for all, and a model that was fitted on them once."""
    folder = tmp_path_factory.mktemp("cli")
    X, points = make_cells(20, image_shape=SHAPE, random_state=0, return_X_y=True)
    write_pictures(folder / "pictures", X)
    with open(folder / "cells.csv", "w") as file:
        file.write("image,x,y\n")
        for number, array in enumerate(points):
            file.writelines(f"cell{number}.png,{col},{row}\n" for row, col in array)
    save_hdf5(folder / "cells.h5", X, points, groups=np.arange(20) // 2)
    result = run(
        "fit", folder / "pictures", folder / "cells.csv", *TINY, "--out", folder / "model.skcount", "--json"
    )
    assert result.exit_code == 0, result.stderr
    (folder / "report.json").write_text(result.stdout)
    (folder / "stderr.txt").write_text(result.stderr)
    return folder


def write_pictures(folder, X):
    folder.mkdir()
    for number, image in enumerate(X):
        Image.fromarray(image).save(folder / f"cell{number}.png")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


# --- fit ---------------------------------------------------------------------------------------------------


def test_fit_reports_the_error_on_images_held_out_beside_a_baseline(folder):
    report = json.loads((folder / "report.json").read_text())
    assert (report["n_images"], report["n_held_out"], report["n_trained_on"], report["n_epochs"]) == (
        20,
        4,
        16,
        1,
    )
    X, points = load_folder(folder / "pictures", folder / "cells.csv", return_X_y=True)
    model = skcount.load(folder / "model.skcount")
    from skcount.cli._fit import split

    train, test = split(X, 0.2, 0)
    counts = model.predict(X[test])
    assert report["n_objects"] == points.counts.sum()
    assert report["held_out"]["mae"] == pytest.approx(np.abs(counts - points[test].counts).mean())
    assert report["held_out"]["bias"] == pytest.approx((counts - points[test].counts).mean())
    blind = points[train].counts.mean()
    assert report["baseline"]["mae"] == pytest.approx(np.abs(blind - points[test].counts).mean())


def test_fit_writes_a_picture_beside_the_model(folder):
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
    from skcount.cli._fit import split

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
    options = [
        "--held-out",
        0.1,
        "--refit",
        "--checkpoint",
        checkpoint,
        "--picture",
        tmp_path / "x.png",
        "--augment",
        "none",
    ]
    result = succeed("fit", folder / "cells.h5", *TINY, *options, "--out", out, "--json")
    report = json.loads(result.stdout)
    assert (report["n_held_out"], report["n_trained_on"]) == (2, 20)
    assert (tmp_path / "x.png").exists()
    assert {"state", "state.refit"} <= set(names_in(tmp_path))
    assert not (tmp_path / "model.png").exists()
    assert skcount.load(out).augment is False


def test_a_split_keeps_groups_together():
    from skcount.cli._fit import split

    groups = np.array([0, 0, 1, 1, 1, 2, 2, 3])
    train, test = split(skcount.ImageSet(np.zeros((8, 4, 4)), groups=groups), 0.5, 1)
    assert not set(groups[train]) & set(groups[test])
    assert sorted([*train, *test]) == list(range(8))


def test_with_nothing_held_out_there_is_no_report_and_no_picture(folder, tmp_path):
    out = tmp_path / "model.skcount"
    result = succeed("fit", folder / "cells.h5", *TINY, "--held-out", 0, "--out", out)
    assert result.stdout == f"Model: {out}, trained on 20 of 20 images.\n"
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
    part, whole = (
        json.loads(succeed("predict", folder / "model.skcount", folder / "cells.h5", *more, "--json").stdout)[
            "images"
        ]
        for more in (roi, [])
    )
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
    assert [float(row["count"]) for row in rows] == counts.tolist()


def test_without_a_file_the_table_is_all_that_is_printed(folder):
    result = succeed("predict", folder / "model.skcount", folder / "pictures" / "cell3.png")
    header, row = result.stdout.splitlines()
    assert header == "image,count"
    assert row.startswith("cell3.png,")
    assert result.stderr == ""


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
            assert overlay.size == SHAPE[::-1]


def test_images_of_a_file_are_called_by_number_and_their_points_are_a_layer_of_napari(folder, tmp_path):
    options = ["--points", tmp_path / "points.csv", "--points-format", "napari", "--tile-size", 200]
    result = succeed("predict", folder / "model.skcount", folder / "cells.h5", *options)
    assert result.stdout.splitlines()[1].startswith("0,")
    assert (tmp_path / "points.csv").read_text().startswith("index,axis-0,axis-1,axis-2\n")


def test_a_name_is_no_formula_and_excel_is_told_of_letters(folder, tmp_path):
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
    assert "another one" in fail("predict", folder / "model.skcount", pictures, "--overlay", pictures)
    assert names_in(pictures) == before


def test_an_image_unlike_the_training_is_a_warning_of_one_line(folder, tmp_path):
    board = np.indices(SHAPE).sum(axis=0) // 6 % 2 * 255
    write_pictures(tmp_path / "boards", np.stack([np.stack([board] * 3, axis=-1)] * 2).astype(np.uint8))
    result = succeed("predict", folder / "model.skcount", tmp_path / "boards")
    assert result.stderr.startswith("Warning: Image 0 of X is unlike the training images")
    assert len(result.stderr.splitlines()) == 1


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
    assert np.mean([abs(float(row["error"])) for row in rows]) == pytest.approx(report["mae"])
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


def test_evaluate_says_nothing_of_a_baseline_that_it_cannot_know(folder):
    text = succeed("evaluate", folder / "model.skcount", folder / "cells.h5").stdout
    assert "GAME 3" in text
    assert "blind" not in text


# --- info, export, data ------------------------------------------------------------------------------------


def test_info_says_what_the_file_holds(folder):
    report = json.loads(succeed("info", folder / "model.skcount", "--json").stdout)
    assert report["class"] == "DensityMapRegressor"
    assert report["params"]["max_epochs"] == report["n_epochs"] == report["last_epoch"]["epoch"] == 1
    assert report["versions"]["skcount"] == skcount.__version__
    assert "written by: skcount" in succeed("info", folder / "model.skcount").stdout


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
    assert report == {"file": str(out), "n_images": 2, "n_objects": points.counts.sum()}


def test_data_keeps_what_belongs_to_the_images(tmp_path, monkeypatch):
    mask = np.ones((8, 10), dtype=bool)
    mask[0] = False
    scale = np.full((8, 10), 0.5, dtype=np.float32)
    save_hdf5(
        tmp_path / "in.h5", np.zeros((2, 8, 10)), [[], [(1, 1)]], roi=mask, perspective=scale, groups=[4, 5]
    )
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


# --- what is wrong -----------------------------------------------------------------------------------------

OUT = ["--out", "{tmp}/model.skcount"]
WRONG = {
    "no folder": (["fit", "{tmp}/none", "{dir}/cells.csv", *OUT], "no folder"),
    "no points": (["fit", "{dir}/pictures", "{tmp}/none.csv", *OUT], "none.csv"),
    "no such column": (["fit", "{dir}/pictures", "{dir}/cells.csv", "--columns", "u", "v", *OUT], "u"),
    "no place": (["fit", "{dir}/pictures", "{dir}/cells.csv", "--out", "{tmp}/none/m"], "make it first"),
    "sigma": (["fit", "{dir}/cells.h5", "--sigma", "-1", *OUT], "'sigma'"),
    "one image": (
        ["fit", "{dir}/pictures/cell0.png", "{dir}/cells.csv", "--extra", "ignore", *OUT],
        "--held-out 0",
    ),
    "an option is named": (["fit", "{dir}/pictures/cell0.png", "{dir}/cells.csv", *OUT], "--extra ignore"),
    "no model": (
        ["predict", "{tmp}/none.skcount", "{dir}/pictures", "--overlay", "{tmp}/o"],
        "There is no file",
    ),
    "foreign model": (["info", "{dir}/cells.csv"], "cells.csv"),
    "damaged model": (["predict", "{tmp}/cut.skcount", "{dir}/pictures"], "damaged"),
    "no place for a table": (
        ["predict", "{dir}/model.skcount", "{dir}/pictures", "--csv", "{tmp}"],
        "folder",
    ),
    "mask of another size": (
        ["predict", "{dir}/model.skcount", "{dir}/cells.h5", "--roi", "{tmp}/m.png"],
        "shape",
    ),
    "foreign data": (["evaluate", "{dir}/model.skcount", "{tmp}/cut.h5"], "cut.h5"),
    "no place for onnx": (["export", "{dir}/model.skcount", "{tmp}/none/model.onnx"], "make it first"),
    "no archive": (["data", "vgg", "--archive", "{tmp}/none.zip", "--out", "{tmp}/vgg.h5"], "none.zip"),
}


@pytest.mark.parametrize(("arguments", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_left(arguments, words, folder, tmp_path):
    model = (folder / "model.skcount").read_bytes()
    (tmp_path / "cut.skcount").write_bytes(model[:-100])
    (tmp_path / "cut.h5").write_bytes((folder / "cells.h5").read_bytes()[:1000])
    Image.fromarray(np.ones((5, 5), dtype=np.uint8)).save(tmp_path / "m.png")
    before = names_in(tmp_path)
    line = fail(*[argument.format(dir=folder, tmp=tmp_path) for argument in arguments])
    assert words in line
    assert names_in(tmp_path) == before


USAGE = {
    "no command": (["count"], "No such command"),
    "no paths": (["fit", *OUT], "Missing argument"),
    "no points": (["fit", "{dir}/pictures", *OUT], "POINTS is missing"),
    "points twice": (["fit", "{dir}/cells.h5", "{dir}/cells.csv", *OUT], "holds its own points"),
    "format of none": (["fit", "{dir}/cells.h5", "--image-column", "a", *OUT], "--image-column"),
    "a pattern that the shell resolved": (["predict", "m", "a.png", "b.png"], "quotes"),
    "picture of none": (["fit", "{dir}/cells.h5", "--held-out", 0, "--picture", "a.png", *OUT], "--picture"),
    "refit of all": (["fit", "{dir}/cells.h5", "--held-out", 0, "--refit", *OUT], "--refit"),
    "picture on the model": (["fit", "{dir}/cells.h5", "--out", "{tmp}/model.png"], "picture"),
    "epochs": (["fit", "{dir}/cells.h5", "--max-epochs", 0, *OUT], "--max-epochs"),
    "an archive of cells": (["data", "cells", "--archive", "a.zip", "--out", "{tmp}/a.h5"], "--archive"),
    "a number of frames": (["data", "mall", "--n-images", 3, "--out", "{tmp}/a.h5"], "--n-images"),
}


@pytest.mark.parametrize(("arguments", "words"), USAGE.values(), ids=USAGE)
def test_what_is_typed_wrong_exits_with_2(arguments, words, folder, tmp_path):
    result = run(*[str(argument).format(dir=folder, tmp=tmp_path) for argument in arguments])
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""
    assert names_in(tmp_path) == []


def test_a_mistake_of_the_program_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("skcount.load", lambda path: {}[path])
    with pytest.raises(AssertionError, match="any"):
        run("info", "any")


@pytest.mark.parametrize("error", [MemoryError(), FloatingPointError("diverged"), RuntimeError("two\nlines")])
def test_errors_of_any_kind_that_is_expected_are_one_line(error, monkeypatch):
    def raise_it(path):
        raise error

    monkeypatch.setattr("skcount.load", raise_it)
    assert fail("info", "any") == f"Error: {' '.join(str(error).split()) or 'MemoryError'}"


def test_an_interrupt_exits_with_130_and_leaves_nothing(folder, tmp_path, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(skcount.DensityMapRegressor, "fit", interrupt)
    result = run("fit", folder / "cells.h5", *TINY, "--out", tmp_path / "model.skcount")
    assert result.exit_code == 130
    assert result.stderr == "\nInterrupted.\n"
    assert names_in(tmp_path) == []


# --- help --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_the_help_of_a_command_shows_examples_that_parse(name):
    text = succeed(name, "--help").stdout
    examples = [line.strip() for line in text.splitlines() if line.strip().startswith(f"skcount {name}")]
    assert len(examples) >= 2
    for example in examples:
        _, command, *arguments = shlex.split(example)
        commands.commands[command].make_context(command, arguments)


@pytest.mark.parametrize("page", ["README.md", "docs/command_line.md"])
def test_the_commands_of_a_page_parse(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = re.findall(r"^\$ skcount (.*)$", text, re.MULTILINE)
    assert shown
    for line in shown:
        command, *arguments = shlex.split(line)
        commands.commands[command].make_context(command, arguments)


def test_the_architectures_offered_are_those_there_are():
    from skcount.regressors._density_map import ARCHITECTURES

    (option,) = [param for param in commands.commands["fit"].params if param.name == "architecture"]
    assert set(option.type.choices) == set(ARCHITECTURES)


def test_the_options_of_reading_are_arguments_of_load_folder_and_read_points():
    import inspect

    from skcount.cli._inputs import reading_options

    options = reading_options(click.command()(lambda: None)).params
    known = {*inspect.signature(read_points).parameters, *inspect.signature(load_folder).parameters}
    assert {option.name for option in options} <= known
    formats = next(option.type.choices for option in options if option.name == "format")
    from skcount.io._annotations._read import _FORMATS

    assert set(formats) == set(_FORMATS)


def python(*arguments, **options):
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=120, **options
    )


def test_help_and_version_load_nothing_heavy():
    code = (
        "import sys; from skcount.cli import main; sys.argv = ['skcount', *sys.argv[1:]]\n"
        "try: main()\n"
        "except SystemExit: sys.exit(' '.join({'torch', 'sklearn', 'numpy', 'matplotlib', 'tqdm'} & set(sys.modules)))"
    )
    for arguments in (["--help"], ["fit", "--help"], ["--version"]):
        result = python("-c", code, *arguments)
        assert "skcount" in result.stdout
        assert result.stderr.strip() == ""


def test_the_module_is_the_command():
    result = python("-m", "skcount", "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: skcount [OPTIONS] COMMAND")


def test_without_click_one_line_names_the_extra():
    code = "import sys; sys.modules['click'] = None; from skcount.cli import main; main()"
    result = python("-c", code)
    assert result.returncode == 1
    assert result.stderr == "Error: The command line needs click; install it with: pip install skcount[cli]\n"


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as a terminal on POSIX sends them")
def test_ctrl_c_in_a_training_ends_it_at_once(folder, tmp_path):
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from skcount.cli import main; main()"
    )
    options = [
        "--max-epochs",
        "1000000",
        "--checkpoint",
        str(tmp_path / "state"),
        "--out",
        str(tmp_path / "model.skcount"),
    ]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", code, "fit", str(folder / "cells.h5"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not (tmp_path / "state").exists() and process.poll() is None:
            time.sleep(0.1)  # until it trains
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (130, "", "\nInterrupted.\n")
    assert {name for name in names_in(tmp_path) if not name.endswith(".lock")} == {"state"}
