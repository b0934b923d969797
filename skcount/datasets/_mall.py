"""The Mall crowd-counting data."""

import numpy as np
from sklearn.utils._param_validation import validate_params

from skcount.datasets._fetch import FETCH_CONSTRAINTS, Content, DataSet, fetch
from skcount.datasets._protocols import Split
from skcount.points import PointAnnotations

__all__ = ["MALL", "fetch_mall"]

DESCR = """\
Mall
====

2,000 frames of 640 x 480 pixels in RGB, uint8, from one public webcam in a shopping mall, at less than 2 frames
per second. Every pedestrian's head is annotated with one dot; 62,315 in all. Pedestrians per frame: 31.2 +- 6.9,
from 13 to 53.

Origin
------
Published by C. C. Loy and co-workers as "mall_dataset.zip". Please cite:

K. Chen, C. C. Loy, S. Gong and T. Xiang. Feature mining for localised crowd counting. British Machine Vision
Conference, 2012.

K. Chen, S. Gong, T. Xiang and C. C. Loy. Cumulative attribute space for age and crowd density estimation. IEEE
Conference on Computer Vision and Pattern Recognition, 2013.

C. C. Loy, S. Gong and T. Xiang. From semi-supervised to transfer counting of crowds. IEEE International Conference
on Computer Vision, 2013.

C. C. Loy, K. Chen, S. Gong and T. Xiang. Crowd counting and profiling: methodology and evaluation. In: Modeling,
Simulation and Visual Analysis of Crowds, Springer, 2013.

Terms
-----
The page of the data allows research and excludes commercial use.

Points, region of interest, perspective
---------------------------------------
The published (x, y) start at 1; here they are (row, col) and start at 0. No point lies outside its frame. `roi` is the
published mask: it covers 90 % of the frame and leaves out 4 points. The published map pMapN weighs areas, with larger
weights far from the camera; `perspective` is 1 / sqrt(pMapN), the relative length of objects. It is linear in the row:
0.26 at the top, 1.14 at the bottom. All frames are one sequence, so there are no groups; neighbouring frames are
very similar.

Protocols in use
----------------
Do not compare results of different protocols. Frames are numbered from 1.
`train_test_indices(protocol)` of the loaded data gives the indices.

- "standard": frames 1-800 for training, 801-2000 for testing.
- "article": frames 1-1500 for training, 1501-2000 for testing.

Published mean absolute errors under "standard": bi-ConvLSTM 2.10, E3D 1.64, DecideNet 1.52, LA-Batch 1.34, SAAN 1.28.
Predicting the mean of the training frames for every frame: 4.94 under "standard", 4.79 under "article".
"""


@validate_params(FETCH_CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_mall(*, data_home=None, archive=None, return_X_y=False, download_if_missing=True):
    """Load the Mall data (2,000 frames, 62,315 pedestrians).

    The data are frames of one webcam with a dot on each head, a region of interest and a perspective map [1]_. The
    first call converts the published archive into one HDF5 file in the cache folder (1.4 GB, about 15 seconds), from
    which a frame is read faster than a JPEG is decoded. Later calls open that file and need no archive.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The cache folder, see :func:`get_data_home`.
    archive : str, path-like, list of them, or None, default=None
        The published archive, with ``frames/seq_000001.jpg`` and so on, ``mall_gt.mat`` and
        ``perspective_roi.mat``. It must exist; a cache file that was made from another archive is replaced. If None,
        use the cache file, or else look for ``mall_dataset.zip`` in `data_home` and in the folder named
        by the environment variable SKCOUNT_DATA.
    return_X_y : bool, default=False
        Whether to return ``(images, points)`` instead of a `Bunch`.
    download_if_missing : bool, default=True
        Whether to download the archive into `data_home` if it is not found.

    Returns
    -------
    data : Bunch, or (images, points)
        A dictionary with attributes:

        images : ImageSet of shape (2000, 480, 640, 3), uint8
            The frames in their order, read lazily from the cache file, with `roi` and `perspective`.
        points : PointAnnotations
            The heads in each frame as (row, col) in pixels.
        groups : None
            All frames are from one sequence.
        roi : ndarray of shape (480, 640), bool
            The region of interest.
        perspective : ndarray of shape (480, 640), float32
            The relative length of objects, larger towards the camera.
        train_test_indices : callable
            ``train_test_indices(protocol)`` returns the indices of the training and of the test frames of a published
            split: "standard" or "article".
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
    fetch_ucsd_pedestrians : Another sequence, with groups.

    References
    ----------
    .. [1] K. Chen, C. C. Loy, S. Gong and T. Xiang. Feature mining for localised crowd counting. BMVC 2012.

    Examples
    --------
    >>> from skcount.datasets import fetch_mall
    >>> mall = fetch_mall()  # doctest: +SKIP
    >>> mall.points  # doctest: +SKIP
    PointAnnotations(2000 images, 62315 points)
    >>> train, test = mall.train_test_indices("standard")  # doctest: +SKIP
    """
    return fetch(
        MALL,
        data_home=data_home,
        archive=archive,
        return_X_y=return_X_y,
        download_if_missing=download_if_missing,
    )


def _read(files, data_set):
    numbers = np.arange(1, data_set.n_images + 1)
    frames = [f"seq_{number:06d}.jpg" for number in numbers]
    files.require("frame", frames)
    files.require("annotation", ["mall_gt.mat", "perspective_roi.mat"])
    with files.reading_mat("mall_gt.mat") as truth:
        # In MATLAB, positions are (x, y) and start at 1.
        points = PointAnnotations.from_xy([frame["loc"][0, 0] - 1 for frame in truth["frame"].ravel()])
        if not np.array_equal(points.counts, truth["count"].ravel()):
            raise ValueError("the numbers of points differ from the counts in the same file")
        if (len(points), len(points.coordinates)) != (data_set.n_images, data_set.n_points):
            raise ValueError(f"it holds {len(points.coordinates)} points in {len(points)} frames")
    with files.reading_mat("perspective_roi.mat") as maps:
        roi = maps["roi"]["mask"][0, 0].astype(bool)
        perspective = (1 / np.sqrt(maps["pMapN"])).astype(np.float32)
        if {roi.shape, perspective.shape} != {data_set.image_shape[:2]}:
            raise ValueError(f"the maps have shapes {roi.shape} and {perspective.shape}")
    images = (files.read_image(name, "RGB") for name in frames)
    return Content(images, points, numbers, roi=roi, perspective=perspective)


MALL = DataSet(
    name="mall",
    title="the Mall data",
    descr=DESCR,
    n_images=2000,
    image_shape=(480, 640, 3),
    n_points=62_315,
    splits={
        "standard": Split(train=range(1, 801), test=range(801, 2001)),
        "article": Split(train=range(1, 1501), test=range(1501, 2001)),
    },
    archives=(("mall_dataset.zip",),),
    urls={"mall_dataset.zip": "https://personal.ie.cuhk.edu.hk/~ccloy/files/datasets/mall_dataset.zip"},
    page="https://personal.ie.cuhk.edu.hk/~ccloy/downloads_mall_dataset.html",
    kinds={"frame": r"seq_\d{6}\.jpg", "annotation": r"(mall_gt|perspective_roi)\.mat"},
    read=_read,
    max_bytes=2**29,
)
