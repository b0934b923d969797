"""Progress bars in terminals and notebooks."""

import sys

__all__ = ["PATIENCE", "about", "bar", "is_watched", "track"]

PATIENCE = 3  # seconds of work that needs no bar and no word about its time


def bar(what, total, shown=True, **options):
    """Return a tqdm bar, to be updated and closed; it stays hidden if `shown` is false or nobody would see it."""
    shown = shown and is_watched()
    if shown:
        from tqdm.auto import tqdm  # the bar of notebooks; it warns if their widgets are missing
    else:
        from tqdm import tqdm
    return tqdm(desc=what, total=total, disable=not shown, **options)


def track(items, what, total, unit="image"):
    """Iterate over the items, with a bar if this takes longer than `PATIENCE` and somebody would see it."""
    if not is_watched():
        return items
    from tqdm.auto import tqdm

    return tqdm(items, desc=what, total=total, unit=unit, delay=PATIENCE)


def about(seconds):
    """Return a time in words: about 90 seconds, about 4 minutes, about 2.5 hours."""
    if seconds < 115:
        number, unit = max(round(seconds, -1) if seconds > 15 else round(seconds), 1), "second"
    elif seconds < 5400:
        number, unit = max(round(seconds / 60), 1), "minute"
    else:
        number, unit = round(seconds / 1800) / 2, "hour"
    return f"about {number:g} {unit}{'s' * (number != 1)}"


def is_watched():
    """Return whether stderr is a terminal or a notebook, which shows bars although its stderr is not a terminal."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if hasattr(ipython, "get_ipython") else None
    return is_terminal or (shell is not None and "IPKernelApp" in shell.config)
