"""`skcount fit`: learn to count, and say how well on images that were kept out."""

from pathlib import Path

import click

from skcount._files import check_target
from skcount.cli._inputs import json_option, open_data, reading_options, roi_option
from skcount.cli._outputs import count_errors, error_table, in_words, report

AUGMENT = {"all": True, "mirror": "mirror", "none": False}

EPILOG = """\b
Examples:
  skcount fit pictures/ cells.csv --out model.skcount
  skcount fit "plates/*/*.tif" annotations/ --format imagej --sigma 3 --refit --out model.skcount
  skcount fit cells.h5 --held-out 0 --max-epochs 50 --out model.skcount

\b
IMAGES is a folder, a pattern in quotes, or an HDF5 file, which holds its points.
POINTS is a file for all images, or a folder with a file for each: CSV, ImageJ, napari, COCO, ...
A CSV has a row for each object, with the columns image, x and y."""


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="IMAGES [POINTS]")
@click.option("--out", required=True, metavar="MODEL", help="The file to write: model.skcount.")
@click.option(
    "--sigma",
    type=float,
    help="Size of a dot in pixels: about a third of an object's radius.  [default: 2]",
)
@click.option(
    "--architecture", type=click.Choice(["unet", "fcrn_a", "fcrn_b"]), default="unet", help="The network."
)
@click.option(
    "--max-epochs", type=click.IntRange(min=1), help="How long to train.  [default: by the number of images]"
)
@click.option(
    "--held-out",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.2,
    metavar="FRACTION",
    help="Part of the images that is not trained on, and counted to see how well; 0 for none.",
)
@click.option("--refit", is_flag=True, help="After that, train once more on all images, and save that model.")
@click.option(
    "--augment",
    type=click.Choice(list(AUGMENT)),
    default="all",
    help="Show images turned and mirrored (all), mirrored left to right (mirror), or as they are.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Decides what is drawn at random.")
@click.option(
    "--checkpoint",
    metavar="FILE",
    help="Keep the training here; the same command goes on where it was killed.",
)
@click.option("--picture", metavar="PNG", help="Counts and density maps, drawn.  [default: beside the model]")
@roi_option
@reading_options
@json_option
def fit(
    paths,
    out,
    sigma,
    architecture,
    max_epochs,
    held_out,
    refit,
    augment,
    seed,
    checkpoint,
    picture,
    roi,
    as_json,
    **reading,
):
    """Learn to count from images with a dot on each object.

    A part of the images is held out of the training. How far the counts on those are off is printed, beside the errors
    of counting as many everywhere as there were on average in training. A model that is not much better has learnt
    nothing.
    """
    if picture is not None and held_out == 0:
        raise click.UsageError("--picture shows the images held out, and --held-out 0 holds out none.")
    if refit and held_out == 0:
        raise click.UsageError("--held-out 0 trains on all images anyway; leave --refit out.")
    target = check_target(out)  # before the training, not after it
    picture = Path(out).with_suffix(".png") if picture is None else Path(picture)
    if check_target(picture) == target:
        raise click.UsageError(
            f"{out} is the picture's name; expected another one for the model: model.skcount."
        )
    data = open_data(paths, roi, reading)
    from skcount import DensityMapRegressor  # torch: only where there is something to learn from

    regressor = DensityMapRegressor(
        architecture,
        sigma=sigma,
        max_epochs=max_epochs or "auto",
        augment=AUGMENT[augment],
        random_state=seed,
    )
    X, points = data.images, data.points
    result = {"model": out, "n_images": len(X), "n_objects": len(points.inside(X).coordinates)}
    lines = []
    if held_out:
        train, test = split(X, held_out, seed)
        _fit(regressor, X[train], points[train], checkpoint)
        if not refit:
            regressor.save(out)  # whatever becomes of the picture
        found, text = _measure(regressor, X, points, train, test, picture)
        result.update(found, picture=str(picture))
        lines += [text, f"Picture of them: {picture}"]
    if refit or not held_out:
        again = checkpoint and f"{checkpoint}.refit" if held_out else checkpoint
        _fit(regressor, X, points, again)
        regressor.save(out)
    n_learnt = len(X) if refit or not held_out else len(train)
    lines.append(f"Model: {out}, trained on {n_learnt} of {in_words(len(X), 'image')}.")
    if n_learnt < len(X):
        lines[-1] += " With --refit it is trained on all."
    result.update(n_trained_on=n_learnt, n_epochs=regressor.n_iter_)
    report(as_json, result, "\n".join(lines))


def _fit(regressor, X, points, checkpoint):
    """Train with a progress bar, which is no part of the model."""
    regressor.set_params(verbose=1).fit(X, points, checkpoint=checkpoint)
    regressor.set_params(verbose=0)


def split(images, fraction, seed):
    """Draw the images to hold out; those of one group stay together.

    Parameters
    ----------
    images : ImageSet
        The images, and their groups.
    fraction : float
        Part of them, or of the groups, in (0, 1); one at least.
    seed : int
        Decides which.

    Returns
    -------
    train, test : ndarray of int
        Indices, ascending.
    """
    import numpy as np

    from skcount.regressors._hold_out import hold_out

    if len(np.unique(np.arange(len(images)) if images.groups is None else images.groups)) < 2:
        what = "image" if images.groups is None else "group of images"
        raise ValueError(f"There is one {what}, so that none can be held out; expected two, or --held-out 0.")
    return hold_out(np.arange(len(images)), images.groups, fraction, seed)


def _measure(regressor, X, points, train, test, picture):
    """Count the images held out, beside a baseline that looks at none; as a dict, and in words."""
    from sklearn.dummy import DummyRegressor

    from skcount.cli._pictures import draw_errors

    true, known = points[test].inside(X[test]), points[train].inside(X[train])
    counts = regressor.predict(X[test])
    blind = DummyRegressor().fit(X[train], known).predict(X[test])
    errors, baseline = count_errors(true, counts), count_errors(true, blind)
    draw_errors(picture, regressor, X[test], true, counts)
    others = f"{in_words(len(test), 'other')}, of {true.counts.mean():.1f} objects each"
    text = f"Trained on {in_words(len(train), 'image')}, and counted {others}:\n"
    text += error_table({"model": errors, "mean of training, blind": baseline})
    if errors["mae"] >= baseline["mae"]:
        click.echo(
            "Warning: the model counts no better than someone who looks at no image. Train longer (--max-epochs), look "
            "at the picture, and see whether the dots lie where they should, and what --sigma is.",
            err=True,
        )
    return {"n_held_out": len(test), "held_out": errors, "baseline": baseline}, text
