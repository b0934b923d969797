import subprocess
import sys
from pathlib import Path

import pytest

import skcount

ROOT = Path(__file__).parents[1]
LINTER = Path(sys.executable).with_name("lint-imports")


def run(*command):
    return subprocess.run(  # noqa: S603 - our own commands
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.skipif(not LINTER.exists(), reason="import-linter is not installed (pip install import-linter)")
@pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="the contracts stand in the checkout's pyproject.toml"
)
def test_imports_go_downward_only():
    linted = run(str(LINTER), "--no-cache")
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert " 0 broken" in linted.stdout


@pytest.mark.parametrize(
    "module",
    [
        "skcount",
        "skcount.points",
        "skcount.density",
        "skcount.metrics",
        "skcount.datasets",
        "skcount.io",
        "skcount.images",
        "skcount.plotting",
        "skcount._check",
    ],
)
def test_light_modules_load_no_torch_and_no_matplotlib(module):
    code = f"import sys, {module}; print(*sorted({{'torch', 'skorch', 'matplotlib'}} & set(sys.modules)))"
    loaded = run(sys.executable, "-c", code)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.strip() == ""


def test_importing_the_package_loads_neither_scikit_learn_nor_h5py():
    code = "import sys, skcount; print(*sorted({'sklearn', 'h5py', 'scipy', 'numpy'} & set(sys.modules)))"
    loaded = run(sys.executable, "-c", code)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.strip() == ""


def test_every_public_name_resolves_and_is_listed():
    assert len(set(skcount.__all__)) == len(skcount.__all__)
    for name in skcount.__all__:
        assert getattr(skcount, name) is not None
        assert name in dir(skcount)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Regressor'"):
        _ = skcount.Regressor


@pytest.mark.parametrize(
    "folder",
    ["density", "metrics", "networks", "datasets", "io", "images", "regressors", "training", "plotting"],
)
def test_every_name_that_a_folder_exports_is_there(folder):
    module = __import__(f"skcount.{folder}", fromlist=["__all__"])
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
