import gc
import os
import pickle
import re
import tempfile
import weakref
from multiprocessing import get_context
from pathlib import Path

import h5py
import joblib
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from skcount.images._image_set import ImageSet
from skcount.io._hdf5 import load_hdf5, save_hdf5
from skcount.io._hdf5._codecs import checksum
from skcount.io._hdf5._format import VERSION
from skcount.points import PointAnnotations

COMPRESSIONS = ["zstd", "gzip", None]
PIXELS = np.random.default_rng(0).integers(0, 9, (6, 8, 10, 3)).astype(np.uint8)
POINTS = PointAnnotations([np.full((i, 2), i + 0.25) for i in range(6)])

DTYPES = [
    "bool",
    "uint8",
    "uint16",
    "uint32",
    "int16",
    "int64",
    "float16",
    "float32",
    "float64",
    ">u2",
    ">f4",
]

on_linux = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to see open files")
can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cells.h5"
    save_hdf5(path, PIXELS, POINTS, description="Six images.")
    return path


def is_open(path):
    descriptors = Path("/proc/self/fd").iterdir()
    return any(os.path.realpath(descriptor) == str(path.resolve()) for descriptor in descriptors)


def points_strategy():
    coordinate = st.floats(-1e6, 1e6) | st.floats(allow_nan=False, allow_infinity=False)
    one = st.integers(0, 5).flatmap(lambda n: hnp.arrays(np.float64, (n, 2), elements=coordinate))
    return st.lists(one, min_size=1, max_size=5)


# --- The circle: what is saved is what is loaded -----------------------------------------------


@given(points=points_strategy(), compression=st.sampled_from(COMPRESSIONS))
@settings(max_examples=30, deadline=None)
def test_points_come_back_exactly(points, compression):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.h5"
        save_hdf5(path, np.zeros((len(points), 2, 2)), points, compression=compression)
        loaded = load_hdf5(path).points
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
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.h5"
        save_hdf5(path, images, [[]] * len(images), compression=compression)
        with load_hdf5(path).images as loaded:
            assert loaded.dtype == np.dtype(dtype).newbyteorder("=")
            assert loaded.shape == ImageSet(images).shape
            for image, expected in zip(loaded, images, strict=True):
                assert image.flags.writeable
                assert_array_equal(image, expected, strict=np.dtype(dtype).isnative)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
@pytest.mark.parametrize("one_size", [True, False])
def test_the_usual_images_come_back_exactly(tmp_path, dtype, compression, one_size):
    rng = np.random.default_rng(0)
    sizes = [(40, 50, 3)] * 5 if one_size else [(40, 50, 3), (7, 9, 3), (40, 50, 3), (50, 40, 3), (7, 9, 3)]
    images = [(rng.random(size) * 200).astype(dtype) for size in sizes]
    save_hdf5(tmp_path / "images.h5", images, [[]] * 5, compression=compression)
    with load_hdf5(tmp_path / "images.h5").images as loaded:
        assert loaded.shapes.tolist() == [list(size) for size in sizes]
        for number in (4, 0, 3, 1, 2):
            assert_array_equal(loaded[number], images[number], strict=True)


labels = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=4),
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"])).map(lambda t: t.rstrip("\0")),
        min_size=4,
        max_size=4,
    ),
)


@given(groups=labels)
@settings(max_examples=40, deadline=None)
def test_groups_come_back_exactly(groups):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "groups.h5"
        save_hdf5(path, np.zeros((4, 2, 2)), [[]] * 4, groups=groups)
        loaded = load_hdf5(path)
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


MIXED = [
    np.full(size, number, dtype=np.uint8) for number, size in enumerate([(4, 5), (3, 3), (4, 5), (6, 2)])
]


def masks_of(images):
    return [
        np.arange(image.size).reshape(image.shape) % (number + 2) == 0 for number, image in enumerate(images)
    ]


def scales_of(images):
    return [np.full(image.shape, 0.5 + number) for number, image in enumerate(images)]


