"""`skcount look`: images with their points, and what looks wrong about them."""

import click

from skcount.cli._inputs import force_option, json_option, open_data, reading_options
from skcount.cli._outputs import check_folder, check_outputs, quantity, report, rounded, to_csv, write_csv

EPILOG = """\b
Examples:
  skcount look pictures/ cells.csv --out check/
  skcount look "plates/*/*.tif" annotations/ --format imagej --out check/

\b
Writes check/contact_sheet.png and check/table.csv."""


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="IMAGES [POINTS]")
@click.option("--out", required=True, metavar="FOLDER", help="Folder for the contact sheet and the table.")
@click.option(
    "--max-images", type=click.IntRange(min=1), default=12, help="Number of images on the contact sheet."
)
@reading_options
@force_option
@json_option
def look(paths, out, max_images, force, as_json, **reading):
    """Show images with their points before training, and list what looks wrong.

    Points outside their image, points on each other, and coordinates that may be in another unit are reported, not
    rejected.
    """
    folder = check_folder(out, paths[0], recursive=reading["recursive"])
    # To be seen, points need not be right.
    reading |= {
        "outside": reading["outside"] or "ignore",
        "duplicates": reading["duplicates"] or "keep",
        "allow_empty": True,
    }
    if not any(reading[name] for name in ("unit", "scale")) and reading["format"] not in {"dots", "mask"}:
        reading["unit"] = "pixel"
    data = open_data(paths, reading)
    from skcount.cli._pictures import draw_annotations

    picture, table = folder / "contact_sheet.png", folder / "table.csv"
    check_outputs(
        {"--out (contact_sheet.png)": picture, "--out (table.csv)": table}, paths, data, force=force
    )
    display = draw_annotations(picture, data.images, data.points, data.names, max_images)
    rows = [[_rounded(value) for value in row.values()] for row in display.table]
    write_csv(table, to_csv(list(display.table[0]), rows))
    text = [f"{quantity(len(data.names), 'image')}, {quantity(len(data.points.coordinates), 'point')}."]
    text += [f"Warning: {message}" for message in display.messages]
    text += [f"Picture: {picture}", f"Table: {table}"]
    result = {
        "images": display.table,
        "messages": display.messages,
        "picture": str(picture),
        "table": str(table),
    }
    report(as_json, result, "\n".join(text))


def _rounded(value):
    return "" if value is None else rounded(value) if isinstance(value, float) else value
