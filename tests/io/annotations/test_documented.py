"""Each row of docs/annotations.md that says what to save in a tool: its call reads a file that follows the tool's rules."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from skcount.io import load_folder, read_points

Image = pytest.importorskip("PIL.Image", reason="pillow reads pictures")
roifile = pytest.importorskip("roifile", reason="roifile reads selections of ImageJ")
tifffile = pytest.importorskip("tifffile", reason="tifffile reads TIFF")

PAGE = (Path(__file__).parents[3] / "docs" / "annotations.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## What to save in each tool")[2].partition("\n## ")[0]
ROWS = [[cell.strip() for cell in line.split(" | ")] for line in TABLE.splitlines() if line.startswith("| ")][
    2:
]
CALL = re.compile(r"`((?:read_points|load_folder)\(.*?\))`")
BLACK = np.zeros((40, 60), np.uint8)


def selection(*places, counters=None):
    roi = roifile.ImagejRoi.frompoints(np.array(places), name="0004-0003")
    roi.roitype = roifile.ROI_TYPE.POINT
    if counters:
        roi.counters, roi.counter_positions = np.array(counters, np.uint8), np.zeros(len(places), np.uint32)
    return roi


def picture(path, pixels=BLACK):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)


def imagej(folder):
    selection((3, 4), (9, 9), counters=[0, 0]).tofile(folder / "cells.roi")


def overlay(folder):
    overlays = {"Overlays": [selection((3, 4), (9, 9)).tobytes()]}
    for path in (folder / "cells.tif", folder / "img" / "cells.tif"):
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, BLACK, imagej=True, metadata=overlays)


def text(name, *lines):
    def write(folder):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    return write


def as_json(name, content):
    return text(name, json.dumps(content))


def boxes(folder):
    picture(folder / "img" / "a.png")
    (folder / "labels").mkdir()
    objects = "".join(
        f"<object><name>Tree</name><bndbox><xmin>{x}</xmin><ymin>2</ymin><xmax>{x + 4}</xmax><ymax>6</ymax></bndbox>"
        "</object>"
        for x in (2, 12)
    )
    text("labels/a.xml", f"<annotation><filename>a.png</filename>{objects}</annotation>")(folder)


def supervisely(folder):
    picture(folder / "img" / "a.png")
    (folder / "ann").mkdir()
    shapes = [
        {"classTitle": "cell", "geometryType": "point", "points": {"exterior": [[i, 4]]}} for i in (3, 9)
    ]
    as_json("ann/a.png.json", {"size": {"height": 40, "width": 60}, "objects": shapes})(folder)


def matlab(folder):
    savemat = pytest.importorskip("scipy.io").savemat
    savemat(folder / "gt.mat", {"points": np.array([[4.0, 5.0], [10.0, 10.0]])})


def dots(folder):
    pixels = BLACK.copy()
    pixels[4, 3] = pixels[9, 9] = 255
    picture(folder / "dots.png", pixels)


def masks(folder):
    pixels = BLACK.copy()
    pixels[3:6, 2:5], pixels[8:12, 8:12] = 1, 2
    picture(folder / "masks.png", pixels)


def crowds(folder):
    picture(folder / "images" / "a.png")
    (folder / "gt").mkdir()
    text("gt/a.txt", "3 4 2 2 1 0", "9 9 2 2 1 0")(folder)


FEATURES = [
    {
        "type": "Feature",
        "properties": {"classification": {"name": "Tumor"}},
        "geometry": {"type": "Point", "coordinates": xy},
    }
    for xy in ([3.5, 4.5], [9.5, 9.5])
]
REGIONS = [{"shape_attributes": {"name": "point", "cx": x, "cy": x}, "region_attributes": {}} for x in (3, 9)]
COCO = {
    "images": [{"id": 1, "file_name": "a.png"}],
    "categories": [{"id": 1, "name": "cell"}],
    "annotations": [{"id": i, "image_id": 1, "category_id": 1, "bbox": [i, 4, 2, 2]} for i in (3, 9)],
}
KEYPOINTS = [
    {
        "type": "keypointlabels",
        "original_width": 60,
        "original_height": 40,
        "value": {"x": x, "y": x, "keypointlabels": ["a"]},
    }
    for x in (10, 20)
]
MARKER = "<Marker><MarkerX>{0}</MarkerX><MarkerY>{0}</MarkerY><MarkerZ>1</MarkerZ></Marker>"
MARKS = [{"x": x, "y": x, "tool": 0, "tool_label": "Penguin", "frame": 0} for x in (3, 9)]


def zooniverse(folder):
    cells = [[{"task": "T0", "value": MARKS}], {"7": {"Filename": "a.png"}}]
    quoted = ['"' + json.dumps(cell).replace('"', '""') + '"' for cell in cells]
    text(
        "classifications.csv", "user_name,annotations,subject_data,subject_ids", f"anna,{','.join(quoted)},7"
    )(folder)


MAKERS = {
    "ImageJ, Fiji: multi-point tool": imagej,
    "ImageJ, Fiji: overlay": overlay,
    "ImageJ, Fiji: measured points": text("Results.csv", " ,Area,Mean,X,Y", "1,0,7,3,4", "2,0,9,9,9"),
    "ImageJ, Fiji: *Analyze Particles*": text("Results.csv", " ,Area,X,Y", "1,20,3.5,4.5", "2,25,9.5,9.5"),
    "Fiji: Cell Counter": text(
        "CellCounter_cells.xml",
        "<CellCounter_Marker_File><Image_Properties><Image_Filename>cells.tif</Image_Filename></Image_Properties>"
        f"<Marker_Data><Marker_Type><Type>1</Type>{MARKER.format(3)}{MARKER.format(9)}</Marker_Type></Marker_Data>"
        "</CellCounter_Marker_File>",
    ),
    "Fiji: TrackMate 7": text(
        "spots.csv", "LABEL,ID,QUALITY,POSITION_X,POSITION_Y,POSITION_Z,FRAME", "Label,Spot ID,Quality,X,Y,Z,Frame",
        "Label,Spot ID,Quality,X,Y,Z,Frame", ",,(quality),(micron),(micron),(micron),", "ID1,1,2.5,1,2,0,0",
        "ID2,2,3.5,3,4,0,0"
    ),
    "napari": text("points.csv", "index,axis-0,axis-1", "0,4,3", "1,9,9"),
    "QuPath: points or detections": as_json("cells.geojson", {"type": "FeatureCollection", "features": FEATURES}),
    "QuPath: points": text("points.tsv", "x\ty\tclass\tname\tcolor", "3.5\t4.5\tTumor\t\t", "9.5\t9.5\tTumor\t\t"),
    "CVAT": text(
        "annotations.xml", '<annotations><image id="0" name="a.png" width="60" height="40"><points label="a" '
        'points="3.50,4.50;9.50,9.50"/></image></annotations>'
    ),
    "Label Studio": as_json(
        "project.json",
        [{"id": 1, "data": {"image": "/data/upload/1/3f2a9c1e-a.png"}, "annotations": [{"id": 1, "result": KEYPOINTS}]}],
    ),
    "VGG Image Annotator (VIA)": as_json("via.json", {"a.png9": {"filename": "a.png", "size": 9, "regions": REGIONS}}),
    "LabelMe": as_json(
        "a.json",
        {"imagePath": "a.png", "shapes": [{"label": "a", "points": [[x, x]], "shape_type": "point"} for x in (3, 9)]},
    ),
    "LabelImg, Roboflow: boxes": boxes,
    "Supervisely": supervisely,
    "Roboflow and other tools": as_json("instances.json", COCO),
    "DeepForest and others: boxes in a table": text(
        "trees.csv", "image_path,xmin,ymin,xmax,ymax,label", "a.tif,1,1,5,5,Tree", "a.tif,7,7,9,9,Tree"
    ),
    "Zooniverse": zooniverse,
    "MATLAB": matlab,
    "CellProfiler": text("Nuclei.csv", "ImageNumber,ObjectNumber,Location_Center_X,Location_Center_Y", "1,1,3,4", "1,2,9,9"),
    "scikit-image, trackpy": text("centers.csv", "label,centroid-0,centroid-1,area", "1,4,3,9", "2,9,9,9"),
    "a table of your own": text("cells.csv", "x,y", "3,4", "9,9"),
    "dots drawn on black": dots,
    "Cellpose, StarDist, ilastik": masks,
    "the crowds of JHU-Crowd++, NWPU-Crowd, ShanghaiTech": crowds,
}  # fmt: skip


def test_every_row_has_a_file():
    assert [row[0].strip("| ") for row in ROWS] == list(MAKERS)


@pytest.mark.parametrize("tool", MAKERS)
def test_the_call_of_the_row_reads_the_file_of_the_tool(tmp_path, monkeypatch, tool):
    if tool in {"Fiji: Cell Counter", "CVAT", "LabelImg, Roboflow: boxes"}:
        pytest.importorskip("defusedxml", reason="defusedxml reads XML")
    MAKERS[tool](tmp_path)
    monkeypatch.chdir(tmp_path)
    row = next(row for row in ROWS if row[0].strip("| ") == tool)
    calls = CALL.findall(row[2])
    assert calls
    for call in calls:
        found = eval(call, {"read_points": read_points, "load_folder": load_folder})  # noqa: S307 - of our own page
        assert found.points.counts.sum() == 2
