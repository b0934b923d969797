"""`skcount predict`: a table of counts."""

from pathlib import PurePath

import click

from skcount._files import check_target
from skcount.cli._inputs import image_options, json_option, open_data, side_map
from skcount.cli._outputs import check_folder, quantity, report, to_csv, write_csv

EPILOG = """\b
Examples:
  skcount predict model.skcount new_pictures/ --csv counts.csv
  skcount predict model.skcount "plates/*/*.tif" --csv counts.csv --overlay overlays/
  skcount predict model.skcount slide.tif --tile-size 1024 --csv counts.csv --points points.csv

\b
IMAGES is a folder, a pattern in quotes, a picture, or an HDF5 file, whose images are numbered
from 0. Without --csv, the table is printed."""


@click.command(epilog=EPILOG)
@click.argument("model")
@click.argument("paths", nargs=-1, required=True, metavar="IMAGES")
@click.option("--csv", metavar="FILE", help="Write the table of image,count to this file.")
@click.option("--points", metavar="CSV", help="Write the positions of the objects to this file.")
@click.option(
    "--points-format",
    type=click.Choice(["imagej", "napari", "geojson"]),
    default="imagej",
    help="Format of --points: an ImageJ results table with the names of the images, a napari points layer with "
    "their numbers, or GeoJSON in the coordinates of the map if the images are GeoTIFF.",
)
@click.option(
    "--overlay",
    metavar="FOLDER",
    help="Write each image with its density map on top to this folder, as NAME_overlay.png.",
)
@click.option(
    "--tile-size",
    type=click.IntRange(min=1),
    metavar="PIXELS",
    help="Predict large images in tiles of this size: uses less memory and gives the same counts.",
)
@image_options
@json_option
def predict(model, paths, csv, points, points_format, overlay, tile_size, as_json, **reading):
    """Count the objects in images with a model that was written by fit."""
    for path in filter(None, (csv, points)):
        check_target(path)  # before counting, which takes long
    data = open_data(
        paths, reading | {"damaged": "skip" if reading["roi"] is None else None}, with_points=False
    )
    if points is not None and points_format == "geojson" and None in data.get("geo", [None]):
        raise ValueError(
            "--points-format geojson needs GeoTIFF pictures, which say where they are on the globe."
        )
    from skcount import load
    from skcount.io import save_points

    regressor = load(model).set_params(verbose=1)
    if tile_size is not None:
        regressor.set_params(tile_size=tile_size)
    folder = overlay and check_folder(overlay, paths[0], "--overlay")
    errors = _find_damaged(data)
    good = [index for index in range(len(data.names)) if index not in errors]
    found, found_places = _predict(regressor, data, good, points is not None, folder)
    counts, places = [None] * len(data.names), [[]] * len(data.names)
    for index, count, place in zip(good, found, found_places, strict=True):
        counts[index], places[index] = count, place
    names, errors = list(data.names), {data.names[index]: error for index, error in errors.items()}
    for name, error in data.get("damaged", {}).items():
        names, counts, errors = [*names, name], [*counts, None], errors | {name: error}
    table = _to_table(names, counts, errors)
    if csv is not None:
        write_csv(csv, table)
    if points is not None:
        names = None if points_format == "napari" else data.names
        save_points(points, places, names, format=points_format, geo=data.get("geo"))
    if csv is None and not as_json:
        click.echo(table, nl=False)
    else:
        images = [
            {"image": name, "count": count} | ({"error": errors[name]} if name in errors else {})
            for name, count in zip(names, counts, strict=True)
        ]
        text = [f"{sum(found):.1f} objects in {quantity(len(found), 'image')}."]
        written = {"Table": csv, "Points": points, "Overlays": overlay}
        text += [f"{name}: {path}" for name, path in written.items() if path]
        report(as_json, {"images": images, "csv": csv, "points": points, "overlay": overlay}, "\n".join(text))
    if errors:
        raise click.ClickException(
            f"{quantity(len(errors), 'image')} could not be read: {next(iter(errors.values()))}"
        )


def _find_damaged(data):
    """Return the message about each picture that cannot be read, by its position; reading costs little of the time."""
    from skcount._progress import track

    errors = {}
    for index in track(range(len(data.names)), "check", len(data.names)):
        try:
            data.images.store.open(index)
        except OSError as error:
            errors[index] = " ".join(str(error).split())
    return errors


def _to_table(names, counts, errors):
    """Return the table of counts, with a column of errors if there are any."""
    if not errors:
        return to_csv(["image", "count"], zip(names, counts, strict=True))
    rows = [
        (name, "" if count is None else count, errors.get(name, ""))
        for name, count in zip(names, counts, strict=True)
    ]
    return to_csv(["image", "count", "error"], rows)


def _predict(regressor, data, chosen, with_points, folder):
    """Return counts and points of the chosen images, and draw the overlays if there is a folder for them."""
    import numpy as np

    from skcount.cli._pictures import draw_overlay

    images = data.images[chosen]
    if not (with_points or folder):
        return regressor.predict(images).tolist() if chosen else [], [[]] * len(chosen)
    counts, places = [], []
    files = _overlay_names(data.names)
    for index, density in enumerate(regressor.iter_density(images)):
        roi, perspective = side_map(images.roi, index), side_map(images.perspective, index)
        counts.append(float(density.sum(dtype=np.float64)))
        placed = regressor.density_.inverse_transform([density], roi, perspective) if with_points else [[]]
        places += placed
        if folder:
            draw_overlay(folder / files[chosen[index]], images[index], density, roi)
    return counts, places


def _overlay_names(names):
    """Return a unique file name for each image, given unique names of the images."""
    flat = [name.replace("/", "_") for name in names]
    stems = [PurePath(name).stem for name in flat]
    return [f"{name}_overlay.png" for name in (stems if len(set(stems)) == len(names) else flat)]