def as_stream(items):
    yield from items


@pytest.mark.parametrize("kind", [list, ImageSet, as_stream])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_maps_of_each_image_come_back(tmp_path, kind, compression):
    masks, scales = masks_of(MIXED), scales_of(MIXED)
    images = as_stream(MIXED) if kind is as_stream else MIXED
    maps = {"roi": kind(masks), "perspective": kind(scales)}
    save_hdf5(tmp_path / "a.h5", images, [[]] * 4, compression=compression, **maps)
    loaded = load_hdf5(tmp_path / "a.h5")
    with loaded.images as images:
        for number in (3, 0, 2, 1):
            assert_array_equal(images[number], MIXED[number])
            assert_array_equal(loaded.roi[number], masks[number], strict=True)
            assert_array_equal(loaded.perspective[number], scales[number], strict=True)
        assert_array_equal(images[::-1].roi[0], masks[3])


def test_what_an_image_set_carries_is_written_with_it(tmp_path):
    images = ImageSet(MIXED, roi=masks_of(MIXED), perspective=scales_of(MIXED), groups=[1, 1, 2, 2])
    save_hdf5(tmp_path / "a.h5", images, [[]] * 4)
    with load_hdf5(tmp_path / "a.h5").images as first:
        save_hdf5(tmp_path / "b.h5", first[[3, 1]], [[]] * 2, groups=["d", "b"])
    with load_hdf5(tmp_path / "b.h5").images as second:
        assert_array_equal(second[1], MIXED[1])
        assert_array_equal(second.roi[0], masks_of(MIXED)[3])
        assert_array_equal(second.perspective[1], scales_of(MIXED)[1])
        assert second.groups.tolist() == ["d", "b"]


@given(description=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
@settings(max_examples=20, deadline=None)
def test_the_description_comes_back(description):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text.h5"
        save_hdf5(path, np.zeros((1, 2, 2)), [[]], description=description)
        assert load_hdf5(path)["DESCR"] == description


def test_a_long_description_comes_back(tmp_path):
    save_hdf5(tmp_path / "long.h5", PIXELS, POINTS, description="ä" * 100_000)
    assert load_hdf5(tmp_path / "long.h5").DESCR == "ä" * 100_000


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
    save_hdf5(
        path,
        PIXELS,
        POINTS,
        roi=PIXELS[0, :, :, 0] >= 0,
        perspective=PIXELS[..., 0] + 1.0,
        groups=list("aabbcc"),
    )
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update({name: item.fletcher32}) if hasattr(item, "shape") else None
        )
        assert file["images/8x10x3"].chunks == (1, 8, 10, 3)
        assert file["perspective/8x10"].chunks == (1, 8, 10)
    assert [name for name, has_checksum in found.items() if not has_checksum] == [
        "images/8x10x3",
        "perspective/8x10",
    ]
    assert {
        "image_checksums",
        "perspective_checksums",
        "roi",
        "groups",
        "points/lengths",
        "description",
    } <= set(found)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "float32"])
@pytest.mark.parametrize("compression", ["gzip", None])
def test_other_programs_read_the_images_through_hdf5_itself(tmp_path, dtype, compression):
    images = (np.random.default_rng(0).random((3, 30, 40)) * 99).astype(dtype)
    save_hdf5(tmp_path / "a.h5", images, [[]] * 3, compression=compression)
    with h5py.File(tmp_path / "a.h5") as file:
        assert_array_equal(file["images/30x40"][()], images, strict=True)


def test_zstd_stands_in_the_file_under_its_registered_number(path):
    with h5py.File(path) as file:
        properties = file["images/8x10x3"].id.get_create_plist()
        assert [properties.get_filter(i)[0] for i in range(properties.get_nfilters())] == [32015]


