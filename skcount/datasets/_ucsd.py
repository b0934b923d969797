"""The UCSD pedestrians, and their annotations alone."""

import re
from dataclasses import replace

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skcount.datasets._fetch import (
    ARCHIVE_CONSTRAINTS,
    FETCH_CONSTRAINTS,
    Content,
    DataSet,
    check_given,
    fetch,
    find_archives,
    get_data_home,
    open_files,
)
from skcount.datasets._protocols import Split, TrainTestIndices, format_numbers
from skcount.points import PointAnnotations

__all__ = ["UCSD", "fetch_ucsd_pedestrians", "ucsd_annotations"]

CLIP_LENGTH = 200

DESCR = """\
UCSD pedestrians
================

2,000 grey frames of 238 x 158 pixels, uint8, from one camera above a walkway, 10 a second: ten clips of 200 frames
(vidf1_33_000 to vidf1_33_009). Every pedestrian is annotated with one dot; 56,764 in all. Pedestrians a frame inside
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
The archives state none. They are published for research: ask their authors before any other use.

Points, region of interest, perspective
---------------------------------------
Pedestrians were marked in every fifth frame, and their places in between interpolated. The published (x, y) count
from 1; here they are (row, col) from 0. Of the points 497 lie outside the frame, for people walk in and out; they are
kept. `roi` is the published mask of the main walkway, 51.9 % of the frame: the points whose pixel (the coordinates
rounded half up) is inside are the official counts, on 2,000 of 2,000 frames. The published map pmapxy weighs areas,
more for what is far; `perspective` is 1 / sqrt(pmapxy), the relative length of things, which is linear in the row to
0.03 %: 0.36 at the top, 1.13 at the bottom. It is the geometric mean of the scales across, 1 / pmapx, and along,
1 / pmapy. `groups` are the clips, 0 to 9.

Protocols in use
----------------
Results of different protocols cannot be compared. Frames are numbered from 1 to 2,000 through all clips.
`train_test_indices(protocol)` of the loaded data gives the indices.

- "standard": frames 601-1400 (clips 3-6) for training, the other 1,200 for the test; counts inside the region of
  interest.
- "article": of each clip the first 150 frames for training, the last 50 for the test; counts in the whole frame.

Published mean absolute errors under "standard": CSRNet 1.16, PaDNet 0.85. Predictions that look at no image: the mean
of the training frames 5.49 under "standard" and 7.84 under "article"; the last training frame of each clip 1.62 under
"article", which leaks time: a worse score there says nothing.
"""

RECONSTRUCTED = """\
Frames 1-600 of this copy are RECONSTRUCTED from a video of 224 x 224 pixels, not the published ones: against the one
original at hand their peak signal-to-noise ratio is 32 dB. Results are not comparable with published ones.
"""


