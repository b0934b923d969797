"""Options that several commands share, and the images and points that they describe."""

from pathlib import Path

import click

from skcount.cli._outputs import printable, quantity

HDF5 = (".h5", ".hdf5")
# Models that come with the package.
READY = ("nuclei",)
FORMATS = [
    "csv",
    "napari",
    "imagej",
    "cell_counter",
    "cvat",
    "voc",
    "coco",
    "labelme",
    "label_studio",
    "via",
    "via_csv",
]
FORMATS += ["geojson", "supervisely", "zooniverse", "yolo", "jhu", "nwpu", "mat", "dots", "mask"]

READING = [
    click.option(
        "--format",
        type=click.Choice(FORMATS, case_sensitive=False),
        help="Format of POINTS. Required for pictures (dots, mask); recognised from the file otherwise.",
    ),
    click.option(
        "--columns",
        nargs=2,
        metavar="ROW COLUMN",
        help="CSV columns with the row and the column of a point, by name or by number from 0.",
    ),
    click.option("--image-column", help="CSV column with the name of the image."),
    click.option(
        "--order",
        type=click.Choice(["xy", "rc"]),
        help="Which coordinate comes first in POINTS: the column (xy) or the row (rc).",
    ),
    click.option(
        "--origin", type=float, help="Coordinate of the centre of the first pixel in POINTS: 0, 1 or 0.5."
    ),
    click.option(
        "--scale", type=float, help="Size of a pixel in the unit of POINTS, for example 0.325 for microns."
    ),
    click.option(
        "--unit",
        type=click.Choice(["pixel", "fraction", "percent"]),
        help="Unit of the coordinates of a table: pixels, or fractions or percentages of the image's size.",
    ),
    click.option(
        "--labels",
        multiple=True,
        help="Use only points with this label. Repeat for several labels; '*' means all of them.",
    ),
    click.option("--label-column", help="Column or field with the labels of the points."),
    click.option(
        "--where",
        nargs=2,
        multiple=True,
        metavar="FIELD VALUE",
        help="Use only points whose field has this value, for example --where annotator anna.",
    ),
    click.option("--ignore", multiple=True, help="Column or field that varies and does not matter."),
    click.option(
        "--slices",
        type=click.Choice(["split", "merge"]),
        help="Slices of a stack are separate images (split) or parts of one image (merge).",
    ),
    click.option("--slice-column", help="Column or field with the number of the slice or frame."),
    click.option(
        "--first", type=click.IntRange(0, 1), help="Number of the first image or slice in POINTS: 0 or 1."
    ),
    click.option(
        "--keypoints",
        type=click.Choice(["objects", "parts"]),
        help="Several keypoints of one COCO annotation are objects, or parts of one object.",
    ),
    click.option("--variable", help="Variable of a MATLAB file that holds the points."),
    click.option("--threshold", type=float, help="Brightness above which a pixel of a dot image is a dot."),
    click.option(
        "--touching",
        type=click.Choice(["join", "separate"]),
        help="Touching pixels of a dot image are one dot (join) or several (separate).",
    ),
    click.option(
        "--channel", type=click.IntRange(min=0), help="Channel of a label mask that holds the labels, from 0."
    ),
    click.option("--image-pattern", help="Names of the images, for example '{}cell' for 001cell.png."),
    click.option(
        "--points-pattern", help="Names of the files of points, for example '{}dots' for 001dots.png."
    ),
    click.option(
        "--missing",
        type=click.Choice(["raise", "empty"]),
        help="Images without points are an error (raise) or contain no object (empty).",
    ),
    click.option(
        "--extra",
        type=click.Choice(["raise", "ignore"]),
        help="Points without an image are an error (raise) or left out (ignore).",
    ),
    click.option(
        "--outside",
        type=click.Choice(["raise", "warn", "ignore"]),
        help="Points outside their image are an error (raise), or kept with or without a warning.",
    ),
    click.option(
        "--duplicates",
        type=click.Choice(["keep", "drop"]),
        help="Points that lie exactly on another one are kept, or dropped.",
    ),
    click.option("--allow-empty", is_flag=True, default=None, help="Accept annotations without any point."),
]

