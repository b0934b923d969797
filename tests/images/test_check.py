"""What holds images, and which of the usual mistakes it is instead; tests/reliability/test_bad_input.py has more of them."""

import h5py
import numpy as np
import pytest

from skcount import ImageSet
from skcount.images import check_images, is_table


def read_all(X):
    images = check_images(X)
    return [images.read(index) for index in range(len(images))]


def test_the_layout_of_the_pixels_does_not_matter(tmp_path):
    X = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 2)).astype(np.uint8)
    mapped = np.memmap(tmp_path / "pixels", dtype=np.uint8, mode="w+", shape=X.shape)
    mapped[:] = X
    same = {"not contiguous": np.repeat(X, 2, axis=2)[:, :, ::2], "memmap": mapped, "list": list(X)}
    for name, other in same.items():
        np.testing.assert_array_equal(read_all(other), read_all(X), err_msg=name)


def test_an_image_set_is_taken_as_it_is_unless_side_data_are_given():
    X = ImageSet(np.zeros((2, 3, 4)), roi=np.eye(3, 4, dtype=bool))
    assert check_images(X) is X
    assert check_images(X, roi=np.ones((3, 4), dtype=bool)).roi.sum() == 12
    assert check_images(np.zeros((2, 3, 4))).roi is None


def test_narrow_grey_images_pass_with_a_channel_axis_or_if_they_are_few_pixels():
    assert check_images(np.ones((8, 9, 3))[..., None]).sizes == [(9, 3)] * 8
    assert check_images(np.ones((2, 9, 3))).sizes == [(9, 3)] * 2
    assert check_images(np.ones((1, 8, 9, 3))).n_channels == 3


@pytest.mark.parametrize("n_channels", [1, 3, 4])
def test_a_list_of_images_with_their_channels_first_is_refused(n_channels):
    images = [np.zeros((n_channels, 16, 20)), np.zeros((n_channels, 30, 20))]
    with pytest.raises(
        ValueError, match=r"looks like channels first.* Pass \[np.moveaxis\(x, 0, 2\) for x in X\]"
    ):
        ImageSet(images)
    assert ImageSet([np.moveaxis(x, 0, 2) for x in images]).n_channels == n_channels
    assert len(ImageSet([np.zeros((3, 8, 9))])) == 1  # too small to tell


def test_tables_are_told_from_images():
    pandas = pytest.importorskip("pandas")
    table = np.ones((3, 4))
    for X in (table, table.tolist(), list(table), pandas.DataFrame(table), table.astype(object)):
        assert is_table(X)
    for X in (table[None], [table, table], [table[..., None]], ImageSet(table[None]), [], None, "a"):
        assert not is_table(X)


# Images in files


@pytest.fixture
def dataset(tmp_path):
    with h5py.File(tmp_path / "images.h5", "w") as file:
        pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3)).astype(np.uint8)
        yield file.create_dataset("images", data=pixels)


def test_an_h5py_dataset_is_checked_without_a_read_and_read_one_image_at_a_time(dataset, monkeypatch):
    reads, getitem = [], h5py.Dataset.__getitem__
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda *given: reads.append(given[1]) or getitem(*given))
    monkeypatch.setattr(h5py.Dataset, "__array__", lambda *_, **__: pytest.fail("the whole file was read"))
    images = check_images(dataset)
    assert reads == []
    assert images.n_channels == 3
    assert images.sizes == [(6, 7)] * 5
    images.read(3)
    images.take([4, 2]).read(0)
    assert reads == [3, 4]


@pytest.mark.parametrize(
    ("shape", "dtype", "match"),
    [
        ((8, 9), "f4", r"X\[None\]"),
        ((8, 9, 3), "f4", r"single image with 3 channels.*X\[None\]"),
        ((2, 3, 4, 1, 1), "f4", r"shape .*\(2, 3, 4, 1, 1\)"),
        ((0, 5, 6), "f4", "0 samples"),
        ((3, 0, 6), "f4", "no rows"),
        ((3, 5, 6), "c8", "Complex data not supported"),
        ((3, 5, 6), "S2", "X must be .*dtype"),
    ],
)
def test_a_wrong_dataset_in_a_file_is_refused_as_the_array_is(tmp_path, shape, dtype, match):
    with h5py.File(tmp_path / "images.h5", "w") as file:
        X = file.create_dataset("images", shape=shape, dtype=dtype)
        for source in (X, X[()]):
            with pytest.raises(ValueError, match=match):
                check_images(source)


# What is refused


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (np.ones((8, 9, 3)), r"X\[None\].*8 grey images of width 3.*X\[..., None\]"),
        (np.ones((5, 5, 4)), "single image with 4 channels"),
        (np.zeros((2, 5, 6), dtype="M8[s]"), "X must be .*datetime64"),
        (np.zeros((2, 5, 6), dtype=[("r", "u1")]), "X must be .*dtype"),
        (np.array(None), "X must be images.*ndarray"),
        (5, "X must be images.*int"),
        ("images", "X must be images.*str"),
        ({"a": 1}, "X must be images.*dict"),
        ([np.ones((2, 2)), np.ones(3)], r"Image 1 of X must have shape .*\(3,\)"),
        ([np.ones((2, 2)), np.ones((2, 0))], r"Image 1 of X .*at least one pixel.*\(2, 0\)"),
        ([np.ones((2, 2)), np.ones((2, 2), dtype=complex)], "Image 1 of X must be .*complex128"),
        (["a.png", "b.png"], "Image 0 of X is the name 'a.png'.*load_folder"),
        ([[["a"]]], "Image 0 of X must be .*dtype <U1"),
        ([[[1, 2], [3]]], "Image 0 of X cannot be .*array"),
        ([1, 2, 3], "Image 0 of X must be an array .*int"),
        (np.array([[1, None]], dtype=object), r"Image 0 of X must have shape .*\(2,\)"),
        ([np.array([[None]])], "Image 0 of X must be .*dtype object"),
        ([np.zeros((8, 10)), np.zeros((8, 10), dtype=np.uint8)], "Image 1 of X has dtype uint8"),
        ([np.zeros((8, 10, 3)), np.zeros((8, 10, 1))], "1 channels, and image 0 has dtype float64 and 3"),
        ([np.zeros((8, 10)), np.zeros((8, 10, 1))], "image 0 has dtype float64 and no channel axis"),
    ],
)
def test_what_is_no_images_is_refused_by_name(X, match):
    with pytest.raises(ValueError, match=match):
        check_images(X)
