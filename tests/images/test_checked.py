import warnings

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from skcount import ImageSet
from skcount.images import Images, check_finite, check_images, scale_pixels

law = settings(max_examples=50, deadline=None)
INTEGERS = [np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int16, np.int32, np.int64]
FLOATS = [np.float16, np.float32, np.float64]
# Not what `check_images` takes for a colour image without its sample axis.
stacks = st.one_of(
    st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5)),
)


def channels_first(image):
    return np.atleast_3d(image).transpose(2, 0, 1)


def read_all(X, dtype=np.float32):
    return [image.copy() for image in check_images(X, dtype)]


# scale_pixels


@law
@given(
    st.sampled_from(INTEGERS),
    st.sampled_from(["<", ">"]),
    st.sampled_from([np.float32, np.float64]),
    st.data(),
)
def test_integers_are_divided_by_the_largest_of_their_type(kind, order, dtype, data):
    kind = np.dtype(kind).newbyteorder(order)
    pixels = data.draw(arrays(kind, array_shapes(max_dims=3, max_side=4)))
    scaled = scale_pixels(pixels, dtype)
    assert scaled.dtype == dtype
    expected = pixels.astype(np.float64) / float(np.iinfo(kind).max)
    np.testing.assert_allclose(scaled, expected, rtol=1e-6)
    if kind.kind == "u":
        assert scaled.min() >= 0
        assert scaled.max() <= 1
        assert scale_pixels(np.array([np.iinfo(kind).max], dtype=kind), dtype) == 1


@law
@given(st.sampled_from([bool, *FLOATS, ">f4", ">f8"]), st.data())
def test_floats_and_booleans_are_taken_as_they_are(kind, data):
    elements = st.floats(-100, 100, width=16) if np.dtype(kind).kind == "f" else None
    pixels = data.draw(arrays(kind, array_shapes(max_dims=3, max_side=4), elements=elements))
    np.testing.assert_array_equal(scale_pixels(pixels), pixels.astype(np.float64))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32, np.float64])
def test_scaling_makes_a_new_contiguous_writable_array(dtype):
    pixels = np.ones((4, 6), dtype=dtype)[::-1, ::-2]
    pixels.setflags(write=False)
    scaled = scale_pixels(pixels, np.float32)
    assert scaled.flags.c_contiguous
    assert scaled.flags.writeable
    assert scaled.dtype.isnative
    assert not np.shares_memory(scaled, pixels)


# what comes in comes out


@law
@given(stacks, st.sampled_from([bool, *INTEGERS, *FLOATS, ">i2", ">u4", ">f4", ">f8"]), st.data())
def test_a_stack_is_read_as_scaled_images_with_the_channels_first(shape, kind, data):
    elements = st.floats(-100, 100, width=16) if np.dtype(kind).kind == "f" else None
    X = data.draw(arrays(kind, shape, elements=elements))
    if len(shape) == 3 and shape[2] in {3, 4} and min(shape[:2]) > 4:
        X = X[..., None]
    images = check_images(X)
    assert len(images) == len(X)
    assert images.n_channels == (X.shape[3] if X.ndim == 4 else 1)
    assert [tuple(s) for s in images.shapes] == [X.shape[1:3]] * len(X)
    for image, pixels in zip(images, X, strict=True):
        np.testing.assert_array_equal(image, scale_pixels(channels_first(pixels)))
        assert image.dtype == np.float32
        assert image.flags.c_contiguous


def variants(tmp_path):
    """The same pixels, laid out in memory or on disk in many ways."""
    X = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 2)).astype(np.uint8)
    read_only = X.copy()
    read_only.setflags(write=False)
    mapped = np.memmap(tmp_path / "pixels", dtype=np.uint8, mode="w+", shape=X.shape)
    mapped[:] = X
    objects = np.empty(3, dtype=object)
    objects[:] = list(X)
    yield (
        X,
        {
            "read-only": read_only,
            "Fortran order": np.asfortranarray(X),
            "negative strides": np.ascontiguousarray(X[::-1, ::-1, ::-1])[::-1, ::-1, ::-1],
            "not contiguous": np.repeat(X, 2, axis=2)[:, :, ::2],
            "memmap": mapped,
            "list": list(X),
            "tuple": tuple(X),
            "objects": objects,
            "nested lists of arrays": [np.asarray(x.tolist(), dtype=np.uint8) for x in X],
            "ImageSet": ImageSet(X),
        },
    )


def test_the_layout_of_the_pixels_does_not_matter(tmp_path):
    for X, same in variants(tmp_path):
        for name, other in same.items():
            for one, two in zip(read_all(X), read_all(other), strict=True):
                np.testing.assert_array_equal(one, two, err_msg=name)


