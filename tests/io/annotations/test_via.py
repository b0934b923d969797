import csv
import io
import json

import pytest
from numpy.testing import assert_array_equal

from skcount.io import read_points

NAME = "via_project.json"
POINT = {"name": "point", "cx": 10, "cy": 12}
RECT = {"name": "rect", "x": 4, "y": 6, "width": 2, "height": 4}


def image(name, *regions):
    regions = [{"shape_attributes": shape, "region_attributes": attributes} for shape, attributes in regions]
    return {"filename": name, "size": 123, "regions": regions, "file_attributes": {}}


def via(*images):
    return {f"{entry['filename']}123": entry for entry in images}


def test_points_and_rectangles_of_an_annotation_file_and_of_a_project(write):
    images = via(image("a.png", (POINT, {}), (RECT, {})), image("b.png"))
    project = {"_via_settings": {}, "_via_img_metadata": images, "_via_attributes": {}}
    old = {key: entry | {"regions": dict(enumerate(entry["regions"]))} for key, entry in images.items()}
    for content in (images, project, old):
        cells = read_points(write(content))
        assert (cells.names, cells.points.counts.tolist()) == (["a.png", "b.png"], [2, 0])
        assert_array_equal(cells.points[0], [[12, 10], [7.5, 4.5]])


def test_the_csv_of_via_is_read_alike(write):
    text = io.StringIO()
    rows = csv.writer(text)
    columns = ["filename", "file_size", "file_attributes", "region_count", "region_id"]
    rows.writerow([*columns, "region_shape_attributes", "region_attributes"])
    rows.writerow(["a.png", 123, "{}", 2, 0, json.dumps(POINT), "{}"])
    rows.writerow(["a.png", 123, "{}", 2, 1, json.dumps(RECT), "{}"])
    rows.writerow(["b.png", 123, "{}", 0, 0, "{}", "{}"])
    cells = read_points(write(text.getvalue(), "via_export.csv"))
    assert (cells.names, cells.points.counts.tolist()) == (["a.png", "b.png"], [2, 0])
    assert_array_equal(cells.points[0], [[12, 10], [7.5, 4.5]])
    with pytest.raises(ValueError, match="line 2: the attributes of the region are not valid JSON"):
        read_points(write(text.getvalue().replace('"{""name""', '"{""name'), "via_export.csv"))


def test_the_attribute_of_regions_is_the_label_and_of_several_one_is_chosen(write):
    kinds = [{"species": "seal"}, {"species": "pup"}, {"species": "seal"}]
    places = [{**POINT, "cx": 3 * i} for i in range(3)]
    path = write(via(image("a.png", *zip(places, kinds, strict=True))))
    with pytest.raises(ValueError, match=r"labels \('seal': 2, 'pup': 1\)"):
        read_points(path)
    assert read_points(path, labels="seal").points.counts.tolist() == [2]
    more = [kind | {"sex": sex} for kind, sex in zip(kinds, "ffm", strict=True)]
    path = write(via(image("a.png", *zip(places, more, strict=True))))
    with pytest.raises(ValueError, match="'species' varies"):
        read_points(path)
    options = {"label_column": "species", "labels": "seal"}
    with pytest.raises(ValueError, match="'sex' varies"):
        read_points(path, **options)
    assert read_points(path, **options, ignore="sex").points.counts.tolist() == [2]


def test_polygons_and_damaged_shapes_are_refused(write):
    polygon = {"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2, 1]}
    with pytest.raises(ValueError, match="shapes must be points; got polygon"):
        read_points(write(via(image("a.png", (polygon, {})))))
    with pytest.raises(ValueError, match="cx and cy of a point must be two numbers"):
        read_points(write(via(image("a.png", ({"name": "point"}, {})))))
