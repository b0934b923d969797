from io import BytesIO

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skcount.io._matlab import load_mat

savemat = pytest.importorskip("scipy.io").savemat


def write(compressed=True, version="5", **variables):
    buffer = BytesIO()
    savemat(buffer, variables, do_compression=compressed, format=version)
    return buffer.getvalue()


@pytest.mark.parametrize("compressed", [True, False])
def test_variables_are_read(compressed):
    found = load_mat(write(compressed, a=np.arange(6.0).reshape(2, 3), b="text"), max_bytes=10_000)
    assert_array_equal(found["a"], np.arange(6.0).reshape(2, 3))
    assert found["b"] == "text"


def test_what_expands_beyond_the_limit_is_refused():
    bomb = write(a=np.zeros(1_000_000))
    assert len(bomb) < 10_000
    with pytest.raises(ValueError, match="it expands beyond any file of these data"):
        load_mat(bomb, max_bytes=10_000)


def test_variables_that_expand_beyond_the_limit_together_are_refused():
    with pytest.raises(ValueError, match="it expands beyond"):
        load_mat(write(a=np.zeros(800), b=np.zeros(800)), max_bytes=10_000)
    assert len(load_mat(write(a=np.zeros(800)), max_bytes=10_000)["a"][0]) == 800


def test_another_version_is_refused():
    with pytest.raises(ValueError, match="expected a MATLAB file of version 5"):
        load_mat(write(False, "4", a=np.zeros(3)), max_bytes=10_000)


@settings(deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@example(where=0.96875, flip=1)  # the checksum at the end is not come to
def test_damage_is_a_value_error_or_harmless(where, flip):
    content = bytearray(write(a=np.arange(50.0)))
    content[int(where * len(content))] ^= flip
    try:
        found = load_mat(bytes(content), max_bytes=10_000)
    except ValueError:
        return
    assert_array_equal(found["a"], np.arange(50.0)[None])


def test_a_truncated_file_is_refused():
    content = write(a=np.arange(50.0))
    with pytest.raises(ValueError, match="it cannot be read as a MATLAB file"):
        load_mat(content[:-20], max_bytes=10_000)
