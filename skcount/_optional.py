"""Packages of the extras, imported where they are needed."""

from importlib import import_module

__all__ = ["import_optional"]


def import_optional(module, purpose, extra="data"):
    """Import a module that may not be installed.

    Parameters
    ----------
    module : str
        Its name.
    purpose : str
        What needs it, for the message.
    extra : str, default="data"
        The extra that installs it.

    Returns
    -------
    module
        The module.

    Raises
    ------
    ImportError
        If it is not installed; the message says how to install it.

    Examples
    --------
    >>> import_optional("json", "reading JSON").loads("[1]")
    [1]
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = {"PIL": "pillow"}.get(module.partition(".")[0], module.partition(".")[0])
        raise ImportError(
            f"{purpose} needs {package}; install it with: pip install skcount[{extra}]"
        ) from error
