import json
from pathlib import Path
from tempfile import mkdtemp

import pytest


@pytest.fixture(scope="module")
def write(request, tmp_path_factory):
    """Return a function that writes text, bytes or JSON, to a file that is called as the module says in `NAME`."""

    folder = tmp_path_factory.mktemp("given")

    def write(content, name=request.module.NAME):
        path = Path(mkdtemp(dir=folder)) / name
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write