def test_what_is_read_can_be_written_to_without_changing_the_source():
    X = np.ones((2, 3, 3), dtype=np.float32)
    check_images(X)[0][:] = 5
    np.testing.assert_array_equal(X, 1)


def test_images_of_many_sizes_and_grey_ones_with_and_without_a_channel_axis_go_together():
    X = [np.zeros((5, 6)), np.ones((1, 1, 1)), np.zeros((2, 9), dtype=np.uint8)]
    images = check_images(X)
    assert images.n_channels == 1
    assert images.shapes == [(5, 6), (1, 1), (2, 9)]
    assert [image.shape for image in images] == [(1, 5, 6), (1, 1, 1), (1, 2, 9)]


def test_an_image_set_of_many_sizes_is_checked_without_reading_a_pixel(monkeypatch):
    X = ImageSet([np.zeros((5, 6, 3)), np.ones((7, 2, 3))])
    monkeypatch.setattr(type(X.source), "read", lambda *_: pytest.fail("a pixel was read"))
    images = check_images(X)
    assert images.n_channels == 3
    assert images.shapes == [(5, 6), (7, 2)]


@law
@given(stacks, st.data())
def test_a_window_is_that_crop_of_the_image(shape, data):
    X = np.random.default_rng(0).random((*shape, 1)[:4])
    images = check_images(X, np.float64)
    index = data.draw(st.integers(0, len(X) - 1))
    (top, bottom), (left, right) = (
        sorted(data.draw(st.tuples(st.integers(0, s - 1), st.integers(0, s - 1)))) for s in X.shape[1:3]
    )
    part = images.read(index, (top, left, bottom - top + 1, right - left + 1))
    np.testing.assert_array_equal(part, images[index][:, top : bottom + 1, left : right + 1])
    assert part.flags.c_contiguous


@law
@given(st.lists(st.integers(-4, 3), max_size=6), st.lists(st.integers(0, 5), max_size=3))
def test_taking_is_indexing_and_taking_twice_is_indexing_twice(first, second):
    X = [np.full((2 + i, 3), float(i)) for i in range(4)]
    images = check_images(X, np.float64).take(np.array(first, dtype=int))
    second = [i for i in second if i < len(first)]
    for taken, indices in ((images, first), (images.take(second), [first[i] for i in second])):
        assert isinstance(taken, Images)
        assert len(taken) == len(indices)
        assert taken.shapes == [X[i].shape for i in indices]
        assert taken.dtype == np.float64
        assert [image[0, 0, 0] for image in taken] == [X[i][0, 0] for i in indices]


def test_a_table_is_read_as_images_one_pixel_high():
    X = np.arange(6.0).reshape(2, 3)
    images = Images(X, [(1, 3)] * 2, 1, columns={})
    np.testing.assert_array_equal(images[1], X[1].reshape(1, 1, 3))
    np.testing.assert_array_equal(images.take([1])[0], images[1])


# images in files


class CountingDataset:
    """What `h5py.Dataset` looks like, with each read counted."""

    def __init__(self, dataset):
        self.dataset = dataset
        self.reads = []

    def __getattr__(self, name):
        return getattr(self.dataset, name)

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, key):
        self.reads.append(key)
        return self.dataset[key]

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("the whole file was read")


@pytest.fixture
def dataset(tmp_path):
    with h5py.File(tmp_path / "images.h5", "w") as file:
        pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3)).astype(np.uint8)
        yield file.create_dataset("images", data=pixels)


def test_an_h5py_dataset_is_checked_without_a_read_and_read_one_image_at_a_time(dataset):
    counting = CountingDataset(dataset)
    images = check_images(counting)
    assert counting.reads == []
    assert images.n_channels == 3
    assert images.shapes == [(6, 7)] * 5
    images.read(3)
    images.take([4, 2])[0]
    assert counting.reads == [3, 4]


def test_an_h5py_dataset_gives_the_images_of_its_array(dataset):
    for one, two in zip(read_all(dataset), read_all(dataset[()]), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("shape", "dtype", "words"),
    [
        ((8, 9), "f4", r"X\[None\]"),
        ((8, 9, 3), "f4", r"single image with 3 channels.*X\[None\]"),
        ((2, 3, 4, 1, 1), "f4", r"shape \(2, 3, 4, 1, 1\)"),
        ((5,), "f4", r"shape \(5,\)"),
        ((0, 5, 6), "f4", "0 samples"),
        ((3, 0, 6), "f4", "no rows"),
        ((3, 5, 6), "c8", "Complex data not supported"),
        ((3, 5, 6), "S2", "X has dtype"),
    ],
)
def test_a_wrong_dataset_in_a_file_is_refused_as_the_array_is(tmp_path, shape, dtype, words):
    with h5py.File(tmp_path / "images.h5", "w") as file:
        X = file.create_dataset("images", shape=shape, dtype=dtype)
        for source in (X, X[()]):
            with pytest.raises(ValueError, match=words):
                check_images(source)


