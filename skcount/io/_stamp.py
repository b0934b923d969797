"""What tells one version of a file from another, without reading it."""

import os


def file_stamp(path):
    """Return the size in bytes and the time of last change in ns of a file.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    (int, int)
        The stamp.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def check_stamp(path, stamp):
    """Refuse a file that is not the one that was loaded.

    Parameters
    ----------
    path : str or path-like
        The file.
    stamp : (int, int)
        Its stamp when it was loaded.

    Raises
    ------
    FileNotFoundError
        If it has vanished.
    OSError
        If it has changed.
    """
    try:
        found = file_stamp(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path} has vanished since it was loaded; put it back, or load it from where it is now."
        ) from None
    if found != stamp:
        raise OSError(
            f"{path} has changed since it was loaded (size and time of change: {stamp} before, {found} now); load it "
            "again."
        )
