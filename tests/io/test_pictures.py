from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from skcount.io._pictures import read_channels, read_header, read_picture

Image = pytest.importorskip("PIL.Image", reason="pillow reads pictures")
tifffile = pytest.importorskip("tifffile", reason="tifffile reads TIFF")
imagecodecs = pytest.importorskip("imagecodecs", reason="imagecodecs reads PNG of 16 bits a channel")

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
OPAQUE = np.full((5, 7), 255, dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (5, 7, 4), dtype=np.uint16)


def read(path, **options):
    """The pixels; the header must have told them."""
    header = read_header(path, **options)
    pixels = read_picture(path, **options)
    assert header[:2] == (pixels.shape, pixels.dtype)
    assert pixels.dtype.isnative
    return pixels


def save(path, pixels, mode=None, **options):
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def write_tiff(path, pixels, **options):
    tifffile.imwrite(path, pixels, **options)
    return path


# --- PNG, JPEG, BMP -------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "bmp"])
@pytest.mark.parametrize("pixels", [GREY, RGB, GREY > 99], ids=["grey", "rgb", "one bit"])
def test_pixels_of_8_bits_or_one_come_back(tmp_path, pixels, suffix):
    expected = np.where(pixels, 255, 0) if pixels.dtype == bool else pixels
    assert_array_equal(read(save(tmp_path / f"a.{suffix}", pixels)), expected)


@given(channels=st.sampled_from([0, 2, 3, 4]), data=st.data())
def test_16_bits_stay_16_bits_in_every_channel(tmp_path_factory, channels, data):
    shape = (3, 4, channels) if channels else (3, 4)
    pixels = data.draw(arrays(np.uint16, shape))
    if channels in {2, 4}:
        pixels[:, :, -1] = 65535
    path = tmp_path_factory.mktemp("png") / "a.png"
    path.write_bytes(imagecodecs.png_encode(pixels))
    expected = {2: pixels[..., 0], 4: pixels[..., :3]}.get(channels, pixels)
    assert_array_equal(read(path), expected)


def test_a_palette_is_its_colours_or_its_indices(tmp_path):
    image = Image.fromarray(GREY % 3)
    image.putpalette([9, 8, 7, 6, 5, 4, 3, 2, 1])
    image.save(tmp_path / "a.png")
    colours = np.array([[9, 8, 7], [6, 5, 4], [3, 2, 1]])
    assert_array_equal(read(tmp_path / "a.png"), colours[GREY % 3])
    assert_array_equal(read_channels(tmp_path / "a.png"), GREY % 3)
    colormap = np.zeros((3, 256), dtype=np.uint16)
    tiff = write_tiff(tmp_path / "a.tif", GREY, photometric="palette", colormap=colormap)
    assert_array_equal(read_channels(tiff), GREY)


@pytest.mark.parametrize("colours", [GREY[:, :, None], RGB], ids=["grey", "rgb"])
def test_a_channel_that_says_opaque_is_dropped_and_any_other_refused(tmp_path, colours):
    opaque = save(tmp_path / "a.png", np.dstack([colours, OPAQUE]))
    assert_array_equal(read(opaque), colours.squeeze())
    clear = save(tmp_path / "b.png", np.dstack([colours, OPAQUE - (GREY[2, 3] == GREY)]))
    with pytest.raises(ValueError, match=r"b.png is transparent in places, .* Flatten it"):
        read_picture(clear)


