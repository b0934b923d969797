"""Format "napari": the CSV of a points layer, (row, col) from 0; for a stack, the number of the image comes first."""

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import load_table


def is_napari(table):
    """Return whether a table is a layer of napari."""
    return table.header is not None and {"axis-0", "axis-1"} <= set(table.header)


def read_napari(table):
    """Return the points of a layer over one image or over a stack of images."""
    if "shape-type" in table.header:
        raise ValueError("it holds a shapes layer of napari; expected a points layer.")
    axes = [i for i, name in enumerate(table.header) if name.startswith("axis-")]
    names = [table.header[i] for i in axes]
    if names not in (["axis-0", "axis-1"], ["axis-0", "axis-1", "axis-2"]):
        raise ValueError(f"the axes must be (row, col) or (image, row, col); got {', '.join(names)}.")
    numbers = table.numbers(axes)
    properties = [i for i in range(table.n_columns) if i not in axes]
    fields = {table.name(i): [row[i] for row in table.rows] for i in properties}
    if len(axes) == 2:
        return Contents(numbers, fields=fields)
    return Contents(
        numbers[:, 1:], slices=numbers[:, 0], slice_field=names[0], is_stack=True, first=0, fields=fields
    )


NAPARI = Format(
    "napari",
    (".csv", ".tsv", ".txt"),
    load_table,
    read_napari,
    order="rc",
    origin=0,
    options=("slices", "slice_column", "labels", "label_column", "where", "ignore", "first"),
    matches=is_napari,
    signs="the columns 'axis-0' and 'axis-1', as napari saves a points layer",
)
