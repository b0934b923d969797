import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skcount.io import load_mat


@pytest.mark.parametrize("compressed", [True, False])
def test_variables_are_read(write_mat, compressed):
    content = write_mat(compressed, a=np.arange(6.0).reshape(2, 3), b="text")
    found = load_mat(content, max_bytes=10_000)
    assert_array_equal(found["a"], np.arange(6.0).reshape(2, 3))
    assert found["b"] == "text"


def test_what_expands_beyond_the_limit_alone_or_together_is_refused(write_mat):
    bomb = write_mat(a=np.zeros(1_000_000))
    assert len(bomb) < 10_000
    for content in (bomb, write_mat(a=np.zeros(800), b=np.zeros(800))):
        with pytest.raises(ValueError, match="it expands beyond any file of these data"):
            load_mat(content, max_bytes=10_000)
    assert len(load_mat(write_mat(a=np.zeros(800)), max_bytes=10_000)["a"][0]) == 800


@settings(deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@example(where=0.96875, flip=1)  # the checksum at the end is not come to
def test_damage_is_a_value_error_or_harmless(write_mat, where, flip):
    content = bytearray(write_mat(a=np.arange(50.0)))
    content[int(where * len(content))] ^= flip
    try:
        found = load_mat(bytes(content), max_bytes=10_000)
    except ValueError:
        return
    assert_array_equal(found["a"], np.arange(50.0)[None])


def test_a_truncated_file_is_refused(write_mat):
    content = write_mat(a=np.arange(50.0))
    with pytest.raises(ValueError, match="no end"):
        load_mat(content[:-20], max_bytes=10_000)
