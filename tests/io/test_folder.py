import json
import os
import pickle
import zipfile

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skcount import ImageSet, PointAnnotations
from skcount.io import load_folder, save_points

Image = pytest.importorskip("PIL.Image", reason="pillow reads pictures")

NAMES = ["img1.png", "img2.png", "img10.png"]
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 6, 9, 3)).astype(np.uint8)
POINTS = PointAnnotations([[(1, 8)], [], [(2, 3), (4.5, 4)]])


def picture(path, pixels):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def dots(path, points, shape=(6, 9)):
    mask = np.zeros(shape, dtype=np.uint8)
    mask[tuple(np.array(points, dtype=int).reshape(-1, 2).T)] = 255
    return picture(path, mask)


@pytest.fixture
def folder(tmp_path):
    """Three pictures, whose names sort by number, and what is no picture."""
    for name, pixels in zip(NAMES, PIXELS, strict=True):
        picture(tmp_path / "images" / name, pixels)
    (tmp_path / "images" / "readme.md").write_text("about")
    (tmp_path / "images" / ".hidden.png").write_text("of a Mac")
    (tmp_path / "images" / "old").mkdir()
    return tmp_path


@pytest.fixture
def annotated(folder):
    """The same, with a file of points for each picture."""
    (folder / "points").mkdir()
    for name, points in zip(NAMES, POINTS, strict=True):
        save_points((folder / "points" / name).with_suffix(".csv"), [points])
    return folder


# --- Pictures -------------------------------------------------------------------------------------


def test_pictures_alone_are_opened_lazily_in_the_order_of_their_numbers(folder):
    cells = load_folder(folder / "images")
    assert cells.names == NAMES
    assert cells.points is None
    assert (cells.groups, cells.roi, cells.perspective) == (None, None, None)
    assert isinstance(cells.images, ImageSet)
    assert repr(cells.images) == "ImageSet(3 images of 6 x 9 x 3, uint8, in images/)"
    assert_array_equal(np.asarray(cells.images), PIXELS)


def test_nothing_is_decoded_before_it_is_asked_for(annotated, monkeypatch):
    from skcount.io import _folder_store

    monkeypatch.setattr(_folder_store, "read_picture", lambda *_: pytest.fail("a picture was decoded"))
    images, points = load_folder(annotated / "images", annotated / "points", return_X_y=True)
    assert images[1:].shape == (2, 6, 9, 3)
    assert points == POINTS


def test_a_pattern_and_a_list_choose_pictures(folder):
    assert load_folder(f"{folder}/images/img1*.png").names == ["img1.png", "img10.png"]
    assert load_folder(f"{folder}/**/img2.png").names == ["images/img2.png"]
    assert load_folder(folder / "images" / "img2.png").names == ["img2.png"]
    chosen = [folder / "images" / NAMES[2], str(folder / "images" / NAMES[0])]
    assert load_folder(chosen).names == ["img10.png", "img1.png"]
    assert_array_equal(np.asarray(load_folder(chosen).images), PIXELS[[2, 0]])


def test_names_that_are_no_pattern_may_look_like_one(tmp_path):
    picture(tmp_path / "img[1].png", PIXELS[0])
    assert load_folder(tmp_path / "img[1].png").names == ["img[1].png"]
    assert load_folder(tmp_path).names == ["img[1].png"]


def test_pictures_of_one_name_in_several_folders_are_told_apart(tmp_path):
    for plate in ("p1", "p2"):
        picture(tmp_path / plate / "a.png", PIXELS[0])
    (tmp_path / "cells.csv").write_text("image,x,y\np2/a.png,8,1\np1/a.png,3,2\np2/a.png,0,0\n")
    cells = load_folder(f"{tmp_path}/p*/*.png", tmp_path / "cells.csv")
    assert cells.names == ["p1/a.png", "p2/a.png"]
    assert cells.points.counts.tolist() == [1, 2]


