"""What is wrong with a command is said in one line, and help in a few."""

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image
from typed import fail, names_in, run, succeed

from skcount import load
from skcount.cli._commands import commands, in_one_line
from skcount.cli._predict import _overlay_names
from skcount.io import load_folder, read_points
from skcount.training import Session, _checkpoint

ROOT = Path(__file__).parents[2]

# --- errors ------------------------------------------------------------------------------------------------

OUT = " --out {tmp}/model.skcount"
# {dir} has pictures and a model, {tmp} has files that are cut short.
WRONG = {
    "no folder": ("fit {tmp}/none {dir}/cells.csv" + OUT, "no folder"),
    "no points": ("fit {dir}/pictures {tmp}/none.csv" + OUT, "none.csv"),
    "no such column": ("fit {dir}/pictures {dir}/cells.csv --columns u v" + OUT, "u"),
    "no place": ("fit {dir}/pictures {dir}/cells.csv --out {tmp}/none/m", "no folder"),
    "sigma": ("fit {dir}/cells.h5 --sigma -1" + OUT, "'sigma'"),
    "one image": ("fit {dir}/pictures/cell0.png {dir}/cells.csv --extra ignore" + OUT, "--held-out 0"),
    "an option is named": ("fit {dir}/pictures/cell0.png {dir}/cells.csv" + OUT, "--extra ignore"),
    "no model": ("predict {tmp}/none.skcount {dir}/pictures --overlay {tmp}/o", "There is no file"),
    "foreign model": ("info {dir}/cells.csv", "cells.csv"),
    "damaged model": ("predict {tmp}/cut.skcount {dir}/pictures", "damaged"),
    "no place for a table": ("predict {dir}/model.skcount {dir}/pictures --csv {tmp}", "folder"),
    "mask of another size": ("predict {dir}/model.skcount {dir}/cells.h5 --roi {tmp}/m.png", "shape"),
    "foreign data": ("evaluate {dir}/model.skcount {tmp}/cut.h5", "cut.h5"),
    "no place for onnx": ("export {dir}/model.skcount {tmp}/none/model.onnx", "no folder"),
    "no archive": ("data vgg --archive {tmp}/none.zip --out {tmp}/vgg.h5", "none.zip"),
}


@pytest.mark.parametrize(("arguments", "match"), WRONG.values(), ids=WRONG)
def test_an_error_is_one_line_and_leaves_no_file(arguments, match, folder, tmp_path):
    model = (folder / "model.skcount").read_bytes()
    (tmp_path / "cut.skcount").write_bytes(model[:-100])
    (tmp_path / "cut.h5").write_bytes((folder / "cells.h5").read_bytes()[:1000])
    Image.fromarray(np.ones((5, 5), dtype=np.uint8)).save(tmp_path / "m.png")
    before = names_in(tmp_path)
    line = fail(*[argument.format(dir=folder, tmp=tmp_path) for argument in arguments.split()])
    assert match in line
    assert names_in(tmp_path) == before


USAGE = {
    "no command": ("count", "No such command"),
    "no paths": ("fit" + OUT, "Missing argument"),
    "no points": ("fit {dir}/pictures" + OUT, "POINTS is missing"),
    "points twice": ("fit {dir}/cells.h5 {dir}/cells.csv" + OUT, "holds its own points"),
    "format of none": ("fit {dir}/cells.h5 --image-column a" + OUT, "--image-column"),
    "a pattern that the shell resolved": ("predict m a.png b.png", "quotes"),
    "picture of none": ("fit {dir}/cells.h5 --held-out 0 --picture a.png" + OUT, "--picture"),
    "refit of all": ("fit {dir}/cells.h5 --held-out 0 --refit" + OUT, "--refit"),
    "minutes and epochs": ("fit {dir}/cells.h5 --minutes 1 --max-epochs 3" + OUT, "--max-epochs"),
    "minutes and a checkpoint": ("fit {dir}/cells.h5 --minutes 1 --checkpoint {tmp}/c" + OUT, "--checkpoint"),
    "picture on the model": ("fit {dir}/cells.h5 --out {tmp}/model.png", "picture"),
    "epochs": ("fit {dir}/cells.h5 --max-epochs 0" + OUT, "--max-epochs"),
    "data to nowhere": ("data cells", "--pictures"),
    "pictures of a public set": ("data mall --pictures {tmp}/a", "--pictures"),
    "an archive of cells": ("data cells --archive a.zip --out {tmp}/a.h5", "--archive"),
    "a number of frames": ("data mall --n-images 3 --out {tmp}/a.h5", "--n-images"),
}


