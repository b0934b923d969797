"""A fit's own random numbers, drawn from torch's, which are as they were when it is over."""

from contextlib import contextmanager
from threading import RLock

import numpy as np
import torch
from sklearn.utils import check_random_state

# Held by the thread that draws: torch has one state for all threads of a process.
_DRAWING = RLock()


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
    on_gpu = torch.device(device).type == "cuda"
    with _DRAWING, torch.random.fork_rng(devices=[torch.cuda.current_device()] if on_gpu else []):
        if isinstance(start, np.ndarray):
            torch.set_rng_state(torch.from_numpy(np.array(start)))
        else:
            torch.default_generator.manual_seed(check_random_state(start).randint(np.iinfo(np.int32).max))
        if on_gpu:
            torch.cuda.manual_seed(int(torch.randint(2**31, ())))
        yield


def random_stream():
    """Where torch's random numbers are now.

    Returns
    -------
    ndarray of uint8
        The state of its generator.
    """
    return torch.get_rng_state().numpy()
