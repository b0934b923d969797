"""`skcount fit`: train a model, and measure its errors on held-out images."""

import os
import signal
import threading
from contextlib import contextmanager
from pathlib import Path

import click

from skcount._files import check_target
from skcount.cli._evaluate import BASELINE
from skcount.cli._inputs import force_option, json_option, open_data, reading_options
from skcount.cli._outputs import check_outputs, count_errors, error_table, quantity, report, uncertainty

# --augment -> the regressor's `augment`
AUGMENT = {"all": "rotations+jitter+scale", "mirror": "mirror+jitter+scale", "none": None}

END = "\nEnding the training with a short cool-down, then saving the model. Press Ctrl-C again to abort.\n"

EPILOG = """\b
Examples:
  skcount fit pictures/ cells.csv --out model.skcount
  skcount fit "plates/*/*.tif" annotations/ --format imagej --sigma 3 --refit --out model.skcount
  skcount fit pictures/ cells.csv --weights nuclei --out model.skcount
  skcount fit cells.h5 --held-out 0 --max-epochs 50 --out model.skcount
  skcount fit more_pictures/ more_cells.csv --continue model.skcount --out better.skcount

\b
IMAGES is a folder, a pattern in quotes, or an HDF5 file, which also holds the points.
POINTS is one file for all images, or a folder with one file per image: CSV, ImageJ, napari, COCO, ...
A CSV file has one row per object, with the columns image, x and y."""


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="IMAGES [POINTS]")
@click.option("--out", required=True, metavar="MODEL", help="File to write, for example model.skcount.")
@click.option(
    "--diameter",
    type=click.FloatRange(min=0, min_open=True),
    help="Width of an object in pixels.  [default: learnt from the dots and the pixels around them]",
)
@click.option(
    "--sigma",
    type=float,
    help="Width of a dot in pixels (standard deviation).  [default: follows from the diameter]",
)
@click.option(
    "--architecture",
    type=click.Choice(["unet", "fcrn_a", "fcrn_b"]),
    help="Network to train.  [default: unet]",
)
@click.option(
    "--weights",
    metavar="NAME",
    help="Weights to start from, for few images: nuclei, objects, or a model written by fit.  [default: random numbers]",
)
@click.option(
    "--max-epochs",
    type=click.IntRange(min=1),
    help="Number of epochs.  [default: 1200 steps, more for more than 64 images; few with --weights]",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Train for about so many minutes, instead of a number of epochs; with --refit, twice. The result depends on the "
    "speed of the machine.",
)
@click.option(
    "--held-out",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.2,
    metavar="FRACTION",
    help="Fraction of the images that is not used for training but for measuring the errors; 0 trains on all.",
)
@click.option("--refit", is_flag=True, help="Afterwards, train again on all images, and save that model.")
@click.option(
    "--augment",
    type=click.Choice(list(AUGMENT)),
    default="all",
    help="Train on images rotated and mirrored (all) or only mirrored left to right (mirror), with changes of light and "
    "size, or on the images as they are (none).",
)
@click.option(
    "--continue",
    "start",
    metavar="MODEL",
    help="Train this model further, with its diameter, sigma and architecture: pass the old images and the new ones.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Random seed.")
