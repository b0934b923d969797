"""Descriptions of an `ImageSet`: its repr, and its table in a notebook."""

import numpy as np

from skcount._html import table


def describe(images):
    """Return the repr of an ImageSet."""
    size = f"{n_sizes(images.shapes)} sizes" if images.ndim == 1 else " x ".join(map(str, images.shape[1:]))
    side_data = [name for name in ("roi", "perspective", "groups") if getattr(images, name) is not None]
    side_data = f", with {', '.join(side_data)}" * bool(side_data)
    what = (
        f"{len(images)} image{'s' * (len(images) != 1)} of {size}, {images.dtype}, {images.store.describe()}"
    )
    return f"{type(images).__name__}({what}{side_data})"


def describe_in_html(images):
    """Return the HTML table of an ImageSet."""
    rows = {
        "images": len(images),
        "size": _describe_sizes(images.shapes),
        "type": images.dtype,
        "pixels": f"{images.shapes.prod(axis=1).sum() * images.dtype.itemsize / 1e6:,.1f} MB",
        "from": images.store.describe(),
        "roi": _describe_maps(images.roi),
        "perspective": _describe_maps(images.perspective),
        "groups": None if images.groups is None else f"{len(np.unique(images.groups))} of them",
    }
    return table(type(images).__name__, rows)


def n_sizes(shapes):
    return len(np.unique(shapes, axis=0))


def _describe_sizes(shapes):
    if not len(shapes):
        return None
    by_area = shapes[np.argsort(shapes.prod(axis=1))]
    smallest, largest = (" x ".join(map(str, shape.tolist())) for shape in (by_area[0], by_area[-1]))
    return smallest if n_sizes(shapes) == 1 else f"{n_sizes(shapes)}, from {smallest} to {largest}"


def _describe_maps(maps):
    if maps is None:
        return None
    return "one for all images" if isinstance(maps, np.ndarray) else "one for each image"