def test_every_kind_of_iterable_makes_the_same_file(tmp_path):
    kinds = [
        PIXELS,
        list(PIXELS),
        tuple(PIXELS),
        ImageSet(PIXELS),
        iter(PIXELS),
        (p.tolist() for p in PIXELS),
    ]
    for number, images in enumerate(kinds[:-1]):
        save_hdf5(tmp_path / f"{number}.h5", images, POINTS)
    files = [(tmp_path / f"{number}.h5").read_bytes() for number in range(len(kinds) - 1)]
    assert len({len(file) for file in files}) == 1
    if h5py.version.version_tuple[:2] >= (3, 15):  # older ones write the time
        assert len(set(files)) == 1
    save_hdf5(tmp_path / "lists.h5", kinds[-1], POINTS)
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
        ({"points": POINTS[:5]}, "6 images and points of 5 images"),
        ({"images": iter(PIXELS[:4])}, "4 images and points of 6 images"),
        ({"images": iter([*PIXELS, PIXELS[0]])}, "more than 6 images and points of 6"),
        ({"images": iter([*PIXELS[:3], PIXELS[3] / 2])}, "Image 3 has dtype float64"),
        ({"images": iter([PIXELS[0], "cell.png"])}, "Image 1 is the name 'cell.png'; expected pixels"),
        ({"images": PIXELS[0]}, r"X\[None\]"),
        ({"images": PIXELS * 1j}, "complex128"),
        ({"images": "cells.png"}, "images is a str"),
        ({"images": None}, "images is a NoneType"),
        ({"images": iter([]), "points": []}, "points is empty"),
        ({"points": [[(0, np.nan)]] * 6}, "NaN or infinity"),
        ({"points": [[(0, 1, 2)]] * 6}, r"expected \(n_points, 2\)"),
        ({"compression": "szip"}, "compression='szip'; expected 'zstd', 'gzip' or None"),
        ({"compression": 4}, "The 'compression' parameter of save_hdf5 must be"),
        ({"groups": [1, 2]}, r"groups has shape \(2,\) and there are 6 images"),
        ({"images": iter(PIXELS), "groups": [1, 2]}, r"groups has shape \(2,\) and there are 6 images"),
        ({"roi": np.ones((8, 9), bool)}, r"The roi has shape \(8, 9\); expected \(8, 10\)"),
        ({"images": iter(PIXELS), "roi": np.ones((8, 9), bool)}, r"The roi of image 0 has shape \(8, 9\)"),
        (
            {"roi": (np.ones((8, 10), bool) for _ in range(4))},
            "4 maps of roi and points of 6 images; .*one map an image",
        ),
        (
            {"roi": (np.ones((8, 10), bool) for _ in range(7))},
            "more than 6 maps of roi and points of 6 images",
        ),
        (
            {"roi": (np.arange(80).reshape(8, 10) > 82 - n for n in range(6))},
            "roi of image 0 has no pixel inside",
        ),
        (
            {"images": iter(PIXELS), "perspective": [np.ones((8, 10))] * 5 + [np.zeros((8, 10))]},
            "image 5 is 0.0 at",
        ),
        (
            {"perspective": (np.ones((8, 10), f"f{8 >> n % 2}") for n in range(6))},
            "1 has dtype float32, .* 0 float64",
        ),
        ({"images": iter(PIXELS), "roi": 3}, "roi is a int"),
        ({"description": b"cells"}, "The 'description' parameter of save_hdf5 must be an instance of 'str'"),
        ({"description": "a\0"}, "without NUL"),
        ({"description": "a\ud800"}, r"description holds 'a\\ud800', which UTF-8 cannot tell"),
        ({"groups": ["a", "b", "c", "d", "e", "\udcff"]}, r"groups holds '\\udcff', which UTF-8 cannot tell"),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(tmp_path, changes, message):
    arguments = {"images": PIXELS, "points": POINTS} | changes
    with pytest.raises(ValueError, match=message):
        save_hdf5(tmp_path / "cells.h5", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*missing to write cells.h5 in; make it first"):
        save_hdf5(tmp_path / "missing" / "cells.h5", PIXELS, POINTS)
    with pytest.raises(ValueError, match="is a folder"):
        save_hdf5(tmp_path, PIXELS, POINTS)


@pytest.mark.parametrize("kind", [ImageSet, as_stream])
def test_an_image_larger_than_a_chunk_can_be_is_refused(tmp_path, kind):
    images = kind(np.broadcast_to(np.uint8(0), (1, 70_000, 70_000)))
    with pytest.raises(
        ValueError, match=r"of 4900000000 bytes, and HDF5 stores at most 4294967295 .* cut the images"
    ):
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


# --- Files of version 1 ---------------------------------------------------------------------------


def save_version_1(path, images, points, description):
    """Write what skcount wrote before its files held groups and maps: HDF5 itself compresses and checks."""
    text = h5py.string_dtype("utf-8", 30)
    with h5py.File(path, "x", libver=("v110", "v110")) as file:
        filters = {"compression": "gzip", "shuffle": True, "fletcher32": True}
        rows, n_rows = [], {}
        for image in images:
            name = "images/" + "x".join(map(str, image.shape))
            if name not in file:
                shape = (0, *image.shape)
                file.create_dataset(
                    name, shape, image.dtype, maxshape=(None, *shape[1:]), chunks=(1, *shape[1:]), **filters
                )
            rows.append(n_rows.setdefault(name, 0))
            n_rows[name] += 1
            file[name].resize(n_rows[name], axis=0)
            file[name][-1] = image
        file.create_dataset("image_shapes", data=[image.shape for image in images], **filters)
        file.create_dataset("image_rows", data=rows, **filters)
        file.create_dataset("points/coordinates", data=points.coordinates, **filters)
        file.create_dataset("points/lengths", data=points.lengths, **filters)
        for name, value in {"format": "skcount images with points", "skcount_version": "0.1.0"}.items():
            file.attrs.create(name, value.encode(), dtype=text)
        file.attrs.create("description", description.encode(), dtype=text)
        file.attrs["version"] = 1
        file.attrs["complete"] = True


def test_a_file_of_version_1_still_opens(tmp_path):
    points = POINTS[:4]
    save_version_1(tmp_path / "old.h5", MIXED, points, "Four images.")
    loaded = load_hdf5(tmp_path / "old.h5")
    assert (loaded.groups, loaded.roi, loaded.perspective) == (None, None, None)
    assert loaded.DESCR == "Four images."
    assert loaded.points == points
    with loaded.images as images:
        for number in (3, 0, 2, 1):
            assert_array_equal(images[number], MIXED[number], strict=True)


def test_a_flipped_bit_in_version_1_is_found_by_hdf5(tmp_path):
    path = tmp_path / "old.h5"
    save_version_1(path, PIXELS, POINTS, "")
    with h5py.File(path) as file:
        offset = file["images/8x10x3"].id.get_chunk_info(4).byte_offset
    content = bytearray(path.read_bytes())
    content[offset + 20] ^= 4
    path.write_bytes(content)
    with (
        load_hdf5(path).images as images,
        pytest.raises(OSError, match=r"Image 4 of .*cannot be read: .*(?i:checksum|filter)"),
    ):
        images[4]


# --- Files that are damaged, foreign or new ------------------------------------------------------


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.h5"):
        load_hdf5(tmp_path / "none.h5")


@pytest.mark.parametrize("kept", [0, 1, 100, 800, 2000, -1000, -1])
def test_a_truncated_file_is_refused(path, kept):
    content = path.read_bytes()
    path.write_bytes(content[:kept])
    with pytest.raises(ValueError, match=r"cells.h5 cannot be loaded: .*Expected a whole file"):
        load_hdf5(path)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all" * 100, b"\x89PNG\r\n\x1a\n"])
def test_a_file_of_another_format_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cells.h5 cannot be loaded"):
        load_hdf5(path)


def test_an_hdf5_file_of_another_program_is_refused(path):
    with h5py.File(path, "w") as file:
        file["images"] = PIXELS
    with pytest.raises(ValueError, match="another program, with no skcount format mark"):
        load_hdf5(path)


def set_attribute(name, value):
    def change(file):
        file.attrs[name] = value

    return change


def replace_table(name, table):
    def change(file):
        if name in file:
            del file[name]
        file[name] = table

    return change


def remove(name):
    def change(file):
        del file[name]

    return change


def remove_mark(file):
    del file.attrs["complete"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            set_attribute("version", VERSION + 1),
            rf"version is {VERSION + 1}.*up to {VERSION}: upgrade skcount",
        ),
        (set_attribute("version", "new"), "cannot be loaded"),
        (remove_mark, "incomplete, its writer was interrupted"),
        (set_attribute("complete", False), "incomplete"),
        (set_attribute("format", "something else"), "another program"),
        (remove("points"), "cannot be loaded"),
        (remove("image_rows"), "cannot be loaded"),
        (remove("images/8x10x3"), "cannot be loaded"),
        (replace_table("points/lengths", np.zeros(5, int)), "6 images and points of 5"),
        (remove("image_checksums"), "cannot be loaded"),
        (replace_table("image_checksums", np.zeros(5, np.uint64)), "6 images and checksums of 5"),
        (replace_table("groups", np.zeros(5, int)), r"groups has shape \(5,\) and there are 6 images"),
        (replace_table("roi", np.zeros((8, 10), bool)), "The roi has no pixel inside"),
        (replace_table("perspective", np.ones((8, 9))), r"The perspective has shape \(8, 9\)"),
        (replace_table("roi/8x10", np.ones((5, 8, 10), bool)), "cannot be loaded"),
        (replace_table("points/coordinates", np.zeros((3, 2))), "lengths add up to 15"),
        (replace_table("points/coordinates", np.full((15, 2), np.nan)), "NaN"),
        (replace_table("image_rows", np.arange(5)), r"of shape \(6, 3\) and \(5,\)"),
        (replace_table("image_rows", np.arange(6) + 1), "not .* as its tables say"),
        (replace_table("images/8x10x3", PIXELS[:5]), r"shape \(5, 8, 10, 3\), not \(6, 8, 10, 3\)"),
        (replace_table("image_shapes", np.full((6, 3), 8)), "cannot be loaded"),
        (replace_table("images/8x10x3", np.array([b"a"])), "cannot be loaded"),
    ],
)
def test_a_file_whose_parts_disagree_is_refused(path, change, message):
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=rf"(?s)cells.h5 cannot be loaded: .*{message}|{message}"):
        load_hdf5(path)