def test_names_are_paths_from_the_folder_that_is_searched(tmp_path):
    for name in ("p1/a.png", "p2/b.png"):
        picture(tmp_path / name, PIXELS[0])
    names = ["p1/a.png", "p2/b.png"]
    assert load_folder(f"{tmp_path}/*/*.png").names == names  # even if their last parts differ
    assert load_folder(tmp_path, recursive=True).names == names
    assert load_folder([tmp_path / name for name in names]).names == names
    assert load_folder([tmp_path / "p1" / "a.png"]).names == ["a.png"]


def test_subfolders_are_searched_if_asked_for(tmp_path):
    for name in ("a.png", "p1/a.png", "p1/q/a.png", ".cache/a.png"):
        picture(tmp_path / "images" / name, PIXELS[0])
    for number, name in enumerate(("a.csv", "p1/a.csv", "p1/q/a.csv")):
        (tmp_path / "points" / name).parent.mkdir(parents=True, exist_ok=True)
        save_points(tmp_path / "points" / name, [[(number, 0)] * number])
    cells = load_folder(tmp_path / "images", tmp_path / "points", recursive=True, duplicates="keep")
    assert cells.names == ["a.png", "p1/a.png", "p1/q/a.png"]
    assert cells.points.counts.tolist() == [0, 1, 2]
    assert load_folder(tmp_path / "images").names == ["a.png"]
    (tmp_path / "points" / "p1" / "a.csv").unlink()
    with pytest.raises(ValueError, match="no points for 1 image: p1/a "):
        load_folder(tmp_path / "images", tmp_path / "points", recursive=True)
    (tmp_path / "images" / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match="recursive=True"):
        load_folder(tmp_path / "images")


def test_what_was_skipped_is_listed(annotated):
    assert load_folder(annotated / "images", annotated / "points").skipped == ["old/", "readme.md"]
    for file in (annotated / "points").iterdir():
        file.rename(annotated / "images" / file.name)
    assert load_folder(annotated / "images", annotated / "images").skipped == ["old/", "readme.md"]
    assert load_folder(f"{annotated}/images/*.png").skipped == []


def test_pictures_of_several_sizes_stand_in_one_set(folder):
    picture(folder / "images" / "img3.png", PIXELS[0, :4, :5])
    images = load_folder(folder / "images").images
    assert images.shape == (4,)
    assert images.shapes.tolist() == [[6, 9, 3], [6, 9, 3], [4, 5, 3], [6, 9, 3]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pictures_of_several_types_are_refused_by_name(folder, dtype):
    picture(folder / "images" / "img2b.png", PIXELS[0, :, :, 0].astype(dtype))
    message = f"img1.png has 3 channels of uint8 and .*img2b.png has 1 channels of {dtype.__name__}"
    with pytest.raises(ValueError, match=message):
        load_folder(folder / "images")


def test_pictures_of_several_types_are_read_as_colors_if_asked_for(tmp_path):
    rng = np.random.default_rng(0)
    given = {
        "a.png": rng.integers(0, 256, (6, 9), dtype=np.uint8),
        "b.png": rng.integers(0, 256, (5, 9, 3), dtype=np.uint8),
        "c.png": rng.integers(0, 65536, (6, 9), dtype=np.uint16),
    }
    for name, pixels in given.items():
        picture(tmp_path / name, pixels)
    images = load_folder(tmp_path, mixed="color").images
    assert (images.dtype, images.n_channels) == (np.dtype(np.float32), 3)
    for image, pixels in zip(images, given.values(), strict=True):
        colors = np.stack([pixels] * 3, axis=-1) if pixels.ndim == 2 else pixels
        np.testing.assert_allclose(image, colors / np.iinfo(pixels.dtype).max, atol=1e-6)
    selected = pickle.loads(pickle.dumps(images[[2, 1]]))
    assert_array_equal(selected[0], images[2])
    alike = load_folder([tmp_path / "a.png"], mixed="color").images  # pictures of one type stay as they are
    assert alike.dtype == np.uint8


def test_what_is_not_there_is_said(folder):
    images, missing = folder / "images", folder / "none"
    for given, message in (
        ([missing], "There is no folder .*none"),
        ([images / "old"], "There are no pictures in .*old; .* suffix .png"),
        ([[images / "img1.png", folder / "none.png"]], "There is no file .*none.png; 1 of 2 are missing"),
        ([images, images], "There are no annotations in .*Pictures need format='dots' or 'mask'"),
        ([images, missing], "There is no folder"),
    ):
        with pytest.raises(FileNotFoundError, match=message):
            load_folder(*given)
    with pytest.raises(FileNotFoundError, match=r"There are no pictures in .*images; .* named '{}x'"):
        load_folder(images, image_pattern="{}x")


# --- A source like any other ----------------------------------------------------------------------


def test_selections_pickle_light_and_equal_ones_hash_alike(folder):
    images = load_folder(folder / "images").images
    last = images[[2]]
    again = pickle.loads(pickle.dumps(last))
    assert_array_equal(np.asarray(again), PIXELS[[2]])
    assert b"img10.png" in pickle.dumps(last)
    assert b"img2.png" not in pickle.dumps(last)
    assert (
        joblib.hash(last) == joblib.hash(again) == joblib.hash(load_folder(folder / "images").images[1:][[1]])
    )
    assert joblib.hash(last) != joblib.hash(images[[1]])
    assert len(pickle.loads(pickle.dumps(images[:0]))) == 0


def test_a_picture_that_changed_or_vanished_is_an_error(folder):
    images = load_folder(folder / "images").images
    before = joblib.hash(images)
    os.utime(folder / "images" / "img1.png", ns=(1, 1))
    (folder / "images" / "img2.png").unlink()
    assert_array_equal(images[2], PIXELS[2])
    with pytest.raises(OSError, match=r"img1.png has changed since it was loaded"):
        images[0]
    with pytest.raises(FileNotFoundError, match=r"img2.png has vanished since it was loaded"):
        images[1]
    picture(folder / "images" / "img2.png", PIXELS[1])
    assert joblib.hash(load_folder(folder / "images").images) != before


def test_workers_read_a_folder_for_themselves(folder):
    images = load_folder(folder / "images").images
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(np.asarray)(images[[i]]) for i in range(3))
    assert_array_equal(np.concatenate(found), PIXELS)


