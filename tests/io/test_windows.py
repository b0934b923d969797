"""Large pictures are read by windows: only the tiles or chunks under them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skcount import UNetRegressor
from skcount.datasets import make_cells
from skcount.io import _folder_store, _windows, load_folder

tifffile = pytest.importorskip("tifffile", reason="tifffile reads TIFF")

RNG = np.random.default_rng(0)
SHAPE = (70, 90)
GREY = RNG.integers(0, 2**16, SHAPE).astype(np.uint16)
COLOUR = RNG.integers(0, 256, (*SHAPE, 3)).astype(np.uint8)

LAYOUTS = {
    "tiles": (GREY, {"tile": (16, 32)}),
    "compressed tiles": (GREY, {"tile": (32, 16), "compression": "zstd", "predictor": True}),
    "colours": (COLOUR, {"tile": (16, 16), "photometric": "rgb", "compression": "lzw"}),
    "strips": (COLOUR, {"rowsperstrip": 7, "photometric": "rgb"}),
    "one strip": (GREY, {}),
    "big-endian": (GREY, {"tile": (16, 16), "byteorder": ">"}),
    "floats": (GREY.astype(np.float32), {"tile": (16, 16), "compression": "deflate"}),
    "BigTIFF": (GREY, {"tile": (16, 16), "bigtiff": True}),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("windows")
    for name, (pixels, options) in LAYOUTS.items():
        tifffile.imwrite(folder / f"{name}.tif", pixels, **options)
    return folder


@pytest.fixture
def all_are_large(monkeypatch):
    monkeypatch.setattr(_folder_store, "LARGE", 0)


@pytest.mark.parametrize("name", LAYOUTS)
@given(
    rows=st.tuples(st.integers(0, 69), st.integers(1, 70)),
    cols=st.tuples(st.integers(0, 89), st.integers(1, 90)),
)
def test_a_window_is_that_part_of_the_picture(files, name, rows, cols):
    pixels = LAYOUTS[name][0]
    images = load_folder(files / f"{name}.tif").images
    store = images.store
    original, _folder_store.LARGE = _folder_store.LARGE, 0
    try:
        opened = store.open(0)
    finally:
        _folder_store.LARGE = original
    assert isinstance(opened, _windows.TiffWindows)
    part = slice(rows[0], min(rows[0] + rows[1], 70)), slice(cols[0], min(cols[0] + cols[1], 90))
    assert_array_equal(opened[part], pixels[part])
    assert opened[part].dtype == pixels.dtype


def test_only_the_tiles_under_a_window_are_decoded(files, all_are_large, monkeypatch):
    decoded = []
    decode = _windows.TiffWindows._decode
    monkeypatch.setattr(
        _windows.TiffWindows, "_decode", lambda self, *a: decoded.append(a[1]) or decode(self, *a)
    )
    images = load_folder(files / "tiles.tif").images  # tiles of 16 x 32: five rows of three
    images.read(0, (20, 40, 10, 10))
    assert decoded == [4]
    images.read(0, (30, 60, 4, 10))
    assert decoded[1:] == [4, 5, 7, 8]


def test_predictions_by_windows_equal_those_of_the_whole_picture(tmp_path, monkeypatch):
    X, points = make_cells(3, image_shape=(120, 150), random_state=0, return_X_y=True)
    for number, pixels in enumerate(X):
        tifffile.imwrite(
            tmp_path / f"{number}.tif", pixels, tile=(32, 32), photometric="rgb", compression="zstd"
        )
    regressor = UNetRegressor(filters=4, max_epochs=2, random_state=0, tile_size=112).fit(X, points)
    expected = regressor.predict_density(X)
    monkeypatch.setattr(_folder_store, "LARGE", 0)
    images = load_folder(tmp_path).images
    assert_allclose(regressor.predict_density(images), expected, atol=1e-6)
    windowed = UNetRegressor(filters=4, max_epochs=2, random_state=0, tile_size=112).fit(images, points)
    assert_array_equal(windowed.predict(X), regressor.predict(X))


def test_the_full_size_of_a_pyramid_is_read(tmp_path, all_are_large):
    path = tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(COLOUR, subifds=1, tile=(16, 16), photometric="rgb")
        tiff.write(COLOUR[::2, ::2], subfiletype=1, tile=(16, 16), photometric="rgb")
    images = load_folder(path).images
    assert images.shape == (1, 70, 90, 3)
    assert_array_equal(images.store.open(0)[10:30, 5:50], COLOUR[10:30, 5:50])


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (GREY > 2**15, {"photometric": "minisblack"}),
        (np.moveaxis(COLOUR, 2, 0), {"photometric": "rgb", "planarconfig": "separate"}),
        (
            np.dstack([COLOUR, np.full(SHAPE, 255, np.uint8)]),
            {"photometric": "rgb", "extrasamples": ["unassalpha"]},
        ),
    ],
)
def test_other_layouts_are_read_whole(tmp_path, all_are_large, pixels, options):
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    images = load_folder(tmp_path / "a.tif").images
    assert isinstance(images.store.open(0), np.ndarray)
    assert_array_equal(images.store.open(0), images[0])


def test_a_file_that_ends_too_early_or_has_changed_is_an_error(tmp_path, all_are_large):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, tile=(16, 16))
    images = load_folder(path).images
    opened = images.store.open(0)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(OSError, match=r"a.tif ends before the last of its strips or tiles"):
        opened[60:70, 80:90]
    images.close()
    with pytest.raises(OSError, match=r"a.tif has changed since it was loaded"):
        images.read(0, (0, 0, 5, 5))


# --- zarr ------------------------------------------------------------------------------------------


@pytest.fixture
def zarr():
    return pytest.importorskip("zarr", reason="zarr reads zarr")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_zarr_array_is_a_picture(tmp_path, zarr, version, pixels):
    chunks = (32, 32, *pixels.shape[2:])
    zarr.create_array(str(tmp_path / "a.zarr"), data=pixels, chunks=chunks, zarr_format=version)
    for images in (tmp_path, tmp_path / "a.zarr", [tmp_path / "a.zarr"]):
        data = load_folder(images)
        assert (data.names, data.images.shapes.tolist()) == (["a.zarr"], [list(pixels.shape)])
        assert_array_equal(data.images[0], pixels)
        assert_array_equal(data.images.store.open(0)[10:40, 50:90], pixels[10:40, 50:90])


@pytest.mark.parametrize("version", [2, 3])
def test_an_ome_zarr_is_read_at_its_full_size(tmp_path, zarr, version):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=version)
    pixels = np.moveaxis(COLOUR, 2, 0)[None, :, None]  # (t, c, z, y, x)
    for name, step in (("0", 1), ("1", 2)):
        group.create_array(name, data=pixels[..., ::step, ::step], chunks=(1, 1, 1, 32, 32))
    axes = [{"name": name} for name in "tczyx"]
    scales = [{"axes": axes, "datasets": [{"path": "0"}, {"path": "1"}]}]
    group.attrs.update({"multiscales": scales} if version == 2 else {"ome": {"multiscales": scales}})
    images = load_folder(tmp_path / "a.zarr").images
    assert images.shape == (1, *SHAPE, 3)
    assert_array_equal(images[0], COLOUR)
    assert_array_equal(images.store.open(0)[5:20, 7:9], COLOUR[5:20, 7:9])


def test_other_zarr_is_refused(tmp_path, zarr):
    zarr.create_array(str(tmp_path / "deep.zarr"), data=np.zeros((2, 3, 4, 5)))
    zarr.open_group(str(tmp_path / "group.zarr"), mode="w")
    (tmp_path / "empty.zarr").mkdir()
    (tmp_path / "bad.zarr").mkdir()
    (tmp_path / "bad.zarr" / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "array"}))
    with pytest.raises(
        ValueError, match=r"deep.zarr must have shape \(height, width\) or .* got \(2, 3, 4, 5\)"
    ):
        load_folder(tmp_path / "deep.zarr")
    with pytest.raises(ValueError, match=r"group.zarr must be a zarr array or an OME-Zarr picture"):
        load_folder(tmp_path / "group.zarr")
    for name in ("empty", "bad"):
        with pytest.raises(OSError, match=rf"{name}.zarr cannot be read as zarr"):
            load_folder(tmp_path / f"{name}.zarr")
