"""Build wheel and sdist, check their contents, and test the wheel in an empty environment, far from the sources."""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
MADE = ("PKG-INFO", "setup.cfg", "skcount.egg-info/")  # files that setuptools adds to every sdist
LEFT_OUT = {".gitignore"}
TEN_LINES = """
import skcount
from skcount.datasets import make_cells
from skcount.io import load_hdf5, save_hdf5

X, points = make_cells(4, image_shape=(32, 32), random_state=0, return_X_y=True)
save_hdf5("cells.h5", X, points)
X, points = load_hdf5("cells.h5", return_X_y=True)
regressor = skcount.DensityMapRegressor(max_epochs=2, random_state=0).fit(X, points)
regressor.save("cells.skcount")
assert (skcount.load("cells.skcount").predict(X) == regressor.predict(X)).all()
print(skcount.__version__, "from", skcount.__file__)
"""
SMOKE = ["--pyargs", "skcount", "tests/points", "tests/test_estimators.py", "tests/cli"]


def main():
    """Build and check both distributions."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT, quiet=True)
    wheel, sdist = *DIST.glob("*.whl"), *DIST.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    check_wheel(wheel)
    check_sdist(sdist)
    with tempfile.TemporaryDirectory() as folder:
        try_wheel(wheel, sdist, Path(folder))
    print(f"{wheel.name} and {sdist.name} can be published.")


def check_wheel(wheel):
    """Check that the wheel has all of skcount and its license, and nothing else."""
    names = zipfile.ZipFile(wheel).namelist()
    others = [name for name in names if not name.startswith(("skcount/", "skcount-"))]
    sources = {path for path in tracked() if path.startswith("skcount/")}
    absent = sources - {*names}
    unknown = {name for name in names if name.startswith("skcount/")} - sources
    license_ = [name for name in names if name.endswith("licenses/LICENSE")]
    expect(not others and not absent and not unknown and license_, wheel, [*others, *absent, *unknown])
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size:,} bytes")


def check_sdist(sdist):
    """Check that the sdist has all tracked files, and nothing else but what setuptools adds."""
    with tarfile.open(sdist) as file:
        names = {member.name.partition("/")[2] for member in file if member.isfile()}
    absent = tracked() - names - LEFT_OUT
    unknown = {name for name in names - tracked() if not name.startswith(MADE)}
    expect(not absent and not unknown, sdist, [*absent, *unknown])
    print(f"{sdist.name}: {len(names)} files, {sdist.stat().st_size:,} bytes")


def try_wheel(wheel, sdist, folder):
    """Run a short script with the required packages, then with all extras the tests of the sdist, without its sources."""
    os.environ.pop("PYTHONPATH", None)  # which may lead back to the sources
    run(sys.executable, "-m", "venv", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    install += ["-c", ROOT / "constraints.txt"]
    run(*install, wheel)
    # A fit of two epochs warns that it has not learnt to count yet.
    run(python, "-W", "error", "-W", "ignore:After ", "-c", TEN_LINES, cwd=folder)
    without_click = subprocess.run(
        [python, "-m", "skcount", "--help"], cwd=folder, capture_output=True, text=True, check=False
    )
    expect("pip install skcount[cli]" in without_click.stderr, wheel, [without_click.stderr])
    run(*install, f"{wheel}[test]")
    run(folder / "venv" / "bin" / "skcount", "--version", cwd=folder)
    with tarfile.open(sdist) as file:
        file.extractall(folder, filter="data")
    unpacked = folder / sdist.name.removesuffix(".tar.gz")
    shutil.rmtree(unpacked / "skcount")
    run(python, "-m", "pytest", "-q", "-m", "not slow and not network", *SMOKE, cwd=unpacked)


def tracked():
    """Return the paths of all tracked files."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listed.stdout.splitlines())


def run(*command, quiet=False, cwd=ROOT):
    """Run a command, and exit if it fails; a quiet one prints its output only then."""
    done = subprocess.run([*map(str, command)], cwd=cwd, check=False, capture_output=quiet, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout or ''}{done.stderr or ''}{command[0]} ended with {done.returncode}.")


def expect(holds, file, what):
    """Exit if a condition does not hold for a file."""
    if not holds:
        sys.exit(f"{file.name} is wrong: {', '.join(what) or 'it has no license'}")


if __name__ == "__main__":
    main()
