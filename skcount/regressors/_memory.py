"""Refuse what cannot fit in memory, before the system ends the process."""

import math
from contextlib import contextmanager
from pathlib import Path

import torch

from skcount.networks import bytes_per_pixel

# Fewer pixels than these fit wherever torch does.
SMALL = 1_000_000
# Where Linux says how much memory a process may have and what of it is used: of a container, by the second or first version
# of its groups.
_LIMITS = [
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
]
# What is used for copies of files, which make room when it is needed.
_CACHE = ("inactive_file", "active_file")


def available(device="cpu"):
    """Memory that is free, in bytes.

    Parameters
    ----------
    device : str or torch.device, default="cpu"
        Where.

    Returns
    -------
    float
        Infinity where the system does not say.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return float("inf")
    free = [float("inf"), _of_machine()]
    for limit, usage, statistics in _LIMITS:
        try:
            unused = int(Path(limit).read_text()) - int(Path(usage).read_text())
            free.append(unused + _of_cache(Path(statistics).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return float(max(0, min(free)))


def _of_cache(statistics):
    r"""Bytes that hold copies of files, by the lines of a group's statistics: its own, or with those below it.

    >>> _of_cache("anon 70\ninactive_file 20\nactive_file 10\n")
    30
    """
    values = dict(line.split() for line in statistics.splitlines())
    return sum(int(values.get(f"total_{name}", values.get(name, 0))) for name in _CACHE)


def _of_machine():
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    return next(
        (1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), float("inf")
    )


def check_memory(module, shape, what, remedy, training=False):
    """Refuse images that a network cannot see at once for want of memory.

    Parameters
    ----------
    module : DensityNetwork
        The network, where it is to compute.
    shape : (n_images, height, width)
        What it is to see at once, in pixels.
    what, remedy : str
        For the message.
    training : bool, default=False
        Whether it is to be trained.

    Raises
    ------
    MemoryError
        If there is less memory than that takes at least.
    """
    n_pixels = math.prod(shape)
    if n_pixels < SMALL:
        return
    needed, free = n_pixels * bytes_per_pixel(module, training=training), available(module.mean.device)
    if needed > free:
        raise MemoryError(
            f"{what} need {needed / 1e9:.1f} GB at least, and {free / 1e9:.1f} GB are free; {remedy}"
        )


@contextmanager
def out_of_memory(what, remedy):
    """Turn torch's errors about memory into one that says what to do.

    Parameters
    ----------
    what, remedy : str
        For the message.

    Raises
    ------
    MemoryError
        If torch could not get the memory that it asked for.
    """
    try:
        yield
    except RuntimeError as error:
        if (
            isinstance(error, torch.OutOfMemoryError)
            or "not enough memory" in str(error)
            or "allocate memory" in str(error)
        ):
            raise MemoryError(
                f"{what} do not fit in memory ({str(error).splitlines()[0]}); {remedy}"
            ) from error
        raise
