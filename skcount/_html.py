"""What a notebook shows of an object, where that is more than its repr."""

from html import escape

__all__ = ["table"]


def table(title, rows):
    """Write a small table of what there is to know.

    Parameters
    ----------
    title : str
        What the object is.
    rows : dict of str to object
        What is known of it; None is left out. Nothing is taken for HTML.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> table("A < B", {"images": 3, "roi": None})
    '<table><caption>A &lt; B</caption><tr><th>images</th><td>3</td></tr></table>'
    """
    lines = [
        f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>"
        for name, value in rows.items()
        if value is not None
    ]
    return f"<table><caption>{escape(title)}</caption>{''.join(lines)}</table>"
