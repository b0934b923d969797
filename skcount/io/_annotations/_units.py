"""Units of coordinates: fractions and percentages of an image's size, and units that were not told."""

import warnings

import numpy as np

RELATIVE = {"fraction": 1.0, "percent": 100.0}  # unit -> the coordinate at the far edge of the image
_FEW = 10  # points are too few to tell where all points lie


def to_pixels(images, shapes, what):
    """Return the `ImagePoints` with all points in pixels; fractions need the sizes of their images."""
    return [_place(image, shape, what) for image, shape in zip(images, shapes, strict=True)]


def _place(image, shape, what):
    if image.origin is None:
        return image
    if shape is None and len(image.points):
        raise ValueError(
            f"{what} has coordinates in fractions of the image's size, but the size of {image.name} is not known. Pass "
            "`image_shape`, or read the pictures too, with load_folder."
        )
    points = image.points * (shape or 1) - image.origin
    return image._replace(points=points, origin=None)


def check_unit(images, shapes, what):
    """Reject coordinates that seem not to be pixels, because of where all of them lie."""
    sizes = [shape or (np.nan, np.nan) for shape in shapes]
    points = np.concatenate([np.empty((0, 2)), *(image.points for image in images)])
    sizes = np.repeat(np.reshape(sizes, (-1, 2)), [len(image.points) for image in images], axis=0)
    if len(points) < 3:
        return
    right = "If they are pixels, pass unit='pixel'."
    largest = points.max()
    if points.min() >= 0 and largest <= 1 and (points % 1 != 0).any() and not (sizes <= 4).any():
        raise ValueError(
            f"All {len(points)} points of {what} lie between 0 and 1, so they may be fractions of the image's size: pass "
            f"unit='fraction'. {right}"
        )
    far = ((points + 0.5) / sizes).max(axis=0)
    if np.isnan(far).any() or len(points) < _FEW:
        return
    if (far < 0.5).all():
        percent = "percentages of the image's size (unit='percent'), " if largest <= 100 else ""
        raise ValueError(
            f"All {len(points)} points of {what} lie in the first {far[0]:.0%} of the rows and {far[1]:.0%} of the columns, "
            f"so they may be {percent}in another unit (`scale`, the size of a pixel in it), or clicked on a smaller "
            f"picture. {right}"
        )
    if (far < 0.75).all() and len(points) >= 3 * _FEW and sum(len(image.points) > 0 for image in images) > 2:
        warnings.warn(
            f"All {len(points)} points of {what} lie in the first {far[0]:.0%} of the rows and {far[1]:.0%} of the columns. "
            f"Check their unit (`scale`). {right}",
            UserWarning,
            stacklevel=5,
        )
