import os
import re
import tempfile
import weakref
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from skcount.images import ImageSet
from skcount.io import load_hdf5, save_hdf5
from skcount.points import PointAnnotations

COMPRESSIONS = ["zstd", "gzip", None]
PIXELS = np.random.default_rng(0).integers(0, 9, (6, 8, 10, 3)).astype(np.uint8)
POINTS = PointAnnotations([np.full((i, 2), i + 0.25) for i in range(6)])

DTYPES = ["?", "u1", "u2", "u4", "i2", "i8", "f2", "f4", "f8", ">u2", ">f4"]
CIRCLE = tempfile.TemporaryDirectory()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cells.h5"
    save_hdf5(path, PIXELS, POINTS, description="Six images.")
    return path


def there_and_back(images, points, **options):
    """Return what is loaded after it was saved."""
    path = Path(CIRCLE.name) / "circle.h5"
    save_hdf5(path, images, points, **options)
    return load_hdf5(path)


def points_strategy():
    coordinate = st.floats(-1e6, 1e6) | st.floats(allow_nan=False, allow_infinity=False)
    one = st.integers(0, 5).flatmap(lambda n: hnp.arrays(np.float64, (n, 2), elements=coordinate))
    return st.lists(one, min_size=1, max_size=5)


# --- The circle: what is saved is what is loaded -----------------------------------------------


@given(points=points_strategy(), compression=st.sampled_from(COMPRESSIONS))
@settings(max_examples=30, deadline=None)
def test_points_come_back_exactly(points, compression):
    loaded = there_and_back(np.zeros((len(points), 2, 2)), points, compression=compression).points
    assert loaded == PointAnnotations(points)
    assert loaded.coordinates.tobytes() == PointAnnotations(points).coordinates.tobytes()


@given(
    data=st.data(),
    dtype=st.sampled_from(DTYPES),
    channels=st.sampled_from([(), (1,), (3,)]),
    compression=st.sampled_from(COMPRESSIONS),
)
@settings(max_examples=60, deadline=None)
def test_images_of_any_type_and_size_come_back_exactly(data, dtype, channels, compression):
    sizes = data.draw(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=4))
    images = [data.draw(hnp.arrays(dtype, (*size, *channels))) for size in sizes]
    with there_and_back(images, [[]] * len(images), compression=compression).images as loaded:
        assert loaded.dtype == np.dtype(dtype).newbyteorder("=")
        assert loaded.shape == ImageSet(images).shape
        assert loaded.shapes.tolist() == [list(image.shape) for image in images]
        for number in data.draw(st.permutations(range(len(images)))):
            assert loaded[number].flags.writeable
            assert_array_equal(loaded[number], images[number], strict=np.dtype(dtype).isnative)


TEXTS = st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: text.rstrip("\0"))


@given(
    groups=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=4)
    | st.lists(TEXTS, min_size=4, max_size=4)
)
@settings(max_examples=40, deadline=None)
def test_groups_come_back_exactly(groups):
    loaded = there_and_back(np.zeros((4, 2, 2)), [[]] * 4, groups=groups)
    assert loaded.groups.tolist() == groups
    assert loaded.images[[2, 0]].groups.tolist() == [groups[2], groups[0]]


def test_maps_of_all_images_come_back(tmp_path):
    roi = PIXELS[0, :, :, 0] > 3
    perspective = np.linspace(0.5, 2, 80).reshape(8, 10).astype(np.float32)
    save_hdf5(tmp_path / "a.h5", PIXELS, POINTS, roi=roi, perspective=perspective)
    loaded = load_hdf5(tmp_path / "a.h5")
    assert_array_equal(loaded.roi, roi, strict=True)
    assert_array_equal(loaded.perspective, perspective, strict=True)
    assert loaded.images.roi is loaded.roi
    assert loaded.images.perspective is loaded.perspective
    assert repr(loaded.images).endswith("in a.h5, with roi, perspective)")


MIXED = [np.full(size, n, dtype=np.uint8) for n, size in enumerate([(4, 5), (3, 3), (4, 5), (6, 2)])]
MASKS = [np.arange(image.size).reshape(image.shape) % (n + 2) == 0 for n, image in enumerate(MIXED)]
SCALES = [np.full(image.shape, 0.5 + number) for number, image in enumerate(MIXED)]


@pytest.mark.parametrize("kind", [list, ImageSet, iter])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_maps_of_each_image_come_back(tmp_path, kind, compression):
    images = iter(MIXED) if kind is iter else MIXED
    maps = {"roi": kind(MASKS), "perspective": kind(SCALES)}
    save_hdf5(tmp_path / "a.h5", images, [[]] * 4, compression=compression, **maps)
    loaded = load_hdf5(tmp_path / "a.h5")
    with loaded.images as images:
        for number in (3, 0, 2, 1):
            assert_array_equal(images[number], MIXED[number])
            assert_array_equal(loaded.roi[number], MASKS[number], strict=True)
            assert_array_equal(loaded.perspective[number], SCALES[number], strict=True)
        assert_array_equal(images[::-1].roi[0], MASKS[3])


