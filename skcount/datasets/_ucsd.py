"""The UCSD pedestrians, and their annotations alone."""

import re
from dataclasses import replace

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skcount.datasets._download import check_given, find_archives
from skcount.datasets._fetch import ARCHIVE_CONSTRAINTS, Content, DataSet, fetch, get_data_home
from skcount.datasets._files import open_files
from skcount.datasets._protocols import Split, TrainTestIndices, format_numbers
from skcount.points import PointAnnotations

__all__ = ["UCSD", "fetch_ucsd_pedestrians", "ucsd_annotations"]

CLIP_LENGTH = 200

DESCR = """\
UCSD pedestrians
================

2,000 grey frames of 238 x 158 pixels, uint8, from one camera above a walkway, 10 per second: ten clips of 200 frames
(vidf1_33_000 to vidf1_33_009). Every pedestrian is annotated with one dot; 56,764 in all. Pedestrians per frame inside
the region of interest: 24.8 +- 8.4, from 11 to 45.

Origin
------
Published by the Statistical Visual Computing Lab, University of California, San Diego: the frames as "ucsdpeds.zip",
the annotations as "vidf-cvpr.zip". Please cite:

A. B. Chan, Z.-S. J. Liang and N. Vasconcelos. Privacy preserving crowd monitoring: counting people without people
models or tracking. IEEE Conference on Computer Vision and Pattern Recognition, 2008.

A. B. Chan and N. Vasconcelos. Modeling, clustering, and segmenting video with mixtures of dynamic textures. IEEE
Transactions on Pattern Analysis and Machine Intelligence 30(5), 2008.

Terms
-----
The archives state none. They are published for research. Ask their authors before any other use.

Points, region of interest, perspective
---------------------------------------
Pedestrians were marked in every fifth frame, and their positions interpolated in between. The published (x, y)
start at 1; here they are (row, col) and start at 0. 497 points lie outside the frame, because people walk in and out;
they are kept. `roi` is the published mask of the main walkway, 51.9 % of the frame. The number of points whose pixel
(the coordinates rounded half up) is inside equals the official count on all 2,000 frames. The published map pmapxy
weighs areas, with larger weights far from the camera; `perspective` is 1 / sqrt(pmapxy), the relative length of
objects. It is linear in the row to 0.03 %: 0.36 at the top, 1.13 at the bottom. It is the geometric mean of the scales
across, 1 / pmapx, and along, 1 / pmapy. `groups` are the clips, 0 to 9.

Protocols in use
----------------
Do not compare results of different protocols. Frames are numbered from 1 to 2,000 across all clips.
`train_test_indices(protocol)` of the loaded data gives the indices.

- "standard": frames 601-1400 (clips 3-6) for training, the other 1,200 for testing; counts inside the region of
  interest.
- "article": the first 150 frames of each clip for training, the last 50 for testing; counts in the whole frame.

Published mean absolute errors under "standard": CSRNet 1.16, PaDNet 0.85. Predicting the mean of the training frames
for every frame: 5.49 under "standard", 7.84 under "article". Repeating the count of the last training frame of each
clip: 1.62 under "article", because its test frames directly follow the training frames; a larger error shows no skill.
"""

RECONSTRUCTED = """\
Frames 1-600 of this copy are not the published ones but RECONSTRUCTED from a video of 224 x 224 pixels. Compared with
the one available original, their peak signal-to-noise ratio is 32 dB. Results are not comparable with published ones.
"""


