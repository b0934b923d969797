"""A fit's own random numbers, drawn from torch's, which are as they were when it is over."""

import os
from contextlib import contextmanager
from threading import RLock

import numpy as np
import torch
from sklearn.utils import check_random_state
from xxhash import xxh3_64_intdigest

# Held by the thread that draws: torch has one state for all threads of a process.
_drawing = RLock()


def _renew():
    """Forget, in a process that was forked, that a thread which is not there holds the lock."""
    global _drawing  # noqa: PLW0603 - a lock that is held by nobody cannot be released, only replaced
    _drawing = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@contextmanager
def own_randomness(start, device="cpu"):
    """Let torch draw from a start of one's own for a while, and give it back its own random state after.

    All threads of a process share that state, so one of them trains at a time.

    Parameters
    ----------
    start : int, RandomState, None or ndarray of uint8
        A seed or where to draw one from; or what `random_stream` returned, to go on there.
    device : str, default="cpu"
        Where numbers are drawn besides.

    Examples
    --------
    >>> with own_randomness(0):
    ...     first, stream = torch.rand(1), random_stream()
    >>> with own_randomness(stream):
    ...     second = torch.rand(1)
    >>> with own_randomness(0):
    ...     both = torch.rand(1), torch.rand(1)
    >>> both == (first, second)
    True
    """
    gpu = torch.device(device)
    gpus = [torch.cuda.current_device() if gpu.index is None else gpu.index] if gpu.type == "cuda" else []
    with _drawing, torch.random.fork_rng(devices=gpus):
        if isinstance(start, np.ndarray):
            torch.set_rng_state(torch.from_numpy(np.array(start)))
        else:
            torch.default_generator.manual_seed(check_random_state(start).randint(np.iinfo(np.int32).max))
        for index in gpus:
            with torch.cuda.device(index):
                torch.cuda.manual_seed(xxh3_64_intdigest(random_stream().tobytes()) >> 1)
        yield


def random_stream():
    """Where torch's random numbers are now.

    Returns
    -------
    ndarray of uint8
        The state of its generator.
    """
    return torch.get_rng_state().numpy()
