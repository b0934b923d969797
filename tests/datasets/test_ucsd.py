import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skcount.datasets import _files, _ucsd
from skcount.datasets._protocols import Split
from skcount.datasets._ucsd import UCSD, fetch_ucsd_pedestrians, ucsd_annotations

pytest.importorskip("PIL.Image", reason="pillow reads the archive")


# --- The data as published, and the frames that the archive has ----------------------------------


@pytest.fixture(scope="module")
def annotations(tmp_path_factory, published):
    published("ucsd_partial.zip")
    return ucsd_annotations(data_home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def home(tmp_path_factory, published):
    """A cache folder with the data in it, filled once."""
    published("ucsd_partial.zip")
    home = tmp_path_factory.mktemp("home")
    fetch_ucsd_pedestrians(data_home=home)
    return home


def test_the_points_inside_the_region_are_the_official_counts_on_every_frame(annotations):
    inside = annotations.points.inside((158, 238), annotations.roi)
    assert_array_equal(inside.counts, annotations.counts)
    counts = annotations.counts
    assert (len(counts), counts.min(), counts.max()) == (2000, 11, 45)
    assert (round(counts.mean(), 2), round(counts.std(), 2)) == (24.75, 8.36)
    assert annotations.points.counts.sum() == 56_764  # those outside are kept
    assert annotations.points.inside((158, 238)).counts.sum() == 56_764 - 497


def test_the_perspective_is_linear_in_the_row_and_grows_towards_the_camera(annotations):
    assert annotations.perspective.dtype == np.float32
    assert (annotations.perspective == annotations.perspective[:, :1]).all()
    scale, rows = annotations.perspective[:, 0], np.arange(158)
    assert_allclose(scale, np.polyval(np.polyfit(rows, scale, 1), rows), atol=3e-4)
    assert_allclose(scale[[0, -1]], [0.364, 1.132], atol=0.001)


def test_the_frames_that_are_there_stand_beside_their_points(home, annotations):
    ucsd = fetch_ucsd_pedestrians(data_home=home)
    assert_array_equal(ucsd.frames, np.arange(1, 601))
    assert ucsd.points == annotations.points[:600]
    assert_array_equal(ucsd.groups, np.repeat([0, 1, 2], 200))
    assert_array_equal(ucsd.roi, annotations.roi)
    assert round(ucsd.roi.mean(), 3) == 0.519
    with ucsd.images as images:
        assert (images.shape, images.dtype) == ((600, 158, 238), np.uint8)
        assert_array_equal(images.groups, ucsd.groups)


def test_each_frame_is_the_picture_of_its_number_and_absent_ones_are_named(home, published):
    ucsd = fetch_ucsd_pedestrians(data_home=home)
    with _files.open_files(UCSD, [published("ucsd_partial.zip")]) as files, ucsd.images as images:
        for number, name in [(1, "000_f001"), (200, "000_f200"), (201, "001_f001"), (600, "002_f200")]:
            assert_array_equal(images[number - 1], files.read_image(f"vidf1_33_{name}.png", "L"))
    assert "Frames that are not in the archive: 601-2000." in ucsd.DESCR
    assert "RECONSTRUCTED from a video" in ucsd.DESCR


def test_protocols_that_need_absent_frames_are_refused(home, annotations):
    ucsd = fetch_ucsd_pedestrians(data_home=home)
    with pytest.raises(ValueError, match="for training 601-1400, for testing 1401-2000"):
        ucsd.train_test_indices("standard")
    train, test = annotations.train_test_indices("standard")
    assert (len(train), len(test)) == (800, 1200)


def test_baselines_that_look_at_no_image_are_those_of_the_description(annotations):
    def errors(counts, protocol):
        train, test = annotations.train_test_indices(protocol)
        last = dict(zip(annotations.groups[train], train, strict=True))
        seen_last = counts[[last.get(clip, 0) for clip in annotations.groups[test]]]
        guesses = {"mean": counts[train].mean(), "last": seen_last}
        return {name: round(np.abs(counts[test] - guess).mean(), 2) for name, guess in guesses.items()}

    assert errors(annotations.counts, "standard")["mean"] == 5.49
    assert errors(annotations.points.counts, "article") == {"mean": 7.84, "last": 1.62}


# --- Archives of two clips of two small frames ---------------------------------------------------


# For each frame (x, y) counted from 1; the region is the columns 0 and 1, and 2.5 is rounded up, out of it.
CLIPS = [[[(1, 1), (2.49, 3)], [(2.5, 1)]], [[(-3, 2), (9, 9)], [(2, 3), (2, 3), (1, 1)]]]
INSIDE = [[2, 0], [0, 3]]


@pytest.fixture
def few(monkeypatch):
    split = {"all": Split(train=[1, 2], test=[3, 4])}
    few = replace(UCSD, n_images=4, image_shape=(3, 4), n_points=8, splits=split)
    monkeypatch.setattr(_ucsd, "CLIP_LENGTH", 2)
    monkeypatch.setattr(_ucsd, "UCSD", few)
    annotations = replace(_ucsd._ANNOTATIONS, n_images=4, image_shape=(3, 4), n_points=8, splits=few.splits)
    monkeypatch.setattr(_ucsd, "_ANNOTATIONS", annotations)
    return few


def cells(values):
    """A cell array of MATLAB, (1, n)."""
    array = np.empty((1, len(values)), dtype=object)
    array[0] = values
    return array


@pytest.fixture
def mats(write_mat):
    mats = {}
    for clip, (frames, inside) in enumerate(zip(CLIPS, INSIDE, strict=True)):
        located = [
            {"loc": np.array([(*p, number) for p in frame], float)} for number, frame in enumerate(frames, 1)
        ]
        left = np.array([inside], dtype=np.uint8)
        mats[f"vidf1_33_00{clip}_frame_full.mat"] = write_mat(frame=cells(located))
        mats[f"vidf1_33_00{clip}_count_roi_mainwalkway.mat"] = write_mat(count=cells([left, left * 0]))
        mats[f"vidf1_33_00{clip}_people_full.mat"] = b"not read"
    mask = np.array([[1, 1, 0, 0]] * 3, dtype=np.uint8)
    dmap = {"pmapxy": np.full((3, 4), 4.0), "pmapx": np.ones((3, 4))}
    mats |= {"vidf1_33_roi_mainwalkway.mat": write_mat(roi={"mask": mask})}
    mats |= {"vidf1_33_dmap3.mat": write_mat(dmap=dmap)}
    return {f"vidf-cvpr/{name}": content for name, content in mats.items()}


@pytest.fixture
def frames(encode):
    def name(clip, frame):
        return f"ucsdpeds/vidf/vidf1_33_00{clip}.y/vidf1_33_00{clip}_f00{frame}.png"

    pages = {
        name(clip, frame): encode(np.full((3, 4), 10 * clip + frame, dtype=np.uint8))
        for clip in (0, 1)
        for frame in (1, 2)
    }
    # Both stand in the published archives: a segmentation of the same name, and a later clip.
    return pages | {
        "ucsdpeds/segm/vidf1_33_000.segm/vidf1_33_000_f001.png": b"not read",
        "ucsdpeds/vidf/vidf1_33_010.y/vidf1_33_010_f001.png": b"not read",
    }


def assert_is_whole(ucsd):
    with ucsd.images as images:
        assert [int(image[0, 0]) for image in images] == [1, 2, 11, 12]
    assert [points.tolist() for points in ucsd.points] == [
        [[0, 0], [2, 1.4900000000000002]],
        [[0, 1.5]],
        [[1, -4], [8, 8]],
        [[2, 1], [2, 1], [0, 0]],
    ]
    assert (ucsd.frames.tolist(), ucsd.groups.tolist()) == ([1, 2, 3, 4], [0, 0, 1, 1])
    assert_array_equal(ucsd.perspective, np.full((3, 4), 0.5, dtype=np.float32))


def test_frames_and_annotations_may_be_two_archives_or_one(few, nowhere, write_zip, frames, mats):
    write_zip(nowhere / "ucsdpeds.zip", frames)
    write_zip(nowhere / "vidf-cvpr.zip", mats)
    assert_is_whole(fetch_ucsd_pedestrians())
    both = write_zip(nowhere / "both.zip", frames | mats)
    assert_is_whole(fetch_ucsd_pedestrians(archive=both))
    parts = [nowhere / "vidf-cvpr.zip", nowhere / "ucsdpeds.zip"]
    assert_is_whole(fetch_ucsd_pedestrians(archive=parts))


@pytest.fixture
def both(nowhere, write_zip, frames, mats):
    """Return a function that fetches from one archive, with other members than these frames and annotations."""
    return lambda **changes: fetch_ucsd_pedestrians(
        archive=write_zip(nowhere / "both.zip", frames | mats | changes)
    )


def test_a_readme_or_digests_tell_of_reconstructed_frames(few, both, frames, monkeypatch):
    text = both().DESCR
    assert "RECONSTRUCTED" not in text
    assert "not in the archive" not in text
    text = both(**{"RECONSTRUCTED_FRAMES_README.txt": b"Read before use."}).DESCR
    assert "RECONSTRUCTED from a video" in text
    digests = {n.rpartition("/")[2]: _files.digest(page) for n, page in frames.items() if ".y/" in n}
    monkeypatch.setattr(_files, "read_digests", lambda name: digests)
    assert "RECONSTRUCTED from a video" in both(other=b"").DESCR


def test_absent_frames_are_reported_and_the_others_keep_their_points(few, both):
    ucsd = both(**{"ucsdpeds/vidf/vidf1_33_000.y/vidf1_33_000_f002.png": None})
    assert "Frames that are not in the archive: 2." in ucsd.DESCR
    assert ucsd.frames.tolist() == [1, 3, 4]
    assert ucsd.points.counts.tolist() == [2, 2, 3]
    with ucsd.images as images:
        assert [int(image[0, 0]) for image in images] == [1, 11, 12]
    with pytest.raises(ValueError, match="for training 2, for testing none"):
        ucsd.train_test_indices("all")
    train, test = pickle.loads(pickle.dumps(ucsd)).train_test_indices("all", allow_missing=True)
    assert (train.tolist(), test.tolist()) == ([0], [1, 2])


def test_the_whole_archive_replaces_what_was_made_of_a_part(few, both, frames):
    assert len(both(**{name: None for name in frames if "_f002" in name}).frames) == 2
    assert_is_whole(both())


def test_annotations_are_read_without_frames(few, nowhere, write_zip, mats):
    write_zip(nowhere / "vidf-cvpr.zip", mats)
    ucsd = ucsd_annotations()
    assert ucsd.counts.tolist() == [2, 0, 0, 3]
    assert_array_equal(ucsd.points.inside((3, 4), ucsd.roi).counts, ucsd.counts)
    assert ucsd.frames.tolist() == [1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"holds no frames \(ucsd_annotations reads the annotations alone\)"):
        fetch_ucsd_pedestrians(archive=nowhere / "vidf-cvpr.zip")


def test_missing_annotations_say_how_to_get_them(few, nowhere):
    message = r'The annotations of .*looked for .*vidf-cvpr\.zip.*Get "vidf-cvpr'
    with pytest.raises(FileNotFoundError, match=message):
        ucsd_annotations()
    with pytest.raises(FileNotFoundError, match=r'Get "ucsdpeds\.zip" and "vidf-cvpr\.zip" from http'):
        fetch_ucsd_pedestrians()


LOCATED, TWO = {"loc": np.ones((1, 3))}, np.ones((1, 2))


@pytest.mark.parametrize(
    ("name", "variables", "message"),
    [
        ("000_frame_full", {"frame": cells([LOCATED])}, "holds 6 points in 3 frames"),
        ("000_frame_full", {"frame": cells([LOCATED] * 2)}, "belong to other frames"),
        ("000_frame_full", {"frame": 1}, "frame_full.mat with other content"),
        (
            "001_count_roi_mainwalkway",
            {"count": cells([TWO] * 2)},
            r"differ from the official counts.*first: 3\)",
        ),
        ("001_count_roi_mainwalkway", {"count": cells([TWO])}, "with other content"),
        ("roi_mainwalkway", {"roi": {"mask": np.ones((2, 2))}}, r"maps of shapes \(2, 2\) and \(3, 4\)"),
        ("dmap3", {"other": 1}, "dmap3.mat with other content"),
    ],
)
def test_annotations_of_another_content_are_refused(
    few, nowhere, write_zip, write_mat, mats, name, variables, message
):
    mats[f"vidf-cvpr/vidf1_33_{name}.mat"] = write_mat(**variables)
    with pytest.raises(ValueError, match=rf"{message}.*; expected the annotations of the UCSD pedestrians"):
        ucsd_annotations(archive=write_zip(nowhere / "a.zip", mats))
