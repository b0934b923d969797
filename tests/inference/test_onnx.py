import sys

import numpy as np
import pytest
import torch
from torch import nn

from skcount import DensityMapRegressor, FCRNRegressor, UNetRegressor

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    shapes = [(17, 22), (64, 64), (1, 9), (40, 3)]
    return [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]


POINTS = [[(3, 4), (10, 20)], [(5, 5)], [], []]
EXPORTED = {
    "unet": UNetRegressor(filters=4, max_epochs=2, random_state=0),
    "unet, reduced": UNetRegressor(filters=4, diameter=75, max_epochs=2, random_state=0),
    "unet, doubled": UNetRegressor(filters=4, diameter=5, max_epochs=2, random_state=0),
    "unet at full size": UNetRegressor(filters=4, stem=1, max_epochs=2, random_state=0),
    "fcrn_a": FCRNRegressor("a", normalization=None, max_epochs=1, random_state=0),
    "float64": UNetRegressor(filters=2, precision="float64", max_epochs=1, random_state=0),
    "own": DensityMapRegressor(lambda n: nn.Conv2d(n, 1, 5, padding=2), max_epochs=1, random_state=0),
}


@pytest.mark.parametrize("name", EXPORTED)
def test_onnx_runtime_counts_as_the_regressor_does_in_images_of_any_size(name, images, tmp_path, capsys):
    regressor = EXPORTED[name].fit(images, POINTS)
    before = {key: value.clone() for key, value in regressor.module_.state_dict().items()}
    regressor.export_onnx(tmp_path / "counter.onnx")
    assert capsys.readouterr() == ("", "")
    torch.testing.assert_close(dict(regressor.module_.state_dict()), before, rtol=0, atol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["counter.onnx"]
    onnx.checker.check_model(str(tmp_path / "counter.onnx"))
    session = onnxruntime.InferenceSession(tmp_path / "counter.onnx")
    expected, maps = regressor.predict(images), regressor.predict_density(images)
    for image, count, density_map in zip(images, expected, maps, strict=True):
        pixels = image.transpose(2, 0, 1)[None].astype(np.float32) / 255
        density, counts = session.run(None, {"images": pixels})
        assert density.dtype == np.float32
        assert counts.dtype == np.float64
        np.testing.assert_allclose(counts, [count], atol=1e-3)
        np.testing.assert_allclose(density[0], density_map, atol=1e-5 * max(1, density_map.max()))
    pixels = np.repeat(pixels, 5, axis=0)
    np.testing.assert_allclose(
        session.run(["counts"], {"images": pixels})[0], np.repeat(counts, 5), rtol=1e-5
    )


class Undecided(nn.Module):
    """A network that does one thing with large images and another with small ones."""

    def __init__(self, n_channels):
        super().__init__()
        self.conv = nn.Conv2d(n_channels, 1, 3, padding=1)

    def forward(self, x):
        return self.conv(x) * (1 if float(x.sum()) > 0 else 2)


def test_what_torch_cannot_export_is_refused_and_nothing_is_written(images, tmp_path):
    regressor = DensityMapRegressor(Undecided, max_epochs=1, random_state=0).fit(images, POINTS)
    (tmp_path / "counter.onnx").write_text("an earlier one")
    with pytest.raises(ValueError, match="cannot export this network"):
        regressor.export_onnx(tmp_path / "counter.onnx")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["an earlier one"]


def test_a_file_that_counts_otherwise_is_not_written(images, tmp_path, monkeypatch):
    regressor = EXPORTED["own"].fit(images, POINTS)
    run = onnxruntime.InferenceSession.run
    monkeypatch.setattr(onnxruntime.InferenceSession, "run", lambda *args: [v + 0.01 for v in run(*args)])
    with pytest.raises(RuntimeError, match=r"\[0\.01\].*torch.*\[0\.0\]"):
        regressor.export_onnx(tmp_path / "counter.onnx")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(images, tmp_path, monkeypatch):
    regressor = EXPORTED["own"].fit(images, POINTS)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"export_onnx needs onnxruntime; .*skcount\[onnx\]"):
        regressor.export_onnx(tmp_path / "counter.onnx")
