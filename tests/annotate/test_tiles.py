"""Tiles show the pixels of their picture: whole at level 0, and means of blocks above it."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skcount.annotate import _tiles
from skcount.annotate._tiles import Tiles, _shown
from skcount.images import ImageSet

law = settings(max_examples=60, deadline=None)


@pytest.fixture
def small(monkeypatch):
    """Tiles of 8 x 8 pixels, and strips so narrow that every tile is read in several."""
    monkeypatch.setattr(_tiles, "TILE", 8)
    monkeypatch.setattr(_tiles, "STRIP", 70)


def make(*pictures):
    return Tiles(ImageSet(list(pictures)))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 0.9, shape).astype(np.float32)


def block_means(picture, step):
    """Means of blocks, slowly; those at the border may be smaller."""
    height, width = picture.shape[:2]
    return np.array(
        [
            [
                picture[top : top + step, left : left + step].mean(axis=(0, 1))
                for left in range(0, width, step)
            ]
            for top in range(0, height, step)
        ]
    )


def assemble(tiles, number, level, tile=8):
    """Put all tiles of a level together."""
    height, width = tiles.images.sizes[number]
    side = tile << level
    return np.concatenate(
        [
            np.concatenate([tiles._read(number, level, i, j) for j in range(-(-width // side))], axis=1)
            for i in range(-(-height // side))
        ]
    )


def decode(content):
    """Pixels of a JPEG, (height, width, 3)."""
    image = pytest.importorskip("PIL.Image", reason="pillow reads JPEG")
    return np.asarray(image.open(BytesIO(content)))


# Pixels.


@pytest.mark.parametrize("shape", [(40, 56, 3), (41, 57, 3), (7, 30, 3), (8, 8, 3), (1, 1, 3), (65, 3, 3)])
def test_the_tiles_put_together_are_the_picture(small, shape):
    picture = noise(*shape)
    assert_array_equal(assemble(make(picture), 0, 0), picture)


@pytest.mark.parametrize("shape", [(40, 56, 3), (41, 57, 3), (7, 30, 3), (60, 3, 3)])
def test_a_level_has_the_means_of_blocks(small, shape):
    picture = noise(*shape)
    tiles = make(picture)
    for level in range(tiles.levels(0)):
        assert_allclose(assemble(tiles, 0, level), block_means(picture, 2**level), rtol=1e-5)


@pytest.mark.parametrize("strip", [1, 100, 10**9])
def test_how_much_is_read_at_once_does_not_change_the_pixels(small, monkeypatch, strip):
    picture = noise(50, 61, 3)
    expected = assemble(make(picture), 0, 2)
    monkeypatch.setattr(_tiles, "STRIP", strip)
    assert_allclose(assemble(make(picture), 0, 2), expected, rtol=1e-6)


def test_no_more_than_a_strip_is_read_at_once(small, monkeypatch):
    images, read, sizes = ImageSet([noise(64, 64, 3)]), ImageSet.read, []

    def note(self, number, window):
        sizes.append(np.prod(window[2:]) * 3)
        return read(self, number, window)

    monkeypatch.setattr(ImageSet, "read", note)
    monkeypatch.setattr(_tiles, "STRIP", 64 * 3 * 16)
    Tiles(images)._read(0, 3, 0, 0)
    assert max(sizes) <= 64 * 3 * 16
    assert sum(sizes) == 64 * 64 * 3


@law
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_means_of_constant_blocks_are_the_constant(height, width, level):
    reduced = _tiles._reduce(np.full((2, height, width), 0.375, dtype=np.float32), 2**level)
    assert reduced.shape == (2, -(-height // 2**level), -(-width // 2**level))
    assert_allclose(reduced, 0.375)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (np.array([[0, 51], [102, 255]], dtype=np.uint8), [[0, 0.2], [0.4, 1]]),
        (np.array([[0, 13107], [26214, 65535]], dtype=np.uint16), [[0, 0.2], [0.4, 1]]),
        (np.array([[-3.5, 0], [1, 1000]], dtype=np.float32), [[-3.5, 0], [1, 1000]]),
    ],
    ids=["uint8", "uint16", "float32"],
)
def test_grey_pictures_are_grey_in_the_units_of_the_images(picture, expected):
    (pixels,) = [make(picture)._read(0, 0, 0, 0)]
    assert_allclose(pixels, np.array(expected)[..., None], rtol=1e-6)


@pytest.mark.parametrize(
    ("n_channels", "channel", "kept"),
    [
        (1, -1, [0, 0, 0]),
        (2, -1, [0, 0, 0]),
        (2, 1, [1, 1, 1]),
        (3, -1, [0, 1, 2]),
        (4, -1, [0, 1, 2]),
        (4, 3, [3, 3, 3]),
    ],
)
def test_the_channels_that_are_shown(n_channels, channel, kept):
    picture = noise(10, 12, n_channels)
    assert_array_equal(_shown(make(picture)._read(0, 0, 0, 0), channel), picture[..., kept])


def test_pictures_of_several_sizes(small):
    pictures = [noise(9, 30, 3), noise(20, 4, 3, seed=1)]
    tiles = make(*pictures)
    for number, picture in enumerate(pictures):
        assert_array_equal(assemble(tiles, number, 0), picture)


# Levels, and which tiles there are.


@pytest.mark.parametrize(
    ("size", "n_levels"),
    [((1, 1), 1), ((512, 512), 1), ((513, 1), 2), ((1, 1024), 2), ((1025, 9), 3), ((32768, 1), 7), ((32769, 1), 8)],
)  # fmt: skip
def test_the_last_level_is_a_single_tile(size, n_levels):
    tiles = make(np.zeros(size, dtype=np.uint8))
    assert tiles.levels(0) == n_levels
    last = n_levels - 1
    assert tiles.is_tile(0, last, 0, 0)
    assert not tiles.is_tile(0, last, 0, 1)
    assert not tiles.is_tile(0, last, 1, 0)
    assert last == 0 or tiles.is_tile(0, last - 1, 1, 0) or tiles.is_tile(0, last - 1, 0, 1)


def test_the_tiles_that_there_are(small):
    tiles = make(noise(17, 32, 3), noise(5, 5, 3))
    found = [
        (number, level, i, j)
        for number in range(-3, 4)
        for level in range(-3, 6)
        for i in range(-4, 7)
        for j in range(-4, 7)
        if tiles.is_tile(number, level, i, j)
    ]
    level_0 = [(0, 0, i, j) for i in range(3) for j in range(4)]
    assert found == [
        *level_0,
        *((0, 1, i, j) for i in range(2) for j in range(2)),
        (0, 2, 0, 0),
        (1, 0, 0, 0),
    ]
    assert all(decode(tiles.jpeg(*tile, 0, 1)).size for tile in found)


@pytest.mark.parametrize("huge", [10**6, 2**31, 2**63, 10**400])
@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("sign", [1, -1])
def test_numbers_that_are_far_too_large_are_no_tile(huge, position, sign):
    place = [0, 0, 0, 0]
    place[position] = sign * huge
    assert not make(noise(20, 20, 3)).is_tile(*place)


# Range.


def test_the_range_is_that_of_most_pixels():
    picture = np.linspace(0, 1, 10_000, dtype=np.float32).reshape(100, 100)
    low, high = make(picture).range(0)
    assert (low, high) == pytest.approx((0.005, 0.998), abs=1e-3)


def test_the_range_is_that_of_the_last_level(small):
    picture = np.tile(np.array([[0, 1], [1, 0]], dtype=np.float32), (20, 20))  # its blocks are all the same
    assert make(picture).range(0) == pytest.approx((0.5, 1.5))


@pytest.mark.parametrize("value", [0, 200])
def test_the_range_of_a_constant_picture_is_not_empty(value):
    low, high = make(np.full((9, 9), value, dtype=np.uint8)).range(0)
    assert low == pytest.approx(value / 255)
    assert high > low


def test_the_range_leaves_out_pixels_without_a_value():
    picture = np.full((20, 20), np.nan, dtype=np.float32)
    picture[:10] = np.linspace(2, 3, 200).reshape(10, 20)
    picture[0, 0] = np.inf
    low, high = make(picture).range(0)
    assert 2 <= low < 2.1
    assert 2.9 < high <= 3
    assert make(np.full((4, 4), np.nan)).range(0) == (0, 1)


# JPEG.


@pytest.mark.parametrize("shape", [(600, 530), (600, 530, 3), (600, 530, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_jpeg_has_the_size_and_the_brightness_of_its_tile(shape, dtype):
    gradient = np.linspace(0.2, 0.8, 600)[:, None] * np.ones(530)
    picture = gradient if len(shape) == 2 else gradient[..., None].repeat(shape[2], axis=2)
    picture = (picture * (1 if dtype == np.float32 else np.iinfo(dtype).max)).astype(dtype)
    tiles = make(picture)
    assert tiles.levels(0) == 2
    sizes = {
        (0, 0, 0): (512, 512),
        (0, 1, 0): (88, 512),
        (0, 0, 1): (512, 18),
        (0, 1, 1): (88, 18),
        (1, 0, 0): (300, 265),
    }
    for (level, i, j), size in sizes.items():
        pixels = decode(tiles.jpeg(0, level, i, j, 0.0, 1.0))
        assert pixels.shape == (*size, 3)
        rows = (512 * i + (np.arange(size[0]) + 0.5) * 2**level - 0.5).astype(int)
        assert_allclose(pixels.mean(axis=(1, 2)), 255 * gradient[rows, 0], atol=3)


def test_low_is_black_and_high_is_white():
    picture = np.repeat(np.array([0, 100, 150, 200, 255], dtype=np.uint8), 16)[None].repeat(16, axis=0)
    pixels = decode(make(picture).jpeg(0, 0, 0, 0, 100 / 255, 200 / 255))
    assert_allclose(pixels[8, 8::16, 0], [0, 0, 127.5, 255, 255], atol=4)
    equal = decode(make(picture).jpeg(0, 0, 0, 0, 0.5, 0.5))  # a range without width
    assert_allclose(equal[8, 8::16, 0], [0, 0, 255, 255, 255], atol=4)


def test_pixels_without_a_value_are_black_and_infinity_is_white():
    picture = np.full((32, 32), 0.5, dtype=np.float32)
    picture[:16, :16], picture[16:, 16:], picture[:16, 16:] = np.nan, np.inf, -np.inf
    pixels = decode(make(picture).jpeg(0, 0, 0, 0, 0.0, 1.0))[..., 0]
    assert_allclose([pixels[8, 8], pixels[24, 24], pixels[8, 24], pixels[24, 8]], [0, 255, 0, 128], atol=4)


def test_pictures_larger_than_a_tile_can_have_pixels_without_a_value():
    picture = np.full((600, 20), 0.5, dtype=np.float32)
    picture[100:200] = np.nan
    pixels = decode(make(picture).jpeg(0, 1, 0, 0, 0.0, 1.0))[..., 0]
    assert_allclose([pixels[75, 5], pixels[200, 5]], [0, 128], atol=4)


# Density.


def test_the_density_is_orange_over_its_objects_alone():
    tiles = make(np.full((40, 600), 128, dtype=np.uint8))
    density = np.zeros((40, 600), dtype=np.float32)
    density[:, 560:] = 0.25
    tiles.densities[0] = density
    without = decode(tiles.jpeg(0, 0, 0, 1, 0.0, 1.0))
    for level, j, at, off in ((0, 1, 68, 20), (1, 0, 290, 100)):
        pixels = decode(tiles.jpeg(0, level, 0, j, 0.0, 1.0, density=True))
        red, green, blue = pixels[10, at].astype(int)
        assert red > green > blue
        assert_allclose(
            [red, green, blue], 255 * (0.25 * 128 / 255 + 0.75 * np.array([1, 0.55, 0.1])), atol=8
        )
        assert_allclose(pixels[10, off], 128, atol=4)
    assert_array_equal(decode(tiles.jpeg(0, 0, 0, 1, 0.0, 1.0)), without)  # only if it is wanted


def test_a_density_of_nothing_or_none_at_all_leaves_the_picture_as_it_is():
    tiles = make(noise(30, 30))
    plain = tiles.jpeg(0, 0, 0, 0, 0.0, 1.0)
    assert tiles.jpeg(0, 0, 0, 0, 0.0, 1.0, density=True) == plain
    tiles.densities[0] = np.zeros((30, 30), dtype=np.float32)
    assert tiles.jpeg(0, 0, 0, 0, 0.0, 1.0, density=True) == plain


@pytest.mark.parametrize(("low", "high"), [(-1e38, 1e38), (0.0, 1e-300), (1.0, 0.0), (-5.0, -4.0)])
def test_unusual_ranges_give_a_jpeg(low, high):
    assert decode(make(noise(9, 9)).jpeg(0, 0, 0, 0, low, high)).shape == (9, 9, 3)
