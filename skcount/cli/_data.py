"""`skcount data`: simulated and public images in one HDF5 file."""

import click

from skcount._files import check_target
from skcount.cli._inputs import json_option
from skcount.cli._outputs import quantity, report

FETCH = {"mall": "fetch_mall", "ucsd": "fetch_ucsd_pedestrians", "vgg": "fetch_vgg_cells"}

EPILOG = """\b
Examples:
  skcount data cells --out cells.h5
  skcount data vgg --out vgg.h5
  skcount data ucsd --archive ucsdpeds_vidf.zip --archive vidf-cvpr.zip --out ucsd.h5

\b
cells: simulated fluorescent cells
vgg:   200 images of the VGG synthetic cells
mall:  2,000 frames from a shopping mall
ucsd:  2,000 frames of pedestrians; download its archives yourself and pass --archive"""


@click.command(epilog=EPILOG, short_help="Write simulated or public images to a file.")
@click.argument("name", type=click.Choice(["cells", *FETCH]))
@click.option("--out", required=True, metavar="HDF5", help="File to write.")
@click.option(
    "--archive",
    multiple=True,
    metavar="FILE",
    help="Published archive, if you have it already. Repeat the option for several files.",
)
@click.option("--n-images", type=click.IntRange(min=1), help="Number of images of cells.  [default: 20]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Random seed of cells.  [default: 0]")
@json_option
def data(name, out, archive, n_images, seed, as_json):
    """Write images with their points and side data to one file, for use with fit."""
    check_target(out)
    if name == "cells" and archive:
        raise click.UsageError("--archive cannot be used with cells, which are simulated.")
    if name != "cells" and not (n_images is None and seed is None):
        raise click.UsageError(f"--n-images and --seed can only be used with cells; got {name}.")
    from skcount import datasets, io

    if name == "cells":
        found = datasets.make_cells(n_images or 20, random_state=seed or 0)
    else:
        found = getattr(datasets, FETCH[name])(archive=list(archive) or None)
    side_data = {key: found[key] for key in ("groups", "roi", "perspective")}
    io.save_hdf5(out, found.images, found.points, description=found.DESCR, **side_data)
    n_objects = len(found.points.coordinates)
    result = {"file": out, "n_images": len(found.images), "n_objects": n_objects}
    report(as_json, result, f"{quantity(len(found.images), 'image')}, {quantity(n_objects, 'object')}: {out}")