@click.option(
    "--checkpoint",
    metavar="FILE",
    help="Save the state of the training to this file; the same command resumes an interrupted training.",
)
@click.option(
    "--picture",
    metavar="PNG",
    help="Picture of counts and density maps of held-out images.  [default: next to the model]",
)
@reading_options
@force_option
@json_option
def fit(
    paths,
    out,
    diameter,
    sigma,
    architecture,
    weights,
    max_epochs,
    minutes,
    held_out,
    refit,
    augment,
    start,
    seed,
    checkpoint,
    picture,
    force,
    as_json,
    **reading,
):
    """Train a model on images with one dot per object.

    A fraction of the images is held out. The errors of the counts on these images are printed, next to the errors of
    always predicting the mean count of the training images. A model that is not much better has learnt nothing.

    Ctrl-C ends the training early, with a short cool-down, and saves the model. Pressed twice, it aborts.
    """
    _check_minutes(minutes, {"--max-epochs": max_epochs, "--checkpoint": checkpoint})
    picture = _check_files(out, picture, held_out, refit)
    own = {"diameter": diameter, "sigma": sigma, "architecture": architecture, "weights": weights}
    name = next((name for name, value in own.items() if value), None)
    if start is not None and name:
        raise click.UsageError(f"--{name} cannot be used with --continue, which keeps that of {start}.")
    if refit and start is not None:
        raise click.UsageError(
            "--refit cannot be used with --continue. Use --held-out 0 to train on all images."
        )
    data = open_data(paths, reading)
    outputs = {"--out": out, "--picture": picture if held_out else None, "--checkpoint": checkpoint}
    check_outputs(outputs, paths, data, force=force)
    X, points = data.images, data.points
    _warn_of_mistakes(X, points, data.names)
    if start is None:
        regressor = _make_regressor(
            architecture or "unet", diameter, sigma, weights, max_epochs, augment, seed
        )
    else:
        regressor = _load_regressor(start, max_epochs, augment)
    result = {"model": out, "n_images": len(X), "n_objects": len(points.inside(X).coordinates)}
    text = _describe_labels(data.get("labels", {}), reading["labels"])
    if held_out:
        train, test = split(X, held_out, seed)
        held_out_counts = X[test], points[test].inside(X[test]).counts
        session = _train(regressor, X[train], points[train], checkpoint, minutes, held_out_counts)
        refit = refit and session.ended is None
        text += _describe_end(session)
        regressor.set_params(warm_start=False)
        if not refit:
            regressor.save(out)  # before the picture: a failure to draw it must not lose the model
        errors, lines = _measure(regressor, X, points, train, test, picture, None if refit else out)
        held_out_error = regressor.held_out_
        result |= {**errors, "picture": str(picture)}
        text += lines
        if start is not None:
            text.append(
                f"{start} may have been trained on some of these images; their errors may be too small."
            )
    if refit or not held_out:
        state = checkpoint and f"{checkpoint}.refit" if held_out else checkpoint
        session = _train(regressor, X, points, state, minutes)
        text += _describe_end(session)
        regressor.set_params(warm_start=False)
        if held_out:
            regressor.held_out_ = held_out_error
        regressor.save(out)
    n_trained_on = len(X) if refit or not held_out else len(train)
    hint = " Use --refit to train on all." if n_trained_on < len(X) else ""
    text.append(f"Model: {out}, trained on {n_trained_on} of {quantity(len(X), 'image')}.{hint}")
    text.append(f"Diameter of an object: {regressor.diameter_:.3g} pixels.")
    result |= {
        "n_trained_on": n_trained_on,
        "n_epochs": regressor.n_iter_,
        "ended_early": session.ended is not None,
        "diameter": regressor.diameter_,
    }
    report(as_json, result, "\n".join(text))


def _warn_of_mistakes(images, points, names):
    """Print what looks wrong about the points, as `skcount look` does."""
    from skcount.plotting import find_mistakes

    for message in find_mistakes(images, points, names):
        click.echo(f"Warning: {message} See them with skcount look.", err=True)


def _describe_labels(labels, chosen):
    """Return a line that says which labels are counted, if there are several."""
    if len(labels) < 2:
        return []
    kept, dropped = [], []
    for label, count in labels.items():
        (kept if label in chosen or "*" in chosen else dropped).append(f"{label} ({count})")
    left_out = f"; left out: {', '.join(dropped)}" if dropped else ""
    return [f"Labels that are counted: {', '.join(kept)}{left_out}."]


def _check_minutes(minutes, others):
    """Reject options that do not go with a limit of time."""
    for name, value in others.items():
        if minutes is not None and value is not None:
            raise click.UsageError(f"--minutes cannot be used with {name}; use one of them.")


