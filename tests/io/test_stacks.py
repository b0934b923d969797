"""Stacks, transparency and regions of interest in files of their own."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skcount import ImageSet
from skcount.io import load_folder

Image = pytest.importorskip("PIL.Image", reason="pillow reads pictures")
tifffile = pytest.importorskip("tifffile", reason="tifffile reads TIFF")

RNG = np.random.default_rng(0)
MOVIE = RNG.integers(0, 255, (5, 30, 40), np.uint8)


def write(path, pixels, **options):
    tifffile.imwrite(path, pixels, **options)
    return path


# --- Slices of a stack -----------------------------------------------------------------------------

KINDS = {
    "imagej": ({"imagej": True, "metadata": {"axes": "TYX"}}, "T"),
    "ome": ({"ome": True, "metadata": {"axes": "TYX"}}, "T"),
    "compressed": ({"compression": "lzw", "photometric": "minisblack"}, "Q"),
    "big-endian": ({"byteorder": ">", "photometric": "minisblack"}, "Q"),
    "tiled": ({"tile": (16, 16), "photometric": "minisblack", "metadata": {"axes": "ZYX"}}, "Z"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_slices_are_images_in_their_order(tmp_path, kind):
    options, axis = KINDS[kind]
    path = write(tmp_path / "movie.tif", MOVIE.astype(np.uint16), **options)
    with pytest.raises(ValueError, match=rf"is a stack of 5 x 30 x 40 .*stack_axis='{axis}'"):
        load_folder(path)
    data = load_folder(path, stack_axis=axis)
    assert data.names == [f"movie.tif:{number}" for number in range(1, 6)]
    assert_array_equal(np.asarray(data.images), MOVIE)
    assert_array_equal(data.images[[3, 1]][0], MOVIE[3])


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_channels_of_a_slice_come_last_and_another_axis_is_refused(tmp_path, compression):
    pixels = RNG.integers(0, 255, (4, 3, 20, 24), np.uint8)
    options = {"compression": compression, "photometric": "minisblack"}
    path = write(tmp_path / "a.tif", pixels, **options, metadata={"axes": "TCYX"})
    assert_array_equal(np.asarray(load_folder(path, stack_axis="T").images), np.moveaxis(pixels, 1, 3))
    path = write(tmp_path / "b.tif", pixels, **options, metadata={"axes": "TZYX"})
    with pytest.raises(ValueError, match="is a stack of 3 x 20 x 24 along the axes ZYX"):
        load_folder(path, stack_axis="T")


def test_points_of_a_stack_number_its_slices(tmp_path):
    path = write(tmp_path / "movie.tif", MOVIE, imagej=True, metadata={"axes": "TYX"})
    (tmp_path / "from1.csv").write_text(" ,X,Y,Slice\n1,5,5,1\n2,9,9,1\n3,7,20,4\n")
    _, points = load_folder(path, tmp_path / "from1.csv", stack_axis="T", missing="empty", return_X_y=True)
    assert points.counts.tolist() == [2, 0, 0, 1, 0]
    (tmp_path / "from0.csv").write_text("x,y,frame\n5,5,1\n9,9,1\n7,20,4\n")
    options = {"stack_axis": "T", "missing": "empty", "return_X_y": True}
    with pytest.raises(ValueError, match="Pass first=0 or first=1"):
        load_folder(path, tmp_path / "from0.csv", **options)
    assert load_folder(path, tmp_path / "from0.csv", first=0, **options)[1].counts.tolist() == [0, 2, 0, 0, 1]


def test_several_stacks_have_a_file_of_points_each(tmp_path):
    for name, n in (("a", 2), ("b", 3)):
        write(tmp_path / f"{name}.tif", MOVIE[:n], imagej=True, metadata={"axes": "TYX"})
        (tmp_path / f"{name}.csv").write_text(f"x,y,frame\n5,5,0\n6,6,{n - 1}\n")
    data = load_folder(tmp_path, tmp_path, stack_axis="T", missing="empty")
    assert data.names == ["a.tif:1", "a.tif:2", "b.tif:1", "b.tif:2", "b.tif:3"]
    assert data.points.counts.tolist() == [1, 1, 1, 0, 1]


# --- Transparency and regions ----------------------------------------------------------------------


@pytest.fixture
def transparent(tmp_path):
    """A picture whose left half is transparent, and one that is opaque."""
    pixels = RNG.integers(0, 255, (2, 10, 12, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[0, :, :6, 3] = 0
    for name, image in zip("ab", pixels, strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    return tmp_path, pixels


def test_transparency_is_left_out_or_a_region(transparent):
    folder, pixels = transparent
    with pytest.raises(ValueError, match=r"a.png is transparent in places.*alpha='roi'"):
        np.asarray(load_folder(folder).images)
    dropped = load_folder(folder, alpha="drop")
    assert dropped.roi is None
    assert_array_equal(np.asarray(dropped.images), pixels[..., :3])
    inside = load_folder(folder, alpha="roi")
    assert_array_equal(np.asarray(inside.images), pixels[..., :3])
    assert isinstance(inside.roi, ImageSet)
    assert_array_equal(np.asarray(inside.images.roi), pixels[..., 3] > 0)
    assert_array_equal(inside.images[[1]].roi[0], np.ones((10, 12), bool))


def test_regions_are_one_picture_or_pictures_paired_by_name(tmp_path):
    masks = np.zeros((2, 10, 12), np.uint8)
    masks[0, :5], masks[1, :, :3] = 255, 1
    for folder in ("images", "regions"):
        (tmp_path / folder).mkdir()
    for name, mask in zip("ab", masks, strict=True):
        Image.fromarray(np.zeros((10, 12), np.uint8)).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray(np.dstack([mask] * 3)).save(tmp_path / "regions" / f"{name}_roi.png")
    one = load_folder(tmp_path / "images", roi=tmp_path / "regions" / "a_roi.png")
    assert_array_equal(one.roi, masks[0] > 0)
    each = load_folder(tmp_path / "images", roi=tmp_path / "regions", roi_pattern="{}_roi")
    assert_array_equal(np.asarray(each.roi), masks > 0)
    with pytest.raises(ValueError, match=r"points_pattern='\{\}_roi'|roi_pattern"):
        load_folder(tmp_path / "images", roi=tmp_path / "regions")
    with pytest.raises(ValueError, match="`roi` must be None with alpha='roi'"):
        load_folder(tmp_path / "images", roi=tmp_path / "regions", alpha="roi")


# --- Pictures that are not read --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "package"),
    [("a.czi", "bioio or Fiji"), ("a.nd2", "bioio"), ("a.heic", "pillow-heif"), ("a.svs", "QuPath")],
)
def test_files_of_microscopes_and_phones_name_what_converts_them(tmp_path, name, package):
    (tmp_path / name).write_bytes(b"\0" * 100)
    for images in (tmp_path, tmp_path / name, [tmp_path / name]):
        with pytest.raises(ValueError, match=rf"{name}.*[Cc]onvert .*{package}"):
            load_folder(images)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "b.png")
    with pytest.warns(UserWarning, match=rf"1 pictures cannot be read, .*{name}.* They are left out."):
        assert load_folder(tmp_path).names == ["b.png"]
