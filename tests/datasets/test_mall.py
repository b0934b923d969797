import os
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skcount.datasets import _fetch, _mall
from skcount.datasets._mall import MALL, fetch_mall
from skcount.datasets._protocols import TrainTestIndices

pytest.importorskip("PIL.Image", reason="pillow reads the archive")

DATA = os.environ.get("SKCOUNT_DATA")
needs_data = pytest.mark.skipif(
    not DATA or not (Path(DATA) / "mall_dataset.zip").is_file(),
    reason="SKCOUNT_DATA is not set to a folder that holds mall_dataset.zip",
)


# --- The data as published -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def files():
    with _fetch.open_files(MALL, [Path(DATA) / "mall_dataset.zip"]) as files:
        yield files


@pytest.fixture(scope="module")
def content(files):
    return MALL.read(files, MALL)


@needs_data
def test_the_points_are_as_published(content):
    counts = content.points.counts
    assert (len(counts), counts.sum()) == (2000, 62_315)
    assert (counts.min(), counts.max(), round(counts.mean(), 2), round(counts.std(), 2)) == (
        13,
        53,
        31.16,
        6.94,
    )
    assert content.points.inside((480, 640)) == content.points
    assert content.points.inside((480, 640), content.roi).counts.sum() == 62_315 - 4


@needs_data
def test_the_perspective_is_linear_in_the_row_and_grows_towards_the_camera(content):
    assert content.perspective.dtype == np.float32
    assert (content.perspective == content.perspective[:, :1]).all()
    scale, rows = content.perspective[:, 0], np.arange(480)
    assert_allclose(scale, np.polyval(np.polyfit(rows, scale, 1), rows), atol=1e-4)
    assert_allclose(scale[[0, -1]], [0.26, 1.14], atol=0.005)


@needs_data
@pytest.mark.parametrize(("protocol", "error"), [("standard", 4.94), ("article", 4.79)])
def test_the_mean_of_the_training_frames_is_as_good_as_the_description_says(content, protocol, error):
    train, test = TrainTestIndices(MALL.splits, content.numbers)(protocol)
    counts = content.points.counts
    assert round(np.abs(counts[test] - counts[train].mean()).mean(), 2) == error
    assert str(error) in MALL.descr


@needs_data
def test_the_frames_are_colour_pictures_in_their_order(content, files):
    for number, frame in enumerate(islice(content.images, 3), 1):
        assert_array_equal(frame, files.read_image(f"seq_{number:06d}.jpg", "RGB"))
        assert (frame.shape, frame.dtype) == ((480, 640, 3), np.uint8)


@needs_data
def test_the_digests_are_of_the_files_that_are_read(files):
    read = {name: _fetch.digest(files.read(name)) for names in files.names.values() for name in names}
    assert read == _fetch._read_digests("mall")
    assert files.tested == {"frame": True, "annotation": True}


@needs_data
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
def members(encode, write_mat):
    frame = np.empty((1, 3), dtype=object)
    frame[0] = [{"loc": np.array(points, dtype=float)} for points in LOCATIONS]
    pages = {
        f"mall_dataset/frames/seq_{number:06d}.jpg": encode(
            np.full((6, 5, 3), 50 * number, dtype=np.uint8), "jpeg"
        )
        for number in (1, 2, 3)
    }
    mask = np.ones((6, 5), dtype=np.uint8)
    mask[0] = 0
    return pages | {
        "mall_dataset/mall_gt.mat": write_mat(frame=frame, count=np.array([[2], [1], [3]], dtype=np.uint8)),
        "mall_dataset/perspective_roi.mat": write_mat(roi={"mask": mask}, pMapN=np.full((6, 5), 4.0)),
    }


def test_points_and_maps_are_turned_into_ours(few, nowhere, write_zip, members):
    write_zip(nowhere / "mall_dataset.zip", members)
    mall = fetch_mall(download_if_missing=False)
    assert [points.tolist() for points in mall.points] == [
        [[0, 0], [1, 3.5]],
        [[5, 4]],
        [[2, 1], [2, 1], [5, 0]],
    ]
    assert_array_equal(mall.roi, np.arange(6)[:, None] > np.zeros(5))
    assert_array_equal(mall.perspective, np.full((6, 5), 0.5, dtype=np.float32))
    assert mall.groups is None
    with mall.images as images:
        assert [int(image[0, 0, 0]) for image in images] == [50, 100, 150]


@pytest.mark.parametrize(
    ("name", "variables", "message"),
    [
        ("mall_gt", {"other": 1}, r"holds a mall_gt\.mat of another content \('frame'\)"),
        ("perspective_roi", {"roi": 1}, r"holds a perspective_roi\.mat of another content"),
        (
            "perspective_roi",
            {"roi": {"mask": np.ones((2, 2))}, "pMapN": np.ones((2, 2))},
            "maps are of shape",
        ),
    ],
)
def test_annotations_of_another_content_are_refused(
    few, nowhere, write_zip, write_mat, members, name, variables, message
):
    archive = write_zip(nowhere / "m.zip", members | {f"mall_dataset/{name}.mat": write_mat(**variables)})
    with pytest.raises(ValueError, match=rf"{message}.*; expected the Mall data as published"):
        fetch_mall(archive=archive)


def test_points_that_are_not_the_counts_are_refused(few, nowhere, write_zip, write_mat, members):
    frame = np.empty((1, 3), dtype=object)
    frame[0] = [{"loc": np.array(points, dtype=float)} for points in LOCATIONS]
    truth = write_mat(frame=frame, count=np.array([[1], [2], [3]], dtype=np.uint8))
    archive = write_zip(nowhere / "m.zip", members | {"mall_dataset/mall_gt.mat": truth})
    with pytest.raises(ValueError, match="the numbers of points are not the counts beside them"):
        fetch_mall(archive=archive)


def test_another_total_is_refused(few, nowhere, write_zip, members, monkeypatch):
    monkeypatch.setattr(_mall, "MALL", replace(few, n_points=7))
    archive = write_zip(nowhere / "m.zip", members)
    with pytest.raises(ValueError, match="it holds 6 points in 3 frames"):
        fetch_mall(archive=archive)


def test_no_mat_file_is_refused(few, nowhere, write_zip, members):
    archive = write_zip(nowhere / "m.zip", members | {"mall_dataset/mall_gt.mat": b"no MATLAB file"})
    with pytest.raises(
        ValueError, match=r"holds a mall_gt\.mat of another content \(it begins with b'no MATLAB"
    ):
        fetch_mall(archive=archive)
