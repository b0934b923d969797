import inspect
from pathlib import Path

import pytest

from skcount.io import read_points
from skcount.io._annotations import FORMATS

DOCS = (Path(__file__).parents[3] / "docs" / "annotations.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_documented_its_options_too_and_loads_like_others_of_its_suffix(name):
    assert f'- "{name}": ' in read_points.__doc__
    assert f"`{name}`" in DOCS
    form = FORMATS[name]
    others = [other for other in FORMATS.values() if set(other.suffixes) & set(form.suffixes)]
    assert form.matches is None or {other.load for other in others} == {form.load}
    assert set(form.options) <= set(inspect.signature(read_points).parameters)
