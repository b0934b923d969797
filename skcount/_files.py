"""Write a file whole or not at all: under a temporary name, onto the disk, then into place.

>>> import tempfile
>>> from pathlib import Path
>>> with tempfile.TemporaryDirectory() as folder:
...     with replacing(Path(folder) / "a.txt") as temporary:
...         _ = temporary.write_text("whole")
...     (Path(folder) / "a.txt").read_text()
'whole'
"""

import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

__all__ = ["check_target", "replacing"]


def check_target(path):
    """Check the name of a file that is to be written.

    Parameters
    ----------
    path : str or path-like
        The name; ``~`` stands for the home folder.

    Returns
    -------
    pathlib.Path
        The absolute path.

    Raises
    ------
    ValueError
        If it is the name of a folder.
    FileNotFoundError
        If the folder does not exist.

    Examples
    --------
    >>> check_target("missing/cells.h5")
    Traceback (most recent call last):
    ...
    FileNotFoundError: There is no folder .../missing to write cells.h5 in; make it first.
    """
    path = Path(os.path.abspath(os.path.expanduser(path)))
    if path.is_dir():
        raise ValueError(f"{path} is a folder; expected the name of a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} to write {path.name} in; make it first.")
    return path


@contextmanager
def replacing(path):
    """Give a temporary file in the same folder; move it to `path` when all has been written to it.

    Parameters
    ----------
    path : pathlib.Path
        What :func:`check_target` returned.

    Yields
    ------
    pathlib.Path
        The name of an empty file, hidden, to write to. Whatever goes wrong, it is removed and `path`
        stays as it was; only a writer that is killed leaves it, and the next one removes it.
    """
    _remove_leftovers(path)
    held = _create_locked(path)
    temporary = Path(held.name)
    try:
        yield temporary
        os.fsync(held.fileno())
        if os.name != "posix":  # Windows moves no open file, and opens no folder
            held.close()
        os.replace(temporary, path)
        if os.name == "posix":
            _flush_folder(path.parent)  # the new name is on the disk when the folder is
    finally:
        held.close()
        temporary.unlink(missing_ok=True)


def _create_locked(path):
    """Create a temporary file that is locked for as long as its writer lives, where the system has such locks."""
    while True:
        held = open(path.with_name(f".{path.name}.{uuid4().hex}.tmp"), "xb")  # noqa: SIM115 - whoever asked closes it
        # Another writer may have taken it for a leftover before it was locked.
        if _lock(held.fileno()) is not False and os.fstat(held.fileno()).st_nlink:
            return held
        held.close()


def _lock(descriptor):
    """Lock an open file; return whether that was possible, None where files cannot be locked at all."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def _remove_leftovers(path):
    """Remove temporary files of writers that were killed: those that nobody has locked."""
    for leftover in path.parent.iterdir():
        if re.fullmatch(rf"\.{re.escape(path.name)}\.[0-9a-f]{{32}}\.tmp", leftover.name):
            with suppress(OSError), open(leftover, "r+b") as held:  # another writer may have been quicker
                if _lock(held.fileno()):
                    leftover.unlink()


def _flush_folder(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
