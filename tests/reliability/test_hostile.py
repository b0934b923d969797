"""The same pixels in any type and any holder: equal counts, a warning or an error, and never a silent wrong count."""

import warnings

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.exceptions import ConvergenceWarning

from skcount import ImageSet, UNetRegressor
from skcount.datasets import make_cells

TYPES = [
    "bool",
    "u1",
    "i1",
    "u2",
    "i2",
    ">u2",
    "u4",
    "i4",
    "u8",
    "i8",
    "f2",
    "f4",
    "f8",
    ">f8",
    "c8",
    "O",
    "S3",
    "m8[s]",
]
HOLDERS = {
    "array": np.asarray,
    "Fortran": np.asfortranarray,
    "reversed twice": lambda X: X[::-1][::-1],
    "read-only": lambda X: np.lib.stride_tricks.as_strided(X, writeable=False),
    "list of arrays": list,
    "tuple of arrays": tuple,
    "nested lists": lambda X: X.tolist(),
    "ImageSet": ImageSet,
    "ImageSet of a list": lambda X: ImageSet(list(X)),
    "array of objects": lambda X: np.array([*X, None], dtype=object)[:-1],
    "masked array": np.ma.masked_array,
    "PIL": lambda X: [Image.fromarray(image) for image in X],
    "PIL in mode I": lambda X: [Image.fromarray(image.astype(np.int32), mode="I") for image in X],
    "a file": lambda X: h5py.File.in_memory().create_dataset("X", data=X),
    "one of another type": lambda X: [X[0], *(image.astype(np.float32) for image in X[1:])],
    "nothing": lambda X: [],
    "one image": lambda X: X[0],
    "a generator": lambda X: (image for image in X),
}  # fmt: skip


@pytest.fixture(scope="module", params=[1, 0, 3])
def fitted(request):
    """A regressor of grey images without channels, with one channel, or in colour; its images and counts."""
    X, points = make_cells(6, image_shape=(32, 32), n_cells=(2, 9), random_state=0, return_X_y=True)
    X = {0: X[..., 1], 1: X[..., 1:2], 3: X}[request.param]
    regressor = UNetRegressor(4, depth=2, max_epochs=40, random_state=0).fit(X, points)
    return regressor, X, regressor.predict(X)


def outcome(regressor, X, expected):
    """Return "equal", "warned" or "refused"; a wrong count without a word, and any other error, fails the test."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            counts = regressor.predict(X)
        except (ValueError, TypeError):
            return "refused"
    if counts.shape == expected.shape and np.allclose(counts, expected, atol=1e-3):
        return "equal"
    words = [
        w for w in caught if issubclass(w.category, UserWarning) and w.category is not ConvergenceWarning
    ]
    assert words, "a wrong count without a word"
    return "warned"


@settings(max_examples=200, deadline=None)
@given(
    dtype=st.sampled_from(TYPES),
    holder=st.sampled_from(sorted(HOLDERS)),
    shift=st.sampled_from([0, 0, 0, 300, -1]),
)
def test_no_type_and_no_holder_is_counted_wrongly_without_a_word(fitted, dtype, holder, shift):
    regressor, X, expected = fitted
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # those of the conversion, not of skcount
        shifted = X.astype(np.int64) + shift
        converted = shifted.astype(dtype)
        if converted.dtype.kind in "biuf" and not np.array_equal(converted.astype(np.int64), shifted):
            return  # other pixels, which may well have other counts
        try:
            Y = HOLDERS[holder](converted)
        except (TypeError, ValueError, KeyError, AttributeError):
            return  # numpy, PIL or h5py cannot hold this
    outcome(regressor, Y, expected)


@pytest.mark.parametrize("dtype", ["u2", "u4", "i4", "i8", "u8"])
def test_wide_integers_count_as_the_type_of_the_training_or_with_a_word(fitted, dtype):
    regressor, X, expected = fitted
    for holder in ("array", "list of arrays", "nested lists"):
        assert outcome(regressor, HOLDERS[holder](X.astype(dtype)), expected) in {"equal", "warned"}


def test_a_list_of_several_types_is_refused_everywhere(fitted):
    regressor, X, _ = fitted
    mixed = [X[0], *X[1:].astype(np.uint16)]
    for use in (ImageSet, regressor.predict, lambda Y: regressor.fit(Y, [[]] * len(Y))):
        with pytest.raises(ValueError, match="one dtype"):
            use(mixed)
