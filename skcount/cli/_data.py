"""`skcount data`: simulated and public images in one HDF5 file, or simulated ones as pictures."""

import shlex
from pathlib import Path

import click

from skcount._files import check_target, replacing
from skcount.cli._inputs import force_option, json_option
from skcount.cli._outputs import quantity, refuse_foreign, report, to_csv, write_csv

FETCH = {"mall": "fetch_mall", "ucsd": "fetch_ucsd_pedestrians", "vgg": "fetch_vgg_cells"}

EPILOG = """\b
Examples:
  skcount data cells --pictures practice/
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
@click.option("--out", metavar="HDF5", help="File to write.")
@click.option(
    "--pictures",
    metavar="FOLDER",
    help="Write cells as pictures, with their points in cells.csv, to this folder, which is new or empty.",
)
@click.option(
    "--archive",
    multiple=True,
    metavar="FILE",
    help="Published archive, if you have it already. Repeat the option for several files.",
)
@click.option("--n-images", type=click.IntRange(min=1), help="Number of images of cells.  [default: 20]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Random seed of cells.  [default: 0]")
@force_option
@json_option
def data(name, out, pictures, archive, n_images, seed, force, as_json):
    """Write images with their points and side data to one file, or pictures to practise on, for use with fit."""
    _check_targets(name, out, pictures)
    refuse_foreign({"--out": out}, force)
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
    written = [path for path in (out, pictures) if path is not None]
    if out is not None:
        io.save_hdf5(out, found.images, found.points, description=found.DESCR, **side_data)
    if pictures is not None:
        table = str(_write_pictures(pictures, found))
        written.append(table)
    n_objects = len(found.points.coordinates)
    result = {"file": out, "pictures": pictures, "n_images": len(found.images), "n_objects": n_objects}
    text = f"{quantity(len(found.images), 'image')}, {quantity(n_objects, 'object')}: {', '.join(written)}"
    if pictures is not None:
        text += f"\nTry: skcount fit {shlex.join([pictures, table])} --out model.skcount"
    report(as_json, result, text)


def _check_targets(name, out, folder):
    """Reject a file that cannot be written, and a folder in which something might be replaced."""
    if out is None and folder is None:
        raise click.UsageError("Pass --out for one file, or --pictures for a folder of pictures.")
    if out is not None:
        check_target(out)
    if folder is None:
        return
    if name != "cells":
        raise click.UsageError(f"--pictures can only be used with cells; got {name}. Use --out.")
    path = Path(folder).expanduser()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"--pictures must be a new or empty folder; got {folder}.")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.absolute().parent} for {folder}.")


def _write_pictures(folder, cells):
    """Write images as PNG and their points as CSV, and return the path of the CSV."""
    import numpy as np
    from PIL import Image

    path = Path(folder).expanduser()
    path.mkdir(exist_ok=True)
    rows = []
    for number, (image, points) in enumerate(zip(cells.images, cells.points, strict=True), start=1):
        name = f"cell{number}.png"
        with replacing(path / name) as temporary:
            Image.fromarray(image).save(temporary, format="png")
        hundredths = np.floor(points * 100) / 100  # down, so that none leaves the image
        rows += [[name, col, row] for row, col in hundredths.tolist()]
    table = path / "cells.csv"
    write_csv(table, to_csv(["image", "x", "y"], rows))
    return table