def test_what_an_image_set_carries_is_written_with_it(tmp_path):
    images = ImageSet(MIXED, roi=MASKS, perspective=SCALES, groups=[1, 1, 2, 2])
    save_hdf5(tmp_path / "a.h5", images, [[]] * 4)
    with load_hdf5(tmp_path / "a.h5").images as first:
        save_hdf5(tmp_path / "b.h5", first[[3, 1]], [[]] * 2, groups=["d", "b"])
    with load_hdf5(tmp_path / "b.h5").images as second:
        assert_array_equal(second[1], MIXED[1])
        assert_array_equal(second.roi[0], MASKS[3])
        assert_array_equal(second.perspective[1], SCALES[1])
        assert second.groups.tolist() == ["d", "b"]


@given(description=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
@settings(max_examples=20, deadline=None)
@example("ä" * 100_000)
def test_the_description_comes_back(description):
    assert there_and_back(np.zeros((1, 2, 2)), [[]], description=description)["DESCR"] == description


def test_what_is_loaded(path):
    data = load_hdf5(str(path))
    assert set(data) == {"images", "points", "groups", "roi", "perspective", "DESCR"}
    assert (data.groups, data.roi, data.perspective, data.DESCR) == (None, None, None, "Six images.")
    assert repr(data.images) == "ImageSet(6 images of 8 x 10 x 3, uint8, in cells.h5)"
    images, points = load_hdf5(path, return_X_y=True)
    assert_array_equal(np.asarray(images), PIXELS)
    assert points == POINTS


def test_every_table_has_a_checksum_and_each_image_is_a_chunk(tmp_path):
    path = tmp_path / "a.h5"
    maps = {"roi": PIXELS[0, :, :, 0] >= 0, "perspective": PIXELS[..., 0] + 1.0}
    save_hdf5(path, PIXELS, POINTS, groups=list("aabbcc"), **maps)
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update({name: item.fletcher32}) if hasattr(item, "shape") else None
        )
        assert file["images/8x10x3"].chunks == (1, 8, 10, 3)
        properties = file["images/8x10x3"].id.get_create_plist()
        filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
        assert filters == [32015]  # the registered number of zstd
        assert file["perspective/8x10"].chunks == (1, 8, 10)
    chunked = ["images/8x10x3", "perspective/8x10"]
    assert [name for name, has_checksum in found.items() if not has_checksum] == chunked
    tables = {"image_checksums", "perspective_checksums", "roi", "groups", "points/lengths", "description"}
    assert tables <= set(found)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "float32"])
@pytest.mark.parametrize("compression", ["gzip", None])
def test_other_programs_read_the_images_through_hdf5_itself(tmp_path, dtype, compression):
    images = (np.random.default_rng(0).random((3, 30, 40)) * 99).astype(dtype)
    save_hdf5(tmp_path / "a.h5", images, [[]] * 3, compression=compression)
    with h5py.File(tmp_path / "a.h5") as file:
        assert_array_equal(file["images/30x40"][()], images, strict=True)


def test_every_kind_of_iterable_makes_the_same_file(tmp_path):
    for number, images in enumerate([PIXELS, list(PIXELS), tuple(PIXELS), ImageSet(PIXELS), iter(PIXELS)]):
        save_hdf5(tmp_path / f"{number}.h5", images, POINTS)
    files = [(tmp_path / f"{number}.h5").read_bytes() for number in range(5)]
    assert len({len(file) for file in files}) == 1
    if h5py.version.version_tuple[:2] >= (3, 15):  # older ones write the time
        assert len(set(files)) == 1
    save_hdf5(tmp_path / "lists.h5", (p.tolist() for p in PIXELS), POINTS)
    assert_array_equal(np.asarray(load_hdf5(tmp_path / "lists.h5").images), PIXELS)


def test_a_file_can_be_rewritten_from_itself(path):
    images, points = load_hdf5(path, return_X_y=True)
    with images:
        save_hdf5(path, images[::-1], points[::-1])
    assert_array_equal(np.asarray(load_hdf5(path).images), PIXELS[::-1])


def test_a_stream_is_held_one_image_at_a_time(tmp_path):
    alive, most = weakref.WeakSet(), 0

    class Image(np.ndarray):
        __hash__ = object.__hash__

    def stream():
        nonlocal most
        for _ in range(20):
            image = np.zeros((4, 4)).view(Image)
            alive.add(image)
            most = max(most, len(alive))
            yield image

    save_hdf5(tmp_path / "stream.h5", stream(), [[]] * 20)
    assert most <= 2  # the one that is written and the one that is made


DOCUMENTATION = Path(__file__).parents[3] / "docs" / "hdf5.md"


