"""The VGG synthetic fluorescent cells: from the archive as published to one HDF5 file, made once."""

import os
import re
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np

from skcount.datasets._hdf5 import load_hdf5, save_hdf5
from skcount.points import PointAnnotations

__all__ = ["fetch_vgg_cells", "get_data_home"]

ARCHIVE_NAMES = ("vgg_cells.zip", "cells.zip")
CACHE_NAME = "vgg_cells.h5"
N_IMAGES = 200
IMAGE_SHAPE = (256, 256, 3)
N_POINTS = 35_192

DESCR = """\
VGG synthetic fluorescent cells
===============================

200 images of 256 x 256 pixels in RGB, uint8: simulated fluorescence microscopy of bacterial cells that
overlap and are out of focus in varying degree. Every cell is annotated with one dot; 35,192 in all. Cells an
image: 176 +- 61, from 74 to 317.

Origin
------
Made and published by the Visual Geometry Group, University of Oxford, as "cells.zip", with the simulator of
Lehmussola et al. Please cite:

V. Lempitsky and A. Zisserman. Learning to count objects in images. Advances in Neural Information Processing
Systems 23, 2010.

A. Lehmussola, P. Ruusuvuori, J. Selinummi, H. Huttunen and O. Yli-Harja. Computational framework for
simulating fluorescence microscope images with cell populations. IEEE Transactions on Medical Imaging 26(7),
2007.

Points
------
In the published dot images every pixel whose red is above 0 is one cell; its centre is the point (row, col).
Dots of crowded cells touch, so that joining neighbouring pixels to blobs would lose cells (451 of them).

Protocols in use
----------------
Results of different protocols cannot be compared. Images are numbered from 1.

- "LZ" (Lempitsky and Zisserman): images 1-100 are the pool, from which N = 32, 50 or 64 are drawn for
  training; images 101-200 are the test. At least 5 draws; the spread is over draws.
- "random": N = 64 drawn from all 200, the other 136 are the test.
- First 150 for training, last 50 for the test.

Published mean absolute errors, in cells an image, for N = 64: FCRN-A 2.9 +- 0.2 and, with N = 50,
Count-ception 2.3 +- 0.4, both under LZ; MSCA-UNet 2.0 +- 0.2 and PGC-Net 1.9 +- 0.1, probably under "random".
"""


def fetch_vgg_cells(*, data_home=None, archive=None, return_X_y=False):
    """Load the VGG synthetic fluorescent cells (200 images, 35,192 cells).

    Simulated fluorescence microscopy with one dot a cell, the standard of the field [1]_. The first call
    turns the published archive into one HDF5 file in the cache folder; later calls open that file and need
    no archive. Nothing is downloaded: see Raises for how to get the archive.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The cache folder, see :func:`get_data_home`.
    archive : str, path-like or None, default=None
        The archive as published, with ``001cell.png``, ``001dots.png`` and so on. None looks for
        ``vgg_cells.zip`` and ``cells.zip`` in `data_home` and in the folder that the environment variable
        SKCOUNT_DATA names. Not looked at when the cache holds the data already.
    return_X_y : bool, default=False
        Whether to return ``(images, points)`` instead of a `Bunch`.

    Returns
    -------
    data : Bunch, or (images, points)
        A dictionary with attributes:

        images : ImageSet of shape (200, 256, 256, 3), uint8
            The images in the published order, lazily in the cache file.
        points : PointAnnotations
            For each image the cells as (row, col) in pixels.
        groups, roi, perspective : None
            There are none.
        DESCR : str
            Origin, citation, and the protocols in use.

    Raises
    ------
    FileNotFoundError
        If neither the cache file nor the archive is found; the message says where they were looked for and
        how to get the archive.
    ValueError
        If the archive is damaged or does not hold exactly these data.
    ImportError
        If pillow is missing, which reads the images of the archive.

    See Also
    --------
    load_hdf5 : Opens other data in the same way.

    References
    ----------
    .. [1] V. Lempitsky and A. Zisserman. Learning to count objects in images. NIPS 23, 2010.

    Examples
    --------
    >>> from skcount.datasets import fetch_vgg_cells
    >>> cells = fetch_vgg_cells()  # doctest: +SKIP
    >>> cells.images  # doctest: +SKIP
    ImageSet(200 images of 256 x 256 x 3, uint8, in vgg_cells.h5)
    >>> cells.points  # doctest: +SKIP
    PointAnnotations(200 images, 35192 points)
    """
    home = get_data_home(data_home)
    cache = home / CACHE_NAME
    cells = _load_cache(cache)
    if cells is None:
        _convert(_find_archive(archive, home), cache)
        cells = load_hdf5(cache)
    cells.DESCR = DESCR
    return (cells.images, cells.points) if return_X_y else cells


