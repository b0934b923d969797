"""The docstring of every public object gives its parameters, returns and an example, and the reference names it."""

import inspect
import re
from operator import attrgetter
from pathlib import Path

import pytest
from numpydoc.validate import validate

import skcount

MODULES = [name for name in skcount.__all__ if inspect.ismodule(getattr(skcount, name))]
REFERENCE = Path(__file__).parents[1] / "docs" / "api.rst"

# What is not asked for: sections for which there is nothing to say, and the order of words.
IGNORED = {
    "ES01",  # an extended summary: a good short one will do
    "EX01",  # an example: asked for below, of what users call
    "GL01",  # text on the line of the quotes: ruff keeps the opposite convention
    "GL08",  # a missing docstring: ruff finds it, and knows which methods scikit-learn documents
    "RT02",  # a name for a single return value
    "SA01",  # see also
    "YD01",  # a yields section
}


def public_objects():
    names = [f"skcount.{name}" for name in skcount.__all__ if name not in MODULES]
    for module in MODULES:
        names += [f"skcount.{module}.{name}" for name in getattr(skcount, module).__all__]
    return sorted(names)


def load(name):
    return attrgetter(name.removeprefix("skcount."))(skcount)


def in_the_reference():
    """Names of the tables, and those in the text between them."""
    text = REFERENCE.read_text()
    assert re.findall(r"currentmodule:: (.*)", text) == ["skcount"]
    names = re.findall(r"^   ([\w.]+)$", text, re.MULTILINE) + re.findall(r"``(\w+\.\w+)``", text)
    return [f"skcount.{name}" for name in names]


def documented():
    """Functions, classes and the methods and properties that a class of ours defines."""
    for name in public_objects():
        found = load(name)
        if inspect.isfunction(found) or inspect.isclass(found):
            yield name
        if inspect.isclass(found):
            for method, value in inspect.getmembers(found, inspect.isroutine):
                home = getattr(inspect.unwrap(value), "__module__", None) or ""
                if not method.startswith("_") and home.startswith("skcount") and inspect.getdoc(value):
                    yield f"{name}.{method}"
            for attribute, value in inspect.getmembers(found, lambda value: isinstance(value, property)):
                if not attribute.startswith("_") and value.fget.__module__.startswith("skcount"):
                    yield f"{name}.{attribute}"


@pytest.mark.parametrize("name", list(documented()))
def test_a_public_docstring_is_complete(name):
    errors = [f"{code} {text}" for code, text in validate(name)["errors"] if code not in IGNORED]
    assert errors == []


@pytest.mark.parametrize("name", [n for n in public_objects() if callable(load(n))])
def test_a_public_object_shows_an_example(name):
    text = inspect.getdoc(load(name))
    assert ">>> " in text
    if inspect.isfunction(load(name)) or inspect.isclass(load(name)):
        assert "EX01" not in [code for code, _ in validate(name)["errors"]]  # and it has its section


def test_the_reference_names_all_that_is_public_once():
    listed = in_the_reference()
    assert len(listed) == len(set(listed))
    top = {id(load(name)) for name in public_objects() if name.count(".") == 1}
    homes = [name for name in public_objects() if name.count(".") == 1 or id(load(name)) not in top]
    assert set(homes) - set(listed) == set()


@pytest.mark.parametrize("name", in_the_reference())
def test_what_the_reference_names_is_public(name):
    assert name in public_objects()
