"""Formats "via" and "via_csv": JSON and CSV of the VGG Image Annotator, versions 1 and 2, with the points of many images.

Points are whole pixels from 0; rectangles, circles and ellipses are counted at their centre, measured from the corner of
the image. The attributes of regions are fields; if there is one, it is the label.
"""

import json

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import as_dict, as_field, as_fields, as_pair, load_json, load_table, shown

_CENTRES = {
    "point": 0.0,
    "circle": 0.5,
    "ellipse": 0.5,
}  # the file's coordinate of the centre of the first pixel
_COLUMNS = {"filename", "region_shape_attributes", "region_attributes"}


def read_via(content):
    """Return the points of all images of a JSON file, including images without regions."""
    entries = content.get("_via_img_metadata", content)
    names, rows = [], []
    for entry in as_dict(entries, "_via_img_metadata").values():
        names.append(as_field(as_dict(entry, "each image").get("filename")))
        regions = entry.get("regions") or []
        for region in regions.values() if isinstance(regions, dict) else regions:
            region = as_dict(region, "each region")
            rows.append((len(names) - 1, region.get("shape_attributes"), region.get("region_attributes")))
    return _to_contents(names, rows)


def read_via_csv(table):
    """Return the points of all images of a CSV file, including images without regions."""
    position = {name: table.header.index(name) for name in _COLUMNS}
    names, rows = {}, []
    for line, row in zip(table.lines, table.rows, strict=True):
        owner = names.setdefault(row[position["filename"]], len(names))
        try:
            shape, attributes = (
                json.loads(row[position[f"region_{kind}attributes"]]) for kind in ("shape_", "")
            )
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"line {line}: the attributes of the region are not valid JSON: {error}."
            ) from None
        if shape:  # an image without regions has a row with empty attributes
            rows.append((owner, shape, attributes))
    return _to_contents(list(names), rows)


def _to_contents(names, rows):
    if not all(names):
        raise ValueError("each image must have a filename.")
    places = [_place(as_dict(shape, "shape_attributes")) for _, shape, _ in rows]
    fields = as_fields([as_dict(attributes or {}, "region_attributes") for _, _, attributes in rows])
    label = next(iter(fields)) if len(fields) == 1 else None
    labels = fields.pop(label) if label is not None else None
    return Contents(
        np.array([place for place, _, _ in places], dtype=np.float64).reshape(-1, 2),
        [(name, None) for name in names],
        [owner for owner, _, _ in rows],
        labels=labels,
        label_field=label,
        known_labels=labels or (),
        origins=[origin for _, origin, _ in places],
        kinds=[kind for _, _, kind in places],
        fields=fields,
    )


def _place(shape):
    """Return the place (x, y) of a shape, its origin, and None or the kind of a shape that is not read."""
    kind = as_field(shape.get("name"))
    if kind in _CENTRES:
        return as_pair([shape.get("cx"), shape.get("cy")], f"cx and cy of a {kind}"), _CENTRES[kind], None
    if kind == "rect":
        (x, y), (width, height) = (
            as_pair([shape.get(name) for name in pair], f"{pair[0]} and {pair[1]} of a rect")
            for pair in (("x", "y"), ("width", "height"))
        )
        return (x + width / 2, y + height / 2), 0.5, None
    return (np.nan, np.nan), 0.5, kind or shown(shape)


def _matches(content):
    if not isinstance(content, dict) or not content:
        return False
    entries = content.get("_via_img_metadata", content)
    return isinstance(entries, dict) and all(
        isinstance(entry, dict) and {"filename", "regions"} <= entry.keys() for entry in entries.values()
    )


_OPTIONS = ("labels", "label_column", "where", "ignore")
VIA = Format(
    "via",
    (".json",),
    load_json,
    read_via,
    "xy",
    0,
    _OPTIONS,
    _matches,
    "the images with 'filename' and 'regions' of VIA",
)
VIA_CSV = Format(
    "via_csv",
    (".csv", ".tsv", ".txt"),
    load_table,
    read_via_csv,
    "xy",
    0,
    _OPTIONS,
    lambda table: set(table.header or ()) >= _COLUMNS,
    "the columns 'region_shape_attributes' and 'region_attributes' of VIA",
)
