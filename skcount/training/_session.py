"""Progress reports, limits of time and early ends of a training."""

import sys
from time import monotonic

import numpy as np
from skorch.callbacks import Callback

from skcount._progress import PATIENCE, about, bar, is_watched
from skcount.inference import Predictor

# The time of a step is measured from one step to another, because the first steps are slower.
MEASURED_FROM, MEASURED_TO = 2, 6
# Steps of the shortest training that a limit of time allows.
FEWEST_STEPS = 20
# Fraction of the steps in which a training that is ended early cools down.
COOL_DOWN = 0.05
# Fraction of the time of a training that is spent on showing its held-out error.
SHARE = 0.05


class Pace:
    """The time of a step of one training."""

    def __init__(self, n_done):
        self.first = n_done
        self.start = None

    def step(self, n_done):
        """Return the seconds per step so far, or None before a few steps were measured."""
        n_done -= self.first
        if n_done == MEASURED_FROM:
            self.start = monotonic()
        return (monotonic() - self.start) / (n_done - MEASURED_FROM) if n_done >= MEASURED_TO else None


class Session(Callback):
    """One training as the person who waits for it directs it.

    `minutes` fits the number of steps to a time. `end`, which a signal handler may call, ends the training after a short
    cool-down. The error of `held_out`, (images, counts), is measured now and then to be shown; nothing is chosen by it.
    """

    def __init__(self, minutes=None, held_out=None):
        self.minutes = minutes
        self.held_out = held_out
        self.is_asked_to_end = False
        self.ended = None  # steps done and steps planned at an early end

    def end(self):
        """End the training after a cool-down."""
        self.is_asked_to_end = True

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Start the clock; with a limit of time, the number of epochs is open."""
        self.begin_, self.measuring_, self.pace_, self.next_ = monotonic(), 0.0, Pace(net.n_steps_), 0
        if self.minutes is not None:
            net.max_epochs = sys.maxsize

    def on_batch_end(self, net, batch=None, training=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Adapt the number of steps, and measure the held-out error if it is time."""
        if not training:
            return
        seconds = self.pace_.step(net.n_steps_)
        if self.minutes is not None and seconds is not None and self.ended is None:
            self._keep_time(net, seconds)
        if self.is_asked_to_end and self.ended is None:
            self.ended = net.n_steps_, net.n_steps
            net.cool_down(max(round(COOL_DOWN * net.n_steps), 1))
        since = monotonic() - self.begin_
        if self.held_out is not None and since > PATIENCE and self.measuring_ <= SHARE * since:
            images, counts = self.held_out
            predicted = Predictor(net.module_, **net.prediction).counts(images)
            net.held_out_error_ = float(np.mean(np.abs(predicted - counts)))
            self.measuring_ += monotonic() - self.begin_ - since

    def _keep_time(self, net, seconds):
        """Fit the number of steps to the time that is left, ten times until the learning rate is small."""
        if self.next_ <= net.n_steps_ <= 0.8 * net.n_steps or not self.next_:
            left = self.begin_ + 60 * self.minutes - monotonic()
            net.n_steps = max(net.n_steps_ + int(left / seconds), FEWEST_STEPS)
            self.next_ = net.n_steps_ + max(net.n_steps // 10, 1)


class Progress(Callback):
    """Say how long a training takes, then show a bar of its steps, or without a terminal a line per tenth of them."""

    def __init__(self, n_images, n_objects):
        self.what = f"{n_images:,} images, {n_objects:,} objects"
        self.bar = None

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Show the bar, starting after the steps of a resumed training."""
        self.pace_, self.next_ = Pace(net.n_steps_), None
        self.bar = bar("fit", net.n_steps, initial=net.n_steps_, unit="step")

    def on_batch_end(self, net, batch=None, training=None, **kwargs):  # noqa: ARG002 - skorch's signature
        """Move the bar, or print a line."""
        if not training:
            return
        self.bar.total = net.n_steps
        self.bar.update()
        seconds, left = self.pace_.step(net.n_steps_), net.n_steps - net.n_steps_
        if seconds is None or not left:
            return
        if self.next_ is None:
            self.next_ = float("inf")
            if seconds * left > PATIENCE:
                self._print(f"{self.what}, {net.n_steps:,} steps: {about(seconds * left)}.")
                self.next_ = net.n_steps_ + net.n_steps / 10
        elif net.n_steps_ >= self.next_ and not is_watched():
            self.next_ += net.n_steps / 10
            errors = "".join(f"; {name} {value:.3g}" for name, value in self._errors(net).items())
            self._print(
                f"fit: {net.n_steps_:,} of {net.n_steps:,} steps; {about(seconds * left)} left{errors}."
            )

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002 - skorch's signature
        """Show the errors on the bar."""
        self.bar.set_postfix(self._errors(net), refresh=False)

    def close(self):
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def _errors(self, net):
        """Return the latest errors in objects per image, by name; those of the crops are the last resort."""
        rows = [row for row in net.history[-2:] if "crop_count_mae" in row]
        row = rows[-1] if rows else {}
        if net.held_out_error_ is not None:
            return {"held-out MAE": net.held_out_error_}
        if "valid_count_mae" in row:
            return {"held-out MAE": row["valid_count_mae"]}
        return {"MAE of crops": row["crop_count_mae"]} if row else {}

    def _print(self, text):
        """Print a line above the bar."""
        self.bar.write(text, file=sys.stderr)
