"""`skcount predict`: the number per image in a CSV."""

from pathlib import Path, PurePath

import click

from skcount._files import check_target
from skcount.cli._inputs import json_option, open_data, roi_option
from skcount.cli._outputs import in_words, report, to_csv, write_csv

EPILOG = """\b
Examples:
  skcount predict model.skcount new_pictures/ --csv counts.csv
  skcount predict model.skcount "plates/*/*.tif" --csv counts.csv --overlay overlays/
  skcount predict model.skcount slide.tif --tile-size 1024 --csv counts.csv --points points.csv

\b
IMAGES is a folder, a pattern in quotes, a picture, or an HDF5 file, whose images are called
by number from 0. Without --csv the table is printed."""


@click.command(epilog=EPILOG)
@click.argument("model")
@click.argument("paths", nargs=-1, required=True, metavar="IMAGES")
@click.option("--csv", metavar="FILE", help="Write the table of image,count here.")
@click.option("--points", metavar="CSV", help="Write here where the objects are.")
@click.option(
    "--points-format",
    type=click.Choice(["imagej", "napari"]),
    default="imagej",
    help="A results table with the images' names, or a points layer with their numbers.",
)
@click.option(
    "--overlay", metavar="FOLDER", help="Write each density map here, over its image: NAME_overlay.png."
)
@click.option(
    "--tile-size",
    type=click.IntRange(min=1),
    metavar="PIXELS",
    help="Look at large images piece by piece, of this size: less memory, the same counts.",
)
@roi_option
@json_option
def predict(model, paths, csv, points, points_format, overlay, tile_size, roi, as_json):
    """Count the objects in images, with a model that fit wrote."""
    for path in filter(None, (csv, points)):
        check_target(path)  # before the counting, not after it
    data = open_data(paths, roi)
    from skcount import load
    from skcount.io import save_points

    regressor = load(model).set_params(verbose=1)
    folder = overlay and overlay_folder(overlay, paths[0])
    if tile_size is not None:
        regressor.set_params(tile_size=tile_size)
    counts, places = _predict(regressor, data, points is not None, folder)
    rows = list(zip(data.names, counts, strict=True))
    table = to_csv(["image", "count"], rows)
    lines = [f"{sum(counts):.1f} objects in {in_words(len(rows), 'image')}."]
    if csv is not None:
        write_csv(csv, table)
        lines.append(f"Table: {csv}")
    if points is not None:
        names = data.names if points_format == "imagej" else None
        save_points(points, places, names, format=points_format)
        lines.append(f"Points: {points}")
    if folder:
        lines.append(f"Overlays: {overlay}")
    result = {
        "images": [{"image": name, "count": count} for name, count in rows],
        "csv": csv,
        "points": points,
        "overlay": overlay,
    }
    if csv is None and not as_json:
        click.echo(table, nl=False)
    else:
        report(as_json, result, "\n".join(lines))


def _predict(regressor, data, with_points, folder):
    """Counts, and points where they are wanted; overlays go to their folder."""
    import numpy as np

    from skcount.cli._pictures import belonging, draw_overlay

    images = data.images
    if not (with_points or folder):
        return regressor.predict(images).tolist(), None
    counts, places = [], []
    files = overlay_names(data.names)
    for index, density in enumerate(regressor.iter_density(images)):
        roi, perspective = belonging(images.roi, index), belonging(images.perspective, index)
        counts.append(float(density.sum(dtype=np.float64)))
        if with_points:
            places += regressor.density_.inverse_transform([density], roi, perspective)
        if folder:
            draw_overlay(folder / files[index], images[index], density, roi)
    return counts, places


def overlay_folder(folder, images):
    """Make the folder for overlays, where the next run does not take them for images.

    Parameters
    ----------
    folder : str
        Its name.
    images : str
        Where the images are from.

    Returns
    -------
    pathlib.Path
        The folder.
    """
    folder = Path(folder).expanduser()
    if folder.resolve() == Path(images).expanduser().resolve():
        raise ValueError(f"{folder} is the folder of the images; expected another one for the overlays.")
    folder.mkdir(exist_ok=True)
    return folder


def overlay_names(names):
    """Call each overlay after its image.

    Parameters
    ----------
    names : list of str
        Names of the images, all different.

    Returns
    -------
    list of str
        Names of files in one folder, all different.

    Examples
    --------
    >>> overlay_names(["a.png", "b.png"]), overlay_names(["a.png", "a.tif"])
    (['a_overlay.png', 'b_overlay.png'], ['a.png_overlay.png', 'a.tif_overlay.png'])
    """
    flat = [name.replace("/", "_") for name in names]
    stems = [PurePath(name).stem for name in flat]
    return [f"{name}_overlay.png" for name in (stems if len(set(stems)) == len(names) else flat)]
