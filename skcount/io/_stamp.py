"""Distinguish versions of a file without reading it."""

import os


def file_stamp(path):
    """Return the size in bytes and the modification time in ns of a file."""
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def check_stamp(path, stamp):
    """Check that a file has not changed since it was loaded."""
    try:
        found = file_stamp(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path} has vanished since it was loaded. Put it back, or load it again."
        ) from None
    if found != stamp:
        raise OSError(
            f"{path} has changed since it was loaded; (size, time of change) must be {stamp}; got {found}. Load it again."
        )
