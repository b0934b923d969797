import json
import os
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open
from safetensors.numpy import save

from skcount import _plain_file
from skcount._plain_file import NotPlainError, pack, read, unpack, write

TREE = {"name": "nets", "weights": {"a": np.arange(6.0).reshape(2, 3)}, "rows": [{"epoch": 1, "loss": 0.5}]}

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
arrays = hnp.arrays(
    st.sampled_from(["f4", "f8", ">f8", "f2", "u1", "i8", "?", ">u2"]),
    hnp.array_shapes(min_dims=0, min_side=0),
)
tables = partial(st.dictionaries, st.text() | st.integers())
trees = st.recursive(
    plain | arrays,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | tables(inner),
    max_leaves=12,
)


def same(a, b):
    """Whether two trees are the same, types and all; arrays lose nothing but their order of bytes."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@settings(max_examples=100, deadline=None)
@given(trees)
def test_a_tree_comes_back_as_it_was(tree):
    assert same(unpack(pack({"tree": tree}, "tree"), "tree", "it")["tree"], tree)


@pytest.mark.parametrize(
    "value", [np.float32(0.1), np.int64(3), np.bool_(True), np.str_("a"), np.inf, -np.inf, np.nan]
)
def test_scalars_of_numpy_become_plain_and_numbers_that_json_lacks_come_back(value):
    assert str(unpack(pack({"v": value}, "k"), "k", "it")["v"]) == str(
        getattr(value, "item", lambda: value)()
    )


def test_a_random_state_goes_on_where_it_was():
    random_state = np.random.RandomState(3)
    random_state.normal()
    kept = unpack(pack({"r": random_state}, "k"), "k", "it")["r"]
    assert kept.normal() == random_state.normal()


@pytest.mark.parametrize(
    "value", [print, object(), {1, 2}, b"bytes", np.array([None]), 1j, np.array([1j]), np.datetime64(1, "s")]
)
def test_what_is_not_plain_is_refused_by_its_place(value):
    with pytest.raises(NotPlainError, match=r"tree\.parts\.1 is"):
        pack({"parts": [0, value]}, "k")


def test_the_same_tree_gives_the_same_bytes():
    assert pack(TREE, "k") == pack(TREE, "k")


def test_other_tools_read_the_arrays(tmp_path):
    write(tmp_path / "a", TREE, "k")
    with safe_open(tmp_path / "a", "np") as file:
        np.testing.assert_array_equal(file.get_tensor("weights.a"), TREE["weights"]["a"])


def test_every_flipped_bit_is_noticed():
    content = pack(TREE, "k")
    for position in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(ValueError, match=r"damaged|not a file that skcount wrote"):
            unpack(bytes(damaged), "k", "it")


def test_every_cut_is_noticed(tmp_path):
    content, path = pack(TREE, "k"), tmp_path / "a"
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"damaged|empty|not a file that skcount wrote"):
            read(path, "k")
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="damaged or incomplete: its digest does not match its"):
        read(path, "k")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a is empty; expected a file that skcount wrote"),
        (b"\x80\x04K\x01.", r"a is not a file that skcount wrote.* pickle or (a )?zip"),
        (b"PK\x03\x04" + bytes(40), r"not a file that skcount wrote.* pickle or (a )?zip"),
        (b"hello, world, this is no model", r"is not a file that skcount wrote\.$"),
        (b"\xff" * 30, r"not a file that skcount wrote"),
        (save({"a": np.zeros(3)}, metadata={"format": "pt"}), r"not a file that skcount wrote"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), r"not a file that skcount wrote"),
    ],
)
def test_foreign_files_are_refused(content, message, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "a", "k")


def test_missing_files_folders_and_pipes_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*b\.skcount"):
        read(tmp_path / "b.skcount", "k")
    with pytest.raises(ValueError, match="is not a regular file"):
        read(tmp_path, "k")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="is not a regular file"):
            read(tmp_path / "pipe", "k")


def test_a_file_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"is a checkpoint of skcount; expected a fitted regressor"):
        unpack(pack(TREE, "checkpoint"), "fitted regressor", "it")


def test_a_later_format_is_refused(monkeypatch):
    monkeypatch.setattr(_plain_file, "FORMAT", 2)
    content = pack(TREE, "k")
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"in format 2, and this skcount .* up to 1\. Upgrade skcount"):
        unpack(content, "k", "it")


@pytest.mark.parametrize(
    "tree",
    [
        '{"!array":"missing"}',
        '{"!unknown":1}',
        '{"!random_state":["MT19937",[1],3,0,0.0]}',
        '{"!dict":[[[1],2]]}',
        '{"!float":"seven"}',
        "[" * 100_000 + "]" * 100_000,
    ],
)
def test_a_crafted_file_with_a_right_digest_is_refused(tree, monkeypatch):
    dumps = json.dumps
    monkeypatch.setattr(json, "dumps", lambda *a, **k: dumps(*a, **k).replace('"CRAFTED"', tree))
    content = pack("CRAFTED", "k")
    with pytest.raises(ValueError, match="not a file that skcount wrote"):
        unpack(content, "k", "it")


def test_a_tree_that_cannot_be_kept_leaves_no_file(tmp_path):
    with pytest.raises(NotPlainError):
        write(tmp_path / "a", {"v": print}, "k")
    assert list(tmp_path.iterdir()) == []
