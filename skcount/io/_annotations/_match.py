"""Match annotations with images: by name, by size, and points with the size of their image."""

import warnings
from collections import Counter
from itertools import product
from pathlib import PurePosixPath

import numpy as np

from skcount._check import check_sizes
from skcount.io._annotations._contents import ImagePoints
from skcount.io._pictures import SUFFIXES
from skcount.points import PointAnnotations, is_on_image

# --- Names -------------------------------------------------------------------------------------------------


def pair_by_name(images, names, missing, extra, what):
    """Return the `ImagePoints` of each name. The file, `what`, may name images by a path or without suffix."""
    known = {}
    for shorten in (
        _without_suffix,
        _last_part,
        str,
    ):  # later ones win, because longer names are less ambiguous
        short = [shorten(name) for name in names]
        counts = Counter(short)
        known |= {key: name for key, name in zip(short, names, strict=True) if counts[key] == 1}
    if any(name not in known for name in names):
        twice = next(name for name in names if name not in known)
        raise ValueError(f"`names` must be all different; got {twice!r} twice.")
    found, unknown = {}, []
    for image in images:
        keys = (image.name, _last_part(image.name), _without_suffix(image.name))
        name = next((known[key] for key in keys if key in known), None)
        if name is None:
            unknown.append(image.name)
        elif name in found:
            raise ValueError(f"{what} has {name} twice, as {found[name].name!r} and {image.name!r}.")
        else:
            found[name] = image
    refuse_unpaired([name for name in names if name not in found], unknown, missing, extra, what)
    empty = ImagePoints("", np.empty((0, 2)))
    return [found.get(name, empty)._replace(name=name) for name in names]


def refuse_unpaired(absent, unknown, missing, extra, what):
    """Raise an error with all images without annotations (`absent`) and all annotations without image (`unknown`)."""
    problems = []
    if absent and missing == "raise":
        problems.append(f"no points for {_listed(absent)} (missing='empty': they have no objects)")
    if unknown and extra == "raise":
        problems.append(f"points but no image for {_listed(unknown)} (extra='ignore': leave them out)")
    if problems:
        raise ValueError(f"The images do not match {what}: {'; '.join(problems)}.")


def _last_part(name):
    return PurePosixPath(name.replace("\\", "/")).name


def _without_suffix(name):
    path = PurePosixPath(_last_part(name))
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def _listed(names):
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{len(names)} image{'s' * (len(names) > 1)}: {', '.join(names[:10])}{more}"


# --- Sizes -------------------------------------------------------------------------------------------------


def check_shapes(images, image_shape, what):
    """Return the size of each image, None if not known; reject sizes that differ from those in the file, `what`."""
    if image_shape is None:
        return [image.shape for image in images]
    shapes = check_sizes(image_shape, len(images))
    for image, shape in zip(images, shapes, strict=True):
        if image.shape not in {None, shape}:
            raise ValueError(
                f"{image.name} must have {image.shape[0]} x {image.shape[1]} pixels, the size in {what}; got {shape[0]} x "
                f"{shape[1]}. Use the image that was annotated, or resize the points too."
            )
    return shapes


# --- Points ------------------------------------------------------------------------------------------------


def check_inside(images, shapes, outside, what, order, origin):
    """Reject or warn about points outside their image; without a size, only points above or left of it are found.

    `order` and `origin` say how the points were read, so that the message can suggest another way.
    """
    points = PointAnnotations([image.points for image in images])
    limits = np.array([shape or (np.inf, np.inf) for shape in shapes], dtype=np.float64).reshape(-1, 2)
    indices = np.flatnonzero(~is_on_image(points, limits))
    if outside == "ignore" or not len(indices):
        return
    owners = np.repeat(np.arange(len(points)), points.lengths)[indices]
    shown = "; ".join(
        f"{images[i].name}{f' of {shapes[i][0]} x {shapes[i][1]} pixels' if shapes[i] else ''}: row {row:g}, col {col:g}"
        for i, (row, col) in zip(owners[:3], points.coordinates[indices[:3]], strict=True)
    )
    more = f" and {len(indices) - 3} more" if len(indices) > 3 else ""
    message = (
        f"{len(indices)} of {len(points.coordinates)} points of {what} are outside their image: {shown}{more}."
        f"{'' if order is None else _hint(points, limits, order, origin)} Use outside='warn' to keep them unchanged."
    )
    if outside == "raise":
        raise ValueError(message)
    warnings.warn(message, UserWarning, stacklevel=4)  # past scikit-learn's validation of the public function


def _hint(points, limits, order, origin):
    """Describe the simplest other way of reading the file that puts all points inside, if there is one."""
    for swap, other in product([False, True], dict.fromkeys([origin, 1, 0, 0.5])):
        coordinates = points.coordinates[:, :: -1 if swap else 1] + (origin - other)
        if is_on_image(PointAnnotations.from_flat(coordinates, points.lengths), limits).all():
            arguments = [f"order={'rc' if order == 'xy' else 'xy'!r}"] if swap else []
            arguments += [f"origin={other}"] if other != origin else []
            swapped = "with rows and columns swapped, " if swap else ""
            return f" All would be inside {swapped}if read with {', '.join(arguments)}."
    return " The image may have had another size, or the file may use a unit other than pixels; if so, use `scale`."
