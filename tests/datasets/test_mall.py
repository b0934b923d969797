from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skcount.datasets import _files, _mall
from skcount.datasets._mall import MALL, fetch_mall
from skcount.datasets._protocols import TrainTestIndices

pytest.importorskip("PIL.Image", reason="pillow reads the archive")


# --- The data as published -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(published):
    with _files.open_files(MALL, [published("mall_dataset.zip")]) as files:
        yield files


@pytest.fixture(scope="module")
def content(files):
    return MALL.read(files, MALL)


def test_the_points_are_as_published(content):
    counts = content.points.counts
    assert (len(counts), counts.sum()) == (2000, 62_315)
    found = counts.min(), counts.max(), round(counts.mean(), 2), round(counts.std(), 2)
    assert found == (13, 53, 31.16, 6.94)
    assert content.points.inside((480, 640)) == content.points
    assert content.points.inside((480, 640), content.roi).counts.sum() == 62_315 - 4


def test_the_perspective_is_linear_in_the_row_and_grows_towards_the_camera(content):
    assert content.perspective.dtype == np.float32
    assert (content.perspective == content.perspective[:, :1]).all()
    scale, rows = content.perspective[:, 0], np.arange(480)
    assert_allclose(scale, np.polyval(np.polyfit(rows, scale, 1), rows), atol=1e-4)
    assert_allclose(scale[[0, -1]], [0.26, 1.14], atol=0.005)


@pytest.mark.parametrize(("protocol", "error"), [("standard", 4.94), ("article", 4.79)])
def test_the_mean_of_the_training_frames_is_as_good_as_the_description_says(content, protocol, error):
    train, test = TrainTestIndices(MALL.splits, content.numbers)(protocol)
    counts = content.points.counts
    assert round(np.abs(counts[test] - counts[train].mean()).mean(), 2) == error
    assert str(error) in MALL.descr


def test_the_frames_are_colour_pictures_in_their_order(content, files):
    for number, frame in enumerate(islice(content.images, 3), 1):
        assert_array_equal(frame, files.read_image(f"seq_{number:06d}.jpg", "RGB"))
        assert (frame.shape, frame.dtype) == ((480, 640, 3), np.uint8)


@pytest.mark.slow
def test_all_frames_come_from_the_cache_file_as_they_are_in_the_archive(tmp_path, files):
    mall = fetch_mall(data_home=tmp_path, download_if_missing=False)
    assert mall.images.shape == (2000, 480, 640, 3)
    assert_array_equal(mall.images.roi, mall.roi)
    assert_array_equal(mall.images.perspective, mall.perspective)
    with mall.images as images:
        for number in (1, 777, 2000):
            assert_array_equal(images[number - 1], files.read_image(f"seq_{number:06d}.jpg", "RGB"))


# --- Archives of a few small pictures ------------------------------------------------------------


LOCATIONS = [[(1, 1), (4.5, 2)], [(5, 6)], [(2, 3), (2, 3), (1, 6)]]  # x, y, counted from 1


@pytest.fixture
def few(monkeypatch):
    few = replace(MALL, n_images=3, image_shape=(6, 5, 3), n_points=6)
    monkeypatch.setattr(_mall, "MALL", few)
    return few


@pytest.fixture
def write_truth(write_mat):
    """Return a function that writes the points with these counts."""
    frame = np.empty((1, 3), dtype=object)
    frame[0] = [{"loc": np.array(points, dtype=float)} for points in LOCATIONS]
    return lambda counts: write_mat(frame=frame, count=np.array(counts, dtype=np.uint8)[:, None])


@pytest.fixture
def members(encode, write_mat, write_truth):
    pictures = [encode(np.full((6, 5, 3), 50 * number, dtype=np.uint8), "jpeg") for number in (1, 2, 3)]
    pages = {f"mall_dataset/frames/seq_{n:06d}.jpg": picture for n, picture in enumerate(pictures, 1)}
    mask = np.ones((6, 5), dtype=np.uint8)
    mask[0] = 0
    return pages | {
        "mall_dataset/mall_gt.mat": write_truth([2, 1, 3]),
        "mall_dataset/perspective_roi.mat": write_mat(roi={"mask": mask}, pMapN=np.full((6, 5), 4.0)),
    }


def test_points_and_maps_are_turned_into_ours(few, nowhere, write_zip, members):
    write_zip(nowhere / "mall_dataset.zip", members)
    mall = fetch_mall(download_if_missing=False)
    points = [[[0, 0], [1, 3.5]], [[5, 4]], [[2, 1], [2, 1], [5, 0]]]
    assert [one.tolist() for one in mall.points] == points
    assert_array_equal(mall.roi, np.arange(6)[:, None] > np.zeros(5))
    assert_array_equal(mall.perspective, np.full((6, 5), 0.5, dtype=np.float32))
    assert mall.groups is None
    with mall.images as images:
        assert [int(image[0, 0, 0]) for image in images] == [50, 100, 150]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mall_gt", {"other": 1}, r"holds a mall_gt\.mat with other content \('frame'\)"),
        ("mall_gt", b"no MATLAB file", r"holds a mall_gt\.mat with other content"),
        ("mall_gt", [1, 2, 3], "differ from the counts"),
        ("perspective_roi", {"roi": 1}, r"holds a perspective_roi\.mat with other content"),
        ("perspective_roi", {"roi": {"mask": np.ones((2, 2))}, "pMapN": np.ones((2, 2))}, "maps have shapes"),
    ],
)
def test_annotations_of_another_content_are_refused(
    few, nowhere, write_zip, write_mat, write_truth, members, name, content, message
):
    writers = {dict: lambda variables: write_mat(**variables), list: write_truth, bytes: bytes}
    changes = {f"mall_dataset/{name}.mat": writers[type(content)](content)}
    archive = write_zip(nowhere / "m.zip", members | changes)
    with pytest.raises(ValueError, match=rf"{message}.*; expected the Mall data as published"):
        fetch_mall(archive=archive)


def test_another_total_is_refused(few, nowhere, write_zip, members, monkeypatch):
    monkeypatch.setattr(_mall, "MALL", replace(few, n_points=7))
    with pytest.raises(ValueError, match="it holds 6 points in 3 frames"):
        fetch_mall(archive=write_zip(nowhere / "m.zip", members))