@pytest.mark.parametrize(("arguments", "match"), USAGE.values(), ids=USAGE)
def test_a_wrong_command_line_exits_with_2(arguments, match, folder, tmp_path):
    result = run(*[argument.format(dir=folder, tmp=tmp_path) for argument in arguments.split()])
    assert result.exit_code == 2
    assert match in result.stderr
    assert result.stdout == ""
    assert names_in(tmp_path) == []


def test_a_bug_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("skcount.load", lambda path: {}[path])
    with pytest.raises(AssertionError, match="any"):
        run("info", "any")


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("It is\n  outside; outside='warn' keeps it.", "It is outside; --outside warn keeps it."),
        ("Pass image_column=... .", "Pass --image-column ."),
        ("Its folders need recursive=True.", "Its folders need --recursive."),
        ("device='cpu' is no option.", "device='cpu' is no option."),
    ],
)
def test_an_argument_in_a_message_is_named_as_its_option(message, line):
    assert in_one_line(ValueError(message)) == line


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (["a.png", "b.png"], ["a", "b"]),
        (["a.png", "a.tif"], ["a.png", "a.tif"]),
        (["x/a.png", "y/a.png"], ["x/a", "y/a"]),
    ],
)
def test_overlays_of_different_images_have_different_names(names, files):
    assert _overlay_names(names) == [f"{name}_overlay.png" for name in files]


@pytest.mark.parametrize("error", [MemoryError(), FloatingPointError("diverged"), RuntimeError("two\nlines")])
def test_errors_of_any_kind_that_is_expected_are_one_line(error, monkeypatch):
    def raise_it(path):
        raise error

    monkeypatch.setattr("skcount.load", raise_it)
    assert fail("info", "any") == f"Error: {' '.join(str(error).split()) or 'MemoryError'}"


def test_ctrl_c_in_a_training_exits_with_130_and_leaves_the_checkpoint_alone(folder, tmp_path, monkeypatch):
    def write_and_interrupt(*arguments):
        write(*arguments)
        signal.raise_signal(signal.SIGINT)

    write = _checkpoint.write
    monkeypatch.setattr(_checkpoint, "write", write_and_interrupt)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        options = ["--max-epochs", 10**6, "--checkpoint", tmp_path / "state"]
        result = run("fit", folder / "cells.h5", *options, "--out", tmp_path / "model.skcount")
    finally:
        signal.signal(signal.SIGINT, handler)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.endswith("\nInterrupted.\n")  # by the second signal
    assert {name for name in names_in(tmp_path) if not name.endswith(".lock")} == {"state"}


@pytest.mark.parametrize("options", [[], ["--refit"]])
def test_ctrl_c_once_ends_the_training_and_saves_the_model(folder, tmp_path, monkeypatch, options):
    def count_and_interrupt(session, net, **kwargs):
        on_batch_end(session, net, **kwargs)
        if net.n_steps_ == 5:
            signal.raise_signal(signal.SIGINT)

    on_batch_end = Session.on_batch_end
    monkeypatch.setattr(Session, "on_batch_end", count_and_interrupt)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        out = tmp_path / "model.skcount"
        result = run("fit", folder / "cells.h5", "--max-epochs", 60, "--out", out, *options)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, handler)
    assert result.exit_code == 0, result.stderr
    assert "Ended early, after 6 of " in result.stdout
    assert "trained on 16 of 20 images" in result.stdout  # no second training
    regressor = load(out)
    assert regressor.callbacks is None
    assert regressor.n_iter_ < 60


def test_a_training_takes_the_minutes_that_it_is_given(folder, tmp_path):
    out = tmp_path / "model.skcount"
    report = json.loads(
        succeed("fit", folder / "cells.h5", "--minutes", 0.005, "--out", out, "--json").stdout
    )
    assert 1 <= report["n_epochs"] < 300  # 0.3 seconds; the default is 600 epochs
    assert not report["ended_early"]


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
    from skcount.io._annotations import FORMATS

    assert set(formats) == set(FORMATS)


def python(*arguments):
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)  # noqa: S603 - our own


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
