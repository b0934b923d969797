"""Click, count, correct: a page for dots in a browser, served on this machine alone."""

from skcount.annotate._desk import Desk
from skcount.annotate._page import annotate, serve

__all__ = ["Desk", "annotate", "serve"]