@validate_params(FETCH_CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_ucsd_pedestrians(*, data_home=None, archive=None, return_X_y=False, download_if_missing=True):
    """Load the UCSD pedestrians (2,000 frames, 56,764 pedestrians), or those frames that an archive has.

    Grey frames of one camera with a dot on each pedestrian, a region of interest and a map of perspective [1]_. The
    first call turns the published archives into one HDF5 file in the cache folder; later calls open that file and need
    no archive. Of an archive that lacks frames the others are loaded: `frames` says which are there, and
    `train_test_indices` refuses protocols that need more.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The cache folder, see :func:`get_data_home`.
    archive : str, path-like, list of them, or None, default=None
        The archives as published: one with ``vidf1_33_000.y/vidf1_33_000_f001.png`` and so on, one with
        ``vidf1_33_000_frame_full.mat`` and so on; or one archive with both. They must exist: a cache file that was made
        from others is made anew. None takes the cache file, or else looks for ``ucsdpeds.zip`` or
        ``ucsdpeds_vidf.zip`` with ``vidf-cvpr.zip``, and for ``ucsd_partial.zip``, in `data_home` and in the folder
        that the environment variable SKCOUNT_DATA names.
    return_X_y : bool, default=False
        Whether to return ``(images, points)`` instead of a `Bunch`.
    download_if_missing : bool, default=True
        Without effect, here for likeness: these archives (800 MB) are published over plain http, where anyone on the way
        can change them, and are not downloaded.

    Returns
    -------
    data : Bunch, or (images, points)
        A dictionary with attributes:

        images : ImageSet of shape (n_frames, 158, 238), uint8
            The frames in their order, lazily in the cache file. They carry `groups`, `roi` and `perspective`.
        points : PointAnnotations
            For each frame the pedestrians as (row, col) in pixels; some lie outside the frame.
        frames : ndarray of shape (n_frames,), int64
            The number of each frame, from 1 to 2000.
        groups : ndarray of shape (n_frames,), int64
            The clip of each frame, from 0 to 9.
        roi : ndarray of shape (158, 238), bool
            The region of interest.
        perspective : ndarray of shape (158, 238), float32
            The relative length of things, larger towards the camera.
        train_test_indices : callable
            ``train_test_indices(protocol, allow_missing=False)`` returns the indices of the training and of the test
            frames of a published split: "standard" or "article".
        DESCR : str
            Origin, citation, terms, the protocols in use, and which copy this is.

    Raises
    ------
    OSError
        If the archives are not found; the message says where they were looked for and how to get them.
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
    data = fetch(UCSD, data_home=data_home, archive=archive, download_if_missing=download_if_missing)
    data.frames = data.train_test_indices.numbers
    return (data.images, data.points) if return_X_y else data


@validate_params(ARCHIVE_CONSTRAINTS, prefer_skip_nested_validation=True)
def ucsd_annotations(*, data_home=None, archive=None, download_if_missing=True):
    """Load the annotations of all 2,000 frames of the UCSD pedestrians, without the frames.

    The annotations are a small archive of their own, and complete where frames are missing. They are read anew by
    each call, in some seconds.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder in which the archive is looked for, see :func:`get_data_home`.
    archive : str, path-like, list of them, or None, default=None
        The archive as published, with ``vidf1_33_000_frame_full.mat`` and so on. None looks for ``vidf-cvpr.zip`` and
        ``ucsd_partial.zip`` in `data_home` and in the folder that the environment variable SKCOUNT_DATA names.
    download_if_missing : bool, default=True
        Without effect, here for likeness: this archive (2 MB) is published over plain http, where anyone on the way can
        change it, and is not downloaded.

    Returns
    -------
    data : Bunch
        A dictionary with attributes:

        points : PointAnnotations
            For each of the 2,000 frames the pedestrians as (row, col) in pixels; some lie outside the frame.
        counts : ndarray of shape (2000,), int64
            The official counts inside the region of interest, both directions together.
        frames : ndarray of shape (2000,), int64
            The number of each frame, from 1 to 2000.
        groups : ndarray of shape (2000,), int64
            The clip of each frame, from 0 to 9.
        roi : ndarray of shape (158, 238), bool
            The region of interest.
        perspective : ndarray of shape (158, 238), float32
            The relative length of things, larger towards the camera.
        train_test_indices : callable
            As that of :func:`fetch_ucsd_pedestrians`.
        DESCR : str
            Origin, citation, terms, the protocols in use, and which copy this is.

    Raises
    ------
    OSError
        If the archive is not found; the message says where it was looked for and how to get it.
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
    home = get_data_home(data_home)
    paths = check_given(_ANNOTATIONS, archive) or find_archives(_ANNOTATIONS, home, download_if_missing)
    with open_files(_ANNOTATIONS, paths) as files:
        content, counts = _ANNOTATIONS.read(files, _ANNOTATIONS)
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
    """Return the content without images, and the official counts, of all frames."""
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
        raise files.foreign(f"holds maps of shape {roi.shape} and {perspective.shape}")
    if (len(points), len(points.coordinates)) != (data_set.n_images, data_set.n_points):
        raise files.foreign(f"holds {len(points.coordinates)} points in {len(points)} frames")
    differing = np.flatnonzero(points.inside(data_set.image_shape, roi).counts != counts)
    if len(differing):
        raise files.foreign(
            f"holds points whose numbers inside the region of interest are not the official counts, on {len(differing)} "
            f"frames (the first: {differing[0] + 1})"
        )
    numbers = np.arange(1, data_set.n_images + 1)
    return Content((), points, numbers, (numbers - 1) // CLIP_LENGTH, roi, perspective), counts


def _read_points(files, name):
    """Return the points of each frame of a clip; MATLAB counts from 1, and x before y."""
    with files.reading_mat(name) as variables:
        located = [frame["loc"][0, 0].reshape(-1, 3) for frame in variables["frame"].ravel()]
        if any((loc[:, 2] != number).any() for number, loc in enumerate(located, 1)):
            raise ValueError("its points are not those of the frames under which they stand")
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
    # In its own folder: the published archive holds segmentations of the same names in others.
    "frame": r"vidf1_33_(00\d)\.y/vidf1_33_\1_f(00[1-9]|0[1-9]\d|1\d\d|200)\.png",
    "annotation": r"vidf1_33_(00\d_frame_full|00\d_count_roi_mainwalkway|roi_mainwalkway|dmap3)\.mat",
    "readme": r"RECONSTRUCTED_FRAMES_README\.txt",
}
_CLIPS = range(0, 2000, CLIP_LENGTH)

UCSD = DataSet(
    name="ucsd_pedestrians",
    version=1,
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
    read=_read_annotations,
)
