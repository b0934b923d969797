"""`skcount annotate`: a page in the browser to set dots, train, correct and estimate the total."""

import webbrowser
from pathlib import Path

import click

from skcount.cli._inputs import READY, reading_options

EPILOG = """\b
Examples:
  skcount annotate pictures/
  skcount annotate pictures/ cells.csv --out marked/
  skcount annotate pictures/ --model nuclei --total 12

\b
The page is served on this machine alone. Dots are in FOLDER/dots.csv, which fit reads, and the
model in FOLDER/model.skcount. The folder of pictures is never changed. Ctrl C ends it."""


@click.command(epilog=EPILOG, short_help="Set dots, train and correct in the browser.")
@click.argument("paths", nargs=-1, required=True, metavar="IMAGES [POINTS]")
@click.option("--points", metavar="POINTS", help="Dots that you have already; the same as a second argument.")
@click.option(
    "--out", metavar="FOLDER", help="Folder for dots and model.  [default: the name of IMAGES with .dots]"
)
@click.option("--model", metavar="MODEL", help=f"Model to start with: a file, or {', '.join(READY)}.")
@click.option(
    "--total",
    type=click.IntRange(min=5),
    metavar="N",
    help="Estimate the total of all images from N counted ones.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port of the page; 0 takes a free one."
)
@click.option("--browser/--no-browser", default=True, help="Open the page, or only print its address.")
@reading_options
def annotate(paths, points, out, model, total, port, browser, **reading):
    """Set dots on pictures in the browser, train a model on them, let it predict, and correct what it predicts."""
    from skcount.annotate import Desk, serve
    from skcount.cli._inputs import open_data

    paths = (*paths, points) if points else paths
    data = open_data(paths, reading, with_points=len(paths) > 1)
    folder = Path(out or f"{str(paths[0]).rstrip('/')}.dots").expanduser()
    desk = Desk(data.images, data.names, folder, model=model, n_total=total)
    if len(paths) > 1:
        desk.add(data.points)
    announce = click.echo if not browser else lambda address: (click.echo(address), webbrowser.open(address))
    serve(desk, port, announce)
    click.echo(f"Dots: {folder / 'dots.csv'}")
