"""The docstring of every public object gives its parameters, returns and an example."""

import importlib
import inspect

import pytest
from numpydoc.validate import validate

import skcount

MODULES = ["datasets", "density", "metrics", "networks", "plotting", "testing"]

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
        loaded = importlib.import_module(f"skcount.{module}")
        names += [f"skcount.{module}.{name}" for name in loaded.__all__]
    return sorted(names)


def load(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def documented():
    """Functions, classes and the methods that a class of ours defines."""
    for name in public_objects():
        found = load(name)
        if inspect.isfunction(found) or inspect.isclass(found):
            yield name
        if inspect.isclass(found):
            for method, value in inspect.getmembers(found, inspect.isroutine):
                home = getattr(inspect.unwrap(value), "__module__", None) or ""
                if not method.startswith("_") and home.startswith("skcount") and inspect.getdoc(value):
                    yield f"{name}.{method}"


@pytest.mark.parametrize("name", list(documented()))
def test_a_public_docstring_is_complete(name):
    errors = [f"{code} {text}" for code, text in validate(name)["errors"] if code not in IGNORED]
    assert errors == []


@pytest.mark.parametrize("name", [n for n in public_objects() if callable(load(n))])
def test_a_public_object_shows_an_example(name):
    assert ">>> " in inspect.getdoc(load(name))
