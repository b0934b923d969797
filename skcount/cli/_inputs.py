"""Images and points from what was typed, and the options that say how they are read."""

import click

HDF5 = (".h5", ".hdf5")

READING = [
    click.option(
        "--format",
        type=click.Choice(
            ["csv", "napari", "imagej", "cell_counter", "coco", "labelme", "mat", "dots", "mask"],
            case_sensitive=False,
        ),
        help="Format of POINTS; told by its ending where that is possible.",
    ),
    click.option(
        "--columns", nargs=2, metavar="ROW COLUMN", help="Columns of a CSV, by name or number from 0."
    ),
    click.option("--image-column", help="Column of a CSV that names the image."),
    click.option(
        "--order",
        type=click.Choice(["xy", "rc"]),
        help="Whether POINTS have the column (xy) or the row (rc) first.",
    ),
    click.option("--origin", type=float, help="What POINTS call the centre of the first pixel: 0, 1 or 0.5."),
    click.option(
        "--scale", type=float, help="Size of a pixel in the unit of POINTS, such as 0.325 for microns."
    ),
    click.option("--labels", multiple=True, help="Take only the points with this label; may be given again."),
    click.option(
        "--slices", type=click.Choice(["split", "merge"]), help="Whether slices are images, or parts of one."
    ),
    click.option("--variable", help="Variable of a MATLAB file."),
    click.option("--threshold", type=float, help="Brightness above which a pixel of a dot image is a dot."),
    click.option("--image-pattern", help="How pictures are named: '{}cell' for 001cell.png."),
    click.option("--points-pattern", help="How files of points are named: '{}dots' for 001dots.png."),
    click.option(
        "--missing", type=click.Choice(["raise", "empty"]), help="Images without points: an error, or empty."
    ),
    click.option(
        "--extra",
        type=click.Choice(["raise", "ignore"]),
        help="Points without an image: an error, or left out.",
    ),
    click.option(
        "--outside", type=click.Choice(["raise", "warn", "ignore"]), help="Points outside their image."
    ),
]

roi_option = click.option(
    "--roi", metavar="PICTURE", help="Count only where this picture, of the images' size, is not black."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


def reading_options(command):
    """Give a command the options of `read_points` and `load_folder`.

    Parameters
    ----------
    command : callable
        The command's function.

    Returns
    -------
    callable
        The same.
    """
    for option in reversed(READING):
        command = option(command)
    return command


def open_data(paths, roi=None, reading=None):
    """Open the images, and the points that belong to them.

    Parameters
    ----------
    paths : tuple of str
        IMAGES, and POINTS where they are asked for and not in the same file.
    roi : str or None, default=None
        A picture that is not black where objects count.
    reading : dict or None, default=None
        What `reading_options` made of the command line; None where no points are asked for.

    Returns
    -------
    Bunch
        images, points and names.
    """
    from skcount import ImageSet
    from skcount.io import load_folder, load_hdf5

    images, points = _tell_apart(paths, reading is not None)
    reading = {name: value for name, value in (reading or {}).items() if value not in (None, ())}
    if images.lower().endswith(HDF5):
        if reading:
            raise click.UsageError(
                f"{images} needs no --{next(iter(reading)).replace('_', '-')}: its points are known."
            )
        data = load_hdf5(images)
        data.names = [str(number) for number in range(len(data.images))]
    else:
        for name in ("columns", "image_column"):
            if name in reading:
                reading[name] = _numbered(reading[name])
        data = load_folder(images, points, **reading)
    if roi is not None:
        mask = load_folder([roi]).images[0] > 0
        data.images = ImageSet(data.images, roi=mask.any(axis=2) if mask.ndim == 3 else mask)
    return data


def _tell_apart(paths, with_points):
    """IMAGES and POINTS, where a shell may have made many paths of a pattern."""
    images, *points = paths
    in_one_file = images.lower().endswith(HDF5)
    expected = "IMAGES POINTS" if with_points and not in_one_file else "IMAGES"
    if len(paths) > len(expected.split()):
        if in_one_file and len(points) == 1:
            raise click.UsageError(f"{images} holds its own points; leave {points[0]} out.")
        raise click.UsageError(
            f"{len(paths)} paths came; expected {expected}. A pattern needs quotes, or the shell resolves it: "
            "'pictures/*.png'."
        )
    if len(paths) < len(expected.split()):
        raise click.UsageError("POINTS is missing: a file or a folder with a dot on each object of IMAGES.")
    return images, points[0] if points else None


def _numbered(columns):
    """Numbers of columns as numbers."""
    if isinstance(columns, tuple):
        return tuple(map(_numbered, columns))
    return int(columns) if columns.isdecimal() else columns
