"""`skcount data`: simulated and public images, in one HDF5 file."""

import click

from skcount._files import check_target
from skcount.cli._inputs import json_option
from skcount.cli._outputs import in_words, report

FETCH = {"mall": "fetch_mall", "ucsd": "fetch_ucsd_pedestrians", "vgg": "fetch_vgg_cells"}

EPILOG = """\b
Examples:
  skcount data cells --out cells.h5
  skcount data vgg --out vgg.h5
  skcount data ucsd --archive ucsdpeds_vidf.zip --archive vidf-cvpr.zip --out ucsd.h5

\b
cells: simulated cells, made here
vgg:   200 images of the VGG synthetic cells
mall:  2,000 frames of a shopping mall
ucsd:  2,000 frames of pedestrians; its archives are not downloaded"""


@click.command(epilog=EPILOG, short_help="Write simulated or public images to a file.")
@click.argument("name", type=click.Choice(["cells", *FETCH]))
@click.option("--out", required=True, metavar="HDF5", help="The file to write.")
@click.option(
    "--archive",
    multiple=True,
    metavar="FILE",
    help="The archive as published, if you have it; may be given again.",
)
@click.option("--n-images", type=click.IntRange(min=1), help="Of cells: how many.  [default: 20]")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), help="Of cells: decides what they are.  [default: 0]"
)
@json_option
def data(name, out, archive, n_images, seed, as_json):
    """Write images with their points, and what else belongs to them, to one file for fit."""
    check_target(out)
    if name == "cells" and archive:
        raise click.UsageError("cells are made, and need no --archive.")
    if name != "cells" and not (n_images is None and seed is None):
        raise click.UsageError(f"--n-images and --seed are for cells; {name} is what was published.")
    from skcount import datasets, io

    if name == "cells":
        found = datasets.make_cells(n_images or 20, random_state=seed or 0)
    else:
        found = getattr(datasets, FETCH[name])(archive=list(archive) or None)
    belongings = {key: found[key] for key in ("groups", "roi", "perspective")}
    io.save_hdf5(out, found.images, found.points, description=found.DESCR, **belongings)
    n_objects = len(found.points.coordinates)
    result = {"file": out, "n_images": len(found.images), "n_objects": n_objects}
    report(as_json, result, f"{in_words(len(found.images), 'image')}, {in_words(n_objects, 'object')}: {out}")
