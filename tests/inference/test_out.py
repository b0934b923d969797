from copy import copy

import h5py
import numpy as np
import pytest
import torch

from skcount import UNetRegressor

# Two images larger than a tile, of sides that are multiples of nothing.
X = np.random.default_rng(1).integers(0, 255, (2, 131, 149, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    regressor = UNetRegressor(filters=4, depth=2, stem=1, max_epochs=2, random_state=0)
    return regressor.fit(images, [rng.random((5, 2)) * 31 for _ in images])


@pytest.mark.parametrize("tile_size", [None, 100])
@pytest.mark.parametrize("augmented", [False, True])
def test_maps_are_written_to_any_array(fitted, tmp_path, tile_size, augmented):
    fitted = copy(fitted).set_params(tile_size=tile_size)
    expected = fitted.predict_density(X, test_time_augmentation=augmented)
    shape = expected.shape
    with h5py.File(tmp_path / "maps.h5", "w") as file:
        for out in (
            np.full(shape, np.nan, np.float32),
            np.full(shape, np.nan),
            [np.full(shape[1:], np.nan, np.float32) for _ in X],
            np.memmap(tmp_path / "maps", np.float32, "w+", shape=shape),
            file.create_dataset("stack", shape, np.float32, chunks=(1, 64, 64)),
            [file.create_dataset(f"map {i}", shape[1:], np.float32) for i in range(2)],
        ):
            assert fitted.predict_density(X, out=out, test_time_augmentation=augmented) is out
            np.testing.assert_allclose(np.asarray(out[:], dtype=np.float32), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.zeros((1, 131, 148)), "1 of 131 x 149 pixels; got 1 of 131 x 148"),
        ([np.zeros((149, 131))], "got 1 of 149 x 131"),
        ([[[0.0]]], "list of list"),
        (0, "int of NoneType"),
        (torch.zeros(1, 131, 149), "Tensor of Tensor"),
    ],
    ids=["size", "list", "nested lists", "scalar", "tensor"],
)
def test_an_out_that_cannot_hold_the_maps_is_refused(fitted, out, message):
    with pytest.raises(ValueError, match=f"`out` must .*{message}"):
        fitted.predict_density(X[:1], out=out)
    assert not np.any(np.asarray(out, dtype=float))