def test_a_palette_and_a_tiff_that_are_transparent_in_places_are_refused(tmp_path):
    palette = save(tmp_path / "a.png", GREY % 3, "P", transparency=1)
    options = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    for path in (palette, write_tiff(tmp_path / "a.tif", np.dstack([RGB, GREY]), **options)):
        with pytest.raises(ValueError, match="transparent in places"):
            read_picture(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_upright(tmp_path, orientation):
    # What the camera stores, by what is to be seen: a bright upper left corner of a wide picture.
    seen = np.zeros((16, 32), dtype=np.uint8)
    seen[:8, :8] = 255
    turned = seen[::-1, ::-1]
    stored = [seen, seen[:, ::-1], turned, seen[::-1], seen.T, np.rot90(seen), turned.T, np.rot90(seen, -1)]
    image = Image.fromarray(np.ascontiguousarray(stored[orientation - 1]))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.jpg", exif=exif, quality=100)
    pixels = read(tmp_path / "a.jpg")
    assert pixels.shape == (16, 32)
    assert np.abs(pixels.astype(int) - seen).max() < 20


@pytest.mark.parametrize(
    ("name", "mode", "message"),
    [
        ("a.jpg", "CMYK", "is of pillow's mode CMYK; expected grey, RGB or a palette"),
        ("a.gif", "RGB", "is a GIF picture; expected PNG, JPEG, BMP or TIFF"),
        ("a.webp", "RGB", "is a WEBP picture"),
    ],
)
def test_other_pictures_are_refused(tmp_path, name, mode, message):
    path = save(tmp_path / name, RGB, mode)
    for function in (read_header, read_picture):
        with pytest.raises(ValueError, match=f"{name} {message}"):
            function(path)


def test_an_animation_is_refused(tmp_path):
    path = save(tmp_path / "a.png", GREY, save_all=True, append_images=[Image.fromarray(255 - GREY)])
    with pytest.raises(ValueError, match="holds 2 pictures; expected one"):
        read_header(path)


# --- TIFF -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "i2", "u4", "f2", ">f4", "f8"])
def test_every_type_of_pixels_stays_what_it_is(tmp_path, dtype):
    pixels = RNG.integers(0, 100, (5, 7)).astype(dtype)
    byteorder = ">" if dtype.startswith(">") else "<"
    found = read(write_tiff(tmp_path / "a.tif", pixels, byteorder=byteorder))
    assert_array_equal(found, pixels)
    assert found.dtype == pixels.dtype.newbyteorder("=")


@pytest.mark.parametrize(
    ("pixels", "options", "expected"),
    [
        (RGB, {"photometric": "rgb"}, RGB),
        (RGB.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}, RGB),
        (RGB, {"photometric": "rgb", "compression": "lzw"}, RGB),
        (RGB, {"photometric": "rgb", "compression": "zstd", "predictor": True}, RGB),
        (DEEP.transpose(2, 0, 1), {"imagej": True, "metadata": {"axes": "CYX"}}, DEEP),
        (DEEP.transpose(2, 0, 1), {"ome": True, "metadata": {"axes": "CYX"}}, DEEP),
        (DEEP, {"photometric": "minisblack", "planarconfig": "contig"}, DEEP),
        (GREY[None, None], {"imagej": True, "metadata": {"axes": "TZYX"}}, GREY),
        (GREY[:1], {}, GREY[:1]),
        (GREY[:1, :1], {}, GREY[:1, :1]),
        (np.dstack([RGB, OPAQUE]), {"photometric": "rgb", "extrasamples": ["unassalpha"]}, RGB),
        (
            np.dstack([GREY, OPAQUE]),
            {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["assocalpha"]},
            GREY,
        ),
    ],
)
def test_channels_come_last(tmp_path, pixels, options, expected):
    assert_array_equal(read(write_tiff(tmp_path / "a.tif", pixels, **options)), expected)


@pytest.mark.parametrize(
    ("pixels", "options", "message"),
    [
        (
            np.stack([GREY] * 4),
            {"imagej": True, "metadata": {"axes": "TYX"}},
            "is a stack of 4 x 5 x 7 along the axes TYX",
        ),
        (np.stack([GREY] * 3), {"photometric": "minisblack"}, "is a stack of 3 x 5 x 7"),
        (np.stack([RGB] * 2), {"photometric": "rgb"}, "is a stack of 2 x 5 x 7 x 3"),
        (GREY, {"photometric": "miniswhite"}, "is of the kind MINISWHITE; expected grey with 0 for black"),
        (GREY, {"photometric": "palette", "colormap": np.zeros((3, 256), dtype=np.uint16)}, "has a palette"),
        (GREY, {"extratags": [(274, 3, 1, 6, True)]}, "has the orientation 6"),
        (GREY.astype(complex), {}, "holds pixels of type complex128"),
    ],
)
def test_tiffs_of_other_kinds_are_refused_unread(tmp_path, pixels, options, message):
    path = write_tiff(tmp_path / "a.tif", pixels, **options)
    for function in (read_header, read_picture):
        with pytest.raises(ValueError, match=f"a.tif {message}"):
            function(path)


def test_several_series_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(GREY)
        tiff.write(RGB, photometric="rgb")
    message = r"holds 2 series of pictures; expected one. Save each picture as a file"
    with pytest.raises(ValueError, match=message):
        read_header(tmp_path / "a.tif")


# --- Damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "deep", "lzw"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_truncated_picture_is_an_error(tmp_path, kind, kept):
    noise = RNG.integers(0, 65536, (40, 50, 3)).astype(np.uint16)
    path = tmp_path / f"a.{kind}"
    if kind == "deep":
        path.write_bytes(imagecodecs.png_encode(noise))
    elif kind == "lzw":
        write_tiff(path, noise, photometric="rgb", compression="lzw")
    else:
        save(path, noise.astype(np.uint8), format={"jpg": "jpeg"}.get(kind, kind))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(OSError, match=f"a.{kind} cannot be read as a picture"):
        read_picture(path)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_picture_that_declares_too_many_pixels_is_refused_unread(tmp_path, monkeypatch, suffix):
    path = Path(tmp_path / f"a.{suffix}")
    if suffix == "png":
        save(path, GREY)
    else:  # not in a layout whose windows are read
        write_tiff(path, np.stack([GREY] * 3), photometric="rgb", planarconfig="separate")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 17)
    with pytest.raises(ValueError, match=rf"a.{suffix} .* 34.*raise PIL.Image.MAX_IMAGE_PIXELS"):
        read_header(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read_header(path).shape[:2] == (5, 7)


def test_a_picture_that_is_read_in_windows_may_be_larger(tmp_path, monkeypatch):
    path = Path(tmp_path / "a.tif")
    write_tiff(path, GREY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 17)
    assert read_header(path).shape == (5, 7)
    with pytest.raises(ValueError, match=r"raise PIL\.Image\.MAX_IMAGE_PIXELS"):
        read_picture(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 0.17)
    with pytest.raises(ValueError, match=r"raise PIL\.Image\.MAX_IMAGE_PIXELS"):
        read_header(path)
