"""The VGG synthetic fluorescent cells."""

import numpy as np
from sklearn.utils._param_validation import validate_params

from skcount.datasets._fetch import FETCH_CONSTRAINTS, Content, DataSet, fetch
from skcount.datasets._protocols import Split
from skcount.points import PointAnnotations

__all__ = ["VGG_CELLS", "fetch_vgg_cells"]

DESCR = """\
VGG synthetic fluorescent cells
===============================

200 images of 256 x 256 pixels in RGB, uint8: simulated fluorescence microscopy of bacterial cells that
overlap and are more or less out of focus. Every cell is annotated with one dot; 35,192 in all. Cells per image:
176 +- 61, from 74 to 317.

Origin
------
Made with the simulator of Lehmussola et al. and published by the Visual Geometry Group, University of Oxford, as
"cells.zip". Please cite:

V. Lempitsky and A. Zisserman. Learning to count objects in images. Advances in Neural Information Processing
Systems 23, 2010.

A. Lehmussola, P. Ruusuvuori, J. Selinummi, H. Huttunen and O. Yli-Harja. Computational framework for
simulating fluorescence microscope images with cell populations. IEEE Transactions on Medical Imaging 26(7),
2007.

Terms
-----
The archive states none. It is published for research. Ask its authors before any other use.

Points
------
In the published dot images, every pixel whose red is above 0 is one cell; its centre is the point (row, col).
Dots of crowded cells touch, so joining neighbouring pixels into blobs would lose 451 cells.

Protocols in use
----------------
Do not compare results of different protocols. Images are numbered from 1.
`train_test_indices(protocol)` of the loaded data gives the indices.

- "lz" (Lempitsky and Zisserman): n_train = 32, 50 or 64 training images are drawn from images 1-100; the test images
  are 101-200. Repeat with at least 5 draws; the spread is over draws.
- "random": n_train = 64 training images are drawn from all 200; the other 136 are the test images.
- "article": the first 150 images for training, the last 50 for testing.

Published mean absolute errors, in cells per image, for n_train = 64: FCRN-A 2.9 +- 0.2 and, with n_train = 50,
Count-ception 2.3 +- 0.4, both under "lz"; MSCA-UNet 2.0 +- 0.2 and PGC-Net 1.9 +- 0.1, probably under
"random".
"""


@validate_params(FETCH_CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_vgg_cells(*, data_home=None, archive=None, return_X_y=False, download_if_missing=True):
    """Load the VGG synthetic fluorescent cells (200 images, 35,192 cells).

    The data are simulated fluorescence microscopy with one dot per cell, the standard benchmark of the field [1]_. The
    first call converts the published archive into one HDF5 file in the cache folder (18 MB, one or two seconds). Later
    calls open that file and need no archive.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The cache folder, see :func:`get_data_home`.
    archive : str, path-like, list of them, or None, default=None
        The published archive, with ``001cell.png``, ``001dots.png`` and so on. It must exist; a cache file that was
        made from another archive is replaced. If None, use the cache file, or else look for ``cells.zip`` and
        ``vgg_cells.zip`` in `data_home` and in the folder named by the environment variable SKCOUNT_DATA.
    return_X_y : bool, default=False
        Whether to return ``(images, points)`` instead of a `Bunch`.
    download_if_missing : bool, default=True
        Whether to download the archive into `data_home` if it is not found.

    Returns
    -------
    data : Bunch, or (images, points)
        A dictionary with attributes:

        images : ImageSet of shape (200, 256, 256, 3), uint8
            The images in the published order, read lazily from the cache file.
        points : PointAnnotations
            The cells of each image as (row, col) in pixels.
        groups, roi, perspective : None
            The data have none.
        train_test_indices : callable
            ``train_test_indices(protocol, n_train=None, random_state=None)`` returns the indices of the training and
            of the test images of a published split: "lz", "random" or "article".
        DESCR : str
            Origin, citation, terms, protocols, and which copy was read.

    Raises
    ------
    OSError
        If the archive is not found or cannot be downloaded. The message says where skcount looked and how to get it.
    ValueError
        If the archive is damaged, unsafe, or does not hold exactly these data.
    ImportError
        If a package of the extra ``data`` is missing.

    See Also
    --------
    make_cells : Images that resemble these, without a download.

    References
    ----------
    .. [1] V. Lempitsky and A. Zisserman. Learning to count objects in images. NIPS 23, 2010.

    Examples
    --------
    >>> from skcount.datasets import fetch_vgg_cells
    >>> cells = fetch_vgg_cells()  # doctest: +SKIP
    >>> cells.points  # doctest: +SKIP
    PointAnnotations(200 images, 35192 points)
    >>> train, test = cells.train_test_indices("lz", n_train=64, random_state=0)  # doctest: +SKIP
    """
    return fetch(
        VGG_CELLS,
        data_home=data_home,
        archive=archive,
        return_X_y=return_X_y,
        download_if_missing=download_if_missing,
    )


def _read(files, data_set):
    numbers = np.arange(1, data_set.n_images + 1)
    cells, dots = ([f"{number:03d}{kind}.png" for number in numbers] for kind in ("cell", "dots"))
    files.require("cell", cells)
    files.require("dots", dots)
    points = PointAnnotations([np.argwhere(files.read_image(name, "RGB")[:, :, 0] > 0) for name in dots])
    if len(points.coordinates) != data_set.n_points:
        raise files.foreign(f"holds {len(points.coordinates)} dots")
    return Content((files.read_image(name, "RGB") for name in cells), points, numbers)


VGG_CELLS = DataSet(
    name="vgg_cells",
    title="the VGG cells",
    descr=DESCR,
    n_images=200,
    image_shape=(256, 256, 3),
    n_points=35_192,
    splits={
        "lz": Split(train=range(1, 101), test=range(101, 201), n_train=(64, 50, 32)),
        "random": Split(train=range(1, 201), n_train=(64,)),
        "article": Split(train=range(1, 151), test=range(151, 201)),
    },
    archives=(("cells.zip",), ("vgg_cells.zip",)),
    urls={"cells.zip": "https://www.robots.ox.ac.uk/~vgg/research/counting/cells.zip"},
    page="https://www.robots.ox.ac.uk/~vgg/research/counting/",
    kinds={"cell": r"\d{3}cell\.png", "dots": r"\d{3}dots\.png"},
    read=_read,
    max_bytes=2**27,
)