# --- A file of points for each picture ------------------------------------------------------------


def test_files_of_one_name_belong_together(annotated):
    cells = load_folder(annotated / "images", annotated / "points")
    assert cells.points == POINTS
    for points in (f"{annotated}/points/*.csv", sorted((annotated / "points").iterdir(), reverse=True)):
        assert load_folder(annotated / "images", points).points == POINTS
    assert cells.DESCR.startswith("3 pictures, img1.png to img10.png, of ")


def test_pictures_and_points_may_share_a_folder(annotated):
    for file in (annotated / "points").iterdir():
        file.rename(annotated / "images" / file.name)
    cells = load_folder(annotated / "images", annotated / "images")
    assert (cells.names, cells.points) == (NAMES, POINTS)


def test_patterns_of_names_pair_pictures_with_dots(tmp_path):
    for number, (pixels, points) in enumerate(zip(PIXELS, POINTS, strict=True), start=9):
        picture(tmp_path / "cells" / f"{number:02d}cell.png", pixels)
        dots(tmp_path / "cells" / f"{number:02d}dots.png", points)
    folder = tmp_path / "cells"
    cells = load_folder(folder, folder, "dots", image_pattern="{}cell", points_pattern="{}dots")
    assert cells.names == ["09cell.png", "10cell.png", "11cell.png"]
    assert cells.points == PointAnnotations([np.floor(points) for points in POINTS])
    assert load_folder(folder, image_pattern="{}cell").names == cells.names


def test_what_matches_the_pattern_of_masks_is_no_image(tmp_path):
    for name in NAMES:
        picture(tmp_path / name, PIXELS[0])
        dots(tmp_path / name.replace(".png", "_cp_masks.png"), [(1, 1), (3, 3)])
    cells = load_folder(tmp_path, tmp_path, "mask", points_pattern="{}_cp_masks")
    assert cells.names == NAMES
    assert cells.points.counts.tolist() == [2, 2, 2]


def test_a_picture_is_not_its_own_annotation(folder):
    with pytest.raises(ValueError, match=r"img1.png is an image and its own annotation.*`image_pattern`"):
        load_folder(folder / "images", folder / "images", "dots")


