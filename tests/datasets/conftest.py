"""Archives and pictures for the tests of data sets."""

import zipfile
from io import BytesIO

import pytest


@pytest.fixture(scope="session")
def encode():
    """Return a function that encodes pixels as a picture, bytes."""
    pillow = pytest.importorskip("PIL.Image", reason="pillow writes the pictures")

    def encode(pixels, kind="png"):
        buffer = BytesIO()
        pillow.fromarray(pixels).save(buffer, format=kind)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def write_zip():
    """Return a function that writes a zip file of members, dict of name to bytes; a None is left out."""

    def write_zip(path, members):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                if content is not None:
                    archive.writestr(name, content)
        return path

    return write_zip


@pytest.fixture(scope="session")
def write_mat():
    """Return a function that writes variables to a MATLAB file, bytes."""
    savemat = pytest.importorskip("scipy.io").savemat

    def write_mat(**variables):
        buffer = BytesIO()
        savemat(buffer, variables, do_compression=True)
        return buffer.getvalue()

    return write_mat


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No archive is found but where a test puts it: `home` is the cache folder, and no address is reached."""
    monkeypatch.delenv("SKCOUNT_DATA", raising=False)
    monkeypatch.setenv("SKCOUNT_CACHE", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"
