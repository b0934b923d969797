"""Click, count, correct: a page for dots in a browser, served on this machine alone."""

from skcount.annotate._desk import Desk  # noqa: F401 - for skcount.cli
from skcount.annotate._page import Page, annotate, serve  # noqa: F401 - for skcount.cli

__all__ = ["Page", "annotate"]