@pytest.mark.parametrize("pattern", ["cell", "{}{}"])
def test_a_pattern_has_one_gap(folder, pattern):
    with pytest.raises(ValueError, match=r"`image_pattern` must have \{\}"):
        load_folder(folder / "images", image_pattern=pattern)


def test_what_has_no_partner_is_said_both_ways_before_anything_is_read(annotated):
    (annotated / "points" / "img2.csv").rename(annotated / "points" / "img3.csv")
    (annotated / "images" / "img1.png").write_text("no picture")
    message = "no points for 1 image: img2.png .*; points but no image for 1 image: img3.csv"
    with pytest.raises(ValueError, match=f"The images do not match the annotation files: {message}"):
        load_folder(annotated / "images", annotated / "points")


def test_partners_can_be_done_without(annotated):
    (annotated / "points" / "img10.csv").rename(annotated / "points" / "img3.csv")
    with pytest.raises(ValueError, match="files: points but no image"):
        load_folder(annotated / "images", annotated / "points", missing="empty")
    cells = load_folder(annotated / "images", annotated / "points", missing="empty", extra="ignore")
    assert cells.points.counts.tolist() == [1, 0, 0]


def test_names_that_match_by_their_pattern_alone_are_refused_without_it(annotated):
    for file in (annotated / "points").iterdir():
        file.rename(file.with_name(f"GT_{file.name}"))
    paths = annotated / "images", annotated / "points"
    assert load_folder(*paths, points_pattern="GT_{}").points == POINTS
    message = r"No image matches .* 3 images: GT_img1.csv, .*Pass points_pattern='GT_\{\}'"
    for options in ({}, {"missing": "empty", "extra": "ignore"}):
        with pytest.raises(ValueError, match=message):
            load_folder(*paths, **options)


def test_two_files_of_one_name_are_refused(annotated):
    (annotated / "points" / "img1.json").write_text("{}")
    message = r"img1\.(csv|json) and .*img1\.(csv|json) have the same name 'img1'"
    with pytest.raises(ValueError, match=message):
        load_folder(annotated / "images", annotated / "points")
    assert load_folder(annotated / "images", annotated / "points", "napari").points == POINTS


def test_a_file_of_a_stack_is_no_file_of_one_picture(annotated):
    (annotated / "points" / "img2.csv").write_text("X,Y,Slice\n1,1,1\n2,2,2\n")
    with pytest.raises(ValueError, match=r"img2.csv has points of 2 images: 1, 2; expected one"):
        load_folder(annotated / "images", annotated / "points")
    cells = load_folder(annotated / "images", annotated / "points", slices="merge")
    assert cells.points.counts.tolist() == [1, 2, 2]


def test_labels_need_not_be_in_every_file(folder):
    for name, labels in zip(NAMES, [["cell", "dust"], [], ["dust"]], strict=True):
        shapes = [{"label": label, "points": [[2.5, 3.5]], "shape_type": "point"} for label in labels]
        content = {"shapes": shapes, "imagePath": name, "imageHeight": 6, "imageWidth": 9}
        (folder / "images" / name).with_suffix(".json").write_text(json.dumps(content))
    images = folder / "images"
    assert load_folder(images, images, labels="cell").points.counts.tolist() == [1, 0, 0]
    with pytest.raises(ValueError, match=r"`labels` .* 'cell', 'dust', .* the annotation files; got 'cells'"):
        load_folder(images, images, labels="cells")


# --- One file for all pictures --------------------------------------------------------------------


def test_one_table_holds_the_points_of_all_pictures(folder):
    path = folder / "cells.csv"
    path.write_text("image,x,y\nimg10.tif,3,2\nplates/img1.png,8,1\nimg10.tif,4,4.5\n")
    message = r"The images do not match .*cells.csv: no points for 1 image: img2.png"
    with pytest.raises(ValueError, match=message):
        load_folder(folder / "images", path)
    assert load_folder(folder / "images", path, missing="empty").points == POINTS


