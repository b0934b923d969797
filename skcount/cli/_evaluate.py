"""`skcount evaluate`: how far the counts of a model are off."""

import click

from skcount._files import check_target
from skcount.cli._inputs import json_option, open_data, reading_options, roi_option
from skcount.cli._outputs import count_errors, error_table, in_words, report, to_csv, write_csv

LEVELS = (1, 2, 3)

EPILOG = """\b
Examples:
  skcount evaluate model.skcount test_pictures/ test_cells.csv
  skcount evaluate model.skcount test_pictures/ annotations/ --csv errors.csv --picture errors.png
  skcount evaluate model.skcount test.h5 --train-mean 31.2 --json

\b
IMAGES and POINTS are as for fit. Take images that the model was not trained on."""


@click.command(epilog=EPILOG, short_help="Say how far the counts of a model are off.")
@click.argument("model")
@click.argument("paths", nargs=-1, required=True, metavar="IMAGES [POINTS]")
@click.option("--csv", metavar="FILE", help="Write a table of image,true,count,error here.")
@click.option("--picture", metavar="PNG", help="Draw counts and density maps here.")
@click.option(
    "--train-mean",
    type=click.FloatRange(min=0),
    metavar="OBJECTS",
    help="Mean count of the training images: prints the errors of this count beside the model's.",
)
@roi_option
@reading_options
@json_option
def evaluate(model, paths, csv, picture, train_mean, roi, as_json, **reading):
    """Count images whose objects are known, and say how far the counts are off.

    MAE is the mean absolute error, RMSE the root of the mean squared one, bias the mean error, all in objects an image.
    GAME 1 to 3 are MAE summed over the 4, 16 and 64 parts of an image: they grow where objects are counted in wrong
    places.
    """
    for path in filter(None, (csv, picture)):
        check_target(path)  # before the counting, not after it
    data = open_data(paths, roi, reading)
    import numpy as np

    from skcount import load
    from skcount.cli._pictures import draw_errors

    regressor = load(model).set_params(verbose=1)
    true = data.points.inside(data.images)
    counts, games = _measure(regressor, data.images, true)
    errors = {"model": count_errors(true, counts)}
    if train_mean is not None:
        errors["mean of training, blind"] = count_errors(true, np.full(len(counts), train_mean))
    if csv is not None:
        rows = zip(
            data.names, true.lengths.tolist(), counts.tolist(), (counts - true.counts).tolist(), strict=True
        )
        write_csv(csv, to_csv(["image", "true", "count", "error"], rows))
    if picture is not None:
        draw_errors(picture, regressor, data.images, true, counts)
    result = {"n_images": len(counts), "n_objects": len(true.coordinates), **errors["model"], "game": games}
    result |= {"baseline": errors.get("mean of training, blind"), "csv": csv, "picture": picture}
    text = (
        f"{in_words(len(counts), 'image')} of {true.counts.mean():.1f} objects each:\n{error_table(errors)}\n"
    )
    text += "  " + ", ".join(f"GAME {level}: {value:.2f}" for level, value in games.items())
    report(as_json, result, text)


def _measure(regressor, images, points):
    """Counts, and GAME by level, with one density map in memory."""
    import numpy as np

    from skcount.metrics import grid_average_mean_absolute_error

    counts, games = [], []
    for true, density in zip(points, regressor.iter_density(images), strict=True):
        counts.append(density.sum(dtype=np.float64))
        games.append([grid_average_mean_absolute_error([true], [density], level) for level in LEVELS])
    means = np.mean(games, axis=0).tolist()
    return np.array(counts), {str(level): mean for level, mean in zip(LEVELS, means, strict=True)}
