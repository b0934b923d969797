"""Files in which one bit has changed: what is read is what was written, or an error."""

import numpy as np
import pytest

import skcount
from skcount import UNetRegressor, _plain_file
from skcount.io import load_hdf5, save_hdf5
from skcount.training._checkpoint import KIND


def write_data(path, X, points):
    save_hdf5(path, X, points, roi=X[..., 0] > 9, groups=list("aabbcc"))


def fit(path, X, points):
    return UNetRegressor(filters=2, max_epochs=2, random_state=0).fit(X, points, checkpoint=path)


def write_model(path, X, points):
    fit(None, X, points).save(path)


def read_model(path):
    return [value.numpy() for value in skcount.load(path).module_.state_dict().values()]


def read_checkpoint(path):
    tree = _plain_file.read(path, KIND)
    return [*tree["state"]["weights"].values(), np.frombuffer(repr(tree).encode(), dtype=np.uint8)]


def read_data(path):
    data = load_hdf5(path)
    with data.images:
        return [np.asarray(part) for part in (data.images, data.roi, data.groups, *data.points)]


FILES = {
    "model": (write_model, read_model),
    "checkpoint": (fit, read_checkpoint),
    "data": (write_data, read_data),
}


@pytest.mark.parametrize("n_flips", [120, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", FILES)
def test_a_flipped_bit_is_noticed_or_harmless(kind, n_flips, noise, tmp_path, record_property):
    write, read = FILES[kind]
    path = tmp_path / "file"
    write(path, *noise)
    content, expected = path.read_bytes(), read(path)
    rng = np.random.default_rng(n_flips)
    # As many in the first two thousand bytes, which say what the rest is, as in all of it.
    whole = 8 * len(content)
    ends = np.repeat([min(16_000, whole), whole], [n_flips // 2, n_flips - n_flips // 2])
    places = rng.integers(0, ends)
    n_noticed = 0
    for place in places:
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found = read(path)
        except (ValueError, OSError):
            n_noticed += 1
            continue
        assert len(found) == len(expected)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True)), f"bit {place}"
    assert n_noticed > n_flips // 3
    if kind != "data":  # their digest is over every byte
        assert n_noticed == n_flips
    record_property(f"flipped bits of a {kind} file", n_flips)