def test_coco_lists_pictures_without_objects(folder):
    images = [{"id": i, "file_name": name, "height": 6, "width": 9} for i, name in enumerate(NAMES[::-1])]
    boxes = [(2, [8, 1, 1, 1]), (0, [3, 2, 1, 1]), (0, [4, 4.5, 1, 1])]
    annotations = [{"id": i, "image_id": image, "bbox": box} for i, (image, box) in enumerate(boxes)]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    assert load_folder(folder / "images", path).points == POINTS


@pytest.mark.parametrize("layout", ["napari", "imagej"])
def test_a_file_that_numbers_its_images_counts_pictures_in_their_order(folder, layout):
    save_points(folder / "cells.csv", POINTS, format=layout)
    with pytest.raises(ValueError, match=r"cells.csv \(which numbers them\): no points for 1 image: [12] "):
        load_folder(folder / "images", folder / "cells.csv")
    assert load_folder(folder / "images", folder / "cells.csv", missing="empty").points == POINTS
    (folder / "images" / "img10.png").unlink()
    message = r"has points of image [23], .* 2 pictures; expected all pictures of the series"
    with pytest.raises(ValueError, match=message):
        load_folder(folder / "images", folder / "cells.csv", missing="empty", extra="ignore")


def test_of_one_picture_the_file_may_have_any_name(folder):
    save_points(folder / "cells.csv", POINTS[[2]])
    assert load_folder(folder / "images" / "img1.png", folder / "cells.csv").points == POINTS[[2]]
    (folder / "cells.csv").write_text("image,x,y\nimg2.png,1,1\n")
    message = r"No image matches .*: the images are 1 image: img1.png; the points are of 1 image: img2.png"
    with pytest.raises(ValueError, match=message):
        load_folder(folder / "images" / "img1.png", folder / "cells.csv")


# --- Points against pictures ----------------------------------------------------------------------


def test_points_are_checked_against_the_sizes_of_the_pictures(annotated):
    save_points(annotated / "points" / "img2.csv", [[(8, 1)]])
    message = r"1 of 4 points of the annotation files are outside their image: img2.png of 6 x 9"
    with pytest.raises(ValueError, match=message):
        load_folder(annotated / "images", annotated / "points")
    with pytest.warns(UserWarning, match="1 of 4 points") as caught:
        points = load_folder(annotated / "images", annotated / "points", outside="warn").points
    assert caught[0].filename == __file__
    assert points.counts.tolist() == [1, 1, 2]


def test_annotations_of_another_size_are_refused(tmp_path):
    picture(tmp_path / "images" / "a.png", PIXELS[0])
    dots(tmp_path / "dots" / "a.png", [(1, 1)], shape=(12, 18))
    message = r"a.png must have 12 x 18 pixels, .* the annotation files; got 6 x 9"
    with pytest.raises(ValueError, match=message):
        load_folder(tmp_path / "images", tmp_path / "dots", "dots")


@pytest.mark.parametrize(
    ("name", "value"),
    {
        "missing": "warn",
        "extra": "empty",
        "outside": "drop",
        "format": "excel",
        "origin": "0",
        "columns": "yx",
        "image_column": 1.5,
        "variable": 3,
        "threshold": "high",
    }.items(),
)
def test_arguments_are_checked(annotated, name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter .* Got {value!r}"):
        load_folder(annotated / "images", annotated / "points", **{name: value})


def test_arguments_of_no_or_of_another_format_are_refused(annotated):
    with pytest.raises(ValueError, match=r"variable cannot be used with .*img1.csv, .* format='csv'"):
        load_folder(annotated / "images", annotated / "points", variable="a")
    with pytest.raises(TypeError, match="tolerance"):
        load_folder(annotated / "images", annotated / "points", tolerance=3)


# --- The data as published ------------------------------------------------------------------------


def test_the_vgg_cells_are_a_folder_of_dots(tmp_path, published):
    with zipfile.ZipFile(published("vgg_cells.zip")) as archive:
        archive.extractall(tmp_path)
    X, y = load_folder(
        tmp_path, tmp_path, "dots", image_pattern="{}cell", points_pattern="{}dots", return_X_y=True
    )
    assert X.shape == (200, 256, 256, 3)
    counts = y.counts
    assert (counts.sum(), counts.min(), counts.max()) == (35_192, 74, 317)
    assert y.inside((256, 256)) == y
