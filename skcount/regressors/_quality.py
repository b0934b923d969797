"""Describe the training of a regressor and its error on held-out images, and say when its counts are not to be trusted."""

import numpy as np

from skcount.points import weighted_mean
from skcount.training import CONVERGED

# Counts of training images vary so little, relative to the true ones, if the network does not see the objects.
LEAST_SPREAD = 0.1
# With fewer held-out images, the standard error itself is uncertain.
FEW_HELD_OUT = 10


def describe_training(data, result):
    """Return what a fit remembers about its training images: plain numbers."""
    counts = data.target.counts
    return {
        "n_images": len(data.images),
        "n_objects": float(np.sum(counts)),
        "mean_count": float(weighted_mean(counts, data.weights)),
        "converged": find_failure(result) is None,
    }


NOT_CONVERGED = (
    "The training of this model did not converge: the network has not learnt to count yet, and its counts may be wrong. "
    "Train longer (max_epochs)."
)


def find_failure(result):
    """Return the message about a network that has not learnt to count its training images, or None."""
    low, high = CONVERGED
    if not low < result.share < high:
        return (
            f"After {len(result.history)} epochs the maps of the training images sum to {result.share:.0%} of their "
            f"counts; expected {low:.0%} to {high:.0%}: the network has not learnt to count yet. Train longer "
            "(max_epochs), and set `diameter` to the width of an object."
        )
    if result.spread < LEAST_SPREAD:
        return (
            f"After {len(result.history)} epochs the counts of the training images hardly vary: their standard deviation "
            f"is {result.spread:.0%} of that of the true counts. The network does not see the objects. Train longer "
            "(max_epochs), set `diameter`, and look for extreme pixel values."
        )
    return None


def measure_errors(true, predicted, trained_on):
    """Return the errors of counts with the standard error of the MAE, and the MAE of always predicting the training mean.

    The last is None without `trained_on`, which models of older versions do not have.
    """
    errors = predicted - true
    n_images, absolute = len(errors), np.abs(errors)
    return {
        "n_images": n_images,
        "mae": float(absolute.mean()),
        "mae_standard_error": float(absolute.std(ddof=1) / np.sqrt(n_images)) if n_images > 1 else None,
        "bias": float(errors.mean()),
        "baseline_mae": trained_on and float(np.abs(trained_on["mean_count"] - true).mean()),
        "n_trained_on": trained_on and trained_on["n_images"],
    }


def describe_quality(trained_on, held_out):
    """Return lines about the training images and the held-out error; either may be None, as in files of older versions."""
    lines = []
    if trained_on is not None:
        converged = "" if trained_on["converged"] else "; not converged"
        lines.append(
            f"trained on: {trained_on['n_images']} images, {trained_on['n_objects']:.10g} objects{converged}"
        )
    if held_out is None:
        return [*lines, "held-out error: not measured"]
    error, n_images = held_out["mae_standard_error"], held_out["n_images"]
    text = f"held-out error: MAE {held_out['mae']:.2f}"
    text += "" if error is None else f" +- {error:.2f} (standard error)"
    text += f", bias {held_out['bias']:+.2f} objects per image, on {n_images} image{'s' * (n_images != 1)}"
    text += " (few: the error is uncertain)" if n_images < FEW_HELD_OUT else ""
    if trained_on is not None and held_out["n_trained_on"] != trained_on["n_images"]:
        text += f", measured when trained on {held_out['n_trained_on']}"
    if held_out["baseline_mae"] is None:
        return [*lines, text]
    return [*lines, text, f"always the training mean: MAE {held_out['baseline_mae']:.2f}"]


def is_worse_than_blind(held_out):
    """Return whether always predicting the training mean was at least as good on the held-out images."""
    return (
        bool(held_out)
        and held_out["baseline_mae"] is not None
        and held_out["mae"] >= held_out["baseline_mae"]
    )


def describe_failure(held_out):
    """Return the message about a model that counted no better than the mean of its training images."""
    return (
        f"On {held_out['n_images']} held-out images, this model counted no better (MAE {held_out['mae']:.1f}) than always "
        f"predicting the mean of its training images ({held_out['baseline_mae']:.1f}). Do not use its counts: train longer, "
        "with more images, and check the points."
    )
