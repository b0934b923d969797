"""How much memory is free, as the system and its limits say."""

from pathlib import Path

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


def free_memory():
    """Memory that this process may still take, in bytes.

    Returns
    -------
    float
        Infinity where the system does not say.

    Examples
    --------
    >>> free_memory() > 0
    True
    """
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
