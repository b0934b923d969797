"""Small valid files of every kind that is read: what the fuzzer and the tests begin their mutations with.

They are made by the writers of the library and of its neighbours. No file of anybody's data is among them.
"""

import csv as csv_module
import gzip
import io
import json
import tarfile
import tempfile
import zipfile
from functools import cache, partial
from pathlib import Path

import numpy as np
from imagecodecs import png_encode
from PIL import Image
from tifffile import imwrite

from skcount import UNetRegressor
from skcount.io import save_hdf5, save_points

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)
DEEP = GREY.astype(np.uint16) * 257
DOTS = np.where(GREY % 7 == 0, 255, 0).astype(np.uint8)
LABELS = np.array([[0, 1, 1, 0, 2, 2], [0, 1, 0, 0, 0, 2], [3, 0, 0, 4, 2, 2]], dtype=np.uint8)
POINTS = [[(2, 3), (4.5, 1.25)], [], [(0, 7)]]


def _written(write, suffix):
    """Bytes of what a function writes to the path that it is given."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"seed{suffix}"
        write(path)
        return path.read_bytes()


def _saved(save, *arguments, **options):
    """Bytes of what a function saves in the buffer that it is given first."""
    buffer = io.BytesIO()
    save(buffer, *arguments, **options)
    return buffer.getvalue()


def hdf5():
    several = [GREY, GREY[:4, :5], GREY[:4, :5]]
    maps = [image > 20 for image in several]
    scales = [np.ones(image.shape, dtype=np.float32) for image in several]
    groups = {"groups": ["a", "b", "a"], "description": "three images"}
    saves = [
        partial(save_hdf5, images=several, compression="zstd", **groups),
        partial(save_hdf5, images=np.stack([COLOUR] * 3), compression="gzip", roi=GREY > 20),
        partial(save_hdf5, images=np.stack([DEEP] * 3), compression="zstd", groups=[1, 1, 2]),
        partial(save_hdf5, images=np.stack([GREY / 1.0] * 3), compression=None, perspective=GREY + 1.0),
        partial(save_hdf5, images=several, compression="gzip", roi=maps, perspective=scales),
    ]
    return [_written(partial(save, points=POINTS), ".h5") for save in saves]


def napari():
    return [_written(partial(save_points, points=points), ".csv") for points in (POINTS, POINTS[:1])]


def csv():
    """Tables as programs write them."""
    return [
        *(
            _written(partial(save_points, points=POINTS, format="imagej", names=names), ".csv")
            for names in (None, ["a.png", "b.png", "c.png"])
        ),
        *napari(),
        b"row,col\n1,2\n3.5,4e1\n",
        b"image;y;x\na.png;1,5;2\nb.png;3;4\n",
        b"sep=;\ny;x;slice\n1;2;1\n3;4;2\n",
        b'"x"\t"y"\t"Label"\n1\t2\t"a: 1"\n',
        "﻿Y,X\n1,2\n".encode(),
        "y\tx\n1\t2\n".encode("utf-16"),
        "größe,y,x\n1,2,3\n".encode("cp1252"),
        b"y,x\n",
    ]


def imagej():
    from roifile import ROI_TYPE, ImagejRoi

    plain = ImagejRoi.frompoints([[10.5, 2], [4, 5]], name="0002-0010")
    counted = ImagejRoi.frompoints([[1, 2], [3, 4]], position=2, name="0001-0002")
    counted.counters, counted.counter_positions = np.array([0, 1], np.uint8), np.array([1, 3], np.uint32)
    whole = ImagejRoi.frompoints(np.array([[1, 2], [3, 4]], dtype=np.int32), name="0002-0001")
    for roi in (plain, counted, whole):
        roi.roitype = ROI_TYPE.POINT
    outline = ImagejRoi.frompoints([[1, 1], [5, 1], [5, 5]])
    outline.roitype = ROI_TYPE.POLYGON
    selections = [roi.tobytes() for roi in (plain, counted, whole, outline)]
    return [*selections, _zip({"a.roi": selections[0]}, zipfile.ZIP_DEFLATED)]


def imagej_zip():
    selections = imagej()[:3]
    members = {f"{number}.roi": content for number, content in enumerate(selections)}
    return [_zip(members, method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]


def cell_counter():
    marker = "<Marker><MarkerX>{}</MarkerX><MarkerY>{}</MarkerY><MarkerZ>{}</MarkerZ></Marker>"
    page = (
        '<?xml version="1.0" encoding="{}"?>\n<CellCounter_Marker_File><Image_Properties><Image_Filename>'
        "Counter Window - a.tif</Image_Filename></Image_Properties><Marker_Data><Current_Type>1</Current_Type>"
        "<Marker_Type><Type>1</Type><Name>live</Name>{}</Marker_Type><Marker_Type><Type>2</Type>{}</Marker_Type>"
        "</Marker_Data></CellCounter_Marker_File>"
    )
    first, second, third = (marker.format(*numbers) for numbers in ((1, 2, 1), (3.5, 4, 1), (5, 6, 2)))
    return [
        page.format("UTF-8", first, second).encode(),
        page.format("ISO-8859-1", first + third, second).encode(),
        page.format("UTF-16", "", "").encode("utf-16"),
    ]


def coco():
    images = [{"id": 1, "file_name": "a.png", "height": 6, "width": 8}, {"id": "two", "file_name": "b.png"}]
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4.5], "iscrowd": 0},
        {"id": 2, "image_id": "two", "category_id": 1, "keypoints": [1, 2, 2], "num_keypoints": 1},
        {"id": 3, "image_id": 1, "bbox": [1, 2, 3, 4], "segmentation": [[1, 1, 2, 2, 3, 1]]},
    ]
    categories = [{"id": 1, "name": "cell"}]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    return [_json(whole), _json({"images": images, "annotations": []})]


def labelme():
    shapes = [
        {"label": "cell", "points": [[1, 2]], "shape_type": "point"},
        {"label": "cell", "points": [[1, 2], [3, 2.5]], "shape_type": "circle"},
        {"label": "cell", "points": [[1, 2], [3, 2.5]], "shape_type": "rectangle"},
    ]
    outline = {"label": "area", "points": [[1, 2], [3, 2], [3, 3]], "shape_type": "polygon"}
    size = {"imagePath": "a.png", "imageHeight": 6, "imageWidth": 8, "imageData": None}
    return [_json({"shapes": shapes, **size}), _json({"shapes": [outline]}), _json({"shapes": []})]


_POINT = {"name": "point", "cx": 1, "cy": 2}
_RECT = {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 2}
_REGIONS = [{"shape_attributes": shape, "region_attributes": {"kind": "cell"}} for shape in (_POINT, _RECT)]
_VALUE = {"x": 50, "y": 25.5, "width": 10, "height": 10, "rotation": 30}
_RESULT = [
    {
        "type": f"{kind}labels",
        "original_width": 8,
        "original_height": 6,
        "value": _VALUE | {f"{kind}labels": ["cell"]},
    }
    for kind in ("keypoint", "rectangle", "ellipse")
]
_MARKS = [
    {"x": 1.5, "y": 2.5, "tool": 0, "tool_label": "cell"},
    {"x": 1, "y": 2, "width": 3, "height": 2, "tool": 0},
]
_CLASS = {"objectType": "cell", "classification": {"name": "cell"}}
_GEOMETRIES = [
    {"type": "Point", "coordinates": [1.5, 2]},
    {"type": "MultiPoint", "coordinates": [[1.5, 2], [3, 4]]},
    {"type": "Polygon", "coordinates": [[[1, 1], [4, 1], [4, 4], [1, 1]]]},
]
_FEATURES = [{"type": "Feature", "geometry": geometry, "properties": _CLASS} for geometry in _GEOMETRIES]
_OBJECTS = [
    {"classTitle": "cell", "geometryType": kind, "tags": [], "points": {"exterior": corners, "interior": []}}
    for kind, corners in (("point", [[1, 2]]), ("rectangle", [[1, 2], [5, 4]]))
]


def of_tool(name):
    """Files of a tool for annotation, as the tool writes them."""
    return [content.encode() if isinstance(content, str) else _json(content) for content in _OF_TOOLS[name]]


def _cells(*rows):
    """A table of which each cell is text, or JSON."""
    text = io.StringIO()
    csv_module.writer(text).writerows(
        [cell if isinstance(cell, str) else json.dumps(cell) for cell in row] for row in rows
    )
    return text.getvalue()


_OF_TOOLS = {
    "cvat": [
        '<annotations><image id="0" name="a.png" width="8" height="6"><points label="cell" points="1.5,2;3,4"/>'
        '<box label="cell" xtl="1" ytl="1" xbr="3" ybr="4"/><ellipse label="cell" cx="2" cy="3" rx="1" ry="1"/>'
        "</image></annotations>",
        '<annotations><track label="cell"><points frame="0" outside="0" points="1,2"/><points frame="1" outside="1" '
        'points="1,2"/></track></annotations>',
    ],
    "voc": [
        "<annotation><filename>a.png</filename><size><width>8</width><height>6</height></size><object><name>cell</name>"
        "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>4</xmax><ymax>5</ymax></bndbox></object></annotation>",
        "<annotation><filename>a.png</filename></annotation>",
    ],
    "via": [
        {"a.png1": {"filename": "a.png", "regions": _REGIONS}},
        {"_via_img_metadata": {"b": {"filename": "b", "regions": {}}}},
    ],
    "via_csv": [
        _cells(
            ["filename", "region_shape_attributes", "region_attributes"],
            ["a.png", _POINT, {"kind": "cell"}],
            ["a.png", _RECT, {"kind": "cell"}],
            ["b.png", {}, {}],
        )
    ],
    "zooniverse": [
        _cells(
            ["user_name", "annotations", "subject_data", "subject_ids"],
            ["anna", [{"task": "T0", "value": _MARKS[:1]}], {"7": {"Filename": "a.png"}}, "7"],
            ["anna", [{"task": "T0", "value": _MARKS[1:]}], {"8": {"Filename": "b.png"}}, "8"],
        )
    ],
    "label_studio": [
        [{"data": {"image": "/data/upload/1/3f2a9c1e-a.png"}, "annotations": [{"completed_by": 1, "result": _RESULT}]}],
        [{"image": "a.png", "kp": [_RESULT[0]["value"] | {"original_width": 8, "original_height": 6}], "annotator": 1,
          "annotation_id": 2}],
    ],
    "geojson": [{"type": "FeatureCollection", "features": _FEATURES}, _FEATURES[:1]],
    "supervisely": [{"size": {"height": 6, "width": 8}, "objects": _OBJECTS}, {"size": {}, "objects": []}],
    "nwpu": [{"img_id": "a.jpg", "human_num": 2, "points": [[1.5, 2], [3, 4]], "boxes": []}],
    "yolo": ["0 0.3 0.4 0.1 0.1\n1 0.8 0.4 0.2 0.2\n", "0 0.3 0.4 0.1 0.1\n", ""],
    "jhu": ["1 2 3 4 1 0\n4 5 3 4 2 1\n", ""],
}  # fmt: skip


def overlay():
    """TIFF with selections in their overlay, and one without."""
    selections = imagej()[:3]
    return [
        *(_tiff(GREY, imagej=True, metadata={"Overlays": [selection]}) for selection in selections),
        _tiff(GREY, imagej=True, metadata={"Overlays": selections[::2], "ROI": selections[0]}),
    ]


def mat():
    from scipy.io import savemat

    points = np.array([[1, 2], [3, 4.5]])
    cells = np.array([points, points[:1], np.empty((0, 2))], dtype=object)
    frames = np.array([{"loc": points}, {"loc": points[:1]}], dtype=object)
    kinds = {"name": "cells", "valid": np.array([[True, False]]), "z": np.array([1 + 2j]), "n": np.int16(3)}
    return [
        *(_saved(savemat, {"points": points, **kinds}, do_compression=c) for c in (False, True)),
        _saved(savemat, {"cells": cells}),
        _saved(savemat, {"frame": frames}, do_compression=True),
        _saved(savemat, {"points": points}, format="4"),
    ]


def mat_without_version_4():
    return mat()[:-1]


def dots():
    return [_picture(DOTS, "PNG"), _picture(DOTS > 0, "PNG"), _picture(DOTS, "BMP"), _tiff(DOTS)]


def _palette(pixels):
    palette = Image.fromarray(pixels)
    palette.putpalette([channel for value in range(8) for channel in (value, 7 - value, 9)])
    return palette


def mask():
    pictures = [_picture(LABELS, "PNG"), _picture(LABELS.astype(np.uint16), "PNG")]
    return [*pictures, _saved(_palette(LABELS).save, format="PNG"), _tiff(LABELS.astype(np.float32))]


def png():
    opaque, palette = np.dstack([COLOUR, np.full_like(GREY, 255)]), _palette(GREY % 8)
    return [
        *(_picture(pixels, "PNG") for pixels in (GREY, COLOUR, opaque, GREY > 20, DEEP)),
        _saved(palette.save, format="PNG"),
        *(_saved(palette.save, format="PNG", transparency=value) for value in (0, bytes([255] * 8))),
        *(png_encode(pixels.astype(np.uint16) * 257) for pixels in (COLOUR, opaque)),
    ]


def jpeg():
    exif = Image.Exif()
    exif[0x0112] = 6
    colour, smaller = Image.fromarray(COLOUR), Image.fromarray(COLOUR[:3])
    kinds = [{"format": "JPEG", "exif": exif}, {"format": "JPEG", "progressive": True}]
    kinds += [{"format": "MPO", "save_all": True, "append_images": [smaller]}]
    plain = [_picture(pixels, "JPEG") for pixels in (GREY, COLOUR)]
    return [*plain, *(_saved(colour.save, **kind) for kind in kinds)]


def bmp():
    return [_picture(pixels, "BMP") for pixels in (GREY, COLOUR, GREY > 20)]


def tiff():
    planes = COLOUR.transpose(2, 0, 1)
    return [
        *(_tiff(pixels) for pixels in (GREY, GREY > 20)),
        *(_tiff(DEEP, **{dialect: True}) for dialect in ("imagej", "ome", "bigtiff")),
        _tiff(COLOUR, photometric="rgb"),
        _tiff(DEEP, compression="zlib", predictor=True),
        _tiff(GREY.astype(np.float32), byteorder=">"),
        _tiff(planes, photometric="rgb", planarconfig="separate", compression="lzw"),
        _tiff(np.tile(GREY, (3, 4)), tile=(16, 16)),
        _tiff(GREY[None], metadata={"axes": "ZYX"}),
        *(_saved(Image.fromarray(COLOUR).save, format="TIFF", compression=c) for c in ("packbits", "jpeg")),
    ]


MEMBERS = {"data/1.png": b"a picture", "data/2.png": bytes(2000), "readme.txt": b"", "data/ü.txt": b"x"}


def zips():
    return [_zip(MEMBERS, method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]


def tars():
    plain = [_tar(MEMBERS, kind) for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
    long = _tar({"deep/" * 40 + "a.txt": b"x"}, tarfile.GNU_FORMAT)
    return [*plain, long, gzip.compress(plain[0], mtime=0)]


# --- How they are made ------------------------------------------------------------------------------------


def _json(content):
    return json.dumps(content).encode()


def _picture(pixels, kind):
    return _saved(Image.fromarray(pixels).save, format=kind)


def _tiff(pixels, **options):
    return _saved(imwrite, pixels, **options)


def _zip(members, method):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def _tar(members, kind):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


# --- Models and checkpoints -------------------------------------------------------------------------------


def _regressors():
    tiny = {"filters": 1, "depth": 1, "max_epochs": 1, "random_state": 0}
    strict = {"precision": "float64", "normalization": None}
    strict["net_params"] = {"iterator_train__drop_last": False}
    return [UNetRegressor(**tiny), UNetRegressor(**tiny, **strict)]


@cache
def models():
    return [_written(regressor.fit([GREY] * 3, POINTS).save, ".skcount") for regressor in _regressors()]


@cache
def checkpoints():
    """Files that a fit keeps its state in."""
    fits = [partial(regressor.fit, [GREY] * 3, POINTS) for regressor in _regressors()]
    return [_written(lambda path, fit=fit: fit(checkpoint=path), ".checkpoint") for fit in fits]