@pytest.mark.skipif(not DOCUMENTATION.exists(), reason="the documentation stands in the checkout")
def test_the_documentation_tells_other_programs_the_truth(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall("(?s)```python\n(.*?)```", DOCUMENTATION.read_text()):
        exec(block, names)  # noqa: S102 - our own documentation
    assert_array_equal(names["pixels"], np.full((64, 80, 3), 99))
    assert_array_equal(names["row_col"], [(3.5, 40)])
    names["cells"].images.close()


# --- What is refused, before anything is written -------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": POINTS[:5]}, "`images` .* 6 and 5"),
        ({"images": iter(PIXELS[:4])}, "`images` .* 4 and 6"),
        ({"images": iter([*PIXELS, PIXELS[0]])}, "`images` .* more than 6 and 6"),
        ({"images": iter([*PIXELS[:3], PIXELS[3] / 2])}, "Image 3 .*has dtype float64"),
        ({"images": iter([PIXELS[0], "cell.png"])}, "Image 1 .*is the name 'cell.png'"),
        ({"images": PIXELS[0]}, r"X\[None\]"),
        ({"images": PIXELS * 1j}, "complex128"),
        ({"images": "cells.png"}, "`images` .* str"),
        ({"images": None}, "`images` .* NoneType"),
        ({"images": iter([]), "points": []}, "`points` is empty"),
        ({"points": [[(0, np.nan)]] * 6}, "NaN or infinity"),
        ({"points": [[(0, 1, 2)]] * 6}, r"expected \(n_points, 2\)"),
        ({"compression": "szip"}, "`compression` .* 'szip'"),
        ({"compression": 4}, "The 'compression' parameter of save_hdf5 must be"),
        ({"groups": [1, 2]}, r"`groups` must have shape \(6,\).*got \(2,\)"),
        ({"images": iter(PIXELS), "groups": [1, 2]}, r"`groups` must have shape \(6,\).*got \(2,\)"),
        ({"roi": np.ones((8, 9), bool)}, r"`roi` must have shape \(8, 10\).*got \(8, 9\)"),
        ({"images": iter(PIXELS), "roi": np.ones((8, 9), bool)}, r"`roi` of image 0 must .*got \(8, 9\)"),
        *(
            ({"roi": (np.ones((8, 10), bool) for _ in range(n))}, f"`roi` .* {words} and 6")
            for n, words in ((4, "4"), (7, "more than 6"))
        ),
        (
            {"roi": (np.arange(80).reshape(8, 10) > 82 - n for n in range(6))},
            "`roi` of image 0 has no pixel inside",
        ),
        (
            {"images": iter(PIXELS), "perspective": [np.ones((8, 10))] * 5 + [np.zeros((8, 10))]},
            "`perspective` of image 5 .* got 0.0 at",
        ),
        (
            {"perspective": (np.ones((8, 10), f"f{8 >> n % 2}") for n in range(6))},
            "`perspective` .* float64 for image 0 and float32 for image 1",
        ),
        ({"images": iter(PIXELS), "roi": 3}, "`roi` .* int"),
        ({"description": b"cells"}, "The 'description' parameter of save_hdf5 must be an instance of 'str'"),
        ({"description": "a\0"}, "`description` .* NUL"),
        ({"description": "a\ud800"}, r"`description` .* 'a\\ud800'"),
        ({"groups": ["a", "b", "c", "d", "e", "\udcff"]}, r"`groups` .* '\\udcff'"),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(tmp_path, changes, message):
    arguments = {"images": PIXELS, "points": POINTS} | changes
    with pytest.raises(ValueError, match=message):
        save_hdf5(tmp_path / "cells.h5", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*missing to write cells.h5"):
        save_hdf5(tmp_path / "missing" / "cells.h5", PIXELS, POINTS)
    with pytest.raises(ValueError, match="is a folder"):
        save_hdf5(tmp_path, PIXELS, POINTS)


@pytest.mark.parametrize("kind", [ImageSet, iter])
def test_an_image_larger_than_a_chunk_can_be_is_refused(tmp_path, kind):
    images = kind(np.broadcast_to(np.uint8(0), (1, 70_000, 70_000)))
    with pytest.raises(ValueError, match=r"at most 4294967295 bytes.* 4900000000"):
        save_hdf5(tmp_path / "a.h5", images, [[]])
    assert list(tmp_path.iterdir()) == []


# --- A writer that fails leaves what was there ---------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("no more"), KeyboardInterrupt()])
def test_a_writer_that_fails_leaves_the_old_file_and_no_other(path, error):
    def stream():
        yield PIXELS[0]
        raise error

    before = path.read_bytes()
    with pytest.raises(type(error)):
        save_hdf5(path, stream(), POINTS)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_file_has_the_permissions_of_any_new_file(path):
    (path.parent / "other").touch()
    assert path.stat().st_mode == (path.parent / "other").stat().st_mode
