"""A progress bar of a training, on a terminal."""

from contextlib import contextmanager

from skorch.callbacks import Callback
from tqdm import tqdm


class EpochBar(Callback):
    """Show how many epochs are over, and how long the others will take.

    Parameters
    ----------
    what : str
        What stands before the bar.
    """

    def __init__(self, what):
        self.what = what
        self.bar = None

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Begin with the epochs that an earlier training has left."""
        done = len(net.history)
        self.bar = tqdm(desc=self.what, total=net.max_epochs, initial=done, unit="epoch", disable=None)

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        """Count one more."""
        self.bar.update()


@contextmanager
def epoch_bar(what):
    """Give a callback that shows progress, and end its line whatever happens.

    Parameters
    ----------
    what : str
        What stands before the bar.

    Yields
    ------
    EpochBar
        For `callbacks`.
    """
    callback = EpochBar(what)
    try:
        yield callback
    finally:
        if callback.bar is not None:
            callback.bar.close()
