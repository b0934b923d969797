import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skcount.datasets._mall import MALL
from skcount.datasets._protocols import Split, TrainTestIndices, format_numbers, parse_numbers
from skcount.datasets._ucsd import UCSD
from skcount.datasets._vgg_cells import VGG_CELLS

DATA_SETS = [VGG_CELLS, MALL, UCSD]


def whole(data_set):
    return TrainTestIndices(data_set.splits, np.arange(1, data_set.n_images + 1))


def numbers_of(data_set, protocol, **draw):
    """The published numbers of the training and of the test images."""
    return [side + 1 for side in whole(data_set)(protocol, **draw)]


ranges = {
    (VGG_CELLS, "article"): ("1-150", "151-200"),
    (MALL, "standard"): ("1-800", "801-2000"),
    (MALL, "article"): ("1-1500", "1501-2000"),
    (UCSD, "standard"): ("601-1400", "1-600, 1401-2000"),
    # The first 150 frames of each clip, and the others.
    (UCSD, "article"): tuple(
        ", ".join(f"{200 * clip + first}-{200 * clip + last}" for clip in range(10))
        for first, last in ((1, 150), (151, 200))
    ),
}


@pytest.mark.parametrize(("data_set", "protocol"), ranges, ids=lambda part: getattr(part, "name", part))
def test_the_fixed_splits_are_the_published_ones(data_set, protocol):
    found = [format_numbers(side) for side in numbers_of(data_set, protocol)]
    assert tuple(found) == ranges[data_set, protocol]


@pytest.mark.parametrize("n_train", [32, 50, 64])
def test_lz_draws_from_the_first_half_and_tests_on_the_second(n_train):
    train, test = numbers_of(VGG_CELLS, "lz", n_train=n_train, random_state=0)
    assert len(train) == n_train
    assert train.max() <= 100
    assert format_numbers(test) == "101-200"


@given(seed=st.integers(0, 2**31 - 1), name=st.sampled_from(["lz", "random"]))
def test_a_draw_is_the_same_for_the_same_seed_and_never_tests_what_it_trains_on(seed, name):
    train, test = whole(VGG_CELLS)(name, random_state=seed)
    again = whole(VGG_CELLS)(name, random_state=seed)
    assert_array_equal(train, again[0])
    assert_array_equal(test, again[1])
    assert not set(train) & set(test)
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()
    assert (len(train), len(test)) == ((64, 100) if name == "lz" else (64, 136))
    assert set(train) != set(whole(VGG_CELLS)(name, random_state=seed + 1)[0])


@pytest.mark.parametrize("data_set", DATA_SETS, ids=lambda data_set: data_set.name)
def test_an_unknown_protocol_is_refused_with_the_names_there_are(data_set):
    names = ", ".join(map(repr, sorted(data_set.splits)))
    with pytest.raises(ValueError, match=f"`protocol` must be one of {names}; got 'LZ'"):
        whole(data_set)("LZ")


def test_a_draw_that_was_not_published_is_refused():
    for draw in ({"n_train": 64}, {"random_state": 0}):
        with pytest.raises(ValueError, match="'article' draws nothing"):
            whole(VGG_CELLS)("article", **draw)
    with pytest.raises(ValueError, match=r"`n_train` must be one of 32, 50, 64 .*got 10"):
        whole(VGG_CELLS)("lz", n_train=10)


# --- Frames that are not there -------------------------------------------------------------------


def test_missing_frames_are_named_and_left_out_only_when_that_is_asked_for():
    part = TrainTestIndices(UCSD.splits, np.arange(1, 601))
    words = r"for training 601-1400, for testing 1401-2000\. Loaded images: 1-600\."
    for protocol, message in (
        ("standard", words),
        ("article", "for training 601-750, .*`allow_missing=True`"),
    ):
        with pytest.raises(ValueError, match=message):
            part(protocol)
    train, test = part("article", allow_missing=True)
    assert format_numbers(train) == "0-149, 200-349, 400-549"
    assert format_numbers(test) == "150-199, 350-399, 550-599"
    with pytest.raises(ValueError, match="at least one training image and one test image; got 0 and 600"):
        part("standard", allow_missing=True)


def test_indices_are_positions_among_the_frames_that_are_there():
    part = TrainTestIndices({"one": Split(train=[7], test=[3, 9])}, [3, 7, 9, 11])
    for again in (part, pickle.loads(pickle.dumps(part))):
        assert [side.tolist() for side in again("one")] == [[1], [0, 2]]
    assert repr(whole(VGG_CELLS)) == "TrainTestIndices('article', 'lz', 'random')"


@given(st.lists(st.integers(0, 60), unique=True).map(sorted))
def test_numbers_written_as_ranges_are_read_again(numbers):
    assert parse_numbers(format_numbers(numbers)).tolist() == numbers