IMAGES = [
    click.option(
        "--recursive",
        is_flag=True,
        default=None,
        help="Search the subfolders of a folder too. Tables name images with their subfolders.",
    ),
    click.option(
        "--stack-axis",
        metavar="AXIS",
        help="Axis of TIFF stacks whose slices are the images, for example T or Z.",
    ),
    click.option(
        "--alpha",
        type=click.Choice(["raise", "drop", "roi"]),
        help="Transparent pixels are an error (raise), are counted (drop), or are outside the region of interest (roi).",
    ),
    click.option(
        "--mixed",
        type=click.Choice(["raise", "color"]),
        help="Pictures of several types are an error (raise), or all of them are read as colors (color).",
    ),
    click.option(
        "--roi",
        metavar="PICTURE",
        help="Region of interest: count only where this picture, of the same size as the images, is not black. Or a folder "
        "of such pictures, which have the names of the images.",
    ),
]
force_option = click.option(
    "--force", is_flag=True, help="Replace existing files that skcount did not write, or cannot tell."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


def image_options(command):
    """Add the options of `load_folder` for images to a command."""
    return _add(IMAGES, command)


def reading_options(command):
    """Add the options of `read_points` and `load_folder` to a command."""
    return _add([*IMAGES, *READING], command)


def _add(options, command):
    for option in reversed(options):
        command = option(command)
    return command


def open_data(paths, reading, with_points=True):
    """Return a Bunch of images, points and names; `reading` are the options of `load_folder`."""
    from skcount import ImageSet
    from skcount.io import load_folder, load_hdf5

    images, points = _split_paths(paths, with_points)
    reading = {name: value for name, value in reading.items() if value not in (None, ())}
    if not images.lower().endswith(HDF5):
        for name in ("columns", "image_column", "label_column", "slice_column"):
            if name in reading:
                reading[name] = _parse_columns(reading[name])
        if "where" in reading:
            reading["where"] = _join_values(reading["where"])
        data = load_folder(images, points, **reading)
        _tell_skipped(images, data.skipped)
        return data
    roi = reading.pop("roi", None)
    reading.pop("damaged", None)
    if reading:
        option = next(iter(reading)).replace("_", "-")
        raise click.UsageError(f"--{option} cannot be used with {images}, which holds its own points.")
    data = load_hdf5(images)
    data.names = [str(number) for number in range(len(data.images))]
    if roi is not None:
        mask = load_folder([roi]).images[0] > 0
        data.images = ImageSet(data.images, roi=mask.any(axis=2) if mask.ndim == 3 else mask)
    return data


def _tell_skipped(folder, names):
    """Print what is in a folder and was not used."""
    folders = [name for name in names if name.endswith("/")]
    files = [name for name in names if not name.endswith("/")]
    what = [f"{quantity(len(files), 'other file')}, such as {files[0]}"] if files else []
    what += [f"{quantity(len(folders), 'folder')}, such as {folders[0]} (see --recursive)"] if folders else []
    if what:
        click.echo(printable(f"Left out of {folder}: {'; '.join(what)}."), err=True)


def side_map(maps, index):
    """Return the map of one image from `ImageSet.roi` or `ImageSet.perspective`: None, one map for all, or one per image."""
    return maps if maps is None or getattr(maps, "ndim", None) == 2 else maps[index]


def _split_paths(paths, with_points):
    """Return IMAGES and POINTS; there are more paths if the shell expanded a pattern."""
    images, *points = paths
    in_one_file = images.lower().endswith(HDF5)
    expected = "IMAGES POINTS" if with_points and not in_one_file else "IMAGES"
    if len(paths) > len(expected.split()):
        if in_one_file and len(points) == 1:
            raise click.UsageError(f"{images} holds its own points. Remove {points[0]}.")
        raise click.UsageError(
            f"Expected {expected}; got {len(paths)} paths. Put a pattern in quotes, so that the shell does not expand it: "
            "'pictures/*.png'."
        )
    if len(paths) < len(expected.split()):
        raise click.UsageError(
            "POINTS is missing: a file, or a folder of files, with one dot per object of IMAGES."
        )
    return images, points[0] if points else None


def _parse_columns(columns):
    if isinstance(columns, tuple):
        return tuple(map(_parse_columns, columns))
    return int(columns) if columns.isdecimal() else columns


def _join_values(pairs):
    """Return the values to keep of each field: an option that is repeated for a field adds a value."""
    where = {}
    for field, value in pairs:
        where.setdefault(field, []).append(value)
    return where


def model_options(command):
    """Add the options of commands that count: which model, and the diameter of an object."""
    for option in (
        click.option(
            "--diameter",
            type=click.FloatRange(min=0, min_open=True),
            metavar="PIXELS",
            help="Width of an object in pixels, only for models of skcount itself.  [default: estimated for each image]",
        ),
        click.option(
            "--model",
            metavar="MODEL",
            help=f"The model, if it is not the first argument: a file written by fit, or {' or '.join(READY)}, which comes "
            "with skcount.",
        ),
    ):
        command = option(command)
    return command


def split_model(model, paths):
    """Return the model and the other paths; the model is the first path unless the option gives it."""
    if model is None:
        model, *paths = paths
    if not paths:
        raise click.UsageError("Missing argument 'IMAGES'. Pass a model and images.")
    return model, tuple(paths)


def open_model(name, diameter=None):
    """Return the regressor of a file, or one that comes with the package."""
    from skcount import load, load_pretrained

    if is_ready(name):
        return load_pretrained(name, diameter="auto" if diameter is None else diameter)
    if diameter is not None:
        raise click.UsageError(
            f"--diameter is for models that come with skcount ({', '.join(READY)}); {name} has its own."
        )
    return load(name)


def is_ready(name):
    """Return whether a name is that of a model of the package, and not a file."""
    return name in READY and not Path(name).exists()