# what is refused as images


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.ones((8, 9)), r"single image without its sample axis .* X\[None\]"),
        (
            np.ones((8, 9, 3)),
            r"single image with 3 channels.*X\[None\].*8 grey images of width 3, pass X\[..., None\]",
        ),
        (np.ones((5, 5, 4)), "single image with 4 channels"),
        (np.ones(5), r"shape \(5,\); expected"),
        (np.ones(()), r"shape \(\); expected"),
        (np.ones((1, 2, 3, 4, 5)), r"shape \(1, 2, 3, 4, 5\); expected"),
        (np.ones((0, 5, 6)), "no images .0 samples."),
        (np.ones((2, 0, 6)), "no rows"),
        (np.ones((2, 5, 0)), "no columns"),
        (np.ones((2, 5, 6, 0)), "no channels"),
        (np.ones((2, 5, 6), dtype=complex), "dtype complex128.*Complex data not supported"),
        (np.full((2, 5, 6), "a"), "X has dtype <U1"),
        (np.zeros((2, 5, 6), dtype="M8[s]"), "X has dtype datetime64"),
        (np.zeros((2, 5, 6), dtype=[("r", "u1")]), "X has dtype"),
        (np.array(None), "X is a ndarray; expected images"),
        ([], "no images .0 samples."),
        (None, "X is a NoneType; expected images"),
        (5, "X is a int; expected images"),
        ("images", "X is a str; expected images"),
        ({"a": 1}, "X is a dict; expected images"),
        ((x for x in [np.ones((2, 2))]), "X is a generator; expected images"),
        ([np.ones((2, 2)), np.ones((2, 2, 3))], "Image 0 of X has 1 channels and image 1 has 3"),
        ([np.ones((2, 2)), np.ones(3)], r"Image 1 of X has shape \(3,\)"),
        ([np.ones((2, 2)), np.ones((1, 2, 2, 3))], r"Image 1 of X has shape \(1, 2, 2, 3\)"),
        ([np.ones((2, 2)), np.ones((2, 0))], "Image 1 of X .* no pixels"),
        ([np.ones((2, 2)), np.ones((2, 2), dtype=complex)], "Image 1 of X has dtype complex128"),
        (["a.png", "b.png"], r"Image 0 of X is the name 'a.png'; .*load_folder"),
        ([[["a"]]], "Image 0 of X has dtype"),
        ([[[1, 2], [3]]], "Image 0 of X is no array"),
        ([1, 2, 3], r"Image 0 of X is a int and has shape"),
        (np.array([[1, None]], dtype=object), r"Image 0 of X has shape \(2,\)"),
        ([np.array([[None]])], "Image 0 of X has dtype object"),
    ],
)
def test_what_is_no_images_is_refused_by_words(X, words):
    with pytest.raises(ValueError, match=words):
        check_images(X)


def test_narrow_grey_images_pass_with_a_channel_axis_or_where_they_are_few_pixels():
    assert check_images(np.ones((8, 9, 3))[..., None]).shapes == [(9, 3)] * 8
    assert check_images(np.ones((2, 9, 3))).shapes == [(9, 3)] * 2
    assert check_images(np.ones((1, 8, 9, 3))).n_channels == 3


# check_finite


@law
@given(
    arrays(np.float64, array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.floats(allow_nan=False)),
    st.sampled_from([np.float32, np.float64]),
)
def test_an_image_passes_exactly_where_every_pixel_is_finite(image, dtype):
    image = scale_pixels(image, dtype)
    if np.isfinite(image).all():
        check_finite(image, 0)
    else:
        with pytest.raises(ValueError, match="NaN or infinity"):
            check_finite(image, 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_not_finite_is_named_with_its_place(bad):
    image = np.zeros((2, 4, 5))
    image[1, 2, 3] = image[1, 3, 0] = bad
    words = f"Image 7 of X holds 2 pixels .* {bad} at row 2, column 3, channel 1.*nan_to_num"
    with pytest.raises(ValueError, match=words):
        check_finite(image, 7)


def test_infinities_that_cancel_and_sums_that_overflow_neither_warn_nor_deceive():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="holds 2 pixels"):
            check_finite(np.array([[[np.inf, -np.inf]]]), 0)
        check_finite(np.full((1, 2, 2), 1e308), 0)
