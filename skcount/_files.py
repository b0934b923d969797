"""Write a file completely or not at all: under a temporary name, flushed to the disk, then moved into place."""

import errno
import os
import re
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

__all__ = ["check_target", "replacing"]


# Of the name of a file: systems allow 255, and the temporary file's name is longer.
MOST_BYTES = 217


def check_target(path):
    """Check the name of a file to write, and return its absolute path with ``~`` expanded."""
    path = Path(os.path.abspath(os.path.expanduser(path)))
    if path.is_symlink():  # the file that it refers to is replaced, and the link stays
        path = path.resolve()
    if len(os.fsencode(path.name)) > MOST_BYTES:
        raise ValueError(
            f"{path.name[:40]}... must have at most {MOST_BYTES} bytes; it has {len(os.fsencode(path.name))}."
        )
    if path.is_dir():
        raise ValueError(f"{path} is a folder; expected the name of a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} to write {path.name} in. Create it first.")
    return path


@contextmanager
def replacing(path):
    """Yield the path of an empty, hidden file in the same folder, and move it to `path` at the end."""
    # On an error the file is removed and `path` stays as it was. Only a writer that is killed leaves its file behind; the
    # next writer removes it.
    _remove_leftovers(path)
    held = _create_locked(path)
    temporary = Path(held.name)
    try:
        yield temporary
        os.fsync(held.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        if os.name != "posix":  # Windows can neither move an open file nor open a folder
            held.close()
        os.replace(temporary, path)
        if os.name == "posix":
            _flush_folder(path.parent)  # the new name is stored in the folder
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise OSError(
            error.errno, f"There is no space left on the disk to write {path}. It is unchanged."
        ) from error
    finally:
        held.close()
        temporary.unlink(missing_ok=True)


def _create_locked(path):
    """Create a temporary file that is locked while its writer lives, if the system has such locks."""
    while True:
        held = open(path.with_name(f".{path.name}.{uuid4().hex}.tmp"), "xb")  # noqa: SIM115 - the caller closes it
        # Another writer may have removed it as a leftover before it was locked.
        if _lock(held.fileno()) is not False and os.fstat(held.fileno()).st_nlink:
            return held
        held.close()


def _lock(descriptor):
    """Lock an open file; return whether that was possible, or None if files cannot be locked at all."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def _remove_leftovers(path):
    """Remove the temporary files of killed writers, which are not locked."""
    for leftover in path.parent.iterdir():
        if re.fullmatch(rf"\.{re.escape(path.name)}\.[0-9a-f]{{32}}\.tmp", leftover.name):
            with suppress(OSError), open(leftover, "r+b") as held:  # another writer may have removed it
                if _lock(held.fileno()):
                    leftover.unlink()


def _flush_folder(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
