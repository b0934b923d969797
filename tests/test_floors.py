import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import skcount

ROOT = Path(__file__).parents[1]
LINTER = Path(sys.executable).with_name("lint-imports")


def run(*command):
    return subprocess.run(  # noqa: S603 - our own commands
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.mark.skipif(not LINTER.exists(), reason="import-linter is not installed (pip install import-linter)")
@pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="the contracts stand in the checkout's pyproject.toml"
)
def test_imports_go_downward_only():
    linted = run(str(LINTER), "--no-cache")
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert " 0 broken" in linted.stdout


LIGHT = ["points", "images", "io", "density", "metrics", "datasets", "plotting", "_check"]
WITH_TORCH = ["networks", "losses", "inference"]
LOOK = """
import importlib, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
    heavy = set(sys.argv[1].split()) & set(sys.modules)
    assert not heavy, (name, heavy)
"""


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ([], "sklearn h5py scipy numpy"),
        (LIGHT, "torch skorch matplotlib"),
        (WITH_TORCH, "skorch matplotlib h5py"),
    ],
)
def test_modules_load_no_more_than_they_need(modules, heavy):
    loaded = run(sys.executable, "-c", LOOK, heavy, "skcount", *(f"skcount.{name}" for name in modules))
    assert loaded.returncode == 0, loaded.stderr


def test_every_public_name_resolves_and_is_listed():
    assert len(set(skcount.__all__)) == len(skcount.__all__)
    for name in skcount.__all__:
        assert getattr(skcount, name) is not None
        assert name in dir(skcount)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Regressor'"):
        _ = skcount.Regressor


@pytest.mark.parametrize(
    "folder", [found.name for found in pkgutil.iter_modules(skcount.__path__) if found.ispkg]
)
def test_every_name_that_a_folder_exports_is_there(folder):
    module = importlib.import_module(f"skcount.{folder}")
    assert [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)] == []


def private_imports():
    """Find imports of a private module of another folder, such as `skcount.io._x` in skcount/datasets."""
    package = Path(skcount.__file__).parent
    for path in sorted(package.rglob("*.py")):
        home = path.relative_to(package).parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in filter(None, names):
                root, folder, *inner = [*name.split("."), "", ""][:3]
                if root == "skcount" and folder != home and inner[0].startswith("_"):
                    yield f"{path.relative_to(package)}: {name}"


def test_nothing_private_crosses_a_folder():
    assert list(private_imports()) == []