def test_two_types_of_images_in_one_file_are_refused(tmp_path):
    path = tmp_path / "cells.h5"
    save_hdf5(path, [np.zeros((2, 2)), np.zeros((3, 3))], [[], []])
    with h5py.File(path, "r+") as file:
        replace_table("images/3x3", np.zeros((1, 3, 3), dtype=np.uint8))(file)
    with pytest.raises(ValueError, match=r"several types, \['float64', 'uint8'\]"):
        load_hdf5(path)


def content_or_error(path):
    try:
        images, points = load_hdf5(path, return_X_y=True)
        with images:
            return np.asarray(images), points
    except (ValueError, OSError) as error:
        return str(error)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("content") / "cells.h5"
    save_hdf5(path, PIXELS, POINTS)
    return path.read_bytes()


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_flipped_bit_is_never_a_wrong_pixel_or_point(content, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5"
        buffer = bytearray(content)
        position = data.draw(st.integers(0, len(buffer) - 1))
        buffer[position] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(buffer)
        found = content_or_error(path)
    if isinstance(found, str):
        assert str(path) in found
    else:  # the bit was in a gap, or in what nobody reads
        assert_array_equal(found[0], PIXELS)
        assert found[1] == POINTS


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_flipped_bit_in_an_image_names_the_image(path, compression):
    save_hdf5(path, PIXELS, POINTS, compression=compression)
    with h5py.File(path) as file:
        offset = file["images/8x10x3"].id.get_chunk_info(4).byte_offset
    content = bytearray(path.read_bytes())
    content[offset + 20] ^= 4
    path.write_bytes(content)
    with load_hdf5(path).images as images:
        assert_array_equal(images[3], PIXELS[3])
        with pytest.raises(
            OSError, match=r"Image 4 of .*cells.h5 cannot be read: its (pixels|chunk) .*damaged"
        ):
            images[::2][2]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_images_that_have_changed_places_are_noticed(path, compression):
    save_hdf5(path, PIXELS, POINTS, compression=compression)
    with h5py.File(path, "r+") as file:
        chunks = file["images/8x10x3"].id
        first, second = (chunks.read_direct_chunk((row, 0, 0, 0))[1] for row in (1, 2))
        chunks.write_direct_chunk((1, 0, 0, 0), second)
        chunks.write_direct_chunk((2, 0, 0, 0), first)
    with load_hdf5(path).images as images:
        assert_array_equal(images[3], PIXELS[3])
        for number in (1, 2):
            with pytest.raises(OSError, match=rf"Image {number} of .*its pixels do not fit its checksum"):
                images[number]


def test_rows_that_have_changed_places_are_noticed(path):
    with h5py.File(path, "r+") as file:
        file["image_rows"][:2] = [1, 0]
    with load_hdf5(path).images as images, pytest.raises(OSError, match=r"Image 0 of .*checksum"):
        images[0]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_chunk_that_was_never_written_is_no_image_of_zeros(path, compression):
    save_hdf5(path, np.zeros_like(PIXELS), POINTS, compression=compression)
    with h5py.File(path, "r+") as file:
        dataset = file["images/8x10x3"]
        dataset.resize(5, axis=0)
        dataset.resize(6, axis=0)
    with load_hdf5(path).images as images:
        assert not images[4].any()
        with pytest.raises(OSError, match=r"Image 5 of .* cannot be read: its chunk"):
            images[5]


def test_a_perspective_that_another_program_wrote_wrong_is_named_when_it_is_read(path):
    scales = PIXELS[..., 0] + 1.0
    save_hdf5(path, PIXELS, POINTS, perspective=scales)
    scales[4, 2, 3] = np.nan
    with h5py.File(path, "r+") as file:
        file["perspective/8x10"].id.write_direct_chunk((4, 0, 0), zstandard.compress(shuffled(scales[4])))
        file["perspective_checksums"][4] = checksum("perspective", 4, scales[4])
    loaded = load_hdf5(path)
    with loaded.images:
        assert_array_equal(loaded.perspective[3], scales[3])
        with pytest.raises(ValueError, match=r"The perspective of image 4 is nan at row 2, column 3"):
            loaded.perspective[4]


def shuffled(pixels):
    return pixels.reshape(-1, 1).view(np.uint8).T.tobytes()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_file_whose_images_another_program_stored_anew_is_read_through_hdf5(tmp_path, dtype):
    path = tmp_path / "a.h5"
    images = PIXELS.astype(dtype)
    save_hdf5(path, images, POINTS, compression=None)
    with h5py.File(path, "r+") as file:
        del file["images/8x10x3"]
        file.create_dataset(
            "images/8x10x3", data=images, chunks=(4, 8, 5, 3), compression="lzf", fletcher32=True
        )
    with load_hdf5(path).images as loaded:
        assert_array_equal(np.asarray(loaded), images, strict=True)


def test_a_chunk_whose_filters_were_skipped_is_read(path):
    save_hdf5(path, PIXELS, POINTS, compression="gzip")
    with h5py.File(path, "r+") as file:  # as HDF5 does it for what gets no smaller
        file["images/8x10x3"].id.write_direct_chunk((2, 0, 0, 0), PIXELS[2].tobytes(), filter_mask=1)
    with load_hdf5(path).images as images:
        assert_array_equal(np.asarray(images), PIXELS)


# --- One file in many hands ----------------------------------------------------------------------


@on_linux
def test_the_file_is_open_only_while_it_is_used(path):
    images = load_hdf5(path).images
    assert not is_open(path)
    images[0], images[3:][1]
    assert is_open(path)
    images.close()
    assert not is_open(path)
    with images[2:] as some:
        assert_array_equal(some[0], PIXELS[2])  # it opens itself again
        assert is_open(path)
    assert not is_open(path)
    images[0]
    del images, some
    gc.collect()
    assert not is_open(path)


def test_others_in_this_process_may_open_the_file_too(path):
    with load_hdf5(path).images as images:
        images[0]
        with h5py.File(path) as file:
            assert file.attrs["version"] == VERSION
            assert_array_equal(images[1], PIXELS[1])


def test_no_open_file_and_no_pixel_is_in_a_pickle(tmp_path):
    path = tmp_path / "big.h5"
    save_hdf5(path, np.zeros((10, 200, 200)), [[]] * 10)
    with load_hdf5(path).images as images:
        images[0]
        content = pickle.dumps(images)
    assert len(content) < 2000
    assert pickle.loads(content)[9].shape == (200, 200)


def sum_of(images, number):
    return os.getpid(), int(images[number].sum())


def test_workers_read_for_themselves(path):
    with load_hdf5(path).images as images:
        images[0]
        found = joblib.Parallel(n_jobs=2)(joblib.delayed(sum_of)(images[::-1], i) for i in range(6))
    assert [total for _, total in found] == PIXELS[::-1].sum(axis=(1, 2, 3)).tolist()
    assert os.getpid() not in {pid for pid, _ in found}


@can_fork
@pytest.mark.filterwarnings(
    "ignore:.*multi-threaded.*fork:DeprecationWarning"
)  # Python 3.12 warns of any fork
def test_a_forked_child_opens_its_own_and_leaves_the_parents(path):
    with load_hdf5(path).images as images:
        images[0]
        parents = images.source._file._bytes
        with images.source._file._lock():  # as if another thread was reading while this one forks
            child = get_context("fork").Process(target=check_in_child, args=(images, parents))
            child.start()
        child.join(30)
        assert child.exitcode == 0
        assert_array_equal(images[5], PIXELS[5])
        assert images.source._file._bytes is parents


def check_in_child(images, parents):
    assert_array_equal(images[4], PIXELS[4])
    assert images.source._file._bytes is not parents
    images.close()


def test_a_file_that_changed_is_noticed(path):
    with load_hdf5(path).images as images:
        assert_array_equal(images[0], PIXELS[0])
        save_hdf5(path, PIXELS[::-1].copy(), POINTS)
        os.utime(path, ns=(0, 0))  # however coarse the clock of the disk
        with pytest.raises(OSError, match=r"cells.h5 has changed since it was loaded .*; load it again"):
            images[0]
        path.unlink()
        with pytest.raises(FileNotFoundError, match="has vanished since it was loaded"):
            images[0]


def test_a_memory_of_joblib_never_serves_the_pixels_of_an_older_file(path, tmp_path):
    memory = joblib.Memory(tmp_path / "memory", verbose=0)
    total = memory.cache(total_of)
    assert total(load_hdf5(path).images) == PIXELS.sum()
    hashed = joblib.hash(load_hdf5(path).images)
    assert hashed == joblib.hash(load_hdf5(path).images)
    assert total.check_call_in_cache(load_hdf5(path).images)
    status = path.stat()
    save_hdf5(path, np.zeros_like(PIXELS), POINTS)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert joblib.hash(load_hdf5(path).images) != hashed
    assert total(load_hdf5(path).images) == 0


def total_of(images):
    return sum(int(image.sum()) for image in images)
