"""Files as people have them, which say more than where the points are: none is read wrongly without a word.

Each case is refused by a message that names what differs and the argument that settles it, and that argument works.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from skcount.io import load_folder, read_points

Image = pytest.importorskip("PIL.Image", reason="pillow reads pictures")

NAME = "cells.csv"


def table(header, *rows):
    return "\n".join([header, *rows]) + "\n"


def spread(n, extra="", header="x,y"):
    """A table of points all over a picture of 100 x 100."""
    places = np.random.default_rng(0).uniform(0, 99, (n, 2))
    return table(header, *(f"{x:.2f},{y:.2f}{extra}" for x, y in places))


# --- One file --------------------------------------------------------------------------------------

# (what it is, content, words of the refusal, remedy, counts with the remedy)
CASES = [
    ("two classes", table("x,y,class", "5,5,adult", "9,9,adult", "7,30,chick"),
     r"2 labels \('adult': 2, 'chick': 1\)", {"labels": "adult"}, [2]),
    ("two classes, joined", table("x,y,class", "5,5,adult", "9,9,adult", "7,30,chick"),
     r"labels='\*'", {"labels": "*"}, [3]),
    ("QuPath points", table("x\ty\tclass\tname\tcolor", "5\t5\tTumor\t\t", "9\t8\tTumor\t\t", "7\t3\tStroma\t\t"),
     "'Tumor': 2, 'Stroma': 1", {"labels": "Stroma"}, [1]),
    ("counters of ImageJ", table(" ,X,Y,Slice,Counter,Count", "1,5,5,1,0,2", "2,9,9,1,0,2", "3,7,30,1,1,1"),
     "'0': 2, '1': 1", {"labels": 0}, [2]),
    ("classes in one-object images", table("image,x,y,species", "a,5,5,seal", "b,9,9,pup"),
     "'seal': 1, 'pup': 1", {"labels": "*"}, [1, 1]),
    ("two columns of classes", table("x,y,species,type", "5,5,a,p", "9,9,a,q", "1,1,b,q"),
     "'species' varies .*label_column='species'", {"label_column": "species", "ignore": "type", "labels": "a"}, [2]),
    ("a class under another name", table("x,y,stage", "5,5,1", "9,9,1", "7,30,2"),
     "'stage' varies .*label_column='stage'", {"label_column": "stage", "labels": 1}, [2]),
    ("a class under a strange name", table("x,y,befund", "5,5,gut", "9,9,gut", "7,30,schlecht"),
     "'befund' varies .*label_column='befund'", {"label_column": "befund", "labels": "gut"}, [2]),
    ("two annotators", table("x,y,annotator", "5,5,anna", "9,9,anna", "6,5,ben", "9,8,ben"),
     r"'annotator' varies .*where=\{'annotator': 'anna'\}", {"where": {"annotator": "ben"}}, [2]),
    ("two raters under another name", table("x,y,created_by", "5,5,u1", "9,9,u1", "6,5,u2", "9,8,u2"),
     "'created_by' varies .*annotators", {"where": {"created_by": "u1"}}, [2]),
    ("a confidence", table("x,y,score", "5,5,0.9", "9,9,0.2"),
     r"'score' varies .*confidence.*ignore=\['score'\]", {"ignore": ["score"]}, [2]),
    ("a probability", table("x,y,Detection probability", "5,5,0.9", "9,9,0.2"),
     "'Detection probability' varies", {"ignore": "Detection probability"}, [2]),
    ("depths of planes", table("z,y,x", "3,1,1", "3,2,2", "7,4,4"),
     "'z' varies .*slice_column='z'", {"slice_column": "z"}, [2, 1]),
    ("depths in microns", table("z,y,x", "3.5,1,1", "3.7,2,2", "7.1,4,4"),
     r"'z' varies .*ignore=\['z'\]", {"ignore": "z"}, [3]),
    ("the centroids of a volume", table("label,centroid-0,centroid-1,centroid-2", "1,3,1,1", "2,3,2,2", "3,7,4,4"),
     "'centroid-0' varies", {"slice_column": "centroid-0"}, [2, 1]),
    ("time points", table("x,y,t", "1,1,0", "2,2,0", "4,4,1"),
     "'t' varies .*slice_column='t'", {"slice_column": "t"}, [2, 1]),
    ("channels", table("x,y,channel", "1,1,DAPI", "2,2,DAPI", "4,4,GFP"),
     r"'channel' varies .*where=\{'channel': 'DAPI'\}", {"where": {"channel": "DAPI"}}, [2]),
    ("slices and times", table("x,y,slice,time", "1,1,0,0", "2,2,0,1", "4,4,1,0", "5,5,1,1"),
     "'time' varies", {"where": {"time": 0}}, [1, 1]),
    ("wells of a plate", table("x,y,Well", "1,1,A01", "2,2,A01", "4,4,B02"),
     "'Well' varies .*image_column='Well'", {"image_column": "Well"}, [2, 1]),
    ("pictures under a strange name", table("x,y,quelle", "1,1,a.tif", "2,2,b.tif", "4,4,c.tif"),
     "'quelle' varies .*image_column='quelle'", {"image_column": "quelle"}, [1, 1, 1]),
    ("CellProfiler's file names", table("FileName_DNA,Location_Center_X,Location_Center_Y", "a,1,1", "a,2,2", "b,4,4"),
     "'FileName_DNA' varies .*image_column='FileName_DNA'", {"image_column": "FileName_DNA"}, [2, 1]),
    ("two names of images", table("image,file,x,y", "a,1.png,1,1", "b,2.png,4,4"),
     "'image', 'file'. Choose one with `image_column`", {"image_column": "file"}, [1, 1]),
    ("units in a column", table("x,y,unit", "1,1,px", "2,2,px", "4,4,um"),
     "'unit' varies", {"where": {"unit": "px"}}, [2]),
    ("microns in the header", table("Centroid X µm,Centroid Y µm", "1,1", "2,2"),
     "in pixels; got the unit µm. Pass `scale`", {"scale": 0.5}, [2]),
    ("microns of TrackMate 7", table("LABEL,POSITION_X,POSITION_Y,FRAME", "Label,X,Y,Frame", "Label,X,Y,Frame",
                                     ",(micron),(micron),", "ID1,1.5,2.5,0", "ID2,3.5,4.5,1"),
     "got the unit micron. Pass `scale`", {"scale": 0.5}, [1, 1]),
    ("different units", table("x_um,y_px", "1,1", "2,2"),
     "must have one unit; got px, um", {"columns": ("y_px", "x_um")}, [2]),
    ("fractions", table("x,y", "0.1,0.2", "0.3,0.4", "0.5,0.6"),
     "between 0 and 1, .*unit='fraction'", {"unit": "fraction", "image_shape": (50, 60)}, [3]),
    ("corners of boxes", table("xmin,ymin,w,h", "1,1,3,3", "5,5,3,3"),
     "none of them is known as a coordinate", {"columns": ("ymin", "xmin")}, [2]),
    ("x and y with sizes", table("x,y,width,height", "1,1,3,3", "5,5,4,4"),
     r"'width' varies .*corner", {"ignore": ["width", "height"]}, [2]),
    ("every mark twice", table("x,y", "1,1", "2,2", "4,4", "1,1", "2,2", "4,4"),
     "3 of 6 points .* duplicates='drop'", {"duplicates": "drop"}, [3]),
    ("every mark twice, meant so", table("x,y", "1,1", "2,2", "1,1", "2,2"),
     "duplicates='keep'", {"duplicates": "keep"}, [4]),
    ("columns without names", table("5,5,1", "9,9,1", "7,30,2"),
     "3 columns without names", {"columns": (1, 0), "label_column": 2, "labels": 2}, [1]),
    ("columns without names, and a class", table("5,5,1", "9,9,1", "7,30,2"),
     "3 columns without names", {"columns": (1, 0), "ignore": "2"}, [3]),
    ("degrees", table("lat,lon", "47.1,8.2", "47.2,8.3"),
     "none of them is known as a coordinate", {"columns": ("lat", "lon")}, [2]),
    ("properties of a layer of napari", table("index,axis-0,axis-1,cell_type", "0,1,1,T", "1,2,2,T", "2,4,4,B"),
     "'cell_type' varies", {"label_column": "cell_type", "labels": "T"}, [2]),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_a_table_that_says_more_is_refused_and_the_remedy_works(write, case):
    _, content, words, remedy, counts = case
    path = write(content)
    with pytest.raises(ValueError, match=words) as caught:
        read_points(path)
    assert NAME in str(caught.value)
    assert read_points(path, **remedy).points.counts.tolist() == counts


HARMLESS = {
    "an index": table("id,x,y", "1,1,1", "2,2,2"),
    "one class": table("x,y,class", "1,1,cell", "2,2,cell"),
    "one slice": table("x,y,z", "1,1,3", "2,2,3"),
    "measurements": table("x,y,area,mean", "1,1,50,7", "2,2,50,7.5", "3,3,51,7"),
    "fractions of unknown meaning": table("x,y,ratio", "1,1,0.5", "2,2,0.5", "3,3,0.7"),
    "a remark each": table("x,y,remark", "1,1,big", "2,2,small", "3,3,red"),
    "trackpy": table(
        "y,x,mass,size,ecc,signal,raw_mass,ep,frame", "1,1,9,2.1,0.1,5,9,0.1,0", "2,2,9,2.2,0.1,5,9,0.2,0"
    ),
    "no rows": table("x,y,class,frame,annotator"),
    "centres with their boxes": table(
        "centroid-0,centroid-1,bbox-0,bbox-1,bbox-2,bbox-3", "1,2,0,1,2,3", "5,6,4,5,6,7"
    ),
}


@pytest.mark.parametrize("content", HARMLESS.values(), ids=HARMLESS)
def test_what_tells_nothing_apart_is_no_obstacle(write, content):
    assert len(read_points(write(content)).points) == 1


def test_one_value_in_each_image_tells_no_objects_apart(write):
    path = write(
        table("image,x,y,date,annotator", "a,1,1,monday,anna", "a,2,2,monday,anna", "b,4,4,tuesday,ben")
    )
    assert read_points(path).points.counts.tolist() == [2, 1]


def test_a_few_coinciding_points_are_a_warning(write):
    path = write(spread(30) + "50,50\n50,50\n")
    with pytest.warns(UserWarning, match="1 of 32 points .* duplicates='drop'"):
        assert read_points(path).points.counts.tolist() == [32]
    assert read_points(path, duplicates="drop").points.counts.tolist() == [31]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ignore": "klass"}, "`ignore` must name columns or fields of .*; got 'klass'"),
        ({"where": {"klass": 1}}, "`where` must name fields of the points, .*'class'.*; got 'klass'"),
        (
            {"where": {"class": "c"}},
            "`where` leaves no point: 'class' must be one of 'a', 'b'; got \\['c'\\]",
        ),
        ({"label_column": "klass"}, "`label_column` must be one of .*; got 'klass'"),
        ({"slice_column": "remark"}, "'remark' must number the slices; got 'x'"),
        ({"slice_column": "z"}, "`slice_column` must be one of .*'remark'; got 'z'"),
        ({"unit": "fraction"}, "size of cells is not known"),
        ({"first": 2}, "'first' parameter .* Got 2"),
    ],
)
def test_remedies_that_fit_nothing_are_refused(write, arguments, message):
    path = write(table("x,y,class,remark", "1,1,a,x", "2,2,b,y"))
    with pytest.raises(ValueError, match=message):
        read_points(path, **{"labels": "*"} | arguments)


# --- Pictures and one file -------------------------------------------------------------------------


@pytest.fixture
def frames(tmp_path):
    """Three pictures of 40 x 60, numbered from 0."""
    for number in range(3):
        Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / f"frame{number}.png")
    return tmp_path


def load(folder, content, name="points.csv", **options):
    (folder / name).write_text(content)
    return load_folder(f"{folder}/*.png", folder / name, **options).points.counts.tolist()


def test_frames_that_may_count_from_0_or_1_are_asked_for(frames):
    shifted = table("y,x,mass,frame", "6,6,1,1", "7,7,1,2", "7,8,1,2")
    with pytest.raises(
        ValueError, match=r"first of the 3 pictures, frame0.png, has the number 0 or 1. Pass first=0 or"
    ):
        load(frames, shifted, missing="empty")
    assert load(frames, shifted, missing="empty", first=0) == [0, 1, 2]
    assert load(frames, shifted, missing="empty", first=1) == [1, 2, 0]


def test_frames_that_tell_where_they_begin_are_not_asked_for(frames):
    assert load(frames, table("y,x,frame", "5,5,0", "6,6,1", "7,7,2")) == [1, 1, 1]
    assert load(frames, table("y,x,frame", "5,5,1", "6,6,2", "7,7,3")) == [1, 1, 1]
    assert read_points(frames / "points.csv").names == ["1", "2", "3"]


def test_two_frames_from_0_are_two_images(write):
    path = write(table("y,x,mass,frame", "5,5,1,0", "6,6,1,0", "7,7,1,0", "8,8,1,1"))
    assert read_points(path).points.counts.tolist() == [3, 1]


def test_numbers_of_pictures_whose_order_is_not_clear_are_asked_for(tmp_path):
    """CellProfiler numbers pictures in alphabetical order; a folder is sorted by the numbers in the names."""
    for name in ("img2", "img10"):
        Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / f"{name}.png")
    content = table("ImageNumber,Location_Center_X,Location_Center_Y", "1,5,5", "1,6,6", "2,7,7")
    with pytest.raises(ValueError, match="Pass first=0 or first=1"):
        load(tmp_path, content)
    assert load(tmp_path, content, first=1) == [2, 1]


@pytest.mark.parametrize(("unit", "name"), [(1, "fraction"), (100, "percent")])
def test_fractions_and_percentages_are_told_from_pixels(tmp_path, unit, name):
    rng = np.random.default_rng(0)
    rows = []
    for number in range(3):
        Image.fromarray(np.zeros((600, 800), np.uint8)).save(tmp_path / f"{number}.png")
        rows += [f"{number}.png,{x * unit},{y * unit}" for x, y in rng.random((40, 2))]
    content = table("image,x,y", *rows)
    with pytest.raises(ValueError, match=f"unit='{name}'"):
        load(tmp_path, content)
    assert load(tmp_path, content, unit=name) == [40, 40, 40]
    points = load_folder(f"{tmp_path}/*.png", tmp_path / "points.csv", unit=name).points
    assert points.coordinates.max(axis=0) == pytest.approx([599.5, 799.5], rel=0.05)
    assert load(tmp_path, content, unit="pixel") == [40, 40, 40]


def test_microns_are_told_from_pixels_if_they_leave_half_of_the_picture_empty(frames):
    places = np.random.default_rng(0).uniform(0, 0.95, (20, 2)) * (40 * 0.325, 60 * 0.325)
    content = table("y,x,frame", *(f"{row:.3f},{col:.3f},{i % 3}" for i, (row, col) in enumerate(places)))
    with pytest.raises(ValueError, match=r"in the first \d+% of the rows and \d+% of the columns, .*`scale`"):
        load(frames, content)
    assert sum(load(frames, content, scale=0.325)) == 20


def test_many_points_in_most_of_the_picture_are_a_warning(frames):
    places = np.random.default_rng(0).uniform(0, 1, (60, 2)) * (40 * 0.65, 60 * 0.65)
    content = table("y,x,frame", *(f"{row:.3f},{col:.3f},{i % 3}" for i, (row, col) in enumerate(places)))
    with pytest.warns(UserWarning, match=r"Check their unit \(`scale`\)"):
        load(frames, content)


def test_names_that_differ_by_their_unicode_form_are_the_same(tmp_path):
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "Mu\u0308he.png")  # as macOS writes it
    assert load(tmp_path, table("image,x,y", "M\u00fche.png,1,1")) == [1]
    (tmp_path / "points").mkdir()
    (tmp_path / "points" / "M\u00fche.csv").write_text(table("x,y", "1,1"))
    assert load_folder(tmp_path / "Mu\u0308he.png", tmp_path / "points").points.counts.tolist() == [1]


def test_names_that_never_match_are_refused_whatever_is_asked_for(frames):
    content = table("image,x,y", "a.png,1,1", "b.png,2,2")
    for options in ({}, {"missing": "empty", "extra": "ignore"}):
        with pytest.raises(
            ValueError, match=r"No image matches .* are 3 images: frame0.png, .* of 2 images: a.png, b.png"
        ):
            load(frames, content, **options)


def test_the_layout_of_shanghaitech_says_its_pattern(tmp_path, write_mat):
    for folder in ("images", "ground-truth"):
        (tmp_path / folder).mkdir()
    for number in (1, 2, 10):
        Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "images" / f"IMG_{number}.jpg")
        path = tmp_path / "ground-truth" / f"GT_IMG_{number}.mat"
        path.write_bytes(write_mat(image_info=np.array([{"location": np.array([[5.0, 6.0]])}], dtype=object)))
    folders = tmp_path / "images", tmp_path / "ground-truth"
    for options in ({}, {"missing": "empty", "extra": "ignore"}):
        with pytest.raises(ValueError, match=r"Pass points_pattern='GT_\{\}'"):
            load_folder(*folders, **options)
    assert load_folder(*folders, points_pattern="GT_{}").points.counts.tolist() == [1, 1, 1]


def test_images_that_carry_more_text_than_their_points_say_their_pattern(tmp_path):
    for number in (1, 2):
        Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / f"{number}_image.png")
        (tmp_path / f"{number}.csv").write_text(table("x,y", "1,1"))
    with pytest.raises(ValueError, match=r"Pass image_pattern='\{\}_image'"):
        load_folder(f"{tmp_path}/*.png", f"{tmp_path}/*.csv")
    assert len(load_folder(tmp_path, tmp_path, image_pattern="{}_image").points) == 2


def test_a_training_set_without_a_single_object_is_refused(frames):
    """CVAT leaves points out of its COCO export."""
    content = {
        "categories": [{"id": 1, "name": "cell"}],
        "images": [{"id": i, "width": 60, "height": 40, "file_name": f"frame{i}.png"} for i in range(3)],
        "annotations": [],
    }
    with pytest.raises(ValueError, match=r"None of the 3 images has a point .*CVAT.*allow_empty=True"):
        load(frames, json.dumps(content), "instances_default.json")
    assert load(frames, json.dumps(content), "instances_default.json", allow_empty=True) == [0, 0, 0]


def test_classes_of_several_files_are_joined_only_on_demand(tmp_path):
    for name, label in (("a", "seal"), ("b", "pup")):
        Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / f"{name}.png")
        shape = {"label": label, "points": [[2.5, 3.5]], "shape_type": "point"}
        (tmp_path / f"{name}.json").write_text(json.dumps({"shapes": [shape], "imagePath": f"{name}.png"}))
    with pytest.raises(ValueError, match=r"the annotation files have 2 labels \('seal': 1, 'pup': 1\)"):
        load_folder(tmp_path, tmp_path)
    found = load_folder(tmp_path, tmp_path, labels="seal")
    assert (found.points.counts.tolist(), found.labels) == ([1, 0], {"seal": 1, "pup": 1})


# --- COCO and ImageJ -------------------------------------------------------------------------------


def test_the_coco_export_of_label_studio_has_lost_its_points(write):
    keypoint = {
        "id": 0,
        "image_id": 0,
        "category_id": 0,
        "keypoints": [22, 55, 2],
        "bbox": [22, 55, 0, 0],
        "iscrowd": 0,
    }
    image = {"id": 0, "width": 64, "height": 64, "file_name": "images/3f2a9c1e-0.png"}
    content = {"images": [image], "categories": [{"id": 0, "name": "cell"}], "annotations": [keypoint]}
    path = write(content, "result.json")
    with pytest.raises(
        ValueError, match=r"only the last keypoint .*format='label_studio'.*keypoints='objects'"
    ):
        read_points(path)
    assert read_points(path, keypoints="objects").points.counts.tolist() == [1]


def test_a_points_shape_with_many_keypoints_is_asked_for(write):
    keypoints = [v for x, y in [(10, 12), (30, 40), (50, 8)] for v in (x, y, 2)]
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "keypoints": keypoints, "bbox": [10, 8, 40, 32]}
    image = {"id": 1, "width": 64, "height": 64, "file_name": "a.png"}
    path = write({"images": [image], "annotations": [annotation]}, "a.json")
    with pytest.raises(ValueError, match=r"3 keypoints.*keypoints='objects'.*keypoints='parts'"):
        read_points(path)
    assert read_points(path, keypoints="objects").points.counts.tolist() == [3]
    assert read_points(path, keypoints="parts").points.counts.tolist() == [1]


def test_detections_have_scores(write):
    boxes = [
        {"id": i, "image_id": 1, "bbox": [i, 1, 2, 2], "score": score} for i, score in enumerate([0.9, 0.2])
    ]
    path = write({"images": [{"id": 1, "file_name": "a.png"}], "annotations": boxes}, "a.json")
    with pytest.raises(ValueError, match="'score' varies"):
        read_points(path)
    assert read_points(path, ignore="score").points.counts.tolist() == [2]


def selection(places, name="points", **attributes):
    roifile = pytest.importorskip("roifile", reason="roifile reads selections of ImageJ")
    roi = roifile.ImagejRoi.frompoints(np.array(places), name=name)
    roi.roitype = roifile.ROI_TYPE.POINT
    for attribute, value in attributes.items():
        setattr(roi, attribute, value)
    return roi.tobytes()


def test_positions_in_a_hyperstack_are_images(tmp_path, write_zip):
    members = {
        f"{t}.roi": selection([(5, 5), (9, 9)][: t + 1], "0005-0005", t_position=t + 1, c_position=2)
        for t in (0, 1)
    }
    cells = read_points(write_zip(tmp_path / "RoiSet.zip", members))
    assert (cells.names, cells.points.counts.tolist()) == (["1", "2"], [1, 2])


def test_positions_along_two_axes_are_asked_for(tmp_path, write_zip):
    members = {
        f"{i}.roi": selection([(5 + i, 5)], "0005-0005", t_position=t, z_position=z)
        for i, (t, z) in enumerate([(1, 1), (1, 2), (2, 1), (2, 2)])
    }
    path = write_zip(tmp_path / "RoiSet.zip", members)
    with pytest.raises(ValueError, match=r"'z' varies .*slice_column='z'.*ignore=\['z'\]"):
        read_points(path)
    assert read_points(path, slice_column="t", ignore="z").points.counts.tolist() == [2, 2]
    assert read_points(path, slices="merge").points.counts.tolist() == [4]


def test_groups_and_names_of_selections_may_be_classes(tmp_path, write_zip):
    named = {"a.roi": selection([(5, 5), (6, 6)], "neuron"), "b.roi": selection([(9, 9), (7, 7)], "glia")}
    path = write_zip(tmp_path / "named.zip", named)
    with pytest.raises(ValueError, match="'name' varies"):
        read_points(path)
    assert read_points(path, label_column="name", labels="glia").points.counts.tolist() == [2]
    grouped = {f"{i}.roi": selection([(5 + i, 5)], "0005-0005", group=i // 2) for i in range(4)}
    path = write_zip(tmp_path / "grouped.zip", grouped)
    with pytest.raises(ValueError, match=r"'group' varies .*classes"):
        read_points(path)
    assert read_points(path, where={"group": 1}).points.counts.tolist() == [2]


def test_the_overlay_of_a_tiff_is_read_if_its_format_is_named(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="tifffile reads TIFF")
    overlay = {"Overlays": [selection([(5, 5), (9, 9)])]}
    for name, metadata in (("a", overlay), ("b", {})):
        tifffile.imwrite(
            tmp_path / f"{name}.tif", np.zeros((32, 32), np.uint8), imagej=True, metadata=metadata
        )
    assert read_points(tmp_path / "a.tif", "imagej").points.counts.tolist() == [2]
    with pytest.raises(ValueError, match=r"may be imagej \(an overlay of ImageJ\) or dots"):
        read_points(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"b.tif has no overlay and no selection"):
        load_folder(tmp_path, tmp_path, "imagej")
    Path(tmp_path / "b.tif").unlink()
    assert load_folder(tmp_path, tmp_path, "imagej").points.counts.tolist() == [2]


# --- Dots and masks --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 3, 5])
def test_dots_of_a_brush_are_asked_for(tmp_path, size):
    dots = np.zeros((200, 200), np.uint8)
    for row in range(10, 190, 30):
        for col in range(10, 190, 30):
            dots[row : row + size, col : col + size] = 255
    Image.fromarray(dots).save(tmp_path / "dots.png")
    with pytest.raises(ValueError, match=r"there are 36 spots. Pass touching='join' .*touching='separate'"):
        read_points(tmp_path / "dots.png", "dots")
    assert read_points(tmp_path / "dots.png", "dots", touching="join").points.counts.tolist() == [36]
    assert read_points(tmp_path / "dots.png", "dots", touching="separate").points.counts.tolist() == [
        36 * size**2
    ]