@validate_params(
    {**ARCHIVE_CONSTRAINTS, "return_X_y": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def fetch_ucsd_pedestrians(*, data_home=None, archive=None, return_X_y=False):
    """Load the UCSD pedestrians (2,000 frames, 56,764 pedestrians), or those frames that an archive contains.

    The data are grey frames of one camera with a dot on each pedestrian, a region of interest and a perspective map
    [1]_. The archives (800 MB) are not downloaded, because they are published over plain http and could be changed
    in transit. The first call converts them into one HDF5 file in the cache folder. Later calls open that file and
    need no archive. If an archive lacks frames, the others are loaded: `frames` lists them, and `train_test_indices`
    rejects protocols that need more.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The cache folder, see :func:`get_data_home`.
    archive : str, path-like, list of them, or None, default=None
        The published archives: one with ``vidf1_33_000.y/vidf1_33_000_f001.png`` and so on and one with
        ``vidf1_33_000_frame_full.mat`` and so on, or one archive with both. They must exist; a cache file that was
        made from other archives is replaced. If None, use the cache file, or else look for ``ucsdpeds.zip`` or
        ``ucsdpeds_vidf.zip`` with ``vidf-cvpr.zip``, and for ``ucsd_partial.zip``, in `data_home` and in the folder
        named by the environment variable SKCOUNT_DATA.
    return_X_y : bool, default=False
        Whether to return ``(images, points)`` instead of a `Bunch`.

    Returns
    -------
    data : Bunch, or (images, points)
        A dictionary with attributes:

        images : ImageSet of shape (n_frames, 158, 238), uint8
            The frames in their order, read lazily from the cache file, with `groups`, `roi` and `perspective`.
        points : PointAnnotations
            The pedestrians in each frame as (row, col) in pixels. Some lie outside the frame.
        frames : ndarray of shape (n_frames,), int64
            The number of each frame, from 1 to 2000.
        groups : ndarray of shape (n_frames,), int64
            The clip of each frame, from 0 to 9.
        roi : ndarray of shape (158, 238), bool
            The region of interest.
        perspective : ndarray of shape (158, 238), float32
            The relative length of objects, larger towards the camera.
        train_test_indices : callable
            ``train_test_indices(protocol, allow_missing=False)`` returns the indices of the training and of the test
            frames of a published split: "standard" or "article".
        DESCR : str
            Origin, citation, terms, protocols, and which copy was read.

    Raises
    ------
    OSError
        If the archives are not found. The message says where skcount looked and how to get them.
    ValueError
        If an archive is damaged, unsafe, or does not hold these data.
    ImportError
        If a package of the extra ``data`` is missing.

    See Also
    --------
    ucsd_annotations : The points of all frames, without the frames.

    References
    ----------
    .. [1] A. B. Chan, Z.-S. J. Liang and N. Vasconcelos. Privacy preserving crowd monitoring: counting people without
       people models or tracking. CVPR 2008.

    Examples
    --------
    >>> from skcount.datasets import fetch_ucsd_pedestrians
    >>> ucsd = fetch_ucsd_pedestrians()  # doctest: +SKIP
    >>> ucsd.images.shape  # doctest: +SKIP
    (2000, 158, 238)
    >>> train, test = ucsd.train_test_indices("standard")  # doctest: +SKIP
    """
    data = fetch(UCSD, data_home=data_home, archive=archive)
    data.frames = data.train_test_indices.numbers
    return (data.images, data.points) if return_X_y else data


@validate_params(ARCHIVE_CONSTRAINTS, prefer_skip_nested_validation=True)
def ucsd_annotations(*, data_home=None, archive=None):
    """Load the annotations of all 2,000 frames of the UCSD pedestrians, without the frames.

    The annotations have a small archive of their own (2 MB), which is complete even if frames are missing. The archive
    is not downloaded, because it is published over plain http and could be changed in transit. Each call reads it
    again, which takes a few seconds.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder in which to look for the archive, see :func:`get_data_home`.
    archive : str, path-like, list of them, or None, default=None
        The published archive, with ``vidf1_33_000_frame_full.mat`` and so on. If None, look for ``vidf-cvpr.zip`` and
        ``ucsd_partial.zip`` in `data_home` and in the folder named by the environment variable SKCOUNT_DATA.

    Returns
    -------
    data : Bunch
        A dictionary with attributes:

        points : PointAnnotations
            The pedestrians in each of the 2,000 frames as (row, col) in pixels. Some lie outside the frame.
        counts : ndarray of shape (2000,), int64
            The official counts inside the region of interest, both directions together.
        frames : ndarray of shape (2000,), int64
            The number of each frame, from 1 to 2000.
        groups : ndarray of shape (2000,), int64
            The clip of each frame, from 0 to 9.
        roi : ndarray of shape (158, 238), bool
            The region of interest.
        perspective : ndarray of shape (158, 238), float32
            The relative length of objects, larger towards the camera.
        train_test_indices : callable
            As in :func:`fetch_ucsd_pedestrians`.
        DESCR : str
            Origin, citation, terms, protocols, and which copy was read.

    Raises
    ------
    OSError
        If the archive is not found. The message says where skcount looked and how to get it.
    ValueError
        If it is damaged, unsafe, or does not hold these data.

    See Also
    --------
    fetch_ucsd_pedestrians : The frames with their points.

    Examples
    --------
    >>> from skcount.datasets import ucsd_annotations
    >>> ucsd = ucsd_annotations()  # doctest: +SKIP
    >>> ucsd.points.inside((158, 238), ucsd.roi).counts.sum()  # doctest: +SKIP
    49496.0
    """
    paths = check_given(_ANNOTATIONS, archive) or find_archives(_ANNOTATIONS, get_data_home(data_home), False)
    with open_files(_ANNOTATIONS, paths) as files:
        content, counts = _read_annotations(files, _ANNOTATIONS)
        description = _ANNOTATIONS.descr + files.provenance(content)
    return Bunch(
        points=content.points,
        counts=counts,
        frames=content.numbers,
        groups=content.groups,
        roi=content.roi,
        perspective=content.perspective,
        train_test_indices=TrainTestIndices(_ANNOTATIONS.splits, content.numbers),
        DESCR=description,
    )


def _read(files, data_set):
    content, _ = _read_annotations(files, data_set)
    names = {_number(name): name for name in files.names["frame"]}
    numbers = np.array(sorted(names), dtype=np.int64)
    if not len(numbers):
        raise files.foreign("holds no frames (ucsd_annotations reads the annotations alone)")
    absent = np.setdiff1d(content.numbers, numbers)
    notes = f"Frames that are not in the archive: {format_numbers(absent)}.\n" if len(absent) else ""
    if files.tested["frame"] or files.names["readme"]:
        notes += RECONSTRUCTED
    return content._replace(
        images=(files.read_image(names[number], "L") for number in numbers),
        points=content.points[numbers - 1],
        numbers=numbers,
        groups=content.groups[numbers - 1],
        notes=notes.rstrip(),
    )


def _read_annotations(files, data_set):
    """Return the content of all frames without images, and the official counts."""
    n_clips = data_set.n_images // CLIP_LENGTH
    clips = [f"vidf1_33_{clip:03d}" for clip in range(n_clips)]
    frames, counts = (
        [f"{clip}_{what}.mat" for clip in clips] for what in ("frame_full", "count_roi_mainwalkway")
    )
    maps = ["vidf1_33_roi_mainwalkway.mat", "vidf1_33_dmap3.mat"]
    files.require("annotation", [*frames, *counts, *maps])
    points = PointAnnotations([points for name in frames for points in _read_points(files, name)])
    counts = np.concatenate([_read_counts(files, name) for name in counts])
    with files.reading_mat(maps[0]) as variables:
        roi = variables["roi"]["mask"][0, 0].astype(bool)
    with files.reading_mat(maps[1]) as variables:
        perspective = (1 / np.sqrt(variables["dmap"]["pmapxy"][0, 0])).astype(np.float32)
    if {roi.shape, perspective.shape} != {data_set.image_shape}:
        raise files.foreign(f"holds maps of shapes {roi.shape} and {perspective.shape}")
    if (len(points), len(points.coordinates)) != (data_set.n_images, data_set.n_points):
        raise files.foreign(f"holds {len(points.coordinates)} points in {len(points)} frames")
    differing = np.flatnonzero(points.inside(data_set.image_shape, roi).counts != counts)
    if len(differing):
        raise files.foreign(
            f"holds points whose numbers inside the region of interest differ from the official counts on "
            f"{len(differing)} frames (the first: {differing[0] + 1})"
        )
    numbers = np.arange(1, data_set.n_images + 1)
    return Content((), points, numbers, (numbers - 1) // CLIP_LENGTH, roi, perspective), counts


def _read_points(files, name):
    """Return the points (row, col) of each frame of a clip, stored in MATLAB as (x, y) starting at 1."""
    with files.reading_mat(name) as variables:
        located = [frame["loc"][0, 0].reshape(-1, 3) for frame in variables["frame"].ravel()]
        if any((loc[:, 2] != number).any() for number, loc in enumerate(located, 1)):
            raise ValueError("its points belong to other frames than those that list them")
        return [loc[:, 1::-1] - 1 for loc in located]


def _read_counts(files, name):
    """Return the official counts of a clip, both directions together."""
    with files.reading_mat(name) as variables:
        left, right = variables["count"].ravel()
        return left.ravel().astype(np.int64) + right.ravel()


def _number(name):
    clip, frame = map(int, re.findall(r"\d{3}", name))
    return clip * CLIP_LENGTH + frame


_KINDS = {
    # In its own folder: the published archive holds segmentations with the same names in other folders.
    "frame": r"vidf1_33_(00\d)\.y/vidf1_33_\1_f(00[1-9]|0[1-9]\d|1\d\d|200)\.png",
    "annotation": r"vidf1_33_(00\d_frame_full|00\d_count_roi_mainwalkway|roi_mainwalkway|dmap3)\.mat",
    "readme": r"RECONSTRUCTED_FRAMES_README\.txt",
}
_CLIPS = range(0, 2000, CLIP_LENGTH)

UCSD = DataSet(
    name="ucsd_pedestrians",
    title="the UCSD pedestrians",
    descr=DESCR,
    n_images=2000,
    image_shape=(158, 238),
    n_points=56_764,
    splits={
        "standard": Split(train=range(601, 1401), test=[*range(1, 601), *range(1401, 2001)]),
        "article": Split(
            train=[first + frame for first in _CLIPS for frame in range(1, 151)],
            test=[first + frame for first in _CLIPS for frame in range(151, 201)],
        ),
    },
    archives=(
        ("ucsdpeds.zip", "vidf-cvpr.zip"),
        ("ucsdpeds_vidf.zip", "vidf-cvpr.zip"),
        ("ucsd_partial.zip",),
    ),
    urls={},  # published over plain http, and the digests of the published frames are not known
    page="http://www.svcl.ucsd.edu/projects/peoplecnt/",
    kinds=_KINDS,
    read=_read,
    max_bytes=2**32,
)

_ANNOTATIONS = replace(
    UCSD,
    title="the annotations of the UCSD pedestrians",
    archives=(("vidf-cvpr.zip",), ("ucsd_partial.zip",)),
    kinds={"annotation": _KINDS["annotation"]},
)