def _check_files(out, picture, held_out, refit):
    """Check the output files before training, and return the path of the picture."""
    if picture is not None and held_out == 0:
        raise click.UsageError(
            "--picture cannot be used with --held-out 0, because it shows held-out images."
        )
    if refit and held_out == 0:
        raise click.UsageError("--refit cannot be used with --held-out 0, which trains on all images anyway.")
    check_target(out)
    return Path(out).with_suffix(".png") if picture is None else Path(picture)


def _make_regressor(architecture, diameter, sigma, weights, max_epochs, augment, seed):
    from skcount import DensityMapRegressor  # imports torch

    return DensityMapRegressor(
        architecture,
        diameter=diameter or "auto",
        sigma=sigma,
        weights=weights,
        max_epochs=max_epochs or "auto",
        augment=AUGMENT[augment],
        random_state=seed,
    )


def _load_regressor(path, max_epochs, augment):
    from skcount import load  # imports torch

    return load(path).set_params(warm_start=True, max_epochs=max_epochs or "auto", augment=AUGMENT[augment])


def split(images, fraction, seed):
    """Return the indices of training and held-out images, at least one of each; groups stay together."""
    import numpy as np
    from sklearn.model_selection import GroupShuffleSplit

    groups = np.arange(len(images)) if images.groups is None else images.groups
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        noun = "image" if images.groups is None else "group of images"
        raise ValueError(f"Cannot hold out images: there is only one {noun}. Use --held-out 0.")
    n_held_out = min(max(1, round(fraction * n_groups)), n_groups - 1)
    splitter = GroupShuffleSplit(1, test_size=n_held_out, random_state=seed)
    return next(splitter.split(groups, groups=groups))


def _train(regressor, X, points, checkpoint, minutes, held_out=None):
    """Train with a report of the progress, and return the session; what a model should not store is reset."""
    from skcount.training import Session

    session = Session(minutes, held_out)
    regressor.set_params(verbose=1, callbacks=[session])
    with _early_end(session):
        regressor.fit(X, points, checkpoint=checkpoint)
    regressor.set_params(verbose=0, callbacks=None)
    return session


@contextmanager
def _early_end(session):
    """Let the first Ctrl-C end the training of a session, and the second one abort, unless Ctrl-C is ignored or handled."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number, frame):  # noqa: ARG001 - the signature of a handler
        signal.signal(signal.SIGINT, before)
        session.end()
        os.write(2, END.encode())  # a stream may be in use where the signal arrives

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _describe_end(session):
    """Return a line about an early end, if there was one."""
    if session.ended is None:
        return []
    n_done, n_planned = session.ended
    return [f"Ended early, after {n_done:,} of {n_planned:,} steps and a cool-down."]


def _measure(regressor, X, points, train, test, picture, out):
    """Count the held-out images, and return the errors of the model and of the training mean, as a dict and as text.

    The model is saved again to `out`, with these errors, unless that is None.
    """
    import numpy as np

    from skcount.cli._pictures import draw_errors

    true = points[test].inside(X[test])
    counts = regressor.measure(X[test], points[test])
    if out is not None:
        regressor.save(out)
    mean = np.full(len(test), points[train].inside(X[train]).counts.mean())
    errors, baseline = count_errors(true, counts), count_errors(true, mean)
    draw_errors(picture, regressor, X[test], true, counts)
    if errors["mae"] >= baseline["mae"]:
        click.echo(
            "Warning: the model counts no better than the training mean. Train longer (--max-epochs), look at the "
            "picture, and check the points and --diameter.",
            err=True,
        )
    others = f"{quantity(len(test), 'other')} ({true.counts.mean():.1f} objects per image)"
    lines = [
        f"Trained on {quantity(len(train), 'image')}, then counted {others}:",
        error_table({"model": errors, BASELINE: baseline}),
        uncertainty(regressor.held_out_),
        f"Picture: {picture}",
    ]
    return {"n_held_out": len(test), "held_out": errors, "baseline": baseline}, lines
