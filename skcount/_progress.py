"""Progress bars, for whoever sits before a terminal or a notebook.

>>> list(track(["a", "b"], "read", 2))
['a', 'b']
"""

import sys

__all__ = ["bar", "is_watched", "track"]

# Seconds of work before a bar appears that nobody asked for.
PATIENCE = 3


def bar(what, total, shown=True, **how):
    """Make a progress bar.

    Parameters
    ----------
    what : str
        What stands before it.
    total : int or None
        How much there is to do; None if it is not known.
    shown : bool, default=True
        Whether it is wanted. It shows only where somebody sees it.
    **how
        Further arguments of tqdm.

    Returns
    -------
    tqdm.tqdm
        To be updated, and closed.

    Examples
    --------
    >>> with bar("predict", 2) as progress:
    ...     progress.update()
    """
    shown = shown and is_watched()
    if shown:
        from tqdm.auto import tqdm  # a notebook's own bar; without its widgets this warns
    else:
        from tqdm import tqdm
    return tqdm(desc=what, total=total, disable=not shown, **how)


def track(items, what, total, unit="image"):
    """Show how far a loop is that takes more than a few seconds.

    Parameters
    ----------
    items : iterable
        What the loop is over.
    what : str
        What stands before the bar.
    total : int
        How many items there are.
    unit : str, default="image"
        What one item is.

    Returns
    -------
    iterable
        The same items.

    Examples
    --------
    >>> sum(track([1, 2], "add", 2, unit="number"))
    3
    """
    if not is_watched():
        return items
    from tqdm.auto import tqdm

    return tqdm(items, desc=what, total=total, unit=unit, delay=PATIENCE)


def is_watched():
    """Tell whether somebody sees a bar.

    Returns
    -------
    bool
        Whether stderr is a terminal, or this is a notebook's kernel, whose stderr is none and shows bars all the same.

    Examples
    --------
    >>> is_watched() in {True, False}
    True
    """
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if hasattr(ipython, "get_ipython") else None
    return is_terminal or (shell is not None and "IPKernelApp" in shell.config)
