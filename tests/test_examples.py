"""Every script of the gallery runs, and does what it claims."""

import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
QUICK = {"plot_saving"}  # the others take more than ten seconds
SCRIPTS = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem not in QUICK))
    for path in sorted(EXAMPLES.glob("plot_*.py"))
]


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")  # plt.show() without a window
def test_a_gallery_script_runs(script, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")
    assert plt.get_fignums()  # it drew something
    plt.close("all")
    assert list(tmp_path.iterdir()) == []


def test_the_demo_prints_its_errors_and_writes_a_picture(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sys.argv", ["demo.py", "--max-epochs", "1", "--out", str(tmp_path / "demo.png")])
    runpy.run_path(str(EXAMPLES / "demo.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.count("ignores the images") == 2
    assert str(tmp_path / "demo.png") in printed
    assert (tmp_path / "demo.png").stat().st_size > 10_000


def test_the_vgg_cells_are_counted_from_the_archive(published, tmp_path, capsys):
    main = runpy.run_path(str(EXAMPLES / "real" / "count_vgg_cells.py"))["main"]
    folders = ["--archive", published("vgg_cells.zip"), "--data-home", tmp_path, "--out", tmp_path]
    main([*map(str, folders), "--n-train", "2", "--max-epochs", "1", "--architectures", "unet"])
    printed = capsys.readouterr().out
    assert "2 training images of 1-100 (seed 0), 100 test images" in printed
    assert (tmp_path / "count-vgg-cells-unet.png").exists()
    assert len(list(tmp_path.glob("*.h5"))) == 1
