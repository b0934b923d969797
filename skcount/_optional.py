"""Packages of the extras, imported only when they are needed."""

from importlib import import_module

__all__ = ["import_optional"]


def import_optional(module, purpose, extra="data"):
    """Import a module that may not be installed; the error says what needs it and how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        package = {"PIL": "pillow"}.get(module.partition(".")[0], module.partition(".")[0])
        raise ImportError(
            f"{purpose} needs {package}; install it with: pip install skcount[{extra}]"
        ) from error
