"""Scripts that run in a process of their own."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).parents[2]

# All are errors, but the one that a fit as brief as these gives.
WARNINGS = "-W", "error", "-W", "ignore:After ", "-W", "ignore:The training of this model did not"


@contextmanager
def started(arguments, **options):
    """Start Python in a process, and a group of processes, of its own, which is killed at the end."""
    process = subprocess.Popen([sys.executable, *arguments], start_new_session=True, **options)  # noqa: S603 - our own
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def run_script(script, *arguments, folder=None, **environment):
    """Run a script in a process of its own; return what it prints and what it complains of."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH")]
    # Files, not pipes: a process that is left behind would keep a pipe open, and be waited for.
    with TemporaryFile("w+") as out, TemporaryFile("w+") as complaints:
        command = [*WARNINGS, "-c", textwrap.dedent(script), *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment}
        with started(command, cwd=folder, env=environment, stdout=out, stderr=complaints) as process:
            status = process.wait(timeout=3000)
            is_alone = has_ended(process.pid)
        said = []
        for file in (out, complaints):
            file.seek(0)
            said.append(file.read())
    assert status == 0, said[1]
    assert is_alone, "a process outlives the script"
    return said


def has_ended(group):
    """Tell whether no process of a group is left, after ten minutes at most."""
    end = time.monotonic() + 600
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


# What scripts begin with that kill their children at random moments.
KILLING = """
import os, signal, sys, time
from pathlib import Path
import numpy as np

folder, n_kills = Path(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(int.from_bytes(os.urandom(4)))

def child_of(work):
    child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(0)

def measure(work):
    begin = time.perf_counter()
    os.waitpid(child_of(work), 0)
    return time.perf_counter() - begin

class Killer:
    # Kills children at random moments of their work, however long that takes on a busy machine.
    def __init__(self, duration):
        self.duration, self.n_kills = duration, 0

    def kill(self, work):
        child, end = child_of(work), time.perf_counter() + rng.uniform(0, self.duration)
        while time.perf_counter() < end:
            if os.waitpid(child, os.WNOHANG)[0]:
                self.duration *= 0.8
                return False
            time.sleep(0.0005)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self.duration *= 1.1
        self.n_kills += 1
        return True
"""