def get_data_home(data_home=None):
    """Return the folder in which data sets are kept, and make it if it does not exist.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder. None takes the environment variable SKCOUNT_CACHE, or ``~/skcount_data`` where it is
        not set.

    Returns
    -------
    pathlib.Path
        The folder, as an absolute path.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> get_data_home(f"{folder.name}/cache").is_dir()
    True
    >>> folder.cleanup()
    """
    if data_home is None:
        data_home = os.environ.get("SKCOUNT_CACHE") or Path("~", "skcount_data")
    home = Path(data_home).expanduser().absolute()
    home.mkdir(parents=True, exist_ok=True)
    return home


def _load_cache(cache):
    """Return the data of an earlier call, or None where they are to be made (again)."""
    try:
        cells = load_hdf5(cache)
        _check_content(cells.images.shape, cells.points, cache)
    except (FileNotFoundError, ValueError):
        return None
    return cells


def _find_archive(archive, home):
    candidates = [Path(archive).expanduser()] if archive is not None else _usual_places(home)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f"The archive of the VGG cells was not found; looked for {', '.join(map(str, candidates))}. Get the "
        'archive "cells.zip" from the page on counting objects in images of the Visual Geometry Group, '
        "University of Oxford, and pass fetch_vgg_cells(archive=path_of_the_zip), or put it into the folder "
        "data_home or the folder that the environment variable SKCOUNT_DATA names."
    )


def _usual_places(home):
    folders = [home]
    if os.environ.get("SKCOUNT_DATA"):
        folders.append(Path(os.environ["SKCOUNT_DATA"]).expanduser())
    return [folder / name for folder in folders for name in ARCHIVE_NAMES]


def _convert(archive, target):
    """Read the archive, one image in memory at a time, and write the cache file."""
    pillow = _import_pillow()
    try:
        opened = zipfile.ZipFile(archive)
    except zipfile.BadZipFile as error:
        raise _foreign(archive, f"is no zip file ({error})") from error
    with opened as members:
        cell_names, dots_names = _pair_names(members.namelist(), archive)
        points = PointAnnotations.from_mask(
            [_read_png(pillow, members, name)[:, :, 0] for name in dots_names]
        )
        _check_content((len(cell_names), *IMAGE_SHAPE), points, archive)
        images = (_read_png(pillow, members, name) for name in cell_names)
        save_hdf5(target, images, points, description=DESCR)


def _import_pillow():
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "Reading the archive needs pillow; install it with: pip install skcount[data]"
        ) from error
    return Image


def _pair_names(names, archive):
    """Return the names of the cell images and of their dot images, both in the published order."""
    found = {"cell": {}, "dots": {}}
    for name in names:
        match = re.fullmatch(r"(?:.*/)?(\d{3})(cell|dots)\.png", name)
        if match:
            found[match[2]][int(match[1])] = name
    wanted = range(1, N_IMAGES + 1)
    for kind, numbered in found.items():
        if sorted(numbered) != list(wanted):
            raise _foreign(archive, f"holds {len(numbered)} images NNN{kind}.png")
    return [[numbered[number] for number in wanted] for numbered in found.values()]


def _read_png(pillow, members, name):
    """Read one image of the archive, ndarray of shape (256, 256, 3), uint8."""
    try:
        with pillow.open(BytesIO(members.read(name))) as image:
            pixels = np.asarray(image.convert("RGB"))
    # zipfile finds a wrong checksum, zlib a broken stream, pillow what is no image (OSError or SyntaxError).
    except (zipfile.BadZipFile, zlib.error, OSError, SyntaxError) as error:
        raise _foreign(members.filename, f"holds a {name} that cannot be read ({error})") from error
    if pixels.shape != IMAGE_SHAPE:
        raise _foreign(members.filename, f"holds a {name} of shape {pixels.shape}")
    return pixels


def _check_content(shape, points, path):
    found = (*shape, len(points.coordinates))
    if found != (N_IMAGES, *IMAGE_SHAPE, N_POINTS):
        raise _foreign(path, f"holds images of shape {shape} and {len(points.coordinates)} points")


def _foreign(path, what):
    return ValueError(
        f"{path} {what}; expected the VGG cells as published: 001cell.png and 001dots.png to "
        f"{N_IMAGES}dots.png, 256 x 256 pixels, {N_POINTS} dots. Get the archive again."
    )
