"""`skcount evaluate`: the count errors of a model."""

import click

from skcount._files import check_target
from skcount.cli._inputs import (
    force_option,
    json_option,
    model_options,
    open_data,
    open_model,
    reading_options,
    split_model,
)
from skcount.cli._outputs import (
    check_outputs,
    count_errors,
    error_table,
    quantity,
    report,
    rounded,
    to_csv,
    write_csv,
)

BASELINE = "always the training mean"
LEVELS = (1, 2, 3)

EPILOG = """\b
Examples:
  skcount evaluate model.skcount test_pictures/ test_cells.csv
  skcount evaluate model.skcount test_pictures/ annotations/ --csv errors.csv --picture errors.png
  skcount evaluate --model nuclei test_pictures/ test_cells.csv
  skcount evaluate model.skcount test.h5 --train-mean 31.2 --json

\b
IMAGES and POINTS are as for fit. Use images that the model was not trained on."""


@click.command(epilog=EPILOG, short_help="Measure the count errors of a model.")
@click.argument("paths", nargs=-1, required=True, metavar="MODEL IMAGES [POINTS]")
@model_options
@click.option(
    "--csv",
    metavar="FILE",
    help="Write a table of image,true,count,error to this file, with one decimal; --json has all digits.",
)
@click.option("--picture", metavar="PNG", help="Write a picture of counts and density maps to this file.")
@click.option(
    "--train-mean",
    type=click.FloatRange(min=0),
    metavar="OBJECTS",
    help="Mean count of the training images: a baseline for the errors.  [default: read from the model]",
)
@reading_options
@force_option
@json_option
def evaluate(paths, model, diameter, csv, picture, train_mean, force, as_json, **reading):
    """Count annotated images and measure the count errors of a model.

    MAE is the mean absolute error, RMSE the root mean squared error and bias the mean error, all in objects per image.
    GAME 1, 2 and 3 sum the absolute errors over the 4, 16 and 64 parts of an image, so they also grow if objects are
    counted in the wrong place.
    """
    model, paths = split_model(model, paths)
    for path in filter(None, (csv, picture)):
        check_target(path)  # before counting, which takes long
    data = open_data(paths, reading)
    check_outputs({"--csv": csv, "--picture": picture}, paths, data, model, force=force)
    import numpy as np

    from skcount.cli._pictures import draw_errors

    regressor = open_model(model, diameter)
    if train_mean is None and hasattr(regressor, "trained_on_"):
        train_mean = regressor.trained_on_["mean_count"]
    true = data.points.inside(data.images)
    counts, games = _measure(regressor, data.images, true)
    rows = [
        {"image": name, "true": expected, "count": count, "error": count - expected}
        for name, expected, count in zip(data.names, true.lengths.tolist(), counts.tolist(), strict=True)
    ]
    errors = {"model": count_errors(true, counts)}
    if train_mean is not None:
        errors[BASELINE] = count_errors(true, np.full(len(counts), train_mean))
    if csv is not None:
        table = [[row["image"], row["true"], rounded(row["count"]), rounded(row["error"])] for row in rows]
        write_csv(csv, to_csv(["image", "true", "count", "error"], table))
    if picture is not None:
        draw_errors(picture, regressor, data.images, true, counts)
    result = {"n_images": len(counts), "n_objects": len(true.coordinates), **errors["model"], "game": games}
    result |= {"baseline": errors.get(BASELINE), "images": rows, "csv": csv, "picture": picture}
    text = [
        f"{quantity(len(counts), 'image')}, {true.counts.mean():.1f} objects per image:",
        error_table(errors),
        "  " + ", ".join(f"GAME {level}: {value:.2f}" for level, value in games.items()),
    ]
    report(as_json, result, "\n".join(text))


def _measure(regressor, images, points):
    """Return the counts and the GAME by level, holding one density map at a time."""
    import numpy as np

    from skcount.metrics import grid_average_mean_absolute_error

    counts, games = [], []
    regressor.set_params(verbose=1)
    for true, density in zip(points, regressor.iter_density(images), strict=True):
        counts.append(density.sum(dtype=np.float64))
        games.append([grid_average_mean_absolute_error([true], [density], level) for level in LEVELS])
    regressor.set_params(verbose=0)
    means = np.mean(games, axis=0).tolist()
    return np.array(counts), {str(level): mean for level, mean in zip(LEVELS, means, strict=True)}
