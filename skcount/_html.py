"""Small HTML tables for notebooks."""

from html import escape

__all__ = ["table"]


def table(title, rows):
    """Return an HTML table of a dict, with all text escaped and without the rows that are None."""
    lines = [
        f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>"
        for name, value in rows.items()
        if value is not None
    ]
    return f"<table><caption>{escape(title)}</caption>{''.join(lines)}</table>"
