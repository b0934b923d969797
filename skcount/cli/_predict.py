"""`skcount predict`: a table of counts."""

from pathlib import PurePosixPath

import click

from skcount._files import check_target
from skcount.cli._inputs import (
    force_option,
    image_options,
    json_option,
    model_options,
    open_data,
    open_model,
    side_map,
    split_model,
)
from skcount.cli._outputs import (
    check_folder,
    check_outputs,
    escape,
    printable,
    quantity,
    report,
    rounded,
    to_csv,
    write_csv,
)

EPILOG = """\b
Examples:
  skcount predict model.skcount new_pictures/ --csv counts.csv
  skcount predict model.skcount "plates/*/*.tif" --csv counts.csv --overlay overlays/
  skcount predict --model nuclei pictures/ --csv counts.csv
  skcount predict model.skcount slide.tif --tile-size 1024 --csv counts.csv --points points.csv

\b
IMAGES is a folder, a pattern in quotes, a picture, or an HDF5 file, whose images are numbered
from 0. Without --csv, the table is printed."""


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="MODEL IMAGES")
@model_options
@click.option(
    "--csv",
    metavar="FILE",
    help="Write the table of image,count to this file, with one decimal; --json has all digits.",
)
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
    help="Write each image with its density map, the predicted points and the count to this folder, as NAME_overlay.png.",
)
@click.option(
    "--tile-size",
    type=click.IntRange(min=1),
    metavar="PIXELS",
    help="Predict large images in tiles of this size: uses less memory and gives the same counts.",
)
@image_options
@force_option
@json_option
def predict(
    paths, model, diameter, csv, points, points_format, overlay, tile_size, force, as_json, **reading
):
    """Count the objects in images, with a model that was written by fit or comes with skcount."""
    model, paths = split_model(model, paths)
    for path in filter(None, (csv, points)):
        check_target(path)  # before counting, which takes long
    data = open_data(
        paths, reading | {"damaged": "skip" if reading["roi"] is None else None}, with_points=False
    )
    if points is not None and points_format == "geojson" and None in data.get("geo", [None]):
        raise ValueError(
            "--points-format geojson needs GeoTIFF pictures, which say where they are on the globe."
        )
    from skcount.io import check_names, save_points

    names = None if points_format == "napari" else [escape(name) for name in data.names]
    if points is not None:
        check_names(names, len(data.names), points_format)
    regressor = open_model(model, diameter).set_params(verbose=1)
    if tile_size is not None:
        regressor.set_params(tile_size=tile_size)
    folder = overlay and check_folder(overlay, paths[0], "--overlay", recursive=reading["recursive"])
    overlays = {f"--overlay ({name})": folder / name for name in _overlay_names(data.names)} if folder else {}
    for path in overlays.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    check_outputs({"--csv": csv, "--points": points, **overlays}, paths, data, model, force=force)
    rows, places = _count(regressor, data, points is not None, folder)
    table = _to_table(rows)
    if csv is not None:
        write_csv(csv, table)
    if points is not None:
        save_points(points, places, names, format=points_format, geo=data.get("geo"))
    if csv is None and not as_json:
        click.echo(printable(table), nl=False)
    else:
        counts = [row["count"] for row in rows if row["count"] is not None]
        text = [f"{sum(counts):.1f} objects in {quantity(len(counts), 'image')}."]
        written = {"Table": csv, "Points": points, "Overlays": overlay}
        text += [f"{name}: {path}" for name, path in written.items() if path]
        report(as_json, {"images": rows, "csv": csv, "points": points, "overlay": overlay}, "\n".join(text))
    errors = [row["error"] for row in rows if "error" in row]
    if errors:
        raise click.ClickException(f"{quantity(len(errors), 'image')} could not be read: {errors[0]}")


def _count(regressor, data, with_points, folder):
    """Return a row (image, count and perhaps error) and the points of each image, those that cannot be read last."""
    errors = _find_damaged(data)
    good = [index for index in range(len(data.names)) if index not in errors]
    rows = [{"image": name, "count": None} for name in data.names]
    places = [[]] * len(rows)
    for index, count, place in zip(good, *_predict(regressor, data, good, with_points, folder), strict=True):
        rows[index]["count"], places[index] = count, place
    for index, error in errors.items():
        rows[index]["error"] = error
    unread = [
        {"image": name, "count": None, "error": error} for name, error in data.get("damaged", {}).items()
    ]
    return rows + unread, places


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


def _to_table(rows):
    """Return the table of counts, with a column of errors if there are any."""
    columns = ["image", "count", *(["error"] if any("error" in row for row in rows) else [])]
    rows = [row | {"count": "" if row["count"] is None else rounded(row["count"])} for row in rows]
    return to_csv(columns, [[row.get(name, "") for name in columns] for row in rows])


def _predict(regressor, data, chosen, with_points, folder):
    """Return counts and points of the chosen images, and draw the overlays if there is a folder for them."""
    import numpy as np

    from skcount.cli._pictures import draw_overlay

    images = data.images[chosen]
    if not (with_points or folder):
        return regressor.predict(images).tolist() if chosen else [], [[]] * len(chosen)
    counts, places = [], []
    files, geo = _overlay_names(data.names), data.get("geo", [None] * len(data.names))
    for index, density in enumerate(regressor.iter_density(images)):
        roi, perspective = side_map(images.roi, index), side_map(images.perspective, index)
        counts.append(float(density.sum(dtype=np.float64)))
        if regressor.reduction_ is None:  # it is chosen for each image, and with it the kernel
            placed = regressor.predict_points(images[index : index + 1])
        else:
            placed = regressor.density_.inverse_transform([density], roi, perspective)
        places += placed
        if folder:
            path, place = folder / files[chosen[index]], geo[chosen[index]]
            draw_overlay(path, images[index], density, roi, placed[0], place)
    return counts, places


def _overlay_names(names):
    """Return a unique file for each image, in its subfolder, given unique names of the images."""
    stems = [str(PurePosixPath(name).with_suffix("")) for name in names]
    return [f"{name}_overlay.png" for name in (stems if len(set(stems)) == len(names) else names)]
